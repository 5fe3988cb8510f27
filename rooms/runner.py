"""The one task that touches a room: events in, effects out, and the clock that nobody else reads.

    pages ──▶ inbox ──▶ Room.handle ──▶ gate and transports (MediaPort)
                 ▲            │──▶ pages' outboxes (Pages)
                 │            └──▶ commits, one at a time ──▶ store (CommitQueue)
                 └──── answers, transports, SignsOfLife ◀──┘

Nothing awaits between deciding and performing: the gate is changed by a plain call, a page has a bounded
outbox of its own, and commits wait their turn in a second task, so a slow participant or a slow store never
holds up the room. A room that fails is closed, not patched: its gate goes first, its pages are told to come
back, what was already decided is still made durable, and the next page finds the room as the store has it. So
is a room that another worker has taken, as a refused commit tells (``fenced-room``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

import structlog

from broker.ids import short_code
from broker.seats import SeatCode, SeatState
from broker.sessions import Encryption
from rooms.commit_queue import CommitQueue, Failed
from rooms.commits import OWED
from rooms.effects import (
    Close,
    ClosePeer,
    Commit,
    Effect,
    Finished,
    OpenPeer,
    Record,
    Reply,
    SetGate,
    Show,
)
from rooms.events import (
    Asked,
    CommitRefused,
    Committed,
    Connected,
    Device,
    Disconnected,
    Event,
    Link,
    MediaChanged,
    SessionReloaded,
    SignedOut,
    StoreHealth,
    Tick,
)
from rooms.groups import Tell
from rooms.handover import FORWARDS_FOR, OVERLAP, Handover
from rooms.ingest_sdp import ClientOffer, Fragment
from rooms.media import MediaPort
from rooms.pages import OpenPage, PageOutbox, Pages
from rooms.peer import PeerState
from rooms.quality import Quality
from rooms.room import Room
from rooms.signs_of_life import CHECK_EVERY, HOST_PATIENCE, SignsOfLife
from rooms.transports import Transports

FENCED: Final = "fenced-room"
"""The refusal of a commit of a room that another worker runs by now."""

log = structlog.get_logger()

PassOn = Callable[[frozenset[SeatCode]], Awaitable[bool]]
"""Gives the room to its next owner, with the seats that exchange media; false when nobody takes it."""


@dataclass(frozen=True, slots=True)
class _Stop:
    """The room closes here; ``code`` tells the pages why. ``pass_on``: its media when they have moved."""

    code: str
    pass_on: PassOn | None = None


_Item = Event | _Stop | Failed


@dataclass(slots=True, eq=False)
class Runner:
    """The only task that touches its room, so the room needs no locks.

    Args:
        meeting: names the room at the media port.
        room: the machine.
        media: the one media port.
        commit: makes a change durable and says what came of it; store trouble is an answer, not an error.
        record: queues an audit event that nothing waits for.
        load: reads the session from the store; ``None`` when the store cannot be reached.
        on_change: called after a step that showed somebody something, for those who watch from outside.
        let_former_go: called when whoever ran the room before is to forward nothing any more; perhaps twice.
    """

    meeting: str
    room: Room
    media: MediaPort
    commit: Callable[[Commit], Awaitable[Committed | CommitRefused]]
    record: Callable[[Record], None]
    load: Callable[[], Awaitable[SessionReloaded | None]]
    on_change: Callable[[], None] = lambda: None
    let_former_go: Callable[[], None] = lambda: None
    finished: bool = field(default=False, init=False)
    _inbox: asyncio.Queue[_Item] = field(default_factory=asyncio.Queue, init=False)
    _pages: Pages = field(default_factory=Pages, init=False)
    _transports: Transports = field(init=False)
    _signs: SignsOfLife = field(init=False)
    _queue: CommitQueue = field(init=False)
    _farewell: str = field(default="draining", init=False)

    def __post_init__(self) -> None:
        """Put together what the room works with; all that these have to say goes into the inbox."""
        self._transports = Transports(
            self.meeting,
            self.media,
            lambda seat, suite: self._inbox.put_nowait(MediaChanged(seat, suite)),
            sealed=self.room.encryption is Encryption.END_TO_END,
        )
        self._signs = SignsOfLife(self.room.seats, self._pages, self._transports)
        self._queue = CommitQueue(self.commit, self.load, self._inbox.put_nowait)

    # ---- from the pages; none of it waits ----------------------------------------------------------------

    def join(
        self,
        link: Link,
        seat: SeatCode,
        device: Device,
        actor: str,
        outbox: PageOutbox,
        *,
        media_kept: bool,
        ingest: bool = False,
        kept: tuple[str, int] | None = None,
        tls: str = "",
    ) -> bool:
        """Bring a page in.

        Args:
            link: a fresh id of this connection.
            device: the credential session behind it.
            actor: as the audit stream names the person.
            media_kept: the page says that its transport of before still lives.
            ingest: not a page but a program: it has no transport before it offers one to ``take_offer``.
            kept: generation and epoch of the room's group that the page says it has kept.
            tls: how the page's connection is encrypted, empty where that is not known here.

        Returns:
            False when this room has just finished: ask for a new one.
        """
        if self.finished:
            return False
        now = asyncio.get_running_loop().time()
        self._pages.join(link, OpenPage(seat, device, outbox, now, ingest))
        self._inbox.put_nowait(Connected(seat, link, device, actor, media_kept, ingest, kept, tls))
        return True

    def part(self, link: Link) -> None:
        """A page's connection is gone. May be called twice."""
        if self._pages.part(link):
            self._inbox.put_nowait(Disconnected(link))

    def heard(self, link: Link) -> None:
        """A page gave a sign of life: a message or a pong."""
        self._pages.heard(link, asyncio.get_running_loop().time())

    def tell(self, event: Event) -> None:
        """Something happened that the room must know."""
        self._inbox.put_nowait(event)

    def answer(self, link: Link, sdp: str) -> str | None:
        """Take a page's SDP answer.

        Returns:
            ``None`` when taken, ``not-allowed`` when this page was offered nothing.

        Raises:
            BadSdp: ``bad-sdp``.
        """
        if (seat := self._seat_carried_by(link)) is None:
            return "not-allowed"
        self._transports.answer(seat, sdp)
        return None

    def restart_media(self, link: Link, *, fresh: bool) -> str | None:
        """A page's transport was disconnected: offer an ICE restart, or (``fresh``) a new transport.

        Returns:
            ``None`` when an offer is on its way, ``not-allowed`` when the page has no transport to restart.
        """
        if (seat := self._seat_carried_by(link)) is None:
            return "not-allowed"
        if fresh or not self._transports.lives(seat):
            self._open_peer(seat, link)
        else:
            offer = self._transports.restart(seat)
            self._pages.offer(link, offer, restart=True, ends_ms=self.room.ends_ms)
        return None

    # ---- from programs that publish ----------------------------------------------------------------------

    def lets_ingest(self, seat: SeatCode, device: Device) -> bool:
        """Whether a program, which shows no password, may have the seat now; see ``Seat.lets_ingest``."""
        found = self.room.seats.get(seat)
        return found is not None and found.lets_ingest(device)

    def take_offer(self, link: Link, offer: ClientOffer) -> str | None:
        """Open the transport that a program offers.

        Returns:
            The SDP answer; ``None`` unless this program has the seat and was admitted.
        """
        page = self._pages.get(link)
        if page is None or not page.ingest:
            return None
        seat = self.room.seats[page.seat]
        if link not in seat.pages or seat.state is not SeatState.ADMITTED:
            return None
        return self._transports.open_ingest(page.seat, seat.place, link, page.device, offer)

    def renew_ingest(self, link: Link, fragment: Fragment) -> str | None:
        """Restart ICE of a program's transport, if that is what its fragment says. Returns ours."""
        seat = self._seat_carried_by(link)
        return None if seat is None else self._transports.renew_ingest(seat, fragment)

    def ingest_state(self, link: Link) -> PeerState:
        """Where a program's transport stands; gone when it has none."""
        seat = self._seat_carried_by(link)
        return PeerState.GONE if seat is None else self._transports.state(seat)

    def end_ingest(self, link: Link) -> None:
        """Close a program's transport, if it has one."""
        if (seat := self._seat_carried_by(link)) is not None:
            self._transports.close(seat)

    def reload(self) -> None:
        """Somebody else may have changed the session: read it again, in turn with this room's own commits."""
        self._queue.reload()

    def stop(self, code: str = "draining") -> None:
        """Close the room as soon as what lies before this in the inbox is done. May be called twice.

        Args:
            code: what the pages are told.
        """
        self._inbox.put_nowait(_Stop(code))

    def hand_over(self, pass_on: PassOn) -> None:
        """Give the room to another worker, and forward until its pages have moved; see ``rooms.handover``."""
        self._inbox.put_nowait(_Stop("moved", pass_on))

    def held_by_another(self, seat: SeatCode, device: Device) -> bool:
        """Whether a page of this device would have to ask another one for the seat."""
        found, now = self.room.seats.get(seat), asyncio.get_running_loop().time()
        return found is not None and not found.admits(device, now)

    @property
    def clinicians(self) -> set[tuple[SeatCode, Device]]:
        """Every device that has a host's page or its media here, whether or not a page of it is connected."""
        hosts = {code: seat for code, seat in self.room.seats.items() if seat.is_host}
        with_media = {(c, s.media_device) for c, s in hosts.items() if s.media_device is not None}
        return self._pages.devices(hosts) | with_media

    def quality(self) -> dict[SeatCode, Quality]:
        """Numbers about each seat's connected transport."""
        return self._transports.quality()

    # ---- the task ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the room until it is finished or stopped.

        Raises:
            Exception: whatever the room failed with, after it was closed.
        """
        worker = asyncio.create_task(self._queue.run(), name="room-commits")
        try:
            if (pass_on := await self._serve()) is not None:
                await self._hand_over(pass_on)
            while not self._inbox.empty():
                self._close_late(self._inbox.get_nowait())
        finally:
            self._shut()
            try:
                await self._queue.flush()
            finally:
                worker.cancel()

    async def _serve(self) -> PassOn | None:
        clock = asyncio.get_running_loop().time
        check_at = clock() + CHECK_EVERY
        while not self.finished:
            at = check_at if self.room.deadline is None else min(check_at, self.room.deadline)
            try:
                async with asyncio.timeout_at(at):
                    item = await self._inbox.get()
            except TimeoutError:
                if self.room.deadline is not None and clock() >= self.room.deadline:
                    self._step(Tick(), clock())
            else:
                if isinstance(item, _Stop):
                    self._farewell = item.code
                    return item.pass_on
                if isinstance(item, CommitRefused) and item.code == FENCED:
                    log.warning("room belongs to another worker", room=short_code(self.meeting))
                    self._farewell = "moved"
                    return None
                if (event := self._understood(item)) is not None:
                    self._step(event, clock())
            if (now := clock()) >= check_at:
                for sign in self._signs.look(now, check_at):
                    self._step(sign, now)
                for news in self._signs.news_of_links():
                    self._step(news, now)
                check_at = now + CHECK_EVERY
        return None

    async def _hand_over(self, pass_on: PassOn) -> None:
        """Take nobody any more, give the room away, tell the pages, and forward until they have moved."""
        self.finished = True
        self._queue.insist()
        clock = asyncio.get_running_loop().time
        muted = frozenset(code for code, seat in self.room.seats.items() if seat.muted)
        hosts = frozenset(code for code, seat in self.room.seats.items() if seat.is_host)
        gate = SetGate(self.room.flowing, muted)
        handover = Handover(gate, hosts, clock() + FORWARDS_FOR, HOST_PATIENCE)
        handover.look(clock(), self._signs.media_heard(gate.seats))
        if handover.over or not self.room.store_ok:
            return
        giving = asyncio.create_task(self._give_away(handover, pass_on), name="give-away")
        giving.add_done_callback(lambda _: self._inbox.put_nowait(Tick()))  # so that it is looked at now
        await self._forward(handover, giving)
        await giving  # never cut short: it writes
        log.info("room handed over", room=short_code(self.meeting), ended=handover.ended)

    async def _give_away(self, handover: Handover, pass_on: PassOn) -> None:
        """See to it that the room has its next owner before anybody is sent there; else it is over here."""
        given = False
        try:
            if not await self._queue.drained() or self.room.owed or (session := await self.load()) is None:
                handover.end("not durable")
                return
            handover.begins(session)
            if not handover.over and (given := await pass_on(frozenset(handover.gate.seats))):
                self._pages.close_all(self._farewell)
        finally:
            if not given:
                handover.end("nobody takes it")

    async def _forward(self, handover: Handover, giving: asyncio.Task[None]) -> None:
        """Forward until that is over and the room is given away; only what closes matters now."""
        clock, inside = asyncio.get_running_loop().time, handover.gate.seats
        check_at = clock()
        while not handover.over or not giving.done():
            try:
                async with asyncio.timeout_at(check_at if handover.over else min(handover.until, check_at)):
                    item = await self._inbox.get()
            except TimeoutError:
                pass
            else:
                match item:
                    case SessionReloaded():
                        handover.reloaded(item)
                    case _Stop():
                        handover.end("let go")
                    case Failed() | SignedOut() | StoreHealth(False):
                        handover.end(type(item).__name__)
                    case Asked(action=action) if action in OWED:
                        handover.end("asked too late")
                        self._close_late(item)
                    case Committed() | CommitRefused():
                        self._close_late(item)
            if (now := clock()) >= check_at:
                self._signs.ask_clinicians()
                check_at = now + CHECK_EVERY
            handover.look(now, self._signs.media_heard(inside))
            self.media.set_gate(self.meeting, frozenset(handover.gate.seats), frozenset(handover.gate.muted))

    def _close_late(self, item: _Item) -> None:
        """See to it that what closes becomes durable, though this room takes nothing else any more.

        Whoever asked may be gone before they could ask the next owner. For seats that one has moved already
        the store refuses it (docs/decisions/0007), and then the page, which is sent there, asks there.
        """
        if isinstance(item, Asked):
            if item.action not in OWED:
                return
        elif isinstance(item, CommitRefused):
            if item.code == FENCED:
                return
        elif not isinstance(item, Committed):
            return
        for effect in self.room.handle(item, asyncio.get_running_loop().time(), time.time_ns() // 1_000_000):
            if isinstance(effect, Reply) or (isinstance(effect, Commit) and effect.action in OWED):
                self._perform(effect)

    def _step(self, event: Event, now: float) -> None:
        """Handle one event and carry out what follows, without waiting."""
        effects = self.room.handle(event, now, time.time_ns() // 1_000_000)
        for effect in effects:
            self._perform(effect)
        if any(isinstance(effect, Show | Close) for effect in effects):
            self.on_change()
        done = any(isinstance(effect, Finished) for effect in effects)
        if done and not self._pages and self._queue.settled and self._inbox.empty():
            # From this line on ``join`` refuses, so no page can slip into a room that nobody serves.
            self.finished = True

    def _understood(self, item: _Item) -> Event | None:
        """What the room is to be told, if anything."""
        match item:
            case Failed(error):
                raise error
            case SessionReloaded() if not self._queue.settled:
                # What was read lacks what the room has decided since; it is read again after that.
                self.reload()
                return None
            case Connected():
                if item.link not in self._pages:
                    return None  # gone again before its turn came
                return replace(item, media_kept=item.media_kept and self._keeps_media(item))
            case Committed() | CommitRefused():
                self._queue.heard()
                return item
            case _Stop():
                raise AssertionError("A stop is taken by the loop itself.")
            case _:
                return item

    def _keeps_media(self, event: Connected) -> bool:
        """Whether the room may believe that the page has its media still.

        If the transport of its device lives, the page takes it over. If the seat has none at all (this server
        is new, or it died meanwhile), the room sees so and offers another one.
        """
        if not self._transports.lives(event.seat):
            return self.room.seats[event.seat].suite is None
        return self._transports.take_over(event.seat, event.link, event.device)

    # ---- effects -----------------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        match effect:
            case SetGate(seats, muted):
                self.media.set_gate(self.meeting, frozenset(seats), frozenset(muted))
                if seats and not self.room.moving:
                    asyncio.get_running_loop().call_later(OVERLAP, self.let_former_go)
            case Commit(action=action):
                if action in OWED:
                    self.let_former_go()  # whom we cut nobody else may show
                self._queue.put(effect)
            case Record():
                self.record(effect)
            case OpenPeer(seat, link):
                self._open_peer(seat, link)
            case ClosePeer(seat):
                self._transports.close(seat)
            case Show() | Reply() | Tell() | Close():
                self._pages.perform(effect)
            case Finished():
                pass
            case _:
                assert_never(effect)

    def _open_peer(self, seat: SeatCode, link: Link) -> None:
        page, known = self._pages.get(link), self.room.seats[seat].pages.get(link)
        if page is None or known is None or page.ingest:
            return  # its page is gone; the next one asks anew. A program offers by itself.
        offer = self._transports.open(seat, self.room.seats[seat].place, link, known.device)
        page.outbox.offer(offer, restart=False, ends_ms=self.room.ends_ms)

    def _seat_carried_by(self, link: Link) -> SeatCode | None:
        page = self._pages.get(link)
        return page.seat if page is not None and self._transports.carries(page.seat, link) else None

    # ---- the end -----------------------------------------------------------------------------------------

    def _shut(self) -> None:
        """Fail closed: nothing flows from this line on, and every page is told to come back."""
        self.finished = True
        self._transports.close_all()
        self._queue.insist()
        for commit in self.room.owed:
            self._queue.put(commit)
        self._pages.close_all(self._farewell)
        self.let_former_go()
        self.on_change()
