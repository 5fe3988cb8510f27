"""What a page may know: compared as whole values, so that anything added must be decided here."""

from __future__ import annotations

from broker.seats import SeatAction
from rooms.effects import OtherSeat, PlaceView, Presence
from rooms.events import HostAction
from tests.rooms.playbook import HOUR_MS, START_MS, A, B, live, waiting


def test_a_waiting_page_shows_its_own_seat_and_nothing_else() -> None:
    assert waiting().place("a") == PlaceView(
        seat=A,
        label="Partner A",
        place=0,
        state="waiting",
        since_ms=START_MS,
        reason=None,
        muted=False,
        agreed=True,
        others=(),
        device_asks=0,
        store_ok=True,
        ends_ms=START_MS + HOUR_MS,
    )


def test_in_the_room_the_others_are_shown_as_seats() -> None:
    play = live().asks("t", HostAction.MUTE, B)
    assert play.place("a").others == (
        OtherSeat(B, "Partner B", 1, Presence.CONNECTED, True),
        OtherSeat(play.roster().me, "Therapist", 2, Presence.CONNECTED, False),
    )


def test_a_held_partner_is_simply_not_there() -> None:
    play = live().asks("t", SeatAction.HOLD, B)
    assert [other.seat for other in play.place("a").others] == ["T"]


def test_a_second_device_learns_only_that_it_asks() -> None:
    play = live().opens(A, "phone", device="phone")
    view = play.place("phone")
    assert (view.state, view.others, view.since_ms, view.reason) == ("asking-device", (), 0, None)


def test_a_host_sees_every_seat_and_where_the_media_is() -> None:
    play = live()
    assert [(s.seat, s.state, s.in_room) for s in play.roster().seats] == [
        ("A", "admitted", True),
        ("B", "admitted", True),
        ("T", "admitted", True),
    ]
    assert play.roster().media_here
    assert not play.opens(play.roster().me, "t2").roster("t2").media_here


def test_being_moved_back_is_never_told_as_a_lost_clinician() -> None:
    play = live()
    play.hold_answers = True
    play.asks("t", SeatAction.MOVE_BACK, A)
    assert play.place("a").state == "held"
    play.answer_one()
    assert play.place("a").state == "waiting"
