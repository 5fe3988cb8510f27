"""The end of a room with its former owner: it forwards to those who were inside, and only ever less."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.seats import SeatCode, SeatState
from rooms.effects import SetGate
from rooms.events import SeatReloaded, SessionReloaded
from rooms.handover import FORWARDS_FOR, Handover

A, B, T = (SeatCode(code) for code in "ABT")
ALL = frozenset({A, B, T})
NOW = 100.0
PATIENCE = 1.5


def session(**states: SeatState) -> SessionReloaded:
    return SessionReloaded(
        True,
        tuple(
            SeatReloaded(seat, states.get(seat, SeatState.ADMITTED), False, True, 0, 0) for seat in (A, B, T)
        ),
    )


def begun(gate: frozenset[SeatCode] = ALL, of: SessionReloaded | None = None) -> Handover:
    handover = Handover(SetGate(gate, frozenset()), frozenset({T}), NOW + FORWARDS_FOR, PATIENCE)
    handover.begins(of or session())
    return handover


def heard(*seats: SeatCode, at: float = NOW) -> dict[SeatCode, float | None]:
    return {seat: at if seat in seats else None for seat in ALL}


def test_it_goes_on_as_it_was() -> None:
    handover = begun()
    handover.look(NOW + 1, heard(A, B, T))
    assert handover.gate.seats == ALL


def test_who_has_moved_is_forwarded_nothing_and_the_others_go_on() -> None:
    handover = begun()
    handover.look(NOW, heard(B, T))
    assert handover.gate.seats == {B, T}
    handover.look(NOW, heard(A, B, T))
    assert handover.gate.seats == {B, T}, "nobody comes in again"


@pytest.mark.parametrize("left", [(A, B), (T,), (A,), ()], ids=str)
def test_without_a_clinician_or_without_anybody_else_it_is_over(left: tuple[SeatCode, ...]) -> None:
    handover = begun()
    handover.look(NOW, heard(*left))
    assert handover.over
    handover.look(NOW, heard(A, B, T))
    assert handover.over, "for good"


def test_a_clinician_who_is_silent_does_not_hear() -> None:
    handover = begun()
    handover.look(NOW + PATIENCE, heard(A, B, T))
    assert not handover.over
    handover.look(NOW + PATIENCE + 0.1, heard(A, B, T) | {A: NOW + 1, B: NOW + 1})
    assert handover.over


def test_it_is_over_when_the_time_is() -> None:
    handover = begun()
    late = NOW + FORWARDS_FOR
    handover.look(late, heard(A, B, T, at=late))
    assert handover.over


@pytest.mark.parametrize("state", [SeatState.HELD, SeatState.WAITING, SeatState.REMOVED, SeatState.LEFT])
def test_a_seat_that_was_decided_upon_elsewhere_ends_it(state: SeatState) -> None:
    handover = begun()
    handover.reloaded(session())
    assert not handover.over
    handover.reloaded(session(A=state))
    assert handover.over


def test_so_do_a_mute_and_the_end_of_the_session() -> None:
    muted, ended = begun(), begun()
    first, *others = session().seats
    muted.reloaded(SessionReloaded(True, (replace(first, muted=True), *others)))
    ended.reloaded(replace(session(), open=False))
    assert muted.over
    assert ended.over


def test_what_is_read_before_all_is_durable_says_nothing() -> None:
    handover = Handover(SetGate(ALL, frozenset()), frozenset({T}), NOW + FORWARDS_FOR, PATIENCE)
    handover.reloaded(session(A=SeatState.WAITING))
    assert not handover.over


def test_whom_the_session_does_not_have_inside_is_not_forwarded_to() -> None:
    assert begun(of=session(B=SeatState.HELD)).over
    assert begun(of=replace(session(), open=False)).over
    assert not begun(frozenset({A, T}), session(B=SeatState.WAITING)).over


@given(
    st.lists(
        st.dictionaries(st.sampled_from([A, B, T]), st.none() | st.floats(90, 110)).map(
            lambda told: dict.fromkeys(ALL) | told
        )
    )
)
def test_whatever_is_heard_it_only_shrinks_and_nobody_is_alone(
    looks: list[dict[SeatCode, float | None]],
) -> None:
    handover, before = begun(), ALL
    for number, told in enumerate(looks):
        now = NOW + number / 4
        handover.look(now, told)
        seats = handover.gate.seats
        assert seats <= before
        at = told[T]
        assert not seats or (T in seats and at is not None and now - at <= PATIENCE)
        before = frozenset(seats)
