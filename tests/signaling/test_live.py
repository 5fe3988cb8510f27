"""The running rooms of a process: loaded once, told of changes, forgotten without loss, failing alone."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

import pytest

from broker.errors import Refused, StoreUnavailable
from broker.ids import MeetingId, new_meeting_id
from broker.placement import Placement
from broker.seats import SeatAction, SeatCode, SeatRole
from broker.tickets import Grant
from rooms.effects import View
from rooms.groups import GroupNews
from signaling import tenancy
from tests.signaling.visits import Visit, book
from tests.support.waiting import eventually

A, T = SeatCode("A"), SeatCode("T")


class Nothing:
    """An outbox that nobody reads; it remembers why it was closed."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    def show(self, view: View) -> None: ...

    def offer(self, sdp: str, *, restart: bool, ends_ms: int) -> None: ...
    def tell(self, news: GroupNews) -> None: ...

    def reply(self, request: int, code: str | None) -> None: ...

    def close(self, code: str) -> None:
        self.closed.append(code)


def grant(visit: Visit, seat: SeatCode = A, **more: Any) -> Grant:
    values = {"role": SeatRole.PATIENT, "device": "d", "actor": f"seat:{seat}"} | more
    return Grant(meeting=values.pop("meeting", visit.meeting), seat=seat, **values)


async def test_pages_that_come_at_once_meet_in_one_room(visit: Visit) -> None:
    house = visit.server.house
    runners = await asyncio.gather(
        *(house.enter(grant(visit), f"link-{n}", Nothing(), media_kept=False) for n in range(10))
    )
    assert len({id(runner) for runner in runners}) == 1
    assert house.gauges()["rooms"] == 1


async def test_a_seat_is_held_by_the_device_that_others_would_have_to_ask(visit: Visit) -> None:
    house = visit.server.house
    assert not await house.held_by_another(visit.meeting, "A", "a stranger")
    first = await visit.page("A")
    assert not await house.held_by_another(visit.meeting, "A", "another")  # nobody has the place yet
    assert await first.ask("knock") is None
    runner = house.room(visit.meeting)
    assert runner is not None
    mine = runner.room.seats[A].last_device
    assert mine is not None
    assert not await house.held_by_another(visit.meeting, "A", mine)
    assert await house.held_by_another(visit.meeting, "A", "another")
    assert not await house.held_by_another(visit.meeting, "Z", "another")


async def test_a_room_that_fails_fails_alone_and_comes_back(visit: Visit) -> None:
    other = await book(visit.server, visit.http)
    other_host, other_first, _ = await other.all_in()
    host, first, second = await visit.all_in()
    runner = visit.server.house.room(visit.meeting)
    assert runner is not None
    runner.tell("a defect, forced")  # type: ignore[arg-type]  # no event at all
    for page in (host, first, second):
        assert await page.ended() == ("draining", 1012)
    back = await visit.page("A")
    assert back.state == "paused"
    assert visit.server.house.room(visit.meeting) not in {None, runner}
    assert other_first.state == "admitted"
    assert [*other_host.of("bye"), *other_first.of("bye")] == []
    for page in other.pages:
        await page.close()


async def test_an_unknown_session_is_refused(visit: Visit) -> None:
    with pytest.raises(Refused) as refused:
        await visit.server.house.enter(
            grant(visit, meeting=new_meeting_id()), "link", Nothing(), media_kept=False
        )
    assert refused.value.code == "no-session"


async def test_without_the_store_a_room_that_runs_goes_on_and_no_other_opens(visit: Visit) -> None:
    other = await book(visit.server, visit.http)
    house = visit.server.house
    await house.enter(grant(visit), "link", Nothing(), media_kept=False)
    embedded = visit.server.practice.embedded
    assert embedded is not None
    assert embedded.pid is not None
    os.kill(embedded.pid, signal.SIGSTOP)
    try:
        await house.enter(grant(visit, T, role=SeatRole.HOST), "host", Nothing(), media_kept=False)
        with pytest.raises(StoreUnavailable):
            await house.enter(grant(other), "other", Nothing(), media_kept=False)
        assert house.room(other.meeting) is None
    finally:
        os.kill(embedded.pid, signal.SIGCONT)


async def test_what_another_process_did_is_followed(visit: Visit) -> None:
    page = await visit.page("A")
    assert await page.ask("knock") is None
    admission = visit.server.practice.admission
    await admission.change(visit.meeting, SeatAction.REMOVE, (A,), "operator", "by hand")
    assert await page.ended() == ("removed", 4004)


async def test_the_board_lists_rooms_nobody_is_in_and_survives_the_store(visit: Visit) -> None:
    board = await visit.server.house.board()
    (room,) = board.rooms
    assert (room.state, {seat.presence for seat in room.seats}) == ("scheduled", {"absent"})
    embedded = visit.server.practice.embedded
    assert embedded is not None
    assert embedded.pid is not None
    os.kill(embedded.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        later = await visit.server.house.board()
        assert time.monotonic() - began < 3.5
        assert [shown.room for shown in later.rooms] == [room.room]
        await eventually(lambda: not visit.server.house.store_ok)
    finally:
        os.kill(embedded.pid, signal.SIGCONT)


async def test_a_drained_house_is_empty_and_says_so(visit: Visit) -> None:
    house, outbox = visit.server.house, Nothing()
    await house.enter(grant(visit), "link", outbox, media_kept=False)
    await house.drain(2.0)
    assert outbox.closed == ["draining"]
    assert house.gauges()["rooms"] == 0
    with pytest.raises(Refused) as refused:
        await house.enter(grant(visit), "late", Nothing(), media_kept=False)
    assert refused.value.code == "draining"


async def test_an_unsure_worker_asks_before_it_takes_anybody_new(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = visit.server.house
    await house.enter(grant(visit), "link", Nothing(), media_kept=False)
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(tenancy, "_now", lambda: loop.time() + 60.0)  # as after a minute's stop
    again = Nothing()
    await house.enter(grant(visit), "again", again, media_kept=False)  # the store says that it is ours
    other = Placement(visit.server.store, "another")
    await other.bury(house.tenancy.me)
    assert (await other.take(visit.meeting)).worker == "another"
    monkeypatch.setattr(tenancy, "_now", lambda: loop.time() + 120.0)
    assert await house.place(visit.meeting) == "another"
    for unwelcome in (
        house.enter(grant(visit), "late", Nothing(), media_kept=False),
        house.claim(visit.meeting),
    ):
        with pytest.raises(Refused) as refused:
            await unwelcome
        assert refused.value.code == "moved"
    await eventually(lambda: again.closed == ["moved"])


async def test_an_unsure_worker_takes_nobody_while_the_store_is_away(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, outbox = visit.server.house, Nothing()
    await house.enter(grant(visit), "link", outbox, media_kept=False)
    embedded = visit.server.practice.embedded
    assert embedded is not None
    assert embedded.pid is not None
    loop = asyncio.get_running_loop()
    os.kill(embedded.pid, signal.SIGSTOP)
    try:
        monkeypatch.setattr(tenancy, "_now", lambda: loop.time() + 60.0)
        with pytest.raises(StoreUnavailable):
            await house.enter(grant(visit), "late", Nothing(), media_kept=False)
        assert outbox.closed == []  # who is inside stays
    finally:
        os.kill(embedded.pid, signal.SIGCONT)


@pytest.mark.parametrize("taking", ["claim", "place"])
async def test_taking_a_room_waits_for_its_lease_to_be_given_up(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, taking: str
) -> None:
    house = visit.server.house
    await house.claim(visit.meeting)
    releasing, go_on, release = asyncio.Event(), asyncio.Event(), house.tenancy.release

    async def slowly(meeting: MeetingId) -> None:
        releasing.set()
        await go_on.wait()
        await release(meeting)

    monkeypatch.setattr(tenancy.Tenancy, "release", lambda _, meeting: slowly(meeting))
    forgotten = asyncio.create_task(house._forgotten(visit.meeting))
    await releasing.wait()
    taken = asyncio.ensure_future(getattr(house, taking)(visit.meeting))
    await asyncio.wait({taken}, timeout=0.3)  # long enough to cross, if it could
    go_on.set()
    await asyncio.gather(forgotten, taken)
    assert (await house.placement.owners())[visit.meeting] == house.tenancy.me
