"""Programs that publish for a seat by WHIP (RFC 9725): each is a device of its seat like any other.

    POST, not admitted ──▶ joins the room, knocks ──▶ 403, ask again ──▶ no transport exists
    POST, admitted ──▶ transport, resource ──▶ 201 ──DELETE, silence, move back, removal──▶ nothing
    DELETE of what ended by itself ──▶ 200 ──no POST for 12 s──▶ left
    PATCH ──▶ candidates (204) or an ICE restart (200)

HTTP knows no waiting room, so a program waits by asking again; while it does, it stands on the therapist's
list as connected. Everything that is decided about a seat is decided by the room, as for a page: this only
asks in the program's name. A program has no way to answer a second device: while it waits it gives way to a
page, which was opened with the password as well; once admitted it stays until it leaves or is silent.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

import msgspec
import structlog

from broker.agreement import CURRENT
from broker.bearers import Bearer, Bearers
from broker.credentials import claim_of
from broker.errors import QuietroomError, Refused
from broker.ids import short_code
from broker.seats import PLACED_STATES, SeatAction, SeatRole, SeatState
from broker.sessions import session_is_e2ee
from broker.tickets import Grant
from rooms.ingest_sdp import ClientOffer, read_fragment, read_offer
from rooms.peer import PeerState
from rooms.runner import Runner
from signaling.failures import describe
from signaling.live import House
from signaling.messages import IceServer
from signaling.neighbours import Unreachable
from signaling.problems import code_of
from signaling.program import ANSWERED_WITHIN, INSIDE, Program
from signaling.whip_rates import Rates

ASKS_AGAIN_WITHIN: Final = 12.0
"""Seconds after which a waiting program that did not ask again is gone; it is told to ask every four."""
CONNECTS_WITHIN: Final = 15.0
"""Seconds for a program to connect the transport that it was given."""
KNOCKS_AGAIN_AFTER_MS: Final = 60_000
"""Milliseconds after which asking again of a program that was denied counts as a knock."""
LOOK_EVERY: Final = 1.0
"""Seconds between looks at each program."""
_KNOCKING: Final = frozenset({SeatState.EXPECTED.value, SeatState.LEFT.value})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Created:
    """A transport was opened, or restarted.

    Attributes:
        meeting: as its id is written.
        resource: unguessable name of what was created, and shown to nobody else.
        etag: of the present ICE generation, with its quotation marks.
        ice_servers: through which the server is reached where UDP is blocked.
        sdp: the answer, or the fragment.
    """

    meeting: str
    resource: str = field(repr=False)
    etag: str
    sdp: str = field(repr=False)
    ice_servers: tuple[IceServer, ...] = field(default=(), repr=False)


class _Told(msgspec.Struct):
    """What another worker answers: a code of ``signaling.problems``, or what was done."""

    created: Created | None = None
    refused: str = ""


@dataclass(slots=True)
class Programs:
    """The programs that publish, or wait for it, in the rooms of this process.

    Args:
        house: the running rooms.
        bearers: knows the seat tokens.

    Attributes:
        rates: how often they may ask.
    """

    house: House
    bearers: Bearers
    _of: dict[tuple[str, str], Program] = field(default_factory=dict, init=False)
    rates: Rates = field(default_factory=Rates, init=False)
    _locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary, init=False
    )
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Answer for the programs of our rooms that reach another worker."""
        self.house.neighbours.calls["whip"] = self._answer

    async def post(
        self, meeting: str, token: str, offer: str, *, address: str = "", relayed: bool = False
    ) -> Created:
        """Open a transport for the seat of a token, or knock for it.

        Args:
            meeting: anything at all.
            token: anything at all.
            offer: SDP, anything at all.
            address: of who asks; empty if nobody knows it.
            relayed: another worker asks, because the room is ours.

        Raises:
            Refused: ``cannot-enter``, ``too-fast``, ``end-to-end-encrypted``, ``agreement-by-link``,
                ``seat-in-use``, ``wait-for-admission``, ``denied-for-now``, ``no-common-codec``; whatever a
                page is refused its knock with.
            BadInput: ``bad-sdp``.
            StoreUnavailable: nothing was opened.
        """
        bearer = await self._recognise(meeting, token, address, relayed=relayed)
        await self.bearers.check_open(bearer)
        if session_is_e2ee(bearer.session):
            raise Refused("end-to-end-encrypted")
        if bearer.seat.agreed != CURRENT.version:
            raise Refused("agreement-by-link")
        offered = read_offer(offer)
        if not relayed and (owner := await self.house.place(bearer.meeting)) is not None:
            told = await self._relay(owner, "post", meeting=meeting, token=token, offer=offer)
            if told is None:
                raise Refused("moved")
            return told
        seat = (bearer.meeting, bearer.code)
        async with self._locks.setdefault(seat, asyncio.Lock()):
            program = await self._present(bearer, seat)
            program.asked_at, program.leaves = _now(), False
            await self._come_in(program)
            return self._open(program, offered, bearer.session.ends_ms)

    async def patch(
        self,
        meeting: str,
        token: str,
        resource: str,
        if_match: str | None,
        fragment: str,
        *,
        address: str = "",
        relayed: bool = False,
    ) -> Created | None:
        """Take candidates, which need no answer (``None``), or restart ICE.

        Raises:
            Refused: ``cannot-enter``, ``too-fast``, ``not-found``, ``if-match-needed``, ``if-match-old``.
            BadInput: ``bad-sdp``.
            StoreUnavailable: nobody can be recognised.
        """
        bearer = await self._recognise(meeting, token, address, relayed=relayed)
        if if_match is None:
            raise Refused("if-match-needed")
        if not relayed and (owner := await self._elsewhere(bearer)) is not None:
            values = {"resource": resource, "if-match": if_match, "fragment": fragment}
            return await self._relay(owner, "patch", meeting=meeting, token=token, **values)
        program = self._find(bearer, resource)
        if if_match not in {"*", program.etag}:
            raise Refused("if-match-old")
        told = read_fragment(fragment)
        if program.runner is None:
            raise Refused("not-found")
        answer = program.runner.renew_ingest(program.link, told)
        if answer is None:
            return None
        program.etag = _fresh_etag()
        return Created(program.seat[0], program.resource, program.etag, answer)

    async def delete(
        self, meeting: str, token: str, resource: str, *, address: str = "", relayed: bool = False
    ) -> None:
        """Leave the session.

        Of a transport that ended before, with its worker or in silence, nothing is known any more. But its
        seat is still held for the program that shows the token, and is given up unless that posts again soon:
        some delete before they connect anew.

        Raises:
            Refused: ``cannot-enter``, ``too-fast``, ``not-found``.
            StoreUnavailable: nobody can be recognised.
        """
        bearer = await self._recognise(meeting, token, address, relayed=relayed)
        if not relayed and (owner := await self._elsewhere(bearer)) is not None:
            await self._relay(owner, "delete", meeting=meeting, token=token, resource=resource)
            return
        present = self._of.get((bearer.meeting, bearer.code))
        if present is None or not present.resource:
            await self._leave_later(bearer)
            return
        program = self._find(bearer, resource)
        program.close_resource()
        try:
            await program.ask(SeatAction.LEAVE)
        except Refused:
            pass  # cut it is; it goes on record as soon as the store takes it
        finally:
            program.close("left")

    async def closed(self, within: float) -> None:
        """Let every program go and wait until it has, at most so many seconds."""
        for program in list(self._of.values()):
            program.close("draining")
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=within)

    def __len__(self) -> int:
        return len(self._of)

    # ---- inside ------------------------------------------------------------------------------------------

    async def _recognise(self, meeting: str, token: str, address: str, *, relayed: bool) -> Bearer:
        if relayed:
            return await self.bearers.recognise(meeting, token)  # counted where it was asked
        claim = claim_of(meeting, token)
        shown = (claim.scope, claim.proof)
        if not self.rates.take(shown, address, _now()):
            if not self.rates.wants_open(_now()):
                raise Refused("too-fast")
            self.rates.take_open(await self.bearers.open_meetings())
            if not self.rates.take(shown, address, _now()):
                raise Refused("too-fast")
        try:
            bearer = await self.bearers.recognise(meeting, token)
        except Refused:
            self.rates.refused(shown)
            raise
        if not self.rates.recognised(shown, (bearer.meeting, bearer.code), _now()):
            raise Refused("too-fast")
        return bearer

    def _find(self, bearer: Bearer, resource: str) -> Program:
        program = self._of.get((bearer.meeting, bearer.code))
        known = program.resource if program is not None else ""
        if program is None or not known or not hmac.compare_digest(known.encode(), resource.encode()):
            raise Refused("not-found")
        return program

    async def _present(self, bearer: Bearer, seat: tuple[str, str]) -> Program:
        """The program of this seat: that of before, or one that comes now, if the seat is free for it."""
        program = self._of.get(seat)
        if program is not None and program.end is None:
            if program.resource:
                raise Refused("seat-in-use")
            return program
        runner = self.house.room(bearer.meeting)
        inside = bearer.seat.state.value in INSIDE and bearer.seat.holder != bearer.device
        free = runner.lets_ingest(bearer.code, bearer.device) if runner else not inside
        if not free:
            raise Refused("seat-in-use")
        await self.bearers.present(bearer)
        program = Program(seat)
        grant = Grant(bearer.meeting, bearer.code, SeatRole.PATIENT, bearer.device, bearer.actor)
        program.asked_at = _now()
        self._of[seat] = program
        try:
            program.runner = await self.house.enter(
                grant, program.link, program, media_kept=False, ingest=True
            )
        except BaseException:
            del self._of[seat]
            raise
        task = asyncio.create_task(self._keep(program, program.runner), name=f"program-{program.link}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return program

    async def _leave_later(self, bearer: Bearer) -> None:
        """See to it that a seat is given up that is held for this program, which publishes nothing.

        Its token is all that must be shown: who has it could have opened a transport, and deleted that.

        Raises:
            Refused: ``not-found`` when nothing is held for it.
        """
        if bearer.seat.holder != bearer.device or bearer.seat.state not in PLACED_STATES:
            raise Refused("not-found")
        seat = (bearer.meeting, bearer.code)
        async with self._locks.setdefault(seat, asyncio.Lock()):
            try:
                program = await self._present(bearer, seat)
            except Refused:
                raise Refused("not-found") from None  # published again meanwhile, or somebody else's by now
            program.asked_at, program.leaves = _now(), True

    async def _come_in(self, program: Program) -> None:
        """Return when the seat is admitted; knock for it if nobody did.

        Raises:
            Refused: it is not, for one reason or another.
        """
        view = await program.seen()
        denied = view.state == SeatState.DENIED.value
        if denied and time.time_ns() // 1_000_000 - view.since_ms < KNOCKS_AGAIN_AFTER_MS:
            raise Refused("denied-for-now")
        if denied or view.state in _KNOCKING:
            if (code := await program.ask(SeatAction.KNOCK)) is not None:
                raise Refused(code)
            raise Refused("wait-for-admission")
        if view.state not in {SeatState.ADMITTED.value, "paused"}:
            raise Refused("wait-for-admission")

    def _open(self, program: Program, offered: ClientOffer, ends_ms: int) -> Created:
        answer = None if program.runner is None else program.runner.take_offer(program.link, offered)
        if answer is None:
            raise Refused("wait-for-admission")  # moved back in this very moment
        program.resource, program.etag = secrets.token_urlsafe(32), _fresh_etag()
        program.opened_at = _now()
        servers = self.house.ice_servers(ends_ms, "/".join(program.seat))
        return Created(program.seat[0], program.resource, program.etag, answer, servers)

    async def _keep(self, program: Program, runner: Runner) -> None:
        """See to it that a program is gone when it is."""
        try:
            while program.end is None and self._lives(program, runner):
                await program.wait(LOOK_EVERY)
        except Exception as error:
            log.error("program failed", room=short_code(program.seat[0]), **describe(error))
        finally:
            program.close_resource()
            if program.leaves:
                program.leave()
            program.close("gone")
            runner.part(program.link)
            if self._of.get(program.seat) is program:
                del self._of[program.seat]

    # ---- between workers ---------------------------------------------------------------------------------

    async def _elsewhere(self, bearer: Bearer) -> str | None:
        """The worker that has the room of a resource, if it is not this one.

        Raises:
            Refused: ``not-found`` where no room can be; ``draining`` where another worker may find it.
        """
        if (bearer.meeting, bearer.code) in self._of:
            return None
        try:
            return await self.house.place(bearer.meeting)
        except Refused as error:
            raise Refused("draining" if error.code == "draining" else "not-found") from None

    async def _relay(self, owner: str, verb: str, **values: str) -> Created | None:
        """Have the worker that runs the room do it.

        Raises:
            Refused: what that worker refused it with; ``moved`` when it does not answer.
        """
        try:
            answer = await self.house.neighbours.ask(
                owner, "whip", {"verb": verb, **values}, within=2 * ANSWERED_WITHIN
            )
        except Unreachable:
            raise Refused("moved") from None
        told = msgspec.json.decode(answer, type=_Told)
        if told.refused:
            raise Refused(told.refused)
        return told.created

    async def _answer(self, values: Mapping[str, str]) -> bytes:
        """Do what reached another worker, which has checked all but what only the room knows."""
        try:
            return msgspec.json.encode(_Told(await self._relayed(values)))
        except QuietroomError as error:
            return msgspec.json.encode(_Told(refused=code_of(error)))

    async def _relayed(self, values: Mapping[str, str]) -> Created | None:
        meeting, token, resource = values["meeting"], values["token"], values.get("resource", "")
        match values["verb"]:
            case "post":
                return await self.post(meeting, token, values["offer"], relayed=True)
            case "patch":
                if_match, fragment = values["if-match"], values["fragment"]
                return await self.patch(meeting, token, resource, if_match, fragment, relayed=True)
            case "delete":
                await self.delete(meeting, token, resource, relayed=True)
        return None

    def _lives(self, program: Program, runner: Runner) -> bool:
        now = _now()
        if not program.resource:
            runner.heard(program.link)
            return now - program.asked_at < ASKS_AGAIN_WITHIN
        match runner.ingest_state(program.link):
            case PeerState.GONE:
                return False
            case PeerState.CONNECTED:
                return True  # from here only its media tells that it is there
            case _:
                runner.heard(program.link)
                return now - program.opened_at < CONNECTS_WITHIN


def _fresh_etag() -> str:
    return f'"{secrets.token_hex(8)}"'


def _now() -> float:
    return asyncio.get_running_loop().time()
