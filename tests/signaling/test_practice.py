"""Opening the practice: a command beside a server, a server after a command, and what is not opened."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from broker.audit import AuditEvent, EventType
from broker.embedded import EmbeddedStore, socket_path
from broker.errors import DataDirectoryBusy, UnsafeFiles
from signaling.practice import new_staff_password, open_practice
from signaling.settings import Settings

EVENT = AuditEvent(type=EventType.STATUS_VIEWED, actor="operator", subject="sessions")


def settings(data: Path, **more: str) -> Settings:
    return Settings(data_dir=data, **more)  # type: ignore[arg-type]  # text fields only


async def test_a_command_works_beside_the_server_and_is_heard(tmp_path: Path) -> None:
    told = settings(tmp_path, node="the-server")
    async with open_practice(told) as server, open_practice(told, command=True) as command:
        assert (server.beside, command.beside) == (False, True)
        receipt = await command.ledger.append(EVENT)
        (entry,) = await server.ledger.read(receipt.index, 1)
        assert entry.event == EVENT
        assert entry.node != "the-server"  # even where the environment names the node for both


async def test_the_store_outlives_the_command_and_ends_with_the_server(tmp_path: Path) -> None:
    async with open_practice(settings(tmp_path)) as server:
        async with open_practice(settings(tmp_path), command=True):
            pass
        await server.ledger.append(EVENT)
    assert not socket_path(tmp_path / "store").exists()


async def test_a_server_waits_for_a_command_to_finish(tmp_path: Path) -> None:
    async with open_practice(settings(tmp_path), command=True) as command:

        async def start() -> bool:
            async with open_practice(settings(tmp_path)) as server:
                return server.embedded is not None and server.embedded.owned

        starting = asyncio.create_task(start())
        await command.ledger.append(EVENT)
        assert not starting.done()
    assert await starting


async def test_two_servers_do_not_share_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signaling.practice._MOMENT", 0.2)
    async with EmbeddedStore(tmp_path / "store"):
        with pytest.raises(DataDirectoryBusy):
            async with open_practice(settings(tmp_path)):
                pass


async def test_keys_open_to_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)
    with pytest.raises(UnsafeFiles):
        async with open_practice(settings(tmp_path)):
            pass


def test_staff_passwords_are_long_and_never_alike() -> None:
    made = {new_staff_password().reveal() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{5}", password) for password in made)
