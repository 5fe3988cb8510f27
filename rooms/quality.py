"""How well a seat's link carries: measured as numbers, told in three words, and never nervously.

    octets, losses, round trips ──▶ Meter ──▶ Quality (numbers: the admin's board, the metrics)
                                                 └──▶ Damped ──▶ Grade (good, fair, weak: the pages)

Pages are shown whole views, so what a view says of a link must be coarse and must hold for seconds.

Pure: counts and ``now`` come in, values go out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

WORSE_AFTER: Final = 3.0
"""Seconds for which a link must be worse before it is called so: one lost burst is no news."""
BETTER_AFTER: Final = 8.0
"""Seconds for which it must be better: a link that just recovered often fails again."""
_TRIP_LIFE: Final = 10.0
"""Seconds after which a round trip says nothing about the present; sound alone is reported on every five."""

# Opus with in-band FEC hides 3 %, and is heard to break up from about 8 %.
_WEAK_LOSS, _FAIR_LOSS = 0.08, 0.03
# Milliseconds. From 300 on people begin to talk over each other (ITU-T G.114: 150 each way).
_WEAK_TRIP, _FAIR_TRIP = 700.0, 300.0
# Milliseconds; more than a browser's jitter buffer holds without being heard.
_FAIR_JITTER = 60.0


class Level(StrEnum):
    """What of the media goes over one direction of a link. Sound always does."""

    ALL = "all"
    SCREEN = "screen"
    SOUND = "sound"


class Grade(StrEnum):
    """How well a link carries, for people."""

    GOOD = "good"
    FAIR = "fair"
    WEAK = "weak"


_RANK: Final = {grade: rank for rank, grade in enumerate(Grade)}


@dataclass(frozen=True, slots=True)
class Standing:
    """All that pages are told of one seat's link.

    Attributes:
        path: ``udp``, ``tcp`` or ``turn``; ``None`` before the first verified packet.
        receives: what is sent to the seat.
        sends: what the seat's page is asked to send.
        camera, screen: in the room, pictures of it come from the seat, or did until ``sends`` held them back.
        h264: the picture that it sends is in H.264, which not every browser shows.
        shows_h264: its own browser does.
    """

    grade: Grade = Grade.GOOD
    path: Literal["udp", "tcp", "turn"] | None = None
    receives: Level = Level.ALL
    sends: Level = Level.ALL
    camera: bool = False
    screen: bool = False
    h264: bool = False
    shows_h264: bool = False


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a transport carries; numbers only.

    Args:
        loss_in: fraction of the seat's packets lost on their way to the server, 0 to 1.
        loss_out: fraction lost on the way to the seat, as it reports.
        jitter_ms: worst interarrival jitter of what the seat publishes.
        bitrate_in: bits per second of media from the seat.
        bitrate_out: bits per second of media to the seat.
        rtt_ms: round trip of server and seat; ``None`` while it receives nothing.
        standing: the same in words.
        suite: the SRTP profile that protects it.
    """

    loss_in: float
    loss_out: float
    jitter_ms: float
    bitrate_in: int
    bitrate_out: int
    rtt_ms: float | None
    standing: Standing = Standing()
    suite: str = ""

    @property
    def grade(self) -> Grade:
        """These numbers in a word, undamped."""
        loss, trip = max(self.loss_in, self.loss_out), self.rtt_ms or 0.0
        if loss >= _WEAK_LOSS or trip >= _WEAK_TRIP:
            return Grade.WEAK
        if loss >= _FAIR_LOSS or trip >= _FAIR_TRIP or self.jitter_ms >= _FAIR_JITTER:
            return Grade.FAIR
        return Grade.GOOD


class Damped:
    """A grade that changes only after the link was better, or worse, for seconds on end."""

    def __init__(self) -> None:
        self.grade = Grade.GOOD
        self._direction = 0
        self._since = 0.0
        self._nearest = Grade.GOOD

    def note(self, grade: Grade, now: float) -> Grade:
        """Take in the grade of this moment.

        Returns:
            The one to tell: of those seen on the way, the nearest to the one told before.
        """
        distance = _RANK[grade] - _RANK[self.grade]
        direction = (distance > 0) - (distance < 0)
        if direction != self._direction:
            self._direction, self._since, self._nearest = direction, now, grade
        elif abs(distance) < abs(_RANK[self._nearest] - _RANK[self.grade]):
            self._nearest = grade
        if direction and now - self._since >= (WORSE_AFTER if direction > 0 else BETTER_AFTER):
            self.grade, self._direction = self._nearest, 0
        return self.grade


@dataclass(slots=True)
class Meter:
    """Octets counted, and rates smoothed over about two seconds.

    Attributes:
        arriving: bits per second from the seat in the last interval alone.
        late: seconds that everything from the seat waits in a queue at present.
    """

    octets_in: int = 0
    octets_out: int = 0
    bitrate_in: float = 0.0
    bitrate_out: float = 0.0
    arriving: float = 0.0
    loss_in: float = 0.0
    late: float = 0.0
    closed_at: float | None = None
    _trip: float | None = None
    _trip_down: float = 0.0
    _trip_at: float = 0.0

    def note_trip(self, seconds: float, now: float) -> None:
        """A round trip was measured."""
        self._trip, self._trip_at = max(0.0, seconds), now
        # The report of it came through the queue on the way up, and says nothing of one on the way down.
        self._trip_down = max(0.0, seconds - self.late)

    def trip(self, now: float) -> float | None:
        """The last round trip in seconds, ``None`` when there is no recent one."""
        return self._trip if self._trip is not None and now - self._trip_at < _TRIP_LIFE else None

    def trip_down(self, now: float) -> float | None:
        """The same without what its report was late on the way up."""
        return None if self.trip(now) is None else self._trip_down

    def waits_at_most(self, now: float) -> float:
        """Seconds that a packet from the seat can have waited on its way by now.

        Packets do not overtake one another: what comes after a report left after it, too.
        """
        return float("inf") if self._trip is None else self._trip + now - self._trip_at

    @property
    def sends(self) -> float:
        """Bits per second that the seat sends: a rise counts at once, a fall once it has lasted."""
        return max(self.bitrate_in, self.arriving)

    def close_interval(self, now: float, expected: int, lost: int) -> None:
        """End a measuring interval.

        Args:
            expected: packets that should have come from the seat in it.
            lost: those that did not.
        """
        if self.closed_at is not None and now > self.closed_at:
            span = now - self.closed_at
            self.arriving = 8 * self.octets_in / span
            self.bitrate_in += (self.arriving - self.bitrate_in) / 4
            self.bitrate_out += (8 * self.octets_out / span - self.bitrate_out) / 4
            self.loss_in += ((lost / expected if expected else 0.0) - self.loss_in) / 4
        self.octets_in = self.octets_out = 0
        self.closed_at = now
