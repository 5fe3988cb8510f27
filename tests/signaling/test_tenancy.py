"""Which worker runs a room: the living owner, else the one with the fewest, and never two."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from broker.booking import Booking
from broker.errors import Refused
from broker.ids import MeetingId
from broker.ledger import Ledger
from broker.passwords import Hasher
from broker.placement import Placement
from broker.sealing import Keyring
from broker.seats import SessionKind
from broker.store import Store
from signaling import tenancy
from signaling.neighbours import Neighbours
from signaling.tenancy import Tenancy
from tests.support.practice import HOST

ONE, TWO = "n-w0-aa", "n-w1-bb"


class Worker:
    """A tenancy, the rooms that run under it, and those that it lost."""

    def __init__(self, store: Store, data: Path, name: str, *others: str) -> None:
        self.running: list[MeetingId] = []
        self.lost: list[MeetingId] = []
        self.tenancy = Tenancy(
            Placement(store, name, ttl=2.0),
            Neighbours(data, name, frozenset(others)),
            lambda: self.running,
            self.lost.append,
        )

    async def opens(self, meeting: MeetingId) -> None:
        await self.tenancy.claim(meeting)
        self.running.append(meeting)


@pytest.fixture
async def meetings(store: Store, ledger: Ledger, keys: Keyring, hasher: Hasher) -> list[MeetingId]:
    booking = Booking(store, ledger, keys, hasher)
    now = time.time_ns() // 1_000_000
    return [
        (
            await booking.book(
                SessionKind.INDIVIDUAL, now, now + 3_600_000, HOST, None, HOST.id, f"key-{number}", None
            )
        ).session.meeting
        for number in range(3)
    ]


async def test_a_worker_alone_takes_what_is_nobodys(
    store: Store, tmp_path: Path, meetings: list[MeetingId]
) -> None:
    alone = Worker(store, tmp_path, ONE)
    assert await alone.tenancy.place(meetings[0]) is None
    stranger = Worker(store, tmp_path, TWO)
    assert await stranger.tenancy.place(meetings[0]) == ONE
    with pytest.raises(Refused) as refused:
        await stranger.tenancy.claim(meetings[0])
    assert refused.value.code == "moved"


async def test_a_new_room_goes_to_the_worker_with_the_fewest(
    store: Store, tmp_path: Path, meetings: list[MeetingId]
) -> None:
    one, two = Worker(store, tmp_path, ONE, TWO), Worker(store, tmp_path, TWO, ONE)
    assert await one.tenancy.place(meetings[0]) is None
    await one.opens(meetings[0])
    assert await one.tenancy.place(meetings[1]) == TWO
    assert await two.tenancy.place(meetings[1]) is None
    assert await two.tenancy.place(meetings[0]) == ONE  # not where there is room, but where it runs


async def test_who_takes_no_rooms_sends_them_on_or_away(
    store: Store, tmp_path: Path, meetings: list[MeetingId]
) -> None:
    leaving, alone = Worker(store, tmp_path, ONE, TWO), Worker(store, tmp_path, TWO)
    leaving.tenancy.taking = alone.tenancy.taking = False
    assert await leaving.tenancy.place(meetings[0]) == TWO
    for refusing in (alone.tenancy.place(meetings[0]), alone.tenancy.claim(meetings[0])):
        with pytest.raises(Refused) as refused:
            await refusing
        assert refused.value.code == "draining"


async def test_who_takes_no_rooms_takes_those_whose_worker_has_just_died(
    store: Store, tmp_path: Path, meetings: list[MeetingId]
) -> None:
    one = Worker(store, tmp_path, "n-w0-aa")
    one.tenancy.taking = False
    one.tenancy.orphaned(meetings[:2])
    assert await one.tenancy.place(meetings[0]) is None
    assert (await one.tenancy.claim(meetings[1])).worker == "n-w0-aa"
    with pytest.raises(Refused, match="draining"):
        await one.tenancy.place(meetings[2])


async def test_a_room_that_was_taken_over_is_let_go_and_the_others_are_kept(
    store: Store, tmp_path: Path, meetings: list[MeetingId]
) -> None:
    frozen, other = Worker(store, tmp_path, ONE), Worker(store, tmp_path, TWO)
    await frozen.opens(meetings[0])
    await other.tenancy.placement.bury(ONE)  # as if it had been stopped for longer than its lease lasts
    await other.opens(meetings[0])
    await frozen.opens(meetings[1])
    await frozen.tenancy.renew()
    assert frozen.lost == [meetings[0]]
    owners = await other.tenancy.placement.owners()
    assert {owners[meetings[0]], owners[meetings[1]]} == {TWO, ONE}


async def test_a_room_given_up_is_the_next_ones_at_once(
    store: Store, tmp_path: Path, meetings: list[MeetingId]
) -> None:
    one, two = Worker(store, tmp_path, ONE), Worker(store, tmp_path, TWO)
    await one.opens(meetings[0])
    assert await two.tenancy.owner_elsewhere(meetings[0]) == ONE
    await one.tenancy.release(meetings[0])
    assert await two.tenancy.owner_elsewhere(meetings[0]) is None
    await two.opens(meetings[0])


async def test_a_room_given_up_while_it_is_renewed_is_not_counted(
    store: Store, tmp_path: Path, meetings: list[MeetingId], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Worker(store, tmp_path, ONE)
    await one.opens(meetings[0])
    renew = one.tenancy.placement.renew

    async def crossed(rooms: Iterable[MeetingId]) -> frozenset[MeetingId]:
        ours = await renew(rooms)
        await one.tenancy.release(meetings[0])
        return ours

    monkeypatch.setattr(one.tenancy.placement, "renew", crossed)
    await one.tenancy.renew()
    assert one.lost == []
    assert not one.tenancy._tenure.sure(meetings[0], tenancy._now())
