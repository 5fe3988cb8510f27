"""Rooms that go from one worker to another while people are in them: who ran one before us, who runs it next.

    leaving worker                         next worker
    lease given up ──adopt(who is inside)──▶ takes the lease, loads the session, opens the room
    pages: "moved" ─────────────────────────▶ pages come, media connects
    forwards (rooms.handover) ◀──let-go────── its gate has been open for a moment, or somebody is to be cut
    forwards nothing ────────former-ended───▶ whoever is not in the room yet is told so

Two owners forward for a moment; one decides, by its lease (docs/decisions/0007, 0012). Each keeps by itself
that nobody is together without a clinician. A worker that is not reached is waited for by neither side: both
know how long it may take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from broker.errors import BadInput, QuietroomError
from broker.ids import MeetingId, parse_meeting_id
from broker.seats import SeatCode
from rooms.events import FormerEnded, Tick
from rooms.runner import Runner
from signaling.neighbours import Neighbours, Unreachable
from signaling.tenancy import Tenancy

ADOPTED_WITHIN: Final = 3.0
"""Seconds for another worker to take a room; meanwhile we go on forwarding."""

Take = Callable[[MeetingId, frozenset[SeatCode]], Awaitable[Runner]]


@dataclass(slots=True)
class Succession:
    """The rooms that come to this worker and go from it.

    Args:
        take: opens a room here by lease, with the seats for which its former owner still forwards.
        runner: a room that runs or ends here.
    """

    neighbours: Neighbours
    tenancy: Tenancy
    take: Take
    runner: Callable[[str], Runner | None]
    _formers: dict[str, str] = field(default_factory=dict, init=False)
    _nexts: dict[str, str] = field(default_factory=dict, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Answer the other workers."""
        self.neighbours.calls |= {
            "adopt": self._adopt,
            "let-go": self._let_go,
            "former-ended": self._former_ended,
        }

    # ---- rooms that go -----------------------------------------------------------------------------------

    async def pass_on(self, meeting: MeetingId, others: Sequence[str], moving: frozenset[SeatCode]) -> bool:
        """Give up our lease of a room and see to it that one of these workers takes it.

        Args:
            others: in the order in which they are asked.
            moving: the seats that exchange media here.

        Returns:
            False when none does; the room is nobody's then.
        """
        await self.tenancy.release(meeting)
        values = {"meeting": meeting, "former": self.neighbours.name, "moving": ",".join(sorted(moving))}
        for worker in others:
            try:
                if await self.neighbours.ask(worker, "adopt", values, within=ADOPTED_WITHIN) == b"true":
                    self._nexts[meeting] = worker
                    return True
            except Unreachable:
                self._tell(worker, "former-ended", meeting)  # it may have it all the same, a little later
        return False

    def ended(self, meeting: str) -> None:
        """A room does not run here any more: nothing of it is forwarded. Never waits."""
        if (worker := self._nexts.pop(meeting, None)) is not None:
            self._tell(worker, "former-ended", meeting)
        self.let_former_go(meeting)

    async def _let_go(self, values: Mapping[str, str]) -> bytes:
        runner = self.runner(values.get("meeting", ""))
        if runner is not None and runner.finished:  # else it is ours, and nobody else's to end
            runner.stop("moved")
        return b"true"

    # ---- rooms that come ---------------------------------------------------------------------------------

    async def _adopt(self, values: Mapping[str, str]) -> bytes:
        try:
            meeting = parse_meeting_id(values.get("meeting", ""))
            moving = frozenset(SeatCode(code) for code in values.get("moving", "").split(",") if code)
        except (BadInput, ValueError):
            return b"false"
        self._formers[meeting] = values.get("former", "")
        try:
            runner = await self.take(meeting, moving)
        except QuietroomError:
            self._formers.pop(meeting, None)
            return b"false"
        # What it finds is put on record now, not when the first page comes.
        runner.tell(Tick() if meeting in self._formers else FormerEnded())
        return b"true"

    def let_former_go(self, meeting: str) -> None:
        """Whoever ran the room before us is to forward nothing any more, if it still does. Never waits."""
        if (worker := self._formers.pop(meeting, None)) is not None:
            self._tell(worker, "let-go", meeting)

    async def _former_ended(self, values: Mapping[str, str]) -> bytes:
        meeting = values.get("meeting", "")
        self._formers.pop(meeting, None)
        if (runner := self.runner(meeting)) is not None and not runner.finished:
            runner.tell(FormerEnded())
        return b"true"

    # ---- both --------------------------------------------------------------------------------------------

    def _tell(self, worker: str, call: str, meeting: str) -> None:
        task = asyncio.create_task(self._told(worker, call, meeting), name=call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _told(self, worker: str, call: str, meeting: str) -> None:
        try:
            await self.neighbours.ask(worker, call, {"meeting": meeting})
        except Unreachable:
            pass  # it has gone, and with it what it forwarded

    async def told(self) -> None:
        """Wait until the others have heard what they were to hear."""
        if self._tasks:
            await asyncio.wait(set(self._tasks))
