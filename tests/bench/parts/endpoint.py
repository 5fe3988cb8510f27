"""One client transport of a load: a socket, ICE checks, DTLS as the client, AES-256-GCM and nothing else.

    remote SDP ──▶ Endpoint.connect ──▶ protect ahead of time ──▶ send, paced by `load.py`
                                        drain: count, keep a sample ──▶ bad_samples: decrypt it

It talks to every server of the bench alike. Sockets are read by the event loop while transports are set up,
and by ``drain`` while a window of load holds the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import time
from dataclasses import dataclass, field
from typing import Final, Self, cast

import pylibsrtp
from aioice import stun
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCIceTransport
from aiortc.rtcdtlstransport import SRTP_AEAD_AES_256_GCM, RTCDtlsTransport

from rooms.dtls import LiteIce
from rooms.forwarding import VP8
from rooms.ice import Credentials
from rooms.rtcp import build_receiver_report

WITHIN: Final = 15.0
"""Seconds that setting up one transport may take on a slow shared machine."""

KEEP_ALIVE: Final = 2.5
"""Seconds between two connectivity checks, as browsers do it."""

REPORT_EVERY: Final = 1.0
"""Seconds between two receiver reports; browsers send one a second about video."""

_BUFFER: Final = 4 << 20
_PICTURE_ENDS: Final = 0x80 | VP8
"""Second octet of the last packet of a picture: the marker bit is in the clear (RFC 7741 §4.1)."""
_SAMPLE: Final = 64
"""Every how many packets one is kept to be decrypted after the window."""


@dataclass(frozen=True, slots=True)
class Remote:
    """What a client needs of a server's SDP.

    Args:
        address: host and port of its first IPv4 UDP candidate.
        fingerprint: SHA-256, upper-case hex with colons.
    """

    address: tuple[str, int]
    credentials: Credentials
    fingerprint: str

    @classmethod
    def read(cls, sdp: str) -> Self:
        """Take it out of an offer or an answer.

        Raises:
            ValueError: something is missing.
        """
        host, port = _found(r"^a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) typ host", sdp)
        credentials = Credentials(_found(r"^a=ice-ufrag:(\S+)", sdp)[0], _found(r"^a=ice-pwd:(\S+)", sdp)[0])
        return cls((host, int(port)), credentials, _found(r"^a=fingerprint:sha-256 (\S+)", sdp)[0].upper())


def _found(pattern: str, sdp: str) -> tuple[str, ...]:
    match = re.search(pattern, sdp, re.MULTILINE | re.IGNORECASE)
    if match is None:
        raise ValueError(f"the server's SDP lacks {pattern}")
    return match.groups()


@dataclass(slots=True, eq=False)
class Endpoint:
    """One client transport.

    Args:
        host: IPv4 address to use.

    Attributes:
        credentials: to write into the SDP, with ``candidate`` and `FINGERPRINT`.
        audio: SSRC of what it publishes, as is ``video``.
        received: RTP packets that came since the last `forget`.
        pictures: how many of them were the last of a picture.
        kept: some of them, still encrypted.
        checked_at: monotonic seconds of the last connectivity check sent.
        reported_at: the same of the last receiver report.
    """

    host: str
    credentials: Credentials = field(default_factory=Credentials.fresh)
    audio: int = field(default_factory=lambda: random.getrandbits(31) | 1)
    video: int = field(default_factory=lambda: random.getrandbits(31) | 1)
    received: int = 0
    pictures: int = 0
    kept: list[bytes] = field(default_factory=list)
    checked_at: float = 0.0
    reported_at: float = 0.0
    candidate: str = field(init=False)
    _socket: socket.socket | None = field(init=False)
    _check: bytes = b""
    _answered: asyncio.Event = field(default_factory=asyncio.Event)
    _ice: LiteIce | None = None
    _dtls: RTCDtlsTransport | None = None

    def __post_init__(self) -> None:
        sock = self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.setblocking(False)
        sock.bind((self.host, 0))
        self.candidate = f"a=candidate:1 1 udp 2130706431 {self.host} {sock.getsockname()[1]} typ host"

    async def connect(self, remote: Remote) -> None:
        """Checks and handshake; the server must know our credentials and fingerprint by now.

        Raises:
            TimeoutError: no transport within `WITHIN`.
            RuntimeError: the handshake failed or the server took another suite.
        """
        assert self._socket is not None
        self._socket.connect(remote.address)
        self._check = self._request(remote)
        asyncio.get_running_loop().add_reader(self._socket, self.drain)
        self._ice = LiteIce(self.send)
        self._dtls = RTCDtlsTransport(cast(RTCIceTransport, self._ice), [CERTIFICATE])
        self._dtls._set_role("client")
        self._dtls._srtp_profiles = [SRTP_AEAD_AES_256_GCM]
        async with asyncio.timeout(WITHIN):
            while not self._answered.is_set():
                self.check(time.monotonic())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._answered.wait(), 0.2)
            await self._dtls.start(RTCDtlsParameters([RTCDtlsFingerprint("sha-256", remote.fingerprint)]))
        if self._dtls.state != "connected":
            raise RuntimeError("no DTLS with AES-256-GCM")

    async def close(self) -> None:
        """Say goodbye and give the socket back."""
        if self._dtls is not None and self._ice is not None:
            await self._dtls.stop()
            self._ice.close()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def protect(self, packets: list[bytes]) -> list[bytes]:
        """Encrypt packets in the order in which they will be sent."""
        assert self._dtls is not None
        protect = self._dtls._tx_srtp.protect
        return [protect(packet) for packet in packets]

    def send(self, datagram: bytes) -> None:
        """Send one datagram; a full buffer or a closed port loses it, as a network would."""
        if self._socket is None:
            return
        try:
            self._socket.send(datagram)
        except OSError:
            return

    def check(self, now: float) -> None:
        """One connectivity check, by which the server knows that we are there."""
        self.checked_at = now
        self.send(self._check)

    def report(self, now: float) -> None:
        """One empty receiver report, by which it knows that nobody speaks in our place."""
        self.reported_at = now
        if self._dtls is not None:
            self.send(self._dtls._tx_srtp.protect_rtcp(build_receiver_report(self.audio, [])))

    def drain(self) -> None:
        """Read all that has come."""
        if self._socket is None:
            return
        receive = self._socket.recv
        while True:
            try:
                data = receive(2048)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if 127 < data[0] < 192:
                if not 192 <= data[1] <= 223:
                    self.received += 1
                    self.pictures += data[1] == _PICTURE_ENDS
                    if self.received % _SAMPLE == 1:
                        self.kept.append(data)
            elif data[0] < 4:
                self._on_stun(data)
            elif self._ice is not None:
                self._ice.feed(data)

    def forget(self) -> None:
        """Count from zero."""
        self.received = self.pictures = 0
        self.kept.clear()

    def bad_samples(self) -> int:
        """How many of the kept packets are not authentic."""
        assert self._dtls is not None
        bad = 0
        for packet in self.kept:
            try:
                self._dtls._rx_srtp.unprotect(packet)
            except pylibsrtp.Error:
                bad += 1
        return bad

    def _request(self, remote: Remote) -> bytes:
        # The same bytes each time, as of a retransmission: the load must not be about making them.
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{remote.credentials.ufrag}:{self.credentials.ufrag}"
        message.attributes["PRIORITY"] = 1853824767
        message.attributes["ICE-CONTROLLING"] = random.getrandbits(64)
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(remote.credentials.pwd.encode())
        message.add_fingerprint()
        return bytes(message)

    def _on_stun(self, data: bytes) -> None:
        message = stun.parse_message(data)
        if message.message_class is stun.Class.RESPONSE:
            self._answered.set()
        elif message.message_class is stun.Class.REQUEST and self._socket is not None:  # a full agent's check
            response = stun.Message(
                stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=message.transaction_id
            )
            response.attributes["XOR-MAPPED-ADDRESS"] = self._socket.getpeername()
            response.add_message_integrity(self.credentials.pwd.encode())
            response.add_fingerprint()
            self.send(bytes(response))


CERTIFICATE: Final = RTCCertificate.generateCertificate()
FINGERPRINT: Final = next(f.value for f in CERTIFICATE.getFingerprints() if f.algorithm == "sha-256")
