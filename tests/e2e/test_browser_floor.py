"""A browser that cannot encrypt from end to end is refused before it is asked for camera and microphone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.e2e.conftest import running_practice
from tests.e2e.people import People, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

# As Chrome 140 is: it has the curves, and lets no worker have the frames.
OLD = """
delete window.RTCRtpScriptTransform;
window.asked = 0;
const ask = navigator.mediaDevices.getUserMedia;
navigator.mediaDevices.getUserMedia = function (...how) { window.asked += 1; return ask.apply(this, how); };
"""
TOLD = "This browser cannot encrypt your visit from end to end"
OPEN = "Not end-to-end encrypted"


async def is_refused(person: Person) -> None:
    """Read why, and see that nothing was asked for and nothing connected."""
    await person.page.get_by_text(TOLD).first.wait_for()
    assert await person.page.evaluate("window.asked") == 0
    assert await person.transports() == 0


async def test_an_old_browser_is_told_before_the_camera_is_asked_for(people: People) -> None:
    visit = await people.practice.book()
    patient, therapist = await people.patient(visit, "A"), await people.therapist(visit)
    for person in (patient, therapist):
        await person.page.add_init_script(OLD)
    await patient.opens_link()
    await patient.enters()
    await is_refused(patient)
    await patient.sees("Please open your link in another browser")

    await therapist.signs_in()
    await therapist.presses("Open the room")
    await is_refused(therapist)


async def test_old_browsers_meet_where_programs_publish_and_are_told_that_the_server_could_listen(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUIETROOM_WHIP", "1")
    async with running_practice(tmp_path) as practice:
        people, visit = People(practice, browser), await practice.book_transport_only("individual")
        patient, therapist = await people.patient(visit, "P"), await people.therapist(visit)
        for person in (patient, therapist):
            await person.page.add_init_script(OLD)
        await asyncio.gather(therapist.opens_the_room(), patient.waits())
        await patient.reads(OPEN)
        await therapist.presses("Admit Patient")
        await asyncio.gather(*(person.reads(OPEN) for person in (therapist, patient)))
        await asyncio.gather(*(person.sees_and_hears(1) for person in (therapist, patient)))
        await people.go_home()
