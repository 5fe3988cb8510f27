"""A bad network between one person's browser and the media port, without root: a UDP relay that misbehaves.

    browser ──▶ Link.port ──[up: delay, loss, rate]──▶ a socket per browser port ──▶ media port
            ◀───────────────[down: the same]──────────

Each person has a link of their own, so one may suffer while the others are the control. It runs in a thread
of its own: a busy test delays no packet. What becomes of a packet depends on its number and the seed alone.
``Channel`` decides and is pure; ``Link`` owns the sockets.
"""

from __future__ import annotations

import collections
import contextlib
import heapq
import itertools
import json
import queue
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self

Address = tuple[str, int]

_BUFFER: Final = 1 << 20
_BINDING_REQUEST: Final = b"\x00\x01"
_AT_ONCE: Final = 64
"""Datagrams read from one socket before the others have their turn."""

RESENT_AFTER: Final = 0.2
"""Seconds after which TCP sends again for the first time; Linux's least."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one direction of a network does.

    Args:
        delay_ms: how long each packet is under way.
        jitter_ms: up to so much longer; the order stays.
        reorders: jitter may change the order.
        loss: share of packets that is lost, 0 to 1.
        burst: mean number of packets lost in a row (Gilbert-Elliott); 1 is independent loss.
        rate_kbps: kilobits per second at most.
        queue_ms: how much the bottleneck holds back before it drops.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    reorders: bool = False
    loss: float = 0.0
    burst: float = 1.0
    rate_kbps: float | None = None
    queue_ms: float = 200.0


CLEAR: Final = Conditions()


@dataclass(slots=True)
class Channel:
    """One direction: decides of each packet whether and when it arrives.

    Attributes:
        conditions: may be replaced at any time.
        passed: packets let through so far.
        lost: packets dropped so far, for whatever reason.
    """

    seed: int
    conditions: Conditions = CLEAR
    passed: int = 0
    lost: int = 0
    _dice: random.Random = field(init=False)
    _dark_until: float = field(default=0.0, init=False)
    _bad: bool = field(default=False, init=False)
    _free_at: float = field(default=0.0, init=False)
    _last: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def darken(self, until: float) -> None:
        """Let nothing through before then."""
        self._dark_until = until

    def due(self, size: int, now: float) -> float | None:
        """When a packet of so many octets arrives, or ``None``: never.

        Args:
            now: monotonic seconds; never decreases.
        """
        conditions = self.conditions
        # Drawn for every packet, so that the fate of the next ones does not hang on this one's.
        luck, jitter = self._dice.random(), self._dice.random()
        if now < self._dark_until or self._unlucky(luck):
            self.lost += 1
            return None
        arrives = now
        if conditions.rate_kbps is not None:
            begins = max(now, self._free_at)
            if begins - now > conditions.queue_ms / 1000:
                self.lost += 1
                return None
            arrives = self._free_at = begins + size * 8 / (conditions.rate_kbps * 1000)
        arrives += (conditions.delay_ms + jitter * conditions.jitter_ms) / 1000
        if not conditions.reorders:
            arrives = self._last = max(arrives, self._last)
        self.passed += 1
        return arrives

    def surely_due(self, now: float) -> float:
        """When bytes of a TCP stream arrive: what met darkness is sent again, each time after twice the wait.

        Args:
            now: monotonic seconds; never decreases.
        """
        again, wait = now, RESENT_AFTER
        while again < self._dark_until:
            again, wait = again + wait, 2 * wait
        return again + self.conditions.delay_ms / 1000

    def _unlucky(self, luck: float) -> bool:
        loss, burst = self.conditions.loss, self.conditions.burst
        if burst <= 1:
            return luck < loss
        leave = 1 / burst
        self._bad = luck >= leave if self._bad else luck < loss * leave / (1 - loss)
        return self._bad


class Link:
    """One person's way to the media port.

    Args:
        server: address of the media port.
        host: address of this machine that the browser sends to.
        seed: of the dice; the same packets meet the same fate.

    Attributes:
        up: what the person sends.
        down: what the person receives.
        port: where the person's browser sends.
        checks: the last STUN requests of the browser that arrived at the server, oldest first.
    """

    def __init__(self, server: Address, *, host: str = "127.0.0.1", seed: int = 1) -> None:
        self.up, self.down = Channel(seed), Channel(seed + 1)
        self.checks: collections.deque[bytes] = collections.deque(maxlen=16)
        self._server = server
        self._front = _socket((host, 0))
        self.host, self.port = self._front.getsockname()
        self._backs: dict[Address, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._under_way: list[tuple[float, int, Callable[[bytes], object], bytes]] = []
        self._count = itertools.count()
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._open = True
        self._selector.register(self._front, selectors.EVENT_READ, self._from_browser)
        self._selector.register(self._woken, selectors.EVENT_READ, self._obey)
        self._thread = threading.Thread(target=self._run, name=f"link-{self.port}", daemon=True)
        self._thread.start()

    # ---- what a test says; from any thread ---------------------------------------------------------------

    def both(self, conditions: Conditions) -> Self:
        """Let both directions be like this."""
        self.up.conditions = self.down.conditions = conditions
        return self

    def blackout(self, seconds: float) -> float:
        """Let nothing through for so long, in either direction. Returns when it ends, ``time.monotonic``."""
        until = time.monotonic() + seconds
        self.up.darken(until)
        self.down.darken(until)
        return until

    def rebind(self) -> None:
        """Go on from other ports, as when a phone changes networks; what the old ones would get is lost."""
        rebound = threading.Event()
        self._order(self._forget_backs)
        self._order(rebound.set)
        assert rebound.wait(5.0)

    @property
    def sources(self) -> list[Address]:
        """The addresses from which the server sees this person."""
        return [back.getsockname() for back in list(self._backs.values())]

    def close(self) -> None:
        """End it; may be called twice."""
        if self._open:
            self._order(self._end)
            self._thread.join()

    @property
    def init_script(self) -> str:
        """For a page: whatever server is offered, the media goes through this link."""
        return _THROUGH_LINK.replace("LINK", json.dumps({"host": self.host, "port": self.port}))

    # ---- the thread --------------------------------------------------------------------------------------

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.put(order)
        with contextlib.suppress(BlockingIOError):
            self._waker.send(b"!")

    def _obey(self) -> None:
        self._woken.recv(64)
        with contextlib.suppress(queue.Empty):
            while True:
                self._orders.get_nowait()()

    def _run(self) -> None:
        while self._open:
            wait = None if not self._under_way else max(0.0, self._under_way[0][0] - time.monotonic())
            for key, _ in self._selector.select(wait):
                if self._open:
                    key.data()
            now = time.monotonic()
            while self._under_way and self._under_way[0][0] <= now:
                _, _, deliver, data = heapq.heappop(self._under_way)
                # A full buffer, a server that is down, a socket of before: to a network all of it is loss.
                with contextlib.suppress(OSError):
                    deliver(data)

    def _from_browser(self) -> None:
        for data, browser in _datagrams(self._front):
            back = self._backs.get(browser) or self._new_back(browser)
            self._carry(self.up, partial(self._to_server, back), data)

    def _to_server(self, back: socket.socket, data: bytes) -> None:
        back.send(data)
        if data[:2] == _BINDING_REQUEST:
            self.checks.append(data)

    def _new_back(self, browser: Address) -> socket.socket:
        back = self._backs[browser] = _socket((self.host, 0))
        back.connect(self._server)

        def from_server() -> None:
            for data, _ in _datagrams(back):
                self._carry(self.down, partial(self._to_browser, browser), data)

        self._selector.register(back, selectors.EVENT_READ, from_server)
        return back

    def _to_browser(self, browser: Address, data: bytes) -> None:
        self._front.sendto(data, browser)

    def _carry(self, channel: Channel, deliver: Callable[[bytes], object], data: bytes) -> None:
        if (due := channel.due(len(data), time.monotonic())) is not None:
            heapq.heappush(self._under_way, (due, next(self._count), deliver, data))

    def _forget_backs(self) -> None:
        for back in self._backs.values():
            self._selector.unregister(back)
            back.close()
        self._backs = {}

    def _end(self) -> None:
        self._open = False
        self._forget_backs()
        self._selector.close()
        for sock in (self._front, self._waker, self._woken):
            sock.close()


def _socket(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    sock.setblocking(False)
    sock.bind(address)
    return sock


def _datagrams(sock: socket.socket) -> list[tuple[bytes, Address]]:
    """What lies in the socket; a server that is down (ICMP) is like a lost packet."""
    found: list[tuple[bytes, Address]] = []
    for _ in range(_AT_ONCE):
        try:
            found.append(sock.recvfrom(2048))
        except BlockingIOError:
            break
        except ConnectionRefusedError:
            continue
        except OSError:
            break  # closed since it was found readable: the link was rebound
    return found


# Nothing of the product changes: the page's own call finds another port in the offer. Candidates that would
# lead around the link are taken away, as a network that passes nothing else would.
_THROUGH_LINK: Final = """
(() => {
  const link = LINK;
  const through = (line) => {
    if (!line.startsWith("a=candidate:")) return [line];
    const parts = line.split(" ");
    if (parts[2].toLowerCase() !== "udp") return [];
    [parts[4], parts[5]] = [link.host, String(link.port)];
    return [parts.join(" ")];
  };
  const before = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
    return before.call(this, { type, sdp: sdp.split("\\r\\n").flatMap(through).join("\\r\\n") });
  };
  const configure = RTCPeerConnection.prototype.setConfiguration;
  RTCPeerConnection.prototype.setConfiguration = function (configuration) {
    configure.call(this, { ...configuration, iceServers: [] });
  };
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration, ...more) { super({ ...configuration, iceServers: [] }, ...more); }
  };
})();
"""
