"""What really goes over the wire: every datagram of the loopback interface, seen from outside the server."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from types import TracebackType
from typing import Final, Self

_ALL: Final = 0x0003  # ETH_P_ALL
_OUTGOING: Final = 4  # PACKET_OUTGOING: loopback shows each packet twice, going out and coming in
_UDP: Final = 17


class Wire:
    """Counts RTP packets by (source port, destination port) while the ``async with`` block lasts.

    RTP is told from RTCP by the second byte, and from STUN and DTLS by the first (RFC 7983, RFC 5761).

    Raises:
        PermissionError: on entering, without the right to open a packet socket.
    """

    def __init__(self) -> None:
        self.media: Counter[tuple[int, int]] = Counter()
        self.datagrams: Counter[tuple[int, int]] = Counter()

    async def __aenter__(self) -> Self:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
        self._socket.bind(("lo", 0))
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        asyncio.get_running_loop().add_reader(self._socket, self._readable)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        while True:
            try:
                packet, address = self._socket.recvfrom(65_535)
            except BlockingIOError:
                return
            if address[2] == _OUTGOING:
                self._count(packet)

    def _count(self, packet: bytes) -> None:
        if len(packet) < 30 or packet[0] >> 4 != 4 or packet[9] != _UDP:
            return
        header = (packet[0] & 15) * 4
        source, destination = struct.unpack_from("!HH", packet, header)
        payload = packet[header + 8 :]
        self.datagrams[source, destination] += 1
        if len(payload) >= 12 and 128 <= payload[0] <= 191 and not 192 <= payload[1] <= 223:
            self.media[source, destination] += 1

    def sent_to(self, server: int, client: int) -> int:
        """RTP packets from the server's port to that port."""
        return self.media[server, client]

    def sent_by(self, server: int) -> int:
        """RTP packets from the server's port to anybody."""
        return sum(count for (source, _), count in self.media.items() if source == server)
