"""The store as a child: one at a time, for us alone, started again when it dies, gone when we are."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.audit import Receipt
from broker.embedded import EmbeddedStore, NoStoreServer, find_binary, socket_path, version_of
from broker.errors import DataDirectoryBusy, StoreUnavailable, UnsafeFiles
from broker.ledger import Ledger
from broker.sealing import Keyring
from broker.store import Store
from tests.support.stores import binaries, event
from tests.support.waiting import eventually

BINARIES = sorted(binaries())


@pytest.fixture
def data() -> Iterator[Path]:
    """A short path, as a socket needs one."""
    parent = Path(tempfile.mkdtemp(prefix="quietroom-emb-"))
    yield parent / "store"
    shutil.rmtree(parent)


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("binary", BINARIES)
async def test_data_is_found_again(data: Path, keys: Keyring, binary: str) -> None:
    for size in (1, 2):
        async with EmbeddedStore(data, binary=binaries()[binary]) as embedded:
            store = Store(embedded.url, "practice", f"n-{size}")
            await store.start()
            ledger = Ledger(store, keys)
            await ledger.start()
            await ledger.append(event())
            assert await store.log_size() == size
            await ledger.close()
            await store.close()
            pid = embedded.pid
        assert pid is not None
        assert not alive(pid)


@pytest.mark.parametrize("binary", BINARIES)
async def test_files_are_ours_alone(data: Path, keys: Keyring, binary: str) -> None:
    before = os.umask(0o022)
    try:
        async with EmbeddedStore(data, binary=binaries()[binary]) as embedded:
            store = Store(embedded.url, "practice", "n-1")
            await store.start()
            await store.link.plain("BGREWRITEAOF")
            for path in [data, *data.rglob("*")]:  # noqa: ASYNC240 -- nothing else runs here
                mode = path.lstat().st_mode
                allowed = 0o700 if stat.S_ISDIR(mode) else 0o600
                assert stat.S_IMODE(mode) == allowed, path.name
            assert stat.S_ISSOCK(socket_path(data).lstat().st_mode)
            await store.close()
    finally:
        os.umask(before)


async def test_a_directory_open_to_others_is_refused(data: Path) -> None:
    data.mkdir(mode=0o755)  # noqa: ASYNC240 -- nothing else runs here
    with pytest.raises(UnsafeFiles):
        await EmbeddedStore(data).__aenter__()


async def test_a_second_server_on_the_directory_is_refused(data: Path) -> None:
    async with EmbeddedStore(data) as first:
        with pytest.raises(DataDirectoryBusy):
            await EmbeddedStore(data).__aenter__()
        async with EmbeddedStore.attach(data) as second:
            assert not second.owned
            assert second.url == first.url
            store = Store(second.url, "practice", "n-2")
            await store.start()
            await store.close()
        assert first.pid is not None
        assert alive(first.pid)


async def test_attaching_without_a_server_starts_one(data: Path) -> None:
    async with EmbeddedStore.attach(data) as only:
        assert only.owned


@pytest.mark.parametrize("binary", BINARIES)
async def test_a_killed_server_comes_back_with_everything_it_acknowledged(
    data: Path, keys: Keyring, binary: str
) -> None:
    async with EmbeddedStore(data, binary=binaries()[binary]) as embedded:
        store = Store(embedded.url, "practice", "n-1")
        await store.start()
        ledger = Ledger(store, keys)
        await ledger.start()
        acknowledged: list[Receipt] = []
        stop = False

        async def write(who: int) -> None:
            while not stop:
                try:
                    acknowledged.append(await ledger.append(event(subject=f"s{who}")))
                except StoreUnavailable:
                    await asyncio.sleep(0.02)

        writers = [asyncio.create_task(write(who)) for who in range(16)]
        for kill in range(3):
            enough = len(acknowledged) + 200
            await eventually(lambda enough=enough: len(acknowledged) >= enough, timeout=20)  # type: ignore[misc]  # a default binds now
            assert embedded.pid is not None
            os.kill(embedded.pid, signal.SIGKILL)
            await eventually(lambda kill=kill: embedded.restarts == kill + 1, timeout=20)  # type: ignore[misc]  # see above
        enough = len(acknowledged) + 200
        await eventually(lambda: len(acknowledged) >= enough, timeout=20)
        stop = True
        await asyncio.gather(*writers)
        await ledger.flushed()

        size = await store.log_size()
        entries = [entry for first in range(0, size, 256) for entry in await ledger.read(first, 256)]
        found = {entry.index: entry for entry in entries}
        assert sorted(found) == list(range(size))
        for receipt in acknowledged:
            assert found[receipt.index].time_us == receipt.time_us
            assert found[receipt.index].subject_seq == receipt.subject_seq
        assert len({entry.leaf.event_id for entry in entries}) == size
        assert sorted(entry.leaf.header.q for entry in entries) == list(range(size))
        await ledger.close()
        await store.close()


async def test_the_server_goes_when_its_parent_is_killed(data: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from broker.embedded import EmbeddedStore
async def main():
    async with EmbeddedStore(Path(sys.argv[1])) as store:
        print(store.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(data), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    pid = int(await parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    await parent.wait()
    await eventually(lambda: not alive(pid))
    async with EmbeddedStore(data) as again:
        assert again.owned


async def test_ctrl_c_does_not_reach_the_server(data: Path) -> None:
    async with EmbeddedStore(data) as embedded:
        assert embedded.pid is not None
        assert os.getpgid(embedded.pid) != os.getpgid(0)
        assert os.getsid(embedded.pid) == embedded.pid


async def test_a_long_path_gets_its_socket_nearby(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = data.parent / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    deep = data.parent / ("d" * 120)
    async with EmbeddedStore(deep) as embedded:
        store = Store(embedded.url, "practice", "n-1")
        await store.start()
        await store.close()
        assert socket_path(deep).parent == runtime / "quietroom"


async def test_a_server_that_cannot_start_says_so(data: Path, tmp_path: Path) -> None:
    with pytest.raises(NoStoreServer):
        await EmbeddedStore(data, binary=Path(shutil.which("false") or "/bin/false")).__aenter__()
    with pytest.raises(NoStoreServer):
        await EmbeddedStore(data, binary=tmp_path / "missing").__aenter__()


def test_versions_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path in binaries().values():
        assert version_of(path) >= (7, 0)
    assert version_of(Path(shutil.which("true") or "/bin/true")) == (0, 0)
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=6.2.14 sha=0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_binary() != old
