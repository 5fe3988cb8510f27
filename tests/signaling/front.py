"""The HTTP front on a real store, without the live half: what its tests talk to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from broker.admission import Admission
from broker.audit import AuditEvent, EventType
from broker.booking import BookedSession, Booking
from broker.credentials import Credentials
from broker.identity import Identity, Staff
from broker.ledger import Ledger
from broker.passwords import Hasher, Profile
from broker.policy import Role
from broker.private import Private
from broker.sealing import Keyring
from broker.seats import SessionKind
from broker.store import Store
from broker.tickets import Tickets
from signaling.front_runner import FrontRunner
from signaling.messages import Board, BoardRoom, BoardSeat
from signaling.preload import Pages
from signaling.routes import application
from signaling.routing import STAFF_COOKIES, Route, seat_cookie
from signaling.services import Changes, Services

ORIGIN = "https://visit.example.org"
PASSWORD = "canary-password-7Q"  # of every staff account here
STATIC_FILES = {
    name: f"<!doctype html><title>{name}</title>"
    for name in ("index.html", "visit.html", "login.html", "staff.html", "host.html", "admin.html")
} | {"js/page.js": "export {};\n", "notes.md": "not served"}


class Remembering(Hasher):
    """The real hasher, which does not do the same work twice: hundreds of tests sign the same people in."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[str, ...], str | bool] = {}

    async def hash(self, password: Private[str], profile: Profile) -> str:
        key = (password.reveal(), profile.name)
        if key not in self._known:
            self._known[key] = await super().hash(password, profile)
        return str(self._known[key])

    async def verify(
        self, phc: str | None, password: Private[str], profile: Profile, *, known: bool = False
    ) -> bool:
        if phc is None:  # nothing to remember: an unknown one is always looked at
            return await super().verify(phc, password, profile, known=known)
        key = (phc, password.reveal(), profile.name)
        if key not in self._known:
            self._known[key] = await super().verify(phc, password, profile, known=known)
        return bool(self._known[key])


@dataclass
class Answer:
    """One answer, read whole."""

    status: int
    headers: Any
    body: bytes
    json: Any
    cookies: Any

    @property
    def code(self) -> str | None:
        """The code of a problem document."""
        return self.json.get("code") if isinstance(self.json, dict) else None


@dataclass
class Front:
    """A running front and what stands behind it."""

    services: Services
    server: TestServer
    http: aiohttp.ClientSession
    reloaded: list[str] = field(default_factory=list)
    rooms: list[BoardRoom] = field(default_factory=list)
    draining: bool = False
    holders: dict[str, str] = field(default_factory=dict)
    """Which device holds a seat."""

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        cookies: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        """Ask as our own pages do: with Origin on what changes something, and JSON."""
        sent = {"Origin": ORIGIN} if method not in {"GET", "HEAD"} else {}
        if cookies:
            # Set by hand: the client's own jar gives Secure cookies to no http: server.
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if data is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        async with self.http.request(
            method, self.url + path, headers=sent, data=data, json=body, allow_redirects=False
        ) as response:
            raw = await response.read()
            kind = response.content_type
            json = await response.json(content_type=None) if kind.endswith("json") and raw else None
            return Answer(response.status, response.headers.copy(), raw, json, response.cookies)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.ask("POST", path, body, **more)

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def staff(self, role: Role, name: str | None = None) -> tuple[Staff, dict[str, str]]:
        """A new account that is signed in: who, and its cookie."""
        name = name or f"canary-{role.value}"
        await self.services.identity.add_staff(name, role, Private(PASSWORD), actor="system")
        signed_in = await self.services.identity.sign_in(name, Private(PASSWORD))
        return signed_in.staff, {STAFF_COOKIES[role]: signed_in.token.reveal()}

    async def book(
        self, host: Staff, kind: SessionKind = SessionKind.COUPLE, hours: int = 1
    ) -> BookedSession:
        """A session that is open now."""
        now = time.time_ns() // 1_000_000
        return await self.services.booking.book(
            kind, now, now + hours * 3_600_000, host, None, host.id, f"key-{time.time_ns()}", None
        )

    async def enter(self, booked: BookedSession, seat: str = "A") -> dict[str, str]:
        """The cookie of somebody who came in properly."""
        token = next(token for code, token in booked.seat_tokens.items() if code == seat)
        grant = await self.services.credentials.enter(booked.meeting, token.reveal(), booked.password)
        return {seat_cookie(booked.meeting, seat): grant.secret.reveal()}

    async def events(self, *types: EventType) -> list[AuditEvent]:
        """What the ledger holds, of these types."""
        await self.services.ledger.flushed()
        entries = await self.services.ledger.read(0, 1000)
        return [e.event for e in entries if e.event is not None and e.event.type in types]


def window(hours: float = 1, starts_in: float = 0) -> dict[str, str]:
    """Times of a booking body."""
    starts = datetime.now(UTC) + timedelta(hours=starts_in)
    return {"starts": starts.isoformat(), "ends": (starts + timedelta(hours=hours)).isoformat()}


class FrontServer(TestServer):
    """Runs the front as the app does."""

    async def _make_runner(self, **more: Any) -> FrontRunner:
        return FrontRunner(self.app, **more)


@asynccontextmanager
async def running_front(
    store: Store, ledger: Ledger, keys: Keyring, hasher: Hasher, static: Path, *more: Route
) -> AsyncIterator[Front]:
    """A front that listens."""
    for name, text in STATIC_FILES.items():
        path = static / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    booking = Booking(store, ledger, keys, hasher)
    credentials = Credentials(store, ledger, booking, hasher)
    front: Front

    async def held_by_another(meeting: str, seat: str, device: str) -> bool:
        return front.holders.get(seat, device) != device

    async def board() -> Board:
        return Board(time.time_ns() // 1_000_000, True, tuple(front.rooms))

    services = Services(
        booking=booking,
        credentials=credentials,
        tickets=Tickets(store, ledger, booking, credentials),
        identity=Identity(store, ledger, keys, hasher),
        admission=Admission(store, ledger, booking),
        ledger=ledger,
        board=board,
        changes=Changes(),
        reload=lambda meeting: front.reloaded.append(meeting),  # noqa: PLW0108  # the front comes after its services
        held_by_another=held_by_another,
        store_ok=lambda: store.healthy,
        draining=lambda: front.draining,
        gauges=lambda: {"rooms": float(len(front.rooms))},
        links=list,
        counters=lambda: {"packets_in": 7.0},
        public_url=ORIGIN,
        pages=Pages(static),
    )
    server = FrontServer(application(services, *more))
    async with (
        server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        front = Front(services, server, http)
        yield front


def board_room(state: str = "waiting", code: str = "abcdef") -> BoardRoom:
    """A room for the board."""
    seat = BoardSeat(
        seat="A",
        role="patient",
        state=state,
        since=1,
        presence="connected",
        waiting_ms=5,
        program=False,
        suite="AEAD_AES_256_GCM",
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
        path="udp",
        quality="good",
        loss_in_percent=0.5,
        loss_out_percent=0.0,
        jitter_ms=4.0,
        rtt_ms=20.0,
        kbps_in=300,
        kbps_out=300,
        receives="all",
        sends="all",
        locked=False,
    )
    return BoardRoom(
        code * 4, code, "couple", "waiting", False, 1, 2, (seat,), "transport-only", None, None, None
    )
