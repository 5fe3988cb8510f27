"""A room whose pages seal their frames, without the visit around it.

The media port is the real one; `Peer`, `Keys`, guard and worker are the product's, in real browsers under the
pages' real headers. Who has which keys is said by the test.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page

from rooms.forwarding import Kind
from rooms.media import MediaPort, Peer, PeerState
from signaling.security import security_headers
from tests.e2e.people import REMEMBER_CONNECTIONS
from tests.rooms.raw_client import RawClient, until
from tests.support.decoding import payload_of, vp8_descriptor

PARTS: Final = Path(__file__).parent / "sealed"
STATIC: Final = Path(__file__).parents[2] / "static"
NAMES: Final = ("A", "B", "C", "D")
ROOM: Final = "room-1"
PAGE: Final = "<!doctype html><html lang=en><meta charset=utf-8><title>seat</title><body>"
SECONDS: Final = 20.0
"""What anything may take on a slow shared machine."""


@dataclass
class Seat:
    """One page of the room."""

    name: str
    place: int
    page: Page
    room: SealedRoom
    peer: Peer | None = None
    errors: list[str] = field(default_factory=list)

    async def joins(self) -> None:
        """Answer the offer of a new transport, and connect."""
        self.peer = self.room.port.open_peer(ROOM, self.name, self.place, lambda _: None)
        peer = self.peer
        peer.answer(await self.page.evaluate("([sdp]) => take(sdp, false)", [peer.offer()]))
        await until(lambda: peer.state is PeerState.CONNECTED, f"{self.name} connected", SECONDS)

    async def restarts(self) -> None:
        """An ICE restart on the same transport."""
        assert self.peer is not None
        self.peer.answer(await self.page.evaluate("([sdp]) => take(sdp, true)", [self.peer.restart()]))

    async def dictates(self, *steps: tuple[str, Any]) -> None:
        """Let the group's session of this page do these things to its key ring."""
        await self.page.evaluate("(steps) => dictate(steps)", [list(step) for step in steps])

    async def has_epoch(self, epoch: int, *, key: int | None = None, members: Sequence[str] = NAMES) -> None:
        """Install an epoch with its people, and send on it.

        Args:
            epoch: its number.
            key: fills the base key; the epoch itself unless given.
            members: who is in it; a member's index is their place.
        """
        await self.dictates(
            *self.installed(epoch, key=key, members=members), ("sendOn", self.sends_on(epoch))
        )

    def installed(
        self, epoch: int, *, key: int | None = None, members: Sequence[str] = NAMES
    ) -> list[tuple[str, Any]]:
        """The steps that make an epoch received."""
        people = [{"seat": name, "name": name, "index": NAMES.index(name)} for name in members]
        return [
            ("install", {"epoch": epoch, "key": (key if key is not None else 1 + epoch) & 0xFF}),
            ("state", {"phase": "secured", "epoch": epoch, "members": people, "own": self.place}),
        ]

    def sends_on(self, epoch: int) -> dict[str, int]:
        """What `sendOn` takes."""
        return {"epoch": epoch, "index": self.place}

    async def expects_everybody(self) -> None:
        """The slots as the server has told of them."""
        slots = [
            {"seat": other, "mids": [str(mid) for mid in (self.audio_of(place), self.audio_of(place) + 1)]}
            for place, other in enumerate(NAMES)
            if place != self.place
        ]
        await self.page.evaluate("(slots) => page.keys.expect(slots)", slots)

    def audio_of(self, place: int) -> int:
        """The mid of another place's sound; its picture is the next."""
        return 3 + 2 * (place if place < self.place else place - 1)

    async def figures(self) -> dict[str, dict[str, float]]:
        """What the current connection has carried, by mid."""
        found: dict[str, dict[str, float]] = await self.page.evaluate("figures()")
        return found

    async def counts(self) -> list[dict[str, float]]:
        """What became of the frames of each transform."""
        found: list[dict[str, float]] = await self.page.evaluate(
            "async () => Object.values(await page.keys.counts())"
        )
        return found

    async def total(self, what: str) -> float:
        """One count over all transforms."""
        return sum(of.get(what, 0) for of in await self.counts())

    async def sees(self, other: Seat, *, frames: int = 10) -> None:
        """Wait until that many more pictures of another are decoded."""
        mid = str(self.audio_of(other.place) + 1)
        goal = (await self.figures()).get(mid, {}).get("frames", 0) + frames

        async def decoded() -> bool:
            return (await self.figures()).get(mid, {}).get("frames", 0) >= goal

        await until(decoded, f"{self.name} sees {other.name}", SECONDS, every=0.05)

    async def hears(self, other: Seat) -> None:
        """Wait until another's sound is heard."""
        mid = str(self.audio_of(other.place))
        before = (await self.figures()).get(mid, {}).get("energy", 0)

        async def heard() -> bool:
            return (await self.figures()).get(mid, {}).get("energy", 0) > before

        await until(heard, f"{self.name} hears {other.name}", SECONDS, every=0.05)

    async def brightness(self, other: Seat) -> float | None:
        """Of what is seen of another, 0 to 255; ``None`` while nothing is."""
        slot = (self.audio_of(other.place) - 3) // 2
        found: float | None = await self.page.evaluate("(slot) => brightness(slot)", slot)
        return found

    async def sends(self) -> list[str | None]:
        """What is on the senders of sound, camera and screen: ``camera`` is the real one."""
        found: list[str | None] = await self.page.evaluate("sends()")
        return found


class Listener:
    """Somebody to whom the server forwards everything, and who keeps every packet: the server itself, say."""

    def __init__(self, client: RawClient, place: int) -> None:
        self.client, self.place = client, place
        self._checks = asyncio.create_task(self._keep_alive())

    async def _keep_alive(self) -> None:
        """Check the way once a second, as browsers do: whoever says nothing for six counts as gone."""
        while True:
            await asyncio.sleep(1)
            self.client.send(self.client.request())

    async def close(self) -> None:
        """Go."""
        self._checks.cancel()
        await self.client.close()

    def packets(self, kind: Kind, place: int) -> list[bytes]:
        """What came of another place, without what was sent again."""
        pair = place if place < self.place else place - 1
        # A slot is announced by its media SSRC and, for a picture, that of its retransmissions.
        return self.client.of(self.client.slots[3 * pair + (kind is Kind.CAMERA)])

    def frames(self, kind: Kind, place: int) -> list[bytes]:
        """Beginnings of frames of another place: whole frames of sound, the first packets of pictures."""
        found = (beginning(kind, packet) for packet in self.packets(kind, place))
        return [frame for frame in found if frame is not None]


def beginning(kind: Kind, packet: bytes) -> bytes | None:
    """What an RTP packet holds of a frame, if it is its first one; a frame of sound is in one packet."""
    payload = payload_of(packet)
    if not payload or kind is Kind.AUDIO:
        return payload or None
    begins, size = vp8_descriptor(payload)
    return payload[size:] if begins else None


def sframe_header(frame: bytes) -> tuple[int, int]:
    """Key id and counter of a sealed frame's SFrame header (RFC 9605 §4.3)."""
    at = 1
    kid, ctr = frame[0] >> 4 & 7, frame[0] & 7
    if frame[0] & 0x80:
        kid, at = int.from_bytes(frame[at : at + kid + 1]), at + kid + 1
    if frame[0] & 0x08:
        ctr = int.from_bytes(frame[at : at + ctr + 1])
    return kid, ctr


NOBODY: Final = 15
"""The sender index of the key that nobody else has."""


def sealed_by(frame: bytes, kind: Kind, index: int) -> tuple[int, int] | None:
    """Epoch mod 16 and counter of a frame sealed by that sender; ``None`` for one that is not sealed so."""
    rest = frame if kind is Kind.AUDIO else after_clear(frame)
    if not rest:
        return None
    kid, ctr = sframe_header(rest)
    # Above the sender's index: the kind, two bits, and the generation's digit, four.
    digit, context = divmod(kid >> 8, 4)
    ours = (context, kid >> 4 & 15) == (list(Kind).index(kind), index) and digit < 16
    return (kid & 15, ctr) if ours and ctr < 100_000 else None


def after_clear(frame: bytes) -> bytes:
    """A sealed VP8 frame without the bytes that stay in clear."""
    return frame[10:] if frame[0] & 1 == 0 else frame[1:]


class Group:
    """An honest delivery service for pages with the real protocol: orders commits, forwards bytes.

    Attributes:
        epoch: that of the last commit.
        members: seats in the group, in the order in which they came.
    """

    def __init__(self) -> None:
        self.generation = "0123456789abcde0"
        self.epoch = 0
        self.members: list[Seat] = []
        self._packages: dict[str, dict[str, Any]] = {}
        self._seats: dict[str, Seat] = {}

    async def open(self, host: Seat) -> None:
        """Let this page make the group."""
        self.members = [host]
        await self._serve(host, "host")

    async def ask(self, guest: Seat) -> None:
        """Ask this page for a key package, as when it knocks."""
        await self._serve(guest, "guest")
        await until(lambda: guest.name in self._packages, f"the key package of {guest.name}", SECONDS)

    async def admit(self, guest: Seat) -> None:
        """Let the host add this guest; returns when the host has been told."""
        await self.members[0].page.evaluate("(message) => told(message)", self.candidate(guest))

    async def drop(self, guest: Seat) -> None:
        """Let the host remove this guest; returns when the host has been told."""
        await self.members[0].page.evaluate("(message) => told(message)", self.removal(guest))

    def candidate(self, guest: Seat) -> dict[str, Any]:
        """The message that lets the host add this guest; good for once."""
        package = self._packages.pop(guest.name)
        told = {name: package[name] for name in ("key-package", "tag")}
        return self._message("candidate", seat=guest.name, **told)

    def removal(self, guest: Seat) -> dict[str, Any]:
        """The message that lets the host remove this guest."""
        return self._message("drop", seats=[guest.name])

    async def at(self, epoch: int, *seats: Seat) -> None:
        """Wait until these pages are in that epoch and send on it."""
        for seat in seats:
            await seat.page.wait_for_function(
                "(epoch) => page.keys.state.epoch === epoch && page.keys.state.sending === epoch",
                arg=epoch,
                timeout=1000 * SECONDS,
                polling=5,
            )

    async def _serve(self, seat: Seat, role: str) -> None:
        if seat.name not in self._seats:
            self._seats[seat.name] = seat
            await seat.page.expose_function("say", lambda message: self._hear(seat, message))
        await self._tell(seat, "group", role=role)

    async def _tell(self, to: Seat, kind: str, **more: Any) -> None:
        await to.page.evaluate("(message) => told(message)", self._message(kind, **more))

    def _message(self, kind: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "group": "room", "generation": self.generation} | more

    async def _hear(self, seat: Seat, message: dict[str, Any]) -> None:
        others = [member for member in self.members if member is not seat]
        match message["type"]:
            case "key-package":
                self._packages[seat.name] = message
            case "commit":
                assert message["epoch"] == self.epoch
                self.epoch += 1
                stay = [member for member in others if member.name not in message["removes"]]
                come = [self._seats[name] for name in message["adds"]]
                self.members = [seat, *stay, *come]
                await self._tell(seat, "accepted", epoch=self.epoch)
                for member in stay:
                    await self._tell(member, "commit", epoch=self.epoch, commit=message["commit"])
                for member in come:
                    await self._tell(member, "group-welcome", epoch=self.epoch, welcome=message["welcome"])
            case "ready":
                for member in others:
                    await self._tell(member, "ready", epoch=message["epoch"], seat=seat.name)
            case "sealed":
                for member in others:
                    await self._tell(member, "sealed", seat=seat.name, message=message["message"])


class SealedRoom:
    """A media port, the files of the product, and whoever comes."""

    def __init__(self, browser: Browser, port: MediaPort, url: str) -> None:
        self.browser, self.port, self.url = browser, port, url
        self._contexts: list[BrowserContext] = []
        self._listeners: list[Listener] = []
        self.seats: list[Seat] = []

    async def seat(
        self, place: int, *, sealed: bool = True, without: Sequence[str] = (), joins: bool = True
    ) -> Seat:
        """Open a page.

        Args:
            place: of its seat.
            sealed: whether it has a worker with keys.
            without: defences to take away on this page: flag, same-task, proof, watchdog.
            joins: connect at once.
        """
        context = await self.browser.new_context(permissions=["camera", "microphone"])
        self._contexts.append(context)
        await context.add_init_script(REMEMBER_CONNECTIONS)
        page = await context.new_page()
        seat = Seat(NAMES[place], place, page, self)
        page.on("pageerror", lambda error: seat.errors.append(str(error)))
        self.seats.append(seat)
        await page.goto(f"{self.url}/page")
        await page.evaluate("import('/test/page.mjs')")
        await page.evaluate("(names) => weaken(names)", list(without))
        await page.evaluate("(how) => begin(how)", {"seat": seat.name, "sealed": sealed})
        if joins:
            await seat.joins()
            if sealed:
                await seat.expects_everybody()
        return seat

    async def listener(self, place: int) -> Listener:
        """Somebody without keys at that place."""
        peer = self.port.open_peer(ROOM, NAMES[place], place, lambda _: None)
        client = RawClient(peer.offer())
        peer.answer(client.answer())
        await client.connect()
        listener = Listener(client, place)
        self._listeners.append(listener)
        return listener

    def admit(self, *places: int) -> None:
        """Let exactly these exchange media."""
        self.port.set_gate(ROOM, frozenset(NAMES[place] for place in places), frozenset())

    async def close(self) -> None:
        for listener in self._listeners:
            await listener.close()
        for context in self._contexts:
            await context.close()
        errors = [error for seat in self.seats for error in seat.errors]
        assert not errors, errors


@contextlib.asynccontextmanager
async def running_room(browser: Browser, *, dictated: bool = True) -> AsyncIterator[SealedRoom]:
    """A room of its own.

    Args:
        dictated: the test says what the pages' key rings do; else they have the real protocol, and a `Group`.
    """
    stand_ins = {"page.mjs": PARTS / "page.mjs"}
    if dictated:
        stand_ins["group-session.js"] = PARTS / "group-session.mjs"

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html", headers=headers)

    async def script(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = stand_ins.get(name, STATIC / request.match_info.get("folder", "js") / name)
        return web.FileResponse(path, headers={**headers, "Content-Type": "text/javascript"})

    app = web.Application()
    app.router.add_get("/page", page)
    app.router.add_get("/test/{name}", script)
    app.router.add_get("/static/{folder}/{name}", script)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://localhost:{runner.addresses[0][1]}"
    headers = security_headers(url)
    port = MediaPort("127.0.0.1", 0)
    await port.start()
    room = SealedRoom(browser, port, url)
    try:
        yield room
        await room.close()
    finally:
        await port.close()
        await runner.cleanup()
