"""What a room puts for a program, and what follows without a person."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from broker.errors import Refused
from broker.seats import SeatAction, SeatCode
from rooms.effects import PlaceView
from rooms.events import Asked, DeviceAnswered
from rooms.runner import Runner
from signaling.program import VIA, Program

WAITS = PlaceView(
    seat=SeatCode("A"),
    label="Partner A",
    place=0,
    state="waiting",
    since_ms=0,
    reason=None,
    muted=False,
    agreed=True,
    others=(),
    device_asks=0,
    store_ok=True,
    ends_ms=0,
)


class FakeRunner:
    """Keeps what it is told; a forced room."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.ended: list[str] = []

    def tell(self, event: Any) -> None:
        self.told.append(event)

    def end_ingest(self, link: str) -> None:
        self.ended.append(link)


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def program(runner: FakeRunner) -> Program:
    program = Program(("meeting", "A"))
    program.runner = cast("Runner", runner)
    return program


async def test_what_is_asked_is_answered_by_the_room(program: Program, runner: FakeRunner) -> None:
    asked = asyncio.create_task(program.ask(SeatAction.KNOCK))
    await asyncio.sleep(0)
    assert runner.told == [Asked(program.link, 1, SeatAction.KNOCK, reason=VIA)]
    program.reply(1, "not-open")
    assert await asked == "not-open"


async def test_the_first_view_is_waited_for(program: Program) -> None:
    seen = asyncio.create_task(program.seen())
    await asyncio.sleep(0)
    program.show(WAITS)
    assert await seen == WAITS


@pytest.mark.parametrize(
    ("code", "told"), [("replaced", "seat-in-use"), ("removed", "removed"), ("moved", "moved")]
)
async def test_a_room_that_has_done_with_it_refuses_what_was_asked(
    program: Program, code: str, told: str
) -> None:
    asked = asyncio.create_task(program.ask(SeatAction.LEAVE))
    await asyncio.sleep(0)
    program.close(code)
    program.close("gone")
    with pytest.raises(Refused) as refused:
        await asked
    assert (refused.value.code, program.end) == (told, code)


def test_moving_back_closes_the_transport_and_holding_does_not(program: Program, runner: FakeRunner) -> None:
    program.resource = "secret"
    for state in ("admitted", "paused", "held"):
        program.show(replace(WAITS, state=state))
    assert (program.resource, runner.ended) == ("secret", [])
    program.show(WAITS)
    assert (program.resource, runner.ended) == ("", [program.link])


def test_only_a_waiting_program_gives_way(program: Program, runner: FakeRunner) -> None:
    program.show(replace(WAITS, state="admitted", device_asks=1))
    assert runner.told == []
    program.show(replace(WAITS, device_asks=2))
    assert runner.told == [DeviceAnswered(program.link, True, 2)]
