from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.feedback import DEFAULT_BITRATE
from rooms.forwarding import Kind
from rooms.quality import Level
from rooms.weak import (
    CALM,
    CARRIED,
    EASE,
    FIRST_WAIT,
    HURTS,
    LONGEST_WAIT,
    PATIENCE,
    PICTURE_BITRATE,
    RELAPSE,
    SETTLED,
    SLOW,
    Allowance,
    Ladder,
    downlink_hurts,
)

BEAT = 0.5


class Link:
    """A ladder and its clock."""

    def __init__(self) -> None:
        self.ladder, self.now = Ladder(), 100.0

    def goes(
        self, seconds: float, *, hurts: bool, screen: bool = False, pictures: bool | None = None
    ) -> Level:
        """Let time pass beat by beat; pictures flow unless paused."""
        for _ in range(int(seconds / BEAT)):
            self.now += BEAT
            self.beats(hurts=hurts, screen=screen, pictures=pictures)
        return self.ladder.level

    def beats(self, *, hurts: bool, screen: bool, pictures: bool | None) -> bool:
        flows = self.ladder.level is Level.ALL or (self.ladder.level is Level.SCREEN and screen)
        return self.ladder.judge(
            hurts=hurts, pictures=flows if pictures is None else pictures, screen=screen, now=self.now
        )


def test_a_link_that_carries_is_left_alone() -> None:
    assert Link().goes(600, hurts=False) is Level.ALL


def test_a_short_trouble_pauses_nothing() -> None:
    link = Link()
    for _ in range(20):
        assert link.goes(PATIENCE - BEAT, hurts=True) is Level.ALL
        assert link.goes(BEAT, hurts=False) is Level.ALL


def test_a_lasting_trouble_pauses_the_pictures_and_they_return_by_themselves() -> None:
    link = Link()
    assert link.goes(PATIENCE + BEAT, hurts=True) is Level.SOUND
    assert link.goes(FIRST_WAIT - BEAT, hurts=False) is Level.SOUND
    assert link.goes(2 * BEAT, hurts=False) is Level.ALL


def test_a_link_that_drowns_loses_all_pictures_at_once() -> None:
    link = Link()
    assert link.ladder.judge(hurts=False, drowns=True, pictures=True, screen=True, now=100.0)
    assert link.ladder.level is Level.SOUND
    assert link.goes(FIRST_WAIT, hurts=False) is Level.ALL, "and gets them back as always"


def test_a_shared_screen_outlives_the_cameras() -> None:
    link = Link()
    assert link.goes(PATIENCE + BEAT, hurts=True, screen=True) is Level.SCREEN
    assert link.goes(PATIENCE + BEAT, hurts=True, screen=True) is Level.SOUND
    assert link.goes(FIRST_WAIT, hurts=False, screen=True) is Level.SCREEN, "and comes back first"
    assert link.goes(FIRST_WAIT, hurts=False, screen=True) is Level.ALL


def test_a_screen_that_was_put_away_holds_nothing_up() -> None:
    link = Link()
    link.goes(PATIENCE + BEAT, hurts=True, screen=True)
    assert link.goes(FIRST_WAIT, hurts=False) is Level.ALL


def test_each_relapse_waits_twice_as_long_up_to_a_bound() -> None:
    link = Link()
    waits = []
    link.goes(PATIENCE + BEAT, hurts=True)
    for _ in range(6):
        paused_at = link.now
        while link.goes(BEAT, hurts=False) is not Level.ALL:
            pass
        waits.append(link.now - paused_at)
        tried_at = link.now
        while link.goes(BEAT, hurts=True) is Level.ALL:
            pass
        assert link.now - tried_at <= RELAPSE + 2 * BEAT, "a picture on trial has less patience"
    assert waits == [8.0, 16.0, 32.0, 32.0, 32.0, 32.0]


def test_a_picture_that_stayed_is_forgiven_its_past() -> None:
    link = Link()
    link.goes(PATIENCE + BEAT, hurts=True)
    link.goes(FIRST_WAIT + BEAT, hurts=False)
    link.goes(RELAPSE + BEAT, hurts=True)
    link.goes(2 * FIRST_WAIT + BEAT, hurts=False)
    assert link.goes(SETTLED, hurts=False) is Level.ALL
    link.goes(PATIENCE + BEAT, hurts=True)
    assert link.goes(FIRST_WAIT + BEAT, hurts=False) is Level.ALL


def test_while_sound_itself_suffers_no_picture_is_tried() -> None:
    link = Link()
    link.goes(PATIENCE + BEAT, hurts=True)
    assert link.goes(300, hurts=True) is Level.SOUND
    assert link.goes(BEAT, hurts=False) is Level.ALL


def test_without_pictures_there_is_nothing_to_pause() -> None:
    assert Link().goes(60, hurts=True, pictures=False) is Level.ALL


def test_publishers_step_down_just_before_a_trial() -> None:
    link = Link()
    assert not link.ladder.easing(link.now)
    link.goes(PATIENCE + BEAT, hurts=True)
    assert not link.ladder.easing(link.now)
    link.goes(FIRST_WAIT - EASE, hurts=False)
    assert link.ladder.easing(link.now)
    link.goes(EASE, hurts=False)
    assert not link.ladder.easing(link.now)


def test_sound_is_carried_at_every_level() -> None:
    assert all(Kind.AUDIO in CARRIED[level] for level in Level)
    assert CARRIED[Level.SOUND] < CARRIED[Level.SCREEN] < CARRIED[Level.ALL] == set(Kind)


JUDGEMENTS = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.floats(0.1, 3.0)), max_size=300
)


@given(JUDGEMENTS)
def test_no_picture_ever_flaps(judgements: list[tuple[bool, bool, bool, float]]) -> None:
    ladder, now, level, changed_at = Ladder(), 0.0, Level.ALL, float("-inf")
    order = list(Level)
    for hurts, pictures, screen, passed in judgements:
        now += passed
        changed = ladder.judge(hurts=hurts, pictures=pictures, screen=screen, now=now)
        assert changed is (ladder.level is not level)
        if changed:
            back = order.index(ladder.level) < order.index(level)
            assert now - changed_at >= (FIRST_WAIT if back else RELAPSE)
            level, changed_at = ladder.level, now


@given(JUDGEMENTS)
def test_whatever_was_before_a_link_that_is_well_gets_its_pictures_back(
    judgements: list[tuple[bool, bool, bool, float]],
) -> None:
    link = Link()
    for hurts, pictures, screen, passed in judgements:
        link.now += passed
        link.beats(hurts=hurts, screen=screen, pictures=pictures)
    assert link.goes(LONGEST_WAIT + FIRST_WAIT + 2 * BEAT, hurts=False, screen=True) is Level.ALL


# ------------------------------------------------------------------------------------- the allowance


def test_what_the_browser_estimates_is_what_the_link_carries() -> None:
    allowance = Allowance()
    allowance.update(400_000, 0.0, 1.0, 1.0)
    assert allowance.bits == 400_000


def test_a_browser_that_says_nothing_gets_the_default_and_no_more() -> None:
    allowance = Allowance()
    allowance.update(None, 0.0, float("-inf"), 1.0)
    assert allowance.bits == DEFAULT_BITRATE


def test_loss_lowers_it_whatever_the_browser_estimates() -> None:
    allowance = Allowance()
    allowance.update(None, 0.5, 1.0, 1.0)
    assert allowance.bits == DEFAULT_BITRATE // 2
    allowance.update(2_000_000, 0.5, 1.0, 1.5)
    assert allowance.bits == DEFAULT_BITRATE // 2, "the same report counts once"
    allowance.update(2_000_000, 0.5, 2.0, 2.0)
    assert allowance.bits == DEFAULT_BITRATE // 4


def test_loss_that_has_nothing_to_do_with_rate_lowers_nothing() -> None:
    allowance = Allowance()
    for second in range(60):
        allowance.update(1_500_000, 0.05, float(second), float(second))
    assert allowance.bits == 1_500_000


def test_it_recovers_within_a_quarter_of_a_minute() -> None:
    allowance = Allowance()
    allowance.update(None, 0.99, 1.0, 1.0)
    assert allowance.bits == PICTURE_BITRATE
    for beat in range(30):
        allowance.update(None, 0.0, 2.0 + beat / 2, 2.0 + beat / 2)
    assert allowance.bits == DEFAULT_BITRATE


def test_a_trial_begins_with_the_least_whatever_is_estimated() -> None:
    allowance = Allowance()
    allowance.begin_at_floor(2, 10.0)
    assert allowance.bits == 2 * PICTURE_BITRATE
    allowance.update(1_500_000, 0.0, 9.0, 10.5)
    assert allowance.bits < 2.5 * PICTURE_BITRATE


def after_a_pause(seconds: int, *, loss: float = 0.0, trip: float = 0.05) -> Allowance:
    """A link whose browser estimates little, once pictures have been tried again for so long."""
    allowance = Allowance()
    allowance.update(14_000, 0.0, 1.0, 1.0, 0.05)
    allowance.begin_at_floor(1, 2.0)
    for second in range(seconds):
        now = 3.0 + second
        # While nothing came the browser said nothing; it begins again where it was.
        estimate = None if second < 2 else int(14_000 * 1.08**second)
        allowance.update(estimate, loss, now, now, trip)
    return allowance


def test_a_flood_leaves_what_arrives_and_room_for_the_sound() -> None:
    allowance = at(1_500_000)
    allowance.cut(500_000, 1, 1.0)
    assert allowance.bits == 350_000
    allowance.cut(60_000, 1, 2.0)
    assert allowance.bits == PICTURE_BITRATE
    for beat in range(40):
        allowance.update(1_500_000, 0.0, 3.0 + beat / 2, 3.0 + beat / 2)
    assert allowance.bits == 1_500_000


def test_after_a_pause_the_picture_does_not_wait_for_an_estimate_that_collapsed() -> None:
    assert after_a_pause(15).bits == DEFAULT_BITRATE


def collapsed(seconds: int, *, loss: float = 0.0, trip: float | None = 0.02, pictures: int = 1) -> Allowance:
    """A link whose browser has come to estimate next to nothing, though nothing was paused."""
    allowance = Allowance()
    allowance.update(1_500_000, 0.0, 0.0, 0.0, 0.02, pictures)
    for second in range(1, seconds + 1):
        estimate = int(9_000 * 1.08**second)
        allowance.update(estimate, loss, float(second), float(second), trip, pictures)
    return allowance


def test_while_pictures_come_well_an_estimate_that_collapsed_keeps_nobody_small() -> None:
    assert collapsed(12).bits == DEFAULT_BITRATE
    assert collapsed(5).bits > 2 * PICTURE_BITRATE
    assert collapsed(1, pictures=2).bits == 2 * PICTURE_BITRATE, "as much comes in any case"


def test_a_low_estimate_counts_where_something_speaks_for_it_or_nothing_comes() -> None:
    believed = int(9_000 * 1.08**12)
    assert collapsed(12, loss=0.08).bits == believed
    assert collapsed(12, trip=0.3).bits == believed
    assert collapsed(12, trip=None).bits == believed
    assert collapsed(12, pictures=0).bits == believed


def test_what_speaks_against_our_estimate_leaves_the_browsers_where_that_is_no_lower() -> None:
    allowance = collapsed(4)
    reached = allowance.bits
    assert reached > 2 * PICTURE_BITRATE - 10_000
    for second in range(5, 25):
        allowance.update(
            int(0.82 * reached), 0.0, float(second), float(second), 0.3 if second == 5 else 0.02, 1
        )
    assert allowance.bits == int(0.82 * reached)


def test_a_low_estimate_that_still_holds_a_picture_is_what_the_link_carries() -> None:
    allowance = Allowance()
    for second in range(20):
        allowance.update(PICTURE_BITRATE, 0.0, float(second), float(second), 0.02, 1)
    assert allowance.bits == PICTURE_BITRATE


def test_what_was_lost_before_the_pause_does_not_speak_against_its_end() -> None:
    allowance = Allowance()
    allowance.begin_at_floor(1, 2.0)
    allowance.update(14_000, 0.09, 3.0, 3.0, 0.05)
    for second in range(14):
        allowance.update(14_000, 0.0, 4.0 + second, 4.0 + second, 0.05)
    assert allowance.bits == DEFAULT_BITRATE


def test_it_grows_neither_against_loss_nor_against_a_queue_that_fills() -> None:
    assert after_a_pause(15, loss=0.08).bits == PICTURE_BITRATE
    assert after_a_pause(15, trip=0.3).bits == PICTURE_BITRATE


def test_once_it_was_too_much_it_grows_with_care() -> None:
    allowance = after_a_pause(6)
    reached = allowance.bits
    allowance.update(20_000, 0.08, 10.0, 10.0, 0.05)
    assert allowance.bits == pytest.approx(0.8 * reached, abs=1)
    allowance.update(20_000, 0.0, 11.0, 11.0, 0.05)
    assert allowance.bits < 0.9 * reached


def test_once_the_browser_has_caught_up_its_word_counts_again() -> None:
    allowance = after_a_pause(4)
    allowance.update(1_800_000, 0.0, 20.0, 20.0, 0.05)
    for second in range(10):
        allowance.update(1_800_000, 0.0, 21.0 + second, 21.0 + second, 0.05)
    allowance.update(300_000, 0.0, 40.0, 40.0, 0.05)
    assert allowance.bits == 300_000


@given(
    st.lists(
        st.tuples(st.none() | st.integers(0, 1 << 40), st.floats(0, 1), st.booleans(), st.floats(0, 10)),
        max_size=100,
    )
)
def test_it_is_always_a_usable_number(
    readings: list[tuple[int | None, float, bool, float]],
) -> None:
    allowance, now, reported_at = Allowance(), 0.0, 0.0
    for estimate, loss, fresh, passed in readings:
        now += passed
        reported_at = now if fresh else reported_at
        allowance.update(estimate, loss, reported_at, now)
        bound = DEFAULT_BITRATE if estimate is None else estimate
        assert min(bound, PICTURE_BITRATE) <= allowance.bits <= bound


# -------------------------------------------------------------------------------------- what hurts


def at(bits: int) -> Allowance:
    allowance = Allowance()
    allowance.update(bits, 0.0, 0.0, 0.0)
    return allowance


def test_loss_hurts_only_where_video_cannot_step_down_any_more() -> None:
    assert not downlink_hurts(at(800_000), 1, 0.5, 0.5, None)
    assert downlink_hurts(at(PICTURE_BITRATE), 1, HURTS, 0.0, None)
    assert downlink_hurts(at(2 * PICTURE_BITRATE), 2, HURTS, 0.0, None)
    assert not downlink_hurts(at(2 * PICTURE_BITRATE), 1, HURTS, 0.0, None)


def test_a_low_estimate_alone_hurts_nobody() -> None:
    assert not downlink_hurts(at(1_000), 1, CALM, 0.0, 0.3)


def test_a_full_queue_hurts_like_loss() -> None:
    assert downlink_hurts(at(1_000), 1, 0.0, 0.0, SLOW)


def test_without_pictures_only_the_loss_of_sound_counts() -> None:
    assert not downlink_hurts(at(1_000), 0, 0.9, 0.0, 5.0)
    assert downlink_hurts(at(1_000), 0, 0.0, HURTS, None)
