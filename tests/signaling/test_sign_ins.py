"""Clinicians who sign out while they are in a room, with a real server and store."""

from __future__ import annotations

from tests.signaling.visits import Visit, undisturbed


async def test_signing_out_ends_the_hosts_pages_and_holds_the_partners(visit: Visit) -> None:
    host, first, second = await visit.all_in()
    answer = await visit.post("/api/logout", None, visit.cookies["T"])
    assert answer.status == 204
    assert await host.ended(within=5.0) == ("sign-in-needed", 4012)
    await first.until("paused")
    await second.until("paused")
    await undisturbed(first, second)
    del visit.cookies["T"]
    await visit.host()  # signed in again
    await first.until("admitted")
