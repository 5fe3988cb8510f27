"""Somebody comes with Debian's Firefox, while the others have Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.e2e.conftest import running_practice
from tests.e2e.people import CARRIED, REMEMBER_CONNECTIONS, People, flowing
from tests.e2e.practice import Practice, Visit, free_port
from tests.e2e.test_blocked_udp import blocked
from tests.e2e.test_encrypted_visit import CHECKED, SEALED, conversation, hears_of, pictures, writes
from tests.support.firefox import Firefox, running_firefox
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

SOUNDS: Final = 100
"""Packets in a second from two people who are only heard."""
ENTER: Final = "\ue007"
"""That key, as WebDriver spells it."""
PICTURES: Final = "async () => [...document.querySelectorAll('.comparing li')].map((item) => item.innerText)"

COUNTING_RESTARTS: Final = """window.asked = 0;
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {
  window.asked += String(text).includes("restart-media");
  return send.call(this, text);
};"""
ASKED: Final = "async () => window.asked"
OTHER_NETWORK: Final = """async () => {
  for (const event of ["offline", "online"]) window.dispatchEvent(new Event(event));
}"""
"""What a browser says of it; here the old one goes on to carry."""

MADE_UP: Final = "10.77.0.1"
"""An address for a machine that has none but loopback."""

# Browsers may hold back what makes a noise: the therapist's picture and voice must play without one more
# click.
PLAYED = """async () => ["video[aria-label='Picture of Therapist']", "audio"]
  .map((name) => [...document.querySelectorAll(name)].some(({ srcObject, paused, muted, currentTime }) =>
    srcObject && !paused && currentTime > 0 && (name !== "audio" || !muted)))"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """An address of this machine that is not loopback: Firefox sends no media to 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing
        found = str(probe.getsockname()[0])
        if not found.startswith("127."):
            yield found
            return
    if os.geteuid() != 0:
        pytest.skip("Firefox needs an address that is not loopback, and only root can add one.")
    change = ("ip", "addr", "{}", f"{MADE_UP}/32", "dev", "lo")
    subprocess.run([word.format("add") for word in change], check=True)
    yield MADE_UP
    subprocess.run([word.format("del") for word in change], check=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reachable(tmp_path_factory: pytest.TempPathFactory, address: str) -> AsyncIterator[Practice]:
    """A practice with pages on localhost, which needs no certificate, and media on the address."""
    folder = tmp_path_factory.mktemp("reachable")
    options = ("--behind-proxy", "--public-url", "http://localhost:{port}", "--media-host", address)
    async with running_practice(folder, *options, "--media-port", str(free_port())) as practice:
        yield practice


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def firefox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Firefox]:
    async with running_firefox(tmp_path_factory.mktemp("firefox")) as running:
        yield running


async def knocks(firefox: Firefox, visit: Visit, seat: str, *scripts: str) -> None:
    """From the link into the waiting room."""
    await firefox.opens(visit.links[seat])
    for script in (REMEMBER_CONNECTIONS, *scripts):
        await firefox.runs(script)  # the page makes its first connection much later
    await firefox.types("Visit password", visit.password)
    await firefox.presses("Continue")
    await firefox.sees("Camera and microphone")
    await firefox.presses("Check camera and microphone")
    await firefox.presses("Continue")
    await firefox.ticks("I have read this and agree")
    await firefox.presses("Enter the waiting room")
    await firefox.sees("You are in the waiting room")


async def test_a_partner_comes_with_firefox_and_the_other_with_chromium(
    reachable: Practice, browser: Browser, firefox: Firefox
) -> None:
    people, visit = People(reachable, browser), await reachable.book()
    therapist, a = await people.therapist(visit), await people.patient(visit, "A")
    await asyncio.gather(
        therapist.opens_the_room(), a.waits(), knocks(firefox, visit, "B", COUNTING_RESTARTS)
    )
    for seat in ("A", "B"):
        await therapist.sees_seat(seat, state="waiting", presence="connected")
    await therapist.receives_nothing()

    async def together() -> None:
        await firefox.sees("You are in the room")
        await firefox.reads(SEALED)
        all_two = (person.sees_and_hears(2) for person in (therapist, a))
        await asyncio.gather(*all_two, flowing(lambda: firefox.evaluate(CARRIED), 2))

    await therapist.presses("Admit both")
    await together()
    assert await firefox.evaluate(PLAYED) == [True, True]
    assert (await firefox.evaluate(CARRIED))["suite"] == "SRTP_AEAD_AES_256_GCM"

    # Another network comes: other ways are asked for until something comes over them, which it does at once.
    await firefox.evaluate(OTHER_NETWORK)
    await eventually(lambda: firefox.evaluate(ASKED), 10)
    before = (await firefox.evaluate(CARRIED))["packetsReceived"]

    async def seconds_later() -> bool:
        return bool((await firefox.evaluate(CARRIED))["packetsReceived"] > before + 2 * SOUNDS)

    await eventually(seconds_later, 20)
    assert await firefox.evaluate(ASKED) == 1

    # They write, both ways.
    for page in (therapist, firefox):
        await page.presses("Chat")
    await firefox.types("Your message", f"Grüße{ENTER}")
    await hears_of(therapist, "Chat", "Grüße")
    await writes(conversation(therapist, "Chat"), "Good morning.")
    await firefox.reads("Good morning.")

    # They compare five pictures.
    await therapist.presses("Check that nobody listens in")
    shown = await pictures(therapist)
    assert shown == await pictures(a)
    await firefox.reads(shown[4])
    assert await firefox.evaluate(PICTURES) == shown
    await firefox.presses("They are the same")
    await a.presses("They are the same")
    await therapist.presses("Everybody says they are the same")
    await firefox.reads(CHECKED)

    # One is moved back, and comes in again.
    await therapist.presses("Move back Partner B")
    await firefox.sees("You are in the waiting room")
    await asyncio.gather(therapist.sees_and_hears(1), a.sees_and_hears(1))
    await therapist.presses("Admit Partner B")
    await together()

    await therapist.ends_for_everyone()
    await firefox.sees("The visit has ended")
    await people.go_home()


@pytest.mark.parametrize(("only", "path"), [("tcp", "tcp"), ("turn", "turn")])
async def test_firefox_comes_where_udp_is_blocked(
    reachable: Practice, browser: Browser, firefox: Firefox, only: str, path: str
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as swallowing:
        swallowing.bind(("0.0.0.0", 0))
        people, visit = People(reachable, browser), await reachable.book("individual")
        therapist = await people.therapist(visit)
        await therapist.opens_the_room()
        await knocks(firefox, visit, "P", blocked(only, swallowing.getsockname()[1]))
        await therapist.sees_seat("P", state="waiting", presence="connected")
        await therapist.presses("Admit Patient")
        await firefox.sees("You are in the room")
        await asyncio.gather(therapist.sees_and_hears(1), flowing(lambda: firefox.evaluate(CARRIED), 1))
        (room,) = [
            room
            for room in (await reachable.api("admin", "GET", "/api/board"))["rooms"]
            if room["room"] == visit.meeting
        ]
        assert next(seat["path"] for seat in room["seats"] if seat["seat"] == "P") == path
        await firefox.presses("Leave")
        await people.go_home()
