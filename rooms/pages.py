"""The pages that are connected to one room: where each is told things, and when it was last heard.

    join ──▶ here ──its connection is gone, or we close it──▶ gone

A program that publishes is a page here, too. Nobody speaks to a page that is gone, which is ordinary: what it
was to be told was decided before anybody knew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from broker.seats import SeatCode
from rooms.effects import Close, Reply, Show, View
from rooms.events import Device, Link
from rooms.groups import GroupNews, Tell


class PageOutbox(Protocol):
    """Where a page's messages are put. None of these waits or raises; a full outbox closes its own page."""

    def show(self, view: View) -> None:
        """Show the page its view."""

    def offer(self, sdp: str, *, restart: bool, ends_ms: int) -> None:
        """Offer a transport, or (``restart``) new ICE credentials for the one it has.

        Args:
            ends_ms: when the session ends; nothing that goes with the offer need last longer.
        """

    def reply(self, request: int, code: str | None) -> None:
        """Answer a request: done, or refused with a code."""

    def tell(self, news: GroupNews) -> None:
        """Tell of an encryption group."""

    def close(self, code: str) -> None:
        """Say why, then close."""


@dataclass(slots=True)
class OpenPage:
    """One page that is connected.

    Attributes:
        heard_at: when anything last came from it, monotonic seconds.
        ingest: it is a program, which offers its transport itself (RFC 9725).
    """

    seat: SeatCode
    device: Device
    outbox: PageOutbox
    heard_at: float
    ingest: bool


@dataclass(slots=True)
class Pages:
    """The connected pages of one room."""

    _of: dict[Link, OpenPage] = field(default_factory=dict, init=False)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._of)

    def __contains__(self, link: Link) -> bool:
        """Whether the page is here still."""
        return link in self._of

    def join(self, link: Link, page: OpenPage) -> None:
        """A page has come."""
        self._of[link] = page

    def part(self, link: Link) -> bool:
        """A page's connection is gone. Returns whether it was here until now."""
        return self._of.pop(link, None) is not None

    def get(self, link: Link) -> OpenPage | None:
        """The page, unless it is gone."""
        return self._of.get(link)

    def heard(self, link: Link, now: float) -> None:
        """A page gave a sign of life: a message or a pong."""
        if (page := self._of.get(link)) is not None:
            page.heard_at = now

    def heard_at(self, links: Iterable[Link]) -> list[float]:
        """When those of these pages that are here were last heard, monotonic seconds."""
        return [page.heard_at for link in links if (page := self._of.get(link)) is not None]

    def devices(self, seats: Iterable[SeatCode]) -> set[tuple[SeatCode, Device]]:
        """Every device that has a page of these seats here."""
        wanted = frozenset(seats)
        return {(page.seat, page.device) for page in self._of.values() if page.seat in wanted}

    def offer(self, link: Link, sdp: str, *, restart: bool, ends_ms: int) -> None:
        """Offer the page a transport; see ``PageOutbox.offer``."""
        if (page := self._of.get(link)) is not None:
            page.outbox.offer(sdp, restart=restart, ends_ms=ends_ms)

    def perform(self, effect: Show | Reply | Tell | Close) -> None:
        """Put an effect into the outbox of its page; one that is closed is gone from then on."""
        page = self._of.get(effect.link)
        if page is None:
            return
        match effect:
            case Show(_, view):
                page.outbox.show(view)
            case Reply(_, request, code):
                page.outbox.reply(request, code)
            case Tell(_, news):
                page.outbox.tell(news)
            case Close(link, code):
                del self._of[link]
                page.outbox.close(code)

    def close_all(self, code: str) -> None:
        """Close every page, and tell it why."""
        pages, self._of = self._of, {}
        for page in pages.values():
            page.outbox.close(code)
