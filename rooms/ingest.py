"""A transport that a program brings: it offers, publishes, and is sent nothing of anybody.

    offer ──▶ IngestPeer.take_offer ──▶ answer ──checks, DTLS──▶ as any peer

It is a peer of its seat like a browser's, behind the same gate; only it has no slots, so that nothing can be
routed to it, and its payload types become ours before anything else sees its packets.
"""

from __future__ import annotations

from rooms.ingest_sdp import ClientOffer, Fragment, Side
from rooms.peer import Peer
from rooms.rates import ration_of_program_sound

_MARKER = 0x80


class IngestPeer(Peer):
    """One transport of one seat over which a program publishes. Made by ``MediaPort.open_peer``."""

    receives = False
    ration_of_sound = staticmethod(ration_of_program_sound)
    _offered: ClientOffer | None = None
    _remote_ufrag: str | None = None
    _types: dict[int, int] = {}  # noqa: RUF012 -- replaced as a whole by take_offer, never changed

    def take_offer(self, offer: ClientOffer) -> str:
        """Take the program's offer; once.

        Returns:
            The SDP answer.

        Raises:
            BadSdp: ``bad-sdp``.
        """
        self._offered, self._remote_ufrag = offer, offer.answer.ufrag
        self._types = offer.payload_types
        self.take(offer.answer)
        return self._side().answer(offer, self._session_id)

    def renew(self, fragment: Fragment) -> str | None:
        """Begin an ICE restart that the program asks for (RFC 9725 §4.3.3).

        Media goes on over the old path until the program checks the new one.

        Returns:
            The server's fragment, or ``None`` when the program's credentials are those of before.
        """
        if self._offered is None or fragment.ufrag in {None, self._remote_ufrag}:
            return None
        self._remote_ufrag = fragment.ufrag
        self.restart()
        self.agent.answered(str(fragment.ufrag))
        return self._side().fragment(self._offered)

    def moved(self) -> None:
        """Leave its media to the media port: only here is it known what its payload types mean."""

    def open_rtp(self, datagram: bytes) -> bytes | None:
        """Decrypt one SRTP packet and give it our payload type.

        Returns:
            ``None`` when it is not authentic, or of no format that was agreed on.
        """
        packet = super().open_rtp(datagram)
        if packet is None or (own := self._types.get(packet[1] & ~_MARKER)) is None:
            return None
        return b"%c%c%b" % (packet[0], packet[1] & _MARKER | own, packet[2:])

    def _side(self) -> Side:
        return Side(
            ufrag=self.agent.credentials.ufrag,
            pwd=self.agent.credentials.pwd,
            host=self._port.host,
            port=self._port.port,
            fingerprint=self._port.certificate.fingerprint,
            tcp_port=self._port.tcp_port,
        )
