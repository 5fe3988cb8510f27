"""Opening a seat with token and password, its cookie, and the tickets (signatures; the bodies follow)."""

from __future__ import annotations

from dataclasses import dataclass

from broker.identity import Staff
from broker.ids import MeetingId
from broker.private import Private
from broker.seats import SeatCode, SeatRole
from broker.sessions import Session


@dataclass(frozen=True, slots=True)
class SeatGrant:
    """A credential session of one seat on one device.

    Attributes:
        device: opaque code of this credential session.
        epoch: of the seat when it was opened; a removal raises it and ends this.
        secret: the cookie value.
        session: as the store had it when this was read.
    """

    meeting: MeetingId
    seat: SeatCode
    device: str
    epoch: int
    secret: Private[str]
    session: Session

    @property
    def actor(self) -> str:
        """Who this is in the audit stream."""
        return f"seat:{self.seat}"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a redeemed ticket allows: one signaling connection.

    Attributes:
        device: which device of the seat; a page that reloads keeps it.
        actor: ``seat:A`` or ``staff:…``.
    """

    meeting: MeetingId
    seat: SeatCode
    role: SeatRole
    device: str
    actor: str


class Credentials:
    """Seat credentials of the practice."""

    async def link_opened(self, meeting: str, seat_token: str) -> None:
        """Record that a seat link was opened; says nothing about whether it was a good one."""
        raise NotImplementedError

    async def enter(self, meeting: str, seat_token: str, password: Private[str]) -> SeatGrant:
        """Open a credential session. Raises Refused ``cannot-enter`` (all causes alike) or ``busy``."""
        raise NotImplementedError

    async def seat_for(self, meeting: str, seat: str, cookie: str | None) -> SeatGrant | None:
        """The credential session of a cookie value, if it lives and is of this very seat."""
        raise NotImplementedError

    async def agree(self, grant: SeatGrant, version: str) -> None:
        """Record that the seat accepts the agreement. Raises Refused ``agreement-outdated``."""
        raise NotImplementedError

    async def ticket(self, grant: SeatGrant) -> Private[str]:
        """A single-use ticket of 30 s for the signaling connection. Raises Refused ``cannot-enter``."""
        raise NotImplementedError

    async def host_ticket(self, staff: Staff, meeting: str) -> Private[str]:
        """The same for a host or cohost. Raises Refused ``no-session`` for anybody else, as for an unknown session."""
        raise NotImplementedError

    async def redeem(self, ticket: str) -> Grant:
        """Use a ticket up. Raises Refused ``bad-ticket``."""
        raise NotImplementedError

    async def leave(self, grant: SeatGrant) -> None:
        """End the credential session; its cookie and tickets are worth nothing after."""
        raise NotImplementedError

    async def unlock(self, meeting: str, seat: str, by: str) -> None:
        """Forget the failed attempts of a seat. Raises Refused ``no-session``/``no-seat``."""
        raise NotImplementedError

    async def locked(self, meeting: str) -> frozenset[SeatCode]:
        """Which seats are locked by failed attempts."""
        raise NotImplementedError
