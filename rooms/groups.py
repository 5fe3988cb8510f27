"""What pages say about their encryption groups, and what they are told: the words of the delivery service.

A *group* has a name: ``room``, or for the pair of the committer and one seat that waits, that seat's code. A
*generation* is one life of a group, an *epoch* one state of its keys. The bytes are what the pages made
(RFC 9420); nobody here can read more of them than ``rooms.mls_wire`` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.audit import EventType
from broker.seats import SeatCode

if TYPE_CHECKING:
    from rooms.events import Link

ROOM = "room"
"""The name of the room's own group."""


# ---- said by pages ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyPackageSent:
    """A page that was asked to join sent a key package, and its tag (32 bytes) for the committer."""

    link: Link
    group: str
    generation: str
    key_package: bytes = field(repr=False)
    tag: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CommitSent:
    """The committer wants to lead the group from ``epoch`` to the next one."""

    link: Link
    group: str
    generation: str
    epoch: int
    commit: bytes = field(repr=False)
    welcome: bytes | None = field(repr=False)
    adds: tuple[SeatCode, ...]
    removes: tuple[SeatCode, ...]


@dataclass(frozen=True, slots=True)
class ReadySaid:
    """A member has the keys of this epoch."""

    link: Link
    group: str
    generation: str
    epoch: int


@dataclass(frozen=True, slots=True)
class SealedSent:
    """A member wants the others to have a message.

    Attributes:
        request: the number under which it wants to hear what became of it.
    """

    link: Link
    group: str
    generation: str
    message: bytes = field(repr=False)
    request: int | None = None


@dataclass(frozen=True, slots=True)
class ResyncAsked:
    """A member cannot go on with the state that it has."""

    link: Link
    group: str
    generation: str


@dataclass(frozen=True, slots=True)
class PairAsked:
    """The committer wants to write to a seat that waits."""

    link: Link
    seat: SeatCode


@dataclass(frozen=True, slots=True)
class CheckEnded:
    """The people of the room compared their keys aloud, and say what came of it."""

    link: Link
    generation: str
    epoch: int
    verified: bool


GroupEvent = KeyPackageSent | CommitSent | ReadySaid | SealedSent | ResyncAsked | PairAsked | CheckEnded


# ---- told to pages ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JoinGroup:
    """Make this group (``commits``), or send a key package for it."""

    group: str
    generation: str
    commits: bool


@dataclass(frozen=True, slots=True)
class AddThis:
    """To the committer: this seat may be added."""

    group: str
    generation: str
    seat: SeatCode
    key_package: bytes = field(repr=False)
    tag: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DropThese:
    """To the committer: these are not to be in the group any more."""

    group: str
    generation: str
    seats: tuple[SeatCode, ...]


@dataclass(frozen=True, slots=True)
class EpochStands:
    """To the committer: this epoch stands; what it committed led to it, unless it was another commit."""

    group: str
    generation: str
    epoch: int


@dataclass(frozen=True, slots=True)
class CommitVoid:
    """To the committer: its commit counts for nothing; ``epoch`` still stands.

    Whom it named to be added is told anew, if it still may be.
    """

    group: str
    generation: str
    epoch: int


@dataclass(frozen=True, slots=True)
class NextEpoch:
    """To a member: the commit that leads to ``epoch``."""

    group: str
    generation: str
    epoch: int
    commit: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ComeIn:
    """To one who was added: the Welcome into ``epoch``."""

    group: str
    generation: str
    epoch: int
    welcome: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IsReady:
    """To the other members: the seat has the keys of this epoch."""

    group: str
    generation: str
    epoch: int
    seat: SeatCode


@dataclass(frozen=True, slots=True)
class SealedFrom:
    """To the other members: what this seat sealed for them."""

    group: str
    generation: str
    seat: SeatCode
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NotTaken:
    """To whoever sent what could not be taken; the code says why."""

    code: str


GroupNews = (
    JoinGroup
    | AddThis
    | DropThese
    | EpochStands
    | CommitVoid
    | NextEpoch
    | ComeIn
    | IsReady
    | SealedFrom
    | NotTaken
)


# ---- what follows from them ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the page behind the link."""

    link: Link
    news: GroupNews


@dataclass(frozen=True, slots=True)
class Answered:
    """Answer one request of a link: done (``code`` is ``None``) or refused with a code."""

    link: Link
    request: int
    code: str | None


@dataclass(frozen=True, slots=True)
class KeysNoted:
    """For the audit stream: keys were made anew, or compared."""

    event: EventType
    seat: SeatCode
    reason: str | None
    detail: dict[str, str | int | bool]


GroupEffect = Tell | Answered | KeysNoted
