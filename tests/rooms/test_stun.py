from __future__ import annotations

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from rooms.stun import HEAD, REQUEST, covered, is_signed, signed


@given(st.binary(min_size=12, max_size=12), st.integers(0, 2**32 - 1), st.text(max_size=40))
def test_a_message_is_octet_for_octet_what_the_library_would_send(
    transaction: bytes, priority: int, password: str
) -> None:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=transaction)
    message.attributes["PRIORITY"] = priority
    attributes = bytes(message)[HEAD.size :]
    message.add_message_integrity(password.encode())
    assert signed(REQUEST, transaction, attributes, password) == bytes(message)


def test_who_signed_it_shows_and_whatever_was_changed() -> None:
    whole = signed(REQUEST, bytes(12), b"", "password")
    at = HEAD.size
    signature = whole[at + 4 : at + 24]
    assert is_signed(covered(whole, at), signature, "password")
    assert not is_signed(covered(whole, at), signature, "another")
    changed = whole[:8] + b"\x01" + whole[9:]
    assert not is_signed(covered(changed, at), signature, "password")


@pytest.mark.parametrize("size", [0, 19, 21])
def test_a_signature_of_another_length_is_none(size: int) -> None:
    assert not is_signed(b"octets", bytes(size), "password")
