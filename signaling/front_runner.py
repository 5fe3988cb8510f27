"""aiohttp's server as we run it: what cannot even be read as HTTP is answered and logged like all else.

Its own answer to a bad request quotes the line that it could not read, and bypasses the app and so its
headers; its log holds addresses and the raw text.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.web_request import BaseRequest

from signaling.codec import encode_bytes
from signaling.http_limits import Limited, Limits
from signaling.problems import CONTENT_TYPE, problem
from signaling.routing import SERVICES
from signaling.security import security_headers

log = structlog.get_logger(__name__)


class ServerLog(logging.Logger):
    """Takes what aiohttp's HTTP server logs: its lines hold addresses and the raw text of bad requests."""

    def __init__(self) -> None:
        super().__init__("quietroom.http", logging.ERROR)

    def exception(self, msg: object, *args: object, exc_info: Any = None, **more: Any) -> None:
        """Log one line with the type of the error."""
        kind = type(exc_info).__name__ if isinstance(exc_info, BaseException) else "unknown"
        log.warning("http request unreadable", error=kind)

    def handle(self, record: logging.LogRecord) -> None:
        """Drop every other line."""


class FrontRunner(web.AppRunner):
    """Runs the app, and answers what cannot even be read as HTTP like everything else: see ``_Handler``."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        services = self.app[SERVICES]
        return _Server(
            made.request_handler,
            security_headers(services.public_url),
            Limits(proxied=services.behind_proxy),
            request_factory=made.request_factory,
            **made._kwargs,
        )


class _Server(web.Server):
    """aiohttp's server with our handler of connections."""

    def __init__(self, handler: Any, headers: Mapping[str, str], limits: Limits, **more: Any) -> None:
        super().__init__(handler, **more)
        self._headers = headers
        self._limits = limits

    def __call__(self) -> web.RequestHandler:
        """Make the handler of one connection."""
        return _Handler(self, self._headers, self._limits, loop=self._loop, **self._kwargs)


class _Handler(Limited):
    """Tells a request that has no route yet what the middleware tells all others."""

    __slots__ = ("_headers",)

    def __init__(self, server: web.Server, headers: Mapping[str, str], limits: Limits, **more: Any) -> None:
        super().__init__(server, limits, **more)
        self._headers = headers

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer with a plain problem and close; see aiohttp."""
        self.log_exception("request unreadable", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun already.")
        body = problem("bad-message" if status == 400 else "internal")
        response = _Bare(body=encode_bytes(body), status=body.status, content_type=CONTENT_TYPE)
        response.headers.update(self._headers)
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        response.force_close()
        return response

    def log_access(
        self, request: BaseRequest, response: web.StreamResponse, request_start: float | None
    ) -> None:
        """Log an answer, unless ``handle_error`` has said already all that is known of it."""
        if not isinstance(response, _Bare):
            super().log_access(request, response, request_start)


class _Bare(web.Response):
    """An answer that passes no ``on_prepare`` and names no software all the same."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall(hdrs.SERVER, None)
