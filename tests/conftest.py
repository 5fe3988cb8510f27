"""What holds for every test; fixtures live beside the tests that use them (tests/<package>/conftest.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

E2E = Path(__file__).parent / "e2e"
LONG = (
    "test_workers.py",
    "test_sealed.py",
    "test_accessibility.py",
    "test_visit.py",
    "test_hostile_server.py",
    "test_devices.py",
    "test_screen.py",
    "test_one_port.py",
    "test_store_trouble.py",
    "test_firefox.py",
    "test_wire.py",
    "test_encrypted_visit.py",
)
"""Files that take longest. They begin first: one that began last would run while the other processes have
nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of tests/e2e/ as browser tests, so that ``make check`` leaves them out; long files first."""
    for item in items:
        if item.path.is_relative_to(E2E):
            item.add_marker(pytest.mark.browser)
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
