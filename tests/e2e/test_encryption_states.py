"""What people see of end-to-end encryption in every state, also in those that only a hostile server causes.

The pages' own views and styles under their own headers; only the script that talks to the server is another.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Route

from tests.e2e.looking import looks_right
from tests.e2e.people import People
from tests.e2e.practice import Practice

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

GALLERY = Path(__file__).with_name("encryption_gallery.mjs")


@pytest.mark.parametrize(("path", "script"), [("/j/k7f3q2", "visit"), ("/host/k7f3q2", "host")])
async def test_every_state_looks_right(path: str, script: str, practice: Practice, people: People) -> None:
    person = await people.therapist()

    async def gallery(route: Route) -> None:
        real = await route.fetch()
        await route.fulfill(response=real, body=GALLERY.read_text())

    await person.page.route(f"**/js/{script}.js", gallery)
    await person.page.goto(f"{practice.url}{path}")
    await person.page.wait_for_selector("body[data-gallery]")
    states = await person.page.evaluate("window.states")
    assert len(states) > 15
    for state in states:
        await person.page.evaluate("(name) => window.show(name)", state)
        await looks_right(person.page, state)
