"""Numbers for Prometheus: counts and durations, free of private values.

Labels are routes as written in the code, statuses and words of ours; never an id, a name or an address. The
registry is our own, so nothing that a library registers by itself gets out. The live half's numbers are asked
for when Prometheus asks us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rooms.quality import Quality
from signaling import link_metrics

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,60}")

Numbers = Callable[[], Mapping[str, float]]
Links = Callable[[], Sequence[Quality]]


class Metrics:
    """The metrics of one app.

    Args:
        gauges: numbers of now.
        counters: numbers that only grow.
        links: how well each transport carries now.
    """

    def __init__(self, gauges: Numbers, counters: Numbers, links: Links) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Live(gauges, counters, links))
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "quietroom_http_requests", "Answers given", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "quietroom_http_seconds",
            "Time to the answer, without streams",
            ["route"],
            buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self._registry,
        )

    def answered(self, route: str, status: int, seconds: float | None) -> None:
        """Count one answer.

        Args:
            route: method and path as written in the code.
            status: of the answer.
            seconds: how long it took; ``None`` for a stream, whose length says nothing.
        """
        self._requests.labels(route, str(status)).inc()
        if seconds is not None:
            self._seconds.labels(route).observe(seconds)

    def render(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)


class _Live(Collector):
    """What the rest of the process counts, read at the moment of asking."""

    def __init__(self, gauges: Numbers, counters: Numbers, links: Links) -> None:
        self._gauges = gauges
        self._counters = counters
        self._links = links

    def collect(self) -> Iterator[Metric]:
        """The numbers as they are; one whose name is not a plain word is left out."""
        for name, value in self._gauges().items():
            if _NAME.fullmatch(name):
                yield GaugeMetricFamily(f"quietroom_{name}", _about(name), value=value)
        for name, value in self._counters().items():
            if _NAME.fullmatch(name):
                yield CounterMetricFamily(f"quietroom_{name}", _about(name), value=value)
        yield from link_metrics.families(self._links())

    def describe(self) -> Iterator[Metric]:
        """Nothing: the names are not known before they are asked for."""
        return iter(())


def _about(name: str) -> str:
    return name.replace("_", " ").capitalize()
