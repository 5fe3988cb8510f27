"""What is fuzzed: one function per parser of outside bytes, and what must hold whatever comes.

Each takes an input and fails by raising. "Never raises, never hangs" is checked of all of them; the functions
check what else their parser owes: nothing unauthentic changes anything, what is built reads back the same,
nothing grows without bound, errors repeat nothing of the input.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from aioice import stun

from broker.errors import BadInput, Refused
from broker.sealing import is_signed
from broker.seats import SeatRole
from rooms import rtcp, rtp
from rooms.batch import BatchEngine, works
from rooms.checks import MAX_REQUEST, addressee, read_request
from rooms.description import BadSdp, split
from rooms.engine import DatagramEngine
from rooms.feedback import Downlink, publisher_bitrate
from rooms.forwarding import CACHE_SIZE, H264, H264_RTX, OPUS, VP8, VP8_RTX, Kind, PublishedTrack, Slot
from rooms.ice import Credentials, LiteAgent
from rooms.ingest_sdp import Side, read_fragment, read_offer
from rooms.mls_wire import read_key_package, read_private, read_welcome, vector
from rooms.quality import Meter
from rooms.questions import read_response
from rooms.rates import ration_of_pictures
from rooms.sdp import PUBLISHED, Answer, read_answer
from rooms.weak import Allowance
from signaling import codec, messages
from signaling.connection import BURST, MISTAKES, Connection, State
from tests.fuzz import port
from tests.fuzz.reader import Reader
from tests.fuzz.streams import check_framing, check_turn
from tests.support import mls

CORPUS: Final = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Target:
    """One thing under attack.

    Args:
        begin: sets up what is attacked and gives the check, which raises when a property does not hold of an
            input; leaving takes everything down again.
        tokens: words of the format.
        corpus_of: the target whose corpus this one shares.
    """

    name: str
    begin: Callable[[], AbstractContextManager[Callable[[bytes], None]]]
    tokens: tuple[bytes, ...] = ()
    corpus_of: str | None = None

    @property
    def folder(self) -> Path:
        """Where its corpus is kept."""
        return CORPUS / (self.corpus_of or self.name)

    def corpus(self) -> list[bytes]:
        """Every kept input, in the order of their names."""
        return [path.read_bytes() for path in sorted(self.folder.glob("*.bin"))]


def pure(check: Callable[[bytes], None]) -> Callable[[], AbstractContextManager[Callable[[bytes], None]]]:
    """The beginning of a target that needs nothing set up."""
    return lambda: nullcontext(check)


# ------------------------------------------------------------------------------------------------- STUN

_OURS = Credentials("serverufrag1", "server-password-of-32-characters")
_HOME = ("192.0.2.1", 5000)
_AWAY = ("198.51.100.2", 6000)


_ATTRIBUTES = (*sorted(stun.ATTRIBUTES_BY_TYPE), 0x802D, 0xC057)


def _agent() -> LiteAgent:
    agent = LiteAgent()
    agent.credentials = _OURS
    return agent


def _signed(datagram: bytes) -> bytes:
    """The same attributes under our fragment, with an integrity that fits: what a browser could have said."""
    kept, position = b"", stun.HEADER_LENGTH
    while position + 4 <= len(datagram):
        kind, length = struct.unpack_from("!HH", datagram, position)
        size = 4 + length + stun.padding_length(length)
        if kind not in (0x0006, 0x0008, 0x8028) and position + size <= len(datagram):
            kept += datagram[position : position + size]
        position += size
    name = f"{_OURS.ufrag}:abcd".encode()
    body = struct.pack("!HH", 6, len(name)) + name + bytes(stun.padding_length(len(name))) + kept
    head = stun.set_body_length(datagram[:20], len(body))
    mac = stun.message_integrity(head + body, _OURS.pwd.encode())
    whole = head + body + struct.pack("!HH", 8, len(mac)) + mac
    return stun.set_body_length(whole, len(whole) - 20)


def check_stun(data: bytes) -> None:
    """A stranger's request changes nothing; an authentic one gets a short answer and moves only by right."""
    response = read_response(data)
    assert response is None or not response.is_by(_OURS.pwd), "nobody can know the password"
    request = read_request(data)
    if request is not None:
        assert len(data) <= MAX_REQUEST
        assert addressee(data) == request.ufrag
        agent = _agent()
        assert agent.check(request, _HOME, now=0.0) is None, "nobody can know the password"
        assert (agent.address, agent.addresses) == (None, [])
    if not 20 <= len(data) <= 1_000:
        return
    request = read_request(_signed(data))
    if request is None:
        return
    agent = _agent()
    checked = agent.check(request, _HOME, now=0.0)
    assert checked is not None
    assert checked.response is not None
    answer = stun.parse_message(checked.response)
    assert answer.transaction_id == data[8:20]
    assert answer.check_message_integrity(_OURS.pwd.encode())
    assert len(checked.response) <= 96
    assert agent.addresses == ([] if request.controlled else [_HOME])
    # Whoever records it on its way and sends it from elsewhere moves nobody.
    before = (agent.address, list(agent.addresses))
    replayed = read_request(_signed(data))
    assert replayed is not None
    if not request.controlled:
        assert agent.check(replayed, _AWAY, now=0.0) is None
    assert (agent.address, agent.addresses) == before


# ------------------------------------------------------------------------------------------ RTP and RTCP


def check_rtp(data: bytes) -> None:
    """A header is inside its packet; what is wrapped for retransmission unwraps to what it was."""
    size, ssrc = rtp.header_size(data), rtp.ssrc_of(data)
    assert size is None or rtp.HEADER_SIZE <= size <= len(data)
    assert size is None or ssrc is not None
    unwrapped = rtp.unwrap_rtx(data, payload_type=VP8, ssrc=7)
    if unwrapped is not None:
        original, packet = unwrapped
        assert 0 <= original <= 0xFFFF
        assert len(packet) == len(data) - 2
        assert rtp.header_size(packet) == size
    wrapped = rtp.wrap_rtx(data, payload_type=VP8_RTX, sequence=5, timestamp=6, ssrc=8, original=0xABCD)
    assert (wrapped is None) is (size is None)
    if wrapped is None or size is None:
        return
    assert len(wrapped) == len(data) + 2
    again = rtp.unwrap_rtx(wrapped, payload_type=data[1] & 0x7F, ssrc=7)
    if again is not None:
        assert again[0] == 0xABCD
        assert again[1][rtp.HEADER_SIZE :] == data[rtp.HEADER_SIZE :]
        assert again[1][0] == data[0]


def check_rtcp(data: bytes) -> None:
    """What is read is bounded, and reads back the same from what we build of it."""
    reports = rtcp.read(data)
    assert len(reports) <= 32 * 32
    assert sum(len(r.sequences) for r in reports if isinstance(r, rtcp.Nack)) <= rtcp.MAX_NACKED
    senders = [r.ssrc for r in reports if isinstance(r, rtcp.SenderReport)]
    assert len(senders) == len(set(senders)), "one report of each stream, or dozens go to each subscriber"
    sender = rtcp.sender_ssrc(data)
    assert sender is not None or not reports
    for report in reports:
        match report:
            case rtcp.SenderReport():
                assert rtcp.read(rtcp.build_sender_report(report)) == [report]
            case rtcp.ReportBlock():
                assert rtcp.read(rtcp.build_receiver_report(1, [report])) == [report]
            case rtcp.Nack(media, sequences) if sequences:
                (nack,) = rtcp.read(rtcp.build_nack(1, media, sequences))
                assert isinstance(nack, rtcp.Nack)
                assert set(nack.sequences) == set(sequences)
            case rtcp.BandwidthEstimate(estimate):
                allowance = Allowance()
                allowance.update(estimate, 0.0, 0.0, 0.0)
                share = publisher_bitrate([Downlink(allowance.bits, 1, 1), Downlink(allowance.bits, 0, 1)])
                (built,) = rtcp.read(rtcp.build_remb(1, max(share, estimate), [1, 2]))
                assert isinstance(built, rtcp.BandwidthEstimate)
                assert built.bits_per_second <= max(share, estimate)


class _Sink:
    """A publisher and subscriber that keeps nothing."""

    rtcp_ssrc = 1
    direct = None
    meter = Meter()

    def send_rtp(self, packet: bytes) -> None: ...

    def send_rtcp(self, compound: bytes) -> None: ...


_CLOCK_STEPS = (0.0, 0.001, 0.02, 0.2, 3.0, 4_000.0)


def check_forwarding(data: bytes) -> None:
    """Whatever a publisher sends and subscribers ask for: right slots only, bounded, nothing said before."""
    reader, now, sink = Reader(data), 0.0, _Sink()
    kind = (Kind.CAMERA, Kind.AUDIO, Kind.SCREEN)[reader.below(3)]
    track = PublishedTrack(sink, kind, 11, ration_of_pictures(now), None if kind is Kind.AUDIO else 21)
    slots = [Slot(sink, kind, 100 + n, None if kind is Kind.AUDIO else 200 + n) for n in range(3)]
    open_slots: list[Slot] = []
    steps = 0
    while reader and steps < 400:
        steps += 1
        action = reader.below(8)
        now += _CLOCK_STEPS[reader.below(len(_CLOCK_STEPS))]
        if action == 0:
            mask = reader.below(8)
            open_slots = [slot for n, slot in enumerate(slots) if mask >> n & 1]
            track.set_routes(open_slots)
            assert [slot for slot in slots if slot.route is not None] == open_slots
        elif action == 1:
            packet = _rtx_packet(reader, track)
            for slot, again in track.recover(packet):
                assert slot in open_slots
                assert rtp.ssrc_of(again) == slot.rtx_ssrc
        elif action == 2 and open_slots:
            slot = open_slots[reader.below(len(open_slots))]
            asked = tuple(reader.number(2) for _ in range(reader.below(40)))
            assert slot.route is not None
            credit = slot.route.credit
            answer = track.resend(slot.route, asked, now)
            assert len(answer.again) + len(answer.missing) <= len(asked)
            assert len(answer.again) <= credit
            if answer.missing:
                assert rtcp.read(rtcp.build_nack(1, 2, answer.missing))
        elif action == 3:
            compound = rtcp.read(reader.piece())
            for report in compound:
                if isinstance(report, rtcp.SenderReport):
                    for slot, rewritten in track.sender_reports(report, now):
                        assert slot in open_slots
                        assert rtcp.read(rtcp.build_sender_report(rewritten)) == [rewritten]
        elif action == 4:
            block = track.reception.report(now)
            assert 0 <= track.reception.jitter_ms < 1e9
            if block is not None:
                assert 0 <= block.fraction_lost <= 255
                assert rtcp.read(rtcp.build_receiver_report(1, [block]))
        else:
            _forward(track, reader, open_slots, now)
        assert len(track._wanted) <= CACHE_SIZE + 1
        assert len(track._cache) in (0, CACHE_SIZE)


def _rtx_packet(reader: Reader, track: PublishedTrack) -> bytes:
    head = rtp.HEADER.pack(0x80 | reader.number() & 0x3F, VP8_RTX, reader.number(2), 0, track.rtx_ssrc or 0)
    return head + reader.number(2).to_bytes(2, "big") + reader.take(reader.below(24))


def _forward(track: PublishedTrack, reader: Reader, open_slots: list[Slot], now: float) -> None:
    payload_type = reader.number() if reader.below(8) == 0 else (OPUS if track.kind is Kind.AUDIO else VP8)
    sequence = (track.reception.highest or 0) + reader.number() - 3
    if reader.below(6) == 0:
        sequence = reader.number(2)
    first = 0x80 | (reader.number() & 0x3F)
    timestamp = reader.number(4)
    packet = rtp.HEADER.pack(first, payload_type & 0xFF, sequence & 0xFFFF, timestamp, track.ssrc)
    packet += reader.take(reader.below(24))
    out = track.forward(payload_type & 0xFF, sequence & 0xFFFF, timestamp, now)
    assert {id(slot) for slot, _, _ in out} <= {id(slot) for slot in open_slots}
    assert len(out) <= len(open_slots)
    if out and track.repairs:
        track.keep(packet)
    for slot, to_sequence, to_timestamp in out:
        forwarded = rtp.renumber(packet, to_sequence, to_timestamp, slot.ssrc)
        assert rtp.HEADER.unpack_from(forwarded)[2:] == (to_sequence, to_timestamp, slot.ssrc)
        assert forwarded[rtp.HEADER_SIZE :] == packet[rtp.HEADER_SIZE :]
        assert forwarded[:2] == packet[:2]


# ------------------------------------------------------------------------------------------------- SDP

_KINDS = [*PUBLISHED, *([Kind.AUDIO, Kind.CAMERA] * 3), Kind.SCREEN]
_CANARY = re.compile(r"[^\s]{24,}")


def check_sdp(data: bytes) -> None:
    """An answer is one of ours or refused, by a text that repeats nothing of it."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        wide = read_answer(text, _KINDS, h264=True)
    except BadSdp as error:
        _check_refusal(error, text)
        wide = None
    try:
        answer = read_answer(text, _KINDS)
    except BadSdp as error:
        _check_refusal(error, text)
        return
    _check_answer(answer, text)
    assert read_answer(text, _KINDS) == answer == wide  # what takes no H.264 need not know of it


_SIDE: Final = Side("u" * 12, "w" * 32, "192.0.2.7", 4433, ":".join(["AB"] * 32), tcp_port=443)


def check_offer(data: bytes) -> None:
    """A program's offer is answered, section for section, or refused; so is its fragment."""
    text = data.decode("ascii", "replace")
    try:
        read_fragment(text)
    except BadSdp as error:
        _check_refusal(error, text)
    try:
        offer = read_offer(text)
    except (BadSdp, Refused) as error:
        _check_refusal(error, text)
        return
    _check_answer(offer.answer, text)
    assert set(offer.payload_types.values()) <= {OPUS, VP8, VP8_RTX, H264, H264_RTX}
    assert not any(64 <= theirs <= 95 or theirs > 127 for theirs in offer.payload_types)
    shared, sections = split(_SIDE.answer(offer, 1))
    assert shared.values("ice-lite") == [""]
    assert [one.media for one in sections] == [one.kind.media for one in offer.sections]
    assert {tuple(one.directions) for one in sections} == {("recvonly",)}
    assert read_fragment(_SIDE.fragment(offer)).ufrag == "u" * 12


def _check_refusal(refused: BadSdp | Refused, text: str) -> None:
    assert refused.code in {"bad-sdp", "no-common-codec"}
    assert not any(word in refused.text for word in _CANARY.findall(text))


def _check_answer(answer: Answer, text: str) -> None:
    assert 4 <= len(answer.ufrag) <= 256
    assert 22 <= len(answer.pwd) <= 256
    assert [len(digest) for digest in answer.fingerprints] == [95]
    assert not re.search(r"^a=(crypto:|ice-lite(:|\r?$))", text, re.MULTILINE)
    ssrcs = [ssrc for t in answer.tracks for ssrc in (t.ssrc, t.rtx_ssrc) if ssrc is not None]
    assert len(ssrcs) == len(set(ssrcs)) <= 5
    assert all(0 < ssrc <= 0xFFFFFFFF for ssrc in ssrcs)
    kinds = [track.kind for track in answer.tracks]
    assert len(kinds) == len(set(kinds))
    assert answer.pwd not in repr(answer)


# ---------------------------------------------------------------------------------------------- messages

_BODIES = [
    kind
    for kind in vars(messages).values()
    if isinstance(kind, type) and issubclass(kind, messages.Body) and kind is not messages.Body
]
_OUR_WORDS = {
    word
    for source in (codec.__file__, messages.__file__)
    for word in re.findall(r"[A-Za-z0-9_-]+", Path(source).read_text(encoding="utf-8"))
}
_OUR_WORDS |= {word.replace("_", "-") for word in _OUR_WORDS} | {word.lower() for word in _OUR_WORDS}


def _refused(error: BadInput) -> None:
    assert error.code == codec.CODE
    strange = [word for word in re.findall(r"[A-Za-z0-9_-]{6,}", error.text) if word not in _OUR_WORDS]
    assert strange == [], "an error speaks our words only"


def check_json(data: bytes) -> None:
    """A message is one of ours or refused in our words; a connection takes it, or complains and soon ends."""
    for kind in _BODIES:
        try:
            body = codec.decode_body(data, kind)
        except BadInput as error:
            _refused(error)
        else:
            assert codec.decode_body(codec.encode_bytes(body), kind) == body
    try:
        message = codec.decode_message(data)
    except BadInput as error:
        _refused(error)
    else:
        assert isinstance(message, msgspec.Struct)
        assert codec.decode_message(codec.encode(message)) == message
    text = data.decode("utf-8", "surrogateescape")
    for role in SeatRole:
        connection = Connection("link", role, 0.0)
        assert len(connection.receive('{"type":"hello"}', 0.0)) == 1
        assert len(connection.receive(text, 0.0)) <= 2
        if len(text) < 100:
            for _ in range(int(BURST) + MISTAKES):
                connection.receive(text, 0.0)
            assert connection.state is State.CLOSED, "nobody sends so much so fast and stays"


# ----------------------------------------------------------------------------------------------------- MLS

_NOW: Final = 1_795_000_000.0
_SIGNED: Final = frozenset(
    read_key_package(mls.unb64(package), _NOW, is_signed).reference
    for package in mls.real()["key-packages"].values()
)


def _unread(error: BadInput) -> None:
    assert (error.code, error.text) == ("bad-group-message", "This cannot be read.")


def check_mls(data: bytes) -> None:
    """A group message is read or refused; no key package is taken that its owner did not sign."""
    for verify in (is_signed, lambda key, message, signature: True):
        try:
            package = read_key_package(data, _NOW, verify)
        except BadInput as error:
            _unread(error)
        else:
            assert len(package.reference) == 64
            assert verify is not is_signed or package.reference in _SIGNED
    try:
        assert 1 <= len(read_welcome(data)) <= 8
    except BadInput as error:
        _unread(error)
    try:
        header = read_private(data, 16_384)
    except BadInput as error:
        _unread(error)
    else:
        head = b"\0\1\0\2" + vector(header.group_id) + header.epoch.to_bytes(8, "big")
        assert data.startswith(head + bytes((header.content,)))


# --------------------------------------------------------------------------------------------- all of them

TARGETS: Final = {
    target.name: target
    for target in (
        Target(
            "mls",
            pure(check_mls),
            (
                *(b"\x00\x01\x00" + bytes((kind,)) for kind in (1, 2, 3, 4, 5)),
                *(
                    b"\x00\x53",
                    b"\x40\x40",
                    b"\x80\x00\x40\x00",
                    b"\xc0",
                    b"\x44\xc0",
                    b"\x20",
                    b"\x00\x01\x01",
                ),
                *(b"MLS 1.0 ", b'{"pid":"A","name":"Partner A","role":"guest"}', b"\xff" * 8),
            ),
        ),
        Target(
            "stun",
            pure(check_stun),
            (
                *(struct.pack("!HH", kind, size) for kind in _ATTRIBUTES for size in (0, 4, 8)),
                *(struct.pack("!I", stun.COOKIE), b":", b"\x00\x01", b"\x00\x03", b"\x01\x01"),
            ),
        ),
        Target(
            "rtp",
            pure(check_rtp),
            (b"\x80\x60", b"\x90\x60", b"\xbe\xde\x00\x01", b"\x80\x61", b"\xa0\x61"),
        ),
        Target(
            "rtcp",
            pure(check_rtcp),
            (
                *(
                    bytes([first, kind])
                    for first in (0x80, 0x81, 0x84, 0x8F, 0x9F)
                    for kind in range(200, 208)
                ),
                b"REMB",
                b"\x00\x00",
                b"\xff\xff",
                b"\x00\x02",
            ),
        ),
        Target(
            "forwarding",
            pure(check_forwarding),
            (b"\0\0\7", b"\2\0\0", b"\1\0\0", b"\3\0\0", b"\4\0", b"\5\0"),
        ),
        Target(
            "offer",
            pure(check_offer),
            tuple(
                word.encode()
                for word in (
                    *("\r\n", "\n", "a=", "m=audio 9 ", "m=video 0 ", "a=mid:0", "a=group:BUNDLE 0 1"),
                    *("a=ssrc:1 cname:x\r\n", "a=ssrc-group:FID 1 2\r\n", "a=setup:actpass", "a=sendonly"),
                    *("a=rtcp-mux", "a=bundle-only", "a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000"),
                    *("a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1;profile-level-id=42e01f"),
                    *("a=fmtp:97 apt=96", "a=rtcp-fb:* nack", "a=ice-ufrag:", "a=ice-pwd:", "opus/48000/2"),
                )
            ),
        ),
        Target(
            "sdp",
            pure(check_sdp),
            tuple(
                word.encode()
                for word in (
                    *("\r\n", "\n", "a=", "m=audio 9 ", "m=video 0 ", "a=mid:0", "a=group:BUNDLE 0 1"),
                    *("a=ssrc:1 cname:x\r\n", "a=ssrc-group:FID 1 2\r\n", "a=setup:active", "a=sendonly"),
                    *("a=rtcp-mux", "a=crypto:1", "a=ice-lite", "a=extmap:2 ", "4294967295", "4294967296"),
                    *("UDP/TLS/RTP/SAVPF", "a=fingerprint:sha-256 ", "a=ice-ufrag:", "a=ice-pwd:", "\0", "é"),
                )
            ),
        ),
        Target(
            "json",
            pure(check_json),
            tuple(
                word.encode()
                for word in (
                    *("{", "}", "[", "]", '"', ",", ":", "\\", "\\u0000", "\\ud800", "null", "true", "-1"),
                    *("1e400", "99999999999999999999", "0.5", '"type":', '"id":', '"seats":', '"sdp":'),
                    *('"action":', '"hello"', '"knock"', '"act"', '"answer"', '"device-answer"', "é", "[[[["),
                )
            ),
        ),
        Target(
            "framing",
            pure(check_framing),
            (b"\0\0", b"\x21\x12\xa4\x42", b"\x40\0\0\4", b"\0\1\0\0", b"\x08\1"),
        ),
        Target("turn", pure(check_turn), tuple(bytes([0, action]) for action in range(8))),
        *(
            Target(f"port-{name}", partial(port.opened, engine), corpus_of="port")
            for name, engine in (("plain", DatagramEngine), ("batch", BatchEngine))
            if engine is DatagramEngine or works()
        ),
    )
}
