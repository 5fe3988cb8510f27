"""For how long a worker may go by a lease without having heard from the store: its own steady clock decides.

    heard ──▶ sure ──2/3 of the TTL──▶ unsure ──renewed──▶ sure
                                          └──another's──▶ forgotten

A lease ends by the store's clock, which may jump, and a worker may be stopped for a minute without noticing.
So a worker counts from the moment it *asked*, which is before the store's count began, and stops being sure
while a third of the lease is left. Unsure means: ask before opening anything or taking anybody new. The
tokens fence off the rest (docs/decisions/0007).

Pure: ``now`` comes in, monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from broker.ids import MeetingId


@dataclass(slots=True)
class Tenure:
    """The rooms of one worker, and until when it is sure of each.

    Args:
        ttl: how long a lease lasts in the store, seconds.
    """

    ttl: float
    _until: dict[MeetingId, float] = field(default_factory=dict, init=False)

    def heard(self, meetings: Iterable[MeetingId], asked_at: float) -> None:
        """The store said that these are ours.

        Args:
            meetings: taken or renewed.
            asked_at: when the question was sent, monotonic seconds; an answer that was overtaken by that to
                a later question shortens nothing.
        """
        until = asked_at + self.ttl * 2 / 3
        for meeting in meetings:
            self._until[meeting] = max(until, self._until.get(meeting, until))

    def forget(self, meetings: Iterable[MeetingId]) -> None:
        """These were released, or belong to another."""
        for meeting in meetings:
            self._until.pop(meeting, None)

    def sure(self, meeting: MeetingId, now: float) -> bool:
        """Whether this room is ours for certain; ``False`` as well for one never heard of."""
        until = self._until.get(meeting)
        return until is not None and now < until

    def unsure(self, now: float) -> frozenset[MeetingId]:
        """The rooms for which the store must be asked before anything is opened there."""
        return frozenset(meeting for meeting, until in self._until.items() if now >= until)

    @property
    def deadline(self) -> float | None:
        """When the first room becomes unsure, or has: monotonic seconds; ``None`` without rooms."""
        return min(self._until.values(), default=None)
