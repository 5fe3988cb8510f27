"""What scripts are told: the order that the prelude reads, and nothing that a value could break out of."""

from __future__ import annotations

from broker.audit import Prepared, Receipt
from broker.changes import (
    Add,
    SeatChange,
    StoreTime,
    Value,
    changes_args,
    events_args,
    fields_args,
    read_receipt,
)

EVENT = Prepared(b"id", b"tag", b"header", b"sealed", "m", 3)


def test_fields_say_what_to_do_with_them() -> None:
    fields: dict[str, Value] = {
        "a": "-",
        "b": 7,
        "c": Add(2),
        "d": StoreTime(),
        "e": StoreTime(once=True),
        "f": None,
    }
    assert fields_args(fields) == [6, "a", "=-", "b", "=7", "c", "+2", "d", "@", "e", "?", "f", "-"]


def test_events_are_counted() -> None:
    assert events_args([]) == [0]
    assert events_args([EVENT]) == [1, b"id", b"tag", b"header", b"sealed", "m"]


def test_a_change_is_told_in_order() -> None:
    plain = SeatChange("A", frozenset(), None, EVENT)
    full = SeatChange(
        "B",
        frozenset({"waiting", "held"}),
        "admitted",
        EVENT,
        needs_open=True,
        needs_window=900,
        needs_agreement="v1",
        needs_capacity=frozenset({"held", "admitted"}),
        bump_epoch=True,
        closing=True,
        fields={"notice": None},
    )
    event = [b"id", b"tag", b"header", b"sealed", "m"]
    flags = "needs-open,needs-window:900,needs-agreement:v1,needs-capacity:admitted+held,bump-epoch,closing"
    assert changes_args([plain, full], None) == [
        *["", 2, "A", "", "", "", *event, 0],
        *["B", "held,waiting", "admitted", flags, *event, 1, "notice", "-"],
    ]


def test_a_rooms_owner_tells_the_token_of_its_lease() -> None:
    assert changes_args([], 7) == [7, 0]


def test_a_receipt_may_carry_a_note() -> None:
    assert read_receipt(b"1:2:3") == read_receipt(b"1:2:3:9") == Receipt(1, 2, 3)
