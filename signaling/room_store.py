"""How a running room meets the store: its decisions become calls of ``broker.admission``, refusals answers.

    Commit ──▶ admission: state and audit event ──▶ Committed, or CommitRefused with the refusal's code
    Record ──▶ the ledger, later
    Session, as the store has it ──▶ Room, SessionReloaded

A store that cannot write is an ordinary event for a room, never an error.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Final, assert_never

import structlog

from broker.admission import Admission
from broker.agreement import CURRENT
from broker.audit import AuditEvent, EventType
from broker.booking import Booking
from broker.errors import QuietroomError, StoreUnavailable
from broker.ids import MeetingId, short_code
from broker.ledger import Ledger
from broker.placement import Lease
from broker.sealing import is_signed
from broker.seats import SeatAction, SeatCode
from broker.sessions import Session, session_is_e2ee
from rooms.delivery import Delivery
from rooms.effects import Commit, Record
from rooms.events import CommitRefused, Committed, HostAction, RoomAction, SeatReloaded, SessionReloaded
from rooms.room import Room

log = structlog.get_logger()

CHANGES_SESSION: Final = frozenset(
    {
        EventType.SESSION_ENDED,
        EventType.AGREEMENT_ACCEPTED,
        EventType.SEAT_KNOCKED,
        EventType.SEAT_ENTERED,
        EventType.SEAT_ADMITTED,
        EventType.SEAT_DENIED,
        EventType.SEAT_HELD,
        EventType.SEAT_RESUMED,
        EventType.SEAT_MOVED_BACK,
        EventType.SEAT_MUTED,
        EventType.SEAT_UNMUTED,
        EventType.SEAT_REMOVED,
        EventType.SEAT_READMITTED,
        EventType.SEAT_LEFT,
    }
)
"""Events after which a session may differ from what its running room believes."""


def room_of(session: Session, moving: frozenset[SeatCode] = frozenset(), until: float = 0.0) -> Room:
    """The machine for a session as the store has it; for ``moving``, until then, another worker forwards."""
    loaded = reloaded(session)
    return Room(
        kind=session.kind.value,
        is_open=session.open,
        starts_ms=session.starts_ms,
        ends_ms=session.ends_ms,
        seats=loaded.seats,
        wall_ms=time.time_ns() // 1_000_000,
        moving=moving,
        moving_until=until,
        delivery=Delivery(session.meeting, _new_generation, is_signed) if session_is_e2ee(session) else None,
    )


def _new_generation() -> str:
    """What names one life of an encryption group; by chance, so that nothing can be told from it."""
    return secrets.token_hex(8)


def reloaded(session: Session) -> SessionReloaded:
    """A session as its running room is told of it."""
    return SessionReloaded(
        session.open,
        tuple(
            SeatReloaded(
                seat=seat.code,
                state=seat.state,
                muted=seat.muted,
                agreed=seat.agreed == CURRENT.version,
                since_ms=seat.since_ms,
                knocks=seat.knocks,
                device=seat.holder,
            )
            for seat in session.seats.values()
        ),
    )


@dataclass(frozen=True, slots=True)
class RoomStore:
    """The store as the running rooms of a process ask it."""

    booking: Booking
    admission: Admission
    ledger: Ledger

    async def commit(self, lease: Lease, commit: Commit) -> Committed | CommitRefused:
        """Make a change durable, as the owner by this lease; a refusal is an answer as well."""
        try:
            return await self._change(lease, commit)
        except QuietroomError as error:  # refused, unreadable, or the store is away (``audit-unavailable``)
            return CommitRefused(commit.number, error.code)

    async def _change(self, lease: Lease, commit: Commit) -> Committed:
        meeting, fence = lease.meeting, lease.token
        match commit.action:
            case None:
                if commit.event is None:
                    raise AssertionError("A commit that changes nothing names the event to record.")
                at_ms = 0
                for seat in commit.seats:
                    at_ms = await self.admission.record(
                        commit.event, meeting, seat, commit.actor, commit.reason, fence=fence
                    )
                return Committed(commit.number, {}, False, at_ms)
            case HostAction.END:
                change = await self.admission.end(meeting, commit.actor, commit.reason, fence=fence)
            case HostAction.MUTE | HostAction.UNMUTE:
                muted = commit.action is HostAction.MUTE
                change = await self.admission.mute(meeting, commit.seats, muted, commit.actor, fence=fence)
            case SeatAction():
                change = await self.admission.change(
                    meeting,
                    commit.action,
                    commit.seats,
                    commit.actor,
                    commit.reason,
                    devices=commit.devices,
                    fence=fence,
                )
            case RoomAction.DEVICE:
                change = await self.admission.taken(meeting, commit.devices, commit.actor, fence=fence)
            case _:
                assert_never(commit.action)
        return Committed(commit.number, dict(change.states), change.already, change.at_ms)

    def record(self, meeting: MeetingId, record: Record) -> None:
        """Let an event be recorded that nothing waits for."""
        event = AuditEvent(
            type=record.event,
            actor=record.actor,
            subject=f"{meeting}/{record.seat}",
            session=meeting,
            seat=record.seat,
            reason=record.reason,
            detail=dict(record.detail),
        )
        try:
            self.ledger.append_later(event)
        except StoreUnavailable:
            # Ten thousand wait already and nobody new is let in; those inside are at least in the log.
            log.error("event not recorded", room=short_code(meeting), event_type=record.event.value)

    async def load(self, meeting: MeetingId) -> SessionReloaded | None:
        """Read the session; ``None`` when the store cannot be reached, or knows it no more."""
        try:
            session = await self.booking.load(meeting)
        except StoreUnavailable:
            return None  # every room reads again when the store is back
        return None if session is None else reloaded(session)
