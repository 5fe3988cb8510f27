"""A ticket is good once, soon, and as long as what it stands for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from broker.audit import EventType
from broker.errors import Refused
from broker.identity import SignedIn, Staff
from broker.ids import digest, new_meeting_id, new_secret
from broker.policy import Role
from broker.private import Private
from broker.seats import SeatRole
from tests.support.practice import ADMIN, COHOST, HOST, STRANGER, A, C, Practice, T

E = EventType


async def test_a_ticket_is_good_once(practice: Practice) -> None:
    booked = await practice.book()
    grant = await practice.enter(booked, A)
    ticket = await practice.tickets.issue(grant)
    tries = [practice.tickets.redeem(ticket.reveal()) for _ in range(50)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    [redeemed] = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert (redeemed.meeting, redeemed.seat, redeemed.role) == (booked.meeting, "A", SeatRole.PATIENT)
    assert (redeemed.device, redeemed.actor) == (grant.device, "seat:A")
    for wrong in ("", "x", new_secret().reveal(), "\ud800" * 43):
        with pytest.raises(Refused, match="bad-ticket"):
            await practice.tickets.redeem(wrong)


async def test_a_ticket_lives_thirty_seconds_as_a_digest(practice: Practice) -> None:
    booked = await practice.book()
    ticket = await practice.tickets.issue(await practice.enter(booked, A))
    left = await practice.store.link.read("PTTL", practice.store.link.key("ticket", digest(ticket)))
    assert 25_000 < left <= 30_000


async def signed_in(practice: Practice, name: str) -> SignedIn:
    """A therapist with a real account and sign-in."""
    password = Private("a long enough staff password")
    await practice.identity.add_staff(name, Role.THERAPIST, password, actor="system")
    return await practice.identity.sign_in(name, password)


async def test_host_and_cohost_get_their_own_seats(practice: Practice) -> None:
    host, cohost = await signed_in(practice, "host"), await signed_in(practice, "cohost")
    booked = await practice.book(host=host.staff, cohost=cohost.staff)
    for staff, seat in ((host.staff, T), (cohost.staff, C)):
        ticket = await practice.tickets.issue_to_host(staff, booked.meeting)
        grant = await practice.tickets.redeem(ticket.reveal())
        assert (grant.seat, grant.role, grant.actor) == (seat, SeatRole.HOST, staff.id)
        assert grant.device == staff.login
    viewed = await practice.events(E.ROSTER_VIEWED)
    assert [(event.actor, event.session) for event in viewed] == [
        (host.staff.id, booked.meeting),
        (cohost.staff.id, booked.meeting),
    ]


async def sign_out(practice: Practice, host: SignedIn) -> None:
    await practice.identity.sign_out(host.token.reveal())


async def run_out(practice: Practice, host: SignedIn) -> None:
    await practice.store.put("login", host.staff.sign_in, {"until": practice.now}, [])


async def stay_unused(practice: Practice, host: SignedIn) -> None:
    await practice.store.link.plain("DEL", practice.store.link.key("login", host.staff.sign_in))


async def revoke(practice: Practice, host: SignedIn) -> None:
    await practice.store.remove("staff", host.staff.id, [])


@pytest.mark.parametrize("end", [sign_out, stay_unused, revoke])
async def test_a_hosts_ticket_ends_with_its_sign_in(
    practice: Practice, end: Callable[[Practice, SignedIn], Awaitable[None]]
) -> None:
    host = await signed_in(practice, "host")
    booked = await practice.book(host=host.staff)
    used, kept = [await practice.tickets.issue_to_host(host.staff, booked.meeting) for _ in range(2)]
    grant = await practice.tickets.redeem(used.reveal())
    assert await practice.tickets.stands(grant)
    await end(practice, host)
    assert not await practice.tickets.stands(grant)
    with pytest.raises(Refused, match="bad-ticket"):
        await practice.tickets.redeem(kept.reveal())


async def test_a_visit_is_not_cut_because_a_sign_in_ran_out(practice: Practice) -> None:
    host = await signed_in(practice, "host")
    booked = await practice.book(host=host.staff)
    used, kept = [await practice.tickets.issue_to_host(host.staff, booked.meeting) for _ in range(2)]
    grant = await practice.tickets.redeem(used.reveal())
    await run_out(practice, host)
    assert await practice.tickets.stands(grant)
    with pytest.raises(Refused, match="bad-ticket"):
        await practice.tickets.redeem(kept.reveal())


async def test_a_running_visit_keeps_its_sign_in_on_record_and_never_shortens_it(practice: Practice) -> None:
    host = await signed_in(practice, "host")
    booked = await practice.book(host=host.staff)
    ticket = await practice.tickets.issue_to_host(host.staff, booked.meeting)
    grant = await practice.tickets.redeem(ticket.reveal())
    link, key = practice.store.link, practice.store.link.key("login", host.staff.sign_in)

    async def left_ms() -> int:
        return int(await link.plain("PTTL", key))

    before = await left_ms()
    await practice.tickets.keep(grant)
    assert before - 60_000 < await left_ms() <= before, "hours are left: nothing to do"
    await link.plain("PEXPIRE", key, 5_000)
    await practice.tickets.keep(grant)
    assert await left_ms() > 5 * 60_000


@pytest.mark.parametrize("staff", [STRANGER, ADMIN, COHOST], ids=["stranger", "admin", "cohost elsewhere"])
async def test_a_session_that_is_not_theirs_looks_to_staff_like_none(
    practice: Practice, staff: Staff
) -> None:
    booked, ended = await practice.book(), await practice.book()
    await practice.booking.end(ended.meeting, HOST.id)
    answers = set()
    for who, meeting in (
        (staff, booked.meeting),
        (staff, new_meeting_id()),
        (HOST, ended.meeting),
        (HOST, "x"),
    ):
        with pytest.raises(Refused) as caught:
            await practice.tickets.issue_to_host(who, meeting)
        answers.add(str(caught.value))
    assert len(answers) == 1
    assert answers.pop().startswith("no-session: ")
    denied = await practice.events(E.AUTHZ_DENIED)
    assert [(event.actor, event.subject, event.session) for event in denied] == [
        (who.id, who.id, None) for who in (staff, staff, HOST, HOST)
    ]
    assert await practice.events(E.ROSTER_VIEWED) == []
