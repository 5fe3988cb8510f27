"""The patient's way in: no account, a seat token and a password, then a cookie that speaks for one seat.

    link opened ─▶ enter (token + password) ─▶ cookie ─▶ agreement ─▶ ticket ─▶ /ws
                     │ cannot-enter                        └─▶ leave: the place is given up, the cookie ends

``enter`` has one refusal for every cause: unknown, wrong, ended, not yet, not yours and locked differ in
nothing outside, neither in status, body and headers nor in the work done (that part is the broker's).
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from broker.agreement import CURRENT
from broker.credentials import SeatGrant
from broker.errors import BadInput, Refused
from broker.ids import parse_meeting_id, parse_seat_token
from broker.policy import Permission
from broker.private import Private
from broker.seats import SeatAction
from broker.sessions import encryption_of
from signaling.connection import LEFT_PAGE
from signaling.messages import AgreeBody, Agreement, EnterBody, Entered, LinkOpened, SeatBody, Ticket
from signaling.routing import Call, Route, answer, clear_cookie, no_content, seat_cookie, set_cookie


async def link_opened(call: Call, body: LinkOpened) -> web.StreamResponse:
    """Record that a link was opened; the answer tells nothing about it."""
    try:
        await call.services.credentials.link_opened(body.meeting, body.seat_token)
    except (BadInput, Refused):
        pass  # a link that is none looks like one that is
    return no_content()


async def enter(call: Call, body: EnterBody) -> web.StreamResponse:
    """Open a credential session for a seat."""
    grant = await call.services.credentials.enter(
        body.meeting,
        body.seat_token,
        Private(body.password),
        held_cookie(call, body),
        None if body.link_auth is None else Private(body.link_auth),
    )
    response = answer(entered(grant))
    set_cookie(response, seat_cookie(grant.meeting, grant.seat), grant.secret.reveal())
    return response


async def seat(call: Call, body: SeatBody) -> web.StreamResponse:
    """Tell a page that was reloaded where it stands."""
    return answer(entered(call.seat))


async def agreement(call: Call, body: None) -> web.StreamResponse:
    """The agreement in force."""
    return answer(Agreement(CURRENT.version, CURRENT.title, CURRENT.paragraphs))


async def agree(call: Call, body: AgreeBody) -> web.StreamResponse:
    """Accept the agreement for this seat."""
    await call.services.credentials.agree(call.seat, body.version)
    call.services.reload(call.seat.meeting)
    return no_content()


async def seat_ticket(call: Call, body: SeatBody) -> web.StreamResponse:
    """A ticket for one signaling connection."""
    return answer(Ticket((await call.services.tickets.issue(call.seat)).reveal()))


async def seat_leave(call: Call, body: SeatBody) -> web.StreamResponse:
    """Give the place up; sent by a page that is being closed, so nobody may be there to read the answer.

    A device that does not have the place cannot give it up for the one that has: only its credential ends.
    """
    grant = call.seat
    if not await call.services.held_by_another(grant.meeting, grant.seat, grant.device):
        try:
            await call.services.admission.change(
                grant.meeting, SeatAction.LEAVE, (grant.seat,), grant.actor, LEFT_PAGE
            )
        except Refused:
            pass  # nobody was in the place; the credential ends all the same
    await call.services.credentials.leave(grant)
    call.services.reload(grant.meeting)
    response = no_content()
    clear_cookie(response, seat_cookie(grant.meeting, grant.seat))
    return response


def held_cookie(call: Call, body: EnterBody) -> str | None:
    """What this browser holds already for the seat that it wants to enter."""
    try:
        meeting, (seat, _) = parse_meeting_id(body.meeting), parse_seat_token(body.seat_token)
    except BadInput:
        return None
    return call.request.cookies.get(seat_cookie(meeting, seat))


def entered(grant: SeatGrant) -> Entered:
    """What the page of a seat needs to go on."""
    of = grant.session.seats[grant.seat]
    return Entered(
        meeting=grant.meeting,
        seat=grant.seat,
        label=of.label,
        kind=grant.session.kind.value,
        agreed=of.agreed == CURRENT.version,
        state=of.state.value,
        encryption=encryption_of(grant.session).value,
    )


ROUTES: Final = (
    Route(
        method="POST",
        path="/api/link-opened",
        permission=Permission.OPEN_LINK,
        handle=link_opened,
        about="Sent by a page that was opened from a seat link. Always the same answer.",
        body=LinkOpened,
        status=204,
    ),
    Route(
        method="POST",
        path="/api/enter",
        permission=Permission.ENTER_SEAT,
        handle=enter,
        about="Opens a credential session for a seat and sets its cookie. One refusal for every cause.",
        body=EnterBody,
        answer=Entered,
        refusals=("cannot-enter", "busy"),
    ),
    Route(
        method="POST",
        path="/api/seat",
        permission=Permission.RESUME_SEAT,
        handle=seat,
        about="Where the seat of this page's cookie stands; for a page that was reloaded.",
        body=SeatBody,
        answer=Entered,
        refusals=("enter-again",),
    ),
    Route(
        method="GET",
        path="/api/agreement",
        permission=Permission.READ_AGREEMENT,
        handle=agreement,
        about="The confidentiality agreement in force.",
        answer=Agreement,
    ),
    Route(
        method="POST",
        path="/api/agree",
        permission=Permission.AGREE,
        handle=agree,
        about="The seat accepts the agreement, which is recorded; needed before it can knock.",
        body=AgreeBody,
        status=204,
        refusals=("enter-again", "agreement-outdated"),
    ),
    Route(
        method="POST",
        path="/api/seat-ticket",
        permission=Permission.TAKE_SEAT_TICKET,
        handle=seat_ticket,
        about="A single-use ticket, good for 30 s, with which the page opens /ws.",
        body=SeatBody,
        answer=Ticket,
        refusals=("enter-again", "cannot-enter"),
    ),
    Route(
        method="POST",
        path="/api/seat-leave",
        permission=Permission.LEAVE_SEAT,
        handle=seat_leave,
        about="Gives the place up and ends the cookie; may be sent as a beacon by a page that closes.",
        body=SeatBody,
        status=204,
        refusals=("enter-again",),
    ),
)
