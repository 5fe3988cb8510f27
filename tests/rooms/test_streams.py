"""Media over TCP, over real sockets: seats that come by stream, and strangers that do not get far."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aioice import stun
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooms import streams as module
from rooms.forwarding import VP8, Kind
from rooms.framing import Deframer, Measure, ice_tcp_frame, measure_ice_tcp, measure_turn
from rooms.ice import Address, Credentials, Path
from rooms.media import MediaPort, PeerState
from rooms.streams import MAX_STRANGE_DATAGRAMS, Destination, Streams
from rooms.turn import REALM, Candidate, Credential
from tests.rooms.raw_client import RawClient, until

ROOM = "room-1"


@dataclass
class Wire:
    """One TCP connection from a browser's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    frames: Deframer
    heard: list[bytes] = field(default_factory=list)
    ended: bool = False
    on_frame: Callable[[bytes], None] | None = None

    async def read(self) -> None:
        with suppress(ConnectionError):
            while data := await self.reader.read(4096):
                for frame in self.frames.feed(data):
                    self.heard.append(frame)
                    if self.on_frame is not None:
                        self.on_frame(frame)
        self.ended = True


@dataclass
class Node:
    """A media port with its streams, reached over two real listening sockets."""

    media: MediaPort
    streams: Streams
    ice_tcp: asyncio.Server
    turn: asyncio.Server
    wires: list[Wire] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def connect(self, server: asyncio.Server, measure: Measure) -> Wire:
        port = server.sockets[0].getsockname()[1]
        wire = Wire(*await asyncio.open_connection("127.0.0.1", port), Deframer(measure))
        self.wires.append(wire)
        self.tasks.append(asyncio.create_task(wire.read()))
        return wire

    async def by_tcp(self) -> Wire:
        return await self.connect(self.ice_tcp, measure_ice_tcp)

    async def by_turn(self) -> Wire:
        return await self.connect(self.turn, measure_turn)


@pytest_asyncio.fixture
async def node() -> AsyncIterator[Node]:
    media = MediaPort("localhost", 0)
    await media.start()
    streams = Streams(media)
    loop = asyncio.get_running_loop()
    node = Node(
        media,
        streams,
        await loop.create_server(streams.ice_tcp, "127.0.0.1", 0),
        await loop.create_server(streams.turn, "127.0.0.1", 0),
    )
    yield node
    for server in (node.ice_tcp, node.turn):
        server.close()
    await media.close()
    await streams.close()
    await streams.close()
    for wire in node.wires:
        wire.writer.close()
    await asyncio.wait_for(asyncio.gather(*node.tasks), 5)
    await until(lambda: len(streams) == 0, "every stream is gone")
    assert streams._users.total() == len(streams._strangers) == 0
    assert media.counters["failed"] == 0
    assert not media._streams


class IceTcpClient(RawClient):
    """A seat whose datagrams go over one ICE-TCP stream."""

    def __init__(self, offer: str, wire: Wire) -> None:
        super().__init__(offer)
        self.wire = wire
        wire.on_frame = self._arrived

    def send(self, datagram: bytes) -> None:
        self.wire.writer.write(ice_tcp_frame(datagram))


class TurnClient(RawClient):
    """A seat whose datagrams go through our TURN server; by indications, or by a channel once it is bound."""

    def __init__(self, offer: str, wire: Wire, user: Credential, peer: Candidate) -> None:
        super().__init__(offer)
        self.wire, self.user, self.peer = wire, user, peer
        self.channel: int | None = None
        self.answers: list[stun.Message] = []
        wire.on_frame = self._unwrapped

    def _unwrapped(self, frame: bytes) -> None:
        if frame[0] >> 6 == 1:
            self._arrived(frame[4:])
            return
        message = stun.parse_message(frame)
        if message.message_method == stun.Method.DATA:
            self._arrived(message.attributes["DATA"])
        else:
            self.answers.append(message)

    async def ask(self, method: stun.Method, **attributes: object) -> stun.Message:
        message = stun.Message(method, stun.Class.REQUEST)
        message.attributes = {name.replace("_", "-"): value for name, value in attributes.items()}
        if self.answers:
            nonce = next(a.attributes["NONCE"] for a in self.answers if "NONCE" in a.attributes)
            message.attributes |= {"USERNAME": self.user.name, "REALM": REALM, "NONCE": nonce}
            key = f"{self.user.name}:{REALM}:{self.user.password.reveal()}"
            message.add_message_integrity(hashlib.md5(key.encode()).digest())
        before = len(self.answers)
        self.wire.writer.write(bytes(message))
        await until(lambda: len(self.answers) > before or self.wire.ended, "it is answered")
        return self.answers[-1]

    async def allocate(self) -> stun.Message:
        await self.ask(stun.Method.ALLOCATE, REQUESTED_TRANSPORT=17 << 24)
        return await self.ask(stun.Method.ALLOCATE, REQUESTED_TRANSPORT=17 << 24)

    def send(self, datagram: bytes) -> None:
        if self.channel is not None:
            head = self.channel.to_bytes(2, "big") + len(datagram).to_bytes(2, "big")
            self.wire.writer.write(head + datagram + bytes(-len(datagram) % 4))
            return
        message = stun.Message(stun.Method.SEND, stun.Class.INDICATION)
        message.attributes = {"XOR-PEER-ADDRESS": self.peer, "DATA": datagram}
        self.wire.writer.write(bytes(message))


async def by_udp(node: Node, name: str, place: int) -> RawClient:
    peer = node.media.open_peer(ROOM, name, place, lambda state: None)
    client = RawClient(peer.offer())
    peer.answer(client.answer())
    await client.connect()
    return client


async def both_ways(node: Node, stream: RawClient) -> None:
    """Media passes between the stream's seat, "a", and one on UDP."""
    other = await by_udp(node, "b", 1)
    node.media.set_gate(ROOM, frozenset("ab"), frozenset())
    stream.send_rtp(Kind.CAMERA, 1, payload=b"from the stream")
    other.send_rtp(Kind.CAMERA, 1, payload=b"to the stream")
    await until(lambda: bool(other.rtp and stream.rtp), "media passes both ways")
    assert other.rtp[0].endswith(b"from the stream")
    assert stream.rtp[0].endswith(b"to the stream")
    await other.close()


# ---- seats -----------------------------------------------------------------------------------------------


async def test_a_seat_comes_by_ice_tcp(node: Node) -> None:
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    client = IceTcpClient(peer.offer(), await node.by_tcp())
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    assert peer.path == "tcp"
    mapped = client.wire.writer.get_extra_info("sockname")
    assert client.responses[0].attributes["XOR-MAPPED-ADDRESS"] == mapped
    await both_ways(node, client)
    await client.close()


@pytest.mark.parametrize("channel", [None, 0x4001])
async def test_a_seat_comes_by_turn(node: Node, channel: int | None) -> None:
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    ours = (node.media.host, node.media.port)
    user = node.streams.credential(int(time.time()) + 60, "meeting/A")
    client = TurnClient(peer.offer(), await node.by_turn(), user, ours)
    relayed = (await client.allocate()).attributes["XOR-RELAYED-ADDRESS"]
    assert (await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=ours)).error_code is None
    if channel is not None:
        bound = await client.ask(stun.Method.CHANNEL_BIND, XOR_PEER_ADDRESS=ours, CHANNEL_NUMBER=channel)
        assert bound.error_code is None
        client.channel = channel
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    assert peer.path == "turn"
    assert client.responses[0].attributes["XOR-MAPPED-ADDRESS"] == relayed
    await both_ways(node, client)
    await client.close()


async def test_a_closed_stream_leaves_its_seat_without_address(node: Node) -> None:
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    client = IceTcpClient(peer.offer(), await node.by_tcp())
    await client.check()
    assert peer.path == "tcp"
    client.wire.writer.close()
    await until(lambda: peer.agent.address is None, "the address is forgotten")
    again = IceTcpClient(peer.offer(), await node.by_tcp())
    again.credentials = client.credentials
    await again.check()
    assert peer.path == "tcp"
    await again.close()
    await client.close()


async def test_what_turn_carries_can_go_to_another_process_of_ours(node: Node) -> None:
    elsewhere = ("192.0.2.1", 4434)
    taken: list[bytes] = []
    replies: list[Callable[[bytes], bool]] = []

    class Neighbour:
        def attach(self, path: Path, send: Callable[[bytes], bool], mapped: Address) -> Address:
            replies.append(send)
            return ("turn", 1)

        def detach(self, address: Address) -> None:
            replies.clear()

        def receive(self, datagram: bytes, address: Address) -> bool:
            taken.append(datagram)
            return True

        def knows(self, address: Address) -> bool:
            return False

    neighbour: Destination = Neighbour()
    node.streams._elsewhere = lambda peer: neighbour if peer == elsewhere else None
    wire = await node.by_turn()
    offer = node.media.open_peer(ROOM, "a", 0, lambda state: None).offer()
    client = TurnClient(offer, wire, node.streams.credential(int(time.time()) + 60, "meeting/A"), elsewhere)
    await client.allocate()
    assert (await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=elsewhere)).error_code is None
    client.send(b"\x00datagram")
    await until(lambda: taken == [b"\x00datagram"], "it arrives there")
    assert replies[0](bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)))
    await until(lambda: len(client.responses) == 1, "and is answered from there")
    wire.writer.close()
    await until(lambda: not replies, "and is told of the end")
    await client.close()


# ---- strangers -------------------------------------------------------------------------------------------


async def test_a_stream_that_never_proves_itself_is_closed(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROVE_WITHIN", 0.5)
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    good = IceTcpClient(peer.offer(), await node.by_tcp())
    await good.check()
    silent, forged, turn = await node.by_tcp(), await node.by_tcp(), await node.by_turn()
    begun = await node.by_turn()
    forger = RawClient(peer.offer())
    wrong = forger.request(server=Credentials(good.server.ufrag, "x" * 32))
    forged.writer.write(ice_tcp_frame(wrong))
    turn.writer.write(b"\x00\x03\x00\x00\x21\x12\xa4\x42" + bytes(12))
    begun.writer.write(b"\x00\x03\x00\x08\x21\x12\xa4\x42" + bytes(12) + b"\x00\x19\x00\x04\x11\x00\x00\x00")
    await until(lambda: all(wire.ended for wire in (silent, forged, turn, begun)), "they are closed")
    assert silent.heard == forged.heard == turn.heard == []
    assert [len(frame) for frame in begun.heard] == [48]  # the challenge
    assert not good.wire.ended
    assert peer.agent.addresses == [peer.agent.address]
    await forger.close()
    await good.close()


async def test_a_stream_of_a_closed_seat_is_closed_after_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROVE_WITHIN", 0.5)
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    client = IceTcpClient(peer.offer(), await node.by_tcp())
    await client.check()
    peer.close()
    await until(lambda: client.wire.ended, "the stream is closed")
    await client.close()


async def test_a_silent_stream_of_a_seat_is_closed(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE", 0.5)
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    client = IceTcpClient(peer.offer(), await node.by_tcp())
    await client.check()
    await until(lambda: client.wire.ended, "the stream is closed")
    await client.close()


async def test_an_allocation_that_lapsed_is_closed(node: Node) -> None:
    user = node.streams.credential(int(time.time()) + 2, "meeting/A")
    offer = node.media.open_peer(ROOM, "a", 0, lambda state: None).offer()
    client = TurnClient(offer, await node.by_turn(), user, ("192.0.2.1", 1))
    assert (await client.allocate()).attributes["LIFETIME"] <= 2
    await until(lambda: client.wire.ended, "the stream ends with its credential")
    await client.close()


async def test_strangers_are_few_and_those_who_proved_themselves_do_not_count(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STRANGERS_OF_ONE", 2)
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    seat = IceTcpClient(peer.offer(), await node.by_tcp())
    await seat.check()
    await until(lambda: not node.streams._strangers, "the seat is no stranger")
    first, second = await node.by_tcp(), await node.by_turn()
    await until(lambda: len(node.streams._strangers) == 2, "they have come")
    third = await node.by_tcp()
    await until(lambda: first.ended, "the first, which said nothing, makes room for the third")
    newcomer = IceTcpClient(peer.offer(), third)
    newcomer.credentials = seat.credentials
    await newcomer.check()
    assert not any(wire.ended for wire in (second, third, seat.wire))
    monkeypatch.setattr(module, "MAX_STRANGERS_OF_ONE", 9)
    monkeypatch.setattr(module, "MAX_STRANGERS", 1)
    await until(lambda: len(node.streams._strangers) == 1, "the newcomer is no stranger")
    await node.by_turn()
    await until(lambda: second.ended, "so does the oldest when there are too many in all")
    await newcomer.close()
    await seat.close()


@pytest.mark.parametrize("limit", ["MAX_STREAMS", "MAX_STREAMS_OF_HOUSEHOLD"])
async def test_streams_are_only_so_many_and_no_seats_makes_room(
    node: Node, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(module, limit, 2)
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    seat = IceTcpClient(peer.offer(), await node.by_tcp())
    await seat.check()
    await until(lambda: not node.streams._strangers, "the seat is no stranger")
    idle = await node.by_tcp()
    await until(lambda: len(node.streams) == 2, "it has come")
    other = IceTcpClient(peer.offer(), await node.by_tcp())
    other.credentials = seat.credentials
    await until(lambda: idle.ended, "a stranger makes room")
    await other.check()
    await until(lambda: not node.streams._strangers, "both are the seat's")
    late = await node.by_tcp()
    await until(lambda: late.ended, "no seat's stream makes room")
    assert not seat.wire.ended
    assert not other.wire.ended
    await other.close()
    await seat.close()


async def test_a_seat_has_only_so_many_allocations_however_many_credentials(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STREAMS_OF_ONE", 1)
    now = int(time.time())
    offer = node.media.open_peer(ROOM, "a", 0, lambda state: None).offer()
    codes = []
    for late, whose in ((60, "meeting/A"), (90, "meeting/A"), (60, "meeting/B")):
        user = node.streams.credential(now + late, whose)
        assert "meeting" not in user.name
        client = TurnClient(offer, await node.by_turn(), user, ("192.0.2.1", 1))
        codes.append((await client.allocate()).error_code)
        await client.close()
    assert codes == [None, 486, None]
    assert len({node.streams.credential(now, whose).name for whose in "AAB"}) == 2


async def test_an_allocation_that_carries_nothing_of_a_seats_ends(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CARRY_WITHIN", 1.5)
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    ours = (node.media.host, node.media.port)
    clients = []
    for _ in range(2):
        user = node.streams.credential(int(time.time()) + 60, "meeting/A")
        client = TurnClient(peer.offer(), await node.by_turn(), user, ours)
        await client.allocate()
        await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=ours)
        clients.append(client)
    used, unused = clients
    await used.check()
    unused.send(unused.request(server=Credentials(unused.server.ufrag, "x" * 32)))  # a check that is not ours
    await until(lambda: unused.wire.ended, "who carries nothing is closed")
    assert not used.wire.ended
    peer.close()
    await until(lambda: used.wire.ended, "so is who carries nothing any more")
    for client in clients:
        await client.close()


async def test_a_credential_has_only_so_many_allocations(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STREAMS_OF_ONE", 1)
    user = node.streams.credential(int(time.time()) + 60, "meeting/A")
    offer = node.media.open_peer(ROOM, "a", 0, lambda state: None).offer()
    first, second, third = [TurnClient(offer, await node.by_turn(), user, ("192.0.2.1", 1)) for _ in range(3)]
    assert (await first.allocate()).error_code is None
    assert (await second.allocate()).error_code == 486
    first.wire.writer.close()
    await until(lambda: not node.streams._users, "the first is gone")
    assert (await third.allocate()).error_code is None
    for client in (first, second, third):
        await client.close()


async def test_a_stranger_sends_only_so_much(node: Node) -> None:
    tcp, turn = await node.by_tcp(), await node.by_turn()
    for _ in range(MAX_STRANGE_DATAGRAMS + 1):
        tcp.writer.write(ice_tcp_frame(b"\x80 nothing"))
        turn.writer.write(b"\x40\x00\x00\x04data")
    await until(lambda: tcp.ended and turn.ended, "both are closed")


@pytest.mark.parametrize("empty", [b"\x00\x00", b"\x00\x01\x80"])
async def test_frames_that_hold_nothing_end_a_stream_be_it_a_strangers_or_a_seats(
    node: Node, empty: bytes
) -> None:
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    seat, stranger = IceTcpClient(peer.offer(), await node.by_tcp()), await node.by_tcp()
    await seat.check()
    for wire in (stranger, seat.wire):
        wire.writer.write(empty * 20)
        await until(lambda wire=wire: wire.ended, "it is closed", seconds=2)  # type: ignore[misc]  # a default binds the loop's value
    assert node.media.counters["dropped_malformed"] == 0  # the port was not even asked
    await seat.close()


@pytest.mark.parametrize("way", ["ice-tcp", "turn", "unbound"])
async def test_a_seat_that_sends_what_nobody_accepts_is_closed(
    node: Node, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(module, "FRUITLESS_AT_ONCE", 100)
    peer = node.media.open_peer(ROOM, "a", 0, lambda state: None)
    ours = (node.media.host, node.media.port)
    client: IceTcpClient | TurnClient
    if way == "ice-tcp":
        client = IceTcpClient(peer.offer(), await node.by_tcp())
    else:
        user = node.streams.credential(int(time.time()) + 60, "meeting/A")
        client = TurnClient(peer.offer(), await node.by_turn(), user, ours)
        await client.allocate()
        await client.ask(stun.Method.CHANNEL_BIND, XOR_PEER_ADDRESS=ours, CHANNEL_NUMBER=0x4001)
        client.channel = 0x4001
    await client.check()
    if isinstance(client, TurnClient) and way == "unbound":
        client.channel = 0x4002
    for _ in range(50):
        client.send(b"\x80" + bytes(30))
    if way != "unbound":
        await client.check()
        assert not client.wire.ended  # a browser may send some before we know what it will publish
        for _ in range(300):
            client.send(b"\x80" + bytes(30))
    await until(lambda: client.wire.ended, "it is closed", seconds=2)
    await client.close()


async def test_a_stream_has_only_its_share_of_each_turn_and_is_read_no_faster_than_is_due(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OCTETS_PER_SECOND", 10_000)
    paused: list[bool] = []

    class Held(Written):
        def pause_reading(self) -> None:
            paused.append(True)

        def resume_reading(self) -> None:
            paused.append(False)

    stream = node.streams.ice_tcp()
    transport = Held()
    stream.connection_made(transport)
    taken: list[bytes] = []

    def receive(datagram: bytes, address: Address) -> bool:
        taken.append(datagram)
        return True

    monkeypatch.setattr(node.media, "knows", lambda address: True)
    monkeypatch.setattr(node.media, "receive", receive)
    stream.data_received(ice_tcp_frame(bytes(98)) * 150)  # worth 1.5 s
    assert (len(taken), paused) == (module.FRAMES_AT_ONCE, [True])
    stream.data_received(ice_tcp_frame(bytes(98)))  # had been read already
    assert len(taken) == module.FRAMES_AT_ONCE
    await until(lambda: len(taken) == 151, "the rest follows in its turn", seconds=0.4)
    assert paused == [True]
    await until(lambda: paused == [True, False], "and is read again when its time has come", seconds=2)
    stream.connection_lost(None)


@pytest.mark.parametrize("garbage", [b"\xff" * 400, b"\x08\x01" + bytes(5000), b"\x0f\xff\xff\xff"])
async def test_a_stream_that_makes_no_sense_is_closed_at_once(node: Node, garbage: bytes) -> None:
    for wire in (await node.by_tcp(), await node.by_turn()):
        wire.writer.write(garbage)
        wire.writer.write(garbage)
        await until(lambda wire=wire: wire.ended, "it is closed", seconds=2)  # type: ignore[misc]  # a default binds the loop's value


@given(pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_in_any_pieces_cost_a_stranger_only_their_stream(pieces: list[bytes]) -> None:
    async def go() -> None:
        media = MediaPort("localhost", 0)
        streams = Streams(media)
        for protocol in (streams.ice_tcp(), streams.turn()):
            transport = Written()
            protocol.connection_made(transport)
            for piece in pieces:
                protocol.data_received(piece)
            protocol.connection_lost(None)
            protocol.data_received(b"\x00\x02late")
        assert media.counters["failed"] == 0
        assert len(streams) == 0
        await streams.close()

    asyncio.run(go())


# ---- a stream that cannot keep up ------------------------------------------------------------------------


class Written(asyncio.Transport):
    """A transport whose other end has stopped reading."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 5000)})
        self.queued = 0
        self.gone = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.queued += len(data)

    def get_write_buffer_size(self) -> int:
        return self.queued

    def is_closing(self) -> bool:
        return self.gone

    def abort(self) -> None:
        self.gone = True

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading
    close = abort


async def test_video_is_dropped_long_before_sound_and_the_queue_stays_short(node: Node) -> None:
    stream = node.streams.ice_tcp()
    transport = Written()
    stream.connection_made(transport)
    stream.data_received(ice_tcp_frame(bytes(20)))  # whatever it is, it goes to our own port
    address = next(reversed(node.media._streams))
    send = node.media._streams[address][0]
    picture, sound = bytes([0x80, VP8]) + bytes(1198), bytes([0x80, 111]) + bytes(158)
    while send(picture):
        assert transport.queued < module.BACKLOG
    assert transport.queued <= module.VIDEO_BACKLOG + len(picture) + 2
    assert send(sound)
    assert send(b"\x16" + bytes(1000))  # a handshake is not video
    while send(sound):
        pass
    assert module.BACKLOG < transport.queued <= module.BACKLOG + len(sound) + 2
    transport.gone = True
    assert not send(sound)
    stream.connection_lost(None)
    assert not send(sound)


async def test_who_asks_and_does_not_read_is_closed(node: Node) -> None:
    user = node.streams.credential(int(time.time()) + 60, "meeting/A")
    offer = node.media.open_peer(ROOM, "a", 0, lambda state: None).offer()
    client = TurnClient(offer, await node.by_turn(), user, ("192.0.2.1", 1))
    await client.allocate()
    turn = next(stream for stream in node.streams._open if isinstance(stream, module._Turn))
    assert turn._transport is not None
    blocked = Written()
    blocked.queued = module.BACKLOG + 1
    turn._transport, real = blocked, turn._transport
    client.wire.writer.write(bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST)))
    await until(lambda: blocked.gone, "it is closed")
    turn._transport = real
    await client.close()


def test_a_stream_of_ours_shows_at_once_that_it_is_slow() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as sock:
        sock.connect(server.getsockname())
        module.tune(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == module.UNSENT
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    module.tune(None)
