"""One MLS group as its delivery service sees it: who is in the tree, whose page follows, which epoch stands.

    asked ──key package──▶ kept ──may join──▶ told to the committer ──commit──▶ follows
      ▲                                                                           │
      └──────── its page is new, its keys are lost, or it was taken out ◀─────────┘

Exactly one commit leads on from each epoch, and only the committer's. Whoever may not stay stops following at
once and gets nothing more, long before the committer has removed it from the tree. What a page missed while
its connection was gone is told again if it is one commit; else the page is put in anew.

Pure, like everything it is made of. What it checks keeps order; what keeps the group's secrets is checked by
the pages themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.errors import BadInput
from broker.seats import SeatCode
from rooms.events import Link
from rooms.groups import (
    ROOM,
    AddThis,
    ComeIn,
    CommitSent,
    CommitVoid,
    DropThese,
    EpochStands,
    IsReady,
    JoinGroup,
    KeyPackageSent,
    NextEpoch,
    SealedFrom,
    SealedSent,
    Tell,
)
from rooms.mls_wire import MAX_COMMIT, MAX_SEALED, ContentType, read_private, read_welcome

UNREADABLE: Final = "bad-group-message"
KEYS_CHANGED: Final = "keys-changed"
"""What was said was for a group or an epoch that stands no more, or from a member that is none any more."""
NOBODY: Final = "nobody-there"
"""No other member's page is there to have it."""

Kept = tuple[str, int]
"""Generation and epoch that a page says it has kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """How a guest of the group stands.

    Attributes:
        link: its page; ``None`` while it has none.
        stays: whether it may be in the group.
        joins: whether it may be added now; only one that stays.
        waits: whether it may prepare to be.
    """

    link: Link | None
    kept: Kept | None
    stays: bool
    joins: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class _Package:
    generation: str
    raw: bytes
    tag: bytes
    reference: bytes


@dataclass(slots=True)
class _Guest:
    """One guest.

    Attributes:
        asked: generation for which its present page was asked for a key package.
        package: what it sent, until a commit used it.
        told: the committer knows that package.
        in_tree: some commit added it and none removed it.
        follows: its page has the present epoch, or the messages that lead to it.
        drop_told: the committer knows that it must go.
    """

    link: Link | None = None
    asked: str | None = None
    package: _Package | None = None
    told: bool = False
    in_tree: bool = False
    follows: bool = False
    drop_told: bool = False

    def forget_keys(self) -> None:
        """Nothing that its page sent or has is of use any more."""
        self.asked, self.package, self.told, self.follows = None, None, False, False


@dataclass(slots=True)
class Group:
    """One group.

    Args:
        name: ``room`` or a seat code.
        generation: 16 hex characters, of this life of the group.

    Attributes:
        committer: the page that commits; ``None`` while it is away or there is none.
        host: the committer's seat.
        epoch: the one that stands.
    """

    meeting: str
    name: str
    generation: str
    committer: Link | None = None
    host: SeatCode | None = None
    epoch: int = 0
    _guests: dict[SeatCode, _Guest] = field(default_factory=dict)
    _last: bytes = b""

    @property
    def group_id(self) -> bytes:
        """The MLS group id."""
        pair = "" if self.name == ROOM else f"/{self.name}"
        return f"{self.meeting}/{self.generation}{pair}".encode()

    @property
    def alone(self) -> bool:
        """Whether nobody but its committer is in the tree."""
        return not any(guest.in_tree for guest in self._guests.values())

    # ---- lives and committers ----------------------------------------------------------------------------

    def renew(self, generation: str) -> None:
        """Begin another life, without a committer. Who stays is asked anew; who waits hears nothing of it."""
        self.generation, self.committer, self.host, self.epoch, self._last = generation, None, None, 0, b""
        for guest in self._guests.values():
            guest.package, guest.told, guest.follows = None, False, False
            guest.in_tree = guest.drop_told = False

    def begin(self, host: SeatCode, committer: Link) -> list[Tell]:
        """Give a new life its committer."""
        self.host, self.committer = host, committer
        self._guests.pop(host, None)
        return [Tell(committer, JoinGroup(self.name, self.generation, commits=True))]

    def goes_on(self, kept: Kept | None) -> bool:
        """Whether the committer can go on with what it has kept; of its last commit it may not know yet."""
        return kept is not None and kept[0] == self.generation and kept[1] in (self.epoch, self.epoch - 1)

    def resume(self, committer: Link) -> list[Tell]:
        """The committer is back on another connection: what it may have missed is told again."""
        self.committer = committer
        for guest in self._guests.values():
            guest.told = guest.drop_told = False
        return [Tell(committer, EpochStands(self.name, self.generation, self.epoch))]

    # ---- guests come and go ------------------------------------------------------------------------------

    def settle(self, places: Mapping[SeatCode, Place]) -> list[Tell]:
        """Bring the group in line with how its guests stand now."""
        effects: list[Tell] = []
        for code, place in places.items():
            guest = self._guests.setdefault(code, _Guest())
            if place.link != guest.link:
                effects += self._page_changed(guest, place)
            if not place.stays and (guest.follows or guest.told):
                guest.forget_keys()
                guest.drop_told = False
            if not place.stays and not place.waits:
                guest.forget_keys()
            effects += self._ask(guest, place)
        return effects + self._tell_committer(places)

    def _page_changed(self, guest: _Guest, place: Place) -> list[Tell]:
        guest.link = place.link
        if place.link is None:
            return []
        if guest.follows and place.stays and place.kept == (self.generation, self.epoch):
            return []
        if guest.follows and place.stays and self._last and place.kept == (self.generation, self.epoch - 1):
            return [Tell(place.link, NextEpoch(self.name, self.generation, self.epoch, self._last))]
        guest.forget_keys()
        return []

    def _ask(self, guest: _Guest, place: Place) -> list[Tell]:
        needed = place.link is not None and not guest.follows and guest.package is None
        # Who waits is asked once: a later generation would tell that a clinician came or reloaded.
        due = guest.asked != self.generation if place.stays else place.waits and guest.asked is None
        if not needed or not due or place.link is None:
            return []
        guest.asked = self.generation
        return [Tell(place.link, JoinGroup(self.name, self.generation, commits=False))]

    def _tell_committer(self, places: Mapping[SeatCode, Place]) -> list[Tell]:
        if self.committer is None:
            return []
        gone, effects = list[SeatCode](), list[Tell]()
        for code, place in places.items():
            guest = self._guests[code]
            if guest.in_tree and not place.stays and not guest.drop_told:
                guest.drop_told = True
                gone.append(code)
            package = guest.package
            if place.joins and package is not None and place.link is not None and not guest.told:
                guest.told, guest.drop_told = True, False
                news = AddThis(self.name, self.generation, code, package.raw, package.tag)
                effects.append(Tell(self.committer, news))
        return [*self._drop(gone), *effects]

    def _drop(self, seats: Iterable[SeatCode]) -> list[Tell]:
        named = tuple(seats)
        if not named or self.committer is None:
            return []
        return [Tell(self.committer, DropThese(self.name, self.generation, named))]

    # ---- what guests send --------------------------------------------------------------------------------

    def awaits_package(self, code: SeatCode, event: KeyPackageSent) -> bool:
        """Whether this seat's page was asked for a key package of this generation and sent none yet."""
        guest = self._guests.get(code)
        return (
            guest is not None
            and guest.link == event.link
            and guest.package is None
            and not guest.follows
            and guest.asked == event.generation == self.generation
        )

    def take_package(self, code: SeatCode, event: KeyPackageSent, reference: bytes) -> None:
        """Keep a key package that was awaited and found good; the next ``settle`` tells of it.

        Args:
            reference: by which a Welcome will name it.
        """
        self._guests[code].package = _Package(event.generation, event.key_package, event.tag, reference)

    def lost(self, code: SeatCode, link: Link) -> None:
        """A guest's page cannot go on with its keys; the next ``settle`` asks it for new ones."""
        guest = self._guests.get(code)
        if guest is not None and guest.link == link:
            guest.forget_keys()

    # ---- commits -----------------------------------------------------------------------------------------

    def take_commit(self, event: CommitSent, places: Mapping[SeatCode, Place]) -> list[Tell] | None:
        """Let a commit count, if it is the first of its epoch and right.

        Args:
            event: from the committer, of this generation.

        Returns:
            What follows from it; ``None`` when it counts for nothing, see ``refuse``.
        """
        if event.epoch != self.epoch or not self._fits(event, places):
            return None
        adds, removes = set(event.adds), set(event.removes)
        self.epoch, self._last = self.epoch + 1, event.commit
        effects = [Tell(event.link, EpochStands(self.name, self.generation, self.epoch))]
        for code in removes:
            guest = self._guests[code]
            if code not in adds:
                guest.in_tree = guest.drop_told = False
                if guest.follows:
                    guest.forget_keys()
        for code, guest in self._guests.items():
            if code in adds:
                guest.forget_keys()
                guest.in_tree = guest.follows = True
                guest.asked = self.generation
                if guest.link is not None and event.welcome is not None:
                    news = ComeIn(self.name, self.generation, self.epoch, event.welcome)
                    effects.append(Tell(guest.link, news))
            elif guest.follows and guest.link is not None:
                step = NextEpoch(self.name, self.generation, self.epoch, event.commit)
                effects.append(Tell(guest.link, step))
        return effects

    def refuse(self, event: CommitSent, places: Mapping[SeatCode, Place]) -> list[Tell]:
        """Tell the committer that its commit is void; whom it may add the next ``settle`` tells it again."""
        named = [code for code in dict.fromkeys(event.adds) if code in self._guests]
        # First whom not to try again, so that the next try is not void too; one that follows is no candidate.
        stray = [c for c in named if not self._candidate(c, places) and not self._guests[c].follows]
        for code in named:
            self._guests[code].told = False
        return [*self._drop(stray), Tell(event.link, CommitVoid(self.name, self.generation, self.epoch))]

    def _fits(self, event: CommitSent, places: Mapping[SeatCode, Place]) -> bool:
        adds, removes = set(event.adds), set(event.removes)
        if len(adds) != len(event.adds) or len(removes) != len(event.removes):
            return False
        in_tree = {code for code, guest in self._guests.items() if guest.in_tree}
        if not removes <= in_tree or not adds & in_tree <= removes:
            return False
        if bool(adds) != (event.welcome is not None) or not all(self._candidate(c, places) for c in adds):
            return False
        try:
            header = read_private(event.commit, MAX_COMMIT)
            welcomed = frozenset[bytes]() if event.welcome is None else read_welcome(event.welcome)
        except BadInput:
            return False
        # The Welcome is for exactly the key packages that were told, of those who are to be added.
        wanted = {package.reference for c in adds if (package := self._guests[c].package) is not None}
        shown = (header.group_id, header.epoch, header.content)
        return shown == (self.group_id, self.epoch, ContentType.COMMIT) and welcomed == wanted

    def _candidate(self, code: SeatCode, places: Mapping[SeatCode, Place]) -> bool:
        guest, place = self._guests.get(code), places.get(code)
        return guest is not None and place is not None and place.joins and guest.told

    # ---- between members ---------------------------------------------------------------------------------

    def follows(self, code: SeatCode, link: Link) -> bool:
        """Whether this page is that of a member, the committer among them."""
        if code == self.host:
            return link == self.committer
        guest = self._guests.get(code)
        return guest is not None and guest.follows and guest.link == link

    def ready(self, code: SeatCode, epoch: int) -> list[Tell]:
        """A member has an epoch: tell the others, if it is the one that stands."""
        if epoch != self.epoch:
            return []
        news = IsReady(self.name, self.generation, epoch, code)
        return [Tell(link, news) for link in self._others(code, None)]

    def sealed(self, code: SeatCode, event: SealedSent, between: Collection[SeatCode]) -> list[Tell] | str:
        """Forward what a page sealed.

        Args:
            between: the seats that may hear each other at this moment.

        Returns:
            Who is told; or the code that says why nobody is.
        """
        try:
            header = read_private(event.message, MAX_SEALED)
        except BadInput:
            return UNREADABLE
        if header.group_id != self.group_id or header.content is not ContentType.APPLICATION:
            return UNREADABLE
        if not self.follows(code, event.link):
            return KEYS_CHANGED
        # Who was added since has not that epoch: the page seals again as soon as it has the one that stands.
        if header.epoch != self.epoch:
            return KEYS_CHANGED
        if code not in between:
            return "clinician-absent"
        news = SealedFrom(self.name, self.generation, code, event.message)
        return [Tell(link, news) for link in self._others(code, between)] or NOBODY

    def _others(self, code: SeatCode, between: Collection[SeatCode] | None) -> list[Link]:
        links = {seat: guest.link for seat, guest in self._guests.items() if guest.follows}
        if self.host is not None:
            links[self.host] = self.committer
        return [
            link
            for seat, link in links.items()
            if seat != code and link is not None and (between is None or seat in between)
        ]
