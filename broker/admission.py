"""Moving seats, muting, ending: state and audit in one script (signatures; the bodies follow)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker.audit import EventType
from broker.ids import MeetingId
from broker.seats import SeatAction, SeatCode, SeatState


@dataclass(frozen=True, slots=True)
class Change:
    """What a change came to.

    Attributes:
        states: the state of each seat named, now.
        already: nothing was written because all of it was so already.
        at_ms: store time, milliseconds since 1970.
        rev: revision of the session after it.
    """

    states: dict[SeatCode, SeatState]
    already: bool
    at_ms: int
    rev: int


class Admission:
    """Carries out the rows of ``MOVES``."""

    async def change(
        self,
        meeting: MeetingId,
        action: SeatAction,
        seats: tuple[SeatCode, ...],
        actor: str,
        reason: str | None,
    ) -> Change:
        """All seats or none. Raises Refused (``not-open``, ``full``, ``wrong-state`` …), StoreUnavailable."""
        raise NotImplementedError

    async def mute(self, meeting: MeetingId, seats: tuple[SeatCode, ...], muted: bool, actor: str) -> Change:
        """Mute or unmute seats."""
        raise NotImplementedError

    async def end(self, meeting: MeetingId, actor: str, reason: str | None) -> Change:
        """End the session for all; ended already is ``already``."""
        raise NotImplementedError

    async def record(
        self,
        event: EventType,
        meeting: MeetingId,
        seat: SeatCode | None,
        actor: str,
        reason: str | None = None,
        detail: Mapping[str, str | int | bool] | None = None,
    ) -> int:
        """Make one event durable before returning its store time in milliseconds."""
        raise NotImplementedError
