"""The log: one line per step, with ids that may be shown and nothing else.

On a terminal the lines are for people, elsewhere each is one JSON object. Three fences keep private values
out, the inner ones for what our own discipline misses:

- ``refuse_private`` blanks every value that is wrapped as ``Private``;
- an exception is told by its type and place, never by its message, which may quote what it choked on;
- other libraries' lines are told by their fixed text, without the values they would fill in (aiohttp names
  addresses there, asyncio prints whole objects).

The access line knows the route's pattern, not the path: no meeting ID, query, fragment or address.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from aiohttp.abc import AbstractAccessLogger
from aiohttp.web import BaseRequest, Request, StreamResponse

from broker.private import refuse_private

_MAX_TEXT: Final = 200
_QUIET_ROUTES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_VALUE_BEGINS: Final = re.compile(r"[\n<(\[{'\"=:]")
_CHATTY: Final = ("aioice", "aiortc", "asyncio", "aiohttp")

log = structlog.get_logger("quietroom")


def configure(level: str = "info", *, stream: TextIO | None = None) -> None:
    """Send this process's log lines to one stream.

    Args:
        level: the least important level that is still written: debug, info, warning or error.
        stream: where to; standard error when left out. A terminal gets lines for people, all else JSON.
    """
    out = sys.stderr if stream is None else stream
    least = logging.getLevelNamesMapping()[level.upper()]
    render: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=True, sort_keys=False)]
        if out.isatty()
        else [structlog.processors.JSONRenderer(default=_name_type)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            tell_exception,
            refuse_private,
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Foreign()]
    root.setLevel(least)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(least, logging.WARNING))


def tell_exception(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its type and the place that raised it (a structlog processor).

    Args:
        logger: unused, part of structlog's signature.
        method: unused, part of structlog's signature.
        event: the event; ``exc_info`` and any value that is an exception are replaced.
    """
    cause = event.pop("exc_info", None)
    if cause is True:
        cause = sys.exc_info()[1]
    elif isinstance(cause, tuple):
        cause = cause[1]
    if isinstance(cause, BaseException):
        event["error"] = cause
    for key, value in list(event.items()):
        if isinstance(value, BaseException):
            event[key] = _describe(value)
    return event


class AccessLog(AbstractAccessLogger):
    """One line per request that failed or changed something; plain reads only at level debug."""

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Write the line.

        Args:
            request: what was asked.
            response: what was answered.
            time: seconds it took.
        """
        route = _pattern(request)
        plain = request.method in {"GET", "HEAD"} and response.status < 400
        level = logging.DEBUG if plain or route in _QUIET_ROUTES else logging.INFO
        log.log(
            level,
            "request answered",
            method=request.method[:16],
            route=route,
            status=response.status,
            ms=round(time * 1000, 1),
        )


def _pattern(request: BaseRequest) -> str:
    """The path of the request's route as written in the code."""
    try:
        resource = request.match_info.route.resource if isinstance(request, Request) else None
    except AssertionError:  # what could not even be read as HTTP was never looked up
        resource = None
    return "unmatched" if resource is None else resource.canonical


class _Foreign(logging.Handler):
    """Brings other libraries' lines into ours, by their fixed text only."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # The template, not the message: the arguments are whatever the library had at hand. asyncio
            # fills in beforehand ("Exception in callback received(b'…', …)"): cut where a value may begin.
            text = _VALUE_BEGINS.split(str(record.msg), maxsplit=1)[0].strip()[:_MAX_TEXT]
            structlog.get_logger().log(record.levelno, text, source=record.name, exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


def _describe(error: BaseException) -> str:
    """``TypeName at module:line``, the place being the innermost frame."""
    frames = traceback.extract_tb(error.__traceback__)
    code = getattr(error, "code", None)
    name = type(error).__name__ + (f" ({code})" if isinstance(code, str) else "")
    if not frames:
        return name
    return f"{name} at {frames[-1].name}:{frames[-1].lineno}"


def _name_type(value: object) -> str:
    """Stand-in for a value that JSON cannot hold: its type, since its ``repr`` may say anything."""
    return f"<{type(value).__name__}>"
