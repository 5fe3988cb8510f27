"""Forwarding: a publisher's track, the routes out of it, and the slots they end in.

    publisher ──▶ PublishedTrack ──Route──▶ Slot ──▶ subscriber
                        └─────────Route──▶ Slot ──▶ subscriber

The gate *is* the tuple of routes: a closed route is not in it, so there is no flag to forget. A slot keeps
one SSRC for the whole visit whoever is seen in it; sequence numbers and timestamps therefore continue from
one source to the next (SRTP and decoders both insist). Lost packets come again from a cache of the last
packets of each video track, as RTX (RFC 4588), never as the same SSRC and sequence number again: under
AES-GCM that would repeat a nonce.

What becomes of a packet is decided from the numbers in its header alone; whoever has the octets then writes
the new numbers into them. So the plain and the batching engine obey one set of rules.

Pure: numbers, packets and ``now`` in, packets and requests out. Payloads are opaque.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rooms.brake import Gaps
from rooms.feedback import Reception
from rooms.quality import Meter
from rooms.rates import Ration
from rooms.rtcp import SenderReport
from rooms.rtp import unwrap_rtx, wrap_rtx

#: Payload types, the same for everybody because the server always offers.
OPUS = 111
VP8 = 96
VP8_RTX = 97
#: What only programs send, and not every browser can show: constrained baseline, packetization mode 1.
H264 = 98
H264_RTX = 99

#: Video packets kept per track for retransmission; at 30 frames/s about one second.
CACHE_SIZE = 256
#: Seconds between two key-frame requests to one track.
KEY_FRAME_INTERVAL = 0.3
#: Seconds between two sender reports of one track that are passed on; browsers send one a second.
REPORT_INTERVAL = 0.1
#: Seconds before a packet is asked of its publisher, or sent to a subscriber, once more.
REPEAT_NACK = 0.1
#: Times that a subscriber is sent a packet again: a browser asks so often, then for a key frame (libwebrtc).
MAX_REPEATS = 10


class Kind(enum.Enum):
    """What a track shows."""

    AUDIO = "audio"
    CAMERA = "camera"
    SCREEN = "screen"

    @property
    def media(self) -> str:
        """The word of the SDP m-line."""
        return "audio" if self is Kind.AUDIO else "video"

    @property
    def clock_rate(self) -> int:
        """RTP timestamp units per second."""
        return 48_000 if self is Kind.AUDIO else 90_000

    @property
    def payload_type(self) -> int:
        """The RTP payload type of the media itself, as every browser sends it."""
        return OPUS if self is Kind.AUDIO else VP8


class Subscriber(Protocol):
    """Whoever owns a slot and can be sent to.

    Attributes:
        direct: how a batching engine reaches it without ``send_rtp``: that engine's own business; ``None``
            when it cannot.
        meter: where octets sent that way are counted.
    """

    direct: Any
    meter: Meter

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send one packet, or count it as lost; never raises."""

    def send_rtcp(self, compound: bytes) -> None:
        """The same for one RTCP compound."""


class Publisher(Protocol):
    """Whoever owns a track and can be asked for key frames and lost packets."""

    rtcp_ssrc: int

    def send_rtcp(self, compound: bytes) -> None:
        """Protect and send one compound, or count it as lost; never raises."""


@dataclass(slots=True, eq=False)
class Slot:
    """One fixed m-line of a subscriber, in which the tracks of others are seen one after another.

    Attributes:
        route: what ends here now; ``None`` while the gate is closed.
        sequence: highest sequence number sent. A slot counts from 0, so that the SRTP rollover counter is 0
            on both ends; RFC 3550's random start guards ciphers that are not used here.
        timestamp: highest timestamp sent.
        sent_at: seconds of that sending; ``None`` before the first packet.
        loss: fraction the subscriber last reported lost, 0 to 1.
        reported_at: seconds of that report.
    """

    owner: Subscriber = field(repr=False)
    kind: Kind
    ssrc: int
    rtx_ssrc: int | None = None
    route: Route | None = None
    sequence: int = 0
    timestamp: int = 0
    sent_at: float | None = None
    rtx_sequence: int = 0
    source: tuple[PublishedTrack, int] | None = field(default=None, repr=False)
    timestamp_offset: int = 0
    loss: float = 0.0
    reported_at: float = float("-inf")
    sr_middle: int = 0
    sr_sent_at: float = 0.0


@dataclass(slots=True, eq=False)
class Route:
    """One open way from a track to a slot. Made when the gate opens, dropped when it closes.

    Attributes:
        opened_after: extended sequence number of the newest packet heard before the gate opened; that one and
            whatever came late before it never take this route.
        first: extended sequence number of the first packet that took it; nothing older ever does, not even
            as a retransmission: what was said before the gate opened stays behind it.
        highest: of the newest.
        credit: retransmissions that may still be asked for. Each forwarded packet adds one: a subscriber that
            asks without end gets twice its share at most.
        gaps: what the subscriber misses of what was sent.
        repeats: how often a packet was sent again, and when it last was.
    """

    track: PublishedTrack = field(repr=False)
    slot: Slot
    opened_after: int = -1
    epoch: int = -1
    first: int = 0
    highest: int = -1
    credit: int = 0
    sequence_offset: int = 0
    timestamp_offset: int = 0
    gaps: Gaps = field(default_factory=Gaps)
    repeats: dict[int, tuple[int, float]] = field(default_factory=dict)

    def may_repeat(self, index: int, now: float) -> bool:
        """Whether to send this packet again now; counts it."""
        times, last = self.repeats.get(index, (0, float("-inf")))
        if times >= MAX_REPEATS or now - last < REPEAT_NACK:
            return False
        if len(self.repeats) >= CACHE_SIZE:
            self.repeats = {
                key: value for key, value in self.repeats.items() if key > self.highest - CACHE_SIZE
            }
        self.repeats[index] = times + 1, now
        return True

    def anchor(self, index: int, timestamp: int, now: float) -> None:
        """Begin with this packet, so that the slot's numbers go on without a gap or a step back."""
        slot, track = self.slot, self.track
        self.epoch, self.first, self.highest = track.reception.epoch, index, index - 1
        self.sequence_offset = (slot.sequence + 1 - index) & 0xFFFF
        if slot.source != (track, self.epoch) and slot.sent_at is not None:
            passed = max(1, int((now - slot.sent_at) * track.kind.clock_rate))
            slot.timestamp_offset = (slot.timestamp + passed - timestamp) & 0xFFFFFFFF
        # The same source after a pause keeps its offset: its clock went on meanwhile, and so did ours.
        slot.source = (track, self.epoch)
        self.timestamp_offset = slot.timestamp_offset


#: A slot, and the sequence number and timestamp under which a packet goes there.
Forwarded = tuple[Slot, int, int]


class PublishedTrack:
    """One stream that a seat publishes, and everything that is known of it.

    Args:
        owner: who sends it.
        kind: what it shows.
        ssrc: announced in the answer.
        ration: how much may come of it, and of what is sent again. Whoever decrypts its packets sees to that.
        rtx_ssrc: of its retransmissions, ``None`` if the browser has none.
        h264: it is a picture in H.264.

    Attributes:
        routes: where it goes now. Replaced as a whole by ``set_routes``, never changed in place.
        heard_at: seconds of the last packet.
        is_screen: it shows a screen.
        repairs: packets are kept and sent again on request; sound comes too late for that.
        torn: somebody misses what was not asked for again, for the publisher's way was drowning. Whoever sees
            to it that a key frame comes instead, once it no longer does, takes this back.
    """

    def __init__(
        self,
        owner: Publisher,
        kind: Kind,
        ssrc: int,
        ration: Ration,
        rtx_ssrc: int | None = None,
        *,
        h264: bool = False,
    ) -> None:
        self.owner = owner
        self.kind = kind
        self.ssrc = ssrc
        self.ration = ration
        self.rtx_ssrc = rtx_ssrc
        self.routes: tuple[Route, ...] = ()
        self.reception = Reception(ssrc, kind.clock_rate)
        self.heard_at = float("-inf")
        # Of every packet these are asked, and an enum takes its time to answer.
        self.repairs = kind is not Kind.AUDIO
        self.is_screen = kind is Kind.SCREEN
        self.torn = False
        self.h264 = h264
        self._payload_type = H264 if h264 else kind.payload_type
        # Made when the first route opens: most transports wait behind the gate.
        self._cache: list[tuple[int, bytes] | None] = []
        self._index_now = 0
        self._wanted: dict[int, _Wanted] = {}
        self._key_frame_at = float("-inf")
        self._reported_at = float("-inf")

    def set_routes(self, slots: list[Slot]) -> bool:
        """Open the ways to exactly these slots. Ways that stay open go on undisturbed.

        Returns:
            Whether a way is new, so that somebody needs a key frame.
        """
        before = {route.slot: route for route in self.routes}
        heard = -1 if self.reception.highest is None else self.reception.highest
        routes = tuple(
            before.pop(slot) if slot in before else Route(self, slot, opened_after=heard) for slot in slots
        )
        for slot, route in before.items():
            if slot.route is route:
                slot.route = None
        fresh = False
        for route in routes:
            fresh = fresh or route.slot.route is not route
            route.slot.route = route
        self.routes = routes
        if not routes:
            # What nobody may have is not kept.
            self._wanted.clear()
            self._cache = []
        elif self.repairs and not self._cache:
            self._cache = [None] * CACHE_SIZE
        return fresh

    def forward(self, second: int, sequence: int, timestamp: int, now: float) -> Sequence[Forwarded]:
        """Count one packet and decide where it goes, under which numbers.

        Args:
            second: second octet of its header, the payload type.
            sequence: 16 bits.
            timestamp: 32 bits.
            now: monotonic seconds.

        Returns:
            Slot, sequence number and timestamp there, for every way it takes; empty behind the gate. If there
            are any and the track ``repairs``, the caller hands the packet to ``keep`` next.
        """
        self.heard_at = now
        reception = self.reception
        index = reception.note(sequence, timestamp, now)
        routes = self.routes
        if index is None or not routes or second & 0x7F != self._payload_type:
            return ()
        epoch = reception.epoch
        out: list[Forwarded] = []
        for route in routes:
            if route.epoch != epoch:
                if index <= route.opened_after:
                    continue
                route.anchor(index, timestamp, now)
            elif index < route.first:
                continue
            slot = route.slot
            to_sequence = (index + route.sequence_offset) & 0xFFFF
            to_timestamp = (timestamp + route.timestamp_offset) & 0xFFFFFFFF
            if index > route.highest:
                route.highest = index
                slot.sequence = to_sequence
                slot.timestamp = to_timestamp
                slot.sent_at = now
                if route.credit < CACHE_SIZE:
                    route.credit += 1
            out.append((slot, to_sequence, to_timestamp))
        self._index_now = index
        return out

    def keep(self, packet: bytes) -> None:
        """Keep the packet that ``forward`` has just let pass, for those who will miss it."""
        if self._cache:
            self._cache[self._index_now % CACHE_SIZE] = (self._index_now, packet)

    def want_key_frame(self, now: float, *, at_once: bool = False) -> bool:
        """Whether to ask the publisher for a key frame now.

        Args:
            at_once: somebody new has come to see it; do not wait for the throttle.
        """
        if self.kind is Kind.AUDIO or (not at_once and now - self._key_frame_at < KEY_FRAME_INTERVAL):
            return False
        self._key_frame_at = now
        return True

    def sender_reports(self, report: SenderReport, now: float) -> list[tuple[Slot, SenderReport]]:
        """Note a sender report and rewrite it for every open route that has carried packets."""
        if now - self._reported_at < REPORT_INTERVAL:
            return []
        self.reception.note_sender_report(report.ntp, now)
        out: list[tuple[Slot, SenderReport]] = []
        for route in self.routes:
            if route.epoch == self.reception.epoch:
                slot = route.slot
                slot.sr_middle, slot.sr_sent_at = report.ntp >> 16 & 0xFFFFFFFF, now
                rtp_time = (report.rtp_time + route.timestamp_offset) & 0xFFFFFFFF
                out.append(
                    (slot, SenderReport(slot.ssrc, report.ntp, rtp_time, report.packets, report.octets))
                )
        if out:
            self._reported_at = now
        return out

    def recover(self, packet: bytes) -> list[tuple[Slot, bytes]]:
        """Use a retransmission from the publisher, if anyone waits for what it carries.

        Browsers also probe the path with old packets on this stream; those nobody wants and nobody gets.

        Args:
            packet: decrypted RTP of the RTX SSRC.
        """
        restored = unwrap_rtx(packet, payload_type=self._payload_type, ssrc=self.ssrc)
        if restored is None or self.reception.highest is None:
            return []
        index = self._index(restored[0])
        wanted = self._wanted.get(index)
        if wanted is None or not wanted.routes:
            return []
        self._cache[index % CACHE_SIZE] = (index, restored[1])
        routes, wanted.routes = wanted.routes, []
        return [
            (route.slot, again)
            for route in routes
            if route in self.routes and (again := self._again(route, index, restored[1])) is not None
        ]

    def _index(self, sequence: int) -> int:
        """The extended sequence number at or below the highest that ends in these 16 bits."""
        highest = self.reception.highest or 0
        return highest - ((highest - sequence) & 0xFFFF)

    def resend(self, route: Route, sequences: tuple[int, ...], now: float) -> Resend:
        """Answer a subscriber's NACK.

        Args:
            route: the open route into the slot it names.
            sequences: as the subscriber counts them.

        Returns:
            Retransmissions to send, and what to ask the publisher for because it never came here.
        """
        again: list[bytes] = []
        missing: list[int] = []
        highest = self.reception.highest
        if highest is None or not self._cache or route.epoch != self.reception.epoch:
            return Resend(again, missing)
        missed, newest = 0, route.gaps.newest
        for sequence in sequences:
            back = (highest - sequence + route.sequence_offset) & 0xFFFF
            index = highest - back
            if back >= CACHE_SIZE or index < route.first:
                continue
            kept = self._cache[index % CACHE_SIZE]
            if kept is not None and kept[0] == index:
                # What had to be asked of its publisher did not get lost between us and the subscriber.
                if index > route.gaps.newest and index not in self._wanted:
                    missed, newest = missed + 1, max(newest, index)
                if (
                    route.credit > 0
                    and route.may_repeat(index, now)
                    and (packet := self._again(route, index, kept[1])) is not None
                ):
                    again.append(packet)
            elif self.reception.drowns:
                self.torn = True
            elif self._want(index, route, now):
                missing.append(index & 0xFFFF)
        return Resend(again, missing, route.gaps.note(missed, newest, now))

    def _again(self, route: Route, index: int, packet: bytes) -> bytes | None:
        slot = route.slot
        if slot.rtx_ssrc is None or index < route.first or route.credit <= 0:
            return None
        route.credit -= 1
        slot.rtx_sequence = (slot.rtx_sequence + 1) & 0xFFFF
        timestamp = int.from_bytes(packet[4:8], "big")
        return wrap_rtx(
            packet,
            payload_type=H264_RTX if self.h264 else VP8_RTX,
            sequence=slot.rtx_sequence,
            timestamp=(timestamp + route.timestamp_offset) & 0xFFFFFFFF,
            ssrc=slot.rtx_ssrc,
            original=(index + route.sequence_offset) & 0xFFFF,
        )

    def _want(self, index: int, route: Route, now: float) -> bool:
        """Note that a route misses a packet; true when the publisher should be asked (again)."""
        if len(self._wanted) >= CACHE_SIZE:
            floor = (self.reception.highest or 0) - CACHE_SIZE
            self._wanted = {key: value for key, value in self._wanted.items() if key > floor}
        wanted = self._wanted.setdefault(index, _Wanted())
        if route not in wanted.routes:
            wanted.routes.append(route)
        if now - wanted.asked_at < REPEAT_NACK:
            return False
        wanted.asked_at = now
        return True


@dataclass(slots=True)
class _Wanted:
    """A packet that was asked of the publisher, and the routes that still miss it."""

    routes: list[Route] = field(default_factory=list)
    asked_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Resend:
    """The answer to one NACK.

    Args:
        again: RTX packets for the subscriber.
        missing: sequence numbers to ask of the publisher, as the publisher counts them.
        flood: fraction lost when far more is sent than arrives, else 0.
    """

    again: list[bytes]
    missing: list[int]
    flood: float = 0.0
