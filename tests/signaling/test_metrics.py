"""Numbers for Prometheus."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiohttp.test_utils import TestServer
from prometheus_client.parser import text_string_to_metric_families

from broker.private import Private
from signaling.metrics import Metrics
from signaling.pages import is_this_machine
from signaling.routes import application
from tests.signaling.front import Front


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_live_numbers_are_read_when_asked() -> None:
    rooms = {"rooms": 1.0}
    metrics = Metrics(lambda: rooms, lambda: {"packets_in": 5}, list)
    assert samples(metrics.render())["quietroom_rooms",] == 1
    rooms["rooms"] = 4
    found = samples(metrics.render())
    assert found["quietroom_rooms",] == 4
    assert found["quietroom_packets_in_total",] == 5


def test_a_number_under_a_strange_name_is_left_out() -> None:
    metrics = Metrics(lambda: {"room of Ann": 1.0, "Ann": 1.0, "": 1.0}, dict, list)
    assert b"Ann" not in metrics.render()


async def test_answers_are_counted_by_route_and_never_by_address(front: Front) -> None:
    await front.get("/j/canary-meeting?canary=query")
    await front.get("/canary-nowhere")
    text = (await front.get("/metrics")).body
    found = samples(text)
    assert found["quietroom_http_requests_total", "GET /j/{meeting}", "200"] == 1
    assert found["quietroom_http_requests_total", "unknown", "404"] == 1
    assert found["quietroom_packets_in_total",] == 7
    assert b"canary" not in text


@pytest.mark.parametrize(
    ("behind_proxy", "token", "shown", "status"),
    [
        (False, None, None, 200),  # from this machine
        (True, None, None, 404),  # everybody seems to be
        (False, "0123456789abcdef", None, 404),
        (True, "0123456789abcdef", "Bearer 0123456789abcdee", 404),
        (True, "0123456789abcdef", "Bearer 0123456789abcdef", 200),
    ],
)
async def test_numbers_that_tell_of_others_are_not_for_those_who_wait(
    front: Front, behind_proxy: bool, token: str | None, shown: str | None, status: int
) -> None:
    secret = None if token is None else Private(token)
    services = replace(front.services, behind_proxy=behind_proxy, metrics_token=secret)
    async with TestServer(application(services)) as server:
        headers = {} if shown is None else {"Authorization": shown}
        async with front.http.get(server.make_url("/metrics"), headers=headers) as answer:
            assert answer.status == status


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.7", False),
        ("::ffff:192.0.2.7", False),
        ("", False),
    ],
)
def test_this_machine_is_told_by_its_address(address: str, here: bool) -> None:
    assert is_this_machine(address) is here
