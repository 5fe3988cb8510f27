from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from rooms.batch import BatchEngine, works
from rooms.engine import DatagramEngine, Engine
from tests.rooms.media_room import Clocked, Room

MakeEngine = Callable[[str, int], Engine]


@pytest.fixture(params=[DatagramEngine, BatchEngine], ids=["plain", "batch"])
def make_engine(request: pytest.FixtureRequest) -> MakeEngine:
    """Either engine: what a test of the wire asserts must hold with both."""
    if request.param is BatchEngine and not works():
        pytest.skip("the batch engine does not work on this machine")
    made: MakeEngine = request.param
    return made


@pytest_asyncio.fixture
async def room(make_engine: MakeEngine) -> AsyncIterator[Room]:
    port = Clocked("localhost", 0, engine=make_engine("127.0.0.1", 0))
    await port.start()
    room = Room(port)
    yield room
    assert port.counters["failed"] == 0
    assert port.counters["dropped_unsendable"] == 0
    for client in room.clients:
        await client.close()
    await port.close()
    await port.close()
