"""A program whose media nobody here wrote publishes: GStreamer, in both of the codecs that are taken."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.conftest import running_practice
from tests.e2e.people import WITHIN, People
from tests.e2e.practice import Practice, Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

PROGRAM: Final = (
    "/usr/bin/python3",
    str(Path(__file__).parent.parent / "support" / "gstreamer_whip.py"),
)
DECODED: Final = """async () => {
  const stats = [...(await window.connections.at(-1).getStats()).values()];
  const video = stats.find((entry) => entry.type === "inbound-rtp" && entry.framesDecoded > 0);
  return stats.find((entry) => entry.id === video?.codecId)?.mimeType;
}"""


@asynccontextmanager
async def publishing(practice: Practice, visit: Visit, codec: str, log: Path) -> AsyncIterator[None]:
    """The program, which asks until it is let in."""
    arguments = (f"{practice.url}/whip/{visit.meeting}", visit.tokens["A"], codec)
    with log.open("wb") as told:
        process = await asyncio.create_subprocess_exec(*PROGRAM, *arguments, stdout=told, stderr=told)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_gstreamer_waits_is_admitted_and_is_seen_and_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Browser, codec: str
) -> None:
    looked = await asyncio.to_thread(
        subprocess.run, PROGRAM, capture_output=True, text=True, check=False, timeout=60
    )
    if looked.returncode != 0:
        pytest.skip(f"No GStreamer with WebRTC for Debian's Python: {looked.stderr.strip()[-200:]}")
    monkeypatch.setenv("QUIETROOM_WHIP", "1")
    log = tmp_path / "program.log"
    async with running_practice(tmp_path) as practice:
        people = People(practice, browser)
        visit = await practice.book_transport_only()
        therapist = await people.therapist(visit)
        await therapist.opens_the_room()
        patient = await people.patient(visit, "A")
        await patient.waits()  # accepts the agreement
        await patient.presses("Leave the waiting room")
        async with publishing(practice, visit, codec, log):
            await expect(therapist.card("A")).to_contain_text("A program sends sound", timeout=WITHIN)
            await therapist.presses("Admit Partner A")
            await therapist.sees_and_hears(1)
            caption = therapist.page.locator("figure.tile figcaption")
            await expect(caption).to_have_text("Partner A · program", timeout=WITHIN)
            assert await therapist.page.evaluate(DECODED) == f"video/{codec}"
        await people.go_home()
