"""Reading the audit stream over HTTP, on a real store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from broker.audit import AuditEvent, EventType
from broker.errors import BadInput
from broker.policy import Role
from signaling.audit_api import number
from tests.signaling.front import Front


async def record(front: Front, count: int) -> None:
    for at in range(count):
        await front.services.ledger.append(
            AuditEvent(type=EventType.SEAT_AWAY, actor="seat:A", subject="m/A", detail={"n": at})
        )


async def sent_events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream, as a browser would take it apart."""
    event: dict[str, Any] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if not line:
            if "data" in event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value


async def take(
    front: Front, path: str, cookies: dict[str, str], count: int, **headers: str
) -> list[dict[str, Any]]:
    """The first events of a stream."""
    headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    async with front.http.get(front.url + path, headers=headers) as response, asyncio.timeout(10):
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        found: list[dict[str, Any]] = []
        async for event in sent_events(response):
            found.append(event)
            if len(found) == count:
                return found
    raise AssertionError("The stream ended early.")


async def test_a_page_of_the_stream_says_where_to_go_on(front: Front) -> None:
    _, cookies = await front.staff(Role.ADMIN)
    await record(front, 5)
    seen: list[int] = []
    after = -1
    while True:
        page = (await front.get(f"/api/audit?after={after}&limit=3", cookies=cookies)).json
        seen += [entry["index"] for entry in page["records"]]
        after = page["after"]
        if len(page["records"]) < 3:
            break
    assert seen == list(range(len(seen)))
    assert len(seen) >= 7


async def test_a_record_has_every_field_and_reading_is_one_itself(front: Front) -> None:
    ada, cookies = await front.staff(Role.ADMIN)
    await record(front, 1)
    records = (await front.get("/api/audit", cookies=cookies)).json["records"]
    viewed = records[-1]
    assert (viewed["type"], viewed["actor"], viewed["detail"]) == ("audit.viewed", ada.id, {"after": -1})
    away = next(entry for entry in records if entry["type"] == "seat.away")
    assert away.keys() == {
        "index", "time-us", "type", "outcome", "actor", "subject", "subject-seq", "session", "seat", "reason",
        "detail",
    }  # fmt: skip
    assert away["subject-seq"] == 1
    assert away["time-us"] > 1_600_000_000_000_000


async def test_the_stream_goes_on_live_and_without_a_hole(front: Front) -> None:
    _, cookies = await front.staff(Role.ADMIN)
    await record(front, 3)
    # Two for the account and its sign-in, three and ten recorded here, one for the reading itself.
    streaming = asyncio.create_task(take(front, "/api/audit/stream", cookies, 16))
    await record(front, 10)
    events = await streaming
    assert [int(event["id"]) for event in events] == list(range(16))
    assert [event["data"]["index"] for event in events] == list(range(16))
    assert {event["event"] for event in events} == {"audit"}
    assert "audit.viewed" in {event["data"]["type"] for event in events}


async def test_the_stream_resumes_after_any_index(front: Front) -> None:
    _, cookies = await front.staff(Role.ADMIN)
    await record(front, 6)
    by_query = await take(front, "/api/audit/stream?after=4", cookies, 2)
    assert [int(event["id"]) for event in by_query] == [5, 6]
    by_header = await take(front, "/api/audit/stream?after=0", cookies, 2, **{"Last-Event-ID": "2"})
    assert [int(event["id"]) for event in by_header] == [3, 4]


@pytest.mark.parametrize(
    "query", ["after=x", "after=-2", "after=", "after=1e3", "after=99999999999999999", "limit=0"]
)
async def test_a_bad_number_in_the_address_is_told(front: Front, query: str) -> None:
    _, cookies = await front.staff(Role.ADMIN)
    for path in ("/api/audit", "/api/audit/stream") if query.startswith("after") else ("/api/audit",):
        answer = await front.get(f"{path}?{query}", cookies=cookies)
        assert (answer.status, answer.code) == (400, "bad-message")
    assert await front.events(EventType.AUDIT_VIEWED) == []


def test_numbers_are_ascii_digits_within_bounds() -> None:
    assert number(None, 0, 9, otherwise=3) == 3
    assert number("-1", -1, 9, otherwise=3) == -1
    for text in ("٣", "--1", "10", "1.0", " 1", "+1"):
        with pytest.raises(BadInput):
            number(text, 0, 9, otherwise=3)
