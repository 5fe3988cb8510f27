"""The agreement's version is bound to its words."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from broker.agreement import CURRENT


def test_version_is_the_date_and_the_hash_of_the_words() -> None:
    text = "\n\n".join([CURRENT.title, *CURRENT.paragraphs])
    assert CURRENT.version == f"{CURRENT.dated}-{sha256(text.encode()).hexdigest()[:12]}"


def test_any_changed_word_is_a_new_version() -> None:
    for number, paragraph in enumerate(CURRENT.paragraphs):
        changed = (*CURRENT.paragraphs[:number], paragraph + " ", *CURRENT.paragraphs[number + 1 :])
        assert replace(CURRENT, paragraphs=changed).version != CURRENT.version


def test_version_fits_the_wire_and_the_script() -> None:
    assert len(CURRENT.version) <= 64
    assert not set(CURRENT.version) & set(",: ")


def test_the_clauses_are_there() -> None:
    for words in (
        "not record",
        "screenshots",
        "disclose",
        "who is in the room",
        "The practice does the same",
        "we cannot see what other software",
    ):
        assert words in CURRENT.text, words


def test_no_claim_that_cannot_be_kept() -> None:
    for words in ("HIPAA", "military", "guarantee", "impossible"):
        assert words not in CURRENT.text
