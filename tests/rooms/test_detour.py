"""Streams in the wrong worker: two real media ports, and a seat that reaches its own through the other."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from broker.private import Private
from rooms import detour as module
from rooms import streams
from rooms.batch import works
from rooms.detour import MARKED, Detours, Mark
from rooms.forwarding import Kind
from rooms.framing import Deframer, Measure, ice_tcp_frame, measure_ice_tcp, measure_turn
from rooms.ice import Credentials, Path
from rooms.media import MediaPort, PeerState
from rooms.streams import Streams
from rooms.turn import Candidate
from tests.rooms.raw_client import RawClient, until
from tests.rooms.test_streams import IceTcpClient, TurnClient, Wire

SECRET = Private(b"of all workers of one supervisor")
ROOM = "room-1"


@dataclass
class Pair:
    """Two workers: the room is in the one, the streams reach the other."""

    owner: MediaPort
    other: MediaPort
    detours: Detours
    streams: Streams
    turn: asyncio.Server
    tcp: asyncio.Server
    wires: list[Wire] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    clients: list[RawClient] = field(default_factory=list)

    @property
    def candidate(self) -> Candidate:
        return (self.owner.host, self.owner.port)

    async def wire(self, measure: Measure = measure_turn) -> Wire:
        server = self.turn if measure is measure_turn else self.tcp
        port = server.sockets[0].getsockname()[1]
        wire = Wire(*await asyncio.open_connection("127.0.0.1", port), Deframer(measure))
        self.wires.append(wire)
        self.tasks.append(asyncio.create_task(wire.read()))
        return wire

    async def by_tcp(self, seat: str = "a", place: int = 0) -> IceTcpClient:
        """A client whose ICE-TCP stream reaches the other worker."""
        offer = self.owner.open_peer(ROOM, seat, place, lambda state: None).offer()
        client = IceTcpClient(offer, await self.wire(measure_ice_tcp))
        self.clients.append(client)
        return client

    async def client(self, seat: str = "a", place: int = 0, channel: int | None = None) -> TurnClient:
        """A client with an allocation that may speak to the owner."""
        offer = self.owner.open_peer(ROOM, seat, place, lambda state: None).offer()
        user = self.streams.credential(int(time.time()) + 60, f"meeting/{seat}")
        client = TurnClient(offer, await self.wire(), user, self.candidate)
        self.clients.append(client)
        await client.allocate()
        assert (
            await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=self.candidate)
        ).error_code is None
        if channel is not None:
            await client.ask(
                stun.Method.CHANNEL_BIND, XOR_PEER_ADDRESS=self.candidate, CHANNEL_NUMBER=channel
            )
            client.channel = channel
        return client


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    mark = Mark(SECRET)
    owner, other = MediaPort("localhost", 0, mark=mark), MediaPort("localhost", 0, mark=mark)
    await owner.start()
    await other.start()
    detours = Detours(other, "127.0.0.1", mark)
    detours.lead_to([owner.port])
    both = Streams(other, detours.find, SECRET)
    turn = await asyncio.get_running_loop().create_server(both.turn, "127.0.0.1", 0)
    tcp = await asyncio.get_running_loop().create_server(both.ice_tcp, "127.0.0.1", 0)
    pair = Pair(owner, other, detours, both, turn, tcp)
    yield pair
    for client in pair.clients:
        await client.close()
    turn.close()
    tcp.close()
    await owner.close()
    await other.close()
    await both.close()
    for wire in pair.wires:
        wire.writer.close()
    await asyncio.wait_for(asyncio.gather(*pair.tasks), 5)
    await until(lambda: len(both) == 0 and len(detours) == 0, "every stream is gone, and its socket")
    assert owner.counters["failed"] == other.counters["failed"] == 0
    assert not owner._detours


@pytest.mark.parametrize("channel", [None, 0x4001])
async def test_a_seat_reaches_its_worker_through_another(pair: Pair, channel: int | None) -> None:
    client = await pair.client(channel=channel)
    peer = pair.owner._peers[ROOM, "a"]
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    assert peer.path == "turn"
    relayed = next(
        a.attributes["XOR-RELAYED-ADDRESS"] for a in client.answers if "XOR-RELAYED-ADDRESS" in a.attributes
    )
    assert client.responses[0].attributes["XOR-MAPPED-ADDRESS"] == relayed
    assert len(pair.detours) == 1

    other = pair.owner.open_peer(ROOM, "b", 1, lambda state: None)
    direct = RawClient(other.offer())
    pair.clients.append(direct)
    other.answer(direct.answer())
    await direct.connect()
    assert other.path == "udp"
    pair.owner.set_gate(ROOM, frozenset("ab"), frozenset())
    client.send_rtp(Kind.CAMERA, 1, payload=b"from the stream")
    direct.send_rtp(Kind.CAMERA, 1, payload=b"to the stream")
    await until(lambda: bool(direct.rtp and client.rtp), "media passes both ways")
    assert direct.rtp[0].endswith(b"from the stream")
    assert client.rtp[0].endswith(b"to the stream")
    assert pair.other.counters["packets_in"] == 0
    assert (peer.direct is not None) == works()  # the owner's batch carries it like any UDP


async def test_by_ice_tcp_a_seat_reaches_its_worker_through_another(pair: Pair) -> None:
    client = await pair.by_tcp()
    peer = pair.owner._peers[ROOM, "a"]
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    assert peer.path == "tcp"
    near = client.wire.writer.get_extra_info("sockname")
    assert client.responses[0].attributes["XOR-MAPPED-ADDRESS"] == near
    for number in range(2 * streams.MAX_STRANGE_DATAGRAMS):  # it waits: nothing but checks is answered
        client.send_rtp(Kind.CAMERA, number, payload=b"to nobody")
    await client.check()
    assert pair.owner.counters["packets_in"] == 2 * streams.MAX_STRANGE_DATAGRAMS
    await until(lambda: len(pair.streams._strangers) == 0, "it has proved whose it is")
    peer.restart()
    renewed = IceTcpClient(peer.offer(), await pair.wire(measure_ice_tcp))
    pair.clients.append(renewed)
    await renewed.check()  # a new generation names the same worker
    client.wire.writer.close()
    await until(lambda: len(pair.detours) == 1, "its socket is given back")


async def test_an_ice_tcp_stream_to_another_worker_must_prove_itself_too(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PROVE_WITHIN", 0.5)
    client = await pair.by_tcp()
    forged, nowhere = await pair.wire(measure_ice_tcp), await pair.wire(measure_ice_tcp)
    forged.writer.write(ice_tcp_frame(client.request(server=Credentials(client.server.ufrag, "x" * 32))))
    elsewhere = Credentials.fresh(pair.owner.port + 1).ufrag
    nowhere.writer.write(ice_tcp_frame(client.request(server=Credentials(elsewhere, "x" * 32))))
    await until(lambda: len(pair.detours) == 1, "only a worker's port is reached")
    await until(lambda: forged.ended and nowhere.ended, "they are closed")
    assert forged.heard == nowhere.heard == []
    assert len(pair.detours) == 0
    assert not pair.owner._by_address


async def test_an_ice_tcp_stream_of_a_seat_that_another_worker_closed_is_closed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PROVE_WITHIN", 0.5)
    client = await pair.by_tcp()
    await client.check()
    pair.owner.close_room(ROOM)
    await until(lambda: client.wire.ended, "it is closed")


async def test_a_closed_stream_gives_its_socket_back_and_the_owner_knows(pair: Pair) -> None:
    client = await pair.client()
    peer = pair.owner._peers[ROOM, "a"]
    await client.check()
    assert peer.path == "turn"
    client.wire.writer.close()
    await until(lambda: peer.agent.address is None, "the owner forgets the address")
    assert len(pair.detours) == 0
    assert not pair.owner._detours
    assert not pair.owner._by_address


async def test_a_closed_seat_leaves_nothing_of_its_way(pair: Pair) -> None:
    client = await pair.client()
    await client.check()
    assert len(pair.owner._detours) == 1
    pair.owner.close_room(ROOM)
    assert not pair.owner._detours


async def test_only_media_ports_of_the_workers_are_reached(pair: Pair) -> None:
    client = await pair.client()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        port = stranger.getsockname()[1]
        for peer in [("127.0.0.1", port), ("127.0.0.2", pair.owner.port), ("192.0.2.1", pair.owner.port)]:
            answer = await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=peer)
            assert answer.attributes["ERROR-CODE"][0] == 403
    pair.detours.lead_to([])
    answer = await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=pair.candidate)
    assert answer.attributes["ERROR-CODE"][0] == 403


async def test_ways_to_a_worker_that_has_gone_end_at_once(pair: Pair) -> None:
    client = await pair.client()
    await client.check()
    pair.detours.lead_to([pair.owner.port])
    assert len(pair.detours) == 1
    pair.detours.lead_to([pair.owner.port + 1])
    assert len(pair.detours) == 0
    client.send(client.request())  # permitted once, and lost now
    answer = await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=pair.candidate)
    assert answer.attributes["ERROR-CODE"][0] == 403
    assert len(client.responses) == 1


async def test_a_stream_costs_one_socket_at_most(pair: Pair) -> None:
    third = MediaPort("localhost", 0, mark=Mark(SECRET))
    await third.start()
    pair.detours.lead_to([pair.owner.port, third.port])
    client = await pair.client()
    also = (third.host, third.port)
    assert (await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=also)).error_code is None
    await client.check()
    client.peer = also
    client.send(client.request())
    client.peer = pair.candidate
    await client.check()
    assert len(pair.detours) == 1
    assert third.counters["dropped_unauthenticated"] == third.counters["dropped_malformed"] == 0
    await third.close()


async def test_there_are_only_so_many_sockets(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DETOURS", 1)
    first, second = await pair.client(), await pair.client("b", 1)
    await first.check()
    second.send(second.request())
    await second.ask(stun.Method.REFRESH)  # so what was sent before has been dealt with
    assert len(pair.detours) == 1
    await first.check()
    assert second.responses == []


@pytest.mark.parametrize("heard", [False, True])
async def test_a_stream_whose_datagrams_the_owner_never_answers_is_closed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, heard: bool
) -> None:
    monkeypatch.setattr(module, "MAX_UNHEARD", 50)
    monkeypatch.setattr(streams, "FRUITLESS_AT_ONCE", 50)
    client = await pair.client(channel=0x4001)
    for _ in range(4):
        if heard:
            await client.check()
        for _ in range(45):
            client.send(b"\x80" + bytes(30))
    if heard:
        await client.check()
        assert not client.wire.ended
    else:
        await until(lambda: client.wire.ended, "it is closed", seconds=2)


async def test_without_the_mark_of_these_workers_nobody_says_where_they_come_from(pair: Pair) -> None:
    peer = pair.owner.open_peer(ROOM, "a", 0, lambda state: None)
    client = RawClient(peer.offer())
    pair.clients.append(client)
    claimed = ("192.0.2.9", 9)
    client.send(Mark(Private(b"another secret")).put(client.request(), "turn", claimed))
    client.send(bytes([MARKED]) + bytes(40))
    await client.check()
    assert len(client.responses) == 1
    assert client.responses[0].attributes["XOR-MAPPED-ADDRESS"] == client.sock.getsockname()
    assert peer.path == "udp"
    assert pair.owner.counters["dropped_malformed"] == 2
    client.send(
        Mark(Private(b"another secret")).put(b"", "turn", claimed)
    )  # nor does it say goodbye for them
    await client.check()
    assert peer.path == "udp"


async def test_a_marked_check_must_be_a_seats_like_any_other(pair: Pair) -> None:
    client = await pair.client()
    client.send(client.request(server=Credentials(client.server.ufrag, "x" * 32)))
    await until(lambda: pair.owner.counters["dropped_unauthenticated"] == 1, "it is refused")
    assert not pair.owner._by_address
    assert client.responses == []


def test_an_owner_that_has_gone_costs_only_the_datagrams() -> None:
    async def go() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            port = gone.getsockname()[1]
        media = MediaPort("localhost", 1)
        detours = Detours(media, "0.0.0.0", Mark(SECRET))
        detours.lead_to([port])
        to = detours.find((media.host, port))
        assert to is not None
        address = to.attach("turn", lambda datagram: pytest.fail("nobody is there"), ("192.0.2.1", 1))
        for size in (1, 0, 1_500, 1_501):
            assert to.receive(b"\x80" * size, address) == (size in (1, 1_500))
            await asyncio.sleep(0)
        assert to.knows(address)
        detours.close()
        detours.close()
        assert not to.receive(b"\x80", address)
        to.detach(address)
        assert not to.knows(address)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("bind", "local"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.1", "192.0.2.1")]
)
def test_the_others_are_reached_on_this_host(bind: str, local: str) -> None:
    assert module._local(bind) == local


@given(
    check=st.binary(max_size=100),
    path=st.sampled_from(("tcp", "turn")),
    host=st.ip_addresses().map(str),
    port=st.integers(0, 65_535),
)
def test_a_mark_is_taken_off_as_it_was_put_on(check: bytes, path: Path, host: str, port: int) -> None:
    mark = Mark(SECRET)
    assert mark.taken_off(mark.put(check, path, (host, port))) == (check, path, (host, port))
    assert Mark(Private(b"another")).taken_off(mark.put(check, path, (host, port))) is None


@given(rest=st.binary(max_size=30), cut=st.integers(0, 30))
def test_any_bytes_behind_a_mark_are_read_or_refused(rest: bytes, cut: int) -> None:
    mark = Mark(SECRET)
    whole = mark.put(b"", "turn", ("192.0.2.1", 1))
    assert mark.taken_off(whole[:cut]) is None or cut >= len(whole)
    taken = mark.taken_off(whole[:17] + rest)
    assert taken is None or len(rest) >= 8
