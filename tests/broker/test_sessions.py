"""Reading a session's hash is total, and its window is what was booked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ids import new_meeting_id
from broker.seats import SeatCode, SeatRole, SeatState, SessionKind
from broker.sessions import EARLY_MS, DamagedRecord, Session, parse_session

MEETING = new_meeting_id()
START, END = 1_800_000_000_000, 1_800_003_600_000


def raw(**changes: str) -> dict[str, str]:
    fields = {
        "kind": "couple",
        "state": "open",
        "host": "staff:k7f3",
        "cohost": "staff:m2p4",
        "starts": str(START),
        "ends": str(END),
        "capacity": "4",
        "password": "$argon2id$made-up",
        "created": "1",
        "rev": "3",
        "seats": "A,B,T,C",
    }
    for code in "ABTC":
        fields |= {f"{code}.state": "expected", f"{code}.since": "7", f"{code}.epoch": "0"}
    fields |= {"A.state": "waiting", "A.token": "ab" * 32, "A.knocks": "2", "A.arrived": "9", "A.muted": "1"}
    return fields | {name.replace("_", "."): value for name, value in changes.items()}


def session(**changes: str) -> Session:
    found = parse_session(MEETING, raw(**changes))
    assert found is not None
    return found


def test_a_session_is_read_whole() -> None:
    found = session(A_agreed="2026-1", A_notice="later", A_device="d1")
    assert (found.meeting, found.kind, found.open, found.rev) == (MEETING, SessionKind.COUPLE, True, 3)
    assert list(found.seats) == ["A", "B", "T", "C"]
    seat = found.seats[SeatCode("A")]
    assert (seat.state, seat.role, seat.label, seat.place) == (
        SeatState.WAITING,
        SeatRole.PATIENT,
        "Partner A",
        0,
    )
    assert (seat.knocks, seat.arrived_ms, seat.muted) == (2, 9, True)
    assert (seat.agreed, seat.reason, seat.device) == ("2026-1", "later", "d1")
    other = found.seats[SeatCode("B")]
    assert (other.agreed, other.arrived_ms, other.muted, other.token_hash) == (None, None, False, "")


def test_no_hash_is_no_session() -> None:
    assert parse_session(MEETING, {}) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"seats": ""},
        {"seats": "A,A"},
        {"seats": "A,Z"},
        {"state": "half"},
        {"kind": "party"},
        {"host": ""},
        {"starts": "soon"},
        {"starts": "-1"},
        {"ends": "٣"},
        {"capacity": "9" * 30},
        {"A_state": "dancing"},
        {"A_epoch": "1.5"},
        {"link-auth": "off"},
    ],
)
def test_a_damaged_hash_gives_one_coded_error(damage: dict[str, str]) -> None:
    with pytest.raises(DamagedRecord) as caught:
        parse_session(MEETING, raw(**damage))
    assert caught.value.code == "damaged-record"


@given(st.dictionaries(st.sampled_from(sorted(raw())), st.text(max_size=20), min_size=1), st.booleans())
def test_whatever_stands_in_the_hash_the_answer_is_a_session_or_the_coded_error(
    noise: dict[str, str], complete: bool
) -> None:
    try:
        found = parse_session(MEETING, raw() | noise if complete else noise)
    except DamagedRecord:
        return
    assert found is not None


def test_window_opens_a_quarter_hour_early_and_closes_at_the_end() -> None:
    assert EARLY_MS == 15 * 60 * 1000
    found = session()
    assert not found.admits(START - EARLY_MS - 1)
    assert found.admits(START - EARLY_MS)
    assert found.admits(END - 1)
    assert not found.admits(END)
    assert not session(state="ended").admits(START)


def test_a_host_seat_follows_from_the_care_relation() -> None:
    assert session().host_seat("staff:k7f3") == "T"
    assert session().host_seat("staff:m2p4") == "C"
    assert session().host_seat("staff:other") is None
    assert session(cohost="").host_seat("") is None


def test_the_password_hash_does_not_show() -> None:
    assert "argon2" not in repr(session())
