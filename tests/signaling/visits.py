"""A real server with a real store, and what its people's pages do over HTTP and the signaling connection."""

from __future__ import annotations

import asyncio
import copy
import functools
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from broker.agreement import CURRENT
from broker.ids import MeetingId
from broker.link_secret import authenticator_of, link_auth_of
from broker.policy import Role
from broker.private import Private
from broker.seats import SeatCode, SessionKind
from signaling.app import Server
from signaling.group_wire import to_text
from signaling.settings import Settings
from tests.signaling.front import Remembering
from tests.support.heard import Heard
from tests.support.waiting import eventually

PASSWORD = "a long enough staff password"
STAFF = {"T": "host", "C": "cohost"}


@dataclass
class Page:
    """One page's signaling connection; everything it was sent is kept."""

    socket: aiohttp.ClientWebSocketResponse
    messages: list[dict[str, Any]] = field(default_factory=list)
    heard: Heard | None = None
    _reader: asyncio.Task[None] | None = None
    _number: int = 0

    def listen(self) -> None:
        """Read until the connection ends."""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for frame in self.socket:
            if frame.type is aiohttp.WSMsgType.TEXT:
                self.messages.append(frame.json())

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind} | fields)

    async def ask(self, kind: str, **fields: Any) -> str | None:
        """Send a request and return the code of its reply."""
        self._number += 1
        number = self._number
        await self.say(kind, id=number, **fields)
        reply = await eventually(
            lambda: next((m for m in self.of("reply") if m["id"] == number), None), timeout=8.0
        )
        code = reply["code"]
        assert code is None or isinstance(code, str)
        return code

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All messages of one type."""
        return [message for message in self.messages if message["type"] == kind]

    @property
    def view(self) -> dict[str, Any]:
        """The last view."""
        views = [m for m in self.messages if m["type"] in {"place", "roster"}]
        return views[-1] if views else {}

    @property
    def state(self) -> str | None:
        """The state in the last view of a patient."""
        state = self.view.get("state")
        return state if isinstance(state, str) else None

    async def until(self, state: str, within: float = 8.0) -> None:
        await eventually(lambda: self.state == state, within)

    async def ended(self, within: float = 8.0) -> tuple[str | None, int | None]:
        """Wait for the end; returns the code of the bye and the close code."""
        assert self._reader is not None
        async with asyncio.timeout(within):
            await self._reader
        byes = self.of("bye")
        return (byes[-1]["code"] if byes else None), self.socket.close_code

    async def connect_media(self) -> None:
        """Connect the media that was offered last, and be heard (a host's page)."""
        offer = (await eventually(lambda: self.of("offer")))[-1]

        async def answer(sdp: str) -> None:
            await self.say("answer", sdp=sdp)
            assert await self.ask("act", action="hold") == "no-seat"  # so the answer has been taken

        self.heard = Heard(offer["sdp"], answer)
        await self.heard.connect()

    async def close(self) -> None:
        if self.heard is not None:
            await self.heard.close()
        await self.socket.close()
        if self._reader is not None:
            await self._reader


@dataclass
class Visit:
    """A booked couple session and the people's browsers: one cookie each."""

    server: Server
    http: aiohttp.ClientSession
    meeting: MeetingId
    password: str
    tokens: dict[str, str]
    link_auth: str | None = None
    cookies: dict[str, str] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)

    async def post(self, path: str, body: Any, cookie: str = "") -> aiohttp.ClientResponse:
        headers = {"Origin": self.server.url} | ({"Cookie": cookie} if cookie else {})
        return await self.http.post(f"{self.server.url}{path}", json=body, headers=headers)

    async def enter(self, seat: str, *, agree: bool = True, device: str | None = None) -> None:
        """Type the password (and accept the agreement); ``device`` names another browser of that seat."""
        body = {"meeting": self.meeting, "seat-token": self.tokens[seat], "password": self.password}
        if self.link_auth is not None:
            body["link-auth"] = self.link_auth
        answer = await self.post("/api/enter", body)
        assert answer.status == 200, await answer.text()
        self.cookies[device or seat] = "; ".join(f"{c.key}={c.value}" for c in answer.cookies.values())
        if agree:
            body = {"meeting": self.meeting, "seat": seat, "version": CURRENT.version}
            answer = await self.post("/api/agree", body, self.cookies[device or seat])
            assert answer.status == 204, await answer.text()

    async def ticket(self, seat: str, device: str | None = None) -> str:
        if seat in STAFF:
            if seat not in self.cookies:
                answer = await self.post("/api/login", {"name": STAFF[seat], "password": PASSWORD})
                assert answer.status == 200, await answer.text()
                self.cookies[seat] = "; ".join(f"{c.key}={c.value}" for c in answer.cookies.values())
            answer = await self.post("/api/host-ticket", {"meeting": self.meeting}, self.cookies[seat])
        else:
            body = {"meeting": self.meeting, "seat": seat}
            answer = await self.post("/api/seat-ticket", body, self.cookies[device or seat])
        assert answer.status == 200, await answer.text()
        ticket = (await answer.json())["ticket"]
        assert isinstance(ticket, str)
        return ticket

    async def connect(self, ticket: str, **options: Any) -> Page:
        """Open the connection, saying nothing yet."""
        socket = await self.http.ws_connect(
            f"{self.server.url}/ws",
            protocols=("quietroom.v1", f"ticket.{ticket}"),
            origin=options.pop("origin", self.server.url),
            max_msg_size=0,
            **options,
        )
        page = Page(socket)
        self.pages.append(page)
        return page

    async def page(self, seat: str, *, media_kept: bool = False, device: str | None = None) -> Page:
        """Open a seat's page as far as its first view."""
        if seat not in STAFF and (device or seat) not in self.cookies:
            await self.enter(seat, device=device)
        page = await self.connect(await self.ticket(seat, device))
        page.listen()
        await page.say("hello", **{"media-kept": media_kept})
        await eventually(lambda: page.view)
        return page

    async def host(self, seat: str = "T") -> Page:
        """The page of the therapist (or of the co-therapist, ``C``), in the room and heard."""
        page = await self.page(seat)
        assert await page.ask("enter") is None
        await page.connect_media()
        await eventually(lambda: page.view["clinician-present"])
        return page

    async def all_in(self) -> tuple[Page, Page, Page]:
        """Therapist and both partners in the room."""
        host = await self.host()
        first, second = await self.page("A"), await self.page("B")
        assert await first.ask("knock") is None
        assert await second.ask("knock") is None
        assert await host.ask("act", action="admit", seats=["A", "B"]) is None
        await first.until("admitted")
        await second.until("admitted")
        return host, first, second

    async def audit(self) -> list[tuple[str, str | None, str, str | None]]:
        """Every event of this session so far: type, seat, actor, reason."""
        await self.server.ledger.flushed()
        entries = await self.server.ledger.read(0, 10_000)
        return [
            (e.event.type.value, e.event.seat, e.event.actor, e.event.reason)
            for e in entries
            if e.event is not None and e.session == self.meeting
        ]


def settings_for(data_dir: Path, **more: Any) -> Settings:
    """Settings on free ports."""
    return Settings(data_dir=data_dir, **({"port": 0, "media_port": 0} | more))


async def hire(server: Server, name: str = "host") -> None:
    """Add a therapist's account, unless it is there. Hundreds of tests do: their password is hashed once."""
    identity = copy.copy(server.practice.identity)
    identity._hasher = _remembering()
    if await identity.staff_by_name(name) is None:
        await identity.add_staff(name, Role.THERAPIST, Private(PASSWORD), actor="system")


@functools.cache
def _remembering() -> Remembering:
    return Remembering()


async def book(
    server: Server,
    http: aiohttp.ClientSession,
    cohost: str | None = None,
    secret: Private[str] | None = None,
) -> Visit:
    """Book a couple session that is open now; with a link secret it is end-to-end encrypted."""
    host = await server.practice.identity.staff_by_name("host")
    other = await server.practice.identity.staff_by_name(cohost) if cohost else None
    assert host is not None
    now = time.time_ns() // 1_000_000
    booked = await server.practice.booking.book(
        SessionKind.COUPLE,
        now - 60_000,
        now + 3_600_000,
        host,
        other,
        host.id,
        secrets.token_hex(8),
        None if secret is None else link_auth_of(secret),
    )
    tokens = {str(seat): token.reveal() for seat, token in booked.seat_tokens.items()}
    shown = None if secret is None else to_text(authenticator_of(secret).reveal())
    return Visit(server, http, booked.meeting, booked.password.reveal(), tokens, shown)


@asynccontextmanager
async def visiting(data_dir: Path) -> AsyncIterator[Visit]:
    """A server with one booked visit; all pages are closed at the end."""
    async with Server(settings_for(data_dir)) as server, browser() as http:
        await hire(server)
        visit = await book(server, http)
        try:
            yield visit
        finally:
            for page in visit.pages:
                await page.close()


async def undisturbed(*pages: Page) -> None:
    """These pages are connected, and their room answers."""
    for page in pages:
        assert not page.socket.closed
        assert page.of("bye") == []
        assert page.of("error") == []


def browser() -> aiohttp.ClientSession:
    """An HTTP client that keeps no cookies of its own."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())


__all__ = ["Page", "SeatCode", "Visit", "book", "browser", "hire", "settings_for", "undisturbed", "visiting"]
