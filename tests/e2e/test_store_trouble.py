"""The store stalls in the middle of a visit: nobody new comes in, the call goes on, everybody is told."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from playwright.async_api import expect

from tests.e2e.people import WITHIN, People
from tests.e2e.practice import Practice
from tests.e2e.test_safety import left_nothing

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

AT_HOST = "The audit stream cannot be written at the moment"
AT_PATIENT = "nobody can be let in at the moment"


async def test_a_stalled_store_admits_nobody_and_ends_nothing_and_one_can_leave_quickly(
    own_practice: Practice, own_people: People
) -> None:
    practice = own_practice
    visit, other = await practice.book(), await practice.book("individual")
    therapist = await own_people.therapist(visit)
    a, b = await own_people.patient(visit, "A"), await own_people.patient(visit, "B")
    newcomer = await own_people.patient(other, "P")
    await a.page.goto("about:blank")
    await asyncio.gather(therapist.opens_the_room(), a.waits(), newcomer.opens_link())
    await therapist.presses("Admit Partner A")
    await asyncio.gather(a.is_in_the_room(), b.waits())
    await therapist.sees_seat("B", state="waiting")
    await asyncio.gather(a.sees_and_hears(1), therapist.sees_and_hears(1))
    before = await practice.audit(visit.meeting)
    entering = await practice.audit(other.meeting)

    store = practice.store_pid()
    os.kill(store, signal.SIGSTOP)
    try:
        # Asked before anybody can know: the answer must come all the same, in words, and be no.
        await therapist.presses("Admit Partner B")
        await therapist.reads("nothing was changed. Visits in progress go on.")
        await therapist.reads(AT_HOST)
        await b.reads(AT_PATIENT)
        await newcomer.enters()
        await newcomer.reads("Nothing is wrong with what you typed.")
        await newcomer.sees("Welcome")
        await asyncio.gather(a.sees_and_hears(1), therapist.sees_and_hears(1))
        await a.sees("You are in the room")
        await b.sees("You are in the waiting room")
        await therapist.sees_seat("B", state="waiting")
        admit = therapist.page.get_by_role("button", name="Admit Partner B")
        await expect(admit).to_be_disabled(timeout=WITHIN)
        await b.receives_nothing()
    finally:
        os.kill(store, signal.SIGCONT)

    await practice.ready()
    await therapist.reads("Patients can be admitted again.")
    await b.reads("People can be let in again.")
    for person, words in ((therapist, AT_HOST), (b, AT_PATIENT)):
        await expect(person.page.get_by_text(words)).to_have_count(0, timeout=WITHIN)
    # Done by nobody: what was refused did not happen when the store woke up.
    await b.sees("You are in the waiting room")
    assert await practice.audit(visit.meeting) == before
    assert [e for e in await practice.audit(other.meeting) if e not in entering] == []

    await therapist.presses("Close this message")
    await therapist.presses("Admit Partner B")
    await b.is_in_the_room()
    await asyncio.gather(a.sees_and_hears(2), b.sees_and_hears(2))
    await newcomer.enters()
    await newcomer.sees("Camera and microphone")
    admitted = [e for e in await practice.audit(visit.meeting) if e[0] == "seat.admitted"]
    assert admitted == [("seat.admitted", "A", "staff", None), ("seat.admitted", "B", "staff", None)]

    # It stalls again: leaving quickly needs no store, and is recorded when it is back.
    os.kill(store, signal.SIGSTOP)
    try:
        await a.presses("Leave quickly")
        await a.sees("Kitchen measures")
        await expect(b.page.get_by_role("figure", name="Partner A")).to_have_count(0, timeout=WITHIN)
        await b.sees_and_hears(1)
        # Nobody could be told yet that the cookie is to end, and it may not be forgotten for that.
        assert [cookie["name"] for cookie in await a.context.cookies()] != []
    finally:
        os.kill(store, signal.SIGCONT)

    await practice.ready()
    await therapist.sees_seat("A", state="left")
    await left_nothing(a)
    assert await a.context.cookies() == []
    left = [event for event in await practice.audit(visit.meeting) if event[0] == "seat.left"]
    assert left == [("seat.left", "A", "A", "left-page")]
