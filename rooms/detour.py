"""Media that came to another worker than its room's: on to the owner's media port, on this host.

    stream ──▶ this worker ──checks, marked──▶ media port of the owner
                   └─────────── all else ─────────▲

Several workers accept from one TCP port, and nobody knows which of them a browser's stream reaches. Each
that came to the wrong one has a UDP socket of its own here, connected to the owner's port: nothing
else can send to it, and it sends nowhere else. Who asks may choose among the media ports of the workers that
the supervisor names, and nothing beside.

To the owner it is an address like any other, verified like any other. Only connectivity checks carry a mark,
with what the browser is to be told of its own address, and whether the stream is ICE-TCP or TURN. It is a
secret of the workers, and gives nobody more than that.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final, Protocol

from broker.private import Private
from rooms.ice import MAX_DATAGRAM, Address, Path
from rooms.turn import Candidate

#: First octet of a marked datagram: of TURN channels (RFC 7983), which no media port is sent otherwise.
MARKED: Final = 0x40
#: Sockets of one process, and datagrams that one may have read before others have their turn.
MAX_DETOURS: Final = 4_096
AT_ONCE: Final = 64
#: Datagrams sent without a word from the owner, after which they count as nobody's: browsers check their way
#: every 2.5 s and are answered, and send below a thousand a second.
MAX_UNHEARD: Final = 4_096

_PATHS: Final[tuple[Path, ...]] = ("tcp", "turn")
_TOKEN: Final = 16
_PORT: Final = 2


class Mark:
    """What only the workers of one supervisor can put on a datagram.

    Args:
        secret: shared by them.
    """

    def __init__(self, secret: Private[bytes]) -> None:
        token = hmac.digest(secret.reveal(), b"detour between workers", hashlib.sha256)[:_TOKEN]
        self._head: Private[bytes] = Private(bytes([MARKED]) + token)

    def put(self, check: bytes, path: Path, mapped: Address) -> bytes:
        """Mark a connectivity check; without octets it says that the socket is about to close.

        Args:
            check: as the browser sent it.
            path: what the stream is.
            mapped: an IP address and a port, told to the browser in the response.
        """
        host = ip_address(mapped[0]).packed
        told = bytes([_PATHS.index(path), len(host)]) + host + mapped[1].to_bytes(_PORT, "big")
        return self._head.reveal() + told + check

    def taken_off(self, datagram: bytes) -> tuple[bytes, Path, Candidate] | None:
        """What was put on, again; ``None`` when the mark is not ours. Any bytes will do."""
        head = self._head.reveal()
        at = len(head)
        if not hmac.compare_digest(datagram[:at], head) or len(datagram) < at + 2:
            return None
        path, size = datagram[at], datagram[at + 1]
        begin, end = at + 2, at + 2 + size
        if path >= len(_PATHS) or size not in (4, 16) or len(datagram) < end + _PORT:
            return None
        mapped = str(ip_address(datagram[begin:end])), int.from_bytes(datagram[end : end + _PORT], "big")
        return datagram[end + _PORT :], _PATHS[path], mapped


class Advertised(Protocol):
    """Our own media port: the others have the same address."""

    host: str


class Detours:
    """The ways from this process to the media ports of the other workers.

    Args:
        media: for the address in the offers.
        bind: IP address that the media ports of all workers are bound to.
        mark: of these workers.
    """

    def __init__(self, media: Advertised, bind: str, mark: Mark) -> None:
        self.mark = mark
        self._media = media
        self._target = _local(bind)
        self._ports: frozenset[int] = frozenset()
        self._open: dict[Address, _Way] = {}
        self._made = 0

    def __len__(self) -> int:
        return len(self._open)

    def lead_to(self, ports: Iterable[int]) -> None:
        """Lead to exactly these UDP ports from now on; the ways to others end at once."""
        self._ports = frozenset(ports)
        for address, way in list(self._open.items()):
            if way.port not in self._ports:
                self.detach(address)

    def find(self, peer: Candidate) -> To | None:
        """What stands behind a candidate; ``None`` when it is no other worker's."""
        host, port = peer
        return To(self, port) if host == self._media.host and port in self._ports else None

    def close(self) -> None:
        """End every way; may be called twice."""
        self.lead_to(())

    # ---- for ``To`` --------------------------------------------------------------------------------------

    def attach(self, port: int, path: Path, send: Callable[[bytes], bool], mapped: Address) -> Address:
        """Open a way; where none can be had, what is sent is lost, as on any network."""
        self._made += 1
        address = (path, self._made)
        if port in self._ports and len(self._open) < MAX_DETOURS:
            try:
                self._open[address] = _Way((self._target, port), send, self.mark, path, mapped)
            except OSError:
                pass  # no files left
        return address

    def detach(self, address: Address) -> None:
        """End a way; may be called twice."""
        if (way := self._open.pop(address, None)) is not None:
            way.close()

    def receive(self, datagram: bytes, address: Address) -> bool:
        """Send one datagram to the owner; false where it is certain, or most likely, that nobody takes it."""
        way = self._open.get(address)
        return way is not None and way.take(datagram)

    def knows(self, address: Address) -> bool:
        """Whether this way is open."""
        return address in self._open


class To:
    """The media port of one other worker, as streams see it (``rooms.streams.Destination``)."""

    def __init__(self, detours: Detours, port: int) -> None:
        self._detours = detours
        self._port = port

    def attach(self, path: Path, send: Callable[[bytes], bool], mapped: Address) -> Address:
        """See ``MediaPort``."""
        return self._detours.attach(self._port, path, send, mapped)

    def detach(self, address: Address) -> None:
        """See ``MediaPort``."""
        self._detours.detach(address)

    def receive(self, datagram: bytes, address: Address) -> bool:
        """See ``MediaPort``; the owner does not tell, so this is the likely answer."""
        return self._detours.receive(datagram, address)

    def knows(self, address: Address) -> bool:
        """Whether the way is open; whose it is only the owner knows."""
        return self._detours.knows(address)


class _Way:
    """One UDP socket between a stream here and the owner's port."""

    def __init__(
        self, target: Candidate, send: Callable[[bytes], bool], mark: Mark, path: Path, mapped: Address
    ) -> None:
        self.port = target[1]
        self._send, self._mark, self._path, self._mapped = send, mark, path, mapped
        self._unheard = 0
        self._socket = socket.socket(
            socket.AF_INET6 if ":" in target[0] else socket.AF_INET, socket.SOCK_DGRAM
        )
        try:
            self._socket.setblocking(False)
            self._socket.connect(target)
            asyncio.get_running_loop().add_reader(self._socket, self._readable)
        except BaseException:
            self._socket.close()
            raise

    def take(self, datagram: bytes) -> bool:
        """Send one datagram to the owner, or lose it; false when it seems to want none. Never raises."""
        if not 0 < len(datagram) <= MAX_DATAGRAM:
            return False
        self._unheard += 1
        self._put(self._mark.put(datagram, self._path, self._mapped) if datagram[0] < 4 else datagram)
        return self._unheard <= MAX_UNHEARD

    def close(self) -> None:
        """Say goodbye, so that the owner sends nothing more to a port that may soon be another's."""
        self._put(self._mark.put(b"", self._path, self._mapped))
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _put(self, datagram: bytes) -> None:
        try:
            self._socket.send(datagram)
        except OSError:
            pass  # full, or the owner has gone

    def _readable(self) -> None:
        for _ in range(AT_ONCE):
            try:
                datagram = self._socket.recv(MAX_DATAGRAM)
            except OSError:  # nothing more; or the owner has gone, or the way was closed meanwhile
                return
            self._unheard = 0
            self._send(datagram)


def _local(bind: str) -> str:
    """Where on this host something bound to an address is reached."""
    address = ip_address("127.0.0.1" if bind == "localhost" else bind)
    if not address.is_unspecified:
        return str(address)
    return "::1" if address.version == 6 else "127.0.0.1"
