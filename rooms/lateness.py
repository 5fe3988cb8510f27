"""How long the packets of a stream wait on their way, told without knowing the sender's clock.

    transit = arrival - timestamp:   an unknown constant + the way itself + what waits in a queue

The least transit of the last 30 to 60 seconds stands for an empty queue; what the quickest packet of an
interval needs beyond it, it waited. Only the quickest counts: jitter and the burst of one picture do not. A
queue that was there before anybody measured is not seen; nor is one that has stood for longer than that.

Pure: transits and ``now`` come in, seconds go out.
"""

from __future__ import annotations

from typing import Final

WINDOW: Final = 30.0
"""Seconds after which the least transit is measured anew: clocks drift, and a device may lose samples."""
SILENT: Final = 2.0
"""Seconds without a packet after which nothing is known of a queue."""
_ABSURD: Final = 60.0  # seconds: the timestamps have wrapped, or the device counts from elsewhere


class Lateness:
    """Of one stream.

    Args:
        clock_rate: transit units per second.

    Attributes:
        seconds: by which the quickest packet of the last interval came late; 0 while nothing is known.
    """

    __slots__ = ("_begun_at", "_clock_rate", "_former", "_heard_at", "_least", "seconds")

    def __init__(self, clock_rate: int) -> None:
        self.seconds = 0.0
        self._clock_rate = clock_rate
        self._least: int | None = None
        self._former: int | None = None
        self._begun_at = self._heard_at = float("-inf")

    def close_interval(self, least: int | None, now: float) -> None:
        """End an interval.

        Args:
            least: transit of its quickest packet, ``None`` when none came.
            now: seconds; never decreases.
        """
        if least is None:
            if now - self._heard_at >= SILENT:
                self.forget()
            return
        self._heard_at = now
        known = [transit for transit in (self._least, self._former) if transit is not None]
        if known and abs(least - min(known)) > _ABSURD * self._clock_rate:
            self.forget()
            known = []
        if self._least is None or now - self._begun_at >= WINDOW:
            self._former, self._least, self._begun_at = self._least, least, now
        self._least = min(self._least, least)
        self.seconds = (least - min([*known, least])) / self._clock_rate

    def forget(self) -> None:
        """Begin anew: whatever comes next has nothing to do with what came before."""
        self.seconds = 0.0
        self._least = self._former = None
