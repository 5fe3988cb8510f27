"""A worker process by itself; ``test_workers.py`` has it under its supervisor."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from signaling.process import listen
from signaling.workers import Wire, encode_settings
from tests.signaling.visits import settings_for


async def begun(end: socket.socket, *more: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "signaling.worker", str(end.fileno())),
        pass_fds=(end.fileno(), *more),
        stderr=asyncio.subprocess.PIPE,
    )


async def test_without_a_supervisor_there_is_no_worker() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        process = await begun(theirs)
    ours.close()
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said == b""


async def test_a_worker_that_cannot_start_says_why_in_a_sentence(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    listening = listen("127.0.0.1", 0)
    with listening:
        with theirs:
            process = await begun(theirs, listening.fileno())
        wire = await Wire.over(ours)
        settings = settings_for(tmp_path / "data", port=1, redis_url=f"unix://{tmp_path}/none.sock")
        wire.say(settings=encode_settings(settings), listening=listening.fileno(), secret="00" * 32)
        said = await wire.hear()
    _, log = await process.communicate()
    assert said is not None
    assert said["failed"] == "audit-unavailable"
    assert process.returncode == 1
    assert b"Traceback" not in log
    assert await wire.hear() is None
    wire.close()
