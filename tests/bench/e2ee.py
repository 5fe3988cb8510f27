"""End-to-end encryption in Chromium: three pages, the real media port, the product's worker and guard.

No visit is around them: the test hands on what the pages say about their group, so that the figures are
those of the browser. Only admissions are of whole visits. ``peer`` is what the study before the product had.

    admit_to_encrypted_frame_ms       click on Admit ─▶ first decoded picture of the patient, transport warm
    admit_to_encrypted_frame_40ms_ms  the same with 40 ms one way between each of them and the server
    encrypt_frame_ms        one frame sealed, mean over all frames of sound and picture of a page
    decrypt_frame_ms        one frame opened, likewise
    epoch_add_ms            the committer is told of a candidate ─▶ its commit, for the third person
    epoch_remove_ms         the committer is told whom to remove ─▶ its commit
    removed_last_frame_ms   the committer is told whom to remove ─▶ the last frame that one can open, although
                            the server forwards everything for ever
    call_page_kb_gz         what the server sends to a page of the modules that it needs to encrypt, in gzip;
                            the note says what it sends of the patient's whole page, that page itself too
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Final

from signaling.assets import asset
from signaling.preload import Pages, modules
from tests.bench.parts import browsers
from tests.bench.rows import Row
from tests.e2e.conftest import running_browser, running_practice
from tests.e2e.sealed_room import STATIC, Group, Seat, running_room

RUNS: Final = 8
FRAMES: Final = 200
"""Frames of sound that a page seals and opens at least."""


async def rows() -> list[Row]:
    """Measure all of it; about a minute."""
    with tempfile.TemporaryDirectory(prefix="quietroom-bench-") as name:
        async with running_practice(Path(name)) as practice:
            visit = await practice.book("individual")
            near = await browsers.admissions(practice, visit, RUNS)
            visit = await practice.book("individual")
            far = await browsers.admissions(practice, visit, RUNS, rtt_ms=80)
            busy = f"at load {os.getloadavg()[0]:.0f}"
    adds: list[float] = []
    removes: list[float] = []
    lasts: list[float] = []
    async with running_browser() as browser, running_room(browser, dictated=False) as room:
        group = Group()
        host, anne, ben = await room.seat(0), await room.seat(1), await room.seat(2)
        room.admit(0, 1, 2)
        await group.open(host)
        await group.ask(anne)
        await group.admit(anne)
        await group.at(1, host, anne)
        for _ in range(RUNS):
            await group.ask(ben)
            added = await host.page.evaluate("(message) => commitAfter(message)", group.candidate(ben))
            await group.at(group.epoch, host, anne, ben)
            await ben.sees(host)
            await ben.hears(anne)
            removed = await host.page.evaluate("(message) => commitAfter(message)", group.removal(ben))
            lasts.append(await ben.page.evaluate("lastOpened()") - removed["told"])
            adds.append(added["took"])
            removes.append(removed["took"])
            await group.at(group.epoch, host, anne)
        sealed, opened = await _frame_times(host, anne)
    encrypts, page = size_gz(STATIC, "js/keys.js", "js/guard.js"), page_gz(STATIC, "visit.html")
    return [
        Row.of("admit_to_encrypted_frame_ms", "ms", near, note=f"goal 150; {busy}"),
        Row.of("admit_to_encrypted_frame_40ms_ms", "ms", far, [574], note=f"goal 350; {busy}"),
        Row.of("encrypt_frame_ms", "ms", sealed, [0.145]),
        Row.of("decrypt_frame_ms", "ms", opened, [0.13]),
        Row.of("epoch_add_ms", "ms", adds, [7.6]),
        Row.of("epoch_remove_ms", "ms", removes, [12.3]),
        Row.of("removed_last_frame_ms", "ms", lasts, [98], note="no server in between; goal 100"),
        Row.of(
            "call_page_kb_gz",
            "kB",
            [encrypts],
            [52.4],
            note=f"goal 60; what encrypts; the whole patient page: {page:.0f} kB",
        ),
    ]


async def _frame_times(*seats: Seat) -> tuple[list[float], list[float]]:
    """Mean milliseconds to seal and to open one frame, for each page."""
    sealed, opened = [], []
    for seat in seats:
        counts = await seat.counts()
        seals = [of for of in counts if of.get("sealed", 0) > 0]
        opens = [of for of in counts if of.get("opened", 0) > 0]
        if sum(of["sealed"] for of in seals) < FRAMES or sum(of["opened"] for of in opens) < FRAMES:
            raise RuntimeError("too few frames to say how long one takes")
        sealed.append(sum(of["ms"] for of in seals) / sum(of["sealed"] for of in seals))
        opened.append(sum(of["ms"] for of in opens) / sum(of["opened"] for of in opens))
    return sealed, opened


def page_gz(root: Path, name: str) -> float:
    """Kilobytes (1000) that the server sends of a page below ``root`` and of all that it names."""
    page = Pages(root).page(name)
    named = re.findall(r'"/static/[0-9a-f]{16}/([^"]+)"', (page.plain or b"").decode())
    return (len(page.small) + sum(len(asset(root, file).small) for file in set(named))) / 1000


def size_gz(root: Path, *entries: str) -> float:
    """Kilobytes (1000) that the server sends of these modules below ``root`` and of all they import."""
    found = {name for entry in entries for name in modules(root, entry)}
    return sum(len(asset(root, name).small) for name in found) / 1000
