"""Our own connectivity checks as octets: what is asked, and what answers it (RFC 8489, RFC 8445 §7.2.2).

    transaction, names, password ──▶ question ──▶ the browser
                                                      │
               is_by ◀── Response ◀── read_response ◀────┘

Every clinician is asked eight times a second whether they hear (``rooms.hearing``), and each seat whether it
is at a new address (``rooms.proof``). Of a response nothing is read but which question it belongs to and who
signed it.

Pure: octets in, octets out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from rooms.stun import (
    ATTRIBUTE,
    CONTROLLED,
    CUT_SHORT,
    ERROR,
    HEAD,
    INTEGRITY,
    PRIORITY,
    REQUEST,
    SUCCESS,
    USERNAME,
    attributes,
    covered,
    is_signed,
    is_whole,
    signed,
)

TRANSACTION: Final = 12
"""Octets of a transaction id, all of them random (RFC 8489 §5)."""

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
    said = (
        ATTRIBUTE.pack(USERNAME, len(name))
        + name
        + bytes(-len(name) % 4)
        + struct.pack("!HHIHHQ", PRIORITY, 4, _OUR_PRIORITY, CONTROLLED, 8, tie_breaker)
    )
    return signed(REQUEST, transaction, said, password)


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
        return is_signed(self.signed, self.signature, password)


def read_response(datagram: bytes) -> Response | None:
    """Parse what answers a question of ours: also an error does, for it was heard.

    Args:
        datagram: whatever arrived with a first byte below 4.

    Returns:
        The response, or ``None`` for anything else. What follows the signature is not looked at (§14.5).
    """
    if not is_whole(datagram, SUCCESS, ERROR):
        return None
    transaction = datagram[HEAD.size - TRANSACTION : HEAD.size]
    for at, what, value in attributes(datagram):
        if what == CUT_SHORT:
            return None
        if what == INTEGRITY:
            return Response(transaction, covered(datagram, at), value)
    return Response(transaction, b"", b"")
