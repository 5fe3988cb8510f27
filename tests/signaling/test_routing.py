"""Routes, calls and cookies."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aiohttp import web

from broker.policy import Role
from signaling.routing import STAFF_COOKIES, Call, clear_cookie, seat_cookie, set_cookie
from signaling.services import Services


def call() -> Call:
    nothing = cast("Any", None)
    return Call(cast("web.Request", nothing), cast("Services", nothing), Role.ANONYMOUS)


def test_a_seats_cookie_names_neither_session_nor_seat() -> None:
    one = seat_cookie("0123456789abcdefghjkmnpqrs", "A")
    assert one.startswith("__Host-seat-")
    assert len(one) == len("__Host-seat-") + 16
    assert "0123456789abcdefghjkmnpqrs"[:8] not in one
    assert len({one, seat_cookie("0123456789abcdefghjkmnpqrs", "B"), seat_cookie("x", "A")}) == 3


def test_cookies_are_bound_to_the_host() -> None:
    response = web.Response()
    for name in (*STAFF_COOKIES.values(), seat_cookie("m", "A")):
        set_cookie(response, name, "v")
        cookie = response.cookies[name]
        assert name.startswith("__Host-")
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Strict")
        assert (cookie["path"], cookie.get("domain", ""), cookie.get("max-age", "")) == ("/", "", "")


def test_a_cleared_cookie_is_cleared_under_the_same_conditions() -> None:
    response = web.Response()
    clear_cookie(response, "__Host-x")
    cookie = response.cookies["__Host-x"]
    assert (cookie["max-age"], cookie["path"], cookie["secure"]) == ("0", "/", True)


def test_asking_an_open_route_who_is_calling_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="nobody need have signed in"):
        _ = call().me
    with pytest.raises(AssertionError, match="no seat need be known"):
        _ = call().seat
