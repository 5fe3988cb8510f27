"""Attacks on the media port, each as somebody would carry it out: strangers, recorders, and members gone bad.

What is only noise stands in ``test_media.py`` and under ``tests/fuzz/``; here every datagram means something.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from aioice import stun

from rooms import rtcp
from rooms.feedback import MIN_BITRATE
from rooms.forwarding import CACHE_SIZE, Kind
from rooms.ice import CHECKS_AT_ONCE, Credentials
from rooms.media import PeerState
from rooms.rates import MISSED_AT_ONCE, MISSED_PER_SECOND, RECORDS_AT_ONCE
from rooms.rtp import HEADER, HEADER_SIZE, ssrc_of
from tests.rooms.media_room import Room, Seat
from tests.rooms.raw_client import MEDIA_SSRC, RTX_SSRC, RawClient, until

OTHER = "room-2"
NOBODY: frozenset[str] = frozenset()


class Stranger:
    """A socket that no seat has ever sent from."""

    def __init__(self, room: Room) -> None:
        self.port = room.port
        self.sent = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(("127.0.0.1", 0))

    async def send(self, *datagrams: bytes) -> None:
        """Send, and wait until the port has refused every one."""
        for datagram in datagrams:
            refused = self._refused()
            self.sock.sendto(datagram, ("127.0.0.1", self.port.port))
            self.sent += 1
            await until(lambda refused=refused: self._refused() > refused, "it is refused")  # type: ignore[misc]  # a default binds the loop's value

    def heard_nothing(self) -> bool:
        """Whether no octet at all has come back."""
        try:
            self.sock.recv(4096)
        except BlockingIOError:
            return True
        return False

    def _refused(self) -> int:
        counters = self.port.counters
        return counters["dropped_unauthenticated"] + counters["dropped_malformed"]


@pytest_asyncio.fixture
async def stranger(room: Room) -> AsyncIterator[Stranger]:
    stranger = Stranger(room)
    yield stranger
    assert stranger.heard_nothing()
    stranger.sock.close()


async def elsewhere(room: Room, name: str, place: int) -> Seat:
    """A connected seat of the other room."""
    states: list[PeerState] = []
    peer = room.port.open_peer(OTHER, name, place, states.append)
    client = RawClient(peer.offer())
    room.clients.append(client)
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    return Seat(peer, client, states)


def recorded(client: RawClient, act: Callable[[], object]) -> list[bytes]:
    """What this client sends over the wire while it acts."""
    wire: list[bytes] = []
    send = client.send

    def tap(datagram: bytes) -> None:
        wire.append(datagram)
        send(datagram)

    client.send = tap  # type: ignore[method-assign]  # a tap for the length of one call
    try:
        act()
    finally:
        client.send = send  # type: ignore[method-assign]  # as above
    return wire


async def hears(room: Room, sender: Seat, receiver: Seat, sequence: int) -> None:
    """Media goes from one to the other, who is where they were."""
    before = len(receiver.client.rtp)
    sender.client.send_rtp(Kind.CAMERA, sequence)
    await until(lambda: len(receiver.client.rtp) == before + 1, "media flows to the right one")


# ---------------------------------------------------------------------------------- spoofed and recorded


async def test_a_recorded_check_sent_from_elsewhere_moves_nobody(room: Room, stranger: Stranger) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    check = b.client.request()
    before = len(b.client.responses)
    b.client.send(check)
    await until(lambda: len(b.client.responses) > before, "the check is answered")
    home = b.peer.agent.address
    await stranger.send(check)
    assert b.peer.agent.address == home
    assert len(b.peer.agent.addresses) == 1
    await hears(room, a, b, 1)


async def test_a_recorded_check_does_not_bring_back_a_seat_that_moved_on(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    check = b.client.request()
    b.client.send(check)
    await room.settled(b)
    left = b.client.sock.dup()
    await room.moves(b)
    moved = b.peer.agent.address
    left.sendto(check, b.client.address)
    await room.settled(b)
    assert b.peer.agent.address == moved
    await hears(room, a, b, 1)
    left.close()


async def test_who_forges_the_source_of_a_check_of_their_own_leads_no_media_there(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    home = b.peer.agent.address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as third:
        third.setblocking(False)
        third.bind(("127.0.0.1", 0))
        for sequence in range(1, 4):
            third.sendto(b.client.request(), b.client.address)
            await room.settled(a)
            await hears(room, a, b, sequence)
            assert b.peer.agent.address == home
        come = [third.recv(4096) for _ in range(4)]
        assert sorted(data[0] for data in come) == [0, 1, 1, 1], "answers and a question, and nothing else"
        with pytest.raises(BlockingIOError):
            third.recv(4096)


async def test_a_check_held_back_and_sent_from_elsewhere_first_diverts_nothing(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    home, held_back = b.peer.agent.address, b.client.request()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as third:
        third.sendto(held_back, b.client.address)
        await room.settled(a)
        await hears(room, a, b, 1)
        # The question that went there is carried on to the seat, which answers it from where it is.
        third.setblocking(False)
        asked = next(data for data in (third.recv(4096), third.recv(4096)) if data[0] == 0)
        b.client._arrived(asked)
        await room.settled(b)
    assert b.peer.agent.address == home
    await hears(room, a, b, 2)


async def test_the_first_check_held_back_and_sent_from_elsewhere_gets_no_media(room: Room) -> None:
    """Nobody has answered yet: a handshake may begin there, and is led with the seat once that is heard."""
    a, b = await room.seat("a", 0), room.open("b", 1)
    b.peer.answer(b.client.answer())
    room.gate("ab")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as third:
        third.setblocking(False)
        third.sendto(b.client.request(), b.client.address)
        await room.settled(a)
        assert b.peer.agent.address is not None
        await b.client.check()
        await until(lambda: b.peer.agent.address == b.client.sock.getsockname(), "it has answered")
        await b.client.shake_hands()
        await until(lambda: b.peer.state is PeerState.CONNECTED, "connected")
        await hears(room, a, b, 1)
        come = [third.recv(4096) for _ in range(2)]
        assert all(data[0] < 4 for data in come), "an answer and a question"
        with pytest.raises(BlockingIOError):
            third.recv(4096)


@pytest.mark.parametrize(
    "forgery", ["another key", "no integrity", "half an integrity", "a guess", "a response"]
)
async def test_a_forged_check_moves_nobody(room: Room, stranger: Stranger, forgery: str) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    home, ours = b.peer.agent.address, b.client.server
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ours.ufrag}:{b.client.credentials.ufrag}"
    message.attributes["USE-CANDIDATE"] = None
    plain = bytes(message)
    message.add_message_integrity(ours.pwd.encode())
    signed = bytes(message)
    cut = plain + signed[len(plain) : len(plain) + 12]
    await stranger.send(
        {
            "another key": b.client.request(server=Credentials(ours.ufrag, "x" * 32)),
            "no integrity": plain,
            "half an integrity": stun.set_body_length(cut, len(cut) - 20),
            "a guess": b.client.request(server=Credentials(ours.ufrag[:-1] + "+", ours.pwd)),
            "a response": bytes([1, 1]) + signed[2:],
        }[forgery]
    )
    assert b.peer.agent.address == home
    await hears(room, a, b, 1)


async def test_what_stands_behind_the_integrity_counts_for_nothing(room: Room, stranger: Stranger) -> None:
    """Whoever records a check that nominates nothing cannot make it nominate."""
    a = await room.seat("a", 0)
    home = a.peer.agent.address
    weak = a.client.request(nominates=False)
    signed = weak[:-8]  # without the fingerprint
    stretched = signed + b"\x00\x25\x00\x00"
    await stranger.send(stun.set_body_length(stretched, len(signed) - 20))
    stranger.sock.sendto(stun.set_body_length(stretched, len(stretched) - 20), a.client.address)
    await room.settled(a)
    assert a.peer.agent.address == home
    for what in ("a check of the seat's own is answered where it came from", "and asked there who that is"):
        await until(lambda: not stranger.heard_nothing(), what)


async def test_a_recorded_report_is_taken_once(room: Room, stranger: Stranger) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    for sequence in range(1, 6):
        a.client.send_rtp(Kind.CAMERA, sequence)
    await until(lambda: len(b.client.rtp) == 5, "the packets arrive")
    nack = rtcp.build_nack(1, b.client.slots[1], [2])
    (wire,) = recorded(b.client, lambda: b.client.send_rtcp(nack))
    await until(lambda: room.port.counters["retransmitted"] == 1, "it is answered")
    b.client.send(wire)
    await room.settled(b)
    await stranger.send(wire)
    assert room.port.counters["retransmitted"] == room.port.counters["nacks"] == 1


async def test_a_packet_cut_short_or_changed_is_dropped_and_the_whole_one_taken(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    head = HEADER.pack(0x80, 96, 1, 0, MEDIA_SSRC[Kind.CAMERA])
    wire: bytes = a.client.dtls._tx_srtp.protect(head + b"frame")
    for size in range(1, len(wire)):
        a.client.send(wire[:size])
    for at in range(1, len(wire)):
        a.client.send(wire[:at] + bytes([wire[at] ^ 1]) + wire[at + 1 :])
    await room.settled(a)
    assert room.port.counters["packets_in"] == 0
    a.client.send(wire)
    await until(lambda: len(b.client.rtp) == 1, "the whole one is taken")
    assert b.client.rtp[0].endswith(b"frame")


# -------------------------------------------------------------------------------------------- amplification


async def _client_hello(room: Room) -> list[bytes]:
    """The first flight of a real handshake."""
    seat = room.open("hello", 3)
    flight: list[bytes] = []
    seat.client._ice._out = flight.append
    task = asyncio.ensure_future(seat.client.shake_hands())
    await until(lambda: bool(flight), "the client says hello")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    seat.peer.close()
    return flight


async def test_no_unauthenticated_octet_yields_another(room: Room, stranger: Stranger) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    media = recorded(a.client, lambda: a.client.send_rtp(Kind.CAMERA, 1))
    report = recorded(a.client, lambda: a.client.send_rtcp(rtcp.build_pli(1, a.client.slots[1])))
    await room.settled(a)
    await until(lambda: len(b.client.rtp) == 1, "the true packet arrives")
    heard = len(a.client.responses)
    for method in stun.Method:
        for kind in stun.Class:
            await stranger.send(bytes(stun.Message(method, kind)))
    await stranger.send(b.client.request(server=Credentials("nobody", "x" * 32)))
    await stranger.send(*await _client_hello(room))
    await stranger.send(*(bytes([kind, 254, 253]) + bytes(10) for kind in range(20, 64)))
    await stranger.send(*media, *report, b"", bytes(1500), os.urandom(1500))
    assert stranger.sent > 80
    await room.settled(a)
    assert (len(b.client.rtp), len(a.client.responses)) == (1, heard + 1)
    # And nothing came back: the fixture looks.


async def test_all_that_goes_to_an_address_that_answers_nothing_is_no_more_than_came(room: Room) -> None:
    """Its source may be forged, by one who has a seat's keys: what is counted is all of a second."""
    a = await room.seat("a", 0)
    home = a.peer.agent.address
    sizes: list[int] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.setblocking(False)
        victim.bind(("127.0.0.1", 0))
        cost = 0
        for _ in range(25):
            check = a.client.request()
            victim.sendto(check, a.client.address)
            cost += len(check)
            room.port.ahead += 1 / 25
            await room.settled(a)
        with contextlib.suppress(BlockingIOError):
            while True:
                sizes.append(len(victim.recv(4096)))
    assert len(sizes) >= 25, "every check is answered, and some ask back"
    assert sum(sizes) <= cost
    assert a.peer.agent.address == home


async def test_an_authentic_check_is_answered_with_no_more_than_it_cost(room: Room) -> None:
    a = await room.seat("a", 0)
    for nominates in (True, False):
        check = a.client.request(nominates=nominates)
        before = len(a.client.responses)
        a.client.send(check)
        await until(lambda before=before: len(a.client.responses) == before + 1, "it is answered")  # type: ignore[misc]  # a default binds the loop's value
        assert len(bytes(a.client.responses[-1])) <= len(check)


async def test_a_flood_of_hellos_from_nowhere_costs_nothing_and_stops_nobody(
    room: Room, stranger: Stranger
) -> None:
    hello = await _client_hello(room)
    tasks = len(asyncio.all_tasks())
    for _ in range(200):
        for datagram in hello:
            stranger.sock.sendto(datagram, ("127.0.0.1", room.port.port))
    a = await room.seat("a", 0)
    assert a.peer.suite == "AEAD_AES_256_GCM"
    assert len(asyncio.all_tasks()) <= tasks + 4


async def test_forged_records_from_the_address_of_a_seat_end_nothing(room: Room) -> None:
    """Somebody who can send with a seat's address, but knows no key."""
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    for epoch in (0, 1, 2, 0xFFFF):
        for kind in (20, 21, 22, 23, 24, 25):
            for body in (b"", b"\x01\x00", b"\x02\x28", b"\x02\x0a", bytes(50), os.urandom(1200)):
                head = bytes([kind, 254, 253]) + epoch.to_bytes(2, "big") + (2**47).to_bytes(6, "big")
                a.client.send(head + len(body).to_bytes(2, "big") + body)
                a.client.send(head + (len(body) + 300).to_bytes(2, "big") + body)  # a record cut short
    for datagram in await _client_hello(room):
        a.client.send(datagram)
    await room.settled(a)
    await hears(room, a, b, 1)
    await hears(room, b, a, 1)
    assert a.states == [PeerState.CONNECTING, PeerState.CONNECTED]
    await a.client.dtls.stop()
    await until(lambda: a.peer.state is PeerState.GONE, "the true goodbye is still understood")


async def test_records_cut_short_before_the_handshake_do_not_prevent_it(room: Room) -> None:
    hello = await _client_hello(room)
    a = room.open("a", 0)
    await a.client.check()
    for kind in (20, 21, 22, 23, 24, 63):
        for size in (0, 13, 500):
            a.client.send(bytes([kind, 254, 253]) + bytes(8) + (size + 300).to_bytes(2, "big") + bytes(size))
    for datagram in hello:
        a.client.send(datagram[: len(datagram) // 2])
    a.peer.answer(a.client.answer())
    await a.client.connect()
    await until(lambda: a.peer.state is PeerState.CONNECTED, "connected all the same")


async def test_a_forged_handshake_costs_one_transport_and_no_more(room: Room) -> None:
    """Until there are keys, whoever sends with a seat's address can end its handshake: so is DTLS 1.2."""
    hello = await _client_hello(room)
    b, c = await room.seat("b", 1), await room.seat("c", 2)
    room.gate("abc")
    a = room.open("a", 0)
    await a.client.check()
    for datagram in hello:  # somebody else's
        a.client.send(datagram)
    a.peer.answer(a.client.answer())
    with pytest.raises(AssertionError):
        await a.client.connect()
    await until(lambda: a.states[-1:] == [PeerState.GONE], "the room is told, and the page asks anew")
    await hears(room, b, c, 1)
    again = await room.seat("a", 0)
    await hears(room, again, b, 1)


# ------------------------------------------------------------------------------------------ route confusion


async def test_a_seat_reaches_nothing_of_another_room_by_naming_it(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    c, d = await elsewhere(room, "c", 0), await elsewhere(room, "d", 1)
    room.gate("ab")
    room.port.set_gate(OTHER, frozenset("cd"), NOBODY)
    for sequence in range(1, 6):
        c.client.send_rtp(Kind.CAMERA, sequence, payload=b"of room 2")
    await until(lambda: len(d.client.rtp) == 5, "the other room's own media flows")
    asked = room.port.counters["key_frame_requests"]
    room.port.ahead = 1.0  # the throttle would let a request through
    theirs = [*d.client.slots, *c.client.slots, c.peer.rtcp_ssrc, d.peer.rtcp_ssrc]
    for ssrc in theirs:
        a.client.send_rtp(Kind.CAMERA, 7, payload=b"of room 1", ssrc=ssrc)
        a.client.send_rtcp(
            rtcp.build_pli(1, ssrc)
            + rtcp.build_nack(1, ssrc, range(1, 6))
            + rtcp.build_remb(1, MIN_BITRATE // 2, [ssrc])
        )
        a.client.send_rtcp(rtcp.build_sender_report(rtcp.SenderReport(ssrc, 1, 1, 1, 1)))
        block = rtcp.ReportBlock(ssrc, 255, 9, 9, 9, 9, 9)
        a.client.send_rtcp(rtcp.build_receiver_report(1, [block]))
    await room.settled(a)
    await room.settled(c)
    await room.settled(d)
    assert room.port.counters["key_frame_requests"] == asked
    assert room.port.counters["retransmitted"] == room.port.counters["nacks"] == 0
    assert [len(seat.client.rtp) for seat in (b, c, d)] == [0, 0, 5]
    assert (c.peer.estimate, d.peer.estimate, c.peer.quality().loss_out) == (None, None, 0)
    told = [report for seat in (c, d) for report in seat.client.reports]
    assert not any(isinstance(report, rtcp.Nack | rtcp.SenderReport) for report in told)


async def test_seats_that_announce_the_same_streams_are_told_apart(room: Room) -> None:
    """A browser chooses its numbers by chance; one gone bad chooses those of another."""
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    c = room.open("c", 2)
    theirs = {"10": b.client.slots[0], "11": b.client.slots[1], "21": b.peer.rtcp_ssrc}
    c.peer.answer(
        "\r\n".join(
            re.sub(r"\b(10|11|21)\b", lambda found: str(theirs[found[1]]), line)
            if line.startswith("a=ssrc")
            else line
            for line in c.client.answer().split("\r\n")
        )
    )
    await c.client.connect()
    await until(lambda: c.peer.state is PeerState.CONNECTED, "connected")
    room.gate("abc")
    for sequence in range(1, 4):
        a.client.send_rtp(Kind.CAMERA, sequence, payload=b"of a")
        c.client.send_rtp(Kind.CAMERA, sequence, payload=b"of c", ssrc=b.client.slots[1])
    await until(lambda: len(b.client.rtp) == 6, "both are seen")
    of_a, of_c = b.client.slots[1], b.client.slots[4]
    assert {packet[HEADER_SIZE:] for packet in b.client.of(of_a)} == {b"of a"}
    assert {packet[HEADER_SIZE:] for packet in b.client.of(of_c)} == {b"of c"}
    b.client.send_rtcp(rtcp.build_nack(1, of_a, [2]))
    await until(lambda: len(b.client.of(b.client.slots[2])) == 1, "it comes again")
    assert b.client.of(b.client.slots[2])[0].endswith(b"of a")
    wanted = rtcp.KeyFrameRequest(MEDIA_SSRC[Kind.CAMERA])
    await until(lambda: a.client.reports.count(wanted) == 2, "asked when the gate opened, and once more")
    before = a.client.reports.count(wanted)
    room.port.ahead = 1.0
    b.client.send_rtcp(rtcp.build_pli(1, of_a))
    await until(lambda: a.client.reports.count(wanted) == before + 1, "the right one is asked")


async def test_a_seat_cannot_answer_for_the_retransmissions_of_another(room: Room) -> None:
    a, b, c = await room.seat("a", 0), await room.seat("b", 1), await room.seat("c", 2)
    room.gate("abc")
    a.client.send_rtp(Kind.CAMERA, 1, payload=b"of a")
    a.client.send_rtp(Kind.CAMERA, 3, payload=b"of a")
    c.client.send_rtp(Kind.CAMERA, 1, payload=b"of c")
    c.client.send_rtp(Kind.CAMERA, 3, payload=b"of c")
    await until(lambda: len(b.client.rtp) == 4, "the packets arrive")
    b.client.send_rtcp(rtcp.build_nack(1, b.client.slots[1], [2]))
    await until(lambda: rtcp.Nack(MEDIA_SSRC[Kind.CAMERA], (2,)) in a.client.reports, "a is asked")
    c.client.send_rtx(Kind.CAMERA, 1, 2, b"of c, as if of a")
    await room.settled(c)
    await room.settled(b)
    assert len(b.client.rtp) == 4
    assert not any(isinstance(report, rtcp.Nack) for report in c.client.reports)


# ------------------------------------------------------------------------------------------------- floods


async def test_a_flood_of_requests_yields_no_more_than_was_sent_once(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    asked = room.port.counters["key_frame_requests"]
    for sequence in range(0, 60, 2):  # every second one is lost on its way here
        a.client.send_rtp(Kind.CAMERA, 100 + sequence)
    await until(lambda: len(b.client.rtp) == 30, "the packets arrive")
    media = b.client.slots[1]
    everything = rtcp.build_nack(1, media, range(65_536 - 100, 65_536)) + rtcp.build_nack(
        1, media, range(100)
    )
    ask_again = b"".join(rtcp.build_pli(1, media) for _ in range(8))
    for _ in range(100):
        b.client.send_rtcp(everything)
        b.client.send_rtcp(ask_again)
    await room.settled(b)
    await room.settled(a)
    assert room.port.counters["retransmitted"] <= 30, "as often as it was forwarded, and no more"
    assert len(b.client.of(b.client.slots[2])) == room.port.counters["retransmitted"]
    nacks = [report for report in a.client.reports if isinstance(report, rtcp.Nack)]
    assert sum(len(nack.sequences) for nack in nacks) <= 30 * (1 + len(nacks)), (
        "what is missing, not once for each"
    )
    assert len(nacks) < 100
    assert room.port.counters["key_frame_requests"] - asked < 20
    assert len(a.peer.member.tracks[Kind.CAMERA]._wanted) <= CACHE_SIZE


async def test_a_flood_of_checks_is_answered_to_a_bound_and_keeps_nobody_from_being_heard(
    room: Room, stranger: Stranger
) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    await room.settled(a)
    before = len(a.client.responses)
    for _ in range(3 * CHECKS_AT_ONCE):
        a.client.send(a.client.request())
        await asyncio.sleep(0)
    await room.settled(b)
    await hears(room, a, b, 1)
    excess = room.port.counters["dropped_excess"]
    assert excess > CHECKS_AT_ONCE
    answered = len(a.client.responses) - before
    assert answered + excess == 3 * CHECKS_AT_ONCE
    # What is forged or recorded is not counted against the seat.
    room.port.ahead += 60.0
    own = b.client.request()
    b.client.send(own)
    await room.settled(b)
    for _ in range(3 * CHECKS_AT_ONCE):
        b.client.send(own)
        b.client.send(b.client.request(server=Credentials(b.client.server.ufrag, "x" * 32)))
        await asyncio.sleep(0)
    await room.settled(b)
    assert stranger.heard_nothing()


def protected(seat: Seat, kind: Kind, packets: int, size: int) -> list[bytes]:
    """So many packets of one kind as they go over the wire."""
    payload_type = 111 if kind is Kind.AUDIO else 96
    head = [HEADER.pack(0x80, payload_type, 1 + n, 960 * n, MEDIA_SSRC[kind]) for n in range(packets)]
    return [seat.client.dtls._tx_srtp.protect(each + bytes(size)) for each in head]


async def come(room: Room, seat: Seat, datagrams: list[bytes]) -> None:
    """They come one after the other, as fast as they are dealt with."""
    for number, datagram in enumerate(datagrams, 1):
        seat.client.send(datagram)
        if number % 20 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.mark.parametrize(("kind", "size", "most"), [(Kind.AUDIO, 1_100, 200), (Kind.AUDIO, 20, 1_500)])
async def test_sound_is_forwarded_to_a_bound(room: Room, kind: Kind, size: int, most: int) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    sent = protected(a, kind, 3_000, size)
    await come(room, a, sent)
    counters = room.port.counters
    await until(
        lambda: counters["packets_in"] + counters["dropped_excess"] == 3_000, "all of it is dealt with"
    )
    assert counters["packets_out"] == counters["packets_in"] <= most
    a.client.send_rtp(Kind.CAMERA, 1)
    await until(
        lambda: any(p.endswith(b"frame") for p in b.client.rtp), "its pictures have a ration of their own"
    )
    await hears(room, b, a, 1)
    room.port.ahead = 1.0
    a.client.send_rtp(Kind.AUDIO, 3_001, payload=b"later")
    await until(lambda: any(p.endswith(b"later") for p in b.client.rtp), "what comes later passes")


async def test_pictures_are_forwarded_to_a_bound_and_what_is_sent_again_counts(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    counters = room.port.counters
    await come(room, a, protected(a, Kind.CAMERA, 2_000, 1_100) + protected(a, Kind.SCREEN, 500, 1_100))
    await until(
        lambda: counters["packets_in"] + counters["dropped_excess"] == 2_500, "all of it is dealt with"
    )
    assert 1_000 < counters["packets_in"] < 2_000
    before, dropped = counters["packets_in"], counters["dropped_excess"]
    for number in range(1, 501):
        a.client.send_rtx(Kind.CAMERA, number, 1, bytes(1_000))
        if number % 20 == 0:
            await asyncio.sleep(0)
    all_of_it = before + dropped + 500
    await until(
        lambda: counters["packets_in"] + counters["dropped_excess"] == all_of_it, "so is what is sent again"
    )
    assert counters["dropped_excess"] > dropped
    a.client.send_rtp(Kind.AUDIO, 1, payload=b"sound")
    await until(lambda: any(p.endswith(b"sound") for p in b.client.rtp), "its sound is heard")


async def test_over_a_stream_the_same_bounds_hold_and_it_is_told(room: Room) -> None:
    """So a stream that brings little else is closed (``rooms.streams``)."""
    a = await room.seat("a", 0)
    stream = room.port.attach("tcp", lambda datagram: True, ("192.0.2.1", 9))
    assert room.port.receive(a.client.request(), stream)
    taken = [room.port.receive(packet, stream) for packet in protected(a, Kind.AUDIO, 3_000, 20)]
    assert all(taken[:500])
    assert taken.count(False) == room.port.counters["dropped_excess"] > 1_500
    taken = [room.port.receive(a.client.request(), stream) for _ in range(3 * CHECKS_AT_ONCE)]
    assert taken.count(True) < 2 * CHECKS_AT_ONCE
    room.port.detach(stream)


async def test_what_was_held_up_for_ten_seconds_passes_at_once(room: Room) -> None:
    a = await room.seat("a", 0)
    await room.seat("b", 1)
    room.gate("ab")
    await come(room, a, protected(a, Kind.AUDIO, 500, 110))
    await come(room, a, protected(a, Kind.CAMERA, 400, 1_100))
    await until(lambda: room.port.counters["packets_in"] == 900, "all of it passes")
    assert room.port.counters["dropped_excess"] == 0


async def test_a_flood_of_reports_is_read_to_a_bound(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    report = rtcp.build_sender_report(rtcp.SenderReport(MEDIA_SSRC[Kind.CAMERA], 1, 1, 1, 1))
    for number in range(1, 1_501):
        a.client.send_rtcp(report)
        if number % 20 == 0:
            await asyncio.sleep(0)
    await room.settled(a)
    assert room.port.counters["dropped_excess"] > 500
    await hears(room, a, b, 1)
    room.port.ahead = 1.0
    b.client.send_rtcp(rtcp.build_remb(1, 500_000, [b.client.slots[1]]))
    await until(lambda: b.peer.estimate is not None, "another's are read")
    a.client.send_rtcp(rtcp.build_remb(1, 500_000, [a.client.slots[1]]))
    await until(lambda: a.peer.estimate is not None, "and later its own")


async def test_a_flood_of_records_is_read_to_a_bound(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    record = bytes([23, 254, 253, 0, 1]) + bytes(6) + (64).to_bytes(2, "big") + bytes(64)
    for number in range(3 * RECORDS_AT_ONCE):
        a.client.send(record)
        if number % 20 == 0:
            await asyncio.sleep(0)
    await room.settled(a)
    assert room.port.counters["dropped_unauthenticated"] > RECORDS_AT_ONCE
    await hears(room, a, b, 1)
    room.port.ahead = 1.0
    await a.client.dtls.stop()
    await until(lambda: a.peer.state is PeerState.GONE, "its goodbye is understood later")


async def test_what_is_missed_is_looked_for_to_a_bound_and_behind_the_gate_not_at_all(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    everything = b"".join(rtcp.build_nack(1, b.client.slots[1], range(at, at + 128)) for at in (0, 128))

    async def asks(times: int) -> int:
        before = room.port.counters["nacks"]
        for _ in range(times):
            b.client.send_rtcp(everything)
            await asyncio.sleep(0)
        await room.settled(b)
        return room.port.counters["nacks"] - before

    assert await asks(50) == 0
    room.gate("ab")
    a.client.send_rtp(Kind.CAMERA, 1)
    await until(lambda: len(b.client.rtp) == 1, "it arrives")
    asked = await asks(50)
    assert MISSED_AT_ONCE <= asked <= MISSED_AT_ONCE + 2 * MISSED_PER_SECOND
    room.port.ahead = 1.0
    assert await asks(1) == rtcp.MAX_NACKED, "later it may ask again"


async def test_no_estimate_drives_a_publisher_below_the_floor_or_breaks_the_report(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    a.client.send_rtp(Kind.CAMERA, 1)
    lowest = rtcp.BandwidthEstimate(MIN_BITRATE // 4 * 4)
    for _ in range(100):
        b.client.send_rtcp(rtcp.build_remb(1, 0, [b.client.slots[1]]))
    await until(lambda: lowest in a.client.reports, "the floor holds")
    greatest = 0x3FFFF << 63
    assert rtcp.read(rtcp.build_remb(1, greatest, [1])) == [rtcp.BandwidthEstimate(greatest)]
    b.client.send_rtcp(rtcp.build_remb(1, greatest, [1]))
    told = rtcp.BandwidthEstimate(greatest)
    await until(lambda: told in a.client.reports, "what is absurd is passed on")


async def test_a_publisher_that_jumps_makes_no_number_be_used_twice(room: Room) -> None:
    """Under AES-GCM one key, stream and index must never protect two packets."""
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    seen: dict[tuple[int, int], bytes] = {}
    twice: list[tuple[int, int]] = []
    readable = b.client._readable
    loop = asyncio.get_running_loop()

    def tap() -> None:
        wire = b.client.sock.recv(2048, socket.MSG_PEEK)
        ssrc = ssrc_of(wire)
        if ssrc in b.client.slots and not 192 <= wire[1] <= 223:
            key = (ssrc or 0, HEADER.unpack_from(wire)[2])
            if seen.setdefault(key, wire) != wire:
                twice.append(key)
        readable()

    loop.remove_reader(b.client.sock)
    loop.add_reader(b.client.sock, tap)
    jumps = [*range(5), 20_000, 20_001, 19_999, 40_000, 60_000, 4, 5, 6, 4, 30_000, 30_001, 65_535, 0, 1]
    for number, sequence in enumerate(jumps):
        try:
            a.client.send_rtp(Kind.CAMERA, sequence, number, payload=b"%d" % number)
            a.client.send_rtp(Kind.AUDIO, sequence, number, payload=b"%d" % number)
        except Exception:
            continue
    await room.settled(a)
    await room.settled(b)
    assert len(seen) > 10
    assert twice == []


async def test_ever_new_transports_of_one_seat_leave_nothing_behind(room: Room) -> None:
    for _ in range(20):
        seat = room.open("a", 0)
        seat.peer.answer(seat.client.answer())
        await seat.client.check()
    port = room.port
    assert len(port._peers) == 1
    assert len(port._by_address) == 1
    assert len(port._by_ufrag) == 1
    await until(lambda: len(port._tasks) <= 2, "their handshakes end")


def test_the_made_up_streams_differ_from_each_other() -> None:
    assert len({*MEDIA_SSRC.values(), *RTX_SSRC.values()}) == len(MEDIA_SSRC) + len(RTX_SSRC)
