from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.brake import FLOOD, Gaps

RATE = 60
"""Packets a second."""


def missed(losses: list[bool], *, at_once: int = 1) -> list[float]:
    """What is told while packets are sent, and each received one reveals the gap before it.

    Args:
        at_once: packets that are received together.
    """
    gaps, told, gap = Gaps(), [], 0
    for index, lost in enumerate(losses):
        gap += lost
        if not lost and gap and index % at_once == 0:
            told.append(gaps.note(gap, index - 1, index / RATE))
            gap = 0
    return told


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_a_flood_is_seen_within_a_second(share: float) -> None:
    dice = random.Random(7)
    told = missed([False] * 600 + [dice.random() < share for _ in range(RATE)])
    floods = [fraction for fraction in told if fraction]
    assert sum(floods) / len(floods) == pytest.approx(share, abs=0.15)


def test_where_one_packet_in_thirty_arrives_it_is_seen_as_well() -> None:
    assert max(missed([False] * 600 + [index % 30 != 29 for index in range(2 * RATE)])) > 0.9


@pytest.mark.parametrize(("share", "burst"), [(0.05, 1), (0.10, 1), (0.035, 4)])
def test_chance_is_no_flood(share: float, burst: int) -> None:
    dice = random.Random(11)
    losses: list[bool] = []
    while len(losses) < 300 * RATE:
        losses += [True] * burst if dice.random() < share / burst else [False]
    assert max(missed(losses)) == 0.0


def test_a_network_that_was_away_is_no_flood() -> None:
    for seconds in (0.5, 1, 5):
        away = [True] * int(seconds * RATE)
        assert max(missed(([False] * 600 + away) * 3 + [False] * 600)) == 0.0


def test_the_same_packet_missed_again_is_no_news() -> None:
    gaps = Gaps()
    assert [gaps.note(5, 100, 0.01 * count) for count in range(100)] == [0.0] * 100


def test_what_was_lost_long_ago_does_not_count() -> None:
    gaps = Gaps()
    assert [gaps.note(6, 6 * count, 2.0 * count) for count in range(1, 50)] == [0.0] * 49


@given(st.lists(st.tuples(st.integers(-5, 300), st.integers(-1, 1 << 40), st.floats(0, 2)), max_size=200))
def test_whatever_is_told_it_is_a_fraction(nacks: list[tuple[int, int, float]]) -> None:
    gaps, now = Gaps(), 0.0
    for count, newest, passed in nacks:
        now += passed
        told = gaps.note(count, newest, now)
        assert told == 0.0 or FLOOD <= told <= 1.0
