"""The media engine: what forwarding a packet costs the server, beside Janus where it is installed, and how
long people wait for a picture.

Ours is ``quietroom serve`` with its store: sessions are booked, patients knock and are admitted, each seat
has a page and a transport. Servers are processes of their own, all running at once and loaded in turn, five
seconds each; medians, and the spread in the notes. The load is in ``parts/load.py``: real ICE and DTLS,
AES-256-GCM, 200 packets of each publisher a second, evenly paced. Cost is the CPU clock of the server's
process; ratios are ours ÷ theirs in this run. Figures of two runs or two machines compare with nothing.

    forward_1to1_us          CPU per packet that a subscriber receives; 20 rooms, one publisher and one
                             subscriber each
    forward_1to3_us          the same with three subscribers each
    forward_1to1_vs_plain_us and forward_1to3_vs_plain_us: the same beside our own portable engine, where
                             another one was chosen
    forward_vs_relay         CPU per second of one room, 1→3, VGA VP8, beside stock aiortc MediaRelay, which
                             decodes and encodes; the same film is sent to both. Per picture that came out, at
                             the film's pace: a relay that gets no core drops pictures, and would seem cheap
    join_cpu_ms              CPU per client that connects: its offer and answer, ICE, DTLS; of the media port
                             by itself, without page, password and record, which Janus has not
    peer_memory_kb           resident memory per connected client, likewise
    publisher_memory_kb      what is added once its video flows
    rooms_of_three_per_core  a couple and their therapist, all seen by the others: 10⁶ ÷ (1200 × c₂).
                             1200 packets a second leave the server of such a room, and c₂ = (c₁ + 3 c₃) ÷ 4
                             is the cost per packet at two subscribers: a packet costs its departure and a
                             share of its arrival, so c is a line over 1 ÷ subscribers; c₁, c₃: above

With Chromium, fake cameras and a transport that is warm, as people have it. The first two are of sessions
without end-to-end encryption, the media engine by itself; with it: group ``e2ee``:

    admit_to_frame_ms        click on Admit ─▶ first decoded picture of the patient, on loopback; half a
                             camera period, 17 ms, is waiting for the next picture
    admit_to_frame_50ms_ms   the same with 50 ms of round trip between each of the two and the server, for
                             signaling as for media: four single ways are 100 ms of it
    blocked_udp_connect_ms   offer ─▶ transport, for a patient whose network passes no UDP
    reconnect_ms             end of five seconds without a packet either way ─▶ first decoded picture again

The curve over 1, 20, 40 and 100 rooms goes to docs/media-cost.svg when Janus is on it.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.parts import browsers
from tests.bench.parts.curve import Point, chart
from tests.bench.parts.endpoint import Endpoint
from tests.bench.parts.film import FRAMES, Film
from tests.bench.parts.janus import JANUS
from tests.bench.parts.load import KEPT_UP, RATE, Audience, Window, window
from tests.bench.parts.memory import resident_kb
from tests.bench.parts.relay import media_relay
from tests.bench.parts.rooms import Bed, Joins, Turns, side_by_side, take_turns
from tests.bench.parts.servers import alone, outward, served
from tests.bench.rows import Row
from tests.e2e.conftest import running_practice
from tests.e2e.practice import QUIETROOM

PICTURE: Final = Path(__file__).parents[2] / "docs/media-cost.svg"

_BATCH: Final = 10
"""Rooms filled between two readings of memory and CPU."""
_BEGINS: Final = 10
"""Windows within which a server has begun to decode, also on a busy machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Args:
        rooms: of the forwarding rows.
        curve: other numbers of rooms, ascending; the first may be 1.
        seconds: of one window.
        rounds: windows of each server.
    """

    rooms: int = 20
    curve: tuple[int, ...] = (1, 40, 100)
    seconds: float = 5.0
    rounds: int = 5


@dataclass(slots=True)
class Forwarding:
    """What was measured of all servers, by name; ours is first.

    Args:
        without: why Janus is missing.
    """

    without: str | None
    one: Turns = field(default_factory=dict)
    three: Turns = field(default_factory=dict)
    curve: dict[int, Turns] = field(default_factory=dict)
    joins: dict[str, list[Joins]] = field(default_factory=dict)
    publishers_kb: list[float] = field(default_factory=list)


async def rows() -> list[Row]:
    """Measure all of it; about eight minutes."""
    measured = await forwarding(Plan())
    if measured.without is None:
        PICTURE.write_text(picture(measured))
        print(f"→ {PICTURE}")
    else:
        print(f"No comparison, no picture: {measured.without}.")
    return [*forwarding_rows(measured), *await relay_rows(seconds=8.0), *await browser_rows()]


# ------------------------------------------------------------------------------------------- forwarding


async def forwarding(plan: Plan) -> Forwarding:
    """Load the servers side by side; says what came of each step."""
    async with side_by_side() as (beds, without):
        found = Forwarding(without)
        found.joins[beds[0].server.name] = await _joins_alone(beds[0].audience, min(_BATCH, plan.rooms))

        async def load(rooms: Sequence[int], subscribers: int, rounds: int, seconds: float) -> Turns:
            turns = await take_turns(beds, rooms, rounds=rounds, seconds=seconds)
            told = (f"{server} {_spread(windows)}" for server, windows in turns.items())
            print(f"µs at {len(rooms)} × 1→{subscribers}: {'; '.join(told)}", flush=True)
            return turns

        rounds, seconds = max(1, plan.rounds - 2), min(3.0, plan.seconds)  # of the curve
        # The single room comes first, while nobody else is connected: even silent clients cost a little.
        if plan.curve[:1] == (1,):
            await _fill(found, beds, [1], 3)
            found.curve[1] = await load([1], 3, rounds, seconds)
        rooms = range(2, 2 + plan.rooms)
        await _fill(found, beds, rooms, 1)
        before = resident_kb(beds[0].server.pid)
        found.one = await load(rooms, 1, plan.rounds, plan.seconds)
        found.publishers_kb.append((resident_kb(beds[0].server.pid) - before) / plan.rooms)
        await _fill(found, beds, rooms, 3)
        found.three = found.curve[plan.rooms] = await load(rooms, 3, plan.rounds, plan.seconds)
        for count in plan.curve:
            if count > plan.rooms:
                more = range(2, 2 + count)
                await _fill(found, beds, more, 3)
                found.curve[count] = await load(more, 3, rounds, seconds)
        return found


async def _fill(found: Forwarding, beds: Sequence[Bed], rooms: Sequence[int], subscribers: int) -> None:
    for bed in beds:
        for start in range(0, len(rooms), _BATCH):
            first = not bed.rooms  # what is made once is made now
            joined = await bed.fill(rooms[start : start + _BATCH], subscribers)
            if joined is not None and not first and bed.server.name == JANUS:
                found.joins.setdefault(JANUS, []).append(joined)


async def _joins_alone(audience: Audience, size: int) -> list[Joins]:
    """What it takes our media port by itself to connect clients, three times two for each of some rooms."""
    joins: list[Joins] = []
    async with alone("127.0.0.1") as server:
        bed = Bed(server, audience)
        for batch in range(4):  # what is made once is made with the first
            joined = await bed.fill(range(batch * size, (batch + 1) * size), 1)
            assert joined is not None
            joins.append(joined)
        await bed.close()
    return joins[1:]


def forwarding_rows(found: Forwarding) -> list[Row]:
    """The rows of what was measured."""
    ours = next(iter(found.one))
    missing = f"no peer: {found.without}" if found.without else ""
    rows = []
    for name, windows in (("forward_1to1", found.one), ("forward_1to3", found.three)):
        costs = {server: [done.microseconds for done in each] for server, each in windows.items()}
        note = ", ".join(filter(None, [f"{ours}: {_spread(windows[ours])}", missing]))
        if JANUS in windows:
            note += f"; Janus: {_spread(windows[JANUS])}"
        rows.append(Row.of(f"{name}_us", "µs", costs[ours], costs.get(JANUS, ()), note))
        if "plain" in windows and ours != "plain":
            plain = f"plain: {_spread(windows['plain'])}"
            rows.append(Row.of(f"{name}_vs_plain_us", "µs", costs[ours], costs["plain"], plain))
    joins = {server: [joined.cpu_ms for joined in each] for server, each in found.joins.items()}
    memory = {server: [joined.memory_kb for joined in each] for server, each in found.joins.items()}
    cores = {server: rooms_of_three(found.one[server], found.three[server]) for server in found.one}
    return [
        *rows,
        Row.of("join_cpu_ms", "ms", joins[ours], joins.get(JANUS, ()), missing),
        Row.of("peer_memory_kb", "kB", memory[ours], memory.get(JANUS, ()), missing),
        Row.of("publisher_memory_kb", "kB", found.publishers_kb),
        Row.of("rooms_of_three_per_core", "1", cores[ours], cores.get(JANUS, ()), missing),
    ]


def rooms_of_three(one: Sequence[Window], three: Sequence[Window]) -> list[float]:
    """Rooms in which three people see one another that fit on a core, round by round; formula above."""
    return [
        1e6 / (6 * RATE * (single.microseconds + 3 * triple.microseconds) / 4)
        for single, triple in zip(one, three, strict=True)
    ]


def _spread(windows: Sequence[Window]) -> str:
    costs = [done.microseconds for done in windows]
    told = f"{min(costs):.1f}–{max(costs):.1f}"
    if (kept := _kept(windows)) < KEPT_UP:
        told += f" (only {kept:.0%} came through; {_where_lost(windows)})"
    return told


def _where_lost(windows: Sequence[Window]) -> str:
    there, here = sum(done.there for done in windows), sum(done.here for done in windows)
    late = max(done.late for done in windows)
    return f"dropped in the server's queue: {there}, in ours: {here}; the load was up to {late:.1f} s late"


def _kept(windows: Sequence[Window]) -> float:
    return sum(done.received for done in windows) / sum(done.expected for done in windows)


def picture(found: Forwarding) -> str:
    """The curve over the numbers of rooms."""
    names = {"batch": "Quietroom", "plain": "Quietroom, plain", JANUS: JANUS}
    lines: dict[str, list[Point]] = {}
    for count, servers in sorted(found.curve.items()):
        for server, windows in servers.items():
            costs = [done.microseconds for done in windows]
            lines.setdefault(names[server], []).append(
                Point(count, statistics.median(costs), min(costs), max(costs), _kept(windows) >= KEPT_UP)
            )
    hollow = any(not point.solid for line in lines.values() for point in line)
    return chart(
        "What forwarding one packet costs the server",
        "rooms, each of one publisher and three subscribers",
        "CPU, microseconds per packet received",
        lines,
        f"hollow: less than {KEPT_UP:.0%} of the packets came through" if hollow else "",
    )


# -------------------------------------------------------------------------------------------- decoding


async def relay_rows(seconds: float) -> list[Row]:
    """One room through a relay that decodes, and through ours."""
    address = outward()
    if address is None:
        print("No comparison with MediaRelay: it serves no media on loopback, and there is no other address.")
        return []
    audience = Audience()
    cost: list[float] = []
    shown: list[float] = []
    async with served("chosen") as ours, media_relay(address) as relay:
        alive = asyncio.create_task(audience.run())
        try:
            for server in (ours, relay):
                publisher = await server.publish(1)
                subscribers = [await server.subscribe(1) for _ in range(3)]
                audience.endpoints += [publisher, *subscribers]
                film = Film(publisher)
                _begun(server.pid, film, subscribers, audience, min(2.0, seconds))
                done = window(server.pid, [film], subscribers, audience, seconds)
                pictures = sum(subscriber.pictures for subscriber in subscribers)
                cost.append(1000 * done.cpu * FRAMES * len(subscribers) / pictures)
                shown.append(pictures / (int(seconds * FRAMES) * len(subscribers)))
        finally:
            alive.cancel()
            await asyncio.gather(*(endpoint.close() for endpoint in audience.endpoints))
    note = f"1/{cost[1] / cost[0]:.0f}; pictures that came out: {shown[0]:.0%} and {shown[1]:.0%}"
    return [Row.of("forward_vs_relay", "ms/s", cost[:1], cost[1:], note)]


def _begun(pid: int, film: Film, subscribers: Sequence[Endpoint], audience: Audience, seconds: float) -> None:
    """Load until something comes out: the first window is dearer, and decoding may begin after it.

    Raises:
        RuntimeError: nothing ever comes out.
    """
    for _ in range(_BEGINS):
        with suppress(RuntimeError):
            window(pid, [film], subscribers, audience, seconds)
            return
    raise RuntimeError("no packet came out of the server")


# ------------------------------------------------------------------------------------------ in browsers


async def browser_rows() -> list[Row]:
    """What a therapist waits for."""
    with tempfile.TemporaryDirectory(prefix="quietroom-bench-") as name:
        program = ("env", "QUIETROOM_WHIP=1", QUIETROOM)
        async with running_practice(Path(name) / "practice", program=program) as practice:
            visit = await practice.book_transport_only("individual")
            near = await browsers.admissions(practice, visit, runs=12)
            visit = await practice.book_transport_only("individual")
            far = await browsers.admissions(practice, visit, runs=12, rtt_ms=50.0)
            blocked = await browsers.connections_without_udp(practice, runs=6)
            back = await browsers.blackouts(practice, runs=5, seconds=5.0)
    return [
        Row.of("admit_to_frame_ms", "ms", near, note=f"{min(near):.0f}–{max(near):.0f}"),
        Row.of("admit_to_frame_50ms_ms", "ms", far, note=f"{min(far):.0f}–{max(far):.0f}"),
        Row.of("blocked_udp_connect_ms", "ms", blocked, note=f"{min(blocked):.0f}–{max(blocked):.0f}"),
        Row.of("reconnect_ms", "ms", back, note=f"{min(back):.0f}–{max(back):.0f}"),
    ]
