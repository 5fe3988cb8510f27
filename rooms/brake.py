"""Far more is sent to a seat than arrives: its pictures must stop now, not when the reports come.

    NACK after NACK of what was just sent ──▶ a flood ──▶ pictures stop for ``HOLD``, publishers step down
                                                └──▶ which they have already: the ladder (rooms.weak) pauses

Reports come once a second, and a publisher takes another to send less. Meanwhile a picture that nobody can
decode, and every retransmission of it, pushes sound out of the bottleneck. A browser misses packets within
tens of milliseconds. A second without a picture empties the queue, and what follows is a whole picture of a
size that fits; it would have stood still anyway.

Loss by chance does not stop anything, nor does a network that was away: that one misses much, but once.

Pure: what is missed and ``now`` come in, a verdict goes out.
"""

from __future__ import annotations

from collections import deque
from typing import Final

HOLD: Final = 1.0
"""Seconds that pictures stop: a publisher steps down within half, and a deep queue holds about as much."""
FLOOD: Final = 0.3
"""Fraction missed from which it is not chance; a bad radio link loses a tenth."""
AGAIN: Final = 10.0
"""Seconds after a stop in which another flood, with publishers at the least, is one too many."""
_SPAN: Final = 1.0  # seconds that are looked at
_APART: Final = 0.1  # seconds from the first NACK of a flood to the last
# Packets missed that are a flood, in how many NACKs, and what fraction: in one NACK, a network was away.
_SOME: Final = (10, 4, FLOOD)
_MOST: Final = (12, 2, 0.6)  # hardly anything arrives, so hardly a NACK is sent


class Gaps:
    """What a subscriber misses of one picture, NACK by NACK."""

    __slots__ = ("_nacks", "newest")

    def __init__(self) -> None:
        self.newest = -1
        self._nacks: deque[tuple[float, int, int]] = deque(maxlen=64)

    def note(self, missed: int, newest: int, now: float) -> float:
        """Take in one NACK.

        Args:
            missed: packets that were sent and are missed for the first time.
            newest: extended sequence number of the newest of them.
            now: seconds; never decreases.

        Returns:
            The fraction that is lost in a flood, 0 while there is none.
        """
        if missed <= 0 or newest <= self.newest:
            return 0.0
        self.newest = newest
        self._nacks.append((now, newest, missed))
        while now - self._nacks[0][0] > _SPAN:
            self._nacks.popleft()
        begun_at, before, of_before = self._nacks[0]
        lost = sum(count for _, _, count in self._nacks) - of_before
        told, fraction = len(self._nacks), min(1.0, lost / max(1, newest - before))
        enough = any(
            lost >= least and told >= nacks and fraction >= of for least, nacks, of in (_SOME, _MOST)
        )
        return fraction if enough and now - begun_at >= _APART else 0.0
