"""Links in Prometheus: how many are how good, never whose."""

from __future__ import annotations

from aiortc.rtcdtlstransport import SRTP_PROFILES
from prometheus_client.parser import text_string_to_metric_families

from rooms.quality import Grade, Level, Quality, Standing
from signaling.link_metrics import families
from signaling.metrics import Metrics

LINKS = [
    Quality(0.0, 0.02, 4.0, 900_000, 1_800_000, 25.0, Standing(Grade.GOOD, "udp"), "AEAD_AES_256_GCM"),
    Quality(0.3, 0.0, 70.0, 40_000, 0, None, Standing(Grade.WEAK, "turn", Level.ALL, Level.SCREEN), "NEW"),
    Quality(0.0, 0.5, 0.0, 0, 60_000, 900.0, Standing(Grade.WEAK, None, Level.SOUND), "AEAD_AES_256_GCM"),
]


def samples(links: list[Quality]) -> dict[tuple[str, ...], float]:
    text = Metrics(dict, dict, lambda: links).render().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_links_are_counted_by_path_quality_and_what_is_paused() -> None:
    found = samples(LINKS)
    assert [found["quietroom_seats", path] for path in ("udp", "tcp", "turn")] == [1, 0, 1]
    assert [found["quietroom_links", word] for word in ("good", "fair", "weak")] == [1, 0, 2]
    assert [found["quietroom_video_paused", way] for way in ("in", "out")] == [1, 1]


def test_links_are_counted_by_suite_and_one_that_is_not_known_is_other() -> None:
    found = samples(LINKS)
    told = {labels[0]: value for (name, *labels), value in found.items() if name == "quietroom_suites"}
    assert told == {"AEAD_AES_256_GCM": 2, "AEAD_AES_128_GCM": 0, "AES128_CM_SHA1_80": 0, "other": 1}
    assert set(told) - {"other"} == {
        profile.openssl_profile.decode().removeprefix("SRTP_") for profile in SRTP_PROFILES
    }


def test_numbers_are_told_as_how_many_seats_have_them() -> None:
    found = samples(LINKS)
    assert found["quietroom_link_loss_ratio_bucket", "in", "0.0"] == 2
    assert found["quietroom_link_loss_ratio_bucket", "in", "0.2"] == 2
    assert found["quietroom_link_loss_ratio_bucket", "in", "+Inf"] == 3
    assert found["quietroom_link_loss_ratio_bucket", "out", "0.03"] == 2
    assert found["quietroom_link_round_trip_seconds_bucket", "0.03"] == 1
    assert found["quietroom_link_round_trip_seconds_bucket", "+Inf"] == 2, "who receives nothing has none"
    assert found["quietroom_link_jitter_seconds_bucket", "0.06"] == 2
    assert found["quietroom_link_bits_per_second_bucket", "out", "2000000.0"] == 3


def test_with_nobody_there_every_series_is_told_all_the_same() -> None:
    found = samples([])
    assert found.keys() == samples(LINKS).keys()
    assert not any(value for (name, *_), value in found.items() if name.startswith("quietroom_"))


def test_labels_are_words_of_ours() -> None:
    allowed = {"path", "quality", "suite", "direction", "le"}
    labels = {name for family in families(LINKS) for sample in family.samples for name in sample.labels}
    assert labels == allowed
