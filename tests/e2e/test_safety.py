"""Leaving quickly (N10): at once, without a trace on this device, and nothing unusual for the partner."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import pytest
from playwright.async_api import Request, expect

from tests.e2e.people import WITHIN, Patient, People, Therapist
from tests.e2e.practice import Practice, Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

NEUTRAL: Final = "Kitchen measures"
PATH: Final = "/static/neutral.html"

# Remembers every camera and microphone that the page opens, to see later whether their lights are out.
REMEMBER_TRACKS = """
window.tracks = [];
const devices = navigator.mediaDevices; // the blank page has none
const ask = devices?.getUserMedia.bind(devices);
if (devices) devices.getUserMedia = async (...wanted) => {
  const stream = await ask(...wanted);
  window.tracks.push(...stream.getTracks());
  return stream;
};
"""

# What is on the screen a moment after the very key press or click, before anything could be fetched.
AT_ONCE = """
window.atOnce = null;
const look = () => {
  if (window.atOnce) return;
  const gone = document.title === "Kitchen measures" && !document.getElementById("leave-quickly");
  if (gone) window.atOnce = document.documentElement.hidden ? "blank" : document.body.innerText.slice(0, 16);
};
addEventListener("click", look);
addEventListener("keydown", look);
"""


class Asked:
    """Every request of a page: its address and all its headers."""

    def __init__(self, person: Patient) -> None:
        self._requests: list[Request] = []
        person.page.on("request", self._take)

    def _take(self, request: Request) -> None:
        self._requests.append(request)

    async def said(self) -> list[str]:
        """Addresses and headers of all requests so far."""
        found = []
        for request in self._requests:
            found += [request.url, *(await request.all_headers()).values()]
        return found


class Shown:
    """What the server tells a page of the others, without the times."""

    def __init__(self, person: Patient) -> None:
        self.others: list[Any] = []
        person.page.on("websocket", lambda socket: socket.on("framereceived", self._take))

    def _take(self, frame: str | bytes) -> None:
        message = json.loads(frame)
        if message["type"] == "place":
            self.others.append([[one["seat"], one["presence"], one["muted"]] for one in message["others"]])


async def in_the_room(people: People, visit: Visit, *scripts: str) -> tuple[Patient, Patient, Therapist]:
    """A couple in the room with their therapist; what they share does not matter here."""
    therapist = await people.therapist(visit)
    a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
    for partner in (a, b):
        for script in scripts:
            await partner.context.add_init_script(script)
        await partner.page.goto("about:blank")
    await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
    await therapist.presses("Admit both")
    await asyncio.gather(a.is_in_the_room(), b.is_in_the_room())
    return a, b, therapist


async def left_nothing(person: Patient) -> None:
    """See the neutral page, and nothing else by any way back."""
    # Shown from memory first, then loaded for real: only then is nothing of the visit alive behind it.
    await person.page.wait_for_function(
        "(path) => document.readyState === 'complete'"
        " && performance.getEntriesByType('navigation')[0]?.name.endsWith(path)",
        arg=PATH,
        timeout=WITHIN,
    )
    await person.sees(NEUTRAL)
    await expect(person.page).to_have_title(NEUTRAL, timeout=WITHIN)
    assert await person.page.evaluate("sessionStorage.length + localStorage.length") == 0
    await person.page.go_back()
    assert person.page.url == "about:blank", "the way back must not lead into the visit"
    await person.page.go_forward()
    await person.sees(NEUTRAL)


async def test_one_press_or_three_escapes_leave_nothing_behind(practice: Practice, people: People) -> None:
    visit = await practice.book()
    a, b, therapist = await in_the_room(people, visit, REMEMBER_TRACKS, AT_ONCE)
    heard_by_b = Shown(b)
    await b.reload()
    await b.is_in_the_room()
    await b.reads("Partner A")

    # First the ordinary way, to know what any leaving shows.
    before = len(heard_by_b.others)
    await a.presses("Leave")
    await a.sees("You have left")
    await expect(b.page.get_by_role("figure", name="Partner A")).to_have_count(0, timeout=WITHIN)
    ordinary = heard_by_b.others[before:]
    await a.presses("Come back")
    await a.checks_devices()
    await a.presses("Enter the waiting room")
    await therapist.presses("Admit Partner A")
    await a.is_in_the_room()
    await b.reads("Partner A")
    await asyncio.gather(a.sees_and_hears(2), b.sees_and_hears(2))
    assert [cookie["name"] for cookie in await a.context.cookies()] != []

    before = len(heard_by_b.others)
    await a.presses("Leave quickly")
    await left_nothing(a)
    await therapist.sees_seat("A", state="left")
    assert await a.context.cookies() == []
    await expect(b.page.get_by_role("figure", name="Partner A")).to_have_count(0, timeout=WITHIN)
    assert heard_by_b.others[before:] == ordinary
    events = [event for event in await practice.audit(visit.meeting) if event[0] == "seat.left"]
    assert events == [("seat.left", "A", "A", None), ("seat.left", "A", "A", "left-page")]
    await b.sees_and_hears(1)

    # Three times Escape leaves without a network too.
    await b.context.set_offline(True)
    await b.reads("The connection was lost.")
    for _ in range(3):
        await b.page.keyboard.press("Escape")
    assert await b.page.evaluate("window.atOnce") == NEUTRAL
    await b.sees(NEUTRAL)
    assert await b.page.title() == NEUTRAL
    tracks = await b.page.evaluate("window.tracks.map(({readyState}) => readyState)")
    assert tracks
    assert set(tracks) == {"ended"}
    states = await b.page.evaluate("window.connections.map(({connectionState}) => connectionState)")
    assert states
    assert set(states) == {"closed"}
    await therapist.sees_seat("B", presence="away")

    # With the network back the place is given up, and the page in memory makes way for a real one.
    await b.context.set_offline(False)
    await therapist.sees_seat("B", state="left")
    await b.page.wait_for_function(f"performance.getEntriesByType('navigation')[0].name.endsWith('{PATH}')")
    await left_nothing(b)
    assert await b.context.cookies() == []


async def test_the_seat_token_and_the_link_secret_go_nowhere(practice: Practice, people: People) -> None:
    visit = await practice.book("individual")
    patient, therapist = await people.patient(visit, "P"), await people.therapist(visit)
    asked = Asked(patient)
    await patient.page.goto(visit.links["P"])
    assert await patient.page.evaluate("location.href") == f"{practice.url}/j/{visit.meeting}"
    await asyncio.gather(therapist.opens_the_room(), patient.waits())
    await therapist.presses("Admit Patient")
    await patient.is_in_the_room()
    await patient.reload()
    await patient.is_in_the_room()
    await patient.presses("Leave")
    await patient.sees("You have left")
    said = await asked.said()
    assert len(said) > 100, "the requests of a whole visit"
    for secret in (visit.tokens["P"], visit.password, visit.secret):
        for spelt in (secret, secret.replace("-", "")):
            assert [text for text in said if spelt.lower() in text.lower()] == []
            assert spelt.lower() not in practice.log().lower()
