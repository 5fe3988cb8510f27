"""Reading session descriptions from outside."""

from __future__ import annotations

import pytest

from rooms.description import (
    MAX_DESCRIPTION,
    MAX_LINES,
    BadSdp,
    Section,
    credentials,
    fingerprints,
    one,
    split,
    streams,
)

PRINT = ":".join(["AB"] * 32)


def section(*attributes: str) -> Section:
    pairs = [attribute.partition(":")[::2] for attribute in attributes]
    return Section("video", 9, "UDP/TLS/RTP/SAVPF", ["96"], pairs)


def test_a_description_is_cut_into_what_is_shared_and_its_sections() -> None:
    shared, sections = split("v=0\r\na=group:BUNDLE 0\r\nm=audio 9 X 1 2\r\na=mid:0\r\na=sendonly\r\n")
    assert shared.values("group") == ["BUNDLE 0"]
    assert [(s.media, s.port, s.profile, s.formats) for s in sections] == [("audio", 9, "X", ["1", "2"])]
    assert (sections[0].values("mid"), sections[0].directions) == (["0"], {"sendonly"})


@pytest.mark.parametrize(
    "text",
    [
        "", "v=1", "v=0\nx", "v=0\na", "v=0\nm=audio 9 X", "v=0\nm=audio x X 1", "v=0\nm=audio 65536 X 1",
        "v=0\nm=audio 9 X " + "1 " * 64, "v=0\ns=\u00e9", "v=0\ns=\0", "v=0" + "\na=x" * MAX_LINES,
        "v=0\na=" + "x" * MAX_DESCRIPTION,
    ],
)  # fmt: skip
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(BadSdp) as refusal:
        split(text)
    assert refusal.value.code == "bad-sdp"


def test_a_sections_own_value_counts_before_the_shared_one() -> None:
    assert one(section("setup:active"), section("setup:passive"), "setup") == "active"
    assert one(section(), section("setup:passive"), "setup") == "passive"
    assert one(section("setup:active", "setup:active"), section(), "setup") is None


def test_there_is_one_set_of_credentials_wherever_it_stands() -> None:
    both = ("ice-ufrag:abcd", "ice-pwd:" + "p" * 22)
    assert credentials(Section(), [section(*both), section(*both)]) == ("abcd", "p" * 22)
    assert credentials(section(*both), [section()]) == ("abcd", "p" * 22)
    for bad in (
        ["ice-ufrag:abcd"],
        ["ice-ufrag:abc", both[1]],
        [both[0], "ice-pwd:" + "p" * 21],
        [*both, "ice-ufrag:efgh"],
    ):
        with pytest.raises(BadSdp):
            credentials(Section(), [section(*bad)])


def test_a_certificate_is_named_by_sha_256() -> None:
    ours = f"fingerprint:sha-256 {PRINT.lower()}"
    other = "fingerprint:sha-512 00:11"
    assert fingerprints(Section(), [section(ours)]) == (PRINT,)
    assert fingerprints(Section(), [section(other, ours)], besides=True) == (PRINT,)
    with pytest.raises(BadSdp):
        fingerprints(Section(), [section(other, ours)])
    for bad in ([other], [], [ours, ours.replace("ab", "cd")], ["fingerprint:sha-256 AB"]):
        with pytest.raises(BadSdp):
            fingerprints(Section(), [section(*bad)], besides=True)


def test_streams_are_the_media_and_at_most_its_retransmission() -> None:
    assert streams(section("ssrc:5 cname:x", "ssrc:5 msid:x"), with_rtx=False) == (5, None)
    paired = section("ssrc-group:FID 5 6", "ssrc:6 cname:x", "ssrc:5 cname:x")
    assert streams(paired, with_rtx=True) == (5, 6)
    bad = [[], ["ssrc:5", "ssrc:6"], ["ssrc:0"], ["ssrc:4294967296"], ["ssrc:x"], ["ssrc-group:FID 5 6 7"]]
    for attributes in bad:
        with pytest.raises(BadSdp):
            streams(section(*attributes), with_rtx=True)
    with pytest.raises(BadSdp):
        streams(paired, with_rtx=False)
