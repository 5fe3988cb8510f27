"""What the HTTP front needs from the rest of the process, as one value.

The app builds it once, after the ports are known, and hands it to ``signaling.routes.application``. Nothing
in the front makes a service or reads a setting by itself, so a test hands in a real store and a short static
folder and has the whole front.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # for annotations only: the front starts no store by being imported
    from broker.admission import Admission
    from broker.booking import Booking
    from broker.credentials import Credentials
    from broker.identity import Identity
    from broker.ledger import Ledger
    from broker.private import Private
    from broker.tickets import Tickets
    from rooms.quality import Quality
    from signaling.messages import Board
    from signaling.preload import Pages


class Changes:
    """Wakes everybody who waits for the next change of the board. One per process."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Say that something on the board changed; never waits."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self) -> None:
        """Return at the next ``notify``; those before this call do not count."""
        await self._next.wait()


class OtherWorkers(Protocol):
    """The workers beside this one, as far as the front asks them anything."""

    @property
    def mine(self) -> str:
        """The number of this worker."""

    async def numbers(self) -> dict[str, bytes]:
        """The metrics of each other worker (``Metrics.tell``), by its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of one process.

    Attributes:
        board: the live board now; reads the store, so it may raise ``StoreUnavailable``.
        changes: notified by the live half whenever the board may look different.
        reload: a session was changed through HTTP (ended, a seat left, agreed, unlocked): the running room of
            this meeting id, if there is one, must read the store again. Never waits.
        held_by_another: whether another device than this one holds the seat at this moment (meeting, seat,
            device), in whichever worker; it alone may give the place up.
        store_ok: whether events can be made durable now.
        other_workers: how to ask them; ``None`` where a node has only one.
        draining: whether this process is stopping and takes nobody new.
        gauges: numbers of now for the metrics, such as ``rooms``, ``links``, ``peers``.
        counters: numbers that only grow, such as ``MediaPort.counters``.
        links: how well each transport carries now, without whose it is.
        public_url: the origin in people's address bars, such as ``https://visit.example.org``, as
            ``Settings`` writes it.
        behind_proxy: whether a proxy passes requests on, so that everybody seems to come from it.
        metrics_token: what a request for the metrics must show; without one they are for this machine only.
        programs: whether programs may publish for a patient's seat.
        pages: ``index.html``, ``visit.html`` and the rest of the browser's half.
    """

    booking: Booking
    credentials: Credentials
    tickets: Tickets
    identity: Identity
    admission: Admission
    ledger: Ledger
    board: Callable[[], Awaitable[Board]]
    changes: Changes
    reload: Callable[[str], None]
    held_by_another: Callable[[str, str, str], Awaitable[bool]]
    store_ok: Callable[[], bool]
    draining: Callable[[], bool]
    gauges: Callable[[], Mapping[str, float]]
    counters: Callable[[], Mapping[str, float]]
    links: Callable[[], Sequence[Quality]]
    public_url: str
    pages: Pages
    behind_proxy: bool = False
    programs: bool = False
    metrics_token: Private[str] | None = None
    other_workers: OtherWorkers | None = None
