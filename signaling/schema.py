"""Writes what is made from message types, routes and texts: ``python -m signaling.schema``.

    signaling/messages.py ─┐                ┌▶ static/js/messages.js   types; no page loads them
    signaling/problems.py ─┼─▶ render ──────┼▶ static/js/protocol.js   constants of the pages
    signaling/routes.py ───┘                └▶ docs/protocol.md        tables, between markers

A test renders again and compares, so none of the files can fall behind.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, cast, get_args

import msgspec
import msgspec.inspect as mi
from aiohttp import web

from broker.policy import Permission, roles_with
from signaling import messages
from signaling.close_codes import CLOSE_CODES, COMES_BACK
from signaling.messages import GROUP_BOUNDS, PROTOCOL, ClientMessage, ServerMessage
from signaling.openapi import codes_of, plain_path
from signaling.problems import TEXTS
from signaling.routes import ROUTES
from signaling.routing import Call, Route
from signaling.whip import Programs
from signaling.whip_api import Whip

ROOT: Final = Path(__file__).resolve().parent.parent
TYPES: Final = ROOT / "static" / "js" / "messages.js"
CONSTANTS: Final = ROOT / "static" / "js" / "protocol.js"
PROTOCOL_DOC: Final = ROOT / "docs" / "protocol.md"

_HEAD: Final = "// Written by `make schema` from signaling/messages.py. Do not edit."
_MARK: Final = re.compile(r"(<!-- generated: (\w[\w-]*) -->\n).*?(<!-- end -->)", re.DOTALL)


# ---- static/js ------------------------------------------------------------------------------------------


def types() -> str:
    """The text of ``static/js/messages.js``."""
    blocks = [_HEAD]
    blocks += [_typedef(kind) for kind in structs()]
    blocks += [
        f"/** @typedef {{{'|'.join(kind.__name__ for kind in get_args(union))}}} {name} */"
        for name, union in (("ClientMessage", ClientMessage), ("ServerMessage", ServerMessage))
    ]
    blocks += ["export {};"]  # what makes it a module, from which types can be imported
    return "\n\n".join(blocks) + "\n"


def constants() -> str:
    """The text of ``static/js/protocol.js``."""
    blocks = [
        _HEAD,
        _constant("PROTOCOL", PROTOCOL, "The subprotocol of the signaling connection."),
        _constant("GROUP_BOUNDS", GROUP_BOUNDS, "Bytes of opaque fields, before base64url."),
        _constant("COMES_BACK", sorted(COMES_BACK), "After these a page connects again by itself."),
    ]
    return "\n\n".join(blocks) + "\n"


def structs() -> list[type[msgspec.Struct]]:
    """Every struct that crosses the wire, in the order of ``signaling/messages.py``."""
    found = [kind for kind in vars(messages).values() if isinstance(kind, type)]
    return [
        kind
        for kind in found
        if issubclass(kind, msgspec.Struct)
        and kind.__module__ == messages.__name__
        and kind not in {messages.Message, messages.Body}
    ]


def _typedef(kind: type[msgspec.Struct]) -> str:
    lines = [f" * {line}".rstrip() for line in plain(inspect.getdoc(kind) or "").splitlines()]
    fields = ", ".join(_fields(kind))
    return "\n".join(("/**", *lines, " *", f" * @typedef {{{{ {fields} }}}} {kind.__name__}", " */"))


def plain(doc: str) -> str:
    """A docstring as the browser's half reads it: single backquotes, attributes named as on the wire."""
    names = re.compile(r"^    ([a-z_, ]+):", re.MULTILINE)
    return names.sub(lambda line: line[0].replace("_", "-"), doc.replace("``", "`"))


def _fields(kind: type[msgspec.Struct]) -> Iterator[str]:
    info = mi.type_info(kind)
    if not isinstance(info, mi.StructType):
        raise AssertionError("A struct's type info is a StructType.")
    if info.tag_field is not None:
        yield f"{info.tag_field}: {_literal(info.tag)}"
    for field in info.fields:
        yield f'"{field.encode_name}"{"" if field.required else "?"}: {_js(field.type)}'


def _js(kind: mi.Type) -> str:
    """A type as TypeScript writes it."""
    match kind:
        case mi.Metadata(type=inner):
            return _js(inner)
        case mi.StrType():
            return "string"
        case mi.IntType() | mi.FloatType():
            return "number"
        case mi.BoolType():
            return "boolean"
        case mi.NoneType():
            return "null"
        case mi.LiteralType(values=values):
            return "|".join(_literal(value) for value in values)
        case mi.UnionType(types=types):
            return "|".join(_js(each) for each in types)
        case mi.VarTupleType(item_type=item) | mi.ListType(item_type=item):
            return f"ReadonlyArray<{_js(item)}>"
        case mi.DictType(key_type=key, value_type=value):
            return f"Readonly<Record<{_js(key)}, {_js(value)}>>"
        case mi.StructType(cls=cls):
            return cls.__name__
        case _:
            raise AssertionError(f"{type(kind).__name__} has no place on the wire yet; teach it here.")


def _literal(value: object) -> str:
    return f"'{value}'"


def _constant(name: str, value: object, about: str) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if not isinstance(value, str | int):
        text = _frozen(text)
    return f"/** {plain(about)} */\nexport const {name} = {text};"


def _frozen(text: str) -> str:
    """Constants that nobody can change by mistake, one level deep."""
    return f"Object.freeze({text})"


# ---- docs/protocol.md ----------------------------------------------------------------------------------


def protocol_document(text: str) -> str:
    """The document with its tables rendered anew.

    Args:
        text: the document as it is; what is between ``<!-- generated: name -->`` and ``<!-- end -->`` goes.
    """
    tables = {
        "routes": routes_table,
        "client-messages": lambda: messages_table(ClientMessage),
        "server-messages": lambda: messages_table(ServerMessage),
        "codes": codes_table,
        "close-codes": close_codes_table,
        "bodies": bodies_table,
    }
    return _MARK.sub(lambda mark: f"{mark[1]}\n{tables[mark[2]]()}\n\n{mark[3]}", text)


async def _elsewhere(call: Call, body: None) -> web.StreamResponse:
    raise AssertionError("Only described here; the live half serves it.")


WS: Final = Route(
    method="GET",
    path="/ws",
    permission=Permission.CONNECT,
    handle=_elsewhere,
    about="The signaling connection (WebSocket), opened with a ticket.",
    status=101,
    refusals=("bad-ticket", "wrong-origin", "too-fast", "draining", "moved"),
)
WHIP: Final = Whip(cast("Programs", None)).routes
"""Only described here, never called."""


def routes_table() -> str:
    """Every route: who may, what it takes and gives, which refusals to expect."""
    return _table(
        ("Request", "Who may", "Body", "Answer", "Refusals of its own", "What for"),
        (
            (
                f"`{route.method} {plain_path(route.path)}`",
                _who(route.permission),
                _name(route.body or route.takes),
                f"{route.status} {_name(route.answer)}".strip(),
                ", ".join(f"`{code}`" for code in route.refusals),
                route.about,
            )
            for route in (*ROUTES, WS, *WHIP)
        ),
    )


def _who(permission: Permission) -> str:
    roles = roles_with(permission)
    return "everybody" if len(roles) == 4 else ", ".join(sorted(roles))


def _name(kind: Any) -> str:
    if kind is None:
        return ""
    if isinstance(kind, str):
        return f"`{kind}`"
    items = get_args(kind)
    return f"list of `{items[0].__name__}`" if items else f"`{kind.__name__}`"


def messages_table(union: Any) -> str:
    """The messages of one direction with their fields."""
    return _table(
        ("Type", "Fields", "Sent"),
        (
            (f"`{kind.__struct_config__.tag}`", "<br>".join(_described(kind)), _first(kind))
            for kind in get_args(union)
        ),
    )


def bodies_table() -> str:
    """The structs inside messages, bodies and answers, with their fields."""
    spoken = {*get_args(ClientMessage), *get_args(ServerMessage)}
    return _table(
        ("Name", "Fields", "What it is"),
        (
            (f"`{kind.__name__}`", "<br>".join(_described(kind)), _first(kind))
            for kind in structs()
            if kind not in spoken
        ),
    )


def _described(kind: type[msgspec.Struct]) -> Iterator[str]:
    info = mi.type_info(kind)
    if not isinstance(info, mi.StructType):
        raise AssertionError("A struct's type info is a StructType.")
    for field in info.fields:
        optional = "" if field.required else ", may be left out"
        said = re.sub(r"ReadonlyArray<(\w+)>", r"\1[]", _js(field.type))
        yield f"`{field.encode_name}` `{said}`{optional}"


def _first(kind: type[msgspec.Struct]) -> str:
    doc = plain(inspect.getdoc(kind) or "")
    return " ".join(doc.split("\n\n")[0].split())


def codes_table() -> str:
    """Every code with its status and what people are told."""
    return _table(
        ("Code", "HTTP", "Title", "What people are told"),
        ((f"`{code}`", str(text.status), text.title, text.detail) for code, text in TEXTS.items()),
    )


def close_codes_table() -> str:
    """How connections end."""
    return _table(
        ("`bye` code", "Close code", "The page comes back by itself", "What people are told"),
        (
            (f"`{code}`", str(number), "yes" if code in COMES_BACK else "no", TEXTS[code].detail)
            for code, number in CLOSE_CODES.items()
        ),
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def undocumented() -> set[str]:
    """Codes that a route or a close may answer and that have no text; empty unless somebody forgot one."""
    told = {code for route in (*ROUTES, *WHIP) for code in codes_of(route)} | set(CLOSE_CODES)
    return told - set(TEXTS)


def main() -> int:
    """Write all of them."""
    TYPES.write_text(types(), encoding="utf-8")
    CONSTANTS.write_text(constants(), encoding="utf-8")
    PROTOCOL_DOC.write_text(protocol_document(PROTOCOL_DOC.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
