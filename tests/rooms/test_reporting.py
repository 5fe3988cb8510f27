from __future__ import annotations

import time

from rooms import rtcp
from rooms.feedback import AUDIO_BITRATE, DEFAULT_BITRATE
from rooms.forwarding import Kind
from rooms.media import PeerState
from rooms.peer import SILENCE
from tests.rooms.media_room import Room
from tests.rooms.raw_client import MEDIA_SSRC, until


async def test_publishers_learn_what_arrived_and_what_they_may_send(room: Room) -> None:
    a, b = await room.seat("a", 0), await room.seat("b", 1)
    await until(lambda: rtcp.BandwidthEstimate(DEFAULT_BITRATE // 4 * 4) in a.client.reports, "the constant")
    room.gate("ab")
    a.client.send_rtp(Kind.CAMERA, 100)
    a.client.send_rtp(Kind.CAMERA, 102)
    b.client.send_rtcp(rtcp.build_remb(1, 512_000, [1]))
    told = rtcp.BandwidthEstimate(512_000 + AUDIO_BITRATE)
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


async def test_having_been_stopped_ourselves_moves_no_sign_of_life_ahead_of_time(room: Room) -> None:
    a = await room.seat("a", 0)
    a.client.send_rtp(Kind.AUDIO, 1)
    time.sleep(1.5)  # noqa: ASYNC251 - as above; the packet is read before the beat
    beats = len(a.client.reports)
    await until(lambda: len(a.client.reports) > beats, "the next beat")
    assert a.peer.last_heard <= room.port.now()
    assert a.peer.last_media <= room.port.now()
