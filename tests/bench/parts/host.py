"""``python -m tests.bench.parts.host``: our media port alone, for what a transport costs without its page.

One request a line on standard input, one answer a line on standard output, both JSON; ends with its input.

    {"do": "open", "room": …, "seat": …, "place": 0}     → {"sdp": offer}
    {"do": "answer", "room": …, "seat": …, "sdp": …}     → {}
    {"do": "gate", "room": …, "seats": […]}              → {}
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from rooms.media import MediaPort, Peer
from signaling.process import run as run_to_end


async def serve(host: str) -> None:
    """Open a port and do what is asked."""
    port = MediaPort(host, 0)
    await port.start()
    peers: dict[tuple[str, str], Peer] = {}
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    _say({"engine": port.engine_kind})
    while line := await reader.readline():
        _say(_do(port, peers, json.loads(line)))
    await port.close()


def _do(port: MediaPort, peers: dict[tuple[str, str], Peer], asked: dict[str, Any]) -> dict[str, Any]:
    match asked:
        case {"do": "open", "room": room, "seat": seat, "place": place}:
            peer = peers[room, seat] = port.open_peer(room, seat, place, lambda state: None)
            return {"sdp": peer.offer()}
        case {"do": "answer", "room": room, "seat": seat, "sdp": sdp}:
            peers[room, seat].answer(sdp)
        case {"do": "gate", "room": room, "seats": seats}:
            port.set_gate(room, frozenset(seats), frozenset())
        case _:
            raise ValueError(f"no such request: {asked}")
    return {}


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    run_to_end(serve(sys.argv[1]))
