"""Who is heard, and who is not: in a running room with real transports, and clients that fall silent."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from broker.audit import EventType
from broker.seats import SeatCode, SeatState
from rooms.hearing import FRESH
from rooms.quality import Grade, Level, Quality, Standing
from rooms.signs_of_life import CHECK_EVERY, HOST_PATIENCE
from rooms.transports import Transports
from tests.rooms.house import place_of, running
from tests.rooms.playbook import A, B
from tests.support.heard import EVERY
from tests.support.waiting import eventually


async def test_a_silent_clinician_leaves_nobody_alone_within_two_seconds() -> None:
    async with running() as house:
        host, first, second = await house.visit()
        loop = asyncio.get_running_loop()
        house.heard["t"].fall_silent()
        lost_at = loop.time()

        def paused() -> bool:
            for link in "tab":  # the clinician's page lives on; only the media is gone
                house.runner.heard(link)
            return first.state == "paused" and second.state == "paused"

        await eventually(paused)
        assert HOST_PATIENCE - 2 * EVERY < loop.time() - lost_at < 2.0
        assert house.runner.room.flowing == frozenset()
        house.heard["t"].talk()
        await eventually(lambda: first.state == "admitted" and second.state == "admitted")
        held = [(r.event, r.reason) for r in house.store.records if r.event is EventType.SEAT_HELD]
        assert held == [(EventType.SEAT_HELD, "clinician-lost")] * 2
        assert host.closed == []


async def test_a_clinician_who_does_not_hear_leaves_nobody_alone_within_two_seconds() -> None:
    async with running() as house:
        _, first, second = await house.visit()
        loop = asyncio.get_running_loop()
        house.heard["t"].client.deaf = True  # and talks on
        lost_at = loop.time()
        await eventually(lambda: first.state == "paused" and second.state == "paused")
        assert HOST_PATIENCE - 2 * EVERY < loop.time() - lost_at < 2.1
        assert house.runner.room.flowing == frozenset()
        house.heard["t"].client.deaf = False
        await eventually(lambda: first.state == "admitted" and second.state == "admitted")


async def test_a_clinicians_page_that_lost_its_connection_is_believed_at_once() -> None:
    async with running() as house:
        _, first, _ = await house.visit()
        house.heard["t"].client.deaf = True
        await asyncio.sleep(FRESH + CHECK_EVERY)
        asked_at = asyncio.get_running_loop().time()
        assert house.runner.restart_media("t", fresh=False) is None
        await eventually(lambda: first.state == "paused")
        assert asyncio.get_running_loop().time() - asked_at < HOST_PATIENCE - FRESH - CHECK_EVERY


async def test_our_own_stall_is_nobodys_silence() -> None:
    async with running() as house:
        _, first, second = await house.visit()
        time.sleep(HOST_PATIENCE + 0.7)  # noqa: ASYNC251 -- the stall is what is tested
        checks = 0

        def heard() -> bool:
            nonlocal checks
            checks += 1
            for link in "tab":
                house.runner.heard(link)
            return checks > 60

        await eventually(heard)
        assert "paused" not in {place_of(view).state for view in (*first.views, *second.views)}


async def test_keeping_the_server_busy_does_not_put_the_rule_off() -> None:
    async with running() as house:
        _, first, _ = await house.visit()
        house.heard["t"].fall_silent()
        deadline = time.monotonic() + 4
        while first.state != "paused":
            assert time.monotonic() < deadline, "every look was late, and none was taken"
            time.sleep(0.9)  # noqa: ASYNC251 -- the load is what is tested
            await asyncio.sleep(0.02)


async def test_a_second_device_that_asks_keeps_the_dead_first_one_not_alive() -> None:
    async with running({A: SeatState.WAITING}) as house:
        first = house.join("a", A, "phone")
        await eventually(lambda: first.state == "waiting")
        second = house.join("a2", A, "laptop")
        await eventually(lambda: second.state == "asking-device")

        def taken() -> bool:
            house.runner.heard("a2")  # the laptop pings on, the phone is dead
            return second.state == "waiting"

        await eventually(taken, timeout=9.0)
        assert first.closed == ["replaced"]


async def test_how_links_are_reaches_the_pages_in_words_and_numbers_alone_reach_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    links: dict[SeatCode, Quality] = {}
    monkeypatch.setattr(Transports, "quality", lambda _: dict(links))
    monkeypatch.setattr(Transports, "standings", lambda _: {seat: q.standing for seat, q in links.items()})
    async with running() as house:
        host, first, second = await house.visit()
        await asyncio.gather(house.connect("a", first), house.connect("b", second))
        standing = Standing(Grade.WEAK, "udp", receives=Level.SOUND)
        links[A] = Quality(0.0, 0.5, 9.0, 0, 60_000, 40.0, standing)
        await eventually(lambda: place_of(first).receives is Level.SOUND)
        await eventually(lambda: host.roster is not None and host.roster.seats[0].link == standing)
        shown = len(first.views)
        links[A] = replace(links[A], loss_out=0.4, bitrate_out=50_000)
        links[B] = replace(links[A], standing=Standing(Grade.FAIR, "tcp", receives=Level.SCREEN))
        await eventually(lambda: place_of(second).receives is Level.SCREEN)  # looked at with the other
        assert len(first.views) == shown
        del links[A]
        await eventually(lambda: place_of(first).receives is Level.ALL)
