"""TCP through a bad network: late, held back in darkness, never lost and never out of order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.support.impairment import Conditions, Link
from tests.support.streams import Streams


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


@pytest.fixture
async def server() -> AsyncIterator[asyncio.Server]:
    server = await asyncio.start_server(_echo, "127.0.0.1")
    yield server
    server.close()


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    link = Link(("127.0.0.1", 9))
    yield link
    link.close()


@pytest.fixture
async def streams(link: Link) -> AsyncIterator[Streams]:
    streams = Streams(link)
    await streams.start()
    yield streams
    streams.close()


async def connect(streams: Streams, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
    """As a browser does; the last is SOCKS's answer, 0 when connected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", streams.port)
    writer.write(b"\x05\x01\x00" + b"\x05\x01\x00\x03\x09localhost" + port.to_bytes(2, "big"))
    assert await reader.readexactly(2) == b"\x05\x00"
    answer = await reader.readexactly(10)
    return reader, writer, answer[1]


async def test_a_stream_arrives_whole_and_late(server: asyncio.Server, link: Link, streams: Streams) -> None:
    reader, writer, answer = await connect(streams, server.sockets[0].getsockname()[1])
    assert answer == 0
    link.both(Conditions(delay_ms=25, loss=0.5))
    sent, began = bytes(range(256)) * 400, time.monotonic()
    writer.write(sent)
    writer.write_eof()
    assert await reader.read(1) == sent[:1]
    assert 0.05 <= time.monotonic() - began < 0.5
    assert await reader.read(-1) == sent[1:]
    writer.close()


async def test_a_blackout_holds_a_stream_back(server: asyncio.Server, link: Link, streams: Streams) -> None:
    reader, writer, _ = await connect(streams, server.sockets[0].getsockname()[1])
    until = link.blackout(0.5)
    writer.write(b"hello")
    assert await reader.read(5) == b"hello"
    assert until <= time.monotonic() < until + 1.0
    writer.close()


async def test_a_server_that_is_down_is_refused(server: asyncio.Server, streams: Streams) -> None:
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    _, writer, answer = await connect(streams, port)
    assert answer == 5
    writer.close()
