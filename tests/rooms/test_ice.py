from __future__ import annotations

import pytest
from aioice import stun
from hypothesis import given, settings
from hypothesis import strategies as st

from rooms.checks import read_request
from rooms.ice import (
    CHECKS_AT_ONCE,
    CHECKS_PER_SECOND,
    MAX_ADDRESSES,
    ON_A_SHELF,
    QUESTIONS_AT_ONCE,
    SHELVES,
    Address,
    Checked,
    Credentials,
    LiteAgent,
    Path,
    named_port,
    path_of,
)
from rooms.nomination import ALIVE
from rooms.proof import APART
from rooms.questions import Response, read_response

HOME: Address = ("192.0.2.1", 5000)
AWAY: Address = ("198.51.100.2", 6000)
PASSWORD = "p" * 24
LATER = ALIVE + 0.1


def request(
    ufrag: str,
    pwd: str,
    *,
    remote: str = "abcd",
    nominates: bool = True,
    priority: int = 1,
    extra: dict[str, object] | None = None,
) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag}:{remote}"
    message.attributes["PRIORITY"] = priority
    message.attributes["ICE-CONTROLLING"] = 5
    if nominates:
        message.attributes["USE-CANDIDATE"] = None
    message.attributes.update(extra or {})
    message.add_message_integrity(pwd.encode())
    return bytes(message)


def ask(
    agent: LiteAgent,
    address: Address = HOME,
    *,
    by: Credentials | None = None,
    remote: str = "abcd",
    nominates: bool = True,
    priority: int = 1,
    path: Path | None = None,
    now: float = 0.0,
    extra: dict[str, object] | None = None,
) -> Checked | None:
    by = by or agent.credentials
    parsed = read_request(
        request(by.ufrag, by.pwd, remote=remote, nominates=nominates, priority=priority, extra=extra)
    )
    assert parsed is not None
    return agent.check(parsed, address, HOME if path_of(address) != "udp" else None, path, now=now)


def respond(question: bytes, pwd: str, kind: stun.Class = stun.Class.RESPONSE) -> Response:
    asked = stun.parse_message(question)
    response = stun.Message(stun.Method.BINDING, kind, transaction_id=asked.transaction_id)
    response.add_message_integrity(pwd.encode())
    read = read_response(bytes(response))
    assert read is not None
    return read


def answer(checked: Checked | None) -> bytes:
    """What an authentic request is answered with."""
    assert checked is not None
    assert checked.response is not None
    return checked.response


def browser() -> LiteAgent:
    """An agent whose browser has answered."""
    agent = LiteAgent()
    agent.answered("abcd", PASSWORD)
    return agent


def comes(
    agent: LiteAgent,
    address: Address,
    *,
    remote: str = "abcd",
    nominates: bool = True,
    priority: int = 1,
    path: Path | None = None,
    now: float = 0.0,
) -> None:
    """A check from there, where the browser hears what it is asked and answers."""
    checked = ask(agent, address, remote=remote, nominates=nominates, priority=priority, path=path, now=now)
    assert checked is not None
    if checked.question is not None:
        assert agent.found(respond(checked.question, PASSWORD), address, now)


def test_an_authentic_request_is_answered_and_its_address_taken() -> None:
    agent = LiteAgent()
    checked = ask(agent)
    assert checked is not None
    assert checked.added
    assert agent.address == HOME
    response = stun.parse_message(answer(checked))
    assert response.message_class == stun.Class.RESPONSE
    assert response.attributes["XOR-MAPPED-ADDRESS"] == HOME
    assert response.check_message_integrity(agent.credentials.pwd.encode())


def test_a_stream_is_told_its_far_end_and_forgotten_when_it_closes() -> None:
    agent = browser()
    stream: Address = ("tcp", 7)
    parsed = read_request(request(agent.credentials.ufrag, agent.credentials.pwd))
    assert parsed is not None
    checked = agent.check(parsed, stream, HOME, now=0.0)
    assert checked is not None
    assert stun.parse_message(answer(checked)).attributes["XOR-MAPPED-ADDRESS"] == HOME
    assert ask(agent, AWAY, nominates=False) is not None
    agent.forget(stream)
    agent.forget(stream)
    assert (agent.address, agent.addresses) == (None, [AWAY])
    assert ask(agent, HOME, nominates=False) is not None
    assert agent.address is None, "nobody has answered from there"
    comes(agent, AWAY, nominates=False, now=APART)
    assert agent.address == AWAY


def test_an_address_tells_its_path() -> None:
    assert [path_of(each) for each in (HOME, ("tcp", 1), ("turn", 1))] == ["udp", "tcp", "turn"]


def test_a_wrong_password_changes_nothing() -> None:
    agent = LiteAgent()
    assert ask(agent, by=Credentials(agent.credentials.ufrag, "x" * 32)) is None
    assert agent.address is None
    assert agent.addresses == []


def test_a_request_without_integrity_changes_nothing() -> None:
    agent = LiteAgent()
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{agent.credentials.ufrag}:abcd"
    parsed = read_request(bytes(message))
    assert parsed is not None
    assert agent.check(parsed, HOME, now=0.0) is None
    assert agent.address is None


def test_requests_may_overtake_the_answer_but_not_contradict_it() -> None:
    agent = LiteAgent()
    assert ask(agent, remote="early") is not None
    agent.answered("abcd")
    assert ask(agent, remote="abcd") is not None
    assert ask(agent, remote="other") is None


def test_only_a_nomination_moves_the_seat() -> None:
    agent = browser()
    comes(agent, HOME, nominates=False)
    comes(agent, HOME)
    comes(agent, AWAY, nominates=False)
    assert agent.address == HOME
    comes(agent, AWAY)
    assert agent.address == AWAY
    assert agent.addresses == [HOME, AWAY]


def test_a_browser_that_nominates_every_way_gets_the_best_of_them() -> None:
    agent = browser()
    stream: Address = ("tcp", 7)
    comes(agent, stream, priority=9)
    comes(agent, HOME, priority=2)
    assert agent.address == HOME
    comes(agent, AWAY, priority=1)
    comes(agent, stream, priority=9)
    comes(agent, ("127.0.0.1", 9), priority=9, path="turn")
    assert agent.address == HOME
    comes(agent, stream, nominates=False)
    assert agent.address == stream, "the way it uses"


def test_a_browser_that_chose_a_lesser_way_gets_it_at_once() -> None:
    agent = browser()
    for nominates in (False, True):
        comes(agent, HOME, priority=2, nominates=nominates)
    for nominates in (False, True):
        comes(agent, ("tcp", 7), priority=1, nominates=nominates)
    assert agent.address == ("tcp", 7)


def test_of_equal_ways_the_first_stays_while_it_is_alive() -> None:
    """Firefox: the checks of an interface and of a TURN server reached through it have one priority."""
    agent = browser()
    for address in (HOME, AWAY, HOME, AWAY):
        comes(agent, address)
        assert agent.address == HOME
    comes(agent, AWAY, nominates=False)
    assert agent.address == AWAY, "the way it uses"
    comes(agent, ("198.51.100.2", 6001))
    assert agent.address == ("198.51.100.2", 6001), "its address was translated anew"
    comes(agent, HOME, now=LATER)
    assert agent.address == HOME, "another network"


def test_of_equal_ways_the_first_that_answers_is_taken() -> None:
    agent = browser()
    ask(agent, HOME)
    comes(agent, AWAY)
    assert agent.address == AWAY
    comes(agent, HOME, now=APART)
    assert agent.address == HOME, "it is there after all"


def test_a_restart_weighs_the_ways_anew() -> None:
    agent = browser()
    comes(agent, HOME, priority=2)
    agent.restart()
    agent.answered("wxyz", PASSWORD)
    comes(agent, AWAY, priority=1, remote="wxyz")
    assert agent.address == AWAY


def test_an_address_that_was_pushed_out_is_asked_and_weighed_anew() -> None:
    agent = browser()
    comes(agent, HOME, priority=2)
    comes(agent, AWAY, priority=1)
    for port in range(MAX_ADDRESSES):
        ask(agent, ("192.0.2.1", port), priority=1)
    assert AWAY not in agent.addresses
    comes(agent, AWAY, priority=3)
    assert agent.address == AWAY


def test_a_recorded_request_moves_nobody() -> None:
    agent = browser()
    recorded = request(agent.credentials.ufrag, agent.credentials.pwd)

    def sent_from(address: Address) -> Checked | None:
        parsed = read_request(recorded)
        assert parsed is not None
        return agent.check(parsed, address, now=0.0)

    assert sent_from(HOME) is not None
    assert sent_from(AWAY) is None
    assert agent.addresses == [HOME]
    comes(agent, AWAY)
    assert sent_from(HOME) is not None, "a retransmission is answered"
    assert agent.address == AWAY


def test_few_requests_are_remembered() -> None:
    agent = browser()
    for number in range(100):
        assert ask(agent, now=number) is not None
    assert sum(map(len, agent._seen.values())) == 100 * 8
    for shelf in range(SHELVES):
        agent._seen[shelf] = bytes(8 * ON_A_SHELF)
    assert ask(agent, now=200) is not None
    assert {len(kept) for kept in agent._seen.values()} == {8 * ON_A_SHELF}


def test_what_a_browser_asks_more_often_than_any_does_is_not_answered() -> None:
    agent = browser()
    answered = [ask(agent, now=1.0) for _ in range(2 * CHECKS_AT_ONCE)]
    assert all(checked is not None for checked in answered), "it is the seat, all the same"
    assert sum(checked.response is not None for checked in answered if checked) == CHECKS_AT_ONCE
    later = [ask(agent, now=2.0) for _ in range(2 * CHECKS_AT_ONCE)]
    assert sum(checked.response is not None for checked in later if checked) == CHECKS_PER_SECOND


def test_one_that_was_too_many_is_taken_no_note_of() -> None:
    agent = browser()
    comes(agent, HOME)
    for _ in range(CHECKS_AT_ONCE):
        ask(agent)
    checked = ask(agent, AWAY)
    assert checked == Checked(None)
    assert agent.addresses == [HOME]


@pytest.mark.parametrize("forgery", ["forged", "recorded", "as if controlled"])
def test_nobody_else_uses_up_what_a_seat_may_ask(forgery: str) -> None:
    agent = browser()
    comes(agent, HOME)
    own = agent.credentials
    extra: dict[str, object] = {"ICE-CONTROLLED": 7} if forgery == "as if controlled" else {}
    by = Credentials(own.ufrag, "x" * 32) if forgery == "forged" else own
    recorded = read_request(request(by.ufrag, by.pwd, extra=extra))
    assert recorded is not None
    for _ in range(2 * CHECKS_AT_ONCE):
        agent.check(recorded, HOME, now=0.0)
        agent.check(recorded, AWAY, now=0.0)
    checked = ask(agent, HOME)
    assert checked is not None
    assert checked.response is not None


def test_a_seat_has_few_addresses_and_keeps_the_one_in_use() -> None:
    agent = LiteAgent()
    ask(agent)
    for port in range(1, MAX_ADDRESSES):
        checked = ask(agent, ("192.0.2.1", port), nominates=False)
        assert checked is not None
        assert checked.dropped is None
    checked = ask(agent, ("192.0.2.1", 99), nominates=False)
    assert checked is not None
    assert checked.dropped == ("192.0.2.1", 1)
    assert len(agent.addresses) == MAX_ADDRESSES
    assert HOME in agent.addresses


def test_an_agent_that_believes_itself_controlled_is_told_of_the_conflict() -> None:
    agent = LiteAgent()
    checked = ask(agent, extra={"ICE-CONTROLLED": 7})
    assert checked is not None
    response = stun.parse_message(answer(checked))
    assert response.error_code == 487
    assert agent.address is None


def test_the_old_credentials_serve_until_the_new_ones_are_used() -> None:
    agent = LiteAgent()
    agent.answered("abcd")
    old = agent.credentials
    agent.restart()
    assert set(agent.ufrags) == {agent.credentials.ufrag, old.ufrag}
    assert ask(agent, by=old) is not None
    assert ask(agent, by=old, remote="wxyz") is None
    assert ask(agent, AWAY, remote="wxyz") is not None
    assert set(agent.ufrags) == {agent.credentials.ufrag}
    assert ask(agent, by=old) is None


def test_a_restart_upon_an_unfinished_restart_keeps_the_generation_in_use() -> None:
    agent = LiteAgent()
    agent.answered("abcd")
    first = agent.credentials
    agent.restart()
    second = agent.credentials
    agent.restart()
    assert ask(agent, by=second, remote="wxyz") is None
    assert ask(agent, by=first) is not None


def test_an_ipv6_address_is_answered_without_its_scope() -> None:
    agent = LiteAgent()
    checked = ask(agent, ("fe80::1%eth0", 5000, 0, 2))
    assert checked is not None
    assert stun.parse_message(answer(checked)).attributes["XOR-MAPPED-ADDRESS"] == ("fe80::1", 5000)


def test_credentials_are_long_random_and_do_not_show() -> None:
    one, other = Credentials.fresh(), Credentials.fresh()
    assert len(one.ufrag) == 16
    assert len(one.pwd) == 32
    assert one != other
    assert one.ufrag not in repr(one)
    assert one.pwd not in repr(one)


@pytest.mark.parametrize("kind", [stun.Class.RESPONSE, stun.Class.INDICATION, stun.Class.ERROR])
def test_only_requests_are_read(kind: stun.Class) -> None:
    message = stun.Message(stun.Method.BINDING, kind)
    message.attributes["USERNAME"] = "a:b"
    assert read_request(bytes(message)) is None


@pytest.mark.parametrize("username", ["", "abc", ":abc", "abc:"])
def test_a_request_that_names_nobody_is_not_read(username: str) -> None:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = username
    assert read_request(bytes(message)) is None


def test_a_request_larger_than_any_browsers_is_not_read() -> None:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = "a:" + "b" * 2000
    assert read_request(bytes(message)) is None


@given(st.binary(max_size=200))
def test_garbage_is_not_read(garbage: bytes) -> None:
    assert read_request(b"\x00\x01" + garbage) is None


@given(st.integers(20, 200), st.binary(min_size=1, max_size=12), st.booleans())
def test_a_damaged_request_is_never_authentic(where: int, damage: bytes, resize: bool) -> None:
    agent = LiteAgent()
    datagram = request(agent.credentials.ufrag, agent.credentials.pwd)
    at = min(where, len(datagram) - 1)
    damaged = bytearray(datagram[:at] + damage + datagram[at + len(damage) :])
    if resize:
        damaged[2:4] = (len(damaged) - 20).to_bytes(2, "big")
    parsed = read_request(bytes(damaged))
    if parsed is not None and bytes(damaged) != datagram:
        checked = agent.check(parsed, HOME, now=0.0)
        # Only what the integrity covers counts: not the length field, and not FINGERPRINT and what follows.
        signed = slice(4, len(datagram) - 8)
        assert checked is None or bytes(damaged[signed]) == datagram[signed]


@given(port=st.integers(0, 65_535))
def test_a_fragment_names_its_media_port(port: int) -> None:
    agent = LiteAgent(port)
    assert named_port(agent.credentials.ufrag) == port
    agent.restart()
    assert [named_port(ufrag) for ufrag in agent.ufrags] == [port, port]


@given(text=st.text(max_size=20))
def test_any_fragment_names_a_port_or_none(text: str) -> None:
    assert named_port(text) in range(65_536) or named_port(text) is None


def test_a_question_of_ours_is_one_that_the_browser_takes_for_a_check() -> None:
    agent = LiteAgent()
    assert agent.question(b"x" * 12) is None, "before its answer nobody knows how"
    agent.answered("abcd", "p" * 24)
    question = agent.question(b"x" * 12)
    assert question is not None
    told = read_request(question)
    assert told is not None
    assert (told.ufrag, told.remote_ufrag) == ("abcd", agent.credentials.ufrag)
    assert told.controlled
    assert not told.nominates
    assert told.transaction == b"x" * 12
    assert told.is_by("p" * 24)
    assert "FINGERPRINT" in stun.parse_message(question).attributes, "browsers tell it from media by that"


@pytest.mark.parametrize("kind", [stun.Class.RESPONSE, stun.Class.ERROR])
def test_only_the_browser_can_answer_it(kind: stun.Class) -> None:
    agent = LiteAgent()
    agent.answered("abcd", "p" * 24)
    question = agent.question(b"x" * 12)
    assert question is not None
    assert agent.verify(respond(question, "p" * 24, kind))
    assert not agent.verify(respond(question, "q" * 24, kind))
    unsigned = read_response(bytes(stun.Message(stun.Method.BINDING, kind, transaction_id=b"x" * 12)))
    assert unsigned is not None
    assert not agent.verify(unsigned)


def test_during_a_restart_the_question_goes_over_the_path_in_use() -> None:
    agent = LiteAgent()
    agent.answered("abcd", "p" * 24)
    old = agent.credentials
    agent.restart()
    agent.answered("efgh", "r" * 24)
    question = agent.question(b"x" * 12)
    assert question is not None
    told = read_request(question)
    assert told is not None
    assert (told.ufrag, told.remote_ufrag) == ("abcd", old.ufrag)
    assert agent.verify(respond(question, "p" * 24))
    assert ask(agent, remote="efgh") is not None
    again = agent.question(b"y" * 12)
    assert again is not None
    told = read_request(again)
    assert told is not None
    assert (told.ufrag, told.remote_ufrag) == ("efgh", agent.credentials.ufrag)
    assert agent.verify(respond(again, "r" * 24))


def test_a_seat_moves_to_where_it_has_answered() -> None:
    agent = browser()
    comes(agent, HOME)
    checked = ask(agent, AWAY, now=LATER)
    assert checked is not None
    assert checked.question is not None
    assert agent.address == HOME
    assert not agent.found(respond(checked.question, PASSWORD), HOME, 0.0), "it was asked elsewhere"
    assert agent.found(respond(checked.question, PASSWORD), AWAY, 0.0)
    assert agent.address == AWAY
    assert not agent.found(respond(checked.question, PASSWORD), AWAY, 0.0), "once"


def test_who_answered_before_the_nomination_moves_with_it() -> None:
    agent = browser()
    comes(agent, HOME, nominates=False)
    comes(agent, AWAY, nominates=False)
    assert agent.address == HOME
    checked = ask(agent, AWAY)
    assert checked is not None
    assert (agent.address, checked.question) == (AWAY, None)


def test_who_is_wanted_elsewhere_by_then_does_not_move() -> None:
    agent = browser()
    comes(agent, HOME)
    checked = ask(agent, AWAY)
    comes(agent, HOME)
    assert checked is not None
    assert checked.question is not None
    assert agent.found(respond(checked.question, PASSWORD), AWAY, 0.0)
    assert agent.address == HOME


def test_an_address_that_was_left_is_asked_again() -> None:
    agent = browser()
    comes(agent, HOME)
    comes(agent, AWAY, now=LATER)
    checked = ask(agent, HOME, now=2 * LATER)
    assert checked is not None
    assert checked.question is not None
    assert agent.address == AWAY
    assert agent.found(respond(checked.question, PASSWORD), HOME, 0.0)
    assert agent.address == HOME


def test_the_first_address_is_sent_to_before_it_has_answered() -> None:
    """The handshake goes there, and ends only where the browser is."""
    agent = LiteAgent()
    checked = ask(agent)
    assert checked is not None
    assert checked.question is None, "nobody knows how to ask"
    assert agent.address == HOME
    assert ask(agent, AWAY) is not None
    assert agent.address == HOME
    agent.answered("abcd", PASSWORD)
    asked = {to: question for question, to in agent.questions(0.0)}
    assert list(asked) == [HOME, AWAY]
    assert agent.questions(0.0) == [], "each is asked once"
    assert agent.found(respond(asked[AWAY], PASSWORD), AWAY, 0.0)
    assert agent.address == AWAY


def test_where_it_is_for_certain_is_better_than_where_it_may_be() -> None:
    """An interface went just after it was nominated: the better way leads nowhere."""
    agent = browser()
    ask(agent, HOME, priority=2)
    assert agent.address == HOME
    comes(agent, AWAY, priority=1)
    assert agent.address == AWAY
    comes(agent, HOME, priority=2, now=APART)
    assert agent.address == HOME, "it is there after all"


def test_what_was_only_tried_is_not_where_it_is() -> None:
    agent = browser()
    ask(agent, HOME, nominates=False)
    comes(agent, AWAY, nominates=False)
    assert agent.address == HOME


def test_a_stream_needs_no_question() -> None:
    agent = browser()
    comes(agent, HOME, nominates=False)
    ways: list[tuple[Address, Path | None]] = [(("tcp", 7), None), (("127.0.0.1", 9), "turn")]
    for address, path in ways:
        checked = ask(agent, address, path=path)
        assert checked is not None
        assert (checked.question, agent.address) == (None, address)


def test_an_address_that_was_forgotten_is_asked_again() -> None:
    agent = browser()
    comes(agent, HOME)
    checked = ask(agent, AWAY, nominates=False)
    assert checked is not None
    assert checked.question is not None
    agent.forget(AWAY)
    assert not agent.found(respond(checked.question, PASSWORD), AWAY, 0.0)
    ask(agent, AWAY)
    assert agent.address == HOME


def test_checks_from_where_nobody_answers_bring_no_more_than_they_cost() -> None:
    """Who has a seat's keys can forge its source: of whoever is there nobody must be flooded."""
    agent = browser()
    comes(agent, HOME)
    check = request(agent.credentials.ufrag, agent.credentials.pwd)
    for addresses in (1, 2, 1_000):
        come = sent = 0
        for turn in range(10 * int(CHECKS_PER_SECOND)):
            now = 100.0 * addresses + turn / CHECKS_PER_SECOND
            checked = ask(agent, ("198.51.100.2", turn % addresses), now=now)
            assert checked is not None
            come += len(check)
            sent += len(answer(checked)) + len(checked.question or b"")
        assert sent <= come
    checks = [ask(agent, ("198.51.100.3", port), now=1e6) for port in range(2 * QUESTIONS_AT_ONCE)]
    assert (
        sum(checked is not None and checked.question is not None for checked in checks) == QUESTIONS_AT_ONCE
    )


def test_a_new_address_is_asked_at_once_and_again_when_the_question_was_lost() -> None:
    agent = browser()
    comes(agent, HOME)
    asked = []
    for turn in range(9):  # as Chromium does while it seeks
        checked = ask(agent, AWAY, now=LATER + 0.06 * turn)
        assert checked is not None
        asked.append(checked.question is not None)
    assert asked == [True, False, False, False, True, False, False, False, True]


def test_a_retransmission_asks_nothing() -> None:
    agent = browser()
    recorded = read_request(request(agent.credentials.ufrag, agent.credentials.pwd))
    assert recorded is not None
    checked = [agent.check(recorded, HOME, now=0.0) for _ in range(2)]
    assert [each is not None and each.question is not None for each in checked] == [True, False]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 2), st.booleans()), min_size=1, max_size=20
    )
)
@settings(deadline=None)
def test_in_every_order_nothing_goes_where_nobody_has_answered_but_to_the_first(
    steps: list[tuple[int, bool, int, bool]],
) -> None:
    agent = browser()
    found = {("192.0.2.1", steps[0][0])}
    for now, (port, nominates, priority, answers) in enumerate(steps):
        address = ("192.0.2.1", port)
        checked = ask(agent, address, nominates=nominates, priority=priority, now=now)
        assert checked is not None
        if answers and checked.question is not None:
            agent.found(respond(checked.question, PASSWORD), address, now)
            found.add(address)
        assert agent.address in found


def test_a_program_without_a_password_is_asked_nothing() -> None:
    agent = LiteAgent()
    agent.answered("abcd")
    assert agent.question(b"x" * 12) is None
    for address, now in ((HOME, 0.0), (AWAY, LATER)):
        checked = ask(agent, address, now=now)
        assert checked is not None
        assert (checked.question, agent.address) == (None, address)
    forged = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)
    forged.add_message_integrity(b"")
    read = read_response(bytes(forged))
    assert read is not None
    assert not agent.verify(read)
