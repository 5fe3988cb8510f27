"""End-to-end encrypted visits as people have them.

They talk, write, check that nobody listens in, and are told the truth when something does not hold.
"""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Locator, Route, expect

from tests.e2e.people import WITHIN, Patient, People, Person, Therapist
from tests.e2e.practice import Practice, Visit
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

SEALED = "End-to-end encrypted: only those in this room"
KEPT = "JSON.stringify({...sessionStorage, ...localStorage})"
NOBODY = "Not sent: nobody is here to read it. Your text stays here. Press “Send” again when somebody is."
CHECKED = "You have checked together that nobody listens in."


async def writes(panel: Locator, text: str) -> None:
    """Type a message and send it, once; keys that are not there yet it waits for by itself."""
    box = panel.get_by_label("Your message")
    await box.fill(text, timeout=WITHIN)
    await box.press("Enter")
    await expect(box).to_have_value("", timeout=WITHIN)
    await expect(panel.get_by_role("log")).to_contain_text(text, timeout=WITHIN)


def conversation(person: Person, title: str) -> Locator:
    """The panel of a conversation."""
    return person.page.get_by_role("region", name=title, exact=True)


async def hears_of(person: Person, title: str, text: str) -> None:
    """Wait until it can be read there."""
    await expect(conversation(person, title).get_by_role("log")).to_contain_text(text, timeout=WITHIN)


async def in_the_room(practice: Practice, people: People) -> tuple[Visit, Therapist, Patient, Patient]:
    """A couple and their therapist, admitted and secured."""
    visit = await practice.book()
    therapist = await people.therapist(visit)
    a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
    await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
    await therapist.presses("Admit both")
    everybody = (therapist, a, b)
    await asyncio.gather(*(person.reads(SEALED) for person in everybody))
    await asyncio.gather(*(person.sees_and_hears(2) for person in everybody))
    return visit, therapist, a, b


async def pictures(person: Person) -> list[str]:
    """The five of the spoken check, as this page names them."""
    panel = conversation(person, "Check that nobody listens in")
    shown = panel.get_by_role("listitem")
    await expect(shown).to_have_count(5, timeout=WITHIN)
    return await shown.all_inner_texts()


async def compare(therapist: Therapist, a: Patient, b: Patient) -> list[str]:
    """They compare five pictures, and find that nobody listens in; returns the pictures."""
    await therapist.presses("Check that nobody listens in")
    seen = await asyncio.gather(*(pictures(person) for person in (therapist, a, b)))
    assert seen[0] == seen[1] == seen[2]
    for patient in (a, b):
        await patient.presses("They are the same")
    await therapist.presses("Everybody says they are the same")
    await asyncio.gather(*(person.reads(CHECKED) for person in (therapist, a, b)))
    return seen[0]


async def test_a_whole_visit_of_three_pages(practice: Practice, people: People) -> None:
    visit, therapist, a, b = await in_the_room(practice, people)
    everybody = (therapist, a, b)

    # They write, and each reads the others.
    for person in (therapist, a):
        await person.presses("Chat")
    await writes(conversation(a, "Chat"), "Grüße 👋")
    await hears_of(therapist, "Chat", "Grüße 👋")
    await expect(b.page.get_by_role("button", name="Chat 1 new")).to_be_visible(timeout=WITHIN)
    await b.presses("Chat 1 new")
    await hears_of(b, "Chat", "Grüße 👋")
    await writes(conversation(therapist, "Chat"), "Good morning.")
    for person in (a, b):
        await hears_of(person, "Chat", "Good morning.")

    seen = await compare(therapist, a, b)

    # One of them goes back to the waiting room, and misses what is said meanwhile.
    await therapist.presses("Move back Partner B")
    await b.sees("You are in the waiting room")
    await writes(conversation(a, "Chat"), "Between us.")
    await hears_of(therapist, "Chat", "Between us.")
    await b.receives_nothing()
    await asyncio.gather(therapist.sees_and_hears(1), a.sees_and_hears(1))
    await therapist.presses("Admit Partner B")
    await asyncio.gather(*(person.sees_and_hears(2) for person in everybody))
    assert "Between us." not in await b.page.content()

    # Their check goes on for the same page, and not when it is loaded anew.
    await asyncio.gather(*(person.reads(CHECKED) for person in everybody))
    await expect(therapist.page.get_by_text("come in anew")).to_have_count(0)
    await b.reload()
    await therapist.reads("Somebody has come in anew since you checked")
    await therapist.reads("Partner B’s page has come back with new keys.")
    await a.reads("Your therapist can check again.")
    await asyncio.gather(b.reads(SEALED), b.sees_and_hears(2))
    await therapist.presses("Check again that nobody listens in")
    assert await pictures(a) != seen
    await a.presses("They differ")
    for person in everybody:
        await person.reads("Your pictures differ: somebody may be listening in.")

    # It ends, and nothing of it is kept.
    assert "Grüße" not in practice.log()
    await b.presses("Leave quickly")
    await b.sees("Kitchen measures")
    await expect(b.page.get_by_text("Grüße")).to_have_count(0)
    assert await b.page.evaluate("sessionStorage.length") == 0
    await therapist.ends_for_everyone()
    await a.sees("The visit has ended")
    assert "Grüße" not in await a.page.content()
    await therapist.sees("The visit has ended")
    for person in (a, therapist):
        assert visit.secret not in await person.page.evaluate(KEPT)


async def test_the_therapist_writes_with_one_who_waits_and_nobody_else_reads_it(
    practice: Practice, people: People
) -> None:
    visit = await practice.book()
    therapist = await people.therapist(visit)
    a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
    await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
    await therapist.presses("Write to Partner A")
    await writes(conversation(therapist, "You and Partner A"), "Five more minutes.")
    await hears_of(a, "Your therapist writes to you", "Five more minutes.")
    await writes(conversation(a, "Your therapist writes to you"), "All right.")
    await hears_of(therapist, "You and Partner A", "All right.")
    assert "Five more minutes." not in await b.page.content()
    assert "writes to you" not in await b.page.content()

    # Who is gone reads nothing: the text stays in the box, and goes out when they are back.
    await a.page.goto("about:blank")
    await therapist.sees_seat("A", presence="away")
    pair = conversation(therapist, "You and Partner A")
    box = pair.get_by_label("Your message")
    await box.fill("Are you there?")
    await box.press("Enter")
    await expect(pair.get_by_role("alert")).to_have_text(NOBODY, timeout=WITHIN)
    await expect(box).to_have_value("Are you there?")
    await expect(pair.get_by_role("log")).not_to_contain_text("Are you there?")
    await a.page.goto(visit.links["A"])
    await a.sees("You are in the waiting room")

    async def is_sent() -> bool:
        await pair.get_by_role("button", name="Send", exact=True).click(timeout=WITHIN)
        return await box.input_value() == ""

    await eventually(is_sent, WITHIN / 1000)
    await hears_of(a, "Your therapist writes to you", "Are you there?")

    # A pair ends when its guest comes in; once moved back, it is made anew for whoever writes.
    await therapist.presses("Admit Partner A")
    await a.is_in_the_room()
    await therapist.presses("Move back Partner A")
    await a.sees("You are in the waiting room")
    await box.fill("A moment more.")
    await eventually(is_sent, WITHIN / 1000)
    await hears_of(a, "Your therapist writes to you", "A moment more.")


async def test_a_page_without_the_links_secret_asks_for_it(practice: Practice, people: People) -> None:
    visit = await practice.book("individual")
    patient = await people.patient(visit, "P")
    await patient.waits()
    await patient.page.evaluate("sessionStorage.removeItem('quietroom.link')")
    await patient.reload()
    await patient.sees("Paste your full link")
    await patient.page.get_by_label("Your full link, or the room code").fill("0123")
    await patient.presses("Continue")
    await patient.reads("This is neither a whole link nor a whole room code.")
    await patient.page.get_by_label("Your full link, or the room code").fill(visit.secret.lower())
    await patient.presses("Continue")
    await patient.sees("You are in the waiting room")

    therapist = await people.therapist(visit)
    therapist.visit = None
    await therapist.signs_in(path=visit.host_link.split("#")[0])
    await therapist.sees("Paste your own link of this visit")
    await therapist.page.get_by_label("Your full link, or the room code").fill(visit.host_link)
    await therapist.presses("Continue")
    await therapist.sees("Individual visit")


async def test_a_link_with_a_secret_refuses_a_visit_that_the_server_says_is_not_end_to_end_encrypted(
    practice: Practice, people: People
) -> None:
    patient = await people.patient(await practice.book("individual"), "P")

    async def lies(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json=await answer.json() | {"encryption": "transport-only"})

    await patient.page.route("**/api/enter", lies)
    await patient.opens_link()
    await patient.enters()
    await patient.sees("This visit is not protected as your link says")
    await patient.reads("call your practice")
