"""The command line on a real store, beside a server and without: sentences, exit codes, no traceback."""

from __future__ import annotations

import asyncio
import hashlib
import re
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from broker.private import Private
from rooms.relay_check import Granted, ask
from rooms.turn import Credential
from signaling import commands
from signaling.cli import main, ways_of_media
from signaling.settings import Settings, recall, remember
from signaling.tls import self_signed
from tests.architecture.test_readme import commands as commands_in
from tests.architecture.tree import ROOT
from tests.e2e.practice import free_port
from tests.support.commands import Process, book, data, run

__all__ = ["data"]


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert re.fullmatch(r"quietroom, version \d+\.\d+\.\d+\n", result.output)


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


def test_what_goes_wrong_inside_is_told_without_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(flags: object) -> None:
        raise ValueError("Canary-4711")

    monkeypatch.setattr(commands, "recall", fail)  # a failure that no input of ours can cause
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


@pytest.mark.parametrize("proxied", [False, True], ids=["its own certificate", "behind a proxy"])
def test_a_server_started_as_the_readme_says_takes_media_over_udp_and_tcp(
    tmp_path: Path, proxied: bool
) -> None:
    (words,) = (
        words
        for words in commands_in((ROOT / "README.md").read_text(encoding="utf-8"))
        if words[0] == "serve" and "--media-host" in words and ("--behind-proxy" in words) is proxied
    )
    web, media = free_port(), free_port()  # instead of those that it names
    cert, key = self_signed(tmp_path, ["visit.example.org"])
    known = {"443": web, "8444" if proxied else "8443": media, "fullchain.pem": cert, "privkey.pem": key}
    words = [str(known.get(word, word)) for word in words]
    more = ["--port", str(web)] if proxied else []
    serving = Process(*words, *more, "--data-dir", str(tmp_path / "data"))
    try:
        said = serving.until(
            r"Quietroom is at (\S+)  \(media at (\S+): UDP (\d+); TCP (\d+) where UDP is blocked\)"
        )
        assert said.groups() == (
            *("https://visit.example.org", "203.0.113.7"),
            *(str(media), str(media) if proxied else "443"),
        )
        anybody = Credential(f"{int(time.time()) + 60}:x", Private("anything"))
        asking = ask("127.0.0.1", media if proxied else web, anybody, tls=False, tcp=True)
        assert asyncio.run(asking) is Granted.REFUSED  # our own TURN answers, and knows no such credential
        if not proxied:
            shown = ssl.get_server_certificate(("127.0.0.1", web))
            assert ssl.PEM_cert_to_DER_cert(shown) == ssl.PEM_cert_to_DER_cert(cert.read_text())
        health = run(tmp_path / "data", "doctor")
        assert health.exit_code == 0, health.output
        assert "note" not in health.output
    finally:
        assert serving.stop(signal.SIGTERM) == 0


def test_where_media_goes_is_said_and_where_it_does_not(tmp_path: Path) -> None:
    where = {"public_url": "https://visit.example.org", "media_host": "203.0.113.7"}
    proxied: dict[str, Any] = {**where, "data_dir": tmp_path, "behind_proxy": True}
    several = Settings(**proxied, workers=2)
    assert ways_of_media(several, several.media_ports).endswith(
        "UDP 8444, 8445; TCP 8444, 8445 where UDP is blocked"
    )
    said = ways_of_media(Settings(**proxied, media_port=8443), (8443,))
    assert "UDP 8443; TCP nowhere" in said
    assert "quietroom doctor" in said
    own = Settings(data_dir=tmp_path, workers=2)
    assert (
        ways_of_media(own, own.media_ports)
        == "media at 127.0.0.1: UDP 8444, 8445; TCP 8443 where UDP is blocked"
    )


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
