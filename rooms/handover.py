"""What the former owner of a room still does while its pages move to the next: it forwards, and ever less.

    forwards to those inside ──a seat's transport ends──▶ to fewer ──▶ nothing: over
       ├── the clinician is not heard, nobody is left to hear anybody, patience spent ──▶ over
       └── the session is not any more what it was, or somebody says that it is enough ──▶ over

The next owner decides; this one opens nothing, and carries out only what still closes (docs/decisions/0012).
Its rule is the same as that of every room: nothing flows without a clinician who hears.

Pure: ``now`` comes in, monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.seats import SeatCode, SeatState
from rooms.effects import SetGate
from rooms.events import SessionReloaded

FORWARDS_FOR: Final = 6.0
"""Seconds that pages have to find the next owner and to connect their media there."""
OVERLAP: Final = 2.0
"""Seconds for which the former owner goes on when the next one has everybody: pictures are on their way."""


@dataclass(slots=True)
class Handover:
    """The end of a room here. It begins with those who exchange media, and is over when the gate is empty.

    Args:
        gate: who exchanges media, and who is muted.
        hosts: the clinicians' seats.
        until: when it is over in any case, monotonic seconds.
        patience: seconds of silence after which a clinician is taken not to hear.

    Attributes:
        ended: why it is over, for the log; ``None`` while it is not.
    """

    gate: SetGate
    hosts: frozenset[SeatCode]
    until: float
    patience: float
    ended: str | None = field(default=None, init=False)
    _known: object = field(default=None, init=False)

    @property
    def over(self) -> bool:
        """Whether nothing is forwarded any more, for good."""
        return not self.gate.seats

    def end(self, why: str) -> None:
        """It is enough; only the first reason counts."""
        self.ended = self.ended or why
        self.gate = SetGate(frozenset(), self.gate.muted)

    def begins(self, session: SessionReloaded) -> None:
        """All that was decided here is durable, and this is the session then."""
        self._known = _decided(session)
        inside = {row.seat for row in session.seats if row.state is SeatState.ADMITTED}
        if not session.open or not self.gate.seats <= inside:
            self.end("not inside")

    def reloaded(self, session: SessionReloaded) -> None:
        """The session as the store has it now: the next owner decides, so any change ends what is here."""
        if self._known is not None and _decided(session) != self._known:
            self.end("decided elsewhere")

    def look(self, now: float, heard: Mapping[SeatCode, float | None]) -> None:
        """Cut who has gone.

        Args:
            now: monotonic seconds.
            heard: when media last came from each seat, ``None`` without a transport; of a clinician who does
                not hear, never.
        """
        seats = frozenset(seat for seat in self.gate.seats if heard.get(seat) is not None)
        self.gate = SetGate(seats, self.gate.muted)
        if now >= self.until:
            self.end("time over")
        elif not seats & self.hosts or len(seats) < 2:
            self.end("moved")
        elif not self._clinician_hears(seats, now, heard):
            self.end("clinician not heard")

    def _clinician_hears(
        self, seats: Iterable[SeatCode], now: float, heard: Mapping[SeatCode, float | None]
    ) -> bool:
        times = [at for seat in seats if seat in self.hosts and (at := heard.get(seat)) is not None]
        return any(now - at <= self.patience for at in times)


def _decided(session: SessionReloaded) -> object:
    """What of a session decides who exchanges media."""
    return session.open, {row.seat: (row.state, row.muted) for row in session.seats}
