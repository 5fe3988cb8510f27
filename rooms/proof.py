"""At which of its addresses a seat has answered, so that media may go there.

    check from an address ──▶ question there ──▶ answer from there, which only the seat can sign

An authentic check proves that the seat sent it, not where from: whoever holds one back, or has the seat's
keys, can forge its source. A full agent asks in turn before it sends (RFC 8445 §7.3.1.4, RFC 7675); so do we.

A proof is good until media goes elsewhere. An address that a seat has left may soon be somebody else's.

Pure: transaction ids come in.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

A = TypeVar("A", bound=Hashable)

KEPT: Final = 16
"""Questions that are waited for; the oldest is given up for another."""


class Proofs(Generic[A]):
    """What is known of one seat's addresses."""

    def __init__(self) -> None:
        self._proven: set[A] = set()
        self._asked: dict[bytes, A] = {}

    def __contains__(self, address: A) -> bool:
        return address in self._proven

    def add(self, address: A) -> None:
        """An address needs no answer: nobody can forge it."""
        self._proven.add(address)

    def ask(self, transaction: bytes, address: A) -> None:
        """A question goes there now.

        Args:
            transaction: its id, which nobody can guess.
        """
        self._asked[transaction] = address
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
        self._proven.add(address)
        return True

    def only(self, address: A) -> None:
        """Media goes there from now on: what was proven of others is proven no more."""
        self._proven &= {address}

    def forget(self, address: A) -> None:
        """An address is no more."""
        self._proven.discard(address)
        self._asked = {transaction: to for transaction, to in self._asked.items() if to != address}
