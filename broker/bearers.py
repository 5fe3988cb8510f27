"""Bearers: what a program that publishes for a seat shows instead of a page's password and cookie.

    seat token ──recognise──▶ its seat, or the one refusal of the door
                                └──present──▶ a device of that seat, on record

A token alone opens much less than the door does: its seat may knock and, once a clinician admitted it,
publish. It undoes no failed attempt, so that whoever holds a link guesses no faster at the password. Wrong
tokens are answered as at the door and are on record, though not each of them, and a seat that is locked there
is locked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from broker.audit import EventType
from broker.booking import Booking
from broker.changes import SeatChange
from broker.credentials import Claim, Credentials, about, claim_of, own_seat, why_shut
from broker.errors import Refused, StoreUnavailable
from broker.ids import MeetingId
from broker.ledger import Ledger
from broker.seats import SeatCode, SeatState
from broker.sessions import EARLY_MS, Seat, Session
from broker.store import Store

_NONE = frozenset({SeatState.REMOVED, SeatState.ENDED})
_NO_SESSION = "whip"
_NO_SEAT = SeatCode("?")


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whoever shows the token of a seat.

    Attributes:
        session: as the store had it when this was read.
        device: opaque code of programs that show this token; another one after the seat was removed.
    """

    session: Session
    seat: Seat
    device: str

    @property
    def meeting(self) -> MeetingId:
        """Of which session."""
        return self.session.meeting

    @property
    def code(self) -> SeatCode:
        """Of which seat."""
        return self.seat.code

    @property
    def actor(self) -> str:
        """Who this is in the audit stream."""
        return f"seat:{self.seat.code}"


class Bearers:
    """The seat tokens of the practice, shown alone.

    Args:
        store: started.
        ledger: started.
        booking: reads the sessions.
        credentials: records failed attempts.
    """

    def __init__(self, store: Store, ledger: Ledger, booking: Booking, credentials: Credentials) -> None:
        self._store = store
        self._ledger = ledger
        self._booking = booking
        self._credentials = credentials

    async def recognise(self, meeting: str, seat_token: str) -> Bearer:
        """Find the seat of a token.

        Args:
            meeting: anything at all.
            seat_token: anything at all.

        Raises:
            Refused: ``cannot-enter`` for an unknown session, a wrong token and a locked seat alike.
            StoreUnavailable: nobody can be recognised now.
        """
        claim = claim_of(meeting, seat_token)
        session = await self._booking.load(claim.scope)
        seat = own_seat(session, claim)
        if session is None or seat is None:
            # Nothing slow stands before this as it does at the door: one counter for each session and one for
            # all that do not exist keep what is recorded to a line in ten seconds.
            counted = Claim(claim.scope if session is not None else _NO_SESSION, _NO_SEAT, claim.proof)
            attempt = await self._store.begin_attempt(counted.scope, counted.seat, known=False)
            await self._credentials.record_failure(counted, session, None, attempt.verdict)
            raise _cannot_enter()
        if await self._store.locked(claim.scope, claim.seat):
            await self._credentials.record_failure(claim, session, seat, "locked")
            raise _cannot_enter()
        program = sha256(f"program|{seat.token_hash}|{seat.epoch}".encode()).hexdigest()
        return Bearer(session, seat, program[:8])

    async def open_meetings(self) -> list[str]:
        """Return the meeting IDs of all sessions that have not ended, for telling who asks from a stranger.

        Raises:
            StoreUnavailable: nobody knows.
        """
        return await self._store.open_sessions()

    async def check_open(self, bearer: Bearer) -> None:
        """See that the door is open for the bearer's seat, as it must be for a page.

        Raises:
            Refused: ``cannot-enter``; that is on record, at most every 10 s.
            StoreUnavailable: nobody knows.
        """
        now = self._store.now_ms()
        if now is None:
            raise StoreUnavailable
        if bearer.session.admits(now) and bearer.seat.state not in _NONE:
            return
        shut = why_shut(bearer.session, bearer.seat, now)
        event = about(
            EventType.AUTH_FAILED, bearer.session, bearer.seat, reason=shut, outcome="refused", detail=_VIA
        )
        prepared = self._ledger.prepare(event)
        await self._store.attempt_turned_away(bearer.meeting, bearer.code, prepared, known=True)
        raise _cannot_enter()

    async def present(self, bearer: Bearer) -> None:
        """Record that a program has come for the seat. To whom the seat belongs is its room's to say.

        Raises:
            Refused: ``cannot-enter`` when the door has closed meanwhile.
            StoreUnavailable: nobody comes without a record of it.
        """
        event = about(
            EventType.AUTH_OK,
            bearer.session,
            bearer.seat,
            actor=bearer.actor,
            detail={"device": bearer.device, "again": bearer.seat.device is not None, **_VIA},
        )
        change = SeatChange(
            seat=bearer.code,
            origins=frozenset(state.value for state in SeatState if state not in _NONE),
            to=None,
            event=self._ledger.prepare(event),
            needs_open=True,
            needs_window=EARLY_MS,
        )
        try:
            await self._store.change(bearer.meeting, [change])
        except Refused:
            raise _cannot_enter() from None


_VIA: dict[str, str | int | bool] = {"via": "whip"}


def _cannot_enter() -> Refused:
    return Refused("cannot-enter", "This does not open a visit now. Check meeting ID, seat token and time.")
