"""STUN as octets: what the messages that pass here have in common (RFC 8489).

    head: kind, length, cookie, transaction │ attributes … │ MESSAGE-INTEGRITY │ FINGERPRINT

Checks come from everybody, also from those who send many, and a question goes to every clinician eight times
a second (``rooms.checks``, ``rooms.questions``). Taken apart and built attribute by attribute, as the library
does it, each message cost as much as forwarding several packets (decision 18).

Pure: octets in, octets out.
"""

from __future__ import annotations

import hmac
import struct
import zlib
from collections.abc import Iterator
from typing import Final

REQUEST, SUCCESS, ERROR = 0x0001, 0x0101, 0x0111
"""Methods and classes of BINDING (§5)."""
COOKIE: Final = 0x2112A442
USERNAME, INTEGRITY, ERROR_CODE, XOR_MAPPED_ADDRESS = 0x0006, 0x0008, 0x0009, 0x0020
PRIORITY, USE_CANDIDATE, FINGERPRINT, CONTROLLED = 0x0024, 0x0025, 0x8028, 0x8029
CUT_SHORT: Final = -1
HEAD: Final = struct.Struct("!HHI12s")
ATTRIBUTE: Final = struct.Struct("!HH")

_SIGNED_BY: Final = 20  # octets of HMAC-SHA1 (§14.5)
_WITH_INTEGRITY: Final = ATTRIBUTE.size + _SIGNED_BY
_WITH_FINGERPRINT: Final = ATTRIBUTE.size + 4
_FINGERPRINT_XOR: Final = 0x5354554E  # §14.7


def is_whole(datagram: bytes, *kinds: int) -> bool:
    """Whether a datagram is framed as one message of these kinds, and no more."""
    if len(datagram) < HEAD.size:
        return False
    kind, length, cookie, _ = HEAD.unpack_from(datagram)
    return kind in kinds and cookie == COOKIE and length == len(datagram) - HEAD.size and not length % 4


def attributes(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """What a whole message says, in its order.

    Returns:
        Where each attribute begins, its type and its value; of type ``CUT_SHORT`` what ends behind it.
    """
    at = HEAD.size
    while at < len(message):
        what, size = ATTRIBUTE.unpack_from(message, at)
        value = at + ATTRIBUTE.size
        if value + size > len(message):
            what = CUT_SHORT
        yield at, what, message[value : value + size]
        at = value + size + -size % 4


def signed(kind: int, transaction: bytes, said: bytes, password: str) -> bytes:
    """A whole message.

    Args:
        kind: one of the three.
        transaction: 12 octets.
        said: the attributes, each padded to four octets; integrity and fingerprint are added here.
        password: of short-term credentials (§9.1).
    """
    # Each of the two that close a message counts itself in the length it covers.
    length = len(said) + _WITH_INTEGRITY
    begun = HEAD.pack(kind, length, COOKIE, transaction) + said
    integrity = ATTRIBUTE.pack(INTEGRITY, _SIGNED_BY) + _signature(begun, password)
    length += _WITH_FINGERPRINT
    whole = HEAD.pack(kind, length, COOKIE, transaction) + said + integrity
    return whole + struct.pack("!HHI", FINGERPRINT, 4, zlib.crc32(whole) ^ _FINGERPRINT_XOR)


def covered(message: bytes, at: int) -> bytes:
    """What the signature of a message covers.

    Args:
        message: a whole one.
        at: where its MESSAGE-INTEGRITY begins. What follows that counts for nothing (§14.5).
    """
    length = (at - HEAD.size + _WITH_INTEGRITY).to_bytes(2, "big")
    return message[:2] + length + message[4:at]


def is_signed(octets: bytes, signature: bytes, password: str) -> bool:
    """Whether whoever knows this password signed these octets."""
    return hmac.compare_digest(signature, _signature(octets, password))


def _signature(octets: bytes, password: str) -> bytes:
    return hmac.digest(password.encode(), octets, "sha1")
