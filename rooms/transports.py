"""The media transports of one room: one per seat, each carried by one page, and whether they stand.

    open ──▶ offered ──connected──▶ up ──silence, close──▶ gone ──heard again──▶ up
      ▲                                                      │
      └──────────────────── a page asks anew ◀───────────────┘

The room is told only of up and gone. A transport outlives its page's signaling connection: the next page of
the same device takes it over, and nobody sees or hears a difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from broker.seats import SeatCode
from rooms.events import Device, Link
from rooms.ingest import IngestPeer
from rooms.ingest_sdp import ClientOffer, Fragment
from rooms.media import MediaPort
from rooms.peer import Peer, PeerState
from rooms.quality import Quality, Standing

P = TypeVar("P", bound=Peer)
_OnChange = Callable[[PeerState], None]


@dataclass(slots=True)
class _Transport:
    """The transport of one seat.

    Attributes:
        link: the page that carries it.
        device: of that page; no other device can take it over.
        up: whether the room was told that it stands.
    """

    peer: Peer
    link: Link
    device: Device
    up: bool = False


@dataclass(slots=True)
class Transports:
    """The transports of one room.

    Args:
        room: its key at the media port.
        changed: told of each transport that came up (with its SRTP profile) or went down (``None``).
        sealed: the session is end-to-end encrypted.
    """

    room: str
    media: MediaPort
    changed: Callable[[SeatCode, str | None], None]
    sealed: bool
    _of: dict[SeatCode, _Transport] = field(default_factory=dict, init=False)

    def open(self, seat: SeatCode, place: int, link: Link, device: Device) -> str:
        """Make a seat's transport; a former one is replaced without a jump for those who watch it.

        Returns:
            The SDP offer for the page.
        """
        make = partial(self.media.open_peer, sealed=self.sealed)
        return self._opened(make, seat, place, link, device).offer()

    def open_ingest(self, seat: SeatCode, place: int, link: Link, device: Device, offer: ClientOffer) -> str:
        """Make the transport that a program offers.

        Returns:
            The SDP answer for the program.
        """
        return self._opened(self.media.open_ingest, seat, place, link, device).take_offer(offer)

    def _opened(
        self,
        make: Callable[[str, str, int, _OnChange], P],
        seat: SeatCode,
        place: int,
        link: Link,
        device: Device,
    ) -> P:
        former = self._of.pop(seat, None)
        opened: Peer | None = None

        def on_change(state: PeerState) -> None:
            transport = self._of.get(seat)
            if transport is not None and transport.peer is opened:
                self._note(seat, transport, state)

        opened = made = make(self.room, seat, place, on_change)
        self._of[seat] = _Transport(opened, link, device)
        if former is not None:
            self._note(seat, former, PeerState.GONE)
        return made

    def close(self, seat: SeatCode) -> None:
        """Close a seat's transport, if it has one."""
        if (transport := self._of.pop(seat, None)) is not None:
            transport.peer.close()
            self._note(seat, transport, PeerState.GONE)

    def close_all(self) -> None:
        """Close the whole room at the media port: from here nothing flows in it."""
        self.media.set_gate(self.room, frozenset(), frozenset())
        self.media.close_room(self.room)
        self._of.clear()

    def carries(self, seat: SeatCode, link: Link) -> bool:
        """Whether this page carries the seat's transport."""
        transport = self._of.get(seat)
        return transport is not None and transport.link == link

    def lives(self, seat: SeatCode) -> bool:
        """Whether the seat has a transport that is not gone."""
        return self.state(seat) is not PeerState.GONE

    def take_over(self, seat: SeatCode, link: Link, device: Device) -> bool:
        """Let another page of the same device carry the living transport. Returns whether it does."""
        if not self.lives(seat) or self._of[seat].device != device:
            return False
        self._of[seat].link = link
        return True

    def answer(self, seat: SeatCode, sdp: str) -> None:
        """Give a seat's transport the page's answer.

        Raises:
            BadSdp: ``bad-sdp``; the transport stays as it was.
            KeyError: the seat has no transport; ask ``carries`` first.
        """
        self._of[seat].peer.answer(sdp)

    def restart(self, seat: SeatCode) -> str:
        """Begin an ICE restart of a living transport, which its page found lost. Returns the SDP offer."""
        peer = self._of[seat].peer
        peer.doubt()
        return peer.restart()

    def renew_ingest(self, seat: SeatCode, fragment: Fragment) -> str | None:
        """Let a program restart ICE, if that is what its fragment says. Returns the server's fragment.

        Raises:
            KeyError: the seat has no transport; ask ``carries`` first.
        """
        peer = self._of[seat].peer
        return peer.renew(fragment) if isinstance(peer, IngestPeer) else None

    def state(self, seat: SeatCode) -> PeerState:
        """Where a seat's transport stands; gone when there is none."""
        transport = self._of.get(seat)
        return PeerState.GONE if transport is None else transport.peer.state

    def heard_at(self, seat: SeatCode) -> float | None:
        """When anything authentic last came over the transport, loop seconds; ``None`` unless it is up."""
        transport = self._of.get(seat)
        return transport.peer.last_heard if transport is not None and transport.up else None

    def media_heard_at(self, seat: SeatCode) -> float | None:
        """The same of media alone, which nobody can send in the seat's place."""
        transport = self._of.get(seat)
        return transport.peer.last_media if transport is not None and transport.up else None

    def present_at(self, seat: SeatCode) -> float | None:
        """The same of one who hears: "never" for a clinician who does not, whatever comes from them."""
        transport = self._of.get(seat)
        if transport is None or not transport.up:
            return None
        return transport.peer.last_media if transport.peer.hears() else float("-inf")

    def ask_whether_heard(self, seat: SeatCode) -> None:
        """Ask over a seat's transport, if it has one that is up and can be sent to."""
        if (transport := self._of.get(seat)) is not None and transport.up:
            transport.peer.ask_whether_heard()

    def quality(self) -> dict[SeatCode, Quality]:
        """Numbers about each connected transport."""
        return {
            seat: transport.peer.quality()
            for seat, transport in self._of.items()
            if transport.peer.state is PeerState.CONNECTED
        }

    def standings(self) -> dict[SeatCode, Standing]:
        """What pages are told of each connected transport; asked for more often than the numbers."""
        return {
            seat: transport.peer.told_standing
            for seat, transport in self._of.items()
            if transport.peer.state is PeerState.CONNECTED
        }

    def _note(self, seat: SeatCode, transport: _Transport, state: PeerState) -> None:
        if state is PeerState.CONNECTED and not transport.up:
            transport.up = True
            self.changed(seat, transport.peer.suite or "unknown")
        elif state is PeerState.GONE and transport.up:
            transport.up = False
            self.changed(seat, None)
