"""A program's offer, our answer to it, and fragments."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Refused
from rooms.description import BadSdp, split
from rooms.forwarding import H264, H264_RTX, OPUS, VP8, VP8_RTX, Kind
from rooms.ingest_sdp import MAX_FRAGMENT, Fragment, Side, read_fragment, read_offer
from rooms.sdp import AnsweredTrack

PRINT = ":".join(["AB"] * 32)
SIDE = Side("u" * 12, "w" * 32, "192.0.2.7", 4433, PRINT)


def offer() -> str:
    """What a program offers, shortened to what matters: other payload types than ours, and more codecs."""
    both = [
        "a=ice-ufrag:c0fE", f"a=ice-pwd:{'p' * 24}", f"a=fingerprint:sha-256 {PRINT}",
        "a=fingerprint:sha-512 00:11", "a=setup:actpass", "a=rtcp-mux", "a=sendonly",
    ]  # fmt: skip
    lines = [
        "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE sound 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0 98", "a=mid:sound", *both,
        "a=rtpmap:0 PCMU/8000", "a=rtpmap:98 OPUS/48000/2", "a=ssrc:10 cname:x",
        "m=video 0 UDP/TLS/RTP/SAVPF 102 120 121 111", "a=bundle-only", "a=mid:1", *both,
        "a=rtpmap:102 H264/90000", "a=rtpmap:120 VP8/90000", "a=rtpmap:121 rtx/90000", "a=fmtp:121 apt=120",
        "a=rtpmap:111 rtx/90000", "a=fmtp:111 apt=102",
        "a=rtcp-fb:120 nack pli", "a=rtcp-fb:* nack", "a=rtcp-fb:102 ccm fir", "a=rtcp-fb:120 transport-cc",
        "a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=ssrc-group:FID 11 21", "a=ssrc:11 cname:x", "a=ssrc:21 cname:x",
    ]  # fmt: skip
    return "\r\n".join(lines) + "\r\n"


def test_an_offer_tells_transport_tracks_and_payload_types() -> None:
    read = read_offer(offer())
    assert (read.answer.ufrag, read.answer.pwd, read.answer.fingerprints) == ("c0fE", "p" * 24, (PRINT,))
    assert read.answer.tracks == (
        AnsweredTrack(Kind.AUDIO, 10, None),
        AnsweredTrack(Kind.CAMERA, 11, 21),
    )
    assert read.payload_types == {98: OPUS, 120: VP8, 121: VP8_RTX}


def test_the_answer_keeps_the_programs_numbers_and_takes_nothing_more() -> None:
    read = read_offer(offer())
    text = SIDE.answer(read, 7)
    shared, sections = split(text)
    assert shared.values("group") == ["BUNDLE sound 1"]
    assert shared.values("ice-lite") == [""]
    assert [(s.media, s.formats) for s in sections] == [("audio", ["98"]), ("video", ["120", "121"])]
    for section in sections:
        assert section.directions == {"recvonly"}
        assert section.values("setup") == ["passive"]
        assert section.values("candidate") == ["1 1 udp 2130706431 192.0.2.7 4433 typ host"]
        assert section.values("extmap") == []
    assert sections[1].values("rtcp-fb") == ["120 nack", "120 nack pli"]
    assert sections[1].values("fmtp") == ["121 apt=120"]
    assert "H264" not in text


def test_without_a_stream_of_retransmissions_none_is_answered() -> None:
    plain = re.sub(r"a=ssrc-group:FID 11 21\r\n|a=ssrc:21 cname:x\r\n", "", offer())
    assert read_offer(plain).payload_types == {98: OPUS, 120: VP8}


def test_sound_alone_will_do() -> None:
    alone = offer().split("m=video")[0].replace("BUNDLE sound 1", "BUNDLE sound")
    assert [section.kind for section in read_offer(alone).sections] == [Kind.AUDIO]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP"), ("a=rtcp-mux\r\n", ""), ("a=sendonly", "a=recvonly"),
        ("a=sendonly", "a=inactive"), ("a=setup:actpass", "a=setup:passive"), ("a=setup:actpass\r\n", ""),
        ("BUNDLE sound 1", "BUNDLE sound"), ("a=group:BUNDLE sound 1\r\n", ""), ("a=mid:1\r\n", ""),
        ("a=mid:1", "a=mid:sound"), ("a=mid:sound", "a=mid:so und"), ("a=bundle-only\r\n", ""),
        ("m=audio 9", "m=video 9"), ("m=audio 9", "m=application 9"), ("a=ssrc:10 cname:x\r\n", ""),
        ("a=ssrc:10 ", "a=ssrc:11 "), ("a=ssrc:11 cname:x", "a=ssrc:11 cname:x\r\na=ssrc:12 cname:x"),
        ("a=fmtp:121 apt=120\r\n", ""), ("s=-", "s=-\r\na=ice-lite"), ("a=mid:1", "a=mid:1\r\na=crypto:1 x"),
        ("sha-256", "sha-1"), ("c0fE", "c0f"), ("v=0", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96"),
        ("98", "120"), ("v=0", "v=1"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_whole(old: str, new: str) -> None:
    changed = offer().replace(old, new)
    assert changed != offer()
    with pytest.raises(BadSdp) as refusal:
        read_offer(changed)
    assert refusal.value.code == "bad-sdp"
    assert "c0f" not in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("OPUS/48000/2", "ISAC/16000"),
        ("VP8/90000", "VP9/90000"),
        ("120", "95"),
        ("a=rtpmap:98", "a=rtpmap:97"),
    ],
)
def test_without_a_common_codec_the_offer_is_refused_for_that(old: str, new: str) -> None:
    with pytest.raises(Refused) as refusal:
        read_offer(offer().replace(old, new))
    assert refusal.value.code == "no-common-codec"


H264_ONLY = (
    ("a=rtpmap:120 VP8/90000", "a=fmtp:102 profile-level-id=42E01F;packetization-mode=1"),
    ("a=fmtp:121 apt=120", "a=fmtp:121 apt=102"),
)


def h264_only() -> str:
    """What OBS offers: H.264, and no VP8."""
    text = offer()
    for old, new in H264_ONLY:
        text = text.replace(old, new)
    return text


def test_who_has_only_h264_is_taken_with_that() -> None:
    read = read_offer(h264_only())
    assert read.answer.tracks[1] == AnsweredTrack(Kind.CAMERA, 11, 21, h264=True)
    assert read.payload_types == {98: OPUS, 102: H264, 121: H264_RTX}
    _, (_, video) = split(SIDE.answer(read, 7))
    assert video.formats == ["102", "121"]
    assert video.values("rtpmap") == ["102 H264/90000", "121 rtx/90000"]
    shown = "102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    assert video.values("fmtp") == [shown, "121 apt=102"]
    assert video.values("rtcp-fb") == ["102 ccm fir", "102 nack"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("packetization-mode=1", "packetization-mode=0"),
        ("packetization-mode=1", "x=1"),
        ("42E01F", "64001F"),
        ("42E01F", "42E01"),
        ("42E01F", "42E01F0"),
        ("a=fmtp:102 profile", "a=fmtp:121 profile"),
        ("H264/90000", "H265/90000"),
    ],
)
def test_h264_that_not_every_decoder_shows_is_refused(old: str, new: str) -> None:
    changed = h264_only().replace(old, new)
    assert changed != h264_only()
    with pytest.raises(Refused) as refusal:
        read_offer(changed)
    assert refusal.value.code == "no-common-codec"


@given(st.data())
def test_reading_is_total(data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from((offer(), h264_only()))).split("\r\n")
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at] = data.draw(st.one_of(st.sampled_from(lines), st.text(max_size=40)))
    try:
        read = read_offer("\r\n".join(lines))
    except (BadSdp, Refused):
        return
    assert 1 <= len(read.sections) <= 2
    split(SIDE.answer(read, 1))


def test_a_fragment_may_renew_the_credentials_or_only_bring_candidates() -> None:
    candidates = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
    assert read_fragment(candidates) == Fragment(None)
    assert read_fragment(f"a=ice-ufrag:abcd\r\na=ice-pwd:{'p' * 22}\r\n{candidates}") == Fragment("abcd")
    for bad in ("", "what", "a=ice-ufrag:abcd\r\n", "a=" + "x" * MAX_FRAGMENT, "a=x\r\n" * 401, "a=\u00e9"):
        with pytest.raises(BadSdp):
            read_fragment(bad)


def test_our_fragment_tells_new_credentials_and_where_we_are() -> None:
    text = SIDE.fragment(read_offer(offer()))
    assert read_fragment(text) == Fragment("u" * 12)
    assert "a=mid:sound\r\n" in text
    assert "a=candidate:1 1 udp 2130706431 192.0.2.7 4433 typ host\r\n" in text
