"""Seats: the places of a session, what state each is in, and which moves exist.

    expected ──knock──▶ waiting ◀──ask to wait──▶ asked to wait
                          │ ▲                        │
                    admit │ │ move back              │ admit
                          ▼ │                        ▼
       held ◀──hold────  admitted ◀──────────────────┘
         └────resume──────▶
    any of these ──leave──▶ left        waiting ──deny──▶ denied
    any of these ──remove─▶ removed ──readmit──▶ expected
    left, denied ──knock──▶ waiting     host: expected ──enter──▶ admitted

A session has a roster of seats, not a list of names. A seat's state is truth in the store: it survives a
reload, a locked phone and a restarted server. Whether its person is connected right now is *presence*,
which lives in ``rooms``. The table below is the whole machine; the store's script applies one row of it
atomically together with the audit event that the row names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NewType

from broker.audit import EventType

SeatCode = NewType("SeatCode", str)
"""One capital letter that names a seat within its session, such as ``A``."""


class SeatRole(StrEnum):
    """What the person in a seat may do in the room."""

    PATIENT = "patient"
    HOST = "host"


class SessionKind(StrEnum):
    """Which roster a session has."""

    INDIVIDUAL = "individual"
    COUPLE = "couple"


class SeatState(StrEnum):
    """Where a seat stands; stored under this very word."""

    EXPECTED = "expected"
    WAITING = "waiting"
    ASKED_TO_WAIT = "asked-to-wait"
    ADMITTED = "admitted"
    HELD = "held"
    DENIED = "denied"
    REMOVED = "removed"
    LEFT = "left"
    ENDED = "ended"


class SeatAction(StrEnum):
    """What can be done to a seat, by its own person or by a host."""

    KNOCK = "knock"
    ENTER = "enter"
    ADMIT = "admit"
    ASK_TO_WAIT = "ask-to-wait"
    DENY = "deny"
    HOLD = "hold"
    RESUME = "resume"
    MOVE_BACK = "move-back"
    REMOVE = "remove"
    READMIT = "readmit"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class SeatPlan:
    """One seat of a roster, as booked."""

    code: SeatCode
    role: SeatRole
    label: str


PARTNER_A: Final = SeatPlan(SeatCode("A"), SeatRole.PATIENT, "Partner A")
PARTNER_B: Final = SeatPlan(SeatCode("B"), SeatRole.PATIENT, "Partner B")
PATIENT: Final = SeatPlan(SeatCode("P"), SeatRole.PATIENT, "Patient")
THERAPIST: Final = SeatPlan(SeatCode("T"), SeatRole.HOST, "Therapist")
COTHERAPIST: Final = SeatPlan(SeatCode("C"), SeatRole.HOST, "Co-therapist")

PLANS: Final = {plan.code: plan for plan in (PARTNER_A, PARTNER_B, PATIENT, THERAPIST, COTHERAPIST)}
"""Every seat there is; a seat code means the same in every session."""


def roster(kind: SessionKind, *, with_cotherapist: bool = False) -> tuple[SeatPlan, ...]:
    """The seats of a session, in the order in which they are shown and numbered.

    Args:
        kind: individual (one patient) or couple (two partners).
        with_cotherapist: whether a second clinician has a seat.

    Returns:
        At most four seats: patients first, then hosts.
    """
    patients = (PATIENT,) if kind is SessionKind.INDIVIDUAL else (PARTNER_A, PARTNER_B)
    hosts = (THERAPIST, COTHERAPIST) if with_cotherapist else (THERAPIST,)
    return patients + hosts


WAITING_STATES: Final = frozenset({SeatState.WAITING, SeatState.ASKED_TO_WAIT})
INSIDE_STATES: Final = frozenset({SeatState.ADMITTED, SeatState.HELD})
PLACED_STATES: Final = WAITING_STATES | INSIDE_STATES
"""The states in which a person holds a place: their transport is kept warm and their absence is noticed."""


@dataclass(frozen=True, slots=True)
class Move:
    """One row of the table: from which states an action leads to which, and what it records.

    Attributes:
        needs_open: refused before the window and after the end.
        needs_agreement: refused until the seat accepted the current confidentiality agreement.
        needs_capacity: refused when the room already holds as many seats as it may.
        bumps_epoch: ends every credential session of the seat that was opened before.
    """

    origins: frozenset[SeatState]
    to: SeatState
    event: EventType
    needs_open: bool = True
    needs_agreement: bool = False
    needs_capacity: bool = False
    bumps_epoch: bool = False


MOVES: Final[dict[SeatAction, Move]] = {
    SeatAction.KNOCK: Move(
        frozenset({SeatState.EXPECTED, SeatState.LEFT, SeatState.DENIED}),
        SeatState.WAITING,
        EventType.SEAT_KNOCKED,
        needs_agreement=True,
    ),
    SeatAction.ENTER: Move(
        frozenset({SeatState.EXPECTED, SeatState.LEFT}),
        SeatState.ADMITTED,
        EventType.SEAT_ENTERED,
        needs_capacity=True,
    ),
    SeatAction.ADMIT: Move(
        WAITING_STATES,
        SeatState.ADMITTED,
        EventType.SEAT_ADMITTED,
        needs_agreement=True,
        needs_capacity=True,
    ),
    SeatAction.ASK_TO_WAIT: Move(
        frozenset({SeatState.WAITING}), SeatState.ASKED_TO_WAIT, EventType.SEAT_HELD
    ),
    SeatAction.DENY: Move(WAITING_STATES, SeatState.DENIED, EventType.SEAT_DENIED, needs_open=False),
    SeatAction.HOLD: Move(
        frozenset({SeatState.ADMITTED}), SeatState.HELD, EventType.SEAT_HELD, needs_open=False
    ),
    SeatAction.RESUME: Move(frozenset({SeatState.HELD}), SeatState.ADMITTED, EventType.SEAT_RESUMED),
    SeatAction.MOVE_BACK: Move(INSIDE_STATES, SeatState.WAITING, EventType.SEAT_MOVED_BACK, needs_open=False),
    SeatAction.REMOVE: Move(
        PLACED_STATES | {SeatState.EXPECTED, SeatState.LEFT, SeatState.DENIED},
        SeatState.REMOVED,
        EventType.SEAT_REMOVED,
        needs_open=False,
        bumps_epoch=True,
    ),
    SeatAction.READMIT: Move(frozenset({SeatState.REMOVED}), SeatState.EXPECTED, EventType.SEAT_READMITTED),
    SeatAction.LEAVE: Move(PLACED_STATES, SeatState.LEFT, EventType.SEAT_LEFT, needs_open=False),
}
"""Opening moves need an open session and a stored event first; closing moves never wait for either."""

CLOSING: Final = frozenset(
    {SeatAction.DENY, SeatAction.HOLD, SeatAction.MOVE_BACK, SeatAction.REMOVE, SeatAction.LEAVE}
)
"""Moves that cut media: performed at once and recorded as soon as the store takes them."""
