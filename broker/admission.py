"""Moving seats, muting, ending: the rows of ``MOVES``, each carried out in one script with its audit event.

    one call ──▶ every seat of it changes and every event is on disk, or nothing happened

What is already so is an answer (``already``), not an error: two clinicians may click at once, a click may
come twice. Which moves a *kind* of seat can make at all is settled here before the store is asked, so that
no patient's seat can ever *enter* instead of being admitted.

Whoever runs a room passes the token of its lease as ``fence``, and is refused with ``fenced-room`` once
another worker has taken the room (see `broker.placement`). A person's own request has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.agreement import CURRENT
from broker.audit import AuditEvent, EventType
from broker.booking import Booking
from broker.errors import BadInput, Refused, StoreUnavailable
from broker.ids import MeetingId
from broker.ledger import Ledger
from broker.seats import CLOSING, INSIDE_STATES, MOVES, PLANS, SeatAction, SeatCode, SeatRole, SeatState
from broker.sessions import EARLY_MS
from broker.store import Add, Changed, SeatChange, Store, StoreTime, Value

_HOST_MOVES: Final = frozenset({SeatAction.ENTER, SeatAction.LEAVE})
_PATIENT_MOVES: Final = frozenset(SeatAction) - {SeatAction.ENTER}
_TOLD: Final = frozenset({SeatAction.DENY, SeatAction.REMOVE})
"""Moves whose reason the person is shown."""
_PLACING: Final = frozenset({SeatAction.KNOCK, SeatAction.ENTER, SeatAction.ADMIT, SeatAction.RESUME})
"""Moves that give a place to the device that has the seat."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a change came to.

    Attributes:
        states: the state of each seat named, now; empty for ``mute`` and ``end``.
        already: nothing was written because all of it was so already.
        at_ms: store time, milliseconds since 1970.
        rev: revision of the session after it; 0 when it was ``end`` and had ended before.
    """

    states: dict[SeatCode, SeatState]
    already: bool
    at_ms: int
    rev: int


class Admission:
    """Changes seats.

    Args:
        store: started.
        ledger: started.
        booking: ends sessions.
    """

    def __init__(self, store: Store, ledger: Ledger, booking: Booking) -> None:
        self._store = store
        self._ledger = ledger
        self._booking = booking

    async def change(
        self,
        meeting: MeetingId,
        action: SeatAction,
        seats: tuple[SeatCode, ...],
        actor: str,
        reason: str | None = None,
        *,
        devices: Mapping[SeatCode, str | None] | None = None,
        fence: int | None = None,
    ) -> Change:
        """Make one move with some seats: all of them or none.

        Args:
            meeting: the session.
            action: a row of ``MOVES``.
            seats: one or more, each once.
            actor: who asked, ``seat:A``, ``staff:…`` or ``system``. Whether they may is the caller's to know.
            reason: a code or a short sentence, at most 200 characters; shown to a person denied or removed.
            devices: which device has each seat now; a move that gives it a place gives it to that one, or to
                none that is known.
            fence: of a room's owner, the token of its lease.

        Raises:
            Refused: ``not-open``, ``full``, ``no-seat``, ``wrong-state``, ``agreement-needed``;
                ``not-allowed`` for a move that this kind of seat does not have; ``fenced-room`` for an owner
                that has a successor, unless it is a closing and nobody moved the seat since. Nothing was
                written.
            StoreUnavailable: nothing was written, as far as is known; asking again is safe.
        """
        move = MOVES[action]
        _check(seats)
        for seat in seats:
            own = _HOST_MOVES if PLANS[seat].role is SeatRole.HOST else _PATIENT_MOVES
            if action not in own:
                raise Refused("not-allowed", "This seat does not have this move.")
        changes = [
            SeatChange(
                seat=seat,
                origins=frozenset(state.value for state in move.origins),
                to=move.to.value,
                event=self._ledger.prepare(_event(move.event, meeting, seat, actor, reason)),
                needs_open=move.needs_open,
                needs_window=EARLY_MS if move.needs_open else None,
                needs_agreement=CURRENT.version if move.needs_agreement else None,
                needs_capacity=frozenset(state.value for state in INSIDE_STATES)
                if move.needs_capacity
                else frozenset(),
                bump_epoch=move.bumps_epoch,
                closing=action in CLOSING,
                fields=_fields(action, reason, (devices or {}).get(seat)),
            )
            for seat in seats
        ]
        changed = await self._store.change(meeting, changes, fence=fence)
        return _told(changed, dict.fromkeys(seats, move.to))

    async def taken(
        self,
        meeting: MeetingId,
        devices: Mapping[SeatCode, str | None],
        actor: str,
        *,
        fence: int | None = None,
    ) -> Change:
        """Remember that another device has the place of a seat now.

        Raises:
            Refused: ``no-seat``; ``fenced-room`` as with `change`.
            StoreUnavailable: nothing was written, as far as is known; asking again is safe.
        """
        changes = [
            SeatChange(
                seat=seat,
                origins=frozenset(),
                to=None,
                event=self._ledger.prepare(_event(EventType.SEAT_DEVICE_CHANGED, meeting, seat, actor, None)),
                # Counted, since each time is an event of its own, even where the device is stored already.
                fields={"holder": device, "holders": Add(1)},
            )
            for seat, device in devices.items()
        ]
        return _told(await self._store.change(meeting, changes, fence=fence), {})

    async def mute(
        self,
        meeting: MeetingId,
        seats: tuple[SeatCode, ...],
        muted: bool,
        actor: str,
        reason: str | None = None,
        *,
        fence: int | None = None,
    ) -> Change:
        """Mute or unmute seats, all of them or none; the flag is kept while they come and go.

        Raises:
            Refused: ``no-seat``; ``not-open`` once the session has ended; ``fenced-room`` as with `change`.
            StoreUnavailable: nothing was written, as far as is known; asking again is safe.
        """
        _check(seats)
        kind = EventType.SEAT_MUTED if muted else EventType.SEAT_UNMUTED
        changes = [
            SeatChange(
                seat=seat,
                origins=frozenset(),
                to=None,
                event=self._ledger.prepare(_event(kind, meeting, seat, actor, reason)),
                needs_open=True,
                closing=muted,
                fields={"muted": int(muted)},
            )
            for seat in seats
        ]
        return _told(await self._store.change(meeting, changes, fence=fence), {})

    async def end(
        self, meeting: MeetingId, actor: str, reason: str | None = None, *, fence: int | None = None
    ) -> Change:
        """End the session for everybody; see `Booking.end`.

        Raises:
            Refused: ``no-session``; ``fenced-room`` for an owner that has a successor, if a seat moved since.
            StoreUnavailable: it goes on.
        """
        ended = await self._booking.end(meeting, actor, reason, fence=fence)
        return Change({}, not ended, self._now_ms(), 0)

    async def record(
        self,
        event: EventType,
        meeting: MeetingId,
        seat: SeatCode | None,
        actor: str,
        reason: str | None = None,
        detail: Mapping[str, str | int | bool] | None = None,
        *,
        fence: int | None = None,
    ) -> int:
        """Make one event durable that changes no seat.

        Returns:
            Its store time, milliseconds since 1970.

        Raises:
            Refused: ``fenced-room`` for an owner that has a successor.
            StoreUnavailable: it is not on record, so what it is about must not happen.
        """
        told = _event(event, meeting, seat, actor, reason, detail)
        if fence is None:
            receipt = await self._ledger.append(told)
        else:
            receipt = await self._store.note(meeting, self._ledger.prepare(told), fence=fence)
        return receipt.time_us // 1000

    def _now_ms(self) -> int:
        now = self._store.now_ms()
        if now is None:
            raise StoreUnavailable
        return now


def _check(seats: tuple[SeatCode, ...]) -> None:
    if not seats or len(set(seats)) != len(seats):
        raise BadInput("bad-seats", "Name at least one seat, and each seat once.")
    if any(seat not in PLANS for seat in seats):
        raise Refused("no-seat", "There is no such seat in this session.")


def _fields(action: SeatAction, reason: str | None, device: str | None) -> dict[str, Value]:
    """What a move changes besides the state."""
    fields: dict[str, Value] = {"notice": reason if action in _TOLD else None}
    if action in _PLACING:
        fields["holder"] = device
    if action is SeatAction.KNOCK:
        fields |= {"knocks": Add(1), "arrived": StoreTime(once=True)}
    return fields


def _event(
    kind: EventType,
    meeting: MeetingId,
    seat: SeatCode | None,
    actor: str,
    reason: str | None,
    detail: Mapping[str, str | int | bool] | None = None,
) -> AuditEvent:
    return AuditEvent(
        type=kind,
        actor=actor,
        subject=meeting if seat is None else f"{meeting}/{seat}",
        session=meeting,
        seat=seat,
        reason=reason,
        detail=dict(detail or {}),
    )


def _told(changed: Changed, states: dict[SeatCode, SeatState]) -> Change:
    already = all(receipt is None for receipt in changed.receipts)
    return Change(states, already, changed.time_us // 1000, changed.rev)
