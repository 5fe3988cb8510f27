"""The delivery service of one room: its encryption groups, who commits, and what each page is told of them.

    the room says how every seat stands ──▶ settle ──▶ who is asked, who may be added, who must go
    a page says something of a group ─────▶ hear ────▶ to the committer, to members, or to nobody

The committer is the media page of the first clinician inside. When that page is gone for good (another one
carries the seat's media, its seat left, or it is away while another clinician is here) a new *generation*
begins with a clinician's page that is inside, and everybody else sends a fresh key package. A key package
waits here until the admission of its seat is durable; the Welcome goes to none but those then inside. Nobody
who waits can tell from it that anybody else is there: the waiting are asked once, at their own knock, and a
*pair* with the committer exists only from when the committer wants to write.

Pure: times, chance and the check of a signature are arguments. The room stays the one truth of who is inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from broker.audit import EventType
from broker.errors import BadInput
from broker.seats import SeatCode, SeatState
from rooms.bucket import Buckets
from rooms.events import Link
from rooms.group import KEYS_CHANGED, NOBODY, UNREADABLE, Group, Kept, Place
from rooms.groups import (
    ROOM,
    Answered,
    CheckEnded,
    CommitSent,
    DropThese,
    GroupEffect,
    GroupEvent,
    KeyPackageSent,
    KeysNoted,
    NotTaken,
    PairAsked,
    ReadySaid,
    ResyncAsked,
    SealedSent,
    Tell,
)
from rooms.mls_wire import Verify, read_key_package
from rooms.seat import Seat

RESYNCS_PER_SECOND: Final = 0.1
RESYNC_BURST: Final = 6.0
"""How often one seat may have its keys made anew; each is work for everybody."""
PAIRS_PER_SECOND: Final = 0.5
PAIR_BURST: Final = 10.0
DIGITS: Final = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Attendee:
    """How a seat stands in its room.

    Attributes:
        label: its name, as everybody reads it.
        link: the page that speaks for it in groups: a patient's page, a clinician's media page.
        kept: what that page said it has kept of the room's group.
        host: a clinician.
        stays: admitted, and nobody is closing it.
        flows: its media flows.
        waits: it holds a place outside the room, or is on hold.
        alive: something of it is heard.
    """

    label: str
    link: Link | None
    kept: Kept | None
    host: bool
    stays: bool
    flows: bool
    waits: bool
    alive: bool


def attendee(seat: Seat, stands: bool, flows: bool) -> Attendee:
    """How a seat stands.

    Args:
        stands: the session is open and nobody is closing the seat.
        flows: its media flows.
    """
    # A clinician's groups are where the media is, so that the keys are where the frames are.
    page = seat.pages.get(seat.media_link or "") if seat.is_host else seat.page
    admitted = seat.state is SeatState.ADMITTED
    return Attendee(
        label=seat.plan.label,
        link=None if page is None else page.link,
        kept=None if page is None else page.kept,
        host=seat.is_host,
        stays=stands and admitted,
        flows=flows,
        waits=stands and seat.placed and not admitted and not seat.is_host,
        alive=seat.alive,
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """How the room's group stands, for those who watch.

    Attributes:
        epoch: the one that stands; ``None`` while there is no committer.
        verified: what the last spoken check said of these very members; ``None`` if there was none.
    """

    epoch: int | None
    verified: bool | None


@dataclass(frozen=True, slots=True)
class _Pair:
    """The committer and a seat that waits.

    Attributes:
        within: generation of the room's group; a new one has another committer.
    """

    group: Group
    within: str


class Delivery:
    """The groups of one room.

    Args:
        meeting: the meeting ID, part of every group id.
        draw: a fresh generation, 16 hex characters by chance.
        verify: checks an Ed25519 signature.
    """

    def __init__(self, meeting: str, draw: Callable[[], str], verify: Verify) -> None:
        self._meeting = meeting
        self._draw = draw
        self._verify = verify
        self._room = Group(meeting, ROOM, draw())
        self._pairs: dict[SeatCode, _Pair] = {}
        self._seats: Mapping[SeatCode, Attendee] = {}
        self._resyncs = Buckets(RESYNCS_PER_SECOND, RESYNC_BURST)
        self._pairings = Buckets(PAIRS_PER_SECOND, PAIR_BURST)
        self._verified: bool | None = None
        self._joined = 0  # the epoch in which somebody came last

    @property
    def keys(self) -> Keys:
        """How the room's group stands."""
        there = self._room.host is not None
        holds = there and not (self._verified and self._room.alone)
        return Keys(self._room.epoch if there else None, self._verified if holds else None)

    # ---- how the seats stand -----------------------------------------------------------------------------

    def settle(self, seats: Mapping[SeatCode, Attendee]) -> list[GroupEffect]:
        """Take over how every seat stands now, and do what follows.

        Args:
            seats: every seat of the session, in roster order.
        """
        self._seats = seats
        return [
            *self._settle_committer(),
            *self._room.settle(self._places(self._room)),
            *self._settle_pairs(),
        ]

    def _settle_committer(self) -> list[GroupEffect]:
        group = self._room
        if group.host is not None:
            seat = self._seats[group.host]
            if seat.stays and seat.link is not None and seat.link == group.committer:
                return []
            if seat.stays and seat.link is not None and group.goes_on(seat.kept):
                return list(group.resume(seat.link))
            others = any(other.host and other.stays and other.link for other in self._seats.values())
            if seat.stays and seat.link is None and (seat.alive or not others):
                group.committer = None  # its connection broke; the page may come back
                return []
            self._renew()
        elif self._room.generation[-1] in self._digits(other_than=self._room.generation):
            self._renew()  # before it has begun
        for code, seat in self._seats.items():
            if seat.host and seat.stays and seat.link is not None:
                noted = KeysNoted(EventType.KEYS_ROTATED, code, "new-group", {"epoch": 0})
                return [*group.begin(code, seat.link), noted]
        return []

    def _renew(self) -> None:
        drawn = self._draw()
        # Pages know frames of two generations apart by the last digit of their names (static/js/key-ring.js).
        taken = self._digits() | {self._room.generation[-1]}
        at = DIGITS.index(drawn[-1])
        free = next(digit for digit in DIGITS[at:] + DIGITS[:at] if digit not in taken)
        self._room.renew(drawn[:-1] + free)
        self._verified, self._joined = None, 0

    def _digits(self, other_than: str = "") -> set[str]:
        """Last digits of the generations that pages have kept, from this worker or from a former one."""
        kept = (seat.kept[0] for seat in self._seats.values() if seat.kept is not None)
        return {generation[-1] for generation in kept if generation != other_than}

    def _settle_pairs(self) -> list[GroupEffect]:
        effects: list[GroupEffect] = []
        for code, pair in list(self._pairs.items()):
            group, committer = pair.group, self._room.committer
            if self._seats[code].waits and pair.within == self._room.generation:
                if committer is None:
                    group.committer = None
                elif group.committer != committer:
                    effects += group.resume(committer)
                effects += group.settle(self._places(group))
                continue
            del self._pairs[code]
            if committer is not None and group.committer == committer:
                effects.append(Tell(committer, DropThese(group.name, group.generation, (code,))))
        return effects

    def _places(self, group: Group) -> dict[SeatCode, Place]:
        """How the guests of a group stand: of the room's all but its host, of a pair the one that waits."""
        if group.name != ROOM:
            code = SeatCode(group.name)
            seat = self._seats[code]
            return {code: Place(seat.link, None, seat.waits, seat.waits, waits=False)}
        return {
            code: Place(seat.link, seat.kept, seat.stays, seat.stays and seat.flows, seat.waits)
            for code, seat in self._seats.items()
            if code != group.host
        }

    # ---- what pages say ----------------------------------------------------------------------------------

    def hear(self, event: GroupEvent, now: float, wall_ms: int) -> list[GroupEffect]:
        """Take what a page says of a group. What does not apply (any more) is nobody's mistake.

        Args:
            event: from a page of this room.
            now: monotonic seconds; never decreases between calls.
            wall_ms: milliseconds since 1970, for the lifetime of key packages.
        """
        code = next((code for code, seat in self._seats.items() if seat.link == event.link), None)
        if isinstance(event, SealedSent):
            return self._forward(code, event)
        if code is None:
            return []
        if isinstance(event, PairAsked):
            return self._open_pair(event, now)
        if isinstance(event, CheckEnded):
            return self._checked(code, event)
        group = self._group(event.group, event.generation)
        if group is None:
            return []
        match event:
            case KeyPackageSent():
                return self._take_package(group, code, event, wall_ms)
            case CommitSent():
                return self._take_commit(group, code, event)
            case ReadySaid():
                return list(group.ready(code, event.epoch)) if group.follows(code, event.link) else []
            case ResyncAsked():
                return self._resync(group, code, event, now)
            case _:
                assert_never(event)

    def _take_package(
        self, group: Group, code: SeatCode, event: KeyPackageSent, wall_ms: int
    ) -> list[GroupEffect]:
        if not group.awaits_package(code, event):
            return []
        try:
            package = read_key_package(event.key_package, wall_ms / 1000, self._verify)
        except BadInput:
            return [Tell(event.link, NotTaken(UNREADABLE))]
        # A name is read by everybody from here, and shown instead of ours: it must be the one it has.
        if (package.pid, package.name, package.role) != (code, self._seats[code].label, "guest"):
            return [Tell(event.link, NotTaken(UNREADABLE))]
        group.take_package(code, event, package.reference)
        return []

    def _take_commit(self, group: Group, code: SeatCode, event: CommitSent) -> list[GroupEffect]:
        if event.link != group.committer:
            return [Tell(event.link, NotTaken("not-allowed"))]
        places = self._places(group)
        effects = group.take_commit(event, places)
        if effects is None:
            return list(group.refuse(event, places))
        if group is not self._room:
            return list(effects)
        if event.adds:
            # Who leaves takes nothing from what the others have checked. That pictures differed stays true.
            self._verified = False if self._verified is False else None
            self._joined = group.epoch
        reason = {
            (False, False): "renewed",
            (True, False): "joined",
            (False, True): "left",
            (True, True): "changed",
        }[bool(event.adds), bool(event.removes)]
        return [*effects, KeysNoted(EventType.KEYS_ROTATED, code, reason, {"epoch": group.epoch})]

    def _group(self, name: str, generation: str) -> Group | None:
        """The group of that name, if that is its present life."""
        pair = self._pairs.get(SeatCode(name))
        group = self._room if name == ROOM else None if pair is None else pair.group
        return group if group is not None and group.generation == generation else None

    def _forward(self, code: SeatCode | None, event: SealedSent) -> list[GroupEffect]:
        """Forward what a member sealed; say what became of it, since nobody may take it for sent in vain."""
        group = self._group(event.group, event.generation)
        told: list[Tell] | str = KEYS_CHANGED
        if group is not None and code is not None:
            flowing = [seat for seat, of in self._seats.items() if of.flows]
            told = group.sealed(code, event, flowing if group is self._room else list(self._seats))
        if isinstance(told, str):
            if event.request is not None:
                return [Answered(event.link, event.request, told)]
            return [] if told in (KEYS_CHANGED, NOBODY) else [Tell(event.link, NotTaken(told))]
        return list(told) if event.request is None else [*told, Answered(event.link, event.request, None)]

    def _resync(self, group: Group, code: SeatCode, event: ResyncAsked, now: float) -> list[GroupEffect]:
        if not self._resyncs.take(code, now):
            return [Tell(event.link, NotTaken("too-fast"))]
        if code == group.host and event.link != group.committer:
            return []
        if code != group.host:
            group.lost(code, event.link)
        elif group is self._room:
            self._renew()
        else:
            return self._begin_pair(SeatCode(group.name), code, event.link)
        return []

    def _open_pair(self, event: PairAsked, now: float) -> list[GroupEffect]:
        seat = self._seats.get(event.seat)
        if event.link != self._room.committer or self._room.host is None:
            return [Tell(event.link, NotTaken("not-allowed"))]
        if seat is None or not seat.waits or seat.link is None or seat.host:
            return [Tell(event.link, NotTaken("no-seat"))]
        if not self._pairings.take(event.seat, now):
            return [Tell(event.link, NotTaken("too-fast"))]
        return self._begin_pair(event.seat, self._room.host, event.link)

    def _begin_pair(self, guest: SeatCode, host: SeatCode, committer: Link) -> list[GroupEffect]:
        group = Group(self._meeting, guest, self._draw())
        self._pairs[guest] = _Pair(group, self._room.generation)
        return list(group.begin(host, committer))

    def _checked(self, code: SeatCode, event: CheckEnded) -> list[GroupEffect]:
        room = self._room
        known = event.link == room.committer and event.generation == room.generation
        # Somebody may have left, or the keys been renewed, while it was on its way.
        if not known or not self._joined <= event.epoch <= room.epoch or event.verified == self._verified:
            return []
        self._verified = event.verified
        detail: dict[str, str | int | bool] = {"epoch": event.epoch, "verified": event.verified}
        return [KeysNoted(EventType.KEYS_CHECKED, code, None, detail)]
