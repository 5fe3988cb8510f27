from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from rooms import rtcp

SSRCS = st.integers(0, 0xFFFFFFFF)
SEQUENCES = st.integers(0, 0xFFFF)


def test_a_key_frame_is_asked_for_by_pli_and_by_fir() -> None:
    fir = struct.pack("!BBHIIIB3x", 0x84, 206, 4, 1, 0, 77, 1)
    assert rtcp.read(rtcp.build_pli(1, 77)) == [rtcp.KeyFrameRequest(77)]
    assert rtcp.read(fir) == [rtcp.KeyFrameRequest(77)]


@given(SSRCS, st.sets(SEQUENCES, min_size=1, max_size=40))
def test_a_nack_names_what_was_lost(media: int, lost: set[int]) -> None:
    (report,) = rtcp.read(rtcp.build_nack(1, media, lost))
    assert isinstance(report, rtcp.Nack)
    assert report.media_ssrc == media
    assert set(report.sequences) == lost


def test_a_nack_for_everything_is_cut_short() -> None:
    entries = struct.pack("!HH", 0, 0xFFFF) * 1000
    (report,) = rtcp.read(struct.pack("!BBHII", 0x81, 205, 2 + 1000, 1, 2) + entries)
    assert isinstance(report, rtcp.Nack)
    assert len(report.sequences) == rtcp.MAX_NACKED


def test_many_nacks_in_one_compound_name_no_more_than_one() -> None:
    entries = struct.pack("!HH", 0, 0xFFFF) * 16
    nack = struct.pack("!BBHII", 0x81, 205, 2 + 16, 1, 2) + entries
    reports = rtcp.read(nack * 16 + rtcp.build_pli(1, 2))
    named = [len(report.sequences) for report in reports if isinstance(report, rtcp.Nack)]
    assert sum(named) == rtcp.MAX_NACKED
    assert reports[-1] == rtcp.KeyFrameRequest(2)


@given(st.integers(0, 2**40))
def test_an_estimate_survives_to_within_its_18_bits(bits: int) -> None:
    (report,) = rtcp.read(rtcp.build_remb(1, bits, [5, 6]))
    assert isinstance(report, rtcp.BandwidthEstimate)
    assert 0 <= bits - report.bits_per_second <= bits >> 17


BLOCKS = st.builds(
    rtcp.ReportBlock,
    ssrc=SSRCS,
    fraction_lost=st.integers(0, 255),
    lost=st.integers(-0x800000, 0x7FFFFF),
    highest=SSRCS,
    jitter=SSRCS,
    last_sr=SSRCS,
    since_last_sr=SSRCS,
)


@given(SSRCS, st.lists(BLOCKS, max_size=31, unique_by=lambda block: block.ssrc))
def test_report_blocks_are_read_as_they_were_built(sender: int, blocks: list[rtcp.ReportBlock]) -> None:
    assert rtcp.read(rtcp.build_receiver_report(sender, blocks)) == blocks


def test_of_each_stream_a_compound_tells_one_report_block_and_asks_for_one_key_frame() -> None:
    first, again, other = (
        rtcp.ReportBlock(ssrc, 1, lost, 3, 4, 5, 6) for ssrc, lost in ((9, 1), (9, 2), (8, 3))
    )
    blocks = rtcp.build_receiver_report(1, [first, again, other])
    fir = struct.pack("!BBHII", 0x84, 206, 6, 1, 0) + 2 * struct.pack("!II", 9, 0)
    told = [first, other, rtcp.KeyFrameRequest(9), rtcp.KeyFrameRequest(8)]
    assert rtcp.read(2 * blocks + fir + 3 * rtcp.build_pli(1, 9) + rtcp.build_pli(1, 8)) == told


def test_of_a_compound_no_more_blocks_are_read_than_one_report_holds() -> None:
    reports = b"".join(
        rtcp.build_receiver_report(
            1, [rtcp.ReportBlock(ssrc, 0, 0, 0, 0, 0, 0) for ssrc in range(at, at + 20)]
        )
        for at in (0, 20, 40)
    )
    assert len(rtcp.read(reports)) == rtcp.MAX_BLOCKS


def test_what_is_missed_of_a_stream_is_read_as_far_as_it_may_be() -> None:
    compound = b"".join(rtcp.build_nack(1, ssrc, range(0, 100, 20)) for ssrc in (7, 8, 9))
    may = {7: 0, 8: 3, 9: 1_000}
    assert rtcp.read(compound, lambda ssrc: may[ssrc]) == [
        rtcp.Nack(8, (0, 20, 40)),
        rtcp.Nack(9, (0, 20, 40, 60, 80)),
    ]


def test_of_each_stream_a_compound_tells_one_sender_report() -> None:
    first, again, other = (
        rtcp.SenderReport(ssrc=ssrc, ntp=ntp, rtp_time=1, packets=1, octets=1)
        for ssrc, ntp in ((9, 1), (9, 2), (8, 3))
    )
    compound = b"".join(rtcp.build_sender_report(report) for report in (first, again, other, again, first))
    assert rtcp.read(compound) == [first, other]


def test_a_sender_report_with_blocks_tells_both() -> None:
    report = rtcp.SenderReport(ssrc=9, ntp=2**63 + 5, rtp_time=1234, packets=10, octets=1000)
    plain = rtcp.build_sender_report(report)
    assert rtcp.read(plain) == [report]
    block = rtcp.ReportBlock(5, 1, -2, 3, 4, 5, 6)
    tail = rtcp.build_receiver_report(9, [block])[8:]
    assert rtcp.read(struct.pack("!BBH", 0x81, 200, 12) + plain[4:] + tail) == [report, block]


def test_a_compound_is_read_in_its_order_and_the_rest_left_out() -> None:
    sdes = struct.pack("!BBHIBB2x", 0x81, 202, 2, 9, 0, 0)
    goodbye = struct.pack("!BBHI", 0x81, 203, 1, 9)
    compound = (
        rtcp.build_receiver_report(9, []) + sdes + rtcp.build_pli(9, 1) + goodbye + rtcp.build_pli(9, 2)
    )
    assert rtcp.read(compound) == [rtcp.KeyFrameRequest(1), rtcp.KeyFrameRequest(2)]


def test_a_length_that_leads_outside_ends_the_compound() -> None:
    lying = struct.pack("!BBHII", 0x81, 206, 200, 1, 2)
    assert rtcp.read(rtcp.build_pli(9, 1) + lying) == [rtcp.KeyFrameRequest(1)]
    assert rtcp.read(struct.pack("!BBHI", 0x81, 206, 0, 1) + rtcp.build_pli(9, 1)) == []


def test_the_sender_is_read_from_the_clear_part() -> None:
    assert rtcp.sender_ssrc(rtcp.build_pli(0xDEADBEEF, 1)) == 0xDEADBEEF
    assert rtcp.sender_ssrc(b"\x80\xc8\x00") is None


@given(st.binary(max_size=200))
def test_garbage_is_read_without_complaint(garbage: bytes) -> None:
    assert len(rtcp.read(garbage)) <= 31 * rtcp.MAX_PACKETS


@given(st.integers(0, 31), st.sampled_from([200, 201, 205, 206]), st.binary(min_size=4, max_size=120))
def test_well_framed_garbage_is_read_without_complaint(count: int, kind: int, body: bytes) -> None:
    body = body[: len(body) // 4 * 4]
    framed = struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body
    rtcp.read(framed + rtcp.build_pli(1, 2))
    assert rtcp.read(framed + rtcp.build_pli(1, 2))[-1] == rtcp.KeyFrameRequest(2)
