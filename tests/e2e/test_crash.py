"""SIGKILL of the server and of the store during a live session and a full waiting room: nothing is lost."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from tests.e2e.people import People, Person
from tests.e2e.practice import Practice
from tests.e2e.test_visit import couple_in_the_room

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

BACK_WITHIN = 5.0
"""Seconds from the server's return to everybody in the same seat, with sound and pictures."""


async def test_a_killed_store_and_a_killed_server_lose_no_place_and_no_admission(
    own_practice: Practice, own_people: People
) -> None:
    live, full = await own_practice.book(), await own_practice.book()
    a, b, therapist = await couple_in_the_room(own_people, live)
    waiting = [await own_people.patient(full, "A"), await own_people.patient(full, "B")]
    await asyncio.gather(*(person.waits() for person in waiting))

    # The store: the running call is not interrupted.
    before, waited = await own_practice.audit(live.meeting), await own_practice.audit(full.meeting)
    killed = own_practice.store_pid()
    await own_practice.kill_store()
    await asyncio.gather(a.sees_and_hears(2), b.sees_and_hears(2), therapist.sees_and_hears(2))
    await own_practice.ready()
    assert own_practice.store_pid() != killed
    after = await own_practice.audit(live.meeting)
    assert after[: len(before)] == before
    for person in waiting:
        await person.sees("You are in the waiting room")
    assert [e for e in await own_practice.audit(full.meeting) if e[0] != "media.up"] == [
        e for e in waited if e[0] != "media.up"
    ], "a place was lost"
    await therapist.presses("Move back Partner A")
    await a.sees("You are in the waiting room")
    assert ("seat.moved-back", "A", "staff", None) in await own_practice.audit(live.meeting)
    await therapist.presses("Admit Partner A")
    await a.is_in_the_room()
    await asyncio.gather(*(person.sees_and_hears(2) for person in (a, b, therapist)))

    # The server, and the store with it.
    before = await own_practice.audit(live.meeting)
    everybody = (a, b, therapist, *waiting)
    transports = [await person.transports() for person in everybody]
    await own_practice.kill()
    await own_practice.start()
    began = time.monotonic()
    await asyncio.gather(*map(Person.connects_anew, everybody, transports))
    connected = time.monotonic() - began
    await asyncio.gather(*(person.sees_and_hears(2, frames=1) for person in (a, b, therapist)))
    took = time.monotonic() - began
    print(f"connected {connected:.2f} s, media {took:.2f} s after the return; load {os.getloadavg()[0]:.1f}")
    assert took < BACK_WITHIN
    await asyncio.gather(a.is_in_the_room(), b.is_in_the_room())
    for person in waiting:
        await person.sees("You are in the waiting room")

    after = await own_practice.audit(live.meeting)
    assert after[: len(before)] == before, "an acknowledged event was lost"
    assert [e[0] for e in after].count("seat.knocked") == 2, "nobody had to knock again"
    again = [e[0] for e in after[len(before) :]]
    assert "seat.admitted" not in again, "nobody had to be admitted again"
    assert ("seat.held", "A", "system", "server-restarted") in after
    assert ("seat.resumed", "A", "system", "clinician-back") in after
