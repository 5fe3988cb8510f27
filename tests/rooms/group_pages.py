"""Pages of an end-to-end encrypted visit, as far as the server can tell: they answer what they are told.

A page that is asked to join sends a key package. The committer collects whom to add and to drop; ``commits``
makes it commit. What pages are told is kept by link.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Self

from broker.sealing import is_signed
from broker.seats import PLANS, SeatAction, SeatCode, SeatState
from rooms.delivery import Delivery
from rooms.events import Event
from rooms.groups import (
    ROOM,
    AddThis,
    CommitSent,
    CommitVoid,
    DropThese,
    EpochStands,
    GroupNews,
    JoinGroup,
    KeyPackageSent,
    NotTaken,
    SealedSent,
)
from rooms.mls_wire import ContentType, read_key_package
from tests.rooms.playbook import START_MS, Play, T
from tests.support import mls

MEETING = "abc-defg-hjk"
TAG = b"t" * 32


@dataclass
class Candidate:
    """Whom the committer was told to add."""

    key_package: bytes
    reference: bytes


@dataclass
class Committer:
    """What the committer of one generation of a group knows."""

    group: str
    generation: str
    epoch: int = 0
    candidates: dict[SeatCode, Candidate] = field(default_factory=dict)
    members: set[SeatCode] = field(default_factory=set)
    dropped: set[SeatCode] = field(default_factory=set)
    pending: CommitSent | None = None

    @property
    def group_id(self) -> str:
        pair = "" if self.group == ROOM else f"/{self.group}"
        return f"{MEETING}/{self.generation}{pair}"


class Visit(Play):
    """A playbook whose pages are in groups.

    Attributes:
        told: everything that each link was told of groups, in order.
        committers: by link and group.
        answering: whether pages answer ``JoinGroup`` by themselves.
        owner: the seat of each link.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        generations = (f"{n:016x}" for n in count(1))
        super().__init__(*args, delivery=Delivery(MEETING, lambda: next(generations), is_signed), **more)
        self.told: dict[str, list[GroupNews]] = defaultdict(list)
        self.committers: dict[tuple[str, str], Committer] = {}
        self.answering = True
        self.owner: dict[str, SeatCode] = {}
        self._packages = count()
        self._asked: list[tuple[str, JoinGroup]] = []

    def opens(self, seat: SeatCode, link: str | None = None, *args: Any, **more: Any) -> Self:
        self.owner[link or seat.lower()] = seat
        return super().opens(seat, link, *args, **more)

    def __rshift__(self, event: Event) -> Self:
        super().__rshift__(event)
        while self.answering and self._asked:
            link, asked = self._asked.pop(0)
            self._take(self.package_for(link, asked.group, asked.generation))
        return self

    def tell(self, link: str, news: GroupNews) -> None:
        self.told[link].append(news)
        if isinstance(news, JoinGroup):
            if news.commits:
                self.committers[link, news.group] = Committer(news.group, news.generation)
            else:
                self._asked.append((link, news))
        elif not isinstance(news, NotTaken) and (link, news.group) in self.committers:
            committer = self.committers[link, news.group]
            if committer.generation == news.generation:
                self._committer_told(committer, news)

    def _committer_told(self, committer: Committer, news: GroupNews) -> None:
        match news:
            case AddThis(_, _, seat, package, _):
                reference = read_key_package(package, START_MS / 1000, is_signed).reference
                committer.candidates[seat] = Candidate(package, reference)
                committer.dropped.discard(seat)
            case DropThese(_, _, seats):
                for seat in seats:
                    committer.candidates.pop(seat, None)
                    committer.dropped.add(seat)
            case EpochStands(_, _, epoch):
                self._stands(committer, epoch)
            case CommitVoid():
                for seat in () if committer.pending is None else committer.pending.adds:
                    committer.candidates.pop(seat, None)
                committer.pending = None
            case _:
                pass

    @staticmethod
    def _stands(committer: Committer, epoch: int) -> None:
        if committer.pending is not None and epoch == committer.epoch + 1:
            committer.members -= set(committer.pending.removes)
            committer.dropped -= set(committer.pending.removes)
            committer.members |= set(committer.pending.adds)
            for seat in committer.pending.adds:
                committer.candidates.pop(seat, None)
            committer.epoch = epoch
        committer.pending = None

    # ---- what pages do -----------------------------------------------------------------------------------

    def package_for(self, link: str, group: str, generation: str, **forged: Any) -> KeyPackageSent:
        """A page's answer to ``JoinGroup``."""
        plan = PLANS[self.owner[link]]
        who: dict[str, Any] = {"pid": plan.code, "name": plan.label, "number": next(self._packages) % 256}
        return KeyPackageSent(link, group, generation, mls.key_package(**(who | forged)), TAG)

    def commit_of(self, link: str = "t", group: str = ROOM, **other: Any) -> CommitSent:
        """The commit that the committer would send now: all candidates in, all who must go out."""
        me = self.committers[link, group]
        adds = tuple(me.candidates)
        removes = tuple(sorted(me.dropped & me.members | set(adds) & me.members))
        fields: dict[str, Any] = {
            "link": link,
            "group": group,
            "generation": me.generation,
            "epoch": me.epoch,
            "commit": mls.private_message(me.group_id, me.epoch, ContentType.COMMIT),
            "welcome": mls.welcome(*(me.candidates[s].reference for s in adds)) if adds else None,
            "adds": adds,
            "removes": removes,
        }
        return CommitSent(**(fields | other))

    def commits(self, link: str = "t", group: str = ROOM, **other: Any) -> Self:
        """The committer commits."""
        commit = self.commit_of(link, group, **other)
        self.committers[link, group].pending = commit
        return self >> commit

    def seals(self, link: str, group: str = ROOM, text: bytes = b"hello", **other: Any) -> Self:
        """A page sends a sealed message in the generation and epoch that it was told last."""
        generation, epoch = self.knows(link, group)
        pair = "" if group == ROOM else f"/{group}"
        message = mls.private_message(f"{MEETING}/{generation}{pair}", epoch, ContentType.APPLICATION, text)
        fields: dict[str, Any] = {
            "link": link,
            "group": group,
            "generation": generation,
            "message": message,
        }
        return self >> SealedSent(**(fields | other))

    def knows(self, link: str, group: str = ROOM) -> tuple[str, int]:
        """The generation that a page was told last, and the last epoch of it."""
        generation, epoch = "0" * 16, 0
        for news in self.told[link]:
            if isinstance(news, JoinGroup) and news.group == group:
                generation, epoch = news.generation, 0
            elif not isinstance(news, NotTaken) and news.group == group:
                epoch = getattr(news, "epoch", epoch)
        return generation, epoch

    def last(self, link: str) -> GroupNews:
        """What a page was told last."""
        return self.told[link][-1]

    def heard(self, link: str, kind: type[Any]) -> list[Any]:
        """Everything of one kind that a page was told."""
        return [news for news in self.told[link] if isinstance(news, kind)]


def waiting_visit() -> Visit:
    """A couple waits; their therapist is inside and has made the group."""
    visit = Visit()
    visit.opens(T).asks("t", SeatAction.ENTER).media(T)
    for code in (SeatCode("A"), SeatCode("B")):
        visit.opens(code).asks(code.lower(), SeatAction.KNOCK).media(code)
    return visit


def live_visit() -> Visit:
    """Everybody is in the room and in the group, at epoch 1."""
    visit = waiting_visit()
    visit.asks("t", SeatAction.ADMIT, SeatCode("A"), SeatCode("B")).commits()
    assert {visit.truth[SeatCode(c)] for c in "AB"} == {SeatState.ADMITTED}
    return visit
