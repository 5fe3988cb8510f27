"""Certificates: renewed without dropping anyone; a bad pair changes nothing; self-signed for a first try."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signaling.tls import Certificate, TlsError, names_of_this_machine, self_signed, try_pair

Pair = tuple[Path, Path]
MakePair = Callable[[str], Pair]


@pytest.fixture
def make_pair(tmp_path: Path) -> MakePair:
    return lambda name: self_signed(tmp_path / name, [name, "127.0.0.1"])


@pytest.fixture
def live(tmp_path: Path, make_pair: MakePair) -> Pair:
    """The pair that the server is told to use; tests overwrite it."""
    cert, key = make_pair("old.example")
    return Path(shutil.copy(cert, tmp_path / "live.crt")), Path(shutil.copy(key, tmp_path / "live.key"))


def replace(live: Pair, cert: Path | None = None, key: Path | None = None) -> None:
    for old, new in zip(live, (cert, key), strict=True):
        if new is not None:
            shutil.copy(new, draft := old.with_suffix(".draft"))
            draft.replace(old)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - a file and a handshake have no event to wait for
            await asyncio.sleep(0.02)


class Line:
    """One TLS connection to an echo server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def name(self) -> str:
        der = self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        names = x509.load_der_x509_certificate(der).extensions
        return names.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )[0]

    async def echoes(self) -> bool:
        self.writer.write(b"still here\n")
        return await self.reader.readline() == b"still here\n"


@asynccontextmanager
async def echo_server(certificate: Certificate) -> AsyncIterator[Callable[[], Awaitable[Line]]]:
    opened: list[Line] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=certificate.context)
    port = server.sockets[0].getsockname()[1]

    async def connect() -> Line:
        client = ssl.create_default_context()
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        opened.append(Line(*await asyncio.open_connection("127.0.0.1", port, ssl=client)))
        return opened[-1]

    try:
        yield connect
    finally:
        for line in opened:
            line.writer.close()
            await line.writer.wait_closed()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def watching(certificate: Certificate, every: float) -> AsyncIterator[None]:
    task = asyncio.create_task(certificate.watch(every))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_renewal_serves_new_connections_and_drops_no_old_one(live: Pair, make_pair: MakePair) -> None:
    certificate = Certificate(*live)
    async with echo_server(certificate) as connect:
        early = await connect()
        assert early.name == "old.example"
        replace(live, *make_pair("new.example"))
        assert certificate.reload()
        assert (await connect()).name == "new.example"
        assert await early.echoes()


async def test_files_that_changed_are_noticed(live: Pair, make_pair: MakePair) -> None:
    certificate = Certificate(*live)
    async with echo_server(certificate) as connect, watching(certificate, every=0.02):
        replace(live, *make_pair("new.example"))

        async def renewed() -> bool:
            return (await connect()).name == "new.example"

        await until(renewed)


async def test_sighup_reloads_at_once(live: Pair, make_pair: MakePair) -> None:
    certificate = Certificate(*live)
    async with echo_server(certificate) as connect, watching(certificate, every=3600):
        replace(live, *make_pair("new.example"))
        os.kill(os.getpid(), signal.SIGHUP)

        async def renewed() -> bool:
            return (await connect()).name == "new.example"

        await until(renewed)


@pytest.mark.parametrize("spoil", ["key of another", "no pem", "gone", "empty", "cut short"])
async def test_a_bad_pair_changes_nothing_and_is_told_once(
    live: Pair, make_pair: MakePair, spoil: str
) -> None:
    certificate = Certificate(*live)
    cert, key = live
    async with echo_server(certificate) as connect:
        early = await connect()
        match spoil:
            case "key of another":
                replace(live, key=make_pair("new.example")[1])
            case "no pem":
                cert.write_text("not a certificate")
            case "gone":
                key.unlink()
            case "empty":
                cert.write_bytes(b"")
            case "cut short":
                cert.write_bytes(cert.read_bytes()[:200])
        with structlog.testing.capture_logs() as lines:
            assert not certificate.reload()
        assert len(lines) == 1
        assert lines[0]["log_level"] == "error"
        assert "PRIVATE" not in str(lines)
        assert (await connect()).name == "old.example"
        assert await early.echoes()


async def test_a_pair_half_written_is_taken_when_it_is_whole(live: Pair, make_pair: MakePair) -> None:
    certificate = Certificate(*live)
    cert, key = make_pair("new.example")
    async with echo_server(certificate) as connect, watching(certificate, every=0.05):
        with structlog.testing.capture_logs() as lines:
            replace(live, cert=cert)

            async def told() -> bool:
                return any(line["log_level"] == "error" for line in lines)

            await until(told)
            assert (await connect()).name == "old.example"
            replace(live, key=key)

            async def renewed() -> bool:
                return (await connect()).name == "new.example"

            await until(renewed)


async def test_tls_below_1_2_is_refused(live: Pair) -> None:
    certificate = Certificate(*live)
    assert certificate.context.minimum_version == ssl.TLSVersion.TLSv1_2
    async with echo_server(certificate) as connect:
        line = await connect()
        name, version, bits = line.writer.get_extra_info("ssl_object").cipher()
        assert version in {"TLSv1.2", "TLSv1.3"}
        assert "GCM" in name or "CHACHA" in name
        assert bits >= 128


@pytest.mark.parametrize(
    ("make_bad", "remedy"),
    [
        (lambda cert, key: key.unlink(), "check the path"),
        (lambda cert, key: cert.write_text("?"), "PEM format"),
        (lambda cert, key: cert.write_bytes(b"x" * 300_000), "too large"),
    ],
)
def test_a_server_does_not_start_with_a_bad_pair(
    live: Pair, make_bad: Callable[[Path, Path], object], remedy: str
) -> None:
    make_bad(*live)
    with pytest.raises(TlsError, match=remedy):
        Certificate(*live)


def test_an_encrypted_key_is_refused_without_asking(live: Pair) -> None:
    key = serialization.load_pem_private_key(live[1].read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    live[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsError, match="without a passphrase"):
        try_pair(*live)


def test_self_signed_is_p256_for_90_days_with_a_private_key_file(make_pair: MakePair) -> None:
    cert, key = make_pair("first.example")
    made = try_pair(cert, key)
    public = made.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp256r1"
    assert timedelta(days=89) < made.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=90)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["first.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_self_signed_is_kept_while_it_serves_and_made_anew_for_a_new_name(tmp_path: Path) -> None:
    first = self_signed(tmp_path, ["a.example", "b.example"])[0].read_bytes()
    assert self_signed(tmp_path, ["b.example"])[0].read_bytes() == first
    assert self_signed(tmp_path, ["c.example"])[0].read_bytes() != first
    (tmp_path / "self-signed.key").write_text("damaged")
    try_pair(*self_signed(tmp_path, ["c.example"]))


def test_names_of_this_machine_can_be_certified(tmp_path: Path) -> None:
    names = names_of_this_machine()
    assert names[:3] == ("localhost", "127.0.0.1", "::1")
    try_pair(*self_signed(tmp_path, names))
