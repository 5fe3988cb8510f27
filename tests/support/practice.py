"""A practice on a real store: every service of the broker, wired as the server wires them.

``from tests.support.practice import hasher, practice`` in a conftest.py, beside the fixtures of ``stores``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from broker.admission import Admission
from broker.agreement import CURRENT
from broker.audit import AuditEvent, EventType
from broker.booking import BookedSession, Booking
from broker.credentials import Credentials, SeatGrant
from broker.identity import Identity, Staff
from broker.ids import new_code
from broker.ledger import Ledger
from broker.passwords import Hasher
from broker.policy import Role
from broker.private import Private
from broker.sealing import Keyring
from broker.seats import SeatAction, SeatCode, SessionKind
from broker.store import Store
from broker.tickets import Tickets

MINUTE = 60_000
HOUR = 60 * MINUTE
A, B, P, T, C = (SeatCode(code) for code in "ABPTC")

HOST = Staff("staff:h0st00000000", Private("Dr. Canary Host"), Role.THERAPIST, "l0g1n001")
COHOST = Staff("staff:c0h0st000000", Private("Dr. Canary Cohost"), Role.THERAPIST, "l0g1n002")
STRANGER = Staff("staff:0ther0000000", Private("Dr. Canary Other"), Role.THERAPIST, "l0g1n003")
ADMIN = Staff("staff:adm1n0000000", Private("Canary Admin"), Role.ADMIN, "l0g1n004")


@dataclass
class Practice:
    """Services and shortcuts."""

    store: Store
    ledger: Ledger
    hasher: Hasher
    identity: Identity
    booking: Booking
    credentials: Credentials
    tickets: Tickets
    admission: Admission

    @property
    def now(self) -> int:
        """Store time, ms."""
        now = self.store.now_ms()
        assert now is not None
        return now

    async def book(
        self,
        kind: SessionKind = SessionKind.COUPLE,
        *,
        starts_in: int = -MINUTE,
        ends_in: int = HOUR,
        host: Staff = HOST,
        cohost: Staff | None = None,
        key: str | None = None,
        link_auth: str | None = None,
    ) -> BookedSession:
        """Book a session, by default of HOST and one that began a minute ago."""
        now = self.now
        return await self.booking.book(
            kind, now + starts_in, now + ends_in, host, cohost, host.id, key or new_code(12), link_auth
        )

    async def enter(self, booked: BookedSession, seat: SeatCode = A) -> SeatGrant:
        """Come in with the right credentials."""
        token = booked.seat_tokens[seat].reveal()
        return await self.credentials.enter(booked.meeting, token, booked.password)

    async def waiting(self, booked: BookedSession, *seats: SeatCode) -> None:
        """Bring seats into the waiting room."""
        for seat in seats:
            grant = await self.enter(booked, seat)
            await self.credentials.agree(grant, CURRENT.version)
            await self.admission.change(booked.meeting, SeatAction.KNOCK, (seat,), grant.actor)

    async def admitted(self, booked: BookedSession, *seats: SeatCode) -> None:
        """Bring seats into the room."""
        await self.waiting(booked, *seats)
        await self.admission.change(booked.meeting, SeatAction.ADMIT, seats, HOST.id)

    async def states(self, booked: BookedSession) -> dict[str, str]:
        """Where each seat stands."""
        session = await self.booking.load(booked.meeting)
        assert session is not None
        return {code: seat.state.value for code, seat in session.seats.items()}

    async def events(self, *kinds: EventType) -> list[AuditEvent]:
        """Everything on record, or what is of these kinds."""
        await self.ledger.flushed()
        entries = await self.ledger.read(0, 10_000)
        found = [entry.event for entry in entries if entry.event is not None]
        assert len(found) == len(entries)
        return [event for event in found if not kinds or event.type in kinds]

    async def kept(self) -> list[str]:
        """Everything the store holds, as text to search."""
        link = self.store.link
        kept = []
        for key in await link.read("KEYS", "*"):
            kind = (await link.read("TYPE", key)).decode()
            read = {
                "hash": ("HGETALL", key),
                "string": ("GET", key),
                "set": ("SMEMBERS", key),
                "zset": ("ZRANGE", key, 0, -1),
                "stream": ("XRANGE", key, "-", "+"),
            }[kind]
            kept.append(repr((key, await link.read(*read))))
        return kept

    async def commands(self) -> tuple[int, int]:
        """How many sessions or records were read so far, and how many scripts were run.

        The store's own probe, a script with one SET that comes when nothing was written for a second, is
        left out; a script that runs for the first time counts twice.
        """
        stats = await self.store.link.read("INFO", "commandstats")
        reads, scripts, probes = (
            int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("hgetall", "evalsha", "set")
        )
        return reads, scripts - probes

    async def rewrite(self, booked: BookedSession, **fields: object) -> None:
        """Set fields of a session behind everybody's back, to force what would take hours."""
        for name, value in fields.items():
            key = self.store.link.key("session", booked.meeting)
            await self.store.link.plain("HSET", key, name.replace("_", "."), str(value))


@pytest.fixture(scope="session")
def hasher() -> Iterator[Hasher]:
    """The real Argon2id."""
    hasher = Hasher()
    yield hasher
    hasher.close()


@pytest.fixture
async def practice(store: Store, ledger: Ledger, keys: Keyring, hasher: Hasher) -> Practice:
    """A practice without sessions."""
    booking = Booking(store, ledger, keys, hasher)
    credentials = Credentials(store, ledger, booking, hasher)
    return Practice(
        store,
        ledger,
        hasher,
        Identity(store, ledger, keys, hasher),
        booking,
        credentials,
        Tickets(store, ledger, booking, credentials),
        Admission(store, ledger, booking),
    )
