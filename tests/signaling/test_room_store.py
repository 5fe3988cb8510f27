"""What a room asks of a real store, and the answers that it gets."""

from __future__ import annotations

import pytest

from broker.seats import SeatAction, SeatCode
from rooms.effects import Commit
from rooms.events import CommitRefused, HostAction
from tests.signaling.visits import Visit

A, T = SeatCode("A"), SeatCode("T")


@pytest.mark.parametrize(
    ("commit", "code"),
    [
        (Commit(7, SeatAction.ADMIT, (A,), "staff:x"), "agreement-needed"),
        (Commit(7, SeatAction.ADMIT, (A, A), "staff:x"), "bad-seats"),
        (Commit(7, SeatAction.KNOCK, (T,), "staff:x"), "not-allowed"),
        (Commit(7, HostAction.MUTE, (SeatCode("Z"),), "staff:x"), "no-seat"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_refusal_of_the_store_is_an_answer(visit: Visit, commit: Commit, code: str) -> None:
    house = visit.server.house
    answer = await house._store.commit(await house.tenancy.claim(visit.meeting), commit)
    assert isinstance(answer, CommitRefused)
    assert answer.commit == 7
    assert answer.code in {code, "wrong-state"}
