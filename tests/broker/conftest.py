"""A real, empty store for every test that asks for one."""

from __future__ import annotations

from tests.support.stores import keys, ledger, server, store

__all__ = ["keys", "ledger", "server", "store"]
