"""Connectivity checks of browsers as octets: whose they are, what they say, and the answer (RFC 8445 §7.3).

    datagram ──▶ addressee ──a seat of ours──▶ read_request ──is_by──▶ respond, or conflict

Anybody can send these, so what is nobody's is found out before anything else is read. Nothing counts but what
stands before the signature.

Pure: octets in, octets out.
"""

from __future__ import annotations

import functools
import ipaddress
import struct
from dataclasses import dataclass, field
from typing import Final

from rooms.stun import (
    ATTRIBUTE,
    CONTROLLED,
    COOKIE,
    CUT_SHORT,
    ERROR,
    ERROR_CODE,
    HEAD,
    INTEGRITY,
    PRIORITY,
    REQUEST,
    SUCCESS,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    attributes,
    covered,
    is_signed,
    is_whole,
    signed,
)

#: A binding request of a browser is below 200 octets; RFC 8489 §6.1 asks to stay below the path MTU.
MAX_REQUEST: Final = 1_280

_NUMBER: Final = struct.Struct("!I")
_CONFLICT: Final = b"Role Conflict"
_FAMILY: Final = {4: 1, 6: 2}  # RFC 8489 §14.1


@dataclass(slots=True)
class BindingRequest:
    """A connectivity check, parsed but not yet trusted. Never changed; frozen, it would take twice as long.

    Args:
        ufrag: ours, names the seat.
        remote_ufrag: the browser's.
        nominates: carries USE-CANDIDATE.
        priority: of its way, as the browser has it; 0 when it does not say.
        controlled: the browser believes that we control; a lite agent never does.
        transaction: 12 octets.
        signed: the octets that its signature covers.
        signature: HMAC-SHA1; empty when it has none.
    """

    ufrag: str = field(repr=False)
    remote_ufrag: str = field(repr=False)
    nominates: bool
    priority: int
    controlled: bool
    transaction: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def is_by(self, password: str) -> bool:
        """Whether whoever asks knows this password."""
        return is_signed(self.signed, self.signature, password)


def addressee(datagram: bytes) -> str | None:
    """Our fragment in a binding request, found without reading the rest.

    Args:
        datagram: whatever arrived with a first byte below 4.

    Returns:
        ``None`` when nothing is named, or it cannot be a binding request.
    """
    if not is_whole(datagram, REQUEST) or len(datagram) > MAX_REQUEST:
        return None
    for _, what, value in attributes(datagram):
        if what == USERNAME:
            return value.partition(b":")[0].decode("ascii", "replace") or None
    return None


def read_request(datagram: bytes) -> BindingRequest | None:
    """Parse a STUN binding request.

    Args:
        datagram: whatever arrived with a first byte below 4.

    Returns:
        The request, or ``None`` for anything else.
    """
    ufrag = addressee(datagram)
    if ufrag is None:
        return None
    username = octets = signature = b""
    nominates = controlled = False
    priority = 0
    for at, what, value in attributes(datagram):
        if what == USERNAME:
            username = username or value  # RFC 8489 §14: of two the first counts
        elif what == PRIORITY:
            if len(value) != _NUMBER.size:
                return None
            (priority,) = _NUMBER.unpack(value)
        elif what == USE_CANDIDATE:
            nominates = True
        elif what == CONTROLLED:
            controlled = True
        elif what == INTEGRITY:
            octets, signature = covered(datagram, at), value
            break
        elif what == CUT_SHORT:
            return None
    try:
        remote = username.partition(b":")[2].decode()
    except UnicodeDecodeError:
        return None
    if not remote:
        return None
    return BindingRequest(
        ufrag, remote, nominates, priority, controlled, datagram[8 : HEAD.size], octets, signature
    )


def respond(transaction: bytes, host: str, port: int, password: str) -> bytes:
    """The success response.

    Args:
        transaction: of the request.
        host: where the request came from, as the browser's side of the network knows it; an IP address.
        port: of the same.
        password: ours.

    Raises:
        ValueError: the host is no IP address.
    """
    family, packed = _packed(host)
    # RFC 8489 §14.2: as many octets of cookie and transaction as the address has.
    pad = (COOKIE.to_bytes(4, "big") + transaction)[: len(packed)]
    hidden = int.from_bytes(packed, "big") ^ int.from_bytes(pad, "big")
    attribute = struct.pack(
        "!HHBBH", XOR_MAPPED_ADDRESS, 4 + len(packed), 0, family, port ^ COOKIE >> 16
    ) + hidden.to_bytes(len(packed), "big")
    return signed(SUCCESS, transaction, attribute, password)


def conflict(transaction: bytes, password: str) -> bytes:
    """The error response to a browser that believes itself controlled (RFC 8445 §7.3.1.1)."""
    value = struct.pack("!HBB", 0, 4, 87) + _CONFLICT
    attribute = ATTRIBUTE.pack(ERROR_CODE, len(value)) + value + bytes(-len(value) % 4)
    return signed(ERROR, transaction, attribute, password)


@functools.lru_cache(1024)
def _packed(host: str) -> tuple[int, bytes]:
    """An IP address, its scope left out: family and octets."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return _FAMILY[address.version], address.packed
