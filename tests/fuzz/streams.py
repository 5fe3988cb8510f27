"""What comes over TCP: dividing a stream into datagrams, and the conversation with our TURN server."""

from __future__ import annotations

import hashlib
import struct

from aioice import stun

from broker.private import Private
from rooms.framing import MAX_FRAME, Deframer, ice_tcp_frame, measure_ice_tcp, measure_turn
from rooms.turn import (
    MAX_LIFETIME,
    MAX_PEERS,
    MAX_STRIKES,
    REALM,
    Allocation,
    Candidate,
    End,
    Say,
    Take,
    mint,
)
from tests.fuzz.reader import Reader

_SECRET = Private(b"s" * 32)
_NONCE = b"nonce-of-this-stream"
_OURS: Candidate = ("192.0.2.1", 4433)
_PEERS: tuple[Candidate, ...] = (_OURS, ("192.0.2.1", 22), ("198.51.100.9", 4433), ("2001:db8::1", 4433))
_WALL = 1_800_000_000.0
_USER = mint(_SECRET, int(_WALL) + 3_000, "opaque")
# RFC 8489 §9.2.2.
_KEY = hashlib.md5(f"{_USER.name}:{REALM}:{_USER.password.reveal()}".encode(), usedforsecurity=False).digest()


def check_framing(data: bytes) -> None:
    """A stream gives the same datagrams however it is split, and holds no more than one frame."""
    reader = Reader(data)
    measure = (measure_ice_tcp, measure_turn)[reader.below(2)]
    sizes = [1 + reader.number() for _ in range(reader.below(6))]
    stream = reader.take(70_000)
    whole = Deframer(measure)
    expected = whole.feed(stream)
    assert all(len(datagram) <= MAX_FRAME for datagram in expected)
    assert sum(map(len, expected)) <= len(stream)
    split, found, at = Deframer(measure), [], 0
    for turn in range(len(stream)):
        size = sizes[turn % len(sizes)] if sizes else len(stream)
        found += split.feed(stream[at : at + size])
        at += size
        assert len(split._rest) < MAX_FRAME
        if at >= len(stream):
            break
    assert (found, split.broken, split._rest) == (expected, whole.broken, whole._rest)
    if whole.broken:
        assert whole.feed(stream) == []
    if measure is measure_ice_tcp and not whole.broken:
        again = b"".join(ice_tcp_frame(datagram) for datagram in expected)
        assert Deframer(measure).feed(again) == expected


def _signed(method: stun.Method, attributes: bytes) -> bytes:
    """A request of somebody with a credential, carrying whatever attributes."""
    known = ((0x0006, _USER.name.encode()), (0x0014, REALM.encode()), (0x0015, _NONCE))
    body = b"".join(_attribute(kind, value) for kind, value in known)
    whole = struct.pack("!HHI12s", method, 0, stun.COOKIE, b"transaction!") + body + attributes
    whole = stun.set_body_length(whole, len(whole) - 20)
    whole += struct.pack("!HH", 8, 20) + stun.message_integrity(whole, _KEY)
    return stun.set_body_length(whole, len(whole) - 20)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(stun.padding_length(len(value)))


def _peer(reader: Reader) -> bytes:
    chosen = _PEERS[reader.below(len(_PEERS))]
    return _attribute(0x0012, stun.pack_xor_address(chosen, b"transaction!"))


def _frame(reader: Reader) -> bytes:
    """One frame of the browser's, more or less as it should be."""
    match reader.below(8):
        case 0:
            return reader.piece()
        case 1:
            methods = list(stun.Method)
            method = methods[reader.below(len(methods))]
            return _signed(method, _attribute(reader.number(2), reader.take(reader.below(40))))
        case 2:
            return _signed(stun.Method.ALLOCATE, _attribute(0x0019, bytes([17 + reader.below(2), 0, 0, 0])))
        case 3:
            return _signed(stun.Method.REFRESH, _attribute(0x000D, reader.take(4).ljust(4, b"\0")))
        case 4:
            return _signed(stun.Method.CREATE_PERMISSION, _peer(reader))
        case 5:
            number = struct.pack("!HH", 0x4000 + reader.below(3), 0)
            return _signed(stun.Method.CHANNEL_BIND, _attribute(0x000C, number) + _peer(reader))
        case 6:
            body = _peer(reader) + _attribute(0x0013, reader.take(reader.below(30)))
            kind = stun.Method.SEND | stun.Class.INDICATION
            return struct.pack("!HHI12s", kind, len(body), stun.COOKIE, b"transaction!") + body
        case _:
            datagram = reader.take(reader.below(30))
            return struct.pack("!HH", 0x4000 + reader.below(3), len(datagram)) + datagram


def check_turn(data: bytes) -> None:
    """Whatever is said, it leads to our own candidate alone, and only for those with a credential."""
    reader, now, refused = Reader(data), 100.0, 0
    allocation = Allocation(
        _SECRET,
        mapped=("198.51.100.7", 50_000),
        relayed=("192.0.2.1", 49_152),
        nonce=_NONCE,
        transaction=b"transaction!",
        ours=lambda peer: peer == _OURS,
        allows=lambda user: user == _USER.name,
    )
    for _ in range(60):
        if not reader:
            break
        now += reader.below(4) * 10
        if allocation.deadline is not None and now >= allocation.deadline:
            break  # lapsed: the shell closes the stream
        effects = allocation.receive(_frame(reader), now, _WALL + now - 100)
        assert len(effects) <= 2
        for effect in effects:
            match effect:
                case Say(message):
                    assert len(message) <= 256, "what is answered is short"
                    assert Deframer(measure_turn).feed(message) == [message]
                    refused += stun.parse_message(message).message_class == stun.Class.ERROR
                case Take(_, peer):
                    assert peer == _OURS, "it leads to somebody else"
                    assert allocation.user == _USER.name, "it leads somewhere without a credential"
                case End():
                    pass
        if any(isinstance(effect, End) for effect in effects):
            break
        assert refused < MAX_STRIKES, "who is refused without end is sent away"
        assert (allocation.deadline is None) is (allocation.user is None)
        assert allocation.deadline is None or now < allocation.deadline <= now + MAX_LIFETIME
        assert set(allocation._peers) <= {_OURS}
        assert len(allocation._channels) <= MAX_PEERS
    for peer in _PEERS:
        wrapped = allocation.wrap(b"\x80datagram", peer)
        assert wrapped is None or peer == _OURS
        if wrapped is not None:
            (frame,) = Deframer(measure_turn).feed(wrapped)
            assert b"\x80datagram" in frame
