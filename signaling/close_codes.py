"""How a signaling connection ends: the only place that turns an error code into a WebSocket close code.

The last message before the close is ``bye`` with the code and a text for people; the close code says the same
to a page that missed it. RFC 6455 §7.4.1 gives 1000–1015 their meaning; 4000–4999 are ours (§7.4.2). A page
connects again by itself after the codes in ``COMES_BACK`` and after a connection that just broke, and after
no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from signaling.problems import text_of

CLOSE_CODES: Final[dict[str, int]] = {
    "left": 1000,
    "bad-message": 1008,
    "not-allowed": 1008,
    "bad-ticket": 1008,
    "too-large": 1009,
    "internal": 1011,
    "draining": 1012,
    "moved": 1012,
    "audit-unavailable": 1013,
    "opened-elsewhere": 4001,
    "replaced": 4002,
    "device-refused": 4003,
    "removed": 4004,
    "ended": 4006,
    "too-fast": 4007,
    "too-slow": 4008,
    "gone": 4009,
    "enter-again": 4010,
    "no-session": 4011,
    "sign-in-needed": 4012,
}
"""The close code of each error code that ends a connection; any other is 1011."""

COMES_BACK: Final = frozenset(
    {"draining", "moved", "audit-unavailable", "internal", "too-slow", "gone", "bad-ticket"}
)
"""After these the page connects again by itself, with a new ticket."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How to end a connection.

    Attributes:
        close_code: for the close frame.
        code, text: for the ``bye`` before it; the code is also the reason in the close frame (ASCII, short).
    """

    close_code: int
    code: str
    text: str


def ending(code: str) -> Ending:
    """How a connection ends for this error code; an unknown one ends as ``internal``."""
    known = code if code in CLOSE_CODES else "internal"
    return Ending(CLOSE_CODES[known], known, text_of(known).detail)
