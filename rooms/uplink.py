"""How the way from one seat does: judged by what arrives of it, and by how late.

    sound lost, or late ──▶ hurts:  its pictures should pause, once they have stepped down
                        ──▶ drowns: they should pause at once; not even the least would fit
    everything late     ──▶ bits:   what its publisher may send

A queue that loses nothing, in a modem or in a TCP connection, delays sound by seconds; who waits for losses
never learns of it. Late counts only what is late of everything that a seat sends: a microphone whose clock
lost half a second is not a network. A device that is short of time sends everything late, too; but its
reports come at once, and nothing can wait longer than what came after it. Nor is a queue on the way up a weak
way down: reports that come through it make a round trip long, which is why ``late`` is taken off before a way
down is judged.

Pure: counts come in, a judgement stands.
"""

from __future__ import annotations

from typing import Final

from rooms.feedback import DEFAULT_BITRATE, MIN_BITRATE
from rooms.weak import HURTS

LATE: Final = 0.5
"""Seconds that sound may wait in a queue; with as much again for the way people no longer know who speaks."""
FILLS: Final = 0.2
"""Seconds from which a queue is taken for filling; a home's router holds about so much back in a burst."""
STEPPED_DOWN: Final = 350_000
"""Bits per second up to which a browser has stepped down already; it does so by itself, and when told to."""
_SUNK: Final = 0.3  # fraction of the sound lost; or seconds by which everything is late, and ever more
# How much speaks for that not even the least fits: lost sound for two half seconds (of the first, half may be
# before it), lateness for four, for a device that is short of time delays everything as well, by starts.
_DROWNS: Final = 4
_BY_LOSS: Final = 2
_BY_LATENESS: Final = 1
_BACK_OFF: Final = 0.8
_GROWTH: Final = 1.12  # half a second; a quarter in one second


class Uplink:
    """The way up of one seat, half second by half second.

    Attributes:
        late: seconds that everything waits on it beyond the way itself.
        bits: bits per second that its publisher may send in all; ``None`` while nothing speaks against more.
    """

    def __init__(self) -> None:
        self.late = 0.0
        self.bits: int | None = None
        self._sound_loss = 0.0
        self._bitrate = 0.0
        self._sunk = 0

    def note(self, expected: int, lost: int, late: float, bitrate: float) -> None:
        """Take in half a second.

        Args:
            expected: packets of its sound that should have come.
            lost: those that did not.
            late: seconds by which the least late of its tracks came late.
            bitrate: bits per second that came, of everything.
        """
        fraction = lost / expected if expected > 0 else 0.0
        # Smoothed over about two seconds: a burst of losses is no judgement.
        self._sound_loss += (fraction - self._sound_loss) / 4
        grew, self.late, self._bitrate = late > self.late, late, bitrate
        if bitrate <= MIN_BITRATE and fraction >= _SUNK:
            self._sunk += _BY_LOSS
        elif bitrate <= MIN_BITRATE and late >= _SUNK and grew:
            self._sunk += _BY_LATENESS
        else:
            self._sunk = 0
        if late >= FILLS and grew:
            known = bitrate if self.bits is None else min(bitrate, float(self.bits))
            self.bits = max(MIN_BITRATE, int(_BACK_OFF * known))
        elif self.bits is not None and late < FILLS:
            self.bits = int(self.bits * _GROWTH)
            if self.bits > DEFAULT_BITRATE:
                self.bits = None

    @property
    def hurts(self) -> bool:
        """Whether sound suffers on it although video has stepped down."""
        return self._bitrate <= STEPPED_DOWN and (self._sound_loss >= HURTS or self.late >= LATE)

    @property
    def drowns(self) -> bool:
        """Whether it hurts so badly that there is nothing to wait for."""
        return self._sunk >= _DROWNS
