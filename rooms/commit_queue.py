"""What a room has decided, made durable: one commit after another, in the order in which they were decided.

    put ──▶ waits its turn ──▶ store ──▶ answer: Committed, CommitRefused
     └── a room that is gone cannot ask again: what it owes waits for another turn ◀──┘

It is a task of its own, so that a slow store holds up nobody in the room. When somebody else may have changed
the session it is read again; that takes its turn among the commits, and what was read while the room decided
something new is of no use (``settled``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from rooms.commits import OWED
from rooms.effects import Commit
from rooms.events import CommitRefused, Committed, SessionReloaded
from rooms.room import UNAVAILABLE

OWED_AGAIN: Final = 0.25
"""Seconds between attempts to record, for a room that closes, what the store did not take."""
FLUSH_WITHIN: Final = 2.5
"""Seconds that the store is given to take what was decided."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Failed:
    """The committing task met an error that is nobody's input."""

    error: Exception


Answer = Committed | CommitRefused | SessionReloaded | Failed
_RELOAD: Final = "reload"


@dataclass(slots=True, eq=False)
class CommitQueue:
    """The commits of one room on their way to the store.

    Args:
        commit: makes a change durable and says what came of it; store trouble is an answer, not an error.
        load: reads the session from the store; ``None`` when the store cannot be reached.
        answer: is given what came of each.
    """

    commit: Callable[[Commit], Awaitable[Committed | CommitRefused]]
    load: Callable[[], Awaitable[SessionReloaded | None]]
    answer: Callable[[Answer], None]
    _jobs: asyncio.Queue[Commit | str] = field(default_factory=asyncio.Queue, init=False)
    _put: int = field(default=0, init=False)
    _answered: int = field(default=0, init=False)
    _reload_asked: bool = field(default=False, init=False)
    _insists: bool = field(default=False, init=False)

    def put(self, commit: Commit) -> None:
        """Carry this out after all that was put before."""
        self._put += 1
        self._jobs.put_nowait(commit)

    def reload(self) -> None:
        """Read the session again, in turn with the commits."""
        if not self._reload_asked:
            self._reload_asked = True
            self._jobs.put_nowait(_RELOAD)

    def insist(self) -> None:
        """From now on the room asks for nothing again: what must be recorded is tried here until it is."""
        self._insists = True

    def heard(self) -> None:
        """The room has taken in one answer."""
        self._answered += 1

    @property
    def settled(self) -> bool:
        """Whether the room has taken in the answer to everything that it has decided."""
        return self._put == self._answered

    async def run(self) -> None:
        """Carry out what was put, until cancelled."""
        while True:
            job = await self._jobs.get()
            try:
                if isinstance(job, Commit):
                    await self._commit(job)
                else:
                    self._reload_asked = False
                    if (session := await self.load()) is not None:
                        self.answer(session)
            except Exception as error:
                self.answer(Failed(error))
            finally:
                self._jobs.task_done()

    async def _commit(self, commit: Commit) -> None:
        answer = await self.commit(commit)
        refused = isinstance(answer, CommitRefused) and answer.code == UNAVAILABLE
        if self._insists and refused and commit.action in OWED:
            await asyncio.sleep(OWED_AGAIN)
            self._jobs.put_nowait(commit)
        else:
            self.answer(answer)

    async def drained(self) -> bool:
        """Wait until everything has had its answer, for a bounded time. Returns whether it has."""
        try:
            async with asyncio.timeout(FLUSH_WITHIN):
                await self._jobs.join()
        except TimeoutError:
            return False
        return True

    async def flush(self) -> None:
        """Give what was decided its last chance to become durable."""
        if not await self.drained():
            log.warning("room closed with commits not taken by the store", waiting=self._jobs.qsize())
