"""A running room with a real media port; the store's side is a callable that the test holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from broker.seats import MOVES, SeatAction, SeatCode, SeatState, SessionKind, roster
from rooms.effects import Commit, PlaceView, Record, RosterView, View
from rooms.events import (
    Asked,
    CommitRefused,
    Committed,
    HostAction,
    SeatReloaded,
    SessionReloaded,
)
from rooms.groups import GroupNews
from rooms.media import MediaPort
from rooms.room import Room
from rooms.runner import Runner
from tests.rooms.playbook import HOUR_MS, A, B, T
from tests.support.heard import Heard
from tests.support.waiting import eventually


@dataclass
class Outbox:
    """What one page was sent."""

    views: list[View] = field(default_factory=list)
    offers: list[tuple[str, bool]] = field(default_factory=list)
    replies: dict[int, str | None] = field(default_factory=dict)
    news: list[GroupNews] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def show(self, view: View) -> None:
        self.views.append(view)

    def offer(self, sdp: str, *, restart: bool, ends_ms: int) -> None:
        self.offers.append((sdp, restart))

    def reply(self, request: int, code: str | None) -> None:
        self.replies[request] = code

    def tell(self, news: GroupNews) -> None:
        self.news.append(news)

    def close(self, code: str) -> None:
        self.closed.append(code)

    @property
    def state(self) -> str | None:
        """The state in the last view of a patient's page."""
        view = self.views[-1] if self.views else None
        return view.state if isinstance(view, PlaceView) else None

    @property
    def roster(self) -> RosterView | None:
        """The last view of a host's page."""
        view = self.views[-1] if self.views else None
        return view if isinstance(view, RosterView) else None


@dataclass
class StoreSide:
    """The truth as a store has it, changed by the table of moves; ``gate`` closed makes it slow."""

    states: dict[SeatCode, SeatState]
    is_open: bool = True
    muted: set[SeatCode] = field(default_factory=set)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    commits: list[Commit] = field(default_factory=list)
    asked: list[Commit] = field(default_factory=list)
    refused: list[Commit] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    failure: Exception | None = None
    refusal: str | None = None

    async def commit(self, commit: Commit) -> Committed | CommitRefused:
        self.asked.append(commit)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        if self.refusal is not None:
            self.refused.append(commit)
            return CommitRefused(commit.number, self.refusal)
        self.commits.append(commit)
        if isinstance(commit.action, SeatAction):
            for seat in commit.seats:
                if self.states[seat] not in MOVES[commit.action].origins:
                    return CommitRefused(commit.number, "wrong-state")
            self.states |= dict.fromkeys(commit.seats, MOVES[commit.action].to)
        elif commit.action is HostAction.MUTE:
            self.muted.update(commit.seats)
        elif commit.action is HostAction.END:
            self.is_open = False
        return Committed(commit.number, {seat: self.states[seat] for seat in commit.seats}, False, now_ms())

    async def load(self) -> SessionReloaded | None:
        return self.snapshot()

    def snapshot(self) -> SessionReloaded:
        seats = (
            SeatReloaded(seat, state, seat in self.muted, True, 0, 0) for seat, state in self.states.items()
        )
        return SessionReloaded(self.is_open, tuple(seats))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class House:
    """One running room and its store side."""

    runner: Runner
    store: StoreSide
    media: MediaPort
    task: asyncio.Task[None]
    requests: int = 0
    heard: dict[str, Heard] = field(default_factory=dict)

    def join(
        self, link: str, seat: SeatCode, device: str | None = None, *, media_kept: bool = False
    ) -> Outbox:
        outbox = Outbox()
        actor = f"seat:{seat}"
        assert self.runner.join(link, seat, device or seat, actor, outbox, media_kept=media_kept)
        return outbox

    def ask(self, link: str, action: SeatAction | HostAction, *seats: SeatCode) -> int:
        self.requests += 1
        self.runner.tell(Asked(link, self.requests, action, seats))
        return self.requests

    async def connect(self, link: str, outbox: Outbox) -> Heard:
        """Connect the media that this page was offered, and be heard."""
        await eventually(lambda: outbox.offers)

        def answer(sdp: str) -> None:
            assert self.runner.answer(link, sdp) is None

        self.heard[link] = Heard(outbox.offers[-1][0], answer)
        await self.heard[link].connect()
        return self.heard[link]

    async def visit(self) -> tuple[Outbox, Outbox, Outbox]:
        """Both partners and the therapist in the room."""
        host = self.join("t", T)
        self.ask("t", SeatAction.ENTER)
        await self.connect("t", host)
        await eventually(lambda: host.roster and host.roster.clinician_present)
        first, second = self.join("a", A), self.join("b", B)
        self.ask("a", SeatAction.KNOCK)
        self.ask("b", SeatAction.KNOCK)
        await eventually(lambda: first.state == "waiting" and second.state == "waiting")
        self.ask("t", SeatAction.ADMIT, A, B)
        await eventually(lambda: first.state == "admitted" and second.state == "admitted")
        return host, first, second


@asynccontextmanager
async def running(
    states: dict[SeatCode, SeatState] | None = None, *, is_open: bool = True
) -> AsyncIterator[House]:
    media = MediaPort("127.0.0.1", 0)
    await media.start()
    plans = roster(SessionKind.COUPLE)
    store = StoreSide(
        {plan.code: (states or {}).get(plan.code, SeatState.EXPECTED) for plan in plans}, is_open
    )
    store.gate.set()
    room = Room(
        kind="couple",
        is_open=is_open,
        starts_ms=now_ms() - HOUR_MS,
        ends_ms=now_ms() + HOUR_MS,
        seats=store.snapshot().seats,
        wall_ms=now_ms(),
    )
    runner = Runner("meeting", room, media, store.commit, store.records.append, store.load)
    house = House(runner, store, media, asyncio.create_task(runner.run()))
    try:
        yield house
    finally:
        for heard in house.heard.values():
            await heard.close()
        store.gate.set()
        runner.stop()
        await asyncio.wait({house.task})
        await media.close()


def place_of(page: Outbox | View) -> PlaceView:
    """The view of a patient's page, or the last one that it was shown."""
    view = page.views[-1] if isinstance(page, Outbox) else page
    assert isinstance(view, PlaceView)
    return view
