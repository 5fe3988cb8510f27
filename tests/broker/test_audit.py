"""Records: exact bytes, one spelling, and a reader that nothing surprises."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.audit import (
    MAX_LEAF,
    AuditEvent,
    EventType,
    associated_data,
    decode_body,
    encode_body,
    encode_header,
    encode_leaf,
    parse_leaf,
)
from broker.errors import BadInput

EVENT = AuditEvent(
    type=EventType.SEAT_DENIED, actor="staff-1", subject="m/A", session="m", seat="A", reason="late"
)
HEADER = encode_header(EVENT, "n-1", 7, "ledger-1")
SEALED = bytes(range(60))


def leaf(header: bytes = HEADER, sealed: bytes = SEALED) -> bytes:
    return encode_leaf(2, 1_790_000_000_000_000, 3, b"e" * 16, b"t" * 16, header, sealed)


def test_the_bytes_are_as_written_down() -> None:
    """The hash input of the ledger: if this test has to change, every stored record is unreadable."""
    header = b'{"a":"U","k":"ledger-1","n":"n-1","o":"ok","q":7,"t":"seat.denied"}'
    assert leaf() == (
        b"qr-audit/1\0"
        + bytes.fromhex("0000000000000002 00065bfeda25e000 0000000000000003")
        + b"e" * 16
        + b"t" * 16
        + bytes.fromhex("0043")
        + header
        + SEALED
    )


def test_a_leaf_reads_back() -> None:
    found = parse_leaf(leaf())
    assert (found.index, found.time_us, found.subject_seq) == (2, 1_790_000_000_000_000, 3)
    assert (found.event_id, found.subject_tag) == (b"e" * 16, b"t" * 16)
    assert (found.header.t, found.header.a, found.header.o) == ("seat.denied", "U", "ok")
    assert (found.header.n, found.header.q, found.header.k) == ("n-1", 7, "ledger-1")
    assert (found.header_bytes, found.sealed, found.raw) == (HEADER, SEALED, leaf())
    assert found.aad == associated_data(b"e" * 16, b"t" * 16, HEADER)


@given(st.binary(max_size=400))
def test_garbage_gives_one_coded_error(garbage: bytes) -> None:
    with pytest.raises(BadInput) as error:
        parse_leaf(garbage)
    assert error.value.code == "bad-leaf"


@given(at=st.integers(0, 200), value=st.integers(0, 255), cut=st.integers(0, 200))
def test_a_damaged_leaf_reads_or_gives_one_coded_error(at: int, value: int, cut: int) -> None:
    damaged = bytearray(leaf())
    damaged[at % len(damaged)] = value
    for raw in (bytes(damaged), leaf()[:cut], bytes(damaged)[:cut]):
        try:
            found = parse_leaf(raw)
        except BadInput as error:
            if error.code != "bad-leaf":
                raise
        else:
            assert found.raw == raw
            again = (found.index, found.time_us, found.subject_seq, found.event_id, found.subject_tag)
            assert encode_leaf(*again, found.header_bytes, found.sealed) == raw


@pytest.mark.parametrize(
    "header",
    [
        HEADER.replace(b":7", b": 7"),
        HEADER.replace(b"}", b',"z":1}'),
        HEADER.replace(b'"a":"U",', b""),
        HEADER.replace(b"n-1", b"n\\u002d1"),
        HEADER.replace(b":7", b":7.0"),
        json.dumps(json.loads(HEADER)).encode(),
        b"[" * 500,
        b"",
    ],
)
def test_a_header_has_one_spelling(header: bytes) -> None:
    with pytest.raises(BadInput):
        parse_leaf(leaf(header))


def test_sizes_are_bounded() -> None:
    for raw in (leaf(sealed=b"x" * MAX_LEAF), leaf(sealed=b"x" * 39), leaf(b"x" * 600)):
        with pytest.raises(BadInput):
            parse_leaf(raw)
    largest = AuditEvent(
        type=EventType.AUTHZ_DENIED,
        actor="a" * 200,
        subject="\x00" * 200,
        detail={f"{n:0200}": "\x01" * 200 for n in range(3)},
    )
    parse_leaf(leaf(sealed=bytes(40) + encode_body(largest)))


@pytest.mark.parametrize(
    "event",
    [
        AuditEvent(type=EventType.SEAT_LEFT, actor="x" * 201, subject="s"),
        AuditEvent(type=EventType.SEAT_LEFT, actor="x", subject="s", reason="x" * 201),
        AuditEvent(type=EventType.SEAT_LEFT, actor="x", subject="s", detail={"k": "x" * 201}),
        AuditEvent(type=EventType.SEAT_LEFT, actor="x", subject="s", detail={str(n): n for n in range(17)}),
        AuditEvent(
            type=EventType.SEAT_LEFT, actor="x", subject="s", detail={str(n): "\x01" * 200 for n in range(16)}
        ),
        AuditEvent(type=EventType.SEAT_LEFT, actor="\ud800", subject="s"),
        AuditEvent(type=EventType.SEAT_LEFT, actor="x", subject="s", detail={"k": 2**53 + 1}),
    ],
)
def test_an_event_that_cannot_be_recorded_is_refused_before(event: AuditEvent) -> None:
    with pytest.raises(BadInput) as error:
        encode_body(event)
    assert error.value.code == "bad-event"


@given(
    kind=st.sampled_from(EventType),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    detail=st.dictionaries(
        st.text("abc", max_size=5),
        st.integers(-5, 2**53) | st.booleans() | st.text("xyz", max_size=9),
        max_size=16,
    ),
)
def test_an_event_comes_back_as_it_was(
    kind: EventType, text: str, detail: dict[str, str | int | bool]
) -> None:
    event = AuditEvent(type=kind, actor=text, subject="m/A", reason=text, outcome="failed", detail=detail)
    assert decode_body(encode_body(event)) == event
    assert kind.action in "CRUDE"


@given(st.binary(max_size=60))
def test_a_body_that_is_none_gives_one_coded_error(body: bytes) -> None:
    try:
        decode_body(body)
    except BadInput as error:
        if error.code != "bad-leaf":
            raise
