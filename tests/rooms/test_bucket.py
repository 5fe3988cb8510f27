"""The token bucket: a burst, then a rate."""

from __future__ import annotations

from rooms.bucket import Bucket, Buckets


def test_after_the_burst_it_gives_at_its_rate() -> None:
    bucket = Bucket(rate=0.5, burst=3, at=100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(101.0)
    assert bucket.take(102.0)
    assert not bucket.take(102.0)


def test_it_never_holds_more_than_its_burst() -> None:
    bucket = Bucket(rate=0.5, burst=2)
    assert [bucket.take(1e6) for _ in range(3)] == [True, True, False]


def test_it_is_full_again_once_everything_has_come_back() -> None:
    bucket = Bucket(rate=1.0, burst=2, at=0.0)
    assert bucket.full(0.0)
    assert bucket.take(0.0)
    assert not bucket.full(0.5)
    assert bucket.full(1.0)


def test_what_was_spent_is_waited_for_also_where_it_was_more_than_there_was() -> None:
    bucket = Bucket(rate=10.0, burst=5, at=0.0)
    assert bucket.some(0.0)
    bucket.spend(25)
    assert not bucket.some(2.0)
    assert bucket.some(2.15)
    assert bucket.take(2.15), "to look takes nothing"
    assert not bucket.some(2.16)


def test_each_name_has_a_bucket_of_its_own() -> None:
    buckets = Buckets(rate=1.0, burst=1)
    assert [buckets.take(name, 0.0) for name in "aab"] == [True, False, True]
    assert buckets.take("a", 1.0)


def test_names_that_are_not_busy_are_forgotten_and_busy_ones_are_not() -> None:
    buckets = Buckets(rate=1.0, burst=2)
    for number in range(1000):
        buckets.take(number, number)
        for _ in range(2):
            buckets.take("busy", number)
    assert len(buckets) < 100
    assert not buckets.take("busy", 999)
