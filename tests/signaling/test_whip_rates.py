"""Who pays for a look at a token: strangers for strangers, a seat for itself."""

from __future__ import annotations

from rooms.bucket import Bucket, Buckets
from signaling.whip_rates import MOST, OPEN_FOR, REQUESTS_BURST, Rates

MINE = ("m", "digest")
SEAT = ("m", "A")
HOME = "192.0.2.7"


def strange(number: int) -> tuple[str, str]:
    return (f"m{number}", f"digest{number}")


def flooded() -> Rates:
    """Strangers have used up what they have, and go on."""
    rates = Rates(strangers=Bucket(0.0, 0))
    assert not any(rates.take(strange(number), HOME, 0.0) for number in range(100))
    return rates


def test_who_was_recognised_pays_from_their_own_seat_alone() -> None:
    rates = Rates(households=Buckets(0.0, 1), strangers=Bucket(0.0, 1))
    assert rates.take(MINE, HOME, 0.0)
    assert rates.recognised(MINE, SEAT, 0.0)
    assert not rates.take(strange(1), HOME, 0.0)
    allowed = sum(rates.take(MINE, HOME, 0.0) for _ in range(100))
    assert allowed == REQUESTS_BURST - 1
    assert rates.take(MINE, HOME, 5.0)


def test_another_seat_of_the_session_has_its_own() -> None:
    rates = Rates()
    for number, seat in enumerate("AB"):
        assert rates.recognised(("m", str(number)), ("m", seat), 0.0)
    while rates.take(("m", "0"), "", 0.0):
        pass
    assert rates.take(("m", "1"), "", 0.0)


def test_a_first_coming_to_an_open_session_is_looked_at_whatever_strangers_do() -> None:
    rates = flooded()
    assert not rates.take(MINE, HOME, 0.0)
    assert rates.wants_open(0.0)
    rates.take_open(["m"])
    assert rates.take(MINE, HOME, 0.0)
    assert not rates.take(strange(1), HOME, 0.0)
    assert not rates.wants_open(OPEN_FOR - 0.1), "the store is asked once in a while, however many ask us"
    assert rates.wants_open(OPEN_FOR)


def test_wrong_tokens_for_an_open_session_are_bounded_too() -> None:
    rates = flooded()
    rates.take_open(["m"])
    assert rates.recognised(MINE, SEAT, 0.0)
    wrong = sum(rates.take(("m", f"guess{number}"), HOME, 0.0) for number in range(100))
    assert wrong == REQUESTS_BURST
    assert rates.take(MINE, HOME, 0.0), "what was recognised does not pay for them"


def test_what_is_refused_is_strange_again() -> None:
    rates = flooded()
    rates.recognised(MINE, SEAT, 0.0)
    assert rates.take(MINE, HOME, 0.0)
    rates.refused(MINE)
    assert not rates.take(MINE, HOME, 0.0)


def test_not_everything_is_remembered() -> None:
    rates = Rates()
    for number in range(MOST + 10):
        rates.recognised(strange(number), strange(number), float(number))
        rates.recognised(strange(0), strange(0), float(number))
    assert len(rates._recognised) == MOST
    assert strange(0) in rates._recognised, "it asked last"
