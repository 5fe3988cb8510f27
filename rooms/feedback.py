"""What the server reports to a publisher: how its packets arrived, and how much it may send.

Reception is counted per track (RFC 3550 appendix A.1, A.3 and A.8) and becomes a report block every
500 ms. The bitrate is the least that any open subscriber's downlink carries, so that one weak link is not
flooded; behind the gate it is a constant, so that the picture is good from the first frame on.

Pure: arrival times come in, numbers go out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rooms.lateness import Lateness
from rooms.rtcp import ReportBlock

#: Seconds between two reports to each publisher.
INTERVAL = 0.5
#: What a publisher may send while nobody receives it, and what a silent subscriber is taken to carry: the
#: camera's 1.7 Mb/s and what its packets and sound add. Being constant, it lets the browser warm up before
#: admission.
DEFAULT_BITRATE = 1_900_000
#: Below this video freezes rather than degrades; the floor also stops the downward spiral.
MIN_BITRATE = 180_000
#: Seconds after which a subscriber's estimate says nothing any more.
ESTIMATE_LIFE = 5.0

# Of what somebody sends; what they use of it is measured twice a second.
_ROOM_TO_GROW = 1.25
# RFC 3550 appendix A.1.
_MAX_DROPOUT = 3_000
_MAX_MISORDER = 512

DROWNS: Final = 0.3
"""Fraction lost from which what is sent again is lost again, and takes the place of what is new."""
_TELLING: Final = 15  # packets: of fewer, a few lost by chance are a large fraction
_STALE: Final = 10  # intervals after which fewer must do


class Reception:
    """What arrived of one published stream.

    Args:
        ssrc: of the stream.
        clock_rate: RTP timestamp units per second.

    Attributes:
        epoch: grows when the stream jumps; sequence numbers of two epochs are unrelated.
        highest: extended sequence number of the newest packet, ``None`` before the first. Grows over epochs.
        lateness: how long its packets waited on their way, as of the last report.
        drowns: so much of it was lost last that nothing should be asked for once more.
    """

    __slots__ = (
        "_across",
        "_bad",
        "_base",
        "_expected_before",
        "_jitter",
        "_received_before",
        "_soonest",
        "_sr_at",
        "_sr_middle",
        "_transit",
        "_unjudged",
        "clock_rate",
        "drowns",
        "epoch",
        "highest",
        "interval_expected",
        "interval_lost",
        "lateness",
        "received",
        "ssrc",
    )

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.epoch = 0
        self.highest: int | None = None
        self.received = 0
        self.interval_expected = 0
        self.interval_lost = 0
        self.lateness = Lateness(clock_rate)
        self.drowns = False
        self._unjudged = (0, 0, 0)
        self._across = False
        self._base = 0
        self._bad: int | None = None
        self._transit: int | None = None
        self._soonest: int | None = None
        self._jitter = 0.0
        self._expected_before = 0
        self._received_before = 0
        self._sr_middle = 0
        self._sr_at = 0.0

    def note(self, sequence: int, timestamp: int, now: float) -> int | None:
        """Count one packet.

        Args:
            sequence: 16 bits.
            timestamp: 32 bits, in clock units.
            now: seconds of arrival.

        Returns:
            The extended sequence number, or ``None`` when the packet lies so far from its neighbours that it
            must not be forwarded (a jump counts only once a second packet confirms it, RFC 3550 A.1).
        """
        highest = self.highest
        if highest is None:
            self.highest = self._base = index = sequence + 0x10000
        else:
            ahead = (sequence - highest) & 0xFFFF
            if ahead < _MAX_DROPOUT:
                self.highest = index = highest + ahead
            elif ahead >= 0x10000 - _MAX_MISORDER:
                index = highest + ahead - 0x10000
            elif sequence == self._bad:
                # The stream really jumped. Start over above everything seen, so that indexes only grow.
                self.highest = self._base = index = (highest | 0xFFFF) + 1 + sequence
                self.epoch += 1
                self.received = self._received_before = self._expected_before = 0
                self._transit = self._soonest = None
                self.lateness.forget()
            else:
                self._bad = (sequence + 1) & 0xFFFF
                return None
        self._bad = None
        self.received += 1
        # Appendix A.8: the difference of relative transit times, smoothed.
        transit = int(now * self.clock_rate) - timestamp
        if self._transit is not None:
            difference = (transit - self._transit) & 0xFFFFFFFF
            if difference > 0x7FFFFFFF:
                difference = 0x100000000 - difference
            if difference > 0xFFFFFF:
                difference = 0xFFFFFF
            self._jitter += (difference - self._jitter) / 16
        self._transit = transit
        if self._soonest is None or transit < self._soonest:
            self._soonest = transit
        return index

    def resume(self) -> None:
        """Its sender was cut off for a while: what it lost meanwhile does not tell how its way does now.

        A report of that loss would make a browser step down on a way that is well again.
        """
        self._across = True

    def note_sender_report(self, ntp: int, now: float) -> None:
        """Remember when which sender report came, for the publisher's round-trip time.

        Args:
            ntp: 64-bit NTP timestamp of the report.
        """
        self._sr_middle = ntp >> 16 & 0xFFFFFFFF
        self._sr_at = now

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter in milliseconds."""
        return 1000.0 * self._jitter / self.clock_rate

    def report(self, now: float) -> ReportBlock | None:
        """Close an interval and report on it (appendix A.3).

        Of the interval in which a sender came back, the fraction lost is told as 0, in all as it is.

        Returns:
            The block, or ``None`` while nothing has arrived.
        """
        if self.highest is None:
            return None
        expected = self.highest - self._base + 1
        self.interval_expected = expected - self._expected_before
        arrived = self.received - self._received_before
        self.interval_lost = max(0, self.interval_expected - arrived)
        self._expected_before = expected
        self._received_before = self.received
        self._judge()
        if self._across and arrived > 0:
            self._across = False
            self.interval_expected = self.interval_lost = 0
        self.lateness.close_interval(self._soonest, now)
        self._soonest = None
        fraction = (
            min(255, (self.interval_lost << 8) // self.interval_expected) if self.interval_expected > 0 else 0
        )
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            lost=max(-0x800000, min(0x7FFFFF, expected - self.received)),
            highest=self.highest & 0xFFFFFFFF,
            jitter=int(self._jitter),
            last_sr=self._sr_middle,
            since_last_sr=int((now - self._sr_at) * 65536) if self._sr_middle else 0,
        )

    def _judge(self) -> None:
        expected, lost, intervals = self._unjudged
        expected, lost = expected + max(0, self.interval_expected), lost + self.interval_lost
        if expected >= _TELLING or intervals >= _STALE:
            self.drowns = lost >= DROWNS * max(1, expected)
            expected = lost = intervals = 0
        self._unjudged = (expected, lost, intervals + 1)


@dataclass(frozen=True, slots=True)
class Downlink:
    """One open subscriber of a publisher.

    Args:
        bits: bits per second of video that its downlink carries in all.
        videos: video tracks this subscriber receives in all; at least ``ours``.
        ours: how many of them come from this publisher.
        left: bits per second that the others send less than their shares.
    """

    bits: int
    videos: int
    ours: int
    left: int = 0


def left_over(share: int, videos: int, sends: float) -> int:
    """What somebody leaves of their share of a downlink to the others, and still has room to grow.

    Args:
        share: bits per second that are theirs of it.
        videos: their video tracks.
        sends: bits per second that came from them last.
    """
    return max(0, share - max(videos * MIN_BITRATE, int(_ROOM_TO_GROW * sends)))


def publisher_bitrate(downlinks: Iterable[Downlink]) -> int:
    """What to tell a publisher with REMB.

    Args:
        downlinks: its open video subscribers; none while it is behind the gate.

    Returns:
        Bits per second for all its streams together.
    """
    shares = [link.bits * link.ours // max(1, link.videos) + link.left for link in downlinks if link.ours > 0]
    if not shares:
        return DEFAULT_BITRATE
    return max(MIN_BITRATE, min(shares))
