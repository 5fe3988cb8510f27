"""A paced load: what publishers send, when, and what came out at the other end.

Each publisher sends 200 packets a second: three of video of 1100 octets and one of audio of 160, over and
over, each with the abs-send-time extension. Publishers take turns at even distances, so that a server gets
the packets one by one as long as this process gets its core. Packets are encrypted before the window begins.

The server's cost is its process's CPU clock (all threads, user and system) from before the first packet until
all have come out. While a window runs nothing else runs here. What does not come through is looked for: the
kernel counts what it drops for want of room in each socket's queue, the server's and ours, and a load that
did not get its core is late.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Final, Protocol

from rooms.forwarding import OPUS, VP8
from rooms.rtp import HEADER, HEADER_SIZE
from tests.bench.parts.endpoint import KEEP_ALIVE, REPORT_EVERY, Endpoint

RATE: Final = 200
"""Packets that one publisher sends in a second."""

VIDEO_OCTETS: Final = 1100
AUDIO_OCTETS: Final = 160
KEPT_UP: Final = 0.99
"""Of the packets, below which a server was overloaded or got no core."""
_TAIL: Final = 0.5
"""Seconds without a packet after which nothing more is expected."""
_DRAINS: Final = 0.05
"""Seconds between two readings of one socket."""
_ANSWERS: Final = 0.25
"""Seconds between two readings of all sockets, those of servers that wait for their turn too: a clinician who
answers no check is taken not to hear, and the room is on hold."""
_PARTS: Final = 5
"""Sockets are not read all at once."""
# RFC 8285 §4.2: one-byte form, one word; element 2 of 3 octets, as our offers name abs-send-time.
_EXTENSION: Final = bytes.fromhex("BEDE000132") + b"\x12\x34\x56"
_NOISE: Final = random.Random(7).randbytes(VIDEO_OCTETS)
_PICTURE: Final = _NOISE[: VIDEO_OCTETS - HEADER_SIZE - len(_EXTENSION)]
_SOUND: Final = _NOISE[: AUDIO_OCTETS - HEADER_SIZE - len(_EXTENSION)]
MARKER: Final = 0x80


def cpu_seconds(pid: int) -> float:
    """The CPU clock of another process, all threads (clock_getcpuclockid(3) on Linux), to the microsecond."""
    return time.clock_gettime(~pid << 3 | 2)


def queue_drops(pid: int) -> int:
    """Datagrams that a process has lost because it did not read its UDP sockets in time."""
    held = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since
            held.add(entry.readlink().name.removeprefix("socket:[").removesuffix("]"))
    rows = (line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:])
    return sum(int(row[-1]) for row in rows if row[9] in held)


class Source(Protocol):
    """A publisher with something to send."""

    endpoint: Endpoint

    def packets(self, seconds: float) -> list[tuple[float, bytes]]:
        """What to send next, encrypted, each with when: seconds from now."""


@dataclass(slots=True, eq=False)
class Synthetic:
    """200 packets a second that look like video and audio from outside."""

    endpoint: Endpoint
    _sent: int = 0
    _video: int = 0
    _audio: int = 0

    def packets(self, seconds: float) -> list[tuple[float, bytes]]:
        """What to send next, encrypted, each with when: seconds from now."""
        made = []
        for _ in range(int(RATE * seconds)):
            at = self._sent / RATE
            if self._sent % 4 == 3:
                made.append(packet(OPUS, self._audio, int(at * 48_000), self.endpoint.audio, _SOUND))
                self._audio += 1
            else:
                marker = MARKER if self._video % 5 == 4 else 0  # the last of a frame
                made.append(
                    packet(VP8 | marker, self._video, int(at * 90_000), self.endpoint.video, _PICTURE)
                )
                self._video += 1
            self._sent += 1
        return [(turn / RATE, sealed) for turn, sealed in enumerate(self.endpoint.protect(made))]


def packet(second: int, sequence: int, timestamp: int, ssrc: int, payload: bytes) -> bytes:
    """One RTP packet with the extension; numbers are cut to their size."""
    head = HEADER.pack(0x90, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return head + _EXTENSION + payload


@dataclass(slots=True)
class Audience:
    """All transports of the bench: none of them may fall silent while others are measured."""

    endpoints: list[Endpoint] = field(default_factory=list)
    _answered_at: float = 0.0

    def keep_alive(self, now: float) -> None:
        """Send the connectivity checks and reports that are due, and answer those of servers."""
        answers = now - self._answered_at > _ANSWERS
        if answers:
            self._answered_at = now
        for endpoint in self.endpoints:
            if answers:
                endpoint.drain()
            if now - endpoint.checked_at > KEEP_ALIVE:
                endpoint.check(now)
            if now - endpoint.reported_at > REPORT_EVERY:
                endpoint.report(now)

    async def run(self) -> None:
        """Keep all alive while no window runs; until cancelled."""
        while True:
            self.keep_alive(time.monotonic())
            await asyncio.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Window:
    """What one window came to.

    Args:
        received: packets that the subscribers got.
        expected: packets that they should have got.
        cpu: seconds that the server computed.
        bad: packets of the sample that were not authentic.
        there: packets dropped because the server did not read its queue in time; each is missed by all its
            subscribers.
        here: the same of ours, of packets that had come out.
        late: seconds by which the load as a whole took too long.
    """

    received: int
    expected: int
    cpu: float
    bad: int
    there: int = 0
    here: int = 0
    late: float = 0.0

    @property
    def microseconds(self) -> float:
        """CPU per packet that a subscriber got."""
        return self.cpu * 1e6 / self.received

    @property
    def kept_up(self) -> bool:
        """Whether as good as everything came through."""
        return self.received >= KEPT_UP * self.expected


def window(
    pid: int, sources: Sequence[Source], subscribers: Sequence[Endpoint], audience: Audience, seconds: float
) -> Window:
    """Load one server.

    Args:
        pid: of the server.
        subscribers: each gets all that one of the sources sends, and each source has as many.

    Raises:
        RuntimeError: nothing came out.
    """
    plan: list[tuple[float, Callable[[bytes], None], bytes]] = []
    for turn, source in enumerate(sources):
        phase = turn / (RATE * len(sources))
        plan += [(phase + due, source.endpoint.send, sealed) for due, sealed in source.packets(seconds)]
    plan.sort(key=itemgetter(0))
    for endpoint in subscribers:
        endpoint.drain()
        endpoint.forget()
    there, here = queue_drops(pid), queue_drops(os.getpid())
    before = cpu_seconds(pid)
    late = _pace(plan, subscribers, audience)
    expected = len(plan) * len(subscribers) // len(sources)
    received = _stragglers(subscribers, expected)
    cpu = cpu_seconds(pid) - before
    if not received:
        raise RuntimeError("no packet came out of the server")
    bad = sum(endpoint.bad_samples() for endpoint in subscribers)
    return Window(
        received, expected, cpu, bad, queue_drops(pid) - there, queue_drops(os.getpid()) - here, late
    )


def _pace(
    plan: Sequence[tuple[float, Callable[[bytes], None], bytes]],
    subscribers: Sequence[Endpoint],
    audience: Audience,
) -> float:
    """Send each packet when it is due and read the sockets in between, until all is through.

    Returns:
        How late the last one was, in seconds.
    """
    clock = time.perf_counter
    groups = [subscribers[part::_PARTS] for part in range(_PARTS)]
    start, drains = clock(), 0
    for due, send, sealed in plan:
        passed = clock() - start
        if passed > drains * _DRAINS / _PARTS:
            for endpoint in groups[drains % _PARTS]:
                endpoint.drain()
            drains += 1
            audience.keep_alive(time.monotonic())
            passed = clock() - start
        if passed < due:
            time.sleep(due - passed)
        send(sealed)
    return clock() - start - plan[-1][0]


def _stragglers(subscribers: Sequence[Endpoint], expected: int) -> int:
    """Wait for what is still under way; returns how many have come in all."""
    received, since = -1, time.monotonic()
    while received < expected and time.monotonic() - since < _TAIL:
        time.sleep(0.01)
        for endpoint in subscribers:
            endpoint.drain()
        before, received = received, sum(endpoint.received for endpoint in subscribers)
        if received > before:
            since = time.monotonic()
    return received
