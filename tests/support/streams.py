"""The other half of a bad network: pages and signaling, which are TCP, go through it as well.

A SOCKS5 proxy (RFC 1928) of one person's browser. It delays what the person's `Link` delays, and holds back
what meets a blackout until TCP would send it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from typing import Final

from tests.support.impairment import Channel, Link

_VERSION: Final = 5
_NO_PASSWORD: Final = bytes((_VERSION, 0))
_CONNECT: Final = 1
_HERE: Final = bytes((0, 1, 0, 0, 0, 0, 0, 0))
"""Reserved, IPv4, and an address that nobody reads."""


class Streams:
    """Every TCP connection of one person.

    Attributes:
        port: of the proxy, once started.
    """

    def __init__(self, link: Link) -> None:
        self.port = 0
        self._link = link
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, self._link.host)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """End it, with every connection."""
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        # A browser may go at any moment, and the server may be down: the connection ends, nothing more.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._connect(reader, writer)
        writer.close()
        self._open.discard(writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(_NO_PASSWORD)
        _, command, _, kind = await reader.readexactly(4)
        assert command == _CONNECT
        size = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        raw = await reader.readexactly(size)
        host = raw.decode() if kind == 3 else str(ipaddress.ip_address(raw))
        port = int.from_bytes(await reader.readexactly(2), "big")
        await _until(self._link.up.surely_due(time.monotonic()))
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            if not writer.is_closing():
                writer.write(bytes((_VERSION, 5)) + _HERE)  # refused
            return
        self._open.add(far_writer)
        await _until(self._link.down.surely_due(time.monotonic()))
        writer.write(bytes((_VERSION, 0)) + _HERE)
        try:
            await asyncio.gather(
                _carry(reader, far_writer, self._link.up), _carry(far_reader, writer, self._link.down)
            )
        finally:
            far_writer.close()
            self._open.discard(far_writer)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, channel: Channel) -> None:
    """Hand on what one side says, late and in order, and that it has ended."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

    async def read() -> None:
        data = b"begin"
        while data:
            data = await reader.read(1 << 16)
            await under_way.put((channel.surely_due(time.monotonic()), data))

    async def write() -> None:
        while True:
            due, data = await under_way.get()
            await _until(due)
            if writer.is_closing():
                return  # they have hung up meanwhile; uvloop raises where asyncio says nothing
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(read())
            both.create_task(write())
    except* OSError:
        writer.close()


async def _until(due: float) -> None:
    await asyncio.sleep(max(0.0, due - time.monotonic()))
