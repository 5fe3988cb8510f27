"""The frame cipher held to its official vectors in a real browser, with that browser's cryptography."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Route

from tests.e2e.people import People

VECTORS = Path(__file__).parents[1] / "vectors"

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_official_vectors_hold_in_chromium(people: People) -> None:
    async def checker(route: Route) -> None:
        await route.fulfill(path=VECTORS / "sframe.mjs", content_type="text/javascript")

    person = await people.therapist()
    await person.page.route("**/static/sframe-check.mjs", checker)
    await person.page.goto(people.practice.url)
    found = await person.page.evaluate(
        """async (vectors) => {
          const {check} = await import("/static/sframe-check.mjs");
          return await check(await import("/static/js/sframe.js"), vectors);
        }""",
        json.loads((VECTORS / "sframe.json").read_text()),
    )
    assert found == {"faults": [], "headers": 196, "refused": 93, "frames": 1}
