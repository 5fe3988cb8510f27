"""Private values: shown nowhere, whatever one does with them."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import msgspec
import pytest
import structlog

from broker.private import Private, refuse_private

SECRET = "correct horse"


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "{:>20}".format, lambda value: f"{value!r} {value}"]
)
def test_a_private_value_is_never_shown(show: Any) -> None:
    assert SECRET not in show(Private(SECRET))
    assert "<private>" in show(Private(SECRET))
    assert str([Private(SECRET)]) == "[<private>]"


def test_only_reveal_opens_it() -> None:
    assert Private(SECRET).reveal() == SECRET
    assert not hasattr(Private(SECRET), "__dict__")


@pytest.mark.parametrize(
    "encode", [pickle.dumps, json.dumps, msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins]
)
def test_it_cannot_be_encoded(encode: Any) -> None:
    with pytest.raises(TypeError):
        encode({"password": Private(SECRET)})


def test_it_cannot_be_changed_or_hashed() -> None:
    private: Any = Private(SECRET)
    with pytest.raises(AttributeError):
        private.value = 1
    with pytest.raises(AttributeError):
        del private.value
    with pytest.raises(TypeError):
        hash(private)
    assert copy.deepcopy([private])[0] is private
    assert copy.copy(private) is private


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("ä", "ä", True),
        (b"a", b"a", True),
        (b"a", "a", False),
        (1, 1, True),
    ],
)
def test_equality_is_of_what_is_inside(one: Any, other: Any, same: bool) -> None:
    assert (Private(one) == Private(other)) is same
    assert Private(one) != one


def test_the_log_refuses_private_values_at_any_depth() -> None:
    lines: list[dict[str, Any]] = []

    def render(_: Any, __: str, event: Any) -> str:
        lines.append(dict(event))
        return ""

    logger = structlog.wrap_logger(structlog.PrintLogger(), processors=[refuse_private, render])
    logger.info("joined", deep={"a": [{"b": (Private(SECRET),)}]}, plain=Private(SECRET), count=3)
    logger.info("fine", seat="A")
    assert SECRET not in str(lines)
    assert lines[0]["refused_private"] is True
    assert lines[0]["count"] == 3
    assert "refused_private" not in lines[1]


def test_what_is_too_large_to_search_is_not_logged() -> None:
    deep: Any = Private(SECRET)
    for _ in range(50):
        deep = [deep]
    event = refuse_private(None, "info", {"deep": deep, "wide": [SECRET] * 1000})
    assert "too large" in str(event["deep"])
    assert event["wide"] == "<too large to log>"
