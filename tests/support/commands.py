"""Running ``quietroom`` in tests: in this process beside a real store, or in one of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from broker.embedded import find_binary, socket_path, spawn
from signaling.cli import main
from tests.support.stores import wait_ready

PASSWORD = "correct horse battery"


def run(data: Path, *words: str, stdin: str | None = None) -> Result:
    try:
        return CliRunner().invoke(main, [*words, "--data-dir", str(data)], input=stdin)
    finally:
        structlog.reset_defaults()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory whose store is running, as beside a server, with one therapist."""
    data = tmp_path_factory.mktemp("cli")
    (data / "store").mkdir(mode=0o700)
    process = spawn(find_binary(), data / "store")
    try:
        wait_ready(socket_path(data / "store"))
        added = run(data, "staff", "add", "Dora", "--role", "therapist", "--password-stdin", stdin=PASSWORD)
        assert added.exit_code == 0, added.output
        yield data
    finally:
        process.terminate()
        process.wait(40)


def book(data: Path, *more: str) -> dict[str, Any]:
    result = run(data, "book", "--kind", "couple", "--host", "dora", "--json", *more)
    assert result.exit_code == 0, result.output
    booked = json.loads(result.stdout)
    assert isinstance(booked, dict)
    return booked


def events(data: Path, *more: str) -> list[dict[str, Any]]:
    result = run(data, "audit", "tail", "--json", *more)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


# ---- as processes, the way people run them --------------------------------------------------------------


def _listens() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Process:
    """A command in a process of its own, its lines as they come."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "signaling.cli", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_listens,  # noqa: PLW1509 -- no other thread runs in these tests
        )
        self.seen = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Read up to the line that fits; the test's own timeout bounds it."""
        assert self._process.stdout
        for line in self._process.stdout:
            self.seen += line
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"it ended without that line: {self.seen}")

    def stop(self, number: signal.Signals) -> int:
        assert self._process.stdout
        os.kill(self._process.pid, number)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # it says where it stands
            raise AssertionError(f"it does not end: {self._process.communicate()[0]}") from None
        finally:
            self._process.stdout.close()
