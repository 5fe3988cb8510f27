"""What can happen to a room. Events are past tense; ``effects`` are the orders that follow.

A *link* is one signaling connection of one browser page; a *device* is one credential session (a page that
reloads keeps its device, a second phone is another device). Both are opaque short strings here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from broker.seats import SeatAction, SeatCode, SeatState
from rooms.groups import GroupEvent
from rooms.quality import Standing

Link = str
Device = str


class HostAction(StrEnum):
    """What a host may ask for besides the moves of ``SeatAction``."""

    MUTE = "mute"
    UNMUTE = "unmute"
    END = "end"


class RoomAction(StrEnum):
    """What a room makes durable by itself."""

    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Connected:
    """A page of this seat opened its signaling connection.

    Attributes:
        actor: who is behind the page, as the audit stream names it (``seat:A`` or ``staff:…``).
        media_kept: the page still has the transport it had before; no new offer is needed if it lives.
        ingest: not a page but a program, which showed no password.
        kept: generation and epoch of the room's group that the page says it has kept.
        tls: how its signaling connection is encrypted, empty where that is not known here.
    """

    seat: SeatCode
    link: Link
    device: Device
    actor: str
    media_kept: bool = False
    ingest: bool = False
    kept: tuple[str, int] | None = None
    tls: str = ""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """That signaling connection is gone."""

    link: Link


@dataclass(frozen=True, slots=True)
class FellSilent:
    """Nothing at all was heard from the seat, on any path, for longer than its patience."""

    seat: SeatCode


@dataclass(frozen=True, slots=True)
class HeardAgain:
    """A silent seat was heard again."""

    seat: SeatCode


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """The seat's transport came up (``suite`` names its SRTP profile) or went down (``None``)."""

    seat: SeatCode
    suite: str | None


@dataclass(frozen=True, slots=True)
class LinkJudged:
    """How well the seat's transport carries, in words; ``None``: it has none. Comes seldom: it is damped."""

    seat: SeatCode
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The page behind ``link`` asked: for itself (knock, leave, enter) or, as a host, for others."""

    link: Link
    request: int
    action: SeatAction | HostAction
    seats: tuple[SeatCode, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceAnswered:
    """The first device of a seat answered whether a second one may take its place.

    Attributes:
        asking: number of the asking that was answered; another device may have asked since.
    """

    link: Link
    yielded: bool
    asking: int


@dataclass(frozen=True, slots=True)
class SignedOut:
    """The sign-in of a clinician has ended: nothing that it opened may stay, neither pages nor media."""

    seat: SeatCode
    device: Device


@dataclass(frozen=True, slots=True)
class Committed:
    """The store made the change and its audit event durable.

    Attributes:
        commit: the number that the ``Commit`` effect carried.
        states: the state of every seat it named, as the store has it now.
        already: nothing was written because it was so already.
        at_ms: store time, milliseconds since the epoch.
    """

    commit: int
    states: dict[SeatCode, SeatState]
    already: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class CommitRefused:
    """The store refused (``code`` says why) or could not be reached (``audit-unavailable``)."""

    commit: int
    code: str


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Whether the store can make events durable at the moment."""

    ok: bool


@dataclass(frozen=True, slots=True)
class FormerEnded:
    """The worker that ran this room before us forwards nothing any more."""


@dataclass(frozen=True, slots=True)
class SeatReloaded:
    """A seat as the store has it, after somebody else (another node, the command line) changed it.

    Attributes:
        device: to whom its place belongs; told to a new room, which then knows better than the store.
    """

    seat: SeatCode
    state: SeatState
    muted: bool
    agreed: bool
    since_ms: int
    knocks: int
    device: Device | None = None


@dataclass(frozen=True, slots=True)
class SessionReloaded:
    """The session as the store has it now: somebody else changed or ended it."""

    open: bool
    seats: tuple[SeatReloaded, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """The room's deadline has come."""


Event = (
    Connected
    | Disconnected
    | FellSilent
    | HeardAgain
    | MediaChanged
    | LinkJudged
    | Asked
    | DeviceAnswered
    | SignedOut
    | Committed
    | CommitRefused
    | StoreHealth
    | FormerEnded
    | SessionReloaded
    | GroupEvent
    | Tick
)
