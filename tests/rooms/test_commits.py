"""Commits under way and owed."""

from __future__ import annotations

import pytest

from broker.seats import SeatAction
from rooms.commits import RETRY_AFTER, Commits
from rooms.events import HostAction, RoomAction
from tests.rooms.playbook import A, B, T

EVERYBODY = frozenset({A, B, T})


def test_commits_are_numbered_and_answered_once() -> None:
    commits = Commits()
    first = commits.issue(SeatAction.KNOCK, (A,), "a", link="page", request=7)
    second = commits.issue(SeatAction.KNOCK, (B,), "b")
    assert (first.number, second.number) == (1, 2)
    answered = commits.done(1)
    assert answered is not None
    assert (answered.commit, answered.link, answered.request) == (first, "page", 7)
    assert commits.done(1) is None
    assert commits


@pytest.mark.parametrize("action", [SeatAction.HOLD, SeatAction.REMOVE, SeatAction.LEAVE])
def test_a_closing_cuts_its_seats_until_it_is_recorded(action: SeatAction) -> None:
    commits = Commits()
    commit = commits.issue(action, (A,), "t")
    assert commits.closing(EVERYBODY) == {A}
    commits.done(commit.number)
    commits.not_taken(commit, now=5.0)
    assert commits.closing(EVERYBODY) == {A}, "owed"
    assert commits.owed == (commit,)
    assert commits.due(5.0 + RETRY_AFTER / 2) == []
    assert commits.due(5.0 + RETRY_AFTER) == [commit]
    assert not commits


def test_the_end_cuts_everybody() -> None:
    commits = Commits()
    commits.issue(HostAction.END, (), "t")
    assert commits.ending
    assert commits.closing(EVERYBODY) == EVERYBODY


def test_that_another_device_has_a_seat_is_owed_and_cuts_nobody() -> None:
    commits = Commits()
    commit = commits.issue(RoomAction.DEVICE, (A,), "a", devices={A: "phone"})
    commits.done(commit.number)
    commits.not_taken(commit, now=5.0)
    assert commits.closing(EVERYBODY) == frozenset()
    assert commits.due(60.0) == [commit]


def test_an_opening_is_never_owed() -> None:
    commits = Commits()
    commit = commits.issue(SeatAction.ADMIT, (A,), "t")
    commits.done(commit.number)
    commits.not_taken(commit, now=5.0)
    assert commits.due(60.0) == []
    assert commits.closing(EVERYBODY) == frozenset()


def test_a_store_that_is_back_is_asked_at_once() -> None:
    commits = Commits()
    commit = commits.issue(SeatAction.HOLD, (A,), "t")
    commits.done(commit.number)
    commits.not_taken(commit, now=5.0)
    commits.store_is_back(now=5.1)
    assert commits.due(5.1) == [commit]


def test_a_return_is_asked_for_once_at_a_time() -> None:
    commits = Commits()
    commit = commits.issue(None, (A, B), "system")
    assert commits.resuming
    commits.done(commit.number)
    commits.not_taken(commit, now=5.0)
    assert commits.resuming, "it waits for the store"


def test_a_return_that_was_recorded_is_no_longer_under_way() -> None:
    commits = Commits()
    commits.done(commits.issue(None, (A, B), "system").number)
    assert not commits.resuming
