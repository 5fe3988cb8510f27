"""A film to send: a moving VGA picture and a tone, VP8 and Opus, encoded once and played over and over.

A server that decodes must be given something it can decode; the synthetic load of `load.py` is noise.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import av
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder

from rooms.forwarding import OPUS, VP8
from tests.bench.parts.endpoint import Endpoint
from tests.bench.parts.load import MARKER, packet

SECONDS: Final = 2
WIDTH: Final = 640
HEIGHT: Final = 480
FRAMES: Final = 30
"""A second."""
BITRATE: Final = 1_200_000
_SOUNDS: Final = 50
"""A second: 20 ms each."""


@functools.cache
def pictures() -> tuple[tuple[bytes, ...], ...]:
    """The RTP payloads of each frame, the first of them a key frame."""
    encoder = Vp8Encoder()
    encoder.target_bitrate = BITRATE
    encoded = []
    for number in range(SECONDS * FRAMES):
        # Diagonal bands that wander: every block moves, so that each frame costs a codec its work.
        rows = (bytes((x + y + 8 * number) & 0xFF for x in range(WIDTH)) for y in range(HEIGHT))
        grey = av.VideoFrame(WIDTH, HEIGHT, "gray")
        grey.planes[0].update(b"".join(rows))
        frame = grey.reformat(format="yuv420p")
        frame.pts, frame.time_base = number * 3000, Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame, force_keyframe=number == 0)
        encoded.append(tuple(payloads))
    return tuple(encoded)


@functools.cache
def sounds() -> tuple[bytes, ...]:
    """The RTP payload of each 20 ms."""
    encoder = OpusEncoder()
    encoded: list[bytes] = []
    tone = ((8000 if sample // 50 % 2 else -8000) for sample in range(960))
    wave = b"".join(level.to_bytes(2, "little", signed=True) for level in tone)
    for number in range(SECONDS * _SOUNDS + 5):  # the encoder holds the first ones back
        frame = av.AudioFrame("s16", "mono", 960)
        frame.planes[0].update(wave)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 960, Fraction(1, 48_000)
        encoded += encoder.encode(frame)[0]
    return tuple(encoded[: SECONDS * _SOUNDS])


@dataclass(slots=True, eq=False)
class Film:
    """One publisher who plays it."""

    endpoint: Endpoint
    _frame: int = 0
    _sound: int = 0
    _sequence: int = field(default=0)

    def packets(self, seconds: float) -> list[tuple[float, bytes]]:
        """What to send next, encrypted, each with when: seconds from now."""
        made: list[tuple[float, bytes]] = []
        for number in range(int(seconds * FRAMES)):
            payloads = pictures()[self._frame % len(pictures())]
            for position, payload in enumerate(payloads, 1):
                marker = MARKER if position == len(payloads) else 0
                made.append(
                    (
                        number / FRAMES,
                        packet(
                            VP8 | marker, self._sequence, 3000 * self._frame, self.endpoint.video, payload
                        ),
                    )
                )
                self._sequence += 1
            self._frame += 1
        for number in range(int(seconds * _SOUNDS)):
            payload = sounds()[self._sound % len(sounds())]
            made.append(
                (
                    number / _SOUNDS,
                    packet(OPUS, self._sound, 960 * self._sound, self.endpoint.audio, payload),
                )
            )
            self._sound += 1
        return list(
            zip(
                [due for due, _ in made],
                self.endpoint.protect([plain for _, plain in made]),
                strict=True,
            )
        )
