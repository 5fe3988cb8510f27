from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import pytest

from rooms import rtcp
from rooms.feedback import DEFAULT_BITRATE, INTERVAL, MIN_BITRATE
from rooms.forwarding import Kind, PublishedTrack
from rooms.gate import Gate
from rooms.media import PeerState
from rooms.peer import SILENCE
from rooms.quality import Grade, Level
from rooms.reporting import Beat
from tests.rooms.media_room import Room, Seat
from tests.rooms.raw_client import MEDIA_SSRC, until


async def test_publishers_learn_what_arrived_and_what_they_may_send(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    await until(lambda: rtcp.BandwidthEstimate(DEFAULT_BITRATE // 4 * 4) in a.client.reports, "the constant")
    room.gate("ab")
    a.client.send_rtp(Kind.CAMERA, 100)
    a.client.send_rtp(Kind.CAMERA, 102)
    b.client.send_rtcp(rtcp.build_remb(1, 512_000, [1]))
    told = rtcp.BandwidthEstimate(512_000)
    await until(lambda: told in a.client.reports, "the subscriber's estimate is passed on")
    blocks = [report for report in a.client.reports if isinstance(report, rtcp.ReportBlock)]
    assert blocks[-1].ssrc == MEDIA_SSRC[Kind.CAMERA]
    assert blocks[-1].lost == 1


async def test_having_been_stopped_ourselves_is_not_their_silence(room: Room) -> None:
    a = await room.seat("a", 0)
    room.port.ahead = SILENCE - 1
    time.sleep(1.5)  # noqa: ASYNC251 - the whole process stands still, as after SIGSTOP
    beats = len(a.client.reports)
    await until(lambda: len(a.client.reports) > beats, "the next beat")
    assert a.states == [PeerState.CONNECTING, PeerState.CONNECTED]


async def test_standing_still_again_and_again_keeps_nobody_alive(room: Room) -> None:
    a = await room.seat("a", 0)
    for _ in range(3):  # within ten seconds
        room.port.ahead += 3.0
        room.port.beat(late=3.0)
        room.port.beat()
    assert a.peer.state is PeerState.GONE


async def test_having_been_stopped_ourselves_moves_no_sign_of_life_ahead_of_time(room: Room) -> None:
    a = await room.seat("a", 0)
    a.client.send_rtp(Kind.AUDIO, 1)
    time.sleep(1.5)  # noqa: ASYNC251 - as above; the packet is read before the beat
    beats = len(a.client.reports)
    await until(lambda: len(a.client.reports) > beats, "the next beat")
    assert a.peer.last_heard <= room.port.now()
    assert a.peer.last_media <= room.port.now()


async def test_rooms_take_turns_so_that_no_beat_is_long() -> None:
    visits: list[tuple[float, int]] = []  # when, and which room

    class Looked(Gate):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def screens_silent(self, now: float) -> list[PublishedTrack]:
            visits.append((now, self.number))
            return []

    gates = {str(number): Looked(number) for number in range(60)}
    clock = asyncio.get_running_loop().time
    beat = Beat(gates, {}, lambda tracks: None, {"failed": 0}, clock)
    began = clock()
    beat.start()
    await until(lambda: len(visits) >= 180, "three of each")
    beat.stop()
    assert [number for _, number in visits[:180]] == 3 * list(range(60))
    assert max(Counter(when for when, _ in visits).values()) == 3
    assert clock() - began > 3 * INTERVAL - 0.1


# ------------------------------------------------------------------------------------------ weak links


def receives(seat: Seat) -> Level:
    """What goes to a seat now."""
    return seat.peer.standing.receives


def held(seat: Seat) -> bool:
    """Whether its pictures stand still for a moment."""
    return seat.peer.member.held


def sends(seat: Seat) -> Level:
    """What a seat is asked to send now."""
    return seat.peer.standing.sends


def told(seat: Seat) -> rtcp.BandwidthEstimate:
    """What a publisher was told last to send at most."""
    return [report for report in seat.client.reports if isinstance(report, rtcp.BandwidthEstimate)][-1]


class Squeezed:
    """Somebody who sees another's camera and reports how it arrives, second by second of the port's clock.

    Attributes:
        queue: seconds that whatever the publisher sends waits on its way.
    """

    def __init__(self, room: Room, publisher: Seat, subscriber: Seat) -> None:
        self.room, self.publisher, self.subscriber = room, publisher, subscriber
        self.sequence = 0
        self.kinds = [Kind.AUDIO, Kind.CAMERA]
        self.queue = 0.0

    async def goes(self, seconds: float, *, loss: float, estimate: int | None = 1_500_000) -> None:
        """Let both publish and the subscriber report, while the port's clock runs ahead."""
        port, level = self.room.port, receives(self.subscriber)
        for _ in range(int(seconds / 0.5)):
            for _ in range(3):
                self.sequence += 1
                for kind in self.kinds:
                    sent_at = port.now() - self.queue
                    self.publisher.client.send_rtp(kind, self.sequence, int(sent_at * kind.clock_rate))
            slots = self.subscriber.client.slots
            open_ones = (*slots[:2], slots[-2])
            blocks = [rtcp.ReportBlock(ssrc, int(loss * 256), 0, 0, 0, 0, 0) for ssrc in open_ones]
            report = rtcp.build_receiver_report(1, blocks)
            if estimate is not None:
                report += rtcp.build_remb(1, estimate, [1])
            self.subscriber.client.send_rtcp(report)
            await self.room.settled(self.publisher)
            await self.room.settled(self.subscriber)
            port.ahead += 0.5
            await self.at_the_end()
            port.beat()
            if receives(self.subscriber) is not level:
                return

    async def at_the_end(self) -> None:
        """Whatever else comes in the half second; nothing."""


@pytest.fixture
async def pair(room: Room) -> Squeezed:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    room.gate("ab")
    return Squeezed(room, a, b)


async def test_on_a_weak_link_the_picture_pauses_the_sound_goes_on_and_it_comes_back_by_itself(
    room: Room, pair: Squeezed
) -> None:
    a, b = pair.publisher, pair.subscriber
    await pair.goes(30, loss=0.5, estimate=20_000)
    assert receives(b) is Level.SOUND
    assert b.peer.standing.grade is Grade.WEAK
    audio, video = b.client.slots[:2]
    before = len(b.client.of(video)), len(b.client.of(audio))
    await pair.goes(7, loss=0.0, estimate=20_000)
    assert b.peer.standing.grade is Grade.WEAK, "although sound goes well"
    assert len(b.client.of(video)) == before[0]
    assert len(b.client.of(audio)) >= before[1] + 24
    asked = room.port.counters["key_frame_requests"]
    await pair.goes(30, loss=0.0, estimate=20_000)
    assert receives(b) is Level.ALL
    assert room.port.counters["key_frame_requests"] == asked + 1
    await pair.goes(1, loss=0.0)
    assert len(b.client.of(video)) > before[0]
    assert receives(a) is Level.ALL, "the other one is not concerned"


async def test_a_shared_screen_outlives_the_camera(pair: Squeezed) -> None:
    b = pair.subscriber
    pair.kinds.append(Kind.SCREEN)
    await pair.goes(30, loss=0.5, estimate=20_000)
    assert receives(b) is Level.SCREEN
    camera, screen = len(b.client.of(b.client.slots[1])), len(b.client.of(b.client.slots[-2]))
    await pair.goes(2, loss=0.0, estimate=20_000)
    assert len(b.client.of(b.client.slots[1])) == camera
    assert len(b.client.of(b.client.slots[-2])) == screen + 12
    await pair.goes(30, loss=0.5, estimate=20_000)
    assert receives(b) is Level.SOUND
    await pair.goes(30, loss=0.0, estimate=20_000)
    assert receives(b) is Level.SCREEN, "and comes back first"
    await pair.goes(30, loss=0.0, estimate=20_000)
    assert receives(b) is Level.ALL


async def test_a_paused_subscriber_holds_the_publisher_down_no_longer(room: Room, pair: Squeezed) -> None:
    await pair.goes(2, loss=0.5, estimate=20_000)
    floor = rtcp.BandwidthEstimate(MIN_BITRATE)
    assert told(pair.publisher) == floor
    await pair.goes(30, loss=0.5, estimate=20_000)
    await pair.goes(2, loss=0.0, estimate=20_000)
    assert told(pair.publisher) == rtcp.BandwidthEstimate(DEFAULT_BITRATE // 8 * 8)
    await pair.goes(6, loss=0.0, estimate=20_000)
    assert told(pair.publisher) == floor, "just before the picture is tried again"


async def test_a_link_that_loses_a_little_keeps_its_picture(pair: Squeezed) -> None:
    await pair.goes(60, loss=0.05)
    assert receives(pair.subscriber) is Level.ALL


async def test_what_the_publishers_way_lost_is_not_held_against_the_subscriber(pair: Squeezed) -> None:
    b = pair.subscriber
    for _ in range(40):
        pair.sequence += 3  # three of six are lost before the server
        await pair.goes(0.5, loss=0.5, estimate=20_000)
    assert receives(b) is Level.ALL
    assert b.peer.quality().loss_out < 0.05


async def test_a_seat_whose_own_sound_is_lost_is_asked_to_stop_its_camera_until_it_is_well(
    room: Room, pair: Squeezed
) -> None:
    a = pair.publisher
    for _ in range(20):
        pair.sequence += 3
        await pair.goes(0.5, loss=0.0)
    assert sends(a) is Level.SOUND
    assert a.peer.standing.grade is Grade.WEAK
    assert receives(a) is Level.ALL
    for _ in range(60):
        await pair.goes(0.5, loss=0.0)
    assert sends(a) is Level.ALL


async def test_a_deep_queue_on_the_way_up_pauses_what_is_sent_and_nothing_that_is_received(
    room: Room, pair: Squeezed
) -> None:
    a, b = pair.publisher, pair.subscriber
    await pair.goes(3, loss=0.0)
    for beat in range(8):
        pair.queue = 0.4 * beat
        await pair.goes(0.5, loss=0.0, estimate=20_000)
    assert sends(a) is Level.SOUND
    assert (receives(a), receives(b), sends(b)) == (Level.ALL, Level.ALL, Level.ALL)
    pair.queue = 0.0
    await pair.goes(20, loss=0.0)
    assert sends(a) is Level.ALL


async def test_a_round_trip_that_is_long_because_of_the_way_up_pauses_nothing_on_the_way_down(
    room: Room, pair: Squeezed
) -> None:
    a, b = pair.publisher, pair.subscriber
    queue = 0.0
    for beat in range(30):
        if beat == 4:
            queue = 3.0
        report = rtcp.SenderReport(MEDIA_SSRC[Kind.CAMERA], beat + 1 << 32, 0, 0, 0)
        a.client.send_rtcp(rtcp.build_sender_report(report))
        await room.settled(a)
        room.port.ahead += queue
        b.client.send_rtp(Kind.AUDIO, beat, int((room.port.now() - queue) * Kind.AUDIO.clock_rate))
        block = rtcp.ReportBlock(b.client.slots[1], 0, 0, 0, 0, beat + 1 << 16, 0)
        b.client.send_rtcp(rtcp.build_receiver_report(1, [block]))
        await pair.goes(0.5, loss=0.0, estimate=20_000)
    assert b.peer.quality().rtt_ms == pytest.approx(3_000, rel=0.1)
    assert receives(b) is Level.ALL


class Answered(Squeezed):
    """The same, and the publisher reports on a picture that the subscriber sends.

    Attributes:
        waits: its reports wait in a queue, too: they tell of a time of which nothing is known any more.
    """

    beats = 0
    waits = False

    async def at_the_end(self) -> None:
        a, b, now = self.publisher.client, self.subscriber.client, self.room.port.now()
        self.beats += 1
        b.send_rtp(Kind.CAMERA, self.beats, int(now * Kind.CAMERA.clock_rate))
        report = rtcp.SenderReport(MEDIA_SSRC[Kind.CAMERA], self.beats << 32, 0, 0, 0)
        b.send_rtcp(rtcp.build_sender_report(report))
        await self.room.settled(self.subscriber)
        block = rtcp.ReportBlock(a.slots[1], 0, 0, 0, 0, self.beats - self.waits << 16, 0)
        a.send_rtcp(rtcp.build_receiver_report(1, [block]))
        await self.room.settled(self.publisher)


@pytest.mark.parametrize("waits", [False, True])
async def test_what_comes_late_from_a_slow_device_pauses_nothing_while_its_reports_come_at_once(
    room: Room, pair: Squeezed, *, waits: bool
) -> None:
    a, b = pair.publisher, pair.subscriber
    both = Answered(room, a, b)
    await both.goes(3, loss=0.0)
    both.waits = waits
    for beat in range(1, 9):
        both.queue = 0.4 * beat
        await both.goes(0.5, loss=0.0, estimate=20_000)
    assert sends(a) is (Level.SOUND if waits else Level.ALL)
    assert (receives(a), receives(b), sends(b)) == (Level.ALL, Level.ALL, Level.ALL)


class Accompanied(Squeezed):
    """There is a third, whose camera the subscriber sees as well.

    Attributes:
        packets: of 1 200 octets that come of that camera in half a second.
    """

    third: Seat
    packets = 1

    async def at_the_end(self) -> None:
        now = self.room.port.now()
        for _ in range(self.packets):
            self.sequence += 1
            self.third.client.send_rtp(
                Kind.CAMERA, self.sequence, int(now * Kind.CAMERA.clock_rate), bytes(1_200)
            )
        await self.room.settled(self.third)


async def test_who_sends_little_leaves_what_they_do_not_use_and_has_it_back_at_once(room: Room) -> None:
    a, b, c = [await room.seat(name, place) for place, name in enumerate("abc")]
    room.gate("abc")
    visit = Accompanied(room, a, b)
    visit.third = c
    await visit.goes(5, loss=0.0)
    assert told(a).bits_per_second == 1_500_000 - MIN_BITRATE
    assert told(c).bits_per_second == 1_500_000 - MIN_BITRATE, "nor does the other one use it"
    visit.packets = 60
    await visit.goes(2, loss=0.0)
    assert told(a).bits_per_second == 1_500_000 // 2


async def test_of_whom_pictures_come_is_told_and_a_camera_turned_off_is_not_a_weak_link(
    room: Room, pair: Squeezed
) -> None:
    a, b = pair.publisher, pair.subscriber
    await pair.goes(2, loss=0.0)
    assert a.peer.standing.camera
    assert (a.peer.standing.screen, b.peer.standing.camera) == (False, False)
    pair.kinds = [Kind.AUDIO, Kind.SCREEN]
    await pair.goes(3, loss=0.0)
    assert (a.peer.standing.camera, a.peer.standing.screen) == (False, True)


async def test_of_a_program_no_pause_is_told_that_it_would_not_make(room: Room, pair: Squeezed) -> None:
    a, b = pair.publisher, pair.subscriber
    a.peer.receives = False  # as of a program: it is sent nothing, so that it cannot be asked either
    for _ in range(20):
        pair.sequence += 3
        await pair.goes(0.5, loss=0.0)
    assert a.peer.standing.grade is Grade.WEAK
    assert sends(a) is Level.ALL
    before = len(b.client.of(b.client.slots[1]))
    await pair.goes(2, loss=0.0)
    assert len(b.client.of(b.client.slots[1])) > before, "and its picture comes"


async def test_a_camera_that_a_weak_link_holds_back_still_counts_as_on(room: Room, pair: Squeezed) -> None:
    a = pair.publisher
    for _ in range(20):
        pair.sequence += 3
        await pair.goes(0.5, loss=0.0)
    assert sends(a) is Level.SOUND
    pair.kinds = [Kind.AUDIO]
    for _ in range(10):
        pair.sequence += 3
        await pair.goes(0.5, loss=0.0)
    assert sends(a) is Level.SOUND
    assert a.peer.standing.camera
    while sends(a) is not Level.ALL:
        await pair.goes(0.5, loss=0.0)
    assert a.peer.standing.camera, "its page has yet to send again"
    await pair.goes(5, loss=0.0)
    assert not a.peer.standing.camera, "turned off meanwhile"


async def test_behind_the_gate_nothing_is_told_of_cameras(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    await Squeezed(room, a, b).goes(2, loss=0.0)
    assert not a.peer.standing.camera


class Flooded:
    """Somebody who misses most of a picture, NACK by NACK, while sound goes on."""

    def __init__(self, room: Room, pair: Squeezed) -> None:
        self.room, self.pair, self.sequence = room, pair, 0

    async def goes(self, seconds: float, *, loss: float, until: Callable[[], bool] | None = None) -> None:
        """Twenty packets a second, of which as many are missed at once; for so long, or until it is so."""
        a, b, port = self.pair.publisher, self.pair.subscriber, self.room.port
        for count in range(int(seconds * 20)):
            self.sequence += 1
            for kind in (Kind.AUDIO, Kind.CAMERA):
                a.client.send_rtp(kind, self.sequence, int(port.now() * kind.clock_rate))
            await self.room.settled(a)
            await self.room.settled(b)
            slot = next(slot for slot in b.peer.member.slots if slot.kind is Kind.CAMERA)
            if slot.route is not None and count % 20 < loss * 20:
                b.client.send_rtcp(rtcp.build_nack(1, slot.ssrc, [slot.sequence]))
                await self.room.settled(b)
            port.ahead += 0.05
            if count % 10 == 9:
                port.beat()
            if until is not None and until():
                return

    def seen(self, kind: Kind) -> int:
        slots = self.pair.subscriber.client.slots
        return len(self.pair.subscriber.client.of(slots[kind is not Kind.AUDIO]))


async def test_in_a_flood_the_picture_stops_at_once_for_a_moment_and_comes_back_smaller_and_whole(
    room: Room, pair: Squeezed
) -> None:
    a, b, flood = pair.publisher, pair.subscriber, Flooded(room, pair)
    await flood.goes(2, loss=0.0)
    asked = room.port.counters["key_frame_requests"]
    told = len(a.client.reports)
    await flood.goes(3, loss=0.9, until=lambda: held(b))
    assert held(b)
    assert receives(b) is Level.ALL, "nobody is told of a moment"
    assert rtcp.BandwidthEstimate(MIN_BITRATE) in a.client.reports[told:]
    before, heard = flood.seen(Kind.CAMERA), flood.seen(Kind.AUDIO)
    while held(b):
        assert flood.seen(Kind.CAMERA) == before
        await flood.goes(0.05, loss=0.0)
        room.port.beat()
    assert flood.seen(Kind.AUDIO) > heard
    await flood.goes(0.5, loss=0.0)
    assert flood.seen(Kind.CAMERA) > before
    assert room.port.counters["key_frame_requests"] > asked


async def test_a_second_flood_of_the_least_pauses_the_picture(room: Room, pair: Squeezed) -> None:
    b, flood = pair.subscriber, Flooded(room, pair)
    await flood.goes(2, loss=0.0)
    await flood.goes(20, loss=0.9, until=lambda: receives(b) is Level.SOUND)
    assert receives(b) is Level.SOUND
    assert (sends(pair.publisher), receives(pair.publisher)) == (Level.ALL, Level.ALL)
    await flood.goes(20, loss=0.0)
    assert receives(b) is Level.ALL


async def test_a_tenth_lost_by_chance_stops_nothing(room: Room, pair: Squeezed) -> None:
    flood = Flooded(room, pair)
    await flood.goes(20, loss=0.1)
    assert flood.seen(Kind.CAMERA) >= 395


async def test_a_seat_whose_transport_fell_silent_during_a_stop_is_not_left_without_pictures(
    room: Room, pair: Squeezed
) -> None:
    b, flood = pair.subscriber, Flooded(room, pair)
    await flood.goes(2, loss=0.0)
    await flood.goes(3, loss=0.9, until=lambda: held(b))
    assert held(b)
    room.port.ahead += SILENCE + 1
    room.port.beat()
    assert b.peer.state is PeerState.GONE
    await flood.goes(2, loss=0.0)
    await b.client.check()
    before = flood.seen(Kind.CAMERA)
    await flood.goes(2, loss=0.0)
    assert flood.seen(Kind.CAMERA) > before


async def test_a_picture_paused_before_a_blackout_comes_back_after_it(room: Room, pair: Squeezed) -> None:
    a, b = pair.publisher, pair.subscriber
    await pair.goes(30, loss=0.5, estimate=20_000)
    assert receives(b) is Level.SOUND
    room.port.ahead += SILENCE + 1
    room.port.beat()
    assert b.peer.state is PeerState.GONE
    await a.client.check()
    await b.client.check()
    await pair.goes(20, loss=0.0)
    assert receives(b) is Level.ALL
    before = len(b.client.of(b.client.slots[1]))
    await pair.goes(5, loss=0.0)
    assert len(b.client.of(b.client.slots[1])) > before


async def test_after_a_blackout_nobody_is_told_to_send_less_nor_that_a_link_is_weak(
    room: Room, pair: Squeezed
) -> None:
    a, b = pair.publisher, pair.subscriber
    await pair.goes(5, loss=0.0)
    room.port.ahead += 5.0
    told_before = len(a.client.reports)
    pair.sequence += 250
    await pair.goes(0.5, loss=0.95)
    for _ in range(10):
        await pair.goes(0.5, loss=0.0)
    bits = [
        one.bits_per_second
        for one in a.client.reports[told_before:]
        if isinstance(one, rtcp.BandwidthEstimate)
    ]
    assert min(bits) == 1_500_000
    blocks = [one for one in a.client.reports[told_before:] if isinstance(one, rtcp.ReportBlock)]
    assert max(block.fraction_lost for block in blocks) == 0
    for seat in (a, b):
        assert (sends(seat), receives(seat), seat.peer.standing.grade) == (Level.ALL, Level.ALL, Grade.GOOD)
        assert seat.peer.quality().loss_in < 0.02


async def test_who_is_gone_holds_no_publisher_down(room: Room, pair: Squeezed) -> None:
    a, b = pair.publisher, pair.subscriber
    await pair.goes(30, loss=0.5, estimate=20_000)
    assert receives(b) is Level.SOUND
    for _ in range(2 * int(SILENCE + 10)):  # until the picture would be tried, and longer
        room.port.ahead += 0.5
        a.client.send_rtp(Kind.CAMERA, pair.sequence)
        await room.settled(a)
        room.port.beat()
    assert b.peer.state is PeerState.GONE
    default = rtcp.BandwidthEstimate(DEFAULT_BITRATE // 8 * 8)
    await until(lambda: told(a) == default, "as nobody held it down")


async def test_behind_the_gate_no_link_is_judged(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    pair = Squeezed(room, a, b)
    for _ in range(20):
        pair.sequence += 9
        await pair.goes(0.5, loss=0.9, estimate=1)
    assert (a.peer.standing.sends, b.peer.standing.receives) == (Level.ALL, Level.ALL)
