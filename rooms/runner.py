"""The one task that touches a room: events in, effects out, and the clock that nobody else reads.

    pages ──▶ inbox ──▶ Room.handle ──▶ gate and transports (MediaPort)
                 ▲            │──▶ pages' outboxes
                 │            └──▶ commits, one at a time ──▶ store
                 └──── answers, transports, signs of life ◀──┘

Nothing awaits between deciding and performing: the gate is changed by a plain call, a page has a bounded
outbox of its own, and commits wait their turn in a second task, so a slow participant or a slow store never
holds up the room. A room that fails is closed, not patched: its gate goes first, its pages are told to come
back, what was already decided is still made durable, and the next page finds the room as the store has it. So
is a room that another worker has taken, as a refused commit tells (``fenced-room``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, assert_never

import structlog

from broker.ids import short_code
from broker.seats import SeatCode, SeatState
from broker.sessions import Encryption
from rooms.bucket import Bucket
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
    View,
)
from rooms.events import (
    Asked,
    CommitRefused,
    Committed,
    Connected,
    Device,
    Disconnected,
    Event,
    FellSilent,
    HeardAgain,
    Link,
    LinkJudged,
    MediaChanged,
    SessionReloaded,
    SignedOut,
    StoreHealth,
    Tick,
)
from rooms.groups import GroupNews, Tell
from rooms.handover import FORWARDS_FOR, OVERLAP, Handover
from rooms.hearing import EVERY as ASK_EVERY
from rooms.ingest_sdp import ClientOffer, Fragment
from rooms.media import MediaPort
from rooms.peer import PeerState
from rooms.quality import Quality, Standing
from rooms.reporting import EXCUSED_EVERY
from rooms.room import UNAVAILABLE, Room
from rooms.seat import Seat
from rooms.transports import Transports

HOST_PATIENCE: Final = 1.5
"""Seconds of silence after which a clinician counts as lost: with the check below, held within 2 s."""
PATIENT_PATIENCE: Final = 3.0
"""Seconds of silence after which a patient is shown as away."""
CHECK_EVERY: Final = 0.25
"""Seconds between looks at the signs of life."""
STALLED: Final = 0.5
"""Seconds by which a look may be late before this process, not the people, is taken to have been silent."""
FENCED: Final = "fenced-room"
"""The refusal of a commit of a room that another worker runs by now."""
OWED_AGAIN: Final = 0.25
"""Seconds between attempts to record, in a room that closes, what the store did not take."""
FLUSH_WITHIN: Final = 2.5
"""Seconds that a closing room gives the store to take what was decided."""

log = structlog.get_logger()


class PageOutbox(Protocol):
    """Where a page's messages are put. None of these waits or raises; a full outbox closes its own page."""

    def show(self, view: View) -> None:
        """Show the page its view."""

    def offer(self, sdp: str, *, restart: bool, ends_ms: int) -> None:
        """Offer a transport, or (``restart``) new ICE credentials for the one it has.

        Args:
            ends_ms: when the session ends; nothing that goes with the offer need last longer.
        """

    def reply(self, request: int, code: str | None) -> None:
        """Answer a request: done, or refused with a code."""

    def tell(self, news: GroupNews) -> None:
        """Tell of an encryption group."""

    def close(self, code: str) -> None:
        """Say why, then close."""


@dataclass(slots=True)
class _Page:
    """One page as the runner keeps it.

    Attributes:
        heard_at: when anything last came from it, monotonic seconds.
        ingest: it is a program, which offers its transport itself (RFC 9725).
    """

    seat: SeatCode
    device: Device
    outbox: PageOutbox
    heard_at: float
    ingest: bool


PassOn = Callable[[frozenset[SeatCode]], Awaitable[bool]]
"""Gives the room to its next owner, with the seats that exchange media; false when nobody takes it."""


@dataclass(frozen=True, slots=True)
class _Stop:
    """The room closes here; ``code`` tells the pages why. ``pass_on``: its media when they have moved."""

    code: str
    pass_on: PassOn | None = None


@dataclass(frozen=True, slots=True)
class _Failed:
    """The committing task met an error that is nobody's input."""

    error: Exception


_Item = Event | _Stop | _Failed
_RELOAD: Final = "reload"


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
    _jobs: asyncio.Queue[Commit | str] = field(default_factory=asyncio.Queue, init=False)
    _pages: dict[Link, _Page] = field(default_factory=dict, init=False)
    _transports: Transports = field(init=False)
    _issued: int = field(default=0, init=False)
    _answered: int = field(default=0, init=False)
    _reload_asked: bool = field(default=False, init=False)
    _standings: dict[SeatCode, Standing] = field(default_factory=dict, init=False)
    _farewell: str = field(default="draining", init=False)

    def __post_init__(self) -> None:
        """Listen to the transports."""
        self._transports = Transports(
            self.meeting,
            self.media,
            lambda seat, suite: self._inbox.put_nowait(MediaChanged(seat, suite)),
            sealed=self.room.encryption is Encryption.END_TO_END,
        )

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
        self._pages[link] = _Page(seat, device, outbox, asyncio.get_running_loop().time(), ingest)
        self._inbox.put_nowait(Connected(seat, link, device, actor, media_kept, ingest, kept, tls))
        return True

    def part(self, link: Link) -> None:
        """A page's connection is gone. May be called twice."""
        if self._pages.pop(link, None) is not None:
            self._inbox.put_nowait(Disconnected(link))

    def heard(self, link: Link) -> None:
        """A page gave a sign of life: a message or a pong."""
        if (page := self._pages.get(link)) is not None:
            page.heard_at = asyncio.get_running_loop().time()

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
            self._pages[link].outbox.offer(offer, restart=True, ends_ms=self.room.ends_ms)
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
        if not self._reload_asked:
            self._reload_asked = True
            self._jobs.put_nowait(_RELOAD)

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
        with_page = {(page.seat, page.device) for page in self._pages.values() if page.seat in hosts}
        return with_page | {(c, s.media_device) for c, s in hosts.items() if s.media_device is not None}

    def quality(self) -> dict[SeatCode, Quality]:
        """Numbers about each seat's connected transport."""
        return self._transports.quality()

    # ---- the task ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the room until it is finished or stopped.

        Raises:
            Exception: whatever the room failed with, after it was closed.
        """
        worker = asyncio.create_task(self._commit_in_turn(), name="room-commits")
        try:
            if (pass_on := await self._serve()) is not None:
                await self._hand_over(pass_on)
            while not self._inbox.empty():
                self._close_late(self._inbox.get_nowait())
        finally:
            self._shut()
            await self._flush(worker)

    async def _serve(self) -> PassOn | None:
        clock = asyncio.get_running_loop().time
        check_at, excuses = clock() + CHECK_EVERY, Bucket(1 / EXCUSED_EVERY, 1)
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
                # Having been stopped or starved ourselves says nothing about the others: their packets lie
                # unread in the sockets. They are judged at the next look, late or not.
                self._ask_clinicians()
                excused = now >= check_at + STALLED and excuses.take(now)
                for sign in () if excused else self._signs_of_life(now):
                    self._step(sign, now)
                for news in self._news_of_links():
                    self._step(news, now)
                check_at = now + CHECK_EVERY
        return None

    async def _hand_over(self, pass_on: PassOn) -> None:
        """Take nobody any more, give the room away, tell the pages, and forward until they have moved."""
        self.finished = True
        clock = asyncio.get_running_loop().time
        muted = frozenset(code for code, seat in self.room.seats.items() if seat.muted)
        hosts = frozenset(code for code, seat in self.room.seats.items() if seat.is_host)
        gate = SetGate(self.room.flowing, muted)
        handover = Handover(gate, hosts, clock() + FORWARDS_FOR, HOST_PATIENCE)
        handover.look(clock(), self._media_heard(gate.seats))
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
            if not await self._all_decided() or (session := await self.load()) is None:
                handover.end("not durable")
                return
            handover.begins(session)
            if not handover.over and (given := await pass_on(frozenset(handover.gate.seats))):
                self._say_goodbye()
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
                    case _Failed() | SignedOut() | StoreHealth(False):
                        handover.end(type(item).__name__)
                    case Asked(action=action) if action in OWED:
                        handover.end("asked too late")
                        self._close_late(item)
                    case Committed() | CommitRefused():
                        self._close_late(item)
            if (now := clock()) >= check_at:
                self._ask_clinicians()
                check_at = now + CHECK_EVERY
            handover.look(now, self._media_heard(inside))
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

    def _media_heard(self, seats: Iterable[SeatCode]) -> dict[SeatCode, float | None]:
        return {
            code: self._transports.present_at(code)
            if self.room.seats[code].is_host
            else self._transports.media_heard_at(code)
            for code in seats
        }

    async def _all_decided(self) -> bool:
        """Wait until all that was decided here is durable; whether it is."""
        try:
            async with asyncio.timeout(FLUSH_WITHIN):
                await self._jobs.join()
        except TimeoutError:
            return False
        return not self.room.owed

    def _step(self, event: Event, now: float) -> None:
        """Handle one event and carry out what follows, without waiting."""
        effects = self.room.handle(event, now, time.time_ns() // 1_000_000)
        for effect in effects:
            self._perform(effect)
        if any(isinstance(effect, Show | Close) for effect in effects):
            self.on_change()
        done = any(isinstance(effect, Finished) for effect in effects)
        if done and not self._pages and self._issued == self._answered and self._inbox.empty():
            # From this line on ``join`` refuses, so no page can slip into a room that nobody serves.
            self.finished = True

    def _understood(self, item: _Item) -> Event | None:
        """What the room is to be told, if anything."""
        match item:
            case _Failed(error):
                raise error
            case SessionReloaded() if self._issued != self._answered:
                # What was read lacks what the room has decided since; it is read again after that.
                self.reload()
                return None
            case Connected():
                if item.link not in self._pages:
                    return None  # gone again before its turn came
                return replace(item, media_kept=item.media_kept and self._keeps_media(item))
            case Committed() | CommitRefused():
                self._answered += 1
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
                self._issued += 1
                self._jobs.put_nowait(effect)
            case Record():
                self.record(effect)
            case OpenPeer(seat, link):
                self._open_peer(seat, link)
            case ClosePeer(seat):
                self._transports.close(seat)
            case Show(link, view):
                if (page := self._pages.get(link)) is not None:
                    page.outbox.show(view)
            case Reply(link, request, code):
                if (page := self._pages.get(link)) is not None:
                    page.outbox.reply(request, code)
            case Tell(link, news):
                if (page := self._pages.get(link)) is not None:
                    page.outbox.tell(news)
            case Close(link, code):
                if (page := self._pages.pop(link, None)) is not None:
                    page.outbox.close(code)
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

    # ---- signs of life -----------------------------------------------------------------------------------

    def _signs_of_life(self, now: float) -> list[Event]:
        """Compare each seat's last sign of life, on any path, with its patience."""
        events: list[Event] = []
        for code, seat in self.room.seats.items():
            heard_at = self._heard_at(code, seat)
            if heard_at is None:
                continue
            quiet = now - heard_at > (HOST_PATIENCE if seat.is_host else PATIENT_PATIENCE)
            if quiet and not seat.silent:
                events.append(FellSilent(code))
            elif seat.silent and not quiet:
                events.append(HeardAgain(code))
        return events

    def _ask_clinicians(self) -> None:
        """Ask those who must hear whether they do, now and once more before the next look, which judges."""
        hosts = [code for code, seat in self.room.seats.items() if seat.is_host]
        for code in hosts:
            self._transports.ask_whether_heard(code)
            asyncio.get_running_loop().call_later(ASK_EVERY, self._transports.ask_whether_heard, code)

    def _heard_at(self, code: SeatCode, seat: Seat) -> float | None:
        """When the seat was last heard; ``None`` while it has neither page nor transport.

        Only pages that hold the seat count: a second device that asks must not keep the first one alive. Of a
        clinician with media only the media counts, and whether they hear: one who can no longer hear the
        partners is not with them.
        """
        if seat.is_host and (present := self._transports.present_at(code)) is not None:
            return present
        media = self._transports.heard_at(code)
        signs = [page.heard_at for link in seat.pages if (page := self._pages.get(link)) is not None]
        return max(signs if media is None else [*signs, media], default=None)

    def _news_of_links(self) -> list[Event]:
        """What the media port judges of each seat's link, where it differs from what the room was told."""
        standings = self._transports.standings()
        before, self._standings = self._standings, standings
        return [
            LinkJudged(seat, standings.get(seat))
            for seat in before.keys() | standings.keys()
            if before.get(seat) != standings.get(seat)
        ]

    # ---- commits, and the end ----------------------------------------------------------------------------

    async def _commit_in_turn(self) -> None:
        """Carry out commits and reloads in the order in which they were asked for."""
        while True:
            job = await self._jobs.get()
            try:
                if isinstance(job, Commit):
                    await self._commit(job)
                else:
                    self._reload_asked = False
                    if (session := await self.load()) is not None:
                        self._inbox.put_nowait(session)
            except Exception as error:
                self._inbox.put_nowait(_Failed(error))
            finally:
                self._jobs.task_done()

    async def _commit(self, commit: Commit) -> None:
        answer = await self.commit(commit)
        refused = isinstance(answer, CommitRefused) and answer.code == UNAVAILABLE
        if self.finished and refused and commit.action in OWED:
            # The room is no longer there to ask again.
            await asyncio.sleep(OWED_AGAIN)
            self._jobs.put_nowait(commit)
        else:
            self._inbox.put_nowait(answer)

    def _shut(self) -> None:
        """Fail closed: nothing flows from this line on, and every page is told to come back."""
        self.finished = True
        self._transports.close_all()
        for commit in self.room.owed:
            self._jobs.put_nowait(commit)
        self._say_goodbye()
        self.let_former_go()
        self.on_change()

    def _say_goodbye(self) -> None:
        pages, self._pages = self._pages, {}
        for page in pages.values():
            page.outbox.close(self._farewell)

    async def _flush(self, worker: asyncio.Task[None]) -> None:
        """Give what was decided its chance to become durable, then end the committing task."""
        try:
            async with asyncio.timeout(FLUSH_WITHIN):
                await self._jobs.join()
        except TimeoutError:
            log.warning("room closed with commits not taken by the store", waiting=self._jobs.qsize())
        finally:
            worker.cancel()
