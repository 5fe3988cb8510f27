"""What becomes of the pictures on a weak link: they step down, then pause, and return; sound never stops.

    Allowance   how much video a link carries: the browser's estimate, lowered by what it loses
    Ladder      what goes over it:

        ALL ──hurts for 3 s──▶ SCREEN ──hurts for 3 s──▶ SOUND
         ▲  (cameras pause)      │ ▲   (screen pauses)     │
         └── back-off over: try ─┘ └── back-off over: try ─┘

A shared screen outlives the cameras: a face that is missed is still heard, while a document that disappears
leaves nothing to speak about; it also moves less and so weighs less. While no screen is shared there is one
step, from everything to sound alone.

A link hurts when sound suffers on it although video has stepped down as far as it goes. One that drowns,
where not even the least would fit, loses all pictures at once. An estimate alone never pauses anything:
browsers estimate the whole way from publisher to subscriber, so a publisher's weak uplink would look like
everybody's weak downlink. Losses and round trips are measured between server and seat, and what the way up is
late (``rooms.uplink``) is no part of the way down.

Coming back is by trial, for a link without video tells nothing of what it would carry. A trial that fails
doubles the wait for the next, up to about half a minute.

Pure: readings and ``now`` come in, decisions go out.
"""

from __future__ import annotations

from typing import Final

from rooms.feedback import DEFAULT_BITRATE, MIN_BITRATE
from rooms.forwarding import Kind
from rooms.quality import Level

PATIENCE: Final = 3.0
"""Seconds for which a link must hurt before a picture is paused: a browser adapts within two."""
RELAPSE: Final = 1.5
"""The same while a picture is on trial: the doubt is against it."""
FIRST_WAIT: Final = 8.0
"""Seconds until a paused picture is tried again; a lift, a tunnel or a microwave oven takes about so long."""
LONGEST_WAIT: Final = 32.0
"""Bound of the doubling: nobody should wait longer for a picture that would fit by now. Sound that goes well
does not tell that it would, so the wait cannot end before; a trial in vain costs it two seconds of these."""
SETTLED: Final = 30.0
"""Seconds that a picture must stay before the waiting starts over from the shortest."""
EASE: Final = 1.5
"""Seconds before a trial in which publishers step down: the first picture must not be a large one."""

PICTURE_BITRATE: Final = MIN_BITRATE
"""What one picture weighs at the least: what publishers are told is never lower."""
SOUND_BITRATE: Final = 50_000
"""What one voice weighs: 32 kb/s of Opus and what its fifty packets a second add."""
HURTS: Final = 0.10
"""Fraction lost from which sound breaks up, in-band FEC or not."""
CALM: Final = 0.05
"""Fraction lost below which a lowered allowance grows again."""
SLOW: Final = 1.0
"""Seconds of round trip that mean a full queue; the longest honest way, by satellite, takes 0.7."""
_GROWTH: Final = 1.25  # a second; from the floor to the full picture in about twelve
_NEAR_FLOOR: Final = 1.1
_BEGINNING: Final = 1.5  # seconds
_QUIET: Final = (
    4.0  # seconds after a cut: one for the queue, one for the publisher, two to see whether it fits
)
_CAREFUL: Final = 1.1  # a report, once it was too much
_STEP_BACK: Final = 0.8
_QUEUE: Final = 0.1  # seconds by which a round trip is longer when a queue fills

CARRIED: Final = {
    Level.ALL: frozenset(Kind),
    Level.SCREEN: frozenset({Kind.AUDIO, Kind.SCREEN}),
    Level.SOUND: frozenset({Kind.AUDIO}),
}
"""The kinds of tracks that go over a link at each level."""


class Ladder:
    """One direction of one seat's link.

    Attributes:
        level: what goes over it.
    """

    def __init__(self) -> None:
        self.level = Level.ALL
        self._hurts_since: float | None = None
        self._wait = FIRST_WAIT
        self._try_at = 0.0
        self._tried_at = float("-inf")

    def judge(self, *, hurts: bool, pictures: bool, screen: bool, now: float, drowns: bool = False) -> bool:
        """Take in how the link does now; to be called about twice a second.

        Args:
            hurts: sound suffers on it.
            pictures: video goes over it at present, so that there is something to pause.
            screen: a screen is shared on it, or would be were it not paused.
            drowns: it hurts, and so much that patience would only cost sound.

        Returns:
            Whether the level is another than before.
        """
        if not (hurts or drowns):
            self._hurts_since = None
            if self.level is Level.ALL and not self.on_trial(now):
                self._wait = FIRST_WAIT
            if self.level is Level.ALL or now < self._try_at:
                return False
            self.level = Level.SCREEN if screen and self.level is Level.SOUND else Level.ALL
            self._tried_at = now
            # The next step, if there is one, waits until this one has proved good.
            self._try_at = now + FIRST_WAIT
            return True
        if self._hurts_since is None:
            self._hurts_since = now
        on_trial = self.on_trial(now)
        if self.level is Level.SOUND or not pictures:
            return False
        if not drowns and now - self._hurts_since < (RELAPSE if on_trial else PATIENCE):
            return False
        outlives = screen and self.level is Level.ALL and not drowns
        self.level = Level.SCREEN if outlives else Level.SOUND
        self._hurts_since = None
        self._wait = min(LONGEST_WAIT, 2 * self._wait) if on_trial else FIRST_WAIT
        self._try_at = now + self._wait
        return True

    def on_trial(self, now: float) -> bool:
        """Whether a picture has come back a short while ago."""
        return now - self._tried_at < SETTLED

    def easing(self, now: float) -> bool:
        """Whether a picture is about to be tried, so that its publisher should already send little."""
        return self.level is not Level.ALL and now >= self._try_at - EASE


class Allowance:
    """How much video a subscriber's downlink carries.

    A browser's estimate that has collapsed grows by 8 % a second: a minute of a bad picture on a link that is
    well again. So after a pause, or once it is below what a picture weighs while pictures come without loss
    and without a queue, an estimate of our own counts until the browser's has caught up. It grows as long as
    nothing is lost and no queue fills, and gives way where something does.

    Attributes:
        bits: bits per second for all the video it receives.
    """

    def __init__(self) -> None:
        self.bits = DEFAULT_BITRATE
        self._cap: float | None = None
        self._counted_at = float("-inf")
        self._grown_at = float("-inf")
        self._own: float | None = None
        self._begun_at = float("-inf")
        self._troubled = False
        self._shortest = float("inf")

    def update(
        self,
        estimate: int | None,
        loss: float,
        reported_at: float,
        now: float,
        trip: float | None = None,
        pictures: int = 0,
    ) -> None:
        """Take in what is known.

        Args:
            estimate: the browser's own, ``None`` when it says nothing: then the default, never "unlimited".
            loss: the worst fraction of a picture that it reported lost last.
            reported_at: seconds of that report; each counts once.
            trip: seconds of the last round trip, if known, without what the way up was late.
            pictures: video tracks that go over it at present.
        """
        # The first report after a pause tells of what was lost before it.
        settled = now - self._begun_at >= _BEGINNING
        if reported_at > self._counted_at and settled:
            if self._own is not None:
                self._own = self._after_report(self._own, estimate, loss, trip)
            elif pictures and estimate is not None and estimate < PICTURE_BITRATE and self._flows(loss, trip):
                # No publisher sends less than that, so as much comes, and well, whatever the browser thinks.
                self._own, self._troubled = float(PICTURE_BITRATE * pictures), False
        self._shortest = min(self._shortest, self._shortest if trip is None else trip)
        known = [bits for bits in (estimate, self._own) if bits is not None]
        bits = float(max(known, default=DEFAULT_BITRATE))
        if reported_at > self._counted_at and loss > HURTS:
            # What was lost did not fit. draft-ietf-rmcat-gcc-02 §6 takes off half as much; here the sound of
            # people who talk waits behind every such packet.
            self._cap = max(float(PICTURE_BITRATE), min(bits, self._cap or bits) * (1 - loss))
            self._grown_at = now
        elif self._cap is not None and loss < CALM:
            self._cap *= _GROWTH ** min(1.0, max(0.0, now - self._grown_at))
            self._grown_at = max(now, self._grown_at)
            if self._cap > DEFAULT_BITRATE:
                self._cap = None
        self._counted_at = max(self._counted_at, reported_at)
        self.bits = int(bits if self._cap is None else min(bits, self._cap))

    def _after_report(
        self, own: float, estimate: int | None, loss: float, trip: float | None
    ) -> float | None:
        """Our own estimate after one more report; ``None`` once the browser's has caught up."""
        if loss > CALM or (trip is not None and trip > self._shortest + _QUEUE):
            self._troubled = True
            own = max(float(PICTURE_BITRATE), own * _STEP_BACK)
        else:
            own *= _CAREFUL if self._troubled else _GROWTH
        return None if estimate is not None and own <= estimate else min(own, float(DEFAULT_BITRATE))

    def _flows(self, loss: float, trip: float | None) -> bool:
        """Whether nothing is lost, and it is known that no queue fills."""
        return loss < CALM and trip is not None and trip <= self._shortest + _QUEUE

    def cut(self, bits: float, pictures: int, now: float) -> None:
        """Far less arrives than is sent: give no more than that, and grow again from there.

        Args:
            bits: bits per second of everything that arrives.
            pictures: video tracks that go over it.
        """
        fits = max(float(PICTURE_BITRATE * max(1, pictures)), _STEP_BACK * bits - SOUND_BITRATE)
        self._cap = fits if self._cap is None else min(self._cap, fits)
        self._own, self._grown_at = None, now + _QUIET
        self.bits = min(self.bits, int(self._cap))

    def begin_at_floor(self, pictures: int, now: float) -> None:
        """A paused picture is tried again: begin with the least."""
        self._cap, self._grown_at = float(PICTURE_BITRATE * max(1, pictures)), now
        self._own, self._begun_at, self._troubled = self._cap, now, False
        self.bits = min(self.bits, int(self._cap))

    def at_floor(self, pictures: int) -> bool:
        """Whether publishers were told to send as little as they can, for this many pictures."""
        return self.bits <= _NEAR_FLOOR * PICTURE_BITRATE * pictures


def downlink_hurts(
    allowance: Allowance, pictures: int, loss: float, sound_loss: float, trip: float | None
) -> bool:
    """Whether sound suffers on the way to a seat.

    Args:
        pictures: video tracks that go over it at present.
        loss: the worst fraction lost of a picture.
        sound_loss: of sound.
        trip: seconds of round trip, if known, without what the way up was late.
    """
    if pictures == 0:
        return sound_loss >= HURTS
    return allowance.at_floor(pictures) and (loss >= HURTS or (trip is not None and trip >= SLOW))
