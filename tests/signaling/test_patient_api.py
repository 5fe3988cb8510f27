"""The patient's way in, over HTTP, on a real store."""

from __future__ import annotations

import asyncio

import pytest

from broker.agreement import CURRENT
from broker.audit import EventType
from broker.ids import new_meeting_id, new_seat_token
from broker.policy import Role
from broker.seats import SeatAction, SessionKind
from signaling.routing import seat_cookie
from tests.signaling.front import Front


async def test_a_visit_from_link_to_leaving(front: Front) -> None:
    therapist, _ = await front.staff(Role.THERAPIST)
    booked = await front.book(therapist)
    token = booked.seat_tokens[next(iter(booked.seat_tokens))].reveal()
    who = {"meeting": booked.meeting, "seat": "A"}

    opened = await front.post("/api/link-opened", {"meeting": booked.meeting, "seat-token": token})
    assert (opened.status, opened.body) == (204, b"")

    credentials = {"meeting": booked.meeting, "seat-token": token, "password": booked.password.reveal()}
    entered = await front.post("/api/enter", credentials)
    assert entered.status == 200
    assert entered.json == {
        "meeting": booked.meeting,
        "seat": "A",
        "label": "Partner A",
        "kind": "couple",
        "agreed": False,
        "state": "expected",
        "encryption": "transport-only",
    }
    name = seat_cookie(booked.meeting, "A")
    cookies = {name: entered.cookies[name].value}

    shown = await front.get("/api/agreement")
    assert shown.json["version"] == CURRENT.version
    agreed = await front.post("/api/agree", {**who, "version": CURRENT.version}, cookies=cookies)
    assert agreed.status == 204
    assert front.reloaded == [booked.meeting]

    again = await front.post("/api/seat", who, cookies=cookies)
    assert again.json["agreed"] is True

    ticket = await front.post("/api/seat-ticket", who, cookies=cookies)
    grant = await front.services.tickets.redeem(ticket.json["ticket"])
    assert (grant.meeting, grant.seat, grant.actor) == (booked.meeting, "A", "seat:A")

    left = await front.post("/api/seat-leave", who, cookies=cookies)
    assert left.status == 204
    assert left.cookies[name].value == ""
    assert (await front.post("/api/seat", who, cookies=cookies)).code == "enter-again"


async def test_the_seat_cookie_is_for_this_site_and_no_script(front: Front) -> None:
    therapist, _ = await front.staff(Role.THERAPIST)
    booked = await front.book(therapist)
    token = next(iter(booked.seat_tokens.values())).reveal()
    entered = await front.post(
        "/api/enter",
        {"meeting": booked.meeting, "seat-token": token, "password": booked.password.reveal()},
    )
    (header,) = entered.headers.getall("Set-Cookie")
    pair, *flags = header.split("; ")
    assert pair.split("=")[0] == seat_cookie(booked.meeting, "A")
    assert booked.meeting not in header
    assert sorted(flags) == ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]
    assert len(pair.split("=")[1]) == 43


async def test_leaving_gives_up_the_place_in_the_store(front: Front) -> None:
    therapist, _ = await front.staff(Role.THERAPIST)
    booked = await front.book(therapist)
    cookies = await front.enter(booked)
    who = {"meeting": booked.meeting, "seat": "A"}
    await front.post("/api/agree", {**who, "version": CURRENT.version}, cookies=cookies)
    seat = next(iter(booked.seat_tokens))
    await front.services.admission.change(booked.meeting, SeatAction.KNOCK, (seat,), "seat:A", None)

    assert (await front.post("/api/seat-leave", who, cookies=cookies)).status == 204

    session = await front.services.booking.load(booked.meeting)
    assert session is not None
    assert session.seats[seat].state == "left"
    (left,) = await front.events(EventType.SEAT_LEFT)
    assert (left.actor, left.seat, left.session) == ("seat:A", "A", booked.meeting)


async def test_a_second_device_cannot_give_up_the_place_of_the_first(front: Front) -> None:
    therapist, _ = await front.staff(Role.THERAPIST)
    booked = await front.book(therapist)
    cookies = await front.enter(booked)
    who = {"meeting": booked.meeting, "seat": "A"}
    await front.post("/api/agree", {**who, "version": CURRENT.version}, cookies=cookies)
    seat = next(iter(booked.seat_tokens))
    await front.services.admission.change(booked.meeting, SeatAction.KNOCK, (seat,), "seat:A", None)
    front.holders["A"] = "the-first"

    assert (await front.post("/api/seat-leave", who, cookies=cookies)).status == 204

    session = await front.services.booking.load(booked.meeting)
    assert session is not None
    assert session.seats[seat].state == "waiting"
    assert (await front.post("/api/seat", who, cookies=cookies)).code == "enter-again"


async def test_every_cause_for_not_entering_looks_the_same(front: Front) -> None:
    therapist, _ = await front.staff(Role.THERAPIST)
    booked = await front.book(therapist)
    other = await front.book(therapist, SessionKind.INDIVIDUAL)
    ended = await front.book(therapist)
    await front.services.booking.end(ended.meeting, therapist.id, None)
    removed = await front.book(therapist)
    seat = next(iter(removed.seat_tokens))
    await front.services.admission.change(removed.meeting, SeatAction.REMOVE, (seat,), therapist.id, None)

    def of(meeting: str, token: str, password: str) -> dict[str, str]:
        return {"meeting": meeting, "seat-token": token, "password": password}

    token = booked.seat_tokens[seat].reveal()
    right = booked.password.reveal()
    wrong = "00000-00000"
    causes = {
        "wrong password": of(booked.meeting, token, wrong),
        "nonsense password": of(booked.meeting, token, "x"),
        "wrong token": of(booked.meeting, new_seat_token("A").reveal(), right),
        "nonsense token": of(booked.meeting, "x", right),
        "host's seat": of(booked.meeting, new_seat_token("T").reveal(), right),
        "unknown meeting": of(new_meeting_id(), token, right),
        "nonsense meeting": of("x", token, right),
        "another session's token": of(booked.meeting, next(iter(other.seat_tokens.values())).reveal(), right),
        "ended": of(ended.meeting, ended.seat_tokens[seat].reveal(), ended.password.reveal()),
        "removed": of(removed.meeting, removed.seat_tokens[seat].reveal(), removed.password.reveal()),
    }
    outside = {}
    for cause, body in causes.items():
        answer = await front.post("/api/enter", body)
        headers = {name: value for name, value in answer.headers.items() if name != "Date"}
        outside[cause] = (answer.status, answer.body, headers)
    assert outside["wrong password"][0] == 403
    assert b"cannot-enter" in outside["wrong password"][1]
    assert {cause for cause, seen in outside.items() if seen != outside["wrong password"]} == set()


async def test_a_cookie_speaks_for_its_own_seat_only(front: Front) -> None:
    therapist, _ = await front.staff(Role.THERAPIST)
    booked = await front.book(therapist)
    cookies = await front.enter(booked, "A")
    secret = next(iter(cookies.values()))
    for seat in ("B", "T", "Z"):
        stolen = cookies | {seat_cookie(booked.meeting, seat): secret}
        answer = await front.post(
            "/api/seat-ticket", {"meeting": booked.meeting, "seat": seat}, cookies=stolen
        )
        assert (answer.status, answer.code) == (403, "enter-again"), seat


async def test_an_older_agreement_is_not_accepted(front: Front) -> None:
    therapist, _ = await front.staff(Role.THERAPIST)
    booked = await front.book(therapist)
    cookies = await front.enter(booked)
    body = {"meeting": booked.meeting, "seat": "A", "version": "2020-01-01-000000000000"}
    answer = await front.post("/api/agree", body, cookies=cookies)
    assert (answer.status, answer.code) == (409, "agreement-outdated")
    assert await front.events(EventType.AGREEMENT_ACCEPTED) == []


async def test_too_many_at_the_door_are_asked_to_come_back(front: Front) -> None:
    body = {"meeting": new_meeting_id(), "seat-token": "A-0000-0000-0000-0000", "password": "00000-00000"}
    answers = await asyncio.gather(*(front.post("/api/enter", body) for _ in range(24)))
    busy = [answer for answer in answers if answer.status == 429]
    assert {answer.code for answer in answers} == {"busy", "cannot-enter"}
    assert all(answer.headers["Retry-After"] == "5" for answer in busy)


@pytest.mark.parametrize("token", ["", "x" * 65])
async def test_a_body_out_of_bounds_names_its_field_only(front: Front, token: str) -> None:
    answer = await front.post("/api/link-opened", {"meeting": "m", "seat-token": token})
    assert (answer.status, answer.code) == (400, "bad-message")
    assert "seat-token" in answer.json["detail"]


async def test_a_link_that_is_none_is_answered_like_one(front: Front) -> None:
    answer = await front.post("/api/link-opened", {"meeting": "x", "seat-token": "y"})
    assert (answer.status, answer.body) == (204, b"")
