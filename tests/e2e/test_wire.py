"""On the wire: nothing leaves towards a waiting seat, nothing of a waiting seat reaches anyone (A05, A08).

And of a waiting seat nothing leaves but black and silence, sealed with a key that nobody else has (N14).
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from playwright.async_api import Browser

from rooms.forwarding import Kind
from tests.e2e.conftest import running_practice
from tests.e2e.people import WITHIN, People, Person
from tests.e2e.practice import Practice
from tests.e2e.sealed_room import NOBODY, sealed_by
from tests.e2e.tapped import Came, read
from tests.e2e.test_visit import couple_waiting
from tests.e2e.wire import Wire
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
sees_the_wire = pytest.mark.skipif(
    os.geteuid() != 0, reason="watching the wire needs the right to open a packet socket"
)

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


@sees_the_wire
async def test_a_waiting_seat_gets_nothing_neither_of_those_who_wait_nor_of_a_live_room(
    practice: Practice, people: People
) -> None:
    live, other = await practice.book(), await practice.book("individual")
    a, b, therapist = await couple_waiting(people, live)
    ports = [await port_of(person) for person in (a, b, therapist)]
    async with Wire() as wire:
        # Each sends sound and picture to the closed gate, so the wire is full of packets coming in.
        await eventually(lambda: all(wire.media[port, practice.port] >= 100 for port in ports), timeout=20)
        assert wire.sent_by(practice.port) == 0

    await therapist.presses("Admit both")
    await asyncio.gather(a.is_in_the_room(), b.is_in_the_room())
    await asyncio.gather(a.sees_and_hears(2), b.sees_and_hears(2), therapist.sees_and_hears(2))
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


COVER = 160
"""Width and height, in pixels, of the black picture that stands in for a camera; no camera's is so."""
MICROPHONE = """async () => {
  const stats = await window.connections.at(-1).getStats();
  const sources = [...stats.values()].filter(({type}) => type === "media-source");
  return sources.find(({kind}) => kind === "audio").totalAudioEnergy;
}"""


def is_covered(came: Came) -> bool:
    """Whether this is of the cover, or could be: nobody else's key, and no picture of another size."""
    if sealed_by(came.frame, came.kind, NOBODY) is None:
        return False
    is_key_frame = came.kind is Kind.CAMERA and came.frame[0] & 1 == 0
    # RFC 6386 §9.1: three bytes, a start code, then width and height, 14 bits each.
    sizes = {int.from_bytes(came.frame[at : at + 2], "little") & 0x3FFF for at in (6, 8)}
    return not is_key_frame or sizes == {COVER}


async def test_of_who_is_not_in_the_room_only_black_and_silence_leave(
    browser: Browser, tmp_path: Path
) -> None:
    """Seen by the server itself: before admission, moved back, on hold; the camera once it is admitted."""
    log = tmp_path / "came"
    log.touch()
    program = (sys.executable, "-m", "tests.e2e.tapped", str(log))
    async with running_practice(tmp_path, program=program) as practice:
        people = People(practice, browser)
        visit = await practice.book()
        therapist, a = await people.therapist(visit), await people.patient(visit, "A")
        await asyncio.gather(therapist.opens_the_room(), a.waits())

        def of_a() -> list[Came]:
            return [came for came in read(log) if came.seat == "A"]

        async def only_the_cover_comes(since: int) -> None:
            """Wait until that is all that comes, then for more than a key frame's time; it must stay so."""
            pictures: list[Came] = []

            def covered() -> bool:
                pictures[:] = [came for came in of_a()[since:] if came.kind is Kind.CAMERA]
                return any(map(is_covered, pictures))

            await eventually(covered, timeout=WITHIN / 1000)
            first = of_a().index(next(filter(is_covered, pictures)), since)
            # Sound has its own sender, and a moment of its own.
            await eventually(lambda: len(of_a()) >= first + 50, timeout=WITHIN / 1000)
            heard = float(await a.page.evaluate(MICROPHONE))

            def enough() -> bool:
                kinds = [came.kind for came in of_a()[first:]]
                return kinds.count(Kind.CAMERA) >= 30 and kinds.count(Kind.AUDIO) >= 100

            await eventually(enough, timeout=WITHIN / 1000)
            came = of_a()[first:]
            assert all(is_covered(one) for one in came if one.kind is Kind.CAMERA)
            assert all(map(is_covered, came[50:]))
            assert float(await a.page.evaluate(MICROPHONE)) == heard

        async def is_seen_and_heard() -> None:
            await therapist.sees_and_hears(1)
            camera = [one for one in of_a() if one.kind is Kind.CAMERA][-1]
            assert sealed_by(camera.frame, Kind.CAMERA, 1) is not None

        await only_the_cover_comes(0)
        assert all(map(is_covered, of_a()))  # from the very first packet
        await therapist.presses("Admit Partner A")
        await is_seen_and_heard()
        for action, back in (("Move back", "Admit"), ("Hold", "Resume")):
            since = len(of_a())
            await therapist.presses(f"{action} Partner A")
            await a.sees("On hold" if action == "Hold" else "You are in the waiting room")
            await only_the_cover_comes(since)
            await therapist.presses(f"{back} Partner A")
            await is_seen_and_heard()
        await people.go_home()
