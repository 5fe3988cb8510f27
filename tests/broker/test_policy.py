"""Deny by default, and the cells of the table that matter most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.policy import TABLE, Permission, Role, allowed, roles_with


@given(st.text(), st.text())
def test_unknown_words_are_denied(role: str, permission: str) -> None:
    assert allowed(role, permission) is (
        role in set(Role) and permission in set(Permission) and Permission(permission) in TABLE[Role(role)]
    )
    assert not allowed(role + "x", Permission.VIEW_PAGE)
    assert not allowed(Role.ADMIN, permission + "x")


def test_every_role_has_a_row_and_every_permission_a_holder() -> None:
    assert set(TABLE) == set(Role)
    assert frozenset().union(*TABLE.values()) == frozenset(Permission)


@pytest.mark.parametrize(
    ("permission", "holders"),
    [
        (Permission.BOOK, {Role.THERAPIST, Role.ADMIN}),
        (Permission.LIST_SESSIONS, {Role.THERAPIST, Role.ADMIN}),
        (Permission.END_SESSION, {Role.THERAPIST, Role.ADMIN}),
        (Permission.HOST_SESSION, {Role.THERAPIST}),
        (Permission.VIEW_BOARD, {Role.ADMIN}),
        (Permission.VIEW_AUDIT, {Role.ADMIN}),
        (Permission.UNLOCK_SEAT, {Role.ADMIN}),
        (Permission.AGREE, {Role.SEAT}),
        (Permission.TAKE_SEAT_TICKET, {Role.SEAT}),
        (Permission.RESUME_SEAT, {Role.SEAT}),
        (Permission.LEAVE_SEAT, {Role.SEAT}),
    ],
)
def test_sensitive_permissions_have_exactly_these_holders(permission: Permission, holders: set[Role]) -> None:
    assert {role for role in Role if allowed(role, permission)} == holders
    assert roles_with(permission) == holders


def test_nobody_signed_in_may_do_less_than_a_stranger() -> None:
    for role in Role:
        assert TABLE[Role.ANONYMOUS] <= TABLE[role]
