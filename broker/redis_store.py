"""The path to Redis or Valkey: one script at a time, to the end, or an honest "unavailable".

    caller ──run──▶ detached task: EVALSHA, same event ids again after every error ──▶ a definite answer
       └── waits at most 2 s, then StoreUnavailable; the task goes on until it knows

A lost connection leaves open whether a script ran. Three things close that gap. Every event carries an id,
and a script that finds its ids stored answers with their receipts. The attempt is never cancelled, only no
longer waited for. And every script carries the store time after which it must not act, so that a command
that sat in a stalled server's socket does nothing when it wakes up.

redis-py's own retries are off: they would send a write again behind our back, without its limit in time.

The only module that imports redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from broker.audit import Prepared
from broker.changes import Arg
from broker.circuit import Circuit
from broker.errors import StoreFenced, StoreUnavailable

Reply = list[Any]

DEADLINE: Final = 2.0
"""Seconds a caller waits for the store at most."""

_PROBE_EVERY: Final = 1.0
_PROBE_EVERY_WHILE_OPEN: Final = 0.25
_BLOCK_MS: Final = 2000
_WRITERS: Final = 16
_DETACHED: Final = 1024
_PRACTICE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_SCRIPTS: Final = Path(__file__).with_name("scripts")
# "Come back later": of a server that is short of disk or memory, read-only, or failing over.
_LATER: Final = (ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)
_LATER_WORDS: Final = frozenset({"BUSY", "MISCONF", "NOREPLICAS"})  # redis-py has no classes for these

log = structlog.get_logger()


class _Script:
    """One script with the prelude before it, known to the server by its SHA-1."""

    def __init__(self, name: str, *, prelude: bool = True) -> None:
        self.name = name
        self.text = (_SCRIPTS / f"{name}.lua").read_text(encoding="utf-8")
        if prelude:
            self.text = (_SCRIPTS / "prelude.lua").read_text(encoding="utf-8") + self.text
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class RedisStore:
    """A connection to the store of one practice.

    Args:
        url: ``unix:///…``, ``redis://…`` or ``rediss://…``; Redis or Valkey ≥ 7.0 with
            ``appendfsync always``.
        practice: names the key space, ``{practice}:…``; 1 to 32 of a-z, 0-9 and dash.
        node: this run of this server; at most 32 printable ASCII characters.
    """

    def __init__(self, url: str, practice: str, node: str) -> None:
        if not _PRACTICE.fullmatch(practice):
            raise ValueError("A practice is named by 1 to 32 of a-z, 0-9 and dash.")
        self.url = url
        self.node = node
        self.on_unused: Callable[[Sequence[Prepared]], None] = lambda events: None
        """Told which prepared events were certainly not stored, so that their numbers can be used again."""
        self._space = f"{{{practice}}}"
        # More connections than writers at once, so that reads, probes and the ledger always find one.
        self._client = _client(url, connections=_WRITERS + 8, patience=DEADLINE)
        self._writers = asyncio.Semaphore(_WRITERS)
        self._tail = _client(url, connections=2, patience=_BLOCK_MS / 1000 + 3)
        names = ("append", "attempt", "book", "change", "end", "enter", "note", "place", "probe", "put")
        self._scripts = {name: _Script(name) for name in names}
        self._open = _Script("open", prelude=False)
        self._epoch = "0"
        self._circuit = Circuit()
        self._listeners: list[Callable[[bool], None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ahead_us: float | None = None  # store time minus our monotonic time, microseconds
        self._last_write = 0.0
        self._closing = False

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Learn the writers' generation, begin the ledger if there is none, and start watching the store.

        Raises:
            StoreUnavailable: no server, or it cannot write.
            StoreFenced: the ledger is closed, or damaged: a log without its counters.
        """

        async def begin() -> Reply:
            return await self._eval(self._open, [self.key("log"), self.key("meta")], [])

        reply = await self._wait(self._until_definite(begin, _now() + DEADLINE))
        if reply[0] != b"ok":
            raise StoreFenced
        self._epoch = reply[3].decode()
        self._spawn(self._watch())

    async def close(self) -> None:
        """Stop watching and disconnect; may be called twice."""
        self._closing = True
        # Again until all are done: redis-py swallows a cancellation that meets it while it connects.
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=0.1)
        for client in (self._client, self._tail):
            with contextlib.suppress(RedisError, OSError, RuntimeError):
                await client.aclose()
                await client.connection_pool.disconnect()

    @property
    def healthy(self) -> bool:
        """Whether the store took the last writes; while it does not, calls fail at once."""
        return not self._circuit.is_open

    @property
    def pending(self) -> int:
        """How many calls have no definite outcome yet, for metrics."""
        return max(0, len(self._tasks) - 1)

    def on_health(self, listener: Callable[[bool], None]) -> None:
        """Call ``listener(healthy)`` whenever that changes. It must not block or raise."""
        self._listeners.append(listener)

    def key(self, *parts: str) -> str:
        """Return a key of this practice."""
        return ":".join((self._space, *parts))

    def time_us(self) -> int | None:
        """Return the store's time, microseconds since 1970, without asking; ``None`` before `start`."""
        return None if self._ahead_us is None else int(_now() * 1e6 + self._ahead_us)

    # ------------------------------------------------------------------ writes

    async def run(
        self,
        name: str,
        hours: tuple[int, int],
        keys: Sequence[str],
        args: Sequence[Arg],
        events: Sequence[Prepared],
    ) -> Reply:
        """Run a script and wait for its answer, at most `DEADLINE` seconds.

        Args:
            name: file name without ``.lua``.
            hours: this hour and the one before, which name the buckets of event ids.
            keys: keys after the five of the ledger.
            args: arguments after epoch, node and limit; ``events`` are among them already.
            events: the prepared events; those not stored are reported to `on_unused`.

        Raises:
            StoreUnavailable: unavailable now; see there for what that leaves open.
        """
        if self._circuit.is_open or len(self._tasks) >= _DETACHED:
            self.on_unused(events)
            raise StoreUnavailable
        reply: Reply = await self._wait(self.settle(name, hours, keys, args, events, _now() + DEADLINE))
        return reply

    async def settle(
        self,
        name: str,
        hours: tuple[int, int],
        keys: Sequence[str],
        args: Sequence[Arg],
        events: Sequence[Prepared],
        deadline: float | None,
    ) -> Reply:
        """Run a script, however long it takes to know the outcome.

        Args:
            name: see `run`.
            hours: see `run`.
            keys: see `run`.
            args: see `run`.
            events: see `run`.
            deadline: loop time after which the script must not act any more; ``None`` for no limit.

        Raises:
            StoreUnavailable: it was not done, and will not be.
        """
        script = self._scripts[name]
        ledger = [self.key("log"), self.key("meta"), self.key("subj")]
        ledger += [self.key("dd", str(hour)) for hour in hours]

        sent = False

        async def attempt() -> Reply:
            nonlocal sent
            if deadline is None:
                return await self._eval(script, [*ledger, *keys], [self._epoch, self.node, 0, *args])
            async with self._writers:
                if not sent and _now() >= deadline:
                    raise StoreUnavailable  # it waited for its turn all the time, so nothing is open
                sent = True
                limits: list[Arg] = [self._epoch, self.node, self.limit_us(deadline)]
                return await self._eval(script, [*ledger, *keys], [*limits, *args])

        try:
            while True:
                reply = await self._until_definite(attempt, deadline)
                # "Late" in good time means that the store's clock jumped; its time is known again now.
                if reply[0] != b"late" or deadline is None or _now() >= deadline:
                    break
                await asyncio.sleep(0.01)
        except StoreUnavailable:
            self.on_unused(events)
            raise
        receipts = reply[2] if reply[0] in (b"ok", b"known", b"locked") else []
        self.on_unused([event for at, event in enumerate(events) if at >= len(receipts) or not receipts[at]])
        if reply[0] == b"late":
            raise StoreUnavailable
        if reply[0] == b"fenced":
            raise StoreFenced
        return reply

    async def plain(self, *command: Arg) -> Any:
        """Run one write command that needs no event (a ticket), once.

        Raises:
            StoreUnavailable: it may or may not have been done; it is not tried again.
        """
        if self._circuit.is_open:
            raise StoreUnavailable
        return await self._wait(self._once(lambda: self._client.execute_command(*command)))

    def limit_us(self, deadline: float) -> int:
        """Translate a moment of loop time into store time, microseconds; 1 (long past) if unknown."""
        return 1 if self._ahead_us is None else int(deadline * 1e6 + self._ahead_us)

    # ------------------------------------------------------------------ reads

    async def read(self, *command: Arg) -> Any:
        """Run one reading command; tried twice.

        Raises:
            StoreUnavailable: no answer within the deadline.
        """
        if self._circuit.is_open:
            raise StoreUnavailable

        async def ask() -> Any:
            try:
                return await self._once(lambda: self._client.execute_command(*command))
            except StoreUnavailable:
                await asyncio.sleep(0.05)
                return await self._once(lambda: self._client.execute_command(*command))

        return await self._wait(ask())

    async def wait_for_entries(self, after: int) -> None:
        """Return when the log has an entry above index ``after``, or after two seconds, or on any error.

        A hint only: whoever waits reads the log afterwards in any case.
        """
        start = f"{after + 1}-0"
        try:
            await self._tail.execute_command(
                "XREAD", "COUNT", 1, "BLOCK", _BLOCK_MS, "STREAMS", self.key("log"), start
            )
        except Exception:  # redis-py raises more than its own errors while a connection breaks
            await asyncio.sleep(0.2)

    # ------------------------------------------------------------------ inside

    async def _eval(self, script: _Script, keys: Sequence[str], args: Sequence[Arg]) -> Reply:
        sent = _now()
        rest: tuple[Arg, ...] = (len(keys), *keys, *args)
        try:
            reply = await self._client.execute_command("EVALSHA", script.sha, *rest)
        except NoScriptError:
            reply = await self._client.execute_command("EVAL", script.text, *rest)
        answered = _now()
        if self._ahead_us is None or answered - sent < 0.1 or reply[0] == b"late":
            self._ahead_us = int(reply[1]) - answered * 1e6
        self._last_write = answered
        return list(reply)

    async def _until_definite(self, attempt: Callable[[], Awaitable[Reply]], deadline: float | None) -> Reply:
        """Repeat one attempt until its outcome is known."""
        pause = 0.01
        ran_perhaps = False
        while True:
            try:
                reply = await attempt()
            except StoreUnavailable:
                raise
            except ResponseError as error:
                # A definite no: this time nothing ran. Without time left there is nothing to wait for, unless
                # an earlier attempt may have run: that is asked until it is known.
                later = isinstance(error, _LATER) or str(error).split(" ", 1)[0] in _LATER_WORDS
                self._failed(type(error).__name__)
                if not later:
                    log.error("store refused a script", kind=type(error).__name__)
                if deadline is not None and not ran_perhaps and (not later or _now() >= deadline):
                    raise StoreUnavailable from None
            except Exception as error:  # a breaking connection raises all sorts of things
                self._failed(type(error).__name__)
                ran_perhaps = True
            else:
                self._succeeded()
                return reply
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.5)

    async def _once(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        try:
            answer = await attempt()
        except Exception as error:  # see above
            self._failed(type(error).__name__)
            raise StoreUnavailable from None
        return answer

    async def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for ``work`` up to the deadline; it runs on when we, or our caller, give up."""
        task = self._spawn(work)
        done, _ = await asyncio.wait({task}, timeout=DEADLINE)
        if done:
            return task.result()
        if _now() - self._last_write >= DEADLINE:  # otherwise it is only us who have too much to do
            self._change_health(self._circuit.stalled)
        raise StoreUnavailable

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever waited for it was told, or has gone

    async def _watch(self) -> None:
        """Write something now and then, so that a silent store is noticed before somebody needs it."""
        keys = [self.key(part) for part in ("log", "meta", "subj", "dd:0", "dd:0", "probe")]
        while True:
            await asyncio.sleep(_PROBE_EVERY_WHILE_OPEN if self._circuit.is_open else _PROBE_EVERY)
            if not self._circuit.is_open and _now() - self._last_write < _PROBE_EVERY:
                continue
            try:
                async with asyncio.timeout(DEADLINE):
                    reply = await self._eval(self._scripts["probe"], keys, [self._epoch, self.node, 0])
            except TimeoutError:
                self._change_health(self._circuit.stalled)
            except Exception as error:  # see above
                self._failed(type(error).__name__)
            else:
                if reply[0] == b"ok":
                    self._succeeded()
                else:
                    self._change_health(self._circuit.stalled)

    def _failed(self, kind: str) -> None:
        log.debug("store attempt failed", kind=kind)
        self._change_health(lambda: self._circuit.failed(_now()))

    def _succeeded(self) -> None:
        self._change_health(self._circuit.succeeded)

    def _change_health(self, change: Callable[[], None]) -> None:
        before = self._circuit.is_open
        change()
        if before != self._circuit.is_open and not self._closing:
            log.warning("store health", healthy=before)
            for listener in self._listeners:
                listener(before)


def _client(url: str, *, connections: int, patience: float) -> redis.asyncio.Redis:
    """Make a client that never retries by itself and waits for a free connection instead of failing."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=DEADLINE,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=patience,
        socket_connect_timeout=1.0,
        health_check_interval=0,
    )
    return redis.asyncio.Redis(connection_pool=pool)


def _now() -> float:
    return asyncio.get_running_loop().time()
