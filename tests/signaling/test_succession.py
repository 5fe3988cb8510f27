"""A room that goes from one living worker to another: two servers on one store, with people who are heard."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from signaling.app import Server
from tests.signaling.visits import Page, Visit, book, browser, hire, settings_for
from tests.support.heard import Heard
from tests.support.waiting import eventually

ONE, TWO = "n-w0-aa", "n-w1-bb"


async def heard(page: Page) -> Page:
    """Connect a patient's media."""
    offer = (await eventually(lambda: page.of("offer")))[-1]

    async def answer(sdp: str) -> None:
        await page.say("answer", sdp=sdp)

    page.heard = Heard(offer["sdp"], answer)
    await page.heard.connect()
    return page


async def hears(page: Page) -> None:
    """Wait until something new comes to the page."""
    assert page.heard is not None
    page.heard.client.rtp.clear()
    await eventually(lambda: page.heard and page.heard.client.rtp)


async def silence(page: Page) -> None:
    """Nothing comes to the page for a while."""
    assert page.heard is not None
    for _ in range(20):
        await asyncio.sleep(0)  # what was sent before lies in its socket still
    page.heard.client.rtp.clear()
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        await asyncio.sleep(0.01)
        assert not page.heard.client.rtp


@dataclass
class Move:
    """A visit of people who are heard, on the first of two servers that have each other as workers.

    Attributes:
        leaving: the first server goes on leaving.
    """

    one: Server
    other: Server
    visit: Visit
    pages: tuple[Page, Page, Page]
    leaving: asyncio.Task[None] | None = None

    async def begins(self) -> Visit:
        """The first server leaves, everybody is told to come back. Returns the visit as the other has it."""
        self.leaving = asyncio.create_task(self.one.leave({TWO}))
        for page in self.pages:
            assert await page.ended() == ("moved", 1012)
        return replace(self.visit, server=self.other)

    async def is_over(self) -> None:
        """Wait until nothing is left of it on the first server."""
        assert self.leaving is not None
        await self.leaving

    @property
    def forwards(self) -> bool:
        """Whether the first server still carries the room."""
        gate = self.one.media._gates.get(self.visit.meeting)
        return gate is not None and bool(gate.seats)


@pytest.fixture
async def move(tmp_path: Path) -> AsyncIterator[Move]:
    data = tmp_path / "data"
    async with Server(settings_for(data, node=ONE)) as one, browser() as http:
        assert one.practice.embedded is not None
        url = one.practice.embedded.url
        async with Server(settings_for(data, node=TWO, redis_url=url)) as other:
            one.neighbours.names, other.neighbours.names = frozenset({TWO}), frozenset({ONE})
            await hire(one)
            visit = await book(one, http)
            await one.house.claim(visit.meeting)
            host, first, second = await visit.all_in()
            assert one.house.room(visit.meeting) is not None
            await heard(first)
            await heard(second)
            move = Move(one, other, visit, (host, first, second))
            try:
                yield move
            finally:
                for page in visit.pages:
                    await page.close()
                if move.leaving is not None:
                    await move.leaving


async def test_media_goes_on_with_the_former_owner_until_the_next_one_has_everybody(move: Move) -> None:
    host, first, second = move.pages
    there = await move.begins()
    assert move.other.house.room(there.meeting) is not None, "it is there before anybody comes"
    for page in (host, first, second):
        await hears(page)
    new = [await there.connect(await there.ticket(seat)) for seat in ("A", "B", "T")]
    for page in new:
        page.listen()
        await page.say("hello", **{"media-kept": True})
    for page in new:
        await heard(page)
    await asyncio.gather(*map(hears, new))
    for page in (host, first, second):
        await hears(page)  # both carry, for a moment
        assert page.heard is not None
    states = [view["state"] for page in new[:2] for view in page.of("place")]
    assert set(states) == {"admitted"}, "nobody is told of a pause that they did not have"
    await move.is_over()
    for page in (host, first, second):
        await silence(page)
    await asyncio.gather(*map(hears, new))
    events = [(kind, reason) for kind, _, _, reason in await there.audit()]
    assert events.count(("seat.held", "moved")) == 2
    assert [kind for kind, _ in events].count("seat.resumed") == 2
    assert {("seat.held", "clinician-lost"), ("seat.held", "server-restarted")}.isdisjoint(events)


async def test_whom_the_next_owner_cuts_the_former_one_cuts_at_once(move: Move) -> None:
    _, first, _ = move.pages
    there = await move.begins()
    await hears(first)
    host = await there.page("T")
    began = time.monotonic()
    assert await host.ask("act", action="hold", seats=["A"]) is None
    await eventually(lambda: not move.forwards)
    assert time.monotonic() - began < 0.5
    await silence(first)
    assert (await there.page("A", media_kept=True)).state == "held"


async def test_a_cut_does_not_wait_for_the_store(move: Move) -> None:
    _, first, _ = move.pages
    there = await move.begins()
    host = await there.page("T")
    assert move.one.practice.embedded is not None
    process = move.one.practice.embedded.pid
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    try:
        holding = asyncio.create_task(host.ask("act", action="hold", seats=["A"]))
        await eventually(lambda: not move.forwards, 0.5)
        await silence(first)
    finally:
        os.kill(process, signal.SIGCONT)
    assert await holding in {None, "audit-unavailable"}


@pytest.mark.parametrize("slow", ["the store", "the next owner"])
async def test_whom_the_clinician_holds_while_the_room_changes_hands_stays_held(
    move: Move, slow: str
) -> None:
    host, first, _ = move.pages
    await hears(first)
    runner = move.one.house.room(move.visit.meeting)
    calls, taken = move.other.neighbours.calls, asyncio.Event()
    adopt = calls["adopt"]

    async def late(values: Mapping[str, str]) -> bytes:
        await taken.wait()
        return await adopt(values)

    assert runner is not None
    assert move.one.practice.embedded is not None
    process = move.one.practice.embedded.pid
    assert process is not None
    calls["adopt"] = late
    if slow == "the store":
        os.kill(process, signal.SIGSTOP)
    move.leaving = asyncio.create_task(move.one.leave({TWO}))
    try:
        await eventually(lambda: runner.finished)
        await host.say("act", id=900, action="hold", seats=["A"])
        await eventually(lambda: not move.forwards)
    finally:
        os.kill(process, signal.SIGCONT)
        taken.set()
    for page in move.pages:
        assert await page.ended() == ("moved", 1012)
    there = replace(move.visit, server=move.other)
    assert (await there.page("A", media_kept=True)).state == "held"
    await there.host()
    assert there.pages[-2].state == "held", "also when the clinician is back"
    events = [(kind, seat, actor[:5]) for kind, seat, actor, _ in await there.audit()]
    assert events.count(("seat.held", "A", "staff")) == 1


async def test_who_signs_out_elsewhere_ends_it(move: Move) -> None:
    _, first, _ = move.pages
    there = await move.begins()
    await hears(first)
    ended = await there.post("/api/logout", None, there.cookies["T"])
    assert ended.status == 204
    await eventually(lambda: not move.forwards, 4.0)
    await silence(first)


async def test_without_another_worker_the_pages_are_sent_away_as_ever(move: Move) -> None:
    move.one.neighbours.names = frozenset()
    await move.begins()
    await move.is_over()
    for page in move.pages:
        await silence(page)


async def test_a_worker_that_takes_no_rooms_adopts_none(move: Move) -> None:
    move.other.finish()
    await move.begins()
    await move.is_over()
    assert move.other.house.room(move.visit.meeting) is None


async def test_nobody_ends_a_room_that_is_ours_and_nonsense_moves_none(move: Move) -> None:
    ask = move.other.neighbours.ask
    assert await ask(ONE, "let-go", {"meeting": move.visit.meeting}) == b"true"
    assert await ask(ONE, "former-ended", {"meeting": move.visit.meeting}) == b"true"
    for values in ({}, {"meeting": "no-such-thing"}):
        assert await ask(ONE, "adopt", values) == b"false"
    for page in move.pages:
        assert page.of("bye") == []
        await hears(page)
