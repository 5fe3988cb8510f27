"""One room on the admin's board."""

from __future__ import annotations

import msgspec
import pytest

from broker.seats import SeatAction, SeatCode, SeatState
from rooms.quality import Grade, Level, Quality, Standing
from signaling.board import board_room, board_state
from tests.rooms.playbook import A, B, Play, T, live, waiting

MEETING = "0123456789abcdefghjkmnpqrs"


@pytest.mark.parametrize(
    ("play", "state"),
    [
        (Play(), "scheduled"),
        (Play(states={A: SeatState.WAITING}), "waiting"),
        (live(), "live"),
        (Play(states={A: SeatState.ADMITTED, B: SeatState.WAITING}), "paused"),
        (Play(states={A: SeatState.HELD, B: SeatState.LEFT}), "paused"),
        (Play(states={A: SeatState.LEFT, B: SeatState.DENIED}), "scheduled"),
    ],
    ids=["nobody yet", "somebody waits", "clinician inside", "clinician away", "held alone", "all gone"],
)
def test_a_room_is_told_in_one_word(play: Play, state: str) -> None:
    assert board_state(play.room) == state


def test_an_ended_room_is_ended() -> None:
    play = live()
    play.room.open = False
    assert board_state(play.room) == "ended"


def test_waiting_is_told_as_a_duration_and_everything_else_as_none() -> None:
    room = waiting().room
    since = room.seats[A].since_ms
    shown = board_room(MEETING, room, {}, frozenset(), since + 90_000)
    seats = {seat.seat: seat for seat in shown.seats}
    assert seats["A"].waiting_ms == 90_000
    assert seats["T"].waiting_ms is None
    early = board_room(MEETING, room, {}, frozenset(), since - 5)  # the store's clock may be ahead of ours
    assert early.seats[0].waiting_ms == 0


def test_quality_is_numbers_and_locks_are_shown() -> None:
    quality = {
        A: Quality(
            loss_in=0.011,
            loss_out=0.02,
            jitter_ms=3.04,
            bitrate_in=400_000,
            bitrate_out=800_999,
            rtt_ms=12.34,
            standing=Standing(Grade.WEAK, "tcp", Level.SCREEN, Level.SOUND),
        )
    }
    shown = board_room(MEETING, live().room, quality, frozenset({SeatCode("B")}), 0)
    first, second, host = shown.seats
    assert (first.loss_in_percent, first.loss_out_percent) == (1.1, 2.0)
    assert (first.jitter_ms, first.rtt_ms, first.kbps_in, first.kbps_out) == (3.0, 12.3, 400, 800)
    assert (first.quality, first.path, first.receives, first.sends) == ("weak", "tcp", "screen", "sound")
    assert (second.loss_in_percent, second.rtt_ms, second.kbps_in, second.quality, second.path) == (None,) * 5
    assert [seat.locked for seat in (first, second, host)] == [False, True, False]
    assert host.suite == "AEAD_AES_256_GCM"


def test_a_program_and_how_a_page_is_connected_are_told() -> None:
    play = live()
    play.opens(T, "t2", device="device-T", tls="TLSv1.3 TLS_AES_256_GCM_SHA384").gone("t")
    play.gone("a").asks("t2", SeatAction.MOVE_BACK, A)
    play.opens(A, "p", device="device-A", ingest=True)
    first, second, host = board_room(MEETING, play.room, {}, frozenset(), 0).seats
    assert [seat.program for seat in (first, second, host)] == [True, False, False]
    assert [seat.tls for seat in (first, second, host)] == [None, None, "TLSv1.3 TLS_AES_256_GCM_SHA384"]


def test_the_board_holds_codes_and_no_labels() -> None:
    shown = msgspec.json.encode(board_room(MEETING, live().room, {}, frozenset(), 0)).decode()
    assert f'"code":"{MEETING[:6]}"' in shown
    for label in ("Partner", "Therapist"):
        assert label not in shown
    assert {seat.seat for seat in board_room(MEETING, live().room, {}, frozenset(), 0).seats} == {A, B, T}
