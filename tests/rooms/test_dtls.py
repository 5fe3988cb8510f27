from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCIceTransport
from aiortc.rtcdtlstransport import RTCDtlsTransport

from rooms.dtls import Certificate, DtlsServer, LiteIce
from rooms.rtp import HEADER
from tests.rooms.raw_client import until

CERTIFICATE = Certificate.generateCertificate()
BROWSER = RTCCertificate.generateCertificate()
PACKET = HEADER.pack(0x80, 96, 1, 2, 3) + b"frame"


class Pair:
    """A server and a browser's half of DTLS, wired to each other."""

    def __init__(self) -> None:
        self.server_ice = LiteIce(lambda datagram: self._pass(self.client_ice, datagram))
        self.client_ice = LiteIce(lambda datagram: self._pass(self.server_ice, datagram))
        self.server = DtlsServer(self.server_ice, CERTIFICATE)
        self.client = RTCDtlsTransport(cast(RTCIceTransport, self.client_ice), [BROWSER])
        self.client._set_role("client")

    @staticmethod
    def _pass(to: LiteIce, datagram: bytes) -> None:
        to.feed(datagram)

    async def shake_hands(self) -> None:
        own = next(f.value for f in BROWSER.getFingerprints() if f.algorithm == "sha-256")
        await asyncio.wait_for(
            asyncio.gather(
                self.server.start(told(own)),
                self.client.start(told(CERTIFICATE.fingerprint)),
            ),
            10,
        )

    async def close(self) -> None:
        await self.client.stop()
        await self.server.stop()
        self.client_ice.close()
        self.server_ice.close()


def told(fingerprint: str) -> RTCDtlsParameters:
    return RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint("sha-256", fingerprint)])


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    yield pair
    await pair.close()


async def test_both_ends_have_the_same_keys_of_the_strongest_suite(pair: Pair) -> None:
    await pair.shake_hands()
    assert pair.server.profile is not None
    assert pair.server.profile.openssl_profile == b"SRTP_AEAD_AES_256_GCM"
    receive, send = pair.server.sessions
    assert receive.unprotect(pair.client._tx_srtp.protect(PACKET)) == PACKET
    assert pair.client._rx_srtp.unprotect(send.protect(PACKET)) == PACKET


async def test_a_record_of_garbage_leaves_the_association_standing(pair: Pair) -> None:
    await pair.shake_hands()
    states: list[str] = []
    pair.server.add_listener("statechange", lambda: states.append(pair.server.state))
    pair.server_ice.feed(bytes([22]) + bytes(40))
    pair.server_ice.feed(bytes([63, 254, 253]) + bytes([255]) * 300)
    await until(pair.server_ice._in.empty, "the records are read")
    assert states == []
    await pair.client.stop()
    await until(lambda: states == ["closed"], "the next record is understood")


async def test_a_goodbye_is_noticed(pair: Pair) -> None:
    await pair.shake_hands()
    closed = asyncio.Event()
    pair.server.add_listener("statechange", closed.set)
    await pair.client.stop()
    await asyncio.wait_for(closed.wait(), 5)
    assert pair.server.state == "closed"


async def test_one_openssl_context_serves_all_seats() -> None:
    profiles = DtlsServer(LiteIce(lambda datagram: None), CERTIFICATE)._srtp_profiles
    assert CERTIFICATE._create_ssl_context(profiles) is CERTIFICATE._create_ssl_context(profiles)


async def test_a_flood_before_the_handshake_is_bounded_and_closing_ends_the_reader() -> None:
    ice = LiteIce(lambda datagram: None)
    taken = sum(ice.feed(b"flight") for _ in range(1000))
    assert 0 < taken < 1000
    ice.close()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(ice._recv(), 5)
