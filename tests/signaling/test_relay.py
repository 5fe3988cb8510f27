"""Frames between two workers: what is carried, and what is not believed."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from broker.ids import new_meeting_id
from broker.seats import SeatCode, SeatRole
from broker.tickets import Grant
from signaling import relay
from signaling.close_codes import ending
from signaling.relay import (
    MAX_FRAME,
    Frame,
    FrameKind,
    Line,
    LineKind,
    RelayedSocket,
    decode_call,
    decode_grant,
    encode_call,
    encode_grant,
)

GRANT = Grant(new_meeting_id(), SeatCode("T"), SeatRole.HOST, "device", "staff:x", "sign-in", "TLSv1.3 X")


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Line, Line]]:
    """Both ends of a line."""
    near, far = socket.socketpair()
    lines = [Line(*await asyncio.open_unix_connection(sock=end)) for end in (near, far)]
    yield lines[0], lines[1]
    for line in lines:
        line.abort()
        await line.receive()  # it has gone when this returns


async def test_frames_arrive_in_order_and_the_end_is_seen(ends: tuple[Line, Line]) -> None:
    near, far = ends
    await near.send(LineKind.TEXT, b"x" * 100_000)
    await near.send(LineKind.PING)
    near.close()
    assert await far.receive() == (LineKind.TEXT, b"x" * 100_000)
    assert await far.receive() == (LineKind.PING, b"")
    assert await far.receive() is None


@pytest.mark.parametrize(
    "head", [struct.pack(">BI", 1, MAX_FRAME + 1), struct.pack(">BI", 99, 0), struct.pack(">BI", 1, 5)]
)
async def test_what_is_no_frame_is_the_end(head: bytes) -> None:
    near, far = socket.socketpair()
    with near:
        line = Line(*await asyncio.open_unix_connection(sock=far))
        near.sendall(head)
        near.shutdown(socket.SHUT_WR)
        assert await line.receive() is None
        line.abort()
        await line.receive()


async def test_an_end_that_does_not_read_is_given_up(
    ends: tuple[Line, Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "SEND_WITHIN", 0.05)
    near, far = ends
    with pytest.raises(ConnectionError):
        await near.send(LineKind.TEXT, b"x" * MAX_FRAME)
    assert await far.receive() is None  # a frame cut short is none


async def test_the_other_end_is_known_by_its_user(
    ends: tuple[Line, Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ends[0].of_our_user
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert not ends[0].of_our_user


async def test_a_relayed_page_is_a_page(ends: tuple[Line, Line]) -> None:
    near, far = ends
    page = RelayedSocket(far)
    await near.send(LineKind.TEXT, "grüß".encode())
    await near.send(LineKind.BINARY, b"\xff")
    await near.send(LineKind.PONG)
    assert await page.receive() == Frame(FrameKind.TEXT, "grüß")
    assert await page.receive() == Frame(FrameKind.BINARY, b"\xff")
    assert await page.receive() == Frame(FrameKind.PONG, b"")
    await near.send(LineKind.TEXT, b"\xff")  # no UTF-8, so no text (RFC 6455 §8.1)
    assert await page.receive() is None
    await page.send("view")
    await page.ping()
    await page.close(ending("ended"))
    assert [await near.receive() for _ in range(4)] == [
        (LineKind.TEXT, b"view"),
        (LineKind.PING, b""),
        (LineKind.CLOSE, b"ended"),
        None,
    ]


def test_a_grant_and_a_question_come_through_and_nothing_else_does() -> None:
    assert decode_grant(encode_grant(GRANT)) == GRANT
    assert decode_call(encode_call("held", {"seat": "A"})) == ("held", {"seat": "A"})
    for junk in (b"", b"{}", b"[1]", b"\xff", encode_grant(GRANT).replace(b"host", b"king"), b"{" * 10_000):
        assert decode_grant(junk) is None
        assert decode_call(junk) is None
    assert decode_grant(encode_grant(GRANT).replace(GRANT.meeting.encode(), b"../../x")) is None
