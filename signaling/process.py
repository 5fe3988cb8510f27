"""What a server has of the system it runs on: ports, files, an event loop, and signals that say when to stop.

    running ──SIGTERM──▶ stops when the visits have ended ──a second one──▶ stops now
       └──────────────────────────────Ctrl-C───────────────────────────────────▲

Nothing of a visit is known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Final, Self, TypeVar

from broker.errors import QuietroomError

LOOK_EVERY: Final = 0.25
"""Seconds between looks whether the last visit has ended, while going down."""

PORT_TRIES: Final = 20
"""Numbers tried for a port that must be free for both TCP and UDP."""

FILES: Final = 65_536
"""Open files and sockets that a server asks for, if the system lets it."""

T = TypeVar("T")


class PortBusy(QuietroomError):
    """A port that we were told to use cannot be had."""

    def __init__(self, port: int, kind: str, flag: str = "--port") -> None:
        super().__init__(
            "port-busy",
            f"{kind} port {port} cannot be used; stop what uses it, or choose another with {flag}.",
        )


def listen(host: str, port: int, flag: str = "--port") -> socket.socket:
    """Take the TCP port, so that it is known, and refused, before anything else is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError:
        raise PortBusy(port, "TCP", flag) from None


def listen_anywhere(host: str) -> socket.socket:
    """Take a TCP port of the system's choosing whose number is free for UDP as well."""
    for _ in range(PORT_TRIES):
        tcp = listen(host, 0, "--media-port")
        with socket.socket(tcp.family, socket.SOCK_DGRAM) as udp:
            try:
                udp.bind(tcp.getsockname()[:2])
            except OSError:
                tcp.close()
            else:
                return tcp
    raise PortBusy(0, "UDP", "--media-port")


def bound_process() -> None:
    """Let this process have many files open, and leave none behind that holds its memory."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        # The usual 1 024 are used up by as many idle connections of one stranger.
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    # What lies in memory is private: keys, names, decrypted frames. A crash must not write it to disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(main: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end on the fastest event loop there is."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):  # no wheel for this platform: asyncio's own loop does as well
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


class Told:
    """What the operator's signals say, for as long as the ``with`` block lasts.

    SIGTERM: stop when the running visits have ended. Ctrl-C, or a second signal of either kind: stop now.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._now = asyncio.Event()

    def __enter__(self) -> Self:
        self._loop.add_signal_handler(signal.SIGTERM, self.stop)
        self._loop.add_signal_handler(signal.SIGINT, self.stop_now)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.remove_signal_handler(number)

    @property
    def at_once(self) -> bool:
        """Whether nobody is to be waited for."""
        return self._now.is_set()

    def stop(self) -> None:
        """SIGTERM came."""
        (self._now if self._stop.is_set() else self._stop).set()

    def stop_now(self) -> None:
        """Ctrl-C came."""
        self._now.set()
        self._stop.set()

    async def to_stop(self) -> None:
        """Wait for the first signal."""
        await self._stop.wait()

    async def until_over(self, live: Callable[[], int], within: float) -> None:
        """Wait until no room is live, for so many seconds at most, or until told to stop now."""
        give_up = self._loop.time() + within
        while live() and not self.at_once and self._loop.time() < give_up:
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._now.wait()
            except TimeoutError:
                pass
