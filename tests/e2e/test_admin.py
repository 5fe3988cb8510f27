"""The admin's half: the live board, the audit stream, the metrics; no private value in any of them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from playwright.async_api import Locator, expect

from broker.embedded import socket_path
from broker.ids import short_code
from broker.redis_store import RedisStore
from tests.e2e.people import WITHIN, People
from tests.e2e.practice import STAFF, Practice, Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

STATE, WAITING, PRESENCE, SUITE, CONNECTION, ACCESS = range(1, 7)
"""The cells of a seat's line on the board after the one that names it."""


def cell(board: Locator, seat: str, which: int) -> Locator:
    """One cell of a seat's line."""
    return board.locator(f'tr[data-seat="{seat}"] td').nth(which)


async def guess_until_locked(practice: Practice, visit: Visit, seat: str) -> None:
    """Guess a seat's password too often; the growing waits between the guesses are taken as past."""
    store = RedisStore(f"unix://{quote(str(socket_path(practice.data_dir / 'store')))}", "main", "test")
    wrong = {
        "meeting": visit.meeting,
        "seat-token": visit.tokens[seat],
        "password": "00000-00000",
        "link-auth": visit.link_auth,
    }
    try:
        async with aiohttp.ClientSession() as http:
            for _ in range(10):
                await store.plain("HSET", store.key("try", visit.meeting, seat), "next", "0")
                origin = {"Origin": practice.url}
                async with http.post(f"{practice.url}/api/enter", json=wrong, headers=origin) as answer:
                    assert answer.status == 403
    finally:
        await store.close()


def private_values(practice: Practice, *visits: Visit) -> list[str]:
    """What must stand nowhere: passwords, seat tokens and link secrets in each spelling."""
    found = list(practice.passwords.values())
    for visit in visits:
        for secret in (visit.password, visit.secret, visit.link_auth, *visit.tokens.values()):
            found += [secret, secret.replace("-", "")]
    return found


async def follow(practice: Practice, *, until: int, **headers: str) -> list[tuple[int, dict[str, Any]]]:
    """Read the audit stream as a browser does, up to the event with that index, then break off."""
    events: list[tuple[int, dict[str, Any]]] = []
    sent = {"Cookie": await practice.signed_in("admin"), "Quietroom-Role": "admin"} | headers
    async with (
        asyncio.timeout(15),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        http.get(f"{practice.url}/api/audit/stream", headers=sent) as answer,
    ):
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        fields: dict[str, str] = {}
        async for line in answer.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif fields.get("event") == "audit":
                events.append((int(fields["id"]), json.loads(fields["data"])))
                fields = {}
                if events[-1][0] >= until:
                    return events
            else:
                fields = {}
    raise AssertionError("The stream ended by itself.")


async def test_the_board_shows_rooms_live_and_no_names(practice: Practice, people: People) -> None:
    visit = await practice.book()
    admin, therapist = await people.therapist(), await people.therapist(visit)
    a = await people.patient(visit, "A")
    await admin.signs_in("admin", path="/admin")
    board = admin.page.locator(f'tbody[data-room="{short_code(visit.meeting)}"]')
    await expect(board).to_have_attribute("data-state", "scheduled", timeout=WITHIN)

    await a.waits()
    await expect(board).to_have_attribute("data-state", "waiting", timeout=WITHIN)
    await expect(board).to_contain_text("No clinician", timeout=WITHIN)
    await expect(cell(board, "A", 0)).to_contain_text("A patient", timeout=WITHIN)
    await expect(cell(board, "A", STATE)).to_contain_text("Waiting", timeout=WITHIN)
    await expect(cell(board, "A", PRESENCE)).to_have_text("connected", timeout=WITHIN)
    waited = re.compile(r"^\d+ s$")
    await expect(cell(board, "A", WAITING)).to_have_text(waited, timeout=WITHIN)
    first = await cell(board, "A", WAITING).text_content()
    await expect(cell(board, "A", WAITING)).not_to_have_text(first or "", timeout=WITHIN)

    await therapist.opens_the_room()
    await therapist.presses("Admit Partner A")
    await expect(board).to_have_attribute("data-state", "live", timeout=WITHIN)
    await expect(board).to_contain_text("Clinician present", timeout=WITHIN)
    for seat in ("A", "T"):
        await expect(cell(board, seat, STATE)).to_contain_text("In the room", timeout=WITHIN)
        await expect(cell(board, seat, SUITE)).to_have_text("AES-256 GCM", timeout=WITHIN)
        numbers = re.compile(r"Loss \d.*Round trip \d.*Jitter \d.*[1-9]\d* kb/s in, [1-9]\d* kb/s out")
        await expect(cell(board, seat, CONNECTION)).to_have_text(numbers, timeout=WITHIN)
    await expect(cell(board, "B", STATE)).to_have_text("Not here yet", timeout=WITHIN)

    await guess_until_locked(practice, visit, "B")
    await expect(cell(board, "B", ACCESS)).to_contain_text("Locked", timeout=WITHIN)
    b = await people.patient(visit, "B")
    await b.opens_link()
    await b.enters()
    await b.reads("Check the meeting ID")
    await admin.presses(f"Unlock seat B of room {short_code(visit.meeting)}")
    await expect(cell(board, "B", ACCESS)).to_have_text("Open", timeout=WITHIN)
    await b.enters()
    await b.sees("Camera and microphone")
    events = await practice.audit(visit.meeting)
    assert [e for e in events if e[0] in {"auth.locked", "auth.unlocked"}] == [
        ("auth.locked", "B", "anonymous", "too-many-attempts"),
        ("auth.unlocked", "B", "staff", None),
    ]

    shown = await admin.page.content()
    assert short_code(visit.meeting) in shown
    for private in (visit.meeting, "Partner", *private_values(practice, visit)):
        assert private not in shown
    # The accounts are called as the roles are, which other parts of the page may say.
    told = (await admin.page.locator("main").inner_html()).lower()
    for name in STAFF:
        assert name not in told


async def test_a_look_at_the_board_is_recorded_before_anything_is_shown(
    practice: Practice, people: People
) -> None:
    await practice.book()
    looks = await board_looks(practice)
    admin = await people.therapist()
    await admin.signs_in("admin", path="/admin")
    await admin.page.wait_for_selector("body[data-state=live]")
    assert await board_looks(practice) == looks + 1

    store = practice.store_pid()
    os.kill(store, signal.SIGSTOP)
    try:
        await admin.page.reload()
        await admin.reads("The server did not answer", within=30_000)
        assert await admin.page.locator("tbody[data-room]").count() == 0
    finally:
        os.kill(store, signal.SIGCONT)
    await practice.ready()
    assert await board_looks(practice) == looks + 1


async def board_looks(practice: Practice) -> int:
    """How many looks at the board the audit stream has."""
    after, looks = -1, 0
    while (page := await practice.api("admin", "GET", f"/api/audit?after={after}&limit=500"))["records"]:
        looks += sum(record["type"] == "board.viewed" for record in page["records"])
        after = page["after"]
        if len(page["records"]) < 500:
            break
    return looks


async def test_the_audit_stream_resumes_without_gap_or_repeat(practice: Practice) -> None:
    await practice.book()
    known = (await practice.api("admin", "GET", "/api/audit?after=-1&limit=500"))["after"]
    # The reading itself is an event, so the stream always goes on a little beyond what was known.
    first = await follow(practice, until=known)
    visit = await practice.book()
    second = await follow(practice, until=known + 2, **{"Last-Event-ID": str(first[-1][0])})
    live = asyncio.ensure_future(
        follow(practice, until=second[-1][0] + 3, **{"Last-Event-ID": str(second[-1][0])})
    )
    later = await practice.book()
    third = await live
    # What others did in the meantime may have come before.
    known = (await practice.api("admin", "GET", f"/api/audit?after={third[-1][0]}&limit=500"))["after"]
    fourth = await follow(practice, until=known, **{"Last-Event-ID": str(third[-1][0])})
    events = first + second + third + fourth
    assert [index for index, _ in events] == list(range(len(events)))
    assert [event["index"] for _, event in events] == list(range(len(events)))
    booked = [event["session"] for _, event in events if event["type"] == "session.booked"]
    ours = [visit.meeting, later.meeting]
    assert [meeting for meeting in booked if meeting in ours] == ours


async def test_metrics_and_log_hold_no_private_value(practice: Practice, people: People) -> None:
    visit = await practice.book("individual")
    patient, therapist = await people.patient(visit, "P"), await people.therapist(visit)
    await asyncio.gather(therapist.opens_the_room(), patient.waits())
    await therapist.presses("Admit Patient")
    await patient.is_in_the_room()
    async with aiohttp.ClientSession() as http, http.get(f"{practice.url}/metrics") as answer:
        assert answer.status == 200
        told = await answer.text()
    assert "quietroom_rooms " in told
    assert 'route="POST /api/enter"' in told
    canaries = [visit.meeting, short_code(visit.meeting), "127.0.0.1", *private_values(practice, visit)]
    cookies = [cookie["value"] for cookie in await patient.context.cookies()]
    assert cookies
    for private in [*canaries, *cookies]:
        assert private.lower() not in told.lower()
    for private in [visit.meeting, *private_values(practice, visit), *cookies]:
        assert private.lower() not in practice.log().lower()
