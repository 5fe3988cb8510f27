"""The log tells steps and ids, and no private value gets through any of its fences."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from broker.errors import Refused
from broker.private import Private
from signaling import logs

CANARY = "Canary-Müller-4711"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    logs.configure("debug", stream=stream)
    yield stream
    logging.getLogger().handlers, logging.getLogger().level = handlers, level
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_level_and_time(out: io.StringIO) -> None:
    structlog.get_logger().info("seat admitted", room="k7f3q2", seat="A")
    (line,) = lines(out)
    assert line.pop("at").endswith("Z")
    assert line == {"event": "seat admitted", "level": "info", "room": "k7f3q2", "seat": "A"}


def test_wrapped_values_are_blanked(out: io.StringIO) -> None:
    structlog.get_logger().info("signed in", who=Private(CANARY), more={"deep": [Private(CANARY)]})
    assert CANARY not in out.getvalue()
    assert lines(out)[0]["refused_private"] is True


def test_an_exception_is_told_without_its_message(out: io.StringIO) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        structlog.get_logger().exception("room failed")
        structlog.get_logger().error("room failed", cause=error)
    assert CANARY not in out.getvalue()
    first, second = lines(out)
    assert first["error"].startswith("ValueError at test_an_exception_is_told")
    assert second["cause"] == first["error"]


def test_our_own_errors_show_their_code(out: io.StringIO) -> None:
    structlog.get_logger().info("not admitted", cause=Refused("full"))
    assert lines(out)[0]["cause"] == "Refused (full)"


def test_an_object_is_told_by_its_type(out: io.StringIO) -> None:
    class Talkative:
        def __repr__(self) -> str:
            return CANARY

    structlog.get_logger().info("odd", thing=Talkative())
    assert lines(out)[0]["thing"] == "<Talkative>"


def test_libraries_are_told_without_their_values(out: io.StringIO) -> None:
    logging.getLogger("aiohttp.server").error("Error handling request from %s", CANARY)
    filled_in = f"Exception in callback received('{CANARY}')"
    logging.getLogger("other").warning(filled_in)
    assert CANARY not in out.getvalue()
    first, second = lines(out)
    assert (first["event"], first["source"]) == ("Error handling request from %s", "aiohttp.server")
    assert second["event"] == "Exception in callback received"


async def test_a_callback_that_fails_in_the_loop_shows_no_argument(out: io.StringIO) -> None:
    def received(data: str) -> None:
        raise ValueError(data)

    asyncio.get_running_loop().call_soon(received, CANARY)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert CANARY not in out.getvalue()
    assert "ValueError at received" in lines(out)[-1]["error"]


async def test_the_access_line_knows_the_pattern_only(out: io.StringIO) -> None:
    async def fail(request: web.Request) -> web.Response:
        return web.Response(status=403)

    app = web.Application()
    app.router.add_route("*", "/j/{meeting}", fail)
    server = TestServer(app)
    await server.start_server(access_log_class=logs.AccessLog, access_log=logging.getLogger("access"))
    async with TestClient(server) as client:
        await client.get(f"/j/{CANARY}?q={CANARY}")
        await client.get(f"/nowhere/{CANARY}")
    found = [line for line in lines(out) if line["event"] == "request answered"]
    assert [(line["method"], line["route"], line["status"]) for line in found] == [
        ("GET", "/j/{meeting}", 403),
        ("GET", "unmatched", 404),
    ]
    assert "Canary" not in out.getvalue()
    assert "127.0.0.1" not in out.getvalue()


async def test_what_is_no_request_has_its_access_line_too(out: io.StringIO) -> None:
    failures: list[object] = []

    class ServerLog(logging.Logger):
        def exception(self, msg: object, *args: object, exc_info: Any = None, **more: Any) -> None:
            failures.append(type(exc_info).__name__)

    server = TestServer(web.Application())
    await server.start_server(
        access_log_class=logs.AccessLog,
        access_log=logging.getLogger("access"),
        logger=ServerLog("server"),
    )
    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /Canary HTTP/9.9\r\n\r\n")
        async with asyncio.timeout(10):
            await reader.read()
        writer.close()
    assert failures == ["BadStatusLine"]  # that of the request, and none of ours while logging it
    [line] = [line for line in lines(out) if line["event"] == "request answered"]
    assert (line["route"], line["status"]) == ("unmatched", 400)
    assert "Canary" not in out.getvalue()


def test_a_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch, out: io.StringIO) -> None:
    monkeypatch.setattr(out, "isatty", lambda: True)
    logs.configure("info", stream=out)
    structlog.get_logger().info("server started", port=8443)
    assert "server started" in out.getvalue()
    assert not out.getvalue().startswith("{")
