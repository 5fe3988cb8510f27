"""What is told of an error, to the caller and in the log: a code, and nothing of what it was about.

An exception nobody foresaw becomes a random reference for the caller, which is also the only thing about it
in the log besides its type and the line of our code.
"""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import hdrs, web

from broker.errors import QuietroomError
from signaling.codec import encode_bytes
from signaling.problems import CONTENT_TYPE, code_of, detail_of, problem, text_of

log = structlog.get_logger(__name__)


def problem_response(code: str, detail: str | None = None) -> web.Response:
    """The answer for a refusal or an error."""
    body = problem(code, detail)
    response = web.Response(body=encode_bytes(body), status=body.status, content_type=CONTENT_TYPE)
    if (seconds := text_of(code).retry_after) is not None:
        response.headers[hdrs.RETRY_AFTER] = str(seconds)
    if code in {"too-slow", "too-large"}:
        # The rest of the body is still on its way; nobody will read it.
        response.force_close()
    return response


_STATUS_CODES: Final = {404: "not-found", 405: "method-not-allowed", 408: "too-slow", 413: "too-large"}


@web.middleware
async def tell_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem document; the outermost middleware."""
    try:
        return await handler(request)
    except QuietroomError as error:
        code = code_of(error)
        return (
            internal_error(request, error) if code == "internal" else problem_response(code, detail_of(error))
        )
    except web.HTTPException as error:  # the router's own, and aiohttp's limits
        code = _STATUS_CODES.get(error.status, "bad-message" if error.status < 500 else "internal")
        response = problem_response(code)
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return response
    except ConnectionError:  # the caller has gone
        raise
    except Exception as error:  # whatever it is, nothing of it may reach the outside
        return internal_error(request, error)


def internal_error(request: web.Request, error: Exception) -> web.Response:
    """Log that something unforeseen happened, without any value, and give the caller its reference."""
    reference = secrets.token_hex(4)
    log.error("request failed", reference=reference, route=route_name(request), **describe(error))
    return problem_response("internal", f"{text_of('internal').detail} Reference: {reference}")


def describe(error: BaseException) -> dict[str, str]:
    """An exception as loggable words: its type and the innermost line of ours; never its text or values."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and any(p in frame.filename for p in _OURS)
    ]
    where = (
        f"{'/'.join(frames[-1].filename.rsplit('/', 2)[-2:])}:{frames[-1].lineno}" if frames else "outside"
    )
    return {"error": type(error).__name__, "where": where}


_OURS: Final = ("/signaling/", "/rooms/", "/broker/")


def route_name(request: web.Request) -> str:
    """The route's method and path as written in the code, so that no meeting ID gets into a log or metric."""
    resource = request.match_info.route.resource
    known = resource is not None and request.method in hdrs.METH_ALL
    return f"{request.method} {resource.canonical}" if known and resource is not None else "unknown"
