"""Between the network and every handler: headers, origin, body limits, policy.

    request ─▶ tell_errors ─▶ same origin? ─▶ who? may they? ─▶ body ─▶ handler
                   ▲              │ wrong-origin   │ not-allowed   │ too-large, too-slow, bad-message
                   └──────────────┴── problem ─────┴── + audit ────┘

Cross-site request forgery is stopped three times: cookies are SameSite=Strict, an unsafe method needs the
exact Origin, and Fetch Metadata must not say that another site asked. A refusal by policy is recorded, at a
bounded rate, so that an attacker cannot fill the ledger.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiohttp import hdrs, web

from broker.audit import AuditEvent, EventType
from broker.errors import Refused
from broker.identity import Staff
from broker.policy import Permission, Role, allowed, roles_with
from signaling.codec import decode_body
from signaling.failures import route_name
from signaling.messages import MAX_MESSAGE_BYTES
from signaling.routing import ROLE_HEADER, SERVICES, STAFF_COOKIES, Call, Route, seat_cookie
from signaling.services import Services

BODY_SECONDS: Final = 10.0
"""How long a body may take to arrive."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_NEXT = Callable[[web.Request], Awaitable[web.StreamResponse]]
_ROUTE: Final = "quietroom_route"

log = structlog.get_logger(__name__)


# ---- headers -------------------------------------------------------------------------------------------


def security_headers(public_url: str) -> dict[str, str]:
    """The headers of every answer.

    Args:
        public_url: our origin. Over plain HTTP (localhost) the WebSocket is ``ws:`` and HSTS is left out.
    """
    scheme, _, host = public_url.partition("://")
    secure = scheme == "https"
    headers = {
        "Content-Security-Policy": "; ".join(
            (
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "img-src 'self' data: blob:",
                "media-src 'self' blob:",
                f"connect-src 'self' {'wss' if secure else 'ws'}://{host}",
                "font-src 'self'",
                "worker-src 'self'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
                "require-trusted-types-for 'script'",
                "trusted-types quietroom",
            )
        ),
        "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), "
        "screen-wake-lock=(self), geolocation=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
    }
    if secure:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return headers


def add_headers(headers: Mapping[str, str]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """A signal handler that puts these headers on every answer, and ``no-store`` unless it says otherwise."""

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)
        response.headers.popall(hdrs.SERVER, None)  # aiohttp names itself and its version
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")

    return on_prepare


# ---- origin --------------------------------------------------------------------------------------------


def check_origin(request: web.Request, public_url: str, *, bearer: bool = False) -> None:
    """Refuse what another site made a browser send.

    Args:
        request: any request.
        public_url: our own origin, compared letter by letter (RFC 6454 §6.2 gives one spelling).
        bearer: programs ask here, which send no Origin; one that is sent must be ours all the same.

    Raises:
        Refused: ``wrong-origin``.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if bearer and hdrs.ORIGIN not in request.headers and site is None:
        return
    if request.method not in SAFE_METHODS:
        if request.headers.getall(hdrs.ORIGIN, []) != [public_url] or site not in {None, "same-origin"}:
            raise Refused("wrong-origin")
    elif request.path.startswith("/api/") and site not in {None, "same-origin", "none"}:
        raise Refused("wrong-origin")


# ---- body ----------------------------------------------------------------------------------------------


async def read_body(request: web.Request, route: Route) -> Any:
    """Read and decode the body that the route declares; ``None`` when it declares none.

    Raises:
        BadInput: ``bad-message``.
        Refused: ``unsupported-type`` (``not-sdp`` where text is taken), ``too-large``, ``too-slow``.
    """
    if route.body is None and route.takes is None:
        return None
    encoded = request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity"
    if request.content_type != (route.takes or "application/json") or encoded:
        raise Refused("not-sdp" if route.takes else "unsupported-type")
    if (request.content_length or 0) > MAX_MESSAGE_BYTES:
        raise Refused("too-large")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await request.read()  # stops at the app's client_max_size
    except TimeoutError:
        raise Refused("too-slow") from None
    if route.body is not None:
        return decode_body(raw, route.body)
    return raw.decode("ascii", "replace")  # what is not ASCII is refused by whoever reads it


# ---- policy --------------------------------------------------------------------------------------------


def handler_of(route: Route) -> _NEXT:
    """The aiohttp handler of a route: everything between the network and the route's own function."""
    roles = roles_with(route.permission)

    async def handle(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        check_origin(request, services.public_url, bearer=route.bearer)
        if Role.ANONYMOUS in roles:
            return await route.handle(
                Call(request, services, Role.ANONYMOUS), await read_body(request, route)
            )
        call = await _staff_call(request, services, roles)
        if call is None and Role.SEAT not in roles:
            raise await _denied(request, services, route)
        body = await read_body(request, route)
        call = call or await _seat_call(request, services, body)
        if call is None or not allowed(call.role, route.permission):
            raise await _denied(request, services, route)
        return await route.handle(call, body)

    setattr(handle, _ROUTE, route)
    return handle


async def require_routes(app: web.Application) -> None:
    """Refuse to start with a handler that declares no permission (a startup signal handler).

    Raises:
        AssertionError: names the path.
    """
    for resource_route in app.router.routes():
        route = getattr(resource_route.handler, _ROUTE, None)
        if not isinstance(route, Route) or not isinstance(route.permission, Permission):
            path = resource_route.resource.canonical if resource_route.resource else "?"
            raise AssertionError(f"{resource_route.method} {path} declares no permission; make it a Route.")


async def staff_of(request: web.Request, services: Services, role: Role) -> Staff | None:
    """Who is signed in with this role's cookie.

    Raises:
        StoreUnavailable: nobody can be recognised now.
    """
    token = request.cookies.get(STAFF_COOKIES[role])
    return await services.identity.staff_for(token, role) if token else None


async def _staff_call(request: web.Request, services: Services, roles: frozenset[Role]) -> Call | None:
    """The call as a member of staff whose role may do this; which one, the request may say."""
    wanted = request.headers.get(ROLE_HEADER) or request.query.get("role")
    for role in STAFF_COOKIES:
        if role in roles and wanted in {None, role.value}:
            staff = await staff_of(request, services, role)
            if staff is not None:
                return Call(request, services, role, staff=staff)
    return None


async def _seat_call(request: web.Request, services: Services, body: Any) -> Call | None:
    """The call as the seat that the body names, if this browser holds its cookie."""
    meeting, seat = getattr(body, "meeting", None), getattr(body, "seat", None)
    if meeting is None or seat is None:
        return None
    cookie = request.cookies.get(seat_cookie(meeting, seat))
    grant = await services.credentials.seat_for(meeting, seat, cookie)
    return Call(request, services, Role.SEAT, grant=grant) if grant is not None else None


@dataclass(slots=True)
class Allowance:
    """A token bucket: so much at once, so much per second. Pure: ``now`` is an argument.

    Attributes:
        rate: per second.
        burst: at once.
    """

    rate: float
    burst: float
    _left: float = field(init=False)
    _at: float = 0.0
    _refused: int = 0

    def __post_init__(self) -> None:
        self._left = self.burst

    def take(self, now: float) -> int | None:
        """Take one.

        Args:
            now: monotonic seconds.

        Returns:
            How many were refused since the last that was not; ``None`` when this one is refused.
        """
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            self._refused += 1
            return None
        self._left -= 1
        refused, self._refused = self._refused, 0
        return refused


DENIALS: Final = web.AppKey("denials", dict[bool, Allowance])
"""How many refusals are recorded: of known people, and of everybody else."""


def denial_allowances() -> dict[bool, Allowance]:
    """Fresh allowances for one app."""
    return {True: Allowance(5.0, 50.0), False: Allowance(1.0, 20.0)}


async def _denied(request: web.Request, services: Services, route: Route) -> Refused:
    """Record that somebody asked for what the policy does not give them, and say what to tell them."""
    known = None
    for role in STAFF_COOKIES:
        known = known or await staff_of(request, services, role)
    more = request.app[DENIALS][known is not None].take(time.monotonic())
    if more is not None:
        actor = known.id if known else "anonymous"
        detail: dict[str, str | int | bool] = {"route": route_name(request)}
        if more:
            detail["more"] = more
        services.ledger.append_later(
            AuditEvent(
                type=EventType.AUTHZ_DENIED,
                actor=actor,
                subject=actor,
                reason=route.permission.value,
                outcome="refused",
                detail=detail,
            )
        )
    if Role.SEAT in roles_with(route.permission):
        return Refused("enter-again")
    return Refused("not-allowed" if known else "sign-in-needed")
