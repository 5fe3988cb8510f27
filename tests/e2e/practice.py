"""A real practice for browser tests: the real command, a real store, and what staff and operator do.

Everything goes through what a user has: the command line, the HTTP API and the pages.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import datetime as dt
import json
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from broker.ids import MeetingId
from broker.link_secret import authenticator_of, draw_link_secret, link_auth_of
from broker.placement import Placement
from broker.private import Private
from signaling.group_wire import to_text
from signaling.neighbours import door
from signaling.practice import open_practice
from signaling.settings import read_settings

_HIRED: list[tuple[Path, dict[str, str]]] = []
"""The data of a practice that has hired and never opened, and the passwords of whom it has hired."""
QUIETROOM = str(Path(sys.executable).parent / "quietroom")
STAFF = {"therapist": "therapist", "admin": "admin"}


def free_port() -> int:
    """A TCP and UDP port that nothing uses at the moment."""
    for _ in range(50):
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = int(tcp.getsockname()[1])
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("No port is free for both TCP and UDP.")


@dataclass
class Visit:
    """A booked session as the booker got it."""

    meeting: str
    password: str
    links: dict[str, str]
    tokens: dict[str, str]
    host_link: str
    secret: str = ""

    @property
    def link_auth(self) -> str:
        """What the door asks for beside the password, of those who have the secret."""
        return to_text(authenticator_of(Private(self.secret)).reveal())


@dataclass
class Practice:
    """One running Quietroom with a therapist and an admin.

    Args:
        options: more of ``quietroom serve``; ``{port}`` in one is the port.
        program: what serves.
        origin: how browsers reach it, without the port.
    """

    data_dir: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    program: tuple[str, ...] = (QUIETROOM,)
    origin: str = "http://localhost"
    passwords: dict[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    _cookies: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it listens; browsers give camera and microphone to localhost."""
        return f"{self.origin}:{self.port}"

    # ---- the operator ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the server and wait until it is ready."""
        log = (self.data_dir.parent / "server.log").open("ab")
        self.process = await asyncio.create_subprocess_exec(
            *self.program,
            "serve",
            "--data-dir",
            str(self.data_dir),
            "--port",
            str(self.port),
            *(option.format(port=self.port) for option in self.options),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        await self.ready(within=60.0)  # two workers and their supervisor took 21 s with eleven jobs per core

    async def ready(self, within: float = 15.0) -> None:
        """Wait for the readiness endpoint."""
        async with asyncio.timeout(within), aiohttp.ClientSession(connector=_trusting()) as http:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(f"{self.url}/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.02)

    async def works_with(self, workers: int) -> None:
        """Wait until so many workers are there and take rooms."""
        async with asyncio.timeout(60), aiohttp.ClientSession(connector=_trusting()) as http:
            while True:
                async with http.get(f"{self.url}/metrics", headers={"Connection": "close"}) as answer:
                    if len(set(re.findall(r'worker="(\d+)"', await answer.text()))) == workers:
                        return
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """SIGKILL, as an out-of-memory killer would."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
            async with asyncio.timeout(10):
                await self.process.wait()
        return self.process.returncode or 0

    def store_pid(self) -> int:
        """The process id of the embedded store."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in children:
            name = Path(f"/proc/{child}/comm").read_text()
            if "valkey" in name or "redis" in name:
                return int(child)
        raise AssertionError("The server has no store as a child.")

    async def kill_store(self) -> None:
        """SIGKILL the embedded store."""
        os.kill(self.store_pid(), signal.SIGKILL)

    async def owner(self, visit: Visit) -> int:
        """The process id of the worker that runs a visit's room."""
        settings = read_settings({}, data_dir=self.data_dir)
        async with open_practice(settings, command=True) as practice:
            worker = (await Placement(practice.store, "looking-on").owners())[MeetingId(visit.meeting)]
        # Whoever listens at the worker's door has it open; the kernel says which process that is.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(door(self.data_dir, worker)))
            found = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", found)[0])

    def log(self) -> str:
        """All that the server printed."""
        return (self.data_dir.parent / "server.log").read_text(errors="replace")

    async def command(self, *words: str, stdin: str = "") -> str:
        """Run ``quietroom`` as an operator would; returns what it printed."""
        process = await asyncio.create_subprocess_exec(
            QUIETROOM,
            *words,
            "--data-dir",
            str(self.data_dir),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin.encode())
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def hire(self) -> None:
        """Add the staff accounts; for a second practice, as a copy: each costs a slow hash and a store."""
        if not _HIRED:
            for name, role in STAFF.items():
                await self.hires(name, role)
            kept = Path(tempfile.mkdtemp(prefix="quietroom-hired-"))
            atexit.register(shutil.rmtree, kept, ignore_errors=True)
            shutil.copytree(self.data_dir, kept, dirs_exist_ok=True)
            _HIRED.append((kept, dict(self.passwords)))
            return
        ((kept, passwords),) = _HIRED
        shutil.copytree(kept, self.data_dir)
        self.passwords |= passwords

    async def hires(self, name: str, role: str) -> None:
        """Add one staff account."""
        self.passwords[name] = secrets.token_urlsafe(18)
        await self.command(
            "staff", "add", name, "--role", role, "--password-stdin", stdin=self.passwords[name] + "\n"
        )

    # ---- the staff, through the API ----------------------------------------------------------------------

    async def api(
        self, role: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Call the staff API as the therapist or the admin, signing in when needed."""
        sent = {"Origin": self.url, "Cookie": await self.signed_in(role), "Quietroom-Role": role} | (
            headers or {}
        )
        async with (
            _client() as http,
            http.request(method, f"{self.url}{path}", json=body, headers=sent) as answer,
        ):
            text = await answer.text()
            assert answer.status < 300, f"{answer.status} {text}"
            return json.loads(text) if text else None

    async def signed_in(self, name: str) -> str:
        """The ``Cookie`` header of a member of staff, signing in when needed."""
        if name not in self._cookies:
            login = {"name": name, "password": self.passwords[name]}
            async with (
                _client() as http,
                http.post(f"{self.url}/api/login", json=login, headers={"Origin": self.url}) as answer,
            ):
                assert answer.status == 200, await answer.text()
                self._cookies[name] = "; ".join(f"{c.key}={c.value}" for c in answer.cookies.values())
        return self._cookies[name]

    async def book(self, kind: str = "couple", **more: Any) -> Visit:
        """Book a visit that is open now, as a program that draws the link secret."""
        secret = draw_link_secret()
        stored = link_auth_of(secret)
        visit = await self._book(kind, more | {"link-authenticator-hash": stored})
        return replace(
            visit,
            links={seat: _whole(link, secret.reveal()) for seat, link in visit.links.items()},
            host_link=f"{visit.host_link}#{secret.reveal()}",
            secret=secret.reveal(),
        )

    async def book_transport_only(self, kind: str = "couple") -> Visit:
        """Book a visit into which programs may publish, which WHIP must be on for; open now."""
        return await self._book(kind, {"encryption": "transport-only"})

    async def _book(self, kind: str, more: dict[str, Any]) -> Visit:
        now = dt.datetime.now(dt.UTC)
        body = {
            "kind": kind,
            "starts": (now - dt.timedelta(minutes=1)).isoformat(),
            "ends": (now + dt.timedelta(hours=2)).isoformat(),
        } | more
        booked = await self.api(
            "therapist", "POST", "/api/sessions", body, {"Idempotency-Key": secrets.token_hex(8)}
        )
        return Visit(
            booked["meeting"],
            booked["password"],
            {seat["seat"]: seat["link"] for seat in booked["seats"]},
            {seat["seat"]: seat["seat-token"] for seat in booked["seats"]},
            booked["host-link"],
        )

    async def audit(self, meeting: str) -> list[tuple[str, str | None, str, str | None]]:
        """The session's events in order: (type, seat, who as a short word, reason)."""
        records: list[dict[str, Any]] = []
        after = -1
        while True:
            page = await self.api("admin", "GET", f"/api/audit?after={after}&limit=500")
            if page["after"] == after:
                break
            # Reading is an event too: a look that finds nothing but looks is the last.
            records += page["records"]
            after = page["after"]
            if all(record["type"] == "audit.viewed" for record in page["records"]):
                break
        for number, record in enumerate(records):
            assert record["index"] == number, "the audit stream has a hole"
        return [
            (r["type"], r["seat"], _who(r["actor"], meeting), r["reason"])
            for r in records
            if r["session"] == meeting
        ]

    async def subjects(self, meeting: str) -> dict[str, list[int]]:
        """The sequence numbers of each subject of the session, as the audit stream has them."""
        page = await self.api("admin", "GET", "/api/audit?after=-1&limit=500")
        found: dict[str, list[int]] = {}
        for record in page["records"]:
            if record["session"] == meeting:
                found.setdefault(record["subject"], []).append(record["subject-seq"])
        return found


def _whole(link: str, secret: str) -> str:
    """The link of a seat with the secret in it; a password stays last."""
    page, _, fragment = link.partition("#")
    token, *password = fragment.split(".")
    return f"{page}#{'.'.join([token, secret, *password])}"


def _client() -> aiohttp.ClientSession:
    """One that keeps no cookies."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=_trusting())


def _trusting() -> aiohttp.TCPConnector:
    """Takes any certificate: those of tests are nobody's."""
    return aiohttp.TCPConnector(ssl=False)


def _who(actor: str, meeting: str) -> str:
    if actor == "system":
        return "system"
    if actor.startswith("staff:"):
        return "staff"
    return actor.replace(meeting, "").strip("/:").removeprefix("seat:") or actor
