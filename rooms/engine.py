"""How datagrams enter and leave: the one thing that differs between portable and fast media ports.

``DatagramEngine`` runs anywhere asyncio or uvloop runs and hands every datagram to the media port. The
``BatchEngine`` of ``rooms.batch`` fits behind the same interface and carries media between seats by itself:
the port tells it which addresses are whose, and decides for each packet where it goes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any, Protocol, cast

from rooms.dtls import Sessions
from rooms.forwarding import PublishedTrack
from rooms.ice import Address
from rooms.quality import Meter

#: Octets the kernel may hold in each direction; a key frame to three seats comes as a burst.
BUFFER = 4 << 20
#: Octets waiting in the process beyond which packets are dropped: late media is worthless.
MAX_BACKLOG = 1 << 20


class Source(Protocol):
    """What an engine needs of a seat to take its media.

    Attributes:
        direct: what ``Engine.direct`` made; ``None`` while its packets must go to ``Receiver.on_datagram``.
        tracks_by_ssrc: what it has announced.
        meter: where the octets of its authentic packets are counted.
        last_media: loop seconds of the last one.
    """

    direct: Any
    tracks_by_ssrc: dict[int, PublishedTrack]
    meter: Meter
    last_media: float

    def heard_media(self, now: float) -> None:
        """An authentic packet has come; to be told once for all that are taken in at the same time."""


class Receiver(Protocol):
    """What an engine delivers to: the media port.

    Attributes:
        counters: see ``MediaPort``.
    """

    counters: dict[str, int]

    def now(self) -> float:
        """Monotonic seconds of the event loop."""

    def on_datagram(self, data: bytes, address: Address) -> None:
        """Take in one datagram of any kind; never raises."""

    def screen_heard(self, source: Any, track: PublishedTrack, now: float) -> None:
        """An authentic packet of a screen has come; ``track.forward`` is asked next."""


class Engine(Protocol):
    """One UDP port.

    Attributes:
        kind: ``plain`` or ``batch``, for the log.
    """

    kind: str

    @property
    def port(self) -> int:
        """The bound port number; 0 before ``start``."""

    async def start(self, receiver: Receiver) -> None:
        """Bind and begin to deliver.

        Raises:
            OSError: the address cannot be bound.
        """

    def learn(self, address: Address, source: Source | None) -> None:
        """What comes from this address is that seat's from now on; ``None``: nobody's."""

    def direct(self, sessions: Sessions, address: Address) -> Any:
        """What this engine needs to decrypt and encrypt a seat's packets itself.

        Returns:
            Its own business, to be kept as the seat's ``direct`` while sessions and address stay the same;
            ``None`` when it does not carry media by itself, or not to there.
        """

    def send(self, datagram: bytes, address: Address) -> bool:
        """Send one datagram without waiting; false when it was dropped. Never raises."""

    async def close(self) -> None:
        """Stop delivering and give the port back; may be called twice."""


def bound_socket(host: str, port: int) -> socket.socket:
    """A UDP socket with large buffers that never waits.

    Raises:
        OSError: the address cannot be bound.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        sock.setblocking(False)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


class DatagramEngine(asyncio.DatagramProtocol):
    """The plain engine: one datagram per system call.

    Args:
        host: IPv4 or IPv6 address to bind.
        port: 0 for any.
    """

    kind = "plain"

    def __init__(self, host: str, port: int) -> None:
        self._bind = (host, port)
        self._port = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._receiver: Receiver | None = None
        self._lost: asyncio.Future[None] | None = None

    @property
    def port(self) -> int:
        """The bound port number; 0 before ``start``."""
        return self._port

    async def start(self, receiver: Receiver) -> None:
        """Bind and begin to deliver.

        Raises:
            OSError: the address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        sock = bound_socket(*self._bind)
        try:
            self._port = int(sock.getsockname()[1])
            self._receiver = receiver
            self._lost = loop.create_future()
            transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        except BaseException:
            sock.close()
            raise
        self._transport = transport

    def learn(self, address: Address, source: Source | None) -> None:
        """Nothing to learn: the media port looks addresses up itself."""

    def direct(self, sessions: Sessions, address: Address) -> None:
        """No short cuts here."""

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """Deliver one datagram."""
        if self._receiver is not None:
            self._receiver.on_datagram(data, cast(Address, addr))

    def error_received(self, exc: Exception) -> None:
        """An ICMP answer to something sent earlier; that seat's silence will tell."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed: let ``close`` return."""
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    def send(self, datagram: bytes, address: Address) -> bool:
        """Send one datagram without waiting; false when it was dropped. Never raises."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        try:
            # typeshed leaves this method out of datagram transports; asyncio and uvloop both have it.
            if cast(asyncio.WriteTransport, transport).get_write_buffer_size() > MAX_BACKLOG:
                return False
            transport.sendto(datagram, address)
        except (OSError, ValueError):
            return False
        return True

    async def close(self) -> None:
        """Stop delivering and give the port back; may be called twice."""
        self._receiver = None
        if self._transport is not None and self._lost is not None:
            self._transport.close()
            self._transport = None
            await self._lost


async def reachable(host: str) -> str:
    """The IP address to write into candidates: browsers resolve no names there.

    Raises:
        OSError: the name has no address.
    """
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        return str(found[0][4][0])
    if not address.is_unspecified:
        return str(address)
    # Bound to every interface: take the one that leads outwards. Connecting UDP sends nothing.
    probe = ("2001:db8::1", 9) if address.version == 6 else ("192.0.2.1", 9)
    with socket.socket(
        socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_DGRAM
    ) as sock:
        try:
            sock.connect(probe)
            return str(sock.getsockname()[0])
        except OSError:
            return "::1" if address.version == 6 else "127.0.0.1"
