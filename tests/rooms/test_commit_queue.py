"""What a running room decides becomes durable in order; the store's side is held by the test."""

from __future__ import annotations

import time

from broker.seats import SeatAction, SeatState
from rooms.commit_queue import FLUSH_WITHIN
from rooms.effects import PlaceView
from rooms.events import (
    HostAction,
)
from tests.rooms.house import place_of, running
from tests.rooms.playbook import A, B, T
from tests.support.waiting import eventually


async def test_commits_are_carried_out_one_at_a_time_in_order() -> None:
    async with running() as house:
        await house.visit()
        house.store.gate.clear()
        house.ask("t", SeatAction.HOLD, A)
        house.ask("t", SeatAction.RESUME, A)
        house.ask("t", SeatAction.MOVE_BACK, A)
        house.store.gate.set()
        await eventually(lambda: house.store.states[A] is SeatState.WAITING)
        done = [commit.action for commit in house.store.commits]
        assert done[-3:] == [SeatAction.HOLD, SeatAction.RESUME, SeatAction.MOVE_BACK]


async def test_what_others_changed_is_read_again_but_never_over_what_is_under_way() -> None:
    async with running() as house:
        _, first, second = await house.visit()
        house.store.states[A] = SeatState.HELD  # another node did that
        house.runner.reload()
        await eventually(lambda: first.state == "held")

        house.store.gate.clear()
        house.ask("t", HostAction.MUTE, B)
        await eventually(lambda: place_of(second).muted)
        house.runner.tell(house.store.snapshot())  # read before the mute reached the store
        house.store.states[A] = SeatState.WAITING
        house.store.gate.set()
        await eventually(lambda: first.state == "waiting")  # it was read anew, after the mute
        muted = [view.muted for view in second.views if isinstance(view, PlaceView)]
        assert muted == sorted(muted)  # once muted, never shown otherwise


async def test_an_error_of_the_store_that_nobody_foresaw_closes_the_room() -> None:
    async with running() as house:
        host, _, _ = await house.visit()
        house.store.failure = ZeroDivisionError()
        house.ask("t", SeatAction.HOLD, A)
        await eventually(house.task.done)
        assert isinstance(house.task.exception(), ZeroDivisionError)
        assert host.closed == ["draining"]


async def test_a_closing_room_asks_once_more_for_what_it_owes() -> None:
    async with running() as house:
        host, _, _ = await house.visit()
        house.store.refusal = "audit-unavailable"
        owing = house.ask("t", SeatAction.REMOVE, B)
        await eventually(lambda: owing in host.replies and house.runner.room.owed)
        house.runner.stop()
        await eventually(lambda: len(house.store.refused) > 1)
        assert not house.task.done()
        house.store.refusal = None
        await eventually(house.task.done)
        assert house.store.states[B] is SeatState.REMOVED


async def test_a_closing_room_does_not_ask_again_for_an_opening() -> None:
    async with running({A: SeatState.WAITING}) as house:
        host = house.join("t", T)
        house.ask("t", SeatAction.ENTER)
        await house.connect("t", host)
        await eventually(lambda: host.roster and host.roster.clinician_present)
        house.store.gate.clear()
        house.ask("t", SeatAction.ADMIT, A)
        await eventually(lambda: len(house.store.asked) == 2)
        house.store.refusal = "audit-unavailable"
        house.runner.stop()
        await eventually(lambda: host.closed)
        house.store.gate.set()
        await eventually(house.task.done)
        assert [commit.action for commit in house.store.refused] == [SeatAction.ADMIT]


async def test_stopping_waits_for_the_store_but_not_for_ever() -> None:
    async with running() as house:
        host, _, _ = await house.visit()
        house.store.gate.clear()
        house.ask("t", SeatAction.HOLD, A)
        began = time.monotonic()
        house.runner.stop()
        await eventually(house.task.done, timeout=FLUSH_WITHIN + 1.5)
        assert time.monotonic() - began > FLUSH_WITHIN - 0.2
        assert host.closed == ["draining"]
        assert house.task.exception() is None
