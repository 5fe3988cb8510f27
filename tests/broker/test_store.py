"""Atomic changes on a real store: all of it and its events, or nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker.audit import EventType, Prepared
from broker.errors import ChangeRefused, Refused, StoreUnavailable
from broker.ledger import Ledger
from broker.store import Add, SeatChange, Store, StoreTime
from tests.support.stores import event

INSIDE = frozenset({"admitted", "held"})


async def book(
    ledger: Ledger,
    store: Store,
    *,
    seats: str = "A,B,T",
    capacity: int = 3,
    more: dict[str, str] | None = None,
) -> str:
    """Book a session whose seats all wait."""
    fields: dict[str, Any] = {"kind": "couple", "host": "staff-1", "capacity": capacity, "seats": seats}
    fields |= {f"{seat}.state": "waiting" for seat in seats.split(",")} | (more or {})
    await store.book("m", fields, 2_000_000_000_000, [ledger.prepare(event(EventType.SESSION_BOOKED))])
    return "m"


def admit(prepared: Prepared, seat: str, **more: Any) -> SeatChange:
    return SeatChange(
        seat, frozenset({"waiting"}), "admitted", prepared, needs_open=True, needs_capacity=INSIDE, **more
    )


async def states(store: Store) -> dict[str, str]:
    session = await store.load_session("m") or {}
    return {name[:-6]: value for name, value in session.items() if name.endswith(".state")}


# ---------------------------------------------------------------------- seats


async def test_admission_and_its_event_are_one(ledger: Ledger, store: Store) -> None:
    await book(ledger, store)
    done = await store.change("m", [admit(ledger.prepare(event(session="m", seat="A")), "A")])
    assert done.rev == 1
    assert done.receipts[0] is not None
    assert done.receipts[0].index == 1
    session = await store.load_session("m")
    assert session is not None
    assert session["A.state"] == "admitted"
    assert session["rev"] == "1"
    assert int(session["A.since"]) == done.time_us // 1000
    [entry] = await ledger.read(1, 5)
    assert entry.event is not None
    assert (entry.event.type, entry.event.seat, entry.session) == (EventType.SEAT_ADMITTED, "A", "m")


async def test_the_same_change_again_gives_the_same_receipts(ledger: Ledger, store: Store) -> None:
    await book(ledger, store)
    changes = [admit(ledger.prepare(event()), "A"), admit(ledger.prepare(event()), "B")]
    first = await store.change("m", changes)
    await store.change("m", [SeatChange("A", frozenset(), "left", ledger.prepare(event()))])
    again = await store.change("m", changes)
    assert (again.receipts, again.rev) == (first.receipts, first.rev)
    assert (await states(store))["A"] == "left"
    assert await store.log_size() == 4


async def test_a_seat_that_is_there_already_gets_no_event(ledger: Ledger, store: Store) -> None:
    await book(ledger, store)
    await store.change("m", [admit(ledger.prepare(event()), "A")])
    done = await store.change("m", [admit(ledger.prepare(event()), "A"), admit(ledger.prepare(event()), "B")])
    assert done.receipts[0] is None
    assert done.receipts[1] is not None
    again = await store.change("m", [admit(ledger.prepare(event()), "A")])
    assert (again.receipts, again.rev) == ((None,), 2)
    assert await store.log_size() == 3


async def test_both_or_none(ledger: Ledger, store: Store) -> None:
    await book(ledger, store, capacity=1)
    with pytest.raises(ChangeRefused) as refusal:
        await store.change("m", [admit(ledger.prepare(event()), seat) for seat in "AB"])
    assert (refusal.value.code, refusal.value.seat) == ("full", "B")
    assert await states(store) == {"A": "waiting", "B": "waiting", "T": "waiting"}
    assert await store.log_size() == 1


async def test_a_held_seat_keeps_its_place(ledger: Ledger, store: Store) -> None:
    await book(ledger, store, capacity=2, more={"A.state": "held", "B.state": "admitted"})
    with pytest.raises(ChangeRefused, match="full"):
        await store.change("m", [admit(ledger.prepare(event()), "T")])
    resume = SeatChange("A", frozenset({"held"}), "admitted", ledger.prepare(event()), needs_capacity=INSIDE)
    assert (await store.change("m", [resume])).rev == 1


@pytest.mark.parametrize(
    ("seat", "given", "code", "state"),
    [
        ("X", {}, "no-seat", ""),
        ("A", {"A.state": "removed"}, "wrong-state", "removed"),
        ("A", {"A.agreed": "v1"}, "agreement-needed", "waiting"),
    ],
)
async def test_a_refusal_says_why(
    ledger: Ledger, store: Store, seat: str, given: dict[str, str], code: str, state: str
) -> None:
    await book(ledger, store, more=given)
    with pytest.raises(ChangeRefused) as refusal:
        await store.change("m", [admit(ledger.prepare(event()), seat, needs_agreement="v2")])
    assert (refusal.value.code, refusal.value.seat, refusal.value.state) == (code, seat, state)
    assert await store.log_size() == 1


async def test_nobody_enters_an_ended_session(ledger: Ledger, store: Store) -> None:
    await book(ledger, store)
    assert await store.open_sessions() == ["m"]
    assert await store.end("m", [ledger.prepare(event(EventType.SESSION_ENDED))]) == 1
    assert await store.open_sessions() == []
    assert set((await states(store)).values()) == {"ended"}
    assert await store.end("m", [ledger.prepare(event(EventType.SESSION_ENDED))]) is None
    with pytest.raises(ChangeRefused, match="not-open"):
        await store.change("m", [admit(ledger.prepare(event()), "A")])
    with pytest.raises(Refused, match="no-session"):
        await store.end("unknown", [ledger.prepare(event(EventType.SESSION_ENDED))])
    assert await store.log_size() == 2


async def test_fields_are_set_added_stamped_and_removed(ledger: Ledger, store: Store) -> None:
    await book(ledger, store, more={"A.notice": "old", "A.knocks": "2"})
    fields = {"notice": None, "knocks": Add(1), "arrived": StoreTime(once=True), "device": "d=1"}
    knock = SeatChange("A", frozenset(), "knocked", ledger.prepare(event()), bump_epoch=True, fields=fields)
    done = await store.change("m", [knock])
    session = await store.load_session("m")
    assert session is not None
    assert "A.notice" not in session
    assert (session["A.knocks"], session["A.device"], session["A.epoch"]) == ("3", "d=1", "1")
    assert int(session["A.arrived"]) == done.time_us // 1000
    again = SeatChange("A", frozenset(), "waiting", ledger.prepare(event()), fields=fields)
    await store.change("m", [again])
    assert (await store.load_session("m") or {})["A.arrived"] == session["A.arrived"]


async def test_muting_twice_is_one_event(ledger: Ledger, store: Store) -> None:
    await book(ledger, store)

    def mute() -> SeatChange:
        return SeatChange("A", frozenset({"waiting"}), None, ledger.prepare(event()), fields={"muted": "1"})

    assert (await store.change("m", [mute()])).receipts[0] is not None
    assert (await store.change("m", [mute()])).receipts[0] is None
    session = await store.load_session("m") or {}
    assert (session["A.muted"], session["A.state"], session["rev"]) == ("1", "waiting", "1")


async def test_a_thousand_admissions_fill_the_room_exactly(ledger: Ledger, store: Store) -> None:
    seats = [f"S{number}" for number in range(1000)]
    await book(ledger, store, seats=",".join(seats), capacity=50)

    async def one(seat: str) -> bool:
        while True:
            try:
                await store.change("m", [admit(ledger.prepare(event(subject=seat)), seat)])
            except ChangeRefused as refusal:
                if refusal.code != "full":
                    raise
                return False
            except StoreUnavailable:  # a busy test machine; asking again is what a host does too
                await asyncio.sleep(0.1)
            else:
                return True

    outcomes = await asyncio.gather(*(one(seat) for seat in seats))
    assert outcomes.count(True) == 50
    assert list((await states(store)).values()).count("admitted") == 50
    assert await store.log_size() == 51


async def test_refused_events_give_their_numbers_back(ledger: Ledger, store: Store) -> None:
    await book(ledger, store, more={"A.state": "removed"})
    for _ in range(3):
        with pytest.raises(ChangeRefused):
            await store.change("m", [admit(ledger.prepare(event()), "A")])
    await ledger.append(event())
    assert [entry.leaf.header.q for entry in await ledger.read(0, 9)] == [0, 1]


# ---------------------------------------------------------------------- booking


async def test_a_used_id_is_never_used_again(ledger: Ledger, store: Store) -> None:
    await book(ledger, store)
    await store.end("m", [ledger.prepare(event(EventType.SESSION_ENDED))])
    await store.link.plain("DEL", store.link.key("session", "m"))
    with pytest.raises(Refused, match="id-used"):
        await book(ledger, store)


async def test_a_repeated_booking_gets_the_first_answer(ledger: Ledger, store: Store) -> None:
    async def ask(meeting: str, request: bytes, answer: bytes) -> bytes | None:
        booked = ledger.prepare(event(EventType.SESSION_BOOKED))
        return await store.book(
            meeting, {"seats": "A"}, 1, [booked], idempotency_key="staff-1 k", request=request, answer=answer
        )

    assert await ask("m1", b"request", b"\x00sealed\xff") is None
    assert await ask("m2", b"request", b"other") == b"\x00sealed\xff"
    with pytest.raises(Refused, match="idempotency-mismatch"):
        await ask("m3", b"another request", b"other")
    assert await store.load_session("m2") is None
    assert await store.log_size() == 1


# ---------------------------------------------------------------------- guessing


async def fail(ledger: Ledger, store: Store, seat: str = "A", *, known: bool = True) -> bool:
    failed, locked = (ledger.prepare(event(kind)) for kind in (EventType.AUTH_FAILED, EventType.AUTH_LOCKED))
    return await store.attempt_failed("m", seat, failed, locked, known=known)


@pytest.mark.parametrize("known", [True, False])
async def test_guesses_are_delayed_from_the_third_on(ledger: Ledger, store: Store, known: bool) -> None:
    for number in (1, 2, 3):
        attempt = await store.begin_attempt("m", "A", known=known)
        assert (attempt.verdict, attempt.failures) == ("allowed", number)
        assert not await fail(ledger, store, known=known)
    attempt = await store.begin_attempt("m", "A", known=known)
    assert attempt.verdict == "delayed"
    assert 0 < attempt.wait_ms <= 1000
    assert (await store.begin_attempt("m", "B", known=known)).verdict == "allowed"


async def test_the_tenth_failure_locks_until_somebody_unlocks(ledger: Ledger, store: Store) -> None:
    key = store.link.key("try", "m", "A")
    waits, locked = [], False
    for _ in range(10):
        assert (await store.begin_attempt("m", "A", known=True)).verdict == "allowed"
        locked = await fail(ledger, store)
        fields = await store.link.read("HGETALL", key)
        if b"next" in fields:
            waits.append(round(int(fields[b"next"]) / 1000 - (store.now_ms() or 0) / 1000))
        await store.link.plain("HDEL", key, "next")  # time passes
    assert locked
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128]
    assert (await store.begin_attempt("m", "A", known=True)).verdict == "locked"
    assert not await store.attempt_ok("m", "A", ledger.prepare(event(EventType.AUTH_OK)))
    kinds = [entry.leaf.header.t for entry in await ledger.read(0, 99)]
    assert kinds == ["auth.failed"] * 10 + ["auth.locked"]
    await store.unlock("m", "A", ledger.prepare(event(EventType.AUTH_UNLOCKED)))
    assert (await store.begin_attempt("m", "A", known=True)).verdict == "allowed"


async def test_a_right_password_forgets_the_failures(ledger: Ledger, store: Store) -> None:
    for _ in range(2):
        await store.begin_attempt("m", "A", known=True)
        await fail(ledger, store)
    assert (await store.begin_attempt("m", "A", known=True)).failures == 3
    assert await store.attempt_ok("m", "A", ledger.prepare(event(EventType.AUTH_OK)))
    assert (await store.begin_attempt("m", "A", known=True)).failures == 1


async def test_a_hundred_guesses_at_once_are_not_a_hundred_guesses(store: Store) -> None:
    attempts = await asyncio.gather(*(store.begin_attempt("m", "A", known=True) for _ in range(100)))
    assert [attempt.verdict for attempt in attempts].count("allowed") == 3


async def test_unknown_sessions_fill_nothing(store: Store) -> None:
    for number in range(50):
        await store.begin_attempt(f"unknown-{number}", "A", known=False)
    keys = await store.link.read("KEYS", store.link.key("try", "*"))
    assert 0 < len(keys) <= 50
    for key in keys:
        assert await store.link.read("PTTL", key) > 0


# ---------------------------------------------------------------------- small records and tickets


async def test_an_account_is_made_once(ledger: Ledger, store: Store) -> None:
    async def add(role: str) -> None:
        added = ledger.prepare(event(EventType.STAFF_ADDED))
        await store.put("staff", "kim", {"role": role}, [added], expect={"role": None}, listed=True)

    await add("admin")
    with pytest.raises(Refused, match="precondition"):
        await add("therapist")
    assert await store.load("staff", "kim") == {"role": "admin"}
    assert await store.names("staff") == ["kim"]
    assert await store.log_size() == 1


async def test_a_login_ends_by_itself_or_by_logout(ledger: Ledger, store: Store) -> None:
    login = ledger.prepare(event(EventType.STAFF_LOGIN))
    await store.put("login", "digest", {"staff": "kim"}, [login], lifetime_ms=60_000)
    assert 0 < await store.link.read("PTTL", store.link.key("login", "digest")) <= 60_000
    assert await store.extend("login", "digest", 90_000)
    assert await store.link.read("PTTL", store.link.key("login", "digest")) > 60_000
    await store.remove("login", "digest", [ledger.prepare(event(EventType.STAFF_LOGOUT))])
    assert await store.load("login", "digest") is None
    assert not await store.extend("login", "digest", 1000)
    assert await store.log_size() == 2


async def test_a_ticket_is_redeemed_by_exactly_one(store: Store) -> None:
    await store.issue_ticket("digest", b"grant")
    found = await asyncio.gather(*(store.redeem_ticket("digest") for _ in range(100)))
    assert sorted(found, key=bool)[-2:] == [None, b"grant"]
    await store.issue_ticket("brief", b"grant", lifetime_ms=1)
    await asyncio.sleep(0.01)  # the store's clock has to pass, not ours
    assert await store.redeem_ticket("brief") is None


async def test_a_store_that_never_started_does_nothing(server: Any, ledger: Ledger) -> None:
    stranger = Store(server.url, "practice", "n-x")
    with pytest.raises(StoreUnavailable):
        await stranger.put("staff", "kim", {"role": "admin"}, [ledger.prepare(event())])
    await stranger.close()
