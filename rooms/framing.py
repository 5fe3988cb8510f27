"""Datagrams in a byte stream: where one ends and the next begins.

    ICE-TCP   2 octets of length, then the datagram                           (RFC 4571 §2, RFC 6544 §3)
    TURN      a STUN message, or 4 octets of channel and length, then data, padded to 4 (RFC 8656 §12.5)

Pure, total and bounded: any bytes, split anywhere, give the same datagrams; nothing larger than ``MAX_FRAME``
is waited for, so a stream holds at most that much. A stream that cannot be divided is broken for good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: Octets of the largest frame taken, head included. Browsers stay below the path MTU, 1 500, plus the head
#: of a TURN indication.
MAX_FRAME: Final = 2_048

_COOKIE: Final = b"\x21\x12\xa4\x42"


class Unframed(ValueError):
    """The stream cannot be divided into frames."""


Span = tuple[int, int, int]
"""Where a frame's content begins and ends, and where the next frame begins."""

Measure = Callable[[bytes, int], Span | None]
"""Finds the frame that begins at an offset; ``None`` while its head is incomplete. Raises ``Unframed``."""


def measure_ice_tcp(stream: bytes, at: int) -> Span | None:
    """A frame of RFC 4571; its content is the datagram."""
    if len(stream) - at < 2:
        return None
    begin = at + 2
    end = begin + int.from_bytes(stream[at:begin], "big")
    if end - at > MAX_FRAME:
        raise Unframed
    return begin, end, end


def measure_turn(stream: bytes, at: int) -> Span | None:
    """A frame of RFC 8656; its content is the whole message without padding."""
    if len(stream) - at < 4:
        return None
    length = int.from_bytes(stream[at + 2 : at + 4], "big")
    match stream[at] >> 4:
        case 0 | 1 | 2 | 3:  # RFC 8489 §5: a STUN message, its length a multiple of 4
            end = following = at + 20 + length
            if length % 4 or (len(stream) - at >= 8 and stream[at + 4 : at + 8] != _COOKIE):
                raise Unframed
        case 4:  # RFC 8656 §12: channels 0x4000 to 0x4FFF
            end = at + 4 + length
            following = end + -length % 4
        case _:
            raise Unframed
    if following - at > MAX_FRAME:
        raise Unframed
    return at, end, following


@dataclass(slots=True)
class Deframer:
    """Divides one stream.

    Args:
        measure: of the framing spoken.

    Attributes:
        broken: the stream made no sense; nothing comes out any more.
        more: the last feeding left frames behind that may be complete.
    """

    measure: Measure
    broken: bool = False
    more: bool = False
    _rest: bytes = b""
    _at: int = 0

    def feed(self, data: bytes, limit: int | None = None) -> list[bytes]:
        """Take in what arrived.

        Args:
            data: ``b""`` to go on with what was left behind.
            limit: frames taken out at most: two octets are a frame, and a read brings many octets.

        Returns:
            The contents of the frames that are complete now; empty ones too, for they cost us work.
        """
        if self.broken:
            return []
        stream = self._rest[self._at :] + data if data else self._rest
        at = 0 if data else self._at
        found: list[bytes] = []
        self.more = False
        try:
            while (span := self.measure(stream, at)) is not None and span[2] <= len(stream):
                if len(found) == limit:
                    self.more = True
                    self._rest, self._at = stream, at
                    return found
                begin, end, at = span
                found.append(stream[begin:end])
        except Unframed:
            self.broken = True
            self._rest, self._at = b"", 0
            return found
        self._rest, self._at = stream[at:], 0
        return found


def ice_tcp_frame(datagram: bytes) -> bytes:
    """A datagram as a frame of RFC 4571."""
    return len(datagram).to_bytes(2, "big") + datagram
