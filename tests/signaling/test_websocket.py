"""The signaling connection over a real socket, server and store: what it carries and what it refuses."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from broker.audit import EventType
from signaling.app import Server
from signaling.connection import MISTAKES
from signaling.messages import MAX_MESSAGE_BYTES, PROTOCOL
from signaling.tls import self_signed
from signaling.websocket import CONNECTIONS_BURST, PER_SEAT
from tests.signaling.visits import STAFF, Page, Visit, book, hire, settings_for, undisturbed
from tests.support.waiting import eventually


async def test_a_visit_over_the_wire(visit: Visit) -> None:
    host, first, second = await visit.all_in()
    assert host.of("welcome")[0]["role"] == "host"
    assert [other["seat"] for other in first.view["others"]] == ["B", "T"]
    assert len(second.of("offer")) == 1
    assert await host.ask("act", action="remove", seats=["B"], reason="Another time") is None
    assert await second.ended() == ("removed", 4004)
    assert await host.ask("act", action="end") is None
    assert await first.ended() == ("ended", 4006)
    assert await host.ended() == ("ended", 4006)
    kinds = [kind for kind, seat, _, _ in await visit.audit() if seat == "B" and kind.startswith("seat.")]
    assert kinds[:3] == ["seat.knocked", "seat.admitted", "seat.removed"]


async def test_a_waiting_page_is_told_nothing_of_the_others(visit: Visit) -> None:
    waiting = await visit.page("A")
    assert await waiting.ask("knock") is None
    await waiting.until("waiting")
    before = len(waiting.messages)
    second, host = await visit.page("B"), await visit.host()
    assert await second.ask("knock") is None
    assert await host.ask("act", action="admit", seats=["B"]) is None
    assert await second.ask("leave") is None
    assert len(waiting.messages) == before


async def test_a_page_comes_back_into_its_seat_without_knocking(visit: Visit) -> None:
    _, first, _ = await visit.all_in()
    await first.close()
    again = await visit.page("A")
    assert again.state == "admitted"
    knocks = [kind for kind, seat, _, _ in await visit.audit() if kind == "seat.knocked" and seat == "A"]
    assert len(knocks) == 1


async def test_a_second_device_asks_the_first(visit: Visit) -> None:
    first = await visit.page("A")
    assert await first.ask("knock") is None
    second = await visit.page("A", device="laptop")
    assert second.state == "asking-device"
    await eventually(lambda: first.view["device-asks"])
    await first.say("device-answer", allow=True, asking=first.view["device-asks"])
    assert await first.ended() == ("replaced", 4002)
    await second.until("waiting")


@pytest.mark.slow
async def test_two_clinicians_with_two_tabs_each_clicking_at_once_give_one_outcome(visit: Visit) -> None:
    await hire(visit.server, STAFF["C"])
    both = await book(visit.server, visit.http, STAFF["C"])
    try:
        clinicians = [await both.host(), await both.page("T"), await both.host("C"), await both.page("C")]
        for seat in "AB":
            assert await (await both.page(seat)).ask("knock") is None
        for action, state, event in [
            ("admit", "admitted", "seat.admitted"),
            ("hold", "held", "seat.held"),
            ("resume", "admitted", "seat.resumed"),
            ("move-back", "waiting", "seat.moved-back"),
        ]:
            done = [page.ask("act", action=action, seats=["A", "B"]) for page in clinicians]
            assert await asyncio.gather(*done) == [None] * 4
            clicks = [(kind, seat) for kind, seat, actor, _ in await both.audit() if actor != "system"]
            assert {seat: clicks.count((event, seat)) for seat in "AB"} == {"A": 1, "B": 1}
            rows = clinicians[-1].view["seats"]
            assert {row["state"] for row in rows if row["role"] == "patient"} == {state}
    finally:
        for page in both.pages:
            await page.close()


async def test_what_happens_over_http_is_shown_at_once(visit: Visit) -> None:
    page = await visit.page("A")
    assert await page.ask("knock") is None
    answer = await visit.post("/api/seat-leave", {"meeting": visit.meeting, "seat": "A"}, visit.cookies["A"])
    assert answer.status == 204
    await eventually(lambda: page.state == "left" or page.socket.closed)


async def test_the_board_shows_the_room(visit: Visit) -> None:
    await visit.all_in()
    board = await visit.server.house.board()
    (room,) = board.rooms
    assert (room.state, room.clinician_present, room.code) == ("live", True, visit.meeting[:6])
    assert [(seat.seat, seat.state, seat.presence) for seat in room.seats] == [
        ("A", "admitted", "connected"),
        ("B", "admitted", "connected"),
        ("T", "admitted", "connected"),
    ]
    assert visit.server.house.gauges() == {
        "rooms": 1,
        "links": 3,
        "peers": 1,
        "waiting": 0,
        "rooms_unsure": 0,
    }
    assert room.seats[2].suite == "AEAD_AES_256_GCM"
    assert room.seats[2].kbps_out is not None
    assert room.seats[2].path == "udp"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_how_a_pages_connection_is_encrypted_is_told_and_on_record(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    cert, key = self_signed(tmp_path, ["localhost"])
    trusting = ssl.create_default_context(cafile=cert)
    trusting.maximum_version = version
    name = version.name.replace("_", ".")
    async with (
        Server(settings_for(tmp_path / "data", tls_cert=cert, tls_key=key)) as server,
        aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(ssl=trusting)
        ) as http,
    ):
        await hire(server)
        visit = await book(server, http)
        await visit.host()
        (room,) = (await server.house.board()).rooms
        assert room.seats[2].tls is not None
        assert room.seats[2].tls.startswith(f"{name} ")
        assert "AES_256_GCM" in room.seats[2].tls.replace("AES256-GCM", "AES_256_GCM")
        assert room.seats[0].tls is None
        await server.ledger.flushed()
        up = [
            entry.event.detail
            for entry in await server.ledger.read(0, 100)
            if entry.event is not None and entry.event.type is EventType.MEDIA_UP
        ]
        assert up == [{"suite": "AEAD_AES_256_GCM", "tls": room.seats[2].tls}]
        tls = {"tls_1_2": 0, "tls_1_3": 0} | {name.lower().replace("v", "_").replace(".", "_"): 1}
        assert server.sockets.by_tls() == tls
        for page in visit.pages:
            await page.close()


async def told(page: Page, errors: int) -> None:
    """Wait until the page was sent so many errors."""
    await eventually(lambda: len(page.of("error")) == errors)


# ---- the upgrade -----------------------------------------------------------------------------------------


async def refused(visit: Visit, headers: dict[str, str], protocols: tuple[str, ...]) -> int:
    try:
        await visit.http.ws_connect(f"{visit.server.url}/ws", protocols=protocols, headers=headers)
    except aiohttp.WSServerHandshakeError as error:
        return error.status
    raise AssertionError("the upgrade was accepted")


async def test_a_ticket_is_good_once(visit: Visit) -> None:
    await visit.enter("A")
    ticket = await visit.ticket("A")
    headers, protocols = {"Origin": visit.server.url}, (PROTOCOL, f"ticket.{ticket}")
    page = await visit.connect(ticket)
    assert page.socket.protocol == PROTOCOL
    assert await refused(visit, headers, protocols) == 403


async def test_an_upgrade_needs_our_origin_and_both_protocols(visit: Visit) -> None:
    await visit.enter("A")
    ours = {"Origin": visit.server.url}
    good = (PROTOCOL, f"ticket.{await visit.ticket('A')}")
    assert await refused(visit, {"Origin": "http://evil.example"}, good) == 403
    assert await refused(visit, {"Origin": visit.server.url + "/"}, good) == 403
    assert await refused(visit, {}, good) == 403
    assert await refused(visit, ours, (PROTOCOL,)) == 400
    assert await refused(visit, ours, good[1:]) == 400
    assert await refused(visit, ours, (*good, "ticket.another")) == 400
    assert await refused(visit, ours, (PROTOCOL, "ticket.")) in {400, 403}
    assert await refused(visit, ours, (PROTOCOL, "ticket." + "x" * 5000)) in {400, 403}
    page = await visit.connect(good[1].removeprefix("ticket."))  # none of that used the ticket up
    assert not page.socket.closed
    answer = await visit.http.get(f"{visit.server.url}/ws", headers=ours)
    assert answer.status == 400


async def test_one_seat_cannot_hold_connections_without_end(visit: Visit) -> None:
    await visit.enter("A")
    for _ in range(PER_SEAT):
        await visit.connect(await visit.ticket("A"))
    headers = {"Origin": visit.server.url}
    assert await refused(visit, headers, (PROTOCOL, f"ticket.{await visit.ticket('A')}")) == 429
    await visit.pages[0].close()
    await eventually(lambda: len(visit.server.sockets) == PER_SEAT - 1)
    await visit.connect(await visit.ticket("A"))


async def test_one_seat_cannot_connect_without_end(visit: Visit) -> None:
    await visit.enter("A")
    for _ in range(CONNECTIONS_BURST):
        await (await visit.connect(await visit.ticket("A"))).close()
    headers = {"Origin": visit.server.url}
    assert await refused(visit, headers, (PROTOCOL, f"ticket.{await visit.ticket('A')}")) == 429
    assert (await visit.page("B")).state == "expected"


# ---- bad input; every case leaves the other pages of the room alone ---------------------------------------

BAD: dict[str, Any] = {
    "not JSON": "{",
    "no object": "[1]",
    "no type": '{"id":1}',
    "unknown type": '{"type":"shutdown"}',
    "a server's message": '{"type":"welcome","seat":"A","role":"host","now":1}',
    "binary": b'{"type":"knock","id":1}',
    "too deep": '{"type":"knock","id":' + "[" * 200 + "]" * 200 + "}",
    "knock without id": '{"type":"knock"}',
    "knock with text": '{"type":"knock","id":"1"}',
    "knock below zero": '{"type":"knock","id":-1}',
    "enter of a patient": '{"type":"enter","id":1}',
    "leave with a list": '{"type":"leave","id":[]}',
    "act of a patient": '{"type":"act","id":1,"action":"admit","seats":["A"]}',
    "answer without sdp": '{"type":"answer"}',
    "answer with a number": '{"type":"answer","sdp":7}',
    "answer too long": json.dumps({"type": "answer", "sdp": "x" * 40_000}),
    "restart with text": '{"type":"restart-media","fresh":"yes"}',
    "device answer without it": '{"type":"device-answer"}',
    "device answer to nothing": '{"type":"device-answer","allow":true}',
    "hello again": '{"type":"hello"}',
    "hello with text": '{"type":"hello","media-kept":"yes"}',
}


@pytest.mark.slow
async def test_a_bad_message_is_an_error_and_the_fifth_the_end(visit: Visit) -> None:
    host, other, _ = await visit.all_in()
    for name, bad in BAD.items():
        visit.server.sockets._pace.clear()  # as if the seconds had passed that a seat must let pass
        page = await visit.page("A")
        for number in range(MISTAKES):
            assert not page.socket.closed, name
            if isinstance(bad, bytes):
                await page.socket.send_bytes(bad)
            else:
                await page.socket.send_str(bad)
            await told(page, number + 1)
        bye, close_code = await page.ended()
        assert (bye, close_code) in {("bad-message", 1008), ("not-allowed", 1008)}, name
        assert all(error["text"] for error in page.of("error"))
    await undisturbed(host)
    assert host.view["clinician-present"] is True
    assert visit.server.house.gauges()["rooms"] == 1
    assert other.socket.close_code == 4001  # replaced by the pages above, nothing else


HOSTS_BAD = [
    {"type": "act", "id": 1, "action": "promote", "seats": ["A"]},
    {"type": "act", "id": 1, "action": "admit", "seats": "A"},
    {"type": "act", "id": 1, "action": "admit", "seats": ["AA"]},
    {"type": "act", "id": 1, "action": "admit", "seats": ["A", "B", "T", "C", "P"]},
    {"type": "act", "id": 1, "action": "deny", "seats": ["A"], "reason": "x" * 201},
]


@pytest.mark.parametrize("message", HOSTS_BAD, ids=lambda message: str(message)[20:60])
async def test_a_hosts_bad_message_is_an_error(visit: Visit, message: dict[str, Any]) -> None:
    page = await visit.page("T")
    await page.socket.send_json(message)
    await eventually(lambda: page.of("error"))
    assert page.of("error")[0]["code"] == "bad-message"
    assert await page.ask("enter") is None


async def test_moves_that_are_not_possible_are_answered_not_raised(visit: Visit) -> None:
    page = await visit.page("T")
    assert await page.ask("act", action="admit", seats=["A"]) == "clinician-absent"
    page = await visit.host()
    assert await page.ask("act", action="admit", seats=["A"]) == "wrong-state"
    assert await page.ask("act", action="admit", seats=["Z"]) == "no-seat"
    assert await page.ask("act", action="admit", seats=["T"]) == "no-seat"
    assert await page.ask("act", action="admit", seats=[]) == "no-seat"
    await visit.enter("A", agree=False)
    patient = await visit.page("A")
    assert await patient.ask("knock") == "agreement-needed"
    await undisturbed(page, patient)


async def test_media_words_without_a_transport_are_refused(visit: Visit) -> None:
    page = await visit.page("A")
    await page.say("answer", sdp="v=0")
    await page.say("restart-media")
    await eventually(lambda: len(page.of("error")) == 2)
    assert {error["code"] for error in page.of("error")} == {"not-allowed"}
    assert await page.ask("knock") is None


async def test_a_hostile_answer_is_an_error(visit: Visit) -> None:
    page = await visit.page("A")
    assert await page.ask("knock") is None
    await eventually(lambda: page.of("offer"))
    await page.say("answer", sdp="v=0\r\nm=audio 9 RTP/AVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x")
    await eventually(lambda: page.of("error"))
    assert page.of("error")[0]["code"] == "bad-sdp"
    assert not page.socket.closed


async def test_an_oversized_message_closes_the_connection(visit: Visit) -> None:
    host, first, second = await visit.all_in()
    await first.say("answer", sdp="x" * MAX_MESSAGE_BYTES)
    assert await first.ended() == (None, 1009)
    await undisturbed(host, second)


async def test_too_many_messages_close_the_connection(visit: Visit) -> None:
    host, first, second = await visit.all_in()
    for number in range(100):
        if not first.socket.closed:
            await first.say("knock", id=number)
    assert await first.ended() == ("too-fast", 4007)
    for _ in range(20):
        if not second.socket.closed:
            await second.say("restart-media", fresh=True)
    assert await second.ended() == ("too-fast", 4007)
    assert len(second.of("offer")) <= 6
    await undisturbed(host)


async def test_nothing_before_hello(visit: Visit) -> None:
    await visit.enter("A")
    page = await visit.connect(await visit.ticket("A"))
    page.listen()
    await page.say("knock", id=1)
    await eventually(lambda: page.of("error"))
    assert page.of("welcome") == []


async def test_a_page_that_never_says_hello_is_closed(visit: Visit) -> None:
    await visit.enter("A")
    page = await visit.connect(await visit.ticket("A"))
    page.listen()
    assert await page.ended() == ("too-slow", 4008)


async def test_after_the_end_nothing_is_possible(visit: Visit) -> None:
    host, first, _ = await visit.all_in()
    assert await host.ask("act", action="end") is None
    assert await first.ended() == ("ended", 4006)
    answer = await visit.post("/api/seat-ticket", {"meeting": visit.meeting, "seat": "A"}, visit.cookies["A"])
    if answer.status == 200:
        page = await visit.connect((await answer.json())["ticket"])
        page.listen()
        await page.say("hello")
        assert (await page.ended())[0] in {"ended", "no-session"}
    else:
        assert answer.status in {403, 410}


async def test_a_page_that_stops_answering_is_let_go(visit: Visit) -> None:
    host = await visit.host()
    await visit.enter("A")
    silent = await visit.connect(await visit.ticket("A"), autoping=False)
    await silent.say("hello")
    await eventually(lambda: host.view["seats"][0]["presence"] == "connected")
    assert len(visit.server.sockets) == 2
    frames = 0
    async for frame in silent.socket:  # takes everything in and answers no ping
        frames += frame.type is aiohttp.WSMsgType.PING
    assert frames >= 8
    assert silent.socket.close_code == 4009
    assert host.view["seats"][0]["presence"] == "away"


async def test_a_page_that_does_not_read_loses_its_connection_and_nobody_else(visit: Visit) -> None:
    host, _, _ = await visit.all_in()
    await visit.enter("A", device="laptop")
    ticket = await visit.ticket("A", "laptop")
    port = int(visit.server.url.rsplit(":", 1)[1])
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(
        line,
        f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Origin: {visit.server.url}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n"
        f"Sec-WebSocket-Protocol: {PROTOCOL}, ticket.{ticket}\r\n\r\n".encode(),
    )
    assert b"101" in await loop.sock_recv(line, 64)
    hello = b'{"type":"hello"}'
    await loop.sock_sendall(line, bytes([0x81, 0x80 | len(hello), 0, 0, 0, 0]) + hello)
    await eventually(lambda: len(visit.server.sockets) == 4)
    await eventually(lambda: len(visit.server.sockets) == 3, timeout=25)
    line.close()
    await undisturbed(host)


async def test_pages_that_vanish_leave_nothing_behind(visit: Visit) -> None:
    host, _, _ = await visit.all_in()
    await visit.enter("A", device="laptop")
    before = len(asyncio.all_tasks())
    for number in range(CONNECTIONS_BURST - 1):
        page = await visit.connect(await visit.ticket("A", "laptop"))
        if number % 3:
            await page.say("hello")
        connection = page.socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()  # no goodbye at all
        await eventually(lambda: len(visit.server.sockets) == 3)
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
    assert visit.server.house.gauges()["links"] == 3
    await undisturbed(host)
