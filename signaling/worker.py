"""One worker process: a whole server that does as its supervisor says.

    settings ──▶ building ──ready──▶ go ──▶ serving ──SIGTERM, leave──▶ its rooms move to others ──▶ gone
                                               ├──finish──▶ no new rooms; tells how many are live
                                               └──stop, or the supervisor has gone──▶ draining ──▶ gone

Started by ``signaling.workers`` alone, as ``python -m signaling.worker`` with the number of its end of a
socketpair. What it is to do comes over that, so that no secret stands in its arguments.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

import structlog

from broker.errors import QuietroomError
from broker.ids import MeetingId
from broker.private import Private
from signaling import logs
from signaling.app import Server
from signaling.process import LOOK_EVERY, run
from signaling.workers import Wire, decode_settings

log = structlog.get_logger(__name__)


class _Orders:
    """What the supervisor and the operator have said so far.

    Attributes:
        heirs: the workers that take our rooms when we are to leave; ``None`` unless we are.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.server: Server | None = None
        self._reporting: asyncio.Task[None] | None = None
        self.go = asyncio.Event()
        self.heirs: list[str] | None = None
        self.end = asyncio.Event()

    async def follow(self) -> None:
        """Do as the supervisor says until it has gone."""
        while (said := await self._wire.hear()) is not None:
            if "go" in said:
                self.go.set()
            elif "names" in said and self.server is not None:
                self.server.neighbours.names = frozenset(said["names"])
                self.server.neighbours.alive = frozenset(said["alive"])
                self.server.detours.lead_to(map(int, said["ports"]))
            elif "orphans" in said and self.server is not None:
                self.server.house.tenancy.orphaned(map(MeetingId, said["orphans"]))
            elif "finish" in said and self.server is not None:
                self.server.finish()
                if self._reporting is None:
                    self._reporting = asyncio.create_task(self._report(self.server), name="report")
            elif "leave" in said:
                self.heirs = said["leave"]
                self.go.set()
                self.end.set()
            elif "stop" in said:
                break
        self.go.set()
        self.end.set()

    async def _report(self, server: Server) -> None:
        while not self.end.is_set():
            self._wire.say(live=server.house.live)
            await asyncio.sleep(LOOK_EVERY)

    def told_to_leave(self) -> None:
        """SIGTERM came: the supervisor knows who can take our rooms, and whether we are still needed."""
        self._wire.say(leaving=True)

    async def before_serving(self, server: Server) -> None:
        """All is built: wait until the others are ready as well."""
        self.server = server
        self._wire.say(ready=server.media_port)
        await self.go.wait()


async def work(end: socket.socket) -> int:
    """Serve until told to end.

    Args:
        end: of the socketpair with the supervisor.

    Returns:
        The exit code.
    """
    wire = await Wire.over(end)
    first = await wire.hear()
    if first is None:
        return 1
    settings = decode_settings(first["settings"])
    listening = socket.socket(fileno=int(first["listening"]))
    secret = Private(bytes.fromhex(first["secret"]))
    orders = _Orders(wire)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, orders.told_to_leave)
    loop.add_signal_handler(signal.SIGINT, orders.end.set)
    following = asyncio.create_task(orders.follow(), name="supervisor")
    try:
        async with Server(
            settings, listening=listening, secret=secret, before_serving=orders.before_serving
        ) as server:
            await orders.end.wait()
            if orders.heirs is not None:
                log.info("worker leaving", node=settings.node, rooms=server.house.live)
                await server.leave(orders.heirs)
    except QuietroomError as error:
        wire.say(failed=error.code, text=error.text)
        return 1
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        wire.close()
    return 0


if __name__ == "__main__":
    logs.configure("info")
    sys.exit(run(work(socket.socket(fileno=int(sys.argv[1])))))
