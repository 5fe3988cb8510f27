"""People without a browser: HTTP and one WebSocket each, and the moment every message came.

    enter (password) ──▶ agree ──▶ ticket ──▶ line ──▶ knock

All times are ``time.monotonic()`` seconds of this process, so both ends of a measurement share one clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from broker.agreement import CURRENT
from tests.e2e.practice import Practice, Visit
from tests.support.heard import Heard

WITHIN: Final = 15.0
"""Seconds that anything may take on a slow shared machine."""

Message = dict[str, Any]


@dataclass(slots=True)
class Line:
    """One signaling connection.

    Attributes:
        messages: all that was received, each with the moment it came.
        heard: the media of this page, once it is up.
    """

    socket: aiohttp.ClientWebSocketResponse
    messages: list[tuple[float, Message]] = field(default_factory=list)
    heard: Heard | None = None
    _waiting: list[tuple[Callable[[Message], bool], asyncio.Future[float]]] = field(default_factory=list)
    _reader: asyncio.Task[None] | None = None
    _requests: int = 0

    @classmethod
    async def open(cls, http: aiohttp.ClientSession, url: str, ticket: str) -> Line:
        """Connect, say hello and wait for the first view."""
        socket = await http.ws_connect(
            f"{url}/ws", protocols=("quietroom.v1", f"ticket.{ticket}"), origin=url
        )
        line = cls(socket)
        line._reader = asyncio.create_task(line._read())
        await line.say("hello")
        await line.when(lambda m: m["type"] in {"place", "roster"})
        return line

    async def say(self, kind: str, **fields: Any) -> float:
        """Send a message; returns when it was handed to the socket."""
        now = time.monotonic()
        await self.socket.send_json({"type": kind} | fields)
        return now

    async def ask(self, kind: str, **fields: Any) -> float:
        """Send a request and wait until it is done; returns when it was sent.

        Raises:
            RuntimeError: it was refused.
        """
        sent, code = await self.reply(kind, **fields)
        if code is not None:
            raise RuntimeError(f"{kind} was refused: {code}")
        return sent

    async def reply(self, kind: str, **fields: Any) -> tuple[float, str | None]:
        """Send a request; returns when it was sent, and the code of its reply."""
        self._requests += 1
        number = self._requests
        sent = await self.say(kind, id=number, **fields)
        await self.when(lambda m: m["type"] == "reply" and m["id"] == number)
        code = next(m["code"] for _, m in self.messages if m["type"] == "reply" and m["id"] == number)
        return sent, code

    @property
    def is_host(self) -> bool:
        """Whether this is a clinician's page."""
        return any(m["type"] == "welcome" and m["role"] == "host" for _, m in self.messages)

    async def when(self, told: Callable[[Message], bool], *, since: float = 0.0) -> float:
        """When a message like this came, or will have come.

        Args:
            told: whether it is the one.
            since: only messages that came after this moment count.
        """
        for came, message in self.messages:
            if came > since and told(message):
                return came
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((told, future))
        async with asyncio.timeout(WITHIN):
            return await future

    async def connect_media(self) -> None:
        """Connect the transport that was offered last, and be heard from now on."""
        self.heard = Heard(await self.offer(), self.answer)
        await self.heard.connect()

    async def offer(self) -> str:
        """The transport that was offered last, as SDP."""
        await self.when(lambda m: m["type"] == "offer")
        return str([m["sdp"] for _, m in self.messages if m["type"] == "offer"][-1])

    async def answer(self, sdp: str) -> None:
        """Answer it, and wait until the server has taken the answer."""
        await self.say("answer", sdp=sdp)
        # Messages are taken in order: a reply to what has no effect tells that the answer was taken.
        if self.is_host:
            await self.reply("act", action="hold")
        else:
            await self.reply("knock")

    async def close(self) -> None:
        """Hang up."""
        if self.heard is not None:
            await self.heard.close()
        await self.socket.close()
        if self._reader is not None:
            await self._reader

    async def _read(self) -> None:
        async for frame in self.socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            now, message = time.monotonic(), frame.json()
            self.messages.append((now, message))
            for entry in [entry for entry in self._waiting if entry[0](message)]:
                self._waiting.remove(entry)
                if not entry[1].done():
                    entry[1].set_result(now)


@dataclass(slots=True)
class Wire:
    """Brings people to one practice; see `calling`."""

    practice: Practice
    http: aiohttp.ClientSession
    lines: list[Line] = field(default_factory=list)

    async def enter(self, visit: Visit, seat: str) -> str:
        """Type the password and accept the agreement; returns the cookie."""
        cookie = await self._post(
            "/api/enter",
            {
                "meeting": visit.meeting,
                "seat-token": visit.tokens[seat],
                "password": visit.password,
                "link-auth": visit.link_auth,
            },
        )
        assert isinstance(cookie, str)
        await self._post(
            "/api/agree", {"meeting": visit.meeting, "seat": seat, "version": CURRENT.version}, cookie
        )
        return cookie

    async def connect(self, visit: Visit, seat: str, cookie: str) -> Line:
        """Open the line of a seat whose password was typed."""
        told = await self._post("/api/seat-ticket", {"meeting": visit.meeting, "seat": seat}, cookie)
        return await self._line(told["ticket"])

    async def waiting(self, visit: Visit, seat: str) -> Line:
        """The whole way into the waiting room."""
        line = await self.connect(visit, seat, await self.enter(visit, seat))
        await line.ask("knock")
        return line

    async def host(self, visit: Visit, account: str = "therapist") -> Line:
        """The page of a therapist, outside the room."""
        role = {"Quietroom-Role": "therapist"}
        told = await self.practice.api(account, "POST", "/api/host-ticket", {"meeting": visit.meeting}, role)
        return await self._line(told["ticket"])

    async def hang_up(self) -> None:
        """Close every line."""
        lines, self.lines = self.lines, []
        await asyncio.gather(*(line.close() for line in lines))

    async def _line(self, ticket: str) -> Line:
        line = await Line.open(self.http, self.practice.url, ticket)
        self.lines.append(line)
        return line

    async def _post(self, path: str, body: Message, cookie: str = "") -> Any:
        """What was answered; the cookie, if one was set."""
        url = self.practice.url
        headers = {"Origin": url} | ({"Cookie": cookie} if cookie else {})
        async with self.http.post(f"{url}{path}", json=body, headers=headers) as answer:
            assert answer.status < 300, f"{path}: {answer.status} {await answer.text()}"
            if answer.cookies:
                return "; ".join(f"{c.key}={c.value}" for c in answer.cookies.values())
            return await answer.json() if answer.status == 200 else None


@asynccontextmanager
async def calling(practice: Practice) -> AsyncIterator[Wire]:
    """People for one measurement; all have hung up at its end."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=connector) as http:
        wire = Wire(practice, http)
        try:
            yield wire
        finally:
            await wire.hang_up()


async def book(practice: Practice, count: int, kind: str = "individual") -> list[Visit]:
    """Book visits that are open now, a few at a time: each costs the server an Argon2id hash."""
    gate = asyncio.Semaphore(4)

    async def one() -> Visit:
        async with gate:
            return await practice.book(kind)

    await practice.api("therapist", "GET", "/api/me")  # signed in once, not by each of them
    return list(await asyncio.gather(*(one() for _ in range(count))))
