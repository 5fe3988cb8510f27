"""The whole server: everything built once, in one order, and taken down in the other.

    practice (store, ledger, services) ▶ media ports ▶ rooms ▶ front doors ▶ server.started
    finishing: no new rooms, until nobody is inside
    draining: pages told to come back ▶ commits taken ▶ sockets ▶ media ▶ server.stopped ▶ store

A process that is told to stop first turns its readiness red and takes no new room. SIGTERM lets running
visits end; Ctrl-C, or a second SIGTERM, does not wait for them. Then it is gone within five seconds, its
store with it. One that is killed loses nothing: what was acknowledged is on disk, and pages find their seats
again at the next start. With several workers each is a whole ``Server``, under ``signaling.workers``.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from broker.audit import AuditEvent, EventType
from broker.errors import StoreUnavailable
from broker.ledger import Ledger
from broker.placement import Placement
from broker.private import Private
from broker.store import Store
from rooms.detour import Detours, Mark
from rooms.media import MediaPort
from rooms.streams import Streams
from signaling.front_door import FrontDoor
from signaling.front_runner import FrontRunner
from signaling.ice_servers import IceServers, own_urls
from signaling.live import House
from signaling.logs import AccessLog
from signaling.neighbours import Neighbours
from signaling.practice import Practice, open_practice
from signaling.preload import Pages
from signaling.process import PortBusy, Told, bound_process, listen, listen_anywhere
from signaling.routes import application, numbers_of
from signaling.services import Changes, Services
from signaling.settings import Settings
from signaling.tls import Certificate
from signaling.websocket import Sockets
from signaling.whip import Programs
from signaling.whip_api import Whip

STATIC: Final = Path(__file__).resolve().parent.parent / "static"
ROOMS_WITHIN: Final = 2.2
SOCKETS_WITHIN: Final = 0.6
HANDLERS_WITHIN: Final = 0.4
NEIGHBOURS_WITHIN: Final = 0.2
LEDGER_WITHIN: Final = 0.5
"""Seconds for each step of going down; together, with the store's own end, below five."""

SWEEP_EVERY: Final = 600.0
"""Seconds between looks for sessions whose window closed long ago."""

log = structlog.get_logger(__name__)


class Server:
    """One running Quietroom, for as long as the ``async with`` block lasts.

    Args:
        settings: port 0 lets the system choose; see ``url`` and ``media_port`` for what it chose.
        listening: the TCP socket, when somebody else has opened it.
        secret: shared by all who accept from it; random if left out.
        before_serving: awaited when all is built, before the first connection is accepted.

    Attributes:
        settings: with the real ports, once started.
        services: what the HTTP front uses, for tests and for the demo.

    Raises:
        PortBusy, DataDirectoryBusy, NoStoreServer, StoreUnavailable, UnsafeFiles, TlsError: on entering.
    """

    services: Services
    house: House
    sockets: Sockets
    programs: Programs
    store: Store
    ledger: Ledger
    media: MediaPort
    detours: Detours
    streams: Streams
    practice: Practice
    neighbours: Neighbours

    def __init__(
        self,
        settings: Settings,
        *,
        listening: socket.socket | None = None,
        secret: Private[bytes] | None = None,
        before_serving: Callable[[Server], Awaitable[None]] | None = None,
    ) -> None:
        self.settings = settings
        self._listening = listening
        self._secret = secret or Private(secrets.token_bytes(32))
        self._before_serving = before_serving
        self._web_door: FrontDoor | None = None
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """Where browsers reach it."""
        return self.settings.public_url

    @property
    def media_port(self) -> int:
        """The UDP port of all media."""
        return self.media.port

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.house.draining = True
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        """Build everything; what is pushed here is taken down in the opposite order."""
        settings = self.settings
        listening = stack.enter_context(self._listening or listen(settings.host, settings.port))
        self.practice = await stack.enter_async_context(open_practice(settings))
        self.store, self.ledger = self.practice.store, self.practice.ledger
        stack.push_async_callback(self.ledger.close, LEDGER_WITHIN)
        stack.push_async_callback(self._record_stopped)

        mark = Mark(self._secret)
        beside = None
        if settings.behind_proxy and settings.media_port == 0:
            beside = stack.enter_context(listen_anywhere(settings.media_bind))
        self.media = MediaPort(
            settings.media_bind,
            settings.media_port if beside is None else beside.getsockname()[1],
            advertised=settings.media_host,
            mark=mark,
        )
        self.detours = Detours(self.media, settings.media_bind, mark)
        stack.callback(self.detours.close)
        self.streams = Streams(self.media, self.detours.find, self._secret)
        stack.push_async_callback(self.streams.close)  # after the port, which still says goodbye through them
        try:
            await self.media.start()
        except OSError:
            raise PortBusy(settings.media_port, "UDP", "--media-port") from None
        stack.push_async_callback(self.media.close)
        self.settings = settings = settings.bound_to(listening.getsockname()[1], self.media.port)
        self.media.tcp_port = settings.tcp_port
        self.media.h264 = settings.whip
        if settings.behind_proxy and beside is None and settings.tcp_port is not None:
            beside = stack.enter_context(listen(settings.media_bind, settings.tcp_port, "--media-port"))

        changes = Changes()
        self.neighbours = Neighbours(settings.data_dir, settings.node)
        placement = Placement(self.store, settings.node)
        if self._listening is None:  # else our supervisor has, and it alone knows who of us is dead
            await bury_the_dead(placement, self.neighbours, everybody=self.practice.embedded is not None)
        self.house = House(
            booking=self.practice.booking,
            admission=self.practice.admission,
            credentials=self.practice.credentials,
            tickets=self.practice.tickets,
            media=self.media,
            ledger=self.ledger,
            placement=placement,
            neighbours=self.neighbours,
            on_change=changes.notify,
            store_ok=self.store.healthy,
            ice_servers=IceServers(
                own_urls(settings),
                self.streams.credential,
                settings.turn_urls,
                None if settings.turn_secret is None else Private(settings.turn_secret),
            ).until,
        )
        self.store.on_health(self.house.store_health)
        known = await self.store.log_size() - 1  # before any room is loaded, so that no change is missed
        self.sockets = Sockets(self.house, settings.public_url, self.neighbours)
        self.programs = Programs(self.house, self.practice.bearers)
        pages = Pages(STATIC, settings.pages_salt)
        pages.version()  # reads and compresses every file now: later, media would wait for that
        self.services = Services(
            booking=self.practice.booking,
            credentials=self.practice.credentials,
            tickets=self.practice.tickets,
            identity=self.practice.identity,
            admission=self.practice.admission,
            ledger=self.ledger,
            board=self.house.board,
            changes=changes,
            reload=self.house.reload,
            held_by_another=self.house.held_by_another,
            store_ok=lambda: self.store.healthy,
            draining=lambda: self.house.draining or not self.house.tenancy.taking,
            gauges=self._gauges,
            counters=lambda: self.media.counters,
            links=self.house.links,
            public_url=settings.public_url,
            pages=pages,
            behind_proxy=settings.behind_proxy,
            programs=settings.whip,
            other_workers=None if self._listening is None else self.neighbours,
            metrics_token=None if settings.metrics_token is None else Private(settings.metrics_token),
        )
        await self.neighbours.start()
        stack.push_async_callback(self.neighbours.closed, NEIGHBOURS_WITHIN)
        stack.push_async_callback(self.neighbours.close)
        if self._before_serving is not None:
            await self._before_serving(self)
        await self._open_doors(stack, listening, beside)
        stack.push_async_callback(self.sockets.closed, SOCKETS_WITHIN)
        stack.push_async_callback(self.programs.closed, SOCKETS_WITHIN)
        stack.push_async_callback(self.house.drain, ROOMS_WITHIN)
        self.house.start(known)
        sweeping = asyncio.create_task(self._end_overdue(), name="overdue")
        stack.push_async_callback(_cancelled, sweeping)
        await self.ledger.append(self._event(EventType.SERVER_STARTED))
        log.info(
            "server started",
            node=settings.node,
            media_port=self.media.port,
            media_engine=self.media.engine_kind,
        )

    async def _open_doors(
        self, stack: AsyncExitStack, listening: socket.socket, beside: socket.socket | None
    ) -> None:
        """Accept connections: HTTP and media on the web port; behind a proxy media on a port of its own."""
        settings = self.settings
        context = None
        if settings.tls_cert is not None and settings.tls_key is not None:
            certificate = Certificate(settings.tls_cert, settings.tls_key)
            context = certificate.context
            watch = asyncio.create_task(certificate.watch(), name="certificate")
            stack.push_async_callback(_cancelled, watch)
        more = Whip(self.programs).routes if settings.whip else ()
        app = application(self.services, self.sockets.route, *more)
        self.neighbours.calls["numbers"] = numbers_of(app)
        front = FrontRunner(
            app,
            access_log_class=AccessLog,
            shutdown_timeout=HANDLERS_WITHIN,
        )
        await front.setup()
        stack.push_async_callback(front.cleanup)
        streams = None if settings.behind_proxy else self.streams
        doors = [FrontDoor(listening, http=front.server, streams=streams, context=context)]
        if beside is not None:
            doors.append(FrontDoor(beside, http=None, streams=self.streams, context=context))
        self._web_door = doors[0]
        for door in doors:
            door.start()
            stack.push_async_callback(door.close)

    def finish(self) -> None:
        """Take no new rooms; those that run go on, and people may come back into them."""
        self.house.tenancy.taking = False

    async def leave(self, heirs: Collection[str]) -> None:
        """Hand the rooms over to these other workers: who is inside goes on seeing and hearing meanwhile."""
        self.finish()
        if self._web_door is not None:
            await self._web_door.close()  # who comes back is to reach another worker
        self.sockets.end_relays("moved")
        await self.house.hand_over(heirs)
        await self.neighbours.close()
        await self.house.drain(ROOMS_WITHIN, "moved")

    def _gauges(self) -> Mapping[str, float]:
        return self.house.gauges() | {
            "sockets": len(self.sockets),
            **{f"sockets_{name}": count for name, count in self.sockets.by_tls().items()},
            "ledger_backlog": self.ledger.backlog,
            "store_ok": self.store.healthy,
            "store_restarts": 0 if self.practice.embedded is None else self.practice.embedded.restarts,
        }

    async def _end_overdue(self) -> None:
        """End sessions that nobody came to; a room that is open ends by itself when its window closes."""
        while True:
            try:
                for meeting in await self.practice.booking.end_overdue():
                    self.house.reload(meeting)
            except StoreUnavailable:
                pass  # next time
            await asyncio.sleep(SWEEP_EVERY)

    async def _record_stopped(self) -> None:
        try:
            async with asyncio.timeout(LEDGER_WITHIN):
                await self.ledger.append(self._event(EventType.SERVER_STOPPED))
        except (StoreUnavailable, TimeoutError):
            log.warning("the stop is not on record", node=self.settings.node)

    def _event(self, kind: EventType) -> AuditEvent:
        return AuditEvent(type=kind, actor="system", subject=f"node:{self.settings.node}")


async def bury_the_dead(placement: Placement, neighbours: Neighbours, *, everybody: bool) -> None:
    """End the leases of processes that died before this one began, so that nobody waits for them to run out.

    One that only does not answer keeps its leases and its door: it may be in the middle of its visits.

    Args:
        everybody: the store is our own child, which nobody else has: every lease in it is a dead one's.

    Raises:
        StoreUnavailable: the store is away.
    """
    dead = set(neighbours.dead())
    former = set((await placement.owners()).values()) if everybody else set()
    for worker in dead | former:
        await placement.bury(worker)
    for worker in dead:
        neighbours.forget(worker)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def serve(settings: Settings, on_ready: Callable[[Server], Awaitable[None]] | None = None) -> None:
    """Run a server until SIGTERM or SIGINT.

    Args:
        settings: as read.
        on_ready: awaited once it answers, for instance to print where.

    Raises:
        QuietroomError: it could not start; the text says what to do.
    """
    bound_process()
    with Told() as told:
        async with Server(settings) as server:
            if on_ready is not None:
                await on_ready(server)
            await told.to_stop()
            if not told.at_once:
                server.finish()
                log.info("server finishing", node=server.settings.node, rooms=server.house.live)
                await told.until_over(lambda: server.house.live, settings.drain)
            log.info("server draining", node=server.settings.node)
