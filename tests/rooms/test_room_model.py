"""Never alone, by exhaustion: every order of events up to a depth, checked against what may flow at all.

Random walks pass by a defect that takes three particular steps. Here a small world (a couple, their
clinician with two pages, a store that may be slow or away) is walked breadth first, each state once, and
beside the room stands an account that the room does not share: what the store made durable, and whether the
clinician's transport is heard.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from broker.audit import EventType
from broker.seats import CLOSING, MOVES, SeatAction, SeatCode, SeatState, SessionKind, roster
from rooms import views
from rooms.effects import ClosePeer, Commit, Effect, OpenPeer, Record, SetGate
from rooms.events import (
    Asked,
    CommitRefused,
    Committed,
    Connected,
    DeviceAnswered,
    Disconnected,
    Event,
    FellSilent,
    HeardAgain,
    HostAction,
    MediaChanged,
    SeatReloaded,
    SessionReloaded,
    SignedOut,
    StoreHealth,
    Tick,
)
from rooms.room import Room
from tests.rooms.playbook import HOUR_MS, START_MS, SUITE, A, B, T

PATIENTS = frozenset({A, B})
#: Each page with its seat and device: the clinician has two pages on two devices, partner A two devices.
PAGES = {"t1": (T, "desk"), "t2": (T, "phone"), "a1": (A, "a"), "a2": (A, "other"), "b1": (B, "b")}
#: States walked from each beginning, which bounds the time: a second each.
STATES = 2_000


@dataclass(slots=True)
class World:
    """A room, and an account of what happened that is kept apart from it.

    Attributes:
        truth: what the store has.
        asked: commits that the store has not answered, oldest first.
        offered: the device that the clinician's latest transport was offered to.
        up: whether that transport stands.
        heard: whether it is being heard.
        former: an earlier one was up, and the room was not told yet that it is gone.
        receipts: patients whose latest opening the store made durable after their latest closing or pause.
    """

    room: Room
    now: float = 1000.0
    truth: dict[SeatCode, SeatState] = field(default_factory=dict)
    ended: bool = False
    asked: list[Commit] = field(default_factory=list)
    offered: str | None = None
    up: bool = False
    heard: bool = False
    former: bool = False
    receipts: set[SeatCode] = field(default_factory=set)

    @classmethod
    def empty(cls) -> World:
        seats = {plan.code: SeatState.EXPECTED for plan in roster(SessionKind.COUPLE)}
        room = Room(
            kind="couple",
            is_open=True,
            starts_ms=START_MS,
            ends_ms=START_MS + 24 * HOUR_MS,
            seats=[SeatReloaded(code, state, False, True, START_MS, 0) for code, state in seats.items()],
            wall_ms=START_MS,
        )
        return cls(room, truth=seats)

    @property
    def clinician_there(self) -> bool:
        """Whether a clinician is in the room and can hear it, as far as anybody here can know."""
        return (
            self.truth[T] is SeatState.ADMITTED
            and self.up
            and self.heard
            and T not in self.closing
            and not self.ended
        )

    @property
    def closing(self) -> set[SeatCode]:
        """Seats whose closing is ordered and not yet answered."""
        return {
            seat
            for commit in self.asked
            if commit.action in CLOSING or commit.action is HostAction.END
            for seat in commit.seats or tuple(self.truth)
        }

    def tell(self, event: Event) -> None:
        """One event, and every rule afterwards."""
        before = self.room.flowing
        effects = self.room.handle(event, self.now, START_MS + int((self.now - 1000) * 1000))
        for effect in effects:
            self._note(effect)
        self.receipts -= self.closing
        if not self.clinician_there:
            self.receipts.clear()
        self._check(before, effects)

    def _note(self, effect: Effect) -> None:
        match effect:
            case Commit():
                self.asked.append(effect)
            case OpenPeer(seat, link) if seat == T:
                self.offered = PAGES[link][1]
                self.lose_transport()
            case ClosePeer(seat) if seat == T:
                self.offered = None
                self.lose_transport()
            case _:
                pass

    def lose_transport(self) -> None:
        """The clinician's transport ends at once; the room is told in its turn."""
        self.former, self.up, self.heard = self.former or self.up, False, False

    def _check(self, before: frozenset[SeatCode], effects: list[Effect]) -> None:
        gate = self.room.flowing
        gates = [n for n, effect in enumerate(effects) if isinstance(effect, SetGate)]
        assert gates in ([], [0]), "the gate changes first, and once"
        assert (gate != before) <= bool(gates), "nothing flows or stops without the order"
        if gate & PATIENTS:
            assert T in gate, "partners are together without a clinician in the gate"
            assert self.clinician_there, "partners are together and no clinician hears them"
        assert all(self.truth[seat] is SeatState.ADMITTED for seat in gate), (
            "a seat flows that is not admitted"
        )
        assert not gate & self.closing, "a seat flows whose closing was ordered"
        assert gate & PATIENTS <= self.receipts, "a seat was opened and the store has no record of it"
        paused = {effect.seat for effect in effects if isinstance(effect, Record)}
        for seat in (before - gate) & PATIENTS:
            assert seat in self.closing or self.truth[seat] is not SeatState.ADMITTED or seat in paused, (
                "a partner was cut and nothing records it"
            )
        settled = not self.asked and self.room.store_ok and not self.room._commits
        if settled and self.clinician_there and self.room._commits.retry_at is None:
            admitted = {seat for seat, state in self.truth.items() if state is SeatState.ADMITTED}
            assert gate == admitted, "everything is in order, and somebody admitted is kept out"

    # ---- the store -----------------------------------------------------------------------------------------

    def answer(self) -> None:
        """The store takes the oldest commit, or refuses it by the table."""
        commit, action = self.asked.pop(0), None
        if isinstance(commit.action, SeatAction):
            action = MOVES[commit.action]
            already = all(self.truth[seat] is action.to for seat in commit.seats)
            if not already and not all(self.truth[seat] in action.origins for seat in commit.seats):
                self.tell(CommitRefused(commit.number, "wrong-state"))
                return
            self.truth.update(dict.fromkeys(commit.seats, action.to))
        elif commit.action is HostAction.END:
            self.ended = True
            self.truth = dict.fromkeys(self.truth, SeatState.ENDED)
        if (action is not None and action.to is SeatState.ADMITTED) or commit.event is EventType.SEAT_RESUMED:
            self.receipts |= set(commit.seats) & PATIENTS
        states = {seat: self.truth[seat] for seat in commit.seats}
        self.tell(Committed(commit.number, states, False, START_MS))

    def reload(self) -> None:
        """The room reads the store again, as after somebody else's change; in turn with its own commits."""
        rows = tuple(SeatReloaded(s, state, False, True, START_MS, 0) for s, state in self.truth.items())
        self.tell(SessionReloaded(not self.ended, rows))

    # ---- telling states apart ------------------------------------------------------------------------------

    def key(self) -> object:
        """All that decides what can follow; two worlds with the same key need not both be walked."""
        commits = self.room._commits
        retry = None if commits.retry_at is None else self._ago(commits.retry_at)
        return (
            tuple(self._key_of(code) for code in sorted(self.room.seats)),
            (self.room.open, self.room.store_ok, self.room.flowing, self.room.paused),
            frozenset(self.room._cleared),
            tuple((commit.action, commit.seats) for commit in commits._ordered()),
            (retry, tuple((commit.action, commit.seats) for commit in self.asked)),
            (tuple(self.truth.items()), self.ended, self.offered, self.up, self.heard, self.former),
            frozenset(self.receipts),
        )

    def _key_of(self, code: SeatCode) -> tuple[object, ...]:
        seat = self.room.seats[code]
        asking = None if seat.asking is None else (seat.asking.link, self._ago(seat.asking_since))
        return (
            *(seat.state, tuple(seat.pages), asking, seat.media_link, seat.media_device, seat.suite),
            *(seat.silent, seat.presence, seat.last_device, self._ago(seat.dead_since)),
        )

    def _ago(self, at: float) -> int:
        return int(max(-50.0, min(50.0, self.now - at)))


Step = Callable[[World], bool | None]


def _asks(link: str, action: SeatAction | HostAction, *seats: SeatCode) -> Step:
    def step(world: World) -> bool | None:
        if link not in world.room.seats[PAGES[link][0]].pages:
            return False
        world.tell(Asked(link, 1, action, seats))
        return None

    return step


def _opens(link: str, *, kept: bool = False) -> Step:
    def step(world: World) -> bool | None:
        seat, device = PAGES[link]
        # The runner sees to it: a page keeps its media if its device was offered the living transport.
        if kept and not (world.up and world.offered == device):
            return False
        world.tell(Connected(seat, link, device, f"seat:{seat}", kept))
        return None

    return step


def _closes(link: str) -> Step:
    def step(world: World) -> bool | None:
        seat = world.room.seats[PAGES[link][0]]
        if link not in seat.pages and (seat.asking is None or seat.asking.link != link):
            return False
        world.tell(Disconnected(link))
        return None

    return step


def _transport_up(world: World) -> bool | None:
    if world.offered is None or world.up:
        return False
    if world.former:  # told in its turn: the former one is gone, then the new one stands
        _transport_down(world)
    world.up = world.heard = True
    world.tell(MediaChanged(T, SUITE))
    return None


def _transport_down(world: World) -> bool | None:
    if not world.up and not world.former:
        return False
    world.former = world.up = world.heard = False
    world.tell(MediaChanged(T, None))
    return None


def _silent(world: World) -> bool | None:
    if world.room.seats[T].silent:
        return False
    world.heard = False
    world.tell(FellSilent(T))
    return None


def _heard_again(world: World) -> bool | None:
    if not world.room.seats[T].silent:
        return False
    world.heard = world.up
    world.tell(HeardAgain(T))
    return None


def _signed_out(device: str) -> Step:
    def step(world: World) -> None:
        if world.offered == device:
            world.lose_transport()
        world.tell(SignedOut(T, device))

    return step


def _answered(world: World) -> bool | None:
    if not world.asked:
        return False
    world.answer()
    return None


def _unavailable(world: World) -> bool | None:
    if not world.asked:
        return False
    world.tell(CommitRefused(world.asked.pop(0).number, "audit-unavailable"))
    return None


def _device_allowed(world: World) -> bool | None:
    seat = world.room.seats[A]
    if seat.asking is None or not seat.pages:
        return False
    world.tell(DeviceAnswered(next(iter(seat.pages)), yielded=True, asking=seat.asked))
    return None


def _passes(seconds: float) -> Step:
    def step(world: World) -> None:
        world.now += seconds
        world.tell(Tick())

    return step


def _store(ok: bool) -> Step:
    def step(world: World) -> bool | None:
        if world.room.store_ok is ok:
            return False
        world.tell(StoreHealth(ok))
        return None

    return step


def _reloaded(world: World) -> bool | None:
    if world.asked:
        return False
    world.reload()
    return None


STEPS: dict[str, Step] = {
    "the clinician opens a page": _opens("t1"),
    "the clinician opens a second page": _opens("t2"),
    "the clinician's page comes back with its media": _opens("t1", kept=True),
    "the clinician's page goes": _closes("t1"),
    "the clinician's second page goes": _closes("t2"),
    "the clinician enters": _asks("t1", SeatAction.ENTER),
    "the clinician enters with the second page": _asks("t2", SeatAction.ENTER),
    "the clinician leaves": _asks("t1", SeatAction.LEAVE),
    "the clinician's transport comes up": _transport_up,
    "the clinician's transport goes": _transport_down,
    "the clinician falls silent": _silent,
    "the clinician is heard again": _heard_again,
    "the clinician's desk is signed out": _signed_out("desk"),
    "both are admitted": _asks("t1", SeatAction.ADMIT, A, B),
    "A is held": _asks("t1", SeatAction.HOLD, A),
    "A is resumed": _asks("t1", SeatAction.RESUME, A),
    "A is moved back": _asks("t1", SeatAction.MOVE_BACK, A),
    "A leaves": _asks("a1", SeatAction.LEAVE),
    "A knocks": _asks("a1", SeatAction.KNOCK),
    "A's page goes": _closes("a1"),
    "A opens the page": _opens("a1"),
    "A opens another device": _opens("a2"),
    "A lets the other device": _device_allowed,
    "the session is ended": _asks("t1", HostAction.END),
    "the store answers": _answered,
    "the store cannot be reached": _unavailable,
    "the store is known to be away": _store(ok=False),
    "the store is known to be back": _store(ok=True),
    "the session is read again": _reloaded,
    "a second and a half passes": _passes(1.5),
    "half a minute passes": _passes(31),
}

ENTERED = [
    "the clinician opens a page",
    "the clinician enters",
    "the store answers",
    "the clinician's transport comes up",
]
WAITING = [*ENTERED, "A opens the page", "A knocks", "the store answers", "B comes"]
LIVE = [*WAITING, "both are admitted", "the store answers"]
BEGINNINGS = {
    "nobody is there": [],
    "both wait": WAITING,
    "all are in the room": LIVE,
    "the clinician is lost": [*LIVE, "the clinician falls silent"],
    "the clinician has two pages": [*LIVE, "the clinician opens a second page"],
    "A is on hold": [*LIVE, "A is held", "the store answers"],
    "the store is slow": [*LIVE, "A is held"],
}


def _b_comes(world: World) -> None:
    _opens("b1")(world)
    _asks("b1", SeatAction.KNOCK)(world)
    world.answer()


def _play(names: Iterable[str]) -> World:
    world = World.empty()
    for name in names:
        (STEPS | {"B comes": _b_comes})[name](world)
    return world


def walk(beginning: list[str], most: int) -> tuple[int, int]:
    """Walk breadth first until so many different states were seen, or all of them.

    Returns:
        How many states were seen, and the depth to which every order of steps was tried.
    """
    start = _play(beginning)
    seen = {start.key()}
    layer: list[tuple[bytes, tuple[str, ...]]] = [(pickle.dumps(start), ())]
    depth = 0
    while layer:
        following: list[tuple[bytes, tuple[str, ...]]] = []
        for frozen, path in layer:
            for name, step in STEPS.items():
                world: World = pickle.loads(frozen)
                try:
                    applies = step(world)
                except AssertionError as error:
                    error.add_note(" ▶ ".join([*beginning, *path, name]))
                    raise
                if applies is False or (key := world.key()) in seen:
                    continue
                seen.add(key)
                following.append((pickle.dumps(world), (*path, name)))
            if len(seen) >= most:
                return len(seen), depth
        layer, depth = following, depth + 1
    return len(seen), depth


@pytest.fixture(autouse=True)
def without_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pages are shown decides nothing here and costs half of the time."""

    def nothing(*_: Any) -> None: ...

    monkeypatch.setattr(views, "view_of", nothing)
    monkeypatch.setattr(views, "asking_view", nothing)


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_partners_are_never_alone_in_any_order_of_events(beginning: list[str]) -> None:
    states, depth = walk(beginning, STATES)
    assert states >= STATES
    assert depth >= 2, "every three steps from here were tried"
