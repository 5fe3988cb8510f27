from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.rooms.media_room import Clocked, Room


@pytest_asyncio.fixture
async def room() -> AsyncIterator[Room]:
    port = Clocked("localhost", 0)
    await port.start()
    room = Room(port)
    yield room
    assert port.counters["failed"] == 0
    assert port.counters["dropped_unsendable"] == 0
    for client in room.clients:
        await client.close()
    await port.close()
    await port.close()
