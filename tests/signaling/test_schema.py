"""What is generated is up to date."""

from __future__ import annotations

import re

import msgspec.inspect as mi
import pytest

from signaling import schema
from signaling.messages import Act, Place
from signaling.problems import TEXTS
from signaling.schema import CONSTANTS, PROTOCOL_DOC, TYPES, constants, protocol_document, types, undocumented


def test_what_the_pages_know_of_the_wire_is_up_to_date() -> None:
    assert TYPES.read_text(encoding="utf-8") == types(), "run `make schema`"
    assert CONSTANTS.read_text(encoding="utf-8") == constants(), "run `make schema`"


def test_the_protocol_document_is_up_to_date() -> None:
    text = PROTOCOL_DOC.read_text(encoding="utf-8")
    assert text == protocol_document(text), "run `make schema`"
    assert set(re.findall(r"<!-- generated: ([\w-]+) -->", text)) == {
        "routes",
        "client-messages",
        "server-messages",
        "codes",
        "close-codes",
        "bodies",
    }


def test_a_document_that_fell_behind_is_found() -> None:
    text = "before\n<!-- generated: codes -->\nbehind the times\n<!-- end -->\nafter"
    rendered = protocol_document(text)
    assert "behind the times" not in rendered
    assert rendered.startswith("before\n<!-- generated: codes -->\n\n| Code |")
    assert rendered.endswith("<!-- end -->\nafter")
    assert protocol_document(rendered) == rendered


def test_every_code_is_documented() -> None:
    assert undocumented() == set()
    text = PROTOCOL_DOC.read_text(encoding="utf-8")
    assert [code for code in TEXTS if f"`{code}`" not in text] == []


def test_types_are_written_as_typescript_reads_them() -> None:
    text = types()
    assert '"seats"?: ReadonlyArray<string>' in text
    assert '"reason": string|null' in text
    assert "{Welcome|Place|Roster|Offer|Reply|ErrorMessage|Bye|Group|Candidate|" in text
    assert '"detail": Readonly<Record<string, string|number|boolean>>' in text
    assert {Act, Place} <= set(schema.structs())


def test_attributes_are_named_as_on_the_wire() -> None:
    assert "media-kept: the page still has" in types()


def test_a_type_without_a_spelling_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="no place on the wire"):
        schema._js(mi.DateTimeType(tz=None))
