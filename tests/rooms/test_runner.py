"""The runner with a real room and a real media port; the store's side is a callable that the test holds."""

from __future__ import annotations

import pytest

from broker.seats import SeatAction, SeatState
from rooms.description import BadSdp
from rooms.events import (
    CommitRefused,
    DeviceAnswered,
    StoreHealth,
)
from tests.rooms.house import Outbox, place_of, running
from tests.rooms.playbook import A, B, T
from tests.support.waiting import eventually


async def test_a_visit_goes_from_knock_to_the_room() -> None:
    async with running() as house:
        host, first, second = await house.visit()
        assert house.runner.room.flowing == {A, B, T}
        assert [other.seat for other in place_of(first).others] == [B, T]
        assert [restart for _, restart in first.offers] == [False]
        assert [commit.action for commit in house.store.commits] == [
            SeatAction.ENTER,
            SeatAction.KNOCK,
            SeatAction.KNOCK,
            SeatAction.ADMIT,
        ]
        assert set(host.replies.values()) == {None}
        assert second.closed == []


async def test_a_slow_store_does_not_hold_up_the_room() -> None:
    async with running() as house:
        host, first, _ = await house.visit()
        house.store.gate.clear()
        house.ask("t", SeatAction.REMOVE, B)
        await eventually(lambda: B not in house.runner.room.flowing)  # cut at once, whatever the store does
        late = house.join("t2", T)
        await eventually(lambda: late.roster is not None)  # and others are served meanwhile
        assert house.store.states[B] is SeatState.ADMITTED
        house.store.gate.set()
        await eventually(lambda: house.store.states[B] is SeatState.REMOVED)
        assert [*first.closed, *host.closed] == []


async def test_a_clinician_who_closes_the_page_is_lost() -> None:
    async with running() as house:
        _, first, second = await house.visit()
        house.runner.part("t")
        await house.heard["t"].close()  # the browser says goodbye on the media path too
        await eventually(lambda: first.state == "paused" and second.state == "paused", timeout=0.5)


async def test_a_clinician_whose_signaling_alone_is_lost_stays_in_the_room() -> None:
    async with running() as house:
        _, first, _ = await house.visit()
        house.runner.part("t")
        back = house.join("t2", T, media_kept=True)
        await eventually(lambda: back.roster and back.roster.media_here)
        assert back.offers == []
        assert {place_of(view).state for view in first.views} == {"expected", "waiting", "admitted"}


async def test_a_first_device_that_yields_is_replaced_at_once() -> None:
    async with running({A: SeatState.WAITING}) as house:
        first = house.join("a", A, "phone")
        second = house.join("a2", A, "laptop")
        await eventually(lambda: first.views and place_of(first).device_asks)
        house.runner.tell(DeviceAnswered("a", True, 1))
        await eventually(lambda: second.state == "waiting")
        assert first.closed == ["replaced"]
        house.runner.part("a")  # its socket closes after that, and nobody minds
        await eventually(lambda: second.offers)


async def test_a_page_that_only_claims_to_have_kept_its_media_is_offered_a_transport() -> None:
    async with running({A: SeatState.WAITING}) as house:
        page = house.join("a", A, media_kept=True)
        await eventually(lambda: page.offers)
        assert page.offers[0][1] is False


async def test_a_host_whose_transport_died_with_the_server_is_offered_another() -> None:
    async with running({T: SeatState.ADMITTED}) as house:
        page = house.join("t", T, media_kept=True)
        await eventually(lambda: page.offers)
        other = house.join(
            "t2", T, "elsewhere", media_kept=True
        )  # the seat has a transport, and not this one
        await eventually(lambda: other.roster is not None)
        assert other.offers == []
        assert other.roster is not None
        assert other.roster.media_here is False


async def test_media_restarts_only_for_the_page_that_carries_it() -> None:
    async with running() as house:
        host, first, _ = await house.visit()
        other = house.join("t2", T)
        await eventually(lambda: other.roster is not None)
        assert house.runner.restart_media("t2", fresh=False) == "not-allowed"
        assert house.runner.answer("t2", "v=0") == "not-allowed"
        assert house.runner.restart_media("t", fresh=False) is None
        assert house.runner.restart_media("t", fresh=True) is None
        assert [restart for _, restart in host.offers] == [False, True, False]
        assert len({sdp for sdp, _ in host.offers}) == 3
        with pytest.raises(BadSdp):
            house.runner.answer("a", "v=0\r\nthis is no answer")
        assert first.closed == []


async def test_a_room_that_fails_is_closed_and_its_decisions_still_become_durable() -> None:
    async with running() as house:
        host, first, second = await house.visit()
        house.store.gate.clear()
        house.ask("t", SeatAction.REMOVE, A)
        await eventually(lambda: A not in house.runner.room.flowing)
        house.runner.tell("no event at all")  # type: ignore[arg-type]  # a defect, forced
        await eventually(lambda: host.closed)
        assert (host.closed, first.closed, second.closed) == (["draining"], ["draining"], ["draining"])
        assert house.runner.quality() == {}
        late = Outbox()
        assert not house.runner.join("late", B, "B", "seat:B", late, media_kept=False)
        house.store.gate.set()
        await eventually(house.task.done)
        assert isinstance(house.task.exception(), AssertionError)
        assert house.store.states[A] is SeatState.REMOVED


async def test_a_room_that_another_worker_took_is_closed() -> None:
    async with running() as house:
        host, first, second = await house.visit()
        house.store.gate.clear()
        house.ask("t", SeatAction.HOLD, A)
        house.ask("t", SeatAction.RESUME, A)
        house.ask("t", SeatAction.REMOVE, B)
        await eventually(lambda: house.runner.room.flowing == {T})
        house.store.refusal = "fenced-room"
        house.store.gate.set()
        await eventually(lambda: host.closed)
        assert (host.closed, first.closed, second.closed) == (["moved"], ["moved"], ["moved"])
        assert house.runner.quality() == {}
        assert not house.runner.join("late", B, "B", "seat:B", Outbox(), media_kept=False)
        await eventually(house.task.done)
        assert house.task.exception() is None
        # Each was asked of the store once: who owns the room is not a matter of patience.
        assert [c.action for c in house.store.refused] == [
            SeatAction.HOLD,
            SeatAction.RESUME,
            SeatAction.REMOVE,
        ]


@pytest.mark.parametrize("why", ["stopped", "another worker's"])
async def test_what_closes_is_made_durable_also_behind_the_end_of_the_room(why: str) -> None:
    async with running({A: SeatState.WAITING}) as house:
        host = house.join("t", T)
        house.ask("t", SeatAction.ENTER)
        await house.connect("t", host)
        await eventually(lambda: host.roster and host.roster.clinician_present)
        first, second = house.join("a", A), house.join("b", B)
        house.ask("t", SeatAction.ADMIT, A)
        await eventually(lambda: first.state == "admitted")
        if why == "stopped":
            house.runner.stop("moved")
        else:
            house.runner.tell(CommitRefused(0, "fenced-room"))
        house.ask("b", SeatAction.KNOCK)
        house.ask("a", SeatAction.REMOVE, T)  # not theirs to ask for
        house.ask("t", SeatAction.HOLD, A)
        house.ask("a", SeatAction.LEAVE)
        await eventually(house.task.done)
        assert host.closed == second.closed == ["moved"]
        made = [(commit.action, commit.seats) for commit in house.store.commits[2:]]
        assert made == [(SeatAction.HOLD, (A,)), (SeatAction.LEAVE, (A,))]


async def test_a_room_that_nobody_needs_any_more_finishes_and_takes_nobody_in() -> None:
    async with running(is_open=False) as house:
        page = house.join("a", A)
        await eventually(lambda: page.views or page.closed)
        house.runner.part("a")
        await eventually(house.task.done)
        assert house.task.exception() is None
        assert not house.runner.join("a2", A, "A", "seat:A", Outbox(), media_kept=False)


async def test_pages_are_told_that_the_store_is_away() -> None:
    async with running({A: SeatState.WAITING}) as house:
        page = house.join("a", A)
        await eventually(lambda: page.views and place_of(page).store_ok)
        house.runner.tell(StoreHealth(False))
        await eventually(lambda: not place_of(page).store_ok)
