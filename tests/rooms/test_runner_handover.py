"""The runner of a room that is given to another worker, with real media."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from broker.seats import SeatAction, SeatCode, SeatState
from rooms.events import (
    HostAction,
    StoreHealth,
)
from rooms.handover import OVERLAP
from tests.rooms.house import House, Outbox, running
from tests.rooms.playbook import A, B, T
from tests.support.waiting import eventually


async def heard_visit(house: House) -> tuple[Outbox, Outbox, Outbox]:
    """Everybody in the room with media."""
    host, first, second = await house.visit()
    await house.connect("a", first)
    await house.connect("b", second)
    await eventually(lambda: receives(house, "a"))
    return host, first, second


def receives(house: House, link: str) -> bool:
    """Whether anything has come since the last question."""
    client = house.heard[link].client
    came = bool(client.rtp)
    client.rtp.clear()
    return came


async def test_who_is_handed_over_goes_on_hearing_until_everybody_has_moved() -> None:
    async with running() as house:
        host, first, second = await heard_visit(house)
        given: list[frozenset[SeatCode]] = []

        async def pass_on(moving: frozenset[SeatCode]) -> bool:
            assert [*host.closed, *first.closed] == [], "there is nowhere to go before that"
            given.append(moving)
            return True

        house.runner.hand_over(pass_on)
        await eventually(lambda: first.closed)
        assert host.closed == first.closed == second.closed == ["moved"]
        assert given == [frozenset({A, B, T})]
        assert not house.runner.join("late", A, "A", "seat:A", Outbox(), media_kept=True)
        for link in "ab":
            house.heard[link].client.rtp.clear()
            await eventually(partial(receives, house, link))
        await house.heard["a"].close()
        await eventually(lambda: receives(house, "b"))
        assert not house.task.done()
        await house.heard["t"].close()  # the clinician has moved: nobody is left alone here
        await eventually(house.task.done)


@pytest.mark.parametrize("why", ["let go", "decided elsewhere", "store away", "asked too late"])
async def test_a_room_that_is_handed_over_is_cut_at_once_when(why: str) -> None:
    async with running() as house:
        _, first, _ = await heard_visit(house)

        async def pass_on(moving: frozenset[SeatCode]) -> bool:
            return True

        house.runner.hand_over(pass_on)
        await eventually(lambda: first.closed)
        began = time.monotonic()
        match why:
            case "let go":
                house.runner.stop("moved")
            case "decided elsewhere":
                house.store.states[A] = SeatState.HELD
                house.runner.reload()
            case "store away":
                house.runner.tell(StoreHealth(False))
            case "asked too late":
                house.ask("t", SeatAction.REMOVE, A)
        await eventually(house.task.done)
        assert time.monotonic() - began < 1.0
        house.heard["a"].client.rtp.clear()
        for _ in range(30):
            await asyncio.sleep(0.01)
        assert not receives(house, "a")
        if why == "asked too late":
            assert house.store.states[A] is SeatState.REMOVED, "whoever runs the room now learns of it"


@pytest.mark.parametrize("slow", ["the store", "the next owner"])
async def test_somebody_is_cut_at_once_also_while_the_room_is_being_given_away(slow: str) -> None:
    async with running() as house:
        host, first, _ = await heard_visit(house)
        taken = asyncio.Event()

        async def pass_on(moving: frozenset[SeatCode]) -> bool:
            await taken.wait()
            return True

        if slow == "the store":
            house.store.gate.clear()
            house.ask("t", HostAction.MUTE, B)
        house.runner.hand_over(pass_on)
        await eventually(lambda: house.runner.finished)
        await eventually(partial(receives, house, "a"))
        removal = house.ask("t", SeatAction.REMOVE, A)
        await eventually(lambda: not house.media._gates["meeting"].seats, timeout=0.5)
        house.store.gate.set()
        await eventually(lambda: host.replies.get(removal, "none") is None)  # and told before it is sent away
        assert house.store.states[A] is SeatState.REMOVED
        taken.set()
        await eventually(house.task.done)
        assert first.closed == ["moved"]


async def test_what_nobody_takes_is_closed_as_ever() -> None:
    async with running() as house:
        _, first, _ = await heard_visit(house)

        async def pass_on(moving: frozenset[SeatCode]) -> bool:
            return False

        house.runner.hand_over(pass_on)
        await eventually(house.task.done)
        assert first.closed == ["moved"]


async def test_nothing_is_handed_over_that_is_not_durable() -> None:
    async with running() as house:
        await heard_visit(house)
        passed: list[object] = []

        async def pass_on(moving: frozenset[SeatCode]) -> bool:
            passed.append((moving, house.store.states[A]))
            return True

        house.store.gate.clear()
        house.ask("t", SeatAction.HOLD, A)
        await eventually(lambda: A not in house.runner.room.flowing)
        house.runner.hand_over(pass_on)
        await eventually(lambda: house.runner.finished)
        assert passed == []
        house.store.gate.set()
        await eventually(lambda: passed)
        assert passed == [(frozenset({B, T}), SeatState.HELD)]
        await house.heard["t"].close()
        await eventually(house.task.done)


async def test_the_former_owner_is_let_go_when_somebody_is_cut_or_all_is_well() -> None:
    async with running() as house:
        let_go: list[float] = []
        house.runner.let_former_go = lambda: let_go.append(time.monotonic())
        await house.visit()
        opened = time.monotonic()
        assert not let_go
        await eventually(lambda: let_go)
        assert let_go[0] < opened + OVERLAP
        let_go.clear()
        house.store.gate.clear()
        house.ask("t", HostAction.MUTE, A)
        await eventually(lambda: let_go)  # before the store has it
        house.store.gate.set()
