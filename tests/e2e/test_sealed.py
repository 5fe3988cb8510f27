"""Frames that only the room can open: real browsers, the real media port, wrong keys, late transforms."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from av import VideoFrame
from playwright.async_api import Browser

from rooms.forwarding import Kind
from tests.e2e.sealed_room import NOBODY, Group, Listener, SealedRoom, Seat, running_room, sealed_by
from tests.rooms.raw_client import until
from tests.support.decoding import SAMPLES, frames, is_black, is_the_cameras, pictures, sound

pytestmark = pytest.mark.asyncio(loop_scope="session")

BLACK = 10
"""Brightness of a black picture, at most; the made-up camera of the pages is never below 60."""


@pytest_asyncio.fixture(loop_scope="session")
async def room(browser: Browser) -> AsyncIterator[SealedRoom]:
    async with running_room(browser) as running:
        yield running


async def frames_come(listener: Listener, place: int, *, more: int = 50) -> None:
    """Wait until the server has forwarded that many more frames of sound and half as many pictures."""
    sound = len(listener.frames(Kind.AUDIO, place)) + more
    pictures = len(listener.frames(Kind.CAMERA, place)) + more // 4
    await until(
        lambda: (
            len(listener.frames(Kind.AUDIO, place)) >= sound
            and len(listener.frames(Kind.CAMERA, place)) >= pictures
        ),
        "frames are forwarded",
        20,
        every=0.1,
    )


async def receives_packets(seat: Seat, mid: int, *, more: int = 100) -> None:
    """Wait until that many more packets have come."""
    goal = (await seat.figures()).get(str(mid), {}).get("packets", 0) + more

    async def come() -> bool:
        return (await seat.figures()).get(str(mid), {}).get("packets", 0) >= goal

    await until(come, f"packets of mid {mid}", 20, every=0.1)


@pytest_asyncio.fixture(loop_scope="session")
async def real_room(browser: Browser) -> AsyncIterator[SealedRoom]:
    async with running_room(browser, dictated=False) as running:
        yield running


# ---- who can open what ----------------------------------------------------------------------------------


async def test_members_of_an_epoch_see_and_hear_each_other(room: SealedRoom) -> None:
    anne, ben = await room.seat(0), await room.seat(1)
    for seat in (anne, ben):
        await seat.has_epoch(1)
    room.admit(0, 1)
    await anne.sees(ben, frames=30)
    await ben.sees(anne, frames=30)
    await anne.hears(ben)
    await ben.hears(anne)
    assert await anne.sends() == ["other", "camera", None]
    assert (await ben.brightness(anne) or 0) > BLACK
    for seat in (anne, ben):
        for fault in ("forged", "malformed", "failed"):
            assert await seat.total(fault) == 0


async def test_with_a_wrong_key_no_picture_and_no_sound_arrives(room: SealedRoom) -> None:
    anne, ben = await room.seat(0), await room.seat(1)
    await anne.has_epoch(1)
    await ben.has_epoch(1, key=200)
    room.admit(0, 1)
    await receives_packets(ben, ben.audio_of(0))
    await receives_packets(ben, ben.audio_of(0) + 1, more=20)
    figures = await ben.figures()
    sound, picture = figures[str(ben.audio_of(0))], figures[str(ben.audio_of(0) + 1)]
    assert picture["frames"] == 0
    assert sound["energy"] == 0
    assert sound["samples"] == sound["allConcealed"], "not one sample came out of a frame"
    assert await ben.brightness(anne) is None
    assert await ben.total("opened") == 0
    assert await ben.total("forged") > 0
    await ben.page.wait_for_function("() => page.keys.unopened.join() === 'A'", timeout=20_000)


async def test_a_member_of_no_epoch_opens_nothing_and_loses_nothing_afterwards(room: SealedRoom) -> None:
    anne, ben = await room.seat(0), await room.seat(1)
    await anne.has_epoch(1)
    room.admit(0, 1)
    await receives_packets(ben, ben.audio_of(0))
    assert await ben.total("opened") == 0
    assert await ben.total("noKey") > 0
    await ben.has_epoch(1)
    await ben.sees(anne)
    await ben.hears(anne)


async def test_frames_of_another_seat_in_this_slot_are_dropped(room: SealedRoom) -> None:
    anne, ben = await room.seat(0), await room.seat(1)
    for seat in (anne, ben):
        await seat.has_epoch(1)
    # The server says that Carl is in the slot in which it shows Anne.
    mids = [str(ben.audio_of(0)), str(ben.audio_of(0) + 1)]
    await ben.page.evaluate("(mids) => page.keys.expect([{seat: 'C', mids}])", mids)
    room.admit(0, 1)
    await receives_packets(ben, ben.audio_of(0))
    figures = await ben.figures()
    assert figures[mids[1]]["frames"] == 0
    assert figures[mids[0]]["energy"] == 0
    assert await ben.total("opened") == 0
    assert await ben.total("wrongSender") > 0
    await ben.expects_everybody()
    await ben.sees(anne)


async def test_a_group_is_seen_and_heard_while_it_lasts_and_by_nobody_else(real_room: SealedRoom) -> None:
    room, group = real_room, Group()
    host, anne, ben = await room.seat(0), await room.seat(1), await room.seat(2)
    room.admit(0, 1, 2)  # a server that forwards everything to everybody, always
    await group.open(host)
    await group.ask(anne)
    await group.ask(ben)
    await group.admit(anne)
    await group.at(1, host, anne)
    await host.sees(anne)
    await anne.sees(host)
    await anne.hears(host)
    assert await ben.total("opened") == 0
    assert await ben.sends() == ["other", "other", None]

    await group.admit(ben)
    await group.at(2, host, anne, ben)
    for seat in (host, anne):
        await seat.sees(ben)
        await ben.sees(seat)
    await anne.sees(host)

    await group.drop(ben)
    await group.at(3, host, anne)
    opened = await ben.total("opened")
    await anne.sees(host)
    await host.sees(anne)
    assert await ben.total("opened") == opened
    before = await anne.total("opened")
    await receives_packets(anne, anne.audio_of(2), more=20)
    assert await anne.total("opened") > before, "of the host"

    # Out and in again, and with another worker.
    await anne.page.evaluate("page.keys.replace()")
    await group.ask(anne)
    await group.admit(anne)
    await group.at(4, host, anne)
    await host.sees(anne)
    await anne.sees(host)
    await anne.hears(host)
    await receives_packets(host, host.audio_of(anne.place), more=200)  # four looks for what left unsealed
    assert await anne.page.evaluate("page.clear") == 0
    assert await host.page.evaluate("page.clear + page.troubles") == 0


async def test_the_aside_of_one_partner_opens_for_nobody_else_though_everything_is_forwarded(
    real_room: SealedRoom,
) -> None:
    """Host and Anne talk alone in an epoch of their own; Ben, put out for it, gets every packet of it."""
    room, group = real_room, Group()
    host, anne, ben = await room.seat(0), await room.seat(1), await room.seat(2)
    room.admit(0, 1, 2, 3)  # a server that forwards everything to everybody, always
    await group.open(host)
    for epoch, guest in enumerate((anne, ben), start=1):
        await group.ask(guest)
        await group.admit(guest)
        await group.at(epoch, host, guest)
    for other in (host, anne):
        await ben.sees(other)
        await ben.hears(other)

    listener = await room.listener(3)
    await group.drop(ben)
    await group.at(3, host, anne)
    await receives_packets(ben, ben.audio_of(1), more=25)  # what was on its way before
    before, opened = await ben.figures(), await ben.total("opened")
    for other in (host, anne):
        await receives_packets(ben, ben.audio_of(other.place))
        await receives_packets(ben, ben.audio_of(other.place) + 1, more=20)
    after = await ben.figures()
    for other in (host, anne):
        sound, picture = str(ben.audio_of(other.place)), str(ben.audio_of(other.place) + 1)
        assert after[picture]["frames"] == before[picture]["frames"]
        assert _from_frames(after[sound]) == _from_frames(before[sound])
    assert await ben.total("opened") == opened
    await anne.sees(host)
    await host.hears(anne)

    await group.ask(ben)
    await group.admit(ben)
    await group.at(4, host, anne, ben)
    for other in (host, anne):
        await ben.sees(other)
        await ben.hears(other)
    # All that Anne said meanwhile, kept and played to Ben now that he is back, in a slot said to be hers.
    said = [
        frame for frame in listener.frames(Kind.AUDIO, 1) if (sealed_by(frame, Kind.AUDIO, 1) or (0,))[0] == 3
    ]
    assert len(said) > 50
    slot = ben.audio_of(3)
    await ben.page.evaluate("(mid) => page.keys.expect([{seat: 'B', mids: [mid]}])", str(slot))
    unknown = await ben.total("noKey")
    for sequence, frame in enumerate(said):
        listener.client.send_rtp(Kind.AUDIO, sequence, 960 * sequence, frame)

    async def refused() -> bool:
        return await ben.total("noKey") >= unknown + len(said) // 2

    await until(refused, "what is played to Ben comes to be opened", 20, every=0.1)
    assert _from_frames((await ben.figures())[str(slot)]) == 0


def _from_frames(sound: dict[str, float]) -> float:
    """Samples of sound that came out of frames, and were not made up."""
    return sound["samples"] - sound["allConcealed"]


async def test_a_spoken_check_shows_both_the_same_pictures(real_room: SealedRoom) -> None:
    room, group = real_room, Group()
    host, anne = await room.seat(0, joins=False), await room.seat(1, joins=False)
    await group.open(host)
    await group.ask(anne)
    await group.admit(anne)
    await group.at(1, host, anne)
    await host.page.evaluate("page.keys.beginCheck()")
    shown = []
    for seat in (host, anne):
        await seat.page.wait_for_function("() => page.keys.check.phase === 'comparing'", timeout=10_000)
        shown.append(await seat.page.evaluate("page.keys.check.pictures"))
    assert shown[0] == shown[1]
    assert len(shown[0]) == 5
    for seat in (host, anne):
        await seat.page.evaluate("page.keys.answerCheck(true)")
        await seat.page.wait_for_function("() => page.keys.check.verified", timeout=10_000)
    told = [message for message in await host.page.evaluate("page.sent") if message["type"] == "checked"]
    assert told == [{"type": "checked", "generation": group.generation, "epoch": 1, "verified": True}]
    assert not any(message["type"] == "checked" for message in await anne.page.evaluate("page.sent"))
    assert await anne.page.evaluate("page.keys.seal('room', new Uint8Array([1, 104, 105]))") is None
    await host.page.wait_for_function("() => page.opened.length === 1", timeout=10_000)
    assert await host.page.evaluate("page.opened") == [["room", "B", [1, 104, 105], 1]]

    # The room moves: another generation, the same pages with the same keys.
    told.append({**told[0], "generation": "0123456789abcde1"})
    group.generation, group.epoch = "0123456789abcde1", 0
    await group.open(host)
    await group.ask(anne)
    await group.admit(anne)
    for seat in (host, anne):
        await seat.page.wait_for_function(
            "(moved) => page.keys.state.generation === moved && page.keys.check.verified",
            arg=group.generation,
            timeout=10_000,
        )
    assert [one for one in await host.page.evaluate("page.sent") if one["type"] == "checked"] == told


# ---- what leaves a page ---------------------------------------------------------------------------------


async def test_before_an_epoch_only_black_and_silence_leave_sealed_with_nobodys_key(room: SealedRoom) -> None:
    anne, ben = await room.seat(0), await room.seat(1)
    listener = await room.listener(2)
    await ben.has_epoch(1)
    room.admit(0, 1, 2)  # a server that does not keep its gate shut
    await frames_come(listener, 0)
    for kind in (Kind.AUDIO, Kind.CAMERA):
        assert all(sealed_by(frame, kind, NOBODY) for frame in listener.frames(kind, 0))
    assert await anne.sends() == ["other", "other", None]
    assert (await ben.figures())[str(ben.audio_of(0) + 1)]["frames"] == 0

    await anne.has_epoch(1)
    await ben.sees(anne)
    assert await anne.sends() == ["other", "camera", None]

    await anne.dictates(("clear", None))
    await until(lambda: _covered(anne), "the camera is taken off", 5, every=0.02)


async def _covered(seat: Seat) -> bool:
    return await seat.sends() == ["other", "other", None]


async def test_sound_has_one_size_whatever_is_said(room: SealedRoom) -> None:
    anne = await room.seat(0)
    listener = await room.listener(1)
    await anne.has_epoch(1)
    room.admit(0, 1)
    await frames_come(listener, 0, more=200)
    # What the header takes depends on the counter; of the frame itself there is one size.
    sizes = set()
    for frame in listener.frames(Kind.AUDIO, 0):
        found = sealed_by(frame, Kind.AUDIO, 0)
        if found is not None:
            sizes.add(len(frame) - (0 if found[1] < 8 else 1 if found[1] < 256 else 2))
    assert len(sizes) == 1


async def test_nonces_never_repeat_over_epochs_new_transports_and_a_new_worker(
    real_room: SealedRoom,
) -> None:
    room, group = real_room, Group()
    host, anne, ben = await room.seat(0), await room.seat(1), await room.seat(2, joins=False)
    listener = await room.listener(3)
    room.admit(0, 1, 3)
    await group.open(host)
    await group.ask(anne)
    await group.admit(anne)
    await group.at(1, host, anne)
    for epoch in range(2, 9):
        await frames_come(listener, 0, more=20)
        await frames_come(listener, 1, more=20)
        match epoch:
            case 4:
                await anne.joins()
                room.admit(0, 1, 3)
            case 6:
                await host.joins()
                room.admit(0, 1, 3)
            case 8:
                await anne.page.evaluate("page.keys.replace()")
                await until(lambda: _covered(anne), "nothing real leaves without keys", 5, every=0.02)
        if epoch == 8:
            await group.ask(anne)
            await group.admit(anne)
        elif epoch % 2 == 0:
            await group.ask(ben)
            await group.admit(ben)
        else:
            await group.drop(ben)
        await group.at(epoch, host, anne)
    await frames_come(listener, 0, more=20)
    await frames_come(listener, 1, more=20)
    for place in (0, 1):
        for kind in (Kind.AUDIO, Kind.CAMERA):
            found = [sealed_by(frame, kind, place) for frame in listener.frames(kind, place)]
            nonces = [nonce for nonce in found if nonce is not None]
            assert {epoch for epoch, _ in nonces} >= set(range(1, 9))
            assert len(set(nonces)) == len(nonces)


async def test_six_epoch_changes_lose_no_frame_for_those_who_stay(room: SealedRoom) -> None:
    seats = [await room.seat(0), await room.seat(1)]
    for seat in seats:
        await seat.has_epoch(1)
    room.admit(0, 1)
    anne, ben = seats
    await anne.sees(ben)
    await ben.sees(anne)
    before = [await _lost(seat) for seat in seats]
    for epoch in range(2, 8):
        for seat in seats:
            await seat.dictates(*seat.installed(epoch))
        for seat in seats:
            await seat.dictates(("sendOn", seat.sends_on(epoch)))
        for seat in seats:
            await seat.dictates(("drop", epoch - 2))  # the epoch before is kept: its frames are on their way
        await anne.sees(ben, frames=15)
        await ben.sees(anne, frames=15)
    assert [await _lost(seat) for seat in seats] == before


async def _lost(seat: Seat) -> dict[str, float]:
    """Frames that did not open, and key frames that had to be asked for."""
    lost = {
        name: await seat.total(name) for name in ("noKey", "forged", "wrongSender", "malformed", "failed")
    }
    return lost | {"plis": sum(of.get("plis", 0) for of in (await seat.figures()).values())}


async def test_a_restart_of_ice_keeps_transforms_and_picture(room: SealedRoom) -> None:
    anne, ben = await room.seat(0), await room.seat(1)
    for seat in (anne, ben):
        await seat.has_epoch(1)
    room.admit(0, 1)
    await ben.sees(anne)
    await anne.restarts()
    await ben.sees(anne, frames=30)
    assert len(await anne.page.evaluate("window.connections.map(() => 1)")) == 1
    assert await anne.sends() == ["other", "camera", None]


# ---- four defences, each alone -------------------------------------------------------------------------

ALL = ("flag", "same-task", "proof", "watchdog")


async def may_leave_in_clear(room: SealedRoom, *without: str) -> tuple[Seat, Listener]:
    """A page whose camera may leave in clear, and the server, which looks at what has left."""
    listener = await room.listener(2)
    anne = await room.seat(0, without=without, joins=False)
    room.admit(0, 2)
    await anne.joins()
    await anne.has_epoch(1)
    return anne, listener


def all_sealed(listener: Listener) -> bool:
    """Whether every frame that has left is sealed."""
    return all(
        sealed_by(frame, kind, 0) or sealed_by(frame, kind, NOBODY)
        for kind in (Kind.AUDIO, Kind.CAMERA)
        for frame in listener.frames(kind, 0)
    )


def seen(listener: Listener) -> list[VideoFrame]:
    """The pictures that the server can decode."""
    return list(pictures(frames(listener.packets(Kind.CAMERA, 0), picture=True)))


async def test_without_any_defence_the_camera_leaves_in_clear(room: SealedRoom) -> None:
    anne, listener = await may_leave_in_clear(room, *ALL)
    await frames_come(listener, 0)
    assert any(map(is_the_cameras, seen(listener)))
    assert not all_sealed(listener)
    assert await anne.page.evaluate("page.clear") == 0


async def test_the_flag_alone_keeps_frames_in_that_have_no_transform_yet(room: SealedRoom) -> None:
    _, listener = await may_leave_in_clear(room, "same-task", "proof", "watchdog")
    await frames_come(listener, 0)
    assert all_sealed(listener)


async def test_the_flag_alone_keeps_everything_in_that_never_gets_a_transform(room: SealedRoom) -> None:
    anne, listener = await may_leave_in_clear(room, "transform", "proof", "watchdog")

    async def encodes() -> bool:
        return (await anne.figures()).get("1", {}).get("encoded", 0) > 30

    await until(encodes, "the camera is encoded", 20, every=0.1)
    assert (await anne.figures())["1"]["packets"] == 0
    assert (await anne.figures())["0"]["packets"] == 0
    assert listener.frames(Kind.AUDIO, 0) == listener.frames(Kind.CAMERA, 0) == []


async def test_transforms_in_the_first_task_alone_seal_every_frame(room: SealedRoom) -> None:
    _, listener = await may_leave_in_clear(room, "flag", "proof", "watchdog")
    await frames_come(listener, 0)
    assert all_sealed(listener)


async def test_proof_alone_lets_only_black_and_silence_out(room: SealedRoom) -> None:
    anne, listener = await may_leave_in_clear(room, "flag", "same-task", "watchdog")
    await frames_come(listener, 0, more=100)
    assert not all_sealed(listener)  # so it does leave in clear
    shown = seen(listener)
    assert len(shown) > 10
    assert all(map(is_black, shown))
    heard = sound(frames(listener.packets(Kind.AUDIO, 0), picture=False))
    assert len(heard) > SAMPLES
    assert max(map(abs, heard)) < 100  # the microphone's beeps, twice a second: above 30 000
    assert await anne.sends() == ["other", "other", None]


async def test_the_watchdog_alone_stops_what_leaves_in_clear(room: SealedRoom) -> None:
    anne, listener = await may_leave_in_clear(room, "flag", "same-task", "proof")

    async def noticed() -> bool:
        return bool(await anne.page.evaluate("page.clear") == 1)

    await until(noticed, "the watchdog notices", 20, every=0.05)
    assert any(map(is_the_cameras, seen(listener)))  # so it did leave
    assert await anne.sends() == [None, None, None]
    # Nothing brings it back, not even a new transport.
    await anne.page.evaluate("page.peer.setLocal('camera', page.camera)")
    await anne.joins()
    assert await anne.sends() == [None, None, None]
