"""Who of a room is heard, on any path, and what is known of everybody's link: looked at four times a second.

    pages' messages and pongs, media, answers of a clinician who hears ──▶ FellSilent, HeardAgain
    what the media port judges of each transport ──▶ LinkJudged

A clinician is lost sooner than a patient is shown as away: partners must not go on talking alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.seats import SeatCode
from rooms.bucket import Bucket
from rooms.events import Event, FellSilent, HeardAgain, LinkJudged
from rooms.hearing import EVERY as ASK_EVERY
from rooms.pages import Pages
from rooms.quality import Standing
from rooms.reporting import EXCUSED_EVERY
from rooms.seat import Seat
from rooms.transports import Transports

HOST_PATIENCE: Final = 1.5
"""Seconds of silence after which a clinician counts as lost: with the check below, held within 2 s."""
PATIENT_PATIENCE: Final = 3.0
"""Seconds of silence after which a patient is shown as away."""
CHECK_EVERY: Final = 0.25
"""Seconds between looks at the signs of life."""
STALLED: Final = 0.5
"""Seconds by which a look may be late before this process, not the people, is taken to have been silent."""


@dataclass(slots=True, eq=False)
class SignsOfLife:
    """The signs of life of one room.

    Args:
        seats: the room's.
        pages: the room's.
        transports: the room's.
    """

    seats: Mapping[SeatCode, Seat]
    pages: Pages
    transports: Transports
    _excuses: Bucket = field(default_factory=lambda: Bucket(1 / EXCUSED_EVERY, 1), init=False)
    _standings: dict[SeatCode, Standing] = field(default_factory=dict, init=False)

    def look(self, now: float, due: float) -> list[Event]:
        """Compare each seat's last sign of life with its patience, and ask those who must hear once more.

        Args:
            now: monotonic seconds.
            due: when this look was to be taken. Having been stopped or starved ourselves says nothing about
                the others: their packets lie unread in the sockets. They are judged at the next look, late
                or not.
        """
        self.ask_clinicians()
        if now >= due + STALLED and self._excuses.take(now):
            return []
        events: list[Event] = []
        for code, seat in self.seats.items():
            heard_at = self._heard_at(code, seat)
            if heard_at is None:
                continue
            quiet = now - heard_at > (HOST_PATIENCE if seat.is_host else PATIENT_PATIENCE)
            if quiet and not seat.silent:
                events.append(FellSilent(code))
            elif seat.silent and not quiet:
                events.append(HeardAgain(code))
        return events

    def ask_clinicians(self) -> None:
        """Ask those who must hear whether they do, now and once more before the next look, which judges."""
        hosts = [code for code, seat in self.seats.items() if seat.is_host]
        for code in hosts:
            self.transports.ask_whether_heard(code)
            asyncio.get_running_loop().call_later(ASK_EVERY, self.transports.ask_whether_heard, code)

    def _heard_at(self, code: SeatCode, seat: Seat) -> float | None:
        """When the seat was last heard; ``None`` while it has neither page nor transport.

        Only pages that hold the seat count: a second device that asks must not keep the first one alive. Of a
        clinician with media only the media counts, and whether they hear: one who can no longer hear the
        partners is not with them.
        """
        if seat.is_host and (present := self.transports.present_at(code)) is not None:
            return present
        media = self.transports.heard_at(code)
        signs = self.pages.heard_at(seat.pages)
        return max(signs if media is None else [*signs, media], default=None)

    def media_heard(self, seats: Iterable[SeatCode]) -> dict[SeatCode, float | None]:
        """When media last came from each of these, ``None`` without a transport; of clinicians who hear."""
        return {
            code: self.transports.present_at(code)
            if self.seats[code].is_host
            else self.transports.media_heard_at(code)
            for code in seats
        }

    def news_of_links(self) -> list[Event]:
        """What the media port judges of each seat's link, where it differs from what was told before."""
        standings = self.transports.standings()
        before, self._standings = self._standings, standings
        return [
            LinkJudged(seat, standings.get(seat))
            for seat in before.keys() | standings.keys()
            if before.get(seat) != standings.get(seat)
        ]
