"""Staff: sign in, book sessions, list them, end them, take the host's ticket, unlock a seat.

A session that is not one's own answers like one that does not exist. Times on the wire are RFC 3339 with an
offset; inside they are milliseconds since 1970.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from broker.audit import AuditEvent, EventType
from broker.booking import BookedSession
from broker.errors import BadInput, Refused
from broker.identity import Staff
from broker.policy import Permission, Role
from broker.private import Private
from broker.seats import PLANS, SessionKind
from broker.sessions import Session, encryption_of
from signaling.messages import (
    Account,
    BookBody,
    Booked,
    HostTicketBody,
    LoginBody,
    SeatLink,
    SessionSummary,
    Ticket,
)
from signaling.routing import (
    ROLE_HEADER,
    STAFF_COOKIES,
    Call,
    Route,
    answer,
    clear_cookie,
    no_content,
    set_cookie,
)

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


async def login(call: Call, body: LoginBody) -> web.StreamResponse:
    """Sign in; a sign-in that this browser had in the same role ends."""
    identity = call.services.identity
    signed_in = await identity.sign_in(body.name, Private(body.password))
    cookie = STAFF_COOKIES[signed_in.staff.role]
    if former := call.request.cookies.get(cookie):
        await identity.sign_out(former)
    response = answer(account(signed_in.staff))
    set_cookie(response, cookie, signed_in.token.reveal())
    return response


async def logout(call: Call, body: None) -> web.StreamResponse:
    """Sign out of the role that the request acts in."""
    cookie = STAFF_COOKIES[call.me.role]
    await call.services.identity.sign_out(call.request.cookies[cookie])
    response = no_content()
    clear_cookie(response, cookie)
    return response


async def me(call: Call, body: None) -> web.StreamResponse:
    """Who is signed in."""
    return answer(account(call.me))


async def book(call: Call, body: BookBody) -> web.StreamResponse:
    """Book a session; its credentials are in this answer and nowhere else."""
    key = call.request.headers.get("Idempotency-Key", "")
    if not _KEY.fullmatch(key):
        raise BadInput("idempotency-key-needed")
    check_encryption(body, programs=call.services.programs)
    booked = await call.services.booking.book(
        SessionKind(body.kind),
        milliseconds(body.starts),
        milliseconds(body.ends),
        await _clinician(call, body.host),
        await _clinician(call, body.cohost) if body.cohost is not None else None,
        call.me.id,
        key,
        body.link_authenticator_hash,
    )
    call.services.changes.notify()
    public_url = call.services.public_url
    return answer(booked_answer(booked, public_url, password_in_link=body.password_in_link), 201)


async def sessions(call: Call, body: None) -> web.StreamResponse:
    """The sessions of this clinician; an admin sees all."""
    await call.services.ledger.append(
        AuditEvent(type=EventType.STATUS_VIEWED, actor=call.me.id, subject="sessions")
    )
    found = await call.services.booking.sessions_of(call.me)
    return answer([summary(session, call.services.public_url) for session in found])


async def end(call: Call, body: None) -> web.StreamResponse:
    """End a session for everybody in it."""
    session = await call.services.booking.load(call.request.match_info["meeting"])
    if session is None or (call.me.role is not Role.ADMIN and session.host_seat(call.me.id) is None):
        await call.services.ledger.append(
            AuditEvent(
                type=EventType.AUTHZ_DENIED,
                actor=call.me.id,
                subject=call.me.id,
                reason="no-care-relation",
                outcome="refused",
                detail={"permission": "end-session"},
            )
        )
        raise Refused("no-session")
    await call.services.booking.end(session.meeting, call.me.id, None)
    call.services.reload(session.meeting)
    return no_content()


async def host_ticket(call: Call, body: HostTicketBody) -> web.StreamResponse:
    """A ticket for the host's page."""
    return answer(Ticket((await call.services.tickets.issue_to_host(call.me, body.meeting)).reveal()))


async def unlock(call: Call, body: None) -> web.StreamResponse:
    """Let a seat try its password again."""
    match = call.request.match_info
    await call.services.credentials.unlock(match["meeting"], match["seat"], call.me.id)
    call.services.changes.notify()
    return no_content()


# ---- values --------------------------------------------------------------------------------------------


async def _clinician(call: Call, name: str | None) -> Staff:
    """The therapist of that account name; the caller when none is named.

    Raises:
        BadInput: ``bad-host``.
    """
    staff = call.me if name is None else await call.services.identity.staff_by_name(name)
    if staff is None or staff.role is not Role.THERAPIST:
        raise BadInput("bad-host")
    return staff


def check_encryption(body: BookBody, *, programs: bool) -> None:
    """See to it that a session is end-to-end encrypted, or that it must not be and who books says so.

    Args:
        programs: whether programs may publish, for which the server must be able to decrypt.

    Raises:
        BadInput: ``bad-encryption``.
    """
    sealed, transport_only = body.link_authenticator_hash is not None, body.encryption is not None
    if sealed == transport_only or (transport_only and not programs):
        raise BadInput("bad-encryption")


def account(staff: Staff) -> Account:
    """Who is signed in, as their own page shows it."""
    return Account(staff.name.reveal(), "admin" if staff.role is Role.ADMIN else "therapist")


def milliseconds(text: str) -> int:
    """An RFC 3339 time as milliseconds since 1970.

    Raises:
        BadInput: ``bad-window``, also without an offset: nobody's local time is guessed.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise BadInput("bad-window") from None


def rfc3339(ms: int) -> str:
    """Milliseconds since 1970 as an RFC 3339 time in UTC, to the second."""
    return datetime.fromtimestamp(ms // 1000, UTC).isoformat().replace("+00:00", "Z")


def booked_answer(
    booked: BookedSession, public_url: str, *, password_in_link: bool, secret: Private[str] | None = None
) -> Booked:
    """What the one who books gets to hand out.

    Args:
        booked: with the credentials in the clear.
        public_url: our origin.
        password_in_link: whether a link alone opens the waiting room.
        secret: the link secret, where it was drawn here: on the operator's own command line.
    """
    page = f"{public_url}/j/{booked.meeting}"
    ending = "" if secret is None else f".{secret.reveal()}"
    ending += f".{booked.password.reveal()}" if password_in_link else ""
    return Booked(
        meeting=booked.meeting,
        password=booked.password.reveal(),
        kind=booked.session.kind.value,
        starts=rfc3339(booked.session.starts_ms),
        ends=rfc3339(booked.session.ends_ms),
        seats=tuple(
            SeatLink(code, PLANS[code].label, token.reveal(), f"{page}#{token.reveal()}{ending}")
            for code, token in booked.seat_tokens.items()
        ),
        host_link=host_link(booked.meeting, public_url) + ("" if secret is None else f"#{secret.reveal()}"),
        encryption=encryption_of(booked.session).value,
    )


def summary(session: Session, public_url: str) -> SessionSummary:
    """A session in a list."""
    return SessionSummary(
        meeting=session.meeting,
        kind=session.kind.value,
        state="open" if session.open else "ended",
        starts=rfc3339(session.starts_ms),
        ends=rfc3339(session.ends_ms),
        host_link=host_link(session.meeting, public_url),
        encryption=encryption_of(session).value,
    )


def host_link(meeting: str, public_url: str) -> str:
    """Where the clinicians of a session go; opens nothing by itself."""
    return f"{public_url}/host/{meeting}"


_ROLE: Final = {ROLE_HEADER: "therapist or admin, when both are signed in."}

ROUTES: Final = (
    Route(
        method="POST",
        path="/api/login",
        permission=Permission.SIGN_IN,
        handle=login,
        about="Signs a member of staff in and sets the cookie of their role. One refusal for every cause.",
        body=LoginBody,
        answer=Account,
        refusals=("cannot-sign-in", "busy"),
    ),
    Route(
        method="POST",
        path="/api/logout",
        permission=Permission.SIGN_OUT,
        handle=logout,
        about="Ends the sign-in and its cookie.",
        status=204,
        headers=_ROLE,
    ),
    Route(
        method="GET",
        path="/api/me",
        permission=Permission.VIEW_ACCOUNT,
        handle=me,
        about="Who is signed in.",
        answer=Account,
        headers=_ROLE,
        query={"role": "The same as the header."},
    ),
    Route(
        method="POST",
        path="/api/sessions",
        permission=Permission.BOOK,
        handle=book,
        about="Books a session. The password and the seat tokens are shown this once; the same key and body "
        "within 24 hours get the same answer again.",
        body=BookBody,
        answer=Booked,
        status=201,
        refusals=(
            "bad-window",
            "bad-host",
            "bad-encryption",
            "bad-authenticator",
            "idempotency-key-needed",
            "idempotency-conflict",
            "busy",
        ),
        headers={"Idempotency-Key": "Required: new for each booking, the same when it is tried again."}
        | _ROLE,
    ),
    Route(
        method="GET",
        path="/api/sessions",
        permission=Permission.LIST_SESSIONS,
        handle=sessions,
        about="The sessions of this clinician, latest first; an admin sees all. Recorded as status.viewed.",
        answer=tuple[SessionSummary, ...],
        headers=_ROLE,
    ),
    Route(
        method="POST",
        path="/api/sessions/{meeting}/end",
        permission=Permission.END_SESSION,
        handle=end,
        about="Ends a session for everybody; by its host or cohost, or by an admin.",
        status=204,
        refusals=("no-session",),
        headers=_ROLE,
    ),
    Route(
        method="POST",
        path="/api/host-ticket",
        permission=Permission.HOST_SESSION,
        handle=host_ticket,
        about="A single-use ticket, good for 30 s, with which the host's page opens /ws.",
        body=HostTicketBody,
        answer=Ticket,
        refusals=("no-session",),
    ),
    Route(
        method="POST",
        path="/api/sessions/{meeting}/seats/{seat}/unlock",
        permission=Permission.UNLOCK_SEAT,
        handle=unlock,
        about="Forgets the failed attempts of a seat, so that its person may try again.",
        status=204,
        refusals=("no-session", "no-seat"),
    ),
)
