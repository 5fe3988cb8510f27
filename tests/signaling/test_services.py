"""Waiting for changes."""

from __future__ import annotations

import asyncio

from signaling.services import Changes


async def test_everybody_who_waits_is_woken_once() -> None:
    changes = Changes()
    first, second = asyncio.create_task(changes.wait()), asyncio.create_task(changes.wait())
    await asyncio.sleep(0)
    changes.notify()
    async with asyncio.timeout(1):
        await asyncio.gather(first, second)
    later = asyncio.create_task(changes.wait())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not later.done()
    later.cancel()
