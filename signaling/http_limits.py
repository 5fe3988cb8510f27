"""How many HTTP connections there may be, and how long one may take to ask.

    connected ──10 s──▶ asked ──▶ answered ──75 s──▶ closed        an open WebSocket or event stream: no limit
        ▲   first octet ──10 s──▶┘      │
        └───────────────────────────────┘

Slow or silent connections hold files and memory, and aiohttp waits for a request's head without end. When a
household, or the whole server, has too many, the oldest that is idle goes; then the oldest that is busy, for
an honest request is answered in moments. A WebSocket or an event stream that is open is never disturbed.
Behind a proxy everybody comes from its address, and it keeps connections for whoever comes next: there only
the limit for all holds, and idle ones may stay.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from aiohttp import web
from aiohttp.http import WebSocketReader

from rooms.crowd import Crowd

HEAD_WITHIN: Final = 10.0
"""Seconds for the head of a request: from the connection, later from its first octet."""

KEPT: Final = 75.0
"""Seconds that a connection is kept for the next request."""

MAX_CONNECTIONS: Final = 4_096
MAX_CONNECTIONS_OF_ONE: Final = 2_048
"""HTTP connections, in all and of one household; clinics share an address."""


class Limits:
    """The HTTP connections of one server.

    Args:
        proxied: all come from a proxy.
    """

    def __init__(self, *, proxied: bool) -> None:
        self.proxied = proxied
        self._here: Crowd[Limited] = Crowd()

    def __len__(self) -> int:
        return len(self._here)

    def admit(self, connection: Limited, host: str) -> bool:
        """Somebody has connected. Returns whether there is room; somebody else may have to go."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        in_all = MAX_CONNECTIONS if files == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, files * 3 // 4)
        of_one = in_all if self.proxied else MAX_CONNECTIONS_OF_ONE
        if self._here.displaced(host, of_one, in_all) is not None:
            there = list(self._here.of(host) if self._here.count(host) >= of_one else self._here)
            goes = next((one for one in there if one.idle), None)
            goes = goes or next((one for one in there if not one.lasting), None)
            if goes is None:
                return False
            self.leave(goes)
            goes.drop()
        self._here.enter(connection, host)
        return True

    def leave(self, connection: Limited) -> None:
        """It is closed; may be called twice."""
        self._here.leave(connection)


class Limited(web.RequestHandler):
    """One HTTP connection within these limits; see aiohttp for the rest.

    Attributes:
        lasting: it carries a WebSocket or an event stream.
    """

    __slots__ = ("_late", "_limits", "lasting")

    def __init__(self, server: web.Server, limits: Limits, **more: Any) -> None:
        if not limits.proxied:
            more["keepalive_timeout"] = KEPT
        super().__init__(server, **more)
        self.lasting = False
        self._limits = limits
        self._late: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether it waits for a request, or for the rest of its head."""
        return self._waiter is not None

    def drop(self) -> None:
        """Close it at once, whatever is still to be sent."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find room, or close."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if self._limits.admit(self, str(peer[0]) if peer else ""):
            self._expect_head()
        else:
            self.drop()

    def data_received(self, data: bytes) -> None:
        """See whether a head is complete, or has begun."""
        asked = self._request_count
        super().data_received(data)
        if self._request_count > asked:
            self._stop()
        elif data and self.idle:
            self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone."""
        self._stop()
        self._limits.leave(self)
        super().connection_lost(exc)

    def set_parser(self, parser: WebSocketReader, data_received_cb: Callable[[], None] | None = None) -> None:
        """It carries a WebSocket from now on."""
        self.lasting = True
        super().set_parser(parser, data_received_cb)

    def _expect_head(self) -> None:
        if self._late is None:
            self._late = self._loop.call_later(HEAD_WITHIN, self.drop)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


@contextmanager
def lasting(request: web.Request) -> Iterator[None]:
    """While the block runs the answer to this request goes on, and its connection is not disturbed."""
    connection = request.protocol
    if not isinstance(connection, Limited):
        raise TypeError("A connection without limits.")
    connection.lasting = True
    try:
        yield
    finally:
        connection.lasting = False
