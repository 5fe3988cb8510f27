"""A patient's network goes and another one comes: the same seat, no knock, sound and picture soon again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.e2e.conftest import CHROMIUM, FLAGS, running_practice
from tests.e2e.people import People
from tests.e2e.practice import Practice
from tests.support.namespaces import NotAllowedError, Roaming, roaming_place
from tests.support.waiting import eventually, soon

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

BACK_WITHIN = 3.0
"""Seconds to media in both directions, from the new network, or from when the browser's WebRTC knows it:
Chromium on Linux tells it up to 3.4 s later than the page."""
BACK_UNTOLD = 3.0
"""The same, always from the change itself, if the browser never says that it has lost one: silence must tell.
Chromium's WebRTC knows the other one after two seconds here; on a Linux with IPv6 addresses after up to four,
and until then nothing can come over it."""

ADDRESSES = """async () => {
  const pc = new (Object.getPrototypeOf(RTCPeerConnection))();  // not one of the page's
  const found = new Set();
  pc.addTransceiver("audio");
  await new Promise((done) => {
    pc.onicecandidate = ({ candidate }) => candidate === null ? done() : found.add(candidate.address);
    void pc.setLocalDescription();
  });
  pc.close();
  return [...found].filter((address) => address);
}"""
NOTING_NETWORKS = """() => {
  window.noted = {};
  connections.at(-1).addEventListener("icecandidate", ({ candidate }) => {
    if (candidate?.address) noted[candidate.address] = Date.now() / 1000;
  });
}"""


@pytest.fixture
def place() -> Iterator[Roaming]:
    try:
        with roaming_place() as made:
            yield made
    except NotAllowedError as error:
        pytest.skip(str(error))


@pytest_asyncio.fixture(loop_scope="session")
async def reachable(tmp_path: Path, place: Roaming) -> AsyncIterator[Practice]:
    """A practice with pages on localhost, which needs no certificate, and media on the wire."""
    options = (
        "--host",
        "0.0.0.0",
        "--media-port",
        "{port}",
        "--behind-proxy",
        "--public-url",
        "http://localhost:{port}",
    )
    async with running_practice(tmp_path, *options, "--media-host", place.here) as practice:
        yield practice


@pytest_asyncio.fixture(loop_scope="session")
async def phone(tmp_path: Path, place: Roaming) -> AsyncIterator[Browser]:
    """A browser in that place; our address is its localhost."""
    flags = [*FLAGS, f"--host-resolver-rules=MAP localhost {place.here}"]
    async with async_playwright() as playwright:
        path = place.wrapper(tmp_path, CHROMIUM)
        browser = await playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        await browser.close()


async def test_another_network_brings_everything_back(
    reachable: Practice, browser: Browser, phone: Browser, place: Roaming
) -> None:
    people, visit = People(reachable, browser), await reachable.book("individual")
    therapist, patient = await people.therapist(visit), await people.patient(visit, "P", browser=phone)
    await asyncio.gather(therapist.opens_the_room(), patient.waits())
    await therapist.presses("Admit Patient")
    await patient.is_in_the_room()
    await asyncio.gather(patient.sees_and_hears(1), therapist.sees_and_hears(1))

    transports, network = await patient.transports(), 0
    await patient.page.evaluate(NOTING_NETWORKS)

    async def moves(untold: bool = False) -> float:
        nonlocal network
        network = 1 - network
        address, began = (place.first, place.second)[network], time.time()
        place.moves(network, untold=untold)
        await asyncio.gather(patient.sees_and_hears(1, frames=3), therapist.sees_and_hears(1, frames=3))
        back = time.time()
        noted = await patient.page.evaluate("noted")
        await eventually(lambda: knows_only(address), 10)
        print(f"another network: {back - began:.2f} s, known after {noted.get(address, 0) - began:.2f} s")
        return back - began if untold else back - max(began, noted[address])

    async def knows_only(address: str) -> bool:
        """A browser that has not got over one change of networks takes the next for none."""
        return bool(await patient.page.evaluate(ADDRESSES) == [address])

    await soon(BACK_WITHIN, lambda _: moves())
    assert await patient.transports() == transports, "the same transport over other ways"
    await soon(BACK_UNTOLD, lambda _: moves(untold=True))
    await patient.is_in_the_room()
    events = [event[0] for event in await reachable.audit(visit.meeting)]
    assert events.count("seat.knocked") == events.count("seat.admitted") == 1
    assert "seat.left" not in events
    await people.go_home()
