"""A transport that a program brings, at a real media port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rooms import rtcp
from rooms.forwarding import H264, H264_RTX, OPUS, VP8, VP8_RTX, Kind
from rooms.ingest import IngestPeer
from rooms.ingest_sdp import Fragment, read_offer
from rooms.media import PeerState
from rooms.rtp import HEADER
from tests.rooms.media_room import ROOM, Clocked, Room
from tests.rooms.raw_client import MEDIA_SSRC, RTX_SSRC, RawClient, until


class Sender(RawClient):
    """A program: its own offer, with payload types of its own."""

    def __init__(self, room: Room, *, h264: bool = False) -> None:
        codec = ["a=rtpmap:111 VP8/90000"]
        if h264:
            codec = [
                "a=rtpmap:111 H264/90000",
                "a=fmtp:111 packetization-mode=1;profile-level-id=42e01f",
            ]
        self.peer: IngestPeer = room.port.open_ingest(ROOM, "A", 0, lambda state: None)
        own = next(f.value for f in self.certificate.getFingerprints() if f.algorithm == "sha-256")
        self.text = "\r\n".join(
            [
                "v=0", "a=group:BUNDLE 0 1", f"a=fingerprint:sha-256 {own}", "a=setup:active", "a=sendonly",
                "a=ice-ufrag:PROG", f"a=ice-pwd:{'p' * 24}",
                "m=audio 9 UDP/TLS/RTP/SAVPF 96", "a=mid:0", "a=rtcp-mux", "a=rtpmap:96 opus/48000/2",
                f"a=ssrc:{MEDIA_SSRC[Kind.AUDIO]} cname:x",
                "m=video 9 UDP/TLS/RTP/SAVPF 111 112", "a=mid:1", "a=rtcp-mux", *codec,
                "a=rtpmap:112 rtx/90000", "a=fmtp:112 apt=111",
                f"a=ssrc-group:FID {MEDIA_SSRC[Kind.CAMERA]} {RTX_SSRC[Kind.CAMERA]}",
            ]
        )  # fmt: skip
        super().__init__(self.peer.take_offer(read_offer(self.text)))
        self.credentials = type(self.credentials)("PROG", "p" * 24)
        room.clients.append(self)

    def publish(self, kind: Kind, payload_type: int, sequence: int, *, marker: bool = False) -> None:
        head = HEADER.pack(0x80, payload_type | marker << 7, sequence, 0, MEDIA_SSRC[kind])
        self.send_packet(head + b"frame")


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    port = Clocked("127.0.0.1", 0)
    await port.start()
    room = Room(port)
    yield room
    for client in room.clients:
        await client.close()
    await port.close()
    assert port.counters["failed"] == 0


async def test_payload_types_become_ours_and_the_marker_stays(room: Room) -> None:
    sender, other = Sender(room), await room.seat("B", 1)
    await sender.connect()
    await until(lambda: sender.peer.state is PeerState.CONNECTED, "connected")
    room.gate("AB")
    sender.publish(Kind.AUDIO, 96, 1)
    sender.publish(Kind.CAMERA, 111, 1, marker=True)
    await until(lambda: len(other.client.rtp) == 2, "both arrive")
    assert {packet[1] for packet in other.client.rtp} == {OPUS, VP8 | 0x80}
    assert all(packet.endswith(b"frame") for packet in other.client.rtp)


async def test_h264_passes_with_its_retransmissions_to_those_who_show_it(room: Room) -> None:
    room.port.h264 = True
    sender, shows, cannot = Sender(room, h264=True), await room.seat("B", 1), await room.seat("C", 2)
    await sender.connect()
    await until(lambda: sender.peer.state is PeerState.CONNECTED, "connected")
    shows.peer.member.shows_h264 = True  # as its answer says; the raw client's says it of none
    room.gate("ABC")
    sender.publish(Kind.AUDIO, 96, 1)
    sender.publish(Kind.CAMERA, 111, 1, marker=True)
    await until(lambda: len(shows.client.rtp) == 2, "both arrive")
    await until(lambda: len(cannot.client.rtp) == 1, "sound does")
    assert {packet[1] for packet in shows.client.rtp} == {OPUS, H264 | 0x80}
    assert {packet[1] for packet in cannot.client.rtp} == {OPUS}
    room.port.beat()
    told = [(peer.standing.h264, peer.standing.shows_h264) for peer in (sender.peer, shows.peer, cannot.peer)]
    assert told == [(True, False), (False, True), (False, False)]
    picture = next(packet for packet in shows.client.rtp if packet[1] != OPUS)
    _, _, sequence, _, ssrc = HEADER.unpack_from(picture)
    shows.client.send_rtcp(rtcp.build_nack(1, ssrc, [sequence]))
    await until(lambda: len(shows.client.rtp) == 3, "it comes again")
    again = shows.client.rtp[-1]
    assert again[1] & 0x7F == H264_RTX
    assert again.endswith(b"frame")


async def test_what_was_not_agreed_on_is_dropped(room: Room) -> None:
    sender, other = Sender(room), await room.seat("B", 1)
    await sender.connect()
    await until(lambda: sender.peer.state is PeerState.CONNECTED, "connected")
    room.gate("AB")
    before = room.port.counters["dropped_unauthenticated"]
    sender.publish(Kind.CAMERA, 100, 1)
    await until(lambda: room.port.counters["dropped_unauthenticated"] == before + 1, "dropped")
    sender.publish(Kind.CAMERA, 111, 2)
    await until(lambda: len(other.client.rtp) == 1, "the good one arrives")


async def test_nothing_is_ever_routed_to_a_program(room: Room) -> None:
    sender, other = Sender(room), await room.seat("B", 1)
    await sender.connect()
    await until(lambda: sender.peer.state is PeerState.CONNECTED, "connected")
    room.gate("AB")
    third = await room.seat("C", 2)
    room.gate("ABC")
    other.client.send_rtp(Kind.AUDIO, 1)
    await until(lambda: len(third.client.rtp) == 1, "a page hears it")
    assert sender.rtp == []
    assert all(
        slot.owner is not sender.peer
        for track in other.peer.member.tracks.values()
        for slot in [r.slot for r in track.routes]
    )


async def test_a_gated_program_reaches_nobody(room: Room) -> None:
    sender, other = Sender(room), await room.seat("B", 1)
    await sender.connect()
    await until(lambda: sender.peer.state is PeerState.CONNECTED, "connected")
    room.gate("B")
    accepted = room.port.counters["packets_in"]
    sender.publish(Kind.AUDIO, 96, 1)
    await until(lambda: room.port.counters["packets_in"] == accepted + 1, "it came here")
    room.gate("AB")
    sender.publish(Kind.AUDIO, 96, 2)
    await until(lambda: len(other.client.rtp) == 1, "what is sent after the gate opened arrives, and no more")


async def test_an_ice_restart_changes_credentials_once_and_keeps_the_media(room: Room) -> None:
    sender, other = Sender(room), await room.seat("B", 1)
    await sender.connect()
    await until(lambda: sender.peer.state is PeerState.CONNECTED, "connected")
    room.gate("AB")
    former = sender.peer.agent.credentials
    assert sender.peer.renew(Fragment(None)) is None
    assert sender.peer.renew(Fragment("PROG")) is None
    told = sender.peer.renew(Fragment("PROG2"))
    fresh = sender.peer.agent.credentials
    assert told is not None
    assert fresh != former
    assert f"a=ice-ufrag:{fresh.ufrag}\r\n" in told
    sender.publish(Kind.AUDIO, 96, 1)
    await until(lambda: len(other.client.rtp) == 1, "the old path still carries")
    sender.credentials = type(fresh)("PROG2", "q" * 24)
    sender.server = fresh
    await sender.check()
    assert sender.peer.agent.ufrags == (fresh.ufrag,)


async def test_a_lost_packet_comes_again_from_the_program(room: Room) -> None:
    sender = Sender(room)
    assert sender.peer._types[112] == VP8_RTX
    assert set(sender.peer.tracks_by_ssrc) == {
        MEDIA_SSRC[Kind.AUDIO], MEDIA_SSRC[Kind.CAMERA], RTX_SSRC[Kind.CAMERA],
    }  # fmt: skip
    assert sender.peer.direct is None
