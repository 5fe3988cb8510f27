"""What each page may know of a room, as values that can be compared and sent.

A patient who waits is shown their own seat and nothing else: no other seat's name, count, presence or timing
can change a waiting page (mission rows A08, N12). A patient in the room sees who else is in it. A host sees
every seat, as seats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.seats import SeatState
from rooms.effects import OtherSeat, PlaceView, RosterSeat, RosterView, View
from rooms.events import Link
from rooms.quality import Level, Standing

if TYPE_CHECKING:
    from rooms.room import Room
    from rooms.seat import Seat

PAUSED = "paused"
"""Admitted, but no clinician is present: nothing flows."""
ASKING_DEVICE = "asking-device"
"""Another device holds this seat and was asked to give way."""


def view_of(room: Room, seat: Seat, link: Link) -> View:
    """The view of one page of a seat."""
    return _roster(room, seat, link) if seat.is_host else _place(room, seat)


def asking_view(room: Room, seat: Seat) -> PlaceView:
    """The view of a second device that waits for an answer: that it waits, and nothing of the seat."""
    return PlaceView(
        seat=seat.plan.code,
        label=seat.plan.label,
        place=seat.place,
        state=ASKING_DEVICE,
        since_ms=0,
        reason=None,
        muted=False,
        agreed=True,
        others=(),
        device_asks=0,
        store_ok=room.store_ok,
        ends_ms=room.ends_ms,
        encryption=room.encryption,
    )


def _place(room: Room, seat: Seat) -> PlaceView:
    flowing = seat.plan.code in room.flowing
    state = seat.state.value
    if seat.state is SeatState.ADMITTED and not flowing:
        # Cut, but not for want of a clinician: a host is closing it and the store has yet to say so.
        state = PAUSED if seat.plan.code in room.paused else SeatState.HELD.value
    others = tuple(
        OtherSeat(
            other.plan.code,
            other.plan.label,
            other.place,
            other.presence,
            other.muted,
            _standing(other).sends,
            _standing(other).camera,
            _standing(other).screen,
        )
        for code, other in room.seats.items()
        if flowing and code in room.flowing and other is not seat
    )
    return PlaceView(
        seat=seat.plan.code,
        label=seat.plan.label,
        place=seat.place,
        state=state,
        since_ms=seat.since_ms,
        reason=seat.reason,
        muted=seat.muted,
        agreed=seat.agreed,
        others=others,
        device_asks=0 if seat.asking is None else seat.asked,
        store_ok=room.store_ok,
        ends_ms=room.ends_ms,
        # Only in the room: to a waiting page nothing comes, so that nothing of it can be told.
        receives=_standing(seat).receives if flowing else Level.ALL,
        sends=_standing(seat).sends if flowing else Level.ALL,
        encryption=room.encryption,
    )


def _standing(seat: Seat) -> Standing:
    return seat.link if seat.link is not None and seat.suite is not None else Standing()


def _roster(room: Room, me: Seat, link: Link) -> RosterView:
    seats = tuple(
        RosterSeat(
            seat=seat.plan.code,
            label=seat.plan.label,
            role=seat.plan.role,
            place=seat.place,
            state=seat.state.value,
            since_ms=seat.since_ms,
            presence=seat.presence,
            presence_since_ms=seat.presence_since_ms,
            in_room=seat.plan.code in room.flowing,
            muted=seat.muted,
            agreed=seat.agreed,
            knocks=seat.knocks,
            new_device=seat.new_device,
            suite=seat.suite,
            program=seat.page is not None and seat.page.ingest,
            unshown=_standing(seat).h264 and me.suite is not None and not _standing(me).shows_h264,
            unreached=seat.unreached,
            link=None if seat.suite is None else seat.link,
        )
        for seat in room.seats.values()
    )
    return RosterView(
        me=me.plan.code,
        entered=me.state is SeatState.ADMITTED and me.media_link is not None,
        media_here=me.media_link == link,
        open=room.open,
        clinician_present=room.clinician_present,
        store_ok=room.store_ok,
        starts_ms=room.starts_ms,
        ends_ms=room.ends_ms,
        kind=room.kind,
        seats=seats,
        encryption=room.encryption,
    )
