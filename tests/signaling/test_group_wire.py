"""Groups on the wire: every word of the rooms has its message, and bytes have one spelling."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.seats import SeatCode
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
from signaling import messages
from signaling.codec import decode_message, encode
from signaling.group_wire import GroupSaid, event_of, from_text, message_of_news, to_text

A = SeatCode("A")
G = "0123456789abcdef"

SAID: list[tuple[GroupSaid, GroupEvent]] = [
    (
        messages.SendKeyPackage("room", G, "AAAA", "A" * 43),
        KeyPackageSent("l", "room", G, bytes(3), bytes(32)),
    ),
    (
        messages.SendCommit("room", G, 1, "AQ", "Ag", ("A",), ()),
        CommitSent("l", "room", G, 1, b"\1", b"\2", (A,), ()),
    ),
    (
        messages.SendCommit("room", G, 1, "AQ", None, (), ("A",)),
        CommitSent("l", "room", G, 1, b"\1", None, (), (A,)),
    ),
    (messages.SayReady("A", G, 2), ReadySaid("l", "A", G, 2)),
    (messages.SendSealed("room", G, "Aw"), SealedSent("l", "room", G, b"\3")),
    (messages.Resync("room", G), ResyncAsked("l", "room", G)),
    (messages.OpenPair("A"), PairAsked("l", A)),
    (messages.Checked(G, 3, True), CheckEnded("l", G, 3, verified=True)),
]
TOLD: list[tuple[GroupNews, messages.GroupTold]] = [
    (JoinGroup("room", G, commits=True), messages.Group("room", G, "host")),
    (JoinGroup("A", G, commits=False), messages.Group("A", G, "guest")),
    (AddThis("room", G, A, b"\1", b"\2"), messages.Candidate("room", G, "A", "AQ", "Ag")),
    (DropThese("room", G, (A,)), messages.Drop("room", G, ("A",))),
    (EpochStands("room", G, 1), messages.Accepted("room", G, 1)),
    (CommitVoid("room", G, 1), messages.CommitDiscarded("room", G, 1)),
    (NextEpoch("room", G, 2, b"\1"), messages.GroupCommit("room", G, 2, "AQ")),
    (ComeIn("room", G, 2, b"\1"), messages.GroupWelcome("room", G, 2, "AQ")),
    (IsReady("room", G, 2, A), messages.MemberReady("room", G, 2, "A")),
    (SealedFrom("room", G, A, b"\1"), messages.Sealed("room", G, "A", "AQ")),
]


@pytest.mark.parametrize(("message", "event"), SAID)
def test_what_a_page_says_reaches_its_room(message: GroupSaid, event: GroupEvent) -> None:
    read = decode_message(encode(message))
    assert read == message
    assert event_of("l", message) == event


@pytest.mark.parametrize(("news", "message"), TOLD)
def test_what_a_page_is_told(news: GroupNews, message: messages.GroupTold) -> None:
    assert message_of_news(news) == message


def test_every_message_of_groups_is_tried_here() -> None:
    assert {type(message) for message, _ in SAID} == set(get_args(GroupSaid))
    assert {type(message) for _, message in TOLD} == set(get_args(messages.GroupTold))


def test_what_is_not_taken_is_told_in_words() -> None:
    told = message_of_news(NotTaken("bad-group-message"))
    assert isinstance(told, messages.ErrorMessage)
    assert (told.code, "Reload" in told.text) == ("bad-group-message", True)


@given(st.binary(max_size=100))
def test_bytes_come_back(raw: bytes) -> None:
    assert from_text(to_text(raw)) == raw


@pytest.mark.parametrize("text", ["A", "AAAAA", "AB", "AAB", "A=", "Ä"])
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="bad-message"):
        from_text(text)
