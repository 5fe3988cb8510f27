"""A busy couple session changes nothing that another seat or care track can see (A08, A18, A61, N12)."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.e2e.people import Patient, People
from tests.e2e.practice import Practice, Visit
from tests.support.impairment import CLEAR, Conditions

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Listening:
    """Every message and every answer that a page gets from the server."""

    def __init__(self, person: Patient) -> None:
        self.frames: list[str] = []
        self.answers: list[str] = []
        person.page.on(
            "websocket",
            lambda socket: socket.on("framereceived", lambda frame: self.frames.append(str(frame))),
        )
        person.page.on("response", lambda response: self.answers.append(response.url))


async def seat_answer(person: Patient) -> Any:
    """What the server says of the seat to its own page, now."""
    assert person.visit is not None
    return await person.page.evaluate(
        """async ([meeting, seat]) => {
            const headersSent = {"Content-Type": "application/json"};
            const body = JSON.stringify({meeting, seat});
            const answer = await fetch("/api/seat", {method: "POST", headers: headersSent, body});
            const headers = [...answer.headers.entries()].filter(([name]) => name !== "date");
            return [answer.status, headers, await answer.text()];
        }""",
        [person.visit.meeting, person.seat],
    )


async def test_a_busy_couple_session_is_invisible_elsewhere(practice: Practice, people: People) -> None:
    couple, individual = await practice.book(), await practice.book("individual")
    lone = await people.patient(individual, "P")
    heard_by_lone = Listening(lone)
    await lone.waits()
    a = await people.patient(couple, "A")
    heard_by_a = Listening(a)
    link = people.link()
    b, therapist = await people.patient(couple, "B", link=link), await people.therapist(couple)
    await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
    await lone.page.wait_for_selector("body[data-transport=connected]")
    await a.page.wait_for_selector("body[data-transport=connected]")
    quiet = [await seat_answer(lone), await seat_answer(a)]
    frames = [len(heard_by_lone.frames), len(heard_by_a.frames)]
    answers = [len(heard_by_lone.answers), len(heard_by_a.answers)]

    await therapist.presses("Admit Partner B")
    await b.is_in_the_room()
    await b.sees_and_hears(1)
    link.both(Conditions(rate_kbps=60))
    await b.reads("Your connection is weak.", within=40_000)
    link.both(CLEAR)
    await therapist.presses("Mute Partner B")
    await therapist.presses("Hold Partner B")
    await b.sees("On hold")
    await therapist.presses("Resume Partner B")
    await b.is_in_the_room()
    await therapist.presses("Move back Partner B")
    await b.sees("You are in the waiting room")
    await b.reload()
    await b.sees("You are in the waiting room")
    await therapist.presses("Admit Partner B")
    await b.is_in_the_room()
    await therapist.presses("Remove Partner B")
    await therapist.presses("Remove Partner B now")
    await b.sees("You are no longer in this visit")

    assert [len(heard_by_lone.answers), len(heard_by_a.answers)] == answers
    assert [len(heard_by_lone.frames), len(heard_by_a.frames)] == frames, heard_by_a.frames[frames[1] :]
    assert [await seat_answer(lone), await seat_answer(a)] == quiet


async def refused(practice: Practice, meeting: str, token: str, password: str, link_auth: str = "") -> Any:
    """How the door answers, without what differs by nature."""
    shown = {"meeting": meeting, "seat-token": token, "password": password}
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"{practice.url}/api/enter",
            json=shown | ({"link-auth": link_auth} if link_auth else {}),
            headers={"Origin": practice.url},
        ) as answer,
    ):
        headers = sorted((k, v) for k, v in answer.headers.items() if k != "Date")
        return answer.status, headers, await answer.text()


async def test_every_refusal_at_the_door_looks_the_same(practice: Practice) -> None:
    couple, individual, over = [await practice.book(kind) for kind in ("couple", "individual", "couple")]
    later = await practice.book(starts="2099-01-01T10:00:00+00:00", ends="2099-01-01T11:00:00+00:00")
    await practice.api("therapist", "POST", f"/api/sessions/{over.meeting}/end")

    def knocks(at: Visit, with_token_of: Visit, seat: str) -> tuple[str, str, str, str]:
        return at.meeting, with_token_of.tokens[seat], at.password, at.link_auth

    unknown, right = "0" * 26, (couple.meeting, couple.tokens["A"], couple.password)
    answers = [
        await refused(practice, *right[:2], "00000-00000", couple.link_auth),
        await refused(practice, unknown, *right[1:], couple.link_auth),
        await refused(practice, couple.meeting, "A-0000-0000-0000-0000", couple.password, couple.link_auth),
        await refused(practice, *right, individual.link_auth),
        await refused(practice, *right),
        await refused(practice, *knocks(individual, couple, "B")),
        await refused(practice, *knocks(over, over, "A")),
        await refused(practice, *knocks(later, later, "A")),
        await refused(practice, "not an id", "nor a token", "nor a password"),
    ]
    assert answers[0][0] == 403
    assert all(answer == answers[0] for answer in answers)


async def test_one_partner_cannot_lock_the_other_out(practice: Practice, people: People) -> None:
    visit = await practice.book()
    guesses = [
        refused(practice, visit.meeting, f"B-0000-0000-0000-{n:04d}", "00000-00000", visit.link_auth)
        for n in range(12)
    ]
    own = [
        refused(practice, visit.meeting, visit.tokens["A"], "00000-00000", visit.link_auth) for _ in range(4)
    ]
    for guess in guesses + own:
        await guess
    partner = await people.patient(visit, "B")
    await partner.waits()
