"""Encryption groups on the wire: between the messages of ``signaling.messages`` and the words of the rooms.

Opaque bytes are base64url without padding (RFC 4648 §5), in the one spelling that each has. Pure.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import assert_never

from broker.errors import BadInput
from broker.seats import SeatCode
from rooms.events import Link
from rooms.groups import (
    AddThis,
    CheckEnded,
    ComeIn,
    CommitSent,
    CommitVoid,
    DropThese,
    EpochStands,
    GroupEvent,
    GroupNews,
    IsReady,
    JoinGroup,
    KeyPackageSent,
    NextEpoch,
    NotTaken,
    PairAsked,
    ReadySaid,
    ResyncAsked,
    SealedFrom,
    SealedSent,
)
from signaling.messages import (
    Accepted,
    Candidate,
    Checked,
    CommitDiscarded,
    Drop,
    ErrorMessage,
    Group,
    GroupCommit,
    GroupTold,
    GroupWelcome,
    MemberReady,
    OpenPair,
    Resync,
    SayReady,
    Sealed,
    SendCommit,
    SendKeyPackage,
    SendSealed,
)
from signaling.problems import text_of

GroupSaid = SendKeyPackage | SendCommit | SayReady | SendSealed | Resync | OpenPair | Checked


def event_of(link: Link, message: GroupSaid) -> GroupEvent:
    """What a page's message says to its room.

    Raises:
        BadInput: ``bad-message``: bytes that are not base64url.
    """
    match message:
        case SendKeyPackage(group, generation, package, tag):
            return KeyPackageSent(link, group, generation, from_text(package), from_text(tag))
        case SendCommit():
            return CommitSent(
                link,
                message.group,
                message.generation,
                message.epoch,
                from_text(message.commit),
                None if message.welcome is None else from_text(message.welcome),
                tuple(SeatCode(seat) for seat in message.adds),
                tuple(SeatCode(seat) for seat in message.removes),
            )
        case SayReady(group, generation, epoch):
            return ReadySaid(link, group, generation, epoch)
        case SendSealed(group, generation, sealed, number):
            return SealedSent(link, group, generation, from_text(sealed), number)
        case Resync(group, generation):
            return ResyncAsked(link, group, generation)
        case OpenPair(seat):
            return PairAsked(link, SeatCode(seat))
        case Checked(generation, epoch, verified):
            return CheckEnded(link, generation, epoch, verified)
        case _:
            assert_never(message)


def message_of_news(news: GroupNews) -> GroupTold | ErrorMessage:
    """The message that tells a page of a group."""
    match news:
        case JoinGroup(group, generation, commits):
            return Group(group, generation, "host" if commits else "guest")
        case AddThis(group, generation, seat, package, tag):
            return Candidate(group, generation, seat, to_text(package), to_text(tag))
        case DropThese(group, generation, seats):
            return Drop(group, generation, seats)
        case EpochStands(group, generation, epoch):
            return Accepted(group, generation, epoch)
        case CommitVoid(group, generation, epoch):
            return CommitDiscarded(group, generation, epoch)
        case NextEpoch(group, generation, epoch, commit):
            return GroupCommit(group, generation, epoch, to_text(commit))
        case ComeIn(group, generation, epoch, welcome):
            return GroupWelcome(group, generation, epoch, to_text(welcome))
        case IsReady(group, generation, epoch, seat):
            return MemberReady(group, generation, epoch, seat)
        case SealedFrom(group, generation, seat, sealed):
            return Sealed(group, generation, seat, to_text(sealed))
        case NotTaken(code):
            return ErrorMessage(code, text_of(code).detail)
        case _:
            assert_never(news)


def to_text(raw: bytes) -> str:
    """Bytes as the wire has them."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    """The bytes of base64url without padding.

    Raises:
        BadInput: ``bad-message``: not that, or not in the one spelling of these bytes.
    """
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise BadInput("bad-message", "Bytes are written in base64url without padding.") from None
    if to_text(raw) != text:
        raise BadInput("bad-message", "Bytes are written in base64url without padding.")
    return raw
