"""The bad network does what it was asked to, and nothing else."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator

import pytest

from tests.support.impairment import Channel, Conditions, Link
from tests.support.waiting import eventually

EVERY = 0.001


def fates(
    conditions: Conditions, packets: int = 20_000, *, size: int = 1000, seed: int = 7
) -> list[float | None]:
    """Under way how long, or lost: packets that leave one a millisecond."""
    channel = Channel(seed, conditions)
    sent = [number * EVERY for number in range(packets)]
    due = [channel.due(size, at) for at in sent]
    assert channel.passed + channel.lost == packets
    assert channel.lost == due.count(None)
    return [None if then is None else then - at for at, then in zip(sent, due, strict=True)]


def share_lost(under_way: list[float | None]) -> float:
    return under_way.count(None) / len(under_way)


def mean_run(under_way: list[float | None]) -> float:
    """How many packets are lost in a row, on average."""
    runs = [len(list(group)) for lost, group in itertools.groupby(x is None for x in under_way) if lost]
    return sum(runs) / len(runs)


def test_a_clear_link_changes_nothing() -> None:
    assert fates(Conditions()) == [0.0] * 20_000


@pytest.mark.parametrize("loss", [0.02, 0.05])
def test_random_loss_is_as_asked_and_mostly_single(loss: float) -> None:
    under_way = fates(Conditions(loss=loss))
    assert share_lost(under_way) == pytest.approx(loss, rel=0.1)
    assert mean_run(under_way) == pytest.approx(1 / (1 - loss), rel=0.05)


def test_burst_loss_has_the_share_and_the_length_that_were_asked() -> None:
    under_way = fates(Conditions(loss=0.035, burst=19), packets=200_000)
    assert share_lost(under_way) == pytest.approx(0.035, rel=0.15)
    assert mean_run(under_way) == pytest.approx(19, rel=0.15)


def test_jitter_keeps_the_order_unless_asked() -> None:
    def arrivals(conditions: Conditions) -> list[float]:
        return [round(n * EVERY + (d or 0), 9) for n, d in enumerate(fates(conditions, packets=2000))]

    kept = arrivals(Conditions(delay_ms=40, jitter_ms=20))
    assert kept == sorted(kept)
    assert all(0.04 <= at - n * EVERY <= 0.0601 for n, at in enumerate(kept))
    mixed = arrivals(Conditions(delay_ms=40, jitter_ms=20, reorders=True))
    assert mixed != sorted(mixed)


def test_a_bottleneck_passes_its_rate_and_holds_back_no_more_than_its_queue() -> None:
    under_way = fates(Conditions(rate_kbps=4000, queue_ms=100))  # offered: 8 Mb/s
    assert share_lost(under_way) == pytest.approx(0.5, abs=0.01)
    assert max(delay for delay in under_way if delay is not None) == pytest.approx(0.102, abs=0.001)


def test_the_same_seed_brings_the_same_fate() -> None:
    conditions = Conditions(delay_ms=10, jitter_ms=10, loss=0.1, burst=3)
    assert fates(conditions) == fates(conditions)
    assert fates(conditions) != fates(conditions, seed=8)


def test_darkness_ends_when_it_was_to_end() -> None:
    channel = Channel(1)
    channel.darken(5.0)
    assert [channel.due(100, at) for at in (0.0, 4.99, 5.0)] == [None, None, 5.0]


def test_what_a_stream_sends_into_darkness_comes_with_a_later_attempt() -> None:
    channel = Channel(1, Conditions(delay_ms=50))
    channel.darken(5.0)
    arrives = [round(channel.surely_due(at), 6) for at in (0.0, 4.9, 5.0)]
    assert arrives == [6.25, 5.15, 5.05]  # the first: 0.2 + 0.4 + 0.8 + 1.6 + 3.2


class Server:
    """Sends everything back, and notes where from it came."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.sources: list[tuple[str, int]] = []
        asyncio.get_running_loop().add_reader(self.sock, self._echo)

    def _echo(self) -> None:
        data, source = self.sock.recvfrom(2048)
        self.sources.append(source)
        self.sock.sendto(data, source)

    def close(self) -> None:
        if self.sock.fileno() != -1:
            asyncio.get_running_loop().remove_reader(self.sock)
            self.sock.close()


class Browser:
    """Sends through a link, and notes what comes back and when."""

    def __init__(self, link: Link) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.connect(("127.0.0.1", link.port))
        self.sock.setblocking(False)
        self.back: list[tuple[bytes, float]] = []
        asyncio.get_running_loop().add_reader(
            self.sock, lambda: self.back.append((self.sock.recv(2048), time.monotonic()))
        )

    def send(self, text: str = "hello") -> None:
        self.sock.send(text.encode())

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.sock)
        self.sock.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
async def link(server: Server) -> AsyncIterator[Link]:
    link = Link(server.sock.getsockname())
    yield link
    link.close()
    link.close()


@pytest.fixture
async def browser(link: Link) -> AsyncIterator[Browser]:
    browser = Browser(link)
    yield browser
    browser.close()


async def test_packets_come_back_late_by_both_delays_and_in_order(browser: Browser, link: Link) -> None:
    link.both(Conditions(delay_ms=25, jitter_ms=5))
    sent = time.monotonic()
    for number in range(100):
        browser.send(str(number))
    await eventually(lambda: len(browser.back) == 100)
    assert [data for data, _ in browser.back] == [str(number).encode() for number in range(100)]
    assert browser.back[0][1] - sent >= 0.05
    assert browser.back[-1][1] - sent < 0.5


async def test_what_is_lost_on_the_wire_is_what_was_counted(browser: Browser, link: Link) -> None:
    link.up.conditions = Conditions(loss=0.1)
    for sent in range(50, 2001, 50):
        for number in range(sent - 50, sent):
            browser.send(str(number))
        # In portions, so that no socket of the test overflows and loses some of its own.
        await eventually(lambda: link.up.passed + link.up.lost == sent)  # noqa: B023 -- called at once
        await eventually(lambda: len(browser.back) == link.up.passed)
    assert link.up.lost == pytest.approx(200, rel=0.2)
    assert link.down.lost == 0


async def test_one_person_s_bad_link_is_nobody_else_s(browser: Browser, link: Link, server: Server) -> None:
    other = Link(server.sock.getsockname())
    theirs = Browser(other)
    link.both(Conditions(loss=1.0))
    for _ in range(20):
        browser.send()
        theirs.send()
    await eventually(lambda: len(theirs.back) == 20 and link.up.lost == 20)
    assert browser.back == []
    theirs.close()
    other.close()


async def test_a_blackout_ends_by_itself(browser: Browser, link: Link) -> None:
    until = link.blackout(0.2)

    def answered() -> int:
        browser.send()
        return len(browser.back)

    await eventually(answered)
    assert until <= browser.back[0][1] < until + 0.5
    assert link.up.lost > 0


async def test_after_rebinding_the_server_sees_another_address(
    browser: Browser, link: Link, server: Server
) -> None:
    browser.send()
    await eventually(lambda: len(browser.back) == 1)
    assert link.sources == server.sources
    link.rebind()
    browser.send()
    await eventually(lambda: len(browser.back) == 2)
    assert len(set(server.sources)) == 2
    assert link.sources == server.sources[1:]


async def test_rebinding_in_the_midst_of_traffic_breaks_nothing(browser: Browser, link: Link) -> None:
    for _ in range(100):
        for _ in range(5):
            browser.send()
        link.rebind()
        await asyncio.sleep(0)
    browser.back.clear()

    def answered() -> bool:
        browser.send()  # an answer that was on its way to the former address is lost
        return bool(browser.back)

    await eventually(answered)


async def test_a_server_that_is_down_is_a_lost_packet(browser: Browser, link: Link, server: Server) -> None:
    server.close()
    for _ in range(5):
        browser.send()
    await eventually(lambda: link.up.passed == 5)
    assert browser.back == []


async def test_the_last_checks_are_kept(browser: Browser, link: Link) -> None:
    browser.send("\x00\x01 a check")
    browser.send("\x80 media")
    await eventually(lambda: len(browser.back) == 2)
    assert list(link.checks) == [b"\x00\x01 a check"]
