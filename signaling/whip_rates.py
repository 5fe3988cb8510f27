"""How often programs may ask by WHIP, so that strangers cost little and silence nobody.

    a token that was recognised before ──▶ its own seat's bucket, and no other
    any other ──▶ its household's ──▶ that of all strangers ──▶ looked up in the store
                      └────── empty ─────────┴──▶ its meeting's, if such a session is open ──▶ looked up

Every token is looked up anew each time; being recognised decides only who pays. Whoever floods with tokens
made up so uses up what strangers have, and stays out; a program that comes for the first time meanwhile names
a session that is open, which a stranger cannot guess. Whoever knows that name, such as the other partner, can
hold up a first coming by a wrong token a second, and nothing that was recognised.

Pure: ``now`` is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from rooms.bucket import Bucket, Buckets
from rooms.crowd import household

REQUESTS_PER_SECOND: Final = 1.0
REQUESTS_BURST: Final = 20.0
"""How often one seat's programs may ask for anything; and those nobody knows, for one open session."""
HOUSEHOLD_PER_SECOND: Final = 5.0
HOUSEHOLD_BURST: Final = 60.0
"""How often strangers of one household may ask: each is looked up in the store."""
ALL_PER_SECOND: Final = 100.0
ALL_BURST: Final = 400.0
"""How often all strangers together may."""
OPEN_FOR: Final = 2.0
"""Seconds for which the names of the open sessions are believed, when they are needed at all."""
MOST: Final = 4_096
"""Tokens remembered as recognised; those that asked last."""

Shown = tuple[str, str]
"""What a program shows: meeting and digest of the token, each anything at all."""
SeatName = tuple[str, str]


@dataclass(slots=True)
class Rates:
    """The buckets of the programs that ask one process."""

    seats: Buckets = field(default_factory=lambda: Buckets(REQUESTS_PER_SECOND, REQUESTS_BURST))
    meetings: Buckets = field(default_factory=lambda: Buckets(REQUESTS_PER_SECOND, REQUESTS_BURST))
    households: Buckets = field(default_factory=lambda: Buckets(HOUSEHOLD_PER_SECOND, HOUSEHOLD_BURST))
    strangers: Bucket = field(default_factory=lambda: Bucket(ALL_PER_SECOND, ALL_BURST))
    _recognised: dict[Shown, SeatName] = field(default_factory=dict, init=False)
    _open: frozenset[str] = field(default=frozenset(), init=False)
    _asked_at: float = field(default=float("-inf"), init=False)

    def take(self, shown: Shown, address: str, now: float) -> bool:
        """Whether what is shown may be looked up now.

        Args:
            shown: not looked at yet.
            address: of who asks; empty if nobody knows it.
            now: monotonic seconds.
        """
        if (seat := self._recognised.get(shown)) is not None:
            return self.seats.take(seat, now)
        # The household first: by itself it never uses up what all have together.
        if (not address or self.households.take(household(address), now)) and self.strangers.take(now):
            return True
        return shown[0] in self._open and self.meetings.take(shown[0], now)

    def wants_open(self, now: float) -> bool:
        """Whether the names of the open sessions are to be read anew. Whoever is told yes does it."""
        if now - self._asked_at < OPEN_FOR:
            return False
        self._asked_at = now
        return True

    def take_open(self, meetings: Iterable[str]) -> None:
        """These sessions are open."""
        self._open = frozenset(meetings)

    def recognised(self, shown: Shown, seat: SeatName, now: float) -> bool:
        """The token was looked up and is that of a seat. Returns whether the seat may do something now."""
        known = self._recognised.pop(shown, None) is not None  # who asked last stands last
        if not known and len(self._recognised) >= MOST:
            del self._recognised[next(iter(self._recognised))]
        self._recognised[shown] = seat
        return known or self.seats.take(seat, now)

    def refused(self, shown: Shown) -> None:
        """The token was looked up and opens nothing, or nothing any more."""
        self._recognised.pop(shown, None)
