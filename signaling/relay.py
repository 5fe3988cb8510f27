"""Pages whose WebSocket another worker holds than runs their room, and what workers ask each other.

    page ⇄ WebSocket ⇄ worker that accepted it ⇄ unix socket ⇄ worker that runs the room

A page is served through a ``PageSocket``: a WebSocket, or a ``RelayedSocket`` that stands for one elsewhere.
Between two workers of one node a ``Line`` carries length-prefixed frames:

    kind (1 byte) · length (4 bytes, big-endian) · so many bytes

    PAGE(grant) ──▶ READY or REFUSED(code), then TEXT, BINARY, PING, PONG both ways until CLOSE or the end
    CALL(name, body) ──▶ ANSWER(body)

Whoever is at the other end is a process of our own user (that is checked), so its word about a grant is
taken. Its frames are bounded all the same, and an end that does not read is given up.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Final, Protocol

import msgspec

from broker.errors import BadInput
from broker.ids import parse_meeting_id
from broker.seats import SeatCode, SeatRole
from broker.tickets import Grant
from signaling.close_codes import Ending

MAX_FRAME: Final = 4 << 20
"""Bytes; the largest frame is the answer about all rooms of a worker."""
SEND_WITHIN: Final = 3.0
"""Seconds that one frame may take to leave."""
_HEAD: Final = struct.Struct(">BI")
_BUFFER: Final = 16 * 1024


class FrameKind(IntEnum):
    """The frames of a page's connection (RFC 6455 §5.6, §5.5)."""

    TEXT = auto()
    BINARY = auto()
    PING = auto()
    PONG = auto()


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame from a page: ``str`` when it is text."""

    kind: FrameKind
    data: str | bytes


class PageSocket(Protocol):
    """The connection of one page, wherever its WebSocket is."""

    async def receive(self) -> Frame | None:
        """The next frame; ``None`` when the page has gone."""

    async def send(self, text: str) -> None:
        """Send one message.

        Raises:
            ConnectionError: the page has gone.
        """

    async def ping(self) -> None:
        """Ask for a sign of life."""

    async def pong(self, data: bytes) -> None:
        """Answer the page's own ping."""

    async def close(self, last: Ending) -> None:
        """Close in order; what was sent before arrives."""

    def abort(self) -> None:
        """Let go at once; may be called twice."""


class LineKind(IntEnum):
    """The frames between two workers; see the top."""

    TEXT = FrameKind.TEXT
    BINARY = FrameKind.BINARY
    PING = FrameKind.PING
    PONG = FrameKind.PONG
    PAGE = auto()
    READY = auto()
    REFUSED = auto()
    CLOSE = auto()
    CALL = auto()
    ANSWER = auto()


class Line:
    """One connection between two workers.

    Args:
        reader: of a unix stream socket.
        writer: of the same.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        # What a slow page has not read must wait with whoever runs its room, where it is bounded and judged.
        writer.transport.set_write_buffer_limits(high=_BUFFER)

    @property
    def of_our_user(self) -> bool:
        """Whether the process at the other end runs as our own user (``SO_PEERCRED``, unix(7))."""
        end: socket.socket = self._writer.get_extra_info("socket")
        found = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", found)
        return bool(uid == os.geteuid())

    async def send(self, kind: LineKind, data: bytes = b"") -> None:
        """Send one frame.

        Raises:
            ConnectionError: the other end has gone, or does not read.
        """
        self._writer.write(_HEAD.pack(kind, len(data)) + data)
        try:
            async with asyncio.timeout(SEND_WITHIN):
                await self._writer.drain()
        except TimeoutError:
            self.abort()
            raise ConnectionResetError("the other worker does not read") from None

    async def receive(self) -> tuple[LineKind, bytes] | None:
        """The next frame; ``None`` when the other end has gone, or sent what is no frame."""
        try:
            number, length = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
            if length > MAX_FRAME:
                return None
            return LineKind(number), await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return None

    def close(self) -> None:
        """End it; what was sent before arrives. May be called twice."""
        self._writer.close()

    def abort(self) -> None:
        """End it at once; may be called twice."""
        self._writer.transport.abort()


class RelayedSocket:
    """A page whose WebSocket another worker holds; see ``PageSocket``."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def receive(self) -> Frame | None:
        """See ``PageSocket``."""
        found = await self._line.receive()
        match found:
            case (LineKind.TEXT, data):
                try:
                    return Frame(FrameKind.TEXT, data.decode())
                except UnicodeDecodeError:
                    return None
            case (LineKind.BINARY | LineKind.PING | LineKind.PONG as kind, data):
                return Frame(FrameKind(kind), data)
        return None

    async def send(self, text: str) -> None:
        """See ``PageSocket``."""
        await self._line.send(LineKind.TEXT, text.encode())

    async def ping(self) -> None:
        """See ``PageSocket``."""
        await self._line.send(LineKind.PING)

    async def pong(self, data: bytes) -> None:
        """See ``PageSocket``."""
        await self._line.send(LineKind.PONG, data)

    async def close(self, last: Ending) -> None:
        """See ``PageSocket``."""
        await self._line.send(LineKind.CLOSE, last.code.encode())
        self._line.close()

    def abort(self) -> None:
        """See ``PageSocket``."""
        self._line.abort()


# ---- what is in the frames -------------------------------------------------------------------------------


class _GrantRecord(msgspec.Struct, frozen=True):
    meeting: str
    seat: str
    role: str
    device: str
    actor: str
    sign_in: str
    tls: str


class _CallRecord(msgspec.Struct, frozen=True):
    call: str
    values: dict[str, str]


def encode_grant(grant: Grant) -> bytes:
    """A grant as the data of a ``PAGE`` frame."""
    return msgspec.json.encode(
        _GrantRecord(
            grant.meeting,
            grant.seat,
            grant.role.value,
            grant.device,
            grant.actor,
            grant.sign_in,
            grant.tls,
        )
    )


def decode_grant(data: bytes) -> Grant | None:
    """The grant in a ``PAGE`` frame; ``None`` when there is none."""
    try:
        found = msgspec.json.decode(data, type=_GrantRecord)
        return Grant(
            parse_meeting_id(found.meeting),
            SeatCode(found.seat),
            SeatRole(found.role),
            found.device,
            found.actor,
            found.sign_in,
            found.tls,
        )
    except (ValueError, BadInput):
        return None


def encode_call(name: str, values: Mapping[str, str]) -> bytes:
    """A question as the data of a ``CALL`` frame."""
    return msgspec.json.encode(_CallRecord(name, dict(values)))


def decode_call(data: bytes) -> tuple[str, dict[str, str]] | None:
    """The question in a ``CALL`` frame; ``None`` when there is none."""
    try:
        found = msgspec.json.decode(data, type=_CallRecord)
    except ValueError:
        return None
    return found.call, found.values
