"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(condition: Callable[[], Any | Awaitable[Any]], timeout: float = 5.0) -> Any:  # noqa: ASYNC109 -- a helper of tests, to be read as a sentence
    """Return the condition's value as soon as it is true; fail when it is not within ``timeout`` seconds.

    Args:
        condition: a plain or a coroutine function without arguments.
        timeout: seconds.
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
        await asyncio.sleep(0.01)
