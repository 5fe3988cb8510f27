"""The room machine, as visits: who gets in, who is cut, who is told what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broker.audit import EventType
from broker.seats import SeatAction, SeatState, SessionKind
from rooms.effects import Close, ClosePeer, OpenPeer, Presence, Record, SetGate
from rooms.events import (
    CommitRefused,
    DeviceAnswered,
    Disconnected,
    FellSilent,
    FormerEnded,
    HeardAgain,
    HostAction,
    MediaChanged,
    SeatReloaded,
    SessionReloaded,
    SignedOut,
    StoreHealth,
    Tick,
)
from tests.rooms.playbook import HOUR_MS, START_MS, SUITE, A, B, C, P, Play, T, live, waiting

EVERYONE = frozenset({A, B, T})
NOBODY: frozenset[str] = frozenset()


# ---- waiting --------------------------------------------------------------------------------------------


def test_knocking_gives_a_place_and_warms_the_transport() -> None:
    play = Play().opens(A).asks("a", SeatAction.KNOCK) << OpenPeer(A, "a")
    assert play.last_reply is None
    assert play.place("a").state == "waiting"
    assert play.gate.seats == NOBODY


def test_knocking_twice_changes_nothing() -> None:
    play = Play().opens(A).asks("a", SeatAction.KNOCK).asks("a", SeatAction.KNOCK)
    assert play.last_reply is None
    assert play.room.seats[A].knocks == 1
    assert OpenPeer(A, "a") not in play.effects


def test_a_waiting_page_learns_nothing_of_a_busy_room() -> None:
    play = waiting()
    before = play.place("a")
    play.asks("t", SeatAction.ADMIT, B).asks("t", SeatAction.HOLD, B).asks("t", SeatAction.RESUME, B)
    play.asks("t", HostAction.MUTE, B).asks("t", SeatAction.MOVE_BACK, B).gone("b").opens(B, "b2")
    play.asks("t", SeatAction.REMOVE, B, reason="unsafe").gone("t").opens(T, "t2")
    assert play.place("a") == before


def test_a_reload_keeps_the_place_without_knocking() -> None:
    play = waiting()
    since = play.place("a").since_ms
    play.wait(20).gone("a").wait(2).opens(A, "a-again") << OpenPeer(A, "a-again")
    assert (play.place("a-again").state, play.place("a-again").since_ms) == ("waiting", since)


def test_the_host_sees_a_waiting_seat_go_away_and_come_back() -> None:
    play = waiting().wait(5).gone("a")
    away = play.roster().seats[0]
    assert (away.presence, away.presence_since_ms) == (Presence.AWAY, play.wall_ms)
    play.wait(40).opens(A, "a2")
    assert play.roster().seats[0].presence is Presence.CONNECTED
    assert ("seat.away", "A", "connection-lost") in play.recorded
    assert ("seat.reconnected", "A", None) in play.recorded


def test_being_asked_to_wait_is_shown() -> None:
    assert waiting().asks("t", SeatAction.ASK_TO_WAIT, A).place("a").state == "asked-to-wait"


def test_denied_patient_is_told_why_and_may_knock_again() -> None:
    play = waiting().asks("t", SeatAction.DENY, A, reason="please come at three") << ClosePeer(A)
    assert (play.place("a").state, play.place("a").reason) == ("denied", "please come at three")
    assert play.asks("a", SeatAction.KNOCK).place("a").state == "waiting"
    assert play.roster().seats[0].knocks == 2


# ---- admission ------------------------------------------------------------------------------------------


def test_both_are_admitted_together() -> None:
    play = live()
    assert play.gate.seats == EVERYONE
    assert [other.seat for other in play.place("a").others] == ["B", "T"]


def test_admitting_without_a_clinician_in_the_room_is_refused() -> None:
    play = Play().opens(A).asks("a", SeatAction.KNOCK).opens(T).asks("t", SeatAction.ADMIT, A)
    assert play.last_reply == "clinician-absent"
    assert play.gate.seats == NOBODY


def test_admitting_someone_who_has_just_left_is_refused_kindly() -> None:
    play = waiting().asks("a", SeatAction.LEAVE).asks("t", SeatAction.ADMIT, A)
    assert play.last_reply == "wrong-state"
    assert A not in play.gate.seats


def test_both_or_none() -> None:
    play = waiting().asks("b", SeatAction.LEAVE).asks("t", SeatAction.ADMIT, A, B)
    assert play.last_reply == "wrong-state"
    assert play.place("a").state == "waiting"


def test_admitting_twice_is_one_admission() -> None:
    play = live().asks("t", SeatAction.ADMIT, A, B)
    assert play.last_reply is None
    assert play.gate.seats == EVERYONE


def test_media_opens_only_after_the_store_answered() -> None:
    play = waiting()
    play.hold_answers = True
    play.asks("t", SeatAction.ADMIT, A)
    assert A not in play.gate.seats
    play.answer_one()
    assert A in play.gate.seats


def test_with_the_store_down_nobody_is_let_in_and_the_page_says_so() -> None:
    play = waiting().asks("t", SeatAction.ADMIT, A)
    play.store = "down"
    play >> StoreHealth(False)
    play.asks("t", SeatAction.ADMIT, B)
    assert play.last_reply == "audit-unavailable"
    assert play.gate.seats == {A, T}, "the running call goes on"
    assert not play.place("b").store_ok
    assert not play.roster().store_ok


def test_a_patient_cannot_act_as_a_host() -> None:
    for action in (SeatAction.ADMIT, SeatAction.REMOVE, HostAction.END, HostAction.MUTE, SeatAction.ENTER):
        play = waiting().asks("a", action, A)
        assert play.last_reply == "not-allowed"
        assert play.gate.seats == {T}


def test_a_host_acts_on_patients_of_this_session_only() -> None:
    assert waiting().asks("t", SeatAction.ADMIT, P).last_reply == "no-seat"
    assert waiting().asks("t", SeatAction.REMOVE, T).last_reply == "no-seat"
    assert waiting().asks("t", SeatAction.ADMIT).last_reply == "no-seat"


# ---- closing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "state"),
    [
        (SeatAction.HOLD, "held"),
        (SeatAction.MOVE_BACK, "waiting"),
        (SeatAction.REMOVE, "removed"),
    ],
)
def test_closing_cuts_first_and_records_then(action: SeatAction, state: str) -> None:
    play = live()
    play.hold_answers = True
    play.asks("t", action, A)
    assert play.effects[0] == SetGate(frozenset({B, T}), frozenset())
    play.answer_one()
    assert play.place("a").state == state
    assert play.place("a").others == ()
    assert [other.seat for other in play.place("b").others] == ["T"]


@pytest.mark.parametrize(
    "action", [SeatAction.HOLD, SeatAction.MOVE_BACK, SeatAction.REMOVE, SeatAction.LEAVE]
)
def test_closing_holds_while_the_store_is_down_and_is_recorded_later(action: SeatAction) -> None:
    play = live()
    play.store = "down"
    play = play.asks("a", action) if action is SeatAction.LEAVE else play.asks("t", action, A)
    assert play.last_reply == "audit-unavailable"
    assert play.wait(10).gate.seats == {B, T}
    play.store = "up"
    play.wait(2)
    assert play.truth[A] is not SeatState.ADMITTED
    assert A not in play.gate.seats


def test_a_held_seat_resumes() -> None:
    play = live().asks("t", SeatAction.HOLD, A).asks("t", SeatAction.RESUME, A)
    assert play.gate.seats == EVERYONE


def test_moved_back_seat_keeps_its_transport_and_is_readmitted_without_a_new_one() -> None:
    play = live().asks("t", SeatAction.MOVE_BACK, A)
    assert ClosePeer(A) not in play.effects
    play.asks("t", SeatAction.ADMIT, A)
    assert play.gate.seats == EVERYONE
    assert OpenPeer(A, "a") not in play.effects


def test_removed_stays_removed_until_readmitted() -> None:
    play = live().asks("t", SeatAction.REMOVE, A, reason="unsafe") << ClosePeer(A) << Close("a", "removed")
    play.opens(A, "a2")
    assert play.closed["a2"] == "removed"
    play.asks("t", SeatAction.ADMIT, A)
    assert play.last_reply == "wrong-state"
    play.asks("t", SeatAction.READMIT, A).opens(A, "a3").asks("a3", SeatAction.KNOCK)
    assert play.place("a3").state == "waiting"


def test_mute_withholds_audio_until_unmuted() -> None:
    play = live().asks("t", HostAction.MUTE, A)
    assert play.gate == SetGate(EVERYONE, frozenset({A}))
    assert play.place("a").muted
    assert play.asks("t", HostAction.UNMUTE, A).gate.muted == NOBODY


def test_ending_ends_for_all() -> None:
    play = live().asks("t", HostAction.END, reason="over")
    assert play.gate.seats == NOBODY
    assert play.closed == dict.fromkeys(("a", "b", "t"), "ended")
    assert play.place("a").state == "ended"
    assert not [record for record in play.recorded if record[2] == "clinician-lost"], "nobody was lost"


def test_a_session_that_the_store_no_longer_has_is_over() -> None:
    play = live()
    play.hold_answers = True
    play.asks("t", HostAction.END)
    play >> CommitRefused(play.waiting_commits[0].number, "no-session")
    assert play.gate.seats == NOBODY
    assert play.closed == dict.fromkeys(("a", "b", "t"), "ended")


def test_the_window_ends_the_session_by_itself() -> None:
    play = live().wait(HOUR_MS / 1000 + 1)
    assert play.gate.seats == NOBODY
    assert set(play.truth.values()) == {SeatState.ENDED}


# ---- never alone -----------------------------------------------------------------------------------------


def test_clinician_lost_pauses_both_and_tells_them() -> None:
    play = live() >> FellSilent(T)
    assert play.effects[0] == SetGate(frozenset(), frozenset())
    assert {play.place("a").state, play.place("b").state} == {"paused"}
    assert play.place("a").others == ()
    play << Record(EventType.SEAT_HELD, A, "system", "clinician-lost")
    play << Record(EventType.SEAT_HELD, B, "system", "clinician-lost")


def test_they_resume_by_themselves_when_the_clinician_is_back() -> None:
    play = live().gone("t").wait(30).opens(T, "t2").asks("t2", SeatAction.ENTER)
    assert play.gate.seats == NOBODY, "a clinician who cannot hear yet is not with them"
    play.media(T)
    assert play.gate.seats == EVERYONE
    assert play.recorded.count(("seat.resumed", "A", "clinician-back")) == 1
    assert play.recorded.count(("seat.held", "A", "clinician-lost")) == 1


def test_a_new_page_of_a_lost_clinician_is_no_clinician() -> None:
    play = live() >> FellSilent(T)
    play.opens(T, "t2", device="another")
    assert play.gate.seats == NOBODY, "the old transport is dead and there is no new one"
    play.asks("t2", SeatAction.ENTER).media(T, up=False)
    assert play.gate.seats == NOBODY
    play.media(T)
    assert play.gate.seats == EVERYONE
    assert play.recorded.count(("seat.resumed", "A", "clinician-back")) == 1


def test_a_clinician_who_leaves_is_gone_before_the_store_has_it() -> None:
    play = live()
    play.hold_answers = True
    play.asks("t", SeatAction.LEAVE)
    assert play.gate.seats == NOBODY, "the partners are not left alone while the store is slow"
    assert ("seat.held", "A", "clinician-lost") in play.recorded


def test_a_clinician_whose_media_moves_to_another_page_is_gone_meanwhile() -> None:
    play = live().opens(T, "t2").asks("t2", SeatAction.ENTER)
    assert play.gate.seats == NOBODY, "the order to open a transport ends the former one"
    play.media(T, up=False)
    assert play.recorded.count(("media.down", "T", None)) == 1
    play.media(T)
    assert play.gate.seats == EVERYONE


def test_they_stay_paused_while_the_return_cannot_be_recorded() -> None:
    play = live() >> FellSilent(T)
    play.store = "down"
    play >> HeardAgain(T)
    assert A not in play.gate.seats
    play.store = "up"
    assert play.wait(2).gate.seats == EVERYONE


def test_a_second_clinician_keeps_the_room_going() -> None:
    play = Play(with_cotherapist=True).opens(T).asks("t", SeatAction.ENTER).media(T)
    play.opens(C).asks("c", SeatAction.ENTER).media(C)
    play.opens(A).asks("a", SeatAction.KNOCK).asks("c", SeatAction.ADMIT, A).gone("t")
    assert {A, C} <= play.gate.seats
    assert play.gone("c").gate.seats == NOBODY


def test_host_tab_closed_while_media_is_still_heard_is_not_lost() -> None:
    play = live() >> Disconnected("t")
    assert play.gate.seats == EVERYONE
    assert play.media(T, up=False).gate.seats == NOBODY


def test_after_a_restart_admitted_seats_wait_for_the_clinician() -> None:
    play = Play(states={A: SeatState.ADMITTED, B: SeatState.WAITING, T: SeatState.ADMITTED}).opens(A)
    assert play.place("a").state == "paused"
    assert ("seat.held", "A", "server-restarted") in play.recorded
    play.opens(T, media_kept=True) << OpenPeer(T, "t")
    play.media(T)
    assert play.gate.seats == {A, T}
    assert play.recorded.count(("seat.held", "A", "server-restarted")) == 1


# ---- taken over while another worker still forwards ------------------------------------------------------


def moving() -> Play:
    """Everybody was inside with another worker and has come here; the clinician has no media here yet."""
    states = dict.fromkeys((A, B, T), SeatState.ADMITTED)
    play = Play(states=states, moving=frozenset({A, B, T})) >> Tick()
    return play.opens(A, media_kept=True).opens(B, media_kept=True).opens(T, media_kept=True)


def test_who_is_moved_is_held_on_record_and_told_nothing_of_it() -> None:
    play = moving() << OpenPeer(T, "t")
    assert play.recorded.count(("seat.held", "A", "moved")) == 1
    assert play.gate.seats == NOBODY
    assert play.media(A).media(B).views == {}, "they see and hear each other with the other worker"
    play.media(T)
    assert play.gate.seats == EVERYONE
    assert play.place("a").state == play.place("b").state == "admitted"
    assert play.recorded.count(("seat.resumed", "A", "clinician-back")) == 1


def test_the_end_of_the_former_worker_is_told_at_once() -> None:
    play = moving() >> FormerEnded()
    assert {play.place("a").state, play.place("b").state} == {"paused"}


def test_a_move_that_takes_too_long_is_told() -> None:
    assert moving().wait(7).place("a").state == "paused"


def test_a_decision_during_a_move_is_shown() -> None:
    play = moving().asks("t", SeatAction.HOLD, A)
    assert play.place("a").state == "held"
    assert play.roster().clinician_present is False


def test_a_clinician_whose_media_was_lost_on_the_way_is_shown_the_room() -> None:
    play = Play(states=dict.fromkeys((A, T), SeatState.ADMITTED), moving=frozenset({A, T})) >> Tick()
    play.opens(A, media_kept=True).opens(T)
    assert play.roster().entered is False, "so that their page asks for media"
    assert play.place("a").state == "paused"


def test_who_waits_is_shown_the_waiting_room_during_a_move() -> None:
    states = {A: SeatState.WAITING, B: SeatState.ADMITTED, T: SeatState.ADMITTED}
    play = Play(states=states, moving=frozenset({B, T})) >> Tick()
    assert play.opens(A).place("a").state == "waiting"


# ---- two pages, two devices, two hosts -------------------------------------------------------------------


def test_who_knocks_and_leaves_without_end_is_slowed_and_still_can_leave() -> None:
    play = Play().opens(A)
    for _ in range(10):
        assert play.asks("a", SeatAction.KNOCK).last_reply is None
        assert play.asks("a", SeatAction.LEAVE).last_reply is None
    play.gone("a").opens(A, "anew").asks("anew", SeatAction.KNOCK)  # another connection gains nothing
    assert play.last_reply == "too-fast"
    assert play.opens(B).asks("b", SeatAction.KNOCK).last_reply is None  # and costs nobody else anything
    assert play.wait(2).asks("anew", SeatAction.KNOCK).last_reply is None
    assert play.asks("anew", SeatAction.LEAVE).last_reply is None
    assert play.place("anew").state == "left"
    assert play.room.seats[A].knocks == 11


@pytest.mark.parametrize("yielded", [True, False])
def test_an_answer_to_one_device_says_nothing_of_the_next(yielded: bool) -> None:
    play = live().opens(A, "phone", device="phone").opens(A, "tablet", device="tablet")
    assert play.place("a").device_asks == 2
    play >> DeviceAnswered("a", yielded, asking=1)  # on its way when the tablet asked
    assert play.place("a").device_asks == 2
    assert play.place("tablet").state == "asking-device"
    play >> DeviceAnswered("a", yielded, asking=2)
    assert play.closed["a" if yielded else "tablet"] == ("replaced" if yielded else "device-refused")


def test_a_device_that_asks_without_end_is_sent_away_and_not_recorded() -> None:
    play = live()
    for number in range(11):
        play.opens(A, f"phone{number}", device="phone").gone(f"phone{number}")
    assert play.closed == {"phone10": "too-fast"}
    assert play.recorded.count(("seat.device-asked", "A", None)) == 10
    play.opens(B, "tablet", device="tablet")
    assert play.place("tablet").state == "asking-device"
    assert play.wait(2).opens(A, "again", device="phone").place("again").state == "asking-device"


def test_a_second_tab_of_the_same_device_takes_over_at_once() -> None:
    play = live().opens(A, "a2", device="device-A") << Close("a", "opened-elsewhere")
    play << OpenPeer(A, "a2")
    assert play.place("a2").state == "admitted"


def test_a_second_device_asks_the_first() -> None:
    play = live().opens(A, "phone", device="phone")
    assert play.place("phone").state == "asking-device"
    assert play.place("phone").others == ()
    assert play.place("a").device_asks == 1
    play >> DeviceAnswered("a", yielded=True, asking=1)
    assert play.closed["a"] == "replaced"
    assert play.place("phone").state == "admitted"
    assert ("seat.device-changed", "A", None) in play.recorded


def test_a_room_loaded_anew_gives_an_admission_to_the_device_that_had_it() -> None:
    play = waiting().gone("a").wait(5).opens(A, "p", device="program", ingest=True)
    play.opens(A, "a2", device="device-A") >> DeviceAnswered("p", yielded=True, asking=1)
    assert play.asks("t", SeatAction.ADMIT, A).last_reply is None
    again = Play(states=play.truth, holders=play.holders).opens(A, "p2", device="program", ingest=True)
    assert again.closed == {"p2": "device-refused"}
    again.opens(T).opens(A)
    assert (again.place("a").state, again.roster().seats[0].new_device) == ("paused", False)
    anew = Play(states=play.truth, holders=play.holders).opens(T).opens(A, device="phone")
    assert (anew.place("a").state, anew.roster().seats[0].new_device) == ("paused", True)


def test_who_took_an_admitted_seat_has_it_when_the_room_is_loaded_anew() -> None:
    play = Play(states={A: SeatState.WAITING}).opens(T).asks("t", SeatAction.ENTER).media(T)
    play.opens(A, "p", device="program", ingest=True).asks("t", SeatAction.ADMIT, A)
    assert play.holders[A] == "program"
    play.store = "down"
    play.gone("p").wait(5).opens(A)  # the page's turn: the store learns of it when it can
    assert play.holders[A] == "program"
    play.store = "up"
    play.wait(2)
    assert play.holders[A] == "device-A"
    assert play.recorded.count(("seat.device-changed", "A", None)) == 1


def test_a_program_is_refused_by_the_room_itself() -> None:
    play = waiting().gone("a").wait(5).asks("t", SeatAction.ADMIT, A)
    play.opens(A, "p", device="program", ingest=True)  # it was free when the program asked
    assert play.closed["p"] == "device-refused"


def test_the_first_device_may_keep_its_place() -> None:
    play = live().opens(A, "phone", device="phone") >> DeviceAnswered("a", yielded=False, asking=1)
    assert play.closed["phone"] == "device-refused"
    assert not play.place("a").device_asks
    assert play.gate.seats == EVERYONE


def test_a_clinician_who_signed_out_is_gone_with_all_media_and_the_partners_are_held() -> None:
    play = live().opens(T, "t2", device="device-T") >> SignedOut(T, "device-T")
    play << ClosePeer(T)
    assert (play.closed["t"], play.closed["t2"]) == ("sign-in-needed", "sign-in-needed")
    assert play.gate.seats == NOBODY
    assert (play.place("a").state, play.place("b").state) == ("paused", "paused")
    play.opens(T, "t3", device="anew").asks("t3", SeatAction.ENTER).media(T)
    assert play.gate.seats == EVERYONE


def test_media_ends_with_the_sign_in_though_its_page_hung_up_before() -> None:
    play = live() >> Disconnected("t")
    assert play.gate.seats == EVERYONE
    assert (play >> SignedOut(T, "device-T")).gate.seats == NOBODY


def test_signing_out_ends_no_other_sign_in_of_the_seat() -> None:
    play = live().opens(T, "t2", device="another") >> SignedOut(T, "another")
    assert play.closed == {"t2": "sign-in-needed"}
    assert play.gate.seats == EVERYONE


def test_a_dead_first_device_yields_after_a_few_seconds() -> None:
    play = live().gone("a").wait(1).opens(A, "phone", device="phone")
    assert play.place("phone").state == "asking-device"
    assert play.wait(4).place("phone").state == "admitted"


def test_a_first_device_that_does_not_answer_keeps_its_place() -> None:
    assert live().opens(A, "phone", device="phone").wait(31).closed["phone"] == "device-refused"


def test_two_host_tabs_clicking_at_once_give_one_outcome() -> None:
    play = waiting().opens(T, "t2")
    play.hold_answers = True
    play.asks("t", SeatAction.ADMIT, A).asks("t2", SeatAction.DENY, A)
    play.answer_one()
    play.answer_one()
    assert play.place("a").state == "admitted"
    assert sorted(map(str, list(play.replies.values())[-2:])) == ["None", "wrong-state"]


def test_a_change_made_elsewhere_arrives() -> None:
    play = live()
    rows = tuple(SeatReloaded(code, SeatState.ENDED, False, True, START_MS, 1) for code in (A, B, T))
    play >> SessionReloaded(open=False, seats=rows)
    assert play.gate.seats == NOBODY
    assert play.closed == dict.fromkeys(("a", "b", "t"), "ended")


def test_an_empty_room_is_forgotten_but_not_one_with_people_inside() -> None:
    assert waiting().gone("a").gone("b").asks("t", SeatAction.LEAVE).gone("t").room.deadline is not None
    play = live().gone("a").gone("b").gone("t").wait(120)
    assert play.opens(A).place("a").state == "paused"


# ---- anything at all --------------------------------------------------------------------------------------

ANYONE = st.sampled_from([A, B, T])
ACTIONS = st.sampled_from(
    [
        SeatAction.ADMIT,
        SeatAction.ASK_TO_WAIT,
        SeatAction.DENY,
        SeatAction.HOLD,
        SeatAction.RESUME,
        SeatAction.MOVE_BACK,
        SeatAction.REMOVE,
        SeatAction.READMIT,
        HostAction.MUTE,
        HostAction.UNMUTE,
    ]
)


class AnyVisit(RuleBasedStateMachine):
    """Whatever people, networks and the store do, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play()
        self.count = 0
        self.unheard: set[str] = set()

    @initialize(begin=st.sampled_from([Play, waiting, live, live]))
    def somebody_may_be_there_already(self, begin: Callable[[], Play]) -> None:
        self.play = begin()

    @rule(seat=ANYONE, device=st.sampled_from(["one", "two"]), kept=st.booleans())
    def a_page_opens(self, seat: str, device: str, kept: bool) -> None:
        self.count += 1
        self.play.opens(seat, f"{seat}{self.count}", device=device, media_kept=kept)  # type: ignore[arg-type]  # sampled from SeatCode values

    @rule(data=st.data())
    def a_page_goes(self, data: st.DataObject) -> None:
        links = [link for seat in self.play.room.seats.values() for link in seat.pages]
        if links:
            self.play >> Disconnected(data.draw(st.sampled_from(links)))

    @rule(seat=ANYONE, up=st.booleans())
    def media_changes(self, seat: str, up: bool) -> None:
        if up and next(s for c, s in self.play.room.seats.items() if c == seat).suite is None:
            self.unheard.discard(seat)
        self.play.media(seat, up=up)  # type: ignore[arg-type]  # sampled from SeatCode values

    @rule(seat=ANYONE, silent=st.booleans())
    def silence(self, seat: str, silent: bool) -> None:
        self.play >> (FellSilent(seat) if silent else HeardAgain(seat))  # type: ignore[arg-type]  # sampled from SeatCode values
        (self.unheard.add if silent else self.unheard.discard)(seat)

    @rule(seat=ANYONE, action=st.sampled_from([SeatAction.KNOCK, SeatAction.ENTER, SeatAction.LEAVE]))
    def one_asks_for_oneself(self, seat: str, action: SeatAction) -> None:
        for link in list(self.play.room.seats[seat].pages)[:1]:  # type: ignore[index]  # sampled from SeatCode values
            self.play.asks(link, action)

    @rule(host=ANYONE, action=ACTIONS, seats=st.lists(ANYONE, max_size=3))
    def one_acts(self, host: str, action: SeatAction | HostAction, seats: list[str]) -> None:
        for link in list(self.play.room.seats[host].pages)[:1]:  # type: ignore[index]  # sampled from SeatCode values
            self.play.asks(link, action, *seats)  # type: ignore[arg-type]  # sampled from SeatCode values

    @precondition(lambda self: self.count > 3)
    @rule()
    def a_host_ends_it(self) -> None:
        for link in list(self.play.room.seats[T].pages)[:1]:
            self.play.asks(link, HostAction.END)

    @rule(data=st.data(), yielded=st.booleans())
    def a_device_answers(self, data: st.DataObject, yielded: bool) -> None:
        links = [link for seat in self.play.room.seats.values() for link in seat.pages]
        if links:
            self.play >> DeviceAnswered(
                data.draw(st.sampled_from(links)), yielded, data.draw(st.integers(0, 3))
            )

    @rule(down=st.booleans(), told=st.booleans())
    def the_store_changes(self, down: bool, told: bool) -> None:
        self.play.store = "down" if down else "up"
        if told:
            self.play >> StoreHealth(not down)

    @rule(held=st.booleans())
    def answers_come_late(self, held: bool) -> None:
        self.play.hold_answers = held

    @precondition(lambda self: bool(self.play.waiting_commits))
    @rule()
    def the_store_answers(self) -> None:
        self.play.answer_one()

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.play.wait(seconds)
        self.play >> Tick()

    @invariant()
    def never_alone(self) -> None:
        room, gate = self.play.room, self.play.gate.seats
        present = {
            c
            for c, s in room.seats.items()
            if s.is_host and s.alive and s.suite and s.state is SeatState.ADMITTED
        }
        assert not gate or present - self.unheard, "whatever pages open, somebody hears"
        assert not gate or any(room.seats[code].is_host for code in gate), "and is in the gate"

    @invariant()
    def after_the_end_nothing_flows(self) -> None:
        ended = [seat for seat, state in self.play.truth.items() if state is SeatState.ENDED]
        assert not (ended and self.play.gate.seats) or self.play.waiting_commits

    @invariant()
    def the_room_holds_no_more_than_its_roster(self) -> None:
        inside = {code for code, seat in self.play.room.seats.items() if seat.inside}
        assert self.play.gate.seats <= inside <= set(self.play.truth)

    @invariant()
    def only_admitted_seats_exchange_media(self) -> None:
        for code in self.play.gate.seats:
            assert self.play.room.seats[code].state is SeatState.ADMITTED
            assert self.play.truth[code] is SeatState.ADMITTED or self.play.waiting_commits

    @invariant()
    def what_is_being_closed_is_cut_already(self) -> None:
        assert not self.play.room.closing_seats & self.play.gate.seats

    @invariant()
    def removal_holds(self) -> None:
        assert not self.play.removed_from & self.play.gate.seats

    @invariant()
    def one_page_per_patient_seat(self) -> None:
        assert all(len(seat.pages) <= 1 for seat in self.play.room.seats.values() if not seat.is_host)

    @invariant()
    def pages_outside_see_no_others(self) -> None:
        for seat in self.play.room.seats.values():
            for link in seat.pages:
                view = self.play.views.get(link)
                if view is not None and not seat.is_host and seat.plan.code not in self.play.gate.seats:
                    assert self.play.place(link).others == ()


TestAnyVisit = AnyVisit.TestCase
TestAnyVisit.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_it_is_on_record_how_media_and_the_page_beside_it_are_encrypted() -> None:
    play = waiting().media(A, up=False)
    play.opens(A, "a2", device=f"device-{A}", tls="TLSv1.3 TLS_AES_256_GCM_SHA384")
    effects = play.room.handle(MediaChanged(A, SUITE), play.now, play.wall_ms)
    (up,) = (effect for effect in effects if isinstance(effect, Record))
    assert (up.event, up.detail) == (
        EventType.MEDIA_UP,
        {"suite": SUITE, "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384"},
    )
    effects = play.room.handle(MediaChanged(A, None), play.now, play.wall_ms)
    (down,) = (effect for effect in effects if isinstance(effect, Record))
    assert (down.event, down.detail) == (EventType.MEDIA_DOWN, {})


def test_a_host_is_told_that_a_program_has_a_seat() -> None:
    play = live().gone("a").asks("t", SeatAction.MOVE_BACK, A)
    assert [seat.program for seat in play.roster().seats] == [False, False, False]
    play.opens(A, "p", device=f"device-{A}", ingest=True)
    assert [seat.program for seat in play.roster().seats] == [True, False, False]


def test_individual_session_has_one_patient() -> None:
    play = live(SessionKind.INDIVIDUAL)
    assert play.gate.seats == {P, T}
    assert play.roster().seats[0].suite == SUITE
