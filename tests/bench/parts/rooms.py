"""Rooms on several servers side by side, opened alike and loaded in turn.

Servers are compared only within one run: window for window they take turns, so that whatever else the machine
is doing falls on all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.bench.parts import janus
from tests.bench.parts.endpoint import Endpoint
from tests.bench.parts.load import Audience, Source, Synthetic, Window, cpu_seconds, window
from tests.bench.parts.memory import resident_kb
from tests.bench.parts.servers import PLAIN, Server, outward, served

Turns = dict[str, list[Window]]
"""The windows of each server, by its name."""

_AT_ONCE: Final = 8
"""Rooms that are being connected at the same time."""


@dataclass(slots=True)
class Room:
    """One publisher and those who see them."""

    source: Source
    subscribers: list[Endpoint] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Joins:
    """What it took a server to connect some clients, per client: CPU in ms, memory in kB."""

    cpu_ms: float
    memory_kb: float


@dataclass(slots=True, eq=False)
class Bed:
    """A server and its rooms."""

    server: Server
    audience: Audience
    rooms: dict[int, Room] = field(default_factory=dict)

    async def fill(self, numbers: Sequence[int], subscribers: int) -> Joins | None:
        """See to it that these rooms have that many subscribers; ``None`` if they had."""
        gate = asyncio.Semaphore(_AT_ONCE)
        before = len(self._endpoints())
        cpu, memory = cpu_seconds(self.server.pid), resident_kb(self.server.pid)

        async def one(number: int) -> None:
            async with gate:
                if number not in self.rooms:
                    endpoint = await self.server.publish(number)
                    self.audience.endpoints.append(endpoint)
                    self.rooms[number] = Room(Synthetic(endpoint))
                room = self.rooms[number]
                missing = subscribers - len(room.subscribers)
                added = await asyncio.gather(*(self.server.subscribe(number) for _ in range(missing)))
                self.audience.endpoints += added
                room.subscribers += added

        await asyncio.gather(*(one(number) for number in numbers))
        count = len(self._endpoints()) - before
        if not count:
            return None
        return Joins(
            (cpu_seconds(self.server.pid) - cpu) * 1000 / count,
            (resident_kb(self.server.pid) - memory) / count,
        )

    async def load(self, numbers: Sequence[int], seconds: float) -> Window:
        """One window over these rooms, all of which have as many subscribers."""
        rooms = [self.rooms[number] for number in numbers]
        subscribers = [endpoint for room in rooms for endpoint in room.subscribers]
        done = window(self.server.pid, [room.source for room in rooms], subscribers, self.audience, seconds)
        if done.bad:
            raise RuntimeError(f"{self.server.name}: {done.bad} packets of the sample were not authentic")
        await asyncio.sleep(0.02)  # what came for the event loop meanwhile
        return done

    async def close(self) -> None:
        """Hang up everywhere."""
        endpoints = self._endpoints()
        self.audience.endpoints = [each for each in self.audience.endpoints if each not in endpoints]
        await asyncio.gather(*(endpoint.close() for endpoint in endpoints))

    def _endpoints(self) -> list[Endpoint]:
        return [
            endpoint for room in self.rooms.values() for endpoint in (room.source.endpoint, *room.subscribers)
        ]


async def take_turns(beds: Sequence[Bed], numbers: Sequence[int], *, rounds: int, seconds: float) -> Turns:
    """Windows of each server in turn, by name of the server.

    A round in which one of them did not keep up is run again, up to twice: a server that gets no core from a
    busy machine, and finds long queues when it does, is measured wrong.
    """
    for bed in beds:
        await bed.load(numbers, min(1.0, seconds))  # pays for caches and pages that are there from then on
    windows: Turns = {bed.server.name: [] for bed in beds}
    spare = 2
    while rounds:
        done = {bed.server.name: await bed.load(numbers, seconds) for bed in beds}
        if spare and not all(window.kept_up for window in done.values()):
            spare -= 1
            continue
        rounds -= 1
        for name, each in done.items():
            windows[name].append(each)
    return windows


@asynccontextmanager
async def side_by_side() -> AsyncIterator[tuple[list[Bed], str | None]]:
    """Our server with the engine it chooses, with the plain one if that is another, and Janus if it is here.

    Yields:
        The servers in this order, and why Janus is not among them.
    """
    address, program = outward(), janus.installed()
    without = None
    if program is None:
        without = "janus is not installed"
    elif address is None:
        without = "janus serves no media on loopback, and there is no other address"
    audience = Audience()
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(served("chosen"))
        servers: list[Server] = [ours]
        if ours.name != PLAIN:
            servers.append(await stack.enter_async_context(served(PLAIN)))
        if program is not None and address is not None:
            servers.append(await stack.enter_async_context(janus.janus(program, address)))
        alive = asyncio.create_task(audience.run())
        try:
            yield [Bed(server, audience) for server in servers], without
        finally:
            alive.cancel()
            await asyncio.gather(*(endpoint.close() for endpoint in audience.endpoints))
