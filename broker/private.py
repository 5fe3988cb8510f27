"""Values that must not be shown: names, tokens, passwords, keys, addresses.

A `Private` travels through the program like any value, and shows as ``<private>`` wherever something
is printed, logged, formatted or raised. Only ``reveal()`` opens it, so a reviewer can find every place
with one search. It cannot be pickled or encoded by accident.

`refuse_private` is the last fence before the log: a structlog processor that takes private values out
of an event, however deep they are nested.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, MutableMapping, Sequence, Set
from typing import Any, Final, Generic, NoReturn, TypeVar

T = TypeVar("T")

SHOWN: Final = "<private>"
_MAX_DEPTH: Final = 6
_MAX_ITEMS: Final = 256


class Private(Generic[T]):
    """A wrapper that keeps a value out of logs, traces and messages.

    Not a dataclass, on purpose: `msgspec` and `dataclasses.asdict` would open one.

    Args:
        value: what to keep private.
    """

    __slots__ = ("__value",)
    __hash__ = None  # type: ignore[assignment]  # a hash of a short secret is a way to guess it

    def __init__(self, value: T) -> None:
        object.__setattr__(self, "_Private__value", value)

    def reveal(self) -> T:
        """Return the value itself; the caller now answers for where it goes."""
        return self.__value  # type: ignore[attr-defined,no-any-return]  # set through object.__setattr__

    def __eq__(self, other: object) -> bool:
        """Compare with another `Private`; in constant time for text and bytes."""
        if not isinstance(other, Private):
            return NotImplemented
        mine, theirs = self.reveal(), other.reveal()
        if isinstance(mine, str) and isinstance(theirs, str):
            return hmac.compare_digest(
                mine.encode("utf-8", "surrogatepass"), theirs.encode("utf-8", "surrogatepass")
            )
        if isinstance(mine, bytes) and isinstance(theirs, bytes):
            return hmac.compare_digest(mine, theirs)
        return bool(mine == theirs)

    def __repr__(self) -> str:
        return SHOWN

    def __str__(self) -> str:
        return SHOWN

    def __format__(self, spec: str) -> str:
        return SHOWN

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("A private value cannot be changed.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("A private value cannot be changed.")

    def __copy__(self) -> Private[T]:
        return self

    def __deepcopy__(self, memo: object) -> Private[T]:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A private value cannot be pickled.")


def refuse_private(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take private values out of one log event (a structlog processor).

    It replaces rather than raises: a log line is no reason for a room to stop. The key
    ``refused_private`` is added, so that a test (and an operator) can find the line at fault.

    Args:
        logger: unused, part of structlog's signature.
        method: unused, part of structlog's signature.
        event: the event; containers are searched to a depth of 6 and a breadth of 256, and what
            lies beyond is not printed at all.

    Returns:
        The event, safe to render.
    """
    found = False

    def clean(value: Any, depth: int) -> Any:
        nonlocal found
        if isinstance(value, Private):
            found = True
            return SHOWN
        if isinstance(value, (str, bytes, bytearray)) or not isinstance(value, (Mapping, Sequence, Set)):
            return value
        if depth == _MAX_DEPTH or len(value) > _MAX_ITEMS:
            return "<too large to log>"
        if isinstance(value, Mapping):
            return {clean(key, depth + 1): clean(item, depth + 1) for key, item in value.items()}
        return [clean(item, depth + 1) for item in value]

    for key in list(event):
        event[key] = clean(event[key], 0)
    if found:
        event["refused_private"] = True
    return event
