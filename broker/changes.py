"""What the store is asked and what it answers, as values, and how they become arguments of a script.

    SeatChange(…) ──▶ arguments ──▶ change.lua ──▶ Changed(receipts, rev, time)

The order of the arguments is the one that ``broker/scripts/prelude.lua`` takes them in. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, Literal

from broker.audit import Prepared, Receipt

Arg = str | bytes | int
"""One argument of a script."""


@dataclass(frozen=True, slots=True)
class Add:
    """Add to a number in a field."""

    amount: int


@dataclass(frozen=True, slots=True)
class StoreTime:
    """Put the store's time (milliseconds since 1970) into a field.

    Args:
        once: leave the field alone when it has a value already.
    """

    once: bool = False


Value = str | int | Add | StoreTime | None
"""What to do with a field: set it, add to it, stamp it with the store's time, or (``None``) remove it."""


@dataclass(frozen=True, slots=True)
class SeatChange:
    """One seat's part of a change.

    Args:
        seat: seat code.
        origins: states it may be in; empty for any.
        to: the new state; ``None`` to change fields only.
        event: what is recorded.
        needs_open: refuse with ``not-open`` unless the session is open.
        needs_window: refuse with ``not-open`` earlier than so many ms before its start, and from its end on.
        needs_agreement: refuse with ``agreement-needed`` unless the seat accepted this version.
        needs_capacity: refuse with ``full`` if then more seats than the session's capacity would be in
            one of these states; empty for no check.
        bump_epoch: raise the seat's epoch.
        closing: it takes something away, so it is taken from a room's former owner as well, as long as
            nobody moved the seat since; only of meaning with a fence.
        fields: further fields of the seat, by name without the seat (``muted``, ``notice``).
    """

    seat: str
    origins: AbstractSet[str]
    to: str | None
    event: Prepared
    needs_open: bool = False
    needs_window: int | None = None
    needs_agreement: str | None = None
    needs_capacity: AbstractSet[str] = frozenset()
    bump_epoch: bool = False
    closing: bool = False
    fields: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changed:
    """A change is stored.

    Args:
        receipts: one per change of the call; ``None`` where the seat was already so and nothing was written.
        rev: revision of the session after it.
        time_us: store time, microseconds since 1970.
    """

    receipts: tuple[Receipt | None, ...]
    rev: int
    time_us: int


@dataclass(frozen=True, slots=True)
class Guard:
    """How patient we are with wrong passwords.

    Args:
        slow_from: the failure in a row from which the next attempt has to wait 1, 2, 4 … 300 s.
        lock_at: the failure in a row that locks the credential.
    """

    slow_from: int
    lock_at: int


SEAT_GUARD: Final = Guard(3, 10)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whether a password may be looked at now.

    Args:
        verdict: ``allowed``, ``delayed`` or ``locked``.
        failures: failures in a row, this attempt included while it is allowed.
        wait_ms: how long to wait when delayed, at most 300 000.
    """

    verdict: Literal["allowed", "delayed", "locked"]
    failures: int
    wait_ms: int = 0


def event_args(event: Prepared) -> list[Arg]:
    """One event, as ``take_event`` reads it."""
    return [event.event_id, event.subject_tag, event.header, event.sealed, event.session]


def events_args(events: Sequence[Prepared]) -> list[Arg]:
    """A count and so many events."""
    return [len(events), *(arg for event in events for arg in event_args(event))]


def fields_args(fields: Mapping[str, Value]) -> list[Arg]:
    """A count and so many pairs of name and operation."""
    return [len(fields), *(arg for name, value in fields.items() for arg in (name, _operation(value)))]


def fence_arg(fence: int | None) -> Arg:
    """The token of the lease under which a room's owner acts; empty for whoever runs no room."""
    return "" if fence is None else fence


def changes_args(changes: Sequence[SeatChange], fence: int | None) -> list[Arg]:
    """The fence, a count and so many seat changes, as ``change.lua`` reads them."""
    args: list[Arg] = [fence_arg(fence), len(changes)]
    for change in changes:
        args += [change.seat, ",".join(sorted(change.origins)), change.to or "", _flags(change)]
        args += [*event_args(change.event), *fields_args(change.fields)]
    return args


def _operation(value: Value) -> str:
    match value:
        case None:
            return "-"
        case Add(amount):
            return f"+{amount}"
        case StoreTime():
            return "?" if value.once else "@"
        case _:
            return f"={value}"


def _flags(change: SeatChange) -> str:
    flags = []
    if change.needs_open:
        flags.append("needs-open")
    if change.needs_window is not None:
        flags.append(f"needs-window:{change.needs_window}")
    if change.needs_agreement is not None:
        flags.append(f"needs-agreement:{change.needs_agreement}")
    if change.needs_capacity:
        flags.append("needs-capacity:" + "+".join(sorted(change.needs_capacity)))
    if change.bump_epoch:
        flags.append("bump-epoch")
    if change.closing:
        flags.append("closing")
    return ",".join(flags)


def read_receipt(text: bytes) -> Receipt:
    """Read ``index:time:seq``; a note after it is the script's own."""
    index, time_us, seq = text.split(b":")[:3]
    return Receipt(int(index), int(time_us), int(seq))
