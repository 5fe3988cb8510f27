"""What Prometheus is told of the seats' links: how many are how good at this moment, never whose.

The only labels are words of ours (path, quality, direction). Each histogram counts the seats that are
connected now, so its buckets go down as well as up (a "gauge histogram").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeHistogramMetricFamily, GaugeMetricFamily

from rooms.quality import Grade, Level, Quality

PATHS: Final = ("udp", "tcp", "turn")
SUITES: Final = ("AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "AES128_CM_SHA1_80")
_LOSS: Final = (0.0, 0.01, 0.03, 0.08, 0.2)
_SECONDS: Final = (0.01, 0.03, 0.06, 0.15, 0.3, 0.7)
_RATE: Final = (50e3, 200e3, 500e3, 1e6, 2e6, 5e6)


def families(links: Sequence[Quality]) -> Iterator[Metric]:
    """The metrics of the transports that stand now."""
    paths = Counter(link.standing.path for link in links)
    yield _gauge(
        "quietroom_seats", "Connected seats by the way of their media", "path", {p: paths[p] for p in PATHS}
    )
    suites = Counter(link.suite if link.suite in SUITES else "other" for link in links)
    yield _gauge(
        "quietroom_suites",
        "Connected seats by the SRTP profile that protects their media",
        "suite",
        {suite: suites[suite] for suite in (*SUITES, "other")},
    )
    grades = Counter(link.standing.grade for link in links)
    yield _gauge(
        "quietroom_links",
        "Connected seats by how well their link carries",
        "quality",
        {grade.value: grades[grade] for grade in Grade},
    )
    yield _gauge(
        "quietroom_video_paused",
        "Connected seats whose weak link does not carry all video",
        "direction",
        {
            "in": sum(link.standing.sends is not Level.ALL for link in links),
            "out": sum(link.standing.receives is not Level.ALL for link in links),
        },
    )
    loss = GaugeHistogramMetricFamily(
        "quietroom_link_loss_ratio",
        "Packets lost from (in) and to (out) connected seats",
        labels=["direction"],
    )
    _fill(loss, ["in"], _LOSS, [link.loss_in for link in links])
    _fill(loss, ["out"], _LOSS, [link.loss_out for link in links])
    yield loss
    rate = GaugeHistogramMetricFamily(
        "quietroom_link_bits_per_second", "Media from (in) and to (out) connected seats", labels=["direction"]
    )
    _fill(rate, ["in"], _RATE, [float(link.bitrate_in) for link in links])
    _fill(rate, ["out"], _RATE, [float(link.bitrate_out) for link in links])
    yield rate
    trip = GaugeHistogramMetricFamily(
        "quietroom_link_round_trip_seconds", "Round trips of connected seats that receive media", labels=[]
    )
    _fill(trip, [], _SECONDS, [link.rtt_ms / 1000 for link in links if link.rtt_ms is not None])
    yield trip
    jitter = GaugeHistogramMetricFamily(
        "quietroom_link_jitter_seconds", "Interarrival jitter of what connected seats send", labels=[]
    )
    _fill(jitter, [], _SECONDS, [link.jitter_ms / 1000 for link in links])
    yield jitter


def _gauge(name: str, about: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=[label])
    for word, count in values.items():
        family.add_metric([word], count)
    return family


def _fill(
    family: GaugeHistogramMetricFamily, labels: list[str], bounds: Sequence[float], values: list[float]
) -> None:
    buckets = [(str(bound), float(sum(value <= bound for value in values))) for bound in bounds]
    family.add_metric(labels, [*buckets, ("+Inf", float(len(values)))], sum(values))
