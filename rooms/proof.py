"""At which of its addresses a seat has answered, so that media may go there.

    check from an address ──▶ question there ──▶ answer from there, which only the seat can sign

An authentic check proves that the seat sent it, not where from: whoever holds one back, or has the seat's
keys, can forge its source. A full agent asks in turn before it sends (RFC 8445 §7.3.1.4, RFC 7675); so do we.

A proof is good until media goes elsewhere. An address that a seat has left may soon be somebody else's.

A question is longer than the answer to a check, so that checks with a forged source would bring its true
owner more than they cost: there is a while between two questions to one address that answers none.

Pure: transaction ids and ``now`` come in.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

A = TypeVar("A", bound=Hashable)

KEPT: Final = 16
"""Questions that are waited for; the oldest is given up for another."""
APART: Final = 0.2
"""Seconds between two questions to one address; a browser that seeks checks every twentieth of a second."""


class Proofs(Generic[A]):
    """What is known of one seat's addresses."""

    def __init__(self) -> None:
        self._proven: set[A] = set()
        self._asked: dict[bytes, A] = {}
        self._asked_at: dict[A, float] = {}

    def __contains__(self, address: A) -> bool:
        return address in self._proven

    def add(self, address: A) -> None:
        """An address needs no answer: nobody can forge it."""
        self._proven.add(address)

    def due(self, address: A, now: float) -> bool:
        """Whether a question may go there, since none did just now that was not answered."""
        return now - self._asked_at.get(address, float("-inf")) >= APART

    def ask(self, transaction: bytes, address: A, now: float) -> None:
        """A question goes there now.

        Args:
            transaction: its id, which nobody can guess.
        """
        self._asked[transaction] = address
        self._asked_at[address] = now
        if len(self._asked) > KEPT:
            del self._asked[next(iter(self._asked))]

    def asked(self, address: A) -> bool:
        """Whether a question that went there may still be answered."""
        return address in self._asked.values()

    def answer(self, transaction: bytes, address: A) -> bool:
        """Take in an answer whose integrity was verified. Returns whether it proves that address."""
        if self._asked.get(transaction) != address:
            return False
        del self._asked[transaction]
        self._asked_at.pop(address, None)
        self._proven.add(address)
        return True

    def only(self, address: A) -> None:
        """Media goes there from now on: what was proven of others is proven no more."""
        self._proven &= {address}

    def forget(self, address: A) -> None:
        """An address is no more."""
        self._proven.discard(address)
        self._asked_at.pop(address, None)
        self._asked = {transaction: to for transaction, to in self._asked.items() if to != address}
