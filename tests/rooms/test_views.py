"""What a page may know: compared as whole values, so that anything added must be decided here."""

from __future__ import annotations

from dataclasses import replace

from broker.seats import SeatAction
from rooms.effects import OtherSeat, PlaceView, Presence, Show
from rooms.events import HostAction, LinkJudged
from rooms.quality import Grade, Level, Standing
from tests.rooms.playbook import HOUR_MS, START_MS, A, B, Play, T, live, waiting


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


WEAK = Standing(Grade.WEAK, "udp", receives=Level.SOUND, sends=Level.SCREEN)


def test_a_patient_in_the_room_is_told_what_goes_over_their_own_link() -> None:
    view = (live() >> LinkJudged(A, WEAK)).place("a")
    assert (view.receives, view.sends) == (Level.SOUND, Level.SCREEN)


def test_the_others_are_told_only_what_of_theirs_is_missing() -> None:
    play = live()
    before = play.place("b")
    play >> LinkJudged(A, Standing(Grade.WEAK, "turn", receives=Level.SOUND))
    assert play.place("b") == before, "what A receives is A's own"
    play >> LinkJudged(A, WEAK)
    assert play.place("b").others[0].sends is Level.SCREEN


def test_the_others_are_told_which_pictures_there_would_be() -> None:
    play = live() >> LinkJudged(A, replace(WEAK, camera=True))
    (other, *_) = play.place("b").others
    assert (other.camera, other.screen) == (True, False)


def test_no_link_tells_a_waiting_page_anything_not_even_its_own() -> None:
    play = waiting().asks("t", SeatAction.ADMIT, B)
    before = play.place("a")
    for seat in (A, B, T):
        play >> LinkJudged(seat, WEAK)
        assert not any(isinstance(effect, Show) and effect.link == "a" for effect in play.effects)
    assert play.place("a") == before


def test_a_held_seat_is_told_nothing_of_links() -> None:
    play = live() >> LinkJudged(A, WEAK)
    view = play.asks("t", SeatAction.HOLD, A).place("a")
    assert (view.receives, view.sends, view.others) == (Level.ALL, Level.ALL, ())


def test_a_host_sees_how_every_link_is() -> None:
    play = waiting() >> LinkJudged(A, WEAK)
    assert [seat.link for seat in play.roster().seats] == [WEAK, None, None]
    assert play.media(A, up=False).roster().seats[0].link is None, "without a transport there is no link"


def test_a_host_is_told_of_a_picture_that_only_their_browser_cannot_show() -> None:
    def unshown(sent: Standing, host: Standing) -> list[bool]:
        play = live() >> LinkJudged(A, sent) >> LinkJudged(T, host)
        return [seat.unshown for seat in play.roster().seats]

    assert unshown(Standing(h264=True), Standing()) == [True, False, False]
    assert unshown(Standing(h264=True), Standing(shows_h264=True)) == [False, False, False]
    assert unshown(Standing(), Standing()) == [False, False, False]


def test_only_a_host_is_told_of_a_seat_for_whose_media_no_way_is_found() -> None:
    play = waiting().media(A, up=False).media(B)
    pages = {link: play.place(link) for link in ("a", "b")}
    play.wait(7.9)
    assert not any(seat.unreached for seat in play.roster().seats)
    play.wait(0.2)
    assert [seat.unreached for seat in play.roster().seats] == [True, False, False]
    assert {link: play.place(link) for link in pages} == pages, "no patient's page learns anything"
    play.asks("t", SeatAction.ADMIT, A)
    assert play.roster().seats[0].unreached
    assert not play.media(A).roster().seats[0].unreached


def test_a_judgement_that_changes_nothing_is_not_shown() -> None:
    play: Play = live() >> LinkJudged(A, WEAK)
    play >> LinkJudged(A, WEAK)
    assert play.effects == []
