"""Programs in their rooms: who is forgotten when, and which worker does it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from broker.errors import BadInput, Refused
from signaling import whip
from signaling.app import Server
from tests.signaling.test_workers import node
from tests.signaling.visits import book, browser, hire, settings_for
from tests.signaling.whip_client import WhipClient
from tests.support.waiting import eventually

ALONE = "\r\n".join(
    [
        "v=0", "a=group:BUNDLE 0", f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}", "a=setup:active",
        "a=ice-ufrag:PROG", f"a=ice-pwd:{'p' * 24}", "m=audio 9 UDP/TLS/RTP/SAVPF 96", "a=mid:0",
        "a=rtcp-mux", "a=sendonly", "a=rtpmap:96 opus/48000/2", "a=ssrc:5 cname:x",
    ]
)  # fmt: skip
"""The offer of a program that then does nothing more."""
FRAGMENT = "a=end-of-candidates\r\n"


async def code_of_post(server: Server, meeting: str, token: str, offer: str = ALONE) -> str:
    with pytest.raises((Refused, BadInput)) as refused:
        await server.programs.post(meeting, token, offer)
    return refused.value.code


async def test_who_does_not_ask_again_is_away_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whip, "ASKS_AGAIN_WITHIN", 0.5)
    monkeypatch.setattr(whip, "LOOK_EVERY", 0.05)
    async with Server(settings_for(tmp_path, whip=True)) as server, browser() as http:
        await hire(server)
        visit = await book(server, http)
        await visit.enter("A")
        assert await code_of_post(server, visit.meeting, visit.tokens["A"]) == "wait-for-admission"
        assert len(server.programs) == 1
        host = await visit.page("T")
        await eventually(lambda: len(server.programs) == 0)
        await eventually(lambda: host.view["seats"][0]["presence"] == "away")
        assert host.view["seats"][0]["state"] == "waiting"  # the place is kept, as for a page
        await host.close()


async def test_who_never_connects_loses_the_transport(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whip, "CONNECTS_WITHIN", 0.3)
    monkeypatch.setattr(whip, "LOOK_EVERY", 0.05)
    async with Server(settings_for(tmp_path, whip=True)) as server, browser() as http:
        await hire(server)
        visit = await book(server, http)
        await visit.enter("A")
        host = await visit.host()
        assert await code_of_post(server, visit.meeting, visit.tokens["A"]) == "wait-for-admission"
        assert await host.ask("act", action="admit", seats=["A"]) is None
        created = await server.programs.post(visit.meeting, visit.tokens["A"], ALONE)
        assert (str(visit.meeting), "A") in server.media._peers
        await eventually(lambda: (str(visit.meeting), "A") not in server.media._peers)
        with pytest.raises(Refused, match="not-found"):
            await server.programs.patch(visit.meeting, visit.tokens["A"], created.resource, "*", FRAGMENT)
        await host.close()


async def test_what_ended_with_its_worker_is_deleted_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whip, "ASKS_AGAIN_WITHIN", 0.5)
    monkeypatch.setattr(whip, "LOOK_EVERY", 0.05)
    resources = {}
    async with Server(settings_for(tmp_path, whip=True)) as server, browser() as http:
        await hire(server)
        visit = await book(server, http)
        for seat in ("A", "B"):
            await visit.enter(seat)
        host = await visit.host()
        for seat in ("A", "B"):
            assert await code_of_post(server, visit.meeting, visit.tokens[seat]) == "wait-for-admission"
        assert await host.ask("act", action="admit", seats=["A", "B"]) is None
        for seat in ("A", "B"):
            resources[seat] = (await server.programs.post(visit.meeting, visit.tokens[seat], ALONE)).resource
        await host.close()
    async with Server(settings_for(tmp_path, whip=True)) as server, browser() as http:
        again = replace(visit, server=server, http=http, pages=[])
        for seat, resource in resources.items():
            await server.programs.delete(visit.meeting, visit.tokens[seat], resource)
        # One program only deletes before it connects anew, as OBS does: it keeps its admission.
        created = await server.programs.post(visit.meeting, visit.tokens["B"], ALONE)
        host = await again.host()
        await eventually(lambda: host.view["seats"][0]["state"] == "left")
        await eventually(lambda: len(server.programs) == 1)
        with pytest.raises(Refused, match="not-found"):  # what publishes now has another name
            await server.programs.delete(visit.meeting, visit.tokens["B"], resources["B"])
        assert host.view["seats"][1]["state"] == "admitted"
        with pytest.raises(Refused, match="not-found"):  # who has left has nothing to give up
            await server.programs.delete(visit.meeting, visit.tokens["A"], resources["A"])
        await server.programs.delete(visit.meeting, visit.tokens["B"], created.resource)
        await eventually(lambda: host.view["seats"][1]["state"] == "left")
        left = [row for row in await again.audit() if row[0] == "seat.left"]
        assert {row[3] for row in left} == {"via-whip"}
        await host.close()


async def test_a_link_gives_up_no_seat_that_a_page_has(tmp_path: Path) -> None:
    async with Server(settings_for(tmp_path, whip=True)) as server, browser() as http:
        await hire(server)
        visit = await book(server, http)
        host, page = await visit.host(), await visit.page("A")
        assert await page.ask("knock") is None
        assert await host.ask("act", action="admit", seats=["A"]) is None
        await page.until("admitted")
        with pytest.raises(Refused, match="not-found"):
            await server.programs.delete(visit.meeting, visit.tokens["A"], "x")
        assert len(server.programs) == 0
        for each in (host, page):
            await each.close()


async def test_a_program_comes_back_into_its_admission_after_a_restart(tmp_path: Path) -> None:
    async with Server(settings_for(tmp_path, whip=True)) as server, browser() as http:
        await hire(server)
        visit = await book(server, http)
        await visit.enter("A")
        await visit.enter("B")
        host = await visit.host()
        assert await code_of_post(server, visit.meeting, visit.tokens["A"]) == "wait-for-admission"
        page = await visit.page("B")
        assert await page.ask("knock") is None
        assert await host.ask("act", action="admit", seats=["A", "B"]) is None
        await server.programs.post(visit.meeting, visit.tokens["A"], ALONE)
        for each in (host, page):
            await each.close()
    async with Server(settings_for(tmp_path, whip=True)) as server:
        created = await server.programs.post(visit.meeting, visit.tokens["A"], ALONE)
        assert created.sdp.startswith("v=0")
        # The other seat was admitted to a page: its link alone does not inherit that.
        assert await code_of_post(server, visit.meeting, visit.tokens["B"]) == "seat-in-use"


async def test_a_program_inherits_no_admission_by_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rooms.seat.DEAD_DEVICE_YIELDS_AFTER", 0.0)
    async with Server(settings_for(tmp_path, whip=True)) as server, browser() as http:
        await hire(server)
        visit = await book(server, http)
        host, page = await visit.host(), await visit.page("A")
        assert await page.ask("knock") is None
        await page.close()
        await eventually(lambda: host.view["seats"][0]["presence"] == "away")
        assert await code_of_post(server, visit.meeting, visit.tokens["A"]) == "wait-for-admission"
        await eventually(lambda: host.view["seats"][0]["new-device"])
        page = await visit.page("A")  # with its cookie: the program gives way
        await page.until("waiting")
        assert await host.ask("act", action="admit", seats=["A"]) is None
        await page.until("admitted")
        for each in (host, page):
            await each.close()
    async with Server(settings_for(tmp_path, whip=True)) as server, browser() as http:
        # The admission was given to the page, though the program was there before and asks first now.
        assert await code_of_post(server, visit.meeting, visit.tokens["A"]) == "seat-in-use"
        again = replace(visit, server=server, http=http, pages=[])
        host, page = await again.host(), await again.page("A")
        await page.until("admitted")
        assert not host.view["seats"][0]["new-device"]
        for each in (host, page):
            await each.close()


async def test_stopping_lets_programs_go(tmp_path: Path) -> None:
    async with Server(settings_for(tmp_path, whip=True)) as server, browser() as http:
        await hire(server)
        visit = await book(server, http)
        await visit.enter("A")
        assert await code_of_post(server, visit.meeting, visit.tokens["A"]) == "wait-for-admission"
    assert len(server.programs) == 0


async def test_whichever_worker_is_asked_the_one_with_the_room_does_it(tmp_path: Path) -> None:
    every_request_anew = aiohttp.TCPConnector(force_close=True)
    async with (
        node(tmp_path / "data", whip=True) as (running, [visit]),
        aiohttp.ClientSession(connector=every_request_anew) as http,
    ):
        program = WhipClient(http, f"{running.client.url}/whip/{visit.meeting}", visit.tokens["A"])
        await visit.enter("A")
        host = await visit.host()
        assert {(await program.post(ALONE)).code for _ in range(4)} == {"wait-for-admission"}
        assert host.view["seats"][0]["knocks"] == 1
        assert await host.ask("act", action="admit", seats=["A"]) is None
        told = await program.post(ALONE)
        assert told.status == 201, told.text
        candidates = "a=end-of-candidates\r\n"
        assert {(await program.patch(candidates, program.etag)).status for _ in range(4)} == {204}
        assert {(await program.patch(candidates, '"x"')).status for _ in range(2)} == {412}
        assert (await program.post(ALONE)).code == "seat-in-use"
        assert (await program.delete()).status == 200
        assert {(await program.delete()).status for _ in range(2)} == {404}
        await eventually(lambda: host.view["seats"][0]["state"] == "left")
        await program.close()
