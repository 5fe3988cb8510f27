"""Booking sessions, finding them, ending them (signatures; the bodies follow)."""

from __future__ import annotations

from dataclasses import dataclass

from broker.identity import Staff
from broker.ids import MeetingId
from broker.private import Private
from broker.seats import SeatCode, SessionKind
from broker.sessions import Session


@dataclass(frozen=True, slots=True)
class BookedSession:
    """What booking answers, once: the only moment at which the credentials exist in the clear.

    Attributes:
        seat_tokens: one per patient seat; hosts come in by signing in.
    """

    meeting: MeetingId
    password: Private[str]
    seat_tokens: dict[SeatCode, Private[str]]
    session: Session


class Booking:
    """Sessions of the practice."""

    async def book(
        self,
        kind: SessionKind,
        starts_ms: int,
        ends_ms: int,
        host: Staff,
        cohost: Staff | None,
        by: str,
        idempotency_key: str,
    ) -> BookedSession:
        """Book. Raises BadInput ``bad-window``/``bad-host``/``bad-idempotency-key``, Refused ``idempotency-conflict``."""
        raise NotImplementedError

    async def load(self, meeting: str) -> Session | None:
        """One session, or ``None`` (also for text that is no meeting ID)."""
        raise NotImplementedError

    async def sessions_of(self, staff: Staff) -> list[Session]:
        """Sessions whose host or cohost this is (an admin: all), latest first."""
        raise NotImplementedError

    async def all_open(self) -> list[Session]:
        """Every session that has not ended and whose window is not past, earliest first."""
        raise NotImplementedError

    async def end(self, meeting: str, actor: str, reason: str | None) -> None:
        """End a session for all; ended already is done. Raises Refused ``no-session``."""
        raise NotImplementedError
