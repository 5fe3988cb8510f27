"""Tickets: what a page shows once to open its signaling connection.

    a seat's cookie ──issue──▶ 256 bits, 30 s, once ──redeem──▶ Grant: one connection
    staff sign-in ──issue_to_host (care relation)──▶ the same for a host's seat, while the sign-in lives

A ticket stands for what it was issued on, and is worth nothing once that has ended. Stored is its SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from broker.audit import AuditEvent, EventType
from broker.booking import Booking
from broker.credentials import Credentials, SeatGrant
from broker.errors import BadInput, Refused
from broker.identity import Staff, keep_sign_in, sign_in_lives
from broker.ids import MeetingId, digest, new_secret, parse_secret
from broker.ledger import Ledger
from broker.private import Private
from broker.seats import PLANS, SeatCode, SeatRole
from broker.store import Store


@dataclass(frozen=True, slots=True)
class Grant:
    """What a redeemed ticket allows: one signaling connection.

    Attributes:
        device: which device of the seat; a page that reloads keeps it.
        actor: ``seat:A`` or ``staff:…``.
        sign_in: of a host: the sign-in it stands on; empty for a patient's seat.
        tls: protocol and suite of the connection that shows the ticket; empty where a proxy speaks TLS, or
            nobody does.
    """

    meeting: MeetingId
    seat: SeatCode
    role: SeatRole
    device: str
    actor: str
    sign_in: str = field(default="", repr=False)
    tls: str = ""


class _TicketRecord(msgspec.Struct, frozen=True):
    """What a ticket stands for in the store: a seat's cookie (``grant``) or a host's sign-in, as digests."""

    meeting: str
    seat: str
    device: str
    actor: str
    grant: str = ""
    sign_in: str = ""


class Tickets:
    """Tickets of the practice, and what a connection that was opened with one stands on.

    Args:
        store: started.
        ledger: started.
        booking: reads the sessions.
        credentials: knows whether a seat's cookie still lives.
    """

    def __init__(self, store: Store, ledger: Ledger, booking: Booking, credentials: Credentials) -> None:
        self._store = store
        self._ledger = ledger
        self._booking = booking
        self._credentials = credentials

    async def issue(self, grant: SeatGrant) -> Private[str]:
        """Issue a ticket for one signaling connection of a seat, valid once and for 30 s.

        Raises:
            StoreUnavailable: there is no ticket.
        """
        record = _TicketRecord(grant.meeting, grant.seat, grant.device, grant.actor, digest(grant.secret))
        return await self._issue(record)

    async def issue_to_host(self, staff: Staff, meeting: str) -> Private[str]:
        """Issue a ticket to the host or cohost of a session. That they look at its roster is on record then.

        Raises:
            Refused: ``no-session`` for everybody else, exactly as for a session that does not exist or has
                ended; that is on record too.
            StoreUnavailable: there is no ticket.
        """
        session = await self._booking.load(meeting)
        seat = session.host_seat(staff.id) if session is not None and session.open else None
        if session is None or seat is None:
            event = AuditEvent(
                type=EventType.AUTHZ_DENIED,
                actor=staff.id,
                subject=staff.id,
                reason="no-care-relation",
                outcome="refused",
                detail={"permission": "host-session"},
            )
            await self._ledger.append(event)
            raise Refused("no-session", "There is no such session, or it is not yours.")
        viewed = AuditEvent(
            type=EventType.ROSTER_VIEWED,
            actor=staff.id,
            subject=f"{session.meeting}/{seat}",
            session=session.meeting,
            seat=seat,
        )
        await self._ledger.append(viewed)
        return await self._issue(
            _TicketRecord(session.meeting, seat, staff.login, staff.id, sign_in=staff.sign_in)
        )

    async def redeem(self, ticket: str) -> Grant:
        """Use a ticket up.

        Args:
            ticket: what the browser sent; anything at all.

        Raises:
            Refused: ``bad-ticket``: unknown, used, too old, or what it stood for has ended since.
            StoreUnavailable: it is used up, or not; get another.
        """
        grant = await self._redeem(ticket)
        if grant is None:
            raise Refused(
                "bad-ticket", "This connection ticket is used up or too old; the page gets a new one."
            )
        return grant

    async def stands(self, grant: Grant) -> bool:
        """Whether the sign-in behind a host's open page or media was neither signed out nor revoked.

        Raises:
            StoreUnavailable: nobody can tell now.
        """
        return await sign_in_lives(self._store, grant.sign_in, grant.actor, in_visit=True)

    async def keep(self, grant: Grant) -> None:
        """Let the sign-in behind a host in a room outlast the visit; to be called now and then.

        Raises:
            StoreUnavailable: not this time.
        """
        await keep_sign_in(self._store, grant.sign_in)

    async def _issue(self, record: _TicketRecord) -> Private[str]:
        ticket = new_secret()
        await self._store.issue_ticket(digest(ticket), msgspec.json.encode(record))
        return ticket

    async def _redeem(self, ticket: str) -> Grant | None:
        try:
            value = await self._store.redeem_ticket(digest(parse_secret(ticket)))
        except BadInput:
            return None
        if value is None:
            return None
        record = msgspec.json.decode(value, type=_TicketRecord)
        seat = SeatCode(record.seat)
        if record.grant:
            if await self._credentials.living(record.grant, record.meeting, record.seat) is None:
                return None
        else:
            session = await self._booking.load(record.meeting)
            if session is None or not session.open or session.host_seat(record.actor) != seat:
                return None
            if not await sign_in_lives(self._store, record.sign_in, record.actor):
                return None
        return Grant(
            MeetingId(record.meeting), seat, PLANS[seat].role, record.device, record.actor, record.sign_in
        )
