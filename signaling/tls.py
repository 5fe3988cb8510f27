"""TLS for the pages and the signaling: a certificate that can be renewed under a running server.

The context is made once and stays; a renewed pair is loaded *into* it, so new handshakes get the new
certificate and nobody who is connected is dropped. A pair that does not fit would leave the live context
broken (OpenSSL takes the certificate before it looks at the key), so each pair goes through a throw-away
context first: a bad one changes nothing but one line in the log.

Renewal is noticed by itself (the files are looked at every few seconds) or told by SIGHUP.

For a first try on a phone there is a self-signed certificate: P-256, 90 days, for the names and addresses of
this machine. Browsers warn about it, and are right to: it proves nothing about who made it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import signal
import socket
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.errors import BadInput
from signaling.settings import lan_address

LIFETIME: Final = timedelta(days=90)
_RENEW_BEFORE: Final = timedelta(days=14)
_MAX_FILE: Final = 256 * 1024

log = structlog.get_logger()

_Stamp = tuple[tuple[int, int, int], tuple[int, int, int]]


class TlsError(BadInput):
    """A certificate and key that cannot be used; the text says why and what to do."""

    def __init__(self, text: str) -> None:
        super().__init__("bad-certificate", text)


class Certificate:
    """A certificate and its key on disk, and the live context that serves them.

    Args:
        cert: certificate chain, PEM, the server's own first.
        key: its private key, PEM, not encrypted.

    Raises:
        TlsError: ``bad-certificate`` when the pair cannot be used.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert, self._key = cert, key
        self._loaded = _stamp(cert, key)
        try_pair(cert, key)
        self.context = _new_context()
        _load(self.context, cert, key)

    def reload(self) -> bool:
        """Take the pair on disk into use, if it is good.

        Returns:
            Whether it was; if not, the former pair goes on serving and one line in the log says why.
        """
        try:
            self._loaded = _stamp(self._cert, self._key)
            try_pair(self._cert, self._key)
            _load(self.context, self._cert, self._key)
        except TlsError as error:
            log.error("certificate not renewed, the former one stays in use", why=error.text)
            return False
        log.info("certificate renewed")
        return True

    async def watch(self, every: float = 3.0) -> None:
        """Reload whenever the files changed or SIGHUP came, until cancelled.

        Args:
            every: seconds between two looks. A change counts once it has rested for one look, so that a pair
                is not taken between the writing of its two files.
        """
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        former = signal.getsignal(signal.SIGHUP)
        loop.add_signal_handler(signal.SIGHUP, told.set)
        before = self._loaded
        try:
            while True:
                try:
                    await asyncio.wait_for(told.wait(), every)
                except TimeoutError:
                    now = _stamp_or(self._cert, self._key, before)
                    rested, before = now == before, now
                    if not rested or now == self._loaded:
                        continue
                told.clear()
                self.reload()
                before = self._loaded
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, former)  # a worker ignores it then


def try_pair(cert: Path, key: Path) -> x509.Certificate:
    """Load a pair into a throw-away context.

    Returns:
        The server's own certificate, for looking at its dates and names.

    Raises:
        TlsError: a file is missing, unreadable, encrypted or no PEM, or the key is not the certificate's.
    """
    _load(_new_context(), cert, key)
    try:
        return x509.load_pem_x509_certificates(cert.read_bytes())[0]
    except ValueError:
        raise TlsError(f"{cert} holds no certificate in PEM format.") from None


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # TLS 1.2 only with forward secrecy and an AEAD cipher; TLS 1.3 has nothing else.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    def no_password() -> str:  # without it OpenSSL would ask on the terminal and hold up the server
        raise TlsError(
            f"{key} is encrypted; the server needs a key without a passphrase, readable by its user only."
        )

    for path in (cert, key):
        try:
            with path.open("rb") as file:
                if len(file.read(_MAX_FILE + 1)) > _MAX_FILE:
                    raise TlsError(f"{path} is too large for a PEM file.")
        except OSError as error:
            raise TlsError(
                f"{path} cannot be read ({error.strerror}); check the path and its owner."
            ) from None
    try:
        context.load_cert_chain(cert, key, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(
                f"{key} is not the key of {cert}; give the pair that was issued together."
            ) from None
        raise TlsError(
            f"{cert} and {key} must both be in PEM format, the server's certificate first."
        ) from None
    except OSError as error:
        raise TlsError(f"{cert} or {key} cannot be read ({error.strerror}).") from None


def _stamp(cert: Path, key: Path) -> _Stamp:
    found = []
    for path in (cert, key):
        try:
            status = path.stat()
        except OSError as error:
            raise TlsError(
                f"{path} cannot be read ({error.strerror}); check the path and its owner."
            ) from None
        found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return found[0], found[1]


def _stamp_or(cert: Path, key: Path, otherwise: _Stamp) -> _Stamp:
    """A file that is gone for a moment, while it is being replaced, is no change yet."""
    try:
        return _stamp(cert, key)
    except TlsError:
        return otherwise


# ---- the self-signed certificate ------------------------------------------------------------------------


def self_signed(directory: Path, names: Iterable[str]) -> tuple[Path, Path]:
    """A self-signed pair for a first try; the one made before is used again while it is good.

    Args:
        directory: where the two files are kept; made when missing.
        names: host names and IP addresses that browsers will type.

    Returns:
        Paths of the certificate and of its key (mode 0600).
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    cert, key = directory / "self-signed.crt", directory / "self-signed.key"
    wanted = _subject_names(names)
    if not _serves(cert, key, wanted):
        _make_pair(cert, key, wanted)
    return cert, key


def fingerprint(cert: Path) -> str:
    """SHA-256 of a certificate as browsers show it, ``AB:CD:…``."""
    digest = x509.load_pem_x509_certificate(cert.read_bytes()).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()


def names_of_this_machine() -> tuple[str, ...]:
    """What a browser may type to reach this machine: its names and its addresses in the local network."""
    name = socket.gethostname().lower()
    found = ["localhost", "127.0.0.1", "::1", lan_address(4), lan_address(6)]
    if all(part and part.replace("-", "").isalnum() and part.isascii() for part in name.split(".")):
        found += [name, f"{name}.local"]
    return tuple(dict.fromkeys(each for each in found if each))


def _subject_names(names: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _serves(cert: Path, key: Path, wanted: list[x509.GeneralName]) -> bool:
    """Whether the pair on disk is good for two more weeks and covers all the names."""
    try:
        found = try_pair(cert, key)
        covered = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (TlsError, x509.ExtensionNotFound):
        return False
    return found.not_valid_after_utc - datetime.now(UTC) > _RENEW_BEFORE and set(wanted) <= set(covered)


def _make_pair(cert: Path, key: Path, names: list[x509.GeneralName]) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Quietroom, self-signed for a first try")])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a phone's clock may be behind
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private_key, hashes.SHA256())
    )
    key_pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(key, key_pem, 0o600)
    _write(cert, made.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place whole: nobody ever reads half of it, and a key is never open to others."""
    draft = path.with_name(f".{secrets.token_hex(8)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
