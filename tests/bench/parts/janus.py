"""Janus for comparison, where Debian's package ``janus`` is installed: its video room, over its WebSocket.

    session ─▶ handle per participant ─▶ publisher: offer ours, answer theirs, "webrtcup"
                                      └▶ subscriber: offer theirs, answer ours, "webrtcup"

It runs as it comes (a thread per participant), but as a lite agent like ours, with the same formats, feedback
and retransmission negotiated, and with its other plugins and transports switched off.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.bench.parts.endpoint import WITHIN, Endpoint, Remote
from tests.bench.parts.servers import client_sdp
from tests.e2e.practice import free_port

JANUS: Final = "Janus"
_PLUGIN: Final = "janus.plugin.videoroom"
_LIBRARIES: Final = Path("/usr/lib")

_GENERAL: Final = """
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{plugins}"
  transports_folder = "{transports}"
  session_timeout = 0
  debug_level = 1
}}
nat: {{ ice_lite = true
  ice_enforce_list = "{address}" }}
plugins: {{ disable = "{plugins_off}" }}
transports: {{ disable = "{transports_off}" }}
"""
_WEBSOCKETS: Final = """
general: {{ ws = true
  ws_port = {port}
  ws_ip = "127.0.0.1"
  wss = false
  json = "compact" }}
"""

Message = dict[str, Any]


def installed() -> Path | None:
    """Where the program is, if it is."""
    found = shutil.which("janus")
    return Path(found) if found else None


@dataclass(slots=True, eq=False)
class Janus:
    """A running Janus and one session with it."""

    name: str
    pid: int
    address: str
    _socket: aiohttp.ClientWebSocketResponse
    _session: int = 0
    _feeds: dict[int, int] = field(default_factory=dict)
    _replies: dict[str, asyncio.Future[Message]] = field(default_factory=dict)
    _up: dict[int, asyncio.Event] = field(default_factory=dict)

    async def publish(self, room: int) -> Endpoint:
        """Make a room and connect the one who is seen in it."""
        handle = await self._attach()
        await self._plugin(
            handle,
            {
                "request": "create",
                "room": room,
                "publishers": 1,
                "audiocodec": "opus",
                "videocodec": "vp8",
                "audiolevel_ext": False,
                "videoorient_ext": False,
                "playoutdelay_ext": False,
                "transport_wide_cc_ext": False,
                "notify_joining": False,
            },
        )
        joined = await self._plugin(handle, {"request": "join", "ptype": "publisher", "room": room})
        self._feeds[room] = joined["plugindata"]["data"]["id"]
        endpoint = Endpoint(self.address)
        offer = client_sdp([("audio", "sendonly"), ("video", "sendonly")], endpoint)
        told = await self._plugin(handle, {"request": "publish"}, {"type": "offer", "sdp": offer})
        await self._connect(handle, endpoint, told["jsep"]["sdp"])
        return endpoint

    async def subscribe(self, room: int) -> Endpoint:
        """Connect one more who sees the publisher of that room."""
        handle = await self._attach()
        told = await self._plugin(
            handle,
            {
                "request": "join",
                "ptype": "subscriber",
                "room": room,
                "streams": [{"feed": self._feeds[room]}],
            },
        )
        offer: str = told["jsep"]["sdp"]
        endpoint = Endpoint(self.address)
        answer = client_sdp([("audio", "recvonly"), ("video", "recvonly")], endpoint)
        await self._plugin(handle, {"request": "start"}, {"type": "answer", "sdp": answer})
        await self._connect(handle, endpoint, offer)
        return endpoint

    async def begin(self) -> None:
        """Open the session."""
        self._session = (await self._ask({"janus": "create"}))["data"]["id"]

    async def read(self) -> None:
        """Take in what Janus says; until the socket closes."""
        async for frame in self._socket:
            message = frame.json()
            if message["janus"] == "webrtcup":
                self._up.setdefault(message["sender"], asyncio.Event()).set()
            # "ack" only says that the reply will follow as an event of the same transaction.
            elif message["janus"] != "ack" and (reply := self._replies.pop(message.get("transaction"), None)):
                reply.set_result(message)

    async def _connect(self, handle: int, endpoint: Endpoint, sdp: str) -> None:
        up = self._up.setdefault(handle, asyncio.Event())
        await endpoint.connect(Remote.read(sdp))
        async with asyncio.timeout(WITHIN):
            await up.wait()

    async def _attach(self) -> int:
        told = await self._ask({"janus": "attach", "plugin": _PLUGIN, "session_id": self._session})
        handle: int = told["data"]["id"]
        return handle

    async def _plugin(self, handle: int, body: Message, jsep: Message | None = None) -> Message:
        asked: Message = {
            "janus": "message",
            "session_id": self._session,
            "handle_id": handle,
            "body": body,
        }
        told = await self._ask(asked | ({"jsep": jsep} if jsep else {}))
        if "error" in told.get("plugindata", {}).get("data", {}):
            raise RuntimeError(f"Janus refused {body['request']}: {told['plugindata']['data']['error']}")
        return told

    async def _ask(self, message: Message) -> Message:
        transaction = secrets.token_hex(8)
        reply = self._replies[transaction] = asyncio.get_running_loop().create_future()
        await self._socket.send_json(message | {"transaction": transaction})
        async with asyncio.timeout(WITHIN):
            told: Message = await reply
        if told["janus"] == "error":
            raise RuntimeError(f"Janus refused {message['janus']}: {told['error']}")
        return told


@asynccontextmanager
async def janus(program: Path, address: str) -> AsyncIterator[Janus]:
    """Run it.

    Args:
        address: IPv4 address on which it serves media; it has none on loopback.
    """
    with tempfile.TemporaryDirectory(prefix="quietroom-bench-") as name:
        port = free_port()
        _configure(Path(name), port, address)
        process = await asyncio.create_subprocess_exec(
            "setpriv",  # of util-linux: Janus goes when the bench is killed
            "--pdeathsig=KILL",
            program,
            f"--configs-folder={name}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with aiohttp.ClientSession() as http:
                socket = await _reached(http, port)
                running = Janus(JANUS, process.pid, address, socket)
                reader = asyncio.create_task(running.read())
                await running.begin()
                yield running
                await socket.close()
                await reader
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _reached(http: aiohttp.ClientSession, port: int) -> aiohttp.ClientWebSocketResponse:
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                return await http.ws_connect(
                    f"ws://127.0.0.1:{port}", protocols=("janus-protocol",), max_msg_size=1 << 22
                )
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


def _configure(folder: Path, port: int, address: str) -> None:
    library = next(_LIBRARIES.glob("*/janus"))
    plugins, transports = library / "plugins", library / "transports"
    general = _GENERAL.format(
        folder=folder,
        plugins=plugins,
        transports=transports,
        address=address,
        plugins_off=_others(plugins, "libjanus_videoroom.so"),
        transports_off=_others(transports, "libjanus_websockets.so"),
    )
    (folder / "janus.jcfg").write_text(general)
    (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=port))


def _others(folder: Path, kept: str) -> str:
    return ",".join(path.name for path in sorted(folder.glob("*.so")) if path.name != kept)
