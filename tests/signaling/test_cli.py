"""The command line on a real store, beside a server and without: sentences, exit codes, no traceback."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import structlog
from click.testing import CliRunner, Result

from broker.embedded import find_binary, socket_path, spawn
from signaling import cli
from signaling.cli import main
from signaling.settings import Settings, recall, remember
from tests.support.stores import wait_ready

Run = Callable[..., Result]
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


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert re.fullmatch(r"quietroom, version \d+\.\d+\.\d+\n", result.output)


def test_booking_prints_id_password_and_a_link_for_each_seat(data: Path) -> None:
    result = run(
        data, "book", "--kind", "couple", "--host", "Dora", "--public-url", "https://visit.example.org"
    )
    assert result.exit_code == 0, result.output
    meeting = re.search(r"Meeting ID +(\w{26})\n", result.stdout)
    assert meeting
    for code in "AB":
        link = rf"Partner {code} +https://visit\.example\.org/j/{meeting[1]}#{code}-\w{{4}}-\w{{4}}-\w{{4}}-\w{{4}}\n"
        assert re.search(link, result.stdout)
    assert re.search(rf"Therapist +https://visit\.example\.org/host/{meeting[1]}\n", result.stdout)
    assert re.search(r"Password +\w{5}-\w{5}\n", result.stdout)


def test_booking_for_programs_is_one_json_object(data: Path) -> None:
    booked = book(data, "--starts", "2099-03-01T10:00+01:00", "--ends", "2099-03-01T11:00+01:00")
    assert booked["starts"] == "2099-03-01T09:00:00Z"
    assert booked["ends"] == "2099-03-01T10:00:00Z"
    assert len(booked["seats"]) == 2


def test_the_password_is_in_a_link_only_when_asked_for(data: Path) -> None:
    apart, together = book(data), book(data, "--password-in-link")
    assert apart["password"] not in json.dumps(apart["seats"])
    assert together["password"] in json.dumps(together["seats"])


def test_status_shows_seats_as_codes_and_is_on_record(data: Path) -> None:
    meeting = book(data)["meeting"]
    shown = run(data, "status")
    assert shown.exit_code == 0
    assert re.search(
        rf"{meeting[:6]}  couple .*\n    A  expected .*\n    B  expected .*\n    T  expected", shown.stdout
    )
    assert "Dora" not in shown.stdout
    told = json.loads(run(data, "status", "--json").stdout)
    (session,) = [each for each in told["sessions"] if each["meeting"] == meeting]
    assert [seat["seat"] for seat in session["seats"]] == ["A", "B", "T"]
    viewed = [event for event in events(data) if event["type"] == "status.viewed"]
    assert viewed[-1]["actor"] == "operator"


@pytest.mark.parametrize("name", [lambda meeting: meeting, lambda meeting: meeting[:6], str.upper])
def test_end_takes_the_id_or_its_short_code(data: Path, name: Callable[[str], str]) -> None:
    meeting = book(data)["meeting"]
    assert run(data, "end", name(meeting)).stdout == f"Session {meeting[:6]} has ended.\n"
    assert run(data, "end", meeting).stdout == f"Session {meeting[:6]} had ended already.\n"
    ended = [
        event for event in events(data) if event["type"] == "session.ended" and event["session"] == meeting
    ]
    assert [(event["actor"], event["reason"]) for event in ended] == [("operator", "ended-by-operator")]


def test_audit_tail_prints_a_line_per_event_from_any_point(data: Path) -> None:
    meeting = book(data)["meeting"]
    lines = run(data, "audit", "tail").stdout.splitlines()
    booked = [line for line in lines if "session.booked" in line and meeting[:6] in line]
    assert re.match(r" +\d+  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z  session\.booked ", booked[0])
    everything = events(data, "--after", "-1")
    assert [event["index"] for event in everything] == list(range(len(everything)))
    last = everything[-1]["index"]
    later = events(data, "--after", str(last))
    assert [event["type"] for event in later] == ["audit.viewed"]


def test_no_name_and_no_password_reaches_the_audit_stream(data: Path) -> None:
    booked = book(data)
    told = run(data, "audit", "tail", "--after", "-1", "--json").stdout
    for private in ("Dora", "dora", PASSWORD, booked["password"]):
        assert private not in told


def test_staff_password_can_be_made_and_is_shown_once(data: Path) -> None:
    result = run(data, "staff", "add", "Generated", "--role", "admin", "--generate")
    assert re.search(r"Password: \w{5}-\w{5}-\w{5}  \(shown once\)", result.stdout)
    again = run(data, "staff", "add", "generated", "--role", "admin", "--generate")
    assert (again.exit_code, "Password:" in again.output) == (1, False)
    assert "already" in again.stderr


def test_staff_password_is_asked_twice(data: Path) -> None:
    words = ("staff", "add", "Asked", "--role", "therapist")
    result = run(data, *words, stdin=f"{PASSWORD}\nanother one here\n{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert "do not match" in result.output
    assert PASSWORD not in result.output


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("book", "--kind", "couple", "--host", "nobody"), 1, "quietroom staff add NAME --role therapist"),
        (("book", "--kind", "couple", "--host", "dora", "--starts", "tomorrow"), 2, "2026-03-01T10:00"),
        (
            ("book", "--kind", "couple", "--host", "dora", "--ends", "2001-01-01T10:00"),
            1,
            "ends after it starts",
        ),
        (("book", "--kind", "party", "--host", "dora"), 2, "couple"),
        (("end", "0" * 26), 1, "quietroom status"),
        (("end", "nonsense"), 1, "quietroom status"),
        (("end", "\x1b[31m"), 1, "quietroom status"),
        (("staff", "add", "x", "--role", "therapist", "--password-stdin"), 1, "at least 12 characters"),
        (("staff", "add", "x", "--role", "owner"), 2, "therapist"),
        (("staff", "add", "x", "--role", "admin", "--generate", "--password-stdin"), 2, "not both"),
        (("serve", "--host", "0.0.0.0"), 1, "--behind-proxy"),
        (("serve", "--self-signed", "--behind-proxy"), 2, "leave the other TLS options out"),
        (("serve", "--tls-cert", "/no.pem", "--tls-key", "/no.key"), 1, "check the path"),
        (("serve", "--port", "70000"), 2, "65535"),
    ],
)
def test_mistakes_get_a_sentence_and_an_exit_code(
    data: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    result = run(data, *words, stdin="short\n")
    assert result.exit_code == code, result.output
    assert sentence in result.stderr
    assert "Traceback" not in result.output


def test_a_busy_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = run(tmp_path, "serve", "--port", str(other.getsockname()[1]))
    assert result.exit_code == 1
    assert "choose another with --port" in result.stderr


def test_a_store_that_is_away_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, "status", "--redis-url", f"unix://{tmp_path}/nothing.sock")
    assert result.exit_code == 1
    assert "quietroom doctor" in result.stderr


def test_without_a_server_a_command_starts_the_store_for_the_moment(tmp_path: Path) -> None:
    assert run(tmp_path, "status").stdout == "No open sessions.\n"
    assert not socket_path(tmp_path / "store").exists()
    followed = run(tmp_path, "audit", "tail", "--follow")
    assert followed.exit_code == 1
    assert "leave --follow out" in followed.stderr


def test_nobody_else_may_enter_the_data_directory(tmp_path: Path) -> None:
    data = tmp_path / "new"
    assert run(data, "status").exit_code == 0
    assert data.stat().st_mode & 0o077 == 0


def test_what_goes_wrong_inside_is_told_without_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(flags: object) -> None:
        raise ValueError("Canary-4711")

    monkeypatch.setattr(cli, "recall", fail)  # a failure that no input of ours can cause
    result = run(tmp_path, "status")
    assert result.exit_code == 1
    assert "ValueError at fail" in result.stderr
    assert "Canary" not in result.output


def test_commands_use_the_address_the_server_was_started_with(tmp_path: Path) -> None:
    remember(
        Settings(
            data_dir=tmp_path,
            port=9000,
            behind_proxy=True,
            public_url="https://a.example",
            media_host="192.0.2.1",
        )
    )
    assert recall({"data_dir": tmp_path}, {})["public_url"] == "https://a.example"
    assert "public_url" not in recall({"data_dir": tmp_path}, {"QUIETROOM_PORT": "9001"})
    assert recall({"data_dir": tmp_path, "port": 9001}, {}) == {"data_dir": tmp_path, "port": 9001}
    (tmp_path / "serving.json").write_text('{"port": []}')
    assert recall({"data_dir": tmp_path}, {}) == {"data_dir": tmp_path}


def test_every_command_explains_itself() -> None:
    def walk(command: click.Command, path: list[str]) -> Iterator[list[str]]:
        yield path
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from walk(child, [*path, name])

    for path in walk(main, []):
        result = CliRunner().invoke(main, [*path, "--help"])
        assert result.exit_code == 0
        assert "Usage:" in result.output


# ---- as processes, the way people run them --------------------------------------------------------------


class Process:
    """A command in a process of its own, its lines as they come."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "signaling.cli", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
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
        os.kill(self._process.pid, number)
        try:
            return self._process.wait(30)
        finally:
            assert self._process.stdout
            self._process.stdout.close()


@pytest.mark.slow
def test_following_shows_what_others_do_until_ctrl_c(data: Path) -> None:
    following = Process("audit", "tail", "--follow", "--data-dir", str(data))
    following.until("audit.viewed")
    meeting = book(data)["meeting"]
    following.until(rf"session\.booked +{meeting[:6]}/- +by operator")
    assert following.stop(signal.SIGINT) == 0
    assert "Traceback" not in following.seen


@pytest.mark.slow
def test_a_first_try_on_a_phone(tmp_path: Path) -> None:
    """Self-signed on all addresses; commands beside it know where it is; SIGTERM ends it well."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve", "--self-signed", "--port", str(port), "--data-dir", str(tmp_path)]
    serving = Process(*words)
    fingerprint = serving.until(r"^ +((?:[0-9A-F]{2}:){31}[0-9A-F]{2})$")[1]
    url = serving.until(r"Quietroom is at (https://\S+)")[1]
    try:
        shown = ssl.get_server_certificate(("127.0.0.1", port))
        assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).digest().hex(":").upper() == fingerprint
        assert run(tmp_path, "doctor", "--live").exit_code == 0
        health = run(tmp_path, "doctor")
        assert health.exit_code == 0, health.output
        assert health.output.count("The running server has it.") == 2
        run(tmp_path, "staff", "add", "dora", "--role", "therapist", "--generate")
        assert book(tmp_path)["host-link"].startswith(f"{url}/host/")
    finally:
        code = serving.stop(signal.SIGTERM)
    assert code == 0
    assert "Traceback" not in serving.seen
