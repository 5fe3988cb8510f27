"""The batch engine: media between seats without a Python object per packet.

    recvmmsg ──▶ unprotect ──▶ PublishedTrack.forward ──▶ per way: copy, renumber, protect ──▶ sendmmsg
                     └─ anything but media of a known seat ──▶ MediaPort.on_datagram

One system call takes in what has arrived and one sends what it caused; in between libsrtp, the one inside
pylibsrtp's wheel, works in place on the rings. Which packet goes where under which numbers is decided by the
same code that the plain engine asks; here are only the octets, and never those of a payload.

Everything runs in the event loop's thread (a libsrtp session belongs to one thread), without a wait between
deciding and sending: a gate that closes finds nothing of its seat left in the ring.
"""

from __future__ import annotations

import asyncio
import functools
import select
import socket
from typing import Any, NamedTuple

import pylibsrtp

from rooms import mmsg
from rooms.dtls import Sessions
from rooms.engine import DatagramEngine, Engine, Receiver, Source, bound_socket
from rooms.ice import MAX_DATAGRAM, Address
from rooms.mmsg import ENTRY, Name, Ring
from rooms.rtp import HEADER, HEADER_SIZE, renumber

#: Datagrams taken in by one system call, and sent by one.
RECEIVE, SEND = 64, 256
#: Full batches taken in before the rest of the process has its turn.
TURNS = 4
#: Datagrams per second from which on the engine looks once per ``PAUSE`` instead of at each arrival.
BUSY = 1_500
#: Seconds; a fifth of the pace at which sound comes, and less than the 5 ms in whose steps libwebrtc sends
#: pictures. Half of it is added to a packet's way on average.
PAUSE = 0.004
# Seconds over which the pace of arrival is measured.
_WINDOW = 0.1


class Direct(NamedTuple):
    """One seat as libsrtp and the kernel know it.

    Args:
        receive: libsrtp's handle of the session its packets are decrypted with.
        send: of the one they are encrypted with.
        name: where it is.
        sessions: own the handles, which are freed with them.
    """

    receive: Any
    send: Any
    name: Name
    sessions: Sessions


def srtp_binding() -> Any:
    """The cffi module of pylibsrtp, whose ``lib`` is libsrtp and whose ``ffi`` knows its types.

    Raises:
        ImportError: this pylibsrtp is built otherwise.
    """
    return __import__("pylibsrtp._binding", fromlist=["ffi", "lib"])


def handle_of(session: pylibsrtp.Session) -> Any:
    """A session as libsrtp knows it; valid as long as the session is."""
    return session._srtp[0]


class BatchEngine:
    """Many datagrams per system call, media encrypted and decrypted in place.

    Args:
        host: IPv4 or IPv6 address to bind.
        port: 0 for any.
    """

    kind = "batch"

    def __init__(self, host: str, port: int) -> None:
        self._bind = (host, port)
        self._port = 0
        self._system = mmsg.system_calls()
        self._srtp = srtp_binding()
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._in = Ring(RECEIVE, self._family)
        self._out = Ring(SEND, self._family)
        self._size = self._srtp.ffi.new("int *")
        self._sources: dict[Name, Source] = {}
        self._socket: socket.socket | None = None
        # Not a number that the system may give to somebody else once the socket is closed.
        self._fd = -1
        self._receiver: Receiver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._busy = False
        self._seen = 0
        self._counted_at = 0.0

    @property
    def port(self) -> int:
        """The bound port number; 0 before ``start``."""
        return self._port

    async def start(self, receiver: Receiver) -> None:
        """Bind and begin to deliver.

        Raises:
            OSError: the address cannot be bound.
        """
        sock = bound_socket(*self._bind)
        self._socket, self._fd = sock, sock.fileno()
        self._port = int(sock.getsockname()[1])
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._look)

    async def close(self) -> None:
        """Stop delivering and give the port back; may be called twice."""
        self._receiver = None
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._socket is not None and self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket, self._fd = None, -1

    def learn(self, address: Address, source: Source | None) -> None:
        """What comes from this address is that seat's from now on; ``None``: nobody's."""
        name = mmsg.name_of(address, self._family)
        if name is not None and source is not None:
            self._sources[name] = source
        elif name is not None:
            self._sources.pop(name, None)

    def direct(self, sessions: Sessions, address: Address) -> Direct | None:
        """What it takes to carry a seat's media by itself; ``None`` for an address of another kind."""
        name = mmsg.name_of(address, self._family)
        if name is None:
            return None
        return Direct(handle_of(sessions[0]), handle_of(sessions[1]), name, sessions)

    def send(self, datagram: bytes, address: Address) -> bool:
        """Send one datagram without waiting; false when it was dropped. Never raises."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto(datagram, address)
        except (OSError, ValueError, OverflowError, TypeError):
            # Full, unreachable, too long, or an address of another family.
            return False
        return True

    # ---------------------------------------------------------------------------------------- batches

    def _look(self) -> None:
        """Take in what has arrived: when something has, or every ``PAUSE`` seconds while much does.

        Waking up costs more than a packet, so that looking less often is most of what can be saved.
        """
        paused, self._pause = self._pause is not None, None
        count = RECEIVE
        try:
            for _ in range(TURNS):
                count = mmsg.receive(self._system, self._fd, self._in)
                self._seen += count
                if count:
                    self._carry(count)
                if count < RECEIVE:
                    break
        finally:
            self._look_again(paused, behind=count == RECEIVE)

    def _look_again(self, paused: bool, behind: bool) -> None:
        if self._socket is None or self._loop is None:
            return
        now = self._loop.time()
        passed = now - self._counted_at
        if passed >= _WINDOW:
            self._busy = self._seen > BUSY * passed
            self._seen, self._counted_at = 0, now
        if self._busy:
            if not paused:
                self._loop.remove_reader(self._socket)
            self._pause = self._loop.call_later(0.0 if behind else PAUSE, self._look)
        elif paused:
            self._loop.add_reader(self._socket, self._look)

    def _carry(self, count: int) -> None:
        """Carry what lies in the first entries of the receiving ring to where it goes."""
        receiver = self._receiver
        if receiver is None:
            return
        # Each name bound here saves a look-up per packet; together they are a tenth of the work. For the same
        # reason nothing is called that an attribute can tell.
        counters, now = receiver.counters, receiver.now()
        size, unprotect, protect = self._size, self._srtp.lib.srtp_unprotect, self._srtp.lib.srtp_protect
        read, write, move = HEADER.unpack_from, HEADER.pack_into, self._srtp.ffi.memmove
        sources, ipv4 = self._sources, self._family == socket.AF_INET
        lengths, octets, view, pointers = self._in.lengths, self._in.octets, self._in.view, self._in.pointers
        names, long_names = self._in.names, self._in.long_names
        to_octets, to_pointers, to_sizes = self._out.octets, self._out.pointers, self._out.sizes
        to_names, to_long_names = self._out.names, self._out.long_names
        accepted = filled = 0
        for i in range(count):
            try:
                start, length = i * ENTRY, lengths[16 * i + 14]
                if (
                    length < HEADER_SIZE
                    or length > MAX_DATAGRAM
                    or not 127 < view[start] < 192
                    or 191 < view[start + 1] < 224
                    or (source := sources.get(names[4 * i] if ipv4 else long_names[32 * i : 32 * i + 28]))
                    is None
                    or source.direct is None
                ):
                    self._pass_up(i, receiver)
                    if self._receiver is None:
                        break
                    continue
                first, second, sequence, timestamp, ssrc = read(octets, start)
                track = source.tracks_by_ssrc.get(ssrc)
                if track is None or track.ssrc != ssrc:
                    self._pass_up(i, receiver)
                    continue

                ration = track.ration
                if ration.left <= 0 and not ration.more(now):
                    counters["dropped_excess"] += 1
                    continue
                size[0] = length
                if unprotect(source.direct[0], pointers[i], size):
                    counters["dropped_unauthenticated"] += 1
                    continue
                plain = size[0]
                accepted += 1
                source.meter.octets_in += length
                ration.left -= length + ration.each
                if source.last_media != now:
                    source.heard_media(now)
                if track.is_screen:
                    receiver.screen_heard(source, track, now)
                ways = track.forward(second, sequence, timestamp, now)
                if ways and track.repairs:
                    track.keep(octets[start : start + plain])
                for slot, to_sequence, to_timestamp in ways:
                    subscriber = slot.owner
                    direct = subscriber.direct
                    if direct is None:
                        packet = octets[start : start + plain]
                        subscriber.send_rtp(renumber(packet, to_sequence, to_timestamp, slot.ssrc))
                        continue
                    to = to_pointers[filled]
                    move(to, pointers[i], plain)
                    write(to_octets, filled * ENTRY, first, second, to_sequence, to_timestamp, slot.ssrc)
                    size[0] = plain
                    if protect(direct[1], to, size):
                        counters["dropped_unsendable"] += 1
                        continue
                    to_sizes[2 * filled + 1] = sealed = size[0]
                    if ipv4:
                        to_names[4 * filled] = direct[2]
                    else:
                        to_long_names[32 * filled : 32 * filled + 28] = direct[2]
                    subscriber.meter.octets_out += sealed
                    filled += 1
                    if filled == SEND:
                        self._flush(filled)
                        filled = 0
            except Exception:
                # A defect of ours costs this packet, not the rest of the batch.
                counters["failed"] += 1
        counters["packets_in"] += accepted
        if filled:
            self._flush(filled)

    def _pass_up(self, i: int, receiver: Receiver) -> None:
        """Let the media port see to one datagram that is not media of a known seat."""
        ring = self._in
        name = ring.names[4 * i] if self._family == socket.AF_INET else ring.long_names[32 * i : 32 * i + 28]
        start = i * ENTRY
        receiver.on_datagram(ring.octets[start : start + ring.lengths[16 * i + 14]], mmsg.address_of(name))

    def _flush(self, count: int) -> None:
        if self._receiver is not None:
            sent = mmsg.send(self._system, self._fd, self._out, count)
            self._receiver.counters["packets_out"] += count
            self._receiver.counters["dropped_unsendable"] += count - sent


def fastest_engine(host: str, port: int) -> Engine:
    """The batch engine where it works, the plain one elsewhere."""
    return BatchEngine(host, port) if works() else DatagramEngine(host, port)


@functools.cache
def works() -> bool:
    """Whether this machine can batch: datagrams go through libsrtp, the rings and the kernel unharmed."""
    try:
        return _round_trip()
    except Exception:
        # Another system, another C library, another pylibsrtp: whatever is missing, the plain engine works.
        return False


def _round_trip() -> bool:
    system, binding = mmsg.system_calls(), srtp_binding()
    protect, unprotect = binding.lib.srtp_protect, binding.lib.srtp_unprotect
    size = binding.ffi.new("int *")
    sender, receiver = (
        pylibsrtp.Session(pylibsrtp.Policy(key=bytes(30), ssrc_type=direction))
        for direction in (pylibsrtp.Policy.SSRC_ANY_OUTBOUND, pylibsrtp.Policy.SSRC_ANY_INBOUND)
    )
    out, back = Ring(2, socket.AF_INET), Ring(2, socket.AF_INET)
    with bound_socket("127.0.0.1", 0) as ours, bound_socket("127.0.0.1", 0) as theirs:
        name = mmsg.name_of(theirs.getsockname(), socket.AF_INET)
        for i in range(2):
            HEADER.pack_into(out.octets, i * ENTRY, 0x80, 96, i, 0, 1)
            size[0] = 100
            if protect(handle_of(sender), out.pointers[i], size):
                return False
            if not isinstance(name, int):
                return False
            out.sizes[2 * i + 1], out.names[4 * i] = size[0], name
        if mmsg.send(system, ours.fileno(), out, 2) != 2:
            return False
        arrival = select.poll()
        arrival.register(theirs, select.POLLIN)
        arrived = 0
        while arrived < 2:
            arrival.poll(1_000)
            count = mmsg.receive(system, theirs.fileno(), back)
            for i in range(count):
                size[0] = back.lengths[16 * i + 14]
                came = mmsg.address_of(back.names[4 * i]) == ours.getsockname()
                if not came or unprotect(handle_of(receiver), back.pointers[i], size) or size[0] != 100:
                    return False
            if not count:
                return False
            arrived += count
    return True
