"""What is told of an error: its code and a reference, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from structlog.testing import capture_logs

from broker.ledger import Ledger
from broker.passwords import Hasher
from broker.policy import Permission
from broker.sealing import Keyring
from broker.store import Store
from signaling.routing import Call, Route
from tests.signaling.front import Front, running_front

CANARY = "canary-4c1d9f"


async def test_what_nobody_foresaw_tells_nothing(
    store: Store, ledger: Ledger, keys: Keyring, hasher: Hasher, tmp_path: Any
) -> None:
    async def broken(call: Call, body: None) -> web.StreamResponse:
        raise KeyError(f"{CANARY} at {call.request.path_qs}")

    route = Route(
        method="GET",
        path="/broken/{meeting}",
        permission=Permission.VIEW_PAGE,
        handle=broken,
        about="Breaks.",
    )
    async with running_front(store, ledger, keys, hasher, tmp_path, route) as front:
        with capture_logs() as logs:
            answer = await front.get(f"/broken/{CANARY}?q={CANARY}")
    assert (answer.status, answer.code) == (500, "internal")
    assert CANARY.encode() not in answer.body
    assert b"KeyError" not in answer.body
    (line,) = [line for line in logs if line["event"] == "request failed"]
    assert line["route"] == "GET /broken/{meeting}"
    assert line["error"] == "KeyError"
    assert line["reference"] in answer.json["detail"]
    assert CANARY not in json.dumps(logs)


async def test_unknown_paths_and_methods_are_problems(front: Front) -> None:
    absent = await front.get(f"/{CANARY}")
    assert (absent.status, absent.code) == (404, "not-found")
    wrong = await front.ask("DELETE", "/api/agreement")
    assert (wrong.status, wrong.code, wrong.headers["Allow"]) == (405, "method-not-allowed", "GET")
    assert CANARY.encode() not in absent.body
