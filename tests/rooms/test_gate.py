from __future__ import annotations

from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rooms.forwarding import Kind, PublishedTrack
from rooms.gate import MAX_PLACES, SCREEN_PATIENCE, Gate, Member, slots_for
from rooms.quality import Level, Meter
from rooms.rates import ration_of_pictures


class Somebody:
    """Owns slots and tracks; nothing is sent in these tests."""

    rtcp_ssrc = 1
    direct = None
    meter = Meter()

    def send_rtp(self, packet: bytes) -> None: ...
    def send_rtcp(self, compound: bytes) -> None: ...


SSRCS = count(1)
NOBODY: frozenset[str] = frozenset()


def member(seat: str, place: int, *, live: bool = True) -> Member:
    owner = Somebody()
    made = Member(seat, place, slots_for(owner, SSRCS.__next__), live=live)
    made.tracks = {kind: PublishedTrack(owner, kind, next(SSRCS), ration_of_pictures(0.0)) for kind in Kind}
    return made


def room(*members: Member) -> Gate:
    gate = Gate()
    for one in members:
        gate.join(one)
    return gate


def reached(gate: Gate, source: Member, kind: Kind = Kind.CAMERA) -> set[str]:
    """The seats that get this track, each in the slot they expect."""
    slots = {route.slot for route in source.tracks[kind].routes}
    seats = {
        other.seat for other in gate.members.values() if other.slots and other.slot_of(source, kind) in slots
    }
    assert len(seats) == len(slots)
    return seats


def test_a_new_room_is_closed() -> None:
    one, other = member("a", 0), member("b", 1)
    gate = room(one, other)
    assert reached(gate, one) == reached(gate, other) == set()


def test_h264_goes_only_to_those_whose_browser_shows_it() -> None:
    program, one, other = member("a", 0), member("b", 1), member("c", 2)
    program.tracks[Kind.CAMERA] = PublishedTrack(
        Somebody(), Kind.CAMERA, next(SSRCS), ration_of_pictures(0.0), h264=True
    )
    one.shows_h264 = True
    gate = room(program, one, other)
    gate.set(frozenset("abc"), NOBODY)
    assert reached(gate, program) == {"b"}
    assert reached(gate, program, Kind.AUDIO) == reached(gate, program, Kind.CAMERA) | {"c"}
    assert reached(gate, one) == {"a", "c"}


def test_those_inside_exchange_everything_but_the_screen() -> None:
    a, b, c = member("a", 0), member("b", 1), member("c", 2)
    gate = room(a, b, c)
    gate.set(frozenset("ab"), NOBODY)
    for kind in (Kind.AUDIO, Kind.CAMERA):
        assert reached(gate, a, kind) == {"b"}
        assert reached(gate, b, kind) == {"a"}
        assert reached(gate, c, kind) == set()


def test_what_a_weak_link_does_not_carry_has_no_route_and_the_others_keep_theirs() -> None:
    a, b, c = member("a", 0), member("b", 1), member("c", 2)
    gate = room(a, b, c)
    gate.set(frozenset("abc"), NOBODY)
    gate.screen_heard(a, float("-inf"), 1.0)
    kept = a.tracks[Kind.CAMERA].routes[1]
    b.receives = Level.SCREEN
    assert gate.apply() == []
    assert reached(gate, a, Kind.CAMERA) == {"c"}
    assert a.tracks[Kind.CAMERA].routes == (kept,), "c's route goes on undisturbed"
    assert reached(gate, a, Kind.SCREEN) == {"b", "c"}
    assert reached(gate, a, Kind.AUDIO) == {"b", "c"}
    b.receives = Level.SOUND
    gate.apply()
    assert reached(gate, a, Kind.SCREEN) == {"c"}
    assert reached(gate, a, Kind.AUDIO) == {"b", "c"}
    b.receives = Level.ALL
    assert set(gate.apply()) == {a.tracks[Kind.CAMERA], a.tracks[Kind.SCREEN], c.tracks[Kind.CAMERA]}


def test_opening_wants_key_frames_of_everything_newly_seen() -> None:
    a, b, c = member("a", 0), member("b", 1), member("c", 2)
    gate = room(a, b, c)
    assert set(gate.set(frozenset("ab"), NOBODY)) == {a.tracks[Kind.CAMERA], b.tracks[Kind.CAMERA]}
    assert gate.set(frozenset("ab"), NOBODY) == []
    # A third sees the two, and they see the third.
    assert {track.owner for track in gate.set(frozenset("abc"), NOBODY)} == {
        track.owner for one in (a, b, c) for track in one.tracks.values()
    }


def test_a_muted_seat_is_seen_and_not_heard() -> None:
    a, b = member("a", 0), member("b", 1)
    gate = room(a, b)
    gate.set(frozenset("ab"), frozenset("a"))
    assert reached(gate, a, Kind.AUDIO) == set()
    assert reached(gate, a, Kind.CAMERA) == {"b"}
    assert reached(gate, b, Kind.AUDIO) == {"a"}


def test_places_map_to_slots_without_gaps() -> None:
    members = [member(str(place), place) for place in range(MAX_PLACES)]
    for viewer in members:
        others = [other for other in members if other is not viewer]
        assert [viewer.slots.index(viewer.slot_of(other, Kind.AUDIO)) for other in others] == [0, 2, 4]
        assert [viewer.slots.index(viewer.slot_of(other, Kind.CAMERA)) for other in others] == [1, 3, 5]
        assert {viewer.slots.index(viewer.slot_of(other, Kind.SCREEN)) for other in others} == {6}


def test_a_fallen_transport_neither_sends_nor_receives() -> None:
    a, b = member("a", 0), member("b", 1)
    gate = room(a, b)
    gate.set(frozenset("ab"), NOBODY)
    a.live = False
    gate.apply()
    assert reached(gate, a) == reached(gate, b) == set()
    a.live = True
    assert set(gate.apply()) == {a.tracks[Kind.CAMERA], b.tracks[Kind.CAMERA]}


def test_a_replaced_transport_is_seen_in_the_same_slot() -> None:
    a, b, again = member("a", 0), member("b", 1), member("b", 1)
    gate = room(a, b)
    gate.set(frozenset("ab"), NOBODY)
    slot = a.slot_of(b, Kind.CAMERA)
    gate.join(again)
    assert b.tracks[Kind.CAMERA].routes == ()
    assert slot.route is again.tracks[Kind.CAMERA].routes[0]
    # The former transport closes afterwards; that must not touch the new one.
    assert gate.leave(b) == []
    assert reached(gate, again) == {"a"}


def test_a_place_is_one_seats_and_within_the_roster() -> None:
    gate = room(member("a", 0))
    for wrong in (member("b", 0), member("b", MAX_PLACES), member("b", -1)):
        with pytest.raises(ValueError, match="place"):
            gate.join(wrong)


def show(gate: Gate, one: Member, now: float) -> list[PublishedTrack]:
    track = one.tracks[Kind.SCREEN]
    before, track.heard_at = track.heard_at, now
    return gate.screen_heard(one, before, now)


def test_the_last_to_show_a_screen_has_the_slot() -> None:
    a, b, c = member("a", 0), member("b", 1), member("c", 2)
    gate = room(a, b, c)
    gate.set(frozenset("abc"), NOBODY)
    assert show(gate, a, 1.0) == [a.tracks[Kind.SCREEN]]
    assert reached(gate, a, Kind.SCREEN) == {"b", "c"}
    assert show(gate, b, 2.0) == [b.tracks[Kind.SCREEN]]
    assert show(gate, a, 2.1) == []
    assert reached(gate, a, Kind.SCREEN) == set()
    assert reached(gate, b, Kind.SCREEN) == {"a", "c"}
    # The second screen is put away while the first goes on.
    show(gate, a, 2.0 + SCREEN_PATIENCE)
    assert gate.screens_silent(2.1 + SCREEN_PATIENCE) == [a.tracks[Kind.SCREEN]]
    assert reached(gate, a, Kind.SCREEN) == {"b", "c"}


def test_a_screen_behind_the_gate_takes_nobodys_slot() -> None:
    a, b, c = member("a", 0), member("b", 1), member("c", 2)
    gate = room(a, b, c)
    gate.set(frozenset("ab"), NOBODY)
    show(gate, a, 1.0)
    show(gate, c, 1.5)
    assert gate.presenter == "a"
    assert reached(gate, a, Kind.SCREEN) == {"b"}
    assert reached(gate, c, Kind.SCREEN) == set()


def test_a_screen_shown_again_after_a_pause_is_the_last_again() -> None:
    a, b = member("a", 0), member("b", 1)
    gate = room(a, b)
    gate.set(frozenset("ab"), NOBODY)
    show(gate, a, 1.0)
    show(gate, b, 2.0)
    show(gate, a, 2.0 + 2 * SCREEN_PATIENCE)
    assert gate.presenter == "a"


class GateMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, routes are exactly what the gate allows."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.now = 0.0

    SEATS = "abcd"
    seats = st.sampled_from(SEATS)
    sets = st.frozensets(st.sampled_from(SEATS))

    @rule(seat=seats, live=st.booleans())
    def join(self, seat: str, live: bool) -> None:
        self.gate.join(member(seat, self.SEATS.index(seat), live=live))

    @rule(seat=seats)
    def leave(self, seat: str) -> None:
        if (one := self.gate.members.get(seat)) is not None:
            self.gate.leave(one)
            assert all(track.routes == () for track in one.tracks.values())

    @rule(seat=seats, live=st.booleans())
    def settle(self, seat: str, live: bool) -> None:
        if (one := self.gate.members.get(seat)) is not None:
            one.live = live
            self.gate.apply()

    @rule(seats=sets, muted=sets)
    def set(self, seats: frozenset[str], muted: frozenset[str]) -> None:
        self.gate.set(seats, muted)

    @rule(seat=seats, later=st.floats(0, 5))
    def screen(self, seat: str, later: float) -> None:
        self.now += later
        if (one := self.gate.members.get(seat)) is not None:
            show(self.gate, one, self.now)

    @rule(later=st.floats(0, 5))
    def beat(self, later: float) -> None:
        self.now += later
        self.gate.screens_silent(self.now)

    @invariant()
    def routes_are_what_the_gate_allows(self) -> None:
        inside = {seat for seat, one in self.gate.members.items() if seat in self.gate.seats and one.live}
        for seat, one in self.gate.members.items():
            for kind, track in one.tracks.items():
                allowed = inside - {seat} if seat in inside else set()
                if kind is Kind.AUDIO and seat in self.gate.muted:
                    allowed = set()
                if kind is Kind.SCREEN and seat != self.gate.presenter:
                    allowed = set()
                assert reached(self.gate, one, kind) == allowed
                for route in track.routes:
                    assert route.slot.route is route

    @invariant()
    def a_slot_without_a_way_knows_it(self) -> None:
        open_routes = {
            route
            for one in self.gate.members.values()
            for track in one.tracks.values()
            for route in track.routes
        }
        for one in self.gate.members.values():
            assert all(slot.route is None or slot.route in open_routes for slot in one.slots)


TestGateMachine = GateMachine.TestCase
TestGateMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_member_without_slots_is_sent_nothing_and_seen_by_all() -> None:
    program, page = member("a", 0), member("b", 1)
    program.slots = []
    gate = room(program, page)
    gate.set(frozenset("ab"), NOBODY)
    assert [track.routes for track in page.tracks.values()] == [()] * len(Kind)
    assert reached(gate, program, Kind.AUDIO) == {"b"}


def test_a_member_whose_pictures_are_held_hears_and_is_seen() -> None:
    held, other = member("a", 0), member("b", 1)
    gate = room(held, other)
    gate.set(frozenset("ab"), NOBODY)
    held.held = True
    assert gate.apply() == []
    assert reached(gate, other, Kind.AUDIO) == {"a"}
    assert reached(gate, other, Kind.CAMERA) == set()
    assert reached(gate, held, Kind.CAMERA) == {"b"}
    held.held = False
    assert gate.apply() == [other.tracks[Kind.CAMERA]]
