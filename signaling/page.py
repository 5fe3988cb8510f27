"""One page that is being served: its outbox, its reader, its writer, its clock.

    PageSocket ──▶ reader ──▶ Connection (pure) ──▶ room
    PageSocket ◀── writer ◀──────── Outbox ◀─────── room

The outbox is bounded: a page that does not read loses its connection, never the room its time. A view that
was not sent yet is replaced by a newer one. Whatever ends one side ends both, and the room is told once.
Whether the page's WebSocket is here or with another worker makes no difference: see ``signaling.relay``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final

import structlog

from broker.errors import BadInput, QuietroomError
from broker.ids import short_code
from broker.tickets import Grant
from rooms.effects import View
from rooms.events import Link
from rooms.groups import GroupNews
from rooms.runner import Runner
from signaling.close_codes import ending
from signaling.codec import encode
from signaling.connection import (
    AnsweredOffer,
    Complain,
    Connection,
    End,
    Greeted,
    Outcome,
    Ping,
    RestartAsked,
    message_of,
)
from signaling.failures import describe
from signaling.group_wire import message_of_news
from signaling.live import House, IceServersUntil
from signaling.messages import Bye, ErrorMessage, Offer, Reply, ServerMessage, Welcome
from signaling.problems import code_of, text_of
from signaling.relay import SEND_WITHIN, FrameKind, PageSocket

OUTBOX_BYTES: Final = 256 * 1024

log = structlog.get_logger(__name__)


class Outbox:
    """Messages on their way to one page. Putting never waits.

    Full means that the page does not read: it is closed as ``too-slow``.

    Args:
        ice_servers: of each offer; see ``House``.
        whose: meeting ID and seat code.
    """

    def __init__(self, ice_servers: IceServersUntil, whose: str) -> None:
        self._whose = whose
        self._ice_servers = ice_servers
        self._queue: deque[tuple[str, bool]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self.ping_due = False
        self.end: str | None = None

    def put(self, message: ServerMessage, *, view: bool = False) -> None:
        """Queue one message; nothing after the end.

        Args:
            message: what to send.
            view: it holds a whole view, so an unsent former one just before it need not be sent.
        """
        if self.end is not None:
            return
        text = encode(message)
        if view and self._queue and self._queue[-1][1]:
            self._bytes -= len(self._queue.pop()[0])
        if self._bytes + len(text) > OUTBOX_BYTES:
            self.close("too-slow")
            return
        self._queue.append((text, view))
        self._bytes += len(text)
        self._wake.set()

    def ping(self) -> None:
        """A ping is due."""
        self.ping_due = True
        self._wake.set()

    def show(self, view: View) -> None:
        """See ``rooms.pages.PageOutbox``."""
        self.put(message_of(view), view=True)

    def offer(self, sdp: str, *, restart: bool, ends_ms: int) -> None:
        """See ``rooms.pages.PageOutbox``."""
        self.put(Offer(sdp, restart, self._ice_servers(ends_ms, self._whose)))

    def reply(self, request: int, code: str | None) -> None:
        """See ``rooms.pages.PageOutbox``."""
        self.put(Reply(request, code, None if code is None else text_of(code).detail))

    def tell(self, news: GroupNews) -> None:
        """See ``rooms.pages.PageOutbox``."""
        self.put(message_of_news(news))

    def close(self, code: str) -> None:
        """See ``rooms.pages.PageOutbox``. Only the first reason counts."""
        if self.end is None:
            last = ending(code)
            self._queue.append((encode(Bye(last.code, last.text)), False))
            self.end = last.code
            self._wake.set()

    async def wait(self) -> None:
        """Return when there is something to send or the end has come."""
        if not self._queue and not self.ping_due and self.end is None:
            self._wake.clear()
            await self._wake.wait()

    def take(self) -> str | None:
        """The next message, or ``None``."""
        if not self._queue:
            return None
        text, _ = self._queue.popleft()
        self._bytes -= len(text)
        return text


class Page:
    """One connection being served: the reader, the writer, and what lies between them.

    Args:
        grant: what its ticket allowed.
        link: a fresh id of this connection.
    """

    def __init__(self, house: House, grant: Grant, link: Link, socket: PageSocket) -> None:
        self._house = house
        self._grant = grant
        self._link = link
        self._socket = socket
        self._outbox = Outbox(house.ice_servers, f"{grant.meeting}/{grant.seat}")
        self._connection = Connection(link, grant.role, _now())
        self._runner: Runner | None = None

    async def serve(self) -> None:
        """Serve until one side ends it. Raises nothing that the page can cause."""
        writer = asyncio.create_task(self._write(), name=f"page-{self._link}")
        try:
            await self._read()
        except Exception as error:
            log.error("page failed", room=short_code(self._grant.meeting), **describe(error))
            self._outbox.close("internal")
        finally:
            self._connection.closed()
            if self._runner is not None:
                self._runner.part(self._link)
            try:
                if self._outbox.end is None:
                    writer.cancel()  # the page has gone; a bye that is due still goes out
                await asyncio.wait({writer}, timeout=3 * SEND_WITHIN)
            finally:
                writer.cancel()

    # ---- from the page -----------------------------------------------------------------------------------

    async def _read(self) -> None:
        while self._outbox.end is None:
            frame = await self._socket.receive()
            if frame is None:
                return
            match frame.kind:
                case FrameKind.TEXT | FrameKind.BINARY:
                    outcomes = self._connection.receive(frame.data, _now())
                    if self._runner is not None:
                        self._runner.heard(self._link)
                    for outcome in outcomes:
                        await self._carry_out(outcome)
                case FrameKind.PONG | FrameKind.PING:
                    outcomes = self._connection.pong(_now())
                    if self._runner is not None:
                        self._runner.heard(self._link)
                    for outcome in outcomes:
                        await self._carry_out(outcome)
                    if frame.kind is FrameKind.PING and not outcomes and isinstance(frame.data, bytes):
                        await self._socket.pong(frame.data)

    async def _carry_out(self, outcome: Outcome) -> None:
        match outcome:
            case Greeted(media_kept, kept):
                await self._enter(media_kept, kept)
            case AnsweredOffer(sdp):
                self._answer(sdp)
            case RestartAsked(fresh):
                self._complain(self._room().restart_media(self._link, fresh=fresh))
            case Complain(error):
                self._outbox.put(error)
            case Ping():
                self._outbox.ping()
            case End(code):
                self._outbox.close(code)
            case _:
                self._room().tell(outcome)

    async def _enter(self, media_kept: bool, kept: tuple[str, int] | None) -> None:
        grant = self._grant
        self._outbox.put(Welcome(grant.seat, grant.role.value, time.time_ns() // 1_000_000))
        try:
            self._runner = await self._house.enter(
                grant, self._link, self._outbox, media_kept=media_kept, kept=kept
            )
        except QuietroomError as error:
            self._outbox.close(code_of(error))

    def _room(self) -> Runner:
        if self._runner is None:
            raise AssertionError("The protocol lets nothing through before hello, and hello ends in a room.")
        return self._runner

    def _answer(self, sdp: str) -> None:
        try:
            self._complain(self._room().answer(self._link, sdp))
        except BadInput as error:
            self._outbox.put(ErrorMessage(error.code, error.text))

    def _complain(self, code: str | None) -> None:
        if code is not None:
            self._outbox.put(ErrorMessage(code, text_of(code).detail))

    # ---- to the page -------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """Send what is put, ping when due, and close; a page that takes nothing is cut off."""
        try:
            while not await self._write_next():
                pass
        except (ConnectionError, TimeoutError):
            self._socket.abort()
        except Exception as error:
            log.error("page failed", room=short_code(self._grant.meeting), **describe(error))
            self._socket.abort()

    async def _write_next(self) -> bool:
        """Send one thing, or wait for one. Returns whether the connection is closed."""
        outbox = self._outbox
        try:
            async with asyncio.timeout_at(self._connection.deadline):
                await outbox.wait()
        except TimeoutError:
            for outcome in self._connection.tick(_now()):
                await self._carry_out(outcome)
            return False
        async with asyncio.timeout(SEND_WITHIN):
            if outbox.ping_due:
                outbox.ping_due = False
                await self._socket.ping()
            if (text := outbox.take()) is not None:
                await self._socket.send(text)
                return False
            if outbox.end is None:
                return False
        await self._socket.close(ending(outbox.end))
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
