"""Servers under load, each a process of its own, driven alike: ours here, Janus in `janus.py`."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from rooms.batch import works
from rooms.forwarding import OPUS, VP8, VP8_RTX
from tests.bench.parts.endpoint import FINGERPRINT, Endpoint, Remote
from tests.bench.parts.visitors import COTHERAPIST
from tests.e2e.practice import QUIETROOM, Practice

PUBLISHER: Final = "publisher"
PLAIN: Final = "plain"
BATCH: Final = "batch"

_ABS_SEND_TIME: Final = "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_AUDIO_FORMATS: Final = (f"a=rtpmap:{OPUS} opus/48000/2",)
_VIDEO_FORMATS: Final = (
    f"a=rtpmap:{VP8} VP8/90000",
    f"a=rtcp-fb:{VP8} goog-remb",
    f"a=rtcp-fb:{VP8} ccm fir",
    f"a=rtcp-fb:{VP8} nack",
    f"a=rtcp-fb:{VP8} nack pli",
    f"a=rtpmap:{VP8_RTX} rtx/90000",
    f"a=fmtp:{VP8_RTX} apt={VP8}",
)


class Server(Protocol):
    """A server that is loaded.

    Attributes:
        name: to print.
        pid: of its process.
        address: where its media is, and its clients.
    """

    name: str
    pid: int
    address: str

    async def publish(self, room: int) -> Endpoint:
        """Make a room and connect the one who is seen in it."""

    async def subscribe(self, room: int) -> Endpoint:
        """Connect one more who sees the publisher of that room."""


def outward() -> str | None:
    """The IPv4 address of this machine that leads outwards; ``None`` if it has none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def client_sdp(sections: Sequence[tuple[str, str]], endpoint: Endpoint) -> str:
    """An offer or answer of one client.

    Args:
        sections: media and direction of each m-line; where it sends, the endpoint's streams are announced.
    """
    mids = " ".join(str(mid) for mid in range(len(sections)))
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mids}"]
    for mid, (media, direction) in enumerate(sections):
        audio = media == "audio"
        lines += [
            f"m={media} 9 UDP/TLS/RTP/SAVPF " + (f"{OPUS}" if audio else f"{VP8} {VP8_RTX}"),
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{endpoint.credentials.ufrag}",
            f"a=ice-pwd:{endpoint.credentials.pwd}",
            f"a=fingerprint:sha-256 {FINGERPRINT}",
            endpoint.candidate,
            "a=end-of-candidates",
            "a=setup:active",
            f"a=mid:{mid}",
            _ABS_SEND_TIME,
            f"a={direction}",
            "a=rtcp-mux",
            "a=rtcp-rsize",
            *(_AUDIO_FORMATS if audio else _VIDEO_FORMATS),
        ]
        if direction == "sendonly":
            lines.append(f"a=ssrc:{endpoint.audio if audio else endpoint.video} cname:load")
    return "\r\n".join(lines) + "\r\n"


@dataclass(slots=True, eq=False)
class Child:
    """A server process that answers each line of JSON with one, in their order."""

    process: asyncio.subprocess.Process
    _last: asyncio.Event | None = None

    async def ask(self, what: str, **fields: Any) -> Any:
        """One request.

        Raises:
            RuntimeError: the process has ended.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what} | fields).encode() + b"\n")
        before, mine = self._last, asyncio.Event()
        self._last = mine
        try:
            if before is not None:
                await before.wait()
            return await self.hear()
        finally:
            mine.set()

    async def hear(self) -> Any:
        """The next line."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the server process has ended")
        return json.loads(line)


@asynccontextmanager
async def child(module: str, *arguments: str) -> AsyncIterator[Child]:
    """A module of the bench in a process of its own, gone at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=Path(__file__).parents[3],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        yield Child(process)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@dataclass(slots=True, eq=False)
class Quietroom:
    """Our server: a whole one, whose pages are in `visitors.py`, or the media port alone, in `host.py`."""

    name: str
    pid: int
    address: str
    _child: Child
    _inside: dict[int, list[str]] = field(default_factory=dict)

    async def publish(self, room: int) -> Endpoint:
        """Make a room and connect the one who is seen in it."""
        self._inside[room] = []
        return await self._join(room, PUBLISHER)

    async def subscribe(self, room: int) -> Endpoint:
        """Connect one more who sees the publisher of that room."""
        return await self._join(room, f"subscriber-{len(self._inside[room])}")

    async def _join(self, room: int, seat: str) -> Endpoint:
        names, key = self._inside[room], f"room-{room}"
        names.append(seat)
        opened = await self._child.ask("open", room=key, seat=seat, place=names.index(seat))
        endpoint = Endpoint(self.address)
        medias = ["audio", "video", "video", *["audio", "video"] * 3, "video"]
        directions = ["sendonly"] * 2 if seat == PUBLISHER else ["inactive"] * 2
        directions += ["inactive"] + ["recvonly"] * 7
        answer = client_sdp(list(zip(medias, directions, strict=True)), endpoint)
        await self._child.ask("answer", room=key, seat=seat, sdp=answer)
        await endpoint.connect(Remote.read(opened["sdp"]))
        endpoint.report(time.monotonic())
        await self._child.ask("gate", room=key, seats=names)
        return endpoint


@asynccontextmanager
async def served(engine: str) -> AsyncIterator[Quietroom]:
    """``quietroom serve`` with its store, on loopback, and everybody's pages in another process.

    Args:
        engine: ``plain``, or ``chosen`` for the one that the server chooses by itself.
    """
    plain = engine == PLAIN or not works()
    program = (sys.executable, "-m", "tests.bench.parts.plain") if plain else (QUIETROOM,)
    with tempfile.TemporaryDirectory(prefix="quietroom-bench-") as name:
        practice = await _practice(Path(name) / "data", program)
        try:
            await practice.start()
            async with child("tests.bench.parts.visitors") as visitors:
                await visitors.ask("practice", port=practice.port, passwords=practice.passwords)
                assert practice.process is not None
                yield Quietroom(PLAIN if plain else BATCH, practice.process.pid, "127.0.0.1", visitors)
        finally:
            await practice.stop()


_STAFFED: list[tuple[tempfile.TemporaryDirectory[str], Practice]] = []


async def _practice(data: Path, program: tuple[str, ...]) -> Practice:
    """A practice with two therapists. They are hired once, then copied: each takes a command of its own."""
    if not _STAFFED:
        folder = tempfile.TemporaryDirectory(prefix="quietroom-bench-")
        staffed = Practice(Path(folder.name) / "data")
        for name in ("therapist", COTHERAPIST):
            await staffed.hires(name, "therapist")
        _STAFFED.append((folder, staffed))
    _, staffed = _STAFFED[0]
    shutil.copytree(staffed.data_dir, data)
    return Practice(data, program=program, passwords=dict(staffed.passwords))


@asynccontextmanager
async def alone(address: str) -> AsyncIterator[Quietroom]:
    """Our media port by itself.

    Args:
        address: IPv4 address to bind.
    """
    async with child("tests.bench.parts.host", address) as process:
        told = await process.hear()
        yield Quietroom(told["engine"], process.process.pid, address, process)
