from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rooms.feedback import (
    DEFAULT_BITRATE,
    MIN_BITRATE,
    Downlink,
    Reception,
    left_over,
    publisher_bitrate,
)


def received(*sequences: int, clock_rate: int = 48_000) -> Reception:
    reception = Reception(1, clock_rate)
    for count, sequence in enumerate(sequences):
        reception.note(sequence & 0xFFFF, 960 * count, 0.02 * count)
    return reception


def test_nothing_received_is_nothing_reported() -> None:
    assert Reception(1, 48_000).report(0.0) is None


def test_a_gap_is_reported_as_loss_once() -> None:
    reception = received(1, 2, 3, 5)
    first = reception.report(1.0)
    second = reception.report(1.5)
    assert first is not None
    assert second is not None
    assert (first.lost, first.fraction_lost) == (1, 256 // 5)
    assert (second.lost, second.fraction_lost) == (1, 0)


def test_what_was_lost_while_its_sender_was_cut_off_is_told_in_all_and_not_as_the_present() -> None:
    reception = received(*range(1, 26))
    reception.report(0.5)
    reception.resume()
    reception.report(5.5)  # heard again, but no packet of this one yet
    for count in range(275, 300):
        reception.note(count, 960 * count, 0.02 * count + 0.4)
    back = reception.report(6.0)
    assert back is not None
    assert (back.lost, back.fraction_lost) == (249, 0)
    assert (reception.interval_expected, reception.interval_lost) == (0, 0)
    assert reception.lateness.seconds == 0.0
    for count in range(300, 325, 5):
        reception.note(count, 960 * count, 0.02 * count + 0.4)
    after = reception.report(6.5)
    assert after is not None
    assert after.fraction_lost > 0.7 * 256, "from then on it counts"


def test_a_stream_that_loses_a_third_drowns_until_it_is_heard_again() -> None:
    reception = received(*range(1, 60, 3))
    reception.report(0.5)
    assert reception.drowns
    reception.report(1.0)
    assert reception.drowns, "silence is no proof"
    for count in range(20):
        reception.note(59 + count, 960 * (59 + count), 1.0)
    reception.report(1.5)
    assert not reception.drowns


def test_two_of_a_few_packets_lost_do_not_drown_a_stream() -> None:
    reception = received(1, 2, 3, 6, 7)
    reception.report(0.5)
    assert not reception.drowns


def test_a_stream_of_few_packets_does_not_drown_for_ever() -> None:
    reception = received(*range(1, 60, 3))
    for interval in range(20):
        reception.report(0.5 * interval)
        reception.note(59 + interval, 960 * (59 + interval), 0.5 * interval)
    assert not reception.drowns


def test_packets_that_wait_ever_longer_are_late() -> None:
    reception = Reception(1, 48_000)
    for count in range(100):
        reception.note(count, 960 * count, 0.02 * count)
    reception.report(2.0)
    for count in range(100, 110):
        reception.note(count, 960 * count, 0.02 * count + 0.5)
    reception.report(2.5)
    assert abs(reception.lateness.seconds - 0.5) < 0.01


def test_a_late_packet_is_not_lost() -> None:
    reception = received(1, 2, 4, 3)
    report = reception.report(1.0)
    assert report is not None
    assert report.lost == 0


def test_the_sequence_number_wraps_into_the_next_cycle() -> None:
    reception = received(65534, 65535, 0, 1)
    report = reception.report(1.0)
    assert report is not None
    assert report.lost == 0
    assert report.highest & 0xFFFF == 1
    assert report.highest >> 16 == 2


def test_a_stray_packet_is_not_a_jump() -> None:
    reception = received(1, 2, 3)
    assert reception.note(40_000, 0, 1.0) is None
    assert reception.note(4, 0, 1.0) is not None
    assert reception.epoch == 0


def test_two_packets_in_a_row_confirm_a_jump() -> None:
    reception = received(1, 2, 3)
    before = reception.highest
    assert reception.note(40_000, 0, 1.0) is None
    index = reception.note(40_001, 0, 1.0)
    assert reception.epoch == 1
    assert before is not None
    assert index is not None
    assert index > before
    assert index & 0xFFFF == 40_001
    report = reception.report(1.0)
    assert report is not None
    assert report.lost == 0


def test_even_arrivals_have_no_jitter_and_uneven_ones_have() -> None:
    assert received(*range(50)).jitter_ms < 0.1
    uneven = Reception(1, 48_000)
    for count in range(200):
        uneven.note(count, 960 * count, 0.02 * count + (0.010 if count % 2 else 0.0))
    assert 8 < uneven.jitter_ms < 12


def test_the_publisher_learns_when_its_report_came() -> None:
    reception = received(1)
    reception.note_sender_report(0x0001_2345_6789_ABCD, 10.0)
    report = reception.report(10.5)
    assert report is not None
    assert (report.last_sr, report.since_last_sr) == (0x2345_6789, 32_768)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)), max_size=60))
def test_whatever_arrives_is_counted_and_indexes_fit_their_sequence_numbers(
    packets: list[tuple[int, int]],
) -> None:
    reception = Reception(1, 90_000)
    for count, (sequence, timestamp) in enumerate(packets):
        highest = reception.highest
        index = reception.note(sequence, timestamp, float(count))
        assert index is None or index & 0xFFFF == sequence
        assert highest is None or (reception.highest or 0) >= highest
        report = reception.report(float(count))
        assert report is None or 0 <= report.fraction_lost <= 255


def test_behind_the_gate_the_bitrate_is_constant() -> None:
    assert publisher_bitrate([]) == DEFAULT_BITRATE
    assert publisher_bitrate([Downlink(bits=50_000, videos=1, ours=0)]) == DEFAULT_BITRATE


def test_the_weakest_subscriber_decides_and_audio_is_added_back() -> None:
    links = [Downlink(2_000_000, 1, 1), Downlink(800_000, 1, 1)]
    assert publisher_bitrate(links) == 800_000


def test_a_downlink_is_shared_by_the_videos_on_it() -> None:
    assert publisher_bitrate([Downlink(900_000, 3, 1)]) == 300_000
    assert publisher_bitrate([Downlink(900_000, 3, 2)]) == 600_000


def test_what_others_leave_of_their_shares_is_added() -> None:
    assert publisher_bitrate([Downlink(900_000, 3, 1, left=150_000)]) == 450_000


def test_a_share_is_left_but_for_the_least_and_room_to_grow() -> None:
    assert left_over(1_000_000, 1, sends=400_000) == 500_000
    assert left_over(1_000_000, 1, sends=0) == 1_000_000 - MIN_BITRATE
    assert left_over(1_000_000, 2, sends=0) == 1_000_000 - 2 * MIN_BITRATE
    assert left_over(1_000_000, 1, sends=900_000) == 0


def test_there_is_a_floor() -> None:
    assert publisher_bitrate([Downlink(1_000, 3, 1)]) == MIN_BITRATE
