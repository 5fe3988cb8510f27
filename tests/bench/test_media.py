"""The media bench in small: a second of load through real servers, and rows and a picture come out."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from tests.bench import media
from tests.bench.parts import film, janus
from tests.bench.parts.curve import Point, chart
from tests.bench.parts.janus import JANUS
from tests.bench.parts.load import Window
from tests.bench.parts.servers import outward

SHORT = media.Plan(rooms=1, curve=(1, 2), seconds=0.2, rounds=1)
NAMES = {
    "forward_1to1_us",
    "forward_1to3_us",
    "join_cpu_ms",
    "peer_memory_kb",
    "publisher_memory_kb",
    "rooms_of_three_per_core",
}


async def test_a_short_load_through_our_server_alone_gives_every_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(janus, "installed", lambda: None)
    measured = await media.forwarding(SHORT)
    assert measured.without == "janus is not installed"
    assert set(measured.curve) == {1, 2}
    for windows in (measured.one, measured.three, *measured.curve.values()):
        for done in [done for each in windows.values() for done in each]:
            assert 0.9 * done.expected < done.received <= done.expected
    rows = {row.name: row for row in media.forwarding_rows(measured)}
    assert set(rows) >= NAMES
    assert all(math.isfinite(row.median) for row in rows.values())
    assert rows["forward_1to3_us"].median > 0
    assert rows["forward_1to3_us"].peer is None
    assert "janus is not installed" in rows["forward_1to3_us"].note


@pytest.mark.skipif(janus.installed() is None or outward() is None, reason="janus cannot run here")
async def test_janus_takes_the_same_load() -> None:
    measured = await media.forwarding(media.Plan(rooms=1, curve=(), seconds=0.3, rounds=1))
    assert measured.without is None
    assert [done.received for done in measured.three[JANUS]] == [180]
    rows = {row.name: row for row in media.forwarding_rows(measured)}
    assert rows["forward_1to3_us"].ratio is not None
    assert JANUS in media.picture(measured)


@pytest.mark.skipif(outward() is None, reason="MediaRelay serves no media on loopback")
async def test_a_relay_that_decodes_costs_more_than_we_do() -> None:
    (row,) = await media.relay_rows(seconds=0.5)
    assert row.ratio is not None
    assert row.ratio < 1


def test_the_film_is_a_picture_of_some_weight() -> None:
    octets = sum(len(payload) for frame in film.pictures() for payload in frame)
    assert 0.5 * film.BITRATE < 8 * octets / film.SECONDS < 1.5 * film.BITRATE
    assert len(film.sounds()) == 50 * film.SECONDS


def test_rooms_of_three_follow_from_two_costs() -> None:
    # 18 µs at one subscriber and 14 at three: 6 to arrive, shared, and 12 to leave; so 15 at two.
    one, three = Window(1_000_000, 1_000_000, 18.0, 0), Window(1_000_000, 1_000_000, 14.0, 0)
    assert media.rooms_of_three([one], [three]) == [pytest.approx(1e6 / (1200 * 15.0))]


def test_the_curve_is_told_in_words_too() -> None:
    lines = {
        "ours": [Point(1, 30.0, 29.0, 31.0), Point(100, 10.0, 9.0, 11.0, solid=False)],
        "theirs": [Point(1, 50.0, 45.0, 55.0), Point(100, 40.0, 35.0, 45.0)],
    }
    drawn = chart("Cost", "rooms", "microseconds", lines)
    root = ET.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == "Cost"
    described = root.findtext(f"{space}desc")
    assert described is not None
    assert "ours: 30 at 1, 10 at 100" in described
    assert [circle.get("fill") == "none" for circle in root.iter(f"{space}circle")] == [
        False,
        True,
        False,
        False,
    ]
