"""Reading JSON from outside: bounded before it is parsed, typed after, one error for everything.

    bytes or text ──size──▶ ──depth──▶ ──msgspec──▶ a message or a body
          └───────────┴──────────┴───────────┴────▶ BadInput("bad-message", what is wrong and where)

The text names the field as our own types spell it and never repeats what was sent: a password typed into the
wrong field must not come back in an error or end in a log.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec

from broker.errors import BadInput
from signaling.messages import MAX_MESSAGE_BYTES, ClientMessage, Message

CODE: Final = "bad-message"
MAX_DEPTH: Final = 16

T = TypeVar("T")

_CLIENT: Final[msgspec.json.Decoder[ClientMessage]] = msgspec.json.Decoder(ClientMessage)
_DECODERS: Final[dict[Any, msgspec.json.Decoder[Any]]] = {}

# A string is taken whole, so that its brackets do not count; its end may be missing, so that the scan stays
# linear on an unterminated one (possessive: nothing is tried twice).
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)

# What msgspec appends to say where: our field names, indexes, or […] for a key of a mapping.
_WHERE: Final = re.compile(r" - at `\$\.?([A-Za-z0-9_.\-\[\]…]{1,100})`$")
_MISSING: Final = re.compile(r"^Object missing required field `([a-z0-9-]{1,40})`")
_EXPECTED: Final = re.compile(r"^Expected `([a-z| ]{1,40})`(?:, got `[a-z]{1,20}`)?(?: - at|$)")
_LENGTH: Final = re.compile(r"^Expected `(?:str|array)` of length (<=|>=) ([0-9]{1,9})")

_WORDS: Final = {"str": "text", "int": "a whole number", "bool": "true or false", "array": "a list"}


def decode_message(raw: bytes | str) -> ClientMessage:
    """Read one message of a page.

    Args:
        raw: a text frame as it came; also bytes.

    Raises:
        BadInput: ``bad-message``.
    """
    return _decode(raw, _CLIENT)


def decode_body(raw: bytes, body: type[T]) -> T:
    """Read the body of one HTTP request.

    Args:
        raw: the bytes.
        body: one of the body structs of ``signaling.messages``.

    Raises:
        BadInput: ``bad-message``.
    """
    decoder = _DECODERS.get(body)
    if decoder is None:
        decoder = _DECODERS[body] = msgspec.json.Decoder(body)
    message: T = _decode(raw, decoder)
    return message


def encode(message: msgspec.Struct) -> str:
    """Write a message for a text frame."""
    return msgspec.json.encode(message).decode()


def encode_bytes(message: msgspec.Struct) -> bytes:
    """Write a body."""
    return msgspec.json.encode(message)


def _decode(raw: bytes | str, decoder: msgspec.json.Decoder[T]) -> T:
    if len(raw) > MAX_MESSAGE_BYTES:
        raise _bad(f"It is larger than {MAX_MESSAGE_BYTES // 1024} KiB.")
    try:
        data = raw.encode() if isinstance(raw, str) else raw
    except UnicodeEncodeError:
        raise _bad("It is not UTF-8 text.") from None
    if len(data) > MAX_MESSAGE_BYTES:
        raise _bad(f"It is larger than {MAX_MESSAGE_BYTES // 1024} KiB.")
    if _too_deep(data):
        raise _bad(f"It is nested more than {MAX_DEPTH} levels deep.")
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _bad(_explain(str(error), decoder.type)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError, OverflowError):
        raise _bad("It is not JSON.") from None


def _too_deep(data: bytes) -> bool:
    """Whether brackets nest deeper than allowed; looks at no more than it must."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKEN.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif first in b"]}":
            depth -= 1
    return False


def _explain(complaint: str, wanted: Any) -> str:
    """Say in our own words, and only in ours, what msgspec found wrong."""
    if missing := _MISSING.match(complaint):
        return f"The field “{missing[1]}” is missing."
    if "unknown field" in complaint:
        return f"It has a field that is not known here. Known: {', '.join(_fields(wanted))}."
    if complaint.startswith("Expected `object`") and " - at" not in complaint:
        return "It must be a JSON object."
    where = _WHERE.search(complaint)
    field = f"The field “{where[1]}”" if where else "A field"
    if where and where[1] == "type":
        return f"{field} must be one of: {', '.join(_tags(wanted))}."
    if length := _LENGTH.match(complaint):
        return f"{field} is too {'long' if length[1] == '<=' else 'short'} (limit {length[2]})."
    if expected := _EXPECTED.match(complaint):
        kinds = [_WORDS.get(kind.strip(), "something else") for kind in expected[1].split("|")]
        return f"{field} must be {kinds[0]}."
    return f"{field} has a value that is not allowed here."


def _fields(wanted: Any) -> list[str]:
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return list(wanted.__struct_encode_fields__)
    return []


def _tags(wanted: Any) -> list[str]:
    kinds = getattr(wanted, "__args__", (wanted,))
    return sorted(str(kind.__struct_config__.tag) for kind in kinds if issubclass(kind, Message))


def _bad(what: str) -> BadInput:
    return BadInput(CODE, what)
