"""The WebSockets of this process: the upgrade, how many there may be, and where each page is served.

    GET /ws ──Origin──▶ ticket ──▶ whose room? ──ours──▶ 101 ──▶ Page
                                       └──another worker's──▶ READY ──▶ 101 ──▶ relayed to it, frame by frame

    another worker ──PAGE(grant)──▶ ours? ──▶ READY ──▶ Page

How many connections a seat has is counted where its room runs, whichever worker the browser reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from broker.errors import BadInput, QuietroomError, Refused
from broker.policy import Permission
from broker.tickets import Grant
from rooms.bucket import Bucket
from rooms.events import Link
from signaling.close_codes import Ending, ending
from signaling.codec import encode
from signaling.live import House
from signaling.messages import MAX_MESSAGE_BYTES, PROTOCOL, Bye
from signaling.neighbours import Neighbours, Unreachable, refusal
from signaling.page import Page
from signaling.relay import SEND_WITHIN, Frame, FrameKind, Line, LineKind, PageSocket, RelayedSocket
from signaling.routing import Call, Route

UPGRADE_WITHIN: Final = 5.0
PER_SEAT: Final = 4
"""Connections of one seat at once: two devices and what reloading leaves behind."""
CONNECTIONS_PER_SECOND: Final = 0.5
CONNECTIONS_BURST: Final = 10
"""How often one seat may connect; each time may put two lines on record."""
PER_PROCESS: Final = 2000
PLACED_WITHIN: Final = 2.0
"""Seconds to find out which worker runs a room, while one that died is being buried."""
ASK_AGAIN: Final = 0.05
_TICKET: Final = "ticket."


class _WebSocket:
    """A page whose WebSocket we hold ourselves; see ``PageSocket``."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self._socket = socket
        self._transport = transport

    async def receive(self) -> Frame | None:
        """See ``PageSocket``."""
        frame = await self._socket.receive()
        match frame.type:
            case WSMsgType.TEXT:
                return Frame(FrameKind.TEXT, frame.data)
            case WSMsgType.BINARY:
                return Frame(FrameKind.BINARY, frame.data)
            case WSMsgType.PING:
                return Frame(FrameKind.PING, bytes(frame.data))
            case WSMsgType.PONG:
                return Frame(FrameKind.PONG, b"")
        return None

    async def send(self, text: str) -> None:
        """See ``PageSocket``."""
        await self._socket.send_str(text)

    async def ping(self) -> None:
        """See ``PageSocket``."""
        await self._socket.ping()

    async def pong(self, data: bytes) -> None:
        """See ``PageSocket``."""
        await self._socket.pong(data)

    async def close(self, last: Ending) -> None:
        """See ``PageSocket``."""
        await self._socket.close(code=last.close_code, message=last.code.encode())
        if self._socket.close_code == WSCloseCode.ABNORMAL_CLOSURE:
            self.abort()  # no answer: what is unsent would keep the socket for as long as TCP retries

    def abort(self) -> None:
        """See ``PageSocket``."""
        if self._transport is not None:
            self._transport.abort()


class _Relay:
    """A page of ours whose room another worker runs: frames in, frames out, nothing understood.

    Args:
        line: to that worker, which has said READY.
        socket: the page's.
    """

    def __init__(self, line: Line, socket: PageSocket) -> None:
        self._line = line
        self._socket = socket
        self._end: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def end(self, code: str) -> None:
        """Tell the page ``bye`` with this code. Only the first reason counts."""
        if not self._end.done():
            self._end.set_result(code)

    async def serve(self) -> None:
        """Carry frames until one side ends it."""
        up = asyncio.ensure_future(self._up())
        down = asyncio.ensure_future(self._down())
        try:
            ends: set[asyncio.Future[Any]] = {up, down, self._end}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            code = self._end.result() if self._end.done() else down.result() if down.done() else None
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            self._line.close()
        if code is not None:
            await self._bye(code)

    async def _up(self) -> None:
        """From the page to its room; returns when the page has gone."""
        with contextlib.suppress(ConnectionError):
            while (frame := await self._socket.receive()) is not None:
                data = frame.data.encode() if isinstance(frame.data, str) else frame.data
                await self._line.send(LineKind(frame.kind), data)

    async def _down(self) -> str | None:
        """From the room to its page; returns the code to end with, if it is not ended already."""
        try:
            while (found := await self._line.receive()) is not None:
                kind, data = found
                async with asyncio.timeout(SEND_WITHIN):
                    match kind:
                        case LineKind.TEXT:
                            await self._socket.send(data.decode())
                        case LineKind.PING:
                            await self._socket.ping()
                        case LineKind.PONG:
                            await self._socket.pong(data)
                        case LineKind.CLOSE:
                            await self._socket.close(ending(data.decode(errors="replace")))
                            return None
        except (ConnectionError, TimeoutError, UnicodeDecodeError):
            self._socket.abort()
            return None
        return "moved"  # whoever ran the room has died or let go of it: it is found elsewhere

    async def _bye(self, code: str) -> None:
        last = ending(code)
        try:
            async with asyncio.timeout(SEND_WITHIN):
                await self._socket.send(encode(Bye(last.code, last.text)))
                await self._socket.close(last)
        except (ConnectionError, TimeoutError):
            self._socket.abort()


@dataclass(slots=True)
class Sockets:
    """The open signaling connections of this process.

    Args:
        house: the running rooms.
        public_url: our origin, compared letter by letter.
        neighbours: the other workers of this node.
    """

    house: House
    public_url: str
    neighbours: Neighbours
    _per_seat: Counter[tuple[str, str]] = field(default_factory=Counter, init=False)
    _pace: dict[tuple[str, str], Bucket] = field(default_factory=dict, init=False)
    _transports: dict[Link, asyncio.Transport | None] = field(default_factory=dict, init=False)
    _relays: set[_Relay] = field(default_factory=set, init=False)
    _all_closed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        """Serve what other workers hand us."""
        self.neighbours.serve_page = self.serve_relayed

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
            refusals=("wrong-origin", "bad-ticket", "bad-message", "draining", "moved", "too-fast"),
            headers={"Sec-WebSocket-Protocol": f"`{PROTOCOL}` and `{_TICKET}` with a single-use ticket."},
        )

    async def handle(self, call: Call, body: Any) -> web.StreamResponse:
        """Check the upgrade, then serve the connection until its end.

        Raises:
            Refused: ``wrong-origin``, ``bad-ticket``, ``draining``, ``moved``, ``too-fast``.
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
        grant = replace(await call.services.tickets.redeem(ticket), tls=tls_of(request.transport))
        link = secrets.token_hex(8)
        ours = _WebSocket(socket, request.transport)
        with self._held(link, request.transport):
            line = await self._line_to(grant)
            if line is None:
                with self._counted(grant):
                    await _upgrade(socket, request)
                    await Page(self.house, grant, link, ours).serve()
            else:
                try:
                    await _upgrade(socket, request)
                    await self._relay(_Relay(line, ours))
                finally:
                    line.close()
        return socket

    async def serve_relayed(self, grant: Grant, line: Line) -> None:
        """Serve a page whose WebSocket another worker holds, until its end; or refuse it.

        Raises:
            ConnectionError: that worker has gone.
        """
        try:
            await self.house.claim(grant.meeting)
            with self._counted(grant):
                await line.send(LineKind.READY)
                await Page(self.house, grant, secrets.token_hex(8), RelayedSocket(line)).serve()
        except QuietroomError as error:
            await line.send(LineKind.REFUSED, refusal(error))

    async def _line_to(self, grant: Grant) -> Line | None:
        """Find the worker that runs the room; ``None``: we do.

        Raises:
            Refused: ``draining``; ``moved`` when it cannot be found out in time; what that worker said.
            StoreUnavailable: nobody can tell.
        """
        give_up = _now() + PLACED_WITHIN
        while True:
            owner = await self.house.place(grant.meeting)
            if owner is None:
                return None
            try:
                return await self.neighbours.page(owner, grant)
            except Unreachable:
                pass
            except Refused as refused:
                if refused.code not in {"moved", "draining"}:
                    raise
            if _now() >= give_up:
                raise Refused("moved")
            await asyncio.sleep(ASK_AGAIN)

    async def _relay(self, relay: _Relay) -> None:
        self._relays.add(relay)
        try:
            await relay.serve()
        finally:
            self._relays.discard(relay)

    def end_relays(self, code: str) -> None:
        """Tell the pages that we relay to come back; those of our own rooms hear it from their rooms."""
        for relay in self._relays:
            relay.end(code)

    @contextlib.contextmanager
    def _held(self, link: Link, transport: asyncio.Transport | None) -> Iterator[None]:
        """Count a WebSocket for as long as the block runs.

        Raises:
            Refused: ``too-fast`` when there are too many.
        """
        if len(self._transports) >= PER_PROCESS:
            raise Refused("too-fast")
        self._transports[link] = transport
        self._all_closed.clear()
        try:
            yield
        finally:
            del self._transports[link]
            if not self._transports:
                self._all_closed.set()

    @contextlib.contextmanager
    def _counted(self, grant: Grant) -> Iterator[None]:
        """Count a connection of a seat for as long as the block runs.

        Raises:
            Refused: ``too-fast`` when the seat has too many, or connects too often.
        """
        seat = (grant.meeting, grant.seat)
        if self._per_seat[seat] >= PER_SEAT or not self._may_connect(seat, _now()):
            raise Refused("too-fast")
        self._per_seat[seat] += 1
        try:
            yield
        finally:
            self._per_seat[seat] -= 1
            self._per_seat += Counter()  # forget those at zero

    def _may_connect(self, seat: tuple[str, str], now: float) -> bool:
        """Whether this seat does not connect too often. Only seats that did lately are remembered."""
        if seat not in self._pace:
            self._pace = {known: pace for known, pace in self._pace.items() if not pace.full(now)}
            self._pace[seat] = Bucket(CONNECTIONS_PER_SECOND, CONNECTIONS_BURST, now)
        return self._pace[seat].take(now)

    def __len__(self) -> int:
        return len(self._transports)

    def by_tls(self) -> dict[str, int]:
        """How many connections speak which TLS; none of them where a proxy does."""
        spoken = Counter(tls_of(transport).partition(" ")[0] for transport in self._transports.values())
        return {"tls_1_2": spoken["TLSv1.2"], "tls_1_3": spoken["TLSv1.3"]}

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


def tls_of(transport: asyncio.BaseTransport | None) -> str:
    """Protocol and suite of a connection, such as ``TLSv1.3 TLS_AES_256_GCM_SHA384``; empty without TLS."""
    found = None if transport is None else transport.get_extra_info("cipher")
    return "" if found is None else f"{found[1]} {found[0]}"


def _ticket_in(request: web.Request) -> str | None:
    """The ticket among the offered subprotocols, if ours is offered too."""
    offered = [
        name.strip()
        for header in request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
        for name in header.split(",")
    ]
    tickets = [name.removeprefix(_TICKET) for name in offered if name.startswith(_TICKET)]
    return tickets[0] if PROTOCOL in offered and len(tickets) == 1 else None


async def _upgrade(socket: web.WebSocketResponse, request: web.Request) -> None:
    async with asyncio.timeout(UPGRADE_WITHIN):
        await socket.prepare(request)


def _now() -> float:
    return asyncio.get_running_loop().time()
