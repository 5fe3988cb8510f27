"""Passwords: slow for a guesser, the same for everybody, bounded for us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from broker.errors import BadInput, Refused
from broker.passwords import Hasher, Profile
from broker.private import Private


@pytest.fixture
async def hasher() -> AsyncIterator[Hasher]:
    hasher = Hasher(workers=1)
    yield hasher
    hasher.close()


async def test_the_right_password_opens_and_a_wrong_one_does_not(hasher: Hasher) -> None:
    phc = await hasher.hash(Private("ABCDE-12345"), Profile.MEETING)
    assert phc.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher.verify(phc, Private("ABCDE-12345"), Profile.MEETING)
    assert not await hasher.verify(phc, Private("ABCDE-12346"), Profile.MEETING)
    assert phc != await hasher.hash(Private("ABCDE-12345"), Profile.MEETING)


@pytest.mark.parametrize(
    ("phc", "password"),
    [(None, "x"), ("", "x"), ("not a hash", "x"), ("$argon2id$v=19$broken", ""), (None, "x" * 9999)],
)
async def test_the_unknown_costs_the_same_work(hasher: Hasher, phc: str | None, password: str) -> None:
    assert not await hasher.verify(phc, Private(password), Profile.MEETING)
    assert hasher.computed == {Profile.MEETING: 1}


async def test_staff_passwords_cost_more(hasher: Hasher) -> None:
    phc = await hasher.hash(Private("a long pass phrase"), Profile.STAFF)
    assert "m=65536,t=3,p=1" in phc
    assert not hasher.needs_rehash(phc, Profile.STAFF)
    assert hasher.needs_rehash(phc, Profile.MEETING)
    assert hasher.needs_rehash("nonsense", Profile.STAFF)


@pytest.mark.parametrize("password", ["", "x" * 257, "ä" * 129])
async def test_empty_and_endless_passwords_are_not_set(hasher: Hasher, password: str) -> None:
    with pytest.raises(BadInput, match="bad-password"):
        await hasher.hash(Private(password), Profile.MEETING)


async def test_a_full_queue_says_busy_at_once(hasher: Hasher) -> None:
    tasks = [asyncio.create_task(hasher.verify(None, Private("x"), Profile.MEETING)) for _ in range(30)]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    busy = [error for error in done if isinstance(error, Refused)]
    assert {error.code for error in busy} == {"busy"}
    assert len(busy) == 30 - 5
    assert done.count(False) == 5
    assert not await hasher.verify(None, Private("x"), Profile.MEETING)


async def test_strangers_do_not_keep_those_out_who_have_shown_a_secret(hasher: Hasher) -> None:
    phc = await hasher.hash(Private("ABCDE-12345"), Profile.MEETING)
    strangers = [asyncio.create_task(hasher.verify(None, Private("x"), Profile.MEETING)) for _ in range(30)]
    await asyncio.sleep(0)
    assert await hasher.verify(phc, Private("ABCDE-12345"), Profile.MEETING, known=True)
    done = await asyncio.gather(*strangers, return_exceptions=True)
    assert sum(isinstance(error, Refused) for error in done) == 25


async def test_callers_who_leave_free_no_place_early(hasher: Hasher) -> None:
    for _ in range(3):
        tasks = [asyncio.create_task(hasher.verify(None, Private("x"), Profile.MEETING)) for _ in range(5)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not await hasher.verify(None, Private("x"), Profile.MEETING)


async def test_a_closed_hasher_is_busy() -> None:
    hasher = Hasher(workers=1)
    hasher.close()
    with pytest.raises(Refused):
        await hasher.verify(None, Private("x"), Profile.MEETING)
