"""A TURN server that relays to ourselves and to nobody else (RFC 8656 over TCP or TLS).

    browser ──Allocate──▶ 401, nonce ──Allocate, signed──▶ allocation ──CreatePermission──▶ our own candidate
                                                               └──────ChannelBind, Send───▶ our own candidate

Networks that block UDP, or let only port 443 out, still let this through. There is no relay socket: nothing
listens on the relayed address, and what is sent to our own candidate is handed to the media port as if it had
come by UDP. Any other peer is refused (403), so nobody can use us to reach anything else.

Whoever allocates must show a short-lived credential that one of our offers carried: a name that holds its
expiry, and the HMAC of that name as its password. Nothing is kept about credentials. An Allocate without one
is told realm and nonce, once, in as few octets as clients understand; nothing else unsigned is answered.

Permissions and channels live as long as their allocation: the one peer they admit is this server. Left out
is what browsers do not use: even ports, reservations, address families, fragments, UDP and DTLS to us.

Pure: messages in, effects out; both clocks are arguments.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aioice import stun

from broker.private import Private

#: Both short, since a stranger is told them: the realm, and octets of a nonce. Who guesses one could repeat
#: what was recorded on another stream, which leads to this server alone.
REALM: Final = "q"
NONCE: Final = 8
#: Seconds that an allocation lives without refresh: what is asked for, within these.
DEFAULT_LIFETIME: Final = 600
MAX_LIFETIME: Final = 3_600
#: Messages that were refused or made no sense, after which a stream is ended.
MAX_STRIKES: Final = 32
#: Candidates of ours that one allocation may speak to.
MAX_PEERS: Final = 8

_UDP: Final = 17 << 24
_CHANNELS: Final = range(0x4000, 0x5000)

Candidate = tuple[str, int]
"""An IP address and a UDP port."""


@dataclass(frozen=True, slots=True)
class Say:
    """Write this to the stream."""

    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Take:
    """A datagram from the browser for a candidate of ours."""

    datagram: bytes = field(repr=False)
    peer: Candidate


@dataclass(frozen=True, slots=True)
class End:
    """Close the stream."""


Effect = Say | Take | End


@dataclass(frozen=True, slots=True)
class Credential:
    """What a page shows to a TURN server (the "REST" scheme that coturn and others share).

    Args:
        name: seconds since 1970 after which it is void, a colon, and an opaque id.
        password: what signs for the name.
    """

    name: str = field(repr=False)
    password: Private[str]


def mint(secret: Private[bytes], until: int, who: str) -> Credential:
    """Make a credential.

    Args:
        secret: shared with the TURN server.
        until: seconds since 1970.
        who: opaque; tells credentials apart and says nothing about anybody.
    """
    name = f"{until}:{who}"
    return Credential(name, _password(secret, name))


class Allocation:
    """The conversation on one stream, from its first message to its end.

    Args:
        secret: of our credentials.
        mapped: where the browser appears to be.
        relayed: the address it is told it was given; nothing listens there.
        nonce: random, for this stream alone: nothing recorded elsewhere can be sent here.
        transaction: 12 random octets, the transaction id of all our indications.
        ours: whether a peer is a candidate of ours.
        allows: whether this credential may have one more allocation.

    Attributes:
        user: the name of the credential that allocated; ``None`` before.
        deadline: monotonic seconds at which the allocation lapses; ``None`` before there is one.
        relayed: as given.
    """

    def __init__(
        self,
        secret: Private[bytes],
        *,
        mapped: Candidate,
        relayed: Candidate,
        nonce: bytes,
        transaction: bytes,
        ours: Callable[[Candidate], bool],
        allows: Callable[[str], bool],
    ) -> None:
        self.user: str | None = None
        self.deadline: float | None = None
        self._secret = secret
        self._mapped, self.relayed = mapped, relayed
        self._nonce, self._transaction = nonce, transaction
        self._ours, self._allows = ours, allows
        self._told = False
        self._strikes = 0
        self._channels: dict[int, Candidate] = {}
        self._channel_of: dict[Candidate, int] = {}
        # Permitted peers, each with the beginning of the indications that carry its datagrams.
        self._peers: dict[Candidate, bytes] = {}

    # ---- from our candidates -----------------------------------------------------------------------------

    def wrap(self, datagram: bytes, peer: Candidate) -> bytes | None:
        """A datagram of a candidate of ours, as the stream carries it; ``None`` when it may not be sent."""
        length = len(datagram)
        if (channel := self._channel_of.get(peer)) is not None:
            head = channel.to_bytes(2, "big") + length.to_bytes(2, "big")
            return head + datagram + bytes(-length % 4)
        if (attribute := self._peers.get(peer)) is None:
            return None
        body = attribute + b"\x00\x13" + length.to_bytes(2, "big") + datagram + bytes(-length % 4)
        kind = stun.Method.DATA | stun.Class.INDICATION
        head = kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + stun.COOKIE.to_bytes(4, "big")
        return head + self._transaction + body

    # ---- from the browser --------------------------------------------------------------------------------

    def receive(self, message: bytes, now: float, wall: float) -> list[Effect]:
        """Take in one frame of the stream.

        Args:
            message: as ``framing.measure_turn`` divides them; any bytes will do.
            now: monotonic seconds.
            wall: seconds since 1970.
        """
        if message and message[0] >> 6 == 1:
            peer = self._channels.get(int.from_bytes(message[:2], "big"))
            return self._strike() if peer is None else [Take(message[4:], peer)]
        try:
            parsed = stun.parse_message(message)
        except Exception:
            # aioice raises ValueError, and on short attributes struct.error and others besides.
            return self._strike()
        match parsed.message_class:
            case stun.Class.REQUEST:
                return self._on_request(parsed, now, wall)
            case stun.Class.INDICATION if parsed.message_method == stun.Method.SEND:
                return self._on_send(parsed)
            case stun.Class.INDICATION:
                return []  # a keep-alive
            case _:
                return self._strike()

    def _on_send(self, indication: stun.Message) -> list[Effect]:
        # RFC 8656 §11.2: without permission or data it is dropped in silence.
        peer, datagram = indication.attributes.get("XOR-PEER-ADDRESS"), indication.attributes.get("DATA")
        if peer not in self._peers or not datagram:
            return [] if self.user is not None else self._strike()
        return [Take(datagram, peer)]

    def _on_request(self, request: stun.Message, now: float, wall: float) -> list[Effect]:
        # RFC 8489 §9.2.4, in its order.
        known = request.attributes
        if "MESSAGE-INTEGRITY" not in known:
            # A client begins with an Allocate (RFC 8656 §7.1), and signs whatever follows.
            if (
                request.message_method != stun.Method.ALLOCATE
                or "REQUESTED-TRANSPORT" not in known
                or self._told
            ):
                return self._strike()
            self._told = True
            return self._challenge(request, 401)
        name, realm, nonce = known.get("USERNAME"), known.get("REALM"), known.get("NONCE")
        if name is None or realm is None or nonce is None:
            return self._refuse(request, 400, None)
        if not hmac.compare_digest(nonce, self._nonce):
            return self._challenge(request, 438)
        until = _expiry(name)
        key = _key(name, _password(self._secret, name))
        if realm != REALM or until is None or until <= wall or not request.check_message_integrity(key):
            return self._challenge(request, 401)
        if self.user not in (None, name):
            return self._refuse(request, 441, key)
        match request.message_method:
            case stun.Method.ALLOCATE:
                return self._on_allocate(request, key, name, now, until - wall)
            case _ if self.user is None:
                return self._refuse(request, 437, key)
            case stun.Method.REFRESH:
                return self._on_refresh(request, key, now, until - wall)
            case stun.Method.CREATE_PERMISSION:
                return self._on_permission(request, key)
            case stun.Method.CHANNEL_BIND:
                return self._on_channel(request, key)
            case _:
                return self._refuse(request, 400, key)

    def _on_allocate(
        self, request: stun.Message, key: bytes, name: str, now: float, left: float
    ) -> list[Effect]:
        if self.user is not None:
            return self._refuse(request, 437, key)
        if (transport := request.attributes.get("REQUESTED-TRANSPORT")) != _UDP:
            return self._refuse(request, 400 if transport is None else 442, key)
        if not self._allows(name):
            return self._refuse(request, 486, key)
        self.user = name
        return self._grant(
            request,
            key,
            {
                "XOR-RELAYED-ADDRESS": self.relayed,
                "XOR-MAPPED-ADDRESS": self._mapped,
                "LIFETIME": self._live_on(request, now, left),
            },
        )

    def _on_refresh(self, request: stun.Message, key: bytes, now: float, left: float) -> list[Effect]:
        if request.attributes.get("LIFETIME") == 0:
            return [*self._grant(request, key, {"LIFETIME": 0}), End()]
        return self._grant(request, key, {"LIFETIME": self._live_on(request, now, left)})

    def _live_on(self, request: stun.Message, now: float, left: float) -> int:
        """Put the deadline off: never beyond the credential's own end."""
        asked = request.attributes.get("LIFETIME", DEFAULT_LIFETIME)
        lifetime = min(max(asked, DEFAULT_LIFETIME), MAX_LIFETIME, max(1, int(left)))
        self.deadline = now + lifetime
        return int(lifetime)

    def _on_permission(self, request: stun.Message, key: bytes) -> list[Effect]:
        if (code := self._permit(request.attributes.get("XOR-PEER-ADDRESS"))) is not None:
            return self._refuse(request, code, key)
        return self._grant(request, key, {})

    def _on_channel(self, request: stun.Message, key: bytes) -> list[Effect]:
        peer: Candidate | None = request.attributes.get("XOR-PEER-ADDRESS")
        channel: int | None = request.attributes.get("CHANNEL-NUMBER")
        if peer is None or channel is None or channel not in _CHANNELS:
            return self._refuse(request, 400, key)
        # RFC 8656 §12.2: neither a channel nor a peer is bound to another than before.
        if self._channels.get(channel, peer) != peer or self._channel_of.get(peer, channel) != channel:
            return self._refuse(request, 400, key)
        if (code := self._permit(peer)) is not None:
            return self._refuse(request, code, key)
        self._channels[channel], self._channel_of[peer] = peer, channel
        return self._grant(request, key, {})

    def _permit(self, peer: Candidate | None) -> int | None:
        """Permit a peer. Returns the error code when it cannot be."""
        if peer is None:
            return 400
        if not self._ours(peer):
            return 403
        if peer not in self._peers:
            if len(self._peers) >= MAX_PEERS:
                return 508
            value = stun.pack_xor_address(peer, self._transaction)
            self._peers[peer] = b"\x00\x12" + len(value).to_bytes(2, "big") + value
        return None

    # ---- answers -----------------------------------------------------------------------------------------

    def _grant(self, request: stun.Message, key: bytes, attributes: dict[str, Any]) -> list[Effect]:
        response = stun.Message(
            request.message_method, stun.Class.RESPONSE, request.transaction_id, attributes
        )
        response.add_message_integrity(key)
        return [Say(bytes(response))]

    def _challenge(self, request: stun.Message, code: int) -> list[Effect]:
        return self._refuse(request, code, None, {"REALM": REALM, "NONCE": self._nonce})

    def _refuse(
        self, request: stun.Message, code: int, key: bytes | None, more: dict[str, Any] | None = None
    ) -> list[Effect]:
        response = stun.Message(request.message_method, stun.Class.ERROR, request.transaction_id)
        # The reason phrase is for people (RFC 8489 §14.8), and none is here.
        response.attributes = {"ERROR-CODE": (code, "")} | (more or {})
        if key is not None:
            response.add_message_integrity(key)
        return [Say(bytes(response)), *self._strike()]

    def _strike(self) -> list[Effect]:
        self._strikes += 1
        return [End()] if self._strikes >= MAX_STRIKES else []


def _password(secret: Private[bytes], name: str) -> Private[str]:
    # SHA-1 because coturn's `static-auth-secret` knows no other; as an HMAC it holds.
    digest = hmac.new(secret.reveal(), name.encode(), hashlib.sha1).digest()
    return Private(base64.b64encode(digest).decode())


def _expiry(name: str) -> int | None:
    digits, colon, _ = name.partition(":")
    return int(digits) if colon and digits.isascii() and digits.isdigit() and len(digits) <= 12 else None


def _key(name: str, password: Private[str]) -> bytes:
    # RFC 8489 §9.2.2 fixes MD5 here; it keys an HMAC and protects nothing by itself.
    return hashlib.md5(f"{name}:{REALM}:{password.reveal()}".encode(), usedforsecurity=False).digest()
