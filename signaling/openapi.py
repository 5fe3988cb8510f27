"""The OpenAPI 3.1 description of the HTTP API, made from the routes and the message types. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args, get_origin

import msgspec

from broker.policy import Role, roles_with
from signaling.messages import Problem
from signaling.problems import CONTENT_TYPE, TEXTS
from signaling.routing import STAFF_COOKIES, Route

GENERAL: Final = ("bad-message", "not-found", "internal", "audit-unavailable")
"""What any route may answer."""

_PARAMETER: Final = re.compile(r"\{(\w+)(?::[^}]*)?\}")
_REF: Final = "#/components/schemas/{name}"


def document(routes: Iterable[Route], *, title: str = "Quietroom", version: str = "1") -> dict[str, Any]:
    """The whole description.

    Args:
        routes: what the app serves; those outside ``/api/`` are described too.
        version: of the API, not of the program.
    """
    routes = tuple(routes)
    types = [kind for route in routes for kind in (*_structs(route.answer), *_structs(route.body))]
    _, components = msgspec.json.schema_components((*types, Problem), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(plain_path(route.path), {})[route.method.lower()] = operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _security_schemes()},
    }


_ABOUT: Final = (
    "Books and runs visits. Every error is an RFC 9457 problem document whose `code` never changes. Requests "
    "that change something must carry this server's own address in `Origin`."
)


def operation(route: Route) -> dict[str, Any]:
    """One route as an operation."""
    found: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.about,
        "parameters": list(_parameters(route)),
        "responses": {str(route.status): _good(route)} | _refusals(route),
        "security": _security(route),
    }
    if route.body is not None:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(route.body)}},
        }
    elif route.takes is not None:
        found["requestBody"] = {"required": True, "content": {route.takes: {}}}
    return found


def plain_path(path: str) -> str:
    """A path template without aiohttp's patterns: ``/static/{path}``."""
    return _PARAMETER.sub(r"{\1}", path)


def codes_of(route: Route) -> tuple[str, ...]:
    """The codes with which a route may refuse."""
    codes = list(route.refusals)
    if route.body is not None:
        codes += ["too-large", "too-slow", "unsupported-type"]
    if route.takes is not None:
        codes += ["too-large", "too-slow", "not-sdp"]
    if route.method != "GET":
        codes.append("wrong-origin")
    roles = roles_with(route.permission)
    if Role.ANONYMOUS not in roles and Role.SEAT not in roles:
        codes += ["sign-in-needed", "not-allowed"]
    return tuple(dict.fromkeys((*codes, *GENERAL)))


def _structs(kind: Any) -> Iterator[Any]:
    if isinstance(kind, type) and get_origin(kind) is None:
        yield kind
    elif get_origin(kind) is tuple:
        yield from (each for each in get_args(kind) if each is not Ellipsis)


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _good(route: Route) -> dict[str, Any]:
    if route.answer is None:
        return {"description": "Done."}
    if isinstance(route.answer, str):
        return {"description": "Done.", "content": {route.answer: {}}}
    schema: dict[str, Any]
    if get_origin(route.answer) is tuple:
        schema = {"type": "array", "items": _ref(get_args(route.answer)[0])}
    else:
        schema = _ref(route.answer)
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}


def _refusals(route: Route) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for code in codes_of(route):
        by_status.setdefault(str(TEXTS[code].status), []).append(f"`{code}`: {TEXTS[code].title}.")
    return {
        status: {"description": " ".join(lines), "content": {CONTENT_TYPE: {"schema": _ref(Problem)}}}
        for status, lines in sorted(by_status.items())
    }


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    text = {"type": "string"}
    for name in _PARAMETER.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": text}
    for name, about in route.query.items():
        yield {"name": name, "in": "query", "description": about, "schema": text}
    for name, about in route.headers.items():
        required = about.startswith("Required")
        yield {"name": name, "in": "header", "required": required, "description": about, "schema": text}


def _security(route: Route) -> list[dict[str, list[str]]]:
    roles = roles_with(route.permission)
    if route.bearer:
        return [{"bearer": []}]
    return [] if Role.ANONYMOUS in roles else [{role.value: []} for role in sorted(roles)]


def _security_schemes() -> dict[str, Any]:
    staff = {
        role.value: {"type": "apiKey", "in": "cookie", "name": name} for role, name in STAFF_COOKIES.items()
    }
    return staff | {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The token of a patient's seat."},
        Role.SEAT.value: {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-seat-<first 16 hex digits of SHA-256(meeting|seat)>",
        },
    }


def _operation_id(route: Route) -> str:
    words = re.findall(r"[a-z0-9]+", plain_path(route.path).replace(".json", ""))
    return "-".join((route.method.lower(), *words)) if words else f"{route.method.lower()}-start"
