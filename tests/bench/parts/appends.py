"""The audit stream under a steady load: a ledger on an embedded store of its own, every event on disk.

Open loop: events are due at fixed times whether or not earlier ones are stored, and latency counts from the
time an event was due. A ledger that falls behind shows it; it cannot slow the load down.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.audit import AuditEvent, EventType
from broker.embedded import EmbeddedStore
from broker.errors import StoreUnavailable
from broker.ledger import Ledger
from broker.sealing import Keyring
from broker.store import Store
from tests.support.stores import new_node_name

SUBJECTS: Final = 50
_TURN: Final = 0.001
"""Seconds between looks at the schedule."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load came to.

    Attributes:
        rates: events stored in each whole second.
        p99_ms: of all events, from the time each was due to its receipt.
        lost: events without a receipt.
    """

    rates: list[float]
    p99_ms: float
    lost: int


async def steady_load(folder: Path, rate: int, seconds: int) -> Load:
    """Append ``rate`` events a second for so long, each from a task of its own.

    Args:
        folder: empty; store and keys are kept there.
        rate: events due per second, evenly spaced.
        seconds: how long events become due.
    """
    async with EmbeddedStore(folder / "store") as embedded:
        store = Store(embedded.url, "bench", new_node_name())
        try:
            await store.start()
            ledger = Ledger(store, Keyring(folder / "keys"))
            await ledger.start()
            try:
                await asyncio.gather(*(ledger.append(_event(number)) for number in range(100)))
                return await _append(ledger, rate, seconds)
            finally:
                await ledger.close()
        finally:
            await store.close()


async def _append(ledger: Ledger, rate: int, seconds: int) -> Load:
    took: list[float] = []
    stored = [0.0] * seconds
    lost = 0
    began = time.monotonic()

    async def one(number: int) -> None:
        nonlocal lost
        due = began + number / rate
        try:
            await ledger.append(_event(number))
        except StoreUnavailable:
            lost += 1
            return
        now = time.monotonic()
        took.append((now - due) * 1000)
        if (second := int(now - began)) < seconds:
            stored[second] += 1

    number = 0
    async with asyncio.TaskGroup() as tasks:
        while number < rate * seconds:
            due = min(rate * seconds, int((time.monotonic() - began) * rate) + 1)
            while number < due:
                tasks.create_task(one(number))
                number += 1
            await asyncio.sleep(_TURN)
    return Load(stored, statistics.quantiles(took, n=100)[98], lost)


def _event(number: int) -> AuditEvent:
    """An admission, as the server records it."""
    session = f"bench{number % SUBJECTS:011d}"
    return AuditEvent(
        type=EventType.SEAT_ADMITTED, actor="staff:bench", subject=f"{session}/A", session=session, seat="A"
    )
