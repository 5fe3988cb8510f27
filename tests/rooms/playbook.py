"""A playbook for the room machine: ``>>`` what happens, ``<<`` what must follow.

The playbook plays the store too: unless told otherwise it grants each ``Commit`` by the table of moves, so a
test reads like a visit.
"""

from __future__ import annotations

from typing import Any, Self

from broker.seats import MOVES, PLANS, SeatAction, SeatCode, SeatState, SessionKind, roster
from rooms.delivery import Delivery
from rooms.effects import Close, Commit, Effect, PlaceView, Record, Reply, RosterView, SetGate, Show
from rooms.events import (
    Asked,
    CommitRefused,
    Committed,
    Connected,
    Disconnected,
    Event,
    HostAction,
    MediaChanged,
    SeatReloaded,
    Tick,
)
from rooms.groups import GroupNews, Tell
from rooms.room import Room

A, B, P, T, C = (SeatCode(code) for code in "ABPTC")
START_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
SUITE = "AEAD_AES_256_GCM"


class Play:
    """A room, a clock and a store that says yes by the table (``store = "down"`` refuses everything)."""

    def __init__(
        self,
        kind: SessionKind = SessionKind.COUPLE,
        states: dict[SeatCode, SeatState] | None = None,
        *,
        with_cotherapist: bool = False,
        holders: dict[SeatCode, str | None] | None = None,
        moving: frozenset[SeatCode] = frozenset(),
        delivery: Delivery | None = None,
    ) -> None:
        self.now = 1000.0
        self.truth = {
            plan.code: (states or {}).get(plan.code, SeatState.EXPECTED)
            for plan in roster(kind, with_cotherapist=with_cotherapist)
        }
        self.holders = dict(holders or {})
        self.removed_from: set[SeatCode] = set()
        self.store = "up"
        self.waiting_commits: list[Commit] = []
        self.hold_answers = False
        self.effects: list[Effect] = []
        self.views: dict[str, PlaceView | RosterView] = {}
        self.closed: dict[str, str] = {}
        self.recorded: list[tuple[str, str, str | None]] = []
        self.replies: dict[int, str | None] = {}
        self.gate = SetGate(frozenset(), frozenset())
        self._request = 0
        self.room = Room(
            kind=kind.value,
            is_open=True,
            starts_ms=START_MS,
            ends_ms=START_MS + HOUR_MS,
            seats=[
                SeatReloaded(code, state, False, True, START_MS, 0, self.holders.get(code))
                for code, state in self.truth.items()
            ],
            wall_ms=self.wall_ms,
            moving=moving,
            moving_until=self.now + 6,
            delivery=delivery,
        )

    @property
    def wall_ms(self) -> int:
        """Wall time that goes with ``now``."""
        return START_MS + int((self.now - 1000.0) * 1000)

    def __rshift__(self, event: Event) -> Self:
        self.effects = []
        self._take(event)
        return self

    def __lshift__(self, effect: Effect) -> Self:
        assert effect in self.effects, f"{effect} not in {self.effects}"
        return self

    def _take(self, event: Event) -> None:
        effects = self.room.handle(event, self.now, self.wall_ms)
        for effect in effects:
            self.effects.append(effect)
            match effect:
                case Show(link, view):
                    self.views[link] = view
                case Close(link, code):
                    self.closed[link] = code
                case Record(kind, seat, _, reason):
                    self.recorded.append((kind.value, seat, reason))
                case Reply(_, request, code):
                    self.replies[request] = code
                case SetGate():
                    self.gate = effect
                case Commit():
                    self.waiting_commits.append(effect)
                case Tell(link, news):
                    self.tell(link, news)
                case _:
                    pass
        while self.waiting_commits and not self.hold_answers:
            self.answer_one()

    def tell(self, link: str, news: GroupNews) -> None:
        """A page is told of an encryption group; see ``tests.rooms.group_pages``."""

    def answer_one(self) -> None:
        """Let the store answer the oldest commit."""
        self._take(self._answer(self.waiting_commits.pop(0)))

    def _answer(self, commit: Commit) -> Event:
        if self.store == "down":
            return CommitRefused(commit.number, "audit-unavailable")
        if commit.action is HostAction.END:
            self.truth = dict.fromkeys(self.truth, SeatState.ENDED)
        elif isinstance(commit.action, SeatAction):
            move = MOVES[commit.action]
            if all(self.truth[seat] is move.to for seat in commit.seats):
                return Committed(commit.number, dict.fromkeys(commit.seats, move.to), True, self.wall_ms)
            if not all(self.truth[seat] in move.origins for seat in commit.seats):
                return CommitRefused(commit.number, "wrong-state")
            for seat in commit.seats:
                self.truth[seat] = move.to
                if commit.action is SeatAction.REMOVE:
                    self.removed_from.add(seat)
                elif commit.action is SeatAction.READMIT:
                    self.removed_from.discard(seat)
        self.holders |= commit.devices
        if commit.event is not None:
            self.recorded += [(commit.event.value, seat, commit.reason) for seat in commit.seats]
        return Committed(commit.number, {s: self.truth[s] for s in commit.seats}, False, self.wall_ms)

    def wait(self, seconds: float) -> Self:
        """Let time pass, ticking whenever the room asked for it."""
        until = self.now + seconds
        while self.room.deadline is not None and self.room.deadline <= until:
            self.now = max(self.now, self.room.deadline)
            self >> Tick()
        self.now = until
        return self

    # ---- what people do ----------------------------------------------------------------------------------

    def opens(
        self,
        seat: SeatCode,
        link: str | None = None,
        device: str | None = None,
        kept: tuple[str, int] | None = None,
        **more: Any,
    ) -> Self:
        """A page of the seat connects; by default one page ``a``, ``b``, ``t`` on a device of its own."""
        link = link or seat.lower()
        return self >> Connected(seat, link, device or f"device-{seat}", f"seat:{seat}", kept=kept, **more)

    def asks(
        self, link: str, action: SeatAction | HostAction, *seats: SeatCode, reason: str | None = None
    ) -> Self:
        """A page asks; the reply's code is then ``last_reply``."""
        self._request += 1
        return self >> Asked(link, self._request, action, seats, reason)

    @property
    def last_reply(self) -> str | None:
        """Code of the reply to the latest request; fails when there was none."""
        return self.replies[self._request]

    def media(self, seat: SeatCode, *, up: bool = True) -> Self:
        """The seat's transport connects or goes."""
        return self >> MediaChanged(seat, SUITE if up else None)

    def gone(self, link: str) -> Self:
        """A page disappears together with its media."""
        seats = [code for code, seat in self.room.seats.items() if link in seat.pages]
        self >> Disconnected(link)
        for seat in seats:
            self.media(seat, up=False)
        return self

    def place(self, link: str) -> PlaceView:
        """What a patient's page shows."""
        view = self.views[link]
        assert isinstance(view, PlaceView)
        return view

    def roster(self, link: str = "t") -> RosterView:
        """What a host's page shows."""
        view = self.views[link]
        assert isinstance(view, RosterView)
        return view


def waiting(kind: SessionKind = SessionKind.COUPLE) -> Play:
    """All patients wait with warm media; the therapist has entered."""
    play = Play(kind).opens(T).asks("t", SeatAction.ENTER).media(T)
    for code in play.truth:
        if PLANS[code].role.value == "patient":
            play.opens(code).asks(code.lower(), SeatAction.KNOCK).media(code)
    return play


def live(kind: SessionKind = SessionKind.COUPLE) -> Play:
    """Everybody is in the room."""
    play = waiting(kind)
    return play.asks(
        "t", SeatAction.ADMIT, *(code for code in play.truth if PLANS[code].role.value == "patient")
    )
