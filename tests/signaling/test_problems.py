"""What people are told."""

from __future__ import annotations

import re

import pytest

from broker.errors import BadInput, ChangeRefused, QuietroomError, Refused, StoreFenced, StoreUnavailable
from signaling.problems import TEXTS, code_of, detail_of, problem, text_of


@pytest.mark.parametrize("code", TEXTS)
def test_every_text_is_a_sentence_that_says_what_to_do(code: str) -> None:
    text = TEXTS[code]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
    assert text.title[0].isupper()
    assert not text.title.endswith(".")
    assert text.detail[0].isupper()
    assert text.detail.endswith(".")
    assert 400 <= text.status < 600
    # Programs have no person who knows when to try again.
    for_programs = code in {"wait-for-admission", "denied-for-now", "seat-in-use"}
    assert (text.retry_after is not None) == (for_programs or text.status in {429, 503})


def test_a_problem_document_says_its_code_and_status() -> None:
    told = problem("busy")
    assert (told.code, told.status, told.type) == ("busy", 429, "urn:quietroom:problem:busy")
    assert problem("busy", "Otherwise.").detail == "Otherwise."


def test_a_code_nobody_knows_is_our_own_mistake() -> None:
    assert problem("no-such-code").code == "internal"
    assert text_of("no-such-code").status == 500


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("bad-meeting-id"), "bad-message"),
        (BadInput("bad-window"), "bad-window"),
        (Refused("full"), "full"),
        (Refused("something-new"), "wrong-state"),
        (ChangeRefused("agreement-needed", "A", "waiting"), "agreement-needed"),
        (StoreUnavailable(), "audit-unavailable"),
        (StoreFenced(), "audit-unavailable"),
        (QuietroomError("damaged-record", "It is."), "internal"),
    ],
)
def test_every_error_of_the_broker_has_a_code_for_people(error: QuietroomError, code: str) -> None:
    assert code_of(error) == code


def test_only_unreadable_input_adds_to_its_sentence() -> None:
    assert "“name”" in (detail_of(BadInput("bad-message", "The field “name” is missing.")) or "")
    assert detail_of(BadInput("bad-meeting-id", "x")) is None
    assert detail_of(Refused("cannot-enter", "because of something")) is None
