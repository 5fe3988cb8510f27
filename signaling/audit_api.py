"""Reading the audit stream: a page at a time, or live and resumable from any index.

Reading is itself an event: ``audit.viewed`` is durable before the first byte, and with the store down there
is ``audit-unavailable`` instead. Indexes have no holes, so a reader knows what it has: it asks for what
comes after the last one, as ``?after=`` or, after a break, as the browser's own ``Last-Event-ID``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from aiohttp import web

from broker.audit import AuditEvent, EventType
from broker.errors import BadInput
from broker.ledger import Entry, Ledger
from broker.policy import Permission
from signaling.messages import AuditPage, AuditRecord
from signaling.routing import Call, Route, answer
from signaling.streams import Sent, serve

PAGE: Final = 100
MAX_PAGE: Final = 500
_MAX_INDEX: Final = 2**53


async def audit(call: Call, body: None) -> web.StreamResponse:
    """A stretch of the audit stream."""
    after = number(call.request.query.get("after"), -1, _MAX_INDEX, otherwise=-1)
    limit = number(call.request.query.get("limit"), 1, MAX_PAGE, otherwise=PAGE)
    await _viewed(call, after)
    records = tuple(record(entry) for entry in await call.services.ledger.read(after + 1, limit))
    return answer(AuditPage(records, records[-1].index if records else after))


async def audit_stream(call: Call, body: None) -> web.StreamResponse:
    """The audit stream, live."""
    # After a break the browser knows better than the address it was opened with.
    asked = call.request.headers.get("Last-Event-ID") or call.request.query.get("after")
    after = number(asked, -1, _MAX_INDEX, otherwise=-1)
    await _viewed(call, after)
    return await serve(call, _records(call.services.ledger, after))


async def _viewed(call: Call, after: int) -> None:
    """Record the reading before anything is read.

    Raises:
        StoreUnavailable: then nothing is.
    """
    await call.services.ledger.append(
        AuditEvent(type=EventType.AUDIT_VIEWED, actor=call.me.id, subject="audit", detail={"after": after})
    )


async def _records(ledger: Ledger, after: int) -> AsyncGenerator[Sent]:
    # Closed with us, not when the collector comes round: the ledger counts its readers.
    async with aclosing(ledger.tail(after)) as entries:
        async for entry in entries:
            yield Sent("audit", record(entry), entry.index)


def record(entry: Entry) -> AuditRecord:
    """An entry of the ledger as it is told. One whose key is gone keeps its place and its clear header."""
    event, header = entry.event, entry.leaf.header
    return AuditRecord(
        index=entry.index,
        time_us=entry.time_us,
        type=header.t,
        outcome="failed" if header.o not in {"ok", "refused"} else "ok" if header.o == "ok" else "refused",
        actor=event.actor if event else "unreadable",
        subject=event.subject if event else "unreadable",
        subject_seq=entry.subject_seq,
        session=event.session if event else None,
        seat=event.seat if event else None,
        reason=event.reason if event else None,
        detail=event.detail if event else {},
    )


def number(text: str | None, least: int, most: int, *, otherwise: int) -> int:
    """A whole number of a query or header.

    Args:
        text: as it came; ``None`` means ``otherwise``.

    Raises:
        BadInput: ``bad-message``.
    """
    if text is None:
        return otherwise
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16) or not least <= int(text) <= most:
        raise BadInput("bad-message", f"A number in the address must be from {least} to {most}.")
    return int(text)


_AFTER: Final = {"after": "Index of the last event known; -1, or left out, for all."}

ROUTES: Final = (
    Route(
        method="GET",
        path="/api/audit",
        permission=Permission.VIEW_AUDIT,
        handle=audit,
        about="A stretch of the audit stream. Recorded as audit.viewed.",
        answer=AuditPage,
        query=_AFTER | {"limit": f"At most so many events, up to {MAX_PAGE}; {PAGE} when left out."},
    ),
    Route(
        method="GET",
        path="/api/audit/stream",
        permission=Permission.VIEW_AUDIT,
        handle=audit_stream,
        about="Server-sent events: audit (an AuditRecord, its index as the id), first those there are, then "
        "live, each once and without a hole. Recorded as audit.viewed.",
        answer="text/event-stream",
        refusals=("too-fast", "draining"),
        headers={"Last-Event-ID": "Sent by browsers after a break; counts instead of after."},
        query=_AFTER,
    ),
)
