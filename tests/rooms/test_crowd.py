"""Who is at the door, and who must go when it is full."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.crowd import Crowd, household


@pytest.mark.parametrize(
    ("host", "home"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("not an address", "not an address"),
        ("", ""),
    ],
)
def test_a_household_is_an_ipv4_address_or_an_ipv6_network(host: str, home: str) -> None:
    assert household(host) == home


def test_the_oldest_of_a_full_household_goes_then_the_oldest_of_all() -> None:
    crowd: Crowd[str] = Crowd()
    crowd.enter("first", "192.0.2.1")
    for number in range(3):
        crowd.enter(f"home {number}", f"2001:db8::{number}")
    assert crowd.displaced("2001:db8::9", of_one=3, in_all=9) == "home 0"
    assert crowd.displaced("192.0.2.1", of_one=3, in_all=9) is None
    assert crowd.displaced("198.51.100.7", of_one=3, in_all=4) == "first"
    crowd.enter("first", "192.0.2.1")
    assert crowd.oldest() == "home 0"
    assert crowd.oldest("198.51.100.7") is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.booleans()), max_size=60))
def test_nobody_is_kept_who_has_gone(steps: list[tuple[int, int, bool]]) -> None:
    crowd: Crowd[int] = Crowd()
    here: dict[int, int] = {}
    for member, home, comes in steps:
        here.pop(member, None)
        if comes:
            crowd.enter(member, f"192.0.2.{home}")
            here[member] = home
        else:
            crowd.leave(member)
        assert list(crowd) == list(here)
        assert all((member in crowd) == (member in here) for member in range(10))
        for home in range(4):
            assert crowd.count(f"192.0.2.{home}") == list(here.values()).count(home)
            assert list(crowd.of(f"192.0.2.{home}")) == [one for one in here if here[one] == home]
    for member in list(here):
        crowd.leave(member)
    assert len(crowd) == len(crowd._of) == 0
