"""One group by itself; what it does within a room is in test_delivery.py."""

from __future__ import annotations

import pytest

from broker.seats import SeatCode
from rooms.group import Group, Place
from rooms.groups import ROOM, AddThis, EpochStands, JoinGroup, KeyPackageSent, Tell

A, T = SeatCode("A"), SeatCode("T")
WAITS = Place("a", None, stays=False, joins=False, waits=True)
STAYS = Place("a", None, stays=True, joins=False, waits=False)
JOINS = Place("a", None, stays=True, joins=True, waits=False)
OUT = Place("a", None, stays=False, joins=False, waits=False)
PACKAGE = KeyPackageSent("a", ROOM, "g1", b"package", b"tag")
ASKED = Tell("a", JoinGroup(ROOM, "g1", commits=False))


def group(name: str = ROOM) -> Group:
    made = Group("meeting", name, "g1")
    made.begin(T, "t")
    return made


@pytest.mark.parametrize(("name", "group_id"), [(ROOM, b"meeting/g1"), ("A", b"meeting/g1/A")])
def test_the_group_id_names_meeting_generation_and_pair(name: str, group_id: bytes) -> None:
    assert group(name).group_id == group_id


def test_a_guest_is_asked_once_and_told_of_when_it_may_join() -> None:
    one = group()
    assert one.settle({A: WAITS}) == [ASKED]
    assert one.settle({A: WAITS}) == []
    assert one.awaits_package(A, PACKAGE)
    one.take_package(A, PACKAGE, b"reference")
    assert not one.awaits_package(A, PACKAGE)
    assert one.settle({A: STAYS}) == []
    assert one.settle({A: JOINS}) == [Tell("t", AddThis(ROOM, "g1", A, b"package", b"tag"))]
    assert one.settle({A: JOINS}) == []


def test_who_has_no_place_is_not_asked_and_what_it_sent_is_forgotten() -> None:
    one = group()
    assert one.settle({A: OUT}) == []
    one.settle({A: WAITS})
    one.take_package(A, PACKAGE, b"reference")
    assert one.settle({A: OUT}) == []
    assert one.settle({A: WAITS}) == [ASKED]


def test_another_life_asks_those_inside_and_not_those_who_wait() -> None:
    one = group()
    one.settle({A: WAITS})
    one.renew("g2")
    assert one.settle({A: WAITS}) == []
    assert one.settle({A: STAYS}) == [Tell("a", JoinGroup(ROOM, "g2", commits=False))]


def test_a_committer_that_comes_back_is_told_of_candidates_again() -> None:
    one = group()
    one.settle({A: WAITS})
    one.take_package(A, PACKAGE, b"reference")
    one.settle({A: JOINS})
    assert one.goes_on(("g1", 0))
    assert not one.goes_on(("g1", 1))
    assert not one.goes_on(("g0", 0))
    assert not one.goes_on(None)
    assert one.resume("t2") == [Tell("t2", EpochStands(ROOM, "g1", 0))]
    assert one.settle({A: JOINS}) == [Tell("t2", AddThis(ROOM, "g1", A, b"package", b"tag"))]
