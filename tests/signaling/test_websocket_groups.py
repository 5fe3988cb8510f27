"""An end-to-end encrypted visit over the wire: what the pages' groups need, and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker.link_secret import draw_link_secret
from broker.sealing import is_signed
from broker.seats import PLANS, SeatCode
from rooms.mls_wire import SUITE_NAME, ContentType, read_key_package
from signaling.group_wire import from_text, to_text
from tests.signaling.visits import Page, Visit, book, visiting
from tests.support import mls
from tests.support.waiting import eventually

NOW = 1_795_000_000.0


@pytest.fixture
async def visit(tmp_path: Path) -> AsyncIterator[Visit]:
    async with visiting(tmp_path / "data") as plain:
        encrypted = await book(plain.server, plain.http, secret=draw_link_secret())
        try:
            yield encrypted
        finally:
            for page in encrypted.pages:
                await page.close()


async def asked(page: Page, times: int = 1) -> dict[str, Any]:
    """What a page was told of its group, once it was told so often."""
    told: list[dict[str, Any]] = await eventually(lambda: page.of("group")[times - 1 :])
    return told[0]


async def answers(page: Page, seat: str, group: dict[str, Any], number: int = 0) -> None:
    """A guest sends its key package."""
    plan = PLANS[SeatCode(seat)]
    package = mls.key_package(plan.code, plan.label, number=number)
    fields = {"group": group["group"], "generation": group["generation"]}
    await page.say("key-package", **fields, **{"key-package": to_text(package), "tag": to_text(b"t" * 32)})


async def commits(visit: Visit, host: Page, candidates: list[dict[str, Any]], epoch: int) -> None:
    """The committer adds these."""
    group = host.of("group")[-1]
    references = [read_key_package(from_text(c["key-package"]), NOW, is_signed).reference for c in candidates]
    commit = mls.private_message(f"{visit.meeting}/{group['generation']}", epoch, ContentType.COMMIT)
    await host.say(
        "commit",
        group="room",
        generation=group["generation"],
        epoch=epoch,
        commit=to_text(commit),
        welcome=to_text(mls.welcome(*references)),
        adds=[c["seat"] for c in candidates],
    )
    await eventually(lambda: [m for m in host.of("accepted") if m["epoch"] == epoch + 1])


async def test_an_encrypted_visit_over_the_wire(visit: Visit) -> None:
    visit.server.media.h264 = True  # programs may publish in this practice, though not here
    host, first, second = await visit.host(), await visit.page("A"), await visit.page("B")
    assert (await asked(host))["role"] == "host"
    for page, seat in ((first, "A"), (second, "B")):
        assert await page.ask("knock") is None
        await answers(page, seat, await asked(page), number=ord(seat))
        assert page.view["encryption"] == "end-to-end"
    assert host.of("candidate") == []
    assert await host.ask("act", action="admit", seats=["A", "B"]) is None
    candidates = await eventually(lambda: host.of("candidate")[1:] and host.of("candidate"))
    for page in (host, first, second):
        assert "H264" not in page.of("offer")[-1]["sdp"]
    await commits(visit, host, candidates, 0)
    welcome = (await eventually(lambda: first.of("group-welcome")))[0]
    assert welcome["epoch"] == 1

    generation = host.of("group")[0]["generation"]
    sealed = mls.private_message(f"{visit.meeting}/{generation}", 1, ContentType.APPLICATION, b"sealed")
    fields = {"group": "room", "generation": generation, "message": to_text(sealed)}
    assert await first.ask("sealed", **fields) is None
    got = (await eventually(lambda: second.of("sealed")))[0]
    assert (got["seat"], from_text(got["message"])) == ("A", sealed)

    assert await host.ask("act", action="hold", seats=["B"]) is None
    assert (await eventually(lambda: host.of("drop")))[0]["seats"] == ["B"]
    assert await second.ask("sealed", **fields) == "keys-changed"
    await first.say("sealed", **fields)
    await eventually(lambda: len(host.of("sealed")) == 2)
    assert len(second.of("sealed")) == 1

    await host.say("checked", generation=generation, epoch=1, verified=True)
    await eventually(lambda: room_keys(visit) is True)
    (room,) = [r for r in (await visit.server.house.board()).rooms if r.room == visit.meeting]
    assert (room.encryption, room.keys, room.epoch, room.verified) == ("end-to-end", SUITE_NAME, 1, True)
    kinds = [(kind, reason) for kind, _, _, reason in await visit.audit() if kind.startswith("keys.")]
    assert kinds == [("keys.rotated", "new-group"), ("keys.rotated", "joined"), ("keys.checked", None)]
    assert json.dumps(host.view).count("end-to-end") == 1


def room_keys(visit: Visit) -> bool | None:
    runner = visit.server.house.room(visit.meeting)
    assert runner is not None
    keys = runner.room.keys
    assert keys is not None
    return keys.verified


async def test_a_waiting_page_is_told_nothing_of_the_others_keys(visit: Visit) -> None:
    waiting = await visit.page("A")
    assert await waiting.ask("knock") is None
    await answers(waiting, "A", await asked(waiting))
    await waiting.until("waiting")
    before = len(waiting.messages)
    second, host = await visit.page("B"), await visit.host()
    assert await second.ask("knock") is None
    await answers(second, "B", await asked(second), number=1)
    assert await host.ask("act", action="admit", seats=["B"]) is None
    await commits(visit, host, await eventually(lambda: host.of("candidate")), 0)
    assert await second.ask("leave") is None
    assert len(waiting.messages) == before


async def test_what_is_no_key_package_is_told_to_its_sender_alone(visit: Visit) -> None:
    host, first = await visit.host(), await visit.page("A")
    assert await first.ask("knock") is None
    group = await asked(first)
    fields = {"group": "room", "generation": group["generation"], "tag": to_text(b"t" * 32)}
    await first.say("key-package", **fields, **{"key-package": to_text(b"no MLS")})
    assert (await eventually(lambda: first.of("error")))[0]["code"] == "bad-group-message"
    assert host.of("candidate") == []


async def test_in_a_plain_session_there_are_no_groups(visit: Visit) -> None:
    plain = await book(visit.server, visit.http)
    page = await plain.page("A")
    await page.say("resync", group="room", generation="0" * 16)
    assert (await eventually(lambda: page.of("error")))[0]["code"] == "not-allowed"
    assert page.view["encryption"] == "transport-only"
    await page.close()
