"""What a seat costs the server in memory, read from the kernel: growth of resident memory per seat.

Passwords are typed before the reading starts, since an Argon2id hash takes 19 MB for a moment. Each batch is
one sample; a batch is read once the server's memory has come to rest.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from tests.bench.parts.wire import Line, Wire, book, calling
from tests.e2e.practice import Practice, Visit

SEATS: Final = ("A", "B")
_PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") / 1024
_REST: Final = 5
"""Equal readings in a row, 0.1 s apart, that count as rest."""


async def waiting_seats(practice: Practice, seats: int, batches: int) -> list[float]:
    """Kilobytes per seat in the waiting room that has not answered the offer of a transport."""
    visits = await book(practice, seats // len(SEATS), "couple")
    samples = []
    async with calling(practice) as wire:
        places = [(visit, seat, await wire.enter(visit, seat)) for visit in visits for seat in SEATS]
        size = len(places) // batches
        before = await _at_rest(practice)
        for start in range(0, size * batches, size):
            for place in places[start : start + size]:
                await (await wire.connect(*place)).ask("knock")
            after = await _at_rest(practice)
            samples.append((after - before) / size)
            before = after
    return samples


async def admitted_seats(practice: Practice, sessions: int, batches: int) -> list[float]:
    """Kilobytes per seat in the room, each with its transport connected: two partners and their therapist."""
    visits = await book(practice, sessions, "couple")
    samples = []
    async with calling(practice) as wire:
        places = [(visit, {seat: await wire.enter(visit, seat) for seat in SEATS}) for visit in visits]
        await _fill(wire, *places.pop())  # whatever is made once is made now
        size = len(places) // batches
        before = await _at_rest(practice)
        for start in range(0, size * batches, size):
            for place in places[start : start + size]:
                await _fill(wire, *place)
            after = await _at_rest(practice)
            samples.append((after - before) / (size * (len(SEATS) + 1)))
            before = after
    return samples


async def _fill(wire: Wire, visit: Visit, cookies: dict[str, str]) -> None:
    """Bring a whole session into its room."""
    host = await wire.host(visit)
    await host.ask("enter")
    await host.connect_media()
    await host.when(lambda m: m["type"] == "roster" and m["clinician-present"])
    for seat, cookie in cookies.items():
        patient: Line = await wire.connect(visit, seat, cookie)
        await patient.ask("knock")
        await patient.connect_media()
        await host.ask("act", action="admit", seats=[seat])


def resident_kb(pid: int) -> float:
    """Resident memory of a process, kB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KB


async def _at_rest(practice: Practice) -> float:
    """Resident memory of the server once it stays the same, kB; after five seconds, whatever it is."""
    assert practice.process is not None
    readings: list[float] = []
    for _ in range(50):
        readings.append(resident_kb(practice.process.pid))
        if len(readings) >= _REST and len(set(readings[-_REST:])) == 1:
            break
        await asyncio.sleep(0.1)
    return readings[-1]
