"""The beat of the media port: twice a second, what each seat is told, and what its silence means.

    each room, every 500 ms ──▶ silence noticed ──▶ states settled
                 ──▶ each link judged (rooms.weak): routes that it cannot carry go, or return
                 ──▶ publishers: receiver report (RFC 3550 §6.4.2) and bitrate (REMB)
                 ──▶ screens that were put away lose their slot

Rooms take turns over the interval: while a beat computes, packets wait, and a hundred rooms at once would be
heard as a gap twice a second.

A thin shell: it reads the port's clock and calls the pure halves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from math import ceil

from rooms import rtcp
from rooms.brake import AGAIN, HOLD
from rooms.bucket import Bucket
from rooms.feedback import ESTIMATE_LIFE, INTERVAL, Downlink, left_over, publisher_bitrate
from rooms.forwarding import Kind, PublishedTrack
from rooms.gate import Gate
from rooms.peer import Peer, PeerState
from rooms.quality import Damped, Grade, Level, Standing
from rooms.uplink import Uplink
from rooms.weak import CARRIED, PICTURE_BITRATE, Allowance, Ladder, downlink_hurts

__all__ = ["EXCUSED_EVERY", "Beat"]

#: Seconds between two times that our own standing still excuses the silence of others. Somebody who keeps
#: this process busy, again and again, must not keep a clinician from being found gone.
EXCUSED_EVERY = 10.0

#: Parts into which an interval is divided at most; rooms take turns in them.
_TURNS = 25

#: Seconds without a packet after which a picture counts as not sent; a still screen sends one each second.
_STILL = 2.0

#: Seconds that a page has to send again what it was asked to hold back.
_RETURN = 3.0


class _Link:
    """What is kept of one seat's link from beat to beat."""

    def __init__(self) -> None:
        self.down, self.up = Ladder(), Ladder()
        self.allowance = Allowance()
        self.grade = Damped()
        self.uplink = Uplink()
        self.held_until = float("-inf")
        self.sends_since = float("-inf")
        self.shown: frozenset[Kind] = frozenset()

    def show(self, moving: frozenset[Kind], now: float) -> None:
        """Note of which kinds pictures come; what its page holds back, or has just let go, still counts."""
        back = frozenset(Kind) - CARRIED[self.up.level] if now - self.sends_since >= _RETURN else self.shown
        self.shown = moving | self.shown & back


class Beat:
    """What one media port does twice a second.

    Args:
        gates: of each room, as the port keeps them.
        peers: by room and seat, as the port keeps them.
        ask_key_frames: asks the publishers of these tracks for a key frame now.
        counters: of the port; ``failed`` counts a beat that met a defect here.
        now: monotonic seconds of the port.
    """

    def __init__(
        self,
        gates: Mapping[str, Gate],
        peers: Mapping[tuple[str, str], Peer],
        ask_key_frames: Callable[[Iterable[PublishedTrack]], None],
        counters: dict[str, int],
        now: Callable[[], float],
    ) -> None:
        self._gates = gates
        self._peers = peers
        self._ask_key_frames = ask_key_frames
        self._counters = counters
        self._now = now
        self._next: asyncio.TimerHandle | None = None
        self._excuses = Bucket(1 / EXCUSED_EVERY, 1)
        self._links: dict[str, dict[Peer, _Link]] = {}
        self._rooms: list[str] = []
        self._at_once = self._turns = 1

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._next is not None

    def start(self) -> None:
        """Begin; the first beat comes after one interval."""
        self._next = asyncio.get_running_loop().call_later(INTERVAL, self._on_beat)

    def stop(self) -> None:
        """End; may be called twice."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _on_beat(self) -> None:
        loop = asyncio.get_running_loop()
        late = loop.time() - self._next.when() if self._next is not None else 0.0
        try:
            self._take_turn(late)
        except Exception:
            # A defect of ours must not end the beat for every room. Tests hold this counter at zero.
            self._counters["failed"] += 1
        self._next = loop.call_later(INTERVAL / self._turns, self._on_beat)

    def _take_turn(self, late: float) -> None:
        """Beat for the rooms whose turn it is, in an interval that begins when none are left of the last."""
        if not self._rooms:
            self._rooms = list(self._gates)
            self._at_once = max(1, ceil(len(self._rooms) / _TURNS))
            self._turns = max(1, ceil(len(self._rooms) / self._at_once))
        turn, self._rooms = self._rooms[: self._at_once], self._rooms[self._at_once :]
        self._beat(turn, late)

    def once(self, late: float = 0.0) -> None:
        """Beat now, for every room.

        Args:
            late: seconds by which the beat comes too late, because this process stood still.
        """
        self._beat(list(self._gates), late)

    def _beat(self, rooms: Iterable[str], late: float) -> None:
        now = self._now()
        if late > INTERVAL and self._excuses.take(now):
            # We were stopped or starved: the silence was ours, their packets lie unread.
            for peer in self._peers.values():
                peer.last_heard = min(now, peer.last_heard + late)
                peer.last_media = min(now, peer.last_media + late)
        self._links = {room: links for room, links in self._links.items() if room in self._gates}
        for room in rooms:
            if (gate := self._gates.get(room)) is not None:
                self._tend(room, gate, now)

    def _tend(self, room: str, gate: Gate, now: float) -> None:
        peers = [self._peers[room, seat] for seat in gate.members]
        for peer in peers:
            peer.settle()
        before = self._links.get(room, {})
        # Kept while the transport may come back: what was paused is paused still, and must be tried again.
        self._links[room] = {peer: before.get(peer) or _Link() for peer in peers}
        connected = [peer for peer in peers if peer.state is PeerState.CONNECTED]
        for peer in connected:
            self._judge(peer, self._links[room][peer], now)
        for peer in connected:
            self._report(peer, now)
        self._ask_key_frames(gate.screens_silent(now))

    def flooded(self, peer: Peer, fraction: float) -> None:
        """Far more is sent to a seat than arrives: stop its pictures for a moment, or pause them.

        Args:
            fraction: of its pictures that is lost.
        """
        link, member, now = self._links.get(peer.room, {}).get(peer), peer.member, self._now()
        if link is None or member.held:
            return
        gate, pictures = self._gates[peer.room], _pictures_to(peer)
        count = sum(_moves(track, now) for track in pictures)
        doubtful = now - link.held_until < AGAIN or link.down.on_trial(now)
        if doubtful and link.allowance.at_floor(count):
            self._step(peer, link, now, hurts=True, drowns=True, pictures=True)
            return
        member.held, link.held_until = True, now + HOLD
        link.allowance.cut((1 - fraction) * peer.meter.bitrate_out, count, now)
        gate.apply()
        owners = [track.owner for track in pictures]
        for publisher in self._links[peer.room]:
            if publisher in owners:
                publisher.send_rtcp(self._remb(publisher, now))

    def _judge(self, peer: Peer, link: _Link, now: float) -> None:
        gate, member = self._gates[peer.room], peer.member
        if member.held and now >= link.held_until:
            member.held = False
            peer.forget_losses()  # of before
            self._ask_key_frames(gate.apply())
        inside = member.seat in gate.seats
        pictures = sum(_moves(track, now) for track in _pictures_to(peer))
        # Apart: browsers report on sound every five seconds, on video every second. An old report on sound
        # must not speak against pictures that have stepped down since.
        sound_loss, _ = peer.losses(Kind.AUDIO)
        loss, reported_at = peer.losses(Kind.CAMERA, Kind.SCREEN)
        fresh = peer.estimate is not None and now - peer.estimate[1] < ESTIMATE_LIFE
        estimate = peer.estimate[0] if fresh and peer.estimate is not None else None
        trip = peer.meter.trip_down(now)
        link.allowance.update(estimate, loss, reported_at, now, trip, pictures)
        if not member.held:
            hurts = downlink_hurts(link.allowance, pictures, loss, sound_loss, trip)
            self._step(peer, link, now, hurts=inside and hurts, pictures=pictures > 0)
        self._judge_uplink(peer, link, now, inside=inside)
        # Sound alone may go well where a picture would not.
        carries_all = link.down.level is link.up.level is Level.ALL
        peer.standing = Standing(
            link.grade.note(peer.quality().grade if carries_all else Grade.WEAK, now),
            peer.path,
            link.down.level,
            link.up.level,
            camera=inside and Kind.CAMERA in link.shown,
            screen=inside and Kind.SCREEN in link.shown,
            h264=any(track.h264 for track in member.tracks.values()),
            shows_h264=member.shows_h264,
        )

    def _step(
        self, peer: Peer, link: _Link, now: float, *, hurts: bool, pictures: bool, drowns: bool = False
    ) -> None:
        """Let the ladder of a way down judge, and the routes follow."""
        gate, member = self._gates[peer.room], peer.member
        screen = gate.presenter not in (None, member.seat)
        if link.down.judge(hurts=hurts, drowns=drowns, pictures=pictures, screen=screen, now=now):
            link.allowance.begin_at_floor(len(gate.seats) - 1, now)
            member.receives = link.down.level
            self._ask_key_frames(gate.apply())

    def _judge_uplink(self, peer: Peer, link: _Link, now: float, *, inside: bool) -> None:
        uplink, tracks = link.uplink, peer.member.tracks
        moving = {kind: track.reception for kind, track in tracks.items() if _moves(track, now)}
        late = min((reception.lateness.seconds for reception in moving.values()), default=0.0)
        late = min(late, peer.meter.waits_at_most(now))
        sound = tracks.get(Kind.AUDIO)
        expected, lost = (
            (0, 0) if sound is None else (sound.reception.interval_expected, sound.reception.interval_lost)
        )
        uplink.note(expected, lost, late, peer.meter.arriving)
        peer.meter.late = late
        pictures = frozenset(moving) - {Kind.AUDIO}
        # A program cannot be asked to pause; it is told what it may send, as everybody.
        if peer.receives and link.up.judge(
            hurts=inside and uplink.hurts,
            drowns=inside and uplink.drowns,
            pictures=bool(pictures),
            screen=Kind.SCREEN in pictures,
            now=now,
        ):
            link.sends_since = now
        link.show(pictures, now)
        self._ask_key_frames(_mendable(tracks.values()))

    def _report(self, peer: Peer, now: float) -> None:
        tracks = peer.member.tracks.values()
        if not tracks:
            return
        blocks = [block for track in tracks if (block := track.reception.report(now)) is not None]
        compound = rtcp.build_receiver_report(peer.rtcp_ssrc, blocks)
        peer.send_rtcp(compound + self._remb(peer, now))
        peer.measure()

    def _remb(self, publisher: Peer, now: float) -> bytes:
        """What a publisher is told to send at most; nothing when it sends no pictures."""
        videos = [track.ssrc for kind, track in publisher.member.tracks.items() if kind is not Kind.AUDIO]
        if not videos:
            return b""
        bitrate = publisher_bitrate(self._downlinks(publisher, now))
        if (fits := self._links[publisher.room][publisher].uplink.bits) is not None:
            bitrate = min(bitrate, fits)
        return rtcp.build_remb(publisher.rtcp_ssrc, bitrate, videos)

    def _downlinks(self, publisher: Peer, now: float) -> list[Downlink]:
        gate = self._gates[publisher.room]
        downlinks = []
        for seat in gate.members:
            peer = self._peers[publisher.room, seat]
            link = self._links[publisher.room].get(peer)
            if peer is publisher or link is None or peer.state is not PeerState.CONNECTED:
                continue
            sources = _pictures_to(peer)
            ours = sum(track.owner is publisher for track in sources)
            # A camera that is off leaves its share to the others, and one that sends little most of it.
            others = {
                other: count
                for other in self._links[publisher.room]
                if other is not publisher
                and (count := sum(track.owner is other and _moves(track, now) for track in sources))
            }
            videos = ours + sum(others.values())
            if {seat, publisher.member.seat} <= gate.seats:
                if link.down.easing(now):
                    downlinks.append(Downlink(PICTURE_BITRATE, 1, 1))
                elif peer.member.held:
                    downlinks.append(Downlink(link.allowance.bits, len(gate.seats) - 1, 1))
            left = sum(
                left_over(link.allowance.bits * count // videos, count, other.meter.sends)
                for other, count in others.items()
            )
            downlinks.append(Downlink(link.allowance.bits, videos, ours, left))
        return downlinks


def _pictures_to(peer: Peer) -> list[PublishedTrack]:
    """The video tracks with an open route to a seat."""
    return [
        slot.route.track
        for slot in peer.member.slots
        if slot.route is not None and slot.kind is not Kind.AUDIO
    ]


def _moves(track: PublishedTrack, now: float) -> bool:
    return now - track.heard_at < _STILL


def _mendable(tracks: Iterable[PublishedTrack]) -> list[PublishedTrack]:
    """The tracks with a torn picture that a key frame would now reach."""
    found = [track for track in tracks if track.torn and not track.reception.drowns]
    for track in found:
        track.torn = False
    return found
