"""The house: every room that runs in this process, who comes into them, and what each must be told.

    page with a ticket ──▶ enter ──▶ the running room, or one taken by lease and loaded from the store
    we are to leave ─────▶ each room to another worker; we forward until its pages have moved there
    a sign-in has ended ─▶ its pages and its media go, wherever they are
    ledger's tail ───────▶ a session was changed elsewhere ──▶ its running room reads it again
    store's health ──────▶ every room
    all open sessions + running rooms, here and with the neighbours ──▶ the admin's board

A room runs while somebody is in it or may come back; forgetting one loses nothing, for seats live in the
store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

import msgspec
import structlog

from broker.admission import Admission
from broker.booking import Booking
from broker.credentials import Credentials
from broker.errors import Refused, StoreUnavailable
from broker.ids import MeetingId, short_code
from broker.ledger import Ledger
from broker.placement import Lease, Placement
from broker.seats import INSIDE_STATES, WAITING_STATES, SeatCode
from broker.sessions import Session
from broker.tickets import Grant, Tickets
from rooms.commit_queue import FLUSH_WITHIN
from rooms.events import (
    Link,
    StoreHealth,
)
from rooms.handover import FORWARDS_FOR
from rooms.media import MediaPort
from rooms.pages import PageOutbox
from rooms.quality import Quality
from rooms.runner import Runner
from signaling.board import board_room, with_locks
from signaling.failures import describe
from signaling.messages import Board, BoardRoom, IceServer
from signaling.neighbours import Neighbours, Unreachable
from signaling.room_store import CHANGES_SESSION, RoomStore, room_of
from signaling.sign_ins import SignIns
from signaling.succession import Succession
from signaling.tenancy import Tenancy

HANDED_OVER_WITHIN: Final = FLUSH_WITHIN + FORWARDS_FOR + 1.5
"""Seconds to give every room to another worker."""
PAUSE_AFTER_FAILURE: Final = 1.0
"""Seconds before the ledger is followed further after an entry that cannot be read."""

IceServersUntil = Callable[[int, str], tuple[IceServer, ...]]

log = structlog.get_logger()


@dataclass(slots=True)
class House:
    """The running rooms of this process.

    Args:
        placement: our leases in the store.
        neighbours: the other workers of this node.
        on_change: called whenever the board may look different.
        store_ok: whether the store is well at this moment.
        ice_servers: those of one offer, good until then (milliseconds since 1970), to that seat.

    Attributes:
        draining: this process is going down and takes nobody at all any more.
        tenancy: which rooms are ours.
        succession: those that come from other workers and go to them.
    """

    booking: Booking
    admission: Admission
    credentials: Credentials
    tickets: Tickets
    media: MediaPort
    ledger: Ledger
    placement: Placement
    neighbours: Neighbours
    on_change: Callable[[], None]
    store_ok: bool = True
    ice_servers: IceServersUntil = lambda ends_ms, whose: ()
    draining: bool = field(default=False, init=False)
    _rooms: dict[str, Runner] = field(default_factory=dict, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _followers: list[asyncio.Task[None]] = field(default_factory=list, init=False)
    _sessions: list[Session] = field(default_factory=list, init=False)
    _opening: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary, init=False)
    _store: RoomStore = field(init=False)
    _sign_ins: SignIns = field(init=False)
    tenancy: Tenancy = field(init=False)
    succession: Succession = field(init=False)

    def __post_init__(self) -> None:
        """Have no room, and tell the neighbours what they ask."""
        self._store = RoomStore(self.booking, self.admission, self.ledger)
        self._sign_ins = SignIns(self.tickets, self._rooms.values)
        self.tenancy = Tenancy(self.placement, self.neighbours, self._meetings, self._lost)
        self.succession = Succession(self.neighbours, self.tenancy, self._adopted, self._rooms.get)
        self.neighbours.calls |= {"rooms": self._tell_rooms, "held": self._tell_held}

    # ---- pages -------------------------------------------------------------------------------------------

    async def enter(
        self,
        grant: Grant,
        link: Link,
        outbox: PageOutbox,
        *,
        media_kept: bool,
        ingest: bool = False,
        kept: tuple[str, int] | None = None,
    ) -> Runner:
        """Bring a page, or (``ingest``) a program that publishes, into its room; see ``Runner.join``.

        Raises:
            StoreUnavailable: the room is not running here, or may be another's by now, and nobody can tell.
            Refused: ``no-session``; ``draining`` while this process stops; ``moved`` when the room is another
                worker's.
        """
        while True:
            runner = await self._running(grant.meeting)
            self._sign_ins.entered(grant)
            joined = runner.join(
                link,
                grant.seat,
                grant.device,
                grant.actor,
                outbox,
                media_kept=media_kept,
                ingest=ingest,
                kept=kept,
                tls=grant.tls,
            )
            if joined:
                return runner

    async def _running(self, meeting: MeetingId) -> Runner:
        async with self._in_turn(meeting):
            if (runner := self.room(meeting)) is not None:
                if not await self.tenancy.keeps(meeting):
                    raise Refused("moved")
                return runner
            return await self._taken(meeting, frozenset())

    async def _adopted(self, meeting: MeetingId, moving: frozenset[SeatCode]) -> Runner:
        async with self._in_turn(meeting):
            return self.room(meeting) or await self._taken(meeting, moving)

    async def _taken(self, meeting: MeetingId, moving: frozenset[SeatCode]) -> Runner:
        # In this order: what the owner before us made durable is then in what we load.
        lease = await self.tenancy.claim(meeting)
        session = await self.booking.load(meeting)
        if session is None:
            raise Refused("no-session")
        if self.draining:
            raise Refused("draining")
        return self._open(session, lease, moving)

    async def place(self, meeting: MeetingId) -> str | None:
        """Find the worker where a page of this session belongs; ``None``: here.

        Raises:
            Refused: ``draining``, ``no-session``.
            StoreUnavailable: nobody knows.
        """
        if self.draining:
            raise Refused("draining")
        async with self._in_turn(meeting):
            if self.room(meeting) is not None and await self.tenancy.keeps(meeting):
                return None
            return await self.tenancy.place(meeting)

    async def claim(self, meeting: MeetingId) -> None:
        """See to it that a page of this session, handed to us by another worker, belongs here.

        Raises:
            Refused: ``moved``, ``draining``, ``no-session``.
            StoreUnavailable: nobody knows.
        """
        async with self._in_turn(meeting):
            if self.room(meeting) is None:
                await self.tenancy.claim(meeting)
            elif not await self.tenancy.keeps(meeting):
                raise Refused("moved")

    def _in_turn(self, meeting: MeetingId) -> asyncio.Lock:
        """Taking and giving up one room's lease must not cross."""
        return self._opening.setdefault(meeting, asyncio.Lock())

    async def _forgotten(self, meeting: MeetingId) -> None:
        """Give up the lease of a room that has ended, unless it runs again already."""
        async with self._in_turn(meeting):
            if self.room(meeting) is None:
                await self.tenancy.release(meeting)

    def _meetings(self) -> list[MeetingId]:
        return [MeetingId(meeting) for meeting, runner in self._rooms.items() if not runner.finished]

    def _lost(self, meeting: MeetingId) -> None:
        if (runner := self.room(meeting)) is not None:
            runner.stop("moved")

    def room(self, meeting: str) -> Runner | None:
        """The running room of a session, if there is one."""
        runner = self._rooms.get(meeting)
        return None if runner is None or runner.finished else runner

    def _open(self, session: Session, lease: Lease, moving: frozenset[SeatCode]) -> Runner:
        meeting = session.meeting
        runner = Runner(
            meeting=meeting,
            room=room_of(session, moving, asyncio.get_running_loop().time() + FORWARDS_FOR),
            media=self.media,
            commit=partial(self._store.commit, lease),
            record=partial(self._store.record, meeting),
            load=partial(self._store.load, meeting),
            on_change=self.on_change,
            let_former_go=partial(self.succession.let_former_go, meeting),
        )
        if not self.store_ok:
            runner.tell(StoreHealth(False))
        self._rooms[meeting] = runner
        task = asyncio.create_task(self._serve(runner), name=f"room-{short_code(meeting)}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return runner

    async def _serve(self, runner: Runner) -> None:
        """Run one room; its failure is its own, and is told in one line that names no person."""
        try:
            await runner.run()
        except Exception as error:
            log.error("room failed and was closed", room=short_code(runner.meeting), **describe(error))
        finally:
            if self._rooms.get(runner.meeting) is runner:
                del self._rooms[runner.meeting]
            self.succession.ended(runner.meeting)
            await self._forgotten(MeetingId(runner.meeting))

    # ---- what happens elsewhere --------------------------------------------------------------------------

    def reload(self, meeting: str) -> None:
        """A session was changed by somebody else than its room. Never waits."""
        if (runner := self._rooms.get(meeting)) is not None:  # one that is handed over must know as well
            runner.reload()
        self.on_change()

    async def held_by_another(self, meeting: str, seat: str, device: str) -> bool:
        """Whether a seat is held by a device that this one would have to ask, in whichever worker."""
        if (runner := self.room(meeting)) is not None:
            return runner.held_by_another(SeatCode(seat), device)
        owner = await self.tenancy.owner_elsewhere(meeting)
        if owner is None:
            return False
        try:
            values = {"meeting": meeting, "seat": seat, "device": device}
            return await self.neighbours.ask(owner, "held", values) == b"true"
        except Unreachable:
            return False  # its room runs nowhere then, so nobody is in the seat

    def store_health(self, ok: bool) -> None:
        """The store can make events durable again, or no longer."""
        self.store_ok = ok
        if ok:
            self.tenancy.store_is_back()
        for runner in self._rooms.values():
            runner.tell(StoreHealth(ok))
            if ok:
                runner.reload()
        self.on_change()

    def start(self, after: int) -> None:
        """Begin to follow the ledger and the sign-ins.

        Args:
            after: index of its last entry now, before any room was loaded.
        """
        self._followers = [
            asyncio.create_task(self._follow(after), name="ledger-follower"),
            asyncio.create_task(self._sign_ins.follow(), name="sign-in-follower"),
            asyncio.create_task(self.tenancy.keep(), name="leases"),
        ]

    async def _follow(self, after: int) -> None:
        while True:
            try:
                async for entry in self.ledger.tail(after):
                    after = entry.index
                    if entry.session and entry.leaf.header.t in CHANGES_SESSION:
                        self.reload(entry.session)
                    elif entry.session:
                        self.on_change()  # in a room of another worker, perhaps
            except Exception as error:
                # An entry that cannot be read must not make the rooms deaf to those after it.
                log.error("an entry of the ledger cannot be read", after=after, error=type(error).__name__)
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
                after += 1

    @property
    def live(self) -> int:
        """How many rooms have somebody inside whom going down would interrupt."""
        return sum(
            any(
                seat.state in INSIDE_STATES and (seat.pages or seat.suite is not None)
                for seat in runner.room.seats.values()
            )
            for runner in self._rooms.values()
        )

    async def hand_over(self, heirs: Collection[str]) -> None:
        """Give every room to one of these workers, and forward in each until its pages have moved there.

        What cannot be given away is left for ``drain``, which closes it.
        """
        self.draining, self.tenancy.taking = True, False
        runners = [runner for runner in self._rooms.values() if not runner.finished]
        others = sorted(heirs)
        for number, runner in enumerate(runners):
            first = number % max(1, len(others))
            order = others[first:] + others[:first]
            runner.hand_over(partial(self.succession.pass_on, MeetingId(runner.meeting), order))
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=HANDED_OVER_WITHIN)
        await self.succession.told()

    async def drain(self, within: float, code: str = "draining") -> None:
        """Take nobody new, tell every page to come back, let the store take what was decided.

        Args:
            within: seconds.
            code: what the pages are told: ``moved`` when other workers take the rooms.
        """
        self.draining, self.tenancy.taking = True, False
        for follower in self._followers:
            follower.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)
        for runner in self._rooms.values():
            runner.stop(code)
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=within)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)

    # ---- what others may see -----------------------------------------------------------------------------

    def gauges(self) -> dict[str, float]:
        """Numbers of now for the metrics."""
        rooms = [runner.room for runner in self._rooms.values()]
        seats = [seat for room in rooms for seat in room.seats.values()]
        return {
            "rooms": len(rooms),
            "links": sum(len(seat.pages) for seat in seats),
            "peers": sum(seat.suite is not None for seat in seats),
            "waiting": sum(seat.state in WAITING_STATES for seat in seats),
            "rooms_unsure": self.tenancy.unsure,
        }

    def links(self) -> list[Quality]:
        """How well each transport carries now, without whose it is."""
        return [quality for runner in self._rooms.values() for quality in runner.quality().values()]

    async def board(self) -> Board:
        """Every open session of the practice, as seats. While the store is away, the sessions last seen.

        Raises:
            StoreUnavailable: the store is away and was never read.
        """
        locked: dict[str, frozenset[SeatCode]] = {}
        elsewhere = await self._rooms_elsewhere()
        try:
            self._sessions = await self.booking.all_open()
            sets = await asyncio.gather(*(self.credentials.locked(s) for s in self._sessions))
            locked = dict(zip((s.meeting for s in self._sessions), sets, strict=True))
        except StoreUnavailable:
            if not self._sessions:
                raise
        now = _wall_ms()
        return Board(
            now=now,
            store_ok=self.store_ok,
            rooms=tuple(
                self._board_room(session, locked.get(session.meeting, frozenset()), now, elsewhere)
                for session in self._sessions
            ),
        )

    def _board_room(
        self, session: Session, locked: frozenset[SeatCode], now: int, elsewhere: Mapping[str, BoardRoom]
    ) -> BoardRoom:
        if (runner := self.room(session.meeting)) is not None:
            return board_room(session.meeting, runner.room, runner.quality(), locked, now)
        if (room := elsewhere.get(session.meeting)) is not None:
            return with_locks(room, locked)
        return board_room(session.meeting, room_of(session), {}, locked, now)

    async def _rooms_elsewhere(self) -> dict[str, BoardRoom]:
        """The rooms that run with the neighbours; those of one that does not answer are shown as stored."""
        rooms: dict[str, BoardRoom] = {}
        for answer in (await self.neighbours.ask_all("rooms")).values():
            rooms |= {room.room: room for room in msgspec.json.decode(answer, type=list[BoardRoom])}
        return rooms

    # ---- what the neighbours ask -------------------------------------------------------------------------

    async def _tell_rooms(self, values: Mapping[str, str]) -> bytes:
        now = _wall_ms()
        return msgspec.json.encode(
            [
                board_room(meeting, runner.room, runner.quality(), frozenset(), now)
                for meeting, runner in self._rooms.items()
            ]
        )

    async def _tell_held(self, values: Mapping[str, str]) -> bytes:
        runner = self.room(values.get("meeting", ""))
        seat, device = SeatCode(values.get("seat", "")), values.get("device", "")
        return b"true" if runner is not None and runner.held_by_another(seat, device) else b"false"


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
