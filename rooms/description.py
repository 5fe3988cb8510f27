"""Reading session descriptions (RFC 8866) from outside: strictly, totally, within bounds.

    text ──split──▶ attributes of all ──▶ credentials, fingerprints
                    media sections ─────▶ SSRCs, directions

What is common to the answers of browsers (``rooms.sdp``) and the offers of other programs
(``rooms.ingest_sdp``). Whatever does not fit gives one coded error that repeats nothing of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from broker.errors import BadInput

MAX_DESCRIPTION = 65_536
MAX_LINES = 2_000

DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})

# RFC 8839 §5.4: ice-char = ALPHA / DIGIT / "+" / "/"; ufrag 4–256, pwd 22–256 characters.
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}", re.ASCII)
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}", re.ASCII)
_SHA256 = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


class BadSdp(BadInput):
    """A description was refused: code ``bad-sdp``. The text never repeats any of it."""

    def __init__(self, text: str) -> None:
        super().__init__("bad-sdp", text)


@dataclass(slots=True)
class Section:
    """What holds for all of a description (``media`` is empty), or one m-line with its attributes."""

    media: str = ""
    port: int = 0
    profile: str = ""
    formats: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """The values of an attribute, in order; an attribute without one has the value ``""``."""
        return [value for key, value in self.attributes if key == name]

    @property
    def directions(self) -> set[str]:
        """Which of ``DIRECTIONS`` it claims."""
        return {name for name, value in self.attributes if name in DIRECTIONS and not value}


def split(text: str) -> tuple[Section, list[Section]]:
    """Cut a description into what holds for all and its media sections.

    Raises:
        BadSdp: it is too large, not ASCII, or no SDP.
    """
    if len(text) > MAX_DESCRIPTION:
        raise BadSdp("the description is too large")
    if not text.isascii() or "\0" in text:
        raise BadSdp("the description is not plain ASCII")
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > MAX_LINES or lines[0] != "v=0":
        raise BadSdp("this is not a session description")
    return read_lines(lines[1:])


def read_lines(lines: Sequence[str]) -> tuple[Section, list[Section]]:
    """The same of lines that may be only a part of a description.

    Raises:
        BadSdp: a line is no SDP.
    """
    shared = Section()
    sections: list[Section] = []
    for line in lines:
        if len(line) < 2 or line[1] != "=":
            raise BadSdp("a line is not SDP")
        kind, value = line[0], line[2:]
        if kind == "m":
            sections.append(_media_line(value))
        elif kind == "a":
            name, _, rest = value.partition(":")
            (sections[-1] if sections else shared).attributes.append((name, rest))
    return shared, sections


def _media_line(value: str) -> Section:
    words = value.split(" ")
    if len(words) < 4 or len(words) > 64 or not _NUMBER.fullmatch(words[1]) or int(words[1]) > 65_535:
        raise BadSdp("there is a malformed media line")
    return Section(words[0], int(words[1]), words[2], words[3:])


def one(section: Section, shared: Section, name: str) -> str | None:
    """The single value of an attribute, of the section or else of all; ``None`` if it has not exactly one."""
    values = section.values(name) or shared.values(name)
    return values[0] if len(values) == 1 else None


def credentials(shared: Section, sections: Sequence[Section]) -> tuple[str, str]:
    """The ICE username fragment and password; bundled sections share one transport, so there is one of each.

    Raises:
        BadSdp: none, several, or of wrong size or charset.
    """
    return (
        _credential(shared, sections, "ice-ufrag", _UFRAG),
        _credential(shared, sections, "ice-pwd", _PASSWORD),
    )


def _credential(shared: Section, sections: Sequence[Section], name: str, form: re.Pattern[str]) -> str:
    values = {value for section in (shared, *sections) for value in section.values(name)}
    if len(values) != 1:
        raise BadSdp("there is not exactly one set of ICE credentials")
    value = values.pop()
    if not form.fullmatch(value):
        raise BadSdp("the ICE credentials are malformed")
    return value


def fingerprints(shared: Section, sections: Sequence[Section], *, besides: bool = False) -> tuple[str, ...]:
    """The SHA-256 of the one DTLS certificate, upper-case hex with colons.

    Args:
        besides: fingerprints by other algorithms may stand beside it (RFC 8122 §5) and are not looked at.

    Raises:
        BadSdp: a section has none, they differ, or they are no SHA-256.
    """
    if any(not (section.values("fingerprint") or shared.values("fingerprint")) for section in sections):
        raise BadSdp("a media section has no certificate fingerprint")
    found: set[str] = set()
    for value in {value for section in (shared, *sections) for value in section.values("fingerprint")}:
        algorithm, _, digest = value.partition(" ")
        if algorithm.lower() != "sha-256" and besides:
            continue
        if algorithm.lower() != "sha-256" or not _SHA256.fullmatch(digest.upper()):
            raise BadSdp("a certificate fingerprint is not SHA-256")
        found.add(digest.upper())
    if len(found) != 1:
        raise BadSdp("the media sections name no certificate, or different ones")
    return tuple(found)


def streams(section: Section, *, with_rtx: bool) -> tuple[int, int | None]:
    """The SSRC of what a section sends, and that of its retransmissions if it announces any.

    Args:
        with_rtx: whether it may have any (RFC 4588); sound has not.

    Raises:
        BadSdp: it does not say, or announces more than that.
    """
    ssrcs = _ssrcs(section)
    if not ssrcs or len(ssrcs) > 1 + with_rtx:
        raise BadSdp("a media section does not announce its streams plainly")
    if len(ssrcs) == 1:
        return ssrcs[0], None
    pairs = [value.split(" ")[1:] for value in section.values("ssrc-group") if value[:4] == "FID "]
    if pairs != [[str(ssrcs[0]), str(ssrcs[1])]]:
        raise BadSdp("a video section has streams that are not media and its retransmission")
    return ssrcs[0], ssrcs[1]


def _ssrcs(section: Section) -> list[int]:
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
