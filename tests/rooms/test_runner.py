"""The runner with a real room and a real media port; the store's side is a callable that the test holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from broker.audit import EventType
from broker.seats import MOVES, SeatAction, SeatCode, SeatState, SessionKind, roster
from rooms.description import BadSdp
from rooms.effects import Commit, PlaceView, Record, RosterView, View
from rooms.events import (
    Asked,
    CommitRefused,
    Committed,
    DeviceAnswered,
    HostAction,
    SeatReloaded,
    SessionReloaded,
    StoreHealth,
)
from rooms.groups import GroupNews
from rooms.handover import OVERLAP
from rooms.hearing import FRESH
from rooms.media import MediaPort
from rooms.quality import Grade, Level, Quality, Standing
from rooms.room import Room
from rooms.runner import CHECK_EVERY, FLUSH_WITHIN, HOST_PATIENCE, Runner
from rooms.transports import Transports
from tests.support.heard import EVERY, Heard

A, B, T = (SeatCode(code) for code in "ABT")
HOUR_MS = 3_600_000


async def until(condition: Callable[[], object], within: float = 4.0) -> None:
    """Return as soon as the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


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
        await until(lambda: outbox.offers)

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
        await until(lambda: host.roster and host.roster.clinician_present)
        first, second = self.join("a", A), self.join("b", B)
        self.ask("a", SeatAction.KNOCK)
        self.ask("b", SeatAction.KNOCK)
        await until(lambda: first.state == "waiting" and second.state == "waiting")
        self.ask("t", SeatAction.ADMIT, A, B)
        await until(lambda: first.state == "admitted" and second.state == "admitted")
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


async def test_a_visit_goes_from_knock_to_the_room() -> None:
    async with running() as house:
        host, first, second = await house.visit()
        assert house.runner.room.flowing == {A, B, T}
        assert [other.seat for other in _place(first).others] == [B, T]
        assert [restart for _, restart in first.offers] == [False]
        assert [commit.action for commit in house.store.commits] == [
            SeatAction.ENTER,
            SeatAction.KNOCK,
            SeatAction.KNOCK,
            SeatAction.ADMIT,
        ]
        assert set(host.replies.values()) == {None}
        assert second.closed == []


def _place(outbox: Outbox) -> PlaceView:
    view = outbox.views[-1]
    assert isinstance(view, PlaceView)
    return view


async def test_a_slow_store_does_not_hold_up_the_room() -> None:
    async with running() as house:
        host, first, _ = await house.visit()
        house.store.gate.clear()
        house.ask("t", SeatAction.REMOVE, B)
        await until(lambda: B not in house.runner.room.flowing)  # cut at once, whatever the store does
        late = house.join("t2", T)
        await until(lambda: late.roster is not None)  # and others are served meanwhile
        assert house.store.states[B] is SeatState.ADMITTED
        house.store.gate.set()
        await until(lambda: house.store.states[B] is SeatState.REMOVED)
        assert [*first.closed, *host.closed] == []


async def test_commits_are_carried_out_one_at_a_time_in_order() -> None:
    async with running() as house:
        await house.visit()
        house.store.gate.clear()
        house.ask("t", SeatAction.HOLD, A)
        house.ask("t", SeatAction.RESUME, A)
        house.ask("t", SeatAction.MOVE_BACK, A)
        house.store.gate.set()
        await until(lambda: house.store.states[A] is SeatState.WAITING)
        done = [commit.action for commit in house.store.commits]
        assert done[-3:] == [SeatAction.HOLD, SeatAction.RESUME, SeatAction.MOVE_BACK]


async def test_a_silent_clinician_leaves_nobody_alone_within_two_seconds() -> None:
    async with running() as house:
        host, first, second = await house.visit()
        loop = asyncio.get_running_loop()
        house.heard["t"].fall_silent()
        lost_at = loop.time()

        def paused() -> bool:
            for link in "tab":  # the clinician's page lives on; only the media is gone
                house.runner.heard(link)
            return first.state == "paused" and second.state == "paused"

        await until(paused)
        assert HOST_PATIENCE - 2 * EVERY < loop.time() - lost_at < 2.0
        assert house.runner.room.flowing == frozenset()
        house.heard["t"].talk()
        await until(lambda: first.state == "admitted" and second.state == "admitted")
        held = [(r.event, r.reason) for r in house.store.records if r.event is EventType.SEAT_HELD]
        assert held == [(EventType.SEAT_HELD, "clinician-lost")] * 2
        assert host.closed == []


async def test_a_clinician_who_does_not_hear_leaves_nobody_alone_within_two_seconds() -> None:
    async with running() as house:
        _, first, second = await house.visit()
        loop = asyncio.get_running_loop()
        house.heard["t"].client.deaf = True  # and talks on
        lost_at = loop.time()
        await until(lambda: first.state == "paused" and second.state == "paused")
        assert HOST_PATIENCE - 2 * EVERY < loop.time() - lost_at < 2.1
        assert house.runner.room.flowing == frozenset()
        house.heard["t"].client.deaf = False
        await until(lambda: first.state == "admitted" and second.state == "admitted")


async def test_a_clinicians_page_that_lost_its_connection_is_believed_at_once() -> None:
    async with running() as house:
        _, first, _ = await house.visit()
        house.heard["t"].client.deaf = True
        await asyncio.sleep(FRESH + CHECK_EVERY)
        asked_at = asyncio.get_running_loop().time()
        assert house.runner.restart_media("t", fresh=False) is None
        await until(lambda: first.state == "paused")
        assert asyncio.get_running_loop().time() - asked_at < HOST_PATIENCE - FRESH - CHECK_EVERY


async def test_a_clinician_who_closes_the_page_is_lost() -> None:
    async with running() as house:
        _, first, second = await house.visit()
        house.runner.part("t")
        await house.heard["t"].close()  # the browser says goodbye on the media path too
        await until(lambda: first.state == "paused" and second.state == "paused", within=0.5)


async def test_a_clinician_whose_signaling_alone_is_lost_stays_in_the_room() -> None:
    async with running() as house:
        _, first, _ = await house.visit()
        house.runner.part("t")
        back = house.join("t2", T, media_kept=True)
        await until(lambda: back.roster and back.roster.media_here)
        assert back.offers == []
        assert {_state(view) for view in first.views} == {"expected", "waiting", "admitted"}


def _state(view: View) -> str:
    assert isinstance(view, PlaceView)
    return view.state


async def test_our_own_stall_is_nobodys_silence() -> None:
    async with running() as house:
        _, first, second = await house.visit()
        time.sleep(HOST_PATIENCE + 0.7)  # noqa: ASYNC251 -- the stall is what is tested
        checks = 0

        def heard() -> bool:
            nonlocal checks
            checks += 1
            for link in "tab":
                house.runner.heard(link)
            return checks > 60

        await until(heard)
        assert "paused" not in {_state(view) for view in (*first.views, *second.views)}


async def test_keeping_the_server_busy_does_not_put_the_rule_off() -> None:
    async with running() as house:
        _, first, _ = await house.visit()
        house.heard["t"].fall_silent()
        deadline = time.monotonic() + 4
        while first.state != "paused":
            assert time.monotonic() < deadline, "every look was late, and none was taken"
            time.sleep(0.9)  # noqa: ASYNC251 -- the load is what is tested
            await asyncio.sleep(0.02)


async def test_a_second_device_that_asks_keeps_the_dead_first_one_not_alive() -> None:
    async with running({A: SeatState.WAITING}) as house:
        first = house.join("a", A, "phone")
        await until(lambda: first.state == "waiting")
        second = house.join("a2", A, "laptop")
        await until(lambda: second.state == "asking-device")

        def taken() -> bool:
            house.runner.heard("a2")  # the laptop pings on, the phone is dead
            return second.state == "waiting"

        await until(taken, within=9.0)
        assert first.closed == ["replaced"]


async def test_a_first_device_that_yields_is_replaced_at_once() -> None:
    async with running({A: SeatState.WAITING}) as house:
        first = house.join("a", A, "phone")
        second = house.join("a2", A, "laptop")
        await until(lambda: first.views and _place(first).device_asks)
        house.runner.tell(DeviceAnswered("a", True, 1))
        await until(lambda: second.state == "waiting")
        assert first.closed == ["replaced"]
        house.runner.part("a")  # its socket closes after that, and nobody minds
        await until(lambda: second.offers)


async def test_a_page_that_only_claims_to_have_kept_its_media_is_offered_a_transport() -> None:
    async with running({A: SeatState.WAITING}) as house:
        page = house.join("a", A, media_kept=True)
        await until(lambda: page.offers)
        assert page.offers[0][1] is False


async def test_a_host_whose_transport_died_with_the_server_is_offered_another() -> None:
    async with running({T: SeatState.ADMITTED}) as house:
        page = house.join("t", T, media_kept=True)
        await until(lambda: page.offers)
        other = house.join(
            "t2", T, "elsewhere", media_kept=True
        )  # the seat has a transport, and not this one
        await until(lambda: other.roster is not None)
        assert other.offers == []
        assert other.roster is not None
        assert other.roster.media_here is False


async def test_media_restarts_only_for_the_page_that_carries_it() -> None:
    async with running() as house:
        host, first, _ = await house.visit()
        other = house.join("t2", T)
        await until(lambda: other.roster is not None)
        assert house.runner.restart_media("t2", fresh=False) == "not-allowed"
        assert house.runner.answer("t2", "v=0") == "not-allowed"
        assert house.runner.restart_media("t", fresh=False) is None
        assert house.runner.restart_media("t", fresh=True) is None
        assert [restart for _, restart in host.offers] == [False, True, False]
        assert len({sdp for sdp, _ in host.offers}) == 3
        with pytest.raises(BadSdp):
            house.runner.answer("a", "v=0\r\nthis is no answer")
        assert first.closed == []


async def test_what_others_changed_is_read_again_but_never_over_what_is_under_way() -> None:
    async with running() as house:
        _, first, second = await house.visit()
        house.store.states[A] = SeatState.HELD  # another node did that
        house.runner.reload()
        await until(lambda: first.state == "held")

        house.store.gate.clear()
        house.ask("t", HostAction.MUTE, B)
        await until(lambda: _place(second).muted)
        house.runner.tell(house.store.snapshot())  # read before the mute reached the store
        house.store.states[A] = SeatState.WAITING
        house.store.gate.set()
        await until(lambda: first.state == "waiting")  # it was read anew, after the mute
        muted = [view.muted for view in second.views if isinstance(view, PlaceView)]
        assert muted == sorted(muted)  # once muted, never shown otherwise


async def test_a_room_that_fails_is_closed_and_its_decisions_still_become_durable() -> None:
    async with running() as house:
        host, first, second = await house.visit()
        house.store.gate.clear()
        house.ask("t", SeatAction.REMOVE, A)
        await until(lambda: A not in house.runner.room.flowing)
        house.runner.tell("no event at all")  # type: ignore[arg-type]  # a defect, forced
        await until(lambda: host.closed)
        assert (host.closed, first.closed, second.closed) == (["draining"], ["draining"], ["draining"])
        assert house.runner.quality() == {}
        late = Outbox()
        assert not house.runner.join("late", B, "B", "seat:B", late, media_kept=False)
        house.store.gate.set()
        await until(house.task.done)
        assert isinstance(house.task.exception(), AssertionError)
        assert house.store.states[A] is SeatState.REMOVED


async def test_an_error_of_the_store_that_nobody_foresaw_closes_the_room() -> None:
    async with running() as house:
        host, _, _ = await house.visit()
        house.store.failure = ZeroDivisionError()
        house.ask("t", SeatAction.HOLD, A)
        await until(house.task.done)
        assert isinstance(house.task.exception(), ZeroDivisionError)
        assert host.closed == ["draining"]


async def test_a_room_that_another_worker_took_is_closed() -> None:
    async with running() as house:
        host, first, second = await house.visit()
        house.store.gate.clear()
        house.ask("t", SeatAction.HOLD, A)
        house.ask("t", SeatAction.RESUME, A)
        house.ask("t", SeatAction.REMOVE, B)
        await until(lambda: house.runner.room.flowing == {T})
        house.store.refusal = "fenced-room"
        house.store.gate.set()
        await until(lambda: host.closed)
        assert (host.closed, first.closed, second.closed) == (["moved"], ["moved"], ["moved"])
        assert house.runner.quality() == {}
        assert not house.runner.join("late", B, "B", "seat:B", Outbox(), media_kept=False)
        await until(house.task.done)
        assert house.task.exception() is None
        # Each was asked of the store once: who owns the room is not a matter of patience.
        assert [c.action for c in house.store.refused] == [
            SeatAction.HOLD,
            SeatAction.RESUME,
            SeatAction.REMOVE,
        ]


async def test_a_closing_room_asks_once_more_for_what_it_owes() -> None:
    async with running() as house:
        host, _, _ = await house.visit()
        house.store.refusal = "audit-unavailable"
        owing = house.ask("t", SeatAction.REMOVE, B)
        await until(lambda: owing in host.replies and house.runner.room.owed)
        house.runner.stop()
        await until(lambda: len(house.store.refused) > 1)
        assert not house.task.done()
        house.store.refusal = None
        await until(house.task.done)
        assert house.store.states[B] is SeatState.REMOVED


async def test_a_closing_room_does_not_ask_again_for_an_opening() -> None:
    async with running({A: SeatState.WAITING}) as house:
        host = house.join("t", T)
        house.ask("t", SeatAction.ENTER)
        await house.connect("t", host)
        await until(lambda: host.roster and host.roster.clinician_present)
        house.store.gate.clear()
        house.ask("t", SeatAction.ADMIT, A)
        await until(lambda: len(house.store.asked) == 2)
        house.store.refusal = "audit-unavailable"
        house.runner.stop()
        await until(lambda: host.closed)
        house.store.gate.set()
        await until(house.task.done)
        assert [commit.action for commit in house.store.refused] == [SeatAction.ADMIT]


async def test_stopping_waits_for_the_store_but_not_for_ever() -> None:
    async with running() as house:
        host, _, _ = await house.visit()
        house.store.gate.clear()
        house.ask("t", SeatAction.HOLD, A)
        began = time.monotonic()
        house.runner.stop()
        await until(house.task.done, within=FLUSH_WITHIN + 1.5)
        assert time.monotonic() - began > FLUSH_WITHIN - 0.2
        assert host.closed == ["draining"]
        assert house.task.exception() is None


@pytest.mark.parametrize("why", ["stopped", "another worker's"])
async def test_what_closes_is_made_durable_also_behind_the_end_of_the_room(why: str) -> None:
    async with running({A: SeatState.WAITING}) as house:
        host = house.join("t", T)
        house.ask("t", SeatAction.ENTER)
        await house.connect("t", host)
        await until(lambda: host.roster and host.roster.clinician_present)
        first, second = house.join("a", A), house.join("b", B)
        house.ask("t", SeatAction.ADMIT, A)
        await until(lambda: first.state == "admitted")
        if why == "stopped":
            house.runner.stop("moved")
        else:
            house.runner.tell(CommitRefused(0, "fenced-room"))
        house.ask("b", SeatAction.KNOCK)
        house.ask("a", SeatAction.REMOVE, T)  # not theirs to ask for
        house.ask("t", SeatAction.HOLD, A)
        house.ask("a", SeatAction.LEAVE)
        await until(house.task.done)
        assert host.closed == second.closed == ["moved"]
        made = [(commit.action, commit.seats) for commit in house.store.commits[2:]]
        assert made == [(SeatAction.HOLD, (A,)), (SeatAction.LEAVE, (A,))]


async def test_a_room_that_nobody_needs_any_more_finishes_and_takes_nobody_in() -> None:
    async with running(is_open=False) as house:
        page = house.join("a", A)
        await until(lambda: page.views or page.closed)
        house.runner.part("a")
        await until(house.task.done)
        assert house.task.exception() is None
        assert not house.runner.join("a2", A, "A", "seat:A", Outbox(), media_kept=False)


async def test_pages_are_told_that_the_store_is_away() -> None:
    async with running({A: SeatState.WAITING}) as house:
        page = house.join("a", A)
        await until(lambda: page.views and _place(page).store_ok)
        house.runner.tell(StoreHealth(False))
        await until(lambda: not _place(page).store_ok)


async def test_how_links_are_reaches_the_pages_in_words_and_numbers_alone_reach_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    links: dict[SeatCode, Quality] = {}
    monkeypatch.setattr(Transports, "quality", lambda _: dict(links))
    monkeypatch.setattr(Transports, "standings", lambda _: {seat: q.standing for seat, q in links.items()})
    async with running() as house:
        host, first, second = await house.visit()
        await asyncio.gather(house.connect("a", first), house.connect("b", second))
        standing = Standing(Grade.WEAK, "udp", receives=Level.SOUND)
        links[A] = Quality(0.0, 0.5, 9.0, 0, 60_000, 40.0, standing)
        await until(lambda: _place(first).receives is Level.SOUND)
        await until(lambda: host.roster is not None and host.roster.seats[0].link == standing)
        shown = len(first.views)
        links[A] = replace(links[A], loss_out=0.4, bitrate_out=50_000)
        links[B] = replace(links[A], standing=Standing(Grade.FAIR, "tcp", receives=Level.SCREEN))
        await until(lambda: _place(second).receives is Level.SCREEN)  # looked at in one go with the other
        assert len(first.views) == shown
        del links[A]
        await until(lambda: _place(first).receives is Level.ALL)


# ---- handed over to another worker -----------------------------------------------------------------------


async def heard_visit(house: House) -> tuple[Outbox, Outbox, Outbox]:
    """Everybody in the room with media."""
    host, first, second = await house.visit()
    await house.connect("a", first)
    await house.connect("b", second)
    await until(lambda: receives(house, "a"))
    return host, first, second


def receives(house: House, link: str) -> bool:
    """Whether anything has come since the last question."""
    client = house.heard[link].client
    came = bool(client.rtp)
    client.rtp.clear()
    return came


async def test_who_is_handed_over_goes_on_hearing_until_everybody_has_moved() -> None:
    async with running() as house:
        host, first, second = await heard_visit(house)
        given: list[frozenset[SeatCode]] = []

        async def pass_on(moving: frozenset[SeatCode]) -> bool:
            assert [*host.closed, *first.closed] == [], "there is nowhere to go before that"
            given.append(moving)
            return True

        house.runner.hand_over(pass_on)
        await until(lambda: first.closed)
        assert host.closed == first.closed == second.closed == ["moved"]
        assert given == [frozenset({A, B, T})]
        assert not house.runner.join("late", A, "A", "seat:A", Outbox(), media_kept=True)
        for link in "ab":
            house.heard[link].client.rtp.clear()
            await until(partial(receives, house, link))
        await house.heard["a"].close()
        await until(lambda: receives(house, "b"))
        assert not house.task.done()
        await house.heard["t"].close()  # the clinician has moved: nobody is left alone here
        await until(house.task.done)


@pytest.mark.parametrize("why", ["let go", "decided elsewhere", "store away", "asked too late"])
async def test_a_room_that_is_handed_over_is_cut_at_once_when(why: str) -> None:
    async with running() as house:
        _, first, _ = await heard_visit(house)

        async def pass_on(moving: frozenset[SeatCode]) -> bool:
            return True

        house.runner.hand_over(pass_on)
        await until(lambda: first.closed)
        began = time.monotonic()
        match why:
            case "let go":
                house.runner.stop("moved")
            case "decided elsewhere":
                house.store.states[A] = SeatState.HELD
                house.runner.reload()
            case "store away":
                house.runner.tell(StoreHealth(False))
            case "asked too late":
                house.ask("t", SeatAction.REMOVE, A)
        await until(house.task.done)
        assert time.monotonic() - began < 1.0
        house.heard["a"].client.rtp.clear()
        for _ in range(30):
            await asyncio.sleep(0.01)
        assert not receives(house, "a")
        if why == "asked too late":
            assert house.store.states[A] is SeatState.REMOVED, "whoever runs the room now learns of it"


@pytest.mark.parametrize("slow", ["the store", "the next owner"])
async def test_somebody_is_cut_at_once_also_while_the_room_is_being_given_away(slow: str) -> None:
    async with running() as house:
        host, first, _ = await heard_visit(house)
        taken = asyncio.Event()

        async def pass_on(moving: frozenset[SeatCode]) -> bool:
            await taken.wait()
            return True

        if slow == "the store":
            house.store.gate.clear()
            house.ask("t", HostAction.MUTE, B)
        house.runner.hand_over(pass_on)
        await until(lambda: house.runner.finished)
        await until(partial(receives, house, "a"))
        removal = house.ask("t", SeatAction.REMOVE, A)
        await until(lambda: not house.media._gates["meeting"].seats, within=0.5)
        house.store.gate.set()
        await until(lambda: host.replies.get(removal, "none") is None)  # and told before it is sent away
        assert house.store.states[A] is SeatState.REMOVED
        taken.set()
        await until(house.task.done)
        assert first.closed == ["moved"]


async def test_what_nobody_takes_is_closed_as_ever() -> None:
    async with running() as house:
        _, first, _ = await heard_visit(house)

        async def pass_on(moving: frozenset[SeatCode]) -> bool:
            return False

        house.runner.hand_over(pass_on)
        await until(house.task.done)
        assert first.closed == ["moved"]


async def test_nothing_is_handed_over_that_is_not_durable() -> None:
    async with running() as house:
        await heard_visit(house)
        passed: list[object] = []

        async def pass_on(moving: frozenset[SeatCode]) -> bool:
            passed.append((moving, house.store.states[A]))
            return True

        house.store.gate.clear()
        house.ask("t", SeatAction.HOLD, A)
        await until(lambda: A not in house.runner.room.flowing)
        house.runner.hand_over(pass_on)
        await until(lambda: house.runner.finished)
        assert passed == []
        house.store.gate.set()
        await until(lambda: passed)
        assert passed == [(frozenset({B, T}), SeatState.HELD)]
        await house.heard["t"].close()
        await until(house.task.done)


async def test_the_former_owner_is_let_go_when_somebody_is_cut_or_all_is_well() -> None:
    async with running() as house:
        let_go: list[float] = []
        house.runner.let_former_go = lambda: let_go.append(time.monotonic())
        await house.visit()
        opened = time.monotonic()
        assert not let_go
        await until(lambda: let_go)
        assert let_go[0] < opened + OVERLAP
        let_go.clear()
        house.store.gate.clear()
        house.ask("t", HostAction.MUTE, A)
        await until(lambda: let_go)  # before the store has it
        house.store.gate.set()
