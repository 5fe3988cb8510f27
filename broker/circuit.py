"""A circuit breaker: when the store keeps failing, say so at once instead of letting everyone wait.

    closed ──3 failures over ≥ 0.5 s, or one stall──▶ open ──any success──▶ closed

While open, calls fail fast and only a probe goes through. A store that restarts within half a second
opens nothing: calls in flight simply retry.

Pure: ``now`` comes in, monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_FAILURES: Final = 3
_SPAN: Final = 0.5


@dataclass(slots=True)
class Circuit:
    """The state of the path to the store."""

    is_open: bool = False
    _failures: int = 0
    _first: float = 0.0

    def failed(self, now: float) -> None:
        """One attempt got an error, or no connection."""
        if self._failures == 0:
            self._first = now
        self._failures += 1
        if self._failures >= _FAILURES and now - self._first >= _SPAN:
            self.is_open = True

    def stalled(self) -> None:
        """One call spent its whole deadline without an answer; there is nothing more to learn."""
        self.is_open = True

    def succeeded(self) -> None:
        """The store answered and wrote."""
        self.is_open = False
        self._failures = 0
