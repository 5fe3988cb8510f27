"""Looks whether a Quietroom can run here, and says for each thing that is not right what to do.

    settings ─▶ folders and keys ─▶ disk ─▶ store ─▶ clock ─▶ ports, TURN ─▶ certificate

It changes nothing that was there: it may be run before the first start, beside a running server, and after
something went wrong. Each check is a function that looks at the real thing and answers with findings.
"""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from broker.audit import parse_leaf
from broker.embedded import EmbeddedStore, find_binary, version_of
from broker.errors import QuietroomError, StoreUnavailable
from broker.private import Private
from broker.store import Store
from rooms.relay_check import Granted, ask
from rooms.turn import mint
from signaling.settings import Settings, TurnAddress, turn_address
from signaling.tls import TlsError, try_pair

DISK_FLOOR: Final = 1 << 30
"""Bytes that should be free for the store: a rewrite of its file needs room for a second copy."""

CLOCK_SLACK_MS: Final = 2_000
EXPIRY_NOTICE: Final = timedelta(days=14)
_ASK: Final = 3.0


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        topic: one word.
        text: what was seen, as a sentence.
        remedy: what to do; empty when all is well.
    """

    verdict: Verdict
    topic: str
    text: str
    remedy: str = ""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Run every check, in the order in which they stand on each other."""
    for finding in check_folders(settings):
        yield finding
    yield check_disk(settings.data_dir)
    async for finding in check_store(settings):
        yield finding
    serving = await asyncio.to_thread(live, settings)
    yield check_port(settings.host, settings.port, "tcp", ours=serving)
    if settings.tcp_port is None:
        yield _NO_MEDIA_OVER_TCP
    for port in settings.media_ports:
        yield check_port(settings.media_bind, port, "udp", ours=serving)
        if settings.behind_proxy and port != settings.port:
            yield check_port(settings.media_bind, port, "tcp", ours=serving, flag="--media-port")
    async for finding in check_turn(settings):
        yield finding
    for finding in check_certificate(settings, datetime.now(UTC)):
        yield finding


# ---- folders, keys, disk --------------------------------------------------------------------------------


def check_folders(settings: Settings) -> list[Finding]:
    """The data directory can be written; keys and store are open to nobody else; keys are not lost."""
    found = []
    data = settings.data_dir
    try:
        existing = _existing(data)
        probe = existing / f".doctor-{time.time_ns()}"
        probe.touch(mode=0o600)
        probe.unlink()
        found.append(Finding(Verdict.OK, "data", f"{data} can be written."))
    except OSError as error:
        found.append(
            Finding(
                Verdict.FAILED,
                "data",
                f"{data} cannot be written ({error.strerror}).",
                "Give it to the user who runs Quietroom, or choose another with --data-dir.",
            )
        )
        return found
    keys = sorted(settings.keys_dir.glob("*.key")) if settings.keys_dir.is_dir() else []
    open_to_others = [
        path
        for path in (settings.keys_dir, settings.store_dir, *keys)
        if path.exists() and path.stat().st_mode & 0o077
    ]
    for path in open_to_others:
        mode = "700" if path.is_dir() else "600"
        found.append(Finding(Verdict.FAILED, "keys", f"Others may read {path}.", f"Run: chmod {mode} {path}"))
    if not keys and (settings.store_dir / "appendonlydir").exists():
        found.append(
            Finding(
                Verdict.FAILED,
                "keys",
                f"The store holds records, but {settings.keys_dir} holds no keys; without them the audit "
                "stream cannot be read.",
                "Restore the key files from your backup before starting the server.",
            )
        )
    elif not open_to_others:
        found.append(Finding(Verdict.OK, "keys", f"{settings.keys_dir} is open to nobody else."))
    return found


def check_disk(data: Path, floor: int = DISK_FLOOR) -> Finding:
    """Enough room where the data is.

    Args:
        data: the data directory, or where it will be.
        floor: bytes that must be free.
    """
    try:
        free = shutil.disk_usage(_existing(data)).free
    except OSError as error:
        return Finding(
            Verdict.FAILED, "disk", f"{data} cannot be looked at ({error.strerror}).", "Check --data-dir."
        )
    if free < floor:
        return Finding(
            Verdict.FAILED,
            "disk",
            f"Only {_size(free)} are free at {data}.",
            f"Make room (at least {_size(floor)}): when the disk is full, nobody new is let in.",
        )
    return Finding(Verdict.OK, "disk", f"{_size(free)} are free.")


# ---- store and clock ------------------------------------------------------------------------------------


async def check_store(settings: Settings) -> AsyncIterator[Finding]:
    """The store answers, keeps what it acknowledged, throws nothing away, and shares our idea of the time."""
    try:
        if settings.redis_url is not None:
            async for finding in _look_at_store(settings, settings.redis_url, "The store"):
                yield finding
            return
        if not settings.store_dir.exists():
            binary = find_binary()
            version = ".".join(map(str, version_of(binary)))
            yield Finding(Verdict.OK, "store", f"{binary.name} {version} will be started at the first start.")
            return
        async with EmbeddedStore.attach(settings.store_dir) as store:
            which = "The embedded store" if store.owned else "The running server's store"
            async for finding in _look_at_store(settings, store.url, which):
                yield finding
    except QuietroomError as error:
        yield Finding(Verdict.FAILED, "store", error.text, _STORE_REMEDY.get(error.code, _START_REMEDY))
    except TimeoutError:
        yield Finding(Verdict.FAILED, "store", "The running server's store does not answer.", _START_REMEDY)


async def _look_at_store(settings: Settings, url: str, which: str) -> AsyncIterator[Finding]:
    store = Store(url, settings.practice, f"d-{time.time_ns() & 0xFFFF_FFFF:08x}")
    try:
        began = time.perf_counter()
        try:
            await store.start()
        except StoreUnavailable:
            yield Finding(
                Verdict.FAILED,
                "store",
                f"{which} does not answer, or cannot write.",
                "Start it, or correct --redis-url (host, port, password, TLS); then look at its log and disk."
                if settings.redis_url
                else _START_REMEDY,
            )
            return
        took = (time.perf_counter() - began) * 1000
        yield Finding(Verdict.OK, "store", f"{which} answers ({took:.0f} ms).")
        yield _durability(await _configured(store, "appendonly"), await _configured(store, "appendfsync"))
        yield _eviction(await _configured(store, "maxmemory-policy"))
        if (store_ms := store.now_ms()) is not None:
            newest_ms = await _newest(store)
            yield check_clock(store_ms, time.time_ns() // 1_000_000, newest_ms)
    finally:
        await store.close()


async def _newest(store: Store) -> int | None:
    """When the last event was recorded, milliseconds since 1970; ``None`` if there is none to be read."""
    try:
        found = await store.read_log(await store.log_size() - 1, 1)
        return parse_leaf(found[-1][1]).time_us // 1000 if found else None
    except QuietroomError:
        return None


async def _configured(store: Store, name: str) -> str | None:
    """One setting of the store server; ``None`` where a managed store does not tell."""
    try:
        answer = await store.link.read("CONFIG", "GET", name)
    except QuietroomError:
        return None
    pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=False)
    for key, value in pairs:
        if (key.decode() if isinstance(key, bytes) else key) == name:
            return value.decode() if isinstance(value, bytes) else str(value)
    return None


def _durability(appendonly: str | None, appendfsync: str | None) -> Finding:
    if appendonly is None or appendfsync is None:
        return Finding(
            Verdict.NOTE,
            "durability",
            "The store does not tell how it writes to disk.",
            "Ask its provider: every write must be durable before it is acknowledged.",
        )
    if (appendonly, appendfsync) == ("yes", "always"):
        return Finding(Verdict.OK, "durability", "Every write is on disk before it is acknowledged.")
    return Finding(
        Verdict.FAILED,
        "durability",
        f"The store may lose acknowledged events (appendonly {appendonly}, appendfsync {appendfsync}).",
        "In the store's configuration set:  appendonly yes  and  appendfsync always",
    )


def _eviction(policy: str | None) -> Finding:
    if policy in {None, "noeviction"}:
        return Finding(Verdict.OK, "memory", "The store throws nothing away when its memory is full.")
    return Finding(
        Verdict.FAILED,
        "memory",
        f"The store throws data away when its memory is full ({policy}).",
        "In the store's configuration set:  maxmemory-policy noeviction",
    )


def check_clock(store_ms: int, ours_ms: int, newest_ms: int | None = None) -> Finding:
    """This machine and the store agree about the time, since windows of sessions are judged by both.

    An embedded store has this very clock, so the record is asked too: nothing in it can be yet to come.

    Args:
        store_ms: store time, milliseconds since 1970.
        ours_ms: ours.
        newest_ms: when the last event was recorded.
    """
    if newest_ms is not None and newest_ms - store_ms > CLOCK_SLACK_MS:
        return Finding(
            Verdict.FAILED,
            "clock",
            f"The last event on record is {(newest_ms - store_ms) / 1000:.1f} s in the future: "
            "the store's clock is wrong, or was.",
            "Set it by NTP (Debian: apt-get install systemd-timesyncd), then run this again.",
        )
    apart = ours_ms - store_ms
    if abs(apart) > CLOCK_SLACK_MS:
        return Finding(
            Verdict.FAILED,
            "clock",
            f"This machine's clock is {abs(apart) / 1000:.1f} s "
            f"{'ahead of' if apart > 0 else 'behind'} the store's.",
            "Set both by NTP (Debian: apt-get install systemd-timesyncd), then run this again.",
        )
    return Finding(Verdict.OK, "clock", "This machine and the store agree about the time.")


# ---- ports ----------------------------------------------------------------------------------------------


def check_port(host: str, port: int, kind: str, *, ours: bool, flag: str | None = None) -> Finding:
    """The port is free, or our own server has it.

    Args:
        host: IP address to listen on.
        port: its number.
        kind: ``tcp`` (pages and signaling) or ``udp`` (media).
        ours: whether our server answers at the settings' address.
        flag: what sets its number, when it is not the usual one of its kind.
    """
    topic = f"{kind} {port}"
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    flag = flag or ("--port" if kind == "tcp" else "--media-port")
    try:
        with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as probe:
            if kind == "tcp":  # as the server does: connections of a former run may still be closing
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            if kind == "tcp":
                probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and ours:
            return Finding(Verdict.OK, topic, "The running server has it.")
        text, remedy = _port_trouble(error, host, port, kind, flag)
        return Finding(Verdict.FAILED, topic, text, remedy)
    return Finding(Verdict.OK, topic, "It is free.")


def _port_trouble(error: OSError, host: str, port: int, kind: str, flag: str) -> tuple[str, str]:
    if error.errno == errno.EADDRINUSE:
        letter = "t" if kind == "tcp" else "u"
        return (
            "Another program has it.",
            f"Stop it (find it with: ss -{letter}lnp 'sport = :{port}') or choose another port with {flag}.",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return (
            "This user may not open it.",
            f"Choose a number above 1023 with {flag}, or allow it: setcap, or a proxy in front.",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"{host} is not an address of this machine.",
            "Give one of its addresses with --host, or 0.0.0.0 for all of them.",
        )
    return f"It cannot be opened ({error.strerror}).", f"Check --host and {flag}."


_NO_MEDIA_OVER_TCP: Final = Finding(
    Verdict.NOTE,
    "tcp media",
    "Media has the port that the proxy leads to, so nobody gets through where UDP is blocked.",
    "Give media another number, or none at all (--media-port), and open it for UDP and TCP.",
)


async def check_turn(settings: Settings) -> AsyncIterator[Finding]:
    """Each TURN server of the operator grants us what a page will ask of it."""
    if settings.turn_secret is None:
        return
    secret = Private(settings.turn_secret.encode())
    for url in settings.turn_urls:
        at = turn_address(url)
        granted = await _granted(at, secret, 60)
        verdict = Verdict.OK if granted is Granted.YES else Verdict.FAILED
        said = _TURN[granted]
        if granted is Granted.REFUSED and await _granted(at, secret, _DAY) is Granted.YES:
            said = _AHEAD
        yield Finding(verdict, "turn", *(part.format(url=url) for part in said))


async def _granted(at: TurnAddress, secret: Private[bytes], seconds: int) -> Granted:
    """What becomes of a credential that is good for that long by our clock."""
    credential = mint(secret, int(time.time()) + seconds, "doctor")
    return await ask(at.host, at.port, credential, tls=at.tls, tcp=at.tcp)


_DAY: Final = 86_400
_AHEAD: Final = (
    "{url} takes our credential for void: its clock is ahead of ours.",
    "Set both clocks by NTP: one that is fifteen minutes ahead refuses everybody.",
)

_TURN: Final = {
    Granted.YES: ("{url} grants an allocation.", ""),
    Granted.REFUSED: (
        "{url} refuses our credential.",
        "Give it the secret of QUIETROOM_TURN_SECRET (coturn: use-auth-secret and static-auth-secret), and "
        "set both clocks by NTP.",
    ),
    Granted.NO_ANSWER: ("{url} does not answer.", "Start it, open its port, or correct QUIETROOM_TURN_URLS."),
    Granted.BAD_CERTIFICATE: (
        "{url} has a certificate that browsers will not accept.",
        "Give it one of a known authority, for the name in the URL.",
    ),
}


def live(settings: Settings) -> bool:
    """Whether our server answers ``/healthz`` where the settings say."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    connection: HTTPConnection
    if settings.secure:
        # Asked by address and about being there only: whom the certificate names is another check's business.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = HTTPSConnection(host, settings.port, timeout=_ASK, context=context)
    else:
        connection = HTTPConnection(host, settings.port, timeout=_ASK)
    try:
        connection.request("GET", "/healthz", headers={"Host": urlsplit(settings.public_url).netloc})
        answer = connection.getresponse()
        return answer.status == 200 and answer.read(16) == b"ok\n"
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


# ---- certificate ----------------------------------------------------------------------------------------


def check_certificate(settings: Settings, now: datetime) -> list[Finding]:
    """The pair fits, is within its dates, names our address, and nobody else may read its key.

    Args:
        settings: names the files and our address.
        now: with a time zone.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        text = "A proxy terminates TLS." if settings.behind_proxy else "None: plain HTTP on loopback only."
        return [Finding(Verdict.OK, "certificate", text)]
    try:
        found = try_pair(settings.tls_cert, settings.tls_key)
    except TlsError as error:
        sentence, _, remedy = error.text.partition("; ")
        return [Finding(Verdict.FAILED, "certificate", f"{sentence.rstrip('.')}.", _sentence(remedy))]
    findings = [_dates(found, now)]
    if settings.tls_key.stat().st_mode & 0o077:
        findings.append(
            Finding(
                Verdict.FAILED,
                "certificate",
                f"Others may read {settings.tls_key}.",
                f"Run: chmod 600 {settings.tls_key}",
            )
        )
    name = urlsplit(settings.public_url).hostname or ""
    if not _names(found, name):
        findings.append(
            Finding(
                Verdict.FAILED,
                "certificate",
                f"It is not made out for {name}, so browsers will refuse it.",
                "Get one for that name, or correct --public-url.",
            )
        )
    return findings


def _dates(found: x509.Certificate, now: datetime) -> Finding:
    first, last = found.not_valid_before_utc, found.not_valid_after_utc
    if now >= last:
        return Finding(
            Verdict.FAILED,
            "certificate",
            f"It expired on {last:%d %B %Y}.",
            "Renew it; a running server takes the new files into use by itself.",
        )
    if now < first:
        return Finding(
            Verdict.FAILED,
            "certificate",
            f"It is not valid before {first:%d %B %Y, %H:%M} UTC.",
            "Check this machine's clock, or wait.",
        )
    if last - now < EXPIRY_NOTICE:
        return Finding(
            Verdict.NOTE,
            "certificate",
            f"It expires on {last:%d %B %Y}.",
            "Renew it soon; a running server takes the new files into use by itself.",
        )
    return Finding(Verdict.OK, "certificate", f"The pair fits and is valid until {last:%d %B %Y}.")


def _names(found: x509.Certificate, name: str) -> bool:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ip_address(name) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        pass
    _, _, parent = name.partition(".")
    listed = {each.lower() for each in names.get_values_for_type(x509.DNSName)}
    return name in listed or f"*.{parent}" in listed


# ---- words ----------------------------------------------------------------------------------------------

_START_REMEDY: Final = (
    "Look into store.log in the data directory's store folder, then start the server again."
)
_STORE_REMEDY: Final = {
    "no-store-server": "None installed? On Debian: apt-get install redis-server. "
    "Installed, but does not start? store.log in the data directory's store folder says why.",
    "unsafe-files": "Give the data directory to the user who runs Quietroom, and run: chmod 700 on it.",
    "audit-unavailable": _START_REMEDY,
}


def _existing(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    while not path.exists():
        path = path.parent
    return path


def _sentence(text: str) -> str:
    return (
        text[:1].upper() + text[1:]
        if text
        else "Give a certificate and key in PEM format that belong together."
    )


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MB"
