"""The media port seen from real browsers: what they decode, what they hear, and what never reaches them.

Between each page and the port stands a relay that counts the RTP packets in each direction, so "nothing" is
measured on the wire and not believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from rooms.media import MediaPort, Peer, PeerState
from tests.rooms.raw_client import until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream=fps=10",
    "--use-fake-ui-for-media-stream",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
]

PAGE = """<!doctype html><meta charset="utf-8"><title>seat</title><body><script>
async function join(offer) {
  const pc = window.pc = new RTCPeerConnection();
  pc.ontrack = (event) => {
    const element = document.createElement(event.track.kind);
    element.autoplay = true;
    element.muted = event.track.kind === 'video';
    element.srcObject = new MediaStream([event.track]);
    document.body.append(element);
  };
  await pc.setRemoteDescription({type: 'offer', sdp: offer});
  const tracks = await navigator.mediaDevices.getUserMedia(
    {audio: true, video: {width: 320, height: 240, frameRate: 10}});
  const published = pc.getTransceivers().slice(0, 3);
  for (const transceiver of published) transceiver.direction = 'sendonly';
  await published[0].sender.replaceTrack(tracks.getAudioTracks()[0]);
  await published[1].sender.replaceTrack(tracks.getVideoTracks()[0]);
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
}
async function showScreen() {
  const canvas = document.createElement('canvas');
  canvas.width = 320; canvas.height = 240;
  const context = canvas.getContext('2d');
  let n = 0;
  setInterval(() => { context.fillStyle = `hsl(${n++ * 7} 80% 50%)`; context.fillRect(0, 0, 320, 240); }, 66);
  await pc.getTransceivers()[2].sender.replaceTrack(canvas.captureStream(15).getVideoTracks()[0]);
}
async function stats() {
  const found = {inbound: {}, outbound: {}, cipher: null, state: pc.connectionState};
  (await pc.getStats()).forEach((entry) => {
    if (entry.type === 'inbound-rtp') {
      found.inbound[entry.mid] = {packets: entry.packetsReceived, frames: entry.framesDecoded || 0,
        energy: entry.totalAudioEnergy || 0, lost: entry.packetsLost};
    }
    if (entry.type === 'outbound-rtp') found.outbound[entry.mid] = entry.packetsSent;
    if (entry.type === 'transport') found.cipher = entry.srtpCipher;
  });
  return found;
}
</script>"""


class Relay:
    """Stands between one page and the port; counts RTP (not RTCP) in each direction.

    Args:
        server: address of the media port.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self.up = 0
        self.down = 0
        self.server = server
        self._loop = asyncio.get_running_loop()
        self._ways: dict[tuple[str, int], socket.socket] = {}
        self._front = _udp_socket()
        self._front.bind(("127.0.0.1", 0))
        self.port = self._front.getsockname()[1]
        self._loop.add_reader(self._front, self._from_page)

    def close(self) -> None:
        for sock in (self._front, *self._ways.values()):
            self._loop.remove_reader(sock)
            sock.close()

    def _from_page(self) -> None:
        data, page = self._front.recvfrom(2048)
        self.up += is_rtp(data)
        way = self._ways.get(page)
        if way is None:
            way = self._ways[page] = _udp_socket()
            way.connect(self.server)
            self._loop.add_reader(way, self._to_page, way, page)
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            way.send(data)

    def _to_page(self, way: socket.socket, page: tuple[str, int]) -> None:
        try:
            data = way.recv(2048)
        except ConnectionRefusedError:
            return
        if is_rtp(data):
            self.down += 1
        with contextlib.suppress(BlockingIOError):
            self._front.sendto(data, page)


def _udp_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return sock


def is_rtp(datagram: bytes) -> bool:
    return len(datagram) > 1 and 127 < datagram[0] < 192 and not 192 <= datagram[1] <= 223


@dataclass
class Seat:
    """One browser page, its transport and the relay between them."""

    name: str
    place: int
    page: Page
    relay: Relay
    peer: Peer
    states: list[PeerState]

    async def join(self) -> None:
        self.peer.answer(await self.page.evaluate("join", self._through_relay(self.peer.offer())))

    async def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = await self.page.evaluate("stats()")
        return stats

    async def inbound(self, mid: int, what: str) -> float:
        entry = (await self.stats())["inbound"].get(str(mid), {})
        return float(entry.get(what, 0))

    async def connected(self) -> None:
        await until(lambda: self.peer.state is PeerState.CONNECTED, f"{self.name} connected")

    def _through_relay(self, offer: str) -> str:
        return offer.replace(f" {self.relay.server[1]} ", f" {self.relay.port} ")


class Visit:
    """A media port and the seats of one room."""

    room = "room-1"

    def __init__(self, port: MediaPort, browser: Browser, url: str) -> None:
        self.port = port
        self._browser = browser
        self._url = url
        self._relays: list[Relay] = []
        self._contexts: list[BrowserContext] = []

    async def seat(self, name: str, place: int) -> Seat:
        """Open a page, or the page of a seat again, with a fresh transport, and connect it."""
        context = await self._browser.new_context()
        self._contexts.append(context)
        page = await context.new_page()
        await page.goto(self._url)
        return await self._join(name, place, page)

    async def _join(self, name: str, place: int, page: Page) -> Seat:
        relay = Relay(("127.0.0.1", self.port.port))
        self._relays.append(relay)
        states: list[PeerState] = []
        seat = Seat(
            name, place, page, relay, self.port.open_peer(self.room, name, place, states.append), states
        )
        await seat.join()
        await seat.connected()
        return seat

    def gate(self, *seats: Seat, muted: tuple[Seat, ...] = ()) -> None:
        self.port.set_gate(
            self.room, frozenset(seat.name for seat in seats), frozenset(seat.name for seat in muted)
        )

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()
        for relay in self._relays:
            relay.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser) -> AsyncIterator[Visit]:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = MediaPort("127.0.0.1", 0)
    await port.start()
    visit = Visit(port, browser, f"http://127.0.0.1:{runner.addresses[0][1]}/")
    yield visit
    assert port.counters["failed"] == 0
    assert port.counters["dropped_unsendable"] == 0
    await port.close()
    await visit.close()
    await runner.cleanup()


def audio_of(source: Seat, viewer: Seat) -> int:
    """The mid under which the viewer hears the source."""
    return 3 + 2 * (source.place if source.place < viewer.place else source.place - 1)


def video_of(source: Seat, viewer: Seat) -> int:
    return audio_of(source, viewer) + 1


SCREEN = 9


async def sees(viewer: Seat, mid: int, more: float = 15) -> None:
    """Wait until that many more frames are decoded."""
    frames = await viewer.inbound(mid, "frames") + more

    async def decoded() -> bool:
        return await viewer.inbound(mid, "frames") > frames

    await until(decoded, f"{viewer.name} decodes {more} more frames of mid {mid}")


async def hears(viewer: Seat, mid: int) -> None:
    energy = await viewer.inbound(mid, "energy")

    async def louder() -> bool:
        return await viewer.inbound(mid, "energy") > energy

    await until(louder, f"{viewer.name} hears mid {mid}")


async def sends_behind_the_gate(*seats: Seat, packets: int = 100) -> None:
    """Wait until each page has sent that many more packets to the server."""
    goals = [seat.relay.up + packets for seat in seats]
    await until(
        lambda: all(seat.relay.up >= goal for seat, goal in zip(seats, goals, strict=True)),
        "the pages send",
    )


async def test_nothing_passes_before_the_gate_opens_and_all_is_seen_and_heard_after(visit: Visit) -> None:
    host, patient = await visit.seat("host", 0), await visit.seat("patient", 1)
    await sends_behind_the_gate(host, patient)
    assert visit.port.counters["packets_in"] > 100
    assert visit.port.counters["packets_out"] == 0
    assert (host.relay.down, patient.relay.down) == (0, 0)

    visit.gate(host, patient)
    for viewer, source in ((host, patient), (patient, host)):
        await sees(viewer, video_of(source, viewer))
        await hears(viewer, audio_of(source, viewer))
    stats = await host.stats()
    assert stats["cipher"] == "SRTP_AEAD_AES_256_GCM"
    assert host.peer.suite == patient.peer.suite == "AEAD_AES_256_GCM"
    assert host.states == [PeerState.CONNECTING, PeerState.CONNECTED]

    visit.gate(host)
    before = (host.relay.down, patient.relay.down)
    await sends_behind_the_gate(host, patient)
    # At most what the kernel still held for the relay at that instant.
    assert host.relay.down - before[0] <= 5
    assert patient.relay.down - before[1] <= 5

    visit.gate(host, patient)
    await sees(host, video_of(patient, host))
    await sees(patient, video_of(host, patient))
    quality = host.peer.quality()
    assert quality.bitrate_in > 50_000
    assert quality.bitrate_out > 50_000
    assert 0 <= quality.loss_in < 0.05
    assert 0 <= quality.loss_out < 0.05


async def test_a_muted_seat_is_seen_and_not_heard(visit: Visit) -> None:
    host, patient = await visit.seat("host", 0), await visit.seat("patient", 1)
    visit.gate(host, patient)
    await hears(host, audio_of(patient, host))
    visit.gate(host, patient, muted=(patient,))
    await sees(host, video_of(patient, host), more=5)
    heard = await host.inbound(audio_of(patient, host), "packets")
    await sees(host, video_of(patient, host))
    assert await host.inbound(audio_of(patient, host), "packets") == heard
    await hears(patient, audio_of(host, patient))
    visit.gate(host, patient)
    await hears(host, audio_of(patient, host))


async def test_the_screen_last_shown_is_the_one_that_is_seen(visit: Visit) -> None:
    host, first, second = (
        await visit.seat("host", 0),
        await visit.seat("first", 1),
        await visit.seat("second", 2),
    )
    visit.gate(host, first, second)
    await first.page.evaluate("showScreen()")
    await sees(host, SCREEN, more=10)
    await sees(second, SCREEN, more=10)
    assert await first.inbound(SCREEN, "packets") == 0
    await second.page.evaluate("showScreen()")
    await sees(first, SCREEN, more=10)
    await sees(host, SCREEN, more=10)
    visit.gate(host, first)
    await sees(host, SCREEN, more=10)


async def test_garbage_disturbs_nobody(visit: Visit) -> None:
    host, patient = await visit.seat("host", 0), await visit.seat("patient", 1)
    visit.gate(host, patient)
    await sees(host, video_of(patient, host), more=10)
    stranger = _udp_socket()
    stranger.connect(("127.0.0.1", visit.port.port))
    for size in (0, 1, 2, 11, 12, 20, 200, 1400, 9000):
        for first in (b"", b"\x00", b"\x16", b"\x80\x60", b"\x80\xc8", b"\xff"):
            stranger.send((first + os.urandom(size))[:size])
    await until(lambda: visit.port.counters["dropped_malformed"] > 0, "garbage is counted")
    await sees(host, video_of(patient, host), more=10)
    with pytest.raises(BlockingIOError):
        stranger.recv(2048)
    stranger.close()
