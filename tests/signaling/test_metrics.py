"""Numbers for Prometheus."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from signaling.metrics import Metrics
from tests.signaling.front import Front


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_live_numbers_are_read_when_asked() -> None:
    rooms = {"rooms": 1.0}
    metrics = Metrics(lambda: rooms, lambda: {"packets_in": 5})
    assert samples(metrics.render())["quietroom_rooms",] == 1
    rooms["rooms"] = 4
    found = samples(metrics.render())
    assert found["quietroom_rooms",] == 4
    assert found["quietroom_packets_in_total",] == 5


def test_a_number_under_a_strange_name_is_left_out() -> None:
    metrics = Metrics(lambda: {"room of Ann": 1.0, "Ann": 1.0, "": 1.0}, dict)
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
