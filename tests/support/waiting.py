"""Waiting for a condition instead of sleeping, and taking times on a machine that others use too."""

from __future__ import annotations

import asyncio
import inspect
import os
import statistics
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(
    condition: Callable[[], Any | Awaitable[Any]],
    timeout: float = 5.0,  # noqa: ASYNC109 -- a helper of tests, to be read as a sentence
    *,
    every: float = 0.01,
) -> Any:
    """Return the condition's value as soon as it is true; fail when it is not within ``timeout`` seconds.

    Args:
        condition: a plain or a coroutine function without arguments.
        timeout: seconds.
        every: seconds between two looks; more for one that costs something.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert loop.time() < deadline, f"not within {timeout} s"
        await asyncio.sleep(every)


async def soon(within: float, happening: Callable[[int], Awaitable[float]]) -> None:
    """See that something usually takes less than ``within`` seconds: two times of three.

    Args:
        happening: lets it happen, for the first time (0) or again, and returns the seconds that it took; what
            it asserts holds every time.
    """
    took: list[float] = []
    while len(took) < 2 or (len(took) < 3 and sum(one < within for one in took) == 1):
        took.append(await happening(len(took)))
    print("took", ", ".join(f"{one:.2f} s" for one in took), f"with a load of {os.getloadavg()[0]:.1f}")
    assert statistics.median_high(took) < within
