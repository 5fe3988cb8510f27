"""Errors: a stable code and a sentence, and the tree that its module draws."""

from __future__ import annotations

import re

from broker import errors


def test_every_error_of_the_tree_is_drawn_in_it() -> None:
    assert errors.__doc__
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.QuietroomError)
    }
    assert classes == set(re.findall(r"^ {4}[│├└─ ]*([A-Z]\w+)", errors.__doc__, re.MULTILINE))


def test_an_error_has_a_code_and_a_sentence() -> None:
    for error in (errors.StoreUnavailable(), errors.StoreFenced()):
        assert error.code == "audit-unavailable"
        assert error.text.endswith(".")
    refused = errors.ChangeRefused("full", "A", "waiting")
    assert isinstance(refused, errors.Refused)
    assert (refused.code, refused.seat, refused.state) == ("full", "A", "waiting")
