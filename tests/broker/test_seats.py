"""The roster and the table of moves."""

from __future__ import annotations

import pytest

from broker.seats import (
    CLOSING,
    MOVES,
    PLACED_STATES,
    PLANS,
    SeatAction,
    SeatRole,
    SeatState,
    SessionKind,
    roster,
)


@pytest.mark.parametrize(("kind", "codes"), [(SessionKind.COUPLE, "ABT"), (SessionKind.INDIVIDUAL, "PT")])
def test_roster(kind: SessionKind, codes: str) -> None:
    assert "".join(plan.code for plan in roster(kind)) == codes
    assert "".join(plan.code for plan in roster(kind, with_cotherapist=True)) == codes + "C"


def test_a_code_means_the_same_seat_everywhere() -> None:
    for kind in SessionKind:
        assert all(PLANS[plan.code] is plan for plan in roster(kind, with_cotherapist=True))


def test_every_action_has_its_row() -> None:
    assert set(MOVES) == set(SeatAction)


def test_whatever_lets_a_patient_in_needs_agreement_and_capacity() -> None:
    into_the_room = {a for a, move in MOVES.items() if move.to is SeatState.ADMITTED}
    assert into_the_room == {SeatAction.ADMIT, SeatAction.ENTER, SeatAction.RESUME}
    assert MOVES[SeatAction.ADMIT].needs_agreement
    assert MOVES[SeatAction.ADMIT].needs_capacity
    assert MOVES[SeatAction.RESUME].origins == {SeatState.HELD}, "only who was inside already"


def test_no_row_leads_out_of_removed_but_readmission_and_none_out_of_ended() -> None:
    assert [a for a, move in MOVES.items() if SeatState.REMOVED in move.origins] == [SeatAction.READMIT]
    assert not any(SeatState.ENDED in move.origins for move in MOVES.values())


def test_removal_ends_the_credentials_opened_before() -> None:
    assert [a for a, move in MOVES.items() if move.bumps_epoch] == [SeatAction.REMOVE]


def test_closing_moves_never_wait_for_an_open_window() -> None:
    assert not any(MOVES[action].needs_open for action in CLOSING)


def test_closing_moves_are_exactly_those_that_take_somebody_out_of_the_room_or_the_waiting_room() -> None:
    taking_out = {
        action
        for action, move in MOVES.items()
        if move.to is not SeatState.ADMITTED
        and move.origins & PLACED_STATES
        and move.to is not SeatState.ASKED_TO_WAIT
    }
    assert taking_out == CLOSING


def test_roles() -> None:
    assert {plan.code for plan in PLANS.values() if plan.role is SeatRole.HOST} == {"T", "C"}
