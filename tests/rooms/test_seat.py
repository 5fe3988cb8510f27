"""One seat's pages, devices and presence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.seats import PARTNER_A, THERAPIST, SeatState
from rooms.effects import Presence
from rooms.seat import DEAD_DEVICE_YIELDS_AFTER, UNANSWERED_AFTER, UNREACHED_AFTER, Page, Seat


def waiting_seat() -> Seat:
    return Seat(PARTNER_A, 0, SeatState.WAITING, 0)


def phone(link: str = "p1") -> Page:
    return Page(link, "phone", "seat:A")


def laptop(link: str = "l1") -> Page:
    return Page(link, "laptop", "seat:A")


def test_first_connection_is_no_return() -> None:
    seat = waiting_seat()
    seat.take(phone())
    assert seat.notice(1.0, 1000) is None
    assert (seat.presence, seat.presence_since_ms) == (Presence.CONNECTED, 1000)


def test_away_and_back_are_noticed_once() -> None:
    seat = waiting_seat()
    seat.take(phone())
    seat.notice(1.0, 1000)
    seat.drop("p1")
    assert seat.notice(2.0, 2000) is Presence.AWAY
    assert seat.notice(3.0, 3000) is None
    seat.take(phone("p2"))
    assert seat.notice(4.0, 4000) is Presence.CONNECTED


def test_media_alone_keeps_a_seat_alive_until_it_falls_silent() -> None:
    seat = waiting_seat()
    seat.suite = "AEAD_AES_256_GCM"
    assert seat.alive
    seat.silent = True
    assert not seat.alive


def test_a_reload_replaces_the_former_page() -> None:
    seat = waiting_seat()
    seat.take(phone("p1"))
    assert seat.admits(phone("p2").device, now=0.0)
    assert [page.link for page in seat.take(phone("p2"))] == ["p1"]
    assert not seat.new_device


def test_another_device_must_ask_while_the_first_lives() -> None:
    seat = waiting_seat()
    seat.take(phone())
    seat.notice(1.0, 1000)
    assert not seat.admits(laptop().device, now=500.0)


def test_another_device_takes_a_place_whose_device_has_been_dead_long_enough() -> None:
    seat = waiting_seat()
    seat.take(phone())
    seat.notice(1.0, 1000)
    seat.drop("p1")
    seat.notice(10.0, 10_000)
    assert not seat.admits(laptop().device, now=10.0 + DEAD_DEVICE_YIELDS_AFTER - 0.1)
    assert seat.admits(laptop().device, now=10.0 + DEAD_DEVICE_YIELDS_AFTER)
    seat.take(laptop())
    assert seat.new_device


def test_a_seat_without_a_place_is_free_for_any_device() -> None:
    seat = waiting_seat()
    seat.take(phone())
    seat.state = SeatState.LEFT
    assert seat.admits(laptop().device, now=0.0)


def test_an_unanswered_question_has_a_deadline() -> None:
    seat = waiting_seat()
    seat.take(phone())
    seat.notice(1.0, 1000)
    seat.asking, seat.asking_since = laptop(), 5.0
    assert seat.asking_deadline == 5.0 + UNANSWERED_AFTER


def test_a_host_may_have_several_pages_and_one_speaks() -> None:
    seat = Seat(THERAPIST, 2, SeatState.ADMITTED, 0)
    assert seat.take(Page("t1", "one", "staff:x")) == []
    assert seat.take(Page("t2", "two", "staff:x")) == []
    seat.media_link = "t1"
    assert seat.page == Page("t1", "one", "staff:x")
    seat.drop("t1")
    assert seat.page == Page("t2", "two", "staff:x")


@given(st.lists(st.tuples(st.sampled_from(["take", "drop"]), st.sampled_from("abc"), st.sampled_from("xy"))))
def test_a_patient_seat_never_has_two_pages(steps: list[tuple[str, str, str]]) -> None:
    seat = waiting_seat()
    for step, link, device in steps:
        if step == "take":
            seat.take(Page(link, device, "seat:A"))
        else:
            seat.drop(link)
        assert len(seat.pages) <= 1


def test_a_program_takes_nothing_from_a_device_that_is_there() -> None:
    seat = waiting_seat()
    assert seat.lets_ingest("program")
    seat.last_device = "phone"
    assert seat.lets_ingest("program")  # waiting, and nobody is there
    seat.take(phone())
    assert not seat.lets_ingest("program")
    assert seat.lets_ingest("phone")
    seat.drop("p1")
    assert seat.lets_ingest("program")
    seat.asking = laptop()
    assert not seat.lets_ingest("program")


def test_a_program_inherits_no_admission() -> None:
    seat = Seat(PARTNER_A, 0, SeatState.ADMITTED, 0)
    assert not seat.lets_ingest("program")
    seat.last_device = "program"
    assert seat.lets_ingest("program")  # its own, from before the room was loaded
    seat.take(phone())
    seat.drop("p1")
    assert not seat.lets_ingest("program")


def unreached(seat: Seat, now: float) -> bool:
    seat.look_for_media(now)
    return seat.unreached


def looks_again(seat: Seat) -> float | None:
    return seat.unreached_deadline


def test_a_page_whose_media_finds_no_way_is_noticed_after_a_while() -> None:
    seat = waiting_seat()
    assert not unreached(seat, 0.1)
    assert looks_again(seat) is None, "nobody is there"
    seat.take(phone())
    assert not unreached(seat, 0.1)
    at = looks_again(seat)
    assert at == 0.1 + UNREACHED_AFTER
    assert not unreached(seat, at - 0.1)
    assert unreached(seat, at)
    assert looks_again(seat) is None
    seat.suite = "any"
    assert not unreached(seat, at + 1)
    seat.suite = None
    assert not unreached(seat, at + 2)
    assert looks_again(seat) == at + 2 + UNREACHED_AFTER, "from when the way was lost"
    seat.silent = True
    assert not unreached(seat, at + 30), "it is away, which is told"


def test_nobody_is_missed_who_has_no_transport_yet() -> None:
    outside, host = Seat(PARTNER_A, 0, SeatState.EXPECTED, 0), Seat(THERAPIST, 2, SeatState.ADMITTED, 0)
    program = waiting_seat()
    program.take(Page("w", "program", "seat:A", ingest=True))
    for seat in (outside, host):
        seat.take(phone())
    for seat in (outside, host, program):
        seat.look_for_media(0.0)
        assert seat.unreached_deadline is None
    program.state = SeatState.ADMITTED
    program.look_for_media(0.0)
    assert program.unreached_deadline is not None
