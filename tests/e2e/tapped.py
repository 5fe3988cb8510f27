"""`quietroom` as a curious server: it writes down every media packet that it is sent, opened.

    python -m tests.e2e.tapped FILE serve …

One record for each packet: the seat's code, the kind of media, the packet's length, the RTP packet.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rooms import media
from rooms.engine import DatagramEngine
from rooms.forwarding import Kind
from rooms.peer import Peer
from rooms.rtp import ssrc_of
from signaling.cli import main
from tests.e2e.sealed_room import beginning

_RECORD: Final = struct.Struct("!cBI")


@dataclass(frozen=True, slots=True)
class Came:
    """The beginning of a frame, as `tests.e2e.sealed_room.Listener.frames` gives it."""

    seat: str
    kind: Kind
    frame: bytes


def read(path: Path) -> list[Came]:
    """What has come so far, in its order."""
    raw, at, found = path.read_bytes(), 0, list[Came]()
    while at + _RECORD.size <= len(raw):
        seat, number, size = _RECORD.unpack_from(raw, at)
        at += _RECORD.size
        kind, packet = list(Kind)[number], raw[at : at + size]
        at += size
        if len(packet) == size and (frame := beginning(kind, packet)) is not None:
            found.append(Came(seat.decode(), kind, frame))
    return found


def tap(path: Path) -> None:
    """Write down from now on what comes to any port of this process."""
    file = path.open("ab", buffering=0)
    real = Peer.open_rtp

    def open_rtp(self: Peer, datagram: bytes) -> bytes | None:
        packet = real(self, datagram)
        track = self.tracks_by_ssrc.get(ssrc_of(datagram) or 0)
        if packet is not None and track is not None and ssrc_of(packet) == track.ssrc:
            number = list(Kind).index(track.kind)
            file.write(_RECORD.pack(self.member.seat.encode(), number, len(packet)) + packet)
        return packet

    Peer.open_rtp = open_rtp  # type: ignore[method-assign]  # a look from inside, which nothing offers
    # The batch engine opens packets by itself.
    media.fastest_engine = DatagramEngine  # type: ignore[attr-defined]  # as above


if __name__ == "__main__":
    tap(Path(sys.argv.pop(1)))
    main()
