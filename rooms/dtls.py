"""DTLS, and the SRTP sessions it ends in: aiortc's transport, told what it may not choose for itself.

    datagrams ──▶ LiteIce ──▶ DtlsServer ──handshake──▶ two SRTP sessions, one per direction

aiortc does the handshake and watches for close_notify. What differs here: always the server (its order of
profiles counts, so browsers take AES-256-GCM), one OpenSSL context for all seats, SRTP sessions that never
protect one packet twice, and whatever a hostile record makes OpenSSL raise ends one transport only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pylibsrtp
from aiortc import RTCCertificate, RTCIceTransport
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCDtlsTransport, SRTPProtectionProfile, State
from OpenSSL import SSL

# DTLS datagrams waiting for the handshake task; a flight is a handful.
_QUEUE = 64
_REPLAY_WINDOW = 1024


class Certificate(RTCCertificate):
    """The server's DTLS identity, its OpenSSL context built once (0.4 ms) instead of per seat."""

    _context: SSL.Context | None = None

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            self._context = super()._create_ssl_context(srtp_profiles)
        return self._context

    @property
    def fingerprint(self) -> str:
        """SHA-256, upper-case hex with colons."""
        return next(f.value for f in self.getFingerprints() if f.algorithm == "sha-256")


class LiteIce:
    """What ``RTCDtlsTransport`` uses of an ICE transport: a role, and datagrams in and out."""

    role = "controlled"
    state = "completed"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._out = send
        self._in: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE)
        self._flight: list[bytes] = []
        self._answers = False

    def feed(self, datagram: bytes) -> bool:
        """Take in one DTLS datagram; false when it was dropped, as a network would."""
        try:
            self._in.put_nowait(datagram)
        except asyncio.QueueFull:
            return False
        self._answers = True
        return True

    def again(self) -> None:
        """Send once more what was sent last: it went to an address where the other end is not.

        OpenSSL would do so as well, a second later (RFC 6347 §4.2.4.1).
        """
        for datagram in self._flight:
            self._out(datagram)

    def close(self) -> None:
        """End the reader: it waits for ever otherwise."""
        while not self._in.empty():
            self._in.get_nowait()
        self._in.put_nowait(None)

    async def _recv(self) -> bytes:
        datagram = await self._in.get()
        if datagram is None:
            raise ConnectionError
        return datagram

    async def _send(self, datagram: bytes) -> None:
        if self._answers:
            self._flight, self._answers = [], False
        self._flight.append(datagram)
        self._out(datagram)


#: One seat's SRTP sessions: to receive and to send with.
Sessions = tuple[pylibsrtp.Session, pylibsrtp.Session]


class DtlsServer(RTCDtlsTransport):
    """aiortc's DTLS transport, always the server, its SRTP sessions made by our own rules."""

    def __init__(self, ice: LiteIce, certificate: Certificate) -> None:
        super().__init__(cast(RTCIceTransport, ice), [certificate])
        self._set_role("server")
        self.profile: SRTPProtectionProfile | None = None

    def _setup_srtp(self) -> None:
        if self._ssl is None:
            raise AssertionError("aiortc sets up SRTP only after a handshake")
        chosen = self._ssl.get_selected_srtp_profile()
        profile = next((p for p in SRTP_PROFILES if p.openssl_profile == chosen), None)
        if profile is None:
            self._set_state(State.FAILED)
            return
        size = 2 * (profile.key_length + profile.salt_length)
        keys = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        # RFC 5764 §4.2: client's write keys first; the client sends what we receive.
        self._rx_srtp = _session(
            profile, profile.get_key_and_salt(keys, 0), pylibsrtp.Policy.SSRC_ANY_INBOUND
        )
        self._tx_srtp = _session(
            profile, profile.get_key_and_salt(keys, 1), pylibsrtp.Policy.SSRC_ANY_OUTBOUND
        )
        self.profile = profile

    async def _recv_next(self) -> None:
        try:
            await super()._recv_next()
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            # Whatever a hostile record makes OpenSSL or aiortc raise ends this transport and nothing else.
            raise ConnectionError from error

    @property
    def sessions(self) -> Sessions:
        """The SRTP sessions to receive and to send with; valid once connected."""
        return self._rx_srtp, self._tx_srtp


def _session(profile: SRTPProtectionProfile, key: bytes, direction: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(key=key, ssrc_type=direction, srtp_profile=profile.libsrtp_profile)
    # Never protect one SSRC and index twice: under GCM that repeats a nonce. Retransmissions are RTX.
    policy.allow_repeat_tx = False
    policy.window_size = _REPLAY_WINDOW
    return pylibsrtp.Session(policy)
