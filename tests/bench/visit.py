"""A visit, measured where people feel it: from the knock to the picture, and what it costs the server.

One practice runs as ``quietroom serve`` with its embedded store, on loopback. Clients are raw HTTP and
WebSocket where a message is what counts, and Chromium with fake devices where a picture does. Nothing is
compared with another product here.

    knock_to_card_ms           knock sent ─▶ roster shows the patient waiting
    admit_to_frame_ms          click on Admit ─▶ first decoded picture of the patient, transport warm
    clinician_lost_to_held_ms  SIGKILL to the therapist's browser ─▶ patient told that the visit is paused
    waiting_seat_kb            resident memory of the server per waiting seat, no transport connected
    admitted_seat_kb           the same per seat in the room, transport connected
    audit_events_per_s         events on disk in a second, when somewhat more than the goal are due
    audit_p99_ms               from when an event was due to its receipt, in the same run
    joins_per_s                link ─▶ password ─▶ agreement ─▶ ticket ─▶ knock, four clients in a closed loop
    server_start_ms            ``quietroom serve`` on that practice's data ─▶ /readyz
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

from tests.bench.parts import appends, arrivals, browsers, memory
from tests.bench.rows import Row
from tests.e2e.conftest import running_practice
from tests.e2e.practice import Practice

EVENTS_DUE: Final = 1500
"""A second, in the load on the audit stream: half as many again as the goal."""


async def rows() -> list[Row]:
    """Measure all of it; about two minutes."""
    with tempfile.TemporaryDirectory(prefix="quietroom-bench-") as name:
        folder = Path(name)
        loads = [
            await appends.steady_load(folder / f"audit-{run}", EVENTS_DUE, seconds=10) for run in range(3)
        ]
        if lost := sum(load.lost for load in loads):
            raise RuntimeError(f"{lost} events of the load were not stored")
        async with running_practice(folder / "practice") as practice:
            waiting = await memory.waiting_seats(practice, seats=200, batches=4)
            admitted = await memory.admitted_seats(practice, sessions=9, batches=4)
            knocks = await arrivals.knocks(practice, runs=30)
            joins = await arrivals.joins(practice, count=40, clients=4)
            pictures = await browsers.admissions(practice, await practice.book("individual"), runs=8)
            losses = await browsers.lost_clinicians(practice, runs=4)
            starts = await _starts(practice, runs=5)
    return [
        Row.of("knock_to_card_ms", "ms", knocks),
        Row.of("admit_to_frame_ms", "ms", pictures),
        Row.of("clinician_lost_to_held_ms", "ms", losses),
        Row.of("waiting_seat_kb", "kB", waiting),
        Row.of("admitted_seat_kb", "kB", admitted),
        Row.of("audit_events_per_s", "1/s", [rate for load in loads for rate in load.rates]),
        Row.of("audit_p99_ms", "ms", [load.p99_ms for load in loads]),
        Row.of("joins_per_s", "1/s", joins),
        Row.of("server_start_ms", "ms", starts),
    ]


async def _starts(practice: Practice, runs: int) -> list[float]:
    took = []
    for _ in range(runs):
        await practice.stop()
        began = time.monotonic()
        await practice.start()
        took.append((time.monotonic() - began) * 1000)
    return took
