"""Spoiling known inputs: what the short run does, and the long one where there is no coverage to guide it.

Seeded, so that a failure comes again: the same seed and corpus give the same inputs in the same order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

#: No parser here takes more; what is too large is tried at its limit, not in gigabytes.
LARGEST = 70_000

_LENGTHS = (0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)


class Mutator:
    """An endless source of spoilt inputs.

    Args:
        corpus: what to spoil; at least one.
        tokens: words of the format, put in and swapped for one another.
        seed: of the generator.
    """

    def __init__(self, corpus: Sequence[bytes], tokens: Sequence[bytes], seed: int) -> None:
        self._corpus = corpus
        self._tokens = tokens or (b"\0",)
        self._chance = random.Random(seed)
        self._ways: tuple[Callable[[bytearray], None], ...] = (
            self._flip,
            self._set,
            self._length,
            self._drop,
            self._repeat,
            self._insert,
            self._token,
            self._swap_token,
            self._splice,
            self._cut,
        )

    def next(self) -> bytes:
        """One input: a member of the corpus with one to five things done to it."""
        data = bytearray(self._chance.choice(self._corpus))
        for _ in range(self._chance.choice((1, 1, 1, 2, 3, 5))):
            self._chance.choice(self._ways)(data)
        return bytes(data[:LARGEST])

    def _at(self, data: bytearray) -> int:
        return self._chance.randrange(len(data) + 1)

    def _span(self, data: bytearray) -> slice:
        start = self._at(data)
        return slice(start, min(len(data), start + self._chance.choice((1, 2, 4, 8, 24, 200))))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)

    def _set(self, data: bytearray) -> None:
        if data:
            data[self._chance.randrange(len(data))] = self._chance.randrange(256)

    def _length(self, data: bytearray) -> None:
        at = self._at(data)
        data[at : at + 2] = self._chance.choice((*_LENGTHS, len(data))).to_bytes(3, "big")[-2:]

    def _drop(self, data: bytearray) -> None:
        del data[self._span(data)]

    def _repeat(self, data: bytearray) -> None:
        span = self._span(data)
        data[span.start : span.start] = data[span] * self._chance.choice((1, 1, 2, 40))

    def _insert(self, data: bytearray) -> None:
        at = self._at(data)
        data[at:at] = self._chance.randbytes(self._chance.choice((1, 2, 4, 16)))

    def _token(self, data: bytearray) -> None:
        at = self._at(data)
        data[at:at] = self._chance.choice(self._tokens)

    def _swap_token(self, data: bytearray) -> None:
        found = self._chance.choice(self._tokens)
        if (at := data.find(found)) >= 0:
            data[at : at + len(found)] = self._chance.choice(self._tokens)

    def _splice(self, data: bytearray) -> None:
        other = self._chance.choice(self._corpus)
        data[self._at(data) :] = other[self._chance.randrange(len(other) + 1) :]

    def _cut(self, data: bytearray) -> None:
        del data[self._at(data) :]
