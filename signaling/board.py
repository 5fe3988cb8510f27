"""One room on the admin's board: states, durations and numbers, nothing that names a person or tells content.

Pure: the room, the quality of its transports and the time come in, the wire's values go out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from broker.ids import short_code
from broker.seats import WAITING_STATES, SeatCode, SeatState
from rooms.mls_wire import SUITE_NAME
from rooms.quality import Quality, Standing
from rooms.room import Room
from rooms.seat import Seat
from signaling.messages import BoardRoom, BoardSeat

BoardState = Literal["scheduled", "waiting", "live", "paused", "ended"]

_KILO: Final = 1000


def board_room(
    meeting: str,
    room: Room,
    quality: Mapping[SeatCode, Quality],
    locked: frozenset[SeatCode],
    now_ms: int,
) -> BoardRoom:
    """One room as an admin sees it.

    Args:
        meeting: its meeting ID.
        room: the running room, or one freshly made from the store while nobody is there.
        quality: of the connected transports.
        locked: seats locked by failed attempts.
        now_ms: milliseconds since the epoch.
    """
    keys = room.keys
    grouped = keys is not None and keys.epoch is not None
    return BoardRoom(
        room=meeting,
        code=short_code(meeting),
        kind="couple" if room.kind == "couple" else "individual",
        state=board_state(room),
        clinician_present=room.clinician_present,
        starts=room.starts_ms,
        ends=room.ends_ms,
        seats=tuple(
            _board_seat(code, seat, quality.get(code), code in locked, now_ms)
            for code, seat in room.seats.items()
        ),
        encryption=room.encryption.value,
        keys=SUITE_NAME if grouped else None,
        epoch=keys.epoch if keys is not None else None,
        verified=keys.verified if keys is not None else None,
    )


def with_locks(room: BoardRoom, locked: frozenset[SeatCode]) -> BoardRoom:
    """The same room with the seats that failed attempts have locked; who runs the room need not know."""
    seats = tuple(msgspec.structs.replace(seat, locked=seat.seat in locked) for seat in room.seats)
    return msgspec.structs.replace(room, seats=seats)


def board_state(room: Room) -> BoardState:
    """What the room is about at this moment, in one word.

    Returns:
        ``live`` while a clinician is inside and heard; ``paused`` when patients are inside without one;
        ``waiting`` when somebody waits; ``scheduled`` before anybody came.
    """
    states = [seat.state for seat in room.seats.values() if not seat.is_host]
    if not room.open:
        return "ended"
    if room.clinician_present:
        return "live"
    if any(state in (SeatState.ADMITTED, SeatState.HELD) for state in states):
        return "paused"
    return "waiting" if any(state in WAITING_STATES for state in states) else "scheduled"


def _board_seat(code: SeatCode, seat: Seat, quality: Quality | None, locked: bool, now_ms: int) -> BoardSeat:
    standing = Standing() if quality is None else quality.standing
    return BoardSeat(
        seat=code,
        role=seat.plan.role.value,
        state=seat.state.value,
        since=seat.since_ms,
        presence=seat.presence.value,
        waiting_ms=max(0, now_ms - seat.since_ms) if seat.state in WAITING_STATES else None,
        program=seat.page is not None and seat.page.ingest,
        suite=seat.suite,
        tls=None if seat.page is None else seat.page.tls or None,
        path=standing.path,
        quality=None if quality is None else standing.grade.value,
        loss_in_percent=None if quality is None else round(100 * quality.loss_in, 1),
        loss_out_percent=None if quality is None else round(100 * quality.loss_out, 1),
        jitter_ms=None if quality is None else round(quality.jitter_ms, 1),
        rtt_ms=None if quality is None or quality.rtt_ms is None else round(quality.rtt_ms, 1),
        kbps_in=None if quality is None else quality.bitrate_in // _KILO,
        kbps_out=None if quality is None else quality.bitrate_out // _KILO,
        receives=standing.receives.value,
        sends=standing.sends.value,
        locked=locked,
    )
