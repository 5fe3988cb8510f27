"""The protocol of one signaling connection, apart from its socket.

    ticket redeemed ──▶ greeting ──hello──▶ open ──bye, silence, too many mistakes──▶ closed
                           └──5 s without hello──────────────────────────────────────▶┘

Frames and the time go in; what they mean comes out: events for the room, words for its media, complaints,
pings that are due, and the end. Which message each role may send stands in one table. A mistake is answered
with ``error`` and forgiven four times; a page that keeps on is told ``bye``.

Pure: no socket, clock or task. The second half of the module turns a room's views into messages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from broker.errors import BadInput
from broker.seats import SeatAction, SeatCode, SeatRole
from rooms.bucket import Bucket
from rooms.effects import PlaceView, RosterView, View
from rooms.events import Asked, DeviceAnswered, HostAction, Link
from rooms.groups import GroupEvent
from signaling.codec import decode_message
from signaling.group_wire import event_of
from signaling.messages import (
    Act,
    Answer,
    Checked,
    ClientMessage,
    DeviceAnswer,
    Enter,
    ErrorMessage,
    Hello,
    Knock,
    Leave,
    OpenPair,
    Other,
    Place,
    RestartMedia,
    Resync,
    Roster,
    RosterSeat,
    SayReady,
    SendCommit,
    SendKeyPackage,
    SendSealed,
)

MESSAGES_PER_SECOND: Final = 20.0
BURST: Final = 60.0
RESTARTS_PER_SECOND: Final = 1.0
RESTART_BURST: Final = 5.0
"""Each restart of media may cost a new transport."""
MISTAKES: Final = 5
"""The mistake that ends the connection."""
HELLO_WITHIN: Final = 5.0
"""Seconds for the first message."""
GONE_AFTER: Final = 10.0
"""Seconds of silence after which the connection itself is given up; the seat was noticed long before."""
PING_EVERY: Final = {SeatRole.HOST: 0.5, SeatRole.PATIENT: 1.0}
"""Seconds between pings; a clinician's loss must be known within 2 s."""
LEFT_PAGE: Final = "left-page"
"""The reason on record when somebody left quickly; ``/api/seat-leave`` gives the same."""

WEIGHTY: Final = (SendKeyPackage, SendCommit, Resync, OpenPair)
WEIGHTY_PER_SECOND: Final = 2.0
WEIGHTY_BURST: Final = 20.0
"""What a group's pages send seldom, and what costs its members or us some work."""

_EVERYONE: Final[frozenset[type[ClientMessage]]] = frozenset(
    {Hello, Leave, Answer, RestartMedia, SendKeyPackage, SayReady, SendSealed, Resync}
)
MAY_SEND: Final[dict[SeatRole, frozenset[type[ClientMessage]]]] = {
    SeatRole.PATIENT: _EVERYONE.union((Knock, DeviceAnswer)),
    SeatRole.HOST: _EVERYONE.union((Enter, Act, SendCommit, OpenPair, Checked)),
}
"""Which messages a page may send; everything else is a mistake."""


class State(Enum):
    """Where a connection stands."""

    GREETING = auto()
    OPEN = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Greeted:
    """The page said hello: welcome it and bring it into the room.

    Attributes:
        kept: generation and epoch of the room's group that it has kept.
    """

    media_kept: bool
    kept: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class AnsweredOffer:
    """The page answered the offer of its transport."""

    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RestartAsked:
    """The page wants an ICE restart, or (``fresh``) a new transport."""

    fresh: bool


@dataclass(frozen=True, slots=True)
class Complain:
    """Tell the page that its message was a mistake."""

    error: ErrorMessage


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping is due; the pong is a sign of life."""


@dataclass(frozen=True, slots=True)
class End:
    """Say ``bye`` with this code and close."""

    code: str


Outcome = Greeted | Asked | DeviceAnswered | GroupEvent | AnsweredOffer | RestartAsked | Complain | Ping | End


@dataclass(slots=True)
class Connection:
    """One page's connection, from the redeemed ticket to its end.

    Args:
        link: id of the connection, for the room.
        role: of the seat that the ticket was for.
        opened_at: monotonic seconds.
    """

    link: Link
    role: SeatRole
    opened_at: float
    state: State = field(default=State.GREETING, init=False)
    _heard_at: float = field(init=False)
    _ping_at: float = field(init=False)
    _messages: Bucket = field(init=False)
    _restarts: Bucket = field(init=False)
    _weighty: Bucket = field(init=False)
    _mistakes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Start the clocks."""
        self._heard_at = self.opened_at
        self._messages = Bucket(MESSAGES_PER_SECOND, BURST, self.opened_at)
        self._restarts = Bucket(RESTARTS_PER_SECOND, RESTART_BURST, self.opened_at)
        self._weighty = Bucket(WEIGHTY_PER_SECOND, WEIGHTY_BURST, self.opened_at)
        self._ping_at = self.opened_at + PING_EVERY[self.role]

    @property
    def deadline(self) -> float | None:
        """When to call ``tick``, monotonic seconds; ``None`` once closed."""
        match self.state:
            case State.GREETING:
                return self.opened_at + HELLO_WITHIN
            case State.OPEN:
                return min(self._ping_at, self._heard_at + GONE_AFTER)
            case State.CLOSED:
                return None

    def receive(self, frame: str | bytes, now: float) -> list[Outcome]:
        """Take one frame.

        Args:
            frame: a text frame, or a binary one, which is always a mistake.
            now: monotonic seconds.

        Returns:
            What it means, in order; nothing once closed.
        """
        if self.state is State.CLOSED:
            return []
        self._heard_at = now
        if not self._messages.take(now):
            return self._mistake("too-fast", "Send at most 20 messages in a second.")
        if isinstance(frame, bytes):
            return self._mistake("bad-message", "Send JSON in text frames.")
        try:
            message = decode_message(frame)
        except BadInput as error:
            return self._mistake("bad-message", error.text)
        if type(message) not in MAY_SEND[self.role]:
            return self._mistake("not-allowed", "This seat cannot send that.")
        if isinstance(message, Hello) is not (self.state is State.GREETING):
            return self._mistake("bad-message", "Say hello first, and once.")
        if isinstance(message, RestartMedia) and not self._restarts.take(now):
            return self._mistake("too-fast", "Wait a second before restarting media again.")
        if isinstance(message, WEIGHTY) and not self._weighty.take(now):
            return self._mistake("too-fast", "Send at most two key messages in a second.")
        try:
            return [self._meaning(message)]
        except BadInput as error:
            return self._mistake("bad-message", error.text)

    def pong(self, now: float) -> list[Outcome]:
        """A pong or a ping came: the page lives. They count like messages, since each costs as much."""
        if self.state is State.CLOSED:
            return []
        self._heard_at = now
        if not self._messages.take(now):
            return self._mistake("too-fast", "Send at most 20 messages in a second.")
        return []

    def tick(self, now: float) -> list[Outcome]:
        """The deadline has come, or something else; nothing happens before it is due."""
        if self.state is State.GREETING and now >= self.opened_at + HELLO_WITHIN:
            return self._end("too-slow")
        if self.state is not State.OPEN:
            return []
        if now >= self._heard_at + GONE_AFTER:
            return self._end("gone")
        if now >= self._ping_at:
            self._ping_at = now + PING_EVERY[self.role]
            return [Ping()]
        return []

    def closed(self) -> None:
        """The connection was closed from elsewhere: by the room, or by the page."""
        self.state = State.CLOSED

    def _meaning(self, message: ClientMessage) -> Outcome:
        match message:
            case Hello(media_kept, generation, epoch):
                self.state = State.OPEN
                kept = None if generation is None or epoch is None else (generation, epoch)
                return Greeted(media_kept, kept)
            case Knock(number):
                return Asked(self.link, number, SeatAction.KNOCK)
            case Enter(number):
                return Asked(self.link, number, SeatAction.ENTER)
            case Leave(number, quickly):
                return Asked(self.link, number, SeatAction.LEAVE, reason=LEFT_PAGE if quickly else None)
            case Act(number, action, seats, reason):
                named = tuple(SeatCode(seat) for seat in seats)
                wanted = HostAction(action) if action in _HOST_ACTIONS else SeatAction(action)
                return Asked(self.link, number, wanted, named, reason)
            case Answer(sdp):
                return AnsweredOffer(sdp)
            case RestartMedia(fresh):
                return RestartAsked(fresh)
            case DeviceAnswer(allow, asking):
                return DeviceAnswered(self.link, allow, asking)
            case _:
                return event_of(self.link, message)

    def _mistake(self, code: str, text: str) -> list[Outcome]:
        self._mistakes += 1
        complaint = Complain(ErrorMessage(code, text))
        if self._mistakes < MISTAKES:
            return [complaint]
        return [complaint, *self._end(code)]

    def _end(self, code: str) -> list[Outcome]:
        self.state = State.CLOSED
        return [End(code)]


_HOST_ACTIONS: Final = frozenset(HostAction)


# ---- what a room shows, as messages ----------------------------------------------------------------------


def slot_of(place: int, own: int) -> int:
    """Which of a page's receiving slots carries another seat.

    Args:
        place: the other seat's position in the roster.
        own: the page's own position.
    """
    return place if place < own else place - 1


def message_of(view: View) -> Place | Roster:
    """The message that shows a page its view."""
    return _place(view) if isinstance(view, PlaceView) else _roster(view)


def _place(view: PlaceView) -> Place:
    return Place(
        seat=view.seat,
        label=view.label,
        state=view.state,
        since=view.since_ms,
        reason=view.reason,
        muted=view.muted,
        agreed=view.agreed,
        others=tuple(
            Other(
                other.seat,
                other.label,
                slot_of(other.place, view.place),
                other.presence.value,
                other.muted,
                other.sends.value,
                other.camera,
                other.screen,
            )
            for other in view.others
        ),
        device_asks=view.device_asks,
        store_ok=view.store_ok,
        ends=view.ends_ms,
        receives=view.receives.value,
        sends=view.sends.value,
        encryption=view.encryption.value,
    )


def _roster(view: RosterView) -> Roster:
    own = next(seat.place for seat in view.seats if seat.seat == view.me)
    return Roster(
        me=view.me,
        entered=view.entered,
        media_here=view.media_here,
        open=view.open,
        clinician_present=view.clinician_present,
        store_ok=view.store_ok,
        starts=view.starts_ms,
        ends=view.ends_ms,
        kind="couple" if view.kind == "couple" else "individual",
        encryption=view.encryption.value,
        seats=tuple(
            RosterSeat(
                seat=seat.seat,
                label=seat.label,
                role=seat.role.value,
                slot=None if seat.seat == view.me else slot_of(seat.place, own),
                state=seat.state,
                since=seat.since_ms,
                presence=seat.presence.value,
                presence_since=seat.presence_since_ms,
                in_room=seat.in_room,
                muted=seat.muted,
                agreed=seat.agreed,
                knocks=seat.knocks,
                new_device=seat.new_device,
                program=seat.program,
                unshown=seat.unshown,
                unreached=seat.unreached,
                suite=seat.suite,
                quality=None if seat.link is None else seat.link.grade.value,
                path=None if seat.link is None else seat.link.path,
                receives="all" if seat.link is None else seat.link.receives.value,
                sends="all" if seat.link is None else seat.link.sends.value,
                camera=seat.in_room and seat.link is not None and seat.link.camera,
                screen=seat.in_room and seat.link is not None and seat.link.screen,
            )
            for seat in view.seats
        ),
    )
