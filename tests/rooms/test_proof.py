from __future__ import annotations

from rooms.proof import APART, KEPT, Proofs


def test_an_address_is_proven_by_an_answer_from_there_to_what_it_was_asked() -> None:
    proofs = Proofs[str]()
    proofs.ask(b"1", "a", 0.0)
    assert "a" not in proofs
    assert proofs.asked("a")
    assert not proofs.answer(b"1", "b"), "another was asked"
    assert not proofs.answer(b"2", "a"), "nobody asked that"
    assert proofs.answer(b"1", "a")
    assert "a" in proofs
    assert not proofs.asked("a")
    assert not proofs.answer(b"1", "a"), "once"


def test_what_nobody_can_forge_needs_no_answer() -> None:
    proofs = Proofs[str]()
    proofs.add("stream")
    assert "stream" in proofs


def test_a_proof_is_good_until_media_goes_elsewhere() -> None:
    proofs = Proofs[str]()
    for address in "ab":
        proofs.add(address)
    proofs.only("b")
    assert ("a" in proofs, "b" in proofs) == (False, True)
    proofs.only("c")
    assert ("b" in proofs, "c" in proofs) == (False, False), "to go there proves nothing"


def test_what_is_forgotten_is_neither_proven_nor_waited_for() -> None:
    proofs = Proofs[str]()
    proofs.add("a")
    proofs.ask(b"1", "a", 0.0)
    proofs.ask(b"2", "b", 0.0)
    proofs.forget("a")
    assert "a" not in proofs
    assert not proofs.answer(b"1", "a")
    assert proofs.answer(b"2", "b")


def test_few_questions_are_waited_for() -> None:
    proofs = Proofs[str]()
    for number in range(KEPT + 1):
        proofs.ask(b"%d" % number, "a", 0.0)
    assert not proofs.answer(b"0", "a")
    assert all(proofs.answer(b"%d" % number, "a") for number in range(1, KEPT + 1))


def test_one_address_is_asked_once_in_a_while_and_another_at_once() -> None:
    proofs = Proofs[str]()
    assert proofs.due("a", 5.0)
    proofs.ask(b"1", "a", 5.0)
    assert not proofs.due("a", 5.0 + APART - 0.01)
    assert proofs.due("b", 5.0)
    assert proofs.due("a", 5.0 + APART)
    assert proofs.answer(b"1", "a")
    assert proofs.due("a", 5.0), "somebody is there"
    proofs.ask(b"2", "a", 5.0)
    proofs.forget("a")
    assert proofs.due("a", 5.0)
