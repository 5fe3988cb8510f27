"""A program that publishes, as its room sees it: an outbox that nobody reads, and what is asked in its name.

A page is told what it may know and shows it to a person. A program is told nothing: what its room puts here
is kept until the next request over HTTP asks for it, and what follows without a person is done at once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from broker.errors import Refused
from broker.seats import SeatAction, SeatState
from rooms.effects import PlaceView, View
from rooms.events import Asked, DeviceAnswered, Link
from rooms.groups import GroupNews
from rooms.runner import Runner

ANSWERED_WITHIN: Final = 5.0
"""Seconds for a room to show its view or to answer a request."""
VIA: Final = "via-whip"
"""The reason on record of a knock and of a leave by a program."""


WAITING: Final = frozenset({SeatState.WAITING.value, SeatState.ASKED_TO_WAIT.value})
INSIDE: Final = frozenset({SeatState.ADMITTED.value, SeatState.HELD.value, "paused"})
"""Words of ``PlaceView.state``: a seat that waits, and one that was admitted and not taken out again."""
_GIVES_AWAY: Final = frozenset({"replaced", "opened-elsewhere", "device-refused"})


class Program:
    """One program.

    Args:
        seat: meeting ID and seat code.

    Attributes:
        link: its connection, as the room knows it.
        runner: the room; ``None`` until it is in.
        view: what the room showed it last.
        end: why the room has done with it; ``None`` while it has not.
        asked_at: when it was last asked for over HTTP, loop seconds.
        opened_at: when its transport was opened, loop seconds.
        resource: secret name of its transport, empty while it has none.
        etag: of the present ICE generation.
        leaves: its seat is to be given up unless it is asked for again.
    """

    def __init__(self, seat: tuple[str, str]) -> None:
        self.seat = seat
        self.link: Link = secrets.token_hex(8)
        self.runner: Runner | None = None
        self.view: PlaceView | None = None
        self.end: str | None = None
        self.asked_at = 0.0
        self.opened_at = 0.0
        self.resource = ""
        self.etag = ""
        self.leaves = False
        self._changed = asyncio.Event()
        self._replies: dict[int, str | None] = {}
        self._number = 0

    # ---- what the room puts, see ``rooms.pages.PageOutbox`` ----------------------------------------------

    def show(self, view: View) -> None:
        """Take note of where the seat stands, and do at once what follows."""
        if not isinstance(view, PlaceView) or self.runner is None:
            return
        self.view = view
        if self.resource and view.state not in INSIDE:
            self.close_resource()  # moved back: who is let in again offers again
        if view.device_asks and view.state in WAITING:
            self.runner.tell(DeviceAnswered(self.link, True, view.device_asks))
        self._wake()

    def offer(self, sdp: str, *, restart: bool, ends_ms: int) -> None:
        """Nothing is offered to a program: it offers."""

    def reply(self, request: int, code: str | None) -> None:
        """Keep the answer for whoever waits for it."""
        self._replies[request] = code
        self._wake()

    def tell(self, news: GroupNews) -> None:
        """A program is in no encryption group: its session is none that has any."""

    def close(self, code: str) -> None:
        """The room has done with this program."""
        self.end = self.end or code
        self.resource = ""
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # ---- what is asked in its name -----------------------------------------------------------------------

    def close_resource(self) -> None:
        """Close the transport; nobody finds the resource any more."""
        self.resource = ""
        if self.runner is not None:
            self.runner.end_ingest(self.link)

    async def seen(self) -> PlaceView:
        """The view, once there is one.

        Raises:
            Refused: the room closed this program instead, or says nothing.
        """
        await self._until(lambda: self.view is not None)
        if self.view is None:
            raise Refused("busy")
        return self.view

    async def ask(self, action: SeatAction) -> str | None:
        """Ask the room for something, for the seat itself. Returns the code of the reply.

        Raises:
            Refused: the room closed this program instead, or says nothing.
        """
        number = self._tell(action)
        await self._until(lambda: number in self._replies)
        if number not in self._replies:
            raise Refused("busy")
        return self._replies.pop(number)

    def leave(self) -> None:
        """Give the seat up; the answer is waited for by nobody."""
        self._tell(SeatAction.LEAVE)

    def _tell(self, action: SeatAction) -> int:
        if self.runner is None:
            raise AssertionError("A program asks in the room that it has joined.")
        self._number += 1
        self.runner.tell(Asked(self.link, self._number, action, reason=VIA))
        return self._number

    async def wait(self, seconds: float) -> None:
        """Return when the room has put something, at the latest after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _until(self, holds: Callable[[], bool]) -> None:
        until = _now() + ANSWERED_WITHIN
        while self.end is None and not holds() and (left := until - _now()) > 0:
            await self.wait(left)
        if self.end is not None:
            raise Refused("seat-in-use" if self.end in _GIVES_AWAY else self.end)


def _now() -> float:
    return asyncio.get_running_loop().time()
