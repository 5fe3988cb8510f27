"""One seat's transport: ICE-lite, DTLS, SRTP, and how well it carries.

    NEW ──answer and first check──▶ CONNECTING ──DTLS──▶ CONNECTED
                                        │  ▲               │  ▲
                                        └─6 s of silence───┘  │
                                              ▼  │            │
                                             GONE └─heard again┘   (closed DTLS: GONE for good)

The server is always the DTLS server: then its order of SRTP profiles counts and browsers take AES-256-GCM,
while as a client it would be given AES-128-CM. DTLS starts only once a verified binding request *and* the
answer are here, in whichever order (Firefox's first flight overtakes its own answer). ``rooms.dtls`` does the
handshake and the watching for close_notify; media never enters it.
"""

from __future__ import annotations

import asyncio
import enum
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Protocol

import pylibsrtp
from aiortc import RTCDtlsFingerprint, RTCDtlsParameters

from rooms.bucket import Bucket
from rooms.description import BadSdp
from rooms.dtls import Certificate, DtlsServer, LiteIce, Sessions
from rooms.forwarding import Kind, PublishedTrack, Route, Slot
from rooms.gate import Member, slots_for
from rooms.hearing import Hearing
from rooms.ice import Address, LiteAgent, Path
from rooms.quality import Meter, Quality, Standing
from rooms.questions import TRANSACTION
from rooms.rates import (
    MISSED_AT_ONCE,
    MISSED_PER_SECOND,
    RECORDS_AT_ONCE,
    RECORDS_PER_SECOND,
    REPORTS_AT_ONCE,
    REPORTS_PER_SECOND,
    Ration,
    ration_of_pictures,
    ration_of_sound,
)
from rooms.rtcp import ReportBlock
from rooms.sdp import PUBLISHED, Answer, Offer, read_answer

#: Seconds without an authenticated packet after which a seat counts as gone; browsers check every 2.5 s.
SILENCE = 6.0
#: Seconds of silence after which a seat has missed more than retransmissions bring back.
INTERRUPTION = 2.0
#: Seconds a DTLS handshake may take.
HANDSHAKE = 30.0
# Seconds after which a subscriber's report says nothing about the present: browsers report on video every
# second, on sound every five.
_REPORT_LIFE = {Kind.AUDIO: 7.0, Kind.CAMERA: 2.5, Kind.SCREEN: 2.5}
# Fraction lost before us from which a report says nothing of the way from here: a few packets between its
# counting and ours would be most of what is left.
_UNTOLD = 0.5
# Senders of RTCP honoured from one transport; libsrtp keeps state for each.
_MAX_RTCP_SENDERS = 32
# SSRCs one transport may announce over its life, for the same reason; a browser keeps its five.
_MAX_SSRCS = 32


class PeerState(enum.Enum):
    """Where a seat's transport stands."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    GONE = "gone"


class Port(Protocol):
    """What a peer needs of the media port it belongs to."""

    host: str
    port: int
    tcp_port: int | None
    h264: bool
    certificate: Certificate
    counters: dict[str, int]

    def now(self) -> float:
        """Monotonic seconds of the event loop."""

    def send(self, datagram: bytes, address: Address) -> None:
        """Send one datagram, or count it; never raises."""

    def direct(self, sessions: Sessions, address: Address) -> Any:
        """What the engine needs to carry the seat's media by itself, ``None`` when it cannot."""

    def path_of(self, address: Address) -> Path:
        """Which way an address is reached."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a handshake or a farewell, held on to until it ends."""

    def credentials_changed(self, peer: Peer) -> None:
        """The peer answers to other ufrags than before."""

    def tracks_changed(self, peer: Peer) -> None:
        """The peer has announced what it publishes."""

    def state_changed(self, peer: Peer) -> None:
        """The peer's transport stands, or stands no more."""

    def returned(self, peer: Peer) -> None:
        """The peer is heard after an interruption."""

    def peer_closed(self, peer: Peer) -> None:
        """The peer is closed for good."""


def _fresh_ssrc() -> int:
    return secrets.randbelow(0xFFFFFFFF) + 1


class Peer:
    """One transport of one seat. Made by ``MediaPort.open_peer``.

    Attributes:
        receives: whether anything of the others can be sent to it at all.
        ration_of_sound: how much sound may come.
        reports: how many RTCP compounds may come.
        h264: whether pictures of others may come in H.264: never where pages seal their frames.
        state: where it stands.
        standing: what pages are told of the link; the port's beat judges it.
        suite: the SRTP profile in use, such as ``AEAD_AES_256_GCM``; ``None`` before DTLS is done.
        last_heard: loop seconds of the last authenticated packet of any kind; of opening before the first.
        direct: what the engine needs to carry its media by itself; ``None`` when it cannot.
        last_media: the same of SRTP and SRTCP alone. A binding request can be recorded on its way and sent
            again by anybody; these cannot (RFC 3711 §3.3.2), so only they prove that somebody is there.
        hearing: whether what is sent reaches the seat, as far as it was asked.
    """

    receives = True
    ration_of_sound = staticmethod(ration_of_sound)

    def __init__(
        self,
        port: Port,
        room: str,
        seat: str,
        place: int,
        on_change: Callable[[PeerState], None],
        *,
        sealed: bool = False,
    ) -> None:
        self.room = room
        self.member = Member(seat, place, slots_for(self, _fresh_ssrc) if self.receives else [])
        self.h264 = port.h264 and not sealed
        self.agent = LiteAgent(port.port)
        self.state = PeerState.NEW
        self.suite: str | None = None
        self.rtcp_ssrc = _fresh_ssrc()
        self.estimate: tuple[int, float] | None = None
        self.tracks_by_ssrc: dict[int, PublishedTrack] = {}
        self.slots_by_ssrc = {slot.ssrc: slot for slot in self.member.slots}
        self.last_heard = self.last_media = port.now()
        self.hearing = Hearing()
        self.closed = False
        self._sound, self._pictures = (
            self.ration_of_sound(self.last_heard),
            ration_of_pictures(self.last_heard),
        )
        self.reports = Bucket(REPORTS_PER_SECOND, REPORTS_AT_ONCE)
        self._records = Bucket(RECORDS_PER_SECOND, RECORDS_AT_ONCE)
        self._missed = Bucket(MISSED_PER_SECOND, MISSED_AT_ONCE)
        self.direct: Any = None
        self._port = port
        self._on_change = on_change
        self._session_id = secrets.randbelow(2**62)
        self._version = 1
        self._answer: Answer | None = None
        self._ice = LiteIce(self._send)
        self._dtls = DtlsServer(self._ice, port.certificate)
        self._handshake: asyncio.Task[None] | None = None
        self._shakes_at: Address | None = None
        self._srtp: Sessions | None = None
        self._over = False
        self._rtcp_senders: set[int] = set()
        self._announced: frozenset[int] = frozenset()
        self.meter = Meter()
        self.standing = Standing()
        self._counted: dict[int, tuple[Route, int, int, int]] = {}
        self._across = frozenset[int]()

    @property
    def path(self) -> Path | None:
        """How media goes to the seat at present; ``None`` while nobody knows where it is."""
        return None if self.agent.address is None else self._port.path_of(self.agent.address)

    # ------------------------------------------------------------------------------------- signaling

    def offer(self) -> str:
        """The SDP offer of the present ICE generation; the same text at every call.

        Written anew each time: seven kilobytes that are asked for once or twice are not worth keeping.
        """
        return Offer(
            session=self._session_id,
            version=self._version,
            ufrag=self.agent.credentials.ufrag,
            pwd=self.agent.credentials.pwd,
            host=self._port.host,
            port=self._port.port,
            fingerprint=self._port.certificate.fingerprint,
            slots=self.member.slots,
            tcp_port=self._port.tcp_port,
            h264=self.h264,
        ).render()

    def answer(self, sdp: str) -> None:
        """Take the browser's answer.

        The same answer once more changes nothing; a later one belongs to an ICE restart. Restarts may cross
        on the wire, so the last answer counts, whichever offer it was for.

        Raises:
            BadSdp: code ``bad-sdp``; the transport stays as it was.
        """
        kinds = [*PUBLISHED, *(slot.kind for slot in self.member.slots)]
        self.take(read_answer(sdp, kinds, h264=self.h264))

    def take(self, answer: Answer) -> None:
        """Take what the other end says of itself.

        Raises:
            BadSdp: code ``bad-sdp``; the transport stays as it was.
        """
        if self.closed:
            return
        if self._answer is not None and answer.fingerprints != self._answer.fingerprints:
            raise BadSdp("an ICE restart cannot change the certificate")
        announced = self._announced.union(
            ssrc for told in answer.tracks for ssrc in (told.ssrc, told.rtx_ssrc) if ssrc is not None
        )
        if len(announced) > _MAX_SSRCS:
            raise BadSdp("the answers announce ever new streams")
        self._announced = announced
        former, self._answer = self._answer, answer
        self.agent.answered(answer.ufrag, answer.pwd)
        for question, address in self.agent.questions(self._port.now()):
            self._port.send(question, address)
        self.member.shows_h264 = answer.shows_h264
        if former is None or former.tracks != answer.tracks:
            self._publish(answer)
            self._port.tracks_changed(self)
        self.proceed()

    def restart(self) -> str:
        """Begin an ICE restart (RFC 8445 §9): an offer with new credentials for the same DTLS association.

        Media goes on over the old path until the browser checks the new one.
        """
        if not self.closed:
            self.agent.restart()
            self._version += 1
            self._port.credentials_changed(self)
        return self.offer()

    def close(self) -> None:
        """End the transport and tell the browser (close_notify). ``on_change`` is not called any more."""
        if self.closed:
            return
        self.closed = self._over = True
        self.state = PeerState.GONE
        self.member.live = False
        self._srtp = None
        self.moved()
        self._dtls.remove_all_listeners()
        if self._handshake is not None:
            self._handshake.cancel()
        self._port.spawn(self._stop())
        self._port.peer_closed(self)

    async def _stop(self) -> None:
        await self._dtls.stop()
        self._ice.close()

    def _ration(self, kind: Kind) -> Ration:
        """Of what is answered anew no more may come than before."""
        return self._sound if kind is Kind.AUDIO else self._pictures

    def _publish(self, answer: Answer) -> None:
        for track in self.member.tracks.values():
            track.set_routes([])
        self.member.tracks = {
            told.kind: PublishedTrack(
                self, told.kind, told.ssrc, self._ration(told.kind), told.rtx_ssrc, h264=told.h264
            )
            for told in answer.tracks
        }
        self.tracks_by_ssrc = {}
        for track in self.member.tracks.values():
            self.tracks_by_ssrc[track.ssrc] = track
            if track.rtx_ssrc is not None:
                self.tracks_by_ssrc[track.rtx_ssrc] = track

    # ------------------------------------------------------------------------------------- transport

    def heard_media(self, now: float) -> None:
        """An authentic packet of media, or a report about it, has come.

        Args:
            now: loop seconds of its arrival.
        """
        self.last_media = now
        self.heard(now)

    def heard(self, now: float) -> None:
        """An authenticated packet has come from the seat."""
        silence, self.last_heard = now - self.last_heard, now
        if self.state is PeerState.GONE:
            self.settle()
        if silence >= INTERRUPTION:
            self.forget_losses()
            for track in self.member.tracks.values():
                track.reception.resume()
            self._port.returned(self)

    def ask_whether_heard(self) -> None:
        """Send a question that the other end answers if it hears."""
        transaction = secrets.token_bytes(TRANSACTION)
        self.hearing.ask(transaction, self._port.now())
        if (question := self.agent.question(transaction)) is not None:
            self._send(question)

    def doubt(self) -> None:
        """Its page says that its connection is lost."""
        self.hearing.doubt(self._port.now())

    def hears(self) -> bool:
        """Whether what is sent reaches the seat; one whose transport only comes up is taken to hear."""
        return self.hearing.look(self._port.now(), loss=self.meter.loss_in)

    def moved(self) -> None:
        """Its address or its keys may be others than before."""
        address = self.agent.address
        if self._srtp is None and self._handshake is not None and address != self._shakes_at:
            self._ice.again()  # what went to the other address has not arrived
        self._shakes_at = address
        self.direct = (
            None if self._srtp is None or address is None else self._port.direct(self._srtp, address)
        )

    def proceed(self) -> None:
        """Start DTLS as soon as both a verified address and the fingerprint are known."""
        if self._handshake is None and self._answer is not None and self.agent.address and not self.closed:
            self._dtls.add_listener("statechange", self._dtls_changed)
            self._handshake = self._port.spawn(self._shake_hands(self._answer))
            self.settle()

    async def _shake_hands(self, answer: Answer) -> None:
        fingerprints = [RTCDtlsFingerprint("sha-256", value) for value in answer.fingerprints]
        try:
            async with asyncio.timeout(HANDSHAKE):
                await self._dtls.start(RTCDtlsParameters(fingerprints=fingerprints))
        except Exception:
            # Timed out, or a hostile flight made OpenSSL raise something new: no transport, nothing more.
            self._over = True
        self.settle()

    def _dtls_changed(self) -> None:
        if self._dtls.state == "connected" and self._dtls.profile is not None:
            self.suite = self._dtls.profile.openssl_profile.decode().removeprefix("SRTP_")
            self._srtp = self._dtls.sessions
            self.last_media = self._port.now()
        elif self._dtls.state in ("closed", "failed"):
            self._over = True
            self._srtp = None
        self.moved()
        self.settle()

    def settle(self) -> None:
        """Work out the state anew, and tell whoever needs to know when it is another."""
        if self.closed:
            return
        state = self._present_state()
        if state is self.state:
            return
        self.state = state
        self.member.live = state is PeerState.CONNECTED
        self._port.state_changed(self)
        # Not from inside a datagram: whatever the listener does or raises is its own.
        asyncio.get_running_loop().call_soon(self._tell, state)

    def _tell(self, state: PeerState) -> None:
        if not self.closed:
            self._on_change(state)

    def _present_state(self) -> PeerState:
        if self._handshake is None:
            return PeerState.NEW
        if self._over or self._port.now() - self.last_heard >= SILENCE:
            return PeerState.GONE
        return PeerState.CONNECTING if self._srtp is None else PeerState.CONNECTED

    def feed_dtls(self, datagram: bytes) -> bool:
        """Take in one DTLS datagram from a verified address; false when it was dropped."""
        return not self.closed and self._records.take(self._port.now()) and self._ice.feed(datagram)

    def open_rtp(self, datagram: bytes) -> bytes | None:
        """Decrypt one SRTP packet, or ``None`` when it is not authentic."""
        if self._srtp is None:
            return None
        try:
            packet: bytes = self._srtp[0].unprotect(datagram)
        except (pylibsrtp.Error, ValueError):
            return None
        return packet

    def open_rtcp(self, datagram: bytes, sender: int) -> bytes | None:
        """Decrypt one SRTCP compound of that sender, or ``None`` when it is not authentic."""
        if self._srtp is None or (
            sender not in self._rtcp_senders and len(self._rtcp_senders) >= _MAX_RTCP_SENDERS
        ):
            return None
        try:
            compound: bytes = self._srtp[0].unprotect_rtcp(datagram)
        except (pylibsrtp.Error, ValueError):
            return None
        self._rtcp_senders.add(sender)
        return compound

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send one packet to the seat; a failure is counted, never raised."""
        if self._srtp is None:
            return
        try:
            protected = self._srtp[1].protect(packet)
        except (pylibsrtp.Error, ValueError):
            self._port.counters["dropped_unsendable"] += 1
            return
        self._port.counters["packets_out"] += 1
        self.meter.octets_out += len(protected)
        self._send(protected)

    def send_rtcp(self, compound: bytes) -> None:
        """Protect and send one RTCP compound to the seat; a failure is counted, never raised."""
        if self._srtp is None:
            return
        try:
            protected = self._srtp[1].protect_rtcp(compound)
        except (pylibsrtp.Error, ValueError):
            self._port.counters["dropped_unsendable"] += 1
            return
        self._send(protected)

    def _send(self, datagram: bytes) -> None:
        if self.agent.address is not None:
            self._port.send(datagram, self.agent.address)

    def may_miss(self, ssrc: int) -> int:
        """How many sequence numbers the seat may ask for of a slot at present; none of a closed one."""
        slot = self.slots_by_ssrc.get(ssrc)
        if slot is None or slot.route is None or not self._missed.some(self._port.now()):
            return 0
        return int(self._missed.left)

    def missed(self, numbers: int) -> None:
        """It has asked for so many."""
        self._missed.spend(numbers)

    # --------------------------------------------------------------------------------------- quality

    def note_block(self, slot: Slot, block: ReportBlock) -> None:
        """The seat reports how a slot of its arrived (RFC 3550 §6.4.1)."""
        now = self._port.now()
        before_us = self._lost_before_us(slot)
        if slot.ssrc in self._across:
            self._across -= {slot.ssrc}
        elif before_us <= _UNTOLD:
            # Both losses follow one another: what arrives is the product of what each way lets through.
            slot.loss = max(0.0, (block.fraction_lost / 256 - before_us) / (1 - before_us))
            slot.reported_at = now
        if block.last_sr and block.last_sr == slot.sr_middle:
            self.meter.note_trip(now - slot.sr_sent_at - block.since_last_sr / 65536, now)

    def _lost_before_us(self, slot: Slot) -> float:
        """The fraction that the publisher's way lost since the last report: gaps are forwarded as gaps."""
        route = slot.route
        if route is None:
            self._counted.pop(slot.ssrc, None)
            return 0.0
        heard = route.track.reception
        counted = (route, heard.epoch, heard.highest or 0, heard.received)
        before, self._counted[slot.ssrc] = self._counted.get(slot.ssrc), counted
        if before is None or before[0] is not route or before[1] != heard.epoch or counted[2] <= before[2]:
            return 0.0
        return max(0.0, 1 - (counted[3] - before[3]) / (counted[2] - before[2]))

    def losses(self, *kinds: Kind) -> tuple[float, float]:
        """What the seat reports to have lost on the way from here, and when it last did.

        Args:
            kinds: of which tracks.

        Returns:
            The worst fraction among open slots, 0 without a recent report; seconds of the newest report.
        """
        now = self._port.now()
        recent = [
            slot
            for slot in self.member.slots
            if slot.kind in kinds
            and slot.route is not None
            and now - slot.reported_at < _REPORT_LIFE[slot.kind]
        ]
        return (
            max((slot.loss for slot in recent), default=0.0),
            max((slot.reported_at for slot in recent), default=float("-inf")),
        )

    def forget_losses(self) -> None:
        """What was reported so far tells of another time, and so will what is reported next of each slot."""
        for slot in self.member.slots:
            slot.reported_at = float("-inf")
        self._across = frozenset(self.slots_by_ssrc)

    def trip(self) -> float | None:
        """Seconds of the round trip between server and seat; ``None`` while it receives nothing."""
        return self.meter.trip(self._port.now())

    def measure(self) -> None:
        """Close a measuring interval; called after every report to the publisher."""
        expected = sum(track.reception.interval_expected for track in self.member.tracks.values())
        lost = sum(track.reception.interval_lost for track in self.member.tracks.values())
        self.meter.close_interval(self._port.now(), max(0, expected), lost)

    def quality(self) -> Quality:
        """How well the transport carries at present."""
        trip = self.trip()
        return Quality(
            loss_in=self.meter.loss_in,
            loss_out=self.losses(*Kind)[0],
            jitter_ms=max((track.reception.jitter_ms for track in self.member.tracks.values()), default=0.0),
            bitrate_in=int(self.meter.bitrate_in),
            bitrate_out=int(self.meter.bitrate_out),
            rtt_ms=None if trip is None else 1000 * trip,
            standing=self.told_standing,
            suite=self.suite or "",
        )

    @property
    def told_standing(self) -> Standing:
        """What pages are told at present: the way is known before the link is judged."""
        path = self.path
        return self.standing if self.standing.path == path else replace(self.standing, path=path)
