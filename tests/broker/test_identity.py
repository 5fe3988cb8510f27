"""Staff sign in under limits, speak in their own role, and are codes to everybody else."""

from __future__ import annotations

import asyncio
import re

import pytest

from broker.audit import EventType
from broker.errors import BadInput, Refused
from broker.identity import ABSOLUTE_MS, GUARD, IDLE_MS, Staff
from broker.ids import digest, new_secret
from broker.passwords import Profile
from broker.policy import Role
from broker.private import Private
from tests.support.practice import HOUR, Practice

E = EventType
NAME = "Dr. Cänary Weiß"
PASSWORD = Private("correct horse battery")
WRONG = Private("wrong horse battery")


async def add(practice: Practice, name: str = NAME, role: Role = Role.THERAPIST) -> Staff:
    return await practice.identity.add_staff(name, role, PASSWORD, actor="operator")


async def refused(practice: Practice, name: str = NAME, password: Private[str] = WRONG) -> str:
    with pytest.raises(Refused) as caught:
        await practice.identity.sign_in(name, password)
    return str(caught.value)


async def counter(practice: Practice) -> bytes:
    """The key of the only counter of failed attempts there is."""
    [key] = await practice.store.link.read("KEYS", practice.store.link.key("try", "*"))
    return bytes(key)


async def test_an_account_signs_in_and_speaks_for_its_role_only(practice: Practice) -> None:
    staff = await add(practice)
    assert re.fullmatch("staff:[0-9a-hjkmnp-tv-z]{12}", staff.id)
    signed_in = await practice.identity.sign_in(NAME, PASSWORD)
    assert (signed_in.staff.id, signed_in.staff.role) == (staff.id, Role.THERAPIST)
    token = signed_in.token.reveal()
    found = await practice.identity.staff_for(token, Role.THERAPIST)
    assert found == signed_in.staff
    assert found.name.reveal() == NAME
    for role in (Role.ADMIN, Role.SEAT, Role.ANONYMOUS):
        assert await practice.identity.staff_for(token, role) is None
    for wrong in (None, "", "x" * 43, new_secret().reveal(), token + "=", "\ud800"):
        assert await practice.identity.staff_for(wrong, Role.THERAPIST) is None


async def test_a_name_is_one_name_in_every_spelling(practice: Practice) -> None:
    staff = await add(practice)
    for name in ("dr. cänary weiss", "  DR.  CÄNARY WEISS ", "Dr. Ca\u0308nary Weiß"):
        found = await practice.identity.staff_by_name(name)
        assert found is not None
        assert found.id == staff.id
        with pytest.raises(Refused, match="name-taken"):
            await add(practice, name)
    assert await practice.identity.staff_by_name("somebody else") is None
    assert [staff.id for staff in await practice.identity.all_staff()] == [staff.id]
    assert await practice.identity.staff_by_id(staff.id) == staff


async def test_of_two_who_take_a_name_at_once_one_gets_it(practice: Practice) -> None:
    answers = await asyncio.gather(*(add(practice) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(answer, Staff) for answer in answers) == 1
    assert sum(isinstance(answer, Refused) and answer.code == "name-taken" for answer in answers) == 2
    assert len(await practice.events(E.STAFF_ADDED)) == 1


async def test_a_name_claimed_by_an_attempt_that_died_can_be_taken(practice: Practice) -> None:
    staff = await add(practice)
    await practice.store.link.plain("DEL", practice.store.link.key("staff", staff.id))
    assert await practice.identity.staff_by_name(NAME) is None
    assert (await add(practice)).id == staff.id


@pytest.mark.parametrize(
    ("name", "role", "password", "code"),
    [
        ("", Role.ADMIN, PASSWORD, "bad-name"),
        ("  ", Role.ADMIN, PASSWORD, "bad-name"),
        ("x" * 65, Role.ADMIN, PASSWORD, "bad-name"),
        ("a\x00b", Role.ADMIN, PASSWORD, "bad-name"),
        ("\ud800", Role.ADMIN, PASSWORD, "bad-name"),
        ("x", Role.SEAT, PASSWORD, "bad-role"),
        ("x", Role.ADMIN, Private("elevenchars"), "bad-password"),
        ("x", Role.ADMIN, Private("x" * 257), "bad-password"),
    ],
)
async def test_an_account_must_make_sense(
    practice: Practice, name: str, role: Role, password: Private[str], code: str
) -> None:
    with pytest.raises(BadInput, match=code):
        await practice.identity.add_staff(name, role, password, actor="operator")
    assert await practice.events() == []


async def test_wrong_name_and_wrong_password_have_one_answer_and_the_same_work(practice: Practice) -> None:
    staff = await add(practice)
    await refused(practice, "first", WRONG)  # the scripts are loaded from here on
    answers, works = set(), set()
    for name, password in (
        (NAME, WRONG),
        ("nobody", PASSWORD),
        ("\ud800", WRONG),
        ("", Private("")),
        (NAME, WRONG),
    ):
        before, hashed = await practice.commands(), practice.hasher.computed[Profile.STAFF]
        answers.add(await refused(practice, name, password))
        after = await practice.commands()
        works.add((after[0] - before[0], after[1] - before[1]))
        assert practice.hasher.computed[Profile.STAFF] - hashed == 1
    assert len(answers) == 1
    assert len(works) == 1
    failures = await practice.events(E.STAFF_LOGIN_FAILED)
    assert {(event.subject, event.reason) for event in failures} == {
        (staff.id, "wrong-password"),
        ("staff:unknown", "unknown-name"),
    }


async def test_from_the_fifth_failure_on_even_the_right_password_waits(practice: Practice) -> None:
    await add(practice)
    await refused(practice)
    key = await counter(practice)
    await practice.store.link.plain("HSET", key, "n", 3)
    await refused(practice)
    assert await practice.store.link.read("HGET", key, "next") is None
    begun = practice.now
    await refused(practice)
    assert int(await practice.store.link.read("HGET", key, "next")) >= begun + 1000
    await practice.store.link.plain("HSET", key, "next", practice.now + HOUR)
    await refused(practice, NAME, PASSWORD)
    [*_, last] = await practice.events(E.STAFF_LOGIN_FAILED)
    assert last.reason == "delayed"
    await practice.store.link.plain("HSET", key, "next", 0)
    await practice.identity.sign_in(NAME, PASSWORD)
    assert await practice.store.link.read("EXISTS", key) == 0


async def test_the_hundredth_failure_locks_until_unlocked(practice: Practice) -> None:
    staff = await add(practice)
    await refused(practice)
    assert GUARD.lock_at == 100
    await practice.store.link.plain("HSET", await counter(practice), "n", 99, "next", 0)
    await refused(practice)
    await practice.store.link.plain("HSET", await counter(practice), "next", 0)
    await refused(practice, NAME, PASSWORD)
    [locked] = await practice.events(E.AUTH_LOCKED)
    assert locked.subject == staff.id
    await practice.identity.unlock(NAME, actor="operator")
    await practice.identity.sign_in(NAME, PASSWORD)
    with pytest.raises(Refused, match="no-staff"):
        await practice.identity.unlock("nobody", actor="operator")


async def test_signing_out_ends_the_sign_in_on_the_server(practice: Practice) -> None:
    staff = await add(practice)
    here = (await practice.identity.sign_in(NAME, PASSWORD)).token.reveal()
    there = (await practice.identity.sign_in(NAME, PASSWORD)).token.reveal()
    for _ in range(2):
        await practice.identity.sign_out(here)
    for token in (None, "", "x", new_secret().reveal()):
        await practice.identity.sign_out(token)
    assert await practice.identity.staff_for(here, Role.THERAPIST) is None
    assert await practice.identity.staff_for(there, Role.THERAPIST) is not None
    told = [(event.type, event.actor) for event in await practice.events()]
    assert told == [
        (E.STAFF_ADDED, "operator"),
        (E.STAFF_LOGIN, staff.id),
        (E.STAFF_LOGIN, staff.id),
        (E.STAFF_LOGOUT, staff.id),
    ]


async def test_a_sign_in_ends_when_unused_and_in_any_case(practice: Practice) -> None:
    await add(practice)
    signed_in = await practice.identity.sign_in(NAME, PASSWORD)
    token, key = signed_in.token.reveal(), practice.store.link.key("login", digest(signed_in.token))
    record = await practice.store.load("login", digest(signed_in.token))
    assert record is not None
    assert abs(int(record["until"]) - practice.now - ABSOLUTE_MS) < 60_000
    await practice.store.link.plain("PEXPIRE", key, HOUR)
    assert await practice.identity.staff_for(token, Role.THERAPIST) is not None
    assert IDLE_MS - 60_000 < await practice.store.link.read("PTTL", key) <= IDLE_MS
    await practice.store.link.plain("HSET", key, "until", practice.now - 1)
    assert await practice.identity.staff_for(token, Role.THERAPIST) is None


async def test_use_never_extends_a_sign_in_beyond_its_end(practice: Practice) -> None:
    await add(practice)
    signed_in = await practice.identity.sign_in(NAME, PASSWORD)
    key = practice.store.link.key("login", digest(signed_in.token))
    await practice.store.link.plain("HSET", key, "until", practice.now + HOUR)
    assert await practice.identity.staff_for(signed_in.token.reveal(), Role.THERAPIST) is not None
    assert await practice.store.link.read("PTTL", key) <= HOUR


async def test_names_passwords_and_tokens_are_neither_kept_nor_recorded(practice: Practice) -> None:
    staff = await add(practice)
    signed_in = await practice.identity.sign_in(NAME, PASSWORD)
    await refused(practice)
    await refused(practice, "Somebody Cänary")
    kept = [repr(signed_in), repr(staff), *await practice.kept()]
    kept += [repr(event) for event in await practice.events()]
    for text in kept:
        for canary in ("nary", "horse", signed_in.token.reveal()):
            assert canary not in text
