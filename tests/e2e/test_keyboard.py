"""A whole visit by keyboard alone: the focus is always seen, and stands on the heading after each step."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest
from playwright.async_api import Page, expect

from broker.agreement import CURRENT
from tests.e2e.people import WITHIN, Patient, People, Therapist
from tests.e2e.practice import Practice

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

MOST_STOPS: Final = 40
"""Presses of Tab after which a control counts as out of reach."""

# Where the focus is, and whether a person can see it there: inside the window, marked, under nothing else.
FOCUSED = """() => {
  const at = document.activeElement;
  if (at === null || at === document.body) return {name: "", level: 0, seen: null};
  const {left, top, width, height} = at.getBoundingClientRect();
  const [x, y] = [left + width / 2, top + height / 2];
  const over = document.elementFromPoint(x, y);
  const {outlineStyle, outlineWidth} = getComputedStyle(at);
  const marked = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  const above = over !== null && (at.contains(over) || over.labels?.length > 0 || over.contains(at));
  const label = at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent;
  const outside = width < 1 || x < 0 || y < 0 || x > innerWidth || y > innerHeight;
  const covered = above ? null : `covered by ${over?.outerHTML.slice(0, 60)}`;
  return {
    name: label.replace(/\\s+/g, " ").trim(),
    level: Number(/^H([1-6])$/.exec(at.tagName)?.[1] ?? 0),
    seen: !marked ? "not marked" : outside ? "outside" : covered,
  };
}"""


class Hands:
    """Somebody who has a keyboard and no mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def looks(self) -> dict[str, Any]:
        """Where the focus is, once the page has painted what was under way."""
        at: dict[str, Any] = await self.page.evaluate(FOCUSED)
        for _ in range(3):
            if at["seen"] is None:
                break
            await self.page.evaluate(
                "() => new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)))"
            )
            at = await self.page.evaluate(FOCUSED)
        return at

    async def goes_to(self, name: str, *, by: str = "Tab") -> None:
        """Press Tab until the focus is on what is called so; on the way it is seen at each stop."""
        stops = []
        for _ in range(MOST_STOPS):
            await self.page.keyboard.press(by)
            at = await self.looks()
            stops.append(at["name"])
            if at["name"]:
                assert at["seen"] is None, f"{at['name']!r} has the focus: {at['seen']}"
            if at["name"] == name:
                return
        raise AssertionError(f"{name!r} is not among {stops}")

    async def presses(self, name: str, key: str = "Enter", *, by: str = "Tab") -> None:
        """Go to a control, once it is there and can be used, and press it."""
        control = self.page.get_by_role("button", name=name, exact=True)
        await expect(control).to_be_enabled(timeout=WITHIN)
        await self.goes_to(name, by=by)
        await self.page.keyboard.press(key)

    async def types(self, name: str, text: str) -> None:
        """Go to a field and type."""
        await self.goes_to(name)
        await self.page.keyboard.type(text)

    async def stands_on(self, heading: str, level: int = 1) -> None:
        """Wait until the focus is on that heading, and seen."""
        await self.page.wait_for_function(
            f"(wanted) => {{ const at = ({FOCUSED})(); return `${{at.level}} ${{at.name}}` === wanted; }}",
            arg=f"{level} {heading}",
            timeout=WITHIN,
        )
        assert (await self.looks())["seen"] is None


async def patient_comes(patient: Patient, hands: Hands) -> None:
    """From the link into the waiting room."""
    await patient.opens_link()
    await patient.sees("Welcome")
    await patient.page.keyboard.press("Tab")
    assert (await patient.page.evaluate(FOCUSED))["name"] == "Leave quickly", "the first stop of all"
    assert patient.visit is not None
    await hands.types("Visit password", patient.visit.password)
    await patient.page.keyboard.press("Enter")
    await hands.stands_on("Camera and microphone")
    await hands.presses("Check camera and microphone", "Space")
    await hands.presses("Continue")
    await hands.stands_on(CURRENT.title)
    await hands.goes_to("I have read this and agree")
    await patient.page.keyboard.press("Space")
    await hands.presses("Enter the waiting room")
    await hands.stands_on("You are in the waiting room")


async def therapist_comes(therapist: Therapist, hands: Hands) -> None:
    """From the link of the visit through the sign-in into the room."""
    assert therapist.visit is not None
    await therapist.page.goto(therapist.visit.host_link)
    await therapist.sees("Sign in")
    await hands.types("Account name", "therapist")
    await hands.types("Password", therapist.practice.passwords["therapist"])
    await therapist.page.keyboard.press("Enter")
    await therapist.sees("Couple visit")
    await hands.presses("Open the room", "Space")
    await therapist.reads("Nobody is with you in the room.")


async def test_a_visit_without_a_mouse(practice: Practice, people: People) -> None:
    visit = await practice.book()
    therapist = await people.therapist(visit)
    a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
    at_host, at_a, at_b = Hands(therapist.page), Hands(a.page), Hands(b.page)
    await asyncio.gather(therapist_comes(therapist, at_host), patient_comes(a, at_a), patient_comes(b, at_b))

    # The button goes away with the waiting: the focus must not go with it.
    await at_host.presses("Admit both")
    await asyncio.gather(at_a.stands_on("You are in the room"), at_b.stands_on("You are in the room"))
    await at_host.stands_on("The couple", 2)
    await at_host.presses("Turn microphone off", "Space")
    await at_host.presses("Turn microphone on", "Space", by="Shift+Tab")

    await at_host.presses("Hold Partner A", by="Shift+Tab")
    await a.sees("On hold")
    await at_host.stands_on("Partner A", 3)
    await at_host.presses("Resume Partner A")
    await a.sees("You are in the room")

    # A question takes the focus; giving it up gives the focus back.
    await at_host.presses("Remove Partner B")
    reason = therapist.page.get_by_label("Reason, shown to Partner B")
    await expect(reason).to_be_focused(timeout=WITHIN)
    hint = "Partner B reads this, and it is kept in the audit stream. Write no names."
    await expect(reason).to_have_accessible_description(hint, timeout=WITHIN)
    await therapist.page.keyboard.press("Escape")
    await expect(reason).to_have_count(0, timeout=WITHIN)
    await at_host.stands_on("Partner B", 3)
    await at_host.presses("Remove Partner B")
    await expect(reason).to_be_focused(timeout=WITHIN)
    await therapist.page.keyboard.type("Until tomorrow.")
    await therapist.page.keyboard.press("Enter")
    await at_b.stands_on("You are no longer in this visit")

    await at_a.goes_to("Leave quickly", by="Shift+Tab")
    await at_a.presses("Leave")
    await at_a.stands_on("You have left")
    await at_host.presses("End for everyone …")
    await expect(therapist.page.get_by_role("button", name="Keep going")).to_be_focused(timeout=WITHIN)
    await at_host.presses("End the visit now")
    await at_host.stands_on("The visit has ended")


# A page of one button; later something comes up above it, higher than the window.
GROWING = """async (grown) => {
  const {painter} = await import("/static/js/page.js");
  const {html} = await import("/static/vendor/preact-htm.js");
  window.painted ??= painter();
  const height = `${grown ? 2000 : 10}px`;
  window.painted(
    html`<h1 tabindex="-1">News</h1><p style=${{height}}></p><button type="button">Press me</button>`,
    {word: "ready", scene: "only", title: "News"},
  );
}"""


@pytest.mark.parametrize("by_key", [True, False])
async def test_what_comes_up_above_does_not_push_the_focus_away(
    practice: Practice, people: People, by_key: bool
) -> None:
    page = (await people.therapist()).page
    await page.goto(f"{practice.url}/login")
    await page.evaluate(GROWING, False)
    if by_key:
        await Hands(page).goes_to("Press me")
    await page.evaluate(GROWING, True)
    button = page.get_by_role("button", name="Press me")
    if by_key:
        await expect(button).to_be_in_viewport()
        assert (await page.evaluate(FOCUSED))["seen"] is None
    else:  # nobody's page scrolls by itself
        await expect(button).not_to_be_in_viewport()
