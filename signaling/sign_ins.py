"""The clinicians in the rooms of this process, and whether the sign-ins behind them still stand.

    entered ──▶ looked at every 2 s ──it stands──▶ kept from running out
                      └──ended, here or in another process──▶ SignedOut, to each room with that device

Who is in no room here any more is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from broker.errors import StoreUnavailable
from broker.tickets import Grant, Tickets
from rooms.events import Device, SignedOut
from rooms.runner import Runner
from signaling.failures import describe

SIGN_INS_EVERY: Final = 2.0
"""Seconds between looks whether the clinicians in the rooms are still signed in."""
KEEP_SIGN_IN_EVERY: Final = 60.0
"""Seconds between the times that a running visit keeps its clinician's sign-in from running out."""

log = structlog.get_logger()


@dataclass(slots=True)
class SignIns:
    """The sign-ins behind the clinicians here.

    Args:
        rooms: the running rooms.
    """

    tickets: Tickets
    rooms: Callable[[], Iterable[Runner]]
    _of: dict[Device, Grant] = field(default_factory=dict, init=False)
    _kept: dict[Device, float] = field(default_factory=dict, init=False)

    def entered(self, grant: Grant) -> None:
        """Somebody comes in with this; of interest only if a sign-in is behind it."""
        if grant.sign_in:
            self._of[grant.device] = grant

    async def follow(self) -> None:
        """Look at them now and then, until cancelled."""
        while True:
            await asyncio.sleep(SIGN_INS_EVERY)
            try:
                await self.look()
            except StoreUnavailable:
                pass  # nobody can tell; those inside stay, as with every other trouble of the store
            except Exception as error:
                log.error("sign-ins cannot be looked at", **describe(error))

    async def look(self) -> None:
        """Tell each room whose clinician's sign-in has ended, here or in another process."""
        here = {device for runner in self.rooms() for _, device in runner.clinicians}
        for device in self._of.keys() - here:
            del self._of[device]
            self._kept.pop(device, None)
        for device, grant in list(self._of.items()):
            if await self.tickets.stands(grant):
                await self._keep(device, grant)
                continue
            for runner in self.rooms():
                for seat, signed_out in runner.clinicians:
                    if signed_out == device:
                        runner.tell(SignedOut(seat, device))

    async def _keep(self, device: Device, grant: Grant) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._kept.get(device, -KEEP_SIGN_IN_EVERY) >= KEEP_SIGN_IN_EVERY:
            await self.tickets.keep(grant)
            self._kept[device] = now
