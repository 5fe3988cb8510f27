from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pylibsrtp
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooms import batch, mmsg, rtcp
from rooms.batch import BatchEngine, fastest_engine, handle_of, srtp_binding, works
from rooms.engine import DatagramEngine, Engine
from rooms.forwarding import Forwarded, Kind, PublishedTrack
from rooms.ice import MAX_DATAGRAM
from rooms.media import MediaPort
from rooms.rtp import HEADER
from tests.rooms.media_room import ROOM, Clocked, Room
from tests.rooms.raw_client import MEDIA_SSRC, until

pytestmark = pytest.mark.skipif(not works(), reason="the batch engine does not work on this machine")


@asynccontextmanager
async def opened(port: Clocked, host: str = "127.0.0.1") -> AsyncIterator[Room]:
    await port.start()
    room = Room(port, host)
    try:
        yield room
    finally:
        for client in room.clients:
            await client.close()
        await port.close()


@pytest_asyncio.fixture
async def batched() -> AsyncIterator[Room]:
    async with opened(Clocked("127.0.0.1", 0, engine=BatchEngine("127.0.0.1", 0))) as room:
        yield room
        assert room.port.counters["failed"] == 0


# ---------------------------------------------------------------------------------- what it stands on


def test_the_parts_of_pylibsrtp_that_are_used_are_there() -> None:
    """They are its own business and may change with any release: then this fails before anything else."""
    binding = srtp_binding()
    call = "srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)"
    for name in ("srtp_protect", "srtp_unprotect"):
        assert binding.ffi.typeof(getattr(binding.lib, name)).cname == call
    assert binding.lib.srtp_err_status_ok == 0
    session = pylibsrtp.Session(pylibsrtp.Policy(key=bytes(30), ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND))
    assert binding.ffi.typeof(handle_of(session)).cname == "struct srtp_ctx_t_ *"
    assert pylibsrtp.SRTP_MAX_TRAILER_LEN + MAX_DATAGRAM <= mmsg.ENTRY


def test_it_is_chosen_by_itself_where_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(fastest_engine("127.0.0.1", 0), BatchEngine)
    works.cache_clear()
    try:
        monkeypatch.setattr(mmsg, "system_calls", _absent)
        assert isinstance(fastest_engine("127.0.0.1", 0), DatagramEngine)
    finally:
        works.cache_clear()


def _absent() -> None:
    raise OSError("no such call here")


# ------------------------------------------------------------------------------ the same as the plain one


class Frozen(Clocked):
    """A media port whose clock moves only when told: numbers that depend on time can be compared."""

    at = 1000.0

    def now(self) -> float:
        return self.at


@dataclass(frozen=True)
class Media:
    """One packet: how far its number lies from the highest sent, and what it carries."""

    who: int
    kind: Kind
    step: int
    size: int
    other_payload_type: bool = False


@dataclass(frozen=True)
class Again:
    """The last datagram of a seat, replayed."""

    who: int


@dataclass(frozen=True)
class Late:
    """A retransmission from a publisher."""

    who: int
    back: int


@dataclass(frozen=True)
class Garbage:
    """Something else from the seat's address."""

    who: int
    datagram: bytes


@dataclass(frozen=True)
class Missed:
    """A subscriber asks for what it missed."""

    who: int
    slot: int
    number: int


@dataclass(frozen=True)
class Gate:
    """Who is inside, who is muted."""

    seats: frozenset[str]
    muted: frozenset[str]


@dataclass(frozen=True)
class Wait:
    """Time passes."""

    seconds: float


@dataclass(frozen=True)
class Move:
    """A seat changes networks."""

    who: int


Step = Media | Again | Late | Garbage | Missed | Gate | Wait | Move

SEATS = "abc"
who = st.integers(0, len(SEATS) - 1)
video = st.sampled_from([Kind.CAMERA, Kind.SCREEN])
names = st.sets(st.sampled_from(SEATS)).map(frozenset)
# Mostly the next number; sometimes a loss, an older one, half a round, the other side of a wrap.
strides = st.sampled_from([1, 1, 1, 1, 2, 3, -1, -2, -7, 30, 600, 3_500, 20_000, 32_768, -600, -40_000])
media = st.builds(Media, who, st.sampled_from(Kind), strides, st.integers(0, 1_300), st.just(False))
step = st.one_of(
    media,
    media,
    media,
    st.builds(Media, who, st.sampled_from(Kind), st.just(1), st.integers(0, 100), st.just(True)),
    st.builds(Again, who),
    st.builds(Late, who, st.integers(0, 4)),
    st.builds(Garbage, who, st.binary(max_size=60)),
    st.builds(Missed, who, st.integers(0, 13), st.integers(0, 40)),
    st.builds(Gate, st.one_of(st.just(frozenset(SEATS)), names), names),
    st.builds(Wait, st.sampled_from([0.02, 0.3, 2.0])),
    st.builds(Move, who),
)


@dataclass
class Walk:
    """One walk over one engine, and what came of it."""

    room: Room
    starts: list[int]
    numbers: dict[tuple[int, Kind], int] = field(default_factory=dict)
    last: dict[int, bytes] = field(default_factory=dict)
    retransmissions: int = 0

    async def go(self, steps: Sequence[Step]) -> tuple[list[list[tuple[int, bytes]]], dict[str, int]]:
        """What each seat received, by slot, and the port's counters."""
        self.room.gate(SEATS)
        self.seats = [await self.room.seat(name, place) for place, name in enumerate(SEATS)]
        for taken in steps:
            await self.take(taken)
        await self.settle()
        received = []
        for seat in self.seats:
            client = seat.client
            slots = {ssrc: position for position, ssrc in enumerate(client.slots)}
            received.append([(slots[HEADER.unpack_from(p)[4]], p[:8] + p[12:]) for p in client.rtp])
        counted = ("packets_in", "packets_out", "dropped_unauthenticated", "dropped_malformed")
        counters = {name: self.room.port.counters[name] for name in (*counted, "nacks", "retransmitted")}
        assert self.room.port.counters["failed"] == 0
        return received, counters

    async def settle(self) -> None:
        """Everything sent has been dealt with, and everything that was answered has come."""
        for seat in self.seats:
            await self.room.settled(seat)

    async def take(self, taken: Step) -> None:
        if not isinstance(taken, Media | Again | Late):
            # What happens beside the socket happens after what was sent before.
            await self.settle()
        match taken:
            case Media(who, kind, stride, size, other):
                number = self.numbers.get((who, kind), self.starts[who]) + stride
                self.numbers[who, kind] = number
                payload_type = 100 if other else 111 if kind is Kind.AUDIO else 96
                head = HEADER.pack(0x80, payload_type, number & 0xFFFF, number * 90 % 2**32, MEDIA_SSRC[kind])
                try:
                    self.last[who] = self.seats[who].client.send_packet(head + bytes([size & 0xFF]) * size)
                except pylibsrtp.Error:
                    pass  # the client's own libsrtp refuses such a step
            case Again(who) if who in self.last:
                self.seats[who].client.send(self.last[who])
            case Late(who, back):
                self.retransmissions += 1
                number = self.numbers.get((who, Kind.CAMERA), self.starts[who]) - back
                self.seats[who].client.send_rtx(Kind.CAMERA, self.retransmissions, number & 0xFFFF, b"late")
            case Garbage(who, datagram):
                # DTLS in the clear may end the association, and not at the same moment everywhere.
                if not datagram or not 19 < datagram[0] < 64:
                    self.seats[who].client.send(datagram)
            case Missed(who, slot, number):
                client = self.seats[who].client
                client.send_rtcp(rtcp.build_nack(1, client.slots[slot % len(client.slots)], [number]))
            case Gate(seats, muted):
                self.room.port.set_gate(ROOM, seats, muted)
            case Wait(seconds):
                assert isinstance(self.room.port, Frozen)
                self.room.port.at += seconds
            case Move(who):
                await self.room.moves(self.seats[who])


async def walked(
    engine: Engine, starts: list[int], steps: Sequence[Step]
) -> tuple[list[list[tuple[int, bytes]]], dict[str, int]]:
    async with opened(Frozen("127.0.0.1", 0, engine=engine)) as room:
        return await Walk(room, starts).go(steps)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from([0, 1, 32_700, 65_500, 65_535]), min_size=3, max_size=3),
    st.lists(step, min_size=20, max_size=80),
)
def test_both_engines_send_the_same_octets_to_the_same_seats(starts: list[int], steps: list[Step]) -> None:
    async def both() -> None:
        plain = await walked(DatagramEngine("127.0.0.1", 0), starts, steps)
        batched = await walked(BatchEngine("127.0.0.1", 0), starts, steps)
        assert batched == plain

    asyncio.run(both())


# ------------------------------------------------------------------------------------- what may happen


@pytest.mark.parametrize(("bound", "host"), [("::1", "::1"), ("::", "::1"), ("::", "127.0.0.1")])
async def test_media_flows_over_ipv6_and_over_both(bound: str, host: str) -> None:
    async with opened(Clocked(bound, 0, engine=BatchEngine(bound, 0)), host) as room:
        a, b = await room.seat("a", 0), await room.seat("b", 1)
        room.gate("ab")
        a.client.send_rtp(Kind.CAMERA, 1, payload=b"picture")
        await until(lambda: len(b.client.rtp) == 1, "the packet arrives")
        assert b.client.rtp[0].endswith(b"picture")
        assert a.peer.direct is not None


async def test_a_burst_larger_than_the_sending_ring_arrives_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "SEND", 4)
    async with opened(Clocked("127.0.0.1", 0, engine=BatchEngine("127.0.0.1", 0))) as room:
        a, b, c = await room.seat("a", 0), await room.seat("b", 1), await room.seat("c", 2)
        room.gate("abc")
        for number in range(50):
            a.client.send_rtp(Kind.CAMERA, number, payload=b"%d" % number)
        for other in (b, c):
            await until(lambda other=other: len(other.client.rtp) == 50, "all of it arrives")  # type: ignore[misc]  # a default binds the loop's value
            assert [packet[12:] for packet in other.client.rtp] == [b"%d" % number for number in range(50)]
        assert room.port.counters["packets_out"] == 100


async def test_a_defect_costs_one_packet_and_not_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = PublishedTrack.forward

    def failing(
        track: PublishedTrack, second: int, sequence: int, timestamp: int, now: float
    ) -> Sequence[Forwarded]:
        if sequence == 3:
            raise RuntimeError("a defect")
        return decide(track, second, sequence, timestamp, now)

    monkeypatch.setattr(PublishedTrack, "forward", failing)
    async with opened(Clocked("127.0.0.1", 0, engine=BatchEngine("127.0.0.1", 0))) as room:
        a, b = await room.seat("a", 0), await room.seat("b", 1)
        room.gate("ab")
        for number in range(1, 6):
            a.client.send_rtp(Kind.CAMERA, number, payload=b"%d" % number)
        await until(lambda: len(b.client.rtp) == 4, "the others arrive")
        assert [packet[12:] for packet in b.client.rtp] == [b"1", b"2", b"4", b"5"]
        assert room.port.counters["failed"] == 1


async def test_seats_that_close_in_the_middle_of_a_batch_get_and_send_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decide = PublishedTrack.forward

    def closing(
        track: PublishedTrack, second: int, sequence: int, timestamp: int, now: float
    ) -> Sequence[Forwarded]:
        ways = decide(track, second, sequence, timestamp, now)
        if sequence == 3:
            b.peer.close()
        elif sequence == 4:
            a.peer.close()
        return ways

    monkeypatch.setattr(PublishedTrack, "forward", closing)
    async with opened(Clocked("127.0.0.1", 0, engine=BatchEngine("127.0.0.1", 0))) as room:
        a, b, c = await room.seat("a", 0), await room.seat("b", 1), await room.seat("c", 2)
        room.gate("abc")
        for number in range(1, 8):
            a.client.send_rtp(Kind.CAMERA, number, payload=b"%d" % number)
        await until(lambda: len(c.client.rtp) == 4, "what came before arrives")
        await room.settled(c)
        assert [packet[12:] for packet in c.client.rtp] == [b"1", b"2", b"3", b"4"]
        assert [packet[12:] for packet in b.client.rtp] == [b"1", b"2"]
        assert room.port.counters["dropped_unauthenticated"] == 3
        assert room.port.counters["failed"] == 0


async def test_an_engine_that_closes_in_the_middle_of_a_batch_delivers_nothing_more() -> None:
    engine = BatchEngine("127.0.0.1", 0)
    came: list[bytes] = []

    class Once(MediaPort):
        def on_datagram(self, data: bytes, address: tuple[str, int] | tuple[str, int, int, int]) -> None:
            came.append(data)
            closing = engine.close()
            with pytest.raises(StopIteration):
                closing.send(None)

    port = Once("127.0.0.1", 0, engine=engine)
    await port.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(5):
            sock.sendto(b"stranger", ("127.0.0.1", port.port))
    await until(lambda: came != [], "the first comes")
    await asyncio.sleep(0)
    assert came == [b"stranger"]
    await port.close()


async def test_a_seat_reached_over_a_stream_is_not_sent_to_over_udp(batched: Room) -> None:
    a, b = await batched.seat("a", 0), await batched.seat("b", 1)
    batched.gate("ab")
    streamed: list[bytes] = []

    def send(datagram: bytes) -> bool:
        streamed.append(datagram)
        return True

    stream = batched.port.attach("tcp", send, ("192.0.2.1", 9))
    for nominates in (False, True):  # it tries the way, and chooses it
        batched.port.receive(b.client.request(nominates=nominates), stream)
    assert b.peer.direct is None
    before = len(streamed)
    a.client.send_rtp(Kind.CAMERA, 1, payload=b"picture")
    await until(lambda: len(streamed) > before, "it goes over the stream")
    media = [datagram for datagram in streamed if datagram[:2] == bytes([0x80, 96])]
    assert [b.client.dtls._rx_srtp.unprotect(datagram)[12:] for datagram in media] == [b"picture"]
    assert b.client.rtp == []
    # What it sends over the stream reaches the others, who are on UDP.
    head = HEADER.pack(0x80, 96, 1, 0, MEDIA_SSRC[Kind.CAMERA])
    batched.port.receive(b.client.dtls._tx_srtp.protect(head + b"answer"), stream)
    await until(lambda: len(a.client.rtp) == 1, "it arrives")
    batched.port.detach(stream)
    await b.client.check()
    await until(lambda: b.peer.direct is not None, "it has answered over UDP")
    a.client.send_rtp(Kind.CAMERA, 2, payload=b"again")
    await until(lambda: len(b.client.rtp) == 1, "back on UDP")


async def test_much_traffic_is_looked_at_less_often_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "BUSY", 50)
    engine = BatchEngine("127.0.0.1", 0)
    async with opened(Clocked("127.0.0.1", 0, engine=engine)) as room:
        a, b = await room.seat("a", 0), await room.seat("b", 1)
        room.gate("ab")
        sent = 0

        def sending() -> bool:
            nonlocal sent
            sent += 1
            a.client.send_rtp(Kind.AUDIO, sent)
            return engine._pause is not None

        await until(sending, "it looks less often")
        for _ in range(20):
            sending()
        await until(lambda: len(b.client.rtp) == sent, "everything arrives")
        await until(lambda: engine._pause is None, "it waits for arrivals again")
        sending()
        await until(lambda: len(b.client.rtp) == sent, "and notices them")
        assert room.port.counters["failed"] == 0


async def test_a_queue_longer_than_one_look_is_read_on_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "BUSY", -1)
    monkeypatch.setattr(batch, "PAUSE", 60.0)
    async with opened(Clocked("127.0.0.1", 0, engine=BatchEngine("127.0.0.1", 0))) as room:
        sent = batch.TURNS * batch.RECEIVE + 10
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(sent):  # nothing is read meanwhile
                stranger.sendto(b"\xff", ("127.0.0.1", room.port.port))
        await until(lambda: room.port.counters["dropped_malformed"] == sent, "all of it is read")
