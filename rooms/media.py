"""The media port: one UDP port for every seat of every room, and the gate in front of them.

    first byte   0–3     STUN   ──▶ the seat its ufrag names, integrity verified
                 20–63   DTLS   ──▶ the seat of a verified address
                 128–191 SRTP   ──▶ the seat of a verified address ──▶ routes
                         SRTCP (second byte 192–223) ──▶ reports, requests

(RFC 7983 for the first byte, RFC 5761 §4 for the second.) Where UDP is blocked, the same datagrams come over
a stream; once attached it is an address like any other, and verified like any other. So is what another
worker sends on for its streams; the checks among that bear a mark (``rooms.detour``). Frames are forwarded as
they are: the server has no key to them and no code to decode them. Nothing that arrives can raise out of
here; what is not accepted is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from rooms import rtcp
from rooms.batch import fastest_engine
from rooms.checks import addressee, read_request
from rooms.detour import MARKED, Mark
from rooms.dtls import Certificate, Sessions
from rooms.engine import Engine, reachable
from rooms.forwarding import PublishedTrack
from rooms.gate import Gate
from rooms.ice import MAX_DATAGRAM, Address, Path, path_of
from rooms.ingest import IngestPeer
from rooms.peer import SILENCE, Peer, PeerState
from rooms.questions import read_response
from rooms.reporting import Beat
from rooms.rtp import HEADER, renumber, ssrc_of

__all__ = ["MediaPort", "Peer", "PeerState"]

P = TypeVar("P", bound=Peer)

#: Seconds after which a request for somebody who sees a picture newly is sent once more, in case it was lost:
#: a browser that misses only a picture's beginning complains after three seconds. One that had the first
#: request ignores the second (libwebrtc, in Chromium as in Firefox, honours one in 300 ms).
KEY_FRAME_AGAIN = 0.1

#: First parts of pseudo addresses; no socket reports such a host.
_PATHS = frozenset({"tcp", "turn"})


class MediaPort:
    """One UDP port and the rooms behind it.

    Args:
        host: address to bind; ``localhost`` is 127.0.0.1.
        port: 0 for any free one.
        advertised: address or name under which browsers reach the port, when it is not the bound one.
        engine: how datagrams come and go; the fastest that works here if left out.
        mark: of the workers that may send on what their streams carry; ``None``: there are none.

    Attributes:
        host: the IP address in the offers.
        port: the bound port number, once started.
        h264: for the offers: programs may publish here, whose pictures may come in H.264.
        tcp_port: for the offers: where somebody takes ICE-TCP and attaches it here; ``None``: nobody does.
        counters: packets_in (RTP accepted), packets_out (RTP sent, retransmissions included),
            dropped_unauthenticated, dropped_malformed, dropped_excess (of a seat, more than it may send or
            have done; ``rooms.rates``), dropped_unsendable, key_frame_requests (to
            publishers, repetitions aside), nacks (sequence numbers subscribers missed), retransmitted, failed
            (a defect here: an exception that was caught at the door).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        advertised: str | None = None,
        engine: Engine | None = None,
        mark: Mark | None = None,
    ) -> None:
        bind = "127.0.0.1" if host == "localhost" else host
        self.host = advertised or bind
        self.port = port
        self.tcp_port: int | None = None
        self.h264 = False
        self.certificate = Certificate.generateCertificate()
        self.counters: dict[str, int] = dict.fromkeys(
            (
                "packets_in",
                "packets_out",
                "dropped_unauthenticated",
                "dropped_malformed",
                "dropped_excess",
                "dropped_unsendable",
                "key_frame_requests",
                "nacks",
                "retransmitted",
                "failed",
            ),
            0,
        )
        self._engine: Engine = engine or fastest_engine(bind, port)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gates: dict[str, Gate] = {}
        self._peers: dict[tuple[str, str], Peer] = {}
        self._by_ufrag: dict[str, Peer] = {}
        self._ufrags: dict[Peer, tuple[str, ...]] = {}
        self._by_address: dict[Address, Peer] = {}
        self._streams: dict[Address, tuple[Callable[[bytes], bool], Address]] = {}
        self._attached = 0
        self._mark = mark
        self._detours: dict[Address, Path] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._beat = Beat(
            self._gates, self._peers, partial(self._ask_key_frames, at_once=True), self.counters, self.now
        )

    async def start(self) -> None:
        """Bind the port and begin.

        Raises:
            OSError: the port cannot be bound, or the advertised name has no address.
        """
        self._loop = asyncio.get_running_loop()
        self.host = await reachable(self.host)
        await self._engine.start(self)
        self.port = self._engine.port
        self._beat.start()

    async def close(self) -> None:
        """Close every transport, tell the browsers, give the port back; may be called twice."""
        self._beat.stop()
        for peer in list(self._peers.values()):
            peer.close()
        self._gates.clear()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._engine.close()

    @property
    def engine_kind(self) -> str:
        """Which engine carries the media: ``batch`` where it works, else ``plain``."""
        return self._engine.kind

    # ------------------------------------------------------------------------------- rooms and seats

    def open_peer(
        self,
        room: str,
        seat: str,
        place: int,
        on_change: Callable[[PeerState], None],
        *,
        sealed: bool = False,
    ) -> Peer:
        """Make a transport for a seat's page; a former one of the same seat is closed and replaced.

        Args:
            room: opaque key.
            seat: opaque key, unique in the room.
            place: the seat's fixed position in the roster, 0 to ``MAX_PLACES`` - 1.
            on_change: called soon after each change of state, never after ``close``.
            sealed: pages seal their frames, so that nothing may come but what all of them can seal.

        Raises:
            ValueError: the place is not in the roster, or another seat of the room has it.
            RuntimeError: the port is not started.
        """
        return self._opened(Peer(self, room, seat, place, on_change, sealed=sealed))

    def open_ingest(
        self, room: str, seat: str, place: int, on_change: Callable[[PeerState], None]
    ) -> IngestPeer:
        """The same for a program that publishes and is sent nothing."""
        return self._opened(IngestPeer(self, room, seat, place, on_change))

    def _opened(self, peer: P) -> P:
        if not self._beat.running:
            raise RuntimeError("the media port is not started")
        room, seat = peer.room, peer.member.seat
        gate = self._gates.setdefault(room, Gate())
        former = self._peers.get((room, seat))
        wanting = gate.join(peer.member)
        if former is not None:
            former.close()
        self._peers[room, seat] = peer
        self.credentials_changed(peer)
        self._ask_key_frames(wanting, at_once=True)
        return peer

    def set_gate(self, room: str, seats: frozenset[str], muted: frozenset[str]) -> None:
        """Let exactly these seats exchange media, from before this returns.

        Args:
            seats: all seats inside the gate; any other neither sends to anyone nor receives anything.
            muted: seats whose audio is not forwarded.
        """
        gate = self._gates.setdefault(room, Gate())
        self._ask_key_frames(gate.set(seats, muted), at_once=True)

    def close_room(self, room: str) -> None:
        """Close every transport of a room and forget it; silent when there is none."""
        gate = self._gates.get(room)
        for seat in list(gate.members) if gate is not None else ():
            self._peers[room, seat].close()
        self._gates.pop(room, None)

    # --------------------------------------------------------------------------------------- streams

    def attach(self, path: Path, send: Callable[[bytes], bool], mapped: Address) -> Address:
        """Give a stream a pseudo address. It is nobody's until a verified binding request comes from it.

        Args:
            path: how it will be shown.
            send: sends one datagram without waiting; false when it was dropped. Never raises.
            mapped: where the far side of the stream appears to be; told to the browser in binding responses.
        """
        self._attached += 1
        address = (path, self._attached)
        self._streams[address] = (send, mapped)
        return address

    def detach(self, address: Address) -> None:
        """A stream has closed; may be called twice."""
        self._streams.pop(address, None)
        if (peer := self._by_address.get(address)) is not None:
            self._assign(address, None)
            peer.agent.forget(address)
            peer.moved()

    def receive(self, datagram: bytes, address: Address) -> bool:
        """Take in one datagram from an attached stream, as if it had come over UDP. Never raises.

        Returns:
            Whether it was accepted.
        """
        refused = self._refused()
        self.on_datagram(datagram, address)
        return self._refused() == refused

    def _refused(self) -> int:
        counters = self.counters
        return (
            counters["dropped_unauthenticated"]
            + counters["dropped_malformed"]
            + counters["dropped_excess"]
            + counters["failed"]
        )

    def knows(self, address: Address) -> bool:
        """Whether an address is a seat's."""
        return address in self._by_address

    def path_of(self, address: Address) -> Path:
        """Which way an address is reached, also where another worker holds the stream."""
        return self._detours.get(address) or path_of(address)

    # ------------------------------------------------------------------------------- what peers need

    def now(self) -> float:
        """Monotonic seconds of the event loop."""
        return self._loop.time() if self._loop is not None else 0.0

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one datagram, or count it."""
        if address[0] in _PATHS:
            stream = self._streams.get(address)
            sent = stream is not None and stream[0](datagram)
        else:
            sent = self._engine.send(datagram, address)
        if not sent:
            self.counters["dropped_unsendable"] += 1

    def direct(self, sessions: Sessions, address: Address) -> Any:
        """What the engine needs to carry a seat's media by itself; ``None`` when it cannot."""
        return None if address[0] in _PATHS else self._engine.direct(sessions, address)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a peer's handshake or farewell; the port waits for it when it closes."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def credentials_changed(self, peer: Peer) -> None:
        """A peer answers to other ufrags than before."""
        for ufrag in self._ufrags.pop(peer, ()):
            del self._by_ufrag[ufrag]
        if not peer.closed:
            self._ufrags[peer] = peer.agent.ufrags
            for ufrag in peer.agent.ufrags:
                self._by_ufrag[ufrag] = peer

    def tracks_changed(self, peer: Peer) -> None:
        """A peer has announced what it publishes."""
        if (gate := self._gates.get(peer.room)) is not None:
            self._ask_key_frames(gate.apply(), at_once=True)

    def state_changed(self, peer: Peer) -> None:
        """A peer's transport stands, or stands no more: routes follow at once."""
        self.tracks_changed(peer)

    def returned(self, peer: Peer) -> None:
        """A seat is heard after an interruption: ask for whole pictures, from it and for it."""
        shown = [slot.route.track for slot in peer.member.slots if slot.route is not None]
        self._ask_key_frames([*(t for t in peer.member.tracks.values() if t.routes), *shown], at_once=True)

    def peer_closed(self, peer: Peer) -> None:
        """Forget a closed peer everywhere."""
        if (gate := self._gates.get(peer.room)) is not None:
            self._ask_key_frames(gate.leave(peer.member), at_once=True)
        if self._peers.get((peer.room, peer.member.seat)) is peer:
            del self._peers[peer.room, peer.member.seat]
        self.credentials_changed(peer)
        for address in peer.agent.addresses:
            if self._by_address.get(address) is peer:
                self._assign(address, None)

    def _assign(self, address: Address, peer: Peer | None) -> None:
        """Let an address be a seat's, or nobody's."""
        if peer is None:
            del self._by_address[address]
            self._detours.pop(address, None)
        else:
            self._by_address[address] = peer
        if address[0] not in _PATHS:
            self._engine.learn(address, peer)

    # ------------------------------------------------------------------------------------- datagrams

    def on_datagram(self, data: bytes, address: Address) -> None:
        """Take in one datagram of any kind from anywhere; never raises."""
        try:
            self._demultiplex(data, address)
        except Exception:
            # A defect of ours must not cost other rooms their media. Tests hold this counter at zero.
            self.counters["failed"] += 1

    def _demultiplex(self, data: bytes, address: Address) -> None:
        first = data[0] if 0 < len(data) <= MAX_DATAGRAM else 255
        if 127 < first < 192:
            peer = self._by_address.get(address)
            if peer is None:
                self.counters["dropped_unauthenticated"] += 1
            elif len(data) > 1 and 192 <= data[1] <= 223:
                self._on_srtcp(peer, data)
            else:
                self._on_srtp(peer, data)
        elif first < 4:
            self._on_stun(data, address)
        elif 19 < first < 64:
            peer = self._by_address.get(address)
            if peer is None or not peer.feed_dtls(data):
                self.counters["dropped_unauthenticated"] += 1
        elif first == MARKED and self._mark is not None and (marked := self._mark.taken_off(data)):
            self._on_marked(*marked, address)
        else:
            self.counters["dropped_malformed"] += 1

    def _on_marked(self, check: bytes, path: Path, mapped: Address, address: Address) -> None:
        """Another worker sends on a check, or says that its stream has closed."""
        if check:
            self._on_stun(check, address, (path, mapped))
        elif address in self._detours:
            self.detach(address)

    def _on_stun(self, data: bytes, address: Address, detour: tuple[Path, Address] | None = None) -> None:
        if data[0]:  # of class response or error (RFC 8489 §5)
            self._on_response(data, address)
            return
        ufrag = addressee(data)
        peer = None if ufrag is None else self._by_ufrag.get(ufrag)
        if ufrag is not None and peer is None:
            self.counters["dropped_unauthenticated"] += 1  # whatever else it may be
            return
        request = None if peer is None else read_request(data)
        if peer is None or request is None:
            self.counters["dropped_malformed"] += 1
            return
        now, owner = self.now(), self._by_address.get(address)
        path, mapped = detour or (None, None)
        if address in self._streams:
            mapped = self._streams[address][1]
        before, checked = peer.agent.address, None
        if owner is None or owner is peer or not _taken(address, owner, now):
            checked = peer.agent.check(request, address, mapped, path, now=now)
        if checked is None:
            self.counters["dropped_unauthenticated"] += 1
            return
        if checked.response is None:
            self.counters["dropped_excess"] += 1
            return
        self.send(checked.response, address)
        if checked.question is not None:
            self.send(checked.question, address)
        if checked.dropped is not None and self._by_address.get(checked.dropped) is peer:
            self._assign(checked.dropped, None)
        if checked.added:
            if owner is not None and owner is not peer:
                owner.agent.forget(address)  # it has left it
                owner.moved()
            self._assign(address, peer)
        if detour is not None and self._by_address.get(address) is peer:
            self._detours[address] = detour[0]
        if peer.agent.address != before:
            peer.moved()
        if peer.agent.ufrags != self._ufrags.get(peer):
            self.credentials_changed(peer)
        peer.heard(now)
        peer.proceed()

    def _on_response(self, data: bytes, address: Address) -> None:
        """What answers a question of ours: the seat is at that address, and hears."""
        peer = self._by_address.get(address)
        response = None if peer is None else read_response(data)
        if peer is not None and response is not None and peer.agent.verify(response):
            now = self.now()
            if peer.agent.found(response, address, now):
                peer.moved()
                peer.proceed()
                return
            if peer.hearing.answer(response.transaction, now):
                return
        self.counters["dropped_unauthenticated"] += 1

    def _on_srtp(self, peer: Peer, data: bytes) -> None:
        # The SSRC is readable before decryption: libsrtp must not keep state for unannounced ones.
        ssrc = ssrc_of(data)
        track = None if ssrc is None else peer.tracks_by_ssrc.get(ssrc)
        now = self.now()
        if track is not None and track.ration.left <= 0 and not track.ration.more(now):
            self.counters["dropped_excess"] += 1
            return
        packet = None if track is None else peer.open_rtp(data)
        if track is None or packet is None:
            self.counters["dropped_unauthenticated"] += 1
            return
        self.counters["packets_in"] += 1
        track.ration.left -= len(data) + track.ration.each
        peer.meter.octets_in += len(data)
        peer.heard_media(now)
        if ssrc == track.rtx_ssrc:
            for slot, again in track.recover(packet):
                self.counters["retransmitted"] += 1
                slot.owner.send_rtp(again)
            return
        _, second, sequence, timestamp, _ = HEADER.unpack_from(packet)
        if track.is_screen:
            self.screen_heard(peer, track, now)
        ways = track.forward(second, sequence, timestamp, now)
        if ways and track.repairs:
            track.keep(packet)
        for slot, to_sequence, to_timestamp in ways:
            slot.owner.send_rtp(renumber(packet, to_sequence, to_timestamp, slot.ssrc))

    def screen_heard(self, peer: Peer, track: PublishedTrack, now: float) -> None:
        """An authentic packet of a screen has come: it may be the one to be shown from now on."""
        self._ask_key_frames(
            self._gates[peer.room].screen_heard(peer.member, track.heard_at, now), at_once=True
        )

    def _on_srtcp(self, peer: Peer, data: bytes) -> None:
        now = self.now()
        if not peer.reports.some(now):
            self.counters["dropped_excess"] += 1
            return
        sender = rtcp.sender_ssrc(data)
        compound = None if sender is None else peer.open_rtcp(data, sender)
        if compound is None:
            self.counters["dropped_unauthenticated"] += 1
            return
        peer.reports.spend(1)
        peer.heard_media(now)
        for report in rtcp.read(compound, peer.may_miss):
            match report:
                case rtcp.SenderReport(ssrc=ssrc) if ssrc in peer.tracks_by_ssrc:
                    track = peer.tracks_by_ssrc[ssrc]
                    if ssrc == track.ssrc:
                        for slot, rewritten in track.sender_reports(report, now):
                            slot.owner.send_rtcp(rtcp.build_sender_report(rewritten))
                case rtcp.ReportBlock(ssrc=ssrc) if ssrc in peer.slots_by_ssrc:
                    peer.note_block(peer.slots_by_ssrc[ssrc], report)
                case rtcp.KeyFrameRequest(media_ssrc=ssrc) if ssrc in peer.slots_by_ssrc:
                    route = peer.slots_by_ssrc[ssrc].route
                    if route is not None:
                        self._ask_key_frames([route.track], at_once=False)
                case rtcp.Nack(media_ssrc=ssrc) if ssrc in peer.slots_by_ssrc:
                    self._on_nack(peer, report, now)
                case rtcp.BandwidthEstimate(bits_per_second=estimate):
                    peer.estimate = (estimate, now)

    def _on_nack(self, peer: Peer, nack: rtcp.Nack, now: float) -> None:
        route = peer.slots_by_ssrc[nack.media_ssrc].route
        if route is None:
            return
        self.counters["nacks"] += len(nack.sequences)
        peer.missed(len(nack.sequences))
        track = route.track
        answer = track.resend(route, nack.sequences, now)
        if answer.flood:
            self._beat.flooded(peer, answer.flood)
            return
        for packet in answer.again:
            self.counters["retransmitted"] += 1
            peer.send_rtp(packet)
        if answer.missing:
            track.owner.send_rtcp(rtcp.build_nack(track.owner.rtcp_ssrc, track.ssrc, answer.missing))

    def _ask_key_frames(self, tracks: Iterable[PublishedTrack], *, at_once: bool) -> None:
        asked = [track for track in tracks if track.want_key_frame(self.now(), at_once=at_once)]
        self.counters["key_frame_requests"] += len(asked)
        self._request_key_frames(asked)
        if asked and at_once and self._loop is not None:
            self._loop.call_later(KEY_FRAME_AGAIN, self._request_key_frames, asked)

    def _request_key_frames(self, tracks: Iterable[PublishedTrack]) -> None:
        for track in tracks:
            if track.routes:  # nobody sees it any more, or it is gone
                track.owner.send_rtcp(rtcp.build_pli(track.owner.rtcp_ssrc, track.ssrc))


def _taken(address: Address, owner: Peer, now: float) -> bool:
    """Whether a seat is heard at an address: nobody takes that over, not even with a ticket of their own.

    What a seat has left may soon be somebody else's: a household's router gives its ports out again.
    """
    heard = owner.last_heard if owner.agent.address == address else owner.agent.heard_at(address)
    return now - heard < SILENCE
