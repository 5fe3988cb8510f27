from __future__ import annotations

import asyncio
import socket

import pytest

from rooms.engine import DatagramEngine
from rooms.ice import Address


def client() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


async def test_datagrams_come_and_go() -> None:
    came: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
    engine = DatagramEngine("127.0.0.1", 0)
    await engine.start(lambda data, address: came.put_nowait((data, address)))
    with client() as sock:
        sock.sendto(b"there", ("127.0.0.1", engine.port))
        data, address = await asyncio.wait_for(came.get(), 5)
        assert (data, address) == (b"there", sock.getsockname())
        assert engine.send(b"back", address)
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 100), 5) == b"back"
    await engine.close()


async def test_a_datagram_too_large_or_after_closing_is_dropped_not_raised() -> None:
    engine = DatagramEngine("127.0.0.1", 0)
    assert not engine.send(b"early", ("127.0.0.1", 9))
    await engine.start(lambda data, address: None)
    engine.send(bytes(70_000), ("127.0.0.1", 9))
    await engine.close()
    await engine.close()
    assert not engine.send(b"late", ("127.0.0.1", 9))


async def test_a_taken_port_is_an_error_and_a_closed_one_is_free() -> None:
    engine = DatagramEngine("127.0.0.1", 0)
    await engine.start(lambda data, address: None)
    with pytest.raises(OSError, match="in use"):
        await DatagramEngine("127.0.0.1", engine.port).start(lambda data, address: None)
    await engine.close()
    again = DatagramEngine("127.0.0.1", engine.port)
    await again.start(lambda data, address: None)
    await again.close()
