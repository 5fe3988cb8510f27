"""What a route is, and what its handler is given.

A route is data: method, path, *permission*, the type of its body and of its answer, the refusals to expect.
The same tuple of routes is what the app serves, what the policy is enforced and tested on, and what the
OpenAPI document and ``docs/protocol.md`` are rendered from. There is no other way to add one: the app
refuses to start with a handler that is not a route's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from broker.credentials import SeatGrant
from broker.identity import Staff
from broker.policy import Permission, Role
from signaling.messages import Body
from signaling.services import Services

SERVICES: Final = web.AppKey("services", Services)

STAFF_COOKIES: Final = {
    Role.THERAPIST: "__Host-staff-therapist",
    Role.ADMIN: "__Host-staff-admin",
}
"""One cookie per role, so that one browser may have both pages open."""

ROLE_HEADER: Final = "Quietroom-Role"
"""A request that could act in two roles says which."""


@dataclass(slots=True)
class Call:
    """One request that the policy allowed.

    Attributes:
        request: as aiohttp has it; its body is read already.
        role: in which role it acts.
        staff: who signed in; ``None`` unless ``role`` is a staff role.
        grant: the credential session of the seat; ``None`` unless ``role`` is seat.
    """

    request: web.Request
    services: Services
    role: Role
    staff: Staff | None = None
    grant: SeatGrant | None = None

    @property
    def me(self) -> Staff:
        """Who signed in.

        Raises:
            AssertionError: the route's permission is not one that only staff have.
        """
        if self.staff is None:
            raise AssertionError("This route is open to others than staff, so nobody need have signed in.")
        return self.staff

    @property
    def seat(self) -> SeatGrant:
        """The seat that the request speaks for.

        Raises:
            AssertionError: the route's permission is not one that only seats have.
        """
        if self.grant is None:
            raise AssertionError("This route is open to others than seats, so no seat need be known.")
        return self.grant


Handler = Callable[[Call, Any], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route.

    Attributes:
        path: as aiohttp writes it, ``/j/{meeting}``.
        permission: what the caller must be allowed by ``broker.policy``.
        handle: called with the call and the decoded body (``None`` when ``body`` is).
        about: one sentence for the documents.
        body: the struct that the JSON body must be; ``None`` means that a body is not read.
        takes: the media type of a body that is text, handed over as such; excludes ``body``.
        bearer: it is asked by programs with a credential that no browser sends by itself, so that they need
            not say which page asked.
        answer: the struct (or tuple of structs) of the JSON answer, or a media type, or ``None`` for nothing.
        status: of the good answer.
        refusals: codes of ``signaling.problems`` that this route may answer besides those that any may.
        headers: request headers it reads, with a sentence each.
        query: query parameters it reads, with a sentence each.
    """

    method: str
    path: str
    permission: Permission
    handle: Handler
    about: str
    body: type[Body] | None = None
    takes: str | None = None
    bearer: bool = False
    answer: Any = None
    status: int = 200
    refusals: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)


def answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer.

    Args:
        body: a struct of ``signaling.messages`` or a sequence of them.
    """
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def no_content() -> web.Response:
    """Done, and nothing to say."""
    return web.Response(status=204)


def seat_cookie(meeting: str, seat: str) -> str:
    """The name of a seat's cookie: tells nobody which session it is of, and two seats never share one."""
    return f"__Host-seat-{hashlib.sha256(f'{meeting}|{seat}'.encode()).hexdigest()[:16]}"


def set_cookie(response: web.Response, name: str, value: str) -> None:
    """Give the browser a credential that no script can read and no other site can use.

    A ``__Host-`` name makes the browser itself insist on Secure, Path=/ and no Domain (RFC 6265bis §4.1.3.2).
    No expiry: it ends with the browser, and in the store before that.
    """
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Strict")


def clear_cookie(response: web.Response, name: str) -> None:
    """Take a credential back."""
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Strict")
