from __future__ import annotations

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from rooms.questions import TRANSACTION, question, read_response

ASKED = b"x" * TRANSACTION
PASSWORD = "p" * 24
KINDS = pytest.mark.parametrize("kind", [stun.Class.RESPONSE, stun.Class.ERROR])


def response(kind: stun.Class = stun.Class.RESPONSE, pwd: str = PASSWORD, **attributes: object) -> bytes:
    message = stun.Message(stun.Method.BINDING, kind, transaction_id=ASKED)
    message.attributes.update({name.replace("_", "-"): value for name, value in attributes.items()})
    message.add_message_integrity(pwd.encode())
    message.add_fingerprint()
    return bytes(message)


@given(
    st.binary(min_size=12, max_size=12),
    st.text("abcXYZ09+/:", min_size=1, max_size=60),
    st.integers(0, 2**64 - 1),
    st.text("pq", min_size=22, max_size=256),
)
def test_a_question_is_octet_for_octet_what_the_library_would_send(
    transaction: bytes, username: str, tie_breaker: int, password: str
) -> None:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=transaction)
    message.attributes["USERNAME"] = username
    message.attributes["PRIORITY"] = 110 << 24 | 65535 << 8 | 255
    message.attributes["ICE-CONTROLLED"] = tie_breaker
    message.add_message_integrity(password.encode())
    message.add_fingerprint()
    assert question(transaction, username, tie_breaker, password) == bytes(message)


@KINDS
def test_a_response_tells_its_question_and_who_signed_it(kind: stun.Class) -> None:
    read = read_response(response(kind, SOFTWARE="some", ERROR_CODE=(487, "Role Conflict")))
    assert read is not None
    assert read.transaction == ASKED
    assert read.is_by(PASSWORD)
    assert not read.is_by("q" * 24)


@KINDS
def test_an_unsigned_response_is_by_nobody(kind: stun.Class) -> None:
    read = read_response(bytes(stun.Message(stun.Method.BINDING, kind, transaction_id=ASKED)))
    assert read is not None
    assert not read.is_by("")
    assert not read.is_by(PASSWORD)


@pytest.mark.parametrize("size", [0, 4, 19, 32])
def test_a_signature_of_another_length_is_none(size: int) -> None:
    signed = response()
    cut = signed[:22] + size.to_bytes(2, "big") + (signed[24:44] + bytes(12))[: size + -size % 4]
    read = read_response(cut[:2] + (len(cut) - 20).to_bytes(2, "big") + cut[4:])
    assert read is not None
    assert not read.is_by(PASSWORD)


@given(st.integers(0, 200), st.binary(min_size=1, max_size=12), st.booleans())
def test_a_damaged_response_is_by_nobody(where: int, damage: bytes, resize: bool) -> None:
    datagram = response(XOR_MAPPED_ADDRESS=("192.0.2.1", 5000))
    at = min(where, len(datagram) - 1)
    damaged = bytearray(datagram[:at] + damage + datagram[at + len(damage) :])
    if resize:
        damaged[2:4] = (len(damaged) - 20).to_bytes(2, "big")
    read = read_response(bytes(damaged))
    # The fingerprint is not looked at, and the length is that of the signed part.
    signed = [slice(0, 2), slice(4, len(datagram) - 8)]
    if any(damaged[part] != datagram[part] for part in signed):
        assert read is None or not read.is_by(PASSWORD)


@pytest.mark.parametrize("kind", [stun.Class.REQUEST, stun.Class.INDICATION])
def test_what_asks_is_no_response(kind: stun.Class) -> None:
    assert read_response(response(kind)) is None


def test_another_method_or_cookie_or_half_a_message_is_no_response() -> None:
    whole = response()
    assert read_response(b"\x01\x03" + whole[2:]) is None, "a response to ALLOCATE"
    assert read_response(whole[:4] + bytes(4) + whole[8:]) is None
    for length in range(len(whole)):
        assert read_response(whole[:length]) is None
    assert read_response(whole + bytes(4)) is None


@given(st.binary(max_size=200), st.integers(0, 0xFFFF))
def test_any_octets_are_a_response_or_none(data: bytes, length: int) -> None:
    read_response(data)
    # Past the head, whatever the attributes claim.
    body = data + bytes(-len(data) % 4)
    read_response(b"\x01\x01" + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + ASKED + body)
    read_response(b"\x01\x01" + length.to_bytes(2, "big") + b"\x21\x12\xa4\x42" + ASKED + body)
