"""RTP headers, read and rewritten, never what they carry (RFC 3550 §5.1, RFC 4588 for RTX).

The server forwards frames it cannot read: all it needs of a packet is where the header ends and the five
numbers of the fixed header. Header extensions travel along untouched.

Pure and total: anything malformed yields ``None``.
"""

from __future__ import annotations

import struct

#: first byte (version, padding, extension, CSRC count), second byte (marker, payload type),
#: sequence number, timestamp, SSRC
HEADER = struct.Struct("!BBHII")
HEADER_SIZE = HEADER.size

_U16 = struct.Struct("!H")
_U32 = struct.Struct("!I")
_EXTENSION_BIT = 0x10
_CSRC_COUNT = 0x0F
_MARKER_BIT = 0x80


def ssrc_of(packet: bytes) -> int | None:
    """The SSRC of an RTP packet, protected or not: SRTP leaves the header in the clear.

    Returns:
        The SSRC, or ``None`` when this cannot be RTP version 2.
    """
    if len(packet) < HEADER_SIZE or packet[0] >> 6 != 2:
        return None
    ssrc: int = _U32.unpack_from(packet, 8)[0]
    return ssrc


def header_size(packet: bytes) -> int | None:
    """Where the payload begins.

    Returns:
        Octets of fixed header, CSRC list and header extension together, or ``None`` when the packet is
        not RTP version 2 or ends inside its header.
    """
    if len(packet) < HEADER_SIZE or packet[0] >> 6 != 2:
        return None
    size = HEADER_SIZE + 4 * (packet[0] & _CSRC_COUNT)
    if packet[0] & _EXTENSION_BIT:
        if len(packet) < size + 4:
            return None
        size += 4 + 4 * int(_U16.unpack_from(packet, size + 2)[0])
    return size if len(packet) >= size else None


def renumber(packet: bytes, sequence: int, timestamp: int, ssrc: int) -> bytes:
    """The same packet under other numbers.

    Args:
        packet: at least a fixed header long.
    """
    return HEADER.pack(packet[0], packet[1], sequence, timestamp, ssrc) + packet[HEADER_SIZE:]


def wrap_rtx(
    packet: bytes, *, payload_type: int, sequence: int, timestamp: int, ssrc: int, original: int
) -> bytes | None:
    """Make the retransmission of a packet (RFC 4588 §4): its payload behind the original sequence number.

    Args:
        packet: the packet as it was first received.
        payload_type: of the RTX format.
        sequence: of the RTX stream.
        timestamp: as the subscriber saw it.
        ssrc: of the RTX stream.
        original: sequence number under which the subscriber misses it (the OSN field).

    Returns:
        The packet to protect and send, or ``None`` when the packet has no valid header.
    """
    size = header_size(packet)
    if size is None:
        return None
    second = (packet[1] & _MARKER_BIT) | payload_type
    return (
        HEADER.pack(packet[0], second, sequence, timestamp, ssrc)
        + packet[HEADER_SIZE:size]
        + _U16.pack(original)
        + packet[size:]
    )


def unwrap_rtx(packet: bytes, *, payload_type: int, ssrc: int) -> tuple[int, bytes] | None:
    """Restore the packet that a publisher's retransmission carries.

    Args:
        packet: an RTX packet.
        payload_type: of the stream it belongs to.
        ssrc: of the stream it belongs to.

    Returns:
        The original sequence number and the packet, or ``None`` for a malformed one and for the padding
        that browsers send on this SSRC to probe the path.
    """
    size = header_size(packet)
    if size is None or len(packet) <= size + 2:
        return None
    first, second, _, timestamp, _ = HEADER.unpack_from(packet)
    if first & 0x20 and packet[-1] >= len(packet) - size - 2:
        return None  # nothing but padding after the OSN (RFC 3550 §5.1)
    original: int = _U16.unpack_from(packet, size)[0]
    head = HEADER.pack(first, (second & _MARKER_BIT) | payload_type, original, timestamp, ssrc)
    return original, head + packet[HEADER_SIZE:size] + packet[size + 2 :]
