"""Every error the broker raises on purpose, as one tree.

    QuietroomError            has a stable ``code`` and a sentence for a person
    ├── BadInput              the caller's fault: bytes or values that cannot be read
    ├── Refused               nobody's fault: understood, and not allowed now
    │   └── ChangeRefused     a seat change the session's present state does not permit
    ├── StoreUnavailable      our fault: nothing durable can be written now, so nothing is allowed
    │   └── StoreFenced       this process belongs to an older generation of writers and must stop
    ├── UnsafeFiles           the operator's fault: owner or mode of a private file or directory
    └── DataDirectoryBusy     another server holds the data directory

A code is part of the interface and never changes; the text may. Neither ever holds a private value.
`signaling/close_codes.py` is the only place that turns these into a status or a close code.
"""

from __future__ import annotations


class QuietroomError(Exception):
    """Base of the tree.

    Args:
        code: stable, lower-case, dashes between words.
        text: one sentence for a person; never a private value.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class BadInput(QuietroomError):
    """What came from outside cannot be read. The input itself is never repeated in the text."""

    def __init__(self, code: str, text: str = "This cannot be read.") -> None:
        super().__init__(code, text)


class Refused(QuietroomError):
    """Understood and not allowed now; trying again later, or as somebody else, may succeed."""

    def __init__(self, code: str, text: str = "This is not possible now.") -> None:
        super().__init__(code, text)


class ChangeRefused(Refused):
    """A seat change was refused and nothing was written, for any seat of the call.

    Codes: ``not-open``, ``full``, ``no-seat``, ``wrong-state``, ``agreement-needed``, ``fenced-room`` (of a
    room's owner: it has a successor).

    Args:
        code: one of the above.
        seat: code of the first seat that stood in the way.
        state: the state that seat is in; empty when there is no such seat.
    """

    def __init__(self, code: str, seat: str, state: str) -> None:
        super().__init__(code, "The session has moved on; look again before deciding.")
        self.seat = seat
        self.state = state


class StoreUnavailable(QuietroomError):
    """The audit record cannot be written, so the action was not done and will not be done.

    One uncertainty is left, and only one: the store may have finished within the deadline and the
    answer was lost. So ask again with **newly prepared** events: a seat that is already there, a booking
    under its idempotency key, a used ticket all tell that the first call had come through.
    """

    def __init__(self, text: str = "The audit record cannot be written now, so nothing was changed.") -> None:
        super().__init__("audit-unavailable", text)


class StoreFenced(StoreUnavailable):
    """A newer generation of writers has taken over, or the ledger is closed for a restore."""

    def __init__(self) -> None:
        super().__init__("This server may no longer write to the ledger.")


class UnsafeFiles(QuietroomError):
    """A directory or file for private things has the wrong owner or mode."""

    def __init__(self, text: str) -> None:
        super().__init__("unsafe-files", text)


class DataDirectoryBusy(QuietroomError):
    """Another store server holds the lock of this data directory."""

    def __init__(self) -> None:
        super().__init__("data-directory-busy", "Another store server is using this data directory.")
