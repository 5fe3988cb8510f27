"""The ledger: every event appended durably, in one order, and read back from any point.

    prepare ──▶ sealed event with an id and a number of this node
                  │                                            ┌▶ receipt
    append ───────┼─▶ queue ─▶ one script call for all of it ──┤   (group commit: while one call is on
    append_later ─┘      ▲                                     │    its way, the next one collects)
                         └── same ids again, until it is known ┘

`append` is for what must be on record before something is released: it returns the receipt or raises.
`append_later` is for what has happened already and can only be recorded: it is kept until it is stored.
What changes state goes through `broker.store` with prepared events, not through here.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from broker.audit import (
    AuditEvent,
    Leaf,
    Prepared,
    Receipt,
    associated_data,
    decode_body,
    encode_body,
    encode_header,
    parse_leaf,
)
from broker.errors import BadInput, StoreUnavailable
from broker.ids import new_event_id
from broker.redis_store import DEADLINE
from broker.sealing import LEDGER_KEY, Keyring
from broker.store import Store

_BATCH: Final = 128
_QUEUE: Final = 10_000
_PAGE: Final = 256


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger, as read.

    Args:
        leaf: the record; ``leaf.raw`` is what is hashed, verbatim.
        session: meeting ID it belongs to, or empty.
        node: the run of the server that wrote it.
        event: what happened; ``None`` when its key is gone or the body is not what the header says.
    """

    leaf: Leaf
    session: str
    node: str
    event: AuditEvent | None

    @property
    def index(self) -> int:
        """Position in the ledger, from 0."""
        return self.leaf.index

    @property
    def time_us(self) -> int:
        """Store time, microseconds since 1970."""
        return self.leaf.time_us

    @property
    def subject_seq(self) -> int:
        """Position among the records of its subject, from 1."""
        return self.leaf.subject_seq


@dataclass(slots=True)
class _Waiting:
    """An event in the queue; a ``future`` only if somebody waits for the receipt."""

    event: Prepared
    deadline: float | None
    future: asyncio.Future[Receipt] | None


class Ledger:
    """The ledger of one practice, as one node writes and reads it.

    Args:
        store: started.
        keys: seals the bodies and names the subjects.
    """

    def __init__(self, store: Store, keys: Keyring) -> None:
        self._store = store
        self._keys = keys
        self._next = 0
        self._unused: list[int] = []
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._news = asyncio.Condition()
        self._readers = 0
        self._read_by_some = asyncio.Event()
        self._head = -1
        self._tasks: list[asyncio.Task[None]] = []
        store.link.on_unused = self._take_back

    async def start(self) -> None:
        """Begin writing and following."""
        self._head = await self._store.log_size() - 1
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._follow())]

    async def close(self, patience: float = 3.0) -> bool:
        """Store what is still queued, then stop; may be called twice.

        Args:
            patience: seconds to wait for the store.

        Returns:
            Whether everything was stored.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._idle.wait()
        flushed = self._idle.is_set()
        # Again until it is done: redis-py swallows a cancellation that meets it while it connects.
        while any(not task.done() for task in self._tasks):
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=0.1)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for waiting in self._queue:
            if waiting.future is not None and not waiting.future.done():
                waiting.future.set_exception(StoreUnavailable())
        self._queue.clear()
        self._idle.set()  # a second close has nothing to wait for
        return flushed

    @property
    def backlog(self) -> int:
        """How many events wait to be stored, for metrics."""
        return len(self._queue)

    # ------------------------------------------------------------------ writing

    def prepare(self, event: AuditEvent) -> Prepared:
        """Seal an event and give it an id, for a script of the store.

        Its node number must reach the store or be given back, or it looks like a lost event later: a
        prepared event is passed to exactly one call of the store, or to `discard`.

        Raises:
            BadInput: ``bad-event`` when it is too large.
        """
        body = encode_body(event)
        number = heapq.heappop(self._unused) if self._unused else self._next
        if number == self._next:
            self._next += 1
        event_id = new_event_id()
        tag = self._keys.tag(event.subject)
        header = encode_header(event, self._store.node, number, LEDGER_KEY)
        sealed = self._keys.seal(LEDGER_KEY, body, associated_data(event_id, tag, header))
        return Prepared(event_id, tag, header, sealed, event.session or "", number)

    def discard(self, *events: Prepared) -> None:
        """Give back prepared events that no call was made with."""
        self._take_back(events)

    async def append(self, event: AuditEvent) -> Receipt:
        """Record an event before going on.

        Raises:
            BadInput: ``bad-event``.
            StoreUnavailable: it is not on record, so what it is about must not happen.
        """
        if not self._store.healthy or len(self._queue) >= _QUEUE:
            raise StoreUnavailable
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._enqueue(_Waiting(self.prepare(event), loop.time() + DEADLINE, future))
        try:
            # Shielded: the event is stored whether or not our caller is still there to hear of it.
            async with asyncio.timeout(DEADLINE):
                return await asyncio.shield(future)
        except TimeoutError:
            raise StoreUnavailable from None
        finally:
            future.add_done_callback(_seen)

    def append_later(self, event: AuditEvent) -> None:
        """Record something that has happened, as soon as the store takes it.

        Raises:
            BadInput: ``bad-event``.
            StoreUnavailable: 10 000 events wait already.
        """
        if len(self._queue) >= _QUEUE:
            raise StoreUnavailable
        self._enqueue(_Waiting(self.prepare(event), None, None))

    async def flushed(self) -> None:
        """Return when everything queued so far is stored or given up."""
        await self._idle.wait()

    # ------------------------------------------------------------------ reading

    async def read(self, first: int, count: int) -> list[Entry]:
        """Return entries by position.

        Args:
            first: index of the first, from 0.
            count: at most so many.

        Raises:
            StoreUnavailable: no answer.
            BadInput: ``bad-leaf`` when the store holds something that no script of ours wrote.
        """
        return [self._entry(*found) for found in await self._store.read_log(first, count)]

    async def tail(self, after: int = -1) -> AsyncGenerator[Entry]:
        """Follow the ledger: first what is there, then what comes, each entry once and without a hole.

        Ends only by being closed; while the store is away it waits.

        Args:
            after: index of the last entry already known; -1 for all.
        """
        self._readers += 1
        self._read_by_some.set()
        try:
            while True:
                try:
                    entries = await self.read(after + 1, _PAGE)
                except StoreUnavailable:
                    await asyncio.sleep(0.5)
                    continue
                for entry in entries:
                    after = entry.index
                    yield entry
                if len(entries) < _PAGE:
                    await self._wait_for_news(after)
        finally:
            self._readers -= 1
            if self._readers == 0:
                self._read_by_some.clear()

    # ------------------------------------------------------------------ inside

    def _enqueue(self, waiting: _Waiting) -> None:
        self._queue.append(waiting)
        self._idle.clear()
        self._wake.set()

    def _take_back(self, events: Sequence[Prepared]) -> None:
        for event in events:
            heapq.heappush(self._unused, event.node_seq)

    async def _write(self) -> None:
        """Store the queue, a batch at a time and in order."""
        while True:
            await self._wake.wait()
            batch = [self._queue[at] for at in range(min(len(self._queue), _BATCH))]
            if not batch:
                self._wake.clear()
                self._idle.set()
                continue
            try:
                receipts = await self._store.append([(item.event, item.deadline) for item in batch])
            except StoreUnavailable:
                # Fenced off: whoever waits is told, and what only needs recording waits for better times.
                await asyncio.sleep(1.0)
                continue
            for item, receipt in zip(batch, receipts, strict=True):
                self._queue.popleft()
                if receipt is None:
                    self._take_back([item.event])
                if item.future is None or item.future.done():
                    continue
                if receipt is None:
                    item.future.set_exception(StoreUnavailable())
                else:
                    item.future.set_result(receipt)

    async def _follow(self) -> None:
        """One blocking read for all who follow, as a hint; the log itself is what they read."""
        while True:
            await self._read_by_some.wait()
            await self._store.link.wait_for_entries(self._head)
            with contextlib.suppress(StoreUnavailable):
                self._head = await self._store.log_size() - 1
            async with self._news:
                self._news.notify_all()

    async def _wait_for_news(self, after: int) -> None:
        async with self._news:
            if self._head <= after:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(5.0):
                        await self._news.wait()

    def _entry(self, index: int, raw: bytes, session: str, node: str) -> Entry:
        leaf = parse_leaf(raw)
        if leaf.index != index:
            raise BadInput("bad-leaf")
        try:
            event = decode_body(self._keys.unseal(leaf.header.k, leaf.sealed, leaf.aad))
        except BadInput:
            event = None
        if event is not None and event.type.value != leaf.header.t:
            event = None
        return Entry(leaf, session, node, event)


def _seen(future: asyncio.Future[Receipt]) -> None:
    """Look at the outcome, so that asyncio does not report one that nobody waited for."""
    if not future.cancelled():
        future.exception()
