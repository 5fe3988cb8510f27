"""The room of one session: who is inside, whose media flows, and who is told what.

    Asked ──▶ Commit ──▶ Committed ──▶ SetGate, Show, Reply
    (a page)  (store + audit event)    (media, pages)

Three rules are kept here and nowhere else:

* **Opening waits for the store, closing never does.** Media opens only after the store made the admission
  and its audit event durable. Hold, move back, remove, leave and end close the gate first and are recorded
  as soon as the store takes them.
* **Never alone.** The gate is empty unless a clinician's seat is inside and alive. When the last clinician is
  lost every admitted patient is paused, told so, and resumed when a clinician is back.
* **Nobody waiting learns anything of anybody.** A page is shown a view that holds what its seat may know.

Pure: ``now`` and ``wall_ms`` come in, effects go out; no clock, socket or task lives here. An event that does
not apply (admitting someone who has just left) is answered, not raised: two people acting at once is
ordinary here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from broker.audit import EventType
from broker.seats import PLACED_STATES, PLANS, SeatAction, SeatCode, SeatState
from broker.sessions import Encryption
from rooms import views
from rooms.commits import Commits
from rooms.delivery import Delivery, Keys, attendee
from rooms.effects import (
    Close,
    ClosePeer,
    Commit,
    Effect,
    Finished,
    OpenPeer,
    Presence,
    Record,
    Reply,
    SetGate,
    Show,
    View,
)
from rooms.events import (
    Asked,
    CommitRefused,
    Committed,
    Connected,
    DeviceAnswered,
    Disconnected,
    Event,
    FellSilent,
    FormerEnded,
    HeardAgain,
    HostAction,
    Link,
    LinkJudged,
    MediaChanged,
    RoomAction,
    SeatReloaded,
    SessionReloaded,
    SignedOut,
    StoreHealth,
    Tick,
)
from rooms.groups import (
    Answered,
    CheckEnded,
    CommitSent,
    GroupEffect,
    GroupEvent,
    KeyPackageSent,
    KeysNoted,
    NotTaken,
    PairAsked,
    ReadySaid,
    ResyncAsked,
    SealedSent,
    Tell,
)
from rooms.seat import Page, Seat

SYSTEM: Final = "system"
FORGET_AFTER: Final = 60.0
"""Seconds for which an empty room is remembered."""
UNAVAILABLE: Final = "audit-unavailable"

_OUT = frozenset({SeatState.DENIED, SeatState.REMOVED, SeatState.LEFT, SeatState.ENDED})
_PLACING: Final = frozenset(
    {SeatAction.KNOCK, SeatAction.ENTER, SeatAction.ADMIT, SeatAction.RESUME, RoomAction.DEVICE}
)
"""What gives a place to the device that has the seat at that moment."""
_OWN: Final = frozenset({SeatAction.KNOCK, SeatAction.ENTER, SeatAction.LEAVE})


class Room:
    """The machine of one room. ``handle`` and ``deadline`` are the whole interface.

    Args:
        seats: the roster with the state that the store has, in roster order.
        is_open: whether the session is open.
        kind: word of ``broker.seats.SessionKind``.
        starts_ms: when the session begins, milliseconds since the epoch.
        ends_ms: when it ends by itself, milliseconds since the epoch.
        wall_ms: now, milliseconds since the epoch.
        moving: the seats for which another worker still forwards, until ``FormerEnded`` or the time is over.
        moving_until: monotonic seconds.
        delivery: the groups of an end-to-end encrypted session; ``None`` where there are none.
    """

    def __init__(
        self,
        *,
        kind: str,
        is_open: bool,
        starts_ms: int,
        ends_ms: int,
        seats: Iterable[SeatReloaded],
        wall_ms: int,
        moving: frozenset[SeatCode] = frozenset(),
        moving_until: float = 0.0,
        delivery: Delivery | None = None,
    ) -> None:
        self._delivery = delivery
        self.kind, self.open, self.starts_ms, self.ends_ms = kind, is_open, starts_ms, ends_ms
        self.store_ok = True
        self.seats: dict[SeatCode, Seat] = {}
        for place, row in enumerate(seats):
            seat = Seat(PLANS[row.seat], place, row.state, row.since_ms, row.muted, row.agreed, row.knocks)
            seat.last_device = row.device
            if seat.placed:
                seat.presence, seat.presence_since_ms = Presence.AWAY, wall_ms
            self.seats[row.seat] = seat
        self.deadline: float | None = None
        self._loaded = False
        self._moving, self._moving_until = moving, moving_until
        self._commits = Commits()
        self._cleared: set[SeatCode] = set()
        self._paused: set[SeatCode] = set()
        self._empty_since: float | None = None
        self._gate = SetGate(frozenset(), frozenset())
        self._shown: dict[Link, View] = {}
        self._effects: list[Effect] = []

    # ---- what others may ask of a room -------------------------------------------------------------------

    @property
    def clinician_present(self) -> bool:
        """Whether a clinician is inside with media that is being heard: who cannot hear is not present.

        Nor is one who leaves, from the moment of asking: the store may be slow to take it.
        """
        closing = self.closing_seats
        return any(
            seat.is_host
            and seat.state is SeatState.ADMITTED
            and seat.alive
            and seat.suite is not None
            and code not in closing
            for code, seat in self.seats.items()
        )

    @property
    def encryption(self) -> Encryption:
        """Between whom the session is encrypted."""
        return Encryption.TRANSPORT_ONLY if self._delivery is None else Encryption.END_TO_END

    @property
    def keys(self) -> Keys | None:
        """How the room's encryption group stands; ``None`` where there is none."""
        return None if self._delivery is None else self._delivery.keys

    @property
    def flowing(self) -> frozenset[SeatCode]:
        """The seats that exchange media at this moment."""
        return self._gate.seats

    @property
    def moving(self) -> frozenset[SeatCode]:
        """The seats for which another worker still forwards, as far as we know."""
        return self._moving

    @property
    def paused(self) -> frozenset[SeatCode]:
        """Admitted seats that are cut because no clinician is present, or was when last recorded."""
        return frozenset(self._paused)

    @property
    def closing_seats(self) -> frozenset[SeatCode]:
        """Seats whose closing was ordered but is not yet recorded; they stay cut whatever the store says."""
        return self._commits.closing(frozenset(self.seats))

    @property
    def owed(self) -> tuple[Commit, ...]:
        """The closings that the store has not taken yet, for a shell that must give the room up."""
        return self._commits.owed

    def handle(self, event: Event, now: float, wall_ms: int) -> list[Effect]:
        """Advance by one event.

        Args:
            event: what happened.
            now: monotonic seconds; never decreases between calls.
            wall_ms: milliseconds since the epoch, for showing and for the end of the window.

        Returns:
            Effects in the order to carry them out; a change of the gate comes first.
        """
        self._effects = []
        match event:
            case Connected():
                self._connected(event, now)
            case Disconnected(link):
                self._disconnected(link)
            case FellSilent(code) | HeardAgain(code):
                self.seats[code].silent = isinstance(event, FellSilent)
            case MediaChanged(code, suite):
                self._media_changed(self.seats[code], suite)
            case LinkJudged(code, standing):
                self.seats[code].link = standing
            case Asked():
                self._asked(event, now)
            case DeviceAnswered(link, yielded, asking):
                self._device_answered(link, yielded, asking)
            case SignedOut(code, device):
                self._signed_out(self.seats[code], device)
            case Committed():
                self._committed(event)
            case CommitRefused(number, code):
                self._refused(number, code, now)
            case StoreHealth(ok):
                self.store_ok = ok
                if ok:
                    self._commits.store_is_back(now)
            case SessionReloaded():
                self._reloaded(event)
            case FormerEnded():
                self._moving = frozenset()
            case Tick():
                pass
            case (
                KeyPackageSent()
                | CommitSent()
                | ReadySaid()
                | SealedSent()
                | ResyncAsked()
                | PairAsked()
                | CheckEnded()
            ):
                self._group_said(event, now, wall_ms)
            case _:
                assert_never(event)
        self._settle(now, wall_ms)
        return self._effects

    # ---- pages come and go -------------------------------------------------------------------------------

    def _connected(self, event: Connected, now: float) -> None:
        seat = self.seats[event.seat]
        page = Page(event.link, event.device, event.actor, event.kept, event.ingest, event.tls)
        if event.ingest and not (seat.lets_ingest(page.device) and seat.admits(page.device, now)):
            self._emit(Close(page.link, "device-refused"))
            return
        if not seat.admits(page.device, now):
            if not seat.asks.take(now):
                self._emit(Close(page.link, "too-fast"))
                return
            if seat.asking is not None:
                self._emit(Close(seat.asking.link, "opened-elsewhere"))
            seat.asking, seat.asking_since, seat.asked = page, now, seat.asked + 1
            self._record(EventType.SEAT_DEVICE_ASKED, seat)
            return
        self._seat_page(seat, page, media_kept=event.media_kept)

    def _seat_page(self, seat: Seat, page: Page, *, media_kept: bool = False) -> None:
        changed = seat.last_device not in (None, page.device)
        for former in seat.take(page):
            self._shown.pop(former.link, None)
            self._emit(Close(former.link, "replaced" if changed else "opened-elsewhere"))
        if changed and seat.placed:
            code, kind = seat.plan.code, EventType.SEAT_DEVICE_CHANGED
            self._commit(RoomAction.DEVICE, (code,), page.actor, event=kind)
        if media_kept or (seat.placed and not seat.is_host):
            self._carry_media(seat, page.link, keep=media_kept)
        else:
            self._moving = frozenset()  # their page must see where it is, and will ask for media then

    def _carry_media(self, seat: Seat, link: Link, *, keep: bool) -> None:
        seat.media_link, seat.media_device = link, seat.pages[link].device
        if seat.placed and not (keep and seat.suite is not None):
            if seat.is_host:
                self._media_changed(seat, None)  # the former one ends with this order, not when it says so
            self._emit(OpenPeer(seat.plan.code, link))

    def _disconnected(self, link: Link) -> None:
        self._shown.pop(link, None)
        for seat in self.seats.values():
            seat.drop(link)

    def _media_changed(self, seat: Seat, suite: str | None) -> None:
        if suite == seat.suite:
            return
        up, seat.suite = suite is not None, suite
        if up:
            seat.silent = False  # a handshake is being heard
        actor, tls = (seat.page.actor, seat.page.tls) if seat.page else (SYSTEM, "")
        told = {} if suite is None else {"suite": suite} | ({"tls": tls} if tls else {})
        event = EventType.MEDIA_UP if up else EventType.MEDIA_DOWN
        self._emit(Record(event, seat.plan.code, actor, detail=told))

    def _device_answered(self, link: Link, yielded: bool, number: int) -> None:
        seat = self._seat_of(link)
        if seat is None or seat.asking is None or number != seat.asked:
            return  # a yes to one device must not let in another that asked while it was on its way
        asking, seat.asking = seat.asking, None
        if yielded:
            self._seat_page(seat, asking)
        else:
            self._emit(Close(asking.link, "device-refused"))

    def _signed_out(self, seat: Seat, device: str) -> None:
        if seat.media_device == device:
            seat.media_device = None
            self._media_changed(seat, None)  # not when the transport says so: from here nobody is present
            self._emit(ClosePeer(seat.plan.code))
        for page in [page for page in seat.pages.values() if page.device == device]:
            self._emit(Close(page.link, "sign-in-needed"))
            self._disconnected(page.link)

    # ---- requests ----------------------------------------------------------------------------------------

    def _asked(self, event: Asked, now: float) -> None:
        seat = self._seat_of(event.link)
        if seat is None:
            return
        self._moving = frozenset()  # what is decided from here on is to be seen
        own = event.action in _OWN
        code = self._own_request(seat, event, now) if own else self._host_request(seat, event)
        if code is not None:
            self._emit(Reply(event.link, event.request, None if code == "done" else code))

    def _own_request(self, seat: Seat, event: Asked, now: float) -> str | None:
        """Start what a seat asks for itself; a code answers at once, ``None`` leaves it to the commit."""
        action = event.action
        if action is SeatAction.KNOCK:
            if seat.is_host:
                return "not-allowed"
            if seat.placed:
                return "done"
            if not seat.moves.take(now):
                return "too-fast"
        elif action is SeatAction.ENTER:
            if not seat.is_host:
                return "not-allowed"
            if seat.state is SeatState.ADMITTED:
                self._carry_media(seat, event.link, keep=False)
                return "done"
            if not seat.moves.take(now):
                return "too-fast"
            seat.media_link = event.link
        elif not seat.placed:
            return (
                "done"  # leaving itself is never slowed: who cannot come in again at once cannot leave often
            )
        self._commit(action, (seat.plan.code,), seat.pages[event.link].actor, event.reason, event)
        return None

    def _host_request(self, seat: Seat, event: Asked) -> str | None:
        if not seat.is_host:
            return "not-allowed"
        action = event.action
        actor = seat.pages[event.link].actor
        if action is HostAction.END:
            self._commit(action, (), actor, event.reason, event)
            return None
        named = [self.seats.get(code) for code in event.seats]
        if not named or any(target is None or target.is_host for target in named):
            return "no-seat"
        if action is SeatAction.ADMIT and not self.clinician_present:
            return "clinician-absent"
        if action is HostAction.MUTE:
            for code in event.seats:
                self.seats[code].muted = True
        self._commit(action, tuple(dict.fromkeys(event.seats)), actor, event.reason, event)
        return None

    def _commit(
        self,
        action: SeatAction | HostAction | RoomAction | None,
        seats: tuple[SeatCode, ...],
        actor: str,
        reason: str | None = None,
        asked: Asked | None = None,
        event: EventType | None = None,
    ) -> None:
        link, request = (asked.link, asked.request) if asked else (None, 0)
        devices = {code: self.seats[code].last_device for code in seats} if action in _PLACING else {}
        self._emit(
            self._commits.issue(
                action, seats, actor, reason, event, devices=devices, link=link, request=request
            )
        )

    # ---- the store's answers -----------------------------------------------------------------------------

    def _committed(self, event: Committed) -> None:
        pending = self._commits.done(event.commit)
        if pending is None:
            return
        commit, action = pending.commit, pending.commit.action
        if action is HostAction.END:
            self._end()
        elif action is HostAction.MUTE or action is HostAction.UNMUTE:
            for code in commit.seats:
                self.seats[code].muted = action is HostAction.MUTE
        elif action is None:
            self._paused.difference_update(commit.seats)
            self._cleared.update(
                code for code in commit.seats if self.seats[code].state is SeatState.ADMITTED
            )
        elif action is not RoomAction.DEVICE:
            for code, state in event.states.items():
                self._seat_is(self.seats[code], state, event.at_ms, commit.reason)
                if action is SeatAction.KNOCK and not event.already:
                    self.seats[code].knocks += 1
        if pending.link is not None:
            self._emit(Reply(pending.link, pending.request, None))

    def _seat_is(self, seat: Seat, state: SeatState, at_ms: int, reason: str | None) -> None:
        """Take over what the store says of a seat, and do what follows from the change."""
        code, before = seat.plan.code, seat.state
        if state is before:
            return
        seat.state, seat.since_ms, seat.reason = state, at_ms, reason
        self._moving = frozenset()
        if state is SeatState.ADMITTED:
            self._cleared.add(code)
        else:
            self._cleared.discard(code)
            self._paused.discard(code)
        if state in _OUT:
            self._emit(ClosePeer(code))
        elif seat.placed and before not in PLACED_STATES and seat.page is not None:
            self._carry_media(seat, seat.page.link, keep=False)
        if state is SeatState.REMOVED and seat.asking is not None:
            self._emit(Close(seat.asking.link, "removed"))
            seat.asking = None

    def _refused(self, number: int, code: str, now: float) -> None:
        pending = self._commits.done(number)
        if pending is None:
            return
        commit = pending.commit
        if code == UNAVAILABLE:
            self._commits.not_taken(commit, now)
        elif commit.action is HostAction.END:
            self._end()  # the store knows no such open session: nobody belongs here any more
        if pending.link is not None:
            self._emit(Reply(pending.link, pending.request, code))

    def _reloaded(self, event: SessionReloaded) -> None:
        for row in event.seats:
            seat = self.seats.get(row.seat)
            if seat is None:
                continue
            seat.muted, seat.agreed, seat.knocks = row.muted, row.agreed, row.knocks
            self._seat_is(seat, row.state, row.since_ms, None)
        if not event.open and self.open:
            self._end()

    def _end(self) -> None:
        self.open = False
        for seat in self.seats.values():
            self._seat_is(seat, SeatState.ENDED, seat.since_ms, None)

    # ---- after every event -------------------------------------------------------------------------------

    def _settle(self, now: float, wall_ms: int) -> None:
        """Bring presence, pauses, retries, the gate, the views and the deadline up to date."""
        for seat in self.seats.values():
            noticed = seat.notice(now, wall_ms)
            if noticed is not None and seat.placed:
                away = noticed is Presence.AWAY
                reason = "connection-lost" if away else None
                self._record(EventType.SEAT_AWAY if away else EventType.SEAT_RECONNECTED, seat, reason)
            self._settle_asking(seat, now)
            seat.look_for_media(now)
        for commit in self._commits.due(now):
            self._commit(commit.action, commit.seats, commit.actor, commit.reason, event=commit.event)
        self._settle_pauses()
        if self.open and wall_ms >= self.ends_ms and not self._commits.ending:
            self._commit(HostAction.END, (), SYSTEM, "window-over")
        self._settle_gate()
        if now >= self._moving_until or self._moving <= self.flowing:
            self._moving = frozenset()
        self._settle_groups()
        self._settle_views()
        self._settle_deadline(now, wall_ms)
        self._loaded = True

    def _settle_asking(self, seat: Seat, now: float) -> None:
        if seat.asking is None:
            return
        if seat.admits(seat.asking.device, now):
            asking, seat.asking = seat.asking, None
            self._seat_page(seat, asking)
        elif seat.asking_deadline is not None and now >= seat.asking_deadline:
            self._emit(Close(seat.asking.link, "device-refused"))
            seat.asking = None

    def _settle_pauses(self) -> None:
        present = self.clinician_present
        patients = [s for s in self.seats.values() if not s.is_host and s.state is SeatState.ADMITTED]
        if self._commits.ending:
            return  # everybody is cut already, and nobody was lost: the visit is over
        if not present:
            reason = "clinician-lost" if self._loaded else "moved" if self._moving else "server-restarted"
            for seat in patients:
                self._cleared.discard(seat.plan.code)
                if seat.plan.code not in self._paused:
                    self._paused.add(seat.plan.code)
                    self._emit(Record(EventType.SEAT_HELD, seat.plan.code, SYSTEM, reason))
        elif self._paused and not self._commits.resuming:
            codes = tuple(s.plan.code for s in patients if s.plan.code in self._paused)
            if codes:
                self._commit(None, codes, SYSTEM, "clinician-back", event=EventType.SEAT_RESUMED)

    def _settle_gate(self) -> None:
        flowing: frozenset[SeatCode] = frozenset()
        if self.open and self.clinician_present:
            flowing = frozenset(
                code
                for code, seat in self.seats.items()
                if seat.state is SeatState.ADMITTED and (seat.is_host or code in self._cleared)
            )
            flowing -= self.closing_seats
        gate = SetGate(flowing, frozenset(code for code, seat in self.seats.items() if seat.muted))
        if gate != self._gate:
            self._gate = gate
            self._effects.insert(0, gate)

    def _settle_groups(self) -> None:
        """Let whoever is out be out of the groups too, and whoever came in be added."""
        if self._delivery is not None:
            closing = self.closing_seats
            self._carry_out(
                self._delivery.settle(
                    {
                        code: attendee(seat, self.open and code not in closing, code in self.flowing)
                        for code, seat in self.seats.items()
                    }
                )
            )

    def _group_said(self, event: GroupEvent, now: float, wall_ms: int) -> None:
        if self._delivery is None:
            request = event.request if isinstance(event, SealedSent) else None
            self._emit(
                Tell(event.link, NotTaken("not-allowed"))
                if request is None
                else Reply(event.link, request, "not-allowed")
            )
        else:
            self._carry_out(self._delivery.hear(event, now, wall_ms))

    def _carry_out(self, effects: Iterable[GroupEffect]) -> None:
        for effect in effects:
            if isinstance(effect, KeysNoted):
                page = self.seats[effect.seat].page
                actor = page.actor if page else SYSTEM
                self._emit(Record(effect.event, effect.seat, actor, effect.reason, effect.detail))
            elif isinstance(effect, Answered):
                self._emit(Reply(effect.link, effect.request, effect.code))
            else:
                self._emit(effect)

    def _settle_views(self) -> None:
        for seat in self.seats.values():
            if seat.plan.code in self._moving:
                continue  # they see and hear each other still, and need not know of the move
            for page in seat.pages.values():
                self._show(page.link, views.view_of(self, seat, page.link))
            if seat.asking is not None:
                self._show(seat.asking.link, views.asking_view(self, seat))
            if seat.state in (SeatState.ENDED, SeatState.REMOVED):
                for link in list(seat.pages):
                    self._emit(Close(link, seat.state.value))
                    seat.drop(link)
                    self._shown.pop(link, None)

    def _show(self, link: Link, view: View) -> None:
        if self._shown.get(link) != view:
            self._shown[link] = view
            self._emit(Show(link, view))

    def _settle_deadline(self, now: float, wall_ms: int) -> None:
        someone = any(seat.pages or seat.asking or seat.suite is not None for seat in self.seats.values())
        keep = someone or self._commits or (self.open and any(s.inside for s in self.seats.values()))
        self._empty_since = None if keep else (self._empty_since if self._empty_since is not None else now)
        candidates = [seat.asking_deadline for seat in self.seats.values()]
        candidates += [seat.unreached_deadline for seat in self.seats.values()]
        candidates.append(self._commits.retry_at)
        if self._moving:
            candidates.append(self._moving_until)
        if self.open and not self._commits.ending:
            candidates.append(now + max(0, self.ends_ms - wall_ms) / 1000)
        if self._empty_since is not None:
            if now >= self._empty_since + FORGET_AFTER or not self.open:
                self._emit(Finished())
            else:
                candidates.append(self._empty_since + FORGET_AFTER)
        self.deadline = min((at for at in candidates if at is not None), default=None)

    # ---- small helpers -----------------------------------------------------------------------------------

    def _seat_of(self, link: Link) -> Seat | None:
        return next((seat for seat in self.seats.values() if link in seat.pages), None)

    def _record(self, event: EventType, seat: Seat, reason: str | None = None) -> None:
        actor = seat.page.actor if seat.page else SYSTEM
        self._emit(Record(event, seat.plan.code, actor, reason))

    def _emit(self, effect: Effect) -> None:
        self._effects.append(effect)
