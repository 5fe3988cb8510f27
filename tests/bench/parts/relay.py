"""``python -m tests.bench.parts.relay``: aiortc's MediaRelay as a server: decodes, encodes.

One publisher, any number of subscribers; lines of JSON as in `host.py`.

    {"do": "publish", "sdp": offer}    → {"sdp": answer}
    {"do": "subscribe", "sdp": offer}  → {"sdp": answer}
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

from tests.bench.parts.endpoint import Endpoint, Remote
from tests.bench.parts.servers import Child, child, client_sdp


class Relay:
    """The server's side."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._tracks: list[MediaStreamTrack] = []
        self._connections: list[RTCPeerConnection] = []

    async def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Take a publisher or a subscriber in."""
        connection = RTCPeerConnection()
        self._connections.append(connection)
        if asked["do"] == "publish":
            connection.on("track", self._tracks.append)
        await connection.setRemoteDescription(RTCSessionDescription(asked["sdp"], "offer"))
        if asked["do"] == "subscribe":
            for track in self._tracks:
                connection.addTrack(self._relay.subscribe(track))
        await connection.setLocalDescription(await connection.createAnswer())
        return {"sdp": connection.localDescription.sdp}


async def serve() -> None:
    """Do what is asked until the input ends."""
    relay = Relay()
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        print(json.dumps(await relay.answer(json.loads(line))), flush=True)


@dataclass(slots=True, eq=False)
class MediaRelayServer:
    """A running relay, as the load drives it."""

    name: str
    pid: int
    address: str
    _child: Child

    async def publish(self, room: int) -> Endpoint:
        """Connect the one who is seen; there is one room."""
        return await self._join("publish", "sendonly")

    async def subscribe(self, room: int) -> Endpoint:
        """Connect one more who sees the publisher."""
        return await self._join("subscribe", "recvonly")

    async def _join(self, what: str, direction: str) -> Endpoint:
        endpoint = Endpoint(self.address)
        offer = client_sdp([("audio", direction), ("video", direction)], endpoint)
        told = await self._child.ask(what, sdp=offer)
        await endpoint.connect(Remote.read(told["sdp"]))
        return endpoint


@asynccontextmanager
async def media_relay(address: str) -> AsyncIterator[MediaRelayServer]:
    """The server.

    Args:
        address: IPv4 address other than loopback, which aiortc leaves out.
    """
    async with child("tests.bench.parts.relay") as process:
        yield MediaRelayServer("MediaRelay", process.process.pid, address, process)


if __name__ == "__main__":
    asyncio.run(serve())
