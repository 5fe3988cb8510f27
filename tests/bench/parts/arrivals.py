"""Patients arrive: how soon the therapist sees a knock, and how many can come in a second.

Real HTTP and WebSocket clients against a running server; the bookings were made before the clock starts.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Final

from tests.bench.parts.wire import Message, book, calling
from tests.e2e.practice import Practice

SEAT: Final = "P"


def _waits(message: Message) -> bool:
    return message["type"] == "roster" and any(
        seat["seat"] == SEAT and seat["state"] == "waiting" for seat in message["seats"]
    )


async def knocks(practice: Practice, runs: int) -> list[float]:
    """Milliseconds from ``knock`` to the ``roster`` that shows the patient waiting, in fresh sessions."""
    visits = await book(practice, runs)
    took = []
    async with calling(practice) as wire:
        for visit in visits:
            host = await wire.host(visit)
            patient = await wire.connect(visit, SEAT, await wire.enter(visit, SEAT))
            sent = await patient.ask("knock")
            took.append((await host.when(_waits) - sent) * 1000)
            await wire.hang_up()
    return took


async def joins(practice: Practice, count: int, clients: int) -> list[float]:
    """Joins per second of each client times the clients: link, password (Argon2id), agreement, ticket, knock.

    Closed loop: a client begins its next join when the last one is in the waiting room.

    Returns:
        One rate for each round of ``clients`` joins that were completed.
    """
    visits = await book(practice, count)
    done: list[float] = []
    async with calling(practice) as wire:

        async def client() -> None:
            while visits:
                await wire.waiting(visits.pop(), SEAT)
                done.append(time.monotonic())

        began = time.monotonic()
        await asyncio.gather(*(client() for _ in range(clients)))
    marks = [began, *sorted(done)[clients - 1 :: clients]]
    return [clients / (after - before) for before, after in itertools.pairwise(marks)]
