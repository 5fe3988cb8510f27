"""Booking an end-to-end encrypted session: its secret is made in a browser and stays with people."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.e2e.people import People
from tests.e2e.practice import Practice

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_secret_of_a_booking_is_in_its_links_and_never_sent(
    practice: Practice, people: People
) -> None:
    therapist = await people.therapist()
    sent: list[str] = []
    therapist.page.on("request", lambda request: sent.append(f"{request.url} {request.post_data}"))
    await therapist.signs_in(path="/staff")
    await therapist.presses("Book")
    await therapist.sees("The session is booked")
    shown = await therapist.page.locator("code").all_text_contents()
    seats = [re.search(r"/j/\w+#([AB])-[0-9A-Z-]{19}\.([0-9A-Z]{26})$", text) for text in shown]
    found = [match for match in seats if match]
    assert [match[1] for match in found] == ["A", "B"]
    (secret,) = {match[2] for match in found}
    assert secret in {text.replace("-", "") for text in shown}, "the room code for typing"
    assert any(text.endswith(f"#{secret}") and "/host/" in text for text in shown)
    hers = therapist.page.get_by_role("link", name="Open your page of this session")
    assert (await hers.get_attribute("href") or "").endswith(f"#{secret}")

    await therapist.presses("I have handed them out")
    listed = therapist.page.get_by_role("link", name="Open", exact=True)
    await expect(listed.first).to_be_visible()
    hrefs = [await link.get_attribute("href") or "" for link in await listed.all()]
    assert any(href.endswith(f"#{secret}") for href in hrefs), "this device keeps it"
    assert any("link-authenticator-hash" in line for line in sent)
    assert not any(secret in line for line in sent)

    meeting = next(href for href in hrefs if href.endswith(f"#{secret}")).split("/")[-1].split("#")[0]
    sessions = await practice.api("therapist", "GET", "/api/sessions")
    (mine,) = [session for session in sessions if session["meeting"] == meeting]
    assert mine["encryption"] == "end-to-end"
    kept = "Object.values({...localStorage}).join(' ')"
    assert secret in await therapist.page.evaluate(kept)
    row = therapist.page.get_by_role("listitem").filter(has_text=meeting[:6])
    await row.get_by_role("button", name="End …").click()
    await therapist.presses("End it now")
    await expect(row).to_have_count(0)
    assert secret not in await therapist.page.evaluate(kept)
