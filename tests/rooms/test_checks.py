from __future__ import annotations

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from rooms.checks import MAX_REQUEST, addressee, conflict, read_request, respond

ASKED = b"x" * 12
PASSWORD = "p" * 24


def message(
    *, kind: stun.Class = stun.Class.REQUEST, method: stun.Method = stun.Method.BINDING, **attributes: object
) -> stun.Message:
    made = stun.Message(method, kind, transaction_id=ASKED)
    made.attributes.update({name.replace("_", "-"): value for name, value in attributes.items()})
    return made


def signed(**attributes: object) -> bytes:
    made = message()
    made.attributes.update({name.replace("_", "-"): value for name, value in attributes.items()})
    made.add_message_integrity(PASSWORD.encode())
    return bytes(made)


def test_a_request_says_who_asks_whom_and_what_for() -> None:
    request = read_request(
        signed(USERNAME="ours:theirs", PRIORITY=7, ICE_CONTROLLING=1, USE_CANDIDATE=None, SOFTWARE="some")
    )
    assert request is not None
    assert (request.ufrag, request.remote_ufrag) == ("ours", "theirs")
    assert (request.nominates, request.priority, request.controlled) == (True, 7, False)
    assert request.transaction == ASKED
    assert request.is_by(PASSWORD)
    assert not request.is_by("q" * 24)
    assert "ours" not in repr(request)


def test_what_is_not_said_is_not_so() -> None:
    request = read_request(signed(USERNAME="ours:theirs", ICE_CONTROLLED=1))
    assert request is not None
    assert (request.nominates, request.priority, request.controlled) == (False, 0, True)


def test_an_unsigned_request_is_by_nobody() -> None:
    request = read_request(bytes(message(USERNAME="ours:theirs")))
    assert request is not None
    assert not request.is_by("")
    assert not request.is_by(PASSWORD)


def test_what_stands_behind_the_signature_is_not_read() -> None:
    whole = signed(USERNAME="ours:theirs")[:-8] + b"\x00\x25\x00\x00"
    request = read_request(stun.set_body_length(whole, len(whole) - 20))
    assert request is not None
    assert not request.nominates
    assert request.is_by(PASSWORD)


def test_of_two_names_the_first_counts() -> None:
    name = b"\x00\x06\x00\x03%b:t\x00"
    body = name % b"a" + name % b"b"
    datagram = bytes(message())[:20] + body
    datagram = stun.set_body_length(datagram, len(body))
    request = read_request(datagram)
    assert request is not None
    assert request.ufrag == addressee(datagram) == "a"


@pytest.mark.parametrize("kind", [stun.Class.RESPONSE, stun.Class.INDICATION, stun.Class.ERROR])
def test_only_requests_are_read(kind: stun.Class) -> None:
    datagram = bytes(message(kind=kind, USERNAME="a:b"))
    assert addressee(datagram) is None
    assert read_request(datagram) is None


def test_only_bindings_are_read() -> None:
    assert addressee(bytes(message(method=stun.Method.ALLOCATE, USERNAME="a:b"))) is None


@pytest.mark.parametrize("username", ["", "abc", ":abc", "abc:"])
def test_a_request_that_names_nobody_is_not_read(username: str) -> None:
    assert read_request(bytes(message(USERNAME=username))) is None


def test_a_request_larger_than_any_browsers_is_not_read() -> None:
    datagram = bytes(message(USERNAME="a:" + "b" * MAX_REQUEST))
    assert addressee(datagram) is None
    assert read_request(datagram) is None


def test_a_name_in_no_script_is_nobodys() -> None:
    datagram = bytes(message(USERNAME="a:bcd"))
    assert read_request(datagram.replace(b"a:bcd", b"a:\xff\xfe\xfd")) is None
    assert addressee(datagram.replace(b"a:bcd", b"\xff:bcd")) == "\ufffd"


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_not_read(garbage: bytes, framed: bool) -> None:
    head = bytes(message())[:20] if framed else b"\x00\x01"
    datagram = stun.set_body_length(head + garbage, len(garbage)) if framed else head + garbage
    request = read_request(datagram)
    assert request is None or not request.is_by(PASSWORD)
    assert request is None or addressee(datagram) == request.ufrag


@given(st.integers(20, 120), st.binary(min_size=1, max_size=12))
def test_a_damaged_request_is_read_as_it_was_or_not_signed(where: int, damage: bytes) -> None:
    whole = signed(USERNAME="ours:theirs", PRIORITY=7, USE_CANDIDATE=None)
    damaged = (whole[:where] + damage + whole[where + len(damage) :])[: len(whole)]
    request = read_request(damaged)
    assert request is None or request == read_request(whole) or not request.is_by(PASSWORD)


@given(st.binary(min_size=12, max_size=12), st.ip_addresses(), st.integers(0, 65_535))
def test_a_response_is_octet_for_octet_what_the_library_would_send(
    transaction: bytes, host: object, port: int
) -> None:
    expected = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=transaction)
    expected.attributes["XOR-MAPPED-ADDRESS"] = (str(host), port)
    expected.add_message_integrity(PASSWORD.encode())
    assert respond(transaction, str(host), port, PASSWORD) == bytes(expected)


def test_a_scope_is_not_told() -> None:
    assert respond(ASKED, "fe80::1%eth0", 5, PASSWORD) == respond(ASKED, "fe80::1", 5, PASSWORD)


def test_a_conflict_is_told_as_the_library_would() -> None:
    expected = message(kind=stun.Class.ERROR, ERROR_CODE=(487, "Role Conflict"))
    expected.add_message_integrity(PASSWORD.encode())
    assert stun.parse_message(conflict(ASKED, PASSWORD)).attributes["ERROR-CODE"] == (487, "Role Conflict")
    assert len(conflict(ASKED, PASSWORD)) == len(bytes(expected))
