"""A token bucket: so much at once, so much per second.

    full ──take──▶ … ──take──▶ empty ──refilled by time──▶ …

Pure: ``now`` is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field


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

    def full(self, now: float) -> bool:
        """Whether it holds all it can, so that forgetting it changes nothing."""
        self._refill(now)
        return self.left >= self.burst

    def _refill(self, now: float) -> None:
        self.left = min(self.burst, self.left + (now - self.at) * self.rate)
        self.at = now
