"""A visit on bad networks: what is lost, late or interrupted for one person, and that the visit goes on."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.people import People
from tests.e2e.practice import Practice
from tests.support.impairment import Conditions

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_media_takes_the_way_it_is_given(practice: Practice, people: People) -> None:
    visit, link = await practice.book("individual"), people.link()
    patient, therapist = await people.patient(visit, "P", link=link), await people.therapist(visit)
    await asyncio.gather(patient.waits(), therapist.opens_the_room())
    await therapist.presses("Admit Patient")
    await asyncio.gather(patient.sees_and_hears(1, frames=40), therapist.sees_and_hears(1))
    assert min(link.up.passed, link.down.passed) > 100
    link.both(Conditions(loss=1))
    await patient.receives_nothing()
