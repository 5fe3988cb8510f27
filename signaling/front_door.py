"""One TCP port for everything: what a connection speaks is told by how it begins.

    connection ──0x16──▶ TLS ──▶┐
         └──────────────────────┴──▶ STUN             ▶ TURN
                                     length, STUN     ▶ ICE-TCP
                                     anything else    ▶ HTTP

A practice then needs one open port, and on 443 media passes wherever web pages do. A connection has a few
seconds to show its first bytes, its TLS handshake included, and only so many may be that far. Before TLS one
byte is looked at (and left in the socket, where OpenSSL reads it too); what comes later is handed on whole.

Where this server has a certificate, HTTP is served inside TLS only. Media may come plain: it brings its own
encryption (DTLS-SRTP) and its own proof.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, cast

from rooms.crowd import Crowd
from rooms.streams import Streams

DECIDE_WITHIN: Final = 10.0
"""Seconds until the first bytes must be there, inside TLS if it is spoken. Browsers open spare connections
and say nothing on them; such a one is closed then, and opened anew when needed."""

MAX_UNDECIDED: Final = 2_048
MAX_UNDECIDED_OF_ONE: Final = 256
"""Connections that have not shown yet what they speak, in all and of one household. One more, and the oldest
goes: the newcomer may be the one with business here."""

PAUSE: Final = 1.0
"""Seconds without accepting when the system has no more files to give."""

_AT_ONCE: Final = 16
_TLS: Final = 0x16  # RFC 8446 §5.1: a handshake record
_COOKIE: Final = b"\x21\x12\xa4\x42"  # RFC 8489 §5
_HEAD: Final = 10  # octets after which everything is told apart


class Spoken(Enum):
    """What a connection speaks."""

    HTTP = auto()
    ICE_TCP = auto()
    TURN = auto()
    NOTHING = auto()


def recognise(head: bytes) -> Spoken | None:
    """Tell what begins like this; pure.

    Args:
        head: all that has arrived.

    Returns:
        ``None`` while it may still be more than one thing. HTTP is also whatever nothing else can begin with,
        for it answers what it cannot read.
    """
    if not head:
        return None
    if head[0] > 3:  # a method in letters, or an error for the HTTP server to name
        return Spoken.HTTP
    if len(head) < _HEAD:
        return None
    if head[4:8] == _COOKIE:  # a STUN request begins with 0x00 or 0x01, its cookie is at 4
        return Spoken.TURN
    if head[2] < 4 and head[6:10] == _COOKIE:  # the same after RFC 4571's length; checks are below 1 024
        return Spoken.ICE_TCP
    return Spoken.NOTHING


class FrontDoor:
    """Accepts the connections of one listening socket.

    Args:
        listening: bound and listening; closed with the door.
        http: aiohttp's server, which makes the protocol of an HTTP connection; ``None`` where none is served.
        streams: takes ICE-TCP and TURN; ``None`` where none is served.
        context: for TLS; ``None`` without a certificate. Certificates may be renewed in it at any time.
    """

    def __init__(
        self,
        listening: socket.socket,
        *,
        http: Callable[[], asyncio.Protocol] | None,
        streams: Streams | None,
        context: ssl.SSLContext | None,
    ) -> None:
        self._listening = listening
        self._http = http
        self._streams = streams
        self._context = context
        self._undecided: Crowd[asyncio.Task[None]] = Crowd()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to accept; needs a running loop."""
        self._listening.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listening, self._on_accept)

    async def close(self) -> None:
        """Accept nothing more, and drop what has not shown what it speaks; may be called twice."""
        if self._listening.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
        if self._pause is not None:
            self._pause.cancel()
        for task in self._undecided:
            task.cancel()
        await asyncio.gather(*self._undecided, return_exceptions=True)

    def protocol_for(self, spoken: Spoken, *, secure: bool) -> asyncio.Protocol | None:
        """Who takes a connection; ``None`` when nobody does.

        Args:
            spoken: what it speaks.
            secure: inside TLS.
        """
        match spoken:
            case Spoken.HTTP if self._http is not None and (secure or self._context is None):
                return self._http()
            case Spoken.ICE_TCP if self._streams is not None and not secure:
                return self._streams.ice_tcp()
            case Spoken.TURN if self._streams is not None:
                return self._streams.turn()
            case _:
                return None

    def _on_accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # No files left, or no memory: the connection stays in the queue and would wake us for ever.
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._listening)
                self._pause = loop.call_later(PAUSE, self.start)
                return
            host = str(address[0])
            idle = self._undecided.displaced(host, MAX_UNDECIDED_OF_ONE, MAX_UNDECIDED)
            if idle is not None:
                self._undecided.leave(idle)
                idle.cancel()
            connection.setblocking(False)
            task = asyncio.create_task(self._welcome(connection), name="front door")
            self._undecided.enter(task, host)
            task.add_done_callback(self._undecided.leave)

    async def _welcome(self, connection: socket.socket) -> None:
        """See one connection to whoever takes it. Raises nothing: a stranger's failure concerns nobody."""
        loop = asyncio.get_running_loop()
        chooser: _Chooser | None = None
        try:
            async with asyncio.timeout(DECIDE_WITHIN):
                secure = self._context is not None and await _first_byte(connection) == _TLS
                chooser = given = _Chooser(self, secure=secure)
                await loop.connect_accepted_socket(
                    lambda: given, connection, ssl=self._context if secure else None
                )
                await chooser.decided.wait()
        except (OSError, TimeoutError):  # ssl.SSLError is an OSError
            pass
        finally:
            if chooser is None:  # afterwards the loop owns it, and closes it when a handshake fails
                connection.close()
            elif chooser.transport is not None and not chooser.decided.is_set():
                chooser.transport.abort()


async def _first_byte(connection: socket.socket) -> int | None:
    """The first byte, left where it is; ``None`` when the other side closed instead."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
    head = connection.recv(1, socket.MSG_PEEK)
    return head[0] if head else None


class _Chooser(asyncio.Protocol):
    """Holds a connection until it is clear what it speaks, then gives it away with all that was said."""

    def __init__(self, door: FrontDoor, *, secure: bool) -> None:
        self.decided = asyncio.Event()
        self.transport: asyncio.Transport | None = None
        self._door = door
        self._secure = secure
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is up, its handshake done."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Look again, with what has arrived now."""
        transport = self.transport
        self._head += data
        spoken = recognise(self._head)
        if spoken is None or transport is None or self.decided.is_set():
            return
        self.decided.set()
        protocol = self._door.protocol_for(spoken, secure=self._secure)
        if protocol is None:
            transport.abort()
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if not transport.is_closing():
            protocol.data_received(self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone without a word."""
        self.decided.set()
