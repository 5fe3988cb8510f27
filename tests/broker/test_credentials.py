"""One door, one refusal; cookies and tickets that end when they must."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.agreement import CURRENT
from broker.audit import AuditEvent, EventType
from broker.booking import BookedSession
from broker.credentials import Credentials, SeatGrant, claim_of
from broker.errors import Refused, StoreUnavailable
from broker.ids import digest, new_meeting_id, new_seat_token, new_secret
from broker.link_secret import authenticator_hash, authenticator_of, draw_link_secret
from broker.passwords import Hasher, Profile
from broker.private import Private
from broker.seats import SeatAction, SeatCode, SessionKind
from tests.support.practice import ADMIN, HOST, MINUTE, A, B, P, Practice

E = EventType
WRONG = Private("00000-00000")


async def turned_away(practice: Practice, meeting: str, token: str, password: Private[str]) -> str:
    """Knock at the door and be refused; gives the answer as the outside sees it."""
    with pytest.raises(Refused) as caught:
        await practice.credentials.enter(meeting, token, password)
    return str(caught.value)


async def guess(practice: Practice, booked: BookedSession, seat: SeatCode = A) -> None:
    await turned_away(practice, booked.meeting, booked.seat_tokens[seat].reveal(), WRONG)


async def forget_delay(practice: Practice, booked: BookedSession, seat: SeatCode, **fields: int) -> None:
    """Let the waiting time after failures pass."""
    key = practice.store.link.key("try", booked.meeting, seat)
    for name, value in ({"next": 0} | fields).items():
        await practice.store.link.plain("HSET", key, name, value)


# ---------------------------------------------------------------------- entering


async def test_token_and_password_open_the_seat_and_nothing_else(practice: Practice) -> None:
    booked = await practice.book()
    grant = await practice.enter(booked, B)
    assert (grant.meeting, grant.seat, grant.epoch, grant.actor) == (booked.meeting, "B", 0, "seat:B")
    again = await practice.credentials.seat_for(booked.meeting, "B", grant.secret.reveal())
    assert again is not None
    assert (again.device, again.secret) == (grant.device, grant.secret)
    assert again.session.seats[B].device == grant.device
    assert await practice.states(booked) == {"A": "expected", "B": "expected", "T": "expected"}
    [event] = await practice.events(E.AUTH_OK)
    assert (event.actor, event.subject, event.outcome) == ("seat:B", f"{booked.meeting}/B", "ok")


async def test_a_browser_that_holds_the_seat_stays_the_same_device(practice: Practice) -> None:
    booked = await practice.book()
    first = await practice.enter(booked, A)
    token = booked.seat_tokens[A].reveal()
    enter = practice.credentials.enter
    again = await enter(booked.meeting, token, booked.password, first.secret.reveal())
    assert again.device == first.device
    assert again.secret != first.secret
    for cookie in ("nonsense", (await practice.enter(booked, B)).secret.reveal()):
        assert (await enter(booked.meeting, token, booked.password, cookie)).device != first.device


async def test_credentials_may_be_typed_as_people_type(practice: Practice) -> None:
    booked = await practice.book()
    token = booked.seat_tokens[A].reveal().lower().replace("-", " ").replace(" ", "-", 1).replace("0", "o")
    password = booked.password.reveal().lower().replace("-", " ").replace("1", "l")
    meeting = f" {booked.meeting[:9].upper()}-{booked.meeting[9:]} "
    assert (await practice.credentials.enter(meeting, token, Private(password))).seat == "A"


async def test_an_encrypted_session_opens_for_those_who_have_its_link_secret(practice: Practice) -> None:
    secret = draw_link_secret()
    authenticator = authenticator_of(secret)
    booked = await practice.book(link_auth=authenticator_hash(authenticator))
    token = booked.seat_tokens[A].reveal()
    shown = Private(urlsafe_b64encode(authenticator.reveal()).rstrip(b"=").decode())
    enter = practice.credentials.enter
    refusals = {await turned_away(practice, booked.meeting, token, WRONG)}
    for wrong in (None, Private(""), Private("A" * 43), secret, Private(shown.reveal() + "=")):
        await forget_delay(practice, booked, A, n=0)
        with pytest.raises(Refused) as caught:
            await enter(booked.meeting, token, booked.password, None, wrong)
        refusals.add(str(caught.value))
    assert len(refusals) == 1
    reasons = [event.reason for event in await practice.events(E.AUTH_FAILED)]
    assert reasons == ["wrong-password", *["wrong-link"] * 5]
    await forget_delay(practice, booked, A, n=0)
    assert (await enter(booked.meeting, token, booked.password, None, shown)).seat == "A"


async def test_a_session_without_link_secret_asks_for_none(practice: Practice) -> None:
    booked = await practice.book()
    token = booked.seat_tokens[A].reveal()
    grant = await practice.credentials.enter(booked.meeting, token, booked.password, None, Private("A" * 43))
    assert grant.seat == "A"


async def causes(practice: Practice) -> dict[str, tuple[str, str, Private[str], str | None, str]]:
    """Every way to be turned away: meeting, token, password; the subject and reason on record."""
    good, individual = await practice.book(), await practice.book(SessionKind.INDIVIDUAL)
    early = await practice.book(starts_in=16 * MINUTE, ends_in=60 * MINUTE)
    over, ended, removed, locked = [await practice.book() for _ in range(4)]
    await practice.rewrite(over, ends=practice.now - 1)
    await practice.booking.end(ended.meeting, HOST.id)
    await practice.admission.change(removed.meeting, SeatAction.REMOVE, (A,), HOST.id)
    await forget_delay(practice, locked, A, n=10, locked=1)
    delayed = await practice.book()
    await forget_delay(practice, delayed, A, n=3, next=practice.now + MINUTE)

    def token(booked: BookedSession, seat: SeatCode = A) -> str:
        return booked.seat_tokens[seat].reveal()

    unknown = new_meeting_id()
    return {
        "wrong password": (good.meeting, token(good), WRONG, f"{good.meeting}/A", "wrong-password"),
        "no password": (
            good.meeting,
            token(good, B),
            Private("\ud800 x"),
            f"{good.meeting}/B",
            "wrong-password",
        ),
        "wrong token": (
            good.meeting,
            new_seat_token("A").reveal(),
            good.password,
            good.meeting,
            "wrong-token",
        ),
        "token of the other seat": (
            good.meeting,
            "A" + token(good, B)[1:],
            good.password,
            good.meeting,
            "wrong-token",
        ),
        "a host's seat": (
            good.meeting,
            new_seat_token("T").reveal(),
            good.password,
            good.meeting,
            "wrong-token",
        ),
        "no such seat": (
            good.meeting,
            new_seat_token("C").reveal(),
            good.password,
            good.meeting,
            "wrong-token",
        ),
        "not yours": (
            individual.meeting,
            token(good, B),
            good.password,
            individual.meeting,
            "wrong-token",
        ),
        "unknown": (unknown, token(good), good.password, "session:unknown", "unknown-session"),
        "no id at all": ("\ud800" * 64, "?" * 64, good.password, "session:unknown", "unknown-session"),
        "not yet": (early.meeting, token(early), early.password, f"{early.meeting}/A", "not-yet"),
        "over": (over.meeting, token(over), over.password, f"{over.meeting}/A", "over"),
        "ended": (ended.meeting, token(ended), ended.password, f"{ended.meeting}/A", "over"),
        "removed": (removed.meeting, token(removed), removed.password, f"{removed.meeting}/A", "removed"),
        "locked": (locked.meeting, token(locked), locked.password, f"{locked.meeting}/A", "locked"),
        "delayed": (delayed.meeting, token(delayed), delayed.password, f"{delayed.meeting}/A", "delayed"),
    }


async def test_every_cause_has_the_same_answer_the_same_work_and_its_own_record(practice: Practice) -> None:
    every = await causes(practice)
    await practice.enter(await practice.book(), A)
    await turned_away(practice, new_meeting_id(), "x", WRONG)  # every script has run once from here on
    entered = await practice.events(E.AUTH_OK)
    answers, works = set(), {}
    for name, (meeting, token, password, subject, reason) in every.items():
        known = len(await practice.events(E.AUTH_FAILED))
        before, hashed = await practice.commands(), practice.hasher.computed[Profile.MEETING]
        answers.add(await turned_away(practice, meeting, token, password))
        after = await practice.commands()
        assert practice.hasher.computed[Profile.MEETING] - hashed == 1, name
        works[name] = (after[0] - before[0], after[1] - before[1])
        events = (await practice.events(E.AUTH_FAILED))[known:]
        assert [(event.subject, event.reason) for event in events] == [(subject, reason)], name
        assert events[0].actor == "anonymous"
        assert events[0].outcome in {"failed", "refused"}
    assert len(answers) == 1
    assert answers.pop().startswith("cannot-enter: ")
    assert set(works.values()) == {(1, 2)}, works
    assert await practice.events(E.AUTH_OK) == entered


async def test_a_busy_hasher_is_the_same_for_everybody_and_counts_against_nobody(practice: Practice) -> None:
    booked = await practice.book()
    token = booked.seat_tokens[A].reveal()
    full = Hasher(workers=1)
    full.close()  # a pool that takes no work
    credentials = Credentials(practice.store, practice.ledger, practice.booking, full)
    for meeting in [booked.meeting] * 12 + [new_meeting_id()]:
        with pytest.raises(Refused, match="busy"):
            await credentials.enter(meeting, token, booked.password)
    await practice.enter(booked, A)


async def test_a_crowd_of_strangers_keeps_nobody_with_a_link_out(practice: Practice) -> None:
    booked = await practice.book()
    strangers = [
        asyncio.create_task(practice.credentials.enter(new_meeting_id(), "x", Private("00000-00000")))
        for _ in range(40)
    ]
    await asyncio.sleep(0)
    await practice.enter(booked, A)
    done = await asyncio.gather(*strangers, return_exceptions=True)
    assert {error.code for error in done if isinstance(error, Refused)} == {"busy", "cannot-enter"}


async def test_ten_guesses_lock_this_seat_alone_until_somebody_unlocks_it(practice: Practice) -> None:
    booked, neighbour = await practice.book(), await practice.book()
    for _ in range(10):
        await guess(practice, booked)
        await forget_delay(practice, booked, A)
    with pytest.raises(Refused, match="cannot-enter"):
        await practice.enter(booked, A)
    session = await practice.booking.load(booked.meeting)
    assert session is not None
    assert await practice.credentials.locked(session) == {A}
    await practice.enter(booked, B)
    await practice.enter(neighbour, A)
    [locked] = await practice.events(E.AUTH_LOCKED)
    assert (locked.subject, locked.seat) == (f"{booked.meeting}/A", "A")

    await practice.credentials.unlock(booked.meeting, "A", ADMIN.id)
    await practice.enter(booked, A)
    assert await practice.credentials.locked(session) == frozenset()
    [unlocked] = await practice.events(E.AUTH_UNLOCKED)
    assert (unlocked.actor, unlocked.subject) == (ADMIN.id, f"{booked.meeting}/A")


async def test_after_guesses_the_right_password_has_to_wait_too(practice: Practice) -> None:
    booked = await practice.book()
    await guess(practice, booked)
    await forget_delay(practice, booked, A, n=7)
    await guess(practice, booked)  # the eighth in a row: 32 s from now
    with pytest.raises(Refused, match="cannot-enter"):
        await practice.enter(booked, A)
    await forget_delay(practice, booked, A)
    await practice.enter(booked, A)


async def test_guesses_at_once_are_all_counted(practice: Practice) -> None:
    booked = await practice.book()
    token = booked.seat_tokens[A].reveal()
    before = practice.hasher.computed[Profile.MEETING]
    tries = [practice.credentials.enter(booked.meeting, token, WRONG) for _ in range(8)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert all(isinstance(answer, Refused) for answer in answers)
    assert practice.hasher.computed[Profile.MEETING] - before == 8
    reasons = [event.reason for event in await practice.events(E.AUTH_FAILED)]
    assert reasons.count("wrong-password") == 3
    assert set(reasons) == {"wrong-password", "delayed"}


async def test_a_partner_without_the_token_cannot_lock_the_other_seat_nor_fill_the_ledger(
    practice: Practice,
) -> None:
    booked = await practice.book()
    for _ in range(15):
        guessed = new_seat_token("A").reveal()
        await turned_away(practice, booked.meeting, guessed, booked.password)
    await practice.enter(booked, A)
    events = await practice.events(E.AUTH_FAILED, E.AUTH_LOCKED)
    assert 1 <= len(events) <= 11
    assert {(event.type, event.subject) for event in events} == {(E.AUTH_FAILED, booked.meeting)}


async def test_right_credentials_at_a_shut_door_do_not_count_as_guesses(practice: Practice) -> None:
    booked = await practice.book(starts_in=16 * MINUTE)
    for _ in range(12):
        await turned_away(practice, booked.meeting, booked.seat_tokens[A].reveal(), booked.password)
    await practice.rewrite(booked, starts=practice.now + 14 * MINUTE)
    await practice.enter(booked, A)


async def test_a_seat_removed_while_its_password_was_checked_stays_shut(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked = await practice.book()
    verify = Hasher.verify

    async def slowly(
        self: Hasher, phc: str | None, password: Private[str], profile: Profile, *, known: bool = False
    ) -> bool:
        right = await verify(self, phc, password, profile, known=known)
        await practice.admission.change(booked.meeting, SeatAction.REMOVE, (A,), HOST.id)
        await practice.admission.change(booked.meeting, SeatAction.READMIT, (A,), HOST.id)
        return right

    with monkeypatch.context() as patch:
        patch.setattr(Hasher, "verify", slowly)
        with pytest.raises(Refused, match="cannot-enter"):
            await practice.enter(booked, A)
    assert [event.reason for event in await practice.events(E.AUTH_FAILED)] == ["changed-meanwhile"]
    await practice.enter(booked, A)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_at_the_door_becomes_a_bounded_claim(meeting: str, token: str) -> None:
    claim = claim_of(meeting, token)
    assert len(claim.proof) == 64
    assert len(claim.scope) in {26, 64}
    assert claim.scope.isascii()
    assert len(claim.seat) <= 4


async def test_entering_again_after_a_lost_answer_is_one_entry(practice: Practice) -> None:
    booked = await practice.book()
    events = [AuditEvent(type=kind, actor="seat:A", subject="s") for kind in (E.AUTH_OK, E.AUTH_FAILED)]
    ok, shut = [practice.ledger.prepare(event) for event in events]
    for _ in range(2):
        assert await practice.store.enter(
            booked.meeting, "A", "digest", {"seat": "A"}, epoch=0, early_ms=0, device="d", ok=ok, shut=shut
        )
    assert len(await practice.events(E.AUTH_OK)) == 1
    assert await practice.events(E.AUTH_FAILED) == []


# ---------------------------------------------------------------------- the cookie


Ruin = Callable[[Practice, BookedSession, SeatGrant], object]


@pytest.mark.parametrize(
    "ruin",
    [
        lambda practice, booked, grant: practice.credentials.leave(grant),
        lambda practice, booked, grant: practice.booking.end(booked.meeting, HOST.id),
        lambda practice, booked, grant: practice.rewrite(booked, ends=practice.now - 1),
        lambda practice, booked, grant: practice.admission.change(
            booked.meeting, SeatAction.REMOVE, (A,), HOST.id
        ),
    ],
    ids=["left", "ended", "window over", "removed"],
)
async def test_what_ends_a_credential_session_ends_cookie_and_ticket(practice: Practice, ruin: Ruin) -> None:
    booked = await practice.book()
    grant = await practice.enter(booked, A)
    ticket = await practice.tickets.issue(grant)
    await ruin(practice, booked, grant)  # type: ignore[misc]  # lambdas of coroutines
    assert await practice.credentials.seat_for(booked.meeting, "A", grant.secret.reveal()) is None
    with pytest.raises(Refused, match="bad-ticket"):
        await practice.tickets.redeem(ticket.reveal())


async def test_readmission_does_not_revive_an_old_cookie(practice: Practice) -> None:
    booked = await practice.book()
    old = await practice.enter(booked, A)
    await practice.admission.change(booked.meeting, SeatAction.REMOVE, (A,), HOST.id)
    await practice.admission.change(booked.meeting, SeatAction.READMIT, (A,), HOST.id)
    assert await practice.credentials.seat_for(booked.meeting, "A", old.secret.reveal()) is None
    new = await practice.enter(booked, A)
    assert await practice.credentials.seat_for(booked.meeting, "A", new.secret.reveal()) is not None


async def test_a_cookie_speaks_for_its_own_seat_only(practice: Practice) -> None:
    booked, other = await practice.book(), await practice.book()
    grant = await practice.enter(booked, A)
    cookie = grant.secret.reveal()
    for meeting, seat in (
        (booked.meeting, "B"),
        (other.meeting, "A"),
        (booked.meeting, "T"),
        ("x", "A"),
        ("", ""),
    ):
        assert await practice.credentials.seat_for(meeting, seat, cookie) is None
    for wrong in (None, "", "x" * 43, new_secret().reveal(), cookie + "=", "\ud800"):
        assert await practice.credentials.seat_for(booked.meeting, "A", wrong) is None


async def test_two_devices_of_one_seat_are_told_apart(practice: Practice) -> None:
    booked = await practice.book()
    phone, laptop = await practice.enter(booked, A), await practice.enter(booked, A)
    assert phone.device != laptop.device
    for grant in (phone, laptop):
        found = await practice.credentials.seat_for(booked.meeting, "A", grant.secret.reveal())
        assert found is not None
        assert found.device == grant.device
    await practice.credentials.leave(phone)
    assert await practice.credentials.seat_for(booked.meeting, "A", laptop.secret.reveal()) is not None


async def test_the_cookie_record_ends_with_the_session(practice: Practice) -> None:
    booked = await practice.book()
    grant = await practice.enter(booked, A)
    key = practice.store.link.key("grant", digest(grant.secret))
    assert await practice.store.link.read("PEXPIRETIME", key) == booked.session.ends_ms


# ---------------------------------------------------------------------- the agreement


async def test_acceptance_is_recorded_once_with_its_version(practice: Practice) -> None:
    booked = await practice.book()
    grant = await practice.enter(booked, A)
    for _ in range(2):
        await practice.credentials.agree(grant, CURRENT.version)
    [event] = await practice.events(E.AGREEMENT_ACCEPTED)
    assert (event.actor, event.subject) == ("seat:A", f"{booked.meeting}/A")
    assert event.detail == {"version": CURRENT.version}
    with pytest.raises(Refused, match="agreement-outdated"):
        await practice.credentials.agree(grant, "2020-01-01-000000000000")
    partner = await practice.enter(booked, B)
    await practice.booking.end(booked.meeting, HOST.id)
    with pytest.raises(Refused, match="cannot-enter"):
        await practice.credentials.agree(partner, CURRENT.version)
    assert len(await practice.events(E.AGREEMENT_ACCEPTED)) == 1


# ---------------------------------------------------------------------- the link


async def test_an_opened_link_is_recorded_seldom_and_tells_nothing(practice: Practice) -> None:
    booked = await practice.book()
    for seat in (A, A, B, A):
        await practice.credentials.link_opened(booked.meeting, booked.seat_tokens[seat].reveal())
    for meeting, token in ((booked.meeting, new_seat_token("A").reveal()), (new_meeting_id(), "x"), ("", "")):
        await practice.credentials.link_opened(meeting, token)
    opened = await practice.events(E.LINK_OPENED)
    assert [(event.subject, event.actor) for event in opened] == [
        (f"{booked.meeting}/A", "anonymous"),
        (f"{booked.meeting}/B", "anonymous"),
    ]


async def test_unlocking_needs_a_seat_that_can_be_locked(practice: Practice) -> None:
    booked = await practice.book()
    for meeting, seat, code in (
        (new_meeting_id(), "A", "no-session"),
        (booked.meeting, "T", "no-seat"),
        (booked.meeting, "P", "no-seat"),
    ):
        with pytest.raises(Refused, match=code):
            await practice.credentials.unlock(meeting, seat, ADMIN.id)


# ---------------------------------------------------------------------- what is kept


async def test_nothing_secret_and_no_name_is_kept_or_recorded(practice: Practice) -> None:
    booked = await practice.book(SessionKind.INDIVIDUAL)
    grant = await practice.enter(booked, P)
    ticket = await practice.tickets.issue(grant)
    await guess(practice, booked, P)
    await practice.tickets.issue_to_host(HOST, booked.meeting)
    secrets = [booked.password, *booked.seat_tokens.values(), grant.secret, ticket, HOST.name]
    canaries = [secret.reveal() for secret in secrets]

    kept = await practice.kept()
    recorded = [repr(event) for event in await practice.events()]
    assert len(kept) > 5
    for text in (*kept, *recorded, repr(grant), repr(booked)):
        for canary in canaries:
            assert canary not in text
            assert json.dumps(canary) not in text


async def test_without_the_store_nobody_enters(practice: Practice) -> None:
    booked = await practice.book()
    grant = await practice.enter(booked, A)
    practice.store.link._circuit.stalled()  # as after a stall of the whole deadline
    with pytest.raises(StoreUnavailable):
        await practice.enter(booked, A)
    with pytest.raises(StoreUnavailable):
        await practice.tickets.issue(grant)
    with pytest.raises(StoreUnavailable):
        await practice.tickets.issue_to_host(HOST, booked.meeting)
