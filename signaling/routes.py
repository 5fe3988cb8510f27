"""Every route of the front, and the aiohttp application that serves them.

The only place that knows all of them. ``/ws`` comes from the live half and is passed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from broker.policy import Permission
from signaling import audit_api, board_api, pages, patient_api, staff_api
from signaling.failures import route_name, tell_errors
from signaling.front_runner import ServerLog
from signaling.logs import AccessLog
from signaling.messages import MAX_MESSAGE_BYTES
from signaling.metrics import Metrics
from signaling.openapi import document
from signaling.pages import METRICS, OPENAPI
from signaling.routing import SERVICES, Route
from signaling.security import (
    DENIALS,
    add_headers,
    denial_allowances,
    handler_of,
    require_routes,
    security_headers,
)
from signaling.services import Services
from signaling.streams import STREAMS, Streams

ROUTES: Final[tuple[Route, ...]] = (
    *pages.ROUTES,
    *patient_api.ROUTES,
    *staff_api.ROUTES,
    *board_api.ROUTES,
    *audit_api.ROUTES,
)
"""All but ``/ws``."""

_ALSO_HEAD: Final = frozenset({Permission.VIEW_PAGE, Permission.CHECK_HEALTH})


def application(services: Services, *more: Route) -> web.Application:
    """The app, ready for a ``FrontRunner``.

    Args:
        services: see there.
        more: further routes, such as ``/ws``.
    """
    routes = (*ROUTES, *more)
    app = web.Application(
        middlewares=[count_answers, tell_errors],
        client_max_size=MAX_MESSAGE_BYTES,
        handler_args={
            "keepalive_timeout": 15.0,  # aiohttp's own default leaves slow headers an hour
            "lingering_time": 2.0,
            "auto_decompress": False,  # a compressed body is refused, not unpacked
            "logger": ServerLog(),
            "access_log_class": AccessLog,  # aiohttp's own writes addresses and whole paths
        },
    )
    app[SERVICES] = services
    app[METRICS] = Metrics(services.gauges, services.counters, services.links)
    app[OPENAPI] = msgspec.json.encode(document(routes))
    app[STREAMS] = Streams()
    app[DENIALS] = denial_allowances()
    app.on_response_prepare.append(add_headers(security_headers(services.public_url)))
    app.on_startup.append(require_routes)
    app.on_shutdown.append(_end_streams)
    for route in routes:
        app.router.add_route(route.method, route.path, handler_of(route))
        if route.method == "GET" and route.permission in _ALSO_HEAD:
            app.router.add_route("HEAD", route.path, handler_of(route))
    return app


def numbers_of(app: web.Application) -> Callable[[Mapping[str, str]], Awaitable[bytes]]:
    """The answer to other workers that ask for this app's metrics."""

    async def tell(values: Mapping[str, str]) -> bytes:
        return app[METRICS].tell()

    return tell


async def _end_streams(app: web.Application) -> None:
    app[STREAMS].closing.set()


@web.middleware
async def count_answers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Count every answer by route and status."""
    clock = asyncio.get_running_loop().time
    began = clock()
    response = await handler(request)
    streamed = isinstance(response, web.WebSocketResponse) or response.content_type == "text/event-stream"
    request.app[METRICS].answered(route_name(request), response.status, None if streamed else clock() - began)
    return response
