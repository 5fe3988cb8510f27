"""What cannot be read as HTTP, over a real socket."""

from __future__ import annotations

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from signaling.security import security_headers
from tests.signaling.front import ORIGIN, Front

CANARY = "canary-4c1d9f"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        f"GET / HTTP/1.1\r\nHost: x\r\nBad Header {CANARY}\r\n\r\n".encode(),
        f"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: {CANARY}\r\n\r\n".encode(),
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nCookie: {CANARY * 2000}\r\n\r\n".encode(),
    ],
)
async def test_garbage_on_the_port_is_one_line_without_its_content(
    front: Front, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as logs:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.server.port)
        writer.write(raw)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 400 ")
    told = dict(line.split(": ", 1) for line in head.decode().splitlines()[1:])
    assert told.items() >= security_headers(ORIGIN).items()
    assert told["Cache-Control"] == "no-store"
    assert "Server" not in told
    assert json.loads(body)["code"] == "bad-message"
    assert CANARY.encode() not in answer
    assert b"Traceback" not in answer
    assert len(logs) <= 1
    assert CANARY not in json.dumps(logs) + caplog.text
    assert "Traceback" not in caplog.text
    assert (await front.get("/healthz")).status == 200
