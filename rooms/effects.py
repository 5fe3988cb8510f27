"""What a room orders its shell to do, in the order to do it. None of it waits.

The views are the whole of what a page may know: a page is shown its view again whenever it changed, so a
lost message, a reload or a new server changes nothing. A waiting seat's view holds that seat alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from broker.audit import EventType
from broker.seats import SeatAction, SeatCode, SeatRole
from broker.sessions import Encryption
from rooms.events import Device, HostAction, Link, RoomAction
from rooms.groups import Tell
from rooms.quality import Level, Standing


class Presence(StrEnum):
    """Whether a seat's person is reachable."""

    ABSENT = "absent"
    CONNECTED = "connected"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Commit:
    """Make a change and its audit events durable, all seats or none; answered by Committed or CommitRefused.

    Attributes:
        number: echoed in the answer; commits of one room are carried out one at a time, in this order.
        action: a row of ``broker.seats.MOVES``, mute, unmute, end, device (another one has the seat), or
            ``None``: nothing changes, but ``event`` must be durable before the answer.
        actor: who asked.
        devices: which device has each seat, for actions that give one a place; stored with the change, so
            that a room loaded anew knows to whom the place belongs.
    """

    number: int
    action: SeatAction | HostAction | RoomAction | None
    seats: tuple[SeatCode, ...]
    actor: str
    reason: str | None = None
    event: EventType | None = None
    devices: Mapping[SeatCode, Device | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """Append an audit event as soon as the store takes it; nothing waits for it."""

    event: EventType
    seat: SeatCode
    actor: str
    reason: str | None = None
    detail: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetGate:
    """The complete set of seats that exchange media from now on, and whose audio is withheld."""

    seats: frozenset[SeatCode]
    muted: frozenset[SeatCode]


@dataclass(frozen=True, slots=True)
class OpenPeer:
    """Make a transport for the seat and send its offer to the link."""

    seat: SeatCode
    link: Link


@dataclass(frozen=True, slots=True)
class ClosePeer:
    """Close the seat's transport."""

    seat: SeatCode


@dataclass(frozen=True, slots=True)
class OtherSeat:
    """Another participant as an admitted seat sees them.

    Attributes:
        sends: what their page is asked to send; less than all while their link is weak.
        camera, screen: pictures of it come from them, or would come were their link not weak.
    """

    seat: SeatCode
    label: str
    place: int
    presence: Presence
    muted: bool
    sends: Level = Level.ALL
    camera: bool = False
    screen: bool = False


@dataclass(frozen=True, slots=True)
class PlaceView:
    """All that a patient's page may know.

    Attributes:
        state: a ``SeatState`` word, or ``paused`` (admitted, but no clinician is present), or
            ``asking-device`` (another device holds this seat and was asked).
        others: who is in the room; empty unless this seat is in it with a clinician present.
        device_asks: number of the asking of another device that wants this one's place; 0 while none does.
        store_ok: whether anybody can be let in at the moment.
        receives, sends: what goes over this seat's link in the room; less than all while it is weak.
    """

    seat: SeatCode
    label: str
    place: int
    state: str
    since_ms: int
    reason: str | None
    muted: bool
    agreed: bool
    others: tuple[OtherSeat, ...]
    device_asks: int
    store_ok: bool
    ends_ms: int
    receives: Level = Level.ALL
    sends: Level = Level.ALL
    encryption: Encryption = Encryption.TRANSPORT_ONLY


@dataclass(frozen=True, slots=True)
class RosterSeat:
    """One seat as a host sees it.

    Attributes:
        presence_since_ms: since when it has been connected or away.
        in_room: whether media flows to and from it at this moment.
        new_device: it came from another device than the last time.
        program: not a page is there but a program that publishes.
        unshown: its picture comes in a format that this host's browser does not show.
        link: how well its transport carries; ``None`` while it has none.
        unreached: its page is connected, and for seconds no way for its media was found.
    """

    seat: SeatCode
    label: str
    role: SeatRole
    place: int
    state: str
    since_ms: int
    presence: Presence
    presence_since_ms: int
    in_room: bool
    muted: bool
    agreed: bool
    knocks: int
    new_device: bool
    suite: str | None
    program: bool = False
    unshown: bool = False
    unreached: bool = False
    link: Standing | None = None


@dataclass(frozen=True, slots=True)
class RosterView:
    """All that a host's page knows: every seat, never a name.

    Attributes:
        entered: this host's seat is in the room and one of its pages carries its media.
        media_here: that page is this one.
    """

    me: SeatCode
    entered: bool
    media_here: bool
    open: bool
    clinician_present: bool
    store_ok: bool
    starts_ms: int
    ends_ms: int
    kind: str
    seats: tuple[RosterSeat, ...]
    encryption: Encryption = Encryption.TRANSPORT_ONLY


View = PlaceView | RosterView


@dataclass(frozen=True, slots=True)
class Show:
    """Show the page behind the link its view."""

    link: Link
    view: View


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer one request of a link: done (``code`` is ``None``) or refused with a code."""

    link: Link
    request: int
    code: str | None


@dataclass(frozen=True, slots=True)
class Close:
    """Close the link and tell its page why."""

    link: Link
    code: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Nobody is here any more; the shell may forget the room. The store keeps every seat."""


Effect = Commit | Record | SetGate | OpenPeer | ClosePeer | Show | Reply | Tell | Close | Finished
