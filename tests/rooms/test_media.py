from __future__ import annotations

import asyncio
import os
import socket

import pytest

from rooms import rtcp
from rooms.forwarding import Kind
from rooms.ice import Credentials
from rooms.media import MediaPort, PeerState
from rooms.peer import INTERRUPTION, SILENCE
from rooms.rtp import HEADER, HEADER_SIZE, unwrap_rtx
from tests.rooms.media_room import ROOM, Room, Seat
from tests.rooms.raw_client import MEDIA_SSRC, RawClient, until

NOBODY: frozenset[str] = frozenset()


# --------------------------------------------------------------------------------------------- the gate


async def test_a_closed_gate_lets_nothing_through_and_an_open_one_everything(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    for sequence in range(10):
        a.client.send_rtp(Kind.AUDIO, sequence)
        a.client.send_rtp(Kind.CAMERA, sequence)
    await room.settled(a)
    assert room.port.counters["packets_in"] == 20
    assert room.port.counters["packets_out"] == 0

    room.gate("ab")
    a.client.send_rtp(Kind.AUDIO, 10, payload=b"sound")
    a.client.send_rtp(Kind.CAMERA, 10, payload=b"picture")
    await until(lambda: len(b.client.rtp) == 2, "both packets arrive")
    audio, video = b.client.slots[0], b.client.slots[1]
    assert [packet[HEADER_SIZE:] for packet in b.client.of(audio)] == [b"sound"]
    assert [packet[HEADER_SIZE:] for packet in b.client.of(video)] == [b"picture"]
    assert a.client.rtp == []

    room.gate("a")
    a.client.send_rtp(Kind.CAMERA, 11)
    b.client.send_rtp(Kind.CAMERA, 11)
    await room.settled(a)
    await room.settled(b)
    assert len(b.client.rtp) == 2
    assert a.client.rtp == []


async def test_a_muted_seat_is_seen_and_not_heard(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab", muted="a")
    a.client.send_rtp(Kind.AUDIO, 1)
    a.client.send_rtp(Kind.CAMERA, 1)
    await room.settled(a)
    await room.settled(b)
    assert [HEADER.unpack_from(packet)[4] for packet in b.client.rtp] == [b.client.slots[1]]


async def test_rooms_do_not_hear_each_other(room: Room) -> None:
    a = await room.seat("a", 0)
    states: list[PeerState] = []
    other = room.port.open_peer("room-2", "b", 1, states.append)
    client = RawClient(other.offer())
    room.clients.append(client)
    other.answer(client.answer())
    await client.connect()
    room.gate("ab")
    room.port.set_gate("room-2", frozenset("ab"), NOBODY)
    a.client.send_rtp(Kind.CAMERA, 1)
    await room.settled(a)
    await client.check()
    assert client.rtp == []


async def test_opening_asks_each_publisher_for_a_key_frame_at_once(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    wanted = rtcp.KeyFrameRequest(MEDIA_SSRC[Kind.CAMERA])
    await until(lambda: wanted in a.client.reports and wanted in b.client.reports, "key frames are asked for")
    assert room.port.counters["key_frame_requests"] == 2


async def test_a_request_that_may_be_lost_is_sent_once_more(room: Room) -> None:
    a, b, c = await room.seat("a", 0), await room.seat("b", 1), await room.seat("c", 2)
    wanted = rtcp.KeyFrameRequest(MEDIA_SSRC[Kind.CAMERA])
    room.gate("abc")
    room.gate("ab")  # nobody sees c any more when its turn comes again
    await until(lambda: a.client.reports.count(wanted) == b.client.reports.count(wanted) == 2, "once more")
    await room.settled(c)
    assert c.client.reports.count(wanted) == 1
    assert room.port.counters["key_frame_requests"] == 3


async def test_a_screen_is_seen_by_all_others_in_their_last_slot(room: Room) -> None:
    a, b, c = await room.seat("a", 0), await room.seat("b", 1), await room.seat("c", 2)
    room.gate("abc")
    a.client.send_rtp(Kind.SCREEN, 1, payload=b"screen of a")
    for other in (b, c):
        # Media and retransmission of the last slot are the last two streams of the offer.
        await until(lambda other=other: len(other.client.of(other.client.slots[-2])) == 1, "it is seen")  # type: ignore[misc]  # a default binds the loop's value
    b.client.send_rtp(Kind.SCREEN, 1, payload=b"screen of b")
    await until(lambda: len(a.client.of(a.client.slots[-2])) == 1, "the last to start is seen")
    await until(lambda: len(c.client.of(c.client.slots[-2])) == 2, "in the same slot")
    assert b.client.of(b.client.slots[-2])[0].endswith(b"screen of a")
    assert len(b.client.rtp) == 1


async def test_a_gate_set_before_anybody_came_holds(room: Room) -> None:
    room.gate("ab")
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    a.client.send_rtp(Kind.CAMERA, 1)
    await until(lambda: len(b.client.rtp) == 1, "the packet arrives")


async def test_a_replaced_transport_continues_in_the_slots_of_the_others(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    b.client.send_rtp(Kind.CAMERA, 50_000, 7)
    await until(lambda: len(a.client.rtp) == 1, "the first transport is seen")
    again = await room.seat("b", 1)
    assert b.peer.state is PeerState.GONE
    assert b.states == [PeerState.CONNECTING, PeerState.CONNECTED]
    await until(lambda: b.client.dtls.state == "closed", "the former page is told")
    again.client.send_rtp(Kind.CAMERA, 9, 4_000_000_000)
    await until(lambda: len(a.client.rtp) == 2, "the second transport is seen")
    first, second = (HEADER.unpack_from(packet) for packet in a.client.rtp)
    assert second[4] == first[4]
    assert second[2] == first[2] + 1
    assert 0 < (second[3] - first[3]) & 0xFFFFFFFF < 90_000 * 20


async def test_a_closed_room_is_forgotten(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    room.port.close_room(ROOM)
    room.port.close_room(ROOM)
    assert (a.peer.state, b.peer.state) == (PeerState.GONE, PeerState.GONE)
    assert a.peer.state is PeerState.GONE
    again = await room.seat("a", 0)
    other = await room.seat("b", 1)
    again.client.send_rtp(Kind.CAMERA, 1)
    await room.settled(again)
    await room.settled(other)
    assert other.client.rtp == []


async def test_a_port_opens_seats_only_when_started_and_only_in_the_roster(room: Room) -> None:
    with pytest.raises(RuntimeError):
        MediaPort("127.0.0.1", 0).open_peer(ROOM, "a", 0, lambda state: None)
    with pytest.raises(ValueError, match="place"):
        room.open("a", 4)
    room.open("a", 0)
    with pytest.raises(ValueError, match="place"):
        room.open("b", 0)


# -------------------------------------------------------------------------------- loss and its repair


async def test_a_lost_packet_comes_again_on_request(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    for sequence in range(100, 105):
        a.client.send_rtp(Kind.CAMERA, sequence, payload=b"frame %d" % sequence)
    await until(lambda: len(b.client.rtp) == 5, "the packets arrive")
    media, rtx = b.client.slots[1], b.client.slots[2]
    b.client.send_rtcp(rtcp.build_nack(1, media, [3]))
    await until(lambda: len(b.client.of(rtx)) == 1, "the packet comes again")
    restored = unwrap_rtx(b.client.of(rtx)[0], payload_type=96, ssrc=media)
    assert restored is not None
    assert (restored[0], restored[1][HEADER_SIZE:]) == (3, b"frame 102")
    assert room.port.counters["nacks"] == 1
    assert room.port.counters["retransmitted"] == 1


async def test_a_packet_lost_before_the_server_is_fetched_from_its_publisher(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    a.client.send_rtp(Kind.CAMERA, 100)
    a.client.send_rtp(Kind.CAMERA, 102)
    await until(lambda: len(b.client.rtp) == 2, "the packets arrive")
    b.client.send_rtcp(rtcp.build_nack(1, b.client.slots[1], [2]))
    wanted = rtcp.Nack(MEDIA_SSRC[Kind.CAMERA], (101,))
    await until(lambda: wanted in a.client.reports, "the publisher is asked")
    a.client.send_rtx(Kind.CAMERA, 1, 101, b"late")
    await until(lambda: len(b.client.of(b.client.slots[2])) == 1, "the packet comes after all")
    assert b.client.of(b.client.slots[2])[0].endswith(b"\x00\x02late")
    assert a.peer.member.tracks[Kind.CAMERA].reception.received == 2


async def test_what_was_sent_before_admission_cannot_be_asked_for(room: Room) -> None:
    a, b, c = await room.seat("a", 0), await room.seat("b", 1), await room.seat("c", 2)
    room.gate("ab")
    for sequence in range(100, 110):
        a.client.send_rtp(Kind.CAMERA, sequence)
    await until(lambda: len(b.client.rtp) == 10, "those inside see it")
    room.gate("abc")
    a.client.send_rtp(Kind.CAMERA, 110)
    await until(lambda: len(c.client.rtp) == 1, "the new one sees what follows")
    c.client.send_rtcp(rtcp.build_nack(1, c.client.slots[1], [*range(65_500, 65_536), 0]))
    await room.settled(c)
    assert len(c.client.rtp) == 1


async def test_requests_for_key_frames_are_throttled(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    before = room.port.counters["key_frame_requests"]
    room.port.ahead = 1.0
    for _ in range(10):
        b.client.send_rtcp(rtcp.build_pli(1, b.client.slots[1]))
    await room.settled(b)
    assert room.port.counters["key_frame_requests"] == before + 1
    assert a.peer.state is PeerState.CONNECTED


async def test_a_seat_behind_the_gate_can_ask_for_nothing(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    a.client.send_rtp(Kind.CAMERA, 1)
    await room.settled(a)
    b.client.send_rtcp(rtcp.build_pli(1, b.client.slots[1]) + rtcp.build_nack(1, b.client.slots[1], [1]))
    await room.settled(b)
    await room.settled(a)
    assert room.port.counters["key_frame_requests"] == 0
    assert b.client.rtp == []
    assert not any(isinstance(report, rtcp.KeyFrameRequest | rtcp.Nack) for report in a.client.reports)


async def test_sender_reports_pass_the_gate_with_the_slots_numbers_and_round_trips_are_measured(
    room: Room,
) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    report = rtcp.build_sender_report(rtcp.SenderReport(MEDIA_SSRC[Kind.CAMERA], 0xAABB_CCDD << 16, 90, 1, 2))
    a.client.send_rtcp(report)
    await room.settled(a)
    await room.settled(b)
    assert not any(isinstance(told, rtcp.SenderReport) for told in b.client.reports)
    room.gate("ab")
    a.client.send_rtp(Kind.CAMERA, 1, 90)
    a.client.send_rtcp(report)
    slot = b.client.slots[1]
    await until(
        lambda: rtcp.SenderReport(slot, 0xAABB_CCDD << 16, 90, 1, 2) in b.client.reports, "the report passes"
    )
    b.client.send_rtcp(rtcp.build_receiver_report(1, [rtcp.ReportBlock(slot, 64, 1, 1, 0, 0xAABB_CCDD, 0)]))
    await room.settled(b)
    quality = b.peer.quality()
    assert quality.loss_out == 0.25
    assert quality.rtt_ms is not None
    assert 0 <= quality.rtt_ms < 5_000


# ------------------------------------------------------------------------------- strangers and garbage


async def test_garbage_is_counted_and_unanswered(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.setblocking(False)
    stranger.connect(("127.0.0.1", room.port.port))
    for first in range(256):
        stranger.send(bytes([first]) + os.urandom(first))
    stranger.send(b"")
    await until(
        lambda: (
            room.port.counters["dropped_malformed"] + room.port.counters["dropped_unauthenticated"] == 257
        ),
        "all of it is counted",
    )
    a.client.send_rtp(Kind.CAMERA, 1)
    await until(lambda: len(b.client.rtp) == 1, "media goes on")
    with pytest.raises(BlockingIOError):
        stranger.recv(100)
    stranger.close()


async def test_garbage_from_a_known_address_is_counted(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    for first in range(256):
        # Anything but DTLS alerts in the clear, which end a DTLS 1.2 handshake but not an association.
        a.client.send(bytes([first]) + os.urandom(first * 5))
    for size in range(40):
        a.client.send(bytes([0x80, 96]) + os.urandom(size))
        a.client.send(bytes([0x80, 200]) + os.urandom(size))
        a.client.send_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x01" + os.urandom(size))
    await room.settled(a)
    a.client.send_rtp(Kind.CAMERA, 1)
    await until(lambda: len(b.client.rtp) == 1, "media goes on")


async def test_media_from_elsewhere_and_repeated_media_go_nowhere(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    wire = a.client.send_rtp(Kind.CAMERA, 1)
    await until(lambda: len(b.client.rtp) == 1, "the packet arrives")
    a.client.send(wire)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.sendto(wire, ("127.0.0.1", room.port.port))
    stranger.close()
    await until(lambda: room.port.counters["dropped_unauthenticated"] == 2, "both are counted")
    await room.settled(b)
    assert len(b.client.rtp) == 1


async def test_an_unannounced_stream_goes_nowhere(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    for ssrc in range(3000, 3050):
        a.client.send_rtp(Kind.CAMERA, 1, ssrc=ssrc)
    await room.settled(a)
    assert room.port.counters["dropped_unauthenticated"] == 50
    await room.settled(b)
    assert b.client.rtp == []


async def test_a_datagram_larger_than_any_frame_is_dropped(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    a.client.send(bytes([0x80, 96]) + bytes(6) + MEDIA_SSRC[Kind.CAMERA].to_bytes(4, "big") + bytes(5000))
    await room.settled(a)
    assert room.port.counters["dropped_malformed"] == 1
    assert b.peer.state is PeerState.CONNECTED


async def test_nobody_takes_over_the_address_of_a_seat_that_is_heard(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    # b's own valid request, as if sent from a's address.
    a.client.send(b.client.request())
    await room.settled(a)
    assert room.port.counters["dropped_unauthenticated"] == 1
    room.gate("ab")
    a.client.send_rtp(Kind.CAMERA, 1)
    await until(lambda: len(b.client.rtp) == 1, "the seat still sends from there")


async def test_an_address_that_a_seat_has_left_may_soon_be_anothers(room: Room) -> None:
    """A household's router gives its ports out again."""
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    left = a.client.sock.dup()
    await room.moves(a)
    c = room.open("c", 2)
    c.peer.answer(c.client.answer())
    loop = asyncio.get_running_loop()
    loop.remove_reader(c.client.sock)
    c.client._forget_socket()
    c.client._socket = left
    loop.add_reader(left, c.client._readable)
    c.client.send(c.client.request())
    await room.settled(a)
    assert c.client.responses == [], "it may be on its way back"
    for _ in range(2):
        room.port.ahead += SILENCE / 2
        await a.client.check()
        await b.client.check()
        room.port.beat()
    await c.client.connect()
    await until(lambda: c.peer.state is PeerState.CONNECTED, "it is the other's now")
    assert left.getsockname() not in a.peer.agent.addresses
    room.gate("abc")
    for number, seat in enumerate((a, b, c), 1):
        seat.client.send_rtp(Kind.CAMERA, number, payload=b"%d" % number)
    for seat, others in ((a, "23"), (b, "13"), (c, "12")):
        await until(lambda seat=seat: len(seat.client.rtp) == 2, "each gets its own")  # type: ignore[misc]  # a default binds the loop's value
        assert {packet[-1:] for packet in seat.client.rtp} == {other.encode() for other in others}
    room.port.ahead += SILENCE / 2
    await c.client.check()
    assert a.peer.agent.address == a.client.sock.getsockname()


async def test_a_recorded_check_keeps_no_address_for_one_who_left_it(room: Room) -> None:
    a = await room.seat("a", 0)
    check = a.client.request()
    a.client.send(check)
    await room.settled(a)
    here = a.client.sock.getsockname()
    heard = a.peer.agent.heard_at(here)
    room.port.ahead += SILENCE
    a.client.send(check)
    await until(lambda: len(a.client.responses) == 4, "it is answered")
    assert a.peer.agent.heard_at(here) == heard


async def test_a_request_with_the_wrong_password_does_not_move_a_seat(room: Room) -> None:
    a = await room.seat("a", 0)
    address = a.peer.agent.address
    forged = a.client.request(server=Credentials(a.client.server.ufrag, "x" * 32))
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.sendto(forged, ("127.0.0.1", room.port.port))
    await until(lambda: room.port.counters["dropped_unauthenticated"] == 1, "it is counted")
    stranger.close()
    assert a.peer.agent.address == address


# --------------------------------------------------------------------------------- coming and going


async def test_a_seat_that_changes_networks_is_followed(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    await room.moves(b)
    a.client.send_rtp(Kind.CAMERA, 1)
    await until(lambda: len(b.client.rtp) == 1, "media follows")
    b.client.send_rtp(Kind.CAMERA, 1)
    await until(lambda: len(a.client.rtp) == 1, "and comes from there")


async def test_after_an_interruption_whole_pictures_are_asked_for_in_both_directions(room: Room) -> None:
    a, b, c = await room.seat("a", 0), await room.seat("b", 1), await room.seat("c", 2)
    room.gate("abc")
    wanted = rtcp.KeyFrameRequest(MEDIA_SSRC[Kind.CAMERA])
    await until(lambda: all(wanted in seat.client.reports for seat in (a, b, c)), "the gate has opened")
    room.port.ahead = INTERRUPTION
    for seat in (a, c):  # they were heard all the time
        seat.peer.last_heard = room.port.now()
    for seat in (a, b, c):
        seat.client.reports.clear()
    await b.client.check()
    await until(
        lambda: wanted in a.client.reports and wanted in c.client.reports, "b has missed much of them"
    )
    await until(lambda: wanted in b.client.reports, "and they of b")
    asked = room.port.counters["key_frame_requests"]
    await b.client.check()
    await room.settled(a)
    assert room.port.counters["key_frame_requests"] == asked, "once is enough"


async def test_a_silent_seat_is_gone_and_gets_nothing_until_heard_again(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    room.port.ahead = SILENCE + 1
    await a.client.check()
    await until(lambda: b.peer.state is PeerState.GONE, "the silent one is gone")
    assert a.peer.state is PeerState.CONNECTED
    a.client.send_rtp(Kind.CAMERA, 1)
    await room.settled(a)
    assert room.port.counters["packets_out"] == 0
    await b.client.check()
    assert b.peer.member.live, "the very packet brings it back"
    await until(lambda: b.states[-1] is PeerState.CONNECTED, "it is back")
    a.client.send_rtp(Kind.CAMERA, 2)
    await until(lambda: len(b.client.rtp) == 1, "media goes on")
    assert b.states == [
        PeerState.CONNECTING,
        PeerState.CONNECTED,
        PeerState.GONE,
        PeerState.CONNECTED,
    ]


async def test_an_ice_restart_keeps_keys_slots_and_media(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    slots = b.client.slots
    b.client.take(b.peer.restart())
    assert b.client.slots == slots
    # The old path serves meanwhile.
    a.client.send_rtp(Kind.CAMERA, 1)
    await until(lambda: len(b.client.rtp) == 1, "media goes on during the restart")
    b.client.credentials = Credentials.fresh()
    b.peer.answer(b.client.answer())
    await room.moves(b)
    a.client.send_rtp(Kind.CAMERA, 2)
    await until(lambda: len(b.client.rtp) == 2, "media goes on after the restart")
    assert b.states == [PeerState.CONNECTING, PeerState.CONNECTED]


async def test_closing_the_port_tells_everybody(room: Room) -> None:
    a = await room.seat("a", 0)
    await room.port.close()
    await until(lambda: a.client.dtls.state == "closed", "the page is told")
    assert a.peer.state is PeerState.GONE
    assert a.states == [PeerState.CONNECTING, PeerState.CONNECTED]


async def test_a_listener_that_fails_harms_nobody(room: Room) -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))

    def fail(state: PeerState) -> None:
        raise RuntimeError("a listener's own mistake")

    peer = room.port.open_peer(ROOM, "a", 0, fail)
    client = RawClient(peer.offer())
    room.clients.append(client)
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected all the same")
    await until(lambda: len(complaints) == 2, "the loop reports it")


@pytest.mark.parametrize(
    ("host", "advertised", "expected"),
    [
        ("localhost", None, "127.0.0.1"),
        ("127.0.0.1", "localhost", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
    ],
)
async def test_candidates_carry_an_address_that_browsers_can_use(
    host: str, advertised: str | None, expected: str
) -> None:
    port = MediaPort(host, 0, advertised=advertised)
    await port.start()
    offer = port.open_peer(ROOM, "a", 0, lambda state: None).offer()
    assert f" udp 2130706431 {expected} {port.port} typ host" in offer
    await port.close()


async def test_a_port_on_every_interface_offers_one_of_them() -> None:
    port = MediaPort("0.0.0.0", 0)
    await port.start()
    assert port.host not in ("0.0.0.0", "")
    await port.close()


# --------------------------------------------------------------------------------------------- streams


class AttachedClient(RawClient):
    """A client whose datagrams come over a stream that somebody else reads and writes."""

    def __init__(self, offer: str, port: MediaPort) -> None:
        super().__init__(offer)
        self.port = port
        self.open = True
        self.pseudo = port.attach("tcp", self._written, ("192.0.2.7", 7777))

    def _written(self, datagram: bytes) -> bool:
        if self.open:
            asyncio.get_running_loop().call_soon(self._arrived, datagram)
        return self.open

    def send(self, datagram: bytes) -> None:
        self.port.receive(datagram, self.pseudo)


async def attached(room: Room, name: str, place: int) -> Seat:
    states: list[PeerState] = []
    peer = room.port.open_peer(ROOM, name, place, states.append)
    client = AttachedClient(peer.offer(), room.port)
    room.clients.append(client)
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    return Seat(peer, client, states)


async def test_a_stream_is_an_address_like_any_other(room: Room) -> None:
    a, b = await attached(room, "a", 0), await room.seat("b", 1)
    room.gate("ab")
    a.client.send_rtp(Kind.CAMERA, 1, payload=b"over a stream")
    b.client.send_rtp(Kind.CAMERA, 1, payload=b"over UDP")
    await until(lambda: bool(a.client.rtp and b.client.rtp), "both arrive")
    assert a.client.rtp[0].endswith(b"over UDP")
    assert b.client.rtp[0].endswith(b"over a stream")
    assert (a.peer.path, b.peer.path) == ("tcp", "udp")
    # The browser learns the far end of its stream, not our name for it.
    assert a.client.responses[0].attributes["XOR-MAPPED-ADDRESS"] == ("192.0.2.7", 7777)


async def test_a_stream_that_never_authenticated_is_nobodys(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    written: list[bytes] = []

    def write(datagram: bytes) -> bool:
        written.append(datagram)
        return True

    address = room.port.attach("tcp", write, ("192.0.2.7", 7777))
    forged = RawClient(a.client.offer)
    room.clients.append(forged)
    room.port.receive(forged.request(server=Credentials(a.client.server.ufrag, "x" * 32)), address)
    room.port.receive(a.client.send_rtp(Kind.CAMERA, 1), address)
    room.port.receive(b"\x16\xfe\xfd" + bytes(40), address)
    room.port.receive(b"", address)
    await until(lambda: len(b.client.rtp) == 1, "the packet arrives from where the seat is")
    assert written == []
    assert not room.port.knows(address)
    assert room.port.counters["packets_in"] == 1


async def test_a_closed_stream_sends_nothing_until_the_seat_is_heard_elsewhere(room: Room) -> None:
    a, b = await attached(room, "a", 0), await room.seat("b", 1)
    assert isinstance(a.client, AttachedClient)
    room.gate("ab")
    former = a.client.pseudo
    assert room.port.knows(former)
    room.port.detach(former)
    room.port.detach(former)
    assert room.port.knows(former) is False
    assert a.peer.agent.address is None
    b.client.send_rtp(Kind.CAMERA, 1)
    a.client.send_rtp(Kind.CAMERA, 1)  # what was on its way counts no more
    await room.settled(b)
    assert (a.client.rtp, b.client.rtp) == ([], [])
    a.client.pseudo = room.port.attach("turn", a.client._written, ("192.0.2.8", 8888))
    await a.client.check()
    assert a.peer.path == "turn"
    b.client.send_rtp(Kind.CAMERA, 2, payload=b"again")
    await until(lambda: len(a.client.rtp) == 1, "media goes on")
    assert a.states == [PeerState.CONNECTING, PeerState.CONNECTED]


async def test_what_a_full_stream_does_not_take_is_counted(room: Room) -> None:
    a, b = await attached(room, "a", 0), await room.seat("b", 1)
    assert isinstance(a.client, AttachedClient)
    room.gate("ab")
    a.client.open = False
    before = room.port.counters["dropped_unsendable"]
    b.client.send_rtp(Kind.CAMERA, 1)
    await room.settled(b)
    assert room.port.counters["dropped_unsendable"] > before
    room.port.counters["dropped_unsendable"] = 0
