"""Leases on a real store: one owner at a time, and an owner that has a successor opens nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.audit import EventType
from broker.booking import BookedSession
from broker.errors import ChangeRefused, Refused
from broker.ids import MeetingId, new_meeting_id
from broker.placement import Lease, Placement
from broker.seats import SeatAction
from broker.store import SeatChange
from tests.support.practice import HOST, A, B, Practice, T
from tests.support.stores import event
from tests.support.waiting import eventually

E = EventType
TTL_MS = 6000


@pytest.fixture
def worker(practice: Practice) -> Callable[[str], Placement]:
    return lambda name: Placement(practice.store, name)


async def until(practice: Practice, meeting: MeetingId, shift_ms: int) -> None:
    """Let the lease of a room end so long from now, as a clock that jumps would."""
    key = practice.store.link.key("leases")
    _, token, owner = (await practice.store.link.read("HGET", key, meeting)).decode().split(":")
    await practice.store.link.plain("HSET", key, meeting, f"{practice.now + shift_ms}:{token}:{owner}")


async def ends(practice: Practice, meeting: MeetingId) -> int:
    """When the lease of a room ends, store time in ms."""
    text = await practice.store.link.read("HGET", practice.store.link.key("leases"), meeting)
    return int(text.split(b":")[0])


async def successor(practice: Practice, meeting: MeetingId) -> tuple[int, int]:
    """Have a room change hands; returns the tokens of the old owner and of the new one."""
    old, new = Placement(practice.store, "old"), Placement(practice.store, "new")
    before = await old.take(meeting)
    await until(practice, meeting, -1)
    after = await new.take(meeting)
    assert after == Lease(meeting, "new", before.token + 1)
    return before.token, after.token


async def refused(practice: Practice, booked: BookedSession, fence: int, *actions: SeatAction) -> None:
    """None of these is done, and nothing at all is written."""
    before, kept = len(await practice.events()), await practice.store.load_session(booked.meeting)
    for action in actions:
        with pytest.raises(Refused) as caught:
            await practice.admission.change(booked.meeting, action, (A,), HOST.id, fence=fence)
        assert caught.value.code == "fenced-room"
    assert len(await practice.events()) == before
    assert await practice.store.load_session(booked.meeting) == kept


# ---------------------------------------------------------------------- leases


async def test_of_two_that_want_a_room_exactly_one_gets_it_a_thousand_times(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    meeting = (await practice.book()).meeting
    workers = {name: worker(name) for name in ("one", "two")}
    for turn in range(1, 1001):
        told = await asyncio.gather(*(each.take(meeting) for each in workers.values()))
        assert told[0] == told[1]
        assert told[0].token == turn
        await workers[told[0].worker].release(meeting)


async def test_a_room_that_is_ours_stays_ours(practice: Practice, worker: Callable[[str], Placement]) -> None:
    meeting, ours = (await practice.book()).meeting, worker("one")
    first = await ours.take(meeting)
    assert await ours.take(meeting) == first
    assert await ours.renew([meeting]) == {meeting}
    assert await worker("two").take(meeting) == first


async def test_a_lease_that_nobody_renews_ends_by_the_stores_clock(practice: Practice) -> None:
    meeting = (await practice.book()).meeting
    short, other = Placement(practice.store, "short", ttl=1.0), Placement(practice.store, "other")
    await short.take(meeting)
    assert (await other.take(meeting)).worker == "short"

    async def taken() -> bool:
        return (await other.take(meeting)).worker == "other"

    await eventually(taken)
    assert await short.renew([meeting]) == frozenset()
    assert (await short.take(meeting)).worker == "other"


async def test_a_renewal_lets_a_lease_last_for_a_whole_time_again(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    meeting, ours = (await practice.book()).meeting, worker("one")
    await ours.take(meeting)
    await until(practice, meeting, 10)
    before = practice.now
    await ours.renew([meeting])
    assert await ends(practice, meeting) >= before + TTL_MS


async def test_many_rooms_are_renewed_in_one_call(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    ours, theirs = worker("one"), worker("two")
    meetings = [(await practice.book()).meeting for _ in range(4)]
    for meeting in meetings:
        await ours.take(meeting)
    await until(practice, meetings[1], -1)
    await theirs.take(meetings[1])
    await ours.renew([])
    before = (await practice.commands())[1]
    assert await ours.renew([*meetings, new_meeting_id()]) == set(meetings) - {meetings[1]}
    assert (await practice.commands())[1] == before + 1
    assert ours.held == set(meetings) - {meetings[1]}


async def test_a_lease_that_ran_out_is_ours_until_another_takes_it(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    """The store's clock jumps ahead: no call of the practice ends for that."""
    meeting, ours = (await practice.book()).meeting, worker("one")
    lease = await ours.take(meeting)
    await until(practice, meeting, -20_000)
    assert await ours.renew([meeting]) == {meeting}
    assert await worker("two").take(meeting) == lease


async def test_a_clock_that_is_set_back_does_not_stretch_a_lease(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    meeting, other = (await practice.book()).meeting, worker("two")
    lease = await worker("one").take(meeting)
    await until(practice, meeting, 3_600_000)
    assert await other.take(meeting) == lease
    assert await ends(practice, meeting) <= practice.now + TTL_MS


async def test_a_room_given_up_is_free_at_once(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    meeting, ours, theirs = (await practice.book()).meeting, worker("one"), worker("two")
    first = await ours.take(meeting)
    await ours.release(meeting)
    assert await ours.renew([meeting]) == frozenset()
    assert await theirs.take(meeting) == Lease(meeting, "two", first.token + 1)
    assert await theirs.renew([meeting]) == {meeting}


async def test_giving_up_what_is_not_ours_does_nothing(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    meeting, ours, theirs = (await practice.book()).meeting, worker("one"), worker("two")
    lease = await ours.take(meeting)
    await theirs.take(meeting)
    await theirs.release(meeting)
    assert await theirs.take(meeting) == lease
    await until(practice, meeting, -1)
    lease = await theirs.take(meeting)
    await ours.release(meeting)  # it still believes so
    assert await ours.take(meeting) == lease


async def test_a_dead_workers_rooms_are_free_at_once(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    dead, living = worker("dead"), worker("living")
    meetings = [(await practice.book()).meeting for _ in range(3)]
    tokens = [(await dead.take(meeting)).token for meeting in meetings[:2]]
    kept = await living.take(meetings[2])
    assert await living.bury("dead") == 2
    assert await living.bury("dead") == 0
    for meeting, token in zip(meetings[:2], tokens, strict=True):
        assert await living.take(meeting) == Lease(meeting, "living", token + 1)
    assert await living.take(meetings[2]) == kept


async def test_leases_of_long_ago_do_not_pile_up(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    meetings = [(await practice.book()).meeting for _ in range(2)]
    for meeting in meetings:
        await worker("one").take(meeting)
    await until(practice, meetings[0], -86_500_000)
    assert await worker("two").bury("nobody") == 0
    left = await practice.store.link.read("HKEYS", practice.store.link.key("leases"))
    assert left == [meetings[1].encode()]
    # Its token lives with the session, and goes on from there.
    assert (await worker("two").take(meetings[0])).token == 2


async def test_the_board_sees_living_leases_only(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    meetings = [(await practice.book()).meeting for _ in range(3)]
    for meeting, name in zip(meetings, ("one", "two:2", "one"), strict=True):
        await worker(name).take(meeting)
    await until(practice, meetings[2], -1)
    assert await worker("x").owners() == {meetings[0]: "one", meetings[1]: "two:2"}


async def test_there_is_no_lease_of_a_session_that_was_never_booked(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    with pytest.raises(Refused, match="no-session"):
        await worker("one").take(new_meeting_id())
    assert await practice.store.link.read("EXISTS", practice.store.link.key("leases")) == 0


@pytest.mark.parametrize("name", ["", "two words", "ü", "w" * 65, "line\n"])
async def test_a_worker_has_a_name_that_fits(practice: Practice, name: str) -> None:
    with pytest.raises(ValueError, match="worker"):
        Placement(practice.store, name)


# ---------------------------------------------------------------------- what an owner may still do


async def test_an_owner_changes_seats_while_the_room_is_its_own(
    practice: Practice, worker: Callable[[str], Placement]
) -> None:
    booked = await practice.book()
    await practice.waiting(booked, A)
    fence = (await worker("one").take(booked.meeting)).token
    change = practice.admission.change
    await change(booked.meeting, SeatAction.ADMIT, (A,), HOST.id, fence=fence)
    await practice.admission.mute(booked.meeting, (A,), True, HOST.id, fence=fence)
    await practice.admission.record(
        E.SEAT_RESUMED, booked.meeting, A, "system", "clinician-back", fence=fence
    )
    await practice.admission.end(booked.meeting, HOST.id, fence=fence)
    told = [told.type for told in await practice.events(E.SEAT_ADMITTED, E.SEAT_MUTED, E.SEAT_RESUMED)]
    assert told == [E.SEAT_ADMITTED, E.SEAT_MUTED, E.SEAT_RESUMED]
    assert set((await practice.states(booked)).values()) == {"ended"}


async def test_an_owner_with_a_successor_opens_nothing_and_writes_nothing(practice: Practice) -> None:
    booked = await practice.book()
    await practice.waiting(booked, A)
    old, new = await successor(practice, booked.meeting)
    await refused(practice, booked, old, SeatAction.ADMIT, SeatAction.ASK_TO_WAIT, SeatAction.KNOCK)
    before = len(await practice.events())
    for attempt in (
        practice.admission.mute(booked.meeting, (A,), False, HOST.id, fence=old),
        practice.admission.record(E.SEAT_RESUMED, booked.meeting, A, "system", fence=old),
    ):
        with pytest.raises(Refused, match="fenced-room"):
            await attempt
    assert len(await practice.events()) == before
    await practice.admission.change(booked.meeting, SeatAction.ADMIT, (A,), HOST.id, fence=new)
    assert (await practice.states(booked))["A"] == "admitted"


async def test_a_token_that_the_store_never_gave_opens_nothing(practice: Practice) -> None:
    """The store was rolled back behind this owner's lease."""
    booked = await practice.book()
    await practice.waiting(booked, A)
    _, new = await successor(practice, booked.meeting)
    await refused(practice, booked, new + 1, SeatAction.ADMIT)


async def test_a_fenced_change_leaves_no_hole_in_the_numbers_of_its_node(
    practice: Practice,
) -> None:
    """An event that was refused gives its number back, so that no gap is seen in this node's events."""
    booked = await practice.book()
    await practice.waiting(booked, A)
    old, _ = await successor(practice, booked.meeting)
    await refused(practice, booked, old, SeatAction.ADMIT)
    await practice.admission.change(booked.meeting, SeatAction.ADMIT, (A,), HOST.id)
    await practice.ledger.flushed()
    numbers = [entry.leaf.header.q for entry in await practice.ledger.read(0, 100)]
    assert sorted(numbers) == list(range(len(numbers)))


async def test_people_and_the_command_line_need_no_lease(practice: Practice) -> None:
    booked = await practice.book()
    await practice.waiting(booked, A)
    await successor(practice, booked.meeting)
    await practice.admission.change(booked.meeting, SeatAction.ADMIT, (A,), HOST.id)
    await practice.admission.end(booked.meeting, HOST.id)
    assert set((await practice.states(booked)).values()) == {"ended"}


async def test_an_owner_hears_what_became_of_a_change_even_after_its_lease(practice: Practice) -> None:
    booked = await practice.book()
    await practice.waiting(booked, A)
    owner = Placement(practice.store, "old")
    fence = (await owner.take(booked.meeting)).token
    prepared = practice.ledger.prepare(event(session=booked.meeting, seat="A"))
    admit = [SeatChange("A", frozenset({"waiting"}), "admitted", prepared)]
    first = await practice.store.change(booked.meeting, admit, fence=fence)
    note = practice.ledger.prepare(event(E.SEAT_RESUMED, session=booked.meeting, seat="A"))
    noted = await practice.store.note(booked.meeting, note, fence=fence)
    await until(practice, booked.meeting, -1)
    await Placement(practice.store, "new").take(booked.meeting)
    again = await practice.store.change(booked.meeting, admit, fence=fence)
    assert (again.receipts, again.rev) == (first.receipts, first.rev)
    assert await practice.store.note(booked.meeting, note, fence=fence) == noted


# ---------------------------------------------------------------------- owed closings


@pytest.mark.parametrize(
    ("action", "state"),
    [
        (SeatAction.HOLD, "held"),
        (SeatAction.MOVE_BACK, "waiting"),
        (SeatAction.REMOVE, "removed"),
        (SeatAction.LEAVE, "left"),
    ],
)
async def test_a_closing_that_the_former_owner_owed_is_still_taken(
    practice: Practice, action: SeatAction, state: str
) -> None:
    booked = await practice.book()
    await practice.admitted(booked, A, B)
    old, _ = await successor(practice, booked.meeting)
    await practice.admission.change(booked.meeting, action, (A,), HOST.id, fence=old)
    assert (await practice.states(booked))["A"] == state
    assert (await practice.states(booked))["B"] == "admitted"


async def test_an_owed_mute_is_still_taken(practice: Practice) -> None:
    booked = await practice.book()
    await practice.admitted(booked, A)
    old, _ = await successor(practice, booked.meeting)
    await practice.admission.mute(booked.meeting, (A,), True, HOST.id, fence=old)
    session = await practice.booking.load(booked.meeting)
    assert session is not None
    assert session.seats[A].muted


async def test_a_decision_made_since_stands_against_an_owed_closing(practice: Practice) -> None:
    booked = await practice.book()
    await practice.admitted(booked, A, B)
    old, new = await successor(practice, booked.meeting)
    await practice.admission.change(booked.meeting, SeatAction.HOLD, (A,), HOST.id, fence=new)
    await practice.admission.change(booked.meeting, SeatAction.RESUME, (A,), HOST.id, fence=new)
    await refused(practice, booked, old, SeatAction.HOLD, SeatAction.MOVE_BACK, SeatAction.REMOVE)


async def test_a_decision_made_since_for_one_does_not_undo_the_closing_of_the_other(
    practice: Practice,
) -> None:
    booked = await practice.book()
    await practice.admitted(booked, A, B)
    old, _ = await successor(practice, booked.meeting)
    await practice.admission.change(booked.meeting, SeatAction.HOLD, (A,), HOST.id)
    await practice.admission.change(booked.meeting, SeatAction.RESUME, (A,), HOST.id)
    await practice.admission.change(booked.meeting, SeatAction.MOVE_BACK, (A, B), HOST.id, fence=old)
    states = await practice.states(booked)
    assert (states["A"], states["B"]) == ("admitted", "waiting")
    assert [told.seat for told in await practice.events(E.SEAT_MOVED_BACK)] == ["B"]


async def test_an_owed_end_is_taken_unless_the_visit_went_on(practice: Practice) -> None:
    for went_on in (False, True):
        booked = await practice.book()
        await practice.waiting(booked, A)
        old, new = await successor(practice, booked.meeting)
        if went_on:
            await practice.admission.change(booked.meeting, SeatAction.ENTER, (T,), HOST.id, fence=new)
            with pytest.raises(Refused, match="fenced-room"):
                await practice.admission.end(booked.meeting, HOST.id, fence=old)
            assert (await practice.states(booked))["T"] == "admitted"
        else:
            await practice.admission.end(booked.meeting, HOST.id, fence=old)
            assert (await practice.states(booked))["T"] == "ended"


# ---------------------------------------------------------------------- any order

WORKERS = ("one", "two", "three")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "renew", "release", "bury", "expire", "open", "open", "close"]),
        st.sampled_from(WORKERS),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_only_the_latest_owner_opens_in_any_order_of_events(
    practice: Practice, steps: list[tuple[str, str]]
) -> None:
    booked = await practice.book()
    meeting = booked.meeting
    await practice.waiting(booked, A)
    await practice.store.link.plain("DEL", practice.store.link.key("leases"))  # of the example before
    workers = {name: Placement(practice.store, name) for name in WORKERS}
    known: dict[str, int] = {}  # the token that each worker last acted under
    owner, living, token, moved = "", False, 0, 0
    for step, name in steps:
        if step == "take":
            lease = await workers[name].take(meeting)
            if owner != name and not living:
                owner, token = name, token + 1
            if owner == name:
                living, known[name] = True, token
            assert lease == Lease(meeting, owner, token)
        elif step == "renew":
            held = name == owner and known.get(name) == token and meeting in workers[name].held
            assert await workers[name].renew([meeting]) == ({meeting} if held else set())
            living = living or held
        elif step == "release":
            held = name == owner and meeting in workers[name].held
            await workers[name].release(meeting)
            if held:
                owner, living = "", False
        elif step == "bury":
            assert await workers["one"].bury(name) == int(name == owner)
            if name == owner:
                owner, living = "", False
        elif step == "expire":
            if owner:
                await until(practice, meeting, -1)
            living = False
        elif name in known:
            fence, state = known[name], (await practice.states(booked))["A"]
            action = SeatAction.MOVE_BACK if step == "close" else SeatAction.ADMIT
            allowed = fence == token or (step == "close" and moved <= fence)
            change = practice.admission.change(meeting, action, (A,), HOST.id, fence=fence)
            if allowed:
                await change
                now = (await practice.states(booked))["A"]
                assert now == ("waiting" if step == "close" else "admitted")
                moved = token if now != state else moved
            else:
                with pytest.raises(ChangeRefused, match="fenced-room"):
                    await change
                assert (await practice.states(booked))["A"] == state
