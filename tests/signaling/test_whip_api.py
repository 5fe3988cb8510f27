"""WHIP on a real server, with a client whose media half is aiortc's, and people whose pages are ours."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.audit import EventType
from broker.ids import new_meeting_id, new_seat_token
from broker.link_secret import draw_link_secret
from rooms.bucket import Bucket, Buckets
from rooms.forwarding import OPUS, VP8
from rooms.rtp import HEADER
from signaling.app import Server
from signaling.problems import TEXTS
from tests.signaling.visits import Page, Visit, book, browser, hire, settings_for
from tests.signaling.whip_client import FRAGMENT, Told, WhipClient
from tests.support.waiting import eventually


class Scene:
    """One visit and the programs in it."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.programs: list[WhipClient] = []

    def program(self, seat: str = "A", *, meeting: str | None = None, token: str | None = None) -> WhipClient:
        endpoint = f"{self.visit.server.url}/whip/{meeting or self.visit.meeting}"
        token = self.visit.tokens[seat] if token is None else token
        made = WhipClient(self.visit.http, endpoint, token)
        self.programs.append(made)
        return made

    @property
    def peers(self) -> int:
        """Transports at the media port."""
        return len(self.visit.server.media._peers)

    async def publishing(self, seat: str = "A") -> tuple[Page, WhipClient]:
        """A therapist in the room and an admitted program that publishes."""
        await self.visit.enter(seat)
        host, program = await self.visit.host(), self.program(seat)
        assert (await program.post()).code == "wait-for-admission"
        assert await host.ask("act", action="admit", seats=[seat]) is None
        told = await program.post()
        assert told.status == 201, told.text
        return host, program


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with Server(settings_for(tmp_path, whip=True)) as server, browser() as http:
        await hire(server)
        scene = Scene(await book(server, http))
        try:
            yield scene
        finally:
            for program in scene.programs:
                await program.close()
            for page in scene.visit.pages:
                await page.close()


def seat_of(host: Page, seat: str) -> dict[str, object]:
    """A seat on the therapist's list."""
    found = next(row for row in host.view["seats"] if row["seat"] == seat)
    assert isinstance(found, dict)
    return found


def kinds_heard(host: Page) -> set[int]:
    """Payload types of what the therapist receives."""
    assert host.heard is not None
    return {HEADER.unpack_from(packet)[1] & 0x7F for packet in host.heard.client.rtp}


async def test_a_program_waits_like_a_patient_and_is_seen_once_admitted(scene: Scene) -> None:
    visit = scene.visit
    await visit.enter("A")
    host, program = await visit.host(), scene.program()
    before = scene.peers

    told = await program.post()
    assert (told.status, told.code) == (403, "wait-for-admission")
    assert int(told.headers["Retry-After"]) > 0
    assert (await program.post()).code == "wait-for-admission"
    await eventually(lambda: seat_of(host, "A")["state"] == "waiting")
    assert seat_of(host, "A")["presence"] == "connected"
    assert seat_of(host, "A")["knocks"] == 1
    assert scene.peers == before

    assert await host.ask("act", action="admit", seats=["A"]) is None
    assert kinds_heard(host) == set()
    told = await program.post()
    assert told.status == 201, told.text
    assert told.headers["Content-Type"].startswith("application/sdp")
    assert told.headers["Accept-Patch"] == FRAGMENT
    assert told.headers["ETag"].startswith('"')
    await eventually(lambda: kinds_heard(host) == {OPUS, VP8}, timeout=15)
    assert scene.peers == before + 1
    assert seat_of(host, "A")["in-room"]


async def test_nothing_of_the_others_is_sent_to_a_program(scene: Scene) -> None:
    host, program = await scene.publishing()
    await eventually(lambda: kinds_heard(host) == {OPUS, VP8}, timeout=15)
    assert "m=audio" in program.connection.remoteDescription.sdp
    assert program.connection.remoteDescription.sdp.count("a=recvonly") == 2
    peer = scene.visit.server.media._peers[str(scene.visit.meeting), "A"]
    assert (peer.member.slots, peer.suite) == ([], "AEAD_AES_256_GCM")


# ---- who is refused ----------------------------------------------------------------------------------------


async def test_wrong_tokens_and_unknown_sessions_are_told_the_same(scene: Scene) -> None:
    visit = scene.visit
    wrong = [
        scene.program(token=new_seat_token("A").reveal()),
        scene.program(meeting=new_meeting_id()),
        scene.program(meeting="nonsense", token="nonsense"),
        scene.program(token=visit.password),
        scene.program("A", token=visit.tokens["B"].replace("B-", "A-", 1)),
    ]
    told = [await program.post() for program in wrong]
    assert {(one.status, one.code, one.text, "Retry-After" in one.headers) for one in told} == {
        (403, "cannot-enter", told[0].text, False)
    }
    failed = [row for row in await visit.audit() if row[0] == EventType.AUTH_FAILED.value]
    assert {row[3] for row in failed} == {"wrong-token"}
    assert len(scene.visit.server.programs) == 0


async def test_without_a_bearer_nobody_is_looked_up(scene: Scene) -> None:
    program = scene.program(token="")
    told = await program.post()
    assert (told.status, told.code, told.headers["WWW-Authenticate"]) == (401, "bearer-needed", "Bearer")
    for value in ("Basic x", "Bearer", "Bearer " + "x" * 200):
        told = await program.ask("POST", program.endpoint, "v=0", "application/sdp", Authorization=value)
        assert told.status == 401


async def test_the_agreement_comes_first_and_through_the_link(scene: Scene) -> None:
    program = scene.program()
    assert (await program.post()).code == "agreement-by-link"
    await scene.visit.enter("A", agree=False)
    assert (await program.post()).code == "agreement-by-link"
    assert not [row for row in await scene.visit.audit() if row[0] == EventType.SEAT_KNOCKED.value]


async def test_an_end_to_end_encrypted_session_takes_no_program(scene: Scene) -> None:
    scene.visit = await book(scene.visit.server, scene.visit.http, secret=draw_link_secret())
    await scene.visit.enter("A")
    assert (await scene.program().post()).code == "end-to-end-encrypted"
    assert len(scene.visit.server.programs) == 0


async def test_a_seat_that_is_locked_at_the_door_is_locked_here(scene: Scene) -> None:
    await scene.visit.enter("A")
    store, meeting = scene.visit.server.store, scene.visit.meeting
    await store.link.plain("HSET", store.link.key("try", meeting, "A"), "locked", 1)
    assert (await scene.program().post()).code == "cannot-enter"


async def test_a_program_takes_nothing_from_a_page(scene: Scene) -> None:
    visit = scene.visit
    host, page = await visit.host(), await visit.page("A")
    assert (await scene.program().post()).code == "seat-in-use"  # it only looks at the agreement still
    assert await page.ask("knock") is None
    assert (await scene.program().post()).code == "seat-in-use"
    assert await host.ask("act", action="admit", seats=["A"]) is None
    told = await scene.program().post()
    assert (told.status, told.code) == (409, "seat-in-use")
    await page.socket.close()
    await eventually(lambda: seat_of(host, "A")["presence"] == "away", timeout=15)
    # The admission was given to the page: gone or not, a link alone does not inherit it.
    assert (await scene.program().post()).code == "seat-in-use"
    assert not page.of("bye")


async def test_a_waiting_program_gives_way_to_a_page(scene: Scene) -> None:
    visit = scene.visit
    await visit.enter("A")
    program = scene.program()
    assert (await program.post()).code == "wait-for-admission"
    page = await visit.page("A")
    await page.until("waiting")
    assert (await program.post()).code == "seat-in-use"


async def test_an_admitted_program_stays_when_a_page_asks_for_its_seat(scene: Scene) -> None:
    _, program = await scene.publishing()
    page = await scene.visit.page("A")
    await page.until("asking-device")
    again = scene.program()
    told = await again.post()
    assert (told.status, told.code) == (409, "seat-in-use")
    assert (await program.patch("a=end-of-candidates\r\n", program.etag)).status == 204


async def test_a_denied_program_does_not_knock_at_once_again(scene: Scene) -> None:
    await scene.visit.enter("A")
    host, program = await scene.visit.host(), scene.program()
    await program.post()
    assert await host.ask("act", action="deny", seats=["A"]) is None
    told = await program.post()
    assert (told.status, told.code, told.headers["Retry-After"]) == (403, "denied-for-now", "60")
    assert seat_of(host, "A")["knocks"] == 1


async def test_a_host_has_no_token_to_publish_with(scene: Scene) -> None:
    assert set(scene.visit.tokens) == {"A", "B"}
    assert (await scene.program(token="T-0000-0000-0000-0000").post()).code == "cannot-enter"


async def test_another_sites_page_is_refused(scene: Scene) -> None:
    program = scene.program()
    for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        told = await program.ask("POST", program.endpoint, "v=0", "application/sdp", **headers)
        assert told.code == "wrong-origin"


async def test_wrong_tokens_of_one_household_are_slowed_before_they_are_looked_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.visit.server.programs.rates, "households", Buckets(0.01, 3))
    strangers = [
        scene.program(meeting=new_meeting_id(), token=new_seat_token("A").reveal()) for _ in range(5)
    ]
    told = [await program.post("v=0") for program in strangers]
    assert [one.code for one in told] == ["cannot-enter"] * 3 + ["too-fast"] * 2


async def test_wrong_tokens_of_all_households_are_slowed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.visit.server.programs.rates, "strangers", Bucket(0.01, 1))
    stranger = scene.program(meeting=new_meeting_id())
    assert [(await stranger.post("v=0")).code for _ in range(2)] == ["cannot-enter", "too-fast"]


@pytest.mark.parametrize("who", ["households", "strangers"])
async def test_strangers_without_end_silence_no_program(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    rates = scene.visit.server.programs.rates
    await scene.visit.enter("A")
    await scene.visit.enter("B")
    host, (first, other) = await scene.visit.host(), (scene.program(), scene.program("B"))
    assert (await first.post()).code == "wait-for-admission"
    monkeypatch.setattr(rates, who, Buckets(0.0, 0) if who == "households" else Bucket(0.0, 0))
    stranger = scene.program(meeting=new_meeting_id())
    assert {(await stranger.post("v=0")).code for _ in range(3)} == {"too-fast"}
    assert (await other.post()).code == "wait-for-admission"  # for the first time, while they ask
    assert await host.ask("act", action="admit", seats=["A", "B"]) is None
    for program in (first, other):
        assert (await program.post()).status == 201
    wrong = scene.program(token=new_seat_token("A").reveal())  # of somebody who knows the session
    assert [(await wrong.post("v=0")).code for _ in range(30)][-1] == "too-fast"
    for program in (first, other):
        assert (await program.delete()).status == 200


async def test_asking_too_often_is_slowed(scene: Scene) -> None:
    program = scene.program()
    codes = [(await program.ask("DELETE", program.endpoint + "/x")).code for _ in range(25)]
    assert codes[0] == "not-found"
    assert codes[-1] == "too-fast"


# ---- what is sent ------------------------------------------------------------------------------------------


async def test_what_is_no_usable_offer_is_refused_whole(scene: Scene) -> None:
    await scene.visit.enter("A")
    program = scene.program()
    offer = await program.prepare()
    assert (await program.post(kind="application/json")).code == "not-sdp"
    assert (await program.post("hello")).code == "bad-sdp"
    assert (await program.post(offer.replace("a=rtcp-mux\r\n", ""))).status == 422
    told = await program.post(offer.replace("VP8/90000", "VP9/90000").replace("H264/90000", "H265/90000"))
    assert (told.status, told.code) == (406, "no-common-codec")
    assert (await program.post("v=0\r\n" + "a" * 70_000)).code == "too-large"
    assert len(scene.visit.server.programs) == 0


async def test_other_methods_are_refused_and_options_tell_what_is_taken(scene: Scene) -> None:
    program = scene.program()
    told = await program.ask("GET", program.endpoint)
    assert (told.status, "POST" in told.headers["Allow"]) == (405, True)
    told = await program.ask("OPTIONS", program.endpoint)
    assert (told.status, told.headers["Accept-Post"]) == (204, "application/sdp")
    told = await program.ask("OPTIONS", program.endpoint + "/x")
    assert told.headers["Accept-Patch"] == FRAGMENT
    assert not [name for name in told.headers if name.startswith("Access-Control")]


async def test_switched_off_there_is_nothing(tmp_path: Path) -> None:
    async with Server(settings_for(tmp_path)) as server, browser() as http:
        await hire(server)
        visit = await book(server, http)
        program = Scene(visit).program()
        told = [await program.post("v=0"), await program.ask("OPTIONS", program.endpoint)]
        await program.close()
    assert {(one.status, one.code) for one in told} == {(404, "not-found")}


# ---- the resource ------------------------------------------------------------------------------------------


async def test_the_resource_is_named_like_nothing_that_others_are_shown(scene: Scene) -> None:
    host, program = await scene.publishing()
    secret = program.resource.rpartition("/")[2]
    assert len(secret) == 43
    assert scene.visit.tokens["A"] not in program.resource
    assert secret not in str(host.messages)


async def test_a_patch_needs_the_etag_and_candidates_need_no_answer(scene: Scene) -> None:
    _, program = await scene.publishing()
    ice = [line for line in program.offer.splitlines() if line.startswith(("a=ice-ufrag", "a=ice-pwd"))][:2]
    trickle = "\r\n".join([*ice, "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", "a=end-of-candidates", ""])
    assert (await program.patch(trickle, None)).status == 428
    assert (await program.patch(trickle, '"other"')).status == 412
    assert (await program.patch(trickle, program.etag, kind="application/sdp")).status == 415
    assert (await program.patch("what", program.etag)).status == 422
    told = await program.patch(trickle, program.etag)
    assert (told.status, told.text) == (204, "")


async def test_an_ice_restart_is_answered_and_changes_the_etag(scene: Scene) -> None:
    host, program = await scene.publishing()
    await eventually(lambda: kinds_heard(host) == {OPUS, VP8}, timeout=15)
    restart = "a=ice-ufrag:fresh\r\na=ice-pwd:0123456789abcdefghijklmn\r\n"
    told = await program.patch(restart, "*")
    assert (told.status, told.headers["Content-Type"].partition(";")[0]) == (200, FRAGMENT)
    peer = scene.visit.server.media._peers[str(scene.visit.meeting), "A"]
    assert f"a=ice-ufrag:{peer.agent.credentials.ufrag}" in told.text
    assert "a=candidate:" in told.text
    assert told.headers["ETag"] != program.etag
    assert (await program.patch(restart, program.etag)).status == 412
    assert (await program.patch(restart, told.headers["ETag"])).status == 204  # once more changes nothing
    heard = len(host.heard.client.rtp) if host.heard else 0
    await eventually(lambda: host.heard and len(host.heard.client.rtp) > heard + 20)  # the old path goes on


async def test_the_resource_needs_the_token_of_its_seat(scene: Scene) -> None:
    _, program = await scene.publishing()
    token = program.token
    for other, status in (("", 401), (new_seat_token("A").reveal(), 403), (scene.visit.tokens["B"], 404)):
        program.token = other
        assert (await program.delete()).status == status
    program.token = token
    told = await program.ask("DELETE", program.resource[:-1] + "x")
    assert (told.status, told.code) == (404, "not-found")
    assert (await program.delete()).status == 200


async def test_delete_is_a_leave_and_on_record(scene: Scene) -> None:
    host, program = await scene.publishing()
    before = scene.peers
    assert (await program.delete()).status == 200
    assert (await program.delete()).status == 404
    await eventually(lambda: seat_of(host, "A")["state"] == "left")
    assert scene.peers == before - 1
    audit = await scene.visit.audit()
    knocked = ("seat.knocked", "A", "seat:A", "via-whip")
    left = ("seat.left", "A", "seat:A", "via-whip")
    assert audit.index(knocked) < audit.index(left)
    entries = await scene.visit.server.ledger.read(0, 1000)
    ways = [e.event.detail.get("via") for e in entries if e.event and e.event.type is EventType.AUTH_OK]
    assert ways == [None, "whip"]  # the page that accepted the agreement, then the program


@pytest.mark.parametrize("action", ["move-back", "remove"])
async def test_who_is_taken_out_has_no_resource_any_more(scene: Scene, action: str) -> None:
    host, program = await scene.publishing()
    before = scene.peers
    assert await host.ask("act", action=action, seats=["A"]) is None
    await eventually(lambda: scene.peers == before - 1)
    assert (await program.patch("a=end-of-candidates\r\n", program.etag)).status == 404
    told: Told = await program.post()
    assert told.code == ("wait-for-admission" if action == "move-back" else "cannot-enter")
    assert scene.peers == before - 1


async def test_hold_closes_the_gate_and_keeps_the_resource(scene: Scene) -> None:
    host, program = await scene.publishing()
    await eventually(lambda: kinds_heard(host) == {OPUS, VP8}, timeout=15)
    assert await host.ask("act", action="hold", seats=["A"]) is None
    assert scene.visit.server.media._gates[str(scene.visit.meeting)].seats == {"T"}
    assert (await program.patch("a=end-of-candidates\r\n", program.etag)).status == 204
    assert await host.ask("act", action="resume", seats=["A"]) is None
    heard = len(host.heard.client.rtp) if host.heard else 0
    await eventually(lambda: host.heard and len(host.heard.client.rtp) > heard + 20)


async def test_silence_ends_the_resource(scene: Scene) -> None:
    host, program = await scene.publishing()
    await eventually(lambda: kinds_heard(host) == {OPUS, VP8}, timeout=15)
    await program.close()
    await eventually(lambda: len(scene.visit.server.programs) == 0, timeout=15)
    await eventually(lambda: seat_of(host, "A")["presence"] == "away")
    assert (await program.patch("a=end-of-candidates\r\n", program.etag)).status == 404
    assert (await program.delete()).status == 200  # and soon it would have left
    again = scene.program()
    assert (await again.post()).status == 201  # the same device comes back into its admission


async def test_nobody_is_alone_with_a_program(scene: Scene) -> None:
    host, program = await scene.publishing()
    await eventually(lambda: kinds_heard(host) == {OPUS, VP8}, timeout=15)
    assert host.heard is not None
    host.heard.fall_silent()
    gate = scene.visit.server.media._gates[str(scene.visit.meeting)]
    await eventually(lambda: gate.seats == frozenset(), timeout=5)
    assert (await program.patch("a=end-of-candidates\r\n", program.etag)).status == 204


async def test_no_token_is_logged_or_in_an_answer(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    _, program = await scene.publishing()
    told = await program.post()
    assert (await program.delete()).status == 200
    written = "".join(capsys.readouterr()) + told.text + str(told.headers)
    for private in (program.token, program.resource.rpartition("/")[2], str(scene.visit.meeting)):
        assert private not in written


async def test_the_documents_curl_says_what_a_program_is_told(scene: Scene, tmp_path: Path) -> None:
    document = Path(__file__).parents[2] / "docs" / "whip.md"
    command = next(
        block.split("```")[0]
        for block in document.read_text(encoding="utf-8").split("```sh\n")
        if block.startswith("curl ")
    )
    visit = scene.visit
    await visit.enter("A")
    (tmp_path / "offer.sdp").write_text(await scene.program().prepare(), encoding="ascii")
    values = {"QUIETROOM": visit.server.url, "MEETING": str(visit.meeting), "TOKEN": visit.tokens["A"]}
    running = await asyncio.create_subprocess_exec(
        "sh", "-c", command, cwd=tmp_path, env=dict(os.environ) | values, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asyncio.wait_for(running.communicate(), 20)
    assert told.startswith(b"HTTP/1.1 403")
    assert b"Retry-After: 4" in told
    assert b'"code":"wait-for-admission"' in told


def test_the_documents_answers_are_those_there_are() -> None:
    document = (Path(__file__).parents[2] / "docs" / "whip.md").read_text(encoding="utf-8")
    told = re.findall(r"(\d{3}) ((?:`[a-z-]+`(?:, )?)+)", document.partition("| answer |")[2])
    assert len(told) >= 10
    for status, codes in told:
        assert {TEXTS[code].status for code in re.findall("`([a-z-]+)`", codes)} == {int(status)}
