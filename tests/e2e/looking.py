"""Looking at a page as everybody may see it: wide, narrow, enlarged, light, dark, and through axe.

The rules are WCAG 2.2, levels A and AA. Colours do not depend on the structure and the structure not on the
colours, so each width is looked at whole in one scheme and for contrast in the other.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any, Final

from playwright.async_api import CDPSession, Page

AXE: Final = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SHOTS: Final = os.environ.get("QUIETROOM_SHOTS")
"""A folder for a picture of each state, to look at by eye."""

WIDE: Final = (1280, 800, 1)
NARROW: Final = (320, 640, 1)
ENLARGED: Final = (640, 400, 2)
"""Width and height in CSS pixels, and device pixels for each: the last is 1280 wide at 200 %."""

# Media is not loaded in advance: a live stream has no metadata to wait for.
_RUN = """async (rules) => {
  const found = await axe.run(document, {runOnly: rules, preload: false, resultTypes: ["violations"]});
  return found.violations.flatMap(({id, nodes}) => nodes.map(({target, failureSummary}) =>
    `${id} at ${target.join(" ")}: ${failureSummary.replace(/\\s+/g, " ")}`));
}"""

_SHOWN = """[innerWidth, devicePixelRatio, matchMedia("(prefers-color-scheme: dark)").matches]"""

_TOO_WIDE = """() => {
  const {scrollWidth, clientWidth} = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const sticksOut = (element) => element.getBoundingClientRect().right > clientWidth;
  const wide = [...document.querySelectorAll("body *")].filter(sticksOut).slice(-3);
  return [`scrolls sideways, ${scrollWidth} of ${clientWidth}: ${wide.map((e) => e.outerHTML.slice(0, 90))}`];
}"""


async def looks_right(page: Page, state: str) -> None:
    """See that nothing is wrong with the page as it stands, in each width and scheme.

    Args:
        state: what the page shows, for the message and the picture.
    """
    screen = await page.context.new_cdp_session(page)
    wrong = []
    try:
        if not await page.evaluate("'axe' in window"):
            await page.evaluate(AXE.read_text())
        for width, scheme, rules in (
            (WIDE, "light", {"type": "tag", "values": TAGS}),
            (WIDE, "dark", {"type": "rule", "values": ["color-contrast"]}),
            (NARROW, "dark", {"type": "tag", "values": TAGS}),
            (NARROW, "light", {"type": "rule", "values": ["color-contrast"]}),
        ):
            await _show(page, screen, width, scheme)
            found = await page.evaluate(_RUN, rules) + await page.evaluate(_TOO_WIDE)
            wrong += [f"{state}, {width[0]} px, {scheme}: {what}" for what in found]
            if SHOTS:
                await _take_picture(screen, f"{state}-{width[0]}-{scheme}")
        await _show(page, screen, ENLARGED, "light")
        wrong += [f"{state}, at 200 %: {what}" for what in await page.evaluate(_TOO_WIDE)]
    finally:
        await _show(page, screen, WIDE, "light")
        await screen.detach()
    assert not wrong, "\n".join(wrong)


async def _show(page: Page, screen: CDPSession, size: tuple[int, int, int], scheme: Any) -> None:
    width, height, ratio = size
    # Without motion no colour is measured half-way through a transition.
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await screen.send(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": False},
    )
    shown = await page.evaluate(_SHOWN)
    assert shown == [width, ratio, scheme == "dark"], shown


async def _take_picture(screen: CDPSession, name: str) -> None:
    # Not Playwright's own way, which measures the page anew in the width that it knows of.
    taken = await screen.send("Page.captureScreenshot", {"captureBeyondViewport": True})
    file = Path(SHOTS or ".") / re.sub(r"[^a-z0-9]+", "-", name)
    file.with_suffix(".png").write_bytes(base64.b64decode(taken["data"]))
