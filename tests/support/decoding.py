"""What whoever has all the packets can make of them: whole frames, and the decoders that browsers use too.

    packets of one SSRC ──frames──▶ whole frames ──pictures, sound──▶ libvpx, libopus ──▶ those of ours?

A decoder makes something of almost any bytes: of noise libopus makes loud noise. So what comes out is not
compared with nothing, but with what was before the camera (tests/e2e/sealed/page.mjs) and the microphone
(Chromium's, which beeps twice a second).
"""

from __future__ import annotations

import array
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import av

from rooms.rtp import HEADER, header_size

SAMPLES: Final = 48_000
"""A second of sound."""

_WINDOW: Final = SAMPLES // 50
_BEEP: Final = 400
"""Hertz."""
_BETWEEN: Final = 25
"""Windows from one beep to the next."""


def frames(packets: Sequence[bytes], *, picture: bool) -> list[bytes]:
    """Whole frames, in the order of the sender; those of which a packet lacks are left out.

    Args:
        packets: whole RTP packets of one SSRC, as they came.
        picture: VP8, of several packets each, else Opus.
    """
    first: int | None = None
    pieces: dict[int, tuple[int, bool, bytes]] = {}
    for packet in packets:
        _, kind, sequence, timestamp, _ = HEADER.unpack_from(packet)
        payload = payload_of(packet)
        if not payload:
            continue
        first = sequence if first is None else first
        place = ((sequence - first + 0x8000) & 0xFFFF) - 0x8000  # numbers begin anywhere and wrap
        pieces[place] = (timestamp, bool(kind & 0x80), payload)
    ordered = sorted(pieces.items())
    return list(_pictures(ordered)) if picture else [payload for _, (_, _, payload) in ordered]


def _pictures(pieces: Iterable[tuple[int, tuple[int, bool, bytes]]]) -> Iterator[bytes]:
    """Put packets together between the first one of a frame and its marker."""
    frame: bytearray | None = None
    before = 0
    for place, (_, last, payload) in pieces:
        start, size = vp8_descriptor(payload)
        if start:
            frame = bytearray()
        elif place != before + 1:
            frame = None
        before = place
        if frame is not None:
            frame += payload[size:]
            if last:
                yield bytes(frame)
                frame = None


def payload_of(packet: bytes) -> bytes:
    """What an RTP packet carries, without padding."""
    size = header_size(packet)
    assert size is not None
    payload = packet[size:]
    return payload[: len(payload) - payload[-1]] if packet[0] & 0x20 and payload else payload


def vp8_descriptor(payload: bytes) -> tuple[bool, int]:
    """Whether a frame begins here, and the size of the VP8 payload descriptor (RFC 7741 §4.2)."""
    at = 1
    if payload[0] & 0x80:
        extension = payload[1]
        at = 2
        if extension & 0x80:
            at += 2 if payload[at] & 0x80 else 1
        at += bool(extension & 0x40) + bool(extension & 0x30)
    return payload[0] & 0x1F == 0x10, at


def pictures(encoded: Iterable[bytes]) -> Iterator[av.VideoFrame]:
    """All that libvpx makes of these frames."""
    decoder = av.CodecContext.create("libvpx", "r")
    for frame in encoded:
        try:
            yield from decoder.decode(av.Packet(frame))
        except av.FFmpegError:
            continue  # the next one may be good


def sound(encoded: Iterable[bytes]) -> Sequence[int]:
    """All that libopus makes of these frames: samples of one channel, 16 bits each, 48 000 a second."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate = SAMPLES
    decoder.layout = "mono"
    samples = array.array("h")
    for frame in encoded:
        try:
            for decoded in decoder.decode(av.Packet(frame)):
                samples.frombytes(bytes(decoded.planes[0])[: 2 * decoded.samples])
        except av.FFmpegError:
            continue
    return samples


def is_the_cameras(picture: av.VideoFrame) -> bool:
    """Whether this is the made-up camera's: one strong colour, and on it a small white box at half height."""
    width, height = picture.width, picture.height
    light, blue, red = (_plane(picture, plane) for plane in range(3))
    colours = [(blue(x, y), red(x, y)) for y in range(0, height // 2, 2) for x in range(0, width // 2, 2)]
    ground = sorted(colours)[len(colours) // 2]
    plain = sum(abs(b - ground[0]) + abs(r - ground[1]) < 24 for b, r in colours)
    box = [
        (x, y)
        for y in range(0, height, 2)
        for x in range(0, width, 2)
        if light(x, y) > 200 and abs(blue(x // 2, y // 2) - 128) + abs(red(x // 2, y // 2) - 128) < 40
    ]
    inside = sum(0.38 < y / height < 0.62 for _, y in box)
    return (
        max(abs(ground[0] - 128), abs(ground[1] - 128)) > 30
        and plain > 0.9 * len(colours)
        and 0.003 < 4 * len(box) / (width * height) < 0.02
        and inside > 0.9 * len(box)
    )


def is_black(picture: av.VideoFrame) -> bool:
    """Whether nothing is to be seen."""
    light = _plane(picture, 0)
    return all(light(x, y) < 32 for y in range(picture.height) for x in range(picture.width))


def _plane(picture: av.VideoFrame, number: int) -> Callable[[int, int], int]:
    plane = picture.planes[number]
    line, octets = plane.line_size, bytes(plane)
    return lambda x, y: octets[y * line + x]


def beeps(samples: Sequence[int]) -> int:
    """How often a beep of 400 Hz out of silence follows another after half a second."""
    windows = [samples[at : at + _WINDOW] for at in range(0, len(samples) - _WINDOW + 1, _WINDOW)]
    loud = [max(map(abs, window)) for window in windows]
    starts = [
        at
        for at in range(8, len(windows) - 1)
        if loud[at] > 8_000 > 4 * max(loud[at - 8 : at - 1])
        and _tone(windows[at]) + _tone(windows[at + 1]) > 0.4
    ]
    return sum(abs(after - before - _BETWEEN) <= 1 for before, after in itertools.pairwise(starts))


def _tone(window: Sequence[int]) -> float:
    """The share of the beep's tone in these samples, 0 to 1."""
    step = 2 * math.pi * _BEEP / SAMPLES
    cosine = sum(sample * math.cos(step * at) for at, sample in enumerate(window))
    sine = sum(sample * math.sin(step * at) for at, sample in enumerate(window))
    energy = sum(sample * sample for sample in window)
    return 2 * (cosine * cosine + sine * sine) / (len(window) * energy) if energy else 0.0
