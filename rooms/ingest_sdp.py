"""The other way round: a program offers what it will publish, and the server answers (RFC 9725 §4.2).

    offer ──read_offer──▶ ClientOffer ──answer──▶ recvonly, passive, ICE-lite, Opus, and VP8 or H.264
    PATCH ──read_fragment──▶ new ICE credentials, or only candidates ──▶ fragment

A program numbers its payload types as it likes, and its answer must keep them; ``rooms.ingest`` translates
them to ours on each packet. No header extension and no m-line is taken beyond what a seat needs: at most one
audio and one camera. What cannot be taken is refused as a whole, never by half.

Pure. Candidates of the program are not read: the server only answers checks, it begins none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from broker.errors import Refused
from rooms.description import (
    BadSdp,
    Section,
    credentials,
    fingerprints,
    one,
    read_lines,
    split,
    streams,
)
from rooms.forwarding import H264, H264_RTX, OPUS, VP8, VP8_RTX, Kind
from rooms.sdp import Answer, AnsweredTrack, candidate_lines

MAX_FRAGMENT = 16_384
_MAX_FRAGMENT_LINES = 400

_PROFILES = {"UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF"}
_MID = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}", re.ASCII)
_FORMAT = re.compile(r"[0-9]{1,3}", re.ASCII)
_BASELINE = re.compile(r"42[0-9a-f]{4}", re.ASCII)
_FEEDBACK = ("goog-remb", "ccm fir", "nack", "nack pli")
_KINDS = {"audio": Kind.AUDIO, "video": Kind.CAMERA}


@dataclass(frozen=True, slots=True)
class OfferedSection:
    """One m-line of an offer, as it will be answered.

    Args:
        formats: payload types in the program's numbering, of the media and perhaps of its retransmission.
        feedback: which RTCP feedback to ask for; what the program offered and the server uses.
        h264: profile and level as the program writes them, where its pictures are in H.264; empty for VP8.
    """

    mid: str
    kind: Kind
    formats: tuple[int, ...]
    feedback: tuple[str, ...] = ()
    h264: str = ""


@dataclass(frozen=True, slots=True)
class ClientOffer:
    """What the server needs of a program's offer.

    Args:
        answer: the same that a browser's answer tells.
        sections: in the order of the offer.
    """

    answer: Answer
    sections: tuple[OfferedSection, ...]

    @property
    def payload_types(self) -> dict[int, int]:
        """The program's payload types and ours."""
        return {
            theirs: own
            for section in self.sections
            for theirs, own in zip(section.formats, _ours(section), strict=False)
        }


def _ours(section: OfferedSection) -> tuple[int, ...]:
    if section.kind is Kind.AUDIO:
        return (OPUS,)
    return (H264, H264_RTX) if section.h264 else (VP8, VP8_RTX)


@dataclass(frozen=True, slots=True)
class Side:
    """The server's end of a transport, as it is told to a program.

    Args:
        ufrag, pwd: of the present ICE generation.
        host, port: IPv4 or IPv6 address and UDP port.
        fingerprint: SHA-256 of the DTLS certificate.
        tcp_port: of ICE-TCP, ``None`` without.
    """

    ufrag: str = field(repr=False)
    pwd: str = field(repr=False)
    host: str
    port: int
    fingerprint: str
    tcp_port: int | None = None

    @property
    def _ice(self) -> list[str]:
        return [f"a=ice-ufrag:{self.ufrag}", f"a=ice-pwd:{self.pwd}", *self._candidates]

    @property
    def _candidates(self) -> list[str]:
        return [*candidate_lines(self.host, self.port, self.tcp_port), "a=end-of-candidates"]

    def answer(self, offer: ClientOffer, session: int) -> str:
        """The SDP answer (RFC 8866), lines ending in CR LF.

        Args:
            session: random id of the o= line, below 2**62.
        """
        family = "IP6" if ":" in self.host else "IP4"
        lines = ["v=0", f"o=- {session} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite", _bundle(offer)]
        for section in offer.sections:
            formats = " ".join(str(number) for number in section.formats)
            lines += [
                f"m={section.kind.media} {self.port} UDP/TLS/RTP/SAVPF {formats}",
                f"c=IN {family} {self.host}",
                "a=rtcp:9 IN IP4 0.0.0.0",
                *self._ice,
                f"a=fingerprint:sha-256 {self.fingerprint}",
                # Passive: the server stays the DTLS server, so that its order of SRTP profiles counts.
                "a=setup:passive",
                f"a=mid:{section.mid}",
                "a=recvonly",
                "a=rtcp-mux",
                "a=rtcp-rsize",
                *_format_lines(section),
            ]
        return "\r\n".join(lines) + "\r\n"

    def fragment(self, offer: ClientOffer) -> str:
        """The server's half of an ICE restart (RFC 8840 §9): new credentials, and where it is."""
        first = offer.sections[0]
        lines = [
            "a=ice-lite",
            _bundle(offer),
            f"m={first.kind.media} 9 UDP/TLS/RTP/SAVPF {first.formats[0]}",
            f"a=mid:{first.mid}",
            *self._ice,
        ]
        return "\r\n".join(lines) + "\r\n"


def _bundle(offer: ClientOffer) -> str:
    return "a=group:BUNDLE " + " ".join(section.mid for section in offer.sections)


def _format_lines(section: OfferedSection) -> list[str]:
    media = section.formats[0]
    if section.kind is Kind.AUDIO:
        return [
            f"a=rtpmap:{media} opus/48000/2",
            # Constant bitrate and no DTX: packet sizes and pauses must not tell who speaks, or what.
            f"a=fmtp:{media} minptime=10;useinbandfec=1;usedtx=0;cbr=1",
        ]
    lines = [f"a=rtpmap:{media} {'H264' if section.h264 else 'VP8'}/90000"]
    if section.h264:
        lines.append(
            f"a=fmtp:{media} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={section.h264}"
        )
    lines += [f"a=rtcp-fb:{media} {name}" for name in section.feedback]
    for rtx in section.formats[1:]:
        lines += [f"a=rtpmap:{rtx} rtx/90000", f"a=fmtp:{rtx} apt={media}"]
    return lines


# ------------------------------------------------------------------------------------------- the offer


def read_offer(text: str) -> ClientOffer:
    """Read a program's offer.

    Args:
        text: from outside, so possibly hostile.

    Raises:
        BadSdp: ``bad-sdp``: no SDP, too large, not bundled and multiplexed over one DTLS-SRTP transport, more
            than one audio or one video, nothing that is sent, no DTLS role left for the server, streams that
            are not announced by SSRC (simulcast among them).
        Refused: ``no-common-codec``: no Opus for sound, or neither VP8 nor H.264 of the kind that browsers
            show for pictures: (constrained) baseline, packetization mode 1.
    """
    shared, sections = split(text)
    if not 1 <= len(sections) <= len(_KINDS) or len({section.media for section in sections}) != len(sections):
        raise BadSdp("the offer has more than one audio and one video section, or none")
    for section in sections:
        _check(section, shared)
    mids = [one(section, Section(), "mid") or "" for section in sections]
    _check_bundle(shared, mids)
    everywhere = [shared, *sections]
    if any(section.values("crypto") for section in everywhere):
        raise BadSdp("the offer keys media by SDES")
    if any(section.values("ice-lite") for section in everywhere):
        raise BadSdp("the offer is that of an ICE-lite agent: nobody would begin")
    prints = fingerprints(shared, sections, besides=True)
    ufrag, pwd = credentials(shared, sections)
    tracks = [_track(section) for section in sections]
    ssrcs = [ssrc for track in tracks for ssrc in (track.ssrc, track.rtx_ssrc) if ssrc is not None]
    if len(set(ssrcs)) != len(ssrcs):
        raise BadSdp("two streams of the offer have the same SSRC")
    offered = tuple(
        _offered(section, mid, track) for section, mid, track in zip(sections, mids, tracks, strict=True)
    )
    numbers = [number for section in offered for number in section.formats]
    if len(set(numbers)) != len(numbers):
        raise BadSdp("one payload type of the offer means two things")
    known = tuple(
        replace(track, h264=bool(section.h264)) for track, section in zip(tracks, offered, strict=True)
    )
    return ClientOffer(Answer(ufrag, pwd, prints, known), offered)


def _check(section: Section, shared: Section) -> None:
    if section.media not in _KINDS:
        raise BadSdp("a media section is neither audio nor video")
    if section.profile not in _PROFILES:
        raise BadSdp("a media section is not DTLS-SRTP")
    # RFC 9143 §6: port 0 with bundle-only means "only within the bundle", else "rejected".
    if section.port == 0 and not section.values("bundle-only"):
        raise BadSdp("a media section is switched off")
    if not section.values("rtcp-mux"):
        raise BadSdp("a media section does not multiplex RTCP")
    directions = section.directions or shared.directions or {"sendrecv"}
    if len(directions) != 1 or not directions <= {"sendonly", "sendrecv"}:
        raise BadSdp("a media section does not send")
    if one(section, shared, "setup") not in {"actpass", "active"}:
        raise BadSdp("the offer leaves the server no passive DTLS role")


def _check_bundle(shared: Section, mids: Sequence[str]) -> None:
    if any(not _MID.fullmatch(mid) for mid in mids) or len(set(mids)) != len(mids):
        raise BadSdp("a media section has no mid of its own")
    groups = [value.split(" ")[1:] for value in shared.values("group") if value.split(" ")[0] == "BUNDLE"]
    if len(groups) != 1 or sorted(groups[0]) != sorted(mids):
        raise BadSdp("the offer does not bundle all its media sections")


def _track(section: Section) -> AnsweredTrack:
    kind = _KINDS[section.media]
    ssrc, rtx = streams(section, with_rtx=kind is not Kind.AUDIO)
    return AnsweredTrack(kind, ssrc, rtx)


def _offered(section: Section, mid: str, track: AnsweredTrack) -> OfferedSection:
    maps = _mapped(section)
    wanted = "opus/48000/2" if track.kind is Kind.AUDIO else "vp8/90000"
    media, h264 = next((number for number, name in maps.items() if name == wanted), None), ""
    if media is None and track.kind is Kind.CAMERA:
        # Every browser shows VP8, so H.264 is taken only from those who have nothing else.
        media, h264 = _h264(section, maps)
    if media is None:
        raise Refused("no-common-codec")
    if track.kind is Kind.AUDIO:
        return OfferedSection(mid, track.kind, (media,))
    feedback = {
        name
        for value in section.values("rtcp-fb")
        for number, _, name in [value.partition(" ")]
        if number in {"*", str(media)}
    }
    return OfferedSection(
        mid,
        track.kind,
        (media, *_rtx(section, maps, media, track.rtx_ssrc is not None)),
        tuple(name for name in _FEEDBACK if name in feedback),
        h264,
    )


def _h264(section: Section, maps: dict[int, str]) -> tuple[int | None, str]:
    """The first format that is H.264 as browsers show it, with its profile and level (RFC 6184 §8.1)."""
    for value in section.values("fmtp"):
        number, _, parameters = value.partition(" ")
        told = {
            name.strip().lower(): what.strip().lower()
            for name, _, what in (parameter.partition("=") for parameter in parameters.split(";"))
        }
        if (
            _FORMAT.fullmatch(number)
            and maps.get(int(number)) == "h264/90000"
            and told.get("packetization-mode") == "1"
            and _BASELINE.fullmatch(told.get("profile-level-id", ""))
        ):
            return int(number), told["profile-level-id"]
    return None, ""


def _mapped(section: Section) -> dict[int, str]:
    """The formats of a section by their numbers, names in small letters; the first word on each counts."""
    maps: dict[int, str] = {}
    for value in section.values("rtpmap"):
        number, _, name = value.partition(" ")
        # RFC 5761 §4: with RTCP on the same transport 64 to 95 would look like its packet types.
        usable = number in section.formats and _FORMAT.fullmatch(number) and int(number) <= 127
        if usable and not 64 <= int(number) <= 95:
            maps.setdefault(int(number), name.strip().lower())
    return maps


def _rtx(section: Section, maps: dict[int, str], media: int, announced: bool) -> tuple[int, ...]:
    """The payload type of the media's retransmissions, if the program announced a stream of them."""
    found = [
        int(number)
        for value in section.values("fmtp")
        for number, _, parameters in [value.partition(" ")]
        if f"apt={media}" in parameters.replace(" ", "").split(";")
        and _FORMAT.fullmatch(number)
        and maps.get(int(number)) == "rtx/90000"
    ]
    if announced and not found:
        raise BadSdp("a stream of retransmissions has no format")
    return tuple(found[:1]) if announced else ()


# ---------------------------------------------------------------------------------------- the fragment


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a PATCH tells (RFC 8840): the program's ICE credentials, if it repeats or renews them.

    Args:
        ufrag: ``None`` when the fragment holds none.
    """

    ufrag: str | None = field(repr=False)


def read_fragment(text: str) -> Fragment:
    """Read an SDP fragment of trickle ICE.

    Args:
        text: from outside, so possibly hostile.

    Raises:
        BadSdp: ``bad-sdp``: too large, no SDP lines, ICE credentials that are malformed or by half.
    """
    if len(text) > MAX_FRAGMENT or not text.isascii() or "\0" in text:
        raise BadSdp("the fragment is too large or not plain ASCII")
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > _MAX_FRAGMENT_LINES:
        raise BadSdp("the fragment is too large")
    shared, sections = read_lines(lines)
    everywhere = [shared, *sections]
    if not any(section.values("ice-ufrag") or section.values("ice-pwd") for section in everywhere):
        return Fragment(None)
    return Fragment(credentials(shared, sections)[0])
