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
from signaling import messages
from signaling.messages import Act, Board, ClientMessage, Place, Roster, ServerMessage
from signaling.schema import structs


def fields(kind: type) -> dict[str, mi.Field]:
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    return {field.name: field for field in info.fields}


@pytest.mark.parametrize("union", [ClientMessage, ServerMessage])
def test_no_two_messages_of_one_direction_share_a_type(union: object) -> None:
    words = [kind.__struct_config__.tag for kind in get_args(union)]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    ("field", "size"),
    [
        ((messages.SendKeyPackage, "key_package"), messages.MAX_KEY_PACKAGE),
        ((messages.SendCommit, "commit"), messages.MAX_COMMIT),
        ((messages.GroupWelcome, "welcome"), messages.MAX_GROUP_WELCOME),
        ((messages.SendSealed, "message"), messages.MAX_SEALED),
        ((messages.SendKeyPackage, "tag"), 32),
    ],
)
def test_bounds_of_opaque_bytes_are_those_of_their_base64url(field: tuple[type, str], size: int) -> None:
    kind = fields(field[0])[field[1]].type
    assert isinstance(kind, mi.StrType)
    assert kind.max_length == len(b64encode(bytes(size)).rstrip(b"="))


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
