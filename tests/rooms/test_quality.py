from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.quality import BETTER_AFTER, WORSE_AFTER, Damped, Grade, Meter, Quality


def numbers(
    loss_in: float = 0.0, loss_out: float = 0.0, jitter_ms: float = 5.0, rtt_ms: float = 30.0
) -> Quality:
    """A good link but for what is said."""
    return Quality(loss_in, loss_out, jitter_ms, 900_000, 900_000, rtt_ms)


def test_the_worst_number_makes_the_grade() -> None:
    assert numbers().grade is Grade.GOOD
    assert numbers(loss_out=0.04).grade is Grade.FAIR
    assert numbers(rtt_ms=400.0).grade is Grade.FAIR
    assert numbers(jitter_ms=90.0).grade is Grade.FAIR
    assert numbers(loss_in=0.2).grade is Grade.WEAK
    assert numbers(rtt_ms=900.0, jitter_ms=90.0).grade is Grade.WEAK


def test_a_link_without_a_known_round_trip_is_not_held_against_it() -> None:
    assert Quality(0.0, 0.0, 0.0, 0, 0, None).grade is Grade.GOOD


def test_one_bad_moment_is_no_news() -> None:
    damped = Damped()
    damped.note(Grade.WEAK, 10.0)
    assert damped.note(Grade.WEAK, 10.0 + WORSE_AFTER - 0.1) is Grade.GOOD
    assert damped.note(Grade.GOOD, 10.0 + WORSE_AFTER) is Grade.GOOD
    assert damped.note(Grade.WEAK, 10.0 + WORSE_AFTER + 0.1) is Grade.GOOD


def test_what_lasts_is_told_and_taken_back_more_slowly() -> None:
    damped = Damped()
    damped.note(Grade.WEAK, 10.0)
    assert damped.note(Grade.WEAK, 10.0 + WORSE_AFTER) is Grade.WEAK
    damped.note(Grade.GOOD, 20.0)
    assert damped.note(Grade.GOOD, 20.0 + BETTER_AFTER - 0.1) is Grade.WEAK
    assert damped.note(Grade.GOOD, 20.0 + BETTER_AFTER) is Grade.GOOD


def test_a_link_that_wavers_between_fair_and_weak_is_called_fair() -> None:
    damped = Damped()
    for step in range(8):
        damped.note(Grade.WEAK if step % 2 else Grade.FAIR, 10.0 + step * 0.5)
    assert damped.grade is Grade.FAIR


@given(st.lists(st.tuples(st.sampled_from(Grade), st.floats(0.05, 5.0)), max_size=200))
def test_what_is_told_never_changes_more_often_than_every_few_seconds(
    notes: list[tuple[Grade, float]],
) -> None:
    damped, now, told, changed_at = Damped(), 0.0, Grade.GOOD, float("-inf")
    for grade, passed in notes:
        now += passed
        if (tells := damped.note(grade, now)) is not told:
            assert now - changed_at >= min(WORSE_AFTER, BETTER_AFTER)
            told, changed_at = tells, now


@given(st.sampled_from(Grade), st.lists(st.sampled_from(Grade), max_size=30))
def test_what_holds_is_told_in_the_end(last: Grade, before: list[Grade]) -> None:
    damped = Damped()
    for step, grade in enumerate(before):
        damped.note(grade, float(step))
    for step in range(20):
        damped.note(last, 100.0 + step)
    assert damped.grade is last


def test_rates_are_those_of_the_last_seconds() -> None:
    meter = Meter()
    meter.close_interval(0.0, 0, 0)
    for beat in range(1, 20):
        meter.octets_in, meter.octets_out = 50_000, 25_000
        meter.close_interval(beat / 2, 100, 10)
    assert 790_000 < meter.bitrate_in < 800_000
    assert 395_000 < meter.bitrate_out < 400_000
    assert 0.095 < meter.loss_in < 0.1


def test_an_old_round_trip_is_not_told() -> None:
    meter = Meter()
    assert meter.trip(0.0) is None
    meter.note_trip(0.05, 1.0)
    assert meter.trip(2.0) == 0.05
    assert meter.trip(60.0) is None


def test_a_report_that_waited_on_the_way_up_says_nothing_of_the_way_down() -> None:
    meter = Meter()
    meter.late = 2.0
    meter.note_trip(2.3, 1.0)
    assert meter.trip(1.0) == 2.3
    assert meter.trip_down(1.0) == pytest.approx(0.3)
    assert meter.trip_down(60.0) is None


def test_a_clock_that_says_nonsense_makes_no_negative_round_trip() -> None:
    meter = Meter()
    meter.note_trip(-4.0, 1.0)
    assert meter.trip(1.0) == 0.0


def test_nothing_waits_longer_than_what_came_after_it() -> None:
    meter = Meter()
    assert meter.waits_at_most(10.0) == float("inf")
    meter.note_trip(0.25, 10.0)
    assert meter.waits_at_most(10.0) == 0.25
    assert meter.waits_at_most(10.5) == 0.75
