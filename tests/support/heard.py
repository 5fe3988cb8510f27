"""A seat whose media is heard: a raw client that has connected and sends a packet of audio now and then."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from rooms.forwarding import Kind
from tests.rooms.raw_client import RawClient

EVERY = 0.1


class Heard:
    """The media of one page.

    Args:
        offer: the server's SDP.
        answer: gives the server the answer, and returns once it has taken it.
    """

    def __init__(self, offer: str, answer: Callable[[str], Awaitable[None] | None]) -> None:
        self.client = RawClient(offer)
        self._answer = answer
        self._talking: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Answer, connect, and be heard from now on."""
        given = self._answer(self.client.answer())
        if given is not None:
            await given
        await self.client.connect()
        self.talk()

    def talk(self) -> None:
        """Be heard again."""
        self._talking = self._talking or asyncio.create_task(self._talk())

    def fall_silent(self) -> None:
        """Send nothing any more."""
        if self._talking is not None:
            self._talking.cancel()
            self._talking = None

    async def close(self) -> None:
        self.fall_silent()
        await self.client.close()

    async def _talk(self) -> None:
        for sequence in itertools.count(1):
            self.client.send_rtp(Kind.AUDIO, sequence & 0xFFFF, 960 * sequence)
            await asyncio.sleep(EVERY)
