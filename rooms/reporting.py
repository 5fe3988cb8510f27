"""The beat of the media port: twice a second, what each seat is told, and what its silence means.

    every 500 ms ──▶ silence noticed ──▶ states settled
                 ──▶ publishers: receiver report (RFC 3550 §6.4.2) and bitrate (REMB)
                 ──▶ screens that were put away lose their slot

A thin shell: it reads the loop's clock and calls the pure halves (``rooms.feedback``, ``rooms.gate``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from rooms import rtcp
from rooms.feedback import ESTIMATE_LIFE, INTERVAL, Downlink, publisher_bitrate
from rooms.forwarding import Kind, PublishedTrack
from rooms.gate import Gate
from rooms.peer import Peer, PeerState

__all__ = ["Beat"]


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
        self._forgiven = False

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
        self._next = loop.call_later(INTERVAL, self._on_beat)
        try:
            self._once(self._now(), late)
        except Exception:
            # A defect of ours must not end the beat for every room. Tests hold this counter at zero.
            self._counters["failed"] += 1

    def _once(self, now: float, late: float) -> None:
        # We were stopped or starved: the silence was ours, their packets lie unread. Not twice in a row:
        # somebody who keeps this process busy must not keep the others from being found silent.
        self._forgiven = late > INTERVAL and not self._forgiven
        for peer in list(self._peers.values()):
            if self._forgiven:
                peer.last_heard = min(now, peer.last_heard + late)
                peer.last_media = min(now, peer.last_media + late)
            peer.settle()
            if peer.state is PeerState.CONNECTED:
                self._report(peer, now)
        for gate in self._gates.values():
            self._ask_key_frames(gate.screens_silent(now))

    def _report(self, peer: Peer, now: float) -> None:
        tracks = peer.member.tracks.values()
        if not tracks:
            return
        blocks = [block for track in tracks if (block := track.reception.report(now)) is not None]
        compound = rtcp.build_receiver_report(peer.rtcp_ssrc, blocks)
        videos = [track.ssrc for track in tracks if track.kind is not Kind.AUDIO]
        if videos:
            bitrate = publisher_bitrate(self._downlinks(peer, now))
            compound += rtcp.build_remb(peer.rtcp_ssrc, bitrate, videos)
        peer.send_rtcp(compound)
        peer.measure()

    def _downlinks(self, publisher: Peer, now: float) -> list[Downlink]:
        downlinks = []
        for seat in self._gates[publisher.room].members:
            peer = self._peers[publisher.room, seat]
            sources = [
                slot.route.track.owner
                for slot in peer.member.slots
                if slot.route is not None and slot.kind is not Kind.AUDIO
            ]
            ours = sum(source is publisher for source in sources)
            fresh = peer.estimate is not None and now - peer.estimate[1] < ESTIMATE_LIFE
            estimate = peer.estimate[0] if fresh and peer.estimate is not None else None
            downlinks.append(Downlink(estimate, len(sources), ours))
        return downlinks
