"""Groups of a room: who commits, who is asked, what reaches whom; nobody outside ever gets anything."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.audit import EventType
from broker.seats import SeatAction, SeatCode, SeatState, SessionKind
from rooms.delivery import RESYNC_BURST, Keys
from rooms.effects import Record
from rooms.events import Disconnected, HostAction, SeatReloaded, SessionReloaded
from rooms.groups import (
    ROOM,
    AddThis,
    CheckEnded,
    ComeIn,
    CommitSent,
    CommitVoid,
    DropThese,
    EpochStands,
    IsReady,
    JoinGroup,
    NextEpoch,
    NotTaken,
    PairAsked,
    ReadySaid,
    ResyncAsked,
    SealedFrom,
    SealedSent,
    Tell,
)
from rooms.mls_wire import ContentType
from tests.rooms.group_pages import MEETING, TAG, Visit, live_visit, waiting_visit
from tests.rooms.playbook import A, B, C, Play, T
from tests.support import mls


def generation(visit: Visit, link: str = "t") -> str:
    return visit.knows(link)[0]


# ---- coming in -------------------------------------------------------------------------------------------


def application(epoch: int) -> bytes:
    """Something that a member of the first generation seals."""
    return mls.private_message(f"{MEETING}/{'0' * 15}1", epoch, ContentType.APPLICATION)


def test_the_first_clinician_inside_makes_the_group() -> None:
    visit = Visit().opens(T)
    assert visit.told["t"] == []
    visit.asks("t", SeatAction.ENTER)
    assert visit.told["t"] == [JoinGroup(ROOM, "0" * 15 + "1", commits=True)]


def test_who_waits_is_asked_for_a_key_package_and_the_committer_hears_nothing() -> None:
    visit = waiting_visit()
    assert visit.told["a"] == [JoinGroup(ROOM, generation(visit), commits=False)]
    assert len(visit.told["t"]) == 1


def test_the_committer_gets_the_key_package_when_the_admission_is_durable() -> None:
    visit = waiting_visit()
    visit.hold_answers = True
    visit.asks("t", SeatAction.ADMIT, A)
    assert len(visit.told["t"]) == 1
    visit.answer_one()
    (added,) = visit.heard("t", AddThis)
    assert (added.seat, added.tag, added.generation) == (A, TAG, generation(visit))


def test_an_admission_that_the_store_refuses_adds_nobody() -> None:
    visit = waiting_visit()
    visit.store = "down"
    visit.asks("t", SeatAction.ADMIT, A)
    assert visit.heard("t", AddThis) == []


def test_a_commit_brings_its_welcome_to_the_added_and_the_next_epoch_to_the_others() -> None:
    visit = waiting_visit().asks("t", SeatAction.ADMIT, A).commits()
    assert visit.heard("t", EpochStands)[-1].epoch == 1
    assert [news.epoch for news in visit.heard("a", ComeIn)] == [1]
    visit.asks("t", SeatAction.ADMIT, B).commits()
    assert [news.epoch for news in visit.heard("b", ComeIn)] == [2]
    assert [news.epoch for news in visit.heard("a", NextEpoch)] == [2]
    assert visit.heard("b", NextEpoch) == []


def test_every_rotation_is_on_record_with_its_reason() -> None:
    visit = live_visit().commits().asks("t", SeatAction.HOLD, A).commits()
    rotated = [(kind, seat, why) for kind, seat, why in visit.recorded if kind == "keys.rotated"]
    assert rotated == [("keys.rotated", T, why) for why in ("new-group", "joined", "renewed", "left")]


def test_the_epoch_is_in_the_record() -> None:
    visit = waiting_visit().asks("t", SeatAction.ADMIT, A).commits()
    assert Record(EventType.KEYS_ROTATED, T, "seat:T", "joined", {"epoch": 1}) in visit.effects


# ---- going out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [SeatAction.HOLD, SeatAction.MOVE_BACK, SeatAction.REMOVE])
def test_who_is_taken_out_gets_nothing_from_that_moment(action: SeatAction) -> None:
    visit = live_visit()
    visit.store = "down"  # closing waits for nobody
    visit.asks("t", action, A)
    assert visit.heard("t", DropThese) == [DropThese(ROOM, generation(visit), (A,))]
    before = len(visit.told["a"])
    visit.seals("b").seals("t").commits() >> ReadySaid("b", ROOM, generation(visit), 2)
    assert len(visit.told["a"]) == before
    assert visit.heard("b", NextEpoch)[-1].epoch == 2


def test_who_leaves_is_dropped() -> None:
    visit = live_visit().asks("a", SeatAction.LEAVE)
    assert visit.heard("t", DropThese)[-1].seats == (A,)


def test_who_is_taken_out_says_nothing_more() -> None:
    visit = live_visit().asks("t", SeatAction.HOLD, A)
    heard = len(visit.told["b"])
    visit.seals("a") >> ReadySaid("a", ROOM, generation(visit), 1)
    assert len(visit.told["b"]) == heard


def test_who_comes_back_from_hold_is_put_in_anew() -> None:
    visit = live_visit().asks("t", SeatAction.HOLD, A)
    packages = [news.key_package for news in visit.heard("t", AddThis) if news.seat == A]
    visit.asks("t", SeatAction.RESUME, A)
    fresh = visit.heard("t", AddThis)[-1]
    assert fresh.seat == A
    assert fresh.key_package not in packages
    commit = visit.commit_of()
    assert (commit.adds, commit.removes) == ((A,), (A,))  # it was never removed: both in one commit
    visit.commits()
    assert visit.heard("a", ComeIn)[-1].epoch == 2


def test_an_add_of_somebody_who_was_just_held_is_void_and_forgotten() -> None:
    visit = waiting_visit().asks("t", SeatAction.ADMIT, A)
    late = visit.commit_of()
    visit.asks("t", SeatAction.HOLD, A) >> late
    told = [DropThese(ROOM, generation(visit), (A,)), CommitVoid(ROOM, generation(visit), 0)]
    assert visit.told["t"][-2:] == told
    assert visit.heard("a", ComeIn) == []


def test_who_was_held_from_elsewhere_is_out_too() -> None:
    visit = live_visit()
    rows = [
        SeatReloaded(code, SeatState.HELD if code == A else state, False, True, 0, 0)
        for code, state in visit.truth.items()
    ]
    visit.truth[A] = SeatState.HELD
    visit >> SessionReloaded(True, tuple(rows))
    assert visit.heard("t", DropThese)[-1].seats == (A,)
    visit.commits(removes=())
    assert visit.heard("a", NextEpoch) == []


def test_nobody_is_added_while_no_clinician_is_present() -> None:
    visit = waiting_visit().asks("t", SeatAction.ADMIT, A).media(T, up=False).commits()
    assert visit.heard("a", ComeIn) == []
    visit.media(T).commits()
    assert visit.heard("a", ComeIn)


def test_a_candidate_that_reloads_meanwhile_is_told_anew_and_not_tried_again_before() -> None:
    visit = waiting_visit().asks("t", SeatAction.ADMIT, A)
    late = visit.commit_of()
    visit.answering = False
    visit.opens(A, "a2", "device-A") >> late
    told = [DropThese(ROOM, generation(visit), (A,)), CommitVoid(ROOM, generation(visit), 0)]
    assert visit.told["t"][-2:] == told
    visit >> visit.package_for("a2", ROOM, generation(visit))
    assert visit.commits().heard("a2", ComeIn)


def test_when_the_visit_ends_nothing_goes_on() -> None:
    visit = live_visit().asks("t", HostAction.END)
    told = {link: len(news) for link, news in visit.told.items()}
    visit.seals("t").commits().seals("a")
    assert {link: len(news) for link, news in visit.told.items()} == told


# ---- commits ---------------------------------------------------------------------------------------------


def test_exactly_one_commit_leads_on_from_an_epoch() -> None:
    visit = live_visit()
    first, second = visit.commit_of(), visit.commit_of()
    visit >> first >> second
    assert visit.last("t") == CommitVoid(ROOM, generation(visit), 2)
    assert [news.epoch for news in visit.heard("a", NextEpoch)] == [2]


@pytest.mark.parametrize(
    "other",
    [
        {"commit": b"no MLS"},
        {"commit": mls.private_message(f"{MEETING}/{'0' * 16}", 1)},
        {"commit": mls.private_message(f"{MEETING}/{'0' * 15}1", 0)},
        {"commit": mls.private_message(f"{MEETING}/{'0' * 15}1", 1, ContentType.APPLICATION)},
        {"adds": (A,)},
        {"adds": (A,), "welcome": mls.welcome(b"x" * 64), "removes": (A,)},
        {"removes": (T,)},
        {"removes": (C,)},
        {"removes": (A, A)},
        {"welcome": mls.welcome(b"x" * 64)},
    ],
    ids=",".join,
)
def test_a_commit_that_does_not_fit_is_void(other: dict[str, Any]) -> None:
    visit = live_visit()
    visit.commits(**other)
    assert CommitVoid(ROOM, generation(visit), 1) in visit.told["t"]
    assert visit.heard("a", NextEpoch) == []
    assert visit.commits().heard("a", NextEpoch)[-1].epoch == 2


def test_a_welcome_is_for_the_key_packages_that_were_told() -> None:
    visit = waiting_visit().asks("t", SeatAction.ADMIT, A)
    visit.commits(welcome=mls.welcome(b"somebody else's".ljust(64)))
    assert visit.heard("a", ComeIn) == []
    assert visit.commits().heard("a", ComeIn)


def test_only_the_committer_commits() -> None:
    visit = Visit(with_cotherapist=True).opens(T).asks("t", SeatAction.ENTER).media(T)
    visit.opens(C).asks("c", SeatAction.ENTER).media(C)
    visit.commits()
    forged = visit.commit_of()
    for link in ("c", "a"):
        visit >> CommitSent(link, forged.group, forged.generation, 1, forged.commit, None, (), ())
    assert visit.last("c") == NotTaken("not-allowed")
    assert visit.heard("t", EpochStands)[-1].epoch == 1


# ---- key packages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "forged",
    [{"pid": "B"}, {"name": "Therapist"}, {"role": "host"}, {"suite": 1}, {"not_after": 1}],
    ids=",".join,
)
def test_a_key_package_in_anothers_name_goes_nowhere(forged: dict[str, Any]) -> None:
    visit = Visit().opens(T).asks("t", SeatAction.ENTER).media(T)
    visit.answering = False
    visit.opens(A).asks("a", SeatAction.KNOCK).media(A)
    visit >> visit.package_for("a", ROOM, generation(visit), **forged)
    assert visit.last("a") == NotTaken("bad-group-message")
    visit.asks("t", SeatAction.ADMIT, A)
    assert visit.heard("t", AddThis) == []
    visit >> visit.package_for("a", ROOM, generation(visit))
    assert visit.heard("t", AddThis)


def test_a_second_key_package_for_one_asking_is_ignored() -> None:
    visit = waiting_visit()
    visit >> visit.package_for("a", ROOM, generation(visit))
    visit.asks("t", SeatAction.ADMIT, A)
    assert len(visit.heard("t", AddThis)) == 1


# ---- pages that come back --------------------------------------------------------------------------------


def test_a_member_that_comes_back_with_its_keys_goes_on() -> None:
    visit = live_visit() >> Disconnected("a")
    visit.opens(A, "a2", "device-A", kept=(generation(visit), 1), media_kept=True)
    assert visit.told["a2"] == []
    visit.commits()
    assert visit.heard("a2", NextEpoch)[-1].epoch == 2


def test_a_member_that_missed_one_commit_is_told_it() -> None:
    visit = live_visit() >> Disconnected("a")
    commit = visit.commit_of()
    visit.commits().opens(A, "a2", "device-A", kept=(generation(visit), 1), media_kept=True)
    assert visit.told["a2"] == [NextEpoch(ROOM, generation(visit), 2, commit.commit)]


@pytest.mark.parametrize("kept", [None, ("f" * 16, 1), ("0" * 15 + "1", 0), ("0" * 15 + "1", 7)])
def test_a_member_that_lost_its_keys_is_put_in_anew(kept: tuple[str, int] | None) -> None:
    visit = live_visit().commits() >> Disconnected("a")
    visit.opens(A, "a2", "device-A", kept=kept)
    assert visit.told["a2"] == [JoinGroup(ROOM, generation(visit), commits=False)]
    assert (visit.commit_of().adds, visit.commit_of().removes) == ((A,), (A,))
    visit.commits()
    assert visit.heard("a2", ComeIn)[-1].epoch == 3
    assert visit.heard("a", ComeIn)[-1].epoch == 1  # the former page heard no more


def test_a_member_asks_to_be_put_in_anew() -> None:
    visit = live_visit() >> ResyncAsked("a", ROOM, "0" * 15 + "1")
    assert visit.commit_of().removes == (A,)
    visit.commits()
    assert visit.heard("a", ComeIn)[-1].epoch == 2


def test_resyncs_come_at_a_measured_pace() -> None:
    visit = live_visit()
    for _ in range(int(RESYNC_BURST) + 1):
        visit >> ResyncAsked("a", ROOM, generation(visit))
    assert visit.last("a") == NotTaken("too-fast")


def test_a_committer_that_comes_back_with_its_keys_goes_on() -> None:
    visit = live_visit() >> Disconnected("t")
    visit.asks("a", SeatAction.LEAVE)
    visit.committers["t2", ROOM] = visit.committers["t", ROOM]
    visit.opens(T, "t2", "device-T", kept=(generation(visit), 1), media_kept=True)
    first = generation(visit, "b")
    assert visit.told["t2"] == [EpochStands(ROOM, first, 1), DropThese(ROOM, first, (A,))]
    visit.commits("t2")
    assert visit.heard("b", NextEpoch)[-1].epoch == 2


def test_a_committer_whose_accepted_was_lost_is_told_that_it_stands() -> None:
    visit = live_visit().commits() >> Disconnected("t")
    visit.committers["t2", ROOM] = visit.committers["t", ROOM]
    visit.opens(T, "t2", "device-T", kept=("0" * 15 + "1", 1), media_kept=True)
    assert visit.last("t2") == EpochStands(ROOM, "0" * 15 + "1", 2)


def test_a_reloaded_committer_begins_a_new_generation_with_everybody_inside() -> None:
    visit = live_visit().opens(T, "t2", "device-T").gone("t")
    visit.asks("t2", SeatAction.ENTER).media(T)
    second = generation(visit, "t2")
    assert second != "0" * 15 + "1"
    assert [news.generation for news in visit.heard("a", JoinGroup)] == ["0" * 15 + "1", second]
    assert {news.seat for news in visit.heard("t2", AddThis)} == {A, B}
    visit.commits("t2")
    assert visit.heard("a", ComeIn)[-1].generation == second
    told = len(visit.told["a"])
    visit.commits("t", generation="0" * 15 + "1")
    assert len(visit.told["a"]) == told


def test_another_clinician_goes_on_when_the_committer_is_gone() -> None:
    visit = Visit(with_cotherapist=True).opens(T).asks("t", SeatAction.ENTER).media(T)
    visit.opens(C).asks("c", SeatAction.ENTER).media(C)
    visit.opens(A).asks("a", SeatAction.KNOCK).media(A).asks("t", SeatAction.ADMIT, A).commits()
    assert visit.heard("c", ComeIn)
    visit.asks("t", SeatAction.LEAVE)
    assert visit.heard("c", JoinGroup)[-1].commits
    visit.commits("c")
    assert visit.heard("a", ComeIn)[-1].generation == generation(visit, "c")


def test_a_room_loaded_anew_brings_everybody_into_a_new_generation() -> None:
    inside = dict.fromkeys((A, B, T), SeatState.ADMITTED)
    visit = Visit(states=inside, holders={code: f"device-{code}" for code in (A, B, T)})
    visit.opens(T, kept=("e" * 16, 9), media_kept=True).opens(A, kept=("e" * 16, 9)).opens(B)
    visit.asks("t", SeatAction.ENTER).media(T).media(A).media(B).commits()
    assert {visit.heard(link, ComeIn)[-1].epoch for link in "ab"} == {1}


# ---- between members -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(T, A), (A, T)])
def test_a_room_that_moved_here_is_told_from_the_generation_that_its_pages_know(
    order: tuple[SeatCode, ...],
) -> None:
    inside = dict.fromkeys((A, B, T), SeatState.ADMITTED)
    visit = Visit(states=inside, holders={code: f"device-{code}" for code in (A, B, T)})
    for seat in order:
        # The first one here would end in 1, too.
        visit.opens(seat, kept=("f" * 15 + "1", 9), media_kept=seat == T)
    visit.asks("t", SeatAction.ENTER).media(T).media(A)
    assert generation(visit)[-1] != "1"
    visit.commits()
    assert visit.heard("a", ComeIn)[-1].generation == generation(visit)


def test_the_next_generation_ends_neither_like_the_one_before_nor_like_one_that_a_page_has_kept() -> None:
    visit = live_visit() >> Disconnected("a")
    visit.opens(A, "a2", "device-A", kept=("f" * 15 + "2", 4))
    visit >> ResyncAsked("t", ROOM, generation(visit))
    assert generation(visit)[-1] not in ("1", "2")


def test_what_a_member_seals_reaches_the_others() -> None:
    visit = live_visit().seals("a")
    for link in ("b", "t"):
        (sealed,) = visit.heard(link, SealedFrom)
        assert (sealed.seat, sealed.group) == (A, ROOM)
    assert visit.heard("a", SealedFrom) == []


def test_partners_say_nothing_to_each_other_without_a_clinician() -> None:
    visit = live_visit().media(T, up=False).seals("a")
    assert visit.heard("b", SealedFrom) == []
    assert visit.last("a") == NotTaken("clinician-absent")


@pytest.mark.parametrize(
    "message",
    [b"plain", mls.private_message(f"{MEETING}/{'0' * 15}1", 1), mls.private_message("x", 1, 1)],
    ids=["no MLS", "a commit", "another group"],
)
def test_what_is_no_sealed_message_of_the_group_goes_nowhere(message: bytes) -> None:
    visit = live_visit().seals("a", message=message)
    assert visit.heard("b", SealedFrom) == []
    assert visit.last("a") == NotTaken("bad-group-message")


def test_who_seals_hears_whether_somebody_got_it() -> None:
    visit = live_visit().seals("a", request=100)
    assert visit.replies[100] is None
    visit.media(T, up=False).seals("a", request=101)
    assert visit.replies[101] == "clinician-absent"
    assert visit.heard("a", NotTaken) == []


def test_what_was_sealed_before_somebody_was_added_is_not_called_sent() -> None:
    """Its reader, put in anew, never had that epoch."""
    visit = live_visit()
    before = visit.knows("t")[1]
    visit >> ResyncAsked("a", ROOM, generation(visit))
    visit.commits()
    assert visit.knows("t")[1] == before + 1
    visit.seals("t", message=application(before), request=100)
    assert visit.replies[100] == "keys-changed"
    assert visit.heard("a", SealedFrom) == []
    visit.seals("t", message=application(before + 1), request=101)
    assert visit.replies[101] is None
    assert len(visit.heard("a", SealedFrom)) == 1


@pytest.mark.parametrize(
    ("link", "how", "code"),
    [
        ("a", {"message": b"plain"}, "bad-group-message"),
        ("a", {"generation": "f" * 16}, "keys-changed"),
        ("a", {"group": "B"}, "keys-changed"),
        ("a", {"group": "A"}, "keys-changed"),
        ("nobody", {}, "keys-changed"),
        ("a", {"message": application(0)}, "keys-changed"),
        ("a", {"message": application(2)}, "keys-changed"),
    ],
)
def test_what_goes_nowhere_is_said_to_whoever_sealed_it(link: str, how: dict[str, Any], code: str) -> None:
    visit = live_visit()
    said: dict[str, Any] = {"generation": generation(visit), "request": 100} | how
    visit.seals(link, **said)
    assert visit.replies[100] == code
    assert visit.heard("b", SealedFrom) == visit.heard("t", SealedFrom) == []


def test_a_lone_clinician_hears_that_nobody_is_there() -> None:
    visit = waiting_visit().seals("t", request=100)
    assert visit.replies[100] == "nobody-there"


def test_a_session_without_groups_takes_nothing_sealed() -> None:
    play = Play().opens(T) >> SealedSent("t", ROOM, "0" * 16, b"sealed", 100)
    assert play.replies[100] == "not-allowed"


def test_readiness_is_told_to_the_others() -> None:
    visit = live_visit() >> ReadySaid("a", ROOM, "0" * 15 + "1", 1)
    assert visit.heard("t", IsReady) == visit.heard("b", IsReady) == [IsReady(ROOM, generation(visit), 1, A)]
    visit >> ReadySaid("a", ROOM, "0" * 15 + "1", 0)
    assert len(visit.heard("t", IsReady)) == 1


# ---- the pair of the committer and one who waits ---------------------------------------------------------


def test_a_clinician_writes_to_one_who_waits_and_only_to_that_one() -> None:
    visit = waiting_visit() >> PairAsked("t", A)
    before = len(visit.told["b"])
    visit.commits("t", A).seals("t", A).seals("a", A, text=b"answer")
    assert [news.seat for news in visit.heard("a", SealedFrom)] == [T]
    assert [news.seat for news in visit.heard("t", SealedFrom)] == [A]
    assert len(visit.told["b"]) == before


def test_a_pair_ends_when_its_guest_stops_waiting() -> None:
    visit = waiting_visit() >> PairAsked("t", A)
    visit.commits("t", A).asks("t", SeatAction.ADMIT, A)
    assert any(isinstance(n, DropThese) and n.group == A for n in visit.told["t"])
    told = len(visit.told["a"])
    visit.seals("t", A, request=100).seals("a", A, request=101)
    assert len(visit.told["a"]) == told
    assert (visit.replies[100], visit.replies[101]) == ("keys-changed", "keys-changed")


def test_in_a_pair_too_it_is_said_that_the_other_side_is_away() -> None:
    visit = waiting_visit() >> PairAsked("t", A)
    visit.commits("t", A) >> Disconnected("a")
    visit.seals("t", A, request=100)
    assert visit.replies[100] == "nobody-there"


def test_a_pair_outlives_the_connections_of_both() -> None:
    visit = waiting_visit() >> PairAsked("t", A)
    visit.commits("t", A) >> Disconnected("a")
    visit.opens(A, "a2", "device-A")
    assert (visit.commit_of("t", A).adds, visit.commit_of("t", A).removes) == ((A,), (A,))
    visit.commits("t", A).seals("t", A)
    assert visit.heard("a2", SealedFrom)
    visit >> Disconnected("t")
    for group in (ROOM, A):
        visit.committers["t2", group] = visit.committers["t", group]
    visit.opens(T, "t2", "device-T", kept=(generation(visit), 0), media_kept=True)
    assert [news.group for news in visit.heard("t2", EpochStands)] == [ROOM, A]
    visit.seals("t2", A, generation=visit.knows("t", A)[0], message=sealed_for_a(visit))
    assert len(visit.heard("a2", SealedFrom)) == 2


def sealed_for_a(visit: Visit) -> bytes:
    made, epoch = visit.knows("t", A)
    return mls.private_message(f"{MEETING}/{made}/A", epoch, ContentType.APPLICATION)


def test_a_committer_that_lost_a_pair_begins_it_anew() -> None:
    visit = waiting_visit() >> PairAsked("t", A)
    first = visit.knows("t", A)[0]
    visit.commits("t", A) >> ResyncAsked("t", A, first)
    assert visit.knows("t", A)[0] != first
    visit.commits("t", A).seals("t", A)
    assert visit.heard("a", SealedFrom)


def test_nobody_but_the_committer_opens_a_pair_and_only_with_one_who_waits() -> None:
    visit = live_visit() >> PairAsked("a", B)
    assert visit.last("a") == NotTaken("not-allowed")
    visit >> PairAsked("t", A)
    assert visit.last("t") == NotTaken("no-seat")


def test_until_a_clinician_writes_a_waiting_page_is_told_the_same_whoever_is_there() -> None:
    alone = Visit().opens(A).asks("a", SeatAction.KNOCK).media(A)
    crowded = Visit().opens(T).asks("t", SeatAction.ENTER).media(T).opens(A).asks("a", SeatAction.KNOCK)
    crowded.opens(B).asks("b", SeatAction.KNOCK).media(B).asks("t", SeatAction.ADMIT, B).commits().seals("b")
    crowded.gone("t").opens(T, "t2", "other").asks("t2", SeatAction.ENTER).media(T).commits("t2")
    assert [type(news) for news in crowded.told["a"]] == [type(news) for news in alone.told["a"]]
    assert len(crowded.told["a"]) == 1
    # and who is let in then is asked for what this generation needs
    crowded.asks("t2", SeatAction.ADMIT, A).commits("t2")
    assert crowded.heard("a", ComeIn)


# ---- the spoken check ------------------------------------------------------------------------------------


def test_a_check_holds_until_the_members_change() -> None:
    visit = live_visit()
    assert visit.room.keys == Keys(1, None)
    visit >> CheckEnded("t", generation(visit), 1, verified=True)
    assert visit.room.keys == Keys(1, verified=True)
    assert ("keys.checked", T, None) in visit.recorded
    visit.commits()
    assert visit.room.keys == Keys(2, verified=True)
    visit.asks("a", SeatAction.LEAVE).commits()
    assert visit.room.keys == Keys(3, verified=True), "the others are who they were"
    visit.opens(A, "a2", "device-A").asks("a2", SeatAction.KNOCK).media(A)
    visit.asks("t", SeatAction.ADMIT, A).commits()
    assert visit.room.keys == Keys(4, None)
    visit.asks("a2", SeatAction.LEAVE).commits()
    assert visit.room.keys == Keys(5, None), "what is lost is lost"


def test_a_check_that_the_committer_finds_to_hold_for_who_came_is_taken_over() -> None:
    visit = live_visit() >> CheckEnded("t", "0" * 15 + "1", 1, verified=True)
    visit.asks("a", SeatAction.LEAVE).commits()
    visit.opens(A, "a2", "device-A").asks("a2", SeatAction.KNOCK).media(A)
    visit.asks("t", SeatAction.ADMIT, A).commits()
    assert visit.room.keys == Keys(3, None)
    visit >> CheckEnded("t", "0" * 15 + "1", 3, verified=True)
    assert visit.room.keys == Keys(3, verified=True)
    assert [event[0] for event in visit.recorded].count("keys.checked") == 2


def test_nobody_has_checked_anything_who_is_alone() -> None:
    visit = live_visit() >> CheckEnded("t", "0" * 15 + "1", 1, verified=True)
    visit.asks("a", SeatAction.LEAVE).asks("b", SeatAction.LEAVE).commits()
    assert visit.room.keys == Keys(2, None)


def test_pictures_that_differed_are_shown_until_a_check_says_otherwise() -> None:
    visit = live_visit() >> CheckEnded("t", "0" * 15 + "1", 1, verified=False)
    visit.asks("a", SeatAction.LEAVE).commits()
    assert visit.room.keys == Keys(2, verified=False)
    visit >> CheckEnded("t", "0" * 15 + "1", 2, verified=True)
    assert visit.room.keys == Keys(2, verified=True)


def test_a_check_that_was_on_its_way_when_somebody_left_counts_and_not_when_somebody_came() -> None:
    visit = live_visit()
    visit.asks("a", SeatAction.LEAVE).commits()
    visit >> CheckEnded("t", "0" * 15 + "1", 1, verified=True)
    assert visit.room.keys == Keys(2, verified=True)
    visit >> CheckEnded("t", "0" * 15 + "1", 2, verified=True)
    assert [event[0] for event in visit.recorded].count("keys.checked") == 1, "said twice, and once on record"
    visit.opens(A, "a2", "device-A").asks("a2", SeatAction.KNOCK).media(A)
    visit.asks("t", SeatAction.ADMIT, A).commits()
    visit >> CheckEnded("t", "0" * 15 + "1", 2, verified=True)
    assert visit.room.keys == Keys(3, None)


def test_a_check_of_another_epoch_or_by_another_page_counts_for_nothing() -> None:
    visit = live_visit() >> CheckEnded("t", "0" * 15 + "1", 0, verified=True)
    visit >> CheckEnded("a", "0" * 15 + "1", 1, verified=True)
    assert visit.room.keys == Keys(1, None)


def test_a_session_without_groups_takes_nothing_of_the_kind() -> None:
    play = Play().opens(A) >> ResyncAsked("a", ROOM, "0" * 16)
    assert Tell("a", NotTaken("not-allowed")) in play.effects
    assert play.room.keys is None


# ---- whatever comes, in whatever order -------------------------------------------------------------------

LINKS = {"t": T, "t2": T, "a": A, "a2": A, "b": B}
MOVES = [SeatAction.ADMIT, SeatAction.HOLD, SeatAction.RESUME, SeatAction.MOVE_BACK, SeatAction.REMOVE]
MOVES += [SeatAction.READMIT, SeatAction.DENY, SeatAction.ASK_TO_WAIT]
PATIENTS = st.sampled_from([A, B])
PAGES = st.sampled_from(sorted(LINKS))
STEPS = st.one_of(
    st.tuples(st.just("open"), PAGES, st.booleans()),
    st.tuples(st.just("gone"), PAGES),
    st.tuples(st.just("own"), PAGES),
    st.tuples(st.just("leave"), PAGES),
    st.tuples(st.just("move"), st.sampled_from(MOVES), PATIENTS),
    st.tuples(st.just("move"), st.sampled_from(MOVES[:4]), PATIENTS),
    st.tuples(st.just("slowly"), st.sampled_from(MOVES[:4]), PATIENTS),
    st.tuples(st.just("media"), st.sampled_from([A, B, T]), st.booleans()),
    st.tuples(st.just("store"), st.sampled_from(["up", "down", "slow", "answers"])),
    st.tuples(st.just("commit"), st.sampled_from(["room", "A", "B"])),
    st.tuples(st.just("commit"), st.just("room")),
    st.tuples(st.just("again"), st.integers(0, 5)),
    st.tuples(st.just("forge"), PAGES),
    st.tuples(st.just("resync"), PAGES, st.sampled_from(["room", "A"])),
    st.tuples(st.just("pair"), PAGES, PATIENTS),
)


class Watched(Visit):
    """A visit in which every word to a page is judged as it is said."""

    def __init__(self) -> None:
        super().__init__(SessionKind.COUPLE)
        self.epochs: dict[tuple[str, str, int], bytes] = {}
        self.accepted: set[tuple[str, str, int]] = set()
        self.sent: list[CommitSent] = []

    def tell(self, link: str, news: Any) -> None:
        seat = self.owner[link]
        inside = self.truth[seat] is SeatState.ADMITTED and seat not in self.room.closing_seats
        if isinstance(news, AddThis | NextEpoch | ComeIn | IsReady | SealedFrom):
            assert link in self.room.seats[seat].pages, "a page was told that has the seat no more"
            if news.group == ROOM or seat == T:
                assert inside, f"{seat} is {self.truth[seat]} and was told {type(news).__name__}"
            else:
                assert news.group == seat, "one who waits was told of another's pair"
        if isinstance(news, AddThis):
            assert link == self.room.seats[T].media_link, "a key package went to another than the committer"
            if news.group == ROOM:
                assert self.truth[news.seat] is SeatState.ADMITTED
                assert news.seat in self.room.flowing
        if isinstance(news, NextEpoch):
            key = (news.group, news.generation, news.epoch)
            assert self.epochs.setdefault(key, news.commit) == news.commit, "two commits lead to one epoch"
        if isinstance(news, IsReady | SealedFrom) and news.group == ROOM:
            assert self.truth[news.seat] is SeatState.ADMITTED
            assert news.seat not in self.room.closing_seats, "somebody outside was heard"
        if isinstance(news, SealedFrom) and news.group == ROOM:
            assert {seat, news.seat} <= self.room.flowing, "a word between two who may not hear each other"
        super().tell(link, news)

    def play(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("open", link, kept):
                self.opens(LINKS[link], link, kept=self.knows(link) if kept else None, media_kept=kept)
            case ("gone", link):
                self >> Disconnected(link)
            case ("own", link):
                self.asks(link, SeatAction.ENTER if LINKS[link] == T else SeatAction.KNOCK)
            case ("leave", link):
                self.asks(link, SeatAction.LEAVE)
            case ("move", action, seat):
                self.asks("t" if "t" in self.room.seats[T].pages else "t2", action, seat)
            case ("slowly", action, seat):
                self.hold_answers = True
                self.play(("move", action, seat))
                self.play(("commit", ROOM))
            case ("media", seat, up):
                self.media(seat, up=up)
            case ("store", "answers"):
                while self.waiting_commits:
                    self.answer_one()
            case ("store", how):
                self.store, self.hold_answers = ("down" if how == "down" else "up"), how == "slow"
            case ("commit", group):
                for link in [link for link, of in self.committers if of == group]:
                    self._commit(self.commit_of(link, group))
            case ("again", n) if n < len(self.sent):
                self._commit(self.sent[-1 - n])
            case ("forge", link) if ("t", ROOM) in self.committers:
                forged = self.commit_of()
                self._commit(replace(forged, link=link, adds=(), welcome=None, removes=()))
            case ("resync", link, group):
                self >> ResyncAsked(link, group, self.knows(link, group)[0])
            case ("pair", link, seat):
                self >> PairAsked(link, seat)
        # Whatever happened: everybody says something to everybody, in each group that they ever knew.
        for link in self.owner:
            for group in (ROOM, A, B):
                self.seals(link, group)
            self >> ReadySaid(link, ROOM, *self.knows(link))

    def _commit(self, commit: CommitSent) -> None:
        self.sent.append(commit)
        if (commit.link, commit.group) in self.committers:
            self.committers[commit.link, commit.group].pending = commit
        before = self.room.keys
        self >> commit
        if commit.link != self.room.seats[T].media_link:
            assert self.room.keys == before, "somebody else than the committer led the group on"
        stands = [e for e in self.effects if isinstance(e, Tell) and isinstance(e.news, EpochStands)]
        if stands:
            key = (commit.group, commit.generation, commit.epoch)
            assert key not in self.accepted, "an epoch was led on from twice"
            self.accepted.add(key)


COME_TOGETHER: list[tuple[Any, ...]] = [
    *(("open", "t", False), ("own", "t"), ("media", T, True)),
    *(("open", "a", False), ("own", "a"), ("media", A, True), ("move", SeatAction.ADMIT, A)),
    *(("open", "b", False), ("own", "b"), ("media", B, True), ("commit", ROOM)),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_nobody_outside_is_ever_told_anything_and_epochs_follow_each_other(steps: list[Any]) -> None:
    visit = Watched()
    for step in (*COME_TOGETHER, *steps):
        visit.play(step)
    for link, news in visit.told.items():
        ends = [
            (n.generation, n.epoch) for n in news if isinstance(n, NextEpoch | ComeIn) and n.group == ROOM
        ]
        assert all(a != b for a, b in pairwise(ends)), f"{link} was told an epoch twice"


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_whatever_happened_honest_pages_come_together_again(steps: list[Any]) -> None:
    visit = Watched()
    for step in steps:
        visit.play(step)
    visit.play(("store", "up"))
    visit.play(("store", "answers"))
    visit.now += 120.0
    visit.opens(T, "t3", "device-T").asks("t3", SeatAction.ENTER).media(T, up=False).media(T)
    for seat, link in ((A, "a3"), (B, "b3")):
        if visit.truth[seat] is SeatState.REMOVED:
            visit.asks("t3", SeatAction.READMIT, seat)
        visit.opens(seat, link, f"device-{seat}").asks(link, SeatAction.KNOCK)
        visit.asks("t3", SeatAction.RESUME, seat).asks("t3", SeatAction.ADMIT, seat)
        visit.media(seat, up=False).media(seat)
    visit.commits("t3")
    visit.seals("t3")
    for link in ("a3", "b3"):
        assert isinstance(visit.last(link), SealedFrom), link


def test_sealed_words_have_no_bytes_in_their_repr() -> None:
    assert "secret" not in repr(SealedSent("a", ROOM, "0" * 16, b"secret"))


def test_codes_of_waiting_seats_are_names_of_pairs() -> None:
    assert SeatCode("A") == "A" != ROOM
