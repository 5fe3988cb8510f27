"""The admin's live board: every room as codes, states, durations and numbers.

Looking is itself an event: ``board.viewed`` is durable before the first byte. The stream sends the whole
board whenever something on it changed and every 2 s for its clocks, never more often than five times a
second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from aiohttp import web

from broker.audit import AuditEvent, EventType
from broker.errors import QuietroomError
from broker.policy import Permission
from signaling.messages import Board
from signaling.routing import Call, Route, answer
from signaling.services import Services
from signaling.streams import Sent, serve, trouble

CLOCK_SECONDS: Final = 2.0
AT_LEAST_SECONDS: Final = 0.2


async def board(call: Call, body: None) -> web.StreamResponse:
    """The board now."""
    await _viewed(call)
    return answer(await call.services.board())


async def board_stream(call: Call, body: None) -> web.StreamResponse:
    """The board whenever it changed."""
    await _viewed(call)
    return await serve(call, _boards(call.services))


async def _viewed(call: Call) -> None:
    """Record the look before anything is shown.

    Raises:
        StoreUnavailable: then nothing is shown.
    """
    await call.services.ledger.append(
        AuditEvent(type=EventType.BOARD_VIEWED, actor=call.me.id, subject="board")
    )


async def _boards(services: Services) -> AsyncGenerator[Sent]:
    while True:
        # Asked for before the board is read, so that a change while reading is not lost.
        changed = asyncio.ensure_future(services.changes.wait())
        try:
            yield await _board(services)
            await asyncio.sleep(AT_LEAST_SECONDS)
            await asyncio.wait({changed}, timeout=CLOCK_SECONDS - AT_LEAST_SECONDS)
        finally:
            changed.cancel()


async def _board(services: Services) -> Sent:
    try:
        return Sent("board", await services.board())
    except QuietroomError as error:
        return trouble(error)


ROUTES: Final = (
    Route(
        method="GET",
        path="/api/board",
        permission=Permission.VIEW_BOARD,
        handle=board,
        about="Every open session as rooms and seats. Recorded as board.viewed.",
        answer=Board,
    ),
    Route(
        method="GET",
        path="/api/board/stream",
        permission=Permission.VIEW_BOARD,
        handle=board_stream,
        about="Server-sent events: board (the whole board) on each change and every 2 s, problem when it "
        "cannot be told. Recorded as board.viewed.",
        answer="text/event-stream",
        refusals=("too-fast", "draining"),
    ),
)
