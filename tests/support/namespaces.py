"""A far place on this machine: a network namespace at the end of a wire on which the kernel drops packets.

    here (10.78.n.1) ◀── veth ──▶ there (10.78.n.2): nft drops on the way in and on the way out

Unlike `impairment`, nothing of ours carries the packets. Only root may do it, and not in every container.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CLONE_NEWNET: Final = 0x40000000
_ENVIRONMENT: Final = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


class NotAllowedError(Exception):
    """This machine does not let us make namespaces; the text says what refused."""


@dataclass(frozen=True, slots=True)
class Far:
    """The place.

    Attributes:
        here: our address on the wire.
        there: its address.
    """

    name: str
    here: str
    there: str

    def socket(self) -> socket.socket:
        """A UDP socket that is there, on a free port."""
        made: list[socket.socket] = []

        def make() -> None:
            # A namespace is a thread's: this one moves there, and ends there. The socket stays.
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/run/netns/{self.name}") as namespace:
                if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                    return
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((self.there, 0))
            made.append(sock)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        assert made, "the namespace cannot be entered"
        return made[0]

    def starts(self, program: str, folder: Path) -> str:
        """A file that starts this program there, with whatever arguments it is given."""
        file = folder / f"{Path(program).name}-there"
        file.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} {program} "$@"\n')
        file.chmod(0o700)
        return str(file)

    def reach_only(self, port: int) -> None:
        """Let nothing out to here but TCP to this port: what a strict network does."""
        self._apply(
            "table inet output {\n chain bad {\n type filter hook output priority 0\n"
            f" ip daddr {self.here} tcp dport {port} accept\n ip daddr {self.here} counter drop\n }}\n }}\n"
        )

    def lose(self, share: float) -> None:
        """Lose this share of all packets, each for itself."""
        self._rule("", f"numgen random mod 10000 < {round(share * 10_000)} drop")

    def lose_in_bursts(self, per_packet: float, milliseconds: int) -> None:
        """With this probability per packet, lose it and all that follow it for so long."""
        begin = f"numgen random mod 10000 < {round(per_packet * 10_000)}"
        self._rule(
            "set bad {\n type inet_proto\n flags dynamic,timeout\n timeout 1s\n }",
            f"meta l4proto @bad drop\n {begin} add @bad {{ meta l4proto timeout {milliseconds}ms }} drop",
        )

    def _rule(self, sets: str, rule: str) -> None:
        # nft 1.0.6 wants a new line before each closing brace.
        tables = [
            f"table inet {hook} {{\n {sets}\n chain bad {{\n type filter hook {hook} priority 0\n"
            f" meta l4proto != udp accept\n {rule}\n }}\n }}\n"
            for hook in ("input", "output")
        ]
        self._apply("".join(tables))

    def _apply(self, rules: str) -> None:
        _run("ip", "netns", "exec", self.name, "nft", "-f", "-", stdin=f"flush ruleset\n{rules}")


@contextlib.contextmanager
def far_place() -> Iterator[Far]:
    """A far place, for as long as the block lasts.

    Raises:
        NotAllowedError: this machine does not let us.
    """
    if os.geteuid() != 0:
        raise NotAllowedError("only root may make network namespaces")
    mark, number = secrets.token_hex(3), secrets.randbelow(256)
    far = Far(f"quietroom-{mark}", f"10.78.{number}.1", f"10.78.{number}.2")
    near_end, far_end = f"qr{mark}a", f"qr{mark}b"
    _run("ip", "netns", "add", far.name)
    try:
        _run("ip", "link", "add", near_end, "type", "veth", "peer", "name", far_end, "netns", far.name)
        _run("ip", "address", "add", f"{far.here}/30", "dev", near_end)
        _run("ip", "link", "set", near_end, "up")
        _run("ip", "-n", far.name, "address", "add", f"{far.there}/30", "dev", far_end)
        _run("ip", "-n", far.name, "link", "set", far_end, "up")
        yield far
    finally:
        # The wire goes with the namespace, once the last socket in it is closed; not to depend on that:
        with contextlib.suppress(NotAllowedError):
            _run("ip", "link", "delete", near_end)
        _run("ip", "netns", "delete", far.name)


@dataclass(frozen=True, slots=True)
class Roaming:
    """A place that can change from one network to another, as a phone does that leaves the house.

    Attributes:
        here: our address, reached from either network.
        first, second: its addresses, of which it has one at a time.
    """

    name: str
    here: str
    first: str
    second: str
    _wires: tuple[str, str]
    _gateway: str

    def wrapper(self, folder: Path, program: str) -> Path:
        """A program that runs ``program`` there."""
        script = folder / f"in-{self.name}"
        script.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} {program} "$@"\n')
        script.chmod(0o700)
        return script

    def moves(self, to: int = 1, *, untold: bool = False) -> None:
        """One network is gone, and the other is there.

        Args:
            to: 0 is where it began.
            untold: the other is there before the one goes, so that a browser never finds itself without any.
        """
        if untold:
            self._gains(to, metric=100 * to)
        _run("ip", "-n", self.name, "link", "set", self._wires[1 - to], "down")
        if not untold:
            self._gains(to, metric=0)

    def _gains(self, to: int, metric: int) -> None:
        _run("ip", "-n", self.name, "link", "set", self._wires[to], "up")
        gateway = (self.here, self._gateway)[to]
        _run("ip", "-n", self.name, "route", "replace", "default", "via", gateway, "metric", str(metric))


@contextlib.contextmanager
def roaming_place() -> Iterator[Roaming]:
    """A place with two networks, in the first one to begin with.

    Raises:
        NotAllowedError: this machine does not let us.
    """
    if os.geteuid() != 0:
        raise NotAllowedError("only root may make network namespaces")
    mark, net = secrets.token_hex(3), f"10.79.{secrets.randbelow(256)}"
    name, near, far = f"quietroom-{mark}", (f"qr{mark}a", f"qr{mark}c"), (f"qr{mark}b", f"qr{mark}d")
    place = Roaming(name, f"{net}.1", f"{net}.2", f"{net}.6", far, f"{net}.5")
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "-n", name, "link", "set", "lo", "up")
        # Nobody else is there who could have its IPv6 addresses. To look for doubles of a new one takes the
        # kernel one to two seconds, and Chromium on Linux tells its WebRTC of networks when no address has
        # changed for two more.
        _run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        for at, (ours, theirs) in enumerate(zip(near, far, strict=True)):
            _run("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
            _run("ip", "address", "add", f"{net}.{4 * at + 1}/30", "dev", ours)
            _run("ip", "link", "set", ours, "up")
            _run("ip", "-n", name, "address", "add", f"{net}.{4 * at + 2}/30", "dev", theirs)
        # What we send there comes from the one address that is known there, over either wire.
        _run("ip", "route", "replace", f"{net}.4/30", "dev", near[1], "src", place.here)
        _run("ip", "-n", name, "link", "set", far[0], "up")
        _run("ip", "-n", name, "route", "add", "default", "via", place.here)
        yield place
    finally:
        for ours in near:
            with contextlib.suppress(NotAllowedError):
                _run("ip", "link", "delete", ours)
        _run("ip", "netns", "delete", name)


def _run(*command: str, stdin: str = "") -> None:
    try:
        done = subprocess.run(
            command, input=stdin, env=_ENVIRONMENT, capture_output=True, text=True, check=False, timeout=20
        )
    except FileNotFoundError as error:
        raise NotAllowedError(f"{command[0]} is not installed") from error
    if done.returncode != 0:
        raise NotAllowedError(f"{' '.join(command)}: {done.stderr.strip()}")
