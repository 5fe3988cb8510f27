"""Server-sent events: their bytes, their bounds and their ends."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from broker.errors import Refused, StoreUnavailable
from broker.policy import Role
from signaling import streams
from signaling.messages import Ticket
from signaling.routing import STAFF_COOKIES
from signaling.streams import MAX_STREAMS, MAX_STREAMS_EACH, STREAMS, Sent, Streams, trouble
from tests.signaling.front import Front, board_room
from tests.support.waiting import eventually


def cookie(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def test_an_event_is_one_block_of_lines() -> None:
    assert Sent("audit", Ticket("a\nb\r"), 41).encode() == (
        b'id: 41\nevent: audit\ndata: {"ticket":"a\\nb\\r"}\n\n'
    )
    assert Sent("board", Ticket("x")).encode() == b'event: board\ndata: {"ticket":"x"}\n\n'
    assert b"audit-unavailable" in trouble(StoreUnavailable()).encode()


def test_streams_are_counted_per_person_and_in_all() -> None:
    counted = Streams().counted
    with ExitStack() as held:
        for _ in range(MAX_STREAMS_EACH):
            held.enter_context(counted("ada"))
        with pytest.raises(Refused, match="too-fast"), counted("ada"):
            pass
        with counted("eve"):
            pass
        for at in range(MAX_STREAMS - MAX_STREAMS_EACH):
            held.enter_context(counted(f"person-{at}"))
        with pytest.raises(Refused, match="too-fast"), counted("eve"):
            pass
    with counted("ada"):
        pass


async def test_too_many_streams_of_one_person_are_refused(front: Front) -> None:
    _, cookies = await front.staff(Role.ADMIN)
    headers = cookie(cookies)
    held = [
        await front.http.get(front.url + "/api/board/stream", headers=headers)
        for _ in range(MAX_STREAMS_EACH)
    ]
    assert (await front.get("/api/board/stream", cookies=cookies)).code == "too-fast"
    for response in held:
        response.close()


async def test_a_stream_ends_when_its_person_signs_out(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "QUIET_SECONDS", 0.3)
    _, cookies = await front.staff(Role.ADMIN)
    async with front.http.get(front.url + "/api/board/stream", headers=cookie(cookies)) as response:
        await front.services.identity.sign_out(cookies[STAFF_COOKIES[Role.ADMIN]])
        async with asyncio.timeout(10):
            await response.read()


async def test_a_quiet_stream_shows_that_it_lives(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "QUIET_SECONDS", 0.2)
    _, cookies = await front.staff(Role.ADMIN)
    path = front.url + "/api/audit/stream?after=1000"
    async with front.http.get(path, headers=cookie(cookies)) as response, asyncio.timeout(5):
        assert await response.content.readuntil(b"\n\n") == b"retry: 1000\n\n"
        assert await response.content.readuntil(b"\n\n") == b":\n\n"


async def test_streams_end_when_the_server_drains(front: Front) -> None:
    _, cookies = await front.staff(Role.ADMIN)
    async with front.http.get(front.url + "/api/audit/stream", headers=cookie(cookies)) as response:
        app = front.server.app
        app[STREAMS].closing.set()
        async with asyncio.timeout(5):
            await response.read()
    assert (await front.get("/api/audit/stream", cookies=cookies)).code == "draining"


async def test_a_reader_that_does_not_read_is_cut_off(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS", 0.3)
    front.rooms.extend(board_room(code=f"{at:06d}") for at in range(20_000))
    _, cookies = await front.staff(Role.ADMIN)
    _, writer = await asyncio.open_connection("127.0.0.1", front.server.port, limit=1024)
    head = f"GET /api/board/stream HTTP/1.1\r\nHost: x\r\nCookie: {cookie(cookies)['Cookie']}\r\n\r\n"
    writer.write(head.encode())
    open_streams = front.server.app[STREAMS]
    await eventually(lambda: open_streams._open.total() == 1)
    await eventually(lambda: open_streams._open.total() == 0, timeout=15)
    writer.close()
