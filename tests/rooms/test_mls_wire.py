"""What MLS messages show in the clear: bytes of the module that the pages use, and of those who mean harm."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.sealing import is_signed
from rooms.mls_wire import (
    CLOCKS_DIFFER,
    MAX_COMMIT,
    MAX_KEY_PACKAGE,
    MAX_SEALED,
    ContentType,
    PrivateHeader,
    read_key_package,
    read_private,
    read_welcome,
    vector,
)
from tests.support import mls

NOW = 1_795_000_000.0
REAL = mls.real()
GROUP_ID = f"{REAL['meeting']}/{REAL['generation']}".encode()
PACKAGE = mls.unb64(REAL["key-packages"]["A"])
WELCOME = mls.unb64(REAL["add-both"]["welcome"])


@pytest.mark.parametrize(
    ("seat", "name", "role"),
    [("A", "Partner A", "guest"), ("B", "Partner B", "guest"), ("T", "Therapist", "host")],
)
def test_a_browsers_key_package_names_its_seat(seat: str, name: str, role: str) -> None:
    read = read_key_package(mls.unb64(REAL["key-packages"][seat]), NOW, is_signed)
    assert (read.pid, read.name, read.role) == (seat, name, role)


def test_a_browsers_welcome_is_for_those_it_added() -> None:
    added = [read_key_package(mls.unb64(REAL["key-packages"][s]), NOW, is_signed).reference for s in "AB"]
    assert read_welcome(WELCOME) == set(added)


@pytest.mark.parametrize(("message", "epoch"), [("add-both", 0), ("remove-b", 1), ("rotate", 2)])
def test_a_browsers_commit_shows_its_group_and_epoch(message: str, epoch: int) -> None:
    header = read_private(mls.unb64(REAL[message]["commit"]), MAX_COMMIT)
    assert header == PrivateHeader(GROUP_ID, epoch, ContentType.COMMIT)
    assert REAL[message]["epoch"] == epoch


def test_a_browsers_chat_message_is_none_of_a_commit() -> None:
    header = read_private(mls.unb64(REAL["application"]["message"]), MAX_SEALED)
    assert header == PrivateHeader(GROUP_ID, 1, ContentType.APPLICATION)


def refused_package(raw: bytes, now: float = NOW) -> None:
    with pytest.raises(BadInput, match="bad-group-message"):
        read_key_package(raw, now, is_signed)


def test_every_flipped_bit_of_a_key_package_is_noticed() -> None:
    for at in range(len(PACKAGE)):
        refused_package(PACKAGE[:at] + bytes((PACKAGE[at] ^ 1 << at % 8,)) + PACKAGE[at + 1 :])


@pytest.mark.parametrize("raw", [PACKAGE, WELCOME, mls.unb64(REAL["rotate"]["commit"])])
def test_cut_short_or_too_long_is_refused(raw: bytes) -> None:
    for wrong in (*(raw[:n] for n in range(0, len(raw), 7)), raw + b"\0"):
        for read in (
            lambda b: read_key_package(b, NOW, is_signed),
            read_welcome,
            lambda b: read_private(b, MAX_COMMIT),
        ):
            with pytest.raises(BadInput):
                read(wrong)


def test_one_kind_is_not_taken_for_another() -> None:
    refused_package(WELCOME)
    with pytest.raises(BadInput):
        read_welcome(PACKAGE)
    with pytest.raises(BadInput):
        read_private(WELCOME, MAX_COMMIT)


def test_what_is_built_for_tests_is_read_like_a_browsers() -> None:
    read = read_key_package(mls.key_package("A", "Partner A"), NOW, is_signed)
    assert (read.pid, read.name, read.role) == ("A", "Partner A", "guest")
    assert read_welcome(mls.welcome(b"1" * 64, b"2" * 64)) == {b"1" * 64, b"2" * 64}


@pytest.mark.parametrize(
    "raw",
    [
        mls.key_package("A", "Partner A", suite=1),
        mls.key_package("A", "Partner A", key_size=32),
        mls.key_package("A", "Partner A", same_keys=True),
        mls.key_package("A", "Partner A", not_after=int(NOW) - CLOCKS_DIFFER - 1),
        mls.key_package("A" * 600, "Partner A"),
        mls.key_package("A", "x" * 9_000),
    ],
    ids=["suite", "key size", "one key twice", "too old", "long name", "too large"],
)
def test_a_key_package_that_is_not_ours_is_refused(raw: bytes) -> None:
    refused_package(raw)


def test_a_clock_that_is_an_hour_wrong_does_not_shut_anybody_out() -> None:
    late = mls.key_package("A", "Partner A", not_after=int(NOW) - 3_600)
    assert read_key_package(late, NOW, is_signed).pid == "A"


def test_a_welcome_for_nobody_or_twice_for_one_is_refused() -> None:
    for wrong in (mls.welcome(), mls.welcome(b"1", b"1"), mls.welcome(*(bytes((n,)) for n in range(9)))):
        with pytest.raises(BadInput):
            read_welcome(wrong)


def test_a_length_that_is_not_the_shortest_is_refused() -> None:
    # RFC 9420 §2.1.2: one spelling only; 0b11 is no prefix.
    head = b"\0\1\0\2"
    rest = bytes(8) + b"\3" + 3 * vector(b"")
    assert read_private(head + b"\1g" + rest, 100) == PrivateHeader(b"g", 0, ContentType.COMMIT)
    for length in (b"\x40\1", b"\x80\0\0\1", b"\xc1"):
        with pytest.raises(BadInput):
            read_private(head + length + b"g" + rest, 100)


@pytest.mark.parametrize("size", [0, 63, 64, 16_383, 16_384])
def test_a_vector_of_any_size_reads_back(size: int) -> None:
    raw = b"\0\1\0\2" + vector(bytes(size)) + bytes(8) + b"\1" + 3 * vector(b"")
    assert len(read_private(raw, 20_000).group_id) == size


def test_a_size_above_the_limit_is_refused_before_it_is_read() -> None:
    raw = mls.private_message("g", 1, body=bytes(MAX_SEALED))
    with pytest.raises(BadInput):
        read_private(raw, MAX_SEALED)
    refused_package(bytes(MAX_KEY_PACKAGE + 1))


@given(st.binary(max_size=300))
def test_whatever_comes_is_an_answer_or_bad_input(raw: bytes) -> None:
    for head in (b"", b"\0\1\0\2", b"\0\1\0\3\0\x53", b"\0\1\0\5\0\1\0\x53"):
        for read in (
            lambda b: read_key_package(b, NOW, is_signed),
            read_welcome,
            lambda b: read_private(b, MAX_SEALED),
        ):
            with suppress(BadInput):
                read(head + raw)
