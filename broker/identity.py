"""Staff accounts and their sign-ins (signatures; the bodies follow)."""

from __future__ import annotations

from dataclasses import dataclass

from broker.policy import Role
from broker.private import Private


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff.

    Attributes:
        id: opaque code, ``staff:`` and 12 characters; this, never the name, goes to the ledger and the log.
        login: opaque code of the sign-in this came from; empty when looked up by name.
    """

    id: str
    name: Private[str]
    role: Role
    login: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that has just happened; ``token`` is the cookie value."""

    staff: Staff
    token: Private[str]


class Identity:
    """Staff accounts of the practice."""

    async def add_staff(self, name: str, role: Role, password: Private[str], *, actor: str) -> Staff:
        """Add an account. Raises BadInput ``bad-name``/``bad-password``/``bad-role``, Refused ``name-taken``."""
        raise NotImplementedError

    async def sign_in(self, name: str, password: Private[str]) -> SignedIn:
        """Check name and password. Raises Refused ``cannot-sign-in`` (all causes alike) or ``busy``."""
        raise NotImplementedError

    async def staff_for(self, token: str | None, role: Role) -> Staff | None:
        """Who a cookie value speaks for, if its sign-in lives and has this role."""
        raise NotImplementedError

    async def sign_out(self, token: str) -> None:
        """End a sign-in; unknown ones are ended already."""
        raise NotImplementedError

    async def staff_by_name(self, name: str) -> Staff | None:
        """Look an account up by name."""
        raise NotImplementedError

    async def staff_by_id(self, staff_id: str) -> Staff | None:
        """Look an account up by id."""
        raise NotImplementedError
