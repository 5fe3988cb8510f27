"""The other workers of this node: who they are, our door for them, and how to knock at theirs.

    supervisor ──names──▶ Neighbours ──unix socket──▶ the door of another worker
                              ▲
    another worker ──PAGE, CALL──┘  our own door: 0600 in a 0700 directory, the same user at the other end
    our mark, beside the door ── locked by the living; one that can be locked is a dead worker's

Whoever wanted something of a worker that cannot be reached asks anew who runs the room. That it does not
answer says nothing about its life: it may be busy, or stopped for a moment, and its visits go on. Dead is
only whose mark the kernel has unlocked (flock(2)). Nothing here waits longer than a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from broker.errors import QuietroomError, Refused
from broker.files import private_directory, socket_place
from broker.tickets import Grant
from signaling.close_codes import CLOSE_CODES
from signaling.failures import describe
from signaling.relay import Line, LineKind, decode_call, decode_grant, encode_call, encode_grant

REACHED_WITHIN: Final = 1.0
"""Seconds for another worker to take a connection and say yes or no."""
MAX_LINES: Final = 4000
"""Connections from other workers at once."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_SLOT: Final = re.compile(r"-w([0-9]{1,2})-")

log = structlog.get_logger(__name__)

ServePage = Callable[[Grant, Line], Awaitable[None]]
AnswerCall = Callable[[Mapping[str, str]], Awaitable[bytes]]


class Unreachable(Exception):
    """That worker does not answer."""


class NameTaken(QuietroomError):
    """Another living process on this data directory has our name."""

    def __init__(self) -> None:
        super().__init__(
            "node-name-taken",
            "Another server on this data directory has that name; set QUIETROOM_NODE only on one of them.",
        )


def door(data_dir: Path, worker: str) -> Path:
    """Where the socket of a worker is.

    Args:
        data_dir: of the node.
        worker: its name, which may come from the store.

    Raises:
        Unreachable: nobody of ours is called so.
    """
    if not _NAME.fullmatch(worker):
        raise Unreachable
    return socket_place(data_dir.absolute() / "workers" / f"{worker}.sock")


@dataclass(slots=True)
class Neighbours:
    """The other workers of this node.

    Args:
        data_dir: of the node.
        name: our own.

    Attributes:
        names: the others that take rooms; told by the supervisor.
        alive: all others that live, and may run rooms still; told by the supervisor.
        serve_page: serves a page whose WebSocket another worker holds, to its end; sends READY or REFUSED.
        calls: what others may ask us, by name.
    """

    data_dir: Path
    name: str
    names: frozenset[str] = frozenset()
    alive: frozenset[str] = frozenset()
    serve_page: ServePage | None = field(default=None, init=False)
    calls: dict[str, AnswerCall] = field(default_factory=dict, init=False)
    _server: asyncio.Server | None = field(default=None, init=False)
    _open: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _life: int | None = field(default=None, init=False)

    # ---- our door ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open our door.

        Raises:
            UnsafeFiles: others could enter the directory.
            NameTaken: another living process has our name.
        """
        path = door(self.data_dir, self.name)
        private_directory(path.parent)
        self._life = self._put_up_mark()
        path.unlink(missing_ok=True)  # a dead one's: nobody who lives has our name
        self._server = await asyncio.start_unix_server(self._connected, path, backlog=256)
        path.chmod(0o600)

    async def close(self) -> None:
        """Take nobody new; who is served goes on. May be called twice."""
        if self._server is None:
            return
        self.forget(self.name)  # before it is unlocked: an unlocked mark would be taken for a grave
        self._server.close()
        self._server = None
        if self._life is not None:
            os.close(self._life)
            self._life = None

    def dead(self) -> list[str]:
        """The workers whose marks stand here unlocked: their processes have died, for certain."""
        marks = [mark for mark in self._marks().iterdir() if _NAME.fullmatch(mark.name)]
        return sorted(mark.name for mark in marks if _unlocked(mark))

    def forget(self, worker: str) -> None:
        """Take away what a worker has left that is certainly dead."""
        with contextlib.suppress(OSError, Unreachable):
            (self._marks() / worker).unlink(missing_ok=True)
            door(self.data_dir, worker).unlink(missing_ok=True)

    def _put_up_mark(self) -> int:
        """Say that we live, until we close this file or our process ends in whatever way.

        Returns:
            The locked file; no child process inherits it.

        Raises:
            UnsafeFiles, NameTaken: see ``start``.
        """
        mark = self._marks() / self.name
        if mark.exists() and not _unlocked(mark):
            raise NameTaken
        draft = mark.with_name(f".{self.name}")
        held = os.open(draft, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.replace(mark)  # locked before anybody sees it
        except BaseException:
            os.close(held)
            raise
        return held

    def _marks(self) -> Path:
        """The directory with the marks; a long path makes the doors themselves stand elsewhere.

        Raises:
            UnsafeFiles: others could enter it.
        """
        marks = self.data_dir.absolute() / "workers"
        private_directory(marks)
        return marks

    async def closed(self, within: float) -> None:
        """Wait until all that came through our door have gone; after ``within`` seconds cut the rest."""
        if self._open:
            _, late = await asyncio.wait(set(self._open), timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        task = asyncio.current_task()
        if not line.of_our_user or len(self._open) >= MAX_LINES or task is None:
            line.abort()
            return
        self._open.add(task)
        try:
            await self._serve(line)
        except (ConnectionError, TimeoutError):
            pass  # it has gone
        except Exception as error:
            log.error("a neighbour's request failed", **describe(error))
        finally:
            self._open.discard(task)
            line.close()

    async def _serve(self, line: Line) -> None:
        async with asyncio.timeout(REACHED_WITHIN):
            first = await line.receive()
        match first:
            case (LineKind.PAGE, data):
                grant = decode_grant(data)
                if grant is not None and self.serve_page is not None:
                    await self.serve_page(grant, line)
            case (LineKind.CALL, data):
                called = decode_call(data)
                if called is not None and (answer := self.calls.get(called[0])) is not None:
                    await line.send(LineKind.ANSWER, await answer(called[1]))

    # ---- the doors of others -----------------------------------------------------------------------------

    async def page(self, owner: str, grant: Grant) -> Line:
        """Hand a page to the worker that runs its room, or is to.

        Returns:
            The line on which its frames go from now on.

        Raises:
            Unreachable: ask anew who runs the room.
            Refused: with the code that the other worker gave.
        """
        line = await self._knock(owner)
        try:
            async with asyncio.timeout(REACHED_WITHIN):
                await line.send(LineKind.PAGE, encode_grant(grant))
                match await line.receive():
                    case (LineKind.READY, _):
                        return line
                    case (LineKind.REFUSED, code):
                        raise Refused(_known(code))
        except (ConnectionError, TimeoutError):
            pass
        except BaseException:
            line.abort()
            raise
        line.abort()
        raise Unreachable

    async def ask(
        self,
        worker: str,
        call: str,
        values: Mapping[str, str] | None = None,
        *,
        within: float = REACHED_WITHIN,
    ) -> bytes:
        """Ask one other worker.

        Args:
            worker: its name.
            call: what.
            values: with what.
            within: seconds for the answer.

        Raises:
            Unreachable: no answer.
        """
        line = await self._knock(worker)
        try:
            async with asyncio.timeout(within):
                await line.send(LineKind.CALL, encode_call(call, values or {}))
                match await line.receive():
                    case (LineKind.ANSWER, data):
                        return data
        except (ConnectionError, TimeoutError):
            pass
        finally:
            line.abort()
        raise Unreachable

    async def ask_all(self, call: str) -> dict[str, bytes]:
        """Ask all others at once; who does not answer is left out."""
        names = sorted(self.alive)
        answers = await asyncio.gather(*(self._asked(name, call) for name in names))
        return {name: found for name, found in zip(names, answers, strict=True) if found is not None}

    @property
    def mine(self) -> str:
        """Our number among the workers, for numbers about us."""
        return _slot(self.name)

    async def numbers(self) -> dict[str, bytes]:
        """The metrics of each other worker, by its number."""
        return {_slot(name): told for name, told in (await self.ask_all("numbers")).items()}

    async def _asked(self, worker: str, call: str) -> bytes | None:
        try:
            return await self.ask(worker, call)
        except Unreachable:
            return None

    async def _knock(self, worker: str) -> Line:
        path = door(self.data_dir, worker)
        try:
            async with asyncio.timeout(REACHED_WITHIN):
                line = Line(*await asyncio.open_unix_connection(path))
        except (OSError, TimeoutError):
            raise Unreachable from None
        if not line.of_our_user:
            line.abort()
            raise Unreachable
        return line


def _unlocked(mark: Path) -> bool:
    """Whether nobody who lives holds this mark; what cannot be found out is no death."""
    try:
        found = os.open(mark, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(found, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look at once see the same
        return os.fstat(found).st_nlink > 0  # else its worker has just closed, and still drains
    except OSError:
        return False
    finally:
        os.close(found)


def _slot(worker: str) -> str:
    """The number of a worker; unlike its name it lasts, so that a figure can be followed over restarts."""
    found = _SLOT.search(worker)
    return found[1] if found else worker


def _known(code: bytes) -> str:
    text = code.decode(errors="replace")
    return text if text in CLOSE_CODES else "moved"


def refusal(error: QuietroomError) -> bytes:
    """The data of a ``REFUSED`` frame."""
    return error.code.encode()
