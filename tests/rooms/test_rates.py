"""What one seat may bring: a burst, then a rate, in octets and packets at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rooms.rates import Ration, ration_of_pictures, ration_of_program_sound, ration_of_sound


def taken(ration: Ration, now: float, size: int, packets: int) -> int:
    """How many of so many packets at one moment are taken in, by the rule that both engines follow."""
    came = 0
    for _ in range(packets):
        if ration.left > 0 or ration.more(now):
            ration.left -= size + ration.each
            came += 1
    return came


def carried(ration: Ration, size: int, per_second: int, seconds: int = 60) -> float:
    """Packets a second that are taken in, of so many, once what comes at once has come."""
    at, came = 1_000.0, 0
    while taken(ration, at, size, 1):
        pass
    for turn in range(seconds * per_second):
        came += taken(ration, at + turn / per_second, size, 1)
    return came / seconds


def test_after_the_burst_it_gives_at_its_rate() -> None:
    ration = Ration(rate=1_000, burst=5_000, each=50, at=100.0)
    assert taken(ration, 100.0, 50, 200) == 50
    assert taken(ration, 100.04, 50, 10) == 0
    assert taken(ration, 100.1, 50, 10) == 1
    assert taken(ration, 101.1, 50, 20) == 10
    assert taken(ration, 1_000.0, 50, 200) == 50, "never more than its burst"


def test_what_the_last_one_took_too_much_is_waited_for() -> None:
    ration = Ration(rate=1_000, burst=1_000, each=50, at=0.0)
    assert taken(ration, 0.0, 1_450, 5) == 1
    assert not ration.more(0.45)
    assert ration.more(0.6)


def test_looks_in_short_steps_lose_nothing() -> None:
    ration = Ration(rate=1_000, burst=100, each=50, at=0.0)
    taken(ration, 0.0, 50, 1)
    assert sum(taken(ration, turn / 10_000, 50, 1) for turn in range(1, 100_001)) == pytest.approx(100, abs=2)


@pytest.mark.parametrize(("size", "per_second"), [(380, 50), (130, 100)])
def test_a_microphone_has_more_than_any_browser_sends(size: int, per_second: int) -> None:
    assert carried(ration_of_sound(0.0), size, per_second) >= 0.99 * per_second


def test_a_program_may_send_the_sound_that_people_set_up() -> None:
    assert carried(ration_of_program_sound(0.0), 840, 50) >= 49.5


def test_camera_and_screen_have_more_than_pages_send() -> None:
    assert carried(ration_of_pictures(0.0), 1_150, 500) >= 495


@pytest.mark.parametrize(
    ("made", "bits", "packets"),
    [
        (ration_of_sound, 190_000, 170),
        (ration_of_program_sound, 380_000, 340),
        (ration_of_pictures, 6_000_000, 1_250),
    ],
)
def test_however_large_or_small_its_packets_nobody_gets_more(
    made: Callable[[float], Ration], bits: int, packets: int
) -> None:
    for size in (40, 300, 1_200, 1_500):
        came = carried(made(0.0), size, 3_000, seconds=5)
        assert came <= packets
        assert 8 * size * came <= bits


def test_what_stood_still_may_come_all_at_once() -> None:
    assert taken(ration_of_sound(0.0), 0.0, 150, 500) == 500, "ten seconds of sound"
    assert taken(ration_of_pictures(0.0), 0.0, 1_150, 1_000) == 1_000, "a whole picture, and five seconds"
