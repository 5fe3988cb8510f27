"""Booking sessions, finding them, ending them.

Booking makes everything a visit needs at once: a meeting ID that was never used, a password, and a token
for each patient seat. Password and tokens exist in the clear only in the answer; the store keeps Argon2id
and SHA-256 of them. The one exception is the answer itself, kept sealed for 24 hours under the caller's
Idempotency-Key, so that a repeated request gets the same answer and not a second session.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from broker.audit import AuditEvent, EventType
from broker.errors import BadInput, Refused, StoreUnavailable
from broker.identity import Staff
from broker.ids import MeetingId, digest, is_meeting_id, new_meeting_id, new_password, new_seat_token
from broker.ledger import Ledger
from broker.link_secret import is_authenticator_hash
from broker.passwords import Hasher, Profile
from broker.policy import Role
from broker.private import Private
from broker.sealing import ANSWER_KEY, Keyring
from broker.seats import SeatCode, SeatRole, SeatState, SessionKind, roster
from broker.sessions import MAX_LENGTH_MS, Session, parse_session
from broker.store import Store, StoreTime, Value

_MAX_KEY: Final = 255
_AT_ONCE: Final = 32
"""Sessions read at the same time; the store has so many connections twice over in its queue."""


@dataclass(frozen=True, slots=True)
class BookedSession:
    """What booking answers, once: the only moment at which the credentials exist in the clear.

    Attributes:
        seat_tokens: one per patient seat; hosts come in by signing in.
        session: as booked; of a repeated request, as it is now.
    """

    meeting: MeetingId
    password: Private[str]
    seat_tokens: dict[SeatCode, Private[str]]
    session: Session


class _Answer(msgspec.Struct, frozen=True):
    """What is sealed for a repeated request."""

    meeting: str
    password: str
    tokens: dict[str, str]


class Booking:
    """Sessions of the practice.

    Args:
        store: started.
        ledger: started.
        keys: seals the answers kept for repeated requests.
        hasher: hashes the meeting passwords.
    """

    def __init__(self, store: Store, ledger: Ledger, keys: Keyring, hasher: Hasher) -> None:
        self._store = store
        self._ledger = ledger
        self._keys = keys
        self._hasher = hasher

    async def book(
        self,
        kind: SessionKind,
        starts_ms: int,
        ends_ms: int,
        host: Staff,
        cohost: Staff | None,
        by: str,
        idempotency_key: str,
        link_auth: str | None,
    ) -> BookedSession:
        """Book a session.

        Args:
            kind: individual or couple; decides the seats.
            starts_ms: beginning of the window, milliseconds since 1970.
            ends_ms: its end, at most 24 hours later and still to come.
            host: the therapist whose session it is.
            cohost: a second clinician with a seat.
            by: who books, as the ledger shall name them.
            idempotency_key: 1 to 255 printable ASCII characters; the same key and request by the same
                person within 24 hours gives the same answer.
            link_auth: hash of the link secret's authenticator; ``None``: not end-to-end encrypted.

        Raises:
            BadInput: ``bad-window``, ``bad-host``, ``bad-authenticator`` or ``bad-idempotency-key``.
            Refused: ``idempotency-conflict`` when the key came with another request before; ``busy``.
            StoreUnavailable: nothing was booked, as far as is known; repeat with the same key.
        """
        self._check(starts_ms, ends_ms, host, cohost, idempotency_key)
        if link_auth is not None and not is_authenticator_hash(link_auth):
            raise BadInput("bad-authenticator", "The hash of an authenticator has 64 hex digits.")
        meeting, password = new_meeting_id(), new_password()
        plans = roster(kind, with_cotherapist=cohost is not None)
        tokens = {plan.code: new_seat_token(plan.code) for plan in plans if plan.role is SeatRole.PATIENT}
        fields: dict[str, Value] = {
            "kind": kind.value,
            "host": host.id,
            "starts": starts_ms,
            "ends": ends_ms,
            "capacity": len(plans),
            "password": await self._hasher.hash(password, Profile.MEETING),
            "seats": ",".join(plan.code for plan in plans),
        }
        if cohost is not None:
            fields["cohost"] = cohost.id
        if link_auth is not None:
            fields["link-auth"] = link_auth
        for plan in plans:
            fields[f"{plan.code}.state"] = SeatState.EXPECTED.value
            fields[f"{plan.code}.since"] = StoreTime()
            fields[f"{plan.code}.epoch"] = 0
            fields[f"{plan.code}.muted"] = 0
            if plan.code in tokens:
                fields[f"{plan.code}.token"] = digest(tokens[plan.code])

        request = f"{kind}\n{starts_ms}\n{ends_ms}\n{host.id}\n{cohost.id if cohost else ''}".encode()
        request += b"" if link_auth is None else f"\n{link_auth}".encode()
        # The key is the caller's own: two people who choose the same key have nothing to do with each other.
        key = f"{by}\n{idempotency_key}"
        answer = _Answer(meeting, password.reveal(), {code: token.reveal() for code, token in tokens.items()})
        event = AuditEvent(
            type=EventType.SESSION_BOOKED,
            actor=by,
            subject=meeting,
            session=meeting,
            detail={
                "kind": kind.value,
                "host": host.id,
                "starts": starts_ms,
                "ends": ends_ms,
                "end-to-end": link_auth is not None,
            },
        )
        try:
            replay = await self._store.book(
                meeting,
                fields,
                ends_ms,
                [self._ledger.prepare(event)],
                idempotency_key=key,
                request=request,
                answer=self._keys.seal(ANSWER_KEY, msgspec.json.encode(answer), _bound_to(key)),
            )
        except Refused as refused:
            if refused.code == "idempotency-mismatch":
                raise Refused(
                    "idempotency-conflict",
                    "This Idempotency-Key was used for another booking; choose a new one.",
                ) from None
            raise
        if replay is not None:
            plain = self._keys.unseal(ANSWER_KEY, replay, _bound_to(key))
            answer = msgspec.json.decode(plain, type=_Answer)
        session = await self.load(answer.meeting)
        if session is None:
            raise StoreUnavailable
        return BookedSession(
            session.meeting,
            Private(answer.password),
            {SeatCode(code): Private(token) for code, token in answer.tokens.items()},
            session,
        )

    async def load(self, meeting: str) -> Session | None:
        """Read one session.

        Args:
            meeting: a meeting ID as we write it; anything else is the ID of no session.

        Raises:
            StoreUnavailable: no answer.
            DamagedRecord: see `broker.sessions`.
        """
        raw = await self._store.load_session(meeting if is_meeting_id(meeting) else "?")
        return None if raw is None else parse_session(MeetingId(meeting), raw)

    async def sessions_of(self, staff: Staff) -> list[Session]:
        """Read the sessions that have not ended and concern this person: a therapist's own, all for an admin.

        Returns:
            The first to start first.
        """
        found = await self._open_sessions()
        if staff.role is not Role.ADMIN:
            found = [session for session in found if session.host_seat(staff.id) is not None]
        return sorted(found, key=lambda session: (session.starts_ms, session.meeting))

    async def all_open(self) -> list[Session]:
        """Read every session that has not ended, the first to start first; a window may be over."""
        return sorted(await self._open_sessions(), key=lambda session: (session.starts_ms, session.meeting))

    async def end(
        self, meeting: str, actor: str, reason: str | None = None, *, fence: int | None = None
    ) -> bool:
        """End a session for everybody: its credentials, cookies and tickets are worth nothing from now on.

        Args:
            meeting: the session.
            actor: who ends it.
            reason: a code or a short sentence.
            fence: of a room's owner, the token of its lease.

        Returns:
            ``False`` when it had ended before; that is recorded once only.

        Raises:
            Refused: ``no-session``; ``fenced-room`` for an owner that has a successor.
            StoreUnavailable: it goes on.
        """
        if not is_meeting_id(meeting):
            raise Refused("no-session", "There is no such session.")
        event = AuditEvent(
            type=EventType.SESSION_ENDED, actor=actor, subject=meeting, session=meeting, reason=reason
        )
        return await self._store.end(meeting, [self._ledger.prepare(event)], fence=fence) is not None

    async def end_overdue(self, grace_ms: int = 3600 * 1000) -> list[MeetingId]:
        """End the sessions whose window closed long ago, and that nobody ended.

        Args:
            grace_ms: how long after the end of their window.

        Returns:
            Those that were ended.
        """
        now, ended = self._store.now_ms(), []
        for session in await self._open_sessions():
            overdue = now is not None and session.ends_ms + grace_ms <= now
            if overdue and await self.end(session.meeting, "system", "window-over"):
                ended.append(session.meeting)
        return ended

    # ------------------------------------------------------------------ inside

    async def _open_sessions(self) -> list[Session]:
        ids = await self._store.open_sessions()
        found: list[Session | None] = []
        for at in range(0, len(ids), _AT_ONCE):
            found += await asyncio.gather(*(self.load(meeting) for meeting in ids[at : at + _AT_ONCE]))
        return [session for session in found if session is not None and session.open]

    def _check(
        self, starts_ms: int, ends_ms: int, host: Staff, cohost: Staff | None, idempotency_key: str
    ) -> None:
        now = self._store.now_ms()
        if now is None:
            raise StoreUnavailable
        if not 0 < starts_ms < ends_ms <= starts_ms + MAX_LENGTH_MS:
            raise BadInput("bad-window", "A session ends after it starts, and within 24 hours.")
        if ends_ms <= now:
            raise BadInput("bad-window", "The end of the session is in the past.")
        if host.role is not Role.THERAPIST or (
            cohost is not None and (cohost.role is not Role.THERAPIST or cohost.id == host.id)
        ):
            raise BadInput("bad-host", "Host and co-host are two different therapists.")
        printable = idempotency_key.isascii() and idempotency_key.isprintable()
        if not 0 < len(idempotency_key) <= _MAX_KEY or not printable:
            raise BadInput("bad-idempotency-key", "An Idempotency-Key has 1 to 255 printable characters.")


def _bound_to(key: str) -> bytes:
    """What a kept answer is bound to, so that one moved to another key does not open."""
    return sha256(key.encode()).digest()
