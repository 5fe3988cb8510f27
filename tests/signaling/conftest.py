"""A real store, the HTTP front on it, and a whole server with a visit, for every test that asks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from broker.embedded import socket_path, spawn
from broker.ledger import Ledger
from broker.passwords import Hasher
from broker.sealing import Keyring
from broker.store import Store
from tests.signaling.front import Front, Remembering, running_front
from tests.signaling.visits import Visit, visiting
from tests.support.stores import Server, binaries, keys, ledger, store, wait_ready

__all__ = ["front", "hasher", "keys", "ledger", "server", "store"]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One store server of any make: which one it is makes no difference up here."""
    data = Path(tempfile.mkdtemp(prefix="quietroom-test-"))
    process = spawn(binaries()[min(binaries())], data)
    try:
        wait_ready(socket_path(data))
        yield Server(f"unix://{socket_path(data)}", process.pid)
    finally:
        process.terminate()
        process.wait(40)
        shutil.rmtree(data)


@pytest.fixture(scope="session")
def hasher() -> Iterator[Hasher]:
    """Real password hashing."""
    hasher = Remembering()
    yield hasher
    hasher.close()


@pytest.fixture
async def front(
    store: Store, ledger: Ledger, keys: Keyring, hasher: Hasher, tmp_path: Path
) -> AsyncIterator[Front]:
    """The HTTP front, listening."""
    async with running_front(store, ledger, keys, hasher, tmp_path / "static") as front:
        yield front


@pytest.fixture
async def visit(tmp_path: Path) -> AsyncIterator[Visit]:
    """A whole server with one booked visit."""
    async with visiting(tmp_path / "data") as visit:
        yield visit
