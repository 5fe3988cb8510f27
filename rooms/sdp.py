"""What the server offers a browser, and a strict reading of what the browser answers.

The server offers once, always the same ten m-lines on one bundled transport, and nobody renegotiates:

    mid 0   audio   the seat's microphone ──▶ server
    mid 1   video   the seat's camera     ──▶ server
    mid 2   video   the seat's screen     ──▶ server
    mid 3,4 5,6 7,8 audio, video          ◀── slots 0, 1, 2: the other places in roster order
    mid 9   video                         ◀── the one screen being shared

Because payload types and extension ids are the same for everybody, forwarding never touches them. Of the
answer only the ICE credentials, the certificate fingerprint and the SSRCs of mids 0–2 are used. Everything
a browser of today would not write is refused with one coded error.

Left out on purpose: sdes:mid (a publisher's mid would bind to the wrong m-line at the subscriber),
ssrc-audio-level (shows who speaks to anyone on the path), transport-wide-cc (it floods weak subscribers).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rooms.description import BadSdp, Section, credentials, fingerprints, one, split, streams
from rooms.forwarding import H264, H264_RTX, OPUS, VP8, VP8_RTX, Kind, Slot

#: Published m-lines in the order of the offer; a mid is the index of its m-line.
PUBLISHED = (Kind.AUDIO, Kind.CAMERA, Kind.SCREEN)

_ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_ABS_SEND_TIME_ID = 2
_PROFILE = "UDP/TLS/RTP/SAVPF"
_SEND_DIRECTIONS = {"sendrecv", "sendonly"}

_MID = re.compile(r"[0-9]", re.ASCII)


@dataclass(frozen=True, slots=True)
class AnsweredTrack:
    """One stream that the browser announces it will publish.

    Args:
        rtx_ssrc: of its retransmission stream; ``None`` for audio.
        h264: it is a picture in H.264, which only programs send.
    """

    kind: Kind
    ssrc: int
    rtx_ssrc: int | None
    h264: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server needs of a browser's answer.

    Args:
        ufrag: ICE username fragment, 4 to 256 ice-chars.
        pwd: ICE password, 22 to 256 ice-chars.
        fingerprints: SHA-256 of the DTLS certificate, upper-case hex with colons; all must match.
        tracks: at most one of each kind.
        shows_h264: H.264 was offered for every camera slot, and taken.
    """

    ufrag: str = field(repr=False)
    pwd: str = field(repr=False)
    fingerprints: tuple[str, ...] = field(repr=False)
    tracks: tuple[AnsweredTrack, ...]
    shows_h264: bool = False


def candidate_lines(host: str, port: int, tcp_port: int | None = None) -> list[str]:
    """The attributes that say where the server is reached.

    Args:
        tcp_port: where ICE-TCP is taken too (RFC 6544); ``None`` when nowhere.
    """
    # RFC 8445 §5.1.2.1: type preference 126, local preference 65535, component 1.
    lines = [f"a=candidate:1 1 udp 2130706431 {host} {port} typ host"]
    if tcp_port is not None:
        # RFC 6544 §4.2: type preference below UDP's; direction preference 4 (passive), other 8191.
        priority = 90 << 24 | (4 << 13 | 8191) << 8 | 255
        lines.append(f"a=candidate:2 1 tcp {priority} {host} {tcp_port} typ host tcptype passive")
    return lines


# ------------------------------------------------------------------------------------------- the offer


@dataclass(frozen=True, slots=True)
class Offer:
    """Everything that differs between two seats' offers.

    Args:
        session: random id of the o= line, below 2**62.
        version: grows with every ICE restart (RFC 8829 §5.2.2).
        host: IPv4 or IPv6 address that browsers reach.
        fingerprint: SHA-256 of the server's DTLS certificate.
        tcp_port: where ICE-TCP is taken too (RFC 6544), for networks that block UDP; ``None`` when nowhere.
        slots: the subscriber's slots in m-line order from mid 3.
        h264: others may be programs, so their pictures may come in H.264 too.
    """

    session: int
    version: int
    ufrag: str = field(repr=False)
    pwd: str = field(repr=False)
    host: str
    port: int
    fingerprint: str
    slots: Sequence[Slot]
    tcp_port: int | None = None
    h264: bool = False

    def render(self) -> str:
        """The SDP text (RFC 8866), lines ending in CR LF."""
        mids = " ".join(str(mid) for mid in range(len(PUBLISHED) + len(self.slots)))
        lines = [
            "v=0",
            f"o=- {self.session} {self.version} IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=ice-lite",
            f"a=group:BUNDLE {mids}",
            "a=msid-semantic:WMS *",
        ]
        for mid, kind in enumerate(PUBLISHED):
            lines += self._section(mid, kind, "recvonly")
        for position, slot in enumerate(self.slots):
            mid = len(PUBLISHED) + position
            lines += self._section(mid, slot.kind, "sendonly", h264=self.h264 and slot.kind is Kind.CAMERA)
            # Audio and camera of one slot share a stream, so the browser keeps them in step.
            stream = "screen" if slot.kind is Kind.SCREEN else f"slot{position // 2}"
            lines.append(f"a=msid:{stream} {stream}-{slot.kind.media}")
            lines.append(f"a=ssrc:{slot.ssrc} cname:{stream}")
            if slot.rtx_ssrc is not None:
                # Chromium takes the SSRC named first for the media, whatever the group says.
                lines.append(f"a=ssrc:{slot.rtx_ssrc} cname:{stream}")
                lines.append(f"a=ssrc-group:FID {slot.ssrc} {slot.rtx_ssrc}")
        return "\r\n".join(lines) + "\r\n"

    def _section(self, mid: int, kind: Kind, direction: str, *, h264: bool = False) -> list[str]:
        family = "IP6" if ":" in self.host else "IP4"
        formats = " ".join(map(str, _formats(kind, h264=h264)))
        return [
            f"m={kind.media} {self.port} {_PROFILE} {formats}",
            f"c=IN {family} {self.host}",
            "a=rtcp:9 IN IP4 0.0.0.0",
            *candidate_lines(self.host, self.port, self.tcp_port),
            "a=end-of-candidates",
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.pwd}",
            f"a=fingerprint:sha-256 {self.fingerprint}",
            # The browser answers "active", so the server is the DTLS server and its order of SRTP
            # profiles counts: AES-256-GCM first.
            "a=setup:actpass",
            f"a=mid:{mid}",
            f"a=extmap:{_ABS_SEND_TIME_ID} {_ABS_SEND_TIME}",
            f"a={direction}",
            "a=rtcp-mux",
            "a=rtcp-rsize",
            *(_AUDIO_FORMATS if kind is Kind.AUDIO else _VIDEO_FORMATS),
            *(_H264_FORMATS if h264 else ()),
        ]


def _formats(kind: Kind, *, h264: bool) -> list[int]:
    if kind is Kind.AUDIO:
        return [OPUS]
    return [VP8, VP8_RTX, H264, H264_RTX] if h264 else [VP8, VP8_RTX]


_AUDIO_FORMATS = (
    f"a=rtpmap:{OPUS} opus/48000/2",
    # Constant bitrate and no DTX: packet sizes and pauses must not tell who speaks, or what.
    # Pages check it: what is written here must be known to static/js/offer.js.
    f"a=fmtp:{OPUS} minptime=10;useinbandfec=1;usedtx=0;cbr=1",
)


def _video_formats(name: str, media: int, rtx: int) -> tuple[str, ...]:
    return (
        f"a=rtpmap:{media} {name}/90000",
        f"a=rtcp-fb:{media} goog-remb",
        f"a=rtcp-fb:{media} ccm fir",
        f"a=rtcp-fb:{media} nack",
        f"a=rtcp-fb:{media} nack pli",
        f"a=rtpmap:{rtx} rtx/90000",
        f"a=fmtp:{rtx} apt={media}",
    )


_VIDEO_FORMATS = _video_formats("VP8", VP8, VP8_RTX)
_H264_FORMATS = (
    *_video_formats("H264", H264, H264_RTX),
    f"a=fmtp:{H264} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
)


# ------------------------------------------------------------------------------------------ the answer


def read_answer(text: str, kinds: Sequence[Kind], *, h264: bool = False) -> Answer:
    """Read a browser's answer.

    Args:
        text: from outside, so possibly hostile.
        kinds: what each m-line of the offer was, in order.
        h264: it was offered for the cameras of others.

    Raises:
        BadSdp: code ``bad-sdp``, for whatever is not the answer of an honest browser to our offer: too
            large, other m-lines than offered, unencrypted or SDES-keyed media, no SHA-256 fingerprint,
            ICE credentials of wrong size or charset, no BUNDLE or rtcp-mux, a DTLS role other than active.
    """
    shared, sections = split(text)
    if len(sections) != len(kinds):
        raise BadSdp("the answer has not the offered number of media sections")
    for mid, (section, kind) in enumerate(zip(sections, kinds, strict=True)):
        _check_section(section, mid, _formats(kind, h264=h264 and _shows(mid, kind)), kind.media)
    taken = [section for section in sections if section.port != 0]
    if not taken:
        raise BadSdp("the answer rejects every media section")
    _check_bundle(shared, sections)
    everywhere = [shared, *taken]
    if any(section.values("crypto") for section in everywhere):
        raise BadSdp("the answer keys media by SDES")
    if any(section.values("ice-lite") for section in everywhere):
        raise BadSdp("the answer claims to be an ICE-lite agent")
    prints = fingerprints(shared, taken)
    if any(one(section, shared, "setup") != "active" for section in taken):
        raise BadSdp("the answer does not take the active DTLS role")
    ufrag, pwd = credentials(shared, taken)
    cameras = [section for mid, section in enumerate(sections) if _shows(mid, kinds[mid])]
    shows_h264 = h264 and all(str(H264) in section.formats for section in cameras)
    return Answer(ufrag, pwd, prints, _tracks(sections), shows_h264)


def _shows(mid: int, kind: Kind) -> bool:
    """Whether an m-line shows somebody else's camera."""
    return mid >= len(PUBLISHED) and kind is Kind.CAMERA


def _check_section(section: Section, mid: int, formats: Sequence[int], media: str) -> None:
    if section.media != media:
        raise BadSdp("a media section is of another kind than offered")
    if section.profile != _PROFILE:
        raise BadSdp("a media section is not DTLS-SRTP")
    if section.values("mid") != [str(mid)]:
        raise BadSdp("a media section has another mid than offered")
    if section.port == 0:
        return
    if not section.values("rtcp-mux"):
        raise BadSdp("a media section does not multiplex RTCP")
    if not {str(formats[0])} <= set(section.formats) <= set(map(str, formats)):
        raise BadSdp("a media section has other formats than offered")
    for value in section.values("extmap"):
        words = value.split(" ")
        if words[0].partition("/")[0] != str(_ABS_SEND_TIME_ID) or words[1:2] != [_ABS_SEND_TIME]:
            raise BadSdp("a media section has another header extension than offered")


def _check_bundle(shared: Section, sections: Iterable[Section]) -> None:
    # RFC 8843 §7.3: one group, naming every m-line that was not rejected.
    groups = [value.split(" ") for value in shared.values("group") if value.split(" ")[0] == "BUNDLE"]
    if len(groups) != 1 or any(not _MID.fullmatch(mid) for mid in groups[0][1:]):
        raise BadSdp("the answer is not bundled")
    expected = {str(mid) for mid, section in enumerate(sections) if section.port != 0}
    if set(groups[0][1:]) != expected:
        raise BadSdp("the answer does not bundle all its media sections")


def _tracks(sections: Sequence[Section]) -> tuple[AnsweredTrack, ...]:
    tracks: list[AnsweredTrack] = []
    used: set[int] = set()
    for section, kind in zip(sections, PUBLISHED, strict=False):
        if section.port == 0 or not _SEND_DIRECTIONS & section.directions:
            continue
        ssrc, rtx = streams(section, with_rtx=kind is not Kind.AUDIO)
        if used & {ssrc, rtx}:
            raise BadSdp("a media section does not announce its streams plainly")
        used |= {ssrc} if rtx is None else {ssrc, rtx}
        tracks.append(AnsweredTrack(kind, ssrc, rtx))
    return tuple(tracks)
