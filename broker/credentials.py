"""Opening a seat: link, token and password; then a cookie, for which `broker.tickets` gives connections.

    token + password ──enter──▶ SeatGrant: a cookie of 256 bits for one seat on one device
                                  └─ ends: leave, removal of the seat (epoch), end of the session

``enter`` has one refusal. Wrong or unknown, not yet or over, removed, locked or somebody else's: the same
answer after the same steps, one look at the session, one count of the attempt, one Argon2id, one record.

Failed attempts count against a seat only when they came with that seat's own token. The partner knows the
meeting ID too, and must not be able to lock the other out; who has no token guesses at 80 bits. Their
failures are recorded on the session, and seldom enough that they cannot fill the ledger.

Stored are digests only: SHA-256 of tokens and cookies, Argon2id of the password.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from broker.agreement import CURRENT
from broker.audit import AuditEvent, EventType, Outcome
from broker.booking import Booking
from broker.errors import BadInput, Refused, StoreUnavailable
from broker.identity import ANYBODY
from broker.ids import (
    MeetingId,
    digest,
    new_code,
    new_secret,
    parse_meeting_id,
    parse_password,
    parse_seat_token,
    parse_secret,
)
from broker.ledger import Ledger
from broker.link_secret import opens, parse_authenticator
from broker.passwords import Hasher, Profile
from broker.private import Private
from broker.seats import SeatCode, SeatRole, SeatState
from broker.sessions import EARLY_MS, Seat, Session
from broker.store import SeatChange, Store

_HEARD_EVERY_MS: Final = 10_000
_REMEMBERED: Final = 4096


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
class Claim:
    """What somebody claims at the door; every part may be nonsense.

    Attributes:
        scope: the meeting ID, or a stand-in of 64 characters for text that is none.
        seat: the seat the token names, ``?`` if it names none.
        proof: SHA-256 of the token.
    """

    scope: str
    seat: SeatCode
    proof: str


class Credentials:
    """Seat credentials of the practice.

    Args:
        store: started.
        ledger: started.
        booking: reads the sessions.
        hasher: checks the passwords.
    """

    def __init__(self, store: Store, ledger: Ledger, booking: Booking, hasher: Hasher) -> None:
        self._store = store
        self._ledger = ledger
        self._booking = booking
        self._hasher = hasher
        self._heard: dict[str, int] = {}  # seat → when an opening of its link was recorded last, ms

    # ------------------------------------------------------------------ the door

    async def link_opened(self, meeting: str, seat_token: str) -> None:
        """Record that a seat's link was opened, at most every 10 s for one seat. Tells nothing.

        Raises:
            StoreUnavailable: no answer from the store.
        """
        claim = claim_of(meeting, seat_token)
        session = await self._booking.load(claim.scope)
        seat = own_seat(session, claim)
        now = self._store.now_ms()
        if session is None or seat is None or now is None:
            return
        subject = f"{session.meeting}/{seat.code}"
        if now - self._heard.get(subject, 0) < _HEARD_EVERY_MS:
            return
        if len(self._heard) >= _REMEMBERED:
            self._heard.clear()
        self._heard[subject] = now
        self._ledger.append_later(about(EventType.LINK_OPENED, session, seat))

    async def enter(
        self,
        meeting: str,
        seat_token: str,
        password: Private[str],
        cookie: str | None = None,
        link_auth: Private[str] | None = None,
    ) -> SeatGrant:
        """Open a credential session for a seat.

        Args:
            meeting: as typed or from the link.
            seat_token: as typed or from the link.
            password: as typed.
            cookie: what this browser holds for the seat already, anything at all: with a living one it stays
                the same device, so that a second tab of it need not ask the first.
            link_auth: the link secret's authenticator as the page shows it, anything at all; needed where the
                session is end-to-end encrypted.

        Raises:
            Refused: ``cannot-enter`` whatever the cause; ``busy`` when too many try at once, sooner for those
                without the token of a seat, whatever else they have.
            StoreUnavailable: nobody enters without a record of it.
        """
        claim = claim_of(meeting, seat_token)
        session = await self._booking.load(claim.scope)
        seat = own_seat(session, claim)
        known = seat is not None
        attempt = await self._store.begin_attempt(claim.scope, claim.seat, known=known)
        try:
            typed: Private[str] | None = parse_password(password.reveal())
        except BadInput:
            typed = None
        phc = None
        if session is not None and known and typed is not None and attempt.verdict == "allowed":
            phc = session.password.reveal()
        try:
            right = await self._hasher.verify(phc, typed or Private(""), Profile.MEETING, known=known)
        except Refused:
            await self._store.attempt_undone(claim.scope, claim.seat, known=known)
            raise
        linked = _linked(session, link_auth)
        if session is not None and seat is not None and right and linked:
            grant = await self._open(session, seat, cookie)
            if grant is not None:
                return grant
        else:
            await self.record_failure(claim, session, seat, attempt.verdict, wrong_link=right and not linked)
        raise Refused(
            "cannot-enter",
            "This does not open a visit now. Check meeting ID, seat code, password and time of the visit.",
        )

    async def seat_for(self, meeting: str, seat: str, cookie: str | None) -> SeatGrant | None:
        """Find the credential session of a cookie value.

        Args:
            meeting: the meeting ID the page speaks of.
            seat: the seat it speaks for.
            cookie: what the browser sent; anything at all.

        Returns:
            ``None`` unless it lives, is of this very seat, and the seat was not removed since.
        """
        try:
            secret = parse_secret(cookie or "")
        except BadInput:
            return None
        session = await self.living(digest(secret), meeting, seat)
        if session is None:
            return None
        epoch = session[0].seats[SeatCode(seat)].epoch
        return SeatGrant(session[0].meeting, SeatCode(seat), session[1], epoch, secret, session[0])

    async def agree(self, grant: SeatGrant, version: str) -> None:
        """Record that this seat accepts the confidentiality agreement; twice is once.

        Raises:
            Refused: ``agreement-outdated`` when another version is current; ``cannot-enter`` when the
                session is over.
            StoreUnavailable: it is not accepted.
        """
        if version != CURRENT.version:
            raise Refused("agreement-outdated", "The agreement has a new version; please read it.")
        event = AuditEvent(
            type=EventType.AGREEMENT_ACCEPTED,
            actor=grant.actor,
            subject=f"{grant.meeting}/{grant.seat}",
            session=grant.meeting,
            seat=grant.seat,
            detail={"version": version},
        )
        change = SeatChange(
            seat=grant.seat,
            origins=frozenset(),
            to=None,
            event=self._ledger.prepare(event),
            needs_open=True,
            fields={"agreed": version},
        )
        try:
            await self._store.change(grant.meeting, [change])
        except Refused:
            raise Refused("cannot-enter", "This visit is over.") from None

    async def leave(self, grant: SeatGrant) -> None:
        """End the credential session; its cookie and its tickets are worth nothing from now on.

        Raises:
            StoreUnavailable: it may still live.
        """
        await self._store.remove("grant", digest(grant.secret), [])

    async def living(self, login: str, meeting: str, seat: str) -> tuple[Session, str] | None:
        """Read a credential session and its seat's session.

        Args:
            login: digest of the cookie.
            meeting: the meeting ID it must be of.
            seat: the seat it must be of.

        Returns:
            The session and the device, or ``None`` unless it is of that seat and still good.

        Raises:
            StoreUnavailable: no answer from the store.
        """
        record = await self._store.load("grant", login)
        session = await self._booking.load(meeting)
        now = self._store.now_ms()
        if record is None or session is None or now is None or not session.admits(now):
            return None
        found = session.seats.get(SeatCode(seat))
        if record.get("meeting") != session.meeting or record.get("seat") != seat or found is None:
            return None
        if record.get("epoch") != str(found.epoch):
            return None
        return session, record["device"]

    # ------------------------------------------------------------------ locks

    async def unlock(self, meeting: str, seat: str, by: str) -> None:
        """Forget the failed attempts of a seat.

        Args:
            meeting: the session.
            seat: the seat.
            by: who unlocks it, as the ledger shall name them.

        Raises:
            Refused: ``no-session`` or ``no-seat``.
            StoreUnavailable: it is as it was.
        """
        session = await self._booking.load(meeting)
        if session is None:
            raise Refused("no-session", "There is no such session.")
        found = session.seats.get(SeatCode(seat))
        if found is None or found.role is not SeatRole.PATIENT:
            raise Refused("no-seat", "There is no such seat in this session.")
        event = about(EventType.AUTH_UNLOCKED, session, found, actor=by)
        await self._store.unlock(session.meeting, found.code, self._ledger.prepare(event))

    async def locked(self, session: Session) -> frozenset[SeatCode]:
        """Tell which seats are locked by failed attempts."""
        return frozenset(
            [
                seat.code
                for seat in session.seats.values()
                if seat.role is SeatRole.PATIENT and await self._store.locked(session.meeting, seat.code)
            ]
        )

    # ------------------------------------------------------------------ inside

    async def _open(self, session: Session, seat: Seat, cookie: str | None) -> SeatGrant | None:
        """Make the credential session, if the door is open; record either."""
        former = await self.seat_for(session.meeting, seat.code, cookie)
        secret, device = new_secret(), former.device if former else new_code(8)
        now = self._store.now_ms()
        if now is None:
            raise StoreUnavailable
        again = {"again": seat.device is not None}
        ok = about(
            EventType.AUTH_OK, session, seat, actor=f"seat:{seat.code}", detail={"device": device, **again}
        )
        shut = about(
            EventType.AUTH_FAILED, session, seat, reason=why_shut(session, seat, now), outcome="refused"
        )
        opened = await self._store.enter(
            session.meeting,
            seat.code,
            digest(secret),
            {"meeting": session.meeting, "seat": seat.code, "device": device, "epoch": seat.epoch},
            epoch=seat.epoch,
            early_ms=EARLY_MS,
            device=device,
            ok=self._ledger.prepare(ok),
            shut=self._ledger.prepare(shut),
        )
        return SeatGrant(session.meeting, seat.code, device, seat.epoch, secret, session) if opened else None

    async def record_failure(
        self,
        claim: Claim,
        session: Session | None,
        seat: Seat | None,
        verdict: str,
        *,
        wrong_link: bool = False,
    ) -> None:
        """Record a failed attempt: on the seat if its token was right, else on the session or on nobody."""
        if seat is not None:
            reason = {"allowed": "wrong-link" if wrong_link else "wrong-password"}.get(verdict, verdict)
        else:
            reason = "wrong-token" if session is not None else "unknown-session"
        failed = about(EventType.AUTH_FAILED, session, seat, reason=reason, outcome="failed")
        if verdict != "allowed":
            prepared = self._ledger.prepare(failed)
            await self._store.attempt_turned_away(claim.scope, claim.seat, prepared, known=seat is not None)
            return
        # Nothing is locked for those without a seat; their many failures only become one more line.
        last = EventType.AUTH_LOCKED if seat is not None else EventType.AUTH_FAILED
        locked = about(last, session, seat, reason="too-many-attempts", outcome="failed")
        await self._store.attempt_failed(
            claim.scope,
            claim.seat,
            self._ledger.prepare(failed),
            self._ledger.prepare(locked),
            known=seat is not None,
        )


def claim_of(meeting: str, seat_token: str) -> Claim:
    """Read what was typed; nonsense becomes a claim that nothing matches."""
    try:
        scope: str = parse_meeting_id(meeting)
    except BadInput:
        scope = sha256(meeting.encode("utf-8", "surrogatepass")).hexdigest()
    try:
        seat, token = parse_seat_token(seat_token)
    except BadInput:
        seat, token = "?", Private(seat_token)
    return Claim(scope, SeatCode(seat), digest(token))


def own_seat(session: Session | None, claim: Claim) -> Seat | None:
    """The seat whose own token was shown, if any."""
    seat = session.seats.get(claim.seat) if session is not None else None
    stored = seat.token_hash if seat is not None else ""
    # Compared in any case, and in constant time; the empty hash of a host's seat equals no digest.
    return seat if hmac.compare_digest(stored, claim.proof) else None


def _linked(session: Session | None, shown: Private[str] | None) -> bool:
    """Whether the authenticator that was shown, if any, is that of the session; the same work in any case."""
    try:
        authenticator = None if shown is None else parse_authenticator(shown.reveal())
    except BadInput:
        authenticator = None
    return opens(authenticator, "" if session is None else session.link_auth)


def why_shut(session: Session, seat: Seat, now_ms: int) -> str:
    """The reason on record when right credentials found a shut door."""
    if not session.open or now_ms >= session.ends_ms:
        return "over"
    if now_ms < session.starts_ms - EARLY_MS:
        return "not-yet"
    return "removed" if seat.state is SeatState.REMOVED else "changed-meanwhile"


def about(
    kind: EventType,
    session: Session | None,
    seat: Seat | None,
    *,
    actor: str = ANYBODY,
    reason: str | None = None,
    outcome: Outcome = "ok",
    detail: dict[str, str | int | bool] | None = None,
) -> AuditEvent:
    """An event on a seat, on a session, or on neither: attempts at what does not exist share one subject."""
    meeting = session.meeting if session is not None else None
    subject = "session:unknown" if meeting is None else meeting
    return AuditEvent(
        type=kind,
        actor=actor,
        subject=subject if seat is None else f"{subject}/{seat.code}",
        session=meeting,
        seat=seat.code if seat is not None else None,
        reason=reason,
        outcome=outcome,
        detail=detail or {},
    )
