"""Ways in besides the link and the password: all typed by hand, or all in the link (A03, A04)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Request, Route, expect

from tests.e2e.people import Patient, People
from tests.e2e.practice import Practice

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def goes_on(patient: Patient) -> None:
    """From the camera check into the waiting room."""
    await patient.checks_devices()
    await patient.presses("Continue")
    await patient.agrees()
    await patient.sees("You are in the waiting room")


async def test_everything_can_be_typed_by_hand(practice: Practice, people: People) -> None:
    visit = await practice.book()
    b = await people.patient(visit, "B")
    await b.page.goto(practice.url)
    await b.page.get_by_label("Meeting ID").fill(f" {visit.meeting.upper()} ")
    await b.page.get_by_label("Seat code").fill(visit.tokens["B"].lower().replace("-", " "))
    await b.page.get_by_label("Room code").fill(" ".join(re.findall(".{1,5}", visit.secret.lower())))
    await b.page.get_by_label("Visit password").fill(visit.password.lower())
    await b.presses("Continue")
    await b.reads("Partner B")
    await goes_on(b)
    assert ("seat.knocked", "B", "B", None) in await practice.audit(visit.meeting)


async def test_a_link_with_the_password_asks_for_nothing_more(practice: Practice, people: People) -> None:
    asked: dict[str, Any] = {"password-in-link": True}
    apart, together = await practice.book(), await practice.book(**asked)
    assert apart.password not in str(apart.links)
    a = await people.patient(together, "A")
    await a.opens_link()
    await expect(a.page.get_by_label("Visit password")).to_have_count(0)
    assert a.page.url == f"{practice.url}/j/{together.meeting}"
    await a.presses("Continue")
    await goes_on(a)


async def test_who_has_only_the_bare_address_types_the_rest_and_is_seen_end_to_end_encrypted(
    practice: Practice, people: People
) -> None:
    """The link's end got lost, as in some mail programs; the practice reads the codes to them."""
    visit = await practice.book("individual")
    therapist, patient = await people.therapist(visit), await people.patient(visit, "P")
    await therapist.opens_the_room()
    page = patient.page
    await page.goto(f"{practice.url}/j/{visit.meeting}")
    await expect(page.get_by_label("Meeting ID")).to_have_count(0)
    await page.get_by_label("Seat code").fill(visit.tokens["P"])
    await page.get_by_label("Visit password").fill(visit.password)

    await page.get_by_label("Room code").fill(visit.secret[:-1])  # one character is missing
    await patient.presses("Continue")
    await patient.reads("This is neither a whole link nor a whole room code.")
    await expect(page.get_by_label("Room code")).to_be_focused()
    # None, and that of another visit: the door says no, and not why.
    for wrong in ("", visit.secret[::-1]):
        await page.get_by_label("Room code").fill(wrong)
        async with page.expect_response("**/api/enter") as answer:
            await patient.presses("Continue")
        assert (await answer.value).status == 403
        await patient.reads("Check the meeting ID, the seat code, the room code and the password")
    # The link is found after all, and pasted where the page asks first; a mailer had added to it.
    address, _, end = visit.links["P"].partition("#")
    await page.get_by_label("Room code").fill("")
    await page.get_by_label("Seat code").fill(f"{address}?utm_source=mail#{end}")
    async with page.expect_request("**/api/enter") as asked:
        await patient.presses("Continue")
    assert visit.secret not in ((await asked.value).post_data or "").upper()
    await patient.reads("Patient")
    await goes_on(patient)
    assert visit.secret not in page.url

    await therapist.presses("Admit Patient")
    await patient.reads("End-to-end encrypted: only those in this room")
    await patient.sees_and_hears(1)
    await patient.reload()  # this tab keeps the code
    await patient.reads("End-to-end encrypted: only those in this room")
    await therapist.sees_and_hears(1)


async def test_a_page_that_lost_a_part_on_its_way_is_loaded_anew_once_and_then_on_request(
    practice: Practice, people: People
) -> None:
    """A telephone changes networks while the page loads; its link is still whole."""
    visit = await practice.book()
    a = await people.patient(visit, "A")
    losses = 0
    loads = 0

    def count(request: Request) -> None:
        nonlocal loads
        loads += request.is_navigation_request()

    async def lose(route: Route) -> None:
        # Also when it is asked for a second time: browsers do so for what the page has only named.
        await (route.abort("failed") if loads <= losses else route.continue_())

    a.page.on("request", count)
    await a.page.route("**/js/visit-view.js", lose)
    losses = 1
    await a.page.goto(visit.links["A"])
    await a.reads("Visit password")
    assert loads == 2
    await a.page.goto("about:blank")
    losses, loads = 2, 0
    await a.page.goto(visit.links["A"])
    await a.reads("A part of this page could not be loaded.")
    await a.presses("Reload this page")
    await a.reads("Visit password")
    assert loads == 3
