"""One practice and one browser for the browser tests; each person has a context of their own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.e2e.people import People
from tests.e2e.practice import QUIETROOM, Practice

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream=fps=20",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


@contextlib.asynccontextmanager
async def running_practice(
    folder: Path, *options: str, origin: str = "http://localhost", program: tuple[str, ...] = (QUIETROOM,)
) -> AsyncIterator[Practice]:
    """A practice of one's own, for tests that kill it or change its ``options`` or ``program``."""
    practice = Practice(folder / "data", options=options, origin=origin, program=program)
    await practice.hire()
    try:
        await practice.start()  # one that is not ready in time is stopped as well
        yield practice
    finally:
        code = await practice.stop()
        assert "Traceback" not in practice.log(), practice.log()
        assert code in (0, -9), practice.log()


SLOW_CAMERA = "--use-fake-device-for-media-stream=fps=8"
"""For tests that look whether pictures move and not how many there are: encoding them is what costs most."""


@contextlib.asynccontextmanager
async def running_browser(*flags: str, program: str = CHROMIUM) -> AsyncIterator[Browser]:
    """Debian's Chromium with a fake camera and microphone; or another ``program`` that starts it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def practice(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Practice]:
    async with running_practice(tmp_path_factory.mktemp("practice")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    judged = any(item.get_closest_marker("alone") for item in request.session.items)
    async with running_browser(*([] if judged else [SLOW_CAMERA])) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def nobody_stays(browser: Browser) -> AsyncIterator[None]:
    """Close what a test that failed has left open: pages in a call would slow down all that come after."""
    before = list(browser.contexts)
    yield
    for context in browser.contexts:
        if context not in before:
            await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def people(practice: Practice, browser: Browser) -> AsyncIterator[People]:
    everyone = People(practice, browser)
    yield everyone
    await everyone.go_home()


@pytest_asyncio.fixture(loop_scope="session")
async def own_practice(tmp_path: Path) -> AsyncIterator[Practice]:
    """A practice that this test alone uses and may kill."""
    async with running_practice(tmp_path) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def own_people(own_practice: Practice, browser: Browser) -> AsyncIterator[People]:
    everyone = People(own_practice, browser)
    yield everyone
    await everyone.go_home()
