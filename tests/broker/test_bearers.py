"""A seat token alone: recognised or refused as at the door, and worth no more than it should be."""

from __future__ import annotations

import pytest

from broker.agreement import CURRENT
from broker.audit import EventType
from broker.bearers import Bearers
from broker.errors import Refused
from broker.ids import new_meeting_id, new_seat_token
from broker.private import Private
from broker.seats import SeatAction
from tests.support.practice import HOST, HOUR, A, B, Practice

E = EventType
WRONG = Private("00000-00000")


@pytest.fixture
def bearers(practice: Practice) -> Bearers:
    return Bearers(practice.store, practice.ledger, practice.booking, practice.credentials)


async def refused(bearers: Bearers, meeting: str, token: str) -> str:
    with pytest.raises(Refused) as caught:
        await bearers.recognise(meeting, token)
    return f"{caught.value.code}: {caught.value}"


async def test_a_token_names_its_seat_and_always_the_same_device(
    practice: Practice, bearers: Bearers
) -> None:
    booked = await practice.book()
    first = await bearers.recognise(booked.meeting, booked.seat_tokens[A].reveal())
    again = await bearers.recognise(booked.meeting.upper(), booked.seat_tokens[A].reveal().lower())
    other = await bearers.recognise(booked.meeting, booked.seat_tokens[B].reveal())
    assert (first.meeting, first.code, first.actor) == (booked.meeting, A, "seat:A")
    assert first.device == again.device != other.device
    assert await practice.events(E.AUTH_OK, E.AUTH_FAILED) == []


async def test_everything_else_is_refused_alike_and_counted(practice: Practice, bearers: Bearers) -> None:
    booked = await practice.book()
    tokens = [new_seat_token("A").reveal(), "nonsense", booked.password.reveal(), "T-0000-0000-0000-0000"]
    told = {await refused(bearers, booked.meeting, token) for token in tokens}
    told.add(await refused(bearers, new_meeting_id(), booked.seat_tokens[A].reveal()))
    told.add(await refused(bearers, "nonsense", "nonsense"))
    assert len(told) == 1
    assert next(iter(told)).startswith("cannot-enter")
    failed = await practice.events(E.AUTH_FAILED)
    assert {event.reason for event in failed} == {"wrong-token", "unknown-session"}
    assert {event.seat for event in failed} == {None}


async def test_wrong_tokens_without_end_make_a_few_lines(practice: Practice, bearers: Bearers) -> None:
    booked = await practice.book()
    for number in range(20):
        await refused(bearers, new_meeting_id(), new_seat_token("A").reveal())
        await refused(bearers, booked.meeting, new_seat_token(f"A{number}").reveal())
    failed = await practice.events(E.AUTH_FAILED)
    for reason in ("unknown-session", "wrong-token"):
        assert 0 < sum(event.reason == reason for event in failed) <= 5


async def test_a_token_undoes_no_guess_at_the_password(practice: Practice, bearers: Bearers) -> None:
    booked = await practice.book()
    token = booked.seat_tokens[A].reveal()
    counter = practice.store.link.key("try", booked.meeting, "A")
    with pytest.raises(Refused):
        await practice.credentials.enter(booked.meeting, token, WRONG)
    before = await practice.store.link.read("HGETALL", counter)
    await bearers.present(await bearers.recognise(booked.meeting, token))
    assert await practice.store.link.read("HGETALL", counter) == before


async def test_a_locked_seat_is_refused_and_the_refusal_recorded(
    practice: Practice, bearers: Bearers
) -> None:
    booked = await practice.book()
    await practice.store.link.plain("HSET", practice.store.link.key("try", booked.meeting, "A"), "locked", 1)
    assert (await refused(bearers, booked.meeting, booked.seat_tokens[A].reveal())).startswith("cannot-enter")
    [event] = await practice.events(E.AUTH_FAILED)
    assert (event.seat, event.reason) == ("A", "locked")


async def test_a_shut_door_is_shut_for_programs(practice: Practice, bearers: Bearers) -> None:
    early = await practice.book(starts_in=HOUR, ends_in=2 * HOUR)
    bearer = await bearers.recognise(early.meeting, early.seat_tokens[A].reveal())
    for _ in range(3):
        with pytest.raises(Refused, match="does not open"):
            await bearers.check_open(bearer)
    with pytest.raises(Refused, match="does not open"):
        await bearers.present(bearer)
    [event] = await practice.events(E.AUTH_FAILED)  # at most one in 10 s, however often it asks
    assert (event.reason, event.outcome, event.detail) == ("not-yet", "refused", {"via": "whip"})


async def test_a_removed_seat_is_shut_and_its_next_device_another(
    practice: Practice, bearers: Bearers
) -> None:
    booked = await practice.book()
    token = booked.seat_tokens[A].reveal()
    await practice.admitted(booked, A)
    before = await bearers.recognise(booked.meeting, token)
    await bearers.check_open(before)
    await practice.admission.change(booked.meeting, SeatAction.REMOVE, (A,), HOST.id)
    removed = await bearers.recognise(booked.meeting, token)
    with pytest.raises(Refused):
        await bearers.check_open(removed)
    with pytest.raises(Refused):
        await bearers.present(before)
    assert removed.device != before.device


async def test_presenting_is_on_record_and_makes_no_device_the_seats_own(
    practice: Practice, bearers: Bearers
) -> None:
    booked = await practice.book()
    bearer = await bearers.recognise(booked.meeting, booked.seat_tokens[A].reveal())
    await bearers.present(bearer)
    [event] = await practice.events(E.AUTH_OK)
    assert (event.actor, event.subject) == ("seat:A", f"{booked.meeting}/A")
    assert event.detail == {"device": bearer.device, "again": False, "via": "whip"}
    session = await practice.booking.load(booked.meeting)
    assert session is not None
    assert (session.seats[A].device, session.seats[A].holder) == (None, None)
    assert session.seats[A].agreed != CURRENT.version


async def test_sessions_that_have_ended_are_not_named_open(practice: Practice, bearers: Bearers) -> None:
    first, second = await practice.book(), await practice.book()
    assert set(await bearers.open_meetings()) == {first.meeting, second.meeting}
    await practice.booking.end(first.meeting, "operator", None)
    assert await bearers.open_meetings() == [second.meeting]
