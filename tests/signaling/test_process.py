"""What a server takes from the system, and the signals that it is sent, as a real process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from pathlib import Path

import pytest

from signaling.process import FILES, PortBusy, Told, listen, listen_anywhere
from tests.signaling.test_app import alone


def limits_of(pid: int) -> str:
    return Path(f"/proc/{pid}/limits").read_text()


async def test_a_server_may_hold_many_files_and_leaves_no_memory_on_disk(tmp_path: Path) -> None:
    async with alone(tmp_path / "data") as (server, _):
        limits = limits_of(server.pid)
    soft, hard = re.findall(r"^Max open files +(\S+) +(\S+)", limits, re.MULTILINE)[0]
    assert soft == hard or soft == "unlimited" or int(soft) >= FILES
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)


async def test_a_first_sigterm_waits_for_the_visits_and_a_second_does_not() -> None:
    with Told() as told:
        os.kill(os.getpid(), signal.SIGTERM)
        await told.to_stop()
        assert not told.at_once
        await told.until_over(lambda: 0, 60.0)  # nobody is inside
        waiting = asyncio.create_task(told.until_over(lambda: 1, 60.0))
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5.0):
            await waiting
        assert told.at_once


async def test_ctrl_c_waits_for_nobody() -> None:
    with Told() as told:
        os.kill(os.getpid(), signal.SIGINT)
        await told.to_stop()
        assert told.at_once


async def test_visits_are_waited_for_only_so_long() -> None:
    with Told() as told:
        async with asyncio.timeout(5.0):
            await told.until_over(lambda: 1, 0.05)
        assert not told.at_once


def test_a_port_that_is_taken_is_said_plainly() -> None:
    with (
        listen("127.0.0.1", 0) as taken,
        pytest.raises(PortBusy, match=f"TCP port {taken.getsockname()[1]}.*--port"),
    ):
        listen("127.0.0.1", taken.getsockname()[1])


def test_a_number_of_the_systems_choosing_is_free_for_udp_as_well() -> None:
    with listen_anywhere("127.0.0.1") as tcp, socket.socket(tcp.family, socket.SOCK_DGRAM) as udp:
        udp.bind(tcp.getsockname()[:2])
