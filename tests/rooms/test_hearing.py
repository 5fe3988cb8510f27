from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from rooms.hearing import BACK, ENOUGH, EVERY, FRESH, LATEST, PATIENCE, WINDOW, Hearing

LOOK = 0.25
"""Seconds between two looks, as the runner has them."""


@dataclass
class Way:
    """A seat that is asked at each look, and whose answers take their time."""

    hearing: Hearing = field(default_factory=Hearing)
    now: float = 100.0
    takes: float = 0.05
    under_way: list[tuple[float, bytes]] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def goes(
        self,
        seconds: float,
        *,
        answers: Callable[[], bool] = lambda: True,
        loss: float = 0.0,
    ) -> list[float]:
        """Let time pass; the seconds after which each look found that the seat does not hear."""
        deaf_at, began = [], self.now
        while self.now < began + seconds:
            self.now += LOOK
            for due, question in list(self.under_way):
                if due <= self.now:
                    self.under_way.remove((due, question))
                    self.hearing.answer(question, due)
            for at in (self.now - EVERY, self.now):
                question = self.dice.randbytes(12)
                self.hearing.ask(question, at)
                if answers():
                    self.under_way.append((at + self.takes, question))
            if not self.hearing.look(self.now, loss=loss):
                deaf_at.append(self.now - began)
        return deaf_at


def never() -> bool:
    return False


def share(of: float, seed: int = 1) -> Callable[[], bool]:
    dice = random.Random(seed)
    return lambda: dice.random() < of


@pytest.mark.parametrize("takes", [0.02, 0.3, 0.7, 1.2])
def test_who_answers_hears_however_far_away(takes: float) -> None:
    assert Way(takes=takes).goes(60) == []


def test_who_was_never_asked_hears() -> None:
    assert Hearing().look(100.0)


def test_in_the_dark_nobody_hears_two_seconds_later() -> None:
    way = Way()
    way.goes(10)
    assert PATIENCE < way.goes(5, answers=never)[0] <= 2.0


def test_what_lies_unread_while_we_stand_still_is_no_silence_of_theirs() -> None:
    way = Way()
    way.goes(10)
    way.now += 30
    assert way.goes(5) == []


def test_who_hears_again_is_back_within_two_seconds_and_not_before_it_is_certain() -> None:
    way = Way()
    way.goes(10, answers=never)
    deaf = way.goes(10)
    assert 1.0 <= deaf[-1] < 2.0


@pytest.mark.parametrize("seed", range(20))
def test_who_loses_most_of_it_does_not_hear_and_one_answer_now_and_then_does_not_help(seed: int) -> None:
    way = Way()
    way.goes(10)
    deaf = way.goes(40, answers=share(0.15, seed))
    assert deaf[0] <= 8.0
    assert len(deaf) >= 0.9 * (40 - deaf[0]) / LOOK


@pytest.mark.parametrize("seed", range(20))
def test_a_quarter_lost_is_borne(seed: int) -> None:
    assert Way().goes(120, answers=share(0.75, seed)) == []


def test_a_burst_of_a_second_is_borne() -> None:
    way = Way()
    for _ in range(5):
        assert way.goes(3) == []
        assert way.goes(1, answers=never) == []


@pytest.mark.parametrize("seed", range(20))
def test_what_the_way_up_loses_of_the_answers_is_not_held_against_the_way_down(seed: int) -> None:
    way = Way()
    deaf = way.goes(60, answers=share(0.5, seed), loss=0.5)
    assert len(deaf) < 0.15 * 60 / LOOK


def test_answers_that_come_late_make_nobody_deaf_while_they_keep_coming() -> None:
    way = Way()
    way.goes(10)
    for takes in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0):  # a queue fills, on the way up as it may be
        way.takes = takes
        assert way.goes(3) == []


def test_who_answers_later_than_anybody_can_talk_does_not_hear() -> None:
    assert len(Way(takes=LATEST + 1).goes(60)) > 200


def test_an_answer_counts_once_and_only_when_it_was_asked_for() -> None:
    hearing = Hearing()
    hearing.ask(b"asked", 1.0)
    assert not hearing.answer(b"never asked", 1.1)
    assert hearing.answer(b"asked", 1.1)
    assert not hearing.answer(b"asked", 1.2)


def test_answers_of_before_bring_nobody_back() -> None:
    hearing = Hearing()
    questions = [bytes([n]) for n in range(WINDOW)]
    for n, question in enumerate(questions):
        hearing.ask(question, 100 + n * EVERY)
    assert not hearing.look(100 + WINDOW * EVERY)
    assert not any(hearing.answer(question, 103.0) for question in questions)
    assert not hearing.look(103.0)


def test_a_page_that_has_lost_its_connection_is_believed_unless_we_know_better() -> None:
    way = Way()
    way.goes(10)
    way.hearing.doubt(way.now + FRESH / 2)
    assert way.hearing.look(way.now)
    way.hearing.doubt(way.now + 2 * FRESH)
    assert not way.hearing.look(way.now)
    assert way.goes(10)[-1] < 2.0, "back by itself"


def test_the_bounds_agree_with_each_other() -> None:
    """Who answers less than is enough must not be taken back by the same answers."""
    assert ENOUGH < 1 / 2 < BACK
    assert WINDOW * EVERY == 3.0
