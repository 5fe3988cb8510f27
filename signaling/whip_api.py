"""WHIP over HTTP (RFC 9725): the endpoint of a session and the resource of one publisher.

    POST /whip/<meeting> ─▶ 201 + Location        OPTIONS ─▶ 204, what is taken
    PATCH, DELETE /whip/<meeting>/<resource>

Served only where it is switched on. Every request carries the seat's token as bearer, those on the resource
too; it stands in no URL. There is no CORS: programs need none, and other sites' pages have no business here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import hdrs, web

from broker.errors import Refused
from broker.policy import Permission
from signaling.failures import problem_response
from signaling.messages import IceServer
from signaling.routing import Call, Route
from signaling.whip import Programs

OFFER: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
_BEARER: Final = "bearer "
_MAX_TOKEN: Final = 128
_AUTHORIZATION: Final = {"Authorization": "Required: `Bearer` and the token of a patient's seat."}
_ENDPOINT: Final = "/whip/{meeting}"
_RESOURCE: Final = "/whip/{meeting}/{resource}"


@dataclass(frozen=True, slots=True)
class Whip:
    """The routes of WHIP.

    Args:
        programs: those of this process.
    """

    programs: Programs

    async def create(self, call: Call, offer: str) -> web.StreamResponse:
        """Answer an offer, once the seat is admitted."""
        token = _token(call.request)
        if token is None:
            return _unauthorized()
        created = await self.programs.post(_meeting(call), token, offer, address=_address(call))
        headers = {
            hdrs.LOCATION: f"/whip/{created.meeting}/{created.resource}",
            hdrs.ETAG: created.etag,
            "Accept-Patch": FRAGMENT,
        }
        response = web.Response(text=created.sdp, status=201, content_type=OFFER, headers=headers)
        for server in created.ice_servers:
            for url in server.urls:
                response.headers.add(hdrs.LINK, _link(url, server))
        return response

    async def change(self, call: Call, fragment: str) -> web.StreamResponse:
        """Take candidates, or restart ICE."""
        token = _token(call.request)
        if token is None:
            return _unauthorized()
        matching = call.request.headers.getall(hdrs.IF_MATCH, [])
        if len(matching) > 1:
            raise Refused("if-match-old")
        told = await self.programs.patch(
            _meeting(call),
            token,
            _resource(call),
            matching[0] if matching else None,
            fragment,
            address=_address(call),
        )
        if told is None:
            return web.Response(status=204)
        headers = {hdrs.ETAG: told.etag}
        return web.Response(text=told.sdp, status=200, content_type=FRAGMENT, headers=headers)

    async def leave(self, call: Call, body: Any) -> web.StreamResponse:
        """End the transport and give the place up."""
        token = _token(call.request)
        if token is None:
            return _unauthorized()
        await self.programs.delete(_meeting(call), token, _resource(call), address=_address(call))
        return web.Response(status=200)

    async def options(self, call: Call, body: Any) -> web.StreamResponse:
        """What can be done here; tells nothing of any session."""
        if "resource" in call.request.match_info:
            headers = {hdrs.ALLOW: "DELETE, OPTIONS, PATCH", "Accept-Patch": FRAGMENT}
        else:
            headers = {hdrs.ALLOW: "OPTIONS, POST", "Accept-Post": OFFER}
        return web.Response(status=204, headers=headers)

    @property
    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        return (
            Route(
                method="POST",
                path=_ENDPOINT,
                permission=Permission.INGEST,
                handle=self.create,
                about="WHIP, where switched on: opens a transport for the token's seat, or knocks for it.",
                takes=OFFER,
                bearer=True,
                answer=OFFER,
                status=201,
                refusals=(
                    "bearer-needed",
                    "cannot-enter",
                    "wait-for-admission",
                    "denied-for-now",
                    "seat-in-use",
                    "agreement-by-link",
                    "end-to-end-encrypted",
                    "bad-sdp",
                    "no-common-codec",
                    "too-fast",
                    "busy",
                    "draining",
                ),
                headers=_AUTHORIZATION,
            ),
            Route(
                method="PATCH",
                path=_RESOURCE,
                permission=Permission.INGEST,
                handle=self.change,
                about="Candidates of the program (204), or its half of an ICE restart (200).",
                takes=FRAGMENT,
                bearer=True,
                answer=FRAGMENT,
                refusals=(
                    "bearer-needed",
                    "cannot-enter",
                    "if-match-needed",
                    "if-match-old",
                    "bad-sdp",
                    "too-fast",
                    "draining",
                ),
                headers=_AUTHORIZATION | {"If-Match": "Required: the last ETag, or `*` to restart ICE."},
            ),
            Route(
                method="DELETE",
                path=_RESOURCE,
                permission=Permission.INGEST,
                handle=self.leave,
                about="Ends the transport; the seat has left.",
                bearer=True,
                refusals=("bearer-needed", "cannot-enter", "too-fast", "draining"),
                headers=_AUTHORIZATION,
            ),
            *(
                Route(
                    method="OPTIONS",
                    path=path,
                    permission=Permission.INGEST,
                    handle=self.options,
                    about="What this address takes.",
                    bearer=True,
                    status=204,
                )
                for path in (_ENDPOINT, _RESOURCE)
            ),
        )


def _link(url: str, server: IceServer) -> str:
    """A TURN server and its credential (RFC 9725 §4.6), which is made for this answer and soon void."""
    who = f'username="{server.username}"; credential="{server.credential}"'
    return f'<{url}>; rel="ice-server"; {who}; credential-type="password"'


def _meeting(call: Call) -> str:
    return call.request.match_info["meeting"]


def _resource(call: Call) -> str:
    return call.request.match_info["resource"]


def _address(call: Call) -> str:
    """Who asks; empty behind a proxy, from which everybody seems to come."""
    return "" if call.services.behind_proxy else call.request.remote or ""


def _token(request: web.Request) -> str | None:
    """The token in Authorization (RFC 6750 §2.1); ``None`` without exactly one of usable length."""
    values = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(values) != 1 or values[0][: len(_BEARER)].lower() != _BEARER:
        return None
    token = values[0][len(_BEARER) :].strip()
    return token if 0 < len(token) <= _MAX_TOKEN else None


def _unauthorized() -> web.Response:
    response = problem_response("bearer-needed")
    response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return response
