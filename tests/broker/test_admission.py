"""Seats move with their audit event or not at all."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.agreement import CURRENT
from broker.audit import EventType
from broker.booking import BookedSession
from broker.errors import BadInput, Refused
from broker.ids import new_meeting_id
from broker.seats import INSIDE_STATES, MOVES, SeatAction, SeatCode, SeatState, SessionKind
from tests.support.practice import COHOST, HOST, MINUTE, A, B, C, P, Practice, T

E = EventType


async def refused(practice: Practice, booked: BookedSession, action: SeatAction, *seats: SeatCode) -> str:
    """The code with which a move is refused; nothing may have been recorded for it."""
    before = len(await practice.events())
    with pytest.raises(Refused) as caught:
        await practice.admission.change(booked.meeting, action, seats, HOST.id)
    assert len(await practice.events()) == before
    return caught.value.code


async def test_a_visit_from_knock_to_end_is_recorded_seat_by_seat(practice: Practice) -> None:
    booked = await practice.book(cohost=COHOST)
    await practice.waiting(booked, A, B)
    change = practice.admission.change
    await change(booked.meeting, SeatAction.ENTER, (T,), HOST.id)
    both = await change(booked.meeting, SeatAction.ADMIT, (A, B), HOST.id)
    assert both.states == {A: SeatState.ADMITTED, B: SeatState.ADMITTED}
    assert not both.already
    await change(booked.meeting, SeatAction.HOLD, (A,), HOST.id, "aside")
    await change(booked.meeting, SeatAction.RESUME, (A,), HOST.id)
    await change(booked.meeting, SeatAction.MOVE_BACK, (B,), COHOST.id)
    await change(booked.meeting, SeatAction.DENY, (B,), COHOST.id, "another time")
    await change(booked.meeting, SeatAction.LEAVE, (A,), "seat:A")
    await practice.admission.end(booked.meeting, HOST.id, "done")

    told = [
        (event.type, event.seat, event.actor, event.reason)
        for event in await practice.events()
        if event.type.value.startswith(("seat.", "session."))
    ]
    assert told == [
        (E.SESSION_BOOKED, None, HOST.id, None),
        (E.SEAT_KNOCKED, "A", "seat:A", None),
        (E.SEAT_KNOCKED, "B", "seat:B", None),
        (E.SEAT_ENTERED, "T", HOST.id, None),
        (E.SEAT_ADMITTED, "A", HOST.id, None),
        (E.SEAT_ADMITTED, "B", HOST.id, None),
        (E.SEAT_HELD, "A", HOST.id, "aside"),
        (E.SEAT_RESUMED, "A", HOST.id, None),
        (E.SEAT_MOVED_BACK, "B", COHOST.id, None),
        (E.SEAT_DENIED, "B", COHOST.id, "another time"),
        (E.SEAT_LEFT, "A", "seat:A", None),
        (E.SESSION_ENDED, None, HOST.id, "done"),
    ]
    for event in await practice.events():
        if event.seat is not None:
            assert (event.session, event.subject) == (booked.meeting, f"{booked.meeting}/{event.seat}")
    assert set((await practice.states(booked)).values()) == {"ended"}


async def test_a_place_belongs_to_the_device_that_it_was_given_to_or_that_took_it(practice: Practice) -> None:
    booked = await practice.book()
    await practice.waiting(booked, A, B)

    async def holders() -> list[str | None]:
        session = await practice.booking.load(booked.meeting)
        assert session is not None
        return [session.seats[code].holder for code in (A, B)]

    change, taken, both = practice.admission.change, practice.admission.taken, (A, B)
    await change(booked.meeting, SeatAction.ADMIT, both, HOST.id, devices={A: "phone", B: "tv"})
    assert await holders() == ["phone", "tv"]
    await change(booked.meeting, SeatAction.HOLD, (A,), HOST.id)
    await taken(booked.meeting, {A: "laptop"}, "seat:A")
    assert not (await taken(booked.meeting, {A: "laptop"}, "seat:A")).already  # it was told twice: so it says
    assert await holders() == ["laptop", "tv"]
    assert len(await practice.events(EventType.SEAT_DEVICE_CHANGED)) == 2
    await change(booked.meeting, SeatAction.RESUME, (A,), HOST.id)  # by somebody who knows of no device
    assert await holders() == [None, "tv"]


async def test_the_events_of_each_subject_are_numbered_without_a_hole(practice: Practice) -> None:
    booked = await practice.book()
    await practice.admitted(booked, A, B)
    for _ in range(3):
        await asyncio.gather(
            practice.admission.change(booked.meeting, SeatAction.HOLD, (A,), HOST.id),
            practice.admission.change(booked.meeting, SeatAction.HOLD, (B,), HOST.id),
        )
        await practice.admission.change(booked.meeting, SeatAction.RESUME, (A, B), HOST.id)
    sequences: dict[bytes, list[int]] = defaultdict(list)
    entries = await practice.ledger.read(0, 1000)
    for entry in entries:
        sequences[entry.leaf.subject_tag].append(entry.subject_seq)
    assert [entry.index for entry in entries] == list(range(len(entries)))
    assert len(sequences) == 3
    assert all(found == list(range(1, len(found) + 1)) for found in sequences.values())


async def test_both_are_admitted_or_none(practice: Practice) -> None:
    booked = await practice.book()
    await practice.waiting(booked, A)
    assert await refused(practice, booked, SeatAction.ADMIT, A, B) == "wrong-state"
    assert await practice.states(booked) == {"A": "waiting", "B": "expected", "T": "expected"}
    await practice.waiting(booked, B)
    await practice.admission.change(booked.meeting, SeatAction.ADMIT, (A, B), HOST.id)
    assert await practice.states(booked) == {"A": "admitted", "B": "admitted", "T": "expected"}


async def test_the_same_click_twice_is_one_admission(practice: Practice) -> None:
    booked = await practice.book(cohost=COHOST)
    await practice.waiting(booked, A)
    clicks = [
        practice.admission.change(booked.meeting, SeatAction.ADMIT, (A,), actor)
        for actor in (HOST.id, COHOST.id) * 10
    ]
    answers = await asyncio.gather(*clicks)
    assert sorted(answer.already for answer in answers) == [False] + [True] * 19
    assert all(answer.states == {A: SeatState.ADMITTED} for answer in answers)
    assert len(await practice.events(E.SEAT_ADMITTED)) == 1


async def test_nobody_knocks_or_is_admitted_without_the_current_agreement(practice: Practice) -> None:
    booked = await practice.book()
    grant = await practice.enter(booked, A)
    assert await refused(practice, booked, SeatAction.KNOCK, A) == "agreement-needed"
    await practice.credentials.agree(grant, CURRENT.version)
    await practice.admission.change(booked.meeting, SeatAction.KNOCK, (A,), grant.actor)
    # A new version came into force while this person waited.
    await practice.rewrite(booked, A_agreed="2020-01-01-000000000000")
    assert await refused(practice, booked, SeatAction.ADMIT, A) == "agreement-needed"
    await practice.credentials.agree(grant, CURRENT.version)
    await practice.admission.change(booked.meeting, SeatAction.ADMIT, (A,), HOST.id)


async def test_moves_that_open_wait_for_the_window_and_end_with_it(practice: Practice) -> None:
    booked = await practice.book()
    await practice.waiting(booked, A, B)
    await practice.rewrite(booked, starts=practice.now + 16 * MINUTE)
    assert await refused(practice, booked, SeatAction.ADMIT, A) == "not-open"
    assert await refused(practice, booked, SeatAction.ENTER, T) == "not-open"
    await practice.rewrite(booked, starts=practice.now + 14 * MINUTE)
    await practice.admission.change(booked.meeting, SeatAction.ADMIT, (A,), HOST.id)
    await practice.rewrite(booked, starts=practice.now - 2 * MINUTE, ends=practice.now - 1)
    assert await refused(practice, booked, SeatAction.ADMIT, B) == "not-open"
    # What closes is never refused for the time.
    await practice.admission.change(booked.meeting, SeatAction.HOLD, (A,), HOST.id)
    assert await refused(practice, booked, SeatAction.RESUME, A) == "not-open"
    await practice.admission.change(booked.meeting, SeatAction.REMOVE, (A, B), HOST.id)


async def test_after_the_end_nothing_moves(practice: Practice) -> None:
    booked = await practice.book()
    await practice.admitted(booked, A)
    assert not (await practice.admission.end(booked.meeting, HOST.id, None)).already
    assert (await practice.admission.end(booked.meeting, HOST.id, None)).already
    for action in SeatAction:
        seat = T if action is SeatAction.ENTER else A
        assert await refused(practice, booked, action, seat) in {"not-open", "wrong-state"}
    with pytest.raises(Refused, match="not-open"):
        await practice.admission.mute(booked.meeting, (A,), True, HOST.id)
    assert len(await practice.events(E.SESSION_ENDED)) == 1


async def test_removed_stays_removed_until_readmitted(practice: Practice) -> None:
    booked = await practice.book()
    await practice.admitted(booked, A)
    await practice.admission.change(booked.meeting, SeatAction.REMOVE, (A,), HOST.id, "pause for today")
    for action in set(SeatAction) - {SeatAction.READMIT, SeatAction.REMOVE, SeatAction.ENTER}:
        assert await refused(practice, booked, action, A) == "wrong-state"
    with pytest.raises(Refused, match="cannot-enter"):
        await practice.enter(booked, A)
    session = await practice.booking.load(booked.meeting)
    assert session is not None
    assert (session.seats[A].reason, session.seats[A].epoch) == ("pause for today", 1)

    await practice.admission.change(booked.meeting, SeatAction.READMIT, (A,), HOST.id)
    await practice.waiting(booked, A)
    session = await practice.booking.load(booked.meeting)
    assert session is not None
    assert (session.seats[A].state, session.seats[A].reason) == (SeatState.WAITING, None)


async def test_a_patient_cannot_enter_past_the_waiting_room_and_a_host_is_not_handled(
    practice: Practice,
) -> None:
    booked = await practice.book()
    assert await refused(practice, booked, SeatAction.ENTER, A) == "not-allowed"
    for action in set(SeatAction) - {SeatAction.ENTER, SeatAction.LEAVE}:
        assert await refused(practice, booked, action, T) == "not-allowed"


async def test_only_seats_of_the_roster_exist(practice: Practice) -> None:
    booked = await practice.book(SessionKind.INDIVIDUAL)
    assert await refused(practice, booked, SeatAction.ADMIT, B) == "no-seat"
    assert await refused(practice, booked, SeatAction.ENTER, C) == "no-seat"
    assert await refused(practice, booked, SeatAction.ADMIT, SeatCode("Z")) == "no-seat"
    with pytest.raises(Refused, match="no-seat"):
        await practice.admission.change(new_meeting_id(), SeatAction.ADMIT, (P,), HOST.id)
    for seats in ((), (P, P)):
        with pytest.raises(BadInput, match="bad-seats"):
            await practice.admission.change(booked.meeting, SeatAction.ADMIT, seats, HOST.id)


async def test_a_full_room_takes_nobody(practice: Practice) -> None:
    booked = await practice.book()
    await practice.waiting(booked, A, B)
    await practice.rewrite(booked, capacity=1)
    assert await refused(practice, booked, SeatAction.ADMIT, A, B) == "full"
    await practice.admission.change(booked.meeting, SeatAction.ADMIT, (A,), HOST.id)
    await practice.admission.change(booked.meeting, SeatAction.HOLD, (A,), HOST.id)
    assert await refused(practice, booked, SeatAction.ADMIT, B) == "full"


async def test_muting_is_recorded_once_and_kept(practice: Practice) -> None:
    booked = await practice.book()
    await practice.admitted(booked, A, B)
    assert (await practice.admission.mute(booked.meeting, (A, B), False, HOST.id)).already
    assert not (await practice.admission.mute(booked.meeting, (A,), True, HOST.id)).already
    assert not (await practice.admission.mute(booked.meeting, (A, B), True, HOST.id)).already
    assert (await practice.admission.mute(booked.meeting, (A, B), True, HOST.id)).already
    await practice.admission.change(booked.meeting, SeatAction.MOVE_BACK, (A,), HOST.id)
    session = await practice.booking.load(booked.meeting)
    assert session is not None
    assert [session.seats[seat].muted for seat in (A, B, T)] == [True, True, False]
    assert [(event.type, event.seat) for event in await practice.events(E.SEAT_MUTED, E.SEAT_UNMUTED)] == [
        (E.SEAT_MUTED, "A"),
        (E.SEAT_MUTED, "B"),
    ]


async def test_knocks_and_arrival_are_counted(practice: Practice) -> None:
    booked = await practice.book()
    await practice.waiting(booked, A)
    first = await practice.booking.load(booked.meeting)
    await practice.admission.change(booked.meeting, SeatAction.LEAVE, (A,), "seat:A")
    await practice.admission.change(booked.meeting, SeatAction.KNOCK, (A,), "seat:A")
    second = await practice.booking.load(booked.meeting)
    assert first is not None
    assert second is not None
    assert (first.seats[A].knocks, second.seats[A].knocks) == (1, 2)
    assert first.seats[A].arrived_ms is not None
    assert first.seats[A].arrived_ms == second.seats[A].arrived_ms
    assert second.rev > first.rev


async def test_an_event_without_a_change_is_on_record_before_the_answer(practice: Practice) -> None:
    booked = await practice.book()
    at_ms = await practice.admission.record(E.MEDIA_UP, booked.meeting, A, "seat:A", detail={"suite": "x"})
    [event] = [event for event in await practice.events() if event.type is E.MEDIA_UP]
    assert (event.subject, event.seat, event.detail) == (f"{booked.meeting}/A", "A", {"suite": "x"})
    assert abs(at_ms - practice.now) < MINUTE


def predicted(
    states: dict[SeatCode, SeatState],
    agreed: set[SeatCode],
    capacity: int,
    action: SeatAction,
    seats: list[SeatCode],
) -> str | dict[SeatCode, SeatState]:
    """What a move must come to, by the table alone: a refusal code, or the new states."""
    move, after = MOVES[action], dict(states)
    for seat in seats:
        if (seat == T) is not (action is SeatAction.ENTER) and not (seat == T and action is SeatAction.LEAVE):
            return "not-allowed"
    for seat in seats:
        if after[seat] is move.to:
            continue
        if after[seat] not in move.origins:
            return "wrong-state"
        if move.needs_agreement and seat not in agreed:
            return "agreement-needed"
        after[seat] = move.to
        inside = sum(state in INSIDE_STATES for state in after.values())
        if move.needs_capacity and inside > capacity:
            return "full"
    return after


@given(
    st.integers(1, 3),
    st.sets(st.sampled_from([A, B])),
    st.lists(
        st.tuples(
            st.sampled_from(SeatAction),
            st.lists(st.sampled_from([A, B, T]), min_size=1, max_size=3, unique=True),
        ),
        max_size=30,
    ),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # every example books a session of its own
)
async def test_the_store_follows_the_table_whatever_is_clicked(
    practice: Practice, capacity: int, agreed: set[SeatCode], clicks: list[tuple[SeatAction, list[SeatCode]]]
) -> None:
    booked = await practice.book()
    await practice.rewrite(
        booked, capacity=capacity, **{f"{seat}_agreed": CURRENT.version for seat in agreed}
    )
    states = dict.fromkeys((A, B, T), SeatState.EXPECTED)
    epochs = dict.fromkeys((A, B, T), 0)
    for action, seats in clicks:
        expected = predicted(states, agreed, capacity, action, seats)
        size = await practice.store.log_size()
        change = practice.admission.change(booked.meeting, action, tuple(seats), HOST.id)
        if isinstance(expected, str):
            with pytest.raises(Refused, match=expected):
                await change
            assert await practice.store.log_size() == size
            continue
        changed = [seat for seat in seats if states[seat] is not expected[seat]]
        assert (await change).already is (not changed)
        assert await practice.store.log_size() == size + len(changed)
        for seat in changed:
            epochs[seat] += action is SeatAction.REMOVE
        states = expected
    session = await practice.booking.load(booked.meeting)
    assert session is not None
    assert {code: seat.state for code, seat in session.seats.items()} == states
    assert {code: seat.epoch for code, seat in session.seats.items()} == epochs
