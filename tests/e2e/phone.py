"""A phone in somebody's pocket: a browser that can be stopped, and goes on later."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from playwright.async_api import Browser

from tests.e2e.conftest import running_browser


class Phone:
    """A browser that can be locked as a phone is: all of it stops, and goes on later."""

    def __init__(self) -> None:
        self._mark = f"--quietroom-phone={secrets.token_hex(8)}"

    @contextlib.asynccontextmanager
    async def on(self) -> AsyncIterator[Browser]:
        """The browser while it runs."""
        async with running_browser(self._mark) as browser:
            yield browser

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """The block during which it is locked."""
        processes = self._processes()
        try:
            _tell(processes, signal.SIGSTOP)
            yield
        finally:
            _tell(processes, signal.SIGCONT)

    def _processes(self) -> list[int]:
        """Its processes now: the marked one and all its descendants."""
        parents, found = {}, []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # ended meanwhile
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if self._mark in (folder / "cmdline").read_text().split("\0"):
                    found.append(int(folder.name))
        assert found, "the browser must run"
        while more := [pid for pid, parent in parents.items() if parent in found and pid not in found]:
            found += more
        return found


def _tell(processes: list[int], what: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # browsers end helpers of their own accord
            os.kill(process, what)
