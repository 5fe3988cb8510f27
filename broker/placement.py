"""Which worker runs which room: leases by the store's clock, with a token that grows with each new owner.

    take ──▶ ours ──renew, every few seconds──▶ ours … ──release──▶ nobody's
      └────▶ another's                            └──nobody renewed for a TTL, or bury──▶ the next one's

A lease decides nobody's access; it says whose room this is. Whoever takes one loads the session **after**
that: what the owner before made durable is there, and what it tries later is refused, since every change of
an owner carries its token (``fence`` of `broker.admission`) and the scripts compare it with the session's.
So two workers may believe for a moment that a room is theirs, but only one of them can open anything in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from broker.changes import Arg
from broker.errors import Refused, StoreUnavailable
from broker.ids import MeetingId
from broker.redis_store import Reply
from broker.store import Store

TTL: Final = 6.0
"""Seconds that a lease lasts without renewal."""

_WORKER: Final = re.compile(r"[!-~]{1,64}")
_BATCH: Final = 500
"""Rooms renewed by one script call; far more than one process can serve."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who runs a room.

    Attributes:
        worker: its owner.
        token: one more with each new owner of this room, never used twice; the owner's ``fence``.
    """

    meeting: MeetingId
    worker: str
    token: int


class Placement:
    """The leases of one worker.

    Args:
        store: started.
        worker: names this run of this worker, 1 to 64 printable ASCII characters without blanks; a new run
            gets a new name, so that `bury` of the dead never meets the living.
        ttl: seconds that a lease lasts without renewal.
    """

    def __init__(self, store: Store, worker: str, *, ttl: float = TTL) -> None:
        if not _WORKER.fullmatch(worker):
            raise ValueError("A worker is named by 1 to 64 printable characters without blanks.")
        self._store = store
        self.worker = worker
        self.ttl = ttl
        self._held: dict[MeetingId, int] = {}

    @property
    def held(self) -> frozenset[MeetingId]:
        """The rooms that were ours when the store was last asked."""
        return frozenset(self._held)

    async def take(self, meeting: MeetingId) -> Lease:
        """Take a room that is nobody's, renew one that is ours, or learn whose it is.

        Returns:
            Our lease, or the living one of another worker.

        Raises:
            Refused: ``no-session``.
            StoreUnavailable: nobody knows; ask again.
        """
        session = self._store.link.key("session", meeting)
        reply = await self._run("take", self.worker, [meeting], session)
        if reply[0] == b"refused":
            raise Refused("no-session", "There is no such session.")
        lease = Lease(meeting, reply[3].decode(), int(reply[4]))
        if lease.worker == self.worker:
            self._held[meeting] = lease.token
        else:
            self._held.pop(meeting, None)
        return lease

    async def renew(self, meetings: Iterable[MeetingId]) -> frozenset[MeetingId]:
        """Renew our leases, all in one step.

        Also one that ran out is still ours when nobody else took it.

        Returns:
            Those that are still ours; any other room has, or may have, another owner: close it.

        Raises:
            StoreUnavailable: nobody knows; ask again.
        """
        asked = {meeting: self._held[meeting] for meeting in meetings if meeting in self._held}
        ours: set[MeetingId] = set()
        names = list(asked)
        for at in range(0, len(names), _BATCH):
            part = names[at : at + _BATCH]
            reply = await self._run("renew", self.worker, _pairs(part, asked))
            ours.update(MeetingId(name.decode()) for name in reply[3])
        for meeting, token in asked.items():
            if meeting not in ours and self._held.get(meeting) == token:  # not taken anew meanwhile
                del self._held[meeting]
        return frozenset(ours)

    async def release(self, meeting: MeetingId) -> None:
        """Give a room up, so that the next worker need not wait; does nothing when it is not ours.

        Raises:
            StoreUnavailable: it is ours until it runs out.
        """
        token = self._held.pop(meeting, None)
        if token is not None:
            await self._run("release", self.worker, _pairs([meeting], {meeting: token}))

    async def bury(self, worker: str) -> int:
        """End all leases of a worker that is certainly dead.

        Returns:
            How many it had.

        Raises:
            StoreUnavailable: they end by running out.
        """
        return int((await self._run("bury", worker, []))[3])

    async def owners(self) -> Mapping[MeetingId, str]:
        """Read which worker runs which room, of living leases only.

        Raises:
            StoreUnavailable: no answer.
        """
        found = await self._store.link.read("HGETALL", self._store.link.key("leases"))
        now = self._store.now_ms()
        if now is None:
            raise StoreUnavailable
        owners: dict[MeetingId, str] = {}
        for meeting, text in found.items():
            till, _, worker = text.decode().split(":", 2)
            if int(till) > now:
                owners[MeetingId(meeting.decode())] = worker
        return owners

    async def _run(self, verb: str, worker: str, args: Sequence[Arg], *more: str) -> Reply:
        link = self._store.link
        # No events come along, so the buckets of event ids are of no meaning.
        told = [verb, worker, round(self.ttl * 1000), *args]
        return await link.run("place", (0, 0), [link.key("leases"), *more], told, [])


def _pairs(meetings: Sequence[MeetingId], tokens: Mapping[MeetingId, int]) -> list[Arg]:
    args: list[Arg] = [len(meetings)]
    for meeting in meetings:
        args += [meeting, tokens[meeting]]
    return args
