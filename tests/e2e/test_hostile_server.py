"""What a hostile server gets, and what people see of it, in whole visits with real pages.

All of it in two visits, one after the other: who may be in the room's conversation, and what is withheld.
"""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect

from tests.e2e.hostile import FORGE, Wire, as_if, opens_nothing, without
from tests.e2e.people import WITHIN, People, Person
from tests.e2e.practice import Practice
from tests.e2e.test_encrypted_visit import NOBODY, SEALED, conversation, hears_of
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

SECURING = "Securing the conversation"
MISMATCH = "This person’s link does not match"
TEXT = "I did hear you."
PERHAPS = (
    "The connection was interrupted, so perhaps this was not sent. Your text stays here. "
    "Press “Send” again when the connection is back."
)
AT_ONCE = 1.0
"""Seconds after a click within which whoever it puts out must open nothing more of the host."""
QUIET = 3
"""Seconds without a sign of the host for which a guest's page goes on sending (decision 13)."""
SLACK = 2.0
"""Seconds that a busy machine may take to notice."""
LOUDNESS = "a=extmap:9 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"

UNPLUG = """() => {
  const { track } = window.connections.at(-1).getTransceivers()[0].sender;
  track.dispatchEvent(new Event("ended"));
}"""
COVERED = """() => {
  const [sound, picture] = window.connections.at(-1).getTransceivers().map(({ sender }) => sender.track);
  return [!sound.enabled, "canvas" in picture];
}"""
"""Whether silence and black go out in the place of microphone and camera."""

UNSEEN = "Partner B can hear and see what is said here, but the server does not show them in the room."


def heard(wire: Wire, kind: str) -> int:
    """How many messages of this type the server has had for the page."""
    return sum(message["type"] == kind for message in wire.told)


async def falls_silent(person: Person) -> int:
    """Wait until no packet has left this page for half a second; returns how many have left it in all."""
    seen = [-1]

    async def still() -> bool:
        seen.append((await person.carried())["packetsSent"])
        await person.page.wait_for_timeout(500)
        return seen[-1] == seen[-2]

    await eventually(still, WITHIN / 1000)
    return seen[-1]


async def test_who_is_in_the_conversation_is_not_for_the_server_to_say(
    practice: Practice, people: People
) -> None:
    visit = await practice.book()
    therapist = await people.therapist(visit)
    a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
    of_therapist, of_a, of_b = [await Wire.of(person) for person in (therapist, a, b)]
    await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
    await therapist.presses("Admit Partner A")
    await asyncio.gather(therapist.sees_and_hears(1), a.sees_and_hears(1))

    # The server lets in who waits: all is forwarded to B, and B's keys are handed over.
    of_therapist.shows(as_if("B", state="waiting", in_room=False))
    await of_therapist.invents("admit", "B")
    await b.is_in_the_room()
    await b.reads(SECURING)
    await opens_nothing(of_b, "T", "A")
    await therapist.sees_seat("B", state="waiting")
    await expect(therapist.page.locator(".tile")).to_have_count(1, timeout=WITHIN)
    assert len(of_therapist.candidates("B")) == 1
    assert of_therapist.adds("B") == 0
    # The therapist lets B in.
    await therapist.presses("Admit Partner B")
    of_therapist.is_honest()
    await asyncio.gather(*(person.sees_and_hears(2) for person in (therapist, a, b)))

    # The server puts back whom the therapist has put on hold.
    await therapist.presses("Hold Partner B")
    await b.sees("On hold")
    await therapist.sees_seat("B", state="held")
    held = of_therapist.view
    of_therapist.shows(lambda _: held)
    await of_therapist.invents("resume", "B")
    await b.is_in_the_room()
    await opens_nothing(of_b, "T", "A")
    await therapist.sees_seat("B", state="held")
    await eventually(lambda: len(of_therapist.candidates("B")) == 2, WITHIN / 1000)
    assert of_therapist.adds("B") == 1

    # It hands over keys of its own under B's name; then B's former ones, while the therapist lets B in.
    used, true = of_therapist.candidates("B")
    group = f"{visit.meeting}/{true['generation']}"
    forged = await b.page.evaluate(FORGE, [group, "B", "Partner B"])
    of_therapist.tells_page(true | forged)
    await therapist.reads(MISMATCH)
    await therapist.presses("Resume Partner B")
    of_therapist.is_honest()
    await therapist.reads("Partner B is not let into the conversation")
    of_therapist.tells_page(used)
    await expect(therapist.page.get_by_text(MISMATCH)).to_have_count(0, timeout=WITHIN)
    await opens_nothing(of_b, "T", "A")
    assert of_therapist.adds("B") == 1
    of_therapist.tells_page(true)
    await asyncio.gather(*(person.sees_and_hears(2) for person in (therapist, a, b)))

    # It shows B to nobody, who is in the conversation.
    of_a.shows(without("B"))
    alarm = a.page.locator("[data-banner=alarm]")
    await expect(alarm).to_contain_text(
        f"{UNSEEN} Say nothing private, and tell your therapist.", timeout=WITHIN
    )
    of_therapist.keeps_from_server("commit")
    of_therapist.shows(as_if("B", state="waiting", in_room=False))
    alarm = therapist.page.locator("[data-banner=alarm]")
    await expect(alarm).to_contain_text(
        f"{UNSEEN} Say nothing private. They are being taken out.", timeout=WITHIN
    )
    of_therapist.lets_through("commit")
    for person in (therapist, a):
        await expect(person.page.locator("[data-banner=alarm]")).to_have_count(0, timeout=WITHIN)
    await b.reads(SECURING)
    await opens_nothing(of_b, "T", "A")
    of_a.is_honest()
    of_therapist.is_honest()
    await asyncio.gather(*(person.sees_and_hears(2) for person in (therapist, a, b)))

    # It keeps the removal to itself: B's place stands, and nobody else hears of the keys without B.
    of_therapist.keeps_from_server("act", "commit")
    await therapist.presses("Remove Partner B")
    await therapist.presses("Remove Partner B now")
    asked = (await of_therapist.kept("act"))["id"]
    of_therapist.tells_page({"type": "reply", "id": asked, "code": None})
    of_therapist.shows(as_if("B", state="removed", in_room=False))
    await opens_nothing(of_b, "T", within=AT_ONCE + SLACK)
    await a.reads(SECURING)
    await opens_nothing(of_b, "T", "A")
    of_therapist.lets_through("commit")
    await asyncio.gather(therapist.sees_and_hears(1), a.sees_and_hears(1))
    # Nor does it put B back, with B's fresh keys.
    await eventually(lambda: len(of_therapist.candidates("B")) == 4, WITHIN / 1000)
    await b.is_in_the_room()
    await b.reads(SECURING)
    await opens_nothing(of_b, "T", "A")
    assert of_therapist.adds("B") == 3


async def test_what_a_server_withholds_is_not_taken_for_said(practice: Practice, people: People) -> None:
    visit = await practice.book("individual")
    therapist, patient = await people.therapist(visit), await people.patient(visit, "P")
    of_therapist, of_patient = await Wire.of(therapist), await Wire.of(patient)
    await asyncio.gather(therapist.opens_the_room(), patient.waits())
    await therapist.presses("Admit Patient")
    await asyncio.gather(therapist.sees_and_hears(1), patient.sees_and_hears(1))

    # What the patient writes is withheld, and nothing said of it.
    await patient.presses("Chat")
    await therapist.presses("Chat")
    chat = conversation(patient, "Chat")
    box, log, problem = chat.get_by_label("Your message"), chat.get_by_role("log"), chat.get_by_role("alert")
    of_patient.keeps_from_server("sealed")
    await box.fill(TEXT)
    await box.press("Enter")
    # Meanwhile the therapist's microphone and camera go: nothing but a written sign keeps the patient's open.
    await therapist.page.evaluate(UNPLUG)
    await therapist.reads("No microphone")
    await therapist.presses("Turn camera off")
    sent, signs = await falls_silent(therapist), heard(of_patient, "sealed")
    await expect(problem).to_have_text(PERHAPS, timeout=WITHIN)
    await expect(box).to_have_value(TEXT, timeout=WITHIN)
    # It is said that nobody is there; then it goes out.
    await patient.presses("Send")
    asked = (await of_patient.kept("sealed", 2))["id"]
    of_patient.tells_page({"type": "reply", "id": asked, "code": "nobody-there"})
    await expect(problem).to_have_text(NOBODY, timeout=WITHIN)
    await expect(box).to_have_value(TEXT, timeout=WITHIN)
    await expect(log).not_to_contain_text(TEXT, timeout=WITHIN)
    of_patient.lets_through("sealed", late=False)
    await patient.presses("Send")
    await expect(log).to_contain_text(TEXT, timeout=WITHIN)
    await expect(box).to_have_value("", timeout=WITHIN)
    await hears_of(therapist, "Chat", TEXT)

    # The sign is enough, also when it has been the only one for longer than anything else would count.
    await eventually(lambda: heard(of_patient, "sealed") >= signs + QUIET + 1, WITHIN / 1000)
    assert (await therapist.carried())["packetsSent"] == sent
    await therapist.sees_and_hears(1)
    assert await patient.page.evaluate(COVERED) == [False, False]
    # The server withholds it: the patient's page sends nothing that anybody could open, and says so.
    of_patient.keeps_from_page("sealed")
    await eventually(lambda: patient.page.evaluate(f"({COVERED})().every(Boolean)"), QUIET + SLACK)
    await patient.reads(SECURING)
    await opens_nothing(of_therapist, "P")
    await therapist.reads(f"{SECURING} with Patient")
    of_patient.lets_through("sealed")
    await therapist.sees_and_hears(1)
    await patient.reads(SEALED)

    # It says that the visit is not sealed after all; it asks for how loud each packet is.
    camera = await patient.page.evaluate_handle("window.connections.at(-1).getTransceivers()[1].sender.track")
    of_patient.shows(lambda view: view | {"encryption": "transport-only"})
    await patient.sees("This visit is not protected as your link says")
    offer = next(message for message in of_therapist.told if message["type"] == "offer")
    of_therapist.tells_page(offer | {"sdp": f"{offer['sdp']}{LOUDNESS}"})
    await therapist.sees("The connection was not offered as it should be")
    assert await camera.evaluate("(track) => track.readyState") == "ended"
    for person in (patient, therapist):
        assert await person.page.evaluate("window.connections.map((one) => one.connectionState)") == [
            "closed"
        ]
