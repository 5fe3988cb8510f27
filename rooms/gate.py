"""Who sends to whom in one room: the gate, applied to the route tables.

A member exchanges media if and only if its seat is inside the gate and its transport stands. From that alone
the slots of every track follow, so the tables are computed anew from the whole truth on each change; there is
no step by step that could leave a way open.

    slot of place p at the subscriber of place q:   p if p < q else p - 1
    the screen slot: the last seat inside the gate that started to show its screen

What a weak link does not carry (``rooms.weak``) has no route either.

Pure: changes in, tracks that need a key frame out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rooms.forwarding import Kind, PublishedTrack, Slot, Subscriber
from rooms.quality import Level
from rooms.weak import CARRIED

#: Seats with media in one room; the offer has a slot for each other place.
MAX_PLACES = 4
#: Seconds without a packet after which a screen counts as gone; browsers repeat a still picture each second.
SCREEN_PATIENCE = 3.0


def slots_for(owner: Subscriber, fresh_ssrc: Callable[[], int]) -> list[Slot]:
    """The slots of a new transport as offered: each other place's audio and camera, the screen."""
    slots: list[Slot] = []
    for _ in range(MAX_PLACES - 1):
        slots += [Slot(owner, Kind.AUDIO, fresh_ssrc()), Slot(owner, Kind.CAMERA, fresh_ssrc(), fresh_ssrc())]
    return [*slots, Slot(owner, Kind.SCREEN, fresh_ssrc(), fresh_ssrc())]


@dataclass(slots=True, eq=False)
class Member:
    """One seat's transport as the gate sees it.

    Args:
        seat: opaque key.
        place: fixed position in the roster, 0 to ``MAX_PLACES`` - 1.
        slots: in the order of ``slots_for``; none for one that only publishes.

    Attributes:
        live: its transport stands, so it can send and receive.
        tracks: what it publishes.
        receives: what its link carries; the rest has no route to it.
        held: its pictures stand still for a moment (``rooms.brake``).
        shows_h264: its browser does; such pictures have no route to it otherwise.
    """

    seat: str
    place: int
    slots: list[Slot]
    live: bool = False
    tracks: dict[Kind, PublishedTrack] = field(default_factory=dict)
    receives: Level = Level.ALL
    held: bool = False
    shows_h264: bool = False

    def carries(self, kind: Kind) -> bool:
        """Whether that kind of track goes over its link now."""
        return kind in CARRIED[Level.SOUND if self.held else self.receives]

    def slot_of(self, source: Member, kind: Kind) -> Slot:
        """Where this member sees that kind of track of another."""
        if kind is Kind.SCREEN:
            return self.slots[-1]
        pair = source.place if source.place < self.place else source.place - 1
        return self.slots[2 * pair + (kind is Kind.CAMERA)]


class Gate:
    """The gate of one room.

    Attributes:
        seats: those inside.
        muted: those whose audio goes nowhere.
        members: the transports, by seat, inside or not.
    """

    def __init__(self) -> None:
        self.seats: frozenset[str] = frozenset()
        self.muted: frozenset[str] = frozenset()
        self.members: dict[str, Member] = {}
        # Seats showing their screen, the latest to start last.
        self._presenting: list[str] = []

    def set(self, seats: frozenset[str], muted: frozenset[str]) -> list[PublishedTrack]:
        """Let exactly these seats exchange media.

        Returns:
            Video tracks that need a key frame, because somebody sees them newly.
        """
        self.seats, self.muted = seats, muted
        return self.apply()

    def join(self, member: Member) -> list[PublishedTrack]:
        """Add a seat's transport, in place of a former one.

        Raises:
            ValueError: the place is outside the roster or another seat has it.
        """
        if not 0 <= member.place < MAX_PLACES:
            raise ValueError(f"a place is 0 to {MAX_PLACES - 1}")
        if any(other.place == member.place and other.seat != member.seat for other in self.members.values()):
            raise ValueError("another seat has this place")
        former = self.members.get(member.seat)
        if former is not None:
            self.leave(former)
        self.members[member.seat] = member
        return self.apply()

    def leave(self, member: Member) -> list[PublishedTrack]:
        """Take a transport away; silent when it has been replaced already."""
        if self.members.get(member.seat) is not member:
            return []
        del self.members[member.seat]
        if member.seat in self._presenting:
            self._presenting.remove(member.seat)
        for track in member.tracks.values():
            track.set_routes([])
        member.live = False
        return self.apply()

    def screen_heard(self, member: Member, last_heard: float, now: float) -> list[PublishedTrack]:
        """A packet of a screen has come; if it is the first after a pause, this screen now has the slot.

        Args:
            last_heard: seconds of the screen's packet before this one.
        """
        if now - last_heard <= SCREEN_PATIENCE and member.seat in self._presenting:
            return []
        if member.seat in self._presenting:
            self._presenting.remove(member.seat)
        self._presenting.append(member.seat)
        return self.apply()

    def screens_silent(self, now: float) -> list[PublishedTrack]:
        """Forget screens that were put away. To be called now and then."""
        still = [
            seat
            for seat in self._presenting
            if (member := self.members.get(seat)) is not None
            and (track := member.tracks.get(Kind.SCREEN)) is not None
            and now - track.heard_at <= SCREEN_PATIENCE
        ]
        if still == self._presenting:
            return []
        self._presenting = still
        return self.apply()

    @property
    def presenter(self) -> str | None:
        """The seat whose screen the others see."""
        return next((seat for seat in reversed(self._presenting) if self._open(seat)), None)

    def _open(self, seat: str) -> bool:
        member = self.members.get(seat)
        return seat in self.seats and member is not None and member.live

    def apply(self) -> list[PublishedTrack]:
        """Compute every track's routes from who is inside, standing, muted, presenting or on a weak link.

        Returns:
            Video tracks that somebody sees newly.
        """
        presenter = self.presenter
        opened = [member for member in self.members.values() if self._open(member.seat)]
        wanting: list[PublishedTrack] = []
        for member in self.members.values():
            for kind, track in member.tracks.items():
                slots = (
                    [
                        other.slot_of(member, kind)
                        for other in opened
                        if other is not member and other.slots and other.carries(kind)
                        if other.shows_h264 or not track.h264
                    ]
                    if self._may_send(member, kind, presenter)
                    else []
                )
                if track.set_routes(slots) and track.kind is not Kind.AUDIO:
                    wanting.append(track)
        return wanting

    def _may_send(self, member: Member, kind: Kind, presenter: str | None) -> bool:
        if not self._open(member.seat):
            return False
        if kind is Kind.AUDIO:
            return member.seat not in self.muted
        return kind is not Kind.SCREEN or member.seat == presenter
