from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from rooms.rtp import HEADER, HEADER_SIZE, header_size, renumber, ssrc_of, unwrap_rtx, wrap_rtx

MARKED_VP8 = 0x80 | 96


def packet(
    payload: bytes = b"frame",
    *,
    sequence: int = 7,
    timestamp: int = 9000,
    first: int = 0x80,
    head: bytes = b"",
) -> bytes:
    return HEADER.pack(first, MARKED_VP8, sequence, timestamp, 0xAABBCCDD) + head + payload


EXTENSION = struct.pack("!HH", 0xBEDE, 1) + b"\x22\x01\x02\x03"


def test_the_header_ends_after_csrcs_and_extension() -> None:
    assert header_size(packet()) == HEADER_SIZE
    assert header_size(packet(first=0x82, head=bytes(8))) == HEADER_SIZE + 8
    assert header_size(packet(first=0x90, head=EXTENSION)) == HEADER_SIZE + 8
    assert header_size(packet(first=0x91, head=bytes(4) + EXTENSION)) == HEADER_SIZE + 12


def test_a_packet_that_ends_inside_its_header_has_none() -> None:
    assert header_size(packet(b"")[:-1]) is None
    assert header_size(packet(b"", first=0x8F)) is None
    assert header_size(packet(b"", first=0x90)) is None
    assert header_size(packet(b"", first=0x90, head=struct.pack("!HH", 0xBEDE, 9))) is None


def test_only_version_2_is_rtp() -> None:
    assert ssrc_of(packet()) == 0xAABBCCDD
    assert ssrc_of(packet(first=0x40)) is None
    assert header_size(packet(first=0x40)) is None


def test_a_retransmission_carries_the_original_sequence_number_behind_the_extension() -> None:
    original = packet(first=0x90, head=EXTENSION)
    wrapped = wrap_rtx(original, payload_type=97, sequence=3, timestamp=50, ssrc=5, original=0x1234)
    assert wrapped is not None
    assert HEADER.unpack_from(wrapped) == (0x90, 0x80 | 97, 3, 50, 5)
    assert wrapped[HEADER_SIZE:] == EXTENSION + b"\x12\x34" + b"frame"


def test_padding_that_probes_the_path_is_no_retransmission() -> None:
    only_osn = HEADER.pack(0x80, 97, 1, 2, 3) + b"\x00\x07"
    only_padding = HEADER.pack(0xA0, 97, 1, 2, 3) + b"\x00\x07" + bytes(9) + b"\x0a"
    assert unwrap_rtx(only_osn, payload_type=96, ssrc=1) is None
    assert unwrap_rtx(only_padding, payload_type=96, ssrc=1) is None


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=64))
def test_renumbering_changes_three_numbers_and_nothing_else(
    sequence: int, timestamp: int, payload: bytes
) -> None:
    before = packet(payload, sequence=7, first=0x90, head=EXTENSION)
    after = renumber(before, sequence, timestamp, 99)
    assert HEADER.unpack_from(after) == (before[0], before[1], sequence, timestamp, 99)
    assert after[HEADER_SIZE:] == before[HEADER_SIZE:]


@given(st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=64), st.sampled_from([b"", EXTENSION]))
def test_unwrapping_restores_what_was_wrapped(sequence: int, payload: bytes, head: bytes) -> None:
    original = packet(payload, sequence=sequence, first=0x90 if head else 0x80, head=head)
    wrapped = wrap_rtx(original, payload_type=97, sequence=1, timestamp=9000, ssrc=5, original=sequence)
    assert wrapped is not None
    assert unwrap_rtx(wrapped, payload_type=96, ssrc=0xAABBCCDD) == (sequence, original)


@given(st.binary(max_size=80))
def test_garbage_is_read_to_the_end_or_not_at_all(garbage: bytes) -> None:
    size = header_size(garbage)
    assert size is None or HEADER_SIZE <= size <= len(garbage)
    ssrc_of(garbage)
    wrap_rtx(garbage, payload_type=97, sequence=0, timestamp=0, ssrc=1, original=0)
    unwrapped = unwrap_rtx(garbage, payload_type=96, ssrc=1)
    assert unwrapped is None or len(unwrapped[1]) == len(garbage) - 2
