"""The live board over HTTP."""

from __future__ import annotations

import asyncio

from broker.audit import EventType
from broker.errors import StoreUnavailable
from broker.policy import Role
from signaling.messages import Board
from tests.signaling.front import Front, board_room
from tests.signaling.test_audit_api import sent_events
from tests.support.waiting import eventually


async def test_the_board_is_shown_and_looking_is_recorded(front: Front) -> None:
    ada, cookies = await front.staff(Role.ADMIN)
    front.rooms.append(board_room())
    board = await front.get("/api/board", cookies=cookies)
    assert board.json["rooms"][0]["seats"][0]["waiting-ms"] == 5
    (viewed,) = await front.events(EventType.BOARD_VIEWED)
    assert viewed.actor == ada.id


async def test_the_board_follows_changes_and_the_clock(front: Front) -> None:
    _, cookies = await front.staff(Role.ADMIN)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    async with (
        front.http.get(front.url + "/api/board/stream", headers=headers) as response,
        asyncio.timeout(10),
    ):
        events = sent_events(response)
        first = await anext(events)
        assert (first["event"], first["data"]["rooms"]) == ("board", [])
        assert len(await front.events(EventType.BOARD_VIEWED)) == 1

        loop = asyncio.get_running_loop()
        began = loop.time()
        front.rooms.append(board_room())
        front.services.changes.notify()
        second = await anext(events)
        assert len(second["data"]["rooms"]) == 1
        assert loop.time() - began < 1.0

        third = await anext(events)  # nothing changed; the clocks did
        assert third["data"]["now"] > second["data"]["now"]


async def test_a_board_that_cannot_be_told_says_so_and_goes_on(front: Front) -> None:
    _, cookies = await front.staff(Role.ADMIN)
    away = True

    async def board() -> Board:
        if away:
            raise StoreUnavailable
        return Board(1, True, ())

    object.__setattr__(front.services, "board", board)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    async with (
        front.http.get(front.url + "/api/board/stream", headers=headers) as response,
        asyncio.timeout(10),
    ):
        events = sent_events(response)
        trouble = await anext(events)
        assert (trouble["event"], trouble["data"]["code"]) == ("problem", "audit-unavailable")
        away = False
        front.services.changes.notify()
        assert (await anext(events))["event"] == "board"


async def test_a_reader_who_left_costs_nothing_more(front: Front) -> None:
    _, cookies = await front.staff(Role.ADMIN)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    reads = 0

    async def board() -> Board:
        nonlocal reads
        reads += 1
        return Board(reads, True, ())

    object.__setattr__(front.services, "board", board)
    async with front.http.get(front.url + "/api/board/stream", headers=headers) as response:
        await anext(sent_events(response))
        response.close()

    async def stopped() -> bool:
        front.services.changes.notify()
        before = reads
        await asyncio.sleep(0.5)  # longer than two boards can be apart when something changed
        return reads == before

    await eventually(stopped)
