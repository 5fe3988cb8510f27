"""The demo as a person starts it: says what is needed, stops cleanly on Ctrl-C, finds itself again."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.policy import Role
from broker.private import Private
from broker.sessions import session_is_e2ee
from signaling.demo import furnish
from signaling.practice import open_practice
from signaling.settings import Settings

STOP_WITHIN = 5.0


class Demo:
    """A demo in a process of its own, up to the end of its page of text."""

    def __init__(self, data: Path, port: int) -> None:
        environ = {**os.environ, "QUIETROOM_DATA_DIR": str(data), "QUIETROOM_PORT": str(port)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "signaling.cli", "demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environ,
            start_new_session=True,  # a session of its own, as in a terminal of its own
        )
        assert self.process.stdout
        self.text = ""
        for line in self.process.stdout:
            self.text += line
            if "Ctrl-C stops the server" in line:
                break
        assert "WHAT TO DO" in self.text, self.text

    def links(self) -> list[str]:
        return re.findall(r"https?://\S+", self.text)

    def secrets(self) -> list[str]:
        return re.findall(r"password +(\S+)", self.text)

    def stop(self) -> float:
        """Press Ctrl-C; seconds until the end."""
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)  # a terminal sends it to the whole foreground group
        assert self.process.wait(30) == 0
        return time.monotonic() - began


def free_port() -> int:
    """A number that is free for both TCP and UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return int(tcp.getsockname()[1])


@contextmanager
def running(data: Path, port: int) -> Iterator[Demo]:
    demo = Demo(data, port)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.terminate()
            demo.process.wait(40)
        assert demo.process.stdout
        demo.process.stdout.close()


def processes_about(word: str) -> list[str]:
    """Command lines of running processes that hold a word, except our own."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # ended meanwhile
            continue
        if word in line and entry.parent.name != str(os.getpid()):
            found.append(line)
    return found


@pytest.mark.slow
def test_demo_prints_links_stops_cleanly_and_finds_its_visit_again(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    with running(data, port) as demo:
        url = f"http://localhost:{port}"
        host_link = next(link for link in demo.links() if "/host/" in link)
        meeting, _, secret = host_link.removeprefix(f"{url}/host/").partition("#")
        assert demo.text.count(f"room code {secret}\n") == 2
        for code in "AB":
            assert re.search(rf"{url}/j/{meeting}#{code}(-\w{{4}}){{4}}\.{secret}\n", demo.text)
        assert demo.text.count(f"meeting ID {meeting}") == 2
        assert f"{url}/admin\n" in demo.text
        assert len(demo.secrets()) == 4
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.status == 200
        assert stat.S_IMODE((data / "demo.json").stat().st_mode) == 0o600
        assert len(processes_about(str(data))) == 1  # the store
        assert demo.stop() < STOP_WITHIN
        assert processes_about(str(data)) == []
        first = demo.text
    with running(data, port) as again:
        assert again.links() == re.findall(r"https?://\S+", first)
        assert again.secrets() == re.findall(r"password +(\S+)", first)
        again.stop()


# ---- the practice behind it -----------------------------------------------------------------------------


def settings(data: Path) -> Settings:
    return Settings(data_dir=data)


async def test_the_accounts_open_with_what_was_printed(tmp_path: Path) -> None:
    async with open_practice(settings(tmp_path)) as practice:
        notes, booked = await furnish(practice)
        therapist = await practice.identity.sign_in(notes.therapist.name, Private(notes.therapist.password))
        admin = await practice.identity.sign_in(notes.admin.name, Private(notes.admin.password))
        assert (therapist.staff.role, admin.staff.role) == (Role.THERAPIST, Role.ADMIN)
        assert booked.session.host == therapist.staff.id
        assert booked.session.ends_ms - booked.session.starts_ms == 12 * 3600 * 1000
        assert set(booked.seat_tokens) == {"A", "B"}


async def test_the_demo_is_encrypted_and_finds_its_link_secret_again(tmp_path: Path) -> None:
    async with open_practice(settings(tmp_path)) as practice:
        notes, booked = await furnish(practice)
        assert session_is_e2ee(booked.session)
        again, same = await furnish(practice)
        assert (again.visit.link_secret, same.meeting) == (notes.visit.link_secret, booked.meeting)


@pytest.mark.parametrize("past", ["ended", "over"])
async def test_a_visit_that_is_past_is_followed_by_a_new_one(tmp_path: Path, past: str) -> None:
    async with open_practice(settings(tmp_path)) as practice:
        _, first = await furnish(practice)
        if past == "ended":
            await practice.booking.end(first.meeting, "operator", None)
        else:
            _edit(tmp_path, lambda notes: notes["visit"].update(ends_ms=1))
        _, second = await furnish(practice)
        assert second.meeting != first.meeting
        assert second.session.open
        _, third = await furnish(practice)
        assert third.meeting == second.meeting
        assert third.password == second.password


async def test_a_start_cut_short_is_taken_up_again(tmp_path: Path) -> None:
    async with open_practice(settings(tmp_path)) as practice:
        first, _ = await furnish(practice)
        _edit(tmp_path, lambda notes: notes["therapist"].update(made=False))
        second, _ = await furnish(practice)
        assert (second.therapist.name, second.therapist.password) == ("therapist", first.therapist.password)


async def test_lost_notes_give_new_accounts_beside_the_old(tmp_path: Path) -> None:
    async with open_practice(settings(tmp_path)) as practice:
        await furnish(practice)
        (tmp_path / "demo.json").write_text("damaged")
        notes, booked = await furnish(practice)
        assert (notes.therapist.name, notes.admin.name) == ("therapist-2", "admin-2")
        assert booked.session.open


async def test_a_store_begun_anew_gets_the_accounts_again(tmp_path: Path) -> None:
    async with open_practice(settings(tmp_path / "one")) as practice:
        first, _ = await furnish(practice)
    (tmp_path / "two").mkdir()
    os.replace(tmp_path / "one" / "demo.json", tmp_path / "two" / "demo.json")
    async with open_practice(settings(tmp_path / "two")) as practice:
        second, booked = await furnish(practice)
        assert second.therapist.password == first.therapist.password
        assert booked.session.open


def _edit(data: Path, change: Callable[[dict[str, dict[str, object]]], None]) -> None:
    notes = json.loads((data / "demo.json").read_bytes())
    change(notes)
    (data / "demo.json").write_text(json.dumps(notes))
