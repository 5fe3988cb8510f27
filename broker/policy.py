"""Who may do what: one table, deny by default.

A request acts in exactly one role. What the table does not grant is refused, an unknown role or permission
included; nothing else in the code decides by role. Some permissions need a *relation* besides the role,
checked where the object is at hand:

    host-session, end-session   the therapist is host or cohost of that session (``Session.host_seat``);
                                an admin may end any session and host none
    resume-seat and the rest    the cookie is of that very seat and of its present epoch (``credentials``)

A refused relation answers exactly as if the session did not exist.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """In which role a request acts."""

    ANONYMOUS = "anonymous"
    SEAT = "seat"
    THERAPIST = "therapist"
    ADMIN = "admin"


class Permission(StrEnum):
    """What can be asked for; every route declares one of these."""

    VIEW_PAGE = "view-page"
    """Static pages and files; they hold no data."""
    CHECK_HEALTH = "check-health"
    VIEW_METRICS = "view-metrics"
    """Counts and durations only; besides, the request must come from this machine or show a token."""
    READ_API = "read-api"
    READ_AGREEMENT = "read-agreement"
    OPEN_LINK = "open-link"
    ENTER_SEAT = "enter-seat"
    SIGN_IN = "sign-in"
    CONNECT = "connect"
    """Open the signaling connection; the ticket decides as whom."""
    INGEST = "ingest"
    """Publish by WHIP, where that is switched on; the seat token decides as whom."""

    RESUME_SEAT = "resume-seat"
    AGREE = "agree"
    TAKE_SEAT_TICKET = "take-seat-ticket"
    LEAVE_SEAT = "leave-seat"

    SIGN_OUT = "sign-out"
    VIEW_ACCOUNT = "view-account"
    BOOK = "book"
    LIST_SESSIONS = "list-sessions"
    HOST_SESSION = "host-session"
    END_SESSION = "end-session"

    VIEW_BOARD = "view-board"
    VIEW_AUDIT = "view-audit"
    UNLOCK_SEAT = "unlock-seat"


_EVERYBODY: Final = frozenset(
    {
        Permission.VIEW_PAGE,
        Permission.CHECK_HEALTH,
        Permission.VIEW_METRICS,
        Permission.READ_API,
        Permission.READ_AGREEMENT,
        Permission.OPEN_LINK,
        Permission.ENTER_SEAT,
        Permission.SIGN_IN,
        Permission.CONNECT,
        Permission.INGEST,
    }
)

_STAFF: Final = frozenset(
    {
        Permission.SIGN_OUT,
        Permission.VIEW_ACCOUNT,
        Permission.BOOK,
        Permission.LIST_SESSIONS,
        Permission.END_SESSION,
    }
)

TABLE: Final[dict[Role, frozenset[Permission]]] = {
    Role.ANONYMOUS: _EVERYBODY,
    Role.SEAT: _EVERYBODY
    | {Permission.RESUME_SEAT, Permission.AGREE, Permission.TAKE_SEAT_TICKET, Permission.LEAVE_SEAT},
    Role.THERAPIST: _EVERYBODY | _STAFF | {Permission.HOST_SESSION},
    Role.ADMIN: _EVERYBODY | _STAFF | {Permission.VIEW_BOARD, Permission.VIEW_AUDIT, Permission.UNLOCK_SEAT},
}
"""The whole policy. A clinician sees no audit stream; an admin enters no room."""


def allowed(role: str, permission: str) -> bool:
    """Whether a request in this role has this permission.

    Args:
        role: a ``Role`` or its word.
        permission: a ``Permission`` or its word.

    Returns:
        ``False`` for everything the table does not grant, unknown words included.
    """
    try:
        return Permission(permission) in TABLE[Role(role)]
    except (ValueError, KeyError):
        return False


def roles_with(permission: Permission) -> frozenset[Role]:
    """The roles that have a permission; the front uses the sign-in of one of these."""
    return frozenset(role for role in Role if allowed(role, permission))
