"""How datagrams enter and leave: the one thing that differs between portable and fast media ports.

``DatagramEngine`` runs anywhere asyncio or uvloop runs. A batching engine fits behind the same interface:
it calls ``on_datagram`` for many packets in a row and sends what they caused in one go.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol, cast

from rooms.ice import Address

#: Octets the kernel may hold in each direction; a key frame to three seats comes as a burst.
BUFFER = 4 << 20
#: Octets waiting in the process beyond which packets are dropped: late media is worthless.
MAX_BACKLOG = 1 << 20

OnDatagram = Callable[[bytes, Address], None]


class Engine(Protocol):
    """One UDP port."""

    @property
    def port(self) -> int:
        """The bound port number; 0 before ``start``."""

    async def start(self, on_datagram: OnDatagram) -> None:
        """Bind and begin to deliver.

        Raises:
            OSError: the address cannot be bound.
        """

    def send(self, datagram: bytes, address: Address) -> bool:
        """Send one datagram without waiting; false when it was dropped. Never raises."""

    async def close(self) -> None:
        """Stop delivering and give the port back; may be called twice."""


class DatagramEngine(asyncio.DatagramProtocol):
    """The plain engine: one datagram per system call.

    Args:
        host: IPv4 or IPv6 address to bind.
        port: 0 for any.
    """

    def __init__(self, host: str, port: int) -> None:
        self._bind = (host, port)
        self._port = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._on_datagram: OnDatagram | None = None
        self._lost: asyncio.Future[None] | None = None

    @property
    def port(self) -> int:
        """The bound port number; 0 before ``start``."""
        return self._port

    async def start(self, on_datagram: OnDatagram) -> None:
        """Bind and begin to deliver.

        Raises:
            OSError: the address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self._bind[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            sock.setblocking(False)
            sock.bind(self._bind)
            self._port = int(sock.getsockname()[1])
            self._on_datagram = on_datagram
            self._lost = loop.create_future()
            transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        except BaseException:
            sock.close()
            raise
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """Deliver one datagram."""
        if self._on_datagram is not None:
            self._on_datagram(data, cast(Address, addr))

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
        self._on_datagram = None
        if self._transport is not None and self._lost is not None:
            self._transport.close()
            self._transport = None
            await self._lost
