from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rooms.feedback import DEFAULT_BITRATE, MIN_BITRATE
from rooms.uplink import LATE, STEPPED_DOWN, Uplink
from rooms.weak import HURTS

PACKETS = 25
"""Of sound, in half a second."""


def after(seconds: float, *, loss: float = 0.0, late: float = 0.0, bitrate: float = 500_000) -> Uplink:
    """A way up that has done so for so long."""
    uplink = Uplink()
    for _ in range(int(seconds * 2)):
        uplink.note(PACKETS, round(loss * PACKETS), late, bitrate)
    return uplink


def filling(beats: int, *, bitrate: float) -> Uplink:
    """A queue that grows by two fifths of a second with each half second."""
    uplink = Uplink()
    for beat in range(1, beats + 1):
        uplink.note(PACKETS, 0, 0.4 * beat, bitrate)
    return uplink


def test_a_way_that_carries_does_not_hurt() -> None:
    uplink = after(60)
    assert (uplink.hurts, uplink.drowns, uplink.bits) == (False, False, None)


def test_lost_sound_hurts_once_the_browser_has_stepped_down() -> None:
    assert after(10, loss=2 * HURTS, bitrate=STEPPED_DOWN).hurts
    assert not after(10, loss=2 * HURTS, bitrate=1_000_000).hurts
    assert not after(10, loss=HURTS / 2, bitrate=STEPPED_DOWN).hurts


def test_a_deep_queue_that_loses_nothing_hurts_as_well() -> None:
    assert after(10, late=LATE, bitrate=60_000).hurts
    assert not after(10, late=LATE, bitrate=1_000_000).hurts, "video will step down first"
    assert not after(10, late=LATE / 2, bitrate=60_000).hurts


def test_where_not_even_the_least_fits_nothing_is_waited_for() -> None:
    assert after(1, loss=0.8, bitrate=60_000).drowns
    assert not after(0.5, loss=0.8, bitrate=60_000).drowns, "half a second may be chance"
    assert not after(10, loss=0.8, bitrate=2 * MIN_BITRATE).drowns, "the least would fit"
    assert filling(4, bitrate=60_000).drowns
    uplink = filling(2, bitrate=60_000)
    uplink.note(PACKETS, PACKETS // 2, 0.8, 60_000)
    assert uplink.drowns, "full, and it begins to lose"


def test_a_queue_that_stands_or_drains_is_not_made_worse_by_what_is_sent() -> None:
    uplink = filling(4, bitrate=60_000)
    uplink.note(PACKETS, 0, 1.6, 60_000)
    assert not uplink.drowns
    assert uplink.hurts


def test_a_device_that_is_short_of_time_for_a_second_does_not_drown_what_it_sends() -> None:
    uplink = after(2, bitrate=60_000)
    for late in (0.39, 0.45, 0.45, 0.1, 0.0, 0.35, 0.89, 1.2, 0.5, 0.2):  # as measured on a starved machine
        uplink.note(PACKETS, 0, late, 60_000)
        assert not uplink.drowns


def test_what_was_silent_for_a_moment_does_not_drown() -> None:
    uplink = after(5)
    for _ in range(10):
        uplink.note(0, 0, 0.0, 0.0)  # a network away for five seconds
    uplink.note(250, 225, 0.0, 60_000)
    assert not uplink.drowns
    uplink.note(PACKETS, 0, 0.0, 60_000)
    assert not uplink.drowns


def test_a_publisher_is_told_to_send_less_as_soon_as_a_queue_fills() -> None:
    assert filling(1, bitrate=800_000).bits == 640_000
    assert filling(1, bitrate=60_000).bits == MIN_BITRATE
    assert after(1, late=0.1).bits is None, "a home's router holds as much back in a burst"


def test_once_the_queue_is_empty_it_may_send_more_and_more() -> None:
    uplink = filling(3, bitrate=60_000)
    for _ in range(60):
        uplink.note(PACKETS, 0, 0.0, 100_000)
    assert uplink.bits is None


@given(
    st.lists(
        st.tuples(st.integers(0, 1 << 20), st.floats(0, 60), st.floats(0, 1e9), st.floats(0, 1)), max_size=60
    )
)
def test_what_a_publisher_is_told_is_always_usable(steps: list[tuple[int, float, float, float]]) -> None:
    uplink = Uplink()
    for expected, late, bitrate, share in steps:
        uplink.note(expected, int(share * expected), late, bitrate)
        assert uplink.bits is None or uplink.bits >= MIN_BITRATE
        assert not uplink.drowns or bitrate <= MIN_BITRATE
    for _ in range(600):
        uplink.note(PACKETS, 0, 0.0, 100_000)
    assert uplink.bits is None or uplink.bits <= DEFAULT_BITRATE
    assert not uplink.hurts
