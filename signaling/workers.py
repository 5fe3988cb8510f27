"""Several workers on one machine: who starts them, looks after them, and buries them.

    supervisor ── opens the TCP port and the store, then for each slot:
        spawn ──▶ starting ──ready──▶ serving ──leaving──▶ gone ──▶ spawn, with a new name
          └─ refused ─▶ later └──dies─────┴──▶ buried: its leases end, its neighbours hear of it ──▶ spawn

Each worker is a whole ``Server`` in a process of its own (``signaling.worker``), on the one TCP socket that
all of them accept from, with a UDP port for its rooms' media. The supervisor carries no visit. It speaks with
each worker over a socketpair, a JSON object per line: settings, go, names and media ports of the neighbours,
rooms whose worker has died or leaves, leave, finish, stop; and back: ready, failed, live, leaving. The TURN
secret that they share goes that way too, and lives in memory alone. Nobody is accepted before every worker is
ready the first time.

A worker told to end (SIGTERM) hands its rooms to the others and is replaced: that is how workers are renewed
one by one. While the node finishes none is replaced, and the last one stays with its rooms. No worker lives
longer than the supervisor, and the store ends last. Each worker records its own start and stop; one that was
killed has no stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from broker.embedded import dies_with_us, ended
from broker.errors import QuietroomError, StoreUnavailable
from broker.ids import MeetingId
from broker.placement import Placement
from broker.private import Private
from broker.sealing import Keyring
from broker.store import Store
from signaling.app import bury_the_dead
from signaling.failures import describe
from signaling.neighbours import Neighbours
from signaling.practice import embedded_store
from signaling.process import Told, bound_process, listen
from signaling.settings import Settings
from signaling.tenancy import COME_BACK_WITHIN

READY_WITHIN: Final = 60.0
"""Seconds for a worker to start; a large store takes a while to load."""
STOP_WITHIN: Final = 4.4
"""Seconds for the workers to end by themselves; with the store's own end, below five."""
BACK_OFF: Final = (0.0, 0.1, 0.3, 1.0, 3.0, 5.0)
STEADY: Final = 30.0
"""Seconds after which a worker that dies is started again at once."""
MAX_LINE: Final = 64 * 1024
ROOMS_A_LINE: Final = 500
"""Rooms named in one line; well below its longest."""

log = structlog.get_logger(__name__)


class WorkerFailed(QuietroomError):
    """A worker could not start, and says why."""


# ---- what is said over the socketpair --------------------------------------------------------------------


def encode_settings(settings: Settings) -> dict[str, Any]:
    """Settings as values that JSON has."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def decode_settings(values: dict[str, Any]) -> Settings:
    """The same settings again."""
    paths = {"data_dir", "keys_dir", "tls_cert", "tls_key"}
    known: dict[str, Any] = {
        name: Path(value) if name in paths and value is not None else value for name, value in values.items()
    }
    return Settings(**known)


class Wire:
    """One end of the socketpair between supervisor and worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Speak over this end."""
        return cls(*await asyncio.open_unix_connection(sock=end, limit=MAX_LINE))

    def say(self, **said: Any) -> None:
        """Say something; lost if the other end has gone."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._writer.write(json.dumps(said).encode() + b"\n")

    async def hear(self) -> dict[str, Any] | None:
        """What was said next; ``None`` when the other end has gone."""
        try:
            line = await self._reader.readline()
            return dict(json.loads(line)) if line else None
        except (ConnectionError, ValueError):
            return None

    def close(self) -> None:
        """End it; may be called twice."""
        self._writer.close()


# ---- one worker ------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Worker:
    """One run of one worker, as the supervisor keeps it.

    Attributes:
        taking: it is ready and takes rooms.
        media_port: its UDP port; 0 before it is ready, and when it has gone.
        live: in how many of its rooms somebody is inside; told while finishing.
    """

    name: str
    process: subprocess.Popen[bytes]
    wire: Wire
    taking: bool = False
    media_port: int = 0
    live: int = 0
    failure: WorkerFailed | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, on_change: Callable[[], None], on_leaving: Callable[[_Worker], None]) -> None:
        """Follow what it says until it has gone."""
        while (said := await self.wire.hear()) is not None:
            if "ready" in said:
                self.media_port, self.taking = int(said["ready"]), True
                self.settled.set()
            elif "failed" in said:
                self.failure = WorkerFailed(str(said["failed"]), str(said["text"]))
            elif "leaving" in said:
                on_leaving(self)
            elif "live" in said:
                self.live = int(said["live"])
            on_change()
        self.taking, self.media_port = False, 0
        self.settled.set()
        on_change()


# ---- the supervisor --------------------------------------------------------------------------------------


class Supervisor:
    """One node with several workers, for as long as the ``async with`` block lasts.

    Args:
        settings: port 0 lets the system choose.
        on_failure: called when there is a ``failure``.

    Attributes:
        settings: with the real port, once started.
        failure: why nobody looks after a worker any more; it is a mistake of ours, and the node must end.

    Raises:
        PortBusy, DataDirectoryBusy, NoStoreServer, StoreUnavailable, UnsafeFiles: on entering.
        WorkerFailed: on entering; the text is the worker's own.
    """

    def __init__(self, settings: Settings, on_failure: Callable[[], None] = lambda: None) -> None:
        self.settings = settings
        self.failure: BaseException | None = None
        self._on_failure = on_failure
        self._stack = AsyncExitStack()
        self._secret = Private(secrets.token_bytes(32))
        self._workers: dict[int, _Worker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._finishing = asyncio.Event()
        self._back_until = 0.0

    @property
    def url(self) -> str:
        """Where browsers reach it."""
        return self.settings.public_url

    @property
    def media_ports(self) -> list[int]:
        """The UDP ports of the workers, in the order of their slots."""
        return [self._workers[slot].media_port for slot in sorted(self._workers)]

    @property
    def live(self) -> int:
        """In how many rooms somebody is inside, as the workers last told while finishing.

        At least one as long as somebody may be on the way back from a worker that has died.
        """
        live = sum(worker.live for worker in self._workers.values())
        return max(live, int(asyncio.get_running_loop().time() < self._back_until))

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        self._listening = stack.enter_context(listen(settings.host, settings.port))
        port = int(self._listening.getsockname()[1])
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        Keyring(settings.keys_dir)  # once, before several workers look for keys that are not there yet
        embedded = None if settings.redis_url else await embedded_store(settings, stack)
        url = settings.redis_url or (embedded.url if embedded else "")
        self.settings = settings = replace(settings.bound_to(port, settings.media_port), redis_url=url)

        store = Store(url, settings.practice, settings.node)
        stack.push_async_callback(store.close)
        await store.start()
        self._placement = Placement(store, settings.node)
        self._neighbours = Neighbours(settings.data_dir, settings.node)
        await bury_the_dead(self._placement, self._neighbours, everybody=embedded is not None)

        stack.push_async_callback(self._stop)
        for slot in range(settings.workers):
            self._workers[slot] = await self._spawn(slot)
        for worker in self._workers.values():
            if not await _ready(worker):
                raise worker.failure or WorkerFailed("worker-failed", "A worker process does not start.")
        for slot, worker in self._workers.items():
            worker.wire.say(go=True)
            self._begin(self._keep(slot, worker), f"keep-{worker.name}").add_done_callback(self._kept)
        self._tell_names()
        log.info("node started", node=settings.node, workers=settings.workers)

    def _begin(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _kept(self, task: asyncio.Task[None]) -> None:
        """A slot is not looked after any more: well so if the node finishes, else nobody may go on."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("a worker is not looked after any more; the node ends", **describe(error))
        self.failure = error
        self._on_failure()

    async def _spawn(self, slot: int) -> _Worker:
        """Start a worker; it is not ready yet when this returns.

        Raises:
            OSError, SubprocessError: the system has no process, memory or descriptor for it, and nothing of
                it is left behind.
        """
        settings = self.settings
        # Two runs never share a name: each numbers its events from 0, and the dead one's leases are ended.
        name = f"{settings.node[:16]}-w{slot}-{secrets.token_hex(3)}"
        ours, theirs = socket.socketpair()
        dying = dies_with_us(signal.SIGKILL)

        def begin() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it has a certificate to look at
            dying()

        with contextlib.ExitStack() as undo, theirs:
            undo.callback(ours.close)
            process = subprocess.Popen(  # noqa: ASYNC220 -- forks from the main thread, and is not waited for
                [sys.executable, "-P", "-m", "signaling.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), self._listening.fileno()),
                start_new_session=True,  # Ctrl-C is the supervisor's to hand on
                preexec_fn=begin,  # noqa: PLW1509 -- nothing else sets what a worker begins with
            )
            undo.callback(process.wait)
            undo.callback(process.kill)
            wire = await Wire.over(ours)
            undo.pop_all()
        worker = _Worker(name, process, wire)
        own = replace(settings, node=name, workers=1, media_port=settings.media_ports[slot])
        worker.wire.say(
            settings=encode_settings(own),
            listening=self._listening.fileno(),
            secret=self._secret.reveal().hex(),
        )
        self._begin(worker.listen(self._tell_names, self._leaving), f"hear-{name}")
        return worker

    async def _keep(self, slot: int, worker: _Worker) -> None:
        """Replace the worker of a slot whenever it ends; not any more when the node finishes."""
        clock = asyncio.get_running_loop().time
        tries = 0
        while True:
            began = clock()
            await ended(worker.process)
            worker.taking, worker.media_port = False, 0
            log.warning("worker ended", node=worker.name, returncode=worker.process.returncode)
            await self._bury(worker)
            if worker.live:
                self._await_back()
            worker.live = 0  # not before it is known whether anybody was with it
            self._tell_names()
            if self._finishing.is_set():
                return
            tries = 0 if clock() - began > STEADY else tries + 1
            while (fresh := await self._spawn_again(slot, tries)) is None:
                if self._finishing.is_set():
                    return
                tries += 1
            worker = self._workers[slot] = fresh
            if await _ready(worker):
                worker.wire.say(go=True)
                self._tell_names()
                if self._finishing.is_set():  # it was told so before it could hear it
                    worker.wire.say(finish=True)
            else:
                worker.process.kill()  # it has ended, or hangs

    async def _spawn_again(self, slot: int, tries: int) -> _Worker | None:
        """Start a worker after a while; ``None`` where the node finishes, or the system refuses it."""
        await asyncio.sleep(BACK_OFF[min(tries, len(BACK_OFF)) - 1] if tries else 0.0)
        if self._finishing.is_set():
            return None
        try:
            return await self._spawn(slot)
        except (OSError, subprocess.SubprocessError) as error:
            why = getattr(error, "errno", None)
            log.error("a worker cannot be started; trying again", slot=slot, errno=why, **describe(error))
            return None

    async def _bury(self, worker: _Worker) -> None:
        """End the leases of a worker that has died, so that its rooms can be taken at once."""
        worker.wire.close()
        self._neighbours.forget(worker.name)
        orphans = await self._rooms_of(worker)
        try:
            await self._placement.bury(worker.name)
        except StoreUnavailable:
            orphans = None
        if orphans is None:
            log.warning("leases of a dead worker run out by themselves", node=worker.name)
        elif orphans:
            self._await_back()
            _tell_orphans(orphans, self._workers.values())

    async def _rooms_of(self, worker: _Worker) -> list[MeetingId] | None:
        """The rooms that a worker has; ``None`` while the store is away."""
        try:
            owners = await self._placement.owners()
        except StoreUnavailable:
            return None
        return [meeting for meeting, owner in owners.items() if owner == worker.name]

    def _await_back(self) -> None:
        """Somebody may be on the way to another worker."""
        self._back_until = asyncio.get_running_loop().time() + COME_BACK_WITHIN

    def _leaving(self, worker: _Worker) -> None:
        """A worker was told to end."""
        self._begin(self._let_leave(worker), f"leave-{worker.name}")

    async def _let_leave(self, worker: _Worker) -> None:
        """Say to whom it gives its rooms; but the last one of a node that finishes stays."""
        rooms = await self._rooms_of(worker)
        heirs = [o for o in self._workers.values() if o is not worker and o.taking]
        if self._finishing.is_set() and worker.taking and (not heirs or rooms is None):
            log.warning("worker stays until the node has finished", node=worker.name)
            return
        worker.taking = False
        _tell_orphans(rooms or [], heirs)  # also to where nobody is heard who could be handed over
        worker.wire.say(leave=[heir.name for heir in heirs])
        self._tell_names()

    def _tell_names(self) -> None:
        """Tell each worker which others take rooms, which live, and the media ports of those."""
        ready = [worker for worker in self._workers.values() if worker.media_port]
        alive = {worker.name for worker in ready}
        taking = {worker.name for worker in ready if worker.taking and not self._finishing.is_set()}
        ports = {worker.media_port for worker in ready}
        for worker in self._workers.values():
            worker.wire.say(
                names=sorted(taking - {worker.name}),
                alive=sorted(alive - {worker.name}),
                ports=sorted(ports - {worker.media_port}),
            )

    def finish(self) -> None:
        """Take no new rooms; those that run go on, and people may come back into them."""
        self._finishing.set()
        self._tell_names()
        for worker in self._workers.values():
            worker.live = int(worker.media_port != 0)  # until it tells; nobody is with one that is not ready
            worker.wire.say(finish=True)

    def renew_certificates(self) -> None:
        """SIGHUP came: the workers look at their files."""
        if self.settings.secure:
            for worker in self._workers.values():
                with contextlib.suppress(ProcessLookupError):
                    worker.process.send_signal(signal.SIGHUP)

    async def _stop(self) -> None:
        """Let the workers drain, all at once; what has not ended then is killed."""
        self._finishing.set()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in self._workers.values():
            worker.wire.say(stop=True)
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await asyncio.gather(*(ended(worker.process) for worker in self._workers.values()))
        except TimeoutError:
            log.error("a worker does not end; killing it")
        for worker in self._workers.values():
            worker.process.kill()
            await ended(worker.process)
            await self._bury(worker)


def _tell_orphans(rooms: Sequence[MeetingId], workers: Iterable[_Worker]) -> None:
    """Whoever was in these rooms comes to these workers in a moment."""
    for worker in workers:
        for at in range(0, len(rooms), ROOMS_A_LINE):
            worker.wire.say(orphans=rooms[at : at + ROOMS_A_LINE])


async def _ready(worker: _Worker) -> bool:
    try:
        async with asyncio.timeout(READY_WITHIN):
            await worker.settled.wait()
    except TimeoutError:
        pass
    return worker.taking


async def serve(settings: Settings, on_ready: Callable[[Supervisor], None]) -> None:
    """Run a node with several workers until SIGTERM or SIGINT; see ``signaling.app.serve``.

    Args:
        settings: as read.
        on_ready: called once it answers.

    Raises:
        QuietroomError: it could not start; the text says what to do.
        Exception: a mistake of ours left a worker without anybody who looks after it.
    """
    bound_process()
    loop = asyncio.get_running_loop()
    with Told() as told:
        try:
            async with Supervisor(settings, on_failure=told.stop_now) as node:
                loop.add_signal_handler(signal.SIGHUP, node.renew_certificates)
                on_ready(node)
                await told.to_stop()
                if not told.at_once:
                    node.finish()
                    log.info("node finishing", node=node.settings.node)
                    await told.until_over(lambda: node.live, settings.drain)
                log.info("node draining", node=node.settings.node)
            if node.failure is not None:
                raise node.failure
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
