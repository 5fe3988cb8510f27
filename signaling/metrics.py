"""Numbers for Prometheus: counts and durations, free of private values.

With several workers each one's numbers carry its number as a label, whichever of them was asked.

Labels are routes as written in the code, statuses and words of ours; never an id, a name or an address. The
registry is our own, so nothing that a library registers by itself gets out. The live half's numbers are asked
for when Prometheus asks us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
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

    def render(self, workers: Mapping[str, bytes] | None = None) -> bytes:
        """All of it in Prometheus's text format.

        Args:
            workers: what ``tell`` gave in each worker, this one too, by the worker's number; ``None`` for
                this process alone, without such a label.
        """
        if workers is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        registry.register(_Together(workers))
        return generate_latest(registry)

    def tell(self) -> bytes:
        """All of it for another worker of ours to ``render``."""
        return msgspec.msgpack.encode(
            [
                _Family(
                    family.name,
                    family.documentation,
                    family.type,
                    [(sample.name, sample.labels, float(sample.value)) for sample in family.samples],
                )
                for family in self._registry.collect()
            ]
        )


class _Family(msgspec.Struct, array_like=True, frozen=True):
    """One metric with its samples, as a worker tells it."""

    name: str
    about: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]


class _Together(Collector):
    """The numbers of several workers, one label apart."""

    def __init__(self, workers: Mapping[str, bytes]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """Every metric once, with the samples of all workers."""
        found: dict[str, Metric] = {}
        for worker, told in self._workers.items():
            for family in msgspec.msgpack.decode(told, type=list[_Family]):
                metric = found.setdefault(family.name, Metric(family.name, family.about, family.kind))
                for name, labels, value in family.samples:
                    metric.add_sample(name, {**labels, "worker": worker}, value)
        yield from found.values()

    def describe(self) -> Iterator[Metric]:
        """Nothing: see ``_Live``."""
        return iter(())


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
