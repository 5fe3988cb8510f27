// Which offers a page takes in a visit that is end-to-end encrypted.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { isOurOffer } from "../../static/js/offer.js";

/** What rooms/sdp.py writes; its own test says so. @type {string[]} */
const LINES = JSON.parse(readFileSync(new URL("../vectors/offer.json", import.meta.url), "utf8")).lines;

/** @param {readonly string[]} lines */
const sdp = (lines) => lines.map((line) => `${line}\r\n`).join("");

/** The lines with others in the place of some. */
const spliced = (lines, at, count, ...others) => [...lines.slice(0, at), ...others, ...lines.slice(at + count)];

/** Where a line stands for the nth time. */
const nth = (line, n) => LINES.map((each, at) => (each === line ? at : -1)).filter((at) => at >= 0)[n];

const OPUS = "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=0;cbr=1";

test("what our server offers is taken, wherever it is reached", () => {
  assert.equal(isOurOffer(sdp(LINES)), true);
  const elsewhere = LINES.filter((line) => !line.includes(" tcp ")).map((line) =>
    line.replace("IN IP4 192.0.2.7", "IN IP6 2001:db8::7").replaceAll("192.0.2.7", "2001:db8::7").replace("a=ice-ufrag:uu", "a=ice-ufrag:xy"),
  );
  assert.equal(isOurOffer(sdp(elsewhere)), true);
});

test("sound must have a constant bit rate and leave no silence out, in every section", () => {
  for (const other of [
    "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=0",
    "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=0;cbr=0",
    "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1;cbr=1",
    "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=0;cbr=1;cbr=0",
    "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=0;cbr=1;stereo=1",
    "a=fmtp:96 minptime=10;useinbandfec=1;usedtx=0;cbr=1",
  ]) {
    for (const section of [0, 1, 2, 3]) {
      assert.equal(isOurOffer(sdp(spliced(LINES, nth(OPUS, section), 1, other))), false, other);
      assert.equal(isOurOffer(sdp(spliced(LINES, nth(OPUS, section) + 1, 0, other))), false, `${other} besides`);
    }
  }
  assert.equal(isOurOffer(sdp(spliced(LINES, nth(OPUS, 0), 1))), false);
});

test("no line of another kind is taken, in any place", () => {
  const foreign = [
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/corruption-detection",
    "a=extmap:4 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "a=extmap-allow-mixed",
    "a=rtpmap:98 H264/90000",
    "a=rtpmap:0 PCMU/8000",
    "a=fmtp:111 usedtx=1",
    "a=fmtp:96 x-google-max-bitrate=10",
    "a=rtcp-fb:111 transport-cc",
    "a=rtcp-fb:96 transport-cc",
    "a=ptime:60",
    "a=maxptime:120",
    "b=AS:20",
    "a=rid:1 recv",
    "a=simulcast:recv 1",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
    "a=setup:passive",
    "a=mid:77",
    "a=sendrecv",
    "a=cryptex",
    "a=",
    "",
    "x",
    "a=msid:a\u2028b",
    "a=msid:a\rb=AS:20",
    "a=msid:a\nb=AS:20",
    "a=msid:a\u0000",
  ];
  for (const line of foreign) {
    for (let at = 0; at <= LINES.length; at += 7) assert.equal(isOurOffer(sdp(spliced(LINES, at, 0, line))), false, `${at} ${line}`);
  }
});

test("other sections than ours are not taken: fewer, more, others, in another order", () => {
  const from = LINES.findIndex((line) => line.startsWith("m="));
  const heads = LINES.map((line, at) => (line.startsWith("m=") ? at : -1)).filter((at) => at >= 0);
  const sections = heads.map((at, mid) => LINES.slice(at, heads[mid + 1]));
  const session = LINES.slice(0, from);
  const made = (...all) => isOurOffer(sdp([...session, ...all.flat()]));
  assert.equal(made(...sections), true);
  assert.equal(made(...sections.slice(0, -1)), false);
  assert.equal(made(...sections, sections[9]), false);
  assert.equal(made(...spliced(sections, 1, 1, sections[0])), false);
  assert.equal(made(sections[1], sections[0], ...sections.slice(2)), false);
  assert.equal(made(...sections, ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:10"]), false);
  for (const [head, other] of [
    ["m=audio 4433 UDP/TLS/RTP/SAVPF 111", "m=audio 4433 UDP/TLS/RTP/SAVPF 111 0"],
    ["m=audio 4433 UDP/TLS/RTP/SAVPF 111", "m=audio 4433 RTP/AVP 111"],
    ["m=video 4433 UDP/TLS/RTP/SAVPF 96 97", "m=video 4433 UDP/TLS/RTP/SAVPF 97 96"],
    ["m=video 4433 UDP/TLS/RTP/SAVPF 96 97", "m=video 4433 UDP/TLS/RTP/SAVPF 98 99"],
    ["a=recvonly", "a=sendrecv"],
    ["a=recvonly", "a=sendonly"],
    ["a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP9/90000"],
    ["a=rtcp-mux", "a=rtcp-rsize"],
  ]) {
    assert.notEqual(nth(head, 0), undefined, head);
    assert.equal(isOurOffer(sdp(spliced(LINES, nth(head, 0), 1, other))), false, other);
  }
});

test("anything at all is looked at, and quickly", () => {
  for (const text of ["", "\r\n", "v=0", sdp(LINES).slice(0, -2), sdp(LINES).replaceAll("\r\n", "\n"), "m=\r\n".repeat(99), "x".repeat(9e6), "a=candidate:" + "x ".repeat(30_000) + "\r\n"]) {
    assert.equal(isOurOffer(text), false);
  }
  for (let at = 0; at < LINES.length; at += 1) {
    const required = !/^(c=|[vost]=|a=(rtcp:|rtcp-rsize|rtcp-fb|end-of|candidate|ice|msid|ssrc|finger|extmap|group))/.test(LINES[at]);
    assert.equal(isOurOffer(sdp(spliced(LINES, at, 1))), !required, LINES[at]);
  }
});
