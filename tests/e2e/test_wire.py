"""On the wire: nothing leaves towards a waiting seat, nothing of a waiting seat reaches anyone (A05, A08)."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.e2e.people import WITHIN, People, Person
from tests.e2e.practice import Practice
from tests.e2e.test_visit import couple_in_the_room, couple_waiting
from tests.e2e.wire import Wire
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(os.geteuid() != 0, reason="watching the wire needs the right to open a packet socket"),
]

LOCAL_PORT = """async () => {
  const stats = await window.connections.at(-1)?.getStats();
  const transport = [...(stats?.values() ?? [])].find((entry) => entry.type === "transport");
  const pair = stats?.get(transport?.selectedCandidatePairId);
  return stats?.get(pair?.localCandidateId)?.port;
}"""


async def port_of(person: Person) -> int:
    """The UDP port of the person's browser, once it has one."""
    # Polled from here: Playwright's wait_for_function takes the promise of an async function for a yes.
    return int(await eventually(lambda: person.page.evaluate(LOCAL_PORT), timeout=WITHIN / 1000))


async def test_before_admission_no_media_packet_leaves_the_server(practice: Practice, people: People) -> None:
    visit = await practice.book()
    a, b, therapist = await couple_waiting(people, visit)
    ports = [await port_of(person) for person in (a, b, therapist)]
    async with Wire() as wire:
        # Each sends sound and picture to the closed gate, so the wire is full of packets coming in.
        await eventually(lambda: all(wire.media[port, practice.port] >= 100 for port in ports), timeout=20)
        assert wire.sent_by(practice.port) == 0


async def test_a_waiting_seat_gets_nothing_of_a_live_room(practice: Practice, people: People) -> None:
    live, other = await practice.book(), await practice.book("individual")
    a, b, therapist = await couple_in_the_room(people, live)
    waiting = await people.patient(other, "P")
    await waiting.waits()
    await waiting.page.wait_for_selector("body[data-transport=connected]")
    await therapist.presses("Move back Partner B")
    await b.sees("You are in the waiting room")
    async with Wire() as wire:
        await asyncio.gather(a.sees_and_hears(1, frames=30), therapist.sees_and_hears(1, frames=30))
        assert wire.sent_to(practice.port, await port_of(a)) > 0
        assert wire.sent_to(practice.port, await port_of(b)) == 0
        assert wire.sent_to(practice.port, await port_of(waiting)) == 0
