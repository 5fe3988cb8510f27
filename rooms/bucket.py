"""A token bucket: so much at once, so much per second.

    full ──take──▶ … ──take──▶ empty ──refilled by time──▶ …

Pure: ``now`` is an argument.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

_FEW: Final = 64
"""So many buckets are kept without looking which of them are full."""


@dataclass(slots=True)
class Bucket:
    """One bucket; it begins full.

    Args:
        rate: per second.
        burst: at once.
        at: monotonic seconds of the last look.
    """

    rate: float
    burst: float
    at: float = 0.0
    left: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin full."""
        self.left = self.burst

    def take(self, now: float) -> bool:
        """Take one, if there is one.

        Args:
            now: monotonic seconds; never decreases between calls.
        """
        self._refill(now)
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def some(self, now: float) -> bool:
        """Whether there is one, for what shows only later what it costs: see ``spend``."""
        self._refill(now)
        return self.left >= 1

    def spend(self, amount: float) -> None:
        """Take so many; the last may be more than there are, and are waited for."""
        self.left -= amount

    def full(self, now: float) -> bool:
        """Whether it holds all it can, so that forgetting it changes nothing."""
        self._refill(now)
        return self.left >= self.burst

    def _refill(self, now: float) -> None:
        self.left = min(self.burst, self.left + (now - self.at) * self.rate)
        self.at = now


@dataclass(slots=True)
class Buckets:
    """A bucket for each name. Those that are full again are forgotten, so there are only as many as are busy.

    Args:
        rate: of each, per second.
        burst: of each, at once.
    """

    rate: float
    burst: float
    _of: dict[Hashable, Bucket] = field(default_factory=dict, init=False)
    _tidy_at: int = field(default=_FEW, init=False)

    def take(self, name: Hashable, now: float) -> bool:
        """Take one from the bucket of this name, if there is one.

        Args:
            name: whose bucket.
            now: monotonic seconds; never decreases between calls.
        """
        if name not in self._of:
            if len(self._of) >= self._tidy_at:
                self._of = {known: bucket for known, bucket in self._of.items() if not bucket.full(now)}
                self._tidy_at = max(_FEW, 2 * len(self._of))
            self._of[name] = Bucket(self.rate, self.burst, now)
        return self._of[name].take(now)

    def __len__(self) -> int:
        return len(self._of)
