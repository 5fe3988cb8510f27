"""Every state of every page, looked at as everybody may see it: WCAG 2.2 AA, no sideways scrolling."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from playwright.async_api import expect

from tests.e2e.looking import looks_right
from tests.e2e.people import WITHIN, People
from tests.e2e.practice import Practice

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

IN_APP = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Instagram 300.0"

# The browser's own question is answered with yes by a flag for the whole browser; here somebody says no.
NOTHING_ALLOWED = """
navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };
"""


async def test_on_the_way_in(practice: Practice, people: People) -> None:
    visit = await practice.book()
    in_app = await people.patient(visit, "A", user_agent=IN_APP)
    await in_app.opens_link()
    await in_app.sees("Please open your link in another browser")
    await looks_right(in_app.page, "unsupported browser")

    a = await people.patient(visit, "A")
    await a.page.goto(practice.url)
    await a.sees("Welcome")
    await looks_right(a.page, "by hand")
    await a.presses("Continue")
    await a.reads("Please enter the meeting ID.")
    await looks_right(a.page, "by hand, nothing typed")
    await a.opens_link()
    await a.sees("Welcome")
    await looks_right(a.page, "link opened")
    await a.page.get_by_label("Visit password").fill("00000-00000")
    await a.presses("Continue")
    await a.reads("Check the meeting ID")
    await looks_right(a.page, "wrong password")
    await a.enters()
    await a.sees("Camera and microphone")
    await looks_right(a.page, "check, not asked yet")
    await a.checks_devices()
    await expect(a.page.get_by_role("button", name="Continue")).to_be_enabled(timeout=WITHIN)
    await looks_right(a.page, "check, camera open")
    await a.presses("Continue")
    await a.reads("I have read this and agree")
    await looks_right(a.page, "agreement")
    await a.agrees()
    await a.sees("You are in the waiting room")
    await looks_right(a.page, "waiting")
    await a.presses("Leave the waiting room")
    await a.sees("You have left")
    await looks_right(a.page, "left")

    closed = await people.patient(visit, "B")
    await closed.context.add_init_script(NOTHING_ALLOWED)
    await closed.opens_link()
    await closed.enters()
    await closed.checks_devices()
    await closed.reads("Your browser keeps camera or microphone closed")
    await looks_right(closed.page, "permission denied")

    await a.page.goto(f"{practice.url}/static/neutral.html")
    await a.sees("Kitchen measures")
    await looks_right(a.page, "neutral page")


async def test_in_the_waiting_room_and_the_room(practice: Practice, people: People) -> None:
    visit = await practice.book()
    therapist = await people.therapist(visit)
    await therapist.page.goto(visit.host_link)
    await therapist.sees("Sign in")
    await looks_right(therapist.page, "sign in")
    await therapist.page.get_by_label("Account name").fill("nobody")
    await therapist.page.get_by_label("Password").fill("nothing")
    await therapist.presses("Sign in")
    await therapist.reads("Check the name and the password.")
    await looks_right(therapist.page, "sign in, refused")
    await therapist.signs_in()
    await therapist.sees("Couple visit")
    await therapist.reads("The room is not open yet")
    await looks_right(therapist.page, "host, nobody here")

    a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
    await asyncio.gather(a.waits(), b.waits())
    await therapist.reads("Both are waiting")
    await looks_right(therapist.page, "host, couple waits")
    await therapist.presses("Deny Partner B")
    await therapist.reads("They may ask again.")
    await looks_right(therapist.page, "host, deny question")
    await therapist.page.get_by_label("Reason, shown to Partner B").fill("Please come at ten.")
    await therapist.presses("Deny Partner B now")
    await b.sees("You cannot be let in at the moment")
    await b.reads("Please come at ten.")
    await looks_right(b.page, "denied")
    await b.presses("Ask again")
    await b.sees("You are in the waiting room")
    await therapist.presses("Ask to wait Partner A")
    await a.sees("Your therapist asks you to wait a little longer")
    await looks_right(a.page, "asked to wait")

    await therapist.presses("Open the room")
    await therapist.reads("Nobody is with you in the room.")
    await looks_right(therapist.page, "host, alone in the room")
    await therapist.presses("Admit both")
    await asyncio.gather(a.is_in_the_room(), b.is_in_the_room())
    await asyncio.gather(a.sees_and_hears(2), therapist.sees_and_hears(2))
    await looks_right(a.page, "admitted")
    await looks_right(therapist.page, "host, both admitted")
    await therapist.presses("Mute Partner A")
    await a.reads("Your therapist has muted you.")
    await looks_right(a.page, "muted")
    await therapist.presses("Unmute Partner A")
    await therapist.presses("Hold Partner A")
    await a.sees("On hold")
    await looks_right(a.page, "held")
    await looks_right(therapist.page, "host, one on hold")
    await therapist.presses("Resume Partner A")
    await a.is_in_the_room()

    await a.context.set_offline(True)
    await a.reads("The connection was lost.")
    await looks_right(a.page, "reconnecting")
    await a.context.set_offline(False)
    await a.page.wait_for_selector("body[data-line=open]")
    await therapist.context.set_offline(True)
    await therapist.reads("The connection to the server was lost.")
    await looks_right(therapist.page, "host, reconnecting")
    await therapist.context.set_offline(False)
    await therapist.page.wait_for_selector("body[data-line=open]")

    elsewhere = await people.another_tab(therapist)
    await elsewhere.page.goto(visit.host_link)
    await elsewhere.reads("Your camera is on in another window")
    await looks_right(elsewhere.page, "host, elsewhere")
    await elsewhere.page.close()
    await therapist.presses("Leave the room")
    await therapist.sees("You have left the room")
    await looks_right(therapist.page, "host, left")
    await a.sees("On hold")
    await looks_right(a.page, "paused")
    await therapist.presses("Open the visit here")
    await therapist.presses("Open the room")
    await a.is_in_the_room()
    await therapist.sees_and_hears(2)

    await therapist.presses("Remove Partner B")
    await therapist.reads("cannot come back until you readmit them")
    await looks_right(therapist.page, "host, remove question")
    await therapist.presses("Remove Partner B now")
    await b.sees("You are no longer in this visit")
    await looks_right(b.page, "removed")
    await therapist.presses("End for everyone", exact=False)
    await therapist.reads("End the visit for everyone?")
    await looks_right(therapist.page, "host, end question")
    await therapist.presses("End the visit now")
    await asyncio.gather(a.sees("The visit has ended"), therapist.sees("The visit has ended"))
    await looks_right(a.page, "ended")
    await looks_right(therapist.page, "host, ended")


async def test_on_two_devices(practice: Practice, people: People) -> None:
    visit = await practice.book("individual")
    first, second = await people.patient(visit, "P"), await people.patient(visit, "P")
    await first.waits()
    await second.opens_link()
    await second.enters()
    await second.sees("Asking your other device")
    await looks_right(second.page, "asking the first device")
    await first.reads("Another device asks to take your place.")
    await looks_right(first.page, "asked by a second device")
    await first.presses("No, stay here")
    await second.sees("Your other device keeps the place")
    await looks_right(second.page, "second device refused")
    await second.presses("Ask again")
    await first.presses("Yes, move there")
    await first.sees("Your visit has moved to your other device")
    await looks_right(first.page, "moved to the second device")
    await second.sees("You are in the waiting room")
    tab = await people.another_tab(second)
    await tab.waits_again()
    await second.sees("Your visit is open in another window")
    await looks_right(second.page, "opened elsewhere")


async def test_while_the_store_is_away(practice: Practice, people: People) -> None:
    visit = await practice.book()
    therapist, a, b = (
        await people.therapist(visit),
        await people.patient(visit, "A"),
        await people.patient(visit, "B"),
    )
    await asyncio.gather(therapist.signs_in(), a.waits(), b.opens_link())
    await therapist.sees_seat("A", state="waiting")
    store = practice.store_pid()
    os.kill(store, signal.SIGSTOP)
    try:
        await b.enters()
        await b.reads("Nothing is wrong with what you typed.")
        await looks_right(b.page, "store away, at the door")
        await therapist.reads("The audit stream cannot be written at the moment")
        await looks_right(therapist.page, "host, store away")
        await a.reads("nobody can be let in at the moment")
        await looks_right(a.page, "store away, waiting")
    finally:
        os.kill(store, signal.SIGCONT)
    await practice.ready()


async def test_on_the_pages_of_the_staff(practice: Practice, people: People) -> None:
    for session in await practice.api("therapist", "GET", "/api/sessions"):
        if session["state"] == "open":
            await practice.api("therapist", "POST", f"/api/sessions/{session['meeting']}/end")
    admin, therapist = await people.therapist(), await people.therapist()
    await admin.signs_in("admin", path="/admin")
    await admin.reads("No open session")
    await looks_right(admin.page, "board, empty")

    await therapist.signs_in(path="/staff")
    await therapist.reads("There is no open session.")
    await looks_right(therapist.page, "sessions, none")
    await therapist.presses("Book")
    await therapist.sees("The session is booked")
    await looks_right(therapist.page, "booked links")
    await therapist.presses("I have handed them out")
    await therapist.presses("End …")
    await therapist.reads("End this session for everyone?")
    await looks_right(therapist.page, "sessions, end question")

    patient = await people.patient(await practice.book("individual"), "P")
    await patient.waits()
    await admin.reads("1 waiting")
    await looks_right(admin.page, "board, rooms")
    await admin.presses("Sign out")
    await admin.sees("Sign in")
    await looks_right(admin.page, "board, signed out")
