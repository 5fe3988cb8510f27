"""All routes together."""

from __future__ import annotations

from broker.policy import Permission, Role, roles_with
from signaling.routes import ROUTES
from signaling.schema import WHIP
from signaling.streams import STREAMS
from tests.signaling.front import Front

# What anybody may call, written out: adding to it is a decision to take twice.
OPEN = {
    "GET /",
    "GET /j/{meeting}",
    "GET /login",
    "GET /staff",
    "GET /host/{meeting}",
    "GET /admin",
    "GET /static/{path:.+}",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /openapi.json",
    "POST /api/link-opened",
    "POST /api/enter",
    "GET /api/agreement",
    "POST /api/login",
}


def test_what_anybody_may_call_is_this_and_no_more() -> None:
    found = {
        f"{route.method} {route.path}" for route in ROUTES if Role.ANONYMOUS in roles_with(route.permission)
    }
    assert found == OPEN


def test_no_two_routes_are_the_same() -> None:
    names = [(route.method, route.path) for route in ROUTES]
    assert len(set(names)) == len(names)


def test_every_permission_is_asked_for_by_some_route() -> None:
    elsewhere = {Permission.CONNECT, Permission.INGEST}  # /ws and /whip, of the live half
    assert {route.permission for route in ROUTES} == set(Permission) - elsewhere


def test_what_changes_something_is_never_a_get() -> None:
    changing = {
        Permission.AGREE, Permission.BOOK, Permission.END_SESSION, Permission.UNLOCK_SEAT, Permission.SIGN_IN,
        Permission.SIGN_OUT, Permission.LEAVE_SEAT, Permission.ENTER_SEAT, Permission.TAKE_SEAT_TICKET,
        Permission.HOST_SESSION,
    }  # fmt: skip
    assert {route.method for route in ROUTES if route.permission in changing} == {"POST"}


def test_whip_is_open_to_anybody_and_asks_for_a_token_itself() -> None:
    found = {f"{route.method} {route.path}" for route in WHIP}
    assert found == {
        "POST /whip/{meeting}", "OPTIONS /whip/{meeting}", "PATCH /whip/{meeting}/{resource}",
        "DELETE /whip/{meeting}/{resource}", "OPTIONS /whip/{meeting}/{resource}",
    }  # fmt: skip
    assert {route.permission for route in WHIP} == {Permission.INGEST}
    assert all(route.bearer for route in WHIP)
    assert not any(route.bearer for route in ROUTES)
    assert roles_with(Permission.INGEST) == frozenset(Role)


async def test_stopping_ends_the_streams(front: Front) -> None:
    app = front.server.app
    await app.shutdown()
    assert app[STREAMS].closing.is_set()
