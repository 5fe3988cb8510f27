"""The ledger on a real store: dense numbers, exact bytes, nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from pathlib import Path

import pytest

from broker.audit import EventType, encode_leaf, parse_leaf
from broker.errors import BadInput, StoreFenced, StoreUnavailable
from broker.ledger import Entry, Ledger
from broker.sealing import Keyring
from broker.store import Store
from tests.support.stores import event
from tests.support.waiting import eventually


async def test_a_leaf_is_stored_verbatim(ledger: Ledger, store: Store, keys: Keyring) -> None:
    receipt = await ledger.append(event(session="m", seat="A", reason="because"))
    [(index, raw, session, node)] = await store.read_log(0, 10)
    leaf = parse_leaf(raw)
    assert (index, session, node) == (0, "m", store.node)
    assert (leaf.index, leaf.time_us, leaf.subject_seq) == (
        receipt.index,
        receipt.time_us,
        receipt.subject_seq,
    )
    assert raw == encode_leaf(
        0, receipt.time_us, 1, leaf.event_id, keys.tag("m/A"), leaf.header_bytes, leaf.sealed
    )
    [entry] = await ledger.read(0, 10)
    assert entry.event == event(session="m", seat="A", reason="because")
    assert entry.leaf.raw == raw


async def test_fifty_writers_leave_no_hole(ledger: Ledger) -> None:
    async def write(who: int) -> list[int]:
        return [(await ledger.append(event(subject=f"s{who % 7}"))).index for _ in range(20)]

    written = await asyncio.gather(*(write(who) for who in range(50)))
    assert sorted(itertools.chain.from_iterable(written)) == list(range(1000))
    entries = [entry for page in range(4) for entry in await ledger.read(page * 256, 256)]
    assert [entry.index for entry in entries] == list(range(1000))
    by_subject: dict[bytes, list[int]] = {}
    for entry in entries:
        by_subject.setdefault(entry.leaf.subject_tag, []).append(entry.subject_seq)
    assert len(by_subject) == 7
    assert all(found == list(range(1, len(found) + 1)) for found in by_subject.values())
    assert sorted(entry.leaf.header.q for entry in entries) == list(range(1000))


async def test_the_same_event_twice_is_stored_once(ledger: Ledger, store: Store) -> None:
    prepared = ledger.prepare(event())
    first = await store.append([(prepared, None)])
    second = await store.append([(prepared, None)])
    assert first == second
    assert await store.log_size() == 1


async def test_an_event_that_comes_too_late_is_not_stored(ledger: Ledger, store: Store) -> None:
    past = asyncio.get_running_loop().time() - 1
    late, timely = ledger.prepare(event()), ledger.prepare(event())
    receipts = await store.append([(late, past), (timely, None)])
    assert receipts[0] is None
    assert receipts[1] is not None
    assert await store.log_size() == 1


async def test_append_later_keeps_the_order(ledger: Ledger) -> None:
    for number in range(300):
        ledger.append_later(event(reason=str(number)))
    await ledger.flushed()
    entries = await ledger.read(0, 300)
    assert [entry.event.reason for entry in entries if entry.event] == [str(number) for number in range(300)]


async def test_a_tail_sees_each_entry_once_from_any_point(ledger: Ledger) -> None:
    for _ in range(3):
        await ledger.append(event())
    seen: list[int] = []

    async def follow() -> None:
        async with contextlib.aclosing(ledger.tail(after=0)) as entries:
            async for entry in entries:
                seen.append(entry.index)  # noqa: PERF401 -- read by the test while it grows

    task = asyncio.create_task(follow())
    await eventually(lambda: seen == [1, 2])
    for _ in range(600):
        ledger.append_later(event())
    await eventually(lambda: len(seen) == 602)
    assert seen == list(range(1, 603))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_two_tails_are_woken_at_once(ledger: Ledger) -> None:
    async def first(after: int) -> Entry:
        async with contextlib.aclosing(ledger.tail(after)) as entries:
            async for entry in entries:
                return entry
        raise AssertionError

    waiting = [asyncio.create_task(first(-1)) for _ in range(2)]
    began = asyncio.get_running_loop().time()
    await ledger.append(event())
    assert [(await task).index for task in waiting] == [0, 0]
    assert asyncio.get_running_loop().time() - began < 1.0


async def test_without_its_key_an_entry_stays_closed(ledger: Ledger, store: Store, tmp_path: Path) -> None:
    await ledger.append(event())
    stranger = Ledger(store, Keyring(tmp_path / "other"))
    [entry] = await stranger.read(0, 1)
    assert entry.event is None
    assert entry.leaf.header.t == EventType.SEAT_ADMITTED


async def test_a_deposed_writer_gets_nothing_done(ledger: Ledger, store: Store) -> None:
    await ledger.append(event())
    await store.link.plain("HINCRBY", store.link.key("meta"), "epoch", 1)
    with pytest.raises(StoreFenced):
        await store.put("staff", "s", {"role": "admin"}, [ledger.prepare(event())])
    with pytest.raises(StoreUnavailable):
        await ledger.append(event())
    assert await store.log_size() == 1
    assert await store.load("staff", "s") is None
    await store.link.plain("HINCRBY", store.link.key("meta"), "epoch", -1)


async def test_a_closed_ledger_takes_nothing(ledger: Ledger, store: Store) -> None:
    await store.link.plain("HSET", store.link.key("meta"), "open", 0)
    with pytest.raises(StoreFenced):
        await store.put("staff", "s", {"role": "admin"}, [ledger.prepare(event())])


async def test_a_log_without_its_counters_is_not_opened(ledger: Ledger, store: Store) -> None:
    await ledger.append(event())
    await store.link.plain("DEL", store.link.key("meta"))
    again = Store(store.link.url, "practice", "n-2")
    with pytest.raises(StoreFenced):
        await again.start()
    await again.close()


async def test_numbers_of_unneeded_events_are_used_again(ledger: Ledger, store: Store) -> None:
    with pytest.raises(BadInput):
        ledger.prepare(event(reason="x" * 1000))
    ledger.discard(ledger.prepare(event()))
    await ledger.append(event())
    await ledger.append(event())
    assert [entry.leaf.header.q for entry in await ledger.read(0, 2)] == [0, 1]


async def test_close_stores_what_is_queued(store: Store, keys: Keyring) -> None:
    ledger = Ledger(store, keys)
    await ledger.start()
    for _ in range(500):
        ledger.append_later(event())
    assert await ledger.close()
    assert await store.log_size() == 500
