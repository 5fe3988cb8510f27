"""Streams divided into datagrams, whatever the network did to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.framing import MAX_FRAME, Deframer, Measure, ice_tcp_frame, measure_ice_tcp, measure_turn

datagrams = st.lists(st.binary(min_size=1, max_size=300), max_size=8)
cuts = st.lists(st.integers(1, 64), min_size=1, max_size=40)


def stun_message(body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return b"\x00\x03" + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12) + body


def channel_data(data: bytes) -> bytes:
    return b"\x40\x01" + len(data).to_bytes(2, "big") + data


def feed(measure: Measure, stream: bytes, sizes: list[int]) -> tuple[list[bytes], Deframer]:
    """The stream, in pieces of these sizes, over and over."""
    deframer, found, at, turn = Deframer(measure), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += deframer.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    return found, deframer


@given(datagrams, cuts)
def test_ice_tcp_frames_come_out_as_they_went_in_however_they_were_split(
    sent: list[bytes], sizes: list[int]
) -> None:
    found, deframer = feed(measure_ice_tcp, b"".join(map(ice_tcp_frame, sent)), sizes)
    assert (found, deframer.broken) == (sent, False)


@given(datagrams, st.lists(st.booleans(), min_size=8, max_size=8), cuts)
def test_turn_frames_come_out_as_they_went_in_however_they_were_split(
    sent: list[bytes], channels: list[bool], sizes: list[int]
) -> None:
    frames = [
        channel_data(each) if channel else stun_message(each)
        for each, channel in zip(sent, channels, strict=False)
    ]
    stream = b"".join(frame + bytes(-len(frame) % 4) for frame in frames)
    found, deframer = feed(measure_turn, stream, sizes)
    # Padding that has not come yet holds its frame back.
    assert (found, deframer.broken) == (frames, False)


@pytest.mark.parametrize("measure", [measure_ice_tcp, measure_turn])
@given(st.binary(max_size=6000), cuts)
def test_any_bytes_are_taken_and_little_of_them_kept(
    measure: Measure, stream: bytes, sizes: list[int]
) -> None:
    found, deframer = feed(measure, stream, sizes)
    assert all(len(frame) <= MAX_FRAME for frame in found)
    assert len(deframer._rest) < MAX_FRAME
    whole, again = feed(measure, stream, [max(1, len(stream))])
    assert (found, deframer.broken) == (whole, again.broken)


def test_a_frame_too_large_breaks_the_stream_as_soon_as_its_head_is_there() -> None:
    deframer = Deframer(measure_ice_tcp)
    assert deframer.feed(ice_tcp_frame(b"first") + (MAX_FRAME - 1).to_bytes(2, "big")) == [b"first"]
    assert deframer.broken
    assert deframer.feed(ice_tcp_frame(b"more")) == []
    largest = Deframer(measure_ice_tcp)
    assert [len(frame) for frame in largest.feed(ice_tcp_frame(bytes(MAX_FRAME - 2)))] == [MAX_FRAME - 2]


@given(st.lists(st.binary(max_size=5), max_size=40), cuts, st.integers(1, 9))
def test_frames_come_out_a_few_at_a_time_where_more_would_take_too_long(
    sent: list[bytes], sizes: list[int], limit: int
) -> None:
    stream, found, at, turn = b"".join(map(ice_tcp_frame, sent)), [], 0, 0
    deframer = Deframer(measure_ice_tcp)
    while at < len(stream) or deframer.more:
        size = sizes[turn % len(sizes)] if turn % 3 else 0  # some arrives, or what is there is gone on with
        some = deframer.feed(stream[at : at + size], limit)
        assert len(some) == limit or not deframer.more
        assert len(some) <= limit
        found += some
        at, turn = at + size, turn + 1
    assert (found, deframer.broken) == (sent, False)


def test_half_a_frame_is_waited_for_and_an_empty_one_counts() -> None:
    deframer = Deframer(measure_ice_tcp)
    assert deframer.feed(b"\x00") == []
    assert deframer.feed(b"\x00\x00\x02a") == [b""]
    assert deframer.feed(b"b") == [b"ab"]
    assert not deframer.broken


@pytest.mark.parametrize(
    "stream",
    [
        b"\x00\x03\x00\x03",  # a STUN length that is no multiple of 4
        b"\x00\x03\x00\x00\x00\x00\x00\x00",  # no magic cookie
        b"\x50\x00\x00\x00",  # a channel beyond the last
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02",
        b"\xff\xff\xff\xff",
        b"\x40\x00\x08\x00",  # data larger than any packet
    ],
)
def test_what_is_no_turn_breaks_the_stream(stream: bytes) -> None:
    deframer = Deframer(measure_turn)
    assert deframer.feed(stream) == []
    assert deframer.broken
