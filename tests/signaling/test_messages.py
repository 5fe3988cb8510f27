"""The wire's types keep their promises to each other."""

from __future__ import annotations

import dataclasses
from base64 import b64encode
from typing import get_args

import msgspec.inspect as mi
import pytest

from broker.seats import PLANS, SeatAction, roster
from broker.seats import SessionKind as Kind
from rooms.effects import PlaceView, Presence, RosterSeat, RosterView
from rooms.events import HostAction
from rooms.groups import CommitSent, KeyPackageSent, SealedSent
from signaling import messages
from signaling.codec import decode_message, encode
from signaling.group_wire import event_of
from signaling.messages import (
    GROUP_BOUNDS,
    MAX_MESSAGE_BYTES,
    Act,
    Board,
    ClientMessage,
    Place,
    Roster,
    ServerMessage,
)
from signaling.schema import structs

FOUR = ("A", "B", "C", "P")


def fields(kind: type) -> dict[str, mi.Field]:
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    return {field.name: field for field in info.fields}


@pytest.mark.parametrize("union", [ClientMessage, ServerMessage])
def test_no_two_messages_of_one_direction_share_a_type(union: object) -> None:
    words = [kind.__struct_config__.tag for kind in get_args(union)]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ((messages.SendKeyPackage, "key_package"), "key-package"),
        ((messages.SendCommit, "commit"), "commit"),
        ((messages.GroupWelcome, "welcome"), "welcome"),
        ((messages.SendSealed, "message"), "sealed"),
        ((messages.SendKeyPackage, "tag"), "tag"),
    ],
)
def test_bounds_of_opaque_bytes_are_those_of_their_base64url(field: tuple[type, str], what: str) -> None:
    kind = fields(field[0])[field[1]].type
    assert isinstance(kind, mi.StrType)
    assert kind.max_length == len(b64encode(bytes(GROUP_BOUNDS[what])).rstrip(b"="))


@pytest.mark.parametrize(
    "message",
    [
        messages.SendKeyPackage("room", "f" * 16, "A" * 10_923, "A" * 43),
        messages.SendCommit("room", "f" * 16, 2**53 - 1, "A" * 21_846, "A" * 32_768, FOUR, FOUR),
        messages.SendSealed("room", "f" * 16, "A" * 10_923, 2**31),
    ],
)
def test_what_a_page_may_say_of_a_group_goes_into_one_message(message: ClientMessage) -> None:
    """Every field is as large as it may be, and so spelled that nothing is left to be one byte shorter."""
    text = encode(message)
    assert len(text) <= MAX_MESSAGE_BYTES
    assert decode_message(text) == message
    match event_of("link", message):  # type: ignore[arg-type]  # they are all about a group
        case KeyPackageSent(key_package=package, tag=tag):
            assert (len(package), len(tag)) == (GROUP_BOUNDS["key-package"], GROUP_BOUNDS["tag"])
        case CommitSent(commit=commit, welcome=welcome):
            assert (len(commit), len(welcome or b"")) == (GROUP_BOUNDS["commit"], GROUP_BOUNDS["welcome"])
        case SealedSent(message=sealed):
            assert len(sealed) == GROUP_BOUNDS["sealed"]


def test_a_host_can_ask_for_exactly_what_a_room_can_do() -> None:
    own = {SeatAction.KNOCK, SeatAction.ENTER, SeatAction.LEAVE}
    literal = fields(Act)["action"].type
    assert isinstance(literal, mi.LiteralType)
    assert set(literal.values) == {str(a) for a in (*SeatAction, *HostAction)} - {str(a) for a in own}


def test_seats_on_the_wire_hold_every_seat_there_is() -> None:
    assert all(len(code) == 1 and code.isupper() for code in PLANS)
    largest = max(len(roster(kind, with_cotherapist=True)) for kind in Kind)
    seats = fields(Act)["seats"].type
    assert isinstance(seats, mi.VarTupleType)
    assert seats.max_length == largest


def test_presence_has_the_rooms_words() -> None:
    literal = fields(messages.RosterSeat)["presence"].type
    assert isinstance(literal, mi.LiteralType)
    assert set(literal.values) == set(Presence)


@pytest.mark.parametrize(
    ("view", "message", "renamed"),
    [
        (PlaceView, Place, {"place": None, "since_ms": "since", "ends_ms": "ends"}),
        (RosterView, Roster, {"starts_ms": "starts", "ends_ms": "ends"}),
        (
            RosterSeat,
            messages.RosterSeat,
            {"place": "slot", "since_ms": "since", "presence_since_ms": "presence_since"},
        ),
    ],
)
def test_a_view_is_told_whole(view: type, message: type, renamed: dict[str, str | None]) -> None:
    told = {renamed.get(field.name, field.name) for field in dataclasses.fields(view)} - {None}
    if "link" in told:  # a host is told each part of it under the part's own name
        told = told - {"link"} | {"quality", "path", "receives", "sends", "camera", "screen"}
    assert told == set(fields(message))


@pytest.mark.parametrize("kind", structs(), ids=lambda kind: kind.__name__)
def test_every_type_says_what_it_is(kind: type) -> None:
    assert (kind.__doc__ or "").endswith((".", ".\n    "))


def test_the_board_names_nobody() -> None:
    names = {field for kind in (Board, messages.BoardRoom, messages.BoardSeat) for field in fields(kind)}
    assert names.isdisjoint({"name", "label", "host", "cohost", "reason", "actor", "device"})
