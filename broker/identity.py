"""Staff accounts of the practice, and their sign-ins.

A staff member is an opaque code (``staff:k7f3…``) to everything else: to the ledger, the log and the
sessions. The name is stored sealed; an index from the name's keyed tag leads to the code.

    sign_in ── password (Argon2id) ──▶ sign-in: 256-bit token, stored as its SHA-256 ──▶ staff_for(token)
                                          ends: sign_out, 8 h unused, 12 h in any case

Guessing: counted per account; from the 5th failure in a row each attempt has to wait longer, the 100th
locks the account (NIST SP 800-63B 5.2.2) until ``unlock``. An unknown name takes the same way, with the
same work and the same answer.
"""

from __future__ import annotations

import base64
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from broker.audit import AuditEvent, EventType
from broker.errors import BadInput, Refused, StoreUnavailable
from broker.ids import digest, new_code, new_secret, parse_secret
from broker.ledger import Ledger
from broker.passwords import Hasher, Profile
from broker.policy import Role
from broker.private import Private
from broker.sealing import STAFF_KEY, Keyring
from broker.store import Guard, Store, StoreTime

STAFF_ROLES: Final = frozenset({Role.THERAPIST, Role.ADMIN})
IDLE_MS: Final = 8 * 3600 * 1000
ABSOLUTE_MS: Final = 12 * 3600 * 1000
KEPT_MS: Final = 10 * 60 * 1000
"""How long a look from a running visit keeps the record of its sign-in, milliseconds."""
MIN_PASSWORD: Final = 12
"""Characters of a staff password, at least."""

GUARD: Final = Guard(slow_from=5, lock_at=100)
ANYBODY: Final = "anonymous"
"""The actor of events by somebody who has shown nothing yet."""

_MAX_NAME: Final = 64
_EXTEND_EVERY_MS: Final = 60_000
_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff.

    Attributes:
        id: opaque code, ``staff:`` and 12 characters; this, never the name, goes to the ledger and the log.
        login: opaque code of the sign-in this came from; empty when looked up by name or id.
        sign_in: where the store keeps that sign-in; see ``sign_in_lives``.
    """

    id: str
    name: Private[str]
    role: Role
    login: str = ""
    sign_in: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that has just happened; ``token`` is the cookie value."""

    staff: Staff
    token: Private[str]


@dataclass(frozen=True, slots=True)
class _Account:
    """A staff account as stored."""

    staff: Staff
    phc: str


class Identity:
    """Staff accounts of the practice.

    Args:
        store: started.
        ledger: started.
        keys: seals the names.
        hasher: hashes the passwords.
    """

    def __init__(self, store: Store, ledger: Ledger, keys: Keyring, hasher: Hasher) -> None:
        self._store = store
        self._ledger = ledger
        self._keys = keys
        self._hasher = hasher
        self._extended: dict[str, int] = {}  # sign-in (digest) → when its idle time was last set anew, ms

    async def add_staff(self, name: str, role: Role, password: Private[str], *, actor: str) -> Staff:
        """Add an account.

        Args:
            name: 1 to 64 characters; case and Unicode spelling make no difference.
            role: therapist or admin.
            password: 12 characters or more, at most 256 bytes.
            actor: who adds it, as the ledger shall name them.

        Raises:
            BadInput: ``bad-name``, ``bad-role`` or ``bad-password``.
            Refused: ``name-taken`` or ``busy``.
            StoreUnavailable: there is no such account.
        """
        wanted = _folded(name)
        if wanted is None:
            raise BadInput("bad-name", "A name has 1 to 64 letters, digits, spaces and signs.")
        if role not in STAFF_ROLES:
            raise BadInput("bad-role", "A staff account is for a therapist or an admin.")
        if len(password.reveal()) < MIN_PASSWORD:
            raise BadInput("bad-password", f"A password has at least {MIN_PASSWORD} characters.")
        phc = await self._hasher.hash(password, Profile.STAFF)
        staff_id = await self._claim_name(wanted)
        event = AuditEvent(
            type=EventType.STAFF_ADDED, actor=actor, subject=staff_id, detail={"role": role.value}
        )
        shown = unicodedata.normalize("NFC", name.strip())
        fields = {
            "name": self._seal(shown, staff_id),
            "role": role.value,
            "password": phc,
            "added": StoreTime(),
        }
        try:
            await self._store.put(
                "staff", staff_id, fields, [self._ledger.prepare(event)], expect={"role": None}, listed=True
            )
        except Refused:
            raise Refused("name-taken", "There is an account of this name already.") from None
        return Staff(staff_id, Private(shown), role)

    async def sign_in(self, name: str, password: Private[str]) -> SignedIn:
        """Check name and password.

        Raises:
            Refused: ``cannot-sign-in`` for a wrong name, a wrong password, and while the account is slowed
                down or locked: all alike, after the same work; ``busy`` when too many sign in at once.
            StoreUnavailable: nobody is signed in without a record of it.
        """
        account = await self._by_name(name)
        scope = self._name_tag(_folded(name) or "")
        known = account is not None
        attempt = await self._store.begin_attempt("staff", scope, known=known, guard=GUARD)
        try:
            looked_at = account.phc if account is not None and attempt.verdict == "allowed" else None
            right = await self._hasher.verify(looked_at, password, Profile.STAFF)
        except Refused:
            await self._store.attempt_undone("staff", scope, known=known)
            raise
        if account is not None and right:
            signed_in = await self._open(account, scope)
            if signed_in is not None:
                await self._rehash(account, password)
                return signed_in
        else:
            await self._record_failure(account, scope, attempt.verdict)
        raise Refused(
            "cannot-sign-in", "Name or password is wrong, or there were too many attempts; wait a little."
        )

    async def staff_for(self, token: str | None, role: Role) -> Staff | None:
        """Who a cookie value speaks for.

        Args:
            token: what the browser sent; anything at all.
            role: the role in which the request acts; a sign-in speaks for its own role only.

        Returns:
            ``None`` unless the sign-in lives and is of this role.

        Raises:
            StoreUnavailable: nobody is known now.
        """
        login = _digest_of(token)
        if login is None:
            return None
        record = await self._store.load("login", login)
        now = self._store.now_ms()
        if record is None or record.get("role") != role or now is None or now >= int(record.get("until", 0)):
            return None
        account = await self._by_id(record["staff"])
        if account is None or account.staff.role is not role:
            return None
        await self._keep_alive(login, int(record["until"]), now)
        return Staff(account.staff.id, account.staff.name, role, record["code"], login)

    async def sign_out(self, token: str | None) -> None:
        """End a sign-in on the server; one that is unknown is ended already.

        Raises:
            StoreUnavailable: it may still live.
        """
        login = _digest_of(token)
        record = await self._store.load("login", login) if login is not None else None
        if login is None or record is None:
            return
        event = AuditEvent(type=EventType.STAFF_LOGOUT, actor=record["staff"], subject=record["staff"])
        try:
            await self._store.remove(
                "login", login, [self._ledger.prepare(event)], expect={"staff": record["staff"]}
            )
        except Refused:
            pass  # another tab signed out in the same moment
        self._extended.pop(login, None)

    async def staff_by_name(self, name: str) -> Staff | None:
        """Look an account up by name, in any spelling."""
        account = await self._by_name(name)
        return None if account is None else account.staff

    async def staff_by_id(self, staff_id: str) -> Staff | None:
        """Look an account up by its code."""
        account = await self._by_id(staff_id)
        return None if account is None else account.staff

    async def all_staff(self) -> list[Staff]:
        """Every account."""
        found = [await self.staff_by_id(staff_id) for staff_id in await self._store.names("staff")]
        return [staff for staff in found if staff is not None]

    async def unlock(self, name: str, *, actor: str) -> None:
        """Forget an account's failed attempts.

        Raises:
            Refused: ``no-staff``.
        """
        account = await self._by_name(name)
        if account is None:
            raise Refused("no-staff", "There is no account of this name.")
        event = AuditEvent(type=EventType.AUTH_UNLOCKED, actor=actor, subject=account.staff.id)
        scope = self._name_tag(_folded(name) or "")
        await self._store.unlock("staff", scope, self._ledger.prepare(event))

    # ------------------------------------------------------------------ inside

    async def _claim_name(self, wanted: str) -> str:
        """Bind the name to a new code, or take its old one if an earlier attempt died half-way."""
        tag, staff_id = self._name_tag(wanted), f"staff:{new_code(12)}"
        try:
            await self._store.put("staff-name", tag, {"id": staff_id}, [], expect={"id": None})
        except Refused:
            found = await self._store.load("staff-name", tag)
            if found is None:
                raise StoreUnavailable from None
            return found["id"]
        return staff_id

    async def _open(self, account: _Account, scope: str) -> SignedIn | None:
        """Make a sign-in; ``None`` when the account was locked while the password was checked."""
        staff, token, code = account.staff, new_secret(), new_code(8)
        now = self._store.now_ms()
        if now is None:
            raise StoreUnavailable
        fields: dict[str, str | int] = {"staff": staff.id, "role": staff.role.value, "code": code}
        fields["until"] = now + ABSOLUTE_MS
        await self._store.put("login", digest(token), fields, [], lifetime_ms=IDLE_MS)
        event = AuditEvent(
            type=EventType.STAFF_LOGIN,
            actor=staff.id,
            subject=staff.id,
            detail={"role": staff.role.value, "login": code},
        )
        # The token leaves this function only after the event is on disk.
        if not await self._store.attempt_ok("staff", scope, self._ledger.prepare(event)):
            await self._store.remove("login", digest(token), [])
            return None
        return SignedIn(Staff(staff.id, staff.name, staff.role, code, digest(token)), token)

    async def _record_failure(self, account: _Account | None, scope: str, verdict: str) -> None:
        subject = account.staff.id if account is not None else "staff:unknown"
        failed = AuditEvent(
            type=EventType.STAFF_LOGIN_FAILED,
            actor=ANYBODY,
            subject=subject,
            reason={"allowed": "wrong-password" if account is not None else "unknown-name"}.get(
                verdict, verdict
            ),
            outcome="failed",
        )
        if verdict != "allowed":
            prepared = self._ledger.prepare(failed)
            await self._store.attempt_turned_away("staff", scope, prepared, known=account is not None)
            return
        locked = AuditEvent(
            type=EventType.AUTH_LOCKED,
            actor=ANYBODY,
            subject=subject,
            reason="too-many-attempts",
            outcome="failed",
        )
        await self._store.attempt_failed(
            "staff",
            scope,
            self._ledger.prepare(failed),
            self._ledger.prepare(locked),
            known=account is not None,
            guard=GUARD,
        )

    async def _rehash(self, account: _Account, password: Private[str]) -> None:
        """Bring a password hash to today's parameters while the password is at hand."""
        if self._hasher.needs_rehash(account.phc, Profile.STAFF):
            try:
                phc = await self._hasher.hash(password, Profile.STAFF)
                await self._store.put(
                    "staff", account.staff.id, {"password": phc}, [], expect={"password": account.phc}
                )
            except (Refused, StoreUnavailable):
                pass  # next time

    async def _keep_alive(self, login: str, until: int, now: int) -> None:
        """Set the idle time anew, at most once a minute, and never beyond the absolute end."""
        if now - self._extended.get(login, 0) < _EXTEND_EVERY_MS:
            return
        if len(self._extended) >= _REMEMBERED:
            self._extended.clear()
        self._extended[login] = now
        await self._store.extend("login", login, max(1, min(IDLE_MS, until - now)))

    async def _by_name(self, name: str) -> _Account | None:
        """Read an account; two reads whether or not there is one."""
        tag = self._name_tag(_folded(name) or "")
        found = await self._store.load("staff-name", tag)
        return await self._by_id("?" if found is None else found["id"])

    async def _by_id(self, staff_id: str) -> _Account | None:
        record = await self._store.load("staff", staff_id)
        if record is None:
            return None
        name = self._keys.unseal(STAFF_KEY, base64.b64decode(record["name"]), staff_id.encode())
        return _Account(Staff(staff_id, Private(name.decode()), Role(record["role"])), record["password"])

    def _seal(self, name: str, staff_id: str) -> str:
        return base64.b64encode(self._keys.seal(STAFF_KEY, name.encode(), staff_id.encode())).decode()

    def _name_tag(self, folded: str) -> str:
        return self._keys.tag(f"staff-name:{folded}").hex()


async def sign_in_lives(store: Store, sign_in: str, staff_id: str, *, in_visit: bool = False) -> bool:
    """Whether a sign-in still speaks for this account: not signed out, not run out, the account not revoked.

    Args:
        store: where it is kept.
        sign_in: digest of its token.
        staff_id: the account that it must speak for.
        in_visit: the account's person is in a room now. A visit is never cut because a clock ran out: then
            only signing out and revoking end it. `keep_sign_in` lets the record last meanwhile.

    Raises:
        StoreUnavailable: nobody can tell now.
    """
    record, account = await store.load("login", sign_in), await store.load("staff", staff_id)
    now = store.now_ms()
    if now is None:
        raise StoreUnavailable
    return (
        record is not None
        and account is not None
        and record.get("staff") == staff_id
        and record.get("role") == account.get("role")
        and (in_visit or now < int(record.get("until", 0)))
    )


async def keep_sign_in(store: Store, sign_in: str) -> None:
    """Let the record of a sign-in outlast the visit it is used in; its absolute end stays what it was."""
    await store.extend("login", sign_in, KEPT_MS, at_least=True)


def _folded(name: str) -> str | None:
    """One spelling for all spellings of a name; ``None`` if it cannot be one."""
    plain = " ".join(unicodedata.normalize("NFKC", name[: 4 * _MAX_NAME]).casefold().split())
    if not plain or len(name.strip()) > _MAX_NAME or not plain.isprintable():
        return None
    return plain


def _digest_of(token: str | None) -> str | None:
    try:
        return None if token is None else digest(parse_secret(token))
    except BadInput:
        return None
