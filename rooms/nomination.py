"""Which of its ways a browser wants media to take, told from its connectivity checks.

    Chromium, Safari    plain checks first, then one way is nominated,   the last nomination counts
                        again and again
    Firefox, libnice    every check nominates; later plain checks, on    the highest rank counts,
                        the way in use (RFC 7675)                        and the way in use

RFC 8445 §8.1.1 knows the first kind only; the second is the aggressive nomination of RFC 5245, which a lite
agent should never meet, but does (Mozilla's bug 1034964). By rank alone the first kind would be held on a
way that it has left (pion/ice#739): a browser that tried before it nominated has chosen, and may choose what
ranks lower. Which kind it is shows at the first check: none has been answered by then, so a nomination there
chooses nothing.

Firefox has the same PRIORITY for the checks of an interface and of a TURN server reached through it, and goes
through the server only where it must. Of equals so the first stays for as long as it is alive; not against
another port of the same host, for then its address was translated anew, and the old one leads nowhere.

One ``Nomination`` is one generation of credentials: an ICE restart begins with a new one. Pure: ``now``
comes in.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

A = TypeVar("A", bound=tuple[object, ...])
"""An address: its host, and what follows."""

Rank = tuple[int, int]
"""How good a way is: its path, then the PRIORITY of its checks. The greater is the better."""

INSISTING: Final = 3
"""Nominations in a row, with no check from the way in use between them, that count whatever their rank: the
answers that went the better way did not arrive. Firefox repeats one, and once, when it is asked itself."""

ALIVE: Final = 3.0
"""Seconds after a check for which a way keeps off others of its rank. A TURN server opens another in less;
and the checks of a way in use are four to six apart (RFC 7675 §5.1), so that the first from another network
is followed."""


class Nomination(Generic[A]):
    """What the checks of one generation say.

    Attributes:
        chosen: where media is wanted; ``None`` until something was nominated.
    """

    def __init__(self) -> None:
        self.chosen: A | None = None
        self._every: bool | None = None
        self._plain: set[A] = set()
        self._ranks: dict[A, Rank] = {}
        self._insists: tuple[A | None, int] = (None, 0)
        self._heard = 0.0

    def nominated(self, address: A) -> bool:
        """Whether media was ever wanted there."""
        return address in self._ranks

    def check(self, address: A, rank: Rank, *, nominates: bool, now: float) -> None:
        """Take note of an authentic check that did not come before.

        Args:
            address: where it came from.
            nominates: it carries USE-CANDIDATE.
            now: monotonic seconds.
        """
        if self._every is None:
            self._every = nominates
        if nominates and address in self._plain:
            self._every = False  # it has checked first after all: its first checks came in another order
        if address == self.chosen:
            self._insists = (None, 0)
        if not nominates:
            self._plain.add(address)
            if self._every:
                self._ranks.setdefault(address, rank)
                self._choose(address, now)  # also from a new port, when its address was translated anew
            return
        self._ranks[address] = rank
        if not self._every or self._better(address, now) or self._insistent(address):
            self._choose(address, now)

    def _choose(self, address: A, now: float) -> None:
        self.chosen, self._heard = address, now

    def _better(self, address: A, now: float) -> bool:
        if self.chosen is None or self.chosen == address:
            return True
        rank, present = self._ranks[address], self._ranks[self.chosen]
        gone = address[0] == self.chosen[0] or now - self._heard > ALIVE
        return rank > present or (rank == present and gone)

    def _insistent(self, address: A) -> bool:
        before, times = self._insists
        self._insists = (address, times + 1 if address == before else 1)
        return self._insists[1] >= INSISTING

    def forget(self, address: A) -> None:
        """An address is no more."""
        self._plain.discard(address)
        self._ranks.pop(address, None)
        if self.chosen == address:
            self.chosen = None
