"""WHIP with libwebrtc at the other end: Chromium's own transport, spoken to over plain HTTP."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from signaling.app import Server
from tests.e2e.conftest import running_browser
from tests.signaling.test_whip_api import Scene, kinds_heard
from tests.signaling.visits import book, browser, hire, settings_for
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

OFFER = """async () => {
  window.pc = new RTCPeerConnection({bundlePolicy: "max-bundle"});
  const stream = await navigator.mediaDevices.getUserMedia({audio: true, video: true});
  for (const track of stream.getTracks()) pc.addTransceiver(track, {direction: "sendonly"});
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
}"""
ANSWER = "sdp => pc.setRemoteDescription({type: 'answer', sdp})"
RESTART = "async () => { pc.restartIce(); await pc.setLocalDescription(); return pc.localDescription.sdp; }"


async def test_chromium_publishes_is_seen_and_restarts_ice(tmp_path: Path) -> None:
    async with (
        Server(settings_for(tmp_path, whip=True)) as server,
        browser() as http,
        running_browser() as chromium,
    ):
        await hire(server)
        scene = Scene(await book(server, http))
        await scene.visit.enter("A")
        host, program = await scene.visit.host(), scene.program()
        page = await chromium.new_page()
        await page.goto(server.url)
        offer = await page.evaluate(OFFER)
        assert (await program.post(offer)).code == "wait-for-admission"
        assert await host.ask("act", action="admit", seats=["A"]) is None
        told = await program.post(offer)
        assert told.status == 201, told.text
        await page.evaluate(ANSWER, told.text)
        await eventually(lambda: len(kinds_heard(host)) == 2, timeout=20)

        renewed = await page.evaluate(RESTART)
        ice = re.findall(r"a=ice-(?:ufrag|pwd):\S+", renewed)[:2]
        restarted = await program.patch("\r\n".join(ice) + "\r\n", "*")
        assert restarted.status == 200
        answer = told.text
        for name in ("ice-ufrag", "ice-pwd"):
            (ours,) = re.findall(rf"a={name}:\S+", restarted.text)
            answer = re.sub(rf"a={name}:\S+", ours, answer)
        await page.evaluate(ANSWER, answer)
        peer = server.media._peers[str(scene.visit.meeting), "A"]
        await eventually(lambda: len(peer.agent.ufrags) == 1, timeout=15)  # the new generation was checked
        assert host.heard is not None
        received = host.heard.client.rtp
        heard = len(received)
        await eventually(lambda: len(received) > heard + 50, timeout=15)
        assert (await program.delete()).status == 200
        await eventually(lambda: host.view["seats"][0]["state"] == "left")
        await host.close()
        await program.close()
