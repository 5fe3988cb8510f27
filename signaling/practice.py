"""The practice, opened: its store, ledger, keys and services, in the order in which they stand on each other.

    settings ─▶ keys ─▶ store (a URL, or our own child) ─▶ ledger ─▶ identity, booking, credentials, admission

The server and every command open it the same way. A command works beside a running server: it uses the
store that the server started, under a node name of its own, and the server hears of what it did through the
ledger. Without a server it starts the store for the moment.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from broker.admission import Admission
from broker.bearers import Bearers
from broker.booking import Booking
from broker.credentials import Credentials
from broker.embedded import EmbeddedStore
from broker.errors import DataDirectoryBusy
from broker.identity import Identity
from broker.ids import new_password
from broker.ledger import Ledger
from broker.passwords import Hasher
from broker.private import Private
from broker.sealing import Keyring
from broker.store import Store
from broker.tickets import Tickets
from signaling.settings import Settings

_MOMENT: Final = 3.0
"""Seconds a server waits for a command that has the store open."""


@dataclass(frozen=True, slots=True)
class Practice:
    """One practice, as long as it is open.

    Attributes:
        embedded: our own store server, or the one of the server beside us; ``None`` with a store URL.
        beside: whether another process runs that store server.
    """

    settings: Settings
    embedded: EmbeddedStore | None
    beside: bool
    store: Store
    ledger: Ledger
    hasher: Hasher
    identity: Identity
    booking: Booking
    credentials: Credentials
    tickets: Tickets
    bearers: Bearers
    admission: Admission


@asynccontextmanager
async def open_practice(settings: Settings, *, command: bool = False) -> AsyncIterator[Practice]:
    """Open the practice for the length of the block.

    Args:
        settings: where it is.
        command: this is a command, which may run beside a server; a server wants the store for itself.

    Raises:
        StoreUnavailable: the store does not answer, or cannot write.
        DataDirectoryBusy: another server runs on the data directory.
        NoStoreServer: no store server is installed.
        UnsafeFiles: others could read the keys or the data.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = Keyring(settings.keys_dir)
    # A name from the environment is the server's; two writers of one name would number their events alike.
    node = f"c-{secrets.token_hex(6)}" if command else settings.node
    async with AsyncExitStack() as stack:
        embedded = None if settings.redis_url else await embedded_store(settings, stack, command=command)
        url = settings.redis_url or (embedded.url if embedded else "")
        store = Store(url, settings.practice, node)
        stack.push_async_callback(store.close)
        await store.start()
        ledger = Ledger(store, keys)
        stack.push_async_callback(ledger.close)
        await ledger.start()
        hasher = Hasher()
        stack.callback(hasher.close)
        identity = Identity(store, ledger, keys, hasher)
        booking = Booking(store, ledger, keys, hasher)
        credentials = Credentials(store, ledger, booking, hasher)
        yield Practice(
            settings=settings,
            embedded=embedded,
            beside=embedded is not None and not embedded.owned,
            store=store,
            ledger=ledger,
            hasher=hasher,
            identity=identity,
            booking=booking,
            credentials=credentials,
            tickets=Tickets(store, ledger, booking, credentials),
            bearers=Bearers(store, ledger, booking, credentials),
            admission=Admission(store, ledger, booking),
        )


def new_staff_password() -> Private[str]:
    """Make a password for a staff account: 75 bits, ``XXXXX-XXXXX-XXXXX``."""
    return Private(f"{new_password().reveal()}-{new_password().reveal()[:5]}")


async def embedded_store(
    settings: Settings, stack: AsyncExitStack, *, command: bool = False
) -> EmbeddedStore:
    """Start the store as our child, or for a command use the one of a running server; it ends with the stack.

    Raises:
        DataDirectoryBusy, NoStoreServer, UnsafeFiles: see ``EmbeddedStore``.
    """
    if command:
        return await stack.enter_async_context(EmbeddedStore.attach(settings.store_dir))
    give_up = asyncio.get_running_loop().time() + _MOMENT
    while True:
        try:
            return await stack.enter_async_context(EmbeddedStore(settings.store_dir))
        except DataDirectoryBusy:
            if asyncio.get_running_loop().time() > give_up:
                raise
            await asyncio.sleep(0.1)
