"""A browser that cannot encrypt from end to end is refused before it is asked for camera and microphone."""

from __future__ import annotations

import hashlib

import pytest
from playwright.async_api import Route

from tests.e2e.people import People, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

# As Chrome 140 is: it has the curves, and lets no worker have the frames.
OLD = """
delete window.RTCRtpScriptTransform;
window.asked = 0;
const ask = navigator.mediaDevices.getUserMedia;
navigator.mediaDevices.getUserMedia = function (...how) { window.asked += 1; return ask.apply(this, how); };
"""
SECRET = "0123456789ABCDEFGHJKMNPQRS"
TOLD = "This browser cannot encrypt your visit from end to end"


async def is_refused(person: Person) -> None:
    """Read why, and see that nothing was asked for and nothing connected."""
    await person.page.get_by_text(TOLD).first.wait_for()
    assert await person.page.evaluate("window.asked") == 0
    assert await person.transports() == 0


async def test_a_patient_with_an_old_browser_is_told_before_the_camera_is_asked_for(people: People) -> None:
    visit = await people.practice.book()
    patient = await people.patient(visit, "A")
    await patient.page.add_init_script(OLD)

    async def encrypted(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json=await answer.json() | {"encryption": "end-to-end"})

    await patient.page.route("**/api/enter", encrypted)
    await patient.opens_link()
    await patient.enters()
    await is_refused(patient)
    await patient.sees("Please open your link in another browser")


async def test_a_therapist_with_an_old_browser_is_told_before_the_camera_is_asked_for(people: People) -> None:
    visit = await people.practice.book(**{"link-authenticator-hash": hashlib.sha256(b"x" * 32).hexdigest()})
    therapist = await people.therapist(visit)
    await therapist.page.add_init_script(OLD)
    await therapist.signs_in()
    await therapist.page.get_by_label("Your full link, or the room code").fill(SECRET)
    await therapist.presses("Continue")
    await therapist.presses("Open the room")
    await is_refused(therapist)


async def test_an_old_browser_goes_on_where_nothing_is_encrypted_from_end_to_end(people: People) -> None:
    visit = await people.practice.book()
    patient = await people.patient(visit, "A")
    await patient.page.add_init_script(OLD)
    await patient.opens_link()
    await patient.enters()
    await patient.sees("Camera and microphone")
