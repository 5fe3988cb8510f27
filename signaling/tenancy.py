"""Which worker runs which room: the leases of this one, and where a page belongs that comes to it.

    page ──place──▶ runs here ─────────────────────────────▶ here
                    runs elsewhere ────────────────────────▶ relayed there
                    runs nowhere ──▶ worker with the fewest rooms ──take──▶ there
    lease ──renewed every third of its life──▶ ours … ──another's──▶ the room is closed here at once

A room that is lost is closed gate first, and its pages are told to come back. While the store answers nobody,
no lease can be renewed and none can be taken either: rooms go on as they are, open nothing, and learn at the
store's first answer whether they are still ours (docs/decisions/0007).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from broker.errors import Refused, StoreUnavailable
from broker.ids import MeetingId, short_code
from broker.placement import Lease, Placement
from broker.tenure import Tenure
from signaling.failures import describe
from signaling.neighbours import Neighbours

COME_BACK_WITHIN: Final = 20.0
"""Seconds for which a room whose worker died or left is taken again, also by who takes no new ones."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Tenancy:
    """The rooms that are this worker's by lease.

    Args:
        placement: our leases in the store.
        neighbours: the other workers of this node.
        running: the rooms that run here now.
        on_lost: told of a room that is another's now; must not wait.

    Attributes:
        taking: whether this worker takes rooms that run nowhere; if not, still those of the dead.
    """

    placement: Placement
    neighbours: Neighbours
    running: Callable[[], Iterable[MeetingId]]
    on_lost: Callable[[MeetingId], None]
    taking: bool = field(default=True, init=False)
    _tenure: Tenure = field(init=False)
    _orphans: dict[MeetingId, float] = field(default_factory=dict, init=False)
    _store_is_back: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        """Begin with no room."""
        self._tenure = Tenure(self.placement.ttl)

    @property
    def me(self) -> str:
        """This worker's name."""
        return self.placement.worker

    @property
    def unsure(self) -> int:
        """How many rooms may be another's by now, for metrics: the store has not answered for too long."""
        return len(self._tenure.unsure(_now()) & frozenset(self.running()))

    async def place(self, meeting: MeetingId) -> str | None:
        """Find the worker that runs a room which does not run here, or is to run it.

        Returns:
            Its name; ``None``: this one.

        Raises:
            Refused: ``draining`` when it runs nowhere and nobody here takes rooms; ``no-session``.
            StoreUnavailable: nobody knows.
        """
        others, taking = self.neighbours.names, self._takes(meeting)
        if others or not taking:
            owners = await self.placement.owners()
            if (owner := owners.get(meeting)) is not None:
                return None if owner == self.me else owner
            rooms = Counter(owners.values())
            able = [*([self.me] if taking else []), *sorted(others)]
            if not able:
                raise Refused("draining")
            chosen = min(able, key=lambda worker: rooms[worker])
            if chosen != self.me:
                return chosen
        lease = await self._take(meeting)
        return None if lease.worker == self.me else lease.worker

    async def claim(self, meeting: MeetingId) -> Lease:
        """Take a room for this worker, before its session is loaded.

        Raises:
            Refused: ``moved`` when it is another's; ``draining`` when this worker takes none; ``no-session``.
            StoreUnavailable: nobody knows.
        """
        if not self._takes(meeting):
            raise Refused("draining")
        lease = await self._take(meeting)
        if lease.worker != self.me:
            raise Refused("moved")
        return lease

    def orphaned(self, meetings: Iterable[MeetingId]) -> None:
        """The worker of these rooms has died or leaves: who was in them comes back in a moment."""
        now = _now()
        living = {meeting: until for meeting, until in self._orphans.items() if now < until}
        self._orphans = living | dict.fromkeys(meetings, now + COME_BACK_WITHIN)

    def _takes(self, meeting: MeetingId) -> bool:
        return self.taking or _now() < self._orphans.get(meeting, 0.0)

    async def keeps(self, meeting: MeetingId) -> bool:
        """Make sure that a room that runs here is still ours; ask the store where our clock is not enough.

        Returns:
            False when it may be another's; it is being closed.

        Raises:
            StoreUnavailable: nobody knows.
        """
        if self._tenure.sure(meeting, _now()):
            return True
        await self._renew(frozenset([meeting]))
        return meeting in self.placement.held

    async def _take(self, meeting: MeetingId) -> Lease:
        asked_at = _now()
        lease = await self.placement.take(meeting)
        if lease.worker == self.me:
            self._tenure.heard([meeting], asked_at)
        return lease

    async def release(self, meeting: MeetingId) -> None:
        """Give a room up that does not run here any more."""
        self._tenure.forget([meeting])
        try:
            await self.placement.release(meeting)
        except StoreUnavailable:
            pass  # then it runs out by itself

    async def owner_elsewhere(self, meeting: str) -> str | None:
        """The other worker that runs a room now, as far as the store tells."""
        try:
            owner = (await self.placement.owners()).get(MeetingId(meeting))
        except StoreUnavailable:
            return None
        return None if owner == self.me else owner

    def store_is_back(self) -> None:
        """Ask at once what is still ours."""
        self._store_is_back.set()

    async def keep(self) -> None:
        """Renew the leases of the running rooms until cancelled."""
        while True:
            self._store_is_back.clear()
            try:
                async with asyncio.timeout(self.placement.ttl / 3):
                    await self._store_is_back.wait()
            except TimeoutError:
                pass
            try:
                await self.renew()
            except StoreUnavailable:
                pass
            except Exception as error:
                log.error("leases cannot be renewed", **describe(error))

    async def renew(self) -> None:
        """Renew the leases of the running rooms now, and let go of those that are another's.

        Raises:
            StoreUnavailable: nobody knows.
        """
        await self._renew(frozenset(self.running()))

    async def _renew(self, rooms: frozenset[MeetingId]) -> None:
        asked_at = _now()
        ours = await self.placement.renew(rooms)
        self._tenure.heard(ours & self.placement.held, asked_at)  # without what was given up meanwhile
        # One that was given up and taken again while we asked is ours all the same.
        for meeting in rooms - ours - self.placement.held:
            self._tenure.forget([meeting])
            log.warning("room is another worker's now", room=short_code(meeting))
            self.on_lost(meeting)


def _now() -> float:
    return asyncio.get_running_loop().time()
