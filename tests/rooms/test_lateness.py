from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.lateness import SILENT, WINDOW, Lateness

RATE = 48_000
BEAT = 0.5


class Way:
    """A stream over a way with a queue, looked at every half second."""

    def __init__(self, offset: int = 123_456_789) -> None:
        self.lateness, self.now, self.offset = Lateness(RATE), 50.0, offset

    def goes(self, seconds: float, queue: float = 0.0, *, silent: bool = False) -> float:
        for _ in range(int(seconds / BEAT)):
            self.now += BEAT
            least = None if silent else self.offset + int((0.03 + queue) * RATE)
            self.lateness.close_interval(least, self.now)
        return self.lateness.seconds


def test_the_way_itself_is_not_late() -> None:
    assert Way().goes(30) == 0.0
    assert Way(-1_000_000).goes(30) == 0.0


def test_what_waits_in_a_queue_is_late_by_so_much() -> None:
    way = Way()
    way.goes(5)
    assert way.goes(3, queue=1.25) == pytest.approx(1.25)
    assert way.goes(1) == 0.0


def test_a_queue_that_was_there_from_the_beginning_shows_once_it_was_empty() -> None:
    way = Way()
    assert way.goes(5, queue=0.8) == 0.0
    way.goes(1)
    assert way.goes(2, queue=0.8) == pytest.approx(0.8)


def test_a_device_that_lost_time_is_forgiven_after_a_while() -> None:
    way = Way()
    way.goes(5)
    way.offset += RATE
    assert way.goes(WINDOW) == pytest.approx(1.0)
    assert way.goes(WINDOW + BEAT) == 0.0


def test_a_clock_that_drifts_makes_nothing_late() -> None:
    way = Way()
    for _ in range(1_000):
        way.offset += int(RATE * 0.0002 * BEAT)  # 200 parts in a million
        assert way.goes(BEAT) < 0.02


def test_a_moment_without_packets_is_no_news_and_a_long_silence_ends_what_was_known() -> None:
    way = Way()
    way.goes(5)
    way.goes(2, queue=0.6)
    assert way.goes(SILENT - BEAT, silent=True) == pytest.approx(0.6)
    assert way.goes(BEAT, silent=True) == 0.0
    assert way.goes(5, queue=0.6) == 0.0


def test_timestamps_that_wrap_are_not_half_a_day_late() -> None:
    way = Way()
    way.goes(5)
    way.offset += 1 << 32
    assert way.goes(5) == 0.0
    assert way.goes(2, queue=0.4) == pytest.approx(0.4)


@given(st.lists(st.tuples(st.none() | st.integers(-(1 << 40), 1 << 40), st.floats(0, 100)), max_size=60))
def test_whatever_comes_nothing_is_early_nor_absurdly_late(steps: list[tuple[int | None, float]]) -> None:
    lateness, now = Lateness(RATE), 0.0
    for least, passed in steps:
        now += passed
        lateness.close_interval(least, now)
        assert 0.0 <= lateness.seconds <= 60.0
