"""What stands between the network and every handler."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from broker.audit import EventType
from broker.policy import Permission, Role, allowed
from signaling import http_limits, security
from signaling.openapi import plain_path
from signaling.routes import ROUTES
from signaling.routing import ROLE_HEADER, STAFF_COOKIES, Route
from signaling.security import Allowance, require_routes, security_headers
from tests.signaling.front import ORIGIN, Front, board_room
from tests.support.stores import Server
from tests.support.waiting import eventually

CANARY = "canary-4c1d9f"


# ---- policy --------------------------------------------------------------------------------------------

# Bodies that are well formed, so that only the policy decides. Seats fill in their own meeting.
BODIES: dict[str, dict[str, Any]] = {
    "/api/link-opened": {"meeting": "m", "seat-token": "t"},
    "/api/enter": {"meeting": "m", "seat-token": "t", "password": "p"},
    "/api/seat": {"meeting": "m", "seat": "A"},
    "/api/agree": {"meeting": "m", "seat": "A", "version": "v"},
    "/api/seat-ticket": {"meeting": "m", "seat": "A"},
    "/api/seat-leave": {"meeting": "m", "seat": "A"},
    "/api/login": {"name": "n", "password": "p"},
    "/api/sessions": {"kind": "couple", "starts": "x", "ends": "x"},
    "/api/host-ticket": {"meeting": "m"},
}
DENIALS = {"not-allowed", "sign-in-needed", "enter-again"}


async def test_every_role_gets_exactly_the_routes_that_the_policy_gives_it(front: Front) -> None:
    """Generated: each role × each route. Sign-out comes last, since it ends what it is asked with."""
    therapist, therapist_cookie = await front.staff(Role.THERAPIST)
    _, admin_cookie = await front.staff(Role.ADMIN)
    booked = await front.book(therapist)
    cookies = {
        Role.ANONYMOUS: {},
        Role.SEAT: await front.enter(booked),
        Role.THERAPIST: therapist_cookie,
        Role.ADMIN: admin_cookie,
    }
    last = {Permission.SIGN_OUT: 1, Permission.LEAVE_SEAT: 1}
    seen, expected = {}, {}
    for route in sorted(ROUTES, key=lambda route: last.get(route.permission, 0)):
        path = plain_path(route.path).format(meeting="m", seat="A", path="js/page.js")
        body = BODIES.get(route.path) if route.method == "POST" else None
        if body and "seat" in body:
            body = body | {"meeting": booked.meeting}
        for role in Role:
            key = (role.value, f"{route.method} {route.path}")
            expected[key] = allowed(role, route.permission)
            seen[key] = await _is_let_through(front, route, path, body, cookies[role])
    assert seen == expected
    assert any(seen.values())
    assert not all(seen.values())


async def _is_let_through(
    front: Front, route: Route, path: str, body: dict[str, Any] | None, cookies: dict[str, str]
) -> bool:
    if route.answer == "text/event-stream":
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        async with front.http.get(front.url + path, headers=headers) as response:
            return response.status == 200
    answer = await front.ask(route.method, path, body, cookies=cookies)
    assert answer.status < 500, (route.path, answer.body)
    return answer.code not in DENIALS


async def test_a_role_is_picked_where_two_are_signed_in(front: Front) -> None:
    _, therapist = await front.staff(Role.THERAPIST)
    _, admin = await front.staff(Role.ADMIN)
    both = therapist | admin
    for role in (Role.THERAPIST, Role.ADMIN):
        by_header = await front.get("/api/me", cookies=both, headers={ROLE_HEADER: role.value})
        by_query = await front.get(f"/api/me?role={role.value}", cookies=both)
        assert by_header.json == by_query.json == {"name": f"canary-{role.value}", "role": role.value}
    assert (await front.get("/api/me?role=king", cookies=both)).code == "not-allowed"


async def test_a_cookie_of_one_role_opens_nothing_of_another(front: Front) -> None:
    _, therapist = await front.staff(Role.THERAPIST)
    token = next(iter(therapist.values()))
    answer = await front.get("/api/board", cookies={STAFF_COOKIES[Role.ADMIN]: token})
    assert (answer.status, answer.code) == (403, "sign-in-needed")


async def test_a_denial_is_recorded_with_who_and_what(front: Front) -> None:
    staff, cookies = await front.staff(Role.THERAPIST)
    assert (await front.get("/api/audit", cookies=cookies)).code == "not-allowed"
    (denied,) = await front.events(EventType.AUTHZ_DENIED)
    assert (denied.actor, denied.reason, denied.outcome) == (staff.id, "view-audit", "refused")
    assert denied.detail == {"route": "GET /api/audit"}


async def test_denials_cannot_fill_the_ledger(front: Front) -> None:
    for _ in range(40):
        assert (await front.get("/api/board")).code == "sign-in-needed"
    assert 20 <= len(await front.events(EventType.AUTHZ_DENIED)) <= 25


def test_an_allowance_says_how_many_it_refused() -> None:
    allowance = Allowance(rate=1.0, burst=2.0)
    assert [allowance.take(10.0) for _ in range(4)] == [0, 0, None, None]
    assert allowance.take(11.0) == 2
    assert allowance.take(11.5) is None
    assert allowance.take(1000.0) == 1


async def test_the_app_does_not_start_with_a_handler_without_permission() -> None:
    async def bare(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/bare", bare)
    with pytest.raises(AssertionError, match="/bare declares no permission"):
        await require_routes(app)


# ---- origin --------------------------------------------------------------------------------------------

OTHERS = [
    {},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": f"{ORIGIN}.evil.example"},
    {"Origin": f"{ORIGIN}/"},
    {"Origin": ORIGIN.replace("https", "http")},
    {"Origin": ORIGIN.upper()},
    {"Origin": f"{ORIGIN}, https://evil.example"},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "none"},
]


@pytest.mark.parametrize("headers", OTHERS)
async def test_what_another_site_sends_is_refused_before_anything_is_read(
    front: Front, headers: dict[str, str]
) -> None:
    async with front.http.post(
        front.url + "/api/login", data=b"not even json", headers=headers, skip_auto_headers={"Origin"}
    ) as response:
        body = await response.json(content_type=None)
    assert (response.status, body["code"]) == (403, "wrong-origin")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method != "GET"], ids=lambda r: r.path)
async def test_every_changing_route_checks_the_origin(front: Front, route: Route) -> None:
    path = plain_path(route.path).format(meeting="m", seat="A")
    answer = await front.ask(route.method, path, {}, headers={"Origin": "https://evil.example"})
    assert answer.code == "wrong-origin"


async def test_another_site_cannot_make_a_browser_read_the_api(front: Front) -> None:
    answer = await front.get("/api/agreement", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.code == "wrong-origin"
    assert (await front.get("/j/abc", headers={"Sec-Fetch-Site": "cross-site"})).status == 200
    assert (await front.get("/api/agreement", headers={"Sec-Fetch-Site": "same-origin"})).status == 200


# ---- bodies --------------------------------------------------------------------------------------------


async def test_a_body_too_large_is_refused_and_the_connection_closed(front: Front) -> None:
    announced = await front.post("/api/login", data=b'{"name":"' + b"x" * 70_000 + b'"}')
    assert (announced.status, announced.code) == (413, "too-large")
    assert announced.headers["Connection"] == "close"


async def test_a_body_of_unannounced_length_is_refused_when_it_grows_too_large(front: Front) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b"x" * 1024

    headers = {"Origin": ORIGIN, "Content-Type": "application/json"}
    async with front.http.post(front.url + "/api/login", data=endless(), headers=headers) as response:
        assert (response.status, (await response.json(content_type=None))["code"]) == (413, "too-large")


async def test_a_slow_head_is_given_up(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_limits, "HEAD_WITHIN", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", front.server.port)
    writer.write(b"G")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


async def test_a_slow_body_is_given_up(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "BODY_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", front.server.port)
    head = f"POST /api/login HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\n"
    writer.write(f'{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"name'.encode())
    async with asyncio.timeout(10):
        answer = await reader.read()  # returns when the server closed the connection
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too-slow" in answer


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_only_plain_json_is_read(front: Front, headers: dict[str, str]) -> None:
    answer = await front.post("/api/login", data=b"{}", headers=headers)
    assert (answer.status, answer.code) == (415, "unsupported-type")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"name": "n"',
        b'{"name": 1, "password": "p"}',
        b'{"name": null, "password": "p"}',
        b'{"name": "n"}',
        b'{"name": "n", "password": "p", "more": 1}',
        b'{"name": ' + b"[" * 10_000,
        b'{"name": "' + b"n" * 65 + b'", "password": "p"}',
        b"NaN",
    ],
)
async def test_a_bad_body_gets_one_coded_answer(front: Front, data: bytes) -> None:
    with capture_logs() as logs:
        answer = await front.post("/api/login", data=data)
    assert (answer.status, answer.code) == (400, "bad-message")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [line for line in logs if line["log_level"] != "info"] == []  # no more than the access line


# ---- headers -------------------------------------------------------------------------------------------


def test_the_policy_for_content_is_strict() -> None:
    headers = security_headers("https://visit.example.org:8443")
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";") if " " in part
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self' wss://visit.example.org:8443"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Strict-Transport-Security"].startswith("max-age=63072000")


def test_localhost_gets_plain_websockets_and_no_hsts() -> None:
    headers = security_headers("http://localhost:8080")
    assert "connect-src 'self' ws://localhost:8080;" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize(
    "path", ["/", "/static/js/page.js", "/api/agreement", "/api/board", "/nowhere", "/healthz"]
)
async def test_every_answer_has_the_headers(front: Front, path: str) -> None:
    answer = await front.get(path)
    assert answer.headers.items() >= security_headers(ORIGIN).items()
    assert answer.headers["Cache-Control"] == ("no-cache" if path.startswith("/static") else "no-store")
    assert "aiohttp" not in str(answer.headers)
    assert "Server" not in answer.headers


# ---- canaries ------------------------------------------------------------------------------------------


async def test_no_name_token_or_password_is_told_where_it_does_not_belong(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    """Private values go in everywhere; none comes out in an error, a log line, a metric or an address."""
    caplog.set_level(0)
    with capture_logs() as logs:
        therapist, cookies = await front.staff(Role.THERAPIST, name=f"{CANARY}-name")
        booked = await front.book(therapist)
        seat_cookies = await front.enter(booked)
        front.rooms.append(board_room())
        token = next(iter(booked.seat_tokens.values())).reveal()
        secrets = [
            CANARY,
            token,
            booked.password.reveal(),
            next(iter(cookies.values())),
            next(iter(seat_cookies.values())),
        ]
        errors = []
        for route in ROUTES:
            path = plain_path(route.path).format(meeting=booked.meeting, seat=CANARY, path=CANARY)
            for body in (
                {"meeting": booked.meeting, "seat-token": token, "password": CANARY},
                {"name": f"{CANARY}-name", "password": CANARY},
                {CANARY: CANARY},
                {"meeting": CANARY, "seat": CANARY, "version": CANARY, "kind": CANARY, "starts": CANARY},
            ):
                if route.method != "POST" or route.permission is Permission.SIGN_OUT:
                    continue
                headers = {"Idempotency-Key": f"{CANARY} !"}
                told = await front.post(path, body, cookies=cookies | seat_cookies, headers=headers)
                errors.append(told.body.decode() if told.status >= 400 else "")
        metrics = await front.get("/metrics")
    assert sum(map(bool, errors)) > 20
    everything = {
        "errors": "\n".join(errors),
        "logs": json.dumps(logs, default=str) + caplog.text,
        "metrics": metrics.body.decode(),
    }
    found = [(where, secret) for where, text in everything.items() for secret in secrets if secret in text]
    assert found == []
    assert booked.meeting not in everything["metrics"] + everything["logs"]


async def test_a_store_that_stalls_lets_nobody_do_anything(front: Front, server: Server) -> None:
    _, cookies = await front.staff(Role.ADMIN)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for path in ("/api/board", "/api/audit", "/api/audit/stream", "/api/board/stream"):
            answer = await front.get(path, cookies=cookies)
            assert (answer.status, answer.code) == (503, "audit-unavailable"), path
            assert answer.headers["Retry-After"] == "2"
        entering = {"meeting": "m", "seat-token": "t", "password": "p"}
        assert (await front.post("/api/enter", entering)).code == "audit-unavailable"
        assert (await front.get("/readyz")).code == "audit-unavailable"
        assert (await front.get("/")).status == 200
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await eventually(front.services.store_ok)
