"""Where one TCP port is all that can be reached, where there is no IPv4, and where the way is a coturn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from signaling.tls import self_signed
from tests.e2e.conftest import CHROMIUM, running_browser, running_practice
from tests.e2e.people import People
from tests.e2e.test_blocked_udp import block, goes
from tests.support import coturn
from tests.support.namespaces import Far, NotAllowedError, far_place

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

ADDRESS = """async () => {
  const stats = [...(await window.connections.at(-1).getStats()).values()];
  const transport = stats.find((entry) => entry.type === "transport");
  const pair = stats.find((entry) => entry.id === transport?.selectedCandidatePairId);
  return stats.find((entry) => entry.id === pair?.remoteCandidateId)?.address;
}"""
ONLY_THIS = """
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration) {
    const iceServers = configuration.iceServers.filter(({ urls }) => urls[0].includes(":PORT?"));
    super({ ...configuration, iceServers, iceTransportPolicy: "relay" });
  }
};
"""


@pytest_asyncio.fixture(loop_scope="session")
async def far() -> AsyncIterator[Far]:
    try:
        with far_place() as place:
            yield place
    except NotAllowedError as why:
        pytest.skip(f"No network namespaces here: {why}")


async def test_one_tcp_port_is_enough_whichever_worker_answers(far: Far, tmp_path: Path) -> None:
    """Two workers, TLS, and a kernel that lets nothing out but TCP to the port of the pages."""
    cert, key = self_signed(tmp_path, [far.here])
    secure = ("--host", far.here, "--tls-cert", str(cert), "--tls-key", str(key), "--workers", "2")
    async with (
        running_practice(tmp_path, *secure, origin=f"https://{far.here}") as practice,
        running_browser("--ignore-certificate-errors", program=far.starts(CHROMIUM, tmp_path)) as chromium,
    ):
        far.reach_only(practice.port)
        people = People(practice, chromium)
        visit = await practice.book()
        therapist = await people.therapist(visit)
        a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
        # Left to itself, a browser looks no further when the first of the two ways is open.
        await asyncio.gather(block(a, "tcp", 9), block(b, "turn", 9), block(therapist, "tcp", 9))
        await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
        await therapist.sees_seat("A", state="waiting", presence="connected")
        await therapist.sees_seat("B", state="waiting", presence="connected")
        await therapist.presses("Admit both")
        everyone = (a, b, therapist)
        await asyncio.gather(*(person.sees_and_hears(2) for person in everyone))
        await asyncio.gather(
            goes(a, "direct", "tcp"), goes(b, "relay", "tls"), goes(therapist, "direct", "tcp")
        )
        (room,) = (await practice.api("admin", "GET", "/api/board"))["rooms"]
        for seat in room["seats"]:
            assert (seat["suite"], seat["tls"]) == ("AEAD_AES_256_GCM", "TLSv1.3 TLS_AES_256_GCM_SHA384")
            assert seat["path"] == ("turn" if seat["seat"] == "B" else "tcp")
        await people.go_home()


async def test_a_visit_without_ipv4(tmp_path: Path, browser: Browser) -> None:
    options = ("--host", "::1", "--public-url", "http://[::1]:{port}")
    async with running_practice(tmp_path, *options, origin="http://[::1]") as practice:
        people, visit = People(practice, browser), await practice.book()
        therapist = await people.therapist(visit)
        a, b = await people.patient(visit, "A"), await people.patient(visit, "B")
        await block(b, "turn", 0)
        await asyncio.gather(therapist.opens_the_room(), a.waits(), b.waits())
        await therapist.sees_seat("A", state="waiting", presence="connected")
        await therapist.sees_seat("B", state="waiting", presence="connected")
        await therapist.presses("Admit both")
        await asyncio.gather(*(person.sees_and_hears(2) for person in (a, b, therapist)))
        await asyncio.gather(goes(a, "direct", "udp"), goes(b, "relay", "tcp"))
        assert await a.page.evaluate(ADDRESS) == "::1"
        await people.go_home()


@pytest.mark.skipif(coturn.PROGRAM is None, reason=coturn.MISSING)
async def test_people_come_through_the_practices_own_coturn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Browser
) -> None:
    secret = "shared-with-coturn-of-the-practice"
    async with coturn.running_coturn(tmp_path, secret) as port:
        monkeypatch.setenv("QUIETROOM_TURN_SECRET", secret)
        urls = (f"turn:127.0.0.1:{port}?transport=udp", f"turn:127.0.0.1:{port}?transport=tcp")
        monkeypatch.setenv("QUIETROOM_TURN_URLS", ",".join(urls))
        async with running_practice(tmp_path) as practice:
            people, visit = People(practice, browser), await practice.book("individual")
            therapist, patient = await people.therapist(visit), await people.patient(visit, "P")
            await patient.context.add_init_script(ONLY_THIS.replace("PORT", str(port)))
            await asyncio.gather(therapist.opens_the_room(), patient.waits())
            await therapist.sees_seat("P", state="waiting", presence="connected")
            await therapist.presses("Admit Patient")
            await asyncio.gather(patient.sees_and_hears(1), therapist.sees_and_hears(1))
            await goes(patient, "relay", "udp")
            await people.go_home()
