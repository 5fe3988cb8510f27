"""What the kernel drops between a far subscriber and the port comes again (RFC 4585 §6.2.1, RFC 4588)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from rooms import rtcp
from rooms.forwarding import VP8, Kind
from rooms.media import PeerState
from rooms.rtp import HEADER, unwrap_rtx
from tests.rooms.conftest import MakeEngine
from tests.rooms.media_room import ROOM, Clocked, Room
from tests.rooms.raw_client import RawClient, until
from tests.support.namespaces import Far, NotAllowedError, far_place

PACKETS = 1_000
TAIL = 60
"""More packets than a burst loses."""


@pytest.fixture
def far() -> Iterator[Far]:
    try:
        with far_place() as far:
            yield far
    except NotAllowedError as error:
        pytest.skip(f"No network namespace with nft here: {error}")


class FarClient(RawClient):
    """A seat at the far place, that asks again for what it misses."""

    def __init__(self, offer: str, far: Far) -> None:
        self._far = far
        self._sorted = 0
        self.at_once: set[int] = set()
        self.again: set[int] = set()
        super().__init__(offer, far.here)

    def move(self) -> None:
        self._forget_socket()
        self._socket = self._far.socket()
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def send(self, datagram: bytes) -> None:
        with contextlib.suppress(PermissionError):  # what is dropped on the way out is reported so
            super().send(datagram)

    def sort(self) -> None:
        """Note the sequence numbers of the pictures that have come, at once or again."""
        for packet in self.rtp[self._sorted :]:
            ssrc = HEADER.unpack_from(packet)[4]
            if ssrc == self.slots[1]:
                self.at_once.add(HEADER.unpack_from(packet)[2])
            elif found := unwrap_rtx(packet, payload_type=VP8, ssrc=self.slots[1]):
                self.again.add(found[0])
        self._sorted = len(self.rtp)

    @property
    def have(self) -> set[int]:
        self.sort()
        return self.at_once | self.again

    async def ask_again(self, first: int) -> None:
        """Ask for each gap until it is filled, as a browser does."""
        while True:
            have = self.have
            if missing := set(range(first, max(have))) - have:
                self.send_rtcp(rtcp.build_nack(1, self.slots[1], missing))
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def room(far: Far, make_engine: MakeEngine) -> AsyncIterator[Room]:
    port = Clocked(far.here, 0, engine=make_engine(far.here, 0))
    await port.start()
    room = Room(port, far.here)
    yield room
    assert port.counters["failed"] == 0
    for client in room.clients:
        await client.close()
    await port.close()


@pytest.mark.parametrize(
    ("worsen", "least", "most"),
    [
        pytest.param(lambda far: far.lose(0.05), 0.03, 0.08, id="random"),
        # A burst lasts 20 ms: five packets at our pace, one or two at that of a busy machine.
        pytest.param(lambda far: far.lose_in_bursts(0.01, 20), 0.004, 0.3, id="burst"),
    ],
)
async def test_every_lost_packet_comes_again(
    far: Far, room: Room, worsen: Callable[[Far], None], least: float, most: float
) -> None:
    publisher = await room.seat("a", 0)
    peer = room.port.open_peer(ROOM, "b", 1, lambda _: None)
    client = FarClient(peer.offer(), far)
    room.clients.append(client)
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    room.gate("ab")
    publisher.client.send_rtp(Kind.CAMERA, 999)
    await until(lambda: len(client.rtp) == 1, "the stream begins")
    first = max(client.have) + 1

    worsen(far)
    asking = asyncio.create_task(client.ask_again(first))
    for number in range(PACKETS):
        publisher.client.send_rtp(Kind.CAMERA, 1000 + number, timestamp=number, payload=bytes(1000))
        await asyncio.sleep(0.004)  # as a camera would: not in one burst, which the kernel itself would drop
    # Of the very last ones nobody can know that they are missing.
    wanted = set(range(first, first + PACKETS - TAIL))
    await until(lambda: wanted <= client.have, "what was lost came again", every=0.02)
    asking.cancel()
    lost = len(wanted - client.at_once) / len(wanted)
    assert least < lost < most, "the network was as bad as it was to be"
