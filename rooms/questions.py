"""Our own connectivity checks as octets: what is asked, and what answers it (RFC 8489, RFC 8445 §7.2.2).

    transaction, names, password ──▶ question ──▶ the browser
                                                      │
               is_by ◀── Response ◀── read_response ◀────┘

Every clinician is asked eight times a second whether they hear (``rooms.hearing``). Built and taken apart
attribute by attribute, as the library does it for the checks of others, these messages were a sixth of what
a server of many small rooms does. Of a response nothing is read but which question it belongs to and who
signed it.

Pure: octets in, octets out.
"""

from __future__ import annotations

import hmac
import struct
import zlib
from dataclasses import dataclass, field
from typing import Final

TRANSACTION: Final = 12
"""Octets of a transaction id, all of them random (RFC 8489 §5)."""

_REQUEST, _SUCCESS, _ERROR = 0x0001, 0x0101, 0x0111  # methods and classes of BINDING (§5)
_COOKIE: Final = 0x2112A442
_USERNAME, _INTEGRITY, _PRIORITY, _FINGERPRINT, _CONTROLLED = 0x0006, 0x0008, 0x0024, 0x8028, 0x8029
_HEAD: Final = struct.Struct("!HHI12s")
_ATTRIBUTE: Final = struct.Struct("!HH")
_SIGNED_BY: Final = 20  # octets of HMAC-SHA1 (§14.5)
_WITH_INTEGRITY: Final = _ATTRIBUTE.size + _SIGNED_BY
_WITH_FINGERPRINT: Final = _ATTRIBUTE.size + 4
_FINGERPRINT_XOR: Final = 0x5354554E  # §14.7
# RFC 8445 §5.1.2.1, as a peer-reflexive candidate: type preference 110, local 65535, component 1.
_OUR_PRIORITY: Final = 110 << 24 | 65535 << 8 | 255


def question(transaction: bytes, username: str, tie_breaker: int, password: str) -> bytes:
    """A binding request of the controlled agent.

    Args:
        transaction: `TRANSACTION` random octets.
        username: the browser's fragment, a colon, ours.
        tie_breaker: 64 bits (RFC 8445 §7.3.1.1).
        password: the browser's.
    """
    name = username.encode()
    attributes = (
        _ATTRIBUTE.pack(_USERNAME, len(name))
        + name
        + bytes(-len(name) % 4)
        + struct.pack("!HHIHHQ", _PRIORITY, 4, _OUR_PRIORITY, _CONTROLLED, 8, tie_breaker)
    )
    # Each of the two that close a message counts itself in the length it covers.
    length = len(attributes) + _WITH_INTEGRITY
    signed = _HEAD.pack(_REQUEST, length, _COOKIE, transaction) + attributes
    integrity = _ATTRIBUTE.pack(_INTEGRITY, _SIGNED_BY) + _signature(password, signed)
    length += _WITH_FINGERPRINT
    whole = _HEAD.pack(_REQUEST, length, _COOKIE, transaction) + attributes + integrity
    return whole + struct.pack("!HHI", _FINGERPRINT, 4, zlib.crc32(whole) ^ _FINGERPRINT_XOR)


@dataclass(frozen=True, slots=True)
class Response:
    """What answers a question of ours, not yet trusted.

    Args:
        transaction: of the question.
        signed: the octets that its signature covers.
        signature: HMAC-SHA1; empty when it has none.
    """

    transaction: bytes
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def is_by(self, password: str) -> bool:
        """Whether whoever knows this password has answered."""
        return hmac.compare_digest(self.signature, _signature(password, self.signed))


def read_response(datagram: bytes) -> Response | None:
    """Parse what answers a question of ours: also an error does, for it was heard.

    Args:
        datagram: whatever arrived with a first byte below 4.

    Returns:
        The response, or ``None`` for anything else. What follows the signature is not looked at (§14.5).
    """
    if len(datagram) < _HEAD.size:
        return None
    kind, length, cookie, transaction = _HEAD.unpack_from(datagram)
    end = _HEAD.size + length
    if kind not in (_SUCCESS, _ERROR) or cookie != _COOKIE or end != len(datagram) or length % 4:
        return None
    at = _HEAD.size
    while at < end:
        what, size = _ATTRIBUTE.unpack_from(datagram, at)
        value = at + _ATTRIBUTE.size
        if value + size > end:
            return None
        if what == _INTEGRITY:
            covered = _HEAD.pack(kind, at - _HEAD.size + _WITH_INTEGRITY, cookie, transaction)
            return Response(transaction, covered + datagram[_HEAD.size : at], datagram[value : value + size])
        at = value + size + -size % 4
    return Response(transaction, b"", b"")


def _signature(password: str, signed: bytes) -> bytes:
    return hmac.digest(password.encode(), signed, "sha1")
