from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rooms.forwarding import (
    CACHE_SIZE,
    KEY_FRAME_INTERVAL,
    MAX_REPEATS,
    REPEAT_NACK,
    REPORT_INTERVAL,
    VP8_RTX,
    Kind,
    PublishedTrack,
    Slot,
)
from rooms.quality import Meter
from rooms.rates import ration_of_pictures, ration_of_sound
from rooms.rtcp import SenderReport
from rooms.rtp import HEADER, HEADER_SIZE, renumber, unwrap_rtx, wrap_rtx


class Somebody:
    """Owns slots and tracks; nothing is sent in these tests."""

    rtcp_ssrc = 1
    direct = None
    meter = Meter()

    def send_rtp(self, packet: bytes) -> None: ...
    def send_rtcp(self, compound: bytes) -> None: ...


ME = Somebody()
SLOT, SLOT_RTX = 500, 501


def camera(ssrc: int = 11) -> PublishedTrack:
    return PublishedTrack(ME, Kind.CAMERA, ssrc, ration_of_pictures(0.0), ssrc + 100)


def slot(kind: Kind = Kind.CAMERA, ssrc: int = SLOT) -> Slot:
    return Slot(ME, kind, ssrc, None if kind is Kind.AUDIO else ssrc + 1)


def packet(track: PublishedTrack, sequence: int, timestamp: int = 0, payload: bytes = b"frame") -> bytes:
    head = HEADER.pack(0x80, track.kind.payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, track.ssrc)
    return head + payload


def sequences(out: list[tuple[Slot, bytes]]) -> list[int]:
    return [HEADER.unpack_from(sent)[2] for _, sent in out]


def timestamps(out: list[tuple[Slot, bytes]]) -> list[int]:
    return [HEADER.unpack_from(sent)[3] for _, sent in out]


def pass_on(track: PublishedTrack, whole: bytes, now: float = 0.0) -> list[tuple[Slot, bytes]]:
    """As an engine does it: decide from the numbers, keep, write the new numbers."""
    _, second, number, clock, _ = HEADER.unpack_from(whole)
    ways = track.forward(second, number, clock, now)
    if ways and track.repairs:
        track.keep(whole)
    return [(seen, renumber(whole, to_number, to_clock, seen.ssrc)) for seen, to_number, to_clock in ways]


def forward(
    track: PublishedTrack, *numbers: int, now: float = 0.0, timestamp: int = 0
) -> list[tuple[Slot, bytes]]:
    return [sent for number in numbers for sent in pass_on(track, packet(track, number, timestamp), now)]


def test_behind_the_gate_packets_are_counted_and_go_nowhere() -> None:
    track = camera()
    assert forward(track, 1, 2, 3) == []
    assert track.reception.received == 3


def test_an_open_way_changes_the_ssrc_and_the_numbers_and_nothing_else() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    (sent,) = pass_on(track, packet(track, 40_000, 777, b"opaque"))
    assert sent[0] is seen
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(sent[1])
    assert (first, second, ssrc) == (0x80, 96, SLOT)
    assert (sequence, timestamp) == (1, 777)
    assert sent[1][HEADER_SIZE:] == b"opaque"


def test_what_lies_before_the_opening_never_passes_not_even_late() -> None:
    track, seen = camera(), slot()
    forward(track, 1, 2, 3, 4)
    track.set_routes([seen])
    assert forward(track, 3) == []
    assert sequences(forward(track, 5)) == [1]
    assert forward(track, 2, 4) == []


def test_gaps_and_disorder_pass_through_as_they_are() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    assert sequences(forward(track, 65_534, 65_535, 2, 0, 1)) == [1, 2, 5, 3, 4]


def test_closing_stops_the_very_next_packet() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 1)
    track.set_routes([])
    assert forward(track, 2) == []
    assert seen.route is None


def test_a_reopened_way_continues_where_the_slot_stopped() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 1, 2, 3, now=0.0, timestamp=1000)
    track.set_routes([])
    forward(track, 4, 5, 6, now=1.0, timestamp=91_000)
    assert track.set_routes([seen])
    out = forward(track, 7, now=2.01, timestamp=181_000)
    assert sequences(out) == [4]
    # The clock of one source goes on during the pause: sound and picture stay in step.
    assert timestamps(out) == [181_000]


def test_another_source_continues_the_slots_numbers_and_clock() -> None:
    first, second, seen = camera(11), camera(12), slot()
    first.set_routes([seen])
    forward(first, 100, now=0.0, timestamp=5000)
    first.set_routes([])
    second.set_routes([seen])
    out = forward(second, 60_000, now=0.5, timestamp=4_000_000_000)
    assert sequences(out) == [2]
    assert timestamps(out) == [5000 + 45_000]


def test_a_source_that_starts_over_continues_the_slots_numbers() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 1, 2, now=0.0, timestamp=100)
    assert forward(track, 30_000, now=1.0, timestamp=1) == []
    out = forward(track, 30_001, now=1.0, timestamp=1)
    assert sequences(out) == [3]
    assert timestamps(out) == [100 + 90_000]


def test_another_payload_type_goes_nowhere() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    assert pass_on(track, HEADER.pack(0x80, 111, 1, 0, track.ssrc) + b"x") == []


def test_a_way_that_stays_open_is_not_disturbed() -> None:
    track, kept, added = camera(), slot(ssrc=500), slot(ssrc=600)
    assert track.set_routes([kept])
    forward(track, 1, 2, 3)
    assert track.set_routes([kept, added])
    assert not track.set_routes([kept, added])
    assert [(seen.ssrc, HEADER.unpack_from(sent)[2]) for seen, sent in forward(track, 4)] == [
        (500, 4),
        (600, 1),
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 30), st.booleans(), st.integers(0, 64_000)),
        min_size=1,
        max_size=40,
    )
)
def test_a_slot_never_repeats_a_number_and_never_leaps(
    turns: list[tuple[int, int, bool, int]],
) -> None:
    """Sources take turns in one slot, with pauses, losses and jumps; repeats are refused by SRTP before."""
    seen = slot()
    tracks = [camera(11 + n) for n in range(3)]
    at = [0, 20_000, 65_500]
    sent: list[int] = []
    for turn, (who, how_many, pause, jump) in enumerate(turns):
        for track in tracks:
            track.set_routes([seen] if track is tracks[who] else [])
        if pause:
            at[who] += jump
        for _ in range(how_many):
            at[who] += 1
            sent += sequences(forward(tracks[who], at[who], now=float(turn), timestamp=at[who] * 7))
    # In this order a repeated or falling number, or a leap beyond what the publisher's own losses make,
    # would upset SRTP at the subscriber.
    assert all(0 < (later - earlier) & 0xFFFF <= 3_000 for earlier, later in pairwise(sent))


# ------------------------------------------------------------------------------------- retransmission


def test_a_lost_packet_comes_again_as_rtx() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 900, 901, 902)
    assert seen.route is not None
    answer = track.resend(seen.route, (2,), 0.0)
    assert answer.missing == []
    (again,) = answer.again
    assert HEADER.unpack_from(again)[1] & 0x7F == VP8_RTX
    assert HEADER.unpack_from(again)[4] == SLOT_RTX
    restored = unwrap_rtx(again, payload_type=96, ssrc=SLOT)
    assert restored is not None
    assert restored[0] == 2
    assert restored[1][HEADER_SIZE:] == b"frame"


def test_every_retransmission_has_a_number_of_its_own() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 1, 2, 3)
    assert seen.route is not None
    again = track.resend(seen.route, (1, 2), 0.0).again + track.resend(seen.route, (2,), REPEAT_NACK).again
    assert [HEADER.unpack_from(packet)[2] for packet in again] == [1, 2, 3]


def test_asking_without_end_gets_no_more_than_was_sent() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 1, 2, 3)
    assert seen.route is not None
    asked = [len(track.resend(seen.route, (1, 2, 3) * 30, second).again) for second in range(10)]
    assert sum(asked) == 3
    forward(track, 4)
    assert len(track.resend(seen.route, (1, 2, 3, 4) * 30, 20.0).again) == 1


def test_what_could_not_be_sent_again_is_not_counted_as_sent() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 1, 2)
    assert seen.route is not None
    for beat in range(2, 2 + MAX_REPEATS):
        track.resend(seen.route, (1,), beat * REPEAT_NACK * 2)
    assert seen.route.credit == 0
    assert seen.route.repeats[track.reception.highest - 1][0] == 2 if track.reception.highest else False


def test_a_packet_comes_again_a_few_times_and_not_before_the_last_can_have_arrived() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, *range(1, 100))
    assert seen.route is not None
    times = [len(track.resend(seen.route, (50, 50), beat * REPEAT_NACK / 2).again) for beat in range(100)]
    assert times[:5] == [1, 0, 1, 0, 1]
    assert sum(times) == MAX_REPEATS


def test_what_is_remembered_of_repeats_is_bounded() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    for number in range(1, 3 * CACHE_SIZE):
        forward(track, number)
        assert seen.route is not None
        track.resend(seen.route, (number,), float(number))
        assert len(seen.route.repeats) <= CACHE_SIZE


def test_a_flood_is_told_and_what_the_publisher_lost_is_none() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    told = []
    for number in range(1, 60):
        forward(track, number)
        assert seen.route is not None
        told.append(track.resend(seen.route, (number,), number / 50).flood)
    assert max(told) > 0.9
    other, there = camera(12), slot(ssrc=700)
    other.set_routes([there])
    for number in range(2, 120, 2):
        forward(other, number)
        assert there.route is not None
        assert other.resend(there.route, (number - 2,), number / 50).flood == 0.0


def hears_late(*, lost_below: bool) -> list[float]:
    """A publisher's way loses every other packet for a second, and one in six at all times.

    Args:
        lost_below: the subscriber's own way loses most of what comes, too; else only what is lost above.

    Returns:
        The floods that are told.
    """
    track, seen, other = camera(), slot(ssrc=500), slot(ssrc=600)
    track.set_routes([seen, other])
    told, route, there = [], seen.route, other.route
    assert route is not None
    assert there is not None
    dice, came, above = random.Random(5), set(), set()
    for number in range(1, 240):
        now = number / 60
        lost = number % 2 if 60 <= number < 120 else number % 6 == 0
        if lost and number > 1:
            above.add(number)
            continue
        forward(track, number, now=now)
        if not (lost_below and number > 60 and dice.random() < 0.6):
            came.add(number)
            # Everything still missing is asked for, also what is on its way again.
            missing = [index for index in range(max(1, number - 12), number) if index not in came]
            told.append(track.resend(route, tuple(missing), now).flood)
            # The other one lives farther away: it asks when the packet has already come again.
            told.append(track.resend(there, tuple(index for index in missing if index in above), now).flood)
        for again in sorted(above):
            if number - again >= 3:
                above.discard(again)
                track.recover(publisher_rtx(track, again))
    return [flood for flood in told if flood]


def test_what_the_publisher_had_to_send_again_is_no_flood_of_its_subscribers() -> None:
    assert hears_late(lost_below=False) == []


def test_a_flood_is_seen_also_where_the_publisher_loses_packets_as_well() -> None:
    assert max(hears_late(lost_below=True)) > 0.3


def test_nothing_from_before_the_opening_can_be_had_by_nack() -> None:
    track, early, late = camera(), slot(ssrc=500), slot(ssrc=600)
    track.set_routes([early])
    forward(track, 1, 2, 3, 4)
    track.set_routes([early, late])
    forward(track, 5)
    assert late.route is not None
    answer = track.resend(late.route, (*range(65_530, 65_536), 0), 0.0)
    assert (answer.again, answer.missing) == ([], [])
    assert len(track.resend(late.route, (1,), 0.0).again) == 1


def test_nothing_is_kept_when_nobody_may_have_it() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 1, 2)
    track.set_routes([])
    forward(track, 3)
    track.keep(packet(track, 3))
    assert track._cache == []


def test_packets_too_old_for_the_cache_are_given_up() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, *range(1, CACHE_SIZE + 10))
    assert seen.route is not None
    answer = track.resend(seen.route, (1, 5), 0.0)
    assert (answer.again, answer.missing) == ([], [])


def test_a_packet_that_never_came_is_asked_of_the_publisher_once_in_a_while() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 900, 902)
    assert seen.route is not None
    assert track.resend(seen.route, (2,), 0.0).missing == [901]
    assert track.resend(seen.route, (2,), 0.05).missing == []
    assert track.resend(seen.route, (2,), 0.2).missing == [901]


def publisher_rtx(track: PublishedTrack, sequence: int) -> bytes:
    wrapped = wrap_rtx(
        packet(track, sequence, 42, b"late"),
        payload_type=VP8_RTX,
        sequence=1,
        timestamp=42,
        ssrc=track.rtx_ssrc or 0,
        original=sequence,
    )
    assert wrapped is not None
    return wrapped


def test_a_drowning_publisher_is_asked_for_nothing_again_and_the_torn_picture_is_remembered() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 1, *range(3, 60, 3))
    track.reception.report(0.5)
    assert seen.route is not None
    assert track.resend(seen.route, (2,), 0.5).missing == []
    assert track.torn


def test_what_the_publisher_sends_again_reaches_those_who_missed_it_and_only_them() -> None:
    track, one, other = camera(), slot(ssrc=500), slot(ssrc=600)
    track.set_routes([one, other])
    forward(track, 900, 902)
    assert one.route is not None
    track.resend(one.route, (2,), 0.0)
    out = track.recover(publisher_rtx(track, 901))
    assert [seen for seen, _ in out] == [one]
    restored = unwrap_rtx(out[0][1], payload_type=96, ssrc=500)
    assert restored is not None
    assert restored[0] == 2
    assert restored[1][HEADER_SIZE:] == b"late"
    # The other misses it a moment later: now it is in the cache.
    assert other.route is not None
    assert len(track.resend(other.route, (2,), 0.0).again) == 1
    assert track.recover(publisher_rtx(track, 901)) == []


def test_probing_with_old_packets_reaches_nobody() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 900, 901)
    assert track.recover(publisher_rtx(track, 900)) == []


def test_a_recovered_packet_does_not_pass_a_gate_closed_meanwhile() -> None:
    track, seen, other = camera(), slot(ssrc=500), slot(ssrc=600)
    track.set_routes([seen, other])
    forward(track, 900, 902)
    assert seen.route is not None
    track.resend(seen.route, (2,), 0.0)
    track.set_routes([other])
    assert track.recover(publisher_rtx(track, 901)) == []


def test_sound_is_not_retransmitted() -> None:
    track = PublishedTrack(ME, Kind.AUDIO, 11, ration_of_sound(0.0))
    seen = slot(Kind.AUDIO)
    track.set_routes([seen])
    forward(track, 1, 3)
    assert seen.route is not None
    answer = track.resend(seen.route, (1, 2), 0.0)
    assert (answer.again, answer.missing) == ([], [])


@given(st.lists(st.integers(0, 0xFFFF), max_size=300), st.lists(st.integers(0, 0xFFFF), max_size=40))
def test_any_nack_is_answered_within_bounds(lost: list[int], came: list[int]) -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, *came)
    if seen.route is not None:
        answer = track.resend(seen.route, tuple(lost), 0.0)
        assert len(answer.again) + len(answer.missing) <= len(lost)
        assert len(track._wanted) <= CACHE_SIZE + 1


# ------------------------------------------------------------------------- key frames, sender reports


def test_key_frames_are_asked_for_no_more_often_than_throttled_but_at_once_for_someone_new() -> None:
    track = camera()
    assert track.want_key_frame(10.0)
    assert not track.want_key_frame(10.0 + KEY_FRAME_INTERVAL / 2)
    assert track.want_key_frame(10.0 + KEY_FRAME_INTERVAL / 2, at_once=True)
    assert track.want_key_frame(10.0 + 2 * KEY_FRAME_INTERVAL)


def test_sound_has_no_key_frames() -> None:
    assert not PublishedTrack(ME, Kind.AUDIO, 11, ration_of_sound(0.0)).want_key_frame(0.0, at_once=True)


def test_a_sender_report_follows_the_slots_clock_and_keeps_wall_time() -> None:
    first, second, seen = camera(11), camera(12), slot()
    first.set_routes([seen])
    forward(first, 1, now=0.0, timestamp=1000)
    first.set_routes([])
    second.set_routes([seen])
    forward(second, 1, now=1.0, timestamp=500_000)
    ((to, report),) = second.sender_reports(SenderReport(12, 2**40, 500_090, 7, 8), 1.0)
    assert to is seen
    assert report == SenderReport(SLOT, 2**40, 1000 + 90_000 + 90, 7, 8)


def test_sender_reports_pass_no_more_often_than_anybody_needs() -> None:
    track, seen = camera(), slot()
    track.set_routes([seen])
    forward(track, 1)
    passed = [
        len(track.sender_reports(SenderReport(11, at << 16, 0, 1, 1), REPORT_INTERVAL / 4 * at))
        for at in range(1, 9)
    ]
    assert passed == [1, 0, 0, 0, 1, 0, 0, 0]


def test_behind_the_gate_no_sender_report_passes() -> None:
    track, seen = camera(), slot()
    forward(track, 1)
    assert track.sender_reports(SenderReport(11, 1, 2, 3, 4), 0.0) == []
    track.set_routes([seen])
    # Not before the first packet either: until then the slot's clock is not known.
    assert track.sender_reports(SenderReport(11, 1, 2, 3, 4), 0.0) == []
