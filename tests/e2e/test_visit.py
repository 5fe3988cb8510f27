"""A visit, end to end: a couple and their therapist in three real browsers, and the audit stream of it."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.people import Patient, People, Person, Therapist
from tests.e2e.practice import Practice, Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

BOOKED = [("session.booked", None, "staff", None)]


def arrives(seat: str) -> list[tuple[str, str | None, str, str | None]]:
    """What the audit stream says of a patient who comes up to the waiting room."""
    return [
        ("link.opened", seat, "anonymous", None),
        ("auth.ok", seat, seat, None),
        ("agreement.accepted", seat, seat, None),
        ("seat.knocked", seat, seat, None),
        ("media.up", seat, seat, None),
    ]


NAMED = """() => [...document.querySelectorAll("link[href$=js], script[src]")]
  .map(({href, src}) => href ?? src)"""
FETCHED = """() => performance.getEntriesByType("resource").filter(({name}) => name.endsWith(".js"))
  .map(({name, transferSize}) => [name, transferSize])"""


async def fetched(person: Person) -> list[tuple[str, int]]:
    """Each module that a page and its worker have asked for, and how many bytes the network brought of it."""
    (worker,) = person.page.workers
    return [(name, size) for asked in (person.page, worker) for name, size in await asked.evaluate(FETCHED)]


async def couple_waiting(people: People, visit: Visit) -> tuple[Patient, Patient, Therapist]:
    """Both partners wait, the therapist is in the room."""
    therapist = await people.therapist(visit)
    a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
    await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
    await therapist.sees_seat("A", state="waiting", presence="connected")
    await therapist.sees_seat("B", state="waiting", presence="connected")
    return a, b, therapist


async def couple_in_the_room(people: People, visit: Visit) -> tuple[Patient, Patient, Therapist]:
    """All three are in the room and see and hear each other."""
    a, b, therapist = await couple_waiting(people, visit)
    await therapist.presses("Admit both")
    await asyncio.gather(a.is_in_the_room(), b.is_in_the_room())
    await asyncio.gather(a.sees_and_hears(2), b.sees_and_hears(2), therapist.sees_and_hears(2))
    return a, b, therapist


async def test_a_couple_meets_their_therapist(practice: Practice, people: People) -> None:
    visit = await practice.book()
    a, b, therapist = await couple_waiting(people, visit)
    await asyncio.gather(a.receives_nothing(), b.receives_nothing())
    await therapist.presses("Admit both")
    await asyncio.gather(a.is_in_the_room(), b.is_in_the_room())
    await asyncio.gather(a.sees_and_hears(2), b.sees_and_hears(2), therapist.sees_and_hears(2))
    for person in (a, b, therapist):
        assert (await person.carried())["suite"] == "SRTP_AEAD_AES_256_GCM"

    await therapist.presses("Mute Partner A")
    await a.reads("Your therapist has muted you.")
    await therapist.presses("Unmute Partner A")

    await therapist.presses("Hold Partner A")
    await a.sees("On hold")
    await a.receives_nothing()
    await b.sees_and_hears(1)
    await therapist.presses("Resume Partner A")
    await a.is_in_the_room()
    await a.sees_and_hears(2)

    await therapist.presses("Move back Partner B")
    await b.sees("You are in the waiting room")
    await b.receives_nothing()
    await therapist.presses("Admit Partner B")
    await b.is_in_the_room()
    await b.sees_and_hears(2)

    await therapist.ends_for_everyone()
    await asyncio.gather(
        a.sees("The visit has ended"), b.sees("The visit has ended"), therapist.sees("The visit has ended")
    )

    events = await practice.audit(visit.meeting)
    assert [e for e in events if e[1] == "A" and not e[0].startswith("media.")] == [
        e for e in arrives("A") if e[0] != "media.up"
    ] + [
        ("seat.admitted", "A", "staff", None),
        ("seat.muted", "A", "staff", None),
        ("seat.unmuted", "A", "staff", None),
        ("seat.held", "A", "staff", None),
        ("seat.resumed", "A", "staff", None),
    ]
    assert [e for e in events if e[1] == "B" and not e[0].startswith("media.")] == [
        e for e in arrives("B") if e[0] != "media.up"
    ] + [
        ("seat.admitted", "B", "staff", None),
        ("seat.moved-back", "B", "staff", None),
        ("seat.admitted", "B", "staff", None),
    ]
    assert ("seat.entered", "T", "staff", None) in events
    assert [e for e in events if e[0] == "session.ended"] == [("session.ended", None, "staff", None)]
    assert events[0] == BOOKED[0]
    for numbers in (await practice.subjects(visit.meeting)).values():
        assert numbers == list(range(1, len(numbers) + 1)), "a subject's numbers have a hole"


async def test_a_reload_a_lost_therapist_and_a_removal_change_only_what_they_should(
    practice: Practice, people: People
) -> None:
    visit = await practice.book()
    a, b, therapist = await couple_in_the_room(people, visit)

    # A partner's page is loaded anew: the same seat and room.
    first = await fetched(a)
    # What the page names is what it and its worker load, all of it; and each part comes once.
    named = await a.page.evaluate(NAMED)
    assert sorted(named) == sorted({name for name, _ in first})
    assert sorted(named) == sorted(name for name, size in first if size > 0)
    await a.reload()
    await a.is_in_the_room()
    await asyncio.gather(a.sees_and_hears(2), b.sees_and_hears(2))
    assert {size for _, size in await fetched(a)} == {0}
    events = await practice.audit(visit.meeting)
    assert [e[0] for e in events if e[1] == "A"].count("seat.knocked") == 1
    assert [e[0] for e in events if e[1] == "A"].count("seat.admitted") == 1

    # The therapist drops and returns.
    await therapist.vanishes()
    await asyncio.gather(a.sees("On hold", within=4000), b.sees("On hold", within=4000))
    await asyncio.gather(a.receives_nothing(), b.receives_nothing())
    therapist = await people.therapist(visit)
    await therapist.opens_the_room()
    await asyncio.gather(a.is_in_the_room(), b.is_in_the_room())
    await asyncio.gather(a.sees_and_hears(2), b.sees_and_hears(2), therapist.sees_and_hears(2))
    events = await practice.audit(visit.meeting)
    for seat in ("A", "B"):
        told = [e for e in events if e[1] == seat and e[0] in {"seat.held", "seat.resumed"}]
        pair = [
            ("seat.held", seat, "system", "clinician-lost"),
            ("seat.resumed", seat, "system", "clinician-back"),
        ]
        assert told == pair

    # A partner is removed, and cannot return until readmitted.
    await therapist.presses("Remove Partner A")
    await therapist.presses("Remove Partner A now")
    await a.sees("You are no longer in this visit")
    await b.sees_and_hears(1)

    a = await people.patient(visit, "A")
    await a.opens_link()
    await a.enters()
    await a.reads("Check the meeting ID")
    aside = {"link.opened", "media.up", "media.down"}  # an opening is recorded once in ten seconds
    told = [e for e in await practice.audit(visit.meeting) if e[1] == "A" and e[0] not in aside]
    assert told[-2:] == [("seat.removed", "A", "staff", None), ("auth.failed", "A", "anonymous", "removed")]

    await therapist.presses("Readmit Partner A")
    await a.opens_link()
    await a.enters()
    await a.checks_devices()
    await a.presses("Enter the waiting room")
    await therapist.sees_seat("A", state="waiting")
    told = [e for e in await practice.audit(visit.meeting) if e[1] == "A" and e[0] not in aside]
    assert told[-3:] == [
        ("seat.readmitted", "A", "staff", None),
        ("auth.ok", "A", "A", None),
        ("seat.knocked", "A", "A", None),
    ]


async def test_four_pages_decode_three_remotes_each(practice: Practice, people: People) -> None:
    await practice.hires("colleague", "therapist")
    visit = await practice.book(cohost="colleague")
    host, cohost = await people.therapist(visit), await people.therapist(visit)
    a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
    await asyncio.gather(host.opens_the_room(), cohost.opens_the_room("colleague"), a.waits(), b.waits())
    await host.presses("Admit both")
    await asyncio.gather(a.is_in_the_room(), b.is_in_the_room())
    await asyncio.gather(*(person.sees_and_hears(3) for person in (a, b, host, cohost)))
