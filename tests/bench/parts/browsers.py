"""People in real browsers: how soon an admitted patient is seen, and how soon a lost therapist is missed.

Each browser is a process group of its own, so that it can be killed as a whole and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Playwright, async_playwright

from tests.bench.parts.wire import WITHIN, Message, book, calling
from tests.e2e.conftest import CHROMIUM, FLAGS
from tests.e2e.people import Patient, People, Therapist
from tests.e2e.practice import Practice, Visit
from tests.support.impairment import CLEAR, Conditions, Link

SEAT: Final = "P"
LABEL: Final = "Patient"

WINDOW: Final = {"width": 360, "height": 240}
"""Small: no GPU paints the pictures here, and on two cores that work would be most of what is measured."""

# Reads every picture this page decodes, before it is painted, and notes the first one after a click. A frame
# that was on its way from before cannot be taken for it: the click comes only after a while without any. Nor
# can the black that a patient sends until the keys are there, which is smaller than what any camera gives.
WATCH: Final = """() => {
  window.watched = {lastFrame: performance.now(), clicked: null, firstFrame: null};
  const clicked = (event) => Object.assign(watched, {clicked: event.timeStamp, firstFrame: null});
  addEventListener("click", clicked, {capture: true});
  for (const {receiver} of window.connections.at(-1).getTransceivers()) {
    if (receiver.track.kind !== "video") continue;
    const reader = new MediaStreamTrackProcessor({track: receiver.track.clone()}).readable.getReader();
    (async () => {
      for (;;) {
        const {done, value} = await reader.read();
        if (done) return;
        const black = value.codedWidth <= 160;
        value.close();
        watched.lastFrame = performance.now();
        if (!black && watched.clicked !== null && watched.lastFrame > watched.clicked)
          watched.firstFrame ??= watched.lastFrame;
      }
    })();
  }
}"""
# The same without a click: from so many milliseconds on.
AFTER: Final = "(ms) => Object.assign(watched, {clicked: performance.now() + ms, firstFrame: null})"
QUIET: Final = "() => performance.now() - watched.lastFrame > 500"
# The way to the media port leads into nothing over UDP, the other ways stay as they are. Notes when the page
# took the first offer and when its transport stood.
BLOCKED: Final = """(() => {
  const [host, port] = NOWHERE;
  const before = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
    window.began ??= performance.now();
    this.addEventListener("connectionstatechange", () => {
      if (this.connectionState === "connected") window.connected ??= performance.now();
    });
    const blocked = sdp.replace(/^(a=candidate:\\S+ 1 udp \\d+) \\S+ \\d+/gim, `$1 ${host} ${port}`);
    return before.call(this, { type, sdp: blocked });
  };
})();"""
STOOD: Final = "() => window.connected !== undefined && window.connected - window.began"
SEEN: Final = "() => watched.firstFrame !== null && watched.firstFrame - watched.clicked"


@dataclass(frozen=True, slots=True)
class Chromium:
    """A running browser."""

    browser: Browser
    process: asyncio.subprocess.Process

    def kill(self) -> float:
        """SIGKILL to all its processes at once; returns when, in monotonic seconds."""
        now = time.monotonic()
        os.killpg(self.process.pid, signal.SIGKILL)
        return now


@asynccontextmanager
async def chromium(playwright: Playwright) -> AsyncIterator[Chromium]:
    """A browser with a fake camera of 30 pictures a second; gone at the end with all its processes."""
    with tempfile.TemporaryDirectory(prefix="quietroom-bench-", ignore_cleanup_errors=True) as profile:
        flags = [flag for flag in FLAGS if not flag.startswith("--use-fake-device-for-media-stream")]
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            "--headless",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            "--use-fake-device-for-media-stream=fps=30",
            *flags,
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            port = await _debugging_port(Path(profile) / "DevToolsActivePort")
            browser = await playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
            yield Chromium(browser, process)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _debugging_port(told_in: Path) -> int:
    async with asyncio.timeout(WITHIN):
        while not (told_in.exists() and (lines := told_in.read_text().splitlines())):  # noqa: ASYNC110, ASYNC240 -- another process writes it
            await asyncio.sleep(0.02)
    return int(lines[0])


async def admissions(practice: Practice, visit: Visit, runs: int, *, rtt_ms: float = 0.0) -> list[float]:
    """Milliseconds from the therapist's click on Admit to the first decoded picture of the patient.

    The patient waits with a connected transport; between runs the therapist moves them back.

    Args:
        visit: of one patient.
        rtt_ms: round trip of each of them to the server, of signaling as of media.
    """
    took = []
    conditions = Conditions(delay_ms=rtt_ms / 2) if rtt_ms else None
    async with _meeting(practice, visit, conditions) as (therapist, _, _):
        for _ in range(runs):
            took.append(await _admitted_and_seen(therapist))
            await therapist.presses(f"Move back {LABEL}")
            await therapist.sees_seat(SEAT, state="waiting")
    return took


async def blackouts(practice: Practice, runs: int, seconds: float) -> list[float]:
    """Milliseconds from the end of a blackout to the first picture of the patient that the therapist decodes.

    Args:
        seconds: how long nothing at all comes through between the patient and the server.
    """
    took = []
    visit = await practice.book("individual")
    async with _meeting(practice, visit, CLEAR) as (therapist, patient, links):
        await _admitted_and_seen(therapist)
        for _ in range(runs):
            await asyncio.gather(patient.sees_and_hears(1, frames=30), therapist.sees_and_hears(1, frames=30))
            until = links[1].blackout(seconds)
            await therapist.page.evaluate(AFTER, (until - time.monotonic()) * 1000)
            seen = await therapist.page.wait_for_function(SEEN, timeout=(seconds + WITHIN) * 1000)
            took.append(float(await seen.json_value()))
    return took


async def connections_without_udp(practice: Practice, runs: int) -> list[float]:
    """Milliseconds from the offer to a transport that stands, for a patient whose network passes no UDP."""
    took = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nowhere:
        nowhere.bind(("127.0.0.1", 0))  # takes everything and answers nothing, as a firewall does
        script = BLOCKED.replace("NOWHERE", json.dumps(nowhere.getsockname()))
        for visit in await book(practice, runs):
            async with async_playwright() as playwright, chromium(playwright) as browser:
                patient = await People(practice, browser.browser).patient(visit, SEAT, viewport=WINDOW)
                await patient.context.add_init_script(script)
                await patient.waits()
                stood = await patient.page.wait_for_function(STOOD, timeout=WITHIN * 1000)
                took.append(float(await stood.json_value()))
    return took


@asynccontextmanager
async def _meeting(
    practice: Practice, visit: Visit, conditions: Conditions | None
) -> AsyncIterator[tuple[Therapist, Patient, list[Link]]]:
    """A therapist in an open room, watching, and a patient who waits with a connected transport.

    Args:
        conditions: of a network for each of them, the therapist's first, from when both are there: how long
            pages take to load is not measured. ``None`` for none at all.
    """
    async with async_playwright() as playwright, chromium(playwright) as one, chromium(playwright) as other:
        people = People(practice, one.browser)
        links = [people.link() for _ in range(2)] if conditions else []
        hers, theirs = links or (None, None)
        try:
            therapist = await people.therapist(visit, viewport=WINDOW, link=hers)
            patient = await people.patient(visit, SEAT, browser=other.browser, viewport=WINDOW, link=theirs)
            await asyncio.gather(therapist.opens_the_room(), patient.waits())
            await therapist.sees_seat(SEAT, state="waiting", presence="connected")
            await patient.page.wait_for_selector("body[data-transport=connected]")
            await therapist.page.evaluate(WATCH)
            for link in links:
                link.both(conditions or CLEAR)
            yield therapist, patient, links
        finally:
            await people.go_home()


async def _admitted_and_seen(therapist: Therapist) -> float:
    page = therapist.page
    await page.wait_for_function(QUIET, timeout=WITHIN * 1000)
    await therapist.presses(f"Admit {LABEL}")
    seen = await page.wait_for_function(SEEN, timeout=WITHIN * 1000)
    return float(await seen.json_value())


async def lost_clinicians(practice: Practice, runs: int) -> list[float]:
    """Milliseconds from the death of the therapist's browser to the patient's ``place`` that says paused.

    The patient has no browser: when a message reached them is then a reading of the same clock as the kill.
    """
    (visit,) = await book(practice, 1)
    took = []
    async with async_playwright() as playwright, calling(practice) as wire:
        patient = await wire.waiting(visit, SEAT)
        for run in range(runs):
            began = time.monotonic()
            async with chromium(playwright) as browser:
                therapist = await People(practice, browser.browser).therapist(visit)
                await therapist.opens_the_room()
                await therapist.page.wait_for_selector("body[data-transport=connected]")
                if run == 0:
                    await therapist.presses(f"Admit {LABEL}")
                await patient.when(_is("admitted"), since=began)
                killed = browser.kill()
                took.append((await patient.when(_is("paused"), since=killed) - killed) * 1000)
    return took


def _is(state: str) -> Callable[[Message], bool]:
    return lambda message: message["type"] == "place" and message["state"] == state
