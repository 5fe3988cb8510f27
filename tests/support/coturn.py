"""A real coturn with a shared secret, on loopback alone."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from tests.support.waiting import eventually

PROGRAM: Final = shutil.which("turnserver", path="/usr/bin:/usr/local/bin:/usr/sbin")
MISSING: Final = "Debian's coturn is not installed."


@contextlib.asynccontextmanager
async def running_coturn(folder: Path, secret: str) -> AsyncIterator[int]:
    """Run one; yields its UDP and TCP port."""
    assert PROGRAM is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "-n", "--use-auth-secret", f"--static-auth-secret={secret}", "--realm=example.org"),
        *("--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}"),
        *("--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers", "--log-file=stdout", "--simple-log"),
        *(f"--pidfile={folder / 'coturn.pid'}", f"--userdb={folder / 'coturn.db'}"),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    try:
        await eventually(listens, timeout=15)
        yield port
    finally:
        process.kill()
        await process.wait()
