"""Reading an input as a program: numbers and pieces taken off its front, zeros once it is used up."""

from __future__ import annotations


class Reader:
    """A cursor over one input."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """Up to this many octets."""
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece

    def number(self, octets: int = 1) -> int:
        """A big-endian number of this many octets."""
        return int.from_bytes(self.take(octets).ljust(octets, b"\0"), "big")

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        return self.number() % limit

    def piece(self) -> bytes:
        """Octets with their own length before them."""
        return self.take(self.number(2) % 2_000)
