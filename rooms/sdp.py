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

from broker.errors import BadInput
from rooms.forwarding import OPUS, VP8, VP8_RTX, Kind, Slot

MAX_ANSWER = 65_536
MAX_LINES = 2_000

#: Published m-lines in the order of the offer; a mid is the index of its m-line.
PUBLISHED = (Kind.AUDIO, Kind.CAMERA, Kind.SCREEN)

_ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_ABS_SEND_TIME_ID = 2
_PROFILE = "UDP/TLS/RTP/SAVPF"
_SEND_DIRECTIONS = {"sendrecv", "sendonly"}

# RFC 8839 §5.4: ice-char = ALPHA / DIGIT / "+" / "/"; ufrag 4–256, pwd 22–256 characters.
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}", re.ASCII)
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}", re.ASCII)
_SHA256 = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}", re.ASCII)
_MID = re.compile(r"[0-9]", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


class BadSdp(BadInput):
    """The browser's answer was refused: code ``bad-sdp``. The text never repeats any of the answer."""

    def __init__(self, text: str) -> None:
        super().__init__("bad-sdp", text)


@dataclass(frozen=True, slots=True)
class AnsweredTrack:
    """One stream that the browser announces it will publish.

    Args:
        rtx_ssrc: of its retransmission stream; ``None`` for audio.
    """

    kind: Kind
    ssrc: int
    rtx_ssrc: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server needs of a browser's answer.

    Args:
        ufrag: ICE username fragment, 4 to 256 ice-chars.
        pwd: ICE password, 22 to 256 ice-chars.
        fingerprints: SHA-256 of the DTLS certificate, upper-case hex with colons; all must match.
        tracks: at most one of each kind.
    """

    ufrag: str = field(repr=False)
    pwd: str = field(repr=False)
    fingerprints: tuple[str, ...] = field(repr=False)
    tracks: tuple[AnsweredTrack, ...]


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
            lines += self._section(mid, slot.kind, "sendonly")
            # Audio and camera of one slot share a stream, so the browser keeps them in step.
            stream = "screen" if slot.kind is Kind.SCREEN else f"slot{position // 2}"
            lines.append(f"a=msid:{stream} {stream}-{slot.kind.media}")
            lines.append(f"a=ssrc:{slot.ssrc} cname:{stream}")
            if slot.rtx_ssrc is not None:
                # Chromium takes the SSRC named first for the media, whatever the group says.
                lines.append(f"a=ssrc:{slot.rtx_ssrc} cname:{stream}")
                lines.append(f"a=ssrc-group:FID {slot.ssrc} {slot.rtx_ssrc}")
        return "\r\n".join(lines) + "\r\n"

    def _tcp_candidate(self) -> list[str]:
        if self.tcp_port is None:
            return []
        # RFC 6544 §4.2: type preference below UDP's; direction preference 4 (passive), other 8191.
        priority = 90 << 24 | (4 << 13 | 8191) << 8 | 255
        where = f"{self.host} {self.tcp_port}"
        return [f"a=candidate:2 1 tcp {priority} {where} typ host tcptype passive"]

    def _section(self, mid: int, kind: Kind, direction: str) -> list[str]:
        family = "IP6" if ":" in self.host else "IP4"
        formats = f"{OPUS}" if kind is Kind.AUDIO else f"{VP8} {VP8_RTX}"
        return [
            f"m={kind.media} {self.port} {_PROFILE} {formats}",
            f"c=IN {family} {self.host}",
            "a=rtcp:9 IN IP4 0.0.0.0",
            # RFC 8445 §5.1.2.1: type preference 126, local preference 65535, component 1.
            f"a=candidate:1 1 udp 2130706431 {self.host} {self.port} typ host",
            *self._tcp_candidate(),
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
        ]


_AUDIO_FORMATS = (
    f"a=rtpmap:{OPUS} opus/48000/2",
    # Constant bitrate and no DTX: packet sizes and pauses must not tell who speaks, or what.
    f"a=fmtp:{OPUS} minptime=10;useinbandfec=1;usedtx=0;cbr=1",
)
_VIDEO_FORMATS = (
    f"a=rtpmap:{VP8} VP8/90000",
    f"a=rtcp-fb:{VP8} goog-remb",
    f"a=rtcp-fb:{VP8} ccm fir",
    f"a=rtcp-fb:{VP8} nack",
    f"a=rtcp-fb:{VP8} nack pli",
    f"a=rtpmap:{VP8_RTX} rtx/90000",
    f"a=fmtp:{VP8_RTX} apt={VP8}",
)


# ------------------------------------------------------------------------------------------ the answer


@dataclass(slots=True)
class _Section:
    media: str
    port: int
    profile: str
    formats: list[str]
    attributes: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


def read_answer(text: str, kinds: Sequence[Kind]) -> Answer:
    """Read a browser's answer.

    Args:
        text: from outside, so possibly hostile.
        kinds: what each m-line of the offer was, in order.

    Raises:
        BadSdp: code ``bad-sdp``, for whatever is not the answer of an honest browser to our offer: too
            large, other m-lines than offered, unencrypted or SDES-keyed media, no SHA-256 fingerprint,
            ICE credentials of wrong size or charset, no BUNDLE or rtcp-mux, a DTLS role other than active.
    """
    shared, sections = _split(text)
    if len(sections) != len(kinds):
        raise BadSdp("the answer has not the offered number of media sections")
    for mid, (section, kind) in enumerate(zip(sections, kinds, strict=True)):
        _check_section(section, mid, kind)
    taken = [section for section in sections if section.port != 0]
    if not taken:
        raise BadSdp("the answer rejects every media section")
    _check_bundle(shared, sections)
    everywhere = [shared, *taken]
    if any(section.values("crypto") for section in everywhere):
        raise BadSdp("the answer keys media by SDES")
    if any(section.values("ice-lite") for section in everywhere):
        raise BadSdp("the answer claims to be an ICE-lite agent")
    fingerprints = _fingerprints(shared, taken)
    if any(_one(section, shared, "setup") != "active" for section in taken):
        raise BadSdp("the answer does not take the active DTLS role")
    return Answer(
        ufrag=_credential(shared, taken, "ice-ufrag", _UFRAG),
        pwd=_credential(shared, taken, "ice-pwd", _PASSWORD),
        fingerprints=fingerprints,
        tracks=_tracks(sections),
    )


def _split(text: str) -> tuple[_Section, list[_Section]]:
    if len(text) > MAX_ANSWER:
        raise BadSdp("the answer is too large")
    if not text.isascii() or "\0" in text:
        raise BadSdp("the answer is not plain ASCII")
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > MAX_LINES or lines[0] != "v=0":
        raise BadSdp("the answer is not a session description")
    shared = _Section("", 0, "", [])
    sections: list[_Section] = []
    for line in lines[1:]:
        if len(line) < 2 or line[1] != "=":
            raise BadSdp("the answer has a line that is not SDP")
        kind, value = line[0], line[2:]
        if kind == "m":
            sections.append(_media_line(value))
        elif kind == "a":
            name, _, rest = value.partition(":")
            (sections[-1] if sections else shared).attributes.append((name, rest))
    return shared, sections


def _media_line(value: str) -> _Section:
    words = value.split(" ")
    if len(words) < 4 or len(words) > 64 or not _NUMBER.fullmatch(words[1]) or int(words[1]) > 65_535:
        raise BadSdp("the answer has a malformed media line")
    return _Section(words[0], int(words[1]), words[2], words[3:])


def _check_section(section: _Section, mid: int, kind: Kind) -> None:
    if section.media != kind.media:
        raise BadSdp("a media section is of another kind than offered")
    if section.profile != _PROFILE:
        raise BadSdp("a media section is not DTLS-SRTP")
    if section.values("mid") != [str(mid)]:
        raise BadSdp("a media section has another mid than offered")
    if section.port == 0:
        return
    if not section.values("rtcp-mux"):
        raise BadSdp("a media section does not multiplex RTCP")
    offered = {str(OPUS)} if kind is Kind.AUDIO else {str(VP8), str(VP8_RTX)}
    first = str(OPUS if kind is Kind.AUDIO else VP8)
    if not {first} <= set(section.formats) <= offered:
        raise BadSdp("a media section has other formats than offered")
    for value in section.values("extmap"):
        words = value.split(" ")
        if words[0].partition("/")[0] != str(_ABS_SEND_TIME_ID) or words[1:2] != [_ABS_SEND_TIME]:
            raise BadSdp("a media section has another header extension than offered")


def _check_bundle(shared: _Section, sections: Iterable[_Section]) -> None:
    # RFC 8843 §7.3: one group, naming every m-line that was not rejected.
    groups = [value.split(" ") for value in shared.values("group") if value.split(" ")[0] == "BUNDLE"]
    if len(groups) != 1 or any(not _MID.fullmatch(mid) for mid in groups[0][1:]):
        raise BadSdp("the answer is not bundled")
    expected = {str(mid) for mid, section in enumerate(sections) if section.port != 0}
    if set(groups[0][1:]) != expected:
        raise BadSdp("the answer does not bundle all its media sections")


def _one(section: _Section, shared: _Section, name: str) -> str | None:
    values = section.values(name) or shared.values(name)
    return values[0] if len(values) == 1 else None


def _credential(shared: _Section, taken: Sequence[_Section], name: str, form: re.Pattern[str]) -> str:
    # Bundled m-lines share one transport; a browser repeats the values or writes them once.
    values = {value for section in (shared, *taken) for value in section.values(name)}
    if len(values) != 1:
        raise BadSdp("the answer has not exactly one set of ICE credentials")
    value = values.pop()
    if not form.fullmatch(value):
        raise BadSdp("the answer has malformed ICE credentials")
    return value


def _fingerprints(shared: _Section, taken: Sequence[_Section]) -> tuple[str, ...]:
    if any(not (section.values("fingerprint") or shared.values("fingerprint")) for section in taken):
        raise BadSdp("a media section has no certificate fingerprint")
    found: set[str] = set()
    for value in {value for section in (shared, *taken) for value in section.values("fingerprint")}:
        algorithm, _, digest = value.partition(" ")
        if algorithm.lower() != "sha-256" or not _SHA256.fullmatch(digest.upper()):
            raise BadSdp("a certificate fingerprint is not SHA-256")
        found.add(digest.upper())
    if len(found) != 1:
        raise BadSdp("the media sections name different certificates")
    return tuple(found)


def _tracks(sections: Sequence[_Section]) -> tuple[AnsweredTrack, ...]:
    tracks: list[AnsweredTrack] = []
    used: set[int] = set()
    for section, kind in zip(sections, PUBLISHED, strict=False):
        directions = [name for name, value in section.attributes if name in _DIRECTIONS and not value]
        if section.port == 0 or not _SEND_DIRECTIONS & set(directions):
            continue
        ssrcs = _ssrcs(section)
        rtx = None
        if kind is not Kind.AUDIO and len(ssrcs) > 1:
            pairs = [value.split(" ")[1:] for value in section.values("ssrc-group") if value[:4] == "FID "]
            if pairs != [[str(ssrcs[0]), str(ssrcs[1])]]:
                raise BadSdp("a video section has streams that are not media and its retransmission")
            rtx = ssrcs[1]
        if not ssrcs or len(ssrcs) > (1 if kind is Kind.AUDIO else 2) or used & set(ssrcs):
            raise BadSdp("a media section does not announce its streams plainly")
        used |= set(ssrcs)
        tracks.append(AnsweredTrack(kind, ssrcs[0], rtx))
    return tuple(tracks)


_DIRECTIONS = {"sendrecv", "sendonly", "recvonly", "inactive"}


def _ssrcs(section: _Section) -> list[int]:
    """Distinct SSRCs in their order; with an FID group, media before retransmission (RFC 5576 §4)."""
    seen: dict[int, None] = {}
    for value in section.values("ssrc-group"):
        if value[:4] == "FID ":
            for word in value.split(" ")[1:]:
                seen[_ssrc(word)] = None
    for value in section.values("ssrc"):
        seen[_ssrc(value.split(" ")[0])] = None
    return list(seen)


def _ssrc(word: str) -> int:
    if not _NUMBER.fullmatch(word) or not 0 < int(word) <= 0xFFFFFFFF:
        raise BadSdp("a media section has a malformed SSRC")
    return int(word)
