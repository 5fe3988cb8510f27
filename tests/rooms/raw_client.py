"""A seat without a browser: a socket, STUN, DTLS and SRTP, and no opinion about what it sends.

Tests use it to send what no browser would, and to see every packet that comes back.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from aioice import stun
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCIceTransport
from aiortc.rtcdtlstransport import RTCDtlsTransport

from rooms.dtls import LiteIce
from rooms.forwarding import OPUS, VP8, VP8_RTX, Kind
from rooms.ice import Credentials
from rooms.rtcp import Report, read
from rooms.rtp import HEADER

MEDIA_SSRC = {Kind.AUDIO: 10, Kind.CAMERA: 11, Kind.SCREEN: 12}
RTX_SSRC = {Kind.CAMERA: 21, Kind.SCREEN: 22}
PAYLOAD_TYPE = {Kind.AUDIO: OPUS, Kind.CAMERA: VP8, Kind.SCREEN: VP8}


async def until(
    condition: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = 10.0, every: float = 0.002
) -> None:
    """Wait until something holds, or fail saying what never did."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                holds = condition()
                if await holds if inspect.isawaitable(holds) else holds:
                    return
                await asyncio.sleep(every)
    except TimeoutError:
        pytest.fail(f"never: {what}")


class RawClient:
    """One client of one offer.

    Args:
        offer: the server's SDP.
        host: of both ends; the offer says only which port.

    Attributes:
        rtp: every RTP packet received, decrypted.
        reports: everything the server said in RTCP.
        responses: STUN responses received.
        deaf: answers no question whether it hears, as if none had come.
    """

    certificate = RTCCertificate.generateCertificate()

    def __init__(self, offer: str, host: str = "127.0.0.1") -> None:
        self.host = host
        self.rtp: list[bytes] = []
        self.reports: list[Report] = []
        self.responses: list[stun.Message] = []
        self.strange = 0
        self.deaf = False
        self.credentials = Credentials.fresh()
        self._socket: socket.socket | None = None
        self.take(offer)
        self.move()
        self._ice = LiteIce(self.send)
        self.dtls = RTCDtlsTransport(cast(RTCIceTransport, self._ice), [self.certificate])
        self.dtls._set_role("client")

    def take(self, offer: str) -> None:
        """Read an offer: the first one, or that of an ICE restart."""
        self.offer = offer
        self.server = Credentials(_value(offer, "ice-ufrag"), _value(offer, "ice-pwd"))
        self.address = (self.host, int(re.findall(r"m=audio (\d+) ", offer)[0]))
        self.fingerprint = _value(offer, "fingerprint").removeprefix("sha-256 ")
        self.slots = [int(found) for found in re.findall(r"^a=ssrc:(\d+)", offer, re.MULTILINE)]

    def move(self) -> None:
        """Send from another port from now on, as after a change of networks."""
        self._forget_socket()
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((self.host, 0))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    @property
    def sock(self) -> socket.socket:
        assert self._socket is not None
        return self._socket

    def _forget_socket(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    async def close(self) -> None:
        await self.dtls.stop()
        self._ice.close()
        self._forget_socket()

    def answer(self, *, fingerprint: str | None = None) -> str:
        """The SDP answer a browser would give."""
        own = next(f.value for f in self.certificate.getFingerprints() if f.algorithm == "sha-256")
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1 2 3 4 5 6 7 8 9"]
        kinds = [*Kind, *([Kind.AUDIO, Kind.CAMERA] * 3), Kind.SCREEN]
        for mid, kind in enumerate(kinds):
            lines += [
                f"m={kind.media} 9 UDP/TLS/RTP/SAVPF " + ("111" if kind is Kind.AUDIO else "96 97"),
                f"a=ice-ufrag:{self.credentials.ufrag}",
                f"a=ice-pwd:{self.credentials.pwd}",
                f"a=fingerprint:sha-256 {fingerprint or own}",
                "a=setup:active",
                f"a=mid:{mid}",
                "a=sendonly" if mid < 3 else "a=recvonly",
                "a=rtcp-mux",
            ]
            if mid < 3 and kind in RTX_SSRC:
                lines.append(f"a=ssrc-group:FID {MEDIA_SSRC[kind]} {RTX_SSRC[kind]}")
            if mid < 3:
                lines.append(f"a=ssrc:{MEDIA_SSRC[kind]} cname:x")
            if mid < 3 and kind in RTX_SSRC:
                lines.append(f"a=ssrc:{RTX_SSRC[kind]} cname:x")
        return "\r\n".join(lines) + "\r\n"

    def request(self, *, server: Credentials | None = None, nominates: bool = True) -> bytes:
        """A binding request."""
        to = server or self.server
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{to.ufrag}:{self.credentials.ufrag}"
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = 1
        if nominates:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(to.pwd.encode())
        return bytes(message)

    async def check(self) -> None:
        """One connectivity check, answered."""
        before = len(self.responses)
        self.send(self.request())
        await until(lambda: len(self.responses) > before, "the check is answered")

    async def shake_hands(self) -> None:
        """The client's half of DTLS."""
        await self.dtls.start(
            RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint("sha-256", self.fingerprint)])
        )

    async def connect(self) -> None:
        """Checks and handshake; the server must have the answer."""
        await self.check()
        await self.shake_hands()
        assert self.dtls.state == "connected"

    def send(self, datagram: bytes) -> None:
        """Send anything."""
        self.sock.sendto(datagram, self.address)

    def send_rtp(
        self,
        kind: Kind,
        sequence: int,
        timestamp: int = 0,
        payload: bytes = b"frame",
        *,
        ssrc: int | None = None,
    ) -> bytes:
        """Send one RTP packet, encrypted; returns what went over the wire."""
        head = HEADER.pack(
            0x80, PAYLOAD_TYPE[kind], sequence, timestamp & 0xFFFFFFFF, ssrc or MEDIA_SSRC[kind]
        )
        return self.send_packet(head + payload)

    def send_rtx(self, kind: Kind, sequence: int, original: int, payload: bytes) -> None:
        """Send a retransmission."""
        head = HEADER.pack(0x80, VP8_RTX, sequence, 0, RTX_SSRC[kind])
        self.send_packet(head + original.to_bytes(2, "big") + payload)

    def send_packet(self, packet: bytes) -> bytes:
        """Encrypt and send a whole RTP packet."""
        protected: bytes = self.dtls._tx_srtp.protect(packet)
        self.send(protected)
        return protected

    def send_rtcp(self, compound: bytes) -> None:
        """Send one RTCP compound, encrypted."""
        self.send(self.dtls._tx_srtp.protect_rtcp(compound))

    def of(self, ssrc: int) -> list[bytes]:
        """The packets received of one SSRC."""
        return [packet for packet in self.rtp if HEADER.unpack_from(packet)[4] == ssrc]

    def _readable(self) -> None:
        self._arrived(self.sock.recv(2048))

    def _arrived(self, data: bytes) -> None:
        if data[0] < 4:
            self._on_stun(stun.parse_message(data))
        elif 19 < data[0] < 64:
            self._ice.feed(data)
        elif self.dtls.state in ("new", "connecting"):
            pass  # media that overtook the end of the handshake is lost, as in a browser
        elif 192 <= data[1] <= 223:
            self.reports += read(self.dtls._rx_srtp.unprotect_rtcp(data))
        elif data[0] > 127:
            self.rtp.append(self.dtls._rx_srtp.unprotect(data))
        else:
            self.strange += 1

    def _on_stun(self, message: stun.Message) -> None:
        if message.message_class is not stun.Class.REQUEST:
            self.responses.append(message)
        elif not self.deaf:
            assert message.check_message_integrity(self.credentials.pwd.encode())
            assert message.attributes["USERNAME"] == f"{self.credentials.ufrag}:{self.server.ufrag}"
            response = stun.Message(
                stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=message.transaction_id
            )
            response.attributes["XOR-MAPPED-ADDRESS"] = self.address
            response.add_message_integrity(self.credentials.pwd.encode())
            self.send(bytes(response))


def _value(sdp: str, name: str) -> str:
    found: str = re.findall(rf"^a={name}:(.*?)\r?$", sdp, re.MULTILINE)[0]
    return found
