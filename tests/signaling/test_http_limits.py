"""HTTP connections: how long one may take to ask, and who goes when there are too many."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from signaling import http_limits as module
from signaling.http_limits import Limited, Limits, lasting
from tests.support.waiting import eventually

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
WEBSOCKET = (
    b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def _answer(request: web.BaseRequest) -> web.StreamResponse:
    match request.path:
        case "/socket":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for _ in socket:
                pass
            return socket
        case "/events":
            assert isinstance(request, web.Request)
            with lasting(request):
                stream = web.StreamResponse()
                await stream.prepare(request)
                await asyncio.Event().wait()
            return stream
        case "/stuck":
            await asyncio.Event().wait()
    return web.Response(text=(await request.read()).decode() or "hello")


class _Server(web.Server):
    def __init__(self, limits: Limits) -> None:
        super().__init__(_answer, request_factory=self._made)
        self.limits = limits

    def _made(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.Request:
        return web.Request(message, payload, protocol, writer, task, self._loop, client_max_size=1000)

    def __call__(self) -> web.RequestHandler:
        return Limited(self, self.limits, loop=self._loop)


@dataclass
class Door:
    """A server with limits, and those who are connected to it."""

    limits: Limits
    port: int
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, said: bytes = b"") -> asyncio.StreamReader:
        before = len(self.limits)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(said)
        if said:
            await asyncio.sleep(0)
        else:
            await eventually(lambda: len(self.limits) != before or reader.at_eof())
        return reader

    async def answered(self, said: bytes = ASK) -> asyncio.StreamReader:
        reader = await self.connect(said)
        assert (await _read(reader)).startswith(b"HTTP/1.1 ")
        return reader


async def _read(reader: asyncio.StreamReader, within: float = 5.0) -> bytes:
    """What comes; ``b""`` when the connection is closed."""
    try:
        async with asyncio.timeout(within):
            return await reader.read(1000)
    except ConnectionError:
        return b""


@asynccontextmanager
async def door(*, proxied: bool = False) -> AsyncIterator[Door]:
    limits = Limits(proxied=proxied)
    server = _Server(limits)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    open_door = Door(limits, listening.sockets[0].getsockname()[1])
    try:
        yield open_door
    finally:
        listening.close()
        await server.shutdown(0.01)
        for writer in open_door.writers:
            writer.close()
        await eventually(lambda: len(limits) == 0)


# ---- how long --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_who_does_not_finish_asking_is_closed(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_WITHIN", 0.3)
    async with door() as here:
        assert await _read(await here.connect(said)) == b""


async def test_dribbling_does_not_put_the_end_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_WITHIN", 0.3)
    async with door() as here:
        first = await here.answered()  # so that the second head counts from its own first octet
        began = asyncio.get_running_loop().time()

        async def dribble() -> None:
            here.writers[0].write(b"GET / HTTP/1.1\r\nX-Slow: ")
            while not first.at_eof() and first.exception() is None:  # closed or reset
                here.writers[0].write(b"a")
                await asyncio.sleep(0.02)

        task = asyncio.create_task(dribble())
        assert await _read(first) == b""
        assert asyncio.get_running_loop().time() - began >= 0.29
        await asyncio.gather(task, return_exceptions=True)


async def test_a_slow_body_and_a_slow_answer_are_not_taken_for_a_slow_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEAD_WITHIN", 0.2)
    async with door() as here:
        slow = await here.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
        socket, events = await here.answered(WEBSOCKET), await here.answered(ASK.replace(b"/", b"/events", 1))
        silent = await here.connect()
        assert await _read(silent) == b""
        here.writers[0].write(b"dy")
        assert (await _read(slow)).endswith(b"body")
        assert not socket.at_eof()
        assert not events.at_eof()


@pytest.mark.parametrize("proxied", [False, True])
async def test_a_connection_is_kept_only_so_long_unless_a_proxy_keeps_it(
    monkeypatch: pytest.MonkeyPatch, *, proxied: bool
) -> None:
    monkeypatch.setattr(module, "KEPT", 0.3)
    monkeypatch.setattr(module, "HEAD_WITHIN", 0.1)
    async with door(proxied=proxied) as here:
        kept = await here.answered()
        if proxied:
            with pytest.raises(TimeoutError):
                await _read(kept, 0.8)
        else:
            assert await _read(kept) == b""


# ---- how many --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["MAX_CONNECTIONS", "MAX_CONNECTIONS_OF_ONE"])
async def test_the_oldest_idle_goes_then_the_oldest_busy_and_never_what_lasts(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(module, limit, 4)
    async with door() as here:
        socket = await here.answered(WEBSOCKET)
        events = await here.answered(ASK.replace(b"/", b"/events", 1))
        stuck = await here.connect(ASK.replace(b"/", b"/stuck", 1))
        await eventually(lambda: len(here.limits) == 3)
        idle = await here.answered()
        newcomer = await here.answered(WEBSOCKET)
        assert await _read(idle) == b""
        last = await here.answered(WEBSOCKET)
        assert await _read(stuck) == b""
        assert await _read(await here.connect(ASK)) == b""
        assert not any(each.at_eof() for each in (socket, events, newcomer, last))


class _Somebody(Limited):
    """A connection without a network."""

    __slots__ = ("dropped",)

    def __init__(self, limits: Limits) -> None:
        super().__init__(web.Server(_answer), limits, loop=asyncio.get_running_loop())
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


@pytest.mark.parametrize("proxied", [False, True])
async def test_a_household_makes_room_for_itself_and_no_other_for_it(
    monkeypatch: pytest.MonkeyPatch, *, proxied: bool
) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS_OF_ONE", 2)
    limits = Limits(proxied=proxied)
    other = _Somebody(limits)
    assert limits.admit(other, "2001:db8:0:1::1")
    first, *more = (_Somebody(limits) for _ in range(3))
    for number, each in enumerate((first, *more)):
        assert limits.admit(each, f"2001:db8:0:2::{number}")
    assert first.dropped is not proxied  # behind a proxy all are one household
    assert not any(each.dropped for each in (other, *more))


async def test_there_are_never_more_than_the_system_has_files_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (4, 4))
    limits = Limits(proxied=True)
    somebody = [_Somebody(limits) for _ in range(4)]
    for each in somebody:
        assert limits.admit(each, "192.0.2.1")
    assert [each.dropped for each in somebody] == [True, False, False, False]
