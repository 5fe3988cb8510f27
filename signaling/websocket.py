"""The socket of one signaling connection: the upgrade, the outbox, the clock.

    GET /ws ──Origin──▶ ticket ──▶ 101 ──▶ reader ──▶ Connection (pure) ──▶ room
                                          writer ◀── Outbox ◀─────────────── room

A reader and a writer per page. The outbox is bounded: a page that does not read loses its connection, never
the room its time. A view that was not sent yet is replaced by a newer one. Whatever ends one side ends both,
and the room is told once.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from broker.errors import BadInput, QuietroomError, Refused
from broker.ids import short_code
from broker.policy import Permission
from broker.tickets import Grant
from rooms.bucket import Bucket
from rooms.effects import View
from rooms.events import Asked, DeviceAnswered, Link
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
from signaling.live import House, IceServersUntil
from signaling.messages import (
    MAX_MESSAGE_BYTES,
    PROTOCOL,
    Bye,
    ErrorMessage,
    Offer,
    Reply,
    ServerMessage,
    Welcome,
)
from signaling.problems import code_of, text_of
from signaling.routing import Call, Route
from signaling.security import describe

SEND_WITHIN: Final = 3.0
"""Seconds that one message may take to leave."""
UPGRADE_WITHIN: Final = 5.0
OUTBOX_BYTES: Final = 256 * 1024
PER_SEAT: Final = 4
"""Connections of one seat at once: two devices and what reloading leaves behind."""
CONNECTIONS_PER_SECOND: Final = 0.5
CONNECTIONS_BURST: Final = 10
"""How often one seat may connect; each time may put two lines on record."""
PER_PROCESS: Final = 2000
_TICKET: Final = "ticket."

log = structlog.get_logger(__name__)


class Outbox:
    """Messages on their way to one page. Putting never waits.

    Full means that the page does not read: it is closed as ``too-slow``.

    Args:
        ice_servers: of each offer; see ``House``.
    """

    def __init__(self, ice_servers: IceServersUntil) -> None:
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
        """See ``rooms.runner.PageOutbox``."""
        self.put(message_of(view), view=True)

    def offer(self, sdp: str, *, restart: bool, ends_ms: int) -> None:
        """See ``rooms.runner.PageOutbox``."""
        self.put(Offer(sdp, restart, self._ice_servers(ends_ms)))

    def reply(self, request: int, code: str | None) -> None:
        """See ``rooms.runner.PageOutbox``."""
        self.put(Reply(request, code, None if code is None else text_of(code).detail))

    def close(self, code: str) -> None:
        """See ``rooms.runner.PageOutbox``. Only the first reason counts."""
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


@dataclass(slots=True)
class Sockets:
    """The open signaling connections of this process.

    Args:
        house: the running rooms.
        public_url: our origin, compared letter by letter.
    """

    house: House
    public_url: str
    _per_seat: Counter[tuple[str, str]] = field(default_factory=Counter, init=False)
    _pace: dict[tuple[str, str], Bucket] = field(default_factory=dict, init=False)
    _transports: dict[Link, asyncio.Transport | None] = field(default_factory=dict, init=False)
    _all_closed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @property
    def route(self) -> Route:
        """The route of the upgrade."""
        return Route(
            method="GET",
            path="/ws",
            permission=Permission.CONNECT,
            handle=self.handle,
            about="Open the signaling connection with a ticket; see the messages below.",
            answer=None,
            status=101,
            refusals=("wrong-origin", "bad-ticket", "bad-message", "draining", "too-fast"),
            headers={"Sec-WebSocket-Protocol": f"`{PROTOCOL}` and `{_TICKET}` with a single-use ticket."},
        )

    async def handle(self, call: Call, body: Any) -> web.StreamResponse:
        """Check the upgrade, then serve the connection until its end.

        Raises:
            Refused: ``wrong-origin``, ``bad-ticket``, ``draining``, ``too-fast``.
            BadInput: ``bad-message`` when it is no upgrade of ours.
            StoreUnavailable: the ticket cannot be looked at.
        """
        request = call.request
        # Browsers send Origin with every WebSocket and let pages forge none (RFC 6455 §10.2).
        if request.headers.getall(hdrs.ORIGIN, []) != [self.public_url]:
            raise Refused("wrong-origin")
        if self.house.draining:
            raise Refused("draining")
        socket = web.WebSocketResponse(
            protocols=(PROTOCOL,),
            autoping=False,  # pings and pongs are signs of life
            compress=False,  # what is private and what an attacker chose must not share a compressor
            max_msg_size=MAX_MESSAGE_BYTES + 1,  # aiohttp refuses a message of exactly the maximum
            timeout=SEND_WITHIN,
            writer_limit=16 * 1024,
        )
        ticket = _ticket_in(request)
        if ticket is None or not socket.can_prepare(request):
            raise BadInput("bad-message", "This address takes WebSocket connections with a ticket.")
        grant = await call.services.tickets.redeem(ticket)
        seat = (grant.meeting, grant.seat)
        full = self._per_seat[seat] >= PER_SEAT or len(self._transports) >= PER_PROCESS
        if full or not self._may_connect(seat, _now()):
            raise Refused("too-fast")
        link = secrets.token_hex(8)
        self._per_seat[seat] += 1
        self._transports[link] = request.transport
        self._all_closed.clear()
        try:
            async with asyncio.timeout(UPGRADE_WITHIN):
                await socket.prepare(request)
            await _Page(self.house, grant, link, socket, request.transport).serve()
        finally:
            self._per_seat[seat] -= 1
            self._per_seat += Counter()  # forget those at zero
            del self._transports[link]
            if not self._transports:
                self._all_closed.set()
        return socket

    def _may_connect(self, seat: tuple[str, str], now: float) -> bool:
        """Whether this seat does not connect too often. Only seats that did lately are remembered."""
        if seat not in self._pace:
            self._pace = {known: pace for known, pace in self._pace.items() if not pace.full(now)}
            self._pace[seat] = Bucket(CONNECTIONS_PER_SECOND, CONNECTIONS_BURST, now)
        return self._pace[seat].take(now)

    def __len__(self) -> int:
        return len(self._transports)

    async def closed(self, within: float) -> None:
        """Wait until every connection has ended by itself; after ``within`` seconds cut the rest."""
        if not self._transports:
            return
        try:
            async with asyncio.timeout(within):
                await self._all_closed.wait()
        except TimeoutError:
            for transport in self._transports.values():
                if transport is not None:
                    transport.abort()


def _ticket_in(request: web.Request) -> str | None:
    """The ticket among the offered subprotocols, if ours is offered too."""
    offered = [
        name.strip()
        for header in request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
        for name in header.split(",")
    ]
    tickets = [name.removeprefix(_TICKET) for name in offered if name.startswith(_TICKET)]
    return tickets[0] if PROTOCOL in offered and len(tickets) == 1 else None


class _Page:
    """One connection being served: the reader, the writer, and what lies between them."""

    def __init__(
        self,
        house: House,
        grant: Grant,
        link: Link,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
    ) -> None:
        self._house = house
        self._grant = grant
        self._link = link
        self._socket = socket
        self._transport = transport
        self._outbox = Outbox(house.ice_servers)
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
            match frame.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    outcomes = self._connection.receive(frame.data, _now())
                    if self._runner is not None:
                        self._runner.heard(self._link)
                    for outcome in outcomes:
                        await self._carry_out(outcome)
                case WSMsgType.PONG | WSMsgType.PING:
                    outcomes = self._connection.pong(_now())
                    if self._runner is not None:
                        self._runner.heard(self._link)
                    for outcome in outcomes:
                        await self._carry_out(outcome)
                    if frame.type is WSMsgType.PING and not outcomes:
                        await self._socket.pong(frame.data)
                case _:
                    return

    async def _carry_out(self, outcome: Outcome) -> None:
        match outcome:
            case Greeted(media_kept):
                await self._enter(media_kept)
            case Asked() | DeviceAnswered():
                self._room().tell(outcome)
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

    async def _enter(self, media_kept: bool) -> None:
        grant = self._grant
        self._outbox.put(Welcome(grant.seat, grant.role.value, time.time_ns() // 1_000_000))
        try:
            self._runner = await self._house.enter(grant, self._link, self._outbox, media_kept=media_kept)
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
            self._abort()
        except Exception as error:
            log.error("page failed", room=short_code(self._grant.meeting), **describe(error))
            self._abort()

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
                await self._socket.send_str(text)
                return False
            if outbox.end is None:
                return False
        last = ending(outbox.end)
        await self._socket.close(code=last.close_code, message=last.code.encode())
        if self._socket.close_code == WSCloseCode.ABNORMAL_CLOSURE:
            self._abort()  # no answer: what is unsent would keep the socket for as long as TCP retries
        return True

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _now() -> float:
    return asyncio.get_running_loop().time()
