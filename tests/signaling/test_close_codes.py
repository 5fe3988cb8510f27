"""How connections end."""

from __future__ import annotations

import pytest

from broker.seats import SeatState
from signaling.close_codes import CLOSE_CODES, COMES_BACK, ending
from signaling.problems import TEXTS


@pytest.mark.parametrize("code", CLOSE_CODES)
def test_every_ending_has_a_permitted_close_code_and_a_text(code: str) -> None:
    end = ending(code)
    # RFC 6455 §7.4.1: 1004–1006 and 1015 never go over the wire.
    assert (
        end.close_code in {1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013}
        or 4000 <= end.close_code < 5000
    )
    assert end.text == TEXTS[code].detail
    # A close frame holds 125 bytes, two of them the code (RFC 6455 §5.5).
    assert len(end.code.encode("ascii")) <= 123


def test_what_is_not_an_ending_ends_as_our_mistake() -> None:
    assert ending("no-such-code") == ending("internal")
    assert ending("agreement-needed").close_code == 1011


def test_our_own_close_codes_say_one_thing_each() -> None:
    ours = [number for number in CLOSE_CODES.values() if number >= 4000]
    assert len(set(ours)) == len(ours)


def test_a_page_comes_back_only_where_its_place_is_kept() -> None:
    assert CLOSE_CODES.keys() >= COMES_BACK
    assert COMES_BACK.isdisjoint({"removed", "ended", "left", "replaced", "opened-elsewhere"})


def test_a_seat_whose_visit_is_over_has_its_ending() -> None:
    assert {SeatState.REMOVED.value, SeatState.ENDED.value} <= CLOSE_CODES.keys()
