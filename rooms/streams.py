"""Media over TCP: ICE-TCP and TURN streams as addresses of the media port.

    stream ──▶ frames ──▶ datagrams ──the first check names it──▶ media port ──▶ seat
                  └─▶ allocation (TURN) ──▶ our own candidate ─────▲

For networks that block UDP. A stranger's stream costs little and not for long: there are only so many of one
household, and in all, and each must soon show that it belongs to a seat (a verified binding request) or holds
one of our TURN credentials. Nobody's stream, not even a seat's, is read faster than media needs. TCP loses no
packet, it delays all that follow: when a stream cannot keep up, video is dropped before it is queued, sound
only much later, and the queue stays short.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, cast

from broker.private import Private
from rooms.bucket import Bucket
from rooms.checks import addressee
from rooms.crowd import Crowd
from rooms.forwarding import H264, H264_RTX, VP8, VP8_RTX
from rooms.framing import Deframer, ice_tcp_frame, measure_ice_tcp, measure_turn
from rooms.ice import Address, Path, named_port
from rooms.turn import NONCE, Allocation, Candidate, Credential, End, Say, Take, mint

#: Seconds within which a stream must have shown whose it is.
PROVE_WITHIN: Final = 10.0
#: Seconds of silence after which a stream of a seat is closed; browsers check theirs every 2.5 s.
IDLE: Final = 30.0
#: Streams that have shown nothing yet, together and of one household. One more, and the oldest goes.
MAX_STRANGERS: Final = 512
MAX_STRANGERS_OF_ONE: Final = 32
#: Streams, together and of one household. One more is refused: those that are a seat's are not disturbed.
MAX_STREAMS: Final = 4_096
MAX_STREAMS_OF_HOUSEHOLD: Final = 512
#: Datagrams that a stranger may send.
MAX_STRANGE_DATAGRAMS: Final = 64
#: Frames of one stream that are dealt with in one turn of the event loop; all others wait for the next.
FRAMES_AT_ONCE: Final = 64
#: Octets a second that are read of one stream, on average; camera and screen together are below a tenth.
OCTETS_PER_SECOND: Final = 4_000_000
#: Frames that carry no media of anybody, a second and at once: checks before an answer, TURN's own requests,
#: what a browser sends while it is being switched. A stream that brings more is closed.
FRUITLESS_PER_SECOND: Final = 100.0
FRUITLESS_AT_ONCE: Final = 1_000
#: ICE-TCP frames too short to be anything that a stream may bring; RTP's head is the shortest there is.
MAX_SHORT: Final = 8
SHORTEST: Final = 12
#: Seconds for which an allocation may carry nothing of a seat's; browsers check each way every 25 s at least.
CARRY_WITHIN: Final = 30.0
#: TURN streams of one seat: one per network of the device, and what a restart leaves behind.
MAX_STREAMS_OF_ONE: Final = 16
#: Octets queued in this process above which video is dropped, and above which everything is.
VIDEO_BACKLOG: Final = 96 * 1024
BACKLOG: Final = 256 * 1024
#: Octets that the kernel holds unsent before it lets us see that a stream is slow.
UNSENT: Final = 32 * 1024

_SWEEP: Final = 1.0
_VIDEO: Final = frozenset({VP8, VP8_RTX, H264, H264_RTX})


class Destination(Protocol):
    """What stands behind a candidate: our media port, or something that reaches another process's."""

    def attach(self, path: Path, send: Callable[[bytes], bool], mapped: Address) -> Address:
        """See ``MediaPort``."""

    def detach(self, address: Address) -> None:
        """See ``MediaPort``."""

    def receive(self, datagram: bytes, address: Address) -> bool:
        """See ``MediaPort``."""

    def knows(self, address: Address) -> bool:
        """See ``MediaPort``."""


class OwnPort(Destination, Protocol):
    """The media port of this process."""

    host: str
    port: int
    counters: dict[str, int]


class Streams:
    """Every stream of this process that carries media.

    Args:
        media: where ICE-TCP ends; its candidate is also what TURN may reach.
        elsewhere: finds what stands behind another candidate of ours, that of another process on this node;
            ``None`` for everything that is not ours.
        secret: of the TURN credentials; processes that share a listening socket share it.
    """

    def __init__(
        self,
        media: OwnPort,
        elsewhere: Callable[[Candidate], Destination | None] = lambda peer: None,
        secret: Private[bytes] | None = None,
    ) -> None:
        self.media = media
        self._elsewhere = elsewhere
        self._secret = secret or Private(secrets.token_bytes(32))
        self._open: Crowd[_Stream] = Crowd()
        self._strangers: Crowd[_Stream] = Crowd()
        self._users: Counter[str] = Counter()
        self._relayed = 0
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def credential(self, until: int, whose: str) -> Credential:
        """A TURN credential, to be put into an offer.

        Args:
            until: seconds since 1970 after which it is void.
            whose: names a seat of a session; what the credential says of it is the same each time, so that
                its streams can be counted, and tells nobody which it is.
        """
        who = hmac.digest(self._secret.reveal(), b"seat " + whose.encode(), hashlib.sha256)
        return mint(self._secret, until, who[:8].hex())

    def ice_tcp(self) -> asyncio.Protocol:
        """The protocol of a new ICE-TCP stream."""
        return _IceTcp(self)

    def turn(self) -> asyncio.Protocol:
        """The protocol of a new TURN stream."""
        return _Turn(self)

    async def close(self) -> None:
        """Close every stream; may be called twice."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for stream in self._open:
            stream.close()

    # ---- what streams need -------------------------------------------------------------------------------

    def find(self, peer: Candidate) -> Destination | None:
        """What stands behind a candidate; ``None`` when it is not ours."""
        return self.media if peer == (self.media.host, self.media.port) else self._elsewhere(peer)

    def named(self, datagram: bytes) -> Destination:
        """What a connectivity check is for, by the fragment it carries; our own media port if in doubt."""
        ufrag = addressee(datagram)
        port = None if ufrag is None else named_port(ufrag)
        return (None if port is None else self.find((self.media.host, port))) or self.media

    def enter(self, stream: _Stream) -> bool:
        """A stream has come. Returns whether there is room for it; a stranger may have to go."""
        host = stream.host
        idle = self._strangers.displaced(host, MAX_STRANGERS_OF_ONE, MAX_STRANGERS)
        if idle is None and self._open.displaced(host, MAX_STREAMS_OF_HOUSEHOLD, MAX_STREAMS) is not None:
            of_home = self._open.count(host) >= MAX_STREAMS_OF_HOUSEHOLD
            idle = self._strangers.oldest(host if of_home else None)
            if idle is None:
                return False
        if idle is not None:
            self.leave(idle)
            idle.close()
        self._open.enter(stream, host)
        self._strangers.enter(stream, host)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP, self._on_sweep)
        return True

    def proven(self, stream: _Stream) -> None:
        """A stream has shown whose it is; may be called twice."""
        self._strangers.leave(stream)

    def leave(self, stream: _Stream) -> None:
        """A stream has closed; may be called twice."""
        self.proven(stream)
        self._open.leave(stream)

    def allows(self, user: str) -> bool:
        """Whether the seat that this credential is of may have one more allocation; counts it."""
        whose = user.partition(":")[2]
        if self._users[whose] >= MAX_STREAMS_OF_ONE:
            return False
        self._users[whose] += 1
        return True

    def released(self, user: str) -> None:
        """An allocation is gone."""
        whose = user.partition(":")[2]
        self._users[whose] -= 1
        if not self._users[whose]:
            del self._users[whose]

    def allocation(self, mapped: Candidate) -> Allocation:
        """The TURN conversation of one new stream."""
        self._relayed += 1
        return Allocation(
            self._secret,
            mapped=mapped,
            relayed=(self.media.host, 49_152 + self._relayed % 16_384),
            nonce=secrets.token_urlsafe(NONCE * 3 // 4).encode(),
            transaction=secrets.token_bytes(12),
            ours=lambda peer: self.find(peer) is not None,
            allows=self.allows,
        )

    def _on_sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(_SWEEP, self._on_sweep) if self._open else None
        for stream in self._open:
            stream.look(loop.time())


class _Stream(asyncio.Protocol):
    """One stream: frames in and out, and when it ends."""

    def __init__(self, streams: Streams, frames: Deframer) -> None:
        self.streams = streams
        self.host = ""
        self._far: Candidate = ("", 0)
        self._frames = frames
        self._transport: asyncio.Transport | None = None
        self._came = self._heard = self._paid = 0.0
        self._datagrams = 0
        self._fruitless = Bucket(FRUITLESS_PER_SECOND, FRUITLESS_AT_ONCE)
        self._later: asyncio.Handle | None = None

    # ---- asyncio's side ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find room for the stream, or close it at once."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if not peer:  # it is gone already
            self._transport.abort()
            return
        self.host = str(peer[0]).partition("%")[0]
        self._far = (self.host, int(peer[1]))
        self._came = self._heard = asyncio.get_running_loop().time()
        if not self.streams.enter(self):
            self._transport.abort()
            return
        tune(transport.get_extra_info("socket"))
        self.begun()

    def data_received(self, data: bytes) -> None:
        """Divide what arrived, and deal with each frame."""
        if self.closed():
            return
        self._heard = asyncio.get_running_loop().time()
        self._paid = max(self._heard, self._paid) + len(data) / OCTETS_PER_SECOND
        if self._later is None:
            self._go_on(data)
        else:  # a transport may hand on what it had read before it was told to pause
            self._frames.feed(data, 0)

    def _go_on(self, data: bytes = b"") -> None:
        """Deal with as many frames as are one stream's due now; read on when all are done and paid for."""
        waited, self._later = self._later is not None, None
        if self.closed():
            return
        try:
            for frame in self._frames.feed(data, FRAMES_AT_ONCE):
                if not self.frame_received(frame) and not self._fruitless.take(self._heard):
                    self.close()
                if self.closed():
                    return
        except Exception:
            # A defect of ours must not become a traceback full of addresses. Tests hold this counter at zero.
            self.streams.media.counters["failed"] += 1
            self.close()
        if self._frames.broken:
            self.close()
        if (transport := self._transport) is None or transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        if self._frames.more:
            self._later = loop.call_soon(self._go_on)
        elif (early := self._paid - loop.time()) > 1:
            self._later = loop.call_later(early - 1, self._go_on)
        if self._later is not None and not waited:
            transport.pause_reading()
        elif self._later is None and waited:
            transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is gone."""
        if self._later is not None:
            self._later.cancel()
        self._transport = None
        self.streams.leave(self)
        self.ended()

    # ---- what the two kinds share ------------------------------------------------------------------------

    def closed(self) -> bool:
        """Whether the stream takes and sends nothing any more."""
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """Close at once; what was queued is late anyway. May be called twice."""
        if self._transport is not None:
            self._transport.abort()

    def write(self, frame: bytes, limit: int = BACKLOG) -> bool:
        """Queue one frame; false when the queue is too long for it or the stream is closing. Never raises."""
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > limit:
            return False
        transport.write(frame)
        return True

    def strange(self) -> bool:
        """Count one more datagram of a stranger. Returns whether it was one too many: then it is closed."""
        self._datagrams += 1
        if self._datagrams > MAX_STRANGE_DATAGRAMS:
            self.close()
            return True
        return False

    # ---- what each kind says for itself ------------------------------------------------------------------

    def begun(self) -> None:
        """The stream was let in."""

    def frame_received(self, frame: bytes) -> bool:
        """One frame has arrived. Returns whether it carried anything for a seat."""
        raise NotImplementedError

    def look(self, now: float) -> None:
        """Once a second: close what has no business here any more."""
        raise NotImplementedError

    def ended(self) -> None:
        """The stream is gone; called also when it was never let in."""


class _IceTcp(_Stream):
    """A passive candidate pair of RFC 6544: datagrams of one browser, one after the other."""

    def __init__(self, streams: Streams) -> None:
        super().__init__(streams, Deframer(measure_ice_tcp))
        self._to: tuple[Destination, Address] | None = None
        self._answered = False
        self._answered_at = float("-inf")
        self._short = 0

    def frame_received(self, frame: bytes) -> bool:
        """Hand one datagram to where the first belongs, unless a stranger has sent enough."""
        if not self._known(self._heard) and self.strange():
            return False
        if len(frame) < SHORTEST:
            self._short += 1
            if self._short > MAX_SHORT:
                self.close()
            return False
        if self._to is None:
            destination = self.streams.named(frame)
            self._to = (destination, destination.attach("tcp", self._send, self._far))
        destination, address = self._to
        return destination.receive(frame, address)

    def look(self, now: float) -> None:
        """Close a stream that is nobody's, or no more, and one that fell silent."""
        if self._answered:
            self._answered, self._answered_at = False, now
        if self._known(now):
            self._came, self._datagrams = now, 0
            self.streams.proven(self)
        if now - self._came > PROVE_WITHIN or now - self._heard > IDLE:
            self.close()

    def ended(self) -> None:
        """Give the address back."""
        if self._to is not None:
            destination, address = self._to
            destination.detach(address)
            self._to = None

    def _known(self, now: float) -> bool:
        """Whether the stream is a seat's. Another worker tells by speaking, which it does to such alone."""
        if self._to is None:
            return False
        destination, address = self._to
        if destination is self.streams.media:
            return destination.knows(address)
        return self._answered or now - self._answered_at <= PROVE_WITHIN

    def _send(self, datagram: bytes) -> bool:
        self._answered = True
        return self.write(ice_tcp_frame(datagram), _limit(datagram))


class _Turn(_Stream):
    """A TURN client: whatever it sends to a candidate of ours arrives there."""

    def __init__(self, streams: Streams) -> None:
        super().__init__(streams, Deframer(measure_turn))
        self._allocation: Allocation | None = None
        self._attached: dict[Candidate, tuple[Destination, Address]] = {}
        self._used = 0.0
        self._answered = False

    def begun(self) -> None:
        """Begin the conversation."""
        self._allocation = self.streams.allocation(self._far)

    def frame_received(self, frame: bytes) -> bool:
        """Let the allocation decide, and do what it says."""
        allocation = self._allocation
        if allocation is None or (allocation.user is None and self.strange()):
            return False
        carried = False
        for effect in allocation.receive(frame, self._heard, time.time()):
            match effect:
                case Take(datagram, peer):
                    carried = self._deliver(datagram, peer)
                case Say(message):
                    if not self.write(message):
                        self.close()  # asks and asks, and reads no answer
                case End():
                    # What was said last still goes out; if it is not read, the sweep ends it.
                    if self._transport is not None:
                        self._transport.close()
        if allocation.user is not None:
            self.streams.proven(self)
        return carried

    def look(self, now: float) -> None:
        """Close a stream without allocation, one whose allocation has lapsed, and one that nobody uses."""
        media = self.streams.media
        known = any(to is media and media.knows(address) for to, address in self._attached.values())
        if known or self._answered or self._allocation is None or self._allocation.user is None:
            # What is behind the stream speaks only to an address that a seat has proved to be its own.
            self._used, self._answered = now, False
        deadline = self._allocation.deadline if self._allocation is not None else None
        lapsed = now > (self._came + PROVE_WITHIN if deadline is None else deadline)
        if self.closed() or lapsed or now - self._used > CARRY_WITHIN:
            self.close()

    def ended(self) -> None:
        """Give everything back."""
        for destination, address in self._attached.values():
            destination.detach(address)
        self._attached.clear()
        if self._allocation is not None and self._allocation.user is not None:
            self.streams.released(self._allocation.user)
        self._allocation = None

    def _deliver(self, datagram: bytes, peer: Candidate) -> bool:
        if peer not in self._attached:
            allocation, destination = self._allocation, self.streams.find(peer)
            # A stream is one page's, and its offer names one candidate: so it costs one socket at most.
            if destination is None or allocation is None or self._attached:
                return False
            address = destination.attach("turn", partial(self._send, peer), allocation.relayed)
            self._attached[peer] = (destination, address)
        destination, address = self._attached[peer]
        return destination.receive(datagram, address)

    def _send(self, peer: Candidate, datagram: bytes) -> bool:
        self._answered = True
        frame = None if self._allocation is None else self._allocation.wrap(datagram, peer)
        return frame is not None and self.write(frame, _limit(datagram))


def _limit(datagram: bytes) -> int:
    """How long the queue may be for this datagram: short for video."""
    is_media = len(datagram) > 1 and 127 < datagram[0] < 192
    return VIDEO_BACKLOG if is_media and datagram[1] & 0x7F in _VIDEO else BACKLOG


def tune(sock: socket.socket | None) -> None:
    """Let little of a stream wait where nobody sees it, so that a slow one is noticed at once."""
    if sock is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
