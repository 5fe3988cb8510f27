"""Pages, files, health and the API's description: what anybody may read, since none of it holds data.

A page is one HTML file whatever its address says: ``/j/<meeting>`` of a session that exists, has ended or
never was is the same bytes. Pages are never stored by the browser; files are: for thirty days at the
address that a page names, and else asked for again with their ETag: a new version is seen at once. Text goes
out compressed.
"""

from __future__ import annotations

import hmac
import re
from ipaddress import IPv6Address, ip_address
from typing import Final

from aiohttp import hdrs, web

from broker.errors import Refused
from broker.policy import Permission
from signaling.assets import Asset
from signaling.metrics import CONTENT_TYPE, Metrics
from signaling.routing import Call, Handler, Route

METRICS: Final = web.AppKey("metrics", Metrics)
OPENAPI: Final = web.AppKey("openapi", bytes)

_GZIP: Final = re.compile(r"\bgzip\s*(?!\s*;\s*q\s*=\s*0(\.0*)?\s*(,|$))")  # RFC 9110 §12.5.3

_KEPT: Final = "public, max-age=2592000, immutable"
"""For thirty days: what should not have been sent, and nobody noticed, is not in browsers for longer."""

PAGES: Final = {
    "/": ("index.html", "Where a patient types the meeting ID, seat code and password."),
    "/j/{meeting}": ("visit.html", "The patient's page; the seat token follows # and is not sent."),
    "/login": ("login.html", "Staff sign-in."),
    "/staff": ("staff.html", "A therapist's sessions."),
    "/host/{meeting}": ("host.html", "The host's page."),
    "/admin": ("admin.html", "The live board."),
}


def page(name: str) -> Handler:
    """The handler of one page."""

    async def show(call: Call, body: None) -> web.StreamResponse:
        response = _answer(call.request, call.services.pages.page(name))
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        return response

    return show


async def static_file(call: Call, body: None) -> web.StreamResponse:
    """One file of the browser's half."""
    file, forever = call.services.pages.file(call.request.match_info["path"])
    response = _answer(call.request, file)
    # Without its version, or with another one: kept, but asked for again each time, and answered with 304.
    response.headers[hdrs.CACHE_CONTROL] = _KEPT if forever else "no-cache"
    return response


def _answer(request: web.Request, file: Asset) -> web.StreamResponse:
    """A file; text is compressed for whoever can read that."""
    headers = {hdrs.CONTENT_TYPE: file.kind}
    if file.plain is None:
        return web.FileResponse(file.path, headers=headers)
    headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    small = _GZIP.search(request.headers.get(hdrs.ACCEPT_ENCODING, "")) is not None
    etag = f"{file.tag}-gzip" if small else file.tag
    if any(known.value == etag for known in request.if_none_match or ()):
        response = web.Response(status=304, headers=headers)
    elif small:
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        response = web.Response(body=file.small, headers=headers)
    else:
        response = web.Response(body=file.plain, headers=headers)
    response.etag = etag
    return response


async def healthz(call: Call, body: None) -> web.StreamResponse:
    """Alive: this very answer says so."""
    return web.Response(text="ok\n")


async def readyz(call: Call, body: None) -> web.StreamResponse:
    """Whether somebody new can be served."""
    if call.services.draining():
        raise Refused("draining")
    if not call.services.store_ok():
        raise Refused("audit-unavailable")
    return web.Response(text="ready\n")


async def metrics(call: Call, body: None) -> web.StreamResponse:
    """The numbers for Prometheus.

    No one of them is private, but somebody who waits could tell from their changes that another has come.

    Raises:
        Refused: ``not-found`` for all but this machine and whoever shows the token.
    """
    if not _may_see_numbers(call):
        raise Refused("not-found")
    ours, others = call.request.app[METRICS], call.services.other_workers
    if others is None:
        told = ours.render()
    else:
        told = ours.render(await others.numbers() | {others.mine: ours.tell()})
    return web.Response(body=told, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})


def _may_see_numbers(call: Call) -> bool:
    token = call.services.metrics_token
    if token is not None:
        shown = call.request.headers.get(hdrs.AUTHORIZATION, "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(shown, f"Bearer {token.reveal()}".encode())
    return not call.services.behind_proxy and is_this_machine(call.request.remote or "")


def is_this_machine(address: str) -> bool:
    """Whether a peer's address is this machine's own loopback, however a socket writes it."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback


async def openapi(call: Call, body: None) -> web.StreamResponse:
    """The description of this API."""
    return web.Response(body=call.request.app[OPENAPI], content_type="application/json")


ROUTES: Final = (
    *(
        Route(
            method="GET",
            path=path,
            permission=Permission.VIEW_PAGE,
            handle=page(name),
            about=about,
            answer="text/html",
        )
        for path, (name, about) in PAGES.items()
    ),
    Route(
        method="GET",
        path="/static/{path:.+}",
        permission=Permission.VIEW_PAGE,
        handle=static_file,
        about="Scripts, styles and pictures of the pages.",
        answer="*/*",
        refusals=("not-found",),
    ),
    Route(
        method="GET",
        path="/healthz",
        permission=Permission.CHECK_HEALTH,
        handle=healthz,
        about="Whether the process lives.",
        answer="text/plain",
    ),
    Route(
        method="GET",
        path="/readyz",
        permission=Permission.CHECK_HEALTH,
        handle=readyz,
        about="Whether it can serve somebody new: the store writes and the server is not stopping.",
        answer="text/plain",
        refusals=("audit-unavailable", "draining"),
    ),
    Route(
        method="GET",
        path="/metrics",
        permission=Permission.VIEW_METRICS,
        handle=metrics,
        about="Numbers for Prometheus, free of private values; for this machine, or with the metrics token.",
        answer="text/plain",
        refusals=("not-found",),
        headers={"Authorization": "`Bearer` and the metrics token, if the operator set one."},
    ),
    Route(
        method="GET",
        path="/openapi.json",
        permission=Permission.READ_API,
        handle=openapi,
        about="This description.",
        answer="application/json",
    ),
)
