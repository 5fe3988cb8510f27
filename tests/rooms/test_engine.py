from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from rooms.engine import Engine, reachable
from rooms.forwarding import PublishedTrack
from rooms.ice import MAX_DATAGRAM, Address

MakeEngine = Callable[[str, int], Engine]


class Inbox:
    """A receiver that only keeps what comes; there are no seats."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.counters: dict[str, int] = {}

    def now(self) -> float:
        return 0.0

    def on_datagram(self, data: bytes, address: Address) -> None:
        self.came.put_nowait((data, address))

    def screen_heard(self, source: Any, track: PublishedTrack, now: float) -> None:
        raise AssertionError("nobody has announced anything")

    async def next(self) -> tuple[bytes, Address]:
        return await asyncio.wait_for(self.came.get(), 5)


def client(host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.setblocking(False)
    return sock


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_datagrams_come_and_go(make_engine: MakeEngine, host: str) -> None:
    engine, inbox = make_engine(host, 0), Inbox()
    await engine.start(inbox)
    with client(host) as sock:
        sock.sendto(b"there", (host, engine.port))
        data, address = await inbox.next()
        assert (data, address) == (b"there", sock.getsockname())
        assert engine.send(b"back", address)
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 100), 5) == b"back"
    await engine.close()


async def test_every_datagram_of_a_burst_comes_whole_and_in_order(make_engine: MakeEngine) -> None:
    engine, inbox = make_engine("127.0.0.1", 0), Inbox()
    await engine.start(inbox)
    burst = [bytes([n]) * (5 * n) for n in range(200)]
    with client() as sock:
        for datagram in burst:
            sock.sendto(datagram, ("127.0.0.1", engine.port))
        assert [(await inbox.next())[0] for _ in burst] == burst
    await engine.close()


async def test_a_datagram_that_is_too_long_can_be_told_from_one_that_is_not(make_engine: MakeEngine) -> None:
    engine, inbox = make_engine("127.0.0.1", 0), Inbox()
    await engine.start(inbox)
    with client() as sock:
        for size in (MAX_DATAGRAM, MAX_DATAGRAM + 1, 9_000, 0):
            sock.sendto(bytes(size), ("127.0.0.1", engine.port))
        sizes = [len((await inbox.next())[0]) for _ in range(4)]
    assert [size > MAX_DATAGRAM for size in sizes] == [False, True, True, False]
    assert (sizes[0], sizes[3]) == (MAX_DATAGRAM, 0)
    await engine.close()


async def test_a_datagram_too_large_or_after_closing_is_dropped_not_raised(make_engine: MakeEngine) -> None:
    engine = make_engine("127.0.0.1", 0)
    assert not engine.send(b"early", ("127.0.0.1", 9))
    await engine.start(Inbox())
    engine.send(bytes(70_000), ("127.0.0.1", 9))
    engine.send(b"another family", ("::1", 9, 0, 0))
    await engine.close()
    await engine.close()
    assert not engine.send(b"late", ("127.0.0.1", 9))


async def test_a_taken_port_is_an_error_and_a_closed_one_is_free(make_engine: MakeEngine) -> None:
    engine = make_engine("127.0.0.1", 0)
    await engine.start(Inbox())
    with pytest.raises(OSError, match="in use"):
        await make_engine("127.0.0.1", engine.port).start(Inbox())
    await engine.close()
    again = make_engine("127.0.0.1", engine.port)
    await again.start(Inbox())
    await again.close()


async def test_an_engine_that_is_closed_delivers_nothing(make_engine: MakeEngine) -> None:
    engine, inbox = make_engine("127.0.0.1", 0), Inbox()
    await engine.start(inbox)
    with client() as sock:
        sock.sendto(b"unread", ("127.0.0.1", engine.port))
        await engine.close()
    assert inbox.came.empty()


async def test_an_address_stays_what_it_is_and_a_name_becomes_one() -> None:
    assert await reachable("192.0.2.7") == "192.0.2.7"
    assert await reachable("2001:db8::7") == "2001:db8::7"
    assert await reachable("localhost") == "127.0.0.1"
    assert await reachable("0.0.0.0") not in ("0.0.0.0", "")
