r"""Server-sent events: one long answer that a browser resumes by itself.

    id: 41\nevent: audit\ndata: {…}\n\n           one event; the browser sends its id back as Last-Event-ID
    event: problem\ndata: {…}\n\n                 nothing can be told at the moment; the stream goes on
    :\n\n                                         every 10 s, so that nobody in between gives up

A stream ends when its reader stops reading, when its person is signed out or when the server drains; the
browser then asks again, which is checked and recorded like the first time. A store that fails in the middle
ends nothing: what was asked for was recorded, and the stream goes on when the store does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog
from aiohttp import hdrs, web

from broker.errors import QuietroomError, Refused
from signaling.failures import describe, route_name
from signaling.http_limits import lasting
from signaling.problems import code_of, problem
from signaling.routing import Call
from signaling.security import staff_of

QUIET_SECONDS: Final = 10.0
"""A comment is sent after this long without an event, and the sign-in is checked again this often."""

SEND_SECONDS: Final = 5.0
MAX_STREAMS: Final = 64
MAX_STREAMS_EACH: Final = 8

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """One event of a stream.

    Attributes:
        name: the ``event:`` field.
        data: a struct, sent as JSON on one line.
        id: where to resume after it; ``None`` when there is nothing to resume.
    """

    name: str
    data: msgspec.Struct
    id: int | None = None

    def encode(self) -> bytes:
        """The bytes of the event (HTML standard §9.2.6). JSON has no raw line break: one data line does."""
        head = b"" if self.id is None else b"id: %d\n" % self.id
        return head + f"event: {self.name}\ndata: ".encode() + msgspec.json.encode(self.data) + b"\n\n"


def trouble(error: QuietroomError) -> Sent:
    """The event for a source that cannot tell anything at the moment."""
    return Sent("problem", problem(code_of(error)))


class Streams:
    """The open streams of one app: counted, so that they are bounded, and ended together at shutdown."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self._open: Counter[str] = Counter()

    @contextmanager
    def counted(self, who: str) -> Iterator[None]:
        """Count a stream of this person for as long as the block runs.

        Raises:
            Refused: ``too-fast`` when too many are open; ``draining`` when no more are served.
        """
        if self.closing.is_set():
            raise Refused("draining")
        if self._open[who] >= MAX_STREAMS_EACH or self._open.total() >= MAX_STREAMS:
            raise Refused("too-fast")
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            self._open += Counter()  # forget those at zero


STREAMS: Final = web.AppKey("streams", Streams)


async def serve(call: Call, source: AsyncGenerator[Sent]) -> web.StreamResponse:
    """Send events until one of the ends named above.

    Args:
        call: of a member of staff; what it reads is recorded already.
        source: yields what to send; closed at the end.

    Raises:
        Refused: ``too-fast`` or ``draining``, before anything was sent.
    """
    streams = call.request.app[STREAMS]
    with streams.counted(call.me.id), lasting(call.request):
        response = web.StreamResponse(
            headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(call.request)
        # The answer has begun: from here an error can only end it.
        try:
            await _pump(call, response, source, streams.closing)
        except (ConnectionError, TimeoutError):
            _abort(call.request)
        except Exception as error:  # nothing of it may reach the reader or the log
            log.error("stream failed", route=route_name(call.request), **describe(error))
            _abort(call.request)
        finally:
            await source.aclose()
    return response


async def _pump(
    call: Call, response: web.StreamResponse, source: AsyncGenerator[Sent], closing: asyncio.Event
) -> None:
    clock = asyncio.get_running_loop().time
    end = asyncio.ensure_future(closing.wait())
    following: asyncio.Future[Sent | None] | None = None
    checked = clock()
    try:
        await _send(response, b"retry: 1000\n\n")
        while True:
            following = following or asyncio.ensure_future(_next(source))
            both: set[asyncio.Future[Any]] = {following, end}
            done, _ = await asyncio.wait(both, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if end in done:
                return
            if clock() - checked >= QUIET_SECONDS:
                checked = clock()
                if not await _still_signed_in(call):
                    return
            if following in done:
                event, following = following.result(), None
                if event is None:
                    return
                await _send(response, event.encode())
            elif not done:
                await _send(response, b":\n\n")
    finally:
        end.cancel()
        if following is not None:
            following.cancel()
            # The source can be closed only when nothing runs in it any more.
            await asyncio.wait({following})


async def _next(source: AsyncGenerator[Sent]) -> Sent | None:
    return await anext(source, None)


async def _send(response: web.StreamResponse, data: bytes) -> None:
    """Write, unless the reader does not read."""
    async with asyncio.timeout(SEND_SECONDS):
        await response.write(data)


async def _still_signed_in(call: Call) -> bool:
    try:
        return await staff_of(call.request, call.services, call.role) is not None
    except QuietroomError:
        # The store cannot tell now; nothing new can be read from it either.
        return True


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
