"""What one seat may bring, and what may be done for it: far more than a browser needs, and no more than that.

    packets of a seat's sound, of its pictures ──▶ Ration, before they are decrypted   ──spent──▶ dropped
    its reports; sequence numbers it has missed ──▶ Bucket, before they are read       ──spent──▶ dropped

A worker is one thread, and its rooms share it: without a bound one participant, even one who only waits,
could silence the others. What comes is counted once it has proved to be the seat's, and looked at before that
costs anything: so nobody can use up what is another's, and what is too much is dropped cheaply.

Pure: ``now`` is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

#: RTCP compounds of one seat, a second and at once. A browser sends a NACK each 20 ms and stream at worst.
REPORTS_PER_SECOND: Final = 200.0
REPORTS_AT_ONCE: Final = 400
#: Sequence numbers that one seat may have missed, a second and at once. Four pictures of which half is lost,
#: and asked for twice, are 800; of a blackout of two seconds all is missed at once.
MISSED_PER_SECOND: Final = 1_000.0
MISSED_AT_ONCE: Final = 2_000
#: DTLS datagrams from a seat's addresses, a second and at once: a handshake has a dozen, each perhaps sent
#: again, then there is but the goodbye. Whose they are shows too late: these alone count whoever sent them.
RECORDS_PER_SECOND: Final = 50.0
RECORDS_AT_ONCE: Final = 400


@dataclass(slots=True)
class Ration:
    """Octets and packets of one kind in one account: a packet costs its octets, and something for itself.

    The batch engine does half of the arithmetic itself: this is asked of every packet.

    Args:
        rate: octets a second.
        burst: octets at once.
        each: octets that a packet costs beyond its own.
        at: monotonic seconds of the last look.

    Attributes:
        left: what may still come, as of the last look. Whoever takes in a packet takes its cost off; the last
            one may cost more than there is.
    """

    rate: int
    burst: int
    each: int
    at: float
    left: int = field(init=False)

    def __post_init__(self) -> None:
        """Begin full."""
        self.left = self.burst

    def more(self, now: float) -> bool:
        """To be asked when nothing is left: whether something is again.

        Args:
            now: monotonic seconds; never decreases between calls.
        """
        gained = min(self.burst, (now - self.at) * self.rate)
        if gained < self.each:  # parts of an octet would be lost in ever shorter steps
            return False
        self.left, self.at = min(self.burst, self.left + int(gained)), now
        return self.left > 0


def ration_of_sound(now: float) -> Ration:
    """Of a page's microphone.

    150 kb/s in 50 packets a second, 100 kb/s in 100. Browsers send 32 to 64 kb/s of Opus; sealed, and with
    the heads of every packet, 60 to 90. At once six seconds of the most, which is more than ten of what they
    send: a stream that stood still, or a modem's queue, brings it all together.
    """
    return Ration(rate=25_000, burst=150_000, each=120, at=now)


def ration_of_program_sound(now: float) -> Ration:
    """Of a program, which is set up by hand: 320 kb/s and its heads, the most that OBS offers."""
    return Ration(rate=50_000, burst=300_000, each=120, at=now)


def ration_of_pictures(now: float) -> Ration:
    """Of camera and screen, and what is sent again of either, together.

    4.9 Mb/s in full packets, 1 200 packets a second however small. Pages send 3.2 Mb/s at most, and are told
    to send less. At once two seconds of it: whole pictures, and all that is asked for again after a blackout.
    """
    return Ration(rate=1_100_000, burst=2_200_000, each=900, at=now)
