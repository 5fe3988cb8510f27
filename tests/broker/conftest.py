"""A real, empty store for every test that asks for one."""

from __future__ import annotations

from tests.support.practice import hasher, practice
from tests.support.stores import keys, ledger, server, store

__all__ = ["hasher", "keys", "ledger", "practice", "server", "store"]
