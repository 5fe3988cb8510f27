"""The whole media port under attack: datagrams of strangers and of seats, meaningful and not, in any order.

    room 1   a, b inside, w waits       room 2   c, d inside       two strangers

An input is a program: who sends what next. Seats hold their keys and speak real SRTP, with headers, streams
and reports of the input's choice; strangers send noise, and what they recorded. After each program the port
must have failed nowhere, told strangers and those who wait nothing, kept the rooms apart, moved nobody and
kept no more than before.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pylibsrtp

from rooms import rtcp
from rooms.engine import Engine
from rooms.forwarding import CACHE_SIZE, Kind
from rooms.media import MediaPort, Peer, PeerState
from rooms.rtp import HEADER
from tests.fuzz.reader import Reader
from tests.rooms.raw_client import MEDIA_SSRC, RTX_SSRC, RawClient, until

#: Actions of one program; what one input costs must stay well below the patience of the driver.
MOST = 16
_RECORDED = 64
_SENDERS = 8

_MARKS = {"room-1": b"\x91of room 1\x19", "room-2": b"\x92of room 2\x29"}
_SEATS = (("room-1", "a", 0), ("room-1", "b", 1), ("room-1", "w", 2), ("room-2", "c", 0), ("room-2", "d", 1))
_OWN = (*MEDIA_SSRC.values(), *RTX_SSRC.values())


class Clocked(MediaPort):
    """A media port whose clock can be put forward."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


class Resident:
    """One connected seat, and what it has sent so far."""

    def __init__(self, peer: Peer, client: RawClient) -> None:
        self.peer = peer
        self.client = client
        self.mark = _MARKS[peer.room]
        self.home = ("127.0.0.1", client.sock.getsockname()[1])


class Town:
    """A media port, its seats, and strangers at the gate."""

    def __init__(self, engine: Callable[[str, int], Engine]) -> None:
        self.port = Clocked("127.0.0.1", 0, engine=engine("127.0.0.1", 0))
        self.residents: list[Resident] = []
        self.strangers: list[socket.socket] = []
        self.recorded: list[bytes] = [b"\x16\xfe\xfd"]
        self.complaints: list[dict[str, object]] = []

    async def open(self) -> None:
        """Start the port, connect every seat, open the gates."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        await self.port.start()
        for room, seat, place in _SEATS:
            peer = self.port.open_peer(room, seat, place, lambda _: None)
            client = RawClient(peer.offer())
            peer.answer(client.answer())
            await client.connect()
            await until(lambda peer=peer: peer.state is PeerState.CONNECTED, "connected")  # type: ignore[misc]  # a default binds the loop's value
            self.residents.append(Resident(peer, client))
        for _ in range(2):
            stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            stranger.setblocking(False)
            stranger.bind(("127.0.0.1", 0))
            self.strangers.append(stranger)
        self._gates()

    async def close(self) -> None:
        """Give everything back."""
        for stranger in self.strangers:
            stranger.close()
        for resident in self.residents:
            await resident.client.close()
        await self.port.close()

    def _gates(self, inside: str = "ab", muted: str = "") -> None:
        self.port.set_gate("room-1", frozenset(inside), frozenset(muted))
        self.port.set_gate("room-2", frozenset("cd"), frozenset())

    async def play(self, program: bytes) -> None:
        """Run one program, and check everything afterwards."""
        reader = Reader(program)
        for _ in range(MOST):
            if not reader:
                break
            self._act(reader)
        self._gates()
        last = {resident.client: resident.client.request() for resident in self.residents}
        for client, request in last.items():
            client.send(request)
        # The port answers in order: who has this answer has everything that came before it.
        await until(
            lambda: all(_answered(client, request) for client, request in last.items()),
            "the last checks are answered",
            every=0.0005,
        )
        self._check()

    # ---- actions -------------------------------------------------------------------------------------------

    def _act(self, reader: Reader) -> None:
        action, who = reader.below(10), self.residents[reader.below(len(_SEATS))]
        match action:
            case 0:
                self._strange(reader, reader.piece())
            case 1:
                self._strange(reader, self._old(reader))
            case 2:
                who.client.send(reader.piece())
            case 3:
                self._say(who, self._old(reader))
            case 4 | 5:
                self._rtp(reader, who)
            case 6:
                compound = b"\x80\xc9\x00\x01" + (1 + reader.below(_SENDERS)).to_bytes(4, "big")
                self._rtcp(who, compound + reader.piece())
            case 7:
                self._request(reader, who)
            case 8:
                self._say(who, who.client.request(nominates=reader.below(2) == 0))
            case _:
                self._gates("ab"[: reader.below(3)], "ab"[: reader.below(3)])
                self.port.ahead += reader.below(4) / 4

    def _strange(self, reader: Reader, datagram: bytes) -> None:
        stranger = self.strangers[reader.below(len(self.strangers))]
        stranger.sendto(datagram, ("127.0.0.1", self.port.port))

    def _old(self, reader: Reader) -> bytes:
        """Something sent before by whomever; now and then with one octet changed."""
        datagram = bytearray(self.recorded[reader.below(len(self.recorded))])
        if reader.below(2) and datagram:
            datagram[reader.number(2) % len(datagram)] ^= reader.number() or 1
        return bytes(datagram)

    def _say(self, who: Resident, datagram: bytes) -> None:
        who.client.send(datagram)
        self.recorded.append(datagram)
        if len(self.recorded) > _RECORDED:
            del self.recorded[0]

    def _ssrc(self, reader: Reader) -> int:
        """One of the sender's own streams mostly; else of somebody's slots, or of chance."""
        match reader.below(4):
            case 0:
                slots = self.residents[reader.below(len(_SEATS))].client.slots
                return slots[reader.below(len(slots))]
            case 1:
                return reader.number(4) or 1
            case _:
                return _OWN[reader.below(len(_OWN))]

    def _rtp(self, reader: Reader, who: Resident) -> None:
        first = 0x80 | (reader.number() & 0x3F if reader.below(3) == 0 else 0)
        packet = HEADER.pack(first, reader.number(), reader.number(2), reader.number(4), self._ssrc(reader))
        try:
            wire = who.client.dtls._tx_srtp.protect(packet + reader.take(reader.below(16)) + who.mark)
        except (pylibsrtp.Error, ValueError):
            return  # no header that libsrtp would protect, or a number it has used
        self._say(who, wire)

    def _rtcp(self, who: Resident, compound: bytes) -> None:
        try:
            wire = who.client.dtls._tx_srtp.protect_rtcp(compound[: len(compound) // 4 * 4])
        except (pylibsrtp.Error, ValueError):
            return
        self._say(who, wire)

    def _request(self, reader: Reader, who: Resident) -> None:
        ssrc = self._ssrc(reader)
        numbers = [reader.number(2) for _ in range(1 + reader.below(12))]
        self._rtcp(
            who,
            rtcp.build_pli(1, ssrc)
            + rtcp.build_nack(1, ssrc, numbers)
            + rtcp.build_remb(1, reader.number(4), [ssrc])
            + rtcp.build_sender_report(rtcp.SenderReport(ssrc, reader.number(8), 1, 2, 3))
            + rtcp.build_receiver_report(1, [rtcp.ReportBlock(ssrc, 1, 2, 3, 4, reader.number(4), 6)]),
        )

    # ---- what must hold ------------------------------------------------------------------------------------

    def _check(self) -> None:
        port = self.port
        assert port.counters["failed"] == 0, "an exception inside"
        told = [str(complaint.get("exception", complaint["message"])) for complaint in self.complaints]
        assert told == [], "a task or a callback failed, or a seat got what it could not read"
        for stranger in self.strangers:
            assert _silent(stranger), "a stranger was answered"
        for resident in self.residents:
            self._check_resident(resident)
        assert len(port._peers) == len(port._by_ufrag) == len(port._by_address) == len(_SEATS)
        assert len(port._gates) == len(_MARKS)
        assert len(port._tasks) <= len(_SEATS)
        assert not port._streams

    def _check_resident(self, resident: Resident) -> None:
        peer, client = resident.peer, resident.client
        assert peer.state is PeerState.CONNECTED, "somebody was thrown out"
        assert (peer.agent.address, peer.agent.addresses) == (resident.home, [resident.home]), "it was moved"
        if peer.member.seat == "w":
            assert client.rtp == [], "who waits received media"
            told = {type(report) for report in client.reports}
            assert told <= {rtcp.ReportBlock, rtcp.BandwidthEstimate}, "who waits was told of others"
        for packet in client.rtp:
            assert resident.mark in packet, "media of another room"
        assert client.strange == 0
        assert len(peer._rtcp_senders) <= 32
        assert peer._ice._in.qsize() <= 64
        for kind in Kind:
            track = peer.member.tracks[kind]
            assert len(track._wanted) <= CACHE_SIZE
            assert len(track._cache) <= CACHE_SIZE
        client.rtp.clear()
        client.reports.clear()
        client.responses.clear()


def _answered(client: RawClient, request: bytes) -> bool:
    return any(response.transaction_id == request[8:20] for response in client.responses)


def _silent(sock: socket.socket) -> bool:
    try:
        sock.recv(4096)
    except BlockingIOError:
        return True
    return False


@contextmanager
def opened(engine: Callable[[str, int], Engine]) -> Iterator[Callable[[bytes], None]]:
    """A town whose port has this engine; gives what plays one program in it."""
    town = Town(engine)
    with asyncio.Runner() as runner:
        runner.run(town.open())

        def play(program: bytes) -> None:
            runner.run(town.play(program))

        try:
            yield play
        finally:
            runner.run(town.close())
