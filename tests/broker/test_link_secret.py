"""The link secret: derived as in the browser; nothing but its authenticator's hash is stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.errors import BadInput
from broker.link_secret import (
    authenticator_hash,
    authenticator_of,
    draw_link_secret,
    is_authenticator_hash,
    opens,
    parse_authenticator,
)
from broker.private import Private

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "link-secret.json").read_text("utf-8"))


def test_the_authenticator_is_the_one_of_the_vector_that_browsers_share() -> None:
    authenticator = authenticator_of(Private(VECTOR["secret"]))
    assert authenticator.reveal().hex() == VECTOR["authenticator"]
    assert authenticator_hash(authenticator) == VECTOR["authenticator-hash"]
    assert parse_authenticator(VECTOR["authenticator-text"]).reveal() == authenticator.reveal()


def test_drawn_secrets_are_crockford_and_never_the_same() -> None:
    drawn = {draw_link_secret().reveal() for _ in range(500)}
    assert len(drawn) == 500
    assert set("".join(drawn)) == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert {len(secret) for secret in drawn} == {26}
    assert not {secret[0] for secret in drawn} & set("01234567"), "as a meeting ID begins"


@pytest.mark.parametrize("text", ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 42 + "é", "A" * 43 + "\n"])
def test_anything_else_is_no_authenticator(text: str) -> None:
    with pytest.raises(BadInput, match="bad-authenticator"):
        parse_authenticator(text)


def test_only_the_right_authenticator_opens() -> None:
    right = authenticator_of(Private(VECTOR["secret"]))
    stored = authenticator_hash(right)
    assert opens(right, stored)
    assert not opens(None, stored)
    assert not opens(Private(bytes(32)), stored)
    assert opens(None, "")


def test_a_hash_has_one_spelling() -> None:
    assert is_authenticator_hash(VECTOR["authenticator-hash"])
    for text in (VECTOR["authenticator-hash"].upper(), "ab", "", VECTOR["authenticator-hash"] + "\n"):
        assert not is_authenticator_hash(text)


def test_secrets_are_private() -> None:
    assert "private" in repr(draw_link_secret())
    assert "private" in repr(authenticator_of(draw_link_secret()))
