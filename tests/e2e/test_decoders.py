"""The server as an eavesdropper: real decoders are fed with everything that it forwards."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from rooms.forwarding import Kind
from tests.e2e.sealed_room import Listener, running_room
from tests.rooms.raw_client import until
from tests.support.decoding import beeps, frames, is_the_cameras, pictures, sound

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]


PICTURES, SOUNDS = 30, 150
"""Frames that a decoder is given at least: two to three seconds of each."""


def enough(listener: Listener, *places: int) -> bool:
    """Whether so much has been forwarded of each of these."""
    return all(
        len(listener.frames(kind, place)) > least
        for place in places
        for kind, least in ((Kind.CAMERA, PICTURES), (Kind.AUDIO, SOUNDS))
    )


def decoded(listener: Listener, place: int) -> tuple[int, int]:
    """Pictures of the camera and beeps of the microphone that libvpx and libopus make of a seat's frames."""
    seen = frames(listener.packets(Kind.CAMERA, place), picture=True)
    heard = frames(listener.packets(Kind.AUDIO, place), picture=False)
    return sum(map(is_the_cameras, pictures(seen))), beeps(sound(heard))


async def test_the_servers_decoders_make_nothing_of_what_is_sealed(browser: Browser) -> None:
    async with running_room(browser) as room:
        listener = await room.listener(2)
        anne, ben, carl = await room.seat(0), await room.seat(1), await room.seat(3, sealed=False)
        for seat in (anne, ben):
            await seat.has_epoch(1)
        room.admit(0, 1, 2, 3)
        # Ben has the keys, and has it all at the same time.
        await ben.sees(anne, frames=PICTURES)
        await ben.hears(anne)
        await until(lambda: enough(listener, 0, 3), "enough is forwarded", 60, every=0.1)
        assert await anne.sends() == await carl.sends() == ["other", "camera", None]

        assert decoded(listener, 0) == (0, 0)
        # Of Carl, who does not seal, the same decoders have nearly everything.
        seen, heard = decoded(listener, 3)
        assert seen > PICTURES // 2
        assert heard >= 2
