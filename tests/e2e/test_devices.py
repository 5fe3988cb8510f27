"""One seat, more than one device (N15), and a phone that locks (A14)."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.e2e.people import People
from tests.e2e.phone import Phone
from tests.e2e.practice import Practice

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

YIELDS_WITHIN = 6.0
"""Seconds after which the place of a device that vanished is free, and a little to notice."""
ASLEEP = 21.0
"""Seconds: longer than any patience of browser or server for a silent transport."""
AWAKE_WITHIN = 3.0
"""Seconds from waking up to media in both directions."""


async def test_a_second_device_asks_the_first_unless_that_has_vanished(
    practice: Practice, people: People
) -> None:
    visit = await practice.book("individual")
    therapist = await people.therapist(visit)
    first, second = await people.patient(visit, "P"), await people.patient(visit, "P")
    await asyncio.gather(therapist.opens_the_room(), first.waits())
    await therapist.presses("Admit Patient")
    await first.is_in_the_room()

    await second.opens_link()
    await second.enters()
    await second.sees("Asking your other device")
    await first.reads("Another device asks to take your place.")
    await second.receives_nothing()
    await first.presses("No, stay here")
    await second.sees("Your other device keeps the place")
    await first.sees("You are in the room")
    await asyncio.gather(first.sees_and_hears(1), therapist.sees_and_hears(1))

    await second.presses("Ask again")
    await first.presses("Yes, move there")
    await first.sees("Your visit has moved to your other device")
    await second.is_in_the_room()
    await asyncio.gather(second.sees_and_hears(1), therapist.sees_and_hears(1))

    tab = await people.another_tab(second)
    await tab.opens_link()
    await tab.enters()
    await tab.is_in_the_room()
    await second.sees("Your visit is open in another window")
    await asyncio.gather(tab.sees_and_hears(1), therapist.sees_and_hears(1))

    events = [e[0] for e in await practice.audit(visit.meeting) if e[1] == "P" and e[0].startswith("seat.")]
    assert events.count("seat.knocked") == events.count("seat.admitted") == 1
    assert events.count("seat.device-asked") == 2
    assert events.count("seat.device-changed") == 1

    # A device that vanished gives way by itself.
    third = await people.patient(visit, "P")
    await third.opens_link()
    began = time.monotonic()
    await tab.vanishes()
    await third.enters()
    await third.is_in_the_room()
    assert time.monotonic() - began < YIELDS_WITHIN + 4.0, "4 s are for a slow machine and the password"
    await asyncio.gather(third.sees_and_hears(1), therapist.sees_and_hears(1))
    events = [e[0] for e in await practice.audit(visit.meeting) if e[1] == "P"]
    assert events.count("seat.knocked") == events.count("seat.admitted") == 1


async def test_a_locked_phone_keeps_its_place(practice: Practice, people: People) -> None:
    live, waiting = await practice.book("individual"), await practice.book("individual")
    therapist, other_host = await people.therapist(live), await people.therapist(waiting)
    phone = Phone()
    async with phone.on() as browser:
        inside = await people.patient(live, "P", browser=browser)
        outside = await people.patient(waiting, "P", browser=browser)
        await asyncio.gather(therapist.opens_the_room(), other_host.signs_in(), inside.waits())
        await outside.waits()
        await therapist.presses("Admit Patient")
        await inside.is_in_the_room()
        await inside.sees_and_hears(1)
        with phone.locked():
            await asyncio.gather(
                therapist.sees_seat("P", state="admitted", presence="away"),
                other_host.sees_seat("P", state="waiting", presence="away"),
            )
            await therapist.reads("the place is kept")
        await asyncio.gather(
            therapist.sees_seat("P", state="admitted", presence="connected"),
            other_host.sees_seat("P", state="waiting", presence="connected"),
        )
        await inside.sees("You are in the room")
        await outside.sees("You are in the waiting room")
        await asyncio.gather(inside.sees_and_hears(1), therapist.sees_and_hears(1))
        for visit in (live, waiting):
            events = [e for e in await practice.audit(visit.meeting) if e[1] == "P"]
            assert [e[0] for e in events].count("seat.knocked") == 1
            assert ("seat.away", "connection-lost") in [(e[0], e[3]) for e in events]
            assert "seat.left" not in [e[0] for e in events]


async def test_a_network_that_comes_and_goes(practice: Practice, people: People) -> None:
    visit = await practice.book("individual")
    patient = await people.patient(visit, "P")
    await patient.waits()
    await patient.context.set_offline(True)
    await patient.reads("The connection was lost. Your place is kept.")
    await patient.context.set_offline(False)
    await patient.page.wait_for_selector("body[data-line=open]")
    await patient.sees("You are in the waiting room")
    assert [e[0] for e in await practice.audit(visit.meeting)].count("seat.knocked") == 1


@pytest.mark.alone
async def test_after_a_long_sleep_the_visit_goes_on_by_itself(practice: Practice, people: People) -> None:
    visit = await practice.book("individual")
    therapist, phone = await people.therapist(visit), Phone()
    async with phone.on() as browser:
        patient = await people.patient(visit, "P", browser=browser)
        await asyncio.gather(therapist.opens_the_room(), patient.waits())
        await therapist.presses("Admit Patient")
        await patient.is_in_the_room()
        await patient.sees_and_hears(1)
        with phone.locked():
            await asyncio.sleep(ASLEEP)
            await therapist.sees_seat("P", state="admitted", presence="away")
        woke = time.monotonic()
        await asyncio.gather(*(person.sees_and_hears(1, frames=3) for person in (patient, therapist)))
        assert time.monotonic() - woke < AWAKE_WITHIN
        await patient.sees("You are in the room")
        await therapist.sees_seat("P", state="admitted", presence="connected")
        events = [e[0] for e in await practice.audit(visit.meeting) if e[1] == "P"]
        assert events.count("seat.knocked") == events.count("seat.admitted") == 1
        assert "seat.left" not in events
