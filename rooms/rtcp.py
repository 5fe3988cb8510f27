"""RTCP, read into reports and built from numbers (RFC 3550 §6, RFC 4585, RFC 5104, REMB draft).

A compound goes in, a list of what it says comes out: sender reports to pass on, report blocks and
bandwidth estimates to take note of, NACKs and key-frame requests to answer. SDES, BYE, APP and whatever
else arrives is left out: nothing about people travels in RTCP here.

Pure, total and bounded: what does not parse ends the list.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

SENDER_REPORT = 200
RECEIVER_REPORT = 201
TRANSPORT_FEEDBACK = 205
PAYLOAD_FEEDBACK = 206

_NACK = 1
_PLI = 1
_FIR = 4
_APPLICATION = 15

#: More packets in one compound than any browser sends.
MAX_PACKETS = 32
#: Sequence numbers honoured from one compound: a datagram of nothing but NACKs could name thousands.
MAX_NACKED = 256
#: Report blocks read of one compound, as many as one report holds.
MAX_BLOCKS = 31

_HEAD = struct.Struct("!BBH")
_U32 = struct.Struct("!I")
_BLOCK = struct.Struct("!IIIIII")


@dataclass(frozen=True, slots=True)
class SenderReport:
    """A publisher ties its RTP clock to wall time (RFC 3550 §6.4.1).

    Args:
        ntp: the 64-bit NTP timestamp, passed on as it is so that lips stay in step.
        rtp_time: the same instant on the track's RTP clock.
    """

    ssrc: int
    ntp: int
    rtp_time: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one receiver tells about one stream (RFC 3550 §6.4.1).

    Args:
        fraction_lost: of 256, since the previous report.
        lost: packets lost since the beginning, 24 bits signed.
        highest: extended highest sequence number received.
        jitter: in RTP clock units.
        last_sr: middle 32 bits of the NTP timestamp of the last sender report, 0 if none.
        since_last_sr: delay since then, in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_sr: int
    since_last_sr: int


@dataclass(frozen=True, slots=True)
class Nack:
    """A subscriber misses packets (RFC 4585 §6.2.1)."""

    media_ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyFrameRequest:
    """A subscriber cannot decode on: PLI (RFC 4585 §6.3.1) or FIR (RFC 5104 §4.3.1)."""

    media_ssrc: int


@dataclass(frozen=True, slots=True)
class BandwidthEstimate:
    """A subscriber's estimate of what its downlink carries (draft-alvestrand-rmcat-remb §2.2)."""

    bits_per_second: int


_Told = SenderReport | ReportBlock | KeyFrameRequest | BandwidthEstimate
Report = _Told | Nack


def read(compound: bytes, missed: Callable[[int], int] = lambda ssrc: MAX_NACKED) -> list[Report]:
    """Everything useful that a decrypted compound says, in its order; the same of the same stream once.

    Each report costs work, and a sender report a packet to every subscriber: one compound must not be dozens.

    Args:
        compound: one or more RTCP packets; from anybody, so possibly garbage.
        missed: how many sequence numbers may be missed of a stream; where none, they are not even read.
    """
    reports: list[Report] = []
    nacked = blocks = 0
    seen: set[tuple[type[_Told], int]] = set()
    for kind, count, body in _packets(compound):
        found: Iterable[_Told] = ()
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            found = _read_reports(kind, min(count, MAX_BLOCKS - blocks), body)
            blocks += count
        elif kind == TRANSPORT_FEEDBACK and count == _NACK and len(body) >= 12 and nacked < MAX_NACKED:
            most = min(MAX_NACKED - nacked, missed(_U32.unpack_from(body, 4)[0]))
            if most > 0:
                nack = _read_nack(body, most)
                nacked += len(nack.sequences)
                reports.append(nack)
        elif kind == PAYLOAD_FEEDBACK:
            found = _read_payload_feedback(count, body)
        for report in found:
            if not isinstance(report, BandwidthEstimate):
                told = type(report), report.media_ssrc if isinstance(report, KeyFrameRequest) else report.ssrc
                if told in seen:
                    continue
                seen.add(told)
            reports.append(report)
    return reports


def sender_ssrc(compound: bytes) -> int | None:
    """The SSRC of whoever sent a compound; SRTCP leaves these eight octets in the clear (RFC 3711 §3.4)."""
    if len(compound) < 8 or compound[0] >> 6 != 2:
        return None
    ssrc: int = struct.unpack_from("!I", compound, 4)[0]
    return ssrc


def _packets(compound: bytes) -> Iterator[tuple[int, int, bytes]]:
    position = 0
    for _ in range(MAX_PACKETS):
        if position + 8 > len(compound):
            return
        first, kind, words = _HEAD.unpack_from(compound, position)
        end = position + 4 + 4 * words
        if first >> 6 != 2 or words < 1 or end > len(compound):
            return
        yield kind, first & 0x1F, compound[position + 4 : end]
        position = end


def _read_reports(kind: int, count: int, body: bytes) -> Iterator[SenderReport | ReportBlock]:
    position = 4
    if kind == SENDER_REPORT:
        if len(body) < 24:
            return
        yield SenderReport(*struct.unpack_from("!IQIII", body))
        position = 24
    for _ in range(count):
        if position + _BLOCK.size > len(body):
            return
        ssrc, loss, highest, jitter, last_sr, since = _BLOCK.unpack_from(body, position)
        lost = loss & 0xFFFFFF
        if lost & 0x800000:
            lost -= 0x1000000
        yield ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last_sr, since)
        position += _BLOCK.size


def _read_nack(body: bytes, most: int) -> Nack:
    sequences: list[int] = []
    usable = len(body) - (len(body) - 8) % 4
    for lost, following in struct.iter_unpack("!HH", body[8:usable]):
        sequences.append(lost)
        sequences.extend((lost + bit + 1) & 0xFFFF for bit in range(16) if following >> bit & 1)
        if len(sequences) >= most:
            break
    return Nack(struct.unpack_from("!I", body, 4)[0], tuple(sequences[:most]))


def _read_payload_feedback(fmt: int, body: bytes) -> Iterator[KeyFrameRequest | BandwidthEstimate]:
    if len(body) < 8:
        return
    if fmt == _PLI:
        yield KeyFrameRequest(struct.unpack_from("!I", body, 4)[0])
    elif fmt == _FIR:
        # RFC 5104 §4.3.1.1: the SSRC that must send the key frame stands in each entry.
        for position in range(8, min(len(body) - 7, 8 + 8 * 16), 8):
            yield KeyFrameRequest(struct.unpack_from("!I", body, position)[0])
    elif fmt == _APPLICATION and len(body) >= 16 and body[8:12] == b"REMB":
        mantissa = (body[13] & 3) << 16 | body[14] << 8 | body[15]
        yield BandwidthEstimate(mantissa << (body[13] >> 2))


def build_pli(sender: int, media: int) -> bytes:
    """Ask a publisher for a key frame (RFC 4585 §6.3.1)."""
    return struct.pack("!BBHII", 0x80 | _PLI, PAYLOAD_FEEDBACK, 2, sender, media)


def build_nack(sender: int, media: int, sequences: Iterable[int]) -> bytes:
    """Ask a publisher to send packets again (RFC 4585 §6.2.1).

    Args:
        sequences: 16-bit sequence numbers, in any order; at least one.
    """
    entries = b""
    pending = sorted(set(sequences))
    while pending:
        lost = pending[0]
        covered = [other for other in pending[1:] if other - lost <= 16]
        following = sum(1 << (other - lost - 1) for other in covered)
        entries += struct.pack("!HH", lost, following)
        pending = pending[1 + len(covered) :]
    return (
        struct.pack("!BBHII", 0x80 | _NACK, TRANSPORT_FEEDBACK, 2 + len(entries) // 4, sender, media)
        + entries
    )


def build_remb(sender: int, bits_per_second: int, ssrcs: Sequence[int]) -> bytes:
    """Tell a publisher how much it may send over all its streams.

    Args:
        ssrcs: the streams that share it, at most 255.
    """
    exponent, mantissa = 0, max(0, bits_per_second)
    while mantissa > 0x3FFFF:
        mantissa >>= 1
        exponent += 1
    body = struct.pack(
        "!II4sBBH", sender, 0, b"REMB", len(ssrcs), exponent << 2 | mantissa >> 16, mantissa & 0xFFFF
    )
    body += b"".join(struct.pack("!I", ssrc) for ssrc in ssrcs)
    return _HEAD.pack(0x80 | _APPLICATION, PAYLOAD_FEEDBACK, len(body) // 4) + body


def build_receiver_report(sender: int, blocks: Sequence[ReportBlock]) -> bytes:
    """Report to a publisher what arrived (RFC 3550 §6.4.2).

    Args:
        blocks: at most 31; an empty report keeps a compound well-formed.
    """
    body = struct.pack("!I", sender)
    for block in blocks:
        loss = (block.fraction_lost & 0xFF) << 24 | block.lost & 0xFFFFFF
        body += _BLOCK.pack(
            block.ssrc,
            loss,
            block.highest & 0xFFFFFFFF,
            block.jitter & 0xFFFFFFFF,
            block.last_sr & 0xFFFFFFFF,
            block.since_last_sr & 0xFFFFFFFF,
        )
    return _HEAD.pack(0x80 | len(blocks), RECEIVER_REPORT, len(body) // 4) + body


def build_sender_report(report: SenderReport) -> bytes:
    """Pass a sender report on under the subscriber's numbers (RFC 3550 §6.4.1)."""
    return _HEAD.pack(0x80, SENDER_REPORT, 6) + struct.pack(
        "!IQIII", report.ssrc, report.ntp, report.rtp_time, report.packets, report.octets
    )
