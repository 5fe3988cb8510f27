"""The path to the store when it breaks: what was acknowledged is there, what was not is not half there."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from broker.audit import EventType
from broker.embedded import socket_path, spawn
from broker.errors import StoreUnavailable
from broker.ledger import Ledger
from broker.sealing import Keyring
from broker.store import Add, SeatChange, Store
from tests.support.stores import Server, binaries, event, new_node_name, wait_ready
from tests.support.waiting import eventually


class Cutter:
    """A proxy before the store that can lose the answer to a script: the request arrives, the line dies."""

    def __init__(self, url: str, path: Path) -> None:
        self.upstream = urlsplit(url).path
        self.path = path
        self.url = f"unix://{path}"
        self.lose = 0
        self.lost = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def close(self) -> None:
        assert self._server
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self.upstream)
        script = False

        async def forth() -> None:
            nonlocal script
            while data := await reader.read(65536):
                script = script or b"EVAL" in data
                up_writer.write(data)

        task = asyncio.create_task(forth())
        try:
            while data := await up_reader.read(65536):
                if script and self.lose:
                    self.lose -= 1
                    self.lost += 1
                    return
                writer.write(data)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            up_writer.close()
            writer.close()


@pytest.fixture
async def cutter(server: Server, tmp_path: Path) -> AsyncIterator[Cutter]:
    cutter = Cutter(server.url, tmp_path / "proxy.sock")
    await cutter.start()
    yield cutter
    await cutter.close()


async def waiting_seat(ledger: Ledger, store: Store) -> None:
    fields = {"seats": "A", "capacity": "1", "A.state": "waiting"}
    await store.book("m", fields, 1, [ledger.prepare(event(EventType.SESSION_BOOKED))])


def admit(ledger: Ledger) -> SeatChange:
    prepared = ledger.prepare(event())
    return SeatChange("A", frozenset({"waiting"}), "admitted", prepared, fields={"knocks": Add(1)})


async def test_a_lost_answer_changes_nothing_twice(store: Store, cutter: Cutter, keys: Keyring) -> None:
    mine = Store(cutter.url, "practice", new_node_name())
    await mine.start()
    ledger = Ledger(mine, keys)
    await ledger.start()
    await waiting_seat(ledger, mine)
    # The server knows the scripts from here on: what is lost below is the answer to work that was done.
    await mine.change("m", [SeatChange("A", frozenset(), "waiting", ledger.prepare(event()))])
    await ledger.append(event())
    cutter.lose = 3
    done = await mine.change("m", [admit(ledger)])
    assert cutter.lost == 3
    assert done.receipts[0] is not None
    cutter.lose = 2
    receipt = await ledger.append(event())
    assert cutter.lost == 5
    assert (await mine.load_session("m") or {})["A.knocks"] == "1"
    assert receipt.index == 3
    assert await mine.log_size() == 4
    await ledger.close()
    await mine.close()


async def test_a_stalled_store_lets_nobody_in_and_does_nothing_late(
    ledger: Ledger, store: Store, server: Server
) -> None:
    await waiting_seat(ledger, store)
    health: list[bool] = []
    store.on_health(health.append)
    loop = asyncio.get_running_loop()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        began = loop.time()
        with pytest.raises(StoreUnavailable):
            await store.change("m", [admit(ledger)])
        assert 1.9 < loop.time() - began < 3.0
        assert health == [False]
        began = loop.time()
        with pytest.raises(StoreUnavailable):
            await store.change("m", [admit(ledger)])
        with pytest.raises(StoreUnavailable):
            await ledger.append(event())
        with pytest.raises(StoreUnavailable):
            await store.load_session("m")
        assert loop.time() - began < 0.1
        ledger.append_later(event(EventType.SEAT_AWAY))
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await eventually(lambda: store.healthy)
    assert health == [False, True]
    await eventually(lambda: store.link.pending == 0)
    await ledger.flushed()
    # The admission lay in the server's socket while it stood still, and was not done when it woke up.
    assert (await store.load_session("m") or {})["A.state"] == "waiting"
    assert [entry.leaf.header.t for entry in await ledger.read(0, 9)] == ["session.booked", "seat.away"]
    assert (await store.change("m", [admit(ledger)])).rev == 1
    numbers = [entry.leaf.header.q for entry in await ledger.read(0, 9)]
    assert sorted(numbers) == [0, 1, 2]


async def test_a_silent_store_is_noticed_without_traffic(store: Store, server: Server) -> None:
    health: list[bool] = []
    store.on_health(health.append)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        await eventually(lambda: health == [False], timeout=6)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await eventually(lambda: health == [False, True])


async def test_giving_up_does_not_cancel_the_write(ledger: Ledger, store: Store) -> None:
    await waiting_seat(ledger, store)
    for _ in range(20):
        change = SeatChange("A", frozenset(), None, ledger.prepare(event()), fields={"knocks": Add(1)})
        task = asyncio.create_task(store.change("m", [change]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await eventually(lambda: store.link.pending == 0)
    session = await store.load_session("m") or {}
    assert int(session.get("A.knocks", 0)) + 1 == await store.log_size()
    assert sorted(entry.leaf.header.q for entry in await ledger.read(0, 99)) == list(
        range(await store.log_size())
    )


async def test_no_server_is_unavailable(tmp_path: Path) -> None:
    store = Store(f"unix://{tmp_path}/none.sock", "practice", "n-1")
    with pytest.raises(StoreUnavailable):
        await store.start()
    await store.close()


@pytest.mark.parametrize("binary", sorted(binaries()))
async def test_a_full_disk_is_unavailable(binary: str, keys: Keyring) -> None:
    data = Path(tempfile.mkdtemp(prefix="quietroom-full-"))
    process = spawn(binaries()[binary], data)
    store = Store(f"unix://{socket_path(data)}", "practice", "n-1")
    try:
        wait_ready(socket_path(data))
        await store.start()
        ledger = Ledger(store, keys)
        await ledger.start()
        await waiting_seat(ledger, store)
        # A snapshot that cannot be written (its directory is gone) makes the server refuse all writes.
        (data / "appendonlydir").rename(data.with_suffix(".kept"))
        await store.link.plain("CONFIG", "SET", "save", "3600 1")
        os.chmod(data, 0o500)
        shutil.rmtree(data)
        await store.link.plain("BGSAVE")
        await eventually(lambda: refuses(store))
        with pytest.raises(StoreUnavailable):
            await store.change("m", [admit(ledger)])
        assert not store.healthy
        await eventually(lambda: store.link.pending == 0)
        await store.link._client.execute_command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        await eventually(lambda: store.healthy)
        assert await store.log_size() == 1
        assert (await store.change("m", [admit(ledger)])).rev == 1
        await ledger.close()
    finally:
        await store.close()
        process.kill()
        process.wait(10)
        shutil.rmtree(data.with_suffix(".kept"), ignore_errors=True)


async def test_a_full_memory_is_unavailable_and_leaves_nothing_half_done(
    ledger: Ledger, store: Store
) -> None:
    await waiting_seat(ledger, store)
    size = await store.log_size()
    await store.link.plain("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable):
            await store.change("m", [admit(ledger)])
        await eventually(lambda: not store.healthy)
    finally:
        await store.link._client.execute_command("CONFIG", "SET", "maxmemory", "0")
    await eventually(lambda: store.healthy and store.link.pending == 0)
    assert await store.log_size() == size
    assert (await store.load_session("m") or {})["A.state"] == "waiting"
    assert (await store.change("m", [admit(ledger)])).rev == 1


async def refuses(store: Store) -> bool:
    """Tell whether the server says MISCONF."""
    try:
        await store.link._client.execute_command("SET", "{practice}:probe", "1")
    except Exception as error:
        if "MISCONF" not in str(error):
            raise
        return True
    return False


async def test_a_forgotten_script_is_sent_again(ledger: Ledger, store: Store) -> None:
    await ledger.append(event())
    await store.link.plain("SCRIPT", "FLUSH")
    assert (await ledger.append(event())).index == 1
