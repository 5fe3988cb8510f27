"""The transports of one room, with a real media port and raw clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from broker.seats import SeatCode
from rooms.description import BadSdp
from rooms.forwarding import Kind
from rooms.media import MediaPort
from rooms.transports import Transports
from tests.rooms.raw_client import RawClient
from tests.support.heard import Heard
from tests.support.waiting import eventually

A, B = SeatCode("A"), SeatCode("B")
SUITE = "AEAD_AES_256_GCM"


@dataclass
class Room:
    """A room's transports, what was told of them, and the clients at the other ends."""

    transports: Transports
    told: list[tuple[SeatCode, str | None]]
    clients: list[Heard] = field(default_factory=list)

    async def connect(self, seat: SeatCode, offer: str) -> Heard:
        client = Heard(offer, lambda sdp: self.transports.answer(seat, sdp))
        self.clients.append(client)
        await client.connect()
        await eventually(lambda: self.transports.heard_at(seat))
        return client


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    media = MediaPort("127.0.0.1", 0)
    await media.start()
    told: list[tuple[SeatCode, str | None]] = []
    room = Room(Transports("room", media, lambda seat, suite: told.append((seat, suite)), sealed=False), told)
    yield room
    for client in room.clients:
        await client.close()
    await media.close()


async def test_in_a_sealed_session_no_picture_may_come_in_h264(room: Room) -> None:
    """Pages seal VP8 and Opus; where programs may publish, H.264 is for the other sessions alone."""
    room.transports.media.h264 = True
    assert "H264" in room.transports.open(A, 0, "page", "phone")
    room.transports.sealed = True
    offer = room.transports.open(B, 1, "page", "phone")
    assert "VP8" in offer
    assert "H264" not in offer
    client = RawClient(offer)
    answer = client.answer()
    await client.close()
    taken = answer.replace("SAVPF 96 97", "SAVPF 96 97 98 99")
    assert taken != answer
    with pytest.raises(BadSdp):
        room.transports.answer(B, taken)
    room.transports.answer(B, answer)
    assert "H264" not in room.transports.restart(B)


async def test_a_transport_is_told_of_once_it_stands_and_once_it_is_closed(room: Room) -> None:
    offer = room.transports.open(A, 0, "page", "phone")
    assert room.transports.lives(A)
    assert room.transports.heard_at(A) is None
    assert room.transports.quality() == {}
    await room.connect(A, offer)
    assert room.told == [(A, SUITE)]
    assert set(room.transports.quality()) == {A}
    room.transports.close(A)
    room.transports.close(A)
    assert room.told == [(A, SUITE), (A, None)]
    assert not room.transports.lives(A)


async def test_a_replaced_transport_is_gone_and_says_nothing_more(room: Room) -> None:
    former = await room.connect(A, room.transports.open(A, 0, "page", "phone"))
    offer = room.transports.open(A, 0, "reloaded", "phone")
    assert room.told == [(A, SUITE), (A, None)]
    await former.close()
    await room.connect(A, offer)
    assert room.told == [(A, SUITE), (A, None), (A, SUITE)]
    assert not room.transports.carries(A, "page")
    assert room.transports.carries(A, "reloaded")


async def test_only_the_same_device_takes_a_living_transport_over(room: Room) -> None:
    assert not room.transports.take_over(A, "page", "phone")
    client = await room.connect(A, room.transports.open(A, 0, "page", "phone"))
    assert not room.transports.take_over(A, "other", "laptop")
    assert room.transports.carries(A, "page")
    assert room.transports.take_over(A, "again", "phone")
    assert room.transports.carries(A, "again")
    await client.close()  # the browser says goodbye
    await eventually(lambda: not room.transports.lives(A))
    assert not room.transports.take_over(A, "late", "phone")
    assert room.told == [(A, SUITE), (A, None)]


async def test_a_restart_keeps_the_transport_and_a_bad_answer_changes_nothing(room: Room) -> None:
    client = await room.connect(A, room.transports.open(A, 0, "page", "phone"))
    first = client.client.offer
    restart = room.transports.restart(A)
    assert restart != first
    with pytest.raises(BadSdp):
        room.transports.answer(A, "v=0\r\n")
    client.client.take(restart)
    room.transports.answer(A, client.client.answer())
    await client.client.check()
    assert room.told == [(A, SUITE)]


async def test_closing_the_room_leaves_nothing_flowing(room: Room) -> None:
    sender = await room.connect(A, room.transports.open(A, 0, "a", "phone"))
    receiver = await room.connect(B, room.transports.open(B, 1, "b", "laptop"))
    room.transports.media.set_gate("room", frozenset({A, B}), frozenset())
    await eventually(lambda: receiver.client.rtp)
    room.transports.close_all()
    sent = room.transports.media.counters["packets_out"]
    unknown = room.transports.media.counters["dropped_unauthenticated"]
    sender.client.send_rtp(Kind.AUDIO, 9, 9)
    await eventually(lambda: room.transports.media.counters["dropped_unauthenticated"] > unknown)
    assert room.transports.media.counters["packets_out"] == sent
    assert not room.transports.lives(A)
    assert room.transports.quality() == {}
