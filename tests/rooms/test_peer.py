from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from rooms.description import BadSdp
from rooms.forwarding import Kind, PublishedTrack
from rooms.ice import Credentials
from rooms.media import MediaPort
from rooms.peer import INTERRUPTION, Peer, PeerState
from rooms.rates import ration_of_pictures
from rooms.rtcp import ReportBlock, build_receiver_report
from rooms.rtp import HEADER
from tests.rooms.raw_client import RawClient, until


@pytest_asyncio.fixture
async def port() -> AsyncIterator[MediaPort]:
    port = MediaPort("127.0.0.1", 0)
    await port.start()
    yield port
    assert port.counters["failed"] == 0
    await port.close()


@pytest.fixture
def states() -> list[PeerState]:
    return []


@pytest.fixture
def peer(port: MediaPort, states: list[PeerState]) -> Peer:
    return port.open_peer("room", "seat", 0, states.append)


@pytest_asyncio.fixture
async def client(peer: Peer) -> AsyncIterator[RawClient]:
    client = RawClient(peer.offer())
    yield client
    await client.close()


async def test_the_strongest_suite_is_taken_and_each_step_told(
    peer: Peer, client: RawClient, states: list[PeerState]
) -> None:
    assert (peer.state, peer.suite) == (PeerState.NEW, None)
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    assert peer.suite == "AEAD_AES_256_GCM"
    await until(lambda: states == [PeerState.CONNECTING, PeerState.CONNECTED], "each step is told")


async def test_checks_before_the_answer_are_answered_and_the_handshake_waits(
    peer: Peer, client: RawClient
) -> None:
    await client.check()
    before = peer.state
    peer.answer(client.answer())
    assert (before, peer.state) == (PeerState.NEW, PeerState.CONNECTING)
    await client.shake_hands()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")


async def test_a_first_flight_before_the_answer_is_not_lost(peer: Peer, client: RawClient) -> None:
    """Firefox sends its ClientHello before its answer has travelled."""
    await client.check()
    task = asyncio.ensure_future(client.shake_hands())
    await client.check()
    peer.answer(client.answer())
    await task
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")


async def test_a_flight_that_went_where_the_seat_is_not_is_sent_again_at_once(
    peer: Peer, client: RawClient
) -> None:
    """A device may check first from an address that has just gone; OpenSSL's own patience is a second."""
    peer.answer(client.answer())
    arrived: list[bytes] = []
    feed = client._ice.feed

    def listen_in(datagram: bytes) -> bool:
        arrived.append(datagram)
        return feed(datagram)

    client._ice.feed = listen_in  # type: ignore[method-assign]  # to listen in
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        gone.setblocking(False)
        gone.sendto(client.request(), client.address)
        await until(lambda: peer.agent.address == gone.getsockname(), "it is sent to the first address")
        client.deaf = True
        await client.check()
        shaking = asyncio.ensure_future(client.shake_hands())
        lost: list[bytes] = []

        def goes_astray() -> bool:
            with contextlib.suppress(BlockingIOError):
                lost.append(gone.recv(4096))
            return bool(lost) and lost[-1][0] == 22

        await until(goes_astray, "the flight goes there")
        client.deaf = False

        async def moves() -> bool:
            await client.check()
            return bool(peer.agent.address == client.sock.getsockname())

        await until(moves, "it is asked once more, and found", every=0.05)
        await shaking
    assert arrived[0] == lost[-1], "the very same: OpenSSL would have numbered it anew"
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")


async def test_another_certificate_than_announced_is_turned_away(
    peer: Peer, client: RawClient, states: list[PeerState]
) -> None:
    peer.answer(client.answer(fingerprint=":".join(["AB"] * 32)))
    await client.check()
    await client.shake_hands()
    await until(lambda: peer.state is PeerState.GONE, "turned away")
    assert peer.suite is None
    await client.check()
    assert peer.state is PeerState.GONE
    assert PeerState.CONNECTED not in states


async def test_a_refused_answer_leaves_room_for_a_good_one(peer: Peer, client: RawClient) -> None:
    with pytest.raises(BadSdp):
        peer.answer("v=0")
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")


async def test_the_same_answer_twice_is_ordinary(peer: Peer, client: RawClient) -> None:
    peer.answer(client.answer())
    tracks = peer.member.tracks
    peer.answer(client.answer())
    assert peer.member.tracks is tracks
    await client.connect()
    peer.answer(client.answer())
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")


async def test_of_two_restarts_that_cross_the_last_answer_counts(peer: Peer, client: RawClient) -> None:
    peer.answer(client.answer())
    await client.connect()
    peer.restart()
    client.take(peer.restart())
    client.credentials = Credentials.fresh()
    peer.answer(client.answer())
    client.credentials = Credentials.fresh()
    peer.answer(client.answer())
    await client.check()
    assert len(peer.agent.ufrags) == 1


async def test_a_restart_makes_new_credentials_and_nothing_else_new(peer: Peer, client: RawClient) -> None:
    peer.answer(client.answer())
    before, after = peer.offer(), peer.restart()
    assert peer.offer() == after
    changed = {
        line.partition(":")[0]
        for line, other in zip(before.splitlines(), after.splitlines(), strict=True)
        if line != other
    }
    assert {line for line in changed if not line.startswith("o=")} == {"a=ice-ufrag", "a=ice-pwd"}


async def test_a_restart_cannot_change_the_certificate(peer: Peer, client: RawClient) -> None:
    peer.answer(client.answer())
    client.take(peer.restart())
    with pytest.raises(BadSdp):
        peer.answer(client.answer(fingerprint=":".join(["AB"] * 32)))
    peer.answer(client.answer())


async def test_ever_new_streams_are_refused(peer: Peer, client: RawClient) -> None:
    """libsrtp keeps state for each stream that was announced and heard."""
    for number in range(100, 128):
        peer.answer(client.answer().replace("ssrc:10 ", f"ssrc:{number} "))
    with pytest.raises(BadSdp):
        peer.answer(client.answer().replace("ssrc:10 ", "ssrc:99 "))
    peer.answer(client.answer().replace("ssrc:10 ", "ssrc:127 "))


async def test_only_media_proves_that_somebody_is_there(
    port: MediaPort, peer: Peer, client: RawClient
) -> None:
    """A binding request can be recorded on its way and sent again by anybody."""
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    recorded, proved = client.request(), peer.last_media
    before = len(client.responses)
    client.send(recorded)
    client.send(recorded)
    await until(lambda: len(client.responses) == before + 2, "both are answered")
    assert peer.last_heard > peer.last_media == proved
    client.send_rtp(Kind.AUDIO, 1)
    await until(lambda: peer.last_media > proved, "media proves it")


async def test_a_page_that_says_goodbye_is_gone_for_good(
    peer: Peer, client: RawClient, states: list[PeerState]
) -> None:
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    await client.dtls.stop()
    await until(lambda: peer.state is PeerState.GONE, "gone")
    await client.check()
    assert peer.state is PeerState.GONE
    assert states == [PeerState.CONNECTING, PeerState.CONNECTED, PeerState.GONE]


async def test_closing_tells_the_page_and_not_the_listener(
    peer: Peer, client: RawClient, states: list[PeerState]
) -> None:
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: len(states) == 2, "connected")
    peer.close()
    peer.close()
    await until(lambda: client.dtls.state == "closed", "the page is told")
    assert peer.state is PeerState.GONE
    assert states == [PeerState.CONNECTING, PeerState.CONNECTED]
    # Late words of the page change nothing.
    peer.answer(client.answer())
    assert peer.restart() == peer.offer()
    peer.send_rtp(bytes(12))
    peer.send_rtcp(bytes(8))


async def test_a_seat_closed_before_it_connected_leaves_nothing_behind(
    port: MediaPort, peer: Peer, client: RawClient
) -> None:
    peer.answer(client.answer())
    client.deaf = True
    await client.check()
    assert peer.state is PeerState.CONNECTING
    peer.close()
    client.send(client.request())
    await until(lambda: port.counters["dropped_unauthenticated"] == 1, "it is a stranger now")


async def test_every_authentic_packet_is_a_sign_of_life(peer: Peer, client: RawClient) -> None:
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    for send in (
        lambda: client.send(client.request()),
        lambda: client.send_rtp(Kind.AUDIO, 1),
        lambda: client.send_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x01"),
    ):
        before = peer.last_heard
        send()
        await until(lambda before=before: peer.last_heard > before, "it is heard")  # type: ignore[misc]  # a default binds the loop's value


async def test_quality_is_numbers_from_the_first_moment(peer: Peer, client: RawClient) -> None:
    quality = peer.quality()
    assert (quality.loss_in, quality.loss_out, quality.bitrate_in, quality.bitrate_out) == (0, 0, 0, 0)
    assert quality.rtt_ms is None
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")

    def flowing() -> bool:
        client.send_rtp(Kind.CAMERA, next(numbers), payload=bytes(1000))
        return peer.quality().bitrate_in > 10_000

    numbers = iter(range(1, 65_000))
    await until(flowing, "the rate is measured")


class Seen:
    """A picture of somebody else, in a slot of a seat whose own way loses nothing unless said."""

    def __init__(self, peer: Peer) -> None:
        self.peer, self.next = peer, 0
        self.slot = next(slot for slot in peer.member.slots if slot.kind is Kind.CAMERA)
        self.track = PublishedTrack(peer, Kind.CAMERA, 7, ration_of_pictures(0.0), 8)
        self.track.set_routes([self.slot])

    def comes(self, packets: int) -> None:
        for _ in range(packets):
            self.track.forward(96, self.next & 0xFFFF, 0, 0.0)
            self.next += 1

    def reports(self, fraction: float) -> tuple[float, float]:
        self.peer.note_block(self.slot, ReportBlock(self.slot.ssrc, int(256 * fraction), 0, 0, 0, 0, 0))
        return self.peer.losses(Kind.CAMERA)


@pytest.mark.parametrize(("counted", "on_the_way"), [(1, 3), (2, 3), (5, 3), (20, 6), (30, 10)])
async def test_a_publisher_who_was_away_is_not_held_against_those_who_see_it(
    peer: Peer, counted: int, on_the_way: int
) -> None:
    seen = Seen(peer)
    seen.comes(100)
    assert seen.reports(0.0)[0] == 0.0
    seen.next += 300  # lost on the publisher's way
    seen.comes(counted + on_the_way)  # of which a few have not arrived when the browser counts
    assert seen.reports(300 / (300 + counted))[0] == 0.0
    seen.comes(60)
    assert seen.reports(0.4)[0] == pytest.approx(0.4, abs=0.01), "what is lost below still counts"


async def test_what_the_publisher_lost_is_taken_off_and_no_more(peer: Peer) -> None:
    seen = Seen(peer)
    seen.comes(100)
    seen.reports(0.0)
    for _ in range(30):
        seen.comes(1)
        seen.next += 1
    seen.comes(30)
    assert seen.reports(2 / 3)[0] == pytest.approx(0.5, abs=0.02)


async def test_what_was_lost_across_an_interruption_is_not_how_the_link_does_now(
    port: MediaPort, peer: Peer
) -> None:
    seen = Seen(peer)
    seen.comes(60)
    assert seen.reports(0.2)[0] == pytest.approx(0.2, abs=0.01)
    peer.heard(port.now() + INTERRUPTION)
    assert seen.reports(0.95) == (0.0, float("-inf"))
    assert seen.reports(0.3)[0] == pytest.approx(0.3, abs=0.01), "the next one tells again"


async def test_one_packet_is_never_encrypted_twice(port: MediaPort, peer: Peer, client: RawClient) -> None:
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    packet = HEADER.pack(0x80, 96, 1, 0, client.slots[1])
    peer.send_rtp(packet + b"one")
    peer.send_rtp(packet + b"other")
    assert port.counters["packets_out"] == 1
    assert port.counters["dropped_unsendable"] == 1


async def test_few_senders_of_rtcp_are_kept_per_transport(
    port: MediaPort, peer: Peer, client: RawClient
) -> None:
    peer.answer(client.answer())
    await client.connect()
    await until(lambda: peer.state is PeerState.CONNECTED, "connected")
    for sender in range(1, 50):
        client.send_rtcp(build_receiver_report(sender, []))
    await client.check()
    assert port.counters["dropped_unauthenticated"] == 49 - 32


async def test_nothing_private_shows(peer: Peer, client: RawClient) -> None:
    peer.answer(client.answer())
    shown = repr(peer) + repr(peer.agent) + repr(peer.member)
    for private in (client.server.ufrag, client.server.pwd, client.credentials.ufrag, client.credentials.pwd):
        assert private not in shown
