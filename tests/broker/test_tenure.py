"""The owner's own clock: it stops being sure before the store's lease can have ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.ids import MeetingId
from broker.tenure import Tenure

ONE, TWO = MeetingId("one"), MeetingId("two")


def test_a_room_is_sure_for_two_thirds_of_its_lease() -> None:
    tenure = Tenure(6.0)
    tenure.heard([ONE], 100.0)
    assert tenure.sure(ONE, 103.9)
    assert not tenure.sure(ONE, 104.0)
    assert not tenure.unsure(103.9)
    assert tenure.unsure(104.0) == {ONE}
    assert tenure.deadline == 104.0


def test_a_renewal_counts_from_when_it_was_asked_for() -> None:
    tenure = Tenure(6.0)
    tenure.heard([ONE, TWO], 100.0)
    tenure.heard([ONE], 102.0)
    assert (tenure.sure(ONE, 105.0), tenure.sure(TWO, 105.0)) == (True, False)
    assert tenure.unsure(105.0) == {TWO}


def test_an_answer_that_comes_after_a_later_one_shortens_nothing() -> None:
    tenure = Tenure(6.0)
    tenure.heard([ONE], 102.0)
    tenure.heard([ONE], 100.0)
    assert tenure.deadline == 106.0


def test_what_was_given_up_or_never_ours_is_not_sure() -> None:
    tenure = Tenure(6.0)
    assert not tenure.sure(ONE, 0.0)
    tenure.heard([ONE], 100.0)
    tenure.forget([ONE, TWO])
    assert not tenure.sure(ONE, 100.0)
    assert tenure.deadline is None
    assert tenure.unsure(1e9) == frozenset()


@given(
    ttl=st.floats(0.1, 60),
    travel=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=1, max_size=20),
    stopped=st.floats(0, 1000),
)
def test_an_owner_is_never_sure_once_the_store_may_have_let_go(
    ttl: float, travel: list[tuple[float, float]], stopped: float
) -> None:
    """Each renewal takes a while to reach the store, which counts from there; then we are stopped."""
    tenure, now, lease_ends = Tenure(ttl), 0.0, 0.0
    for there, back in travel:
        asked, now = now, now + there
        lease_ends = now + ttl
        now += back
        tenure.heard([ONE], asked)
    now += stopped
    assert not (tenure.sure(ONE, now) and now >= lease_ends)
