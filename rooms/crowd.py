"""Who is at the door, by household and in order of coming, so that no one household fills it.

    newcomer ──▶ household full? ──▶ the oldest of that household goes
             └─▶ all full?       ──▶ the oldest of all goes

Those who have business here soon leave the crowd by themselves; who stays long in it is idle or slow. So it
is never the newcomer who is turned away: otherwise one idle device would lock out whoever shares its address.
A household is an IPv4 address, or the /64 that IPv6 gives to each network.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from typing import Generic, TypeVar

T = TypeVar("T")


def household(host: str) -> str:
    """What counts as one household.

    Args:
        host: an IP address as a socket reports it; anything else is taken as it is.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)


class Crowd(Generic[T]):
    """Members of one kind; each at most once."""

    def __init__(self) -> None:
        self._all: dict[T, str] = {}
        self._of: dict[str, dict[T, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, member: T) -> bool:
        return member in self._all

    def __iter__(self) -> Iterator[T]:
        """All, oldest first; a copy."""
        return iter(list(self._all))

    def of(self, host: str) -> Iterator[T]:
        """Those of this address's household, oldest first; a copy."""
        return iter(list(self._of.get(household(host), ())))

    def count(self, host: str) -> int:
        """How many there are of this address's household."""
        return len(self._of.get(household(host), ()))

    def oldest(self, host: str | None = None) -> T | None:
        """The one who came first, of this address's household or of all."""
        return next(iter(self._all if host is None else self._of.get(household(host), ())), None)

    def enter(self, member: T, host: str) -> None:
        """Somebody has come; who is here already becomes the youngest."""
        self.leave(member)
        home = self._all[member] = household(host)
        self._of.setdefault(home, {})[member] = None

    def leave(self, member: T) -> None:
        """Somebody has gone; silent when they were not here."""
        if (home := self._all.pop(member, None)) is not None:
            del self._of[home][member]
            if not self._of[home]:
                del self._of[home]

    def displaced(self, host: str, of_one: int, in_all: int) -> T | None:
        """Who must go so that one more of this address finds room; ``None`` when there is room.

        Args:
            of_one: how many a household may have.
            in_all: how many there may be.
        """
        if self.count(host) >= of_one:
            return self.oldest(host)
        return self.oldest() if len(self) >= in_all else None
