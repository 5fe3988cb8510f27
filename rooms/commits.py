"""What a room has asked of the store: the commits under way, and those it still owes.

    issue ──▶ under way ──Committed, or refused──▶ done
                  └──store away──▶ owed (closings only) ──after a moment──▶ issued again

A closing that the store did not take is owed: its seats stay cut and it is asked for again until the store
takes it. So is the news that another device has a seat. An opening that was not taken is simply refused;
whoever asked may ask again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.audit import EventType
from broker.seats import CLOSING, SeatAction, SeatCode
from rooms.effects import Commit
from rooms.events import Device, HostAction, Link, RoomAction

RETRY_AFTER: Final = 1.0
"""Seconds between attempts to record what the store did not take."""

OWED: Final = CLOSING | {HostAction.END, HostAction.MUTE, RoomAction.DEVICE}
"""What is asked for until the store takes it."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A commit under way, and which request it answers, if any."""

    commit: Commit
    link: Link | None
    request: int


@dataclass(slots=True)
class Commits:
    """The commits of one room, numbered.

    Attributes:
        retry_at: when to ask again for what is owed, monotonic seconds; ``None`` while the store answers.
    """

    retry_at: float | None = None
    _number: int = 0
    _under_way: dict[int, UnderWay] = field(default_factory=dict)
    _owed: list[Commit] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything is under way or owed."""
        return bool(self._under_way or self._owed)

    def issue(
        self,
        action: SeatAction | HostAction | RoomAction | None,
        seats: tuple[SeatCode, ...],
        actor: str,
        reason: str | None = None,
        event: EventType | None = None,
        *,
        devices: Mapping[SeatCode, Device | None] | None = None,
        link: Link | None = None,
        request: int = 0,
    ) -> Commit:
        """Number a new commit; ``link`` and ``request`` tell whom its answer answers."""
        self._number += 1
        commit = Commit(self._number, action, seats, actor, reason, event, devices or {})
        self._under_way[commit.number] = UnderWay(commit, link, request)
        return commit

    def done(self, number: int) -> UnderWay | None:
        """Take the commit that was answered; ``None`` for one that is not under way."""
        return self._under_way.pop(number, None)

    def not_taken(self, commit: Commit, now: float) -> None:
        """The store could not be reached: owe it, if it is one that is owed, and try again in a moment."""
        self.retry_at = now + RETRY_AFTER
        if commit.action in OWED:
            self._owed.append(commit)

    def store_is_back(self, now: float) -> None:
        """Try again at once."""
        if self.retry_at is not None:
            self.retry_at = now

    def due(self, now: float) -> list[Commit]:
        """What was owed and is to be issued again now."""
        if self.retry_at is None or now < self.retry_at:
            return []
        self.retry_at = None
        due, self._owed = self._owed, []
        return due

    @property
    def owed(self) -> tuple[Commit, ...]:
        """What the store did not take and is not under way again."""
        return tuple(self._owed)

    @property
    def resuming(self) -> bool:
        """Whether a return of paused seats is under way, or must wait for the store."""
        return self.retry_at is not None or any(way.commit.action is None for way in self._under_way.values())

    @property
    def ending(self) -> bool:
        """Whether the end of the session is ordered."""
        return any(commit.action is HostAction.END for commit in self._ordered())

    def closing(self, everybody: frozenset[SeatCode]) -> frozenset[SeatCode]:
        """The seats whose closing is ordered; the end closes everybody."""
        return frozenset(
            seat
            for commit in self._ordered()
            if commit.action in CLOSING or commit.action is HostAction.END
            for seat in (commit.seats or everybody)
        )

    def _ordered(self) -> list[Commit]:
        return [way.commit for way in self._under_way.values()] + self._owed
