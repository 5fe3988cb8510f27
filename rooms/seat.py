"""One seat as the room sees it: its state in the store, its pages, its device, its presence.

    absent ──first link──▶ connected ──nothing heard──▶ away ──heard, or a link──▶ connected

A patient's seat has one live page. A page of the same device (a reload, a second tab) replaces the former at
once; a page of another device asks the first one, and takes the place by itself once the first has been
away for a few seconds (mission row N15). A host may have several pages; one of them carries the media.

Pure: the room passes ``now`` (monotonic seconds) and ``wall_ms`` (milliseconds since the epoch) in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from broker.seats import INSIDE_STATES, PLACED_STATES, SeatPlan, SeatRole, SeatState
from rooms.bucket import Bucket
from rooms.effects import Presence
from rooms.events import Device, Link
from rooms.quality import Standing

DEAD_DEVICE_YIELDS_AFTER: Final = 4.0
"""Seconds after which a first device that is not heard gives way to a second one."""
UNANSWERED_AFTER: Final = 30.0
"""Seconds after which a second device is turned away when the first, though alive, does not answer."""
UNREACHED_AFTER: Final = 8.0
"""Seconds for which a page may look for a way for its media before a clinician is told that it found none."""
OWN_MOVES_PER_SECOND: Final = 0.5
OWN_MOVES_BURST: Final = 10.0
"""How often one seat may knock (or a host enter), and how often its devices may ask: each is on record."""


@dataclass(frozen=True, slots=True)
class Page:
    """One signaling connection: which device it is and who is behind it.

    Attributes:
        kept: generation and epoch of the room's group that it has kept from before, as it says.
        ingest: it is no page but a program.
        tls: how the connection is encrypted, empty where that is not known here.
    """

    link: Link
    device: Device
    actor: str
    kept: tuple[str, int] | None = None
    ingest: bool = False
    tls: str = ""


@dataclass(slots=True)
class Seat:
    """One seat. ``state`` and its neighbours mirror the store; the rest lives only here.

    Attributes:
        place: position in the roster, 0-based; names the media slots at the other seats.
        pages: live pages by link; at most one for a patient.
        asking: a page of another device that waits for an answer, and since when (monotonic seconds).
        asked: how often another device asked so far, which names the latest asking.
        media_link: the page that carries the seat's media, so far as known.
        media_device: the device whose transport it is; it stays when the page's connection breaks.
        last_device: the device that has the seat or had it last; of a room loaded anew, as the store has it.
        new_device: it is another one than the last time.
        moves, asks: what bounds the seat's own knocks, and the asking of its devices; of the seat, not of
            one connection, so that connecting anew gains nothing.
        suite: SRTP profile of the connected transport, ``None`` while there is none.
        link: how well that transport carries, ``None`` until it was judged.
        unreached_since: since when it holds a place and its page is heard while no transport is connected
            (monotonic seconds); ``None`` while that is not so.
        unreached: that has been so for too long.
    """

    plan: SeatPlan
    place: int
    state: SeatState
    since_ms: int
    muted: bool = False
    agreed: bool = False
    knocks: int = 0
    reason: str | None = None
    pages: dict[Link, Page] = field(default_factory=dict)
    asking: Page | None = None
    asking_since: float = 0.0
    asked: int = 0
    media_link: Link | None = None
    media_device: Device | None = None
    suite: str | None = None
    link: Standing | None = None
    unreached_since: float | None = None
    unreached: bool = False
    silent: bool = False
    presence: Presence = Presence.ABSENT
    presence_since_ms: int = 0
    dead_since: float = float("-inf")
    last_device: Device | None = None
    new_device: bool = False
    moves: Bucket = field(default_factory=lambda: Bucket(OWN_MOVES_PER_SECOND, OWN_MOVES_BURST))
    asks: Bucket = field(default_factory=lambda: Bucket(OWN_MOVES_PER_SECOND, OWN_MOVES_BURST))

    @property
    def is_host(self) -> bool:
        """Whether this is a clinician's seat."""
        return self.plan.role is SeatRole.HOST

    @property
    def placed(self) -> bool:
        """Whether the seat holds a place, waiting or inside."""
        return self.state in PLACED_STATES

    @property
    def inside(self) -> bool:
        """Whether the seat was admitted and not taken out again; it may be on hold."""
        return self.state in INSIDE_STATES

    @property
    def alive(self) -> bool:
        """Whether anything of this seat is being heard: a page, or its media."""
        return not self.silent and (bool(self.pages) or self.suite is not None)

    @property
    def page(self) -> Page | None:
        """The page that speaks for the seat; for a host, the one with the media or else any."""
        if self.media_link in self.pages:
            return self.pages[self.media_link]
        return next(reversed(self.pages.values()), None)

    def admits(self, device: Device, now: float) -> bool:
        """Whether a page of this device may take the seat without asking the one that has it."""
        if self.is_host or not self.placed or self.last_device in (None, device):
            return True
        return not self.alive and now - self.dead_since >= DEAD_DEVICE_YIELDS_AFTER

    def lets_ingest(self, device: Device) -> bool:
        """Whether a program, which shows no password, may have the seat now.

        It takes nothing from a device that is there, however little that does, and never an admission that
        was given to another one.
        """
        return self.last_device == device or not (self.alive or self.asking is not None or self.inside)

    def take(self, page: Page) -> list[Page]:
        """Give the seat to this page.

        Returns:
            The pages it replaces, to be closed; a host's other pages stay.
        """
        replaced = [] if self.is_host else list(self.pages.values())
        for former in replaced:
            del self.pages[former.link]
        self.new_device = self.last_device is not None and self.last_device != page.device
        self.last_device = page.device
        self.pages[page.link] = page
        if not (self.is_host and self.suite is not None):
            # A clinician's new page says nothing of their old transport: while that is silent nobody hears.
            self.silent = False
        if self.asking is not None and self.asking.link == page.link:
            self.asking = None
        return replaced

    def drop(self, link: Link) -> bool:
        """Forget a page that is gone. Returns whether it was one of this seat's."""
        if self.asking is not None and self.asking.link == link:
            self.asking = None
            return True
        if self.media_link == link:
            self.media_link = None
        return self.pages.pop(link, None) is not None

    @property
    def asking_deadline(self) -> float | None:
        """When the waiting second device must be looked at again, monotonic seconds."""
        if self.asking is None:
            return None
        unanswered = self.asking_since + UNANSWERED_AFTER
        return unanswered if self.alive else min(unanswered, self.dead_since + DEAD_DEVICE_YIELDS_AFTER)

    @property
    def unreached_deadline(self) -> float | None:
        """When to look again whether a way was found, monotonic seconds."""
        since = None if self.unreached else self.unreached_since
        return None if since is None else since + UNREACHED_AFTER

    def look_for_media(self, now: float) -> None:
        """Bring ``unreached`` up to date. A clinician has no transport before they open the room."""
        page = None if self.is_host or self.silent or self.suite is not None else self.page
        # To a program none is offered before it is admitted.
        if page is None or not (self.inside if page.ingest else self.placed):
            self.unreached_since = None
        elif self.unreached_since is None:
            self.unreached_since = now
        since = self.unreached_since
        self.unreached = since is not None and now >= since + UNREACHED_AFTER

    def notice(self, now: float, wall_ms: int) -> Presence | None:
        """Bring ``presence`` up to date.

        Returns:
            The new presence when it changed from connected to away or back, ``None`` otherwise; the first
            connection is no change worth an event of its own.
        """
        if self.alive:
            presence = Presence.CONNECTED
        else:
            presence = Presence.ABSENT if self.presence is Presence.ABSENT else Presence.AWAY
        if presence is self.presence:
            return None
        before, self.presence, self.presence_since_ms = self.presence, presence, wall_ms
        if presence is Presence.AWAY:
            self.dead_since = now
        return None if before is Presence.ABSENT else presence
