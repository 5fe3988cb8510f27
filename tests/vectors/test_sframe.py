"""The kept values are those that are computed."""

from __future__ import annotations

import json

from tests.vectors.sframe import FILE, vectors


def test_the_cases_of_the_standard_are_what_an_implementation_of_others_computes() -> None:
    assert json.loads(FILE.read_text()) == vectors()
