"""Booking makes everything once, and finds it again."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from broker.audit import EventType
from broker.booking import BookedSession
from broker.errors import BadInput, Refused
from broker.identity import Staff
from broker.ids import MeetingId, digest, is_meeting_id, new_meeting_id
from broker.link_secret import authenticator_hash, authenticator_of, draw_link_secret
from broker.seats import SessionKind
from broker.sessions import session_is_e2ee
from tests.support.practice import ADMIN, COHOST, HOST, HOUR, MINUTE, STRANGER, A, B, C, P, Practice, T


def same(one: BookedSession, other: BookedSession) -> bool:
    return (one.meeting, one.password, one.seat_tokens) == (other.meeting, other.password, other.seat_tokens)


async def test_a_couple_has_two_credentials_and_the_hosts_none(practice: Practice) -> None:
    booked = await practice.book(cohost=COHOST)
    assert is_meeting_id(booked.meeting)
    assert list(booked.session.seats) == ["A", "B", "T", "C"]
    assert set(booked.seat_tokens) == {A, B}
    assert booked.seat_tokens[A] != booked.seat_tokens[B]
    for seat in (A, B):
        assert booked.session.seats[seat].token_hash == digest(booked.seat_tokens[seat])
    assert [booked.session.seats[seat].token_hash for seat in (T, C)] == ["", ""]
    assert (booked.session.host, booked.session.cohost) == (HOST.id, COHOST.id)
    assert (booked.session.capacity, booked.session.open) == (4, True)
    assert booked.session.password.reveal().startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_an_individual_session_has_exactly_one_patient(practice: Practice) -> None:
    booked = await practice.book(SessionKind.INDIVIDUAL)
    assert list(booked.session.seats) == ["P", "T"]
    assert set(booked.seat_tokens) == {P}


async def test_booking_is_recorded_without_a_name(practice: Practice) -> None:
    booked = await practice.book()
    [event] = await practice.events()
    assert (event.type, event.actor, event.subject) == (EventType.SESSION_BOOKED, HOST.id, booked.meeting)
    assert event.detail["host"] == HOST.id
    assert "Canary" not in repr(event)


async def test_only_the_hash_of_the_authenticator_is_stored(practice: Practice) -> None:
    secret = draw_link_secret()
    stored = authenticator_hash(authenticator_of(secret))
    booked = await practice.book(link_auth=stored)
    assert session_is_e2ee(booked.session)
    assert booked.session.link_auth == stored
    kept = "".join(await practice.kept())
    assert secret.reveal() not in kept
    assert not session_is_e2ee((await practice.book()).session)
    recorded = await practice.events(EventType.SESSION_BOOKED)
    assert [event.detail["end-to-end"] for event in recorded] == [True, False]


async def test_another_secret_under_the_same_key_is_another_request(practice: Practice) -> None:
    now = practice.now
    request = (SessionKind.COUPLE, now, now + HOUR, HOST, None, HOST.id, "key-2")
    first, second = (authenticator_hash(authenticator_of(draw_link_secret())) for _ in range(2))
    await practice.booking.book(*request, first)
    for other in (second, None):
        with pytest.raises(Refused, match="idempotency-conflict"):
            await practice.booking.book(*request, other)


@pytest.mark.parametrize("text", ["", "ab", "A" * 64, "0" * 65])
async def test_what_is_no_hash_of_an_authenticator_books_nothing(practice: Practice, text: str) -> None:
    with pytest.raises(BadInput, match="bad-authenticator"):
        await practice.book(link_auth=text)
    assert await practice.booking.all_open() == []


async def test_the_same_request_again_has_the_same_answer(practice: Practice) -> None:
    now = practice.now
    request = (SessionKind.COUPLE, now, now + HOUR, HOST, None, HOST.id, "key-1", None)
    answers = await asyncio.gather(*(practice.booking.book(*request) for _ in range(5)))
    assert all(same(answer, answers[0]) for answer in answers)
    assert len(await practice.booking.all_open()) == 1
    assert len(await practice.events(EventType.SESSION_BOOKED)) == 1
    await practice.enter(answers[4], B)


async def test_a_key_belongs_to_one_person_and_one_request(practice: Practice) -> None:
    now = practice.now
    book = practice.booking.book
    first = await book(SessionKind.COUPLE, now, now + HOUR, HOST, None, HOST.id, "key-1", None)
    for kind, starts, ends, host, cohost in (
        (SessionKind.INDIVIDUAL, now, now + HOUR, HOST, None),
        (SessionKind.COUPLE, now + 1, now + HOUR, HOST, None),
        (SessionKind.COUPLE, now, now + HOUR + 1, HOST, None),
        (SessionKind.COUPLE, now, now + HOUR, STRANGER, None),
        (SessionKind.COUPLE, now, now + HOUR, HOST, COHOST),
    ):
        with pytest.raises(Refused, match="idempotency-conflict"):
            await book(kind, starts, ends, host, cohost, HOST.id, "key-1", None)
    other = await book(SessionKind.COUPLE, now, now + HOUR, HOST, None, STRANGER.id, "key-1", None)
    assert other.meeting != first.meeting
    assert len(await practice.booking.all_open()) == 2


@pytest.mark.parametrize(
    ("starts", "ends"),
    [(0, 0), (HOUR, 0), (-2 * HOUR, -HOUR), (-HOUR, 0), (0, 24 * HOUR + 1), (-(10**15), HOUR)],
)
async def test_a_window_must_make_sense(practice: Practice, starts: int, ends: int) -> None:
    with pytest.raises(BadInput, match="bad-window"):
        await practice.book(starts_in=starts, ends_in=ends)
    assert await practice.events() == []


async def test_a_whole_day_can_be_booked(practice: Practice) -> None:
    now = practice.now
    booked = await practice.booking.book(
        SessionKind.COUPLE, now, now + 24 * HOUR, HOST, None, HOST.id, "a day", None
    )
    assert booked.session.admits(now)


async def test_hosts_are_two_different_therapists(practice: Practice) -> None:
    now = practice.now
    for host, cohost in ((ADMIN, None), (HOST, ADMIN), (HOST, replace(HOST, login=""))):
        with pytest.raises(BadInput, match="bad-host"):
            await practice.booking.book(SessionKind.COUPLE, now, now + HOUR, host, cohost, HOST.id, "k", None)
    for key in ("", "x" * 256, "a\nb", "ä"):
        with pytest.raises(BadInput, match="bad-idempotency-key"):
            await practice.booking.book(SessionKind.COUPLE, now, now + HOUR, HOST, None, HOST.id, key, None)


async def test_everybody_lists_their_own(practice: Practice) -> None:
    later = await practice.book(starts_in=HOUR, ends_in=2 * HOUR, cohost=COHOST)
    sooner = await practice.book()
    ended = await practice.book()
    await practice.booking.end(ended.meeting, HOST.id)

    async def listed(staff: Staff) -> list[MeetingId]:
        return [session.meeting for session in await practice.booking.sessions_of(staff)]

    assert await listed(HOST) == [sooner.meeting, later.meeting]
    assert await listed(COHOST) == [later.meeting]
    assert await listed(STRANGER) == []
    assert await listed(ADMIN) == [sooner.meeting, later.meeting]
    found = await practice.booking.all_open()
    assert [session.meeting for session in found] == [sooner.meeting, later.meeting]


async def test_ending_is_recorded_once(practice: Practice) -> None:
    booked = await practice.book()
    assert await practice.booking.end(booked.meeting, HOST.id, "done") is True
    assert await practice.booking.end(booked.meeting, ADMIN.id, "again") is False
    session = await practice.booking.load(booked.meeting)
    assert session is not None
    assert not session.open
    [event] = await practice.events(EventType.SESSION_ENDED)
    assert (event.actor, event.subject, event.reason) == (HOST.id, booked.meeting, "done")
    for meeting in (new_meeting_id(), "x", ""):
        with pytest.raises(Refused, match="no-session"):
            await practice.booking.end(meeting, HOST.id)


async def test_unknown_ids_are_no_session(practice: Practice) -> None:
    for meeting in (new_meeting_id(), "", "x", "\ud800", "?" * 100):
        assert await practice.booking.load(meeting) is None


async def test_sessions_nobody_ended_end_an_hour_after_their_window(practice: Practice) -> None:
    past, recent, running = [await practice.book() for _ in range(3)]
    await practice.rewrite(past, ends=practice.now - 61 * MINUTE)
    await practice.rewrite(recent, ends=practice.now - 59 * MINUTE)
    assert await practice.booking.end_overdue() == [past.meeting]
    assert await practice.booking.end_overdue() == []
    [event] = await practice.events(EventType.SESSION_ENDED)
    assert (event.actor, event.subject, event.reason) == ("system", past.meeting, "window-over")
    assert {session.meeting for session in await practice.booking.all_open()} == {
        recent.meeting,
        running.meeting,
    }
