"""The protocol of one connection, without a socket."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.seats import SeatAction, SeatCode, SeatRole
from rooms.effects import OtherSeat, PlaceView, Presence, RosterSeat, RosterView
from rooms.events import Asked, DeviceAnswered, HostAction
from rooms.groups import SealedSent
from signaling import messages
from signaling.connection import (
    BURST,
    GONE_AFTER,
    HELLO_WITHIN,
    MAY_SEND,
    MISTAKES,
    PING_EVERY,
    WEIGHTY_BURST,
    AnsweredOffer,
    Complain,
    Connection,
    End,
    Greeted,
    Outcome,
    Ping,
    RestartAsked,
    State,
    message_of,
    slot_of,
)

GROUP = {"group": "room", "generation": "0" * 16}
EXAMPLES: dict[type[messages.ClientMessage], dict[str, Any]] = {
    messages.Hello: {"type": "hello"},
    messages.Knock: {"type": "knock", "id": 1},
    messages.Enter: {"type": "enter", "id": 1},
    messages.Leave: {"type": "leave", "id": 1},
    messages.Act: {"type": "act", "id": 1, "action": "admit", "seats": ["A"]},
    messages.Answer: {"type": "answer", "sdp": "v=0"},
    messages.RestartMedia: {"type": "restart-media"},
    messages.DeviceAnswer: {"type": "device-answer", "allow": True, "asking": 1},
    messages.SendKeyPackage: {"type": "key-package", **GROUP, "key-package": "AAAA", "tag": "A" * 43},
    messages.SendCommit: {"type": "commit", **GROUP, "epoch": 0, "commit": "AAAA"},
    messages.SayReady: {"type": "ready", **GROUP, "epoch": 0},
    messages.SendSealed: {"type": "sealed", **GROUP, "message": "AAAA"},
    messages.Resync: {"type": "resync", **GROUP},
    messages.OpenPair: {"type": "pair", "seat": "A"},
    messages.Checked: {"type": "checked", "generation": "0" * 16, "epoch": 1, "verified": True},
}


def opened(role: SeatRole = SeatRole.PATIENT) -> Connection:
    connection = Connection("link", role, 0.0)
    assert connection.receive('{"type":"hello"}', 0.0) == [Greeted(False)]
    return connection


def said(connection: Connection, message: dict[str, Any], now: float = 0.0) -> Outcome:
    (outcome,) = connection.receive(json.dumps(message), now)
    return outcome


def complaints(outcomes: list[Outcome]) -> list[str]:
    return [outcome.error.code for outcome in outcomes if isinstance(outcome, Complain)]


def test_a_page_says_hello_first() -> None:
    connection = Connection("link", SeatRole.PATIENT, 0.0)
    assert complaints(connection.receive('{"type":"knock","id":1}', 0.0)) == ["bad-message"]
    assert said(connection, {"type": "hello", "media-kept": True}) == Greeted(True)
    assert complaints(connection.receive('{"type":"hello"}', 0.0)) == ["bad-message"]


def test_what_a_patient_asks_for_becomes_an_event() -> None:
    connection = opened()
    assert said(connection, {"type": "knock", "id": 7}) == Asked("link", 7, SeatAction.KNOCK)
    assert said(connection, {"type": "leave", "id": 8}) == Asked("link", 8, SeatAction.LEAVE)
    quickly = said(connection, {"type": "leave", "id": 9, "quickly": True})
    assert quickly == Asked("link", 9, SeatAction.LEAVE, reason="left-page")
    assert said(connection, {"type": "device-answer", "allow": False, "asking": 3}) == DeviceAnswered(
        "link", False, 3
    )
    assert said(connection, {"type": "answer", "sdp": "v=0"}) == AnsweredOffer("v=0")
    assert said(connection, {"type": "restart-media", "fresh": True}) == RestartAsked(True)


def test_what_a_host_asks_for_becomes_an_event() -> None:
    connection = opened(SeatRole.HOST)
    both = (SeatCode("A"), SeatCode("B"))
    assert said(connection, {"type": "enter", "id": 1}) == Asked("link", 1, SeatAction.ENTER)
    assert said(connection, {"type": "act", "id": 2, "action": "admit", "seats": ["A", "B"]}) == Asked(
        "link", 2, SeatAction.ADMIT, both
    )
    assert said(
        connection, {"type": "act", "id": 3, "action": "deny", "seats": ["A"], "reason": "Too late"}
    ) == Asked("link", 3, SeatAction.DENY, both[:1], "Too late")
    assert said(connection, {"type": "act", "id": 4, "action": "end"}) == Asked("link", 4, HostAction.END)


@pytest.mark.parametrize("action", get_args(get_type_hints(messages.Act)["action"]))
def test_every_action_of_the_wire_is_one_of_the_rooms(action: str) -> None:
    outcome = said(opened(SeatRole.HOST), {"type": "act", "id": 1, "action": action, "seats": ["A"]})
    assert isinstance(outcome, Asked)
    assert outcome.action == action


@pytest.mark.parametrize("role", list(SeatRole))
@pytest.mark.parametrize("kind", list(EXAMPLES))
def test_each_role_may_send_exactly_what_the_table_says(
    role: SeatRole, kind: type[messages.ClientMessage]
) -> None:
    connection = Connection("link", role, 0.0) if kind is messages.Hello else opened(role)
    outcomes = connection.receive(json.dumps(EXAMPLES[kind]), 0.0)
    assert (complaints(outcomes) == []) is (kind in MAY_SEND[role])


def test_only_hosts_act_and_only_patients_knock() -> None:
    assert messages.Act not in MAY_SEND[SeatRole.PATIENT]
    assert messages.Enter not in MAY_SEND[SeatRole.PATIENT]
    assert messages.Knock not in MAY_SEND[SeatRole.HOST]


def test_there_is_an_example_of_every_message() -> None:
    assert set(EXAMPLES) == set(get_args(messages.ClientMessage))


def test_a_page_says_what_it_has_kept() -> None:
    hello = {"type": "hello", "generation": "0" * 16, "epoch": 4}
    assert said(Connection("link", SeatRole.HOST, 0.0), hello) == Greeted(False, ("0" * 16, 4))


def test_what_is_said_of_a_group_becomes_an_event() -> None:
    connection = opened()
    assert said(connection, EXAMPLES[messages.SendSealed]) == SealedSent("link", "room", "0" * 16, bytes(3))


def test_bytes_that_are_none_are_a_mistake() -> None:
    wrong = EXAMPLES[messages.SendSealed] | {"message": "AAAAA"}
    assert complaints(opened().receive(json.dumps(wrong), 0.0)) == ["bad-message"]


def test_messages_that_cost_work_come_at_a_measured_pace() -> None:
    connection = opened(SeatRole.HOST)
    commit = json.dumps(EXAMPLES[messages.SendCommit])
    for _ in range(int(WEIGHTY_BURST)):
        assert complaints(connection.receive(commit, 0.0)) == []
    assert complaints(connection.receive(commit, 0.0)) == ["too-fast"]
    assert complaints(connection.receive(commit, 1.0)) == []


def test_mistakes_are_forgiven_a_few_times() -> None:
    connection = opened()
    for _ in range(MISTAKES - 1):
        assert complaints(connection.receive("{", 0.0)) == ["bad-message"]
    assert said(connection, {"type": "knock", "id": 1}) == Asked("link", 1, SeatAction.KNOCK)
    assert connection.receive("{", 0.0)[-1] == End("bad-message")
    assert connection.state is State.CLOSED
    assert connection.receive('{"type":"knock","id":2}', 0.0) == []


def test_too_many_messages_are_refused_then_end_the_connection() -> None:
    connection = opened()
    knock = '{"type":"knock","id":1}'
    outcomes = [outcome for _ in range(200) for outcome in connection.receive(knock, 0.0)]
    assert sum(isinstance(outcome, Asked) for outcome in outcomes) == BURST - 1  # hello was one
    assert complaints(outcomes) == ["too-fast"] * MISTAKES
    assert outcomes[-1] == End("too-fast")


def test_twenty_messages_a_second_are_fine_for_ever() -> None:
    connection = opened()
    for number in range(2000):
        assert complaints(connection.receive('{"type":"knock","id":1}', number / 20)) == []


def test_a_page_that_says_nothing_is_let_go() -> None:
    connection = Connection("link", SeatRole.PATIENT, 100.0)
    assert connection.deadline == 100.0 + HELLO_WITHIN
    assert connection.tick(100.0 + HELLO_WITHIN - 0.01) == []
    assert connection.tick(100.0 + HELLO_WITHIN) == [End("too-slow")]
    assert connection.deadline is None


@pytest.mark.parametrize("role", list(SeatRole))
def test_a_ping_is_due_again_and_again(role: SeatRole) -> None:
    connection = opened(role)
    now = 0.0
    for _ in range(50):
        assert connection.deadline == pytest.approx(now + PING_EVERY[role])
        now = connection.deadline or 0.0
        assert connection.tick(now) == [Ping()]
        connection.pong(now)


def test_pings_and_pongs_without_end_are_too_fast() -> None:
    connection = opened()
    outcomes = [outcome for _ in range(int(BURST) + MISTAKES) for outcome in connection.pong(0.0)]
    assert set(complaints(outcomes)) == {"too-fast"}
    assert outcomes[-1] == End("too-fast")
    assert connection.pong(0.0) == []


def test_silence_ends_the_connection_and_a_pong_is_no_silence() -> None:
    connection = opened()
    connection.pong(9.0)
    assert connection.tick(9.0 + GONE_AFTER - 0.1) == [Ping()]
    assert connection.tick(9.0 + GONE_AFTER) == [End("gone")]


def test_private_parts_of_an_outcome_are_not_shown() -> None:
    assert "secret" not in repr(AnsweredOffer("a=ice-pwd:secret"))


@given(st.lists(st.text() | st.binary(), max_size=20), st.sampled_from(SeatRole))
def test_whatever_comes_is_answered_with_errors_and_never_raises(
    frames: list[str | bytes], role: SeatRole
) -> None:
    connection = opened(role)
    for number, frame in enumerate(frames):
        for outcome in connection.receive(frame, number / 10):
            assert isinstance(outcome, Complain | End)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_FIELDS = ["id", "action", "seats", "reason", "sdp", "fresh", "allow", "media-kept"]


@given(
    st.sampled_from([example["type"] for example in EXAMPLES.values()]),
    st.dictionaries(st.sampled_from(_FIELDS), _JSON),
    st.sampled_from(SeatRole),
)
def test_fields_of_any_type_are_understood_or_refused(
    kind: str, fields: dict[str, Any], role: SeatRole
) -> None:
    outcomes = opened(role).receive(json.dumps({"type": kind} | fields), 0.0)
    assert len(outcomes) == 1


@given(st.integers(0, 3), st.integers(0, 3))
def test_slots_are_dense_and_belong_to_one_place_each(place: int, own: int) -> None:
    slots = [slot_of(other, own) for other in range(4) if other != own]
    assert slots == [0, 1, 2]
    if place < own:
        assert slot_of(place, own) == place


def test_a_place_is_shown_with_the_slots_of_the_others() -> None:
    others = (
        OtherSeat(SeatCode("A"), "Partner A", 0, Presence.CONNECTED, False),
        OtherSeat(SeatCode("T"), "Therapist", 2, Presence.AWAY, True),
    )
    view = PlaceView(SeatCode("B"), "Partner B", 1, "admitted", 5, None, False, True, others, False, True, 9)
    message = message_of(view)
    assert isinstance(message, messages.Place)
    assert [(o.seat, o.slot, o.presence, o.muted) for o in message.others] == [
        ("A", 0, "connected", False),
        ("T", 1, "away", True),
    ]
    assert (message.state, message.since, message.ends, message.store_ok) == ("admitted", 5, 9, True)


def test_a_roster_is_shown_with_the_slots_as_its_reader_receives_them() -> None:
    seats = tuple(
        RosterSeat(
            SeatCode(code),
            code,
            SeatRole.HOST if code == "T" else SeatRole.PATIENT,
            place,
            "waiting",
            1,
            Presence.CONNECTED,
            2,
            False,
            False,
            True,
            1,
            False,
            None,
        )
        for place, code in enumerate("ABT")
    )
    view = RosterView(SeatCode("T"), True, True, True, True, True, 1, 9, "couple", seats)
    message = message_of(view)
    assert isinstance(message, messages.Roster)
    assert [(seat.seat, seat.slot) for seat in message.seats] == [("A", 0), ("B", 1), ("T", None)]
    assert (message.me, message.kind, message.media_here) == ("T", "couple", True)


def test_restarting_media_again_and_again_is_too_fast() -> None:
    connection = opened()
    restart = '{"type":"restart-media"}'
    outcomes = [outcome for _ in range(9) for outcome in connection.receive(restart, 0.0)]
    assert outcomes[:5] == [RestartAsked(False)] * 5
    assert complaints(outcomes) == ["too-fast"] * 4
    assert said(connection, {"type": "restart-media"}, 1.0) == RestartAsked(False)
