"""Showing one's screen to the others in the room, and to nobody else."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import running_browser
from tests.e2e.people import WITHIN, People
from tests.e2e.practice import Practice
from tests.support.impairment import CLEAR, Conditions

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A headless browser has no screen to choose: this picks the page itself.
CHOOSE = "--auto-select-tab-capture-source-by-title=Visit"
SCREEN = "figure.screen"


async def shows_a_screen(page: Page) -> None:
    """Wait until somebody's screen is seen, in frames and not only in words."""
    await expect(page.locator(SCREEN)).to_be_visible(timeout=WITHIN)
    await page.wait_for_function(
        f"() => document.querySelector('{SCREEN} video')?.videoWidth > 0", timeout=WITHIN
    )


async def test_a_shared_screen_reaches_who_is_in_the_room_and_pauses_or_ends_as_that(
    practice: Practice,
) -> None:
    visit = await practice.book()
    async with running_browser(CHOOSE) as browser:
        people = People(practice, browser)
        link = people.link()
        therapist = await people.therapist(visit)
        a, b = await people.patient(visit, "A", link=link), await people.patient(visit, "B")
        await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
        await therapist.presses("Admit both")
        await asyncio.gather(*(person.sees_and_hears(2) for person in (a, b, therapist)))
        await therapist.presses("Move back Partner B")
        await b.sees("You are in the waiting room")
        spoken = a.page.locator("[aria-live=polite]")

        await therapist.presses("Share screen")
        await shows_a_screen(a.page)
        await expect(spoken).to_contain_text("shares a screen", timeout=WITHIN)
        assert await b.page.locator(SCREEN).count() == 0

        link.down.conditions = Conditions(rate_kbps=40)
        await a.reads("Shared screen paused: your connection is weak", within=30_000)
        link.both(CLEAR)
        await expect(a.page.get_by_text("Shared screen paused")).to_have_count(0, timeout=50_000)
        await shows_a_screen(a.page)

        await therapist.presses("Stop sharing")
        await expect(spoken).to_contain_text("no longer shares a screen", timeout=WITHIN)
        await expect(a.page.locator(SCREEN)).to_have_count(0, timeout=WITHIN)
        await asyncio.gather(a.sees_and_hears(1), therapist.sees_and_hears(1))
        await people.go_home()
