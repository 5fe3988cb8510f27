"""``python -m tests.bench.parts.visitors``: everybody's pages, without their media, in one process.

A load holds the event loop of its process for seconds, and a page that does not answer pings is gone. So the
signaling of all seats is here: people who book, sign in, type passwords, agree, knock, and let one another
in. Lines of JSON as in `host.py`, so that a load drives both alike:

    {"do": "practice", "port": …, "passwords": {…}}      → {}
    {"do": "open", "room": …, "seat": …, "place": 0}     → {"sdp": offer}
    {"do": "answer", "room": …, "seat": …, "sdp": …}     → {}
    {"do": "gate", "room": …, "seats": […]}              → {}

A room is a booked couple with a co-therapist. The seat at place 0 is the therapist's: a room whose therapist
is not heard is on hold, as it should be.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.parts.wire import Line, Message, Wire, calling
from tests.e2e.practice import Practice, Visit

COTHERAPIST: Final = "second"
"""The account of the second clinician."""

AT_ONCE: Final = 4
"""Passwords that are made or typed at the same time: the server hashes few at once and turns others away."""

SEATS: Final = ("T", "A", "B", "C")
"""By place."""


@dataclass(slots=True)
class Couple:
    """One session and who is connected.

    Attributes:
        lines: by the name that the load has for the seat.
        seats: the seat codes, by the same.
    """

    visit: Visit
    lines: dict[str, Line] = field(default_factory=dict)
    seats: dict[str, str] = field(default_factory=dict)


class Visitors:
    """The people of many rooms."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rooms: dict[str, Couple] = {}
        self._typing = asyncio.Semaphore(AT_ONCE)

    async def do(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request."""
        match asked:
            case {"do": "open", "room": room, "seat": seat, "place": place}:
                return {"sdp": await self._open(room, seat, SEATS[place])}
            case {"do": "answer", "room": room, "seat": seat, "sdp": sdp}:
                await self._rooms[room].lines[seat].answer(sdp)
            case {"do": "gate", "room": room, "seats": seats}:
                await self._admit(self._rooms[room], seats)
            case _:
                raise ValueError(f"no such request: {asked}")
        return {}

    async def _open(self, room: str, seat: str, code: str) -> str:
        wire = self._wire
        if room not in self._rooms:
            async with self._typing:
                self._rooms[room] = Couple(await wire.practice.book("couple", cohost=COTHERAPIST))
        couple = self._rooms[room]
        if code in ("A", "B"):
            async with self._typing:
                line = await wire.waiting(couple.visit, code)
        else:
            line = await wire.host(couple.visit, "therapist" if code == "T" else COTHERAPIST)
            await line.ask("enter")
        couple.lines[seat], couple.seats[seat] = line, code
        return await line.offer()

    async def _admit(self, couple: Couple, names: list[str]) -> None:
        """Let in whoever of them waits, as soon as there is a clinician."""
        codes = {couple.seats[name]: couple.lines[name] for name in names if name in couple.seats}
        await codes["T"].when(lambda message: message["type"] == "roster" and message["clinician-present"])
        patients = sorted(codes.keys() & {"A", "B"})
        if patients:
            await codes["T"].ask("act", action="admit", seats=patients)  # who is inside already stays inside


async def serve() -> None:
    """Do what is asked until the input ends: much at once, answered in the order in which it was asked."""
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    told: Message = json.loads(await reader.readline())
    practice = Practice(Path(), port=told["port"], passwords=told["passwords"])
    print(json.dumps({}), flush=True)
    await practice.api("therapist", "GET", "/api/me")  # signed in once, not by each of them
    await practice.api(COTHERAPIST, "GET", "/api/me", headers={"Quietroom-Role": "therapist"})
    asked: asyncio.Queue[asyncio.Task[Message]] = asyncio.Queue()

    async def tell() -> None:
        while True:
            print(json.dumps(await (await asked.get())), flush=True)

    async with calling(practice) as wire, asyncio.TaskGroup() as people:
        visitors = Visitors(wire)
        telling = people.create_task(tell())
        while line := await reader.readline():
            asked.put_nowait(people.create_task(visitors.do(json.loads(line))))
        telling.cancel()


if __name__ == "__main__":
    asyncio.run(serve())
