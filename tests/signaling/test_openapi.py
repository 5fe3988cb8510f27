"""The OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from signaling.openapi import codes_of, document, plain_path
from signaling.problems import TEXTS
from signaling.routes import ROUTES
from signaling.schema import WHIP

DOCUMENT = document(ROUTES)


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from refs(each)
    elif isinstance(value, list):
        for each in value:
            yield from refs(each)


def test_every_route_is_described() -> None:
    described = {(method.upper(), path) for path, of in DOCUMENT["paths"].items() for method in of}
    assert described == {(route.method, plain_path(route.path)) for route in ROUTES}
    json.dumps(DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(refs(DOCUMENT)) <= known
    assert "#/components/schemas/Problem" in set(refs(DOCUMENT))


def test_fields_are_described_as_they_are_on_the_wire() -> None:
    enter = DOCUMENT["components"]["schemas"]["EnterBody"]
    assert enter["required"] == ["meeting", "seat-token", "password"]
    assert enter["additionalProperties"] is False


def test_a_booking_tells_its_key_its_refusals_and_who_may() -> None:
    booking = DOCUMENT["paths"]["/api/sessions"]["post"]
    (key,) = [each for each in booking["parameters"] if each["name"] == "Idempotency-Key"]
    assert (key["in"], key["required"]) == ("header", True)
    assert {"400", "403", "413", "415", "422", "429", "503"} <= booking["responses"].keys()
    assert booking["security"] == [{"admin": []}, {"therapist": []}]
    assert list(booking["responses"]["422"]["content"]) == ["application/problem+json"]


def test_operation_ids_are_unique() -> None:
    ids = [each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()]
    assert len(set(ids)) == len(ids)


def test_every_refusal_has_a_text() -> None:
    assert {code for route in ROUTES for code in codes_of(route)} <= TEXTS.keys()


def test_a_route_for_programs_tells_its_bearer_and_its_media_type() -> None:
    described = document(WHIP)
    post = described["paths"]["/whip/{meeting}"]["post"]
    assert post["security"] == [{"bearer": []}]
    assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert list(post["requestBody"]["content"]) == ["application/sdp"]
    assert list(post["responses"]["201"]["content"]) == ["application/sdp"]
    assert {"401", "403", "406", "409", "413", "415", "422", "429"} <= post["responses"].keys()
    assert {code for route in WHIP for code in codes_of(route)} <= TEXTS.keys()


def test_path_patterns_are_left_out() -> None:
    assert plain_path("/static/{path:.+}") == "/static/{path}"
