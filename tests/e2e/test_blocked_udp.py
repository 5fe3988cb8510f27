"""Where UDP is blocked: over ICE-TCP, through our own TURN server, and through it inside TLS; or no way."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from rooms.media import MediaPort, Peer, PeerState
from rooms.streams import Streams
from signaling.front_door import FrontDoor
from signaling.ice_servers import IceServers
from signaling.tls import Certificate, self_signed
from tests.e2e.conftest import running_browser, running_practice
from tests.e2e.looking import looks_right
from tests.e2e.people import WITHIN, Patient, People, Person, Therapist
from tests.e2e.practice import Practice
from tests.rooms.test_media_browser import PAGE
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Nothing of the product changes. "tcp": datagrams go to a port that swallows them, as a firewall does, and no
# TURN server answers. "turn": nothing but a TURN server is reached. "none": streams are swallowed too, the
# server is reached by its pages alone. A page may move to another such network, or "all": `window.only`.
BLOCKED = """
(() => {
  const {only, swallows} = BLOCKED;
  window.only = only;
  const of = (configuration) => {
    if (window.only === "turn") return {...configuration, iceTransportPolicy: "relay"};
    return window.only === "all" ? configuration : {...configuration, iceServers: []};
  };
  const before = RTCPeerConnection.prototype.setRemoteDescription;
  const set = RTCPeerConnection.prototype.setConfiguration;
  RTCPeerConnection.prototype.setConfiguration = function (configuration) {
    return set.call(this, of(configuration));
  };
  RTCPeerConnection.prototype.setRemoteDescription = function ({type, sdp}) {
    const lines = sdp.split("\\r\\n").map((line) => {
      const parts = line.split(" ");
      const way = parts[0].startsWith("a=candidate:") && parts[2];
      const swallowed = {tcp: ["udp"], none: ["udp", "tcp"]}[window.only] ?? [];
      if (swallowed.includes(way)) parts[5] = String(swallows);
      return parts.join(" ");
    });
    return before.call(this, {type, sdp: lines.join("\\r\\n")});
  };
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration) {
      window.told = configuration.iceServers;
      super(of(configuration));
    }
  };
})();
"""
PATH = """async () => {
  const stats = [...(await window.connections.at(-1).getStats()).values()];
  const transport = stats.find((entry) => entry.type === "transport");
  const pair = stats.find((entry) => entry.id === transport?.selectedCandidatePairId);
  const local = stats.find((entry) => entry.id === pair?.localCandidateId);
  if (!local) return [];
  return [local.candidateType === "relay" ? "relay" : "direct", local.relayProtocol ?? local.protocol];
}"""


def blocked(only: str, swallows: int) -> str:
    """What puts a page behind a firewall."""
    return BLOCKED.replace("BLOCKED", json.dumps({"only": only, "swallows": swallows}), 1)


async def block(person: Person, only: str, swallows: int) -> None:
    """Put this person behind a firewall."""
    await person.context.add_init_script(blocked(only, swallows))


async def goes(person: Person, *path: str) -> None:
    """The media of this person goes that way."""
    seen: list[str] = []

    async def same() -> bool:
        seen[:] = await person.page.evaluate(PATH)
        return seen == list(path)

    try:
        await eventually(same, timeout=15)
    except AssertionError:
        raise AssertionError(f"{seen}, not {path}") from None


async def test_people_behind_firewalls_meet_like_everybody_else(practice: Practice, people: People) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as swallowing:
        swallowing.bind(("127.0.0.1", 0))
        visit = await practice.book()
        therapist = await people.therapist(visit)
        a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
        await block(a, "tcp", swallowing.getsockname()[1])
        await block(b, "turn", 0)
        await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
        await therapist.sees_seat("A", state="waiting", presence="connected")
        await therapist.sees_seat("B", state="waiting", presence="connected")
        await therapist.presses("Admit both")
        await asyncio.gather(a.is_in_the_room(), b.is_in_the_room())
        await asyncio.gather(a.sees_and_hears(2), b.sees_and_hears(2), therapist.sees_and_hears(2))
        await goes(a, "direct", "tcp")
        await goes(b, "relay", "tcp")
        await goes(therapist, "direct", "udp")
        told = await b.page.evaluate("window.told")
        assert [server["urls"] for server in told] == [[f"turn:127.0.0.1:{practice.port}?transport=tcp"]]
        assert told[0]["credential"] not in practice.log()
        assert told[0]["username"] not in practice.log()


async def told_that_no_way_was_found(patient: Patient, therapist: Therapist, hint: str, state: str) -> None:
    """Both read it, each on their own page, and it looks right."""
    told = patient.page.locator(".banner").get_by_text("Your network lets no sound or picture through")
    await expect(told).to_contain_text("mobile data", timeout=WITHIN)
    card = therapist.card("P")
    await expect(card.get_by_text("No sound or picture yet.")).to_be_visible(timeout=WITHIN)
    await expect(card.locator(".unreached")).to_contain_text(hint)
    await looks_right(patient.page, f"no way for media, {state}")
    await looks_right(therapist.page, f"no way for a patient's media, {state}")


async def test_where_no_way_is_found_everybody_is_told_what_to_do(tmp_path: Path, browser: Browser) -> None:
    # Where Linux does not allow the batch: a whole visit through the plain engine.
    program = (sys.executable, "-m", "tests.bench.parts.plain")
    async with running_practice(tmp_path, program=program) as practice:
        people, visit = People(practice, browser), await practice.book("individual")
        therapist, patient = await people.therapist(visit), await people.patient(visit, "P")
        with socket.create_server(("127.0.0.1", 0)) as streams, socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.bind(streams.getsockname())
            await block(patient, "none", udp.getsockname()[1])
            await asyncio.gather(therapist.opens_the_room(), patient.waits())
            await told_that_no_way_was_found(patient, therapist, "Admitting will not help yet.", "waiting")
            # Nobody is interrupted by it, and who listens is told as well as who sees.
            await expect(patient.page.locator("#announcements")).to_contain_text("lets no sound or picture")
            await therapist.presses("Admit Patient")
            await patient.is_in_the_room()
            await told_that_no_way_was_found(patient, therapist, "to try another one.", "in the room")

            await patient.page.evaluate("window.only = 'all'")  # another network
            await asyncio.gather(patient.sees_and_hears(1), therapist.sees_and_hears(1))
            await expect(patient.page.locator(".banner")).to_have_count(0)
            await expect(therapist.card("P").locator(".unreached")).to_have_count(0)
        await people.go_home()
        assert re.search(r"media_engine\W+plain", practice.log())


# ---- inside TLS ------------------------------------------------------------------------------------------


@asynccontextmanager
async def secure_door(folder: Path) -> AsyncIterator[tuple[MediaPort, IceServers, str]]:
    """A media port that is reached by TURN inside TLS, and a page that asks for nothing else."""
    media = MediaPort("localhost", 0)
    await media.start()
    streams = Streams(media)
    certificate = Certificate(*self_signed(folder, ["localhost"]))

    async def page(request: web.Request) -> web.Response:
        text = PAGE.replace("new RTCPeerConnection()", "new RTCPeerConnection(window.configuration)")
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    front = web.AppRunner(app)
    await front.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    http: Any = front.server
    door = FrontDoor(listening, http=http, streams=streams, context=certificate.context)
    door.start()
    servers = IceServers((f"turns:localhost:{port}?transport=tcp",), streams.credential)
    try:
        yield media, servers, f"https://localhost:{port}/"
    finally:
        await door.close()
        await front.cleanup()
        await media.close()
        await streams.close()


def connected(peer: Peer) -> bool:
    return peer.state is PeerState.CONNECTED


async def decodes(page: Page) -> bool:
    inbound = (await page.evaluate("stats()"))["inbound"]
    return "4" in inbound and bool(inbound["4"]["frames"] > 10)


async def test_media_passes_where_only_the_pages_tls_does(tmp_path: Path) -> None:
    # Chromium judges a TURN server's certificate like a page's, and by the same flag lets it pass here.
    async with (
        secure_door(tmp_path) as (media, servers, url),
        running_browser("--ignore-certificate-errors") as browser,
    ):
        pages = []
        for place, seat in enumerate("ab"):
            context = await browser.new_context(permissions=["camera", "microphone"])
            page = await context.new_page()
            await page.goto(url)
            (server,) = servers.until((int(time.time()) + 600) * 1000, "meeting/A")
            given = {"urls": list(server.urls), "username": server.username, "credential": server.credential}
            await page.evaluate(
                "(given) => { window.configuration = {iceTransportPolicy: 'relay', iceServers: [given]}; }",
                given,
            )
            peer = media.open_peer("room", seat, place, lambda state: None)
            peer.answer(await page.evaluate("(offer) => join(offer)", peer.offer()))
            await eventually(partial(connected, peer), timeout=20)
            assert peer.path == "turn"
            pages.append(page)
        media.set_gate("room", frozenset("ab"), frozenset())

        for page in pages:
            await eventually(partial(decodes, page), timeout=20)
        assert media.counters["failed"] == 0
