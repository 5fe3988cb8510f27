"""Tests mirror modules: broker/seats.py is tested in tests/broker/test_seats.py.

A module with several test files adds an aspect: tests/rooms/test_media_browser.py tests rooms/media.py too.
"""

from __future__ import annotations

from tests.architecture.tree import PACKAGES, ROOT, modules

# Modules without a test file of their own, each with the reason.
TESTED_ELSEWHERE = {
    "rooms.effects": "orders without behaviour; tests/rooms/test_room.py speaks in them",
    "rooms.groups": "words without behaviour; tests/rooms/test_group.py and test_delivery.py speak in them",
    "rooms.events": "facts without behaviour; tests/rooms/test_room.py speaks in them",
}


def without_test(names: set[str], tests: set[str]) -> set[str]:
    """Modules, as ``package.module``, that no test file, as ``package.test_module``, mirrors."""
    mirrored = {test.replace(".test_", ".", 1) for test in tests}
    return {name for name in names if name not in mirrored}


def without_module(names: set[str], tests: set[str]) -> set[str]:
    """Test files that mirror no module, not even with an aspect after its name."""
    mirrored = {test: test.replace(".test_", ".", 1) for test in tests}
    return {
        test
        for test, name in mirrored.items()
        if not any(name == module or name.startswith(f"{module}_") for module in names)
    }


def _names() -> set[str]:
    return {name for package in PACKAGES for name in modules(package)}


def _tests() -> set[str]:
    return {
        f"{package}.{path.stem}"
        for package in PACKAGES
        for path in (ROOT / "tests" / package).glob("test_*.py")
    }


def test_every_module_has_its_test() -> None:
    assert without_test(_names(), _tests()) - TESTED_ELSEWHERE.keys() == set()


def test_every_test_has_its_module() -> None:
    assert without_module(_names(), _tests()) == set()


def test_no_reason_is_kept_for_a_module_that_has_a_test_or_is_gone() -> None:
    assert TESTED_ELSEWHERE.keys() - without_test(_names(), _tests()) == set()


def test_a_missing_half_is_found() -> None:
    names, tests = (
        {"rooms.room", "rooms.media"},
        {"rooms.test_media", "rooms.test_media_browser", "rooms.test_gone"},
    )
    assert without_test(names, tests) == {"rooms.room"}
    assert without_module(names, tests) == {"rooms.test_gone"}
