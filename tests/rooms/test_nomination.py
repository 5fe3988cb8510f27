from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from rooms.nomination import ALIVE, INSISTING, Nomination, Rank

UDP, TCP, TURN = 2, 1, 0
BEST: Rank = (UDP, 9)
SECOND: Rank = (UDP, 8)
LAST: Rank = (TURN, 9)

Address = tuple[str, str]


def at(name: str) -> Address:
    """``a, another port`` is at the host of ``a``."""
    host, _, port = name.partition(", ")
    return host, port


@dataclass
class Play:
    """Checks and what is to follow, in the order of a visit."""

    nomination: Nomination[Address] = field(default_factory=Nomination[Address])
    now: float = 0.0

    def nominates(self, address: str, rank: Rank = BEST, then: str | None = None) -> Play:
        self.nomination.check(at(address), rank, nominates=True, now=self.now)
        assert self.nomination.chosen == at(then or address)
        return self

    def checks(self, address: str, rank: Rank = BEST, then: str | None = None) -> Play:
        self.nomination.check(at(address), rank, nominates=False, now=self.now)
        assert self.nomination.chosen == (then and at(then))
        return self

    def forgets(self, address: str, then: str | None) -> Play:
        self.nomination.forget(at(address))
        assert self.nomination.chosen == (then and at(then))
        return self

    def waits(self, seconds: float) -> Play:
        self.now += seconds
        return self


# ---------------------------------------------------------------- a browser that checks and then nominates


def test_what_was_checked_first_is_wanted_once_it_is_nominated() -> None:
    Play().checks("a").checks("b").nominates("a").nominates("a")


def test_who_chooses_a_lesser_way_gets_it_at_once() -> None:
    Play().checks("a", BEST).nominates("a", BEST).checks("b", LAST, "a").nominates("b", LAST)


def test_the_way_that_was_left_does_not_come_back_by_a_plain_check() -> None:
    play = Play().checks("a").nominates("a").checks("b", SECOND, "a").nominates("b", SECOND)
    for _ in range(5):
        play.checks("a", BEST, "b")
    play.nominates("b", SECOND).nominates("a")


def test_a_new_port_of_the_same_way_is_followed() -> None:
    """Its address was translated anew: the first check from there nominates, as those before did."""
    Play().checks("a").nominates("a").nominates("a, another port")


def test_first_checks_that_come_in_another_order_change_nothing_for_long() -> None:
    """The nomination overtakes the plain check."""
    play = Play().nominates("a").checks("a", BEST, "a").nominates("a")
    play.checks("b", SECOND, "a").nominates("b", SECOND).checks("a", BEST, "b")


# ------------------------------------------------------------------------ a browser that nominates every way


def test_a_lesser_way_takes_nothing_from_a_better_one() -> None:
    Play().nominates("udp", (UDP, 1)).nominates("tcp", (TCP, 9), "udp").nominates("turn", (TURN, 9), "udp")


def test_a_better_way_is_taken_as_it_comes() -> None:
    Play().nominates("turn", (TURN, 9)).nominates("tcp", (TCP, 9)).nominates("udp", (UDP, 1))


def test_of_equal_ways_the_first_stays_while_it_is_alive() -> None:
    """Firefox: an interface, and a TURN server reached through it, with each asked once and repeated."""
    Play().nominates("host").nominates("turn", then="host").nominates("host").nominates("turn", then="host")
    play = Play().nominates("host").waits(ALIVE).nominates("turn", then="host").checks("host", then="host")
    play.waits(ALIVE).nominates("turn", then="host")


def test_an_equal_way_is_followed_once_the_first_is_silent() -> None:
    """Another network, without a word of the first."""
    Play().nominates("a").waits(ALIVE + 0.1).nominates("b").nominates("a", then="b")
    Play().nominates("a").checks("a", then="a").waits(ALIVE + 0.1).nominates("b")


def test_the_server_stays_while_it_is_alive_when_it_was_the_first() -> None:
    Play().nominates("turn").nominates("host", then="turn").checks("host", then="host")


def test_a_new_port_of_an_equal_way_is_followed_at_once() -> None:
    """Its address was translated anew: the old one leads nowhere."""
    Play().nominates("a").nominates("a, another port").nominates("b", then="a, another port")


def test_the_way_it_uses_counts_whatever_its_rank() -> None:
    """The answers on the better way did not reach it."""
    Play().nominates("a", BEST).nominates("b", LAST, "a").checks("b", LAST, "b").checks("a", BEST, "a")


def test_the_way_it_uses_is_followed_to_a_new_port() -> None:
    Play().nominates("a", SECOND).checks("a, another port", BEST, "a, another port").nominates(
        "b", LAST, "a, another port"
    )


def test_who_insists_on_a_lesser_way_gets_it() -> None:
    play = Play().nominates("a", BEST)
    for _ in range(INSISTING - 1):
        play.nominates("b", LAST, "a")
    play.nominates("b", LAST)


def test_nobody_insists_while_the_better_way_goes_on() -> None:
    play = Play().nominates("a", BEST)
    for _ in range(5 * INSISTING):
        play.nominates("b", LAST, "a").checks("a", BEST, "a")


def test_two_lesser_ways_do_not_insist_together() -> None:
    play = Play().nominates("a", BEST)
    for _ in range(INSISTING):
        play.nominates("b", LAST, "a").nominates("c", LAST, "a")


# ----------------------------------------------------------------------------------------------------- both


def test_what_is_no_more_is_not_wanted() -> None:
    play = Play().nominates("a", BEST).nominates("b", LAST, "a")
    play.forgets("b", "a").forgets("a", None).forgets("a", None).nominates("b", LAST)
    assert not play.nomination.nominated(at("a"))


RANKS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=8)


@given(ranks=RANKS, again=st.data())
@settings(deadline=None)
def test_in_every_order_the_best_way_of_those_that_all_were_nominated_is_wanted(
    ranks: list[Rank], again: st.DataObject
) -> None:
    """Each once or twice, as Firefox does; never thrice, which would be to insist. Of the best, the first."""
    nomination = Nomination[tuple[int]]()
    times = [number for number in range(len(ranks)) for _ in range(again.draw(st.integers(1, 2)))]
    order = again.draw(st.permutations(times))
    for number in order:
        nomination.check((number,), ranks[number], nominates=True, now=0.0)
    best = max(ranks)
    assert nomination.chosen == (next(number for number in order if ranks[number] == best),)


@given(
    order=st.permutations([host for host in range(5) for _ in range(INSISTING - 1)]),
    gaps=st.lists(st.floats(0, 2 * ALIVE), min_size=10, max_size=10),
    ports=st.lists(st.integers(0, 1), min_size=10, max_size=10),
)
@settings(deadline=None)
def test_in_every_order_of_equal_ways_one_stays_until_it_is_silent_or_has_another_port(
    order: list[int], gaps: list[float], ports: list[int]
) -> None:
    nomination, now, heard = Nomination[tuple[int, int]](), 0.0, 0.0
    chosen: tuple[int, int] | None = None
    for host, gap, port in zip(order, gaps, ports, strict=True):
        now += gap
        if chosen is None or host == chosen[0] or now - heard > ALIVE:
            chosen, heard = (host, port), now
        nomination.check((host, port), BEST, nominates=True, now=now)
        assert nomination.chosen == chosen


@given(
    steps=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30),
    ranks=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=6, max_size=6),
)
@settings(deadline=None)
def test_in_every_order_who_checks_first_gets_the_last_that_was_nominated(
    steps: list[tuple[int, bool]], ranks: list[Rank]
) -> None:
    nomination = Nomination[tuple[int]]()
    nomination.check((0,), ranks[0], nominates=False, now=0.0)
    chosen = None
    for number, nominates in steps:
        nomination.check((number,), ranks[number], nominates=nominates, now=0.0)
        chosen = (number,) if nominates else chosen
        assert nomination.chosen == chosen
