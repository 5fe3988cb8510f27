"""Reading JSON from outside: generated from the types, so a new field is tested the day it is added."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, get_args

import msgspec
import msgspec.inspect as mi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from signaling import messages
from signaling.codec import MAX_DEPTH, decode_body, decode_message, encode
from signaling.messages import MAX_MESSAGE_BYTES, Act, Body, ClientMessage, Hello, Knock, LinkOpened, Welcome

CANARY = "canary-7Q"

BODIES = [
    kind
    for kind in vars(messages).values()
    if isinstance(kind, type) and issubclass(kind, Body) and kind is not Body
]
MESSAGES = list(get_args(ClientMessage))


def good(kind: mi.Type) -> Any:
    """A value of this type."""
    match kind:
        case mi.Metadata(type=inner):
            return good(inner)
        case mi.StrType(pattern=pattern):
            return next(
                text for text in ("A", "0" * 16, "A" * 43, "0" * 64) if re.search(pattern or "", text)
            )
        case mi.BoolType():
            return True
        case mi.IntType():
            return 1
        case mi.LiteralType(values=values):
            return values[0]
        case mi.VarTupleType():
            return []
        case mi.UnionType(types=types):
            return good(types[0])
    raise AssertionError(kind)


def example(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """A good body or message with every field."""
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    tag = {"type": info.tag} if info.tag is not None else {}
    return tag | {field.encode_name: good(field.type) for field in info.fields}


def spoilt(kind: type[msgspec.Struct]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every way to give one field a wrong type, or to leave it out."""
    whole = example(kind)
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    for field in info.fields:
        name = field.encode_name
        right = type(whole[name])
        wrongs: tuple[Any, ...] = (CANARY, 3.5, 7, True, None, [CANARY], {CANARY: CANARY}, [[[]]])
        for wrong in wrongs:
            nullable = isinstance(field.type, mi.UnionType) and wrong is None
            if type(wrong) is not right and not nullable:
                yield name, whole | {name: wrong}
        if isinstance(whole[name], str):
            yield name, whole | {name: CANARY * 10_000}
        if field.required:
            yield name, {key: value for key, value in whole.items() if key != name}


CASES = [(kind, name, body) for kind in (*BODIES, *MESSAGES) for name, body in spoilt(kind)]


def read(kind: type[msgspec.Struct], raw: bytes) -> object:
    return decode_message(raw) if kind in MESSAGES else decode_body(raw, kind)


def test_there_are_cases_for_every_type() -> None:
    assert {kind for kind, _, _ in CASES} >= set(BODIES)
    assert len(CASES) > 150


@pytest.mark.parametrize("kind", [*BODIES, *MESSAGES])
def test_a_good_one_is_read(kind: type[msgspec.Struct]) -> None:
    assert isinstance(read(kind, json.dumps(example(kind)).encode()), kind)


@pytest.mark.parametrize(("kind", "name", "body"), CASES)
def test_a_spoilt_field_is_named_and_never_repeated(
    kind: type[msgspec.Struct], name: str, body: dict[str, Any]
) -> None:
    with pytest.raises(BadInput) as caught:
        read(kind, json.dumps(body).encode())
    assert caught.value.code == "bad-message"
    assert CANARY not in str(caught.value)
    assert name in caught.value.text or "larger than 64 KiB" in caught.value.text


@pytest.mark.parametrize("kind", BODIES)
def test_an_unknown_field_of_a_body_is_a_mistake(kind: type[msgspec.Struct]) -> None:
    with pytest.raises(BadInput, match="not known here") as caught:
        read(kind, json.dumps(example(kind) | {CANARY: 1}).encode())
    assert CANARY not in caught.value.text


@pytest.mark.parametrize("kind", MESSAGES)
def test_an_unknown_field_of_a_message_is_ignored(kind: type[msgspec.Struct]) -> None:
    assert isinstance(read(kind, json.dumps(example(kind) | {CANARY: 1}).encode()), kind)


def test_an_unknown_type_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadInput, match="one of: act, answer") as caught:
        decode_message(json.dumps({"type": CANARY}))
    assert CANARY not in caught.value.text


def test_a_message_of_the_server_is_not_one_of_a_page() -> None:
    with pytest.raises(BadInput):
        decode_message(encode(Welcome("A", "host", 1)))


@pytest.mark.parametrize("at", [MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES + 1])
def test_the_limit_is_exact(at: int) -> None:
    raw = '{"type":"hello"'.ljust(at - 1) + "}"
    if at <= MAX_MESSAGE_BYTES:
        assert decode_message(raw) == Hello()
    else:
        with pytest.raises(BadInput, match="larger than 64 KiB"):
            decode_message(raw)


def test_the_limit_counts_bytes_not_letters() -> None:
    with pytest.raises(BadInput, match="larger than 64 KiB"):
        decode_message('{"type":"hello","x":"' + "€" * 30_000 + '"}')


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 10_000])
@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_depth_is_checked_before_parsing(depth: int, pair: str) -> None:
    start, end = pair[:-1], pair[-1]
    nested = start * (depth - 1) + "1" + end * (depth - 1)
    raw = f'{{"type":"hello","x":{nested}}}'
    if depth <= MAX_DEPTH:
        assert decode_message(raw) == Hello()
    else:
        with pytest.raises(BadInput, match=r"16 levels|64 KiB"):
            decode_message(raw)


def test_brackets_in_text_are_no_depth() -> None:
    assert decode_message('{"type":"hello","x":"' + '\\"[[' * 1000 + '"}') == Hello()
    assert decode_message('{"type":"hello","x":[' + "[],{}," * 1000 + "1]}") == Hello()


@pytest.mark.parametrize(
    "raw",
    [
        b'"' + b'\\"' * 32_000,
        b'"' * 65_000,
        b"[]" * 32_000,
        b"[{}" * 20_000,
        b"[" * 17 + b'"\\' * 30_000,
        b'{"a":' * 13_000,
    ],
)
def test_hostile_input_is_cheap(raw: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BadInput):
        decode_message(raw)
    assert time.process_time() - began < 0.1


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_anything_is_a_message_or_one_error(raw: bytes | str) -> None:
    with suppress(BadInput):
        assert isinstance(decode_message(raw), messages.Message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([*BODIES, *MESSAGES]), st.data())
def test_any_json_in_any_field_is_read_or_one_error(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    body = example(kind)
    name = data.draw(st.sampled_from(sorted(body)))
    body[name] = data.draw(JSON)
    with suppress(BadInput):
        assert isinstance(read(kind, json.dumps(body).encode()), kind)


def test_messages_survive_the_wire() -> None:
    for message in (Hello(True), Knock(3), Act(1, "admit", ("A", "B"), "because")):
        assert decode_message(encode(message)) == message
    assert decode_body(b'{"meeting":"m","seat-token":"t"}', LinkOpened) == LinkOpened("m", "t")
