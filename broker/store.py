"""What can be asked of the store: the typed face of the scripts in ``broker/scripts``.

Every change comes with its prepared audit events, and is stored together with them or not at all. A call
raises `Refused` when the state does not allow it, `StoreUnavailable` when nothing durable can be written,
and returns when state and events are on disk.

    {practice}:log, meta, subj, dd:<hour>   the ledger
    {practice}:session:<meeting id>         a session and its seats (hash)
    {practice}:leases                       who runs which room, see `broker.placement`
    {practice}:ids, open                    every id ever used; open sessions by their end
    {practice}:try:<session>:<seat>         failed attempts in a row
    {practice}:idem:<hash>                  answers kept for a repeated Idempotency-Key, 24 h
    {practice}:<kind>:<name>                small records: staff accounts, logins, grants (a seat's cookie)
    {practice}:ticket:<sha256>              single-use tickets, 30 s
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from broker.audit import Prepared, Receipt
from broker.changes import (
    SEAT_GUARD,
    Add,
    Arg,
    Attempt,
    Changed,
    Guard,
    SeatChange,
    StoreTime,
    Value,
    changes_args,
    event_args,
    events_args,
    fence_arg,
    fields_args,
    read_receipt,
)
from broker.errors import ChangeRefused, Refused
from broker.redis_store import RedisStore, Reply

__all__ = ["SEAT_GUARD", "Add", "Attempt", "Changed", "Guard", "SeatChange", "Store", "StoreTime", "Value"]

TICKET_MS: Final = 30_000
_UNKNOWN_BUCKETS: Final = 1 << 16
_UNKNOWN_MS: Final = 30 * 24 * 3600 * 1000


class Store:
    """The store of one practice.

    Args:
        url: see `RedisStore`.
        practice: see `RedisStore`.
        node: see `RedisStore`.
    """

    def __init__(self, url: str, practice: str, node: str) -> None:
        self.link = RedisStore(url, practice, node)
        # Buckets of event ids are named by the hour; our own steady clock, so that a clock set back between
        # two attempts does not make the second look in the wrong place.
        self._epoch_offset = time.time() - time.monotonic()

    async def start(self) -> None:
        """Connect; see `RedisStore.start`."""
        await self.link.start()

    async def close(self) -> None:
        """Disconnect; may be called twice."""
        await self.link.close()

    @property
    def node(self) -> str:
        """This run of this server."""
        return self.link.node

    @property
    def healthy(self) -> bool:
        """Whether the store takes writes."""
        return self.link.healthy

    def on_health(self, listener: Callable[[bool], None]) -> None:
        """Call ``listener(healthy)`` whenever that changes. It must not block or raise."""
        self.link.on_health(listener)

    def now_ms(self) -> int | None:
        """Return store time, milliseconds since 1970, as known without asking; ``None`` before `start`."""
        now = self.link.time_us()
        return None if now is None else now // 1000

    # ------------------------------------------------------------------ sessions and seats

    async def book(
        self,
        meeting: str,
        fields: Mapping[str, Value],
        ends_ms: int,
        events: Sequence[Prepared],
        *,
        idempotency_key: str | None = None,
        request: bytes = b"",
        answer: bytes = b"",
    ) -> bytes | None:
        """Create a session. The script adds ``state``, ``created`` and ``rev``.

        Args:
            meeting: a new meeting ID.
            fields: the session's fields and each seat's (``A.state``, ``A.token`` …).
            ends_ms: when it ends, for the index of open sessions.
            events: ``session.booked`` and what else belongs to it.
            idempotency_key: the caller's key, made unique per account; stored hashed, for 24 hours.
            request: the request as read; the same key with another request is a mistake.
            answer: what to answer if the request is repeated, **sealed**.

        Returns:
            ``None`` when the session was created; the stored sealed answer when this key booked it before.

        Raises:
            Refused: ``id-used`` or ``idempotency-mismatch``.
            StoreUnavailable: nothing was booked.
        """
        record = hashlib.sha256((idempotency_key or "").encode("utf-8", "surrogatepass")).hexdigest()
        link = self.link
        keys = [link.key("session", meeting), link.key("ids"), link.key("open"), link.key("idem", record)]
        args: list[Arg] = [
            meeting,
            ends_ms,
            int(idempotency_key is not None),
            hashlib.sha256(request).digest(),
        ]
        args += [answer, *fields_args(fields), *events_args(events)]
        reply = await self._run("book", keys, args, events)
        if reply[0] == b"replay":
            return bytes(reply[3])
        if reply[0] == b"refused":
            raise Refused(reply[3].decode())
        return None

    async def change(
        self, meeting: str, changes: Sequence[SeatChange], *, fence: int | None = None
    ) -> Changed:
        """Change seats of one session: all of the call, or none.

        A repeated call (same prepared events) returns what the first one did. A seat that is already in
        the wanted state gets no event; that is an answer, not an error, since two people may act at once.

        Args:
            meeting: the session.
            changes: at most one per seat.
            fence: of a room's owner, the token of its lease.

        Raises:
            ChangeRefused: for the first seat that stands in the way; nothing was written.
            StoreUnavailable: nothing was written.
        """
        if len({change.seat for change in changes}) != len(changes):
            raise AssertionError("A call changes each seat at most once.")
        events = [change.event for change in changes]
        args = changes_args(changes, fence)
        reply = await self._run("change", [self.link.key("session", meeting)], args, events)
        if reply[0] == b"refused":
            raise ChangeRefused(reply[3].decode(), reply[4].decode(), reply[5].decode())
        receipts = tuple(read_receipt(text) if text else None for text in reply[2])
        return Changed(receipts, int(reply[3]), int(reply[1]))

    async def note(self, meeting: str, event: Prepared, *, fence: int) -> Receipt:
        """Append an event that changes no seat, for the owner of a room.

        Args:
            meeting: the session.
            event: what is recorded.
            fence: the token of the owner's lease.

        Raises:
            Refused: ``fenced-room``: it has a successor; nothing was written.
            StoreUnavailable: nothing was written.
        """
        args = [fence_arg(fence), *events_args([event])]
        reply = await self._run("note", [self.link.key("session", meeting)], args, [event])
        if reply[0] == b"refused":
            raise Refused(reply[3].decode())
        return read_receipt(reply[2][0])

    async def end(self, meeting: str, events: Sequence[Prepared], *, fence: int | None = None) -> int | None:
        """End a session and all its seats.

        Args:
            meeting: the session.
            events: what is recorded.
            fence: of a room's owner, the token of its lease.

        Returns:
            The revision, or ``None`` when it had ended before and nothing was written.

        Raises:
            Refused: ``no-session`` or ``fenced-room``.
            StoreUnavailable: nothing was written.
        """
        keys = [self.link.key("session", meeting), self.link.key("open")]
        reply = await self._run("end", keys, [fence_arg(fence), meeting, *events_args(events)], events)
        if reply[0] == b"refused":
            raise Refused(reply[3].decode())
        return None if reply[0] == b"already" else int(reply[3])

    async def load_session(self, meeting: str) -> dict[str, str] | None:
        """Return the fields of a session as stored, for `broker.sessions` to read; ``None`` when unknown."""
        return await self._hash("session", meeting)

    async def open_sessions(self) -> list[str]:
        """Return the meeting IDs of sessions that have not ended, the first to end first."""
        found = await self.link.read("ZRANGE", self.link.key("open"), 0, -1)
        return [item.decode() for item in found]

    # ------------------------------------------------------------------ guessing

    async def begin_attempt(
        self, scope: str, seat: str, *, known: bool, guard: Guard = SEAT_GUARD
    ) -> Attempt:
        """Ask whether a credential may be checked now, and count the attempt.

        The attempt counts as a failure until `attempt_ok`.

        Args:
            scope: the meeting ID, or ``staff``.
            seat: the seat, or the account.
            known: whether there is such a session and seat. An unknown one takes the very same path, on one
                of 65 536 counters that expire, so that inventing names neither tells nor fills anything.
            guard: from which failure on to slow down and to lock.
        """
        reply = await self._attempt("begin", scope, seat, known, [], guard)
        verdict = reply[0].decode()
        if verdict not in ("allowed", "delayed", "locked"):
            raise AssertionError("The attempt script answered something else.")
        return Attempt(verdict, int(reply[3]), int(reply[4]) if verdict == "delayed" else 0)

    async def attempt_failed(
        self,
        scope: str,
        seat: str,
        failed: Prepared,
        locked: Prepared,
        *,
        known: bool,
        guard: Guard = SEAT_GUARD,
    ) -> bool:
        """Record a wrong credential.

        Args:
            scope: see `begin_attempt`.
            seat: see `begin_attempt`.
            failed: the event of the failure.
            locked: stored as well if this failure locks.
            known: see `begin_attempt`.
            guard: see `begin_attempt`.

        Returns:
            Whether this failure locked the credential.
        """
        reply = await self._attempt("fail", scope, seat, known, [failed, locked], guard)
        return bool(len(reply[2]) > 1 and reply[2][1])

    async def attempt_turned_away(self, scope: str, seat: str, failed: Prepared, *, known: bool) -> None:
        """Record an attempt that `begin_attempt` did not allow, at most every 10 s for one credential."""
        await self._attempt("turned-away", scope, seat, known, [failed])

    async def attempt_undone(self, scope: str, seat: str, *, known: bool) -> None:
        """Take an attempt back whose password was not looked at after all."""
        await self._attempt("undo", scope, seat, known, [])

    async def attempt_ok(self, scope: str, seat: str, ok: Prepared) -> bool:
        """Record a right credential and forget the failures before it.

        Returns:
            ``False`` when it was locked meanwhile: then nothing was recorded and nobody may enter.
        """
        return bool((await self._attempt("ok", scope, seat, True, [ok]))[0] != b"locked")

    async def unlock(self, scope: str, seat: str, event: Prepared) -> None:
        """Forget all failures of a credential, and record who did that."""
        await self._attempt("unlock", scope, seat, True, [event])

    async def enter(
        self,
        meeting: str,
        seat: str,
        login: str,
        fields: Mapping[str, Value],
        *,
        epoch: int,
        early_ms: int,
        device: str,
        ok: Prepared,
        shut: Prepared,
    ) -> bool:
        """Open a credential session for a seat whose token and password were right; forget earlier failures.

        Args:
            meeting: the session.
            seat: the seat.
            login: name of the new record of kind ``grant``: the digest of its secret. It lives until the
                session's end.
            fields: what the record holds.
            epoch: the seat's epoch when its credential was checked.
            early_ms: how long before the start the door opens.
            device: remembered as the seat's last one.
            ok: recorded when the door is open.
            shut: recorded when it is not: too early, over, ended, seat removed or locked meanwhile.

        Returns:
            Whether the door was open and the record exists.
        """
        link = self.link
        keys = [link.key("session", meeting), link.key("try", meeting, seat), link.key("grant", login)]
        args: list[Arg] = [seat, epoch, early_ms, device, *fields_args(fields), *events_args([ok, shut])]
        reply = await self._run("enter", keys, args, [ok, shut])
        return bool(reply[2][0])

    async def locked(self, scope: str, seat: str, guard: Guard = SEAT_GUARD) -> bool:
        """Whether a credential is locked by failed attempts."""
        counter = await self._hash("try", f"{scope}:{seat}") or {}
        return counter.get("locked") == "1" or int(counter.get("n", "0")) >= guard.lock_at

    # ------------------------------------------------------------------ small records and tickets

    async def put(
        self,
        kind: str,
        name: str,
        fields: Mapping[str, Value],
        events: Sequence[Prepared],
        *,
        expect: Mapping[str, str | None] | None = None,
        listed: bool = False,
        lifetime_ms: int = 0,
    ) -> None:
        """Set fields of a small record, if it is as expected.

        Args:
            kind: ``staff``, ``login`` …
            name: its name within the kind; a token only as its digest.
            fields: what to set.
            events: what is recorded.
            expect: fields with the value they must have, or ``None`` where they must be absent.
            listed: also enter the name into the list that `names` returns.
            lifetime_ms: remove the record after so long; 0 keeps it.

        Raises:
            Refused: ``precondition``; nothing was written.
            StoreUnavailable: nothing was written.
        """
        await self._put(kind, name, lifetime_ms, expect or {}, fields, events, listed)

    async def remove(
        self,
        kind: str,
        name: str,
        events: Sequence[Prepared],
        *,
        expect: Mapping[str, str | None] | None = None,
    ) -> None:
        """Remove a small record, if it is as expected; see `put`."""
        await self._put(kind, name, -1, expect or {}, {}, events, True)

    async def load(self, kind: str, name: str) -> dict[str, str] | None:
        """Return a small record, or ``None``."""
        return await self._hash(kind, name)

    async def names(self, kind: str) -> list[str]:
        """Return the names that were `put` as ``listed``, sorted."""
        return sorted(item.decode() for item in await self.link.read("SMEMBERS", self.link.key(kind)))

    async def extend(self, kind: str, name: str, lifetime_ms: int, *, at_least: bool = False) -> bool:
        """Let a record live on for so long from now, or for ``at_least`` so long.

        Returns:
            ``False`` when it is gone already, or lasts longer than at least so long.
        """
        only = ("GT",) if at_least else ()
        return bool(await self.link.plain("PEXPIRE", self.link.key(kind, name), lifetime_ms, *only))

    async def issue_ticket(self, digest: str, value: bytes, lifetime_ms: int = TICKET_MS) -> None:
        """Keep what a ticket stands for.

        Args:
            digest: SHA-256 of the ticket in hex; the ticket itself is never stored.
            value: what redeeming it returns.
            lifetime_ms: how long it can be redeemed.
        """
        await self.link.plain("SET", self.link.key("ticket", digest), value, "PX", lifetime_ms)

    async def redeem_ticket(self, digest: str) -> bytes | None:
        """Use a ticket up: of any number of callers one gets the value, all others ``None``."""
        value = await self.link.plain("GETDEL", self.link.key("ticket", digest))
        return None if value is None else bytes(value)

    # ------------------------------------------------------------------ the ledger's own calls

    async def append(self, events: Sequence[tuple[Prepared, float | None]]) -> list[Receipt | None]:
        """Append events, however long it takes; for `broker.ledger`.

        Args:
            events: each with the loop time after which it must not be stored any more, or ``None``.

        Returns:
            Receipts; ``None`` for an event that came too late.
        """
        args: list[Arg] = [len(events)]
        for event, deadline in events:
            args += [0 if deadline is None else self.link.limit_us(deadline), *event_args(event)]
        # Not reported to `on_unused`: the ledger keeps these until it knows, and gives numbers back itself.
        reply = await self.link.settle("append", self._hours(), [], args, [], None)
        return [read_receipt(text) if text else None for text in reply[2]]

    async def read_log(self, first: int, count: int) -> list[tuple[int, bytes, str, str]]:
        """Return entries of the ledger.

        Args:
            first: index of the first, from 0.
            count: at most so many.

        Returns:
            Index, leaf bytes verbatim, meeting ID or empty, and node, in order.
        """
        start = f"{first + 1}-0"
        found = await self.link.read("XRANGE", self.link.key("log"), start, "+", "COUNT", count)
        return [_entry(item) for item in found or []]

    async def log_size(self) -> int:
        """Return how many events the ledger has received: the index the next one will get."""
        return int(await self.link.read("HGET", self.link.key("meta"), "n") or 0)

    # ------------------------------------------------------------------ inside

    async def _run(
        self, name: str, keys: Sequence[str], args: Sequence[Arg], events: Sequence[Prepared]
    ) -> Reply:
        return await self.link.run(name, self._hours(), keys, args, events)

    async def _attempt(
        self,
        verb: str,
        scope: str,
        seat: str,
        known: bool,
        events: Sequence[Prepared],
        guard: Guard = SEAT_GUARD,
    ) -> Reply:
        if known:
            key = self.link.key("try", scope, seat)
        else:
            spread = hashlib.sha256(f"{scope}\0{seat}".encode("utf-8", "surrogatepass")).digest()
            key = self.link.key("try", "?", str(int.from_bytes(spread[:8], "big") % _UNKNOWN_BUCKETS))
        lifetime = 0 if known else _UNKNOWN_MS
        args: list[Arg] = [verb, lifetime, guard.slow_from, guard.lock_at, *events_args(events)]
        return await self._run("attempt", [key], args, events)

    async def _put(
        self,
        kind: str,
        name: str,
        lifetime_ms: int,
        expect: Mapping[str, str | None],
        fields: Mapping[str, Value],
        events: Sequence[Prepared],
        listed: bool,
    ) -> None:
        args: list[Arg] = [name if listed else "", lifetime_ms, *fields_args(expect), *fields_args(fields)]
        args += events_args(events)
        reply = await self._run("put", [self.link.key(kind, name), self.link.key(kind)], args, events)
        if reply[0] == b"refused":
            raise Refused("precondition")

    async def _hash(self, kind: str, name: str) -> dict[str, str] | None:
        found = await self.link.read("HGETALL", self.link.key(kind, name))
        return {key.decode(): value.decode() for key, value in found.items()} or None

    def _hours(self) -> tuple[int, int]:
        hour = int((time.monotonic() + self._epoch_offset) // 3600)
        return hour, hour - 1


def _entry(item: Any) -> tuple[int, bytes, str, str]:
    position, fields = item
    return int(position.split(b"-")[0]) - 1, fields[b"e"], fields[b"s"].decode(), fields[b"n"].decode()
