"""Never alone (decision 3): partners are together only before a clinician who hears them.

What comes from the therapist is perfect all the time; only what goes to them is not.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.people import Patient, People, Therapist
from tests.e2e.practice import Practice
from tests.support.impairment import CLEAR, Conditions

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

IN_THE_DARK = 2.0
"""Seconds that partners may be together without a clinician."""
SLACK = 0.75
"""Seconds that two looks of the test may take on a machine that is busy with browsers."""
MOSTLY = 12.0
"""Seconds until one who still hears something is known to hear too little."""
PACKETS = 50
"""Of sound, a second."""
PARTNER = "3"
"""Where A hears B."""


async def _heard(a: Patient) -> int:
    return int((await a.carried())["tracks"][PARTNER]["packets"])


async def test_a_therapist_who_only_cannot_hear_is_not_with_them(practice: Practice, people: People) -> None:
    visit, link = await practice.book(), people.link()
    therapist: Therapist = await people.therapist(visit, link=link)
    a, b = partners = await people.patient(visit, "A"), await people.patient(visit, "B")
    await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
    await therapist.presses("Admit both")
    await asyncio.gather(*(partner.is_in_the_room() for partner in partners))
    await asyncio.gather(*(partner.sees_and_hears(2) for partner in partners))

    for loss, within in ((1.0, IN_THE_DARK), (0.85, MOSTLY)):
        link.down.conditions = Conditions(loss=loss)
        before = await _heard(a)
        await asyncio.gather(*(partner.sees("On hold", within=1000 * 2 * MOSTLY) for partner in partners))
        # In packets: a page may be slow to show it.
        assert await _heard(a) - before <= PACKETS * (within + SLACK)
        await asyncio.gather(*(partner.receives_no_more() for partner in partners))
        link.both(CLEAR)
        await asyncio.gather(*(partner.sees_and_hears(2) for partner in partners))
    reasons = [event for event in await practice.audit(visit.meeting) if event[0] == "seat.held"]
    assert {event[-1] for event in reasons} == {"clinician-lost"}
