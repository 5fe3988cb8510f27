from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.description import MAX_DESCRIPTION, BadSdp
from rooms.forwarding import Kind
from rooms.gate import slots_for
from rooms.quality import Meter
from rooms.sdp import PUBLISHED, Answer, AnsweredTrack, Offer, read_answer


class Nobody:
    direct = None
    meter = Meter()

    def send_rtp(self, packet: bytes) -> None: ...
    def send_rtcp(self, compound: bytes) -> None: ...


SLOTS = slots_for(Nobody(), count(1000).__next__)
KINDS = [*PUBLISHED, *(slot.kind for slot in SLOTS)]
FINGERPRINT = ":".join(["AB"] * 32)
UFRAG, PASSWORD = "c0fE", "p" * 24


def offer(host: str = "192.0.2.7", tcp_port: int | None = None, *, h264: bool = False) -> str:
    return Offer(
        session=5,
        version=1,
        ufrag="u" * 12,
        pwd="w" * 32,
        host=host,
        port=4433,
        fingerprint=FINGERPRINT,
        slots=SLOTS,
        tcp_port=tcp_port,
        h264=h264,
    ).render()


def test_a_passive_tcp_candidate_stands_beside_that_of_udp_and_below_it() -> None:
    assert " tcp " not in offer()
    lines = [line for line in offer(tcp_port=443).split("\r\n") if line.startswith("a=candidate:")]
    udp, tcp = (line.split(" ") for line in lines[:2])
    assert lines == lines[:2] * (len(lines) // 2)
    assert (udp[2], udp[4:6]) == ("udp", ["192.0.2.7", "4433"])
    assert (tcp[2], tcp[4:]) == ("tcp", ["192.0.2.7", "443", "typ", "host", "tcptype", "passive"])
    assert 0 < int(tcp[3]) < int(udp[3])


def test_the_offer_is_the_one_that_pages_know() -> None:
    """Pages refuse any other: what changes here must change in static/js/offer.js."""
    known = Path(__file__).parent.parent / "vectors" / "offer.json"
    assert offer(tcp_port=443).split("\r\n") == [*json.loads(known.read_text())["lines"], ""]


def sections(sdp: str) -> list[str]:
    return re.split(r"^(?=m=)", sdp, flags=re.MULTILINE)[1:]


def answer() -> str:
    """What Chromium answers, shortened to what matters."""
    lines = [
        "v=0",
        "o=- 806 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1 2 3 4 5 6 7 8 9",
        "a=msid-semantic: WMS",
    ]
    for mid, kind in enumerate(KINDS):
        lines += [
            f"m={kind.media} 9 UDP/TLS/RTP/SAVPF {'111' if kind is Kind.AUDIO else '96 97'}",
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{UFRAG}",
            f"a=ice-pwd:{PASSWORD}",
            f"a=fingerprint:sha-256 {FINGERPRINT}",
            "a=setup:active",
            f"a=mid:{mid}",
            "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            "a=sendonly" if mid < 3 else "a=recvonly",
            "a=rtcp-mux",
        ]
        if mid == 0:
            lines += ["a=ssrc:10 cname:x"]
        elif mid < 3:
            media, rtx = 10 + mid, 20 + mid
            lines += [
                f"a=ssrc-group:FID {media} {rtx}",
                f"a=ssrc:{media} cname:x",
                f"a=ssrc:{rtx} cname:x",
            ]
    return "\r\n".join(lines) + "\r\n"


def read(text: str) -> Answer:
    return read_answer(text, KINDS)


def test_the_offer_has_its_m_lines_in_the_agreed_order() -> None:
    found = sections(offer())
    assert [re.findall(r"a=mid:(\d)", section) for section in found] == [[str(mid)] for mid in range(10)]
    media = [section.split(" ")[0][2:] for section in found]
    assert media == ["audio", "video", "video", *["audio", "video"] * 3, "video"]
    assert ["a=recvonly" in section for section in found] == [True] * 3 + [False] * 7
    assert ["a=sendonly" in section for section in found] == [False] * 3 + [True] * 7


def test_the_offer_names_a_lite_agent_on_one_bundled_encrypted_transport() -> None:
    text = offer()
    assert "a=ice-lite\r\n" in text
    assert "a=group:BUNDLE 0 1 2 3 4 5 6 7 8 9\r\n" in text
    for section in sections(text):
        assert "UDP/TLS/RTP/SAVPF" in section
        assert "a=setup:actpass\r\n" in section
        assert f"a=fingerprint:sha-256 {FINGERPRINT}\r\n" in section
        assert "a=rtcp-mux\r\n" in section
        assert "192.0.2.7 4433 typ host" in section


def test_the_offer_negotiates_nothing_that_shows_or_misleads() -> None:
    text = offer()
    for unwanted in ("sdes:mid", "ssrc-audio-level", "transport-cc", "transport-wide-cc", "a=crypto"):
        assert unwanted not in text
    assert "usedtx=0" in text
    assert "cbr=1" in text


def test_the_media_ssrc_of_a_slot_is_named_before_its_retransmission() -> None:
    camera = sections(offer())[4]
    slot = SLOTS[1]
    assert re.findall(r"a=ssrc:(\d+)", camera) == [str(slot.ssrc), str(slot.rtx_ssrc)]


def test_an_ipv6_host_is_offered_as_such() -> None:
    assert "c=IN IP6 2001:db8::7\r\n" in offer("2001:db8::7")


def test_a_browsers_answer_is_understood() -> None:
    assert read(answer()) == Answer(
        ufrag=UFRAG,
        pwd=PASSWORD,
        fingerprints=(FINGERPRINT,),
        tracks=(
            AnsweredTrack(Kind.AUDIO, 10, None),
            AnsweredTrack(Kind.CAMERA, 11, 21),
            AnsweredTrack(Kind.SCREEN, 12, 22),
        ),
    )


def test_line_feeds_alone_and_lower_case_digests_will_do() -> None:
    assert read(answer().replace("\r\n", "\n")) == read(answer())
    assert read(answer().replace(FINGERPRINT, FINGERPRINT.lower())) == read(answer())


def test_a_fingerprint_for_the_whole_session_will_do() -> None:
    line = f"a=fingerprint:sha-256 {FINGERPRINT}\r\n"
    moved = answer().replace(line, "").replace("a=msid-semantic: WMS\r\n", line)
    assert read(moved) == read(answer())


def test_a_seat_that_publishes_nothing_is_welcome() -> None:
    assert read(answer().replace("a=sendonly", "a=inactive")).tracks == ()


def test_a_rejected_m_line_publishes_nothing() -> None:
    text = answer().replace("m=video 9", "m=video 0", 2).replace("BUNDLE 0 1 2 3", "BUNDLE 0 3")
    assert [track.kind for track in read(text).tracks] == [Kind.AUDIO]


def test_only_where_programs_may_publish_pictures_of_others_are_offered_in_h264_too() -> None:
    assert "H264" not in offer()
    shown = [section.partition("\r\n")[0].split(" ")[3:] for section in sections(offer(h264=True))]
    assert [mid for mid, formats in enumerate(shown) if "98" in formats] == [4, 6, 8]
    assert shown[4] == ["96", "97", "98", "99"]
    assert shown[1] == shown[2] == shown[9] == ["96", "97"], "nobody publishes it in a browser"


def test_an_answer_says_whether_the_browser_shows_h264() -> None:
    def take_h264(mids: set[int], text: str) -> str:
        found = sections(text)
        for mid in mids:
            found[mid] = found[mid].replace("96 97", "96 97 98 99")
        return text.partition("m=")[0] + "".join(found)

    assert not read_answer(answer(), KINDS, h264=True).shows_h264
    assert read_answer(take_h264({4, 6, 8}, answer()), KINDS, h264=True).shows_h264
    assert not read_answer(take_h264({4, 8}, answer()), KINDS, h264=True).shows_h264
    for mids in ({1}, {9}):
        with pytest.raises(BadSdp):
            read_answer(take_h264(mids, answer()), KINDS, h264=True)
    with pytest.raises(BadSdp):
        read_answer(take_h264({4, 6, 8}, answer()), KINDS)


def test_the_answer_does_not_show_in_its_repr() -> None:
    shown = repr(read(answer()))
    assert UFRAG not in shown
    assert PASSWORD not in shown
    assert FINGERPRINT not in shown


FIRST_FINGERPRINT = f"a=fingerprint:sha-256 {FINGERPRINT}\r\n"

HOSTILE = {
    "no fingerprint": answer().replace(FIRST_FINGERPRINT, ""),
    "one section without fingerprint": answer().replace(FIRST_FINGERPRINT, "", 1),
    "sha-1": answer().replace(f"sha-256 {FINGERPRINT}", "sha-1 " + ":".join(["AB"] * 20)),
    "short digest": answer().replace(FINGERPRINT, FINGERPRINT[:-3]),
    "two certificates": answer().replace(FINGERPRINT, ":".join(["CD"] * 32), 1),
    "a weaker fingerprint beside": answer().replace(
        FIRST_FINGERPRINT, FIRST_FINGERPRINT + "a=fingerprint:md5 AB\r\n"
    ),
    "plain RTP": answer().replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
    "RTP/SAVP": answer().replace("UDP/TLS/RTP/SAVPF", "RTP/SAVP", 1),
    "SDES": answer().replace(
        "a=rtcp-mux\r\n", "a=rtcp-mux\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n", 1
    ),
    "passive": answer().replace("a=setup:active", "a=setup:passive"),
    "actpass": answer().replace("a=setup:active", "a=setup:actpass", 1),
    "no setup": answer().replace("a=setup:active\r\n", ""),
    "short ufrag": answer().replace(f"a=ice-ufrag:{UFRAG}", "a=ice-ufrag:abc"),
    "long ufrag": answer().replace(f"a=ice-ufrag:{UFRAG}", "a=ice-ufrag:" + "a" * 257),
    "strange ufrag": answer().replace(f"a=ice-ufrag:{UFRAG}", "a=ice-ufrag:a:bc"),
    "short password": answer().replace(PASSWORD, "p" * 21),
    "long password": answer().replace(PASSWORD, "p" * 257),
    "two passwords": answer().replace(PASSWORD, "q" * 24, 1),
    "no credentials": answer().replace(f"a=ice-ufrag:{UFRAG}\r\n", ""),
    "lite": answer().replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"),
    "no bundle": answer().replace("a=group:BUNDLE 0 1 2 3 4 5 6 7 8 9\r\n", ""),
    "half a bundle": answer().replace("BUNDLE 0 1 2 3 4 5 6 7 8 9", "BUNDLE 0 1"),
    "two bundles": answer().replace("a=msid-semantic: WMS", "a=group:BUNDLE 1 2"),
    "no rtcp-mux": answer().replace("a=rtcp-mux\r\n", "", 1),
    "another mid": answer().replace("a=mid:3", "a=mid:4", 1),
    "a mid of its own": answer().replace("a=mid:3", "a=mid:<script>", 1),
    "another codec": answer().replace("SAVPF 96 97", "SAVPF 98", 1),
    "sdes:mid": answer().replace(
        "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        1,
    ),
    "audio level": answer().replace("abs-send-time", "ssrc-audio-level", 1),
    "nine sections": answer()[: answer().rindex("m=video")],
    "eleven sections": answer() + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:9\r\n",
    "data channel": answer().replace(
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", 1
    ),
    "all rejected": re.sub(r"m=(audio|video) 9", r"m=\1 0", answer()),
    "port 99999": answer().replace("m=audio 9", "m=audio 99999", 1),
    "negative port": answer().replace("m=audio 9", "m=audio -9", 1),
    "SSRC 0": answer().replace("a=ssrc:10 ", "a=ssrc:0 "),
    "SSRC too large": answer().replace("a=ssrc:10 ", "a=ssrc:4294967296 "),
    "SSRC no number": answer().replace("a=ssrc:10 ", "a=ssrc:ten "),
    "no SSRC": answer().replace("a=ssrc:10 cname:x\r\n", ""),
    "two audio streams": answer().replace(
        "a=ssrc:10 cname:x\r\n", "a=ssrc:10 cname:x\r\na=ssrc:30 cname:x\r\n"
    ),
    "one SSRC twice": answer().replace("a=ssrc:10 ", "a=ssrc:11 "),
    "three video streams": answer().replace(
        "a=ssrc:21 cname:x\r\n", "a=ssrc:21 cname:x\r\na=ssrc:31 cname:x\r\n"
    ),
    "streams without a group": answer().replace("a=ssrc-group:FID 11 21\r\n", ""),
    "simulcast": answer().replace("a=ssrc-group:FID 11 21", "a=ssrc-group:SIM 11 21"),
    "empty": "",
    "not SDP": "GET / HTTP/1.1\r\n\r\n",
    "only v": "v=0",
    "a line that is none": answer() + "hello\r\n",
    "a null": answer().replace("cname:x", "cname:\0"),
    "not ASCII": answer().replace("cname:x", "cname:\u202e"),
    "a lone surrogate": answer().replace("cname:x", "cname:\ud800"),
    "too large": answer() + "a=x:" + "y" * MAX_DESCRIPTION,
    "too many lines": answer() + "a=x\r\n" * 3000,
    "other digits": answer().replace("a=ssrc:10 ", "a=ssrc:\u0661\u0660 "),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_answer_is_refused_with_one_code(text: str) -> None:
    with pytest.raises(BadSdp) as refusal:
        read(text)
    assert refusal.value.code == "bad-sdp"


def test_a_refusal_does_not_repeat_the_answer() -> None:
    for text in HOSTILE.values():
        with pytest.raises(BadSdp) as refusal:
            read(text)
        assert UFRAG not in str(refusal.value)
        assert not re.search(r"\d{2}|[A-F0-9]{2}:", str(refusal.value).replace("SHA-256", ""))


LINES = answer().split("\r\n")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["drop", "double", "swap", "cut", "replace", "insert"]),
            st.integers(0, len(LINES) - 1),
            st.text(max_size=20),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_mutated_answer_is_read_or_refused(changes: list[tuple[str, int, str]]) -> None:
    lines = LINES.copy()
    for how, where, what in changes:
        at = min(where, len(lines) - 1)
        match how:
            case "drop" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                lines[0], lines[at] = lines[at], lines[0]
            case "cut":
                lines[at] = lines[at][: len(what)]
            case "insert":
                lines.insert(at, what)
            case _:
                lines[at] = lines[at].replace(":", what)
    try:
        found = read("\r\n".join(lines))
    except BadSdp:
        return
    assert found.fingerprints == (FINGERPRINT,)
    assert all(track.ssrc != track.rtx_ssrc for track in found.tracks)


@given(st.text(max_size=300))
def test_garbage_is_refused(garbage: str) -> None:
    with pytest.raises(BadSdp):
        read(garbage)
