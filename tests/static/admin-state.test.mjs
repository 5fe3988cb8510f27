// The board's words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { numbers, overview, pausedVideo, roomEncryption, suiteWord, tlsWord } from "../../static/js/admin-state.js";

const seat = (more = {}) => ({
  path: null,
  "loss-in-percent": null,
  "loss-out-percent": null,
  "jitter-ms": null,
  "rtt-ms": null,
  "kbps-in": null,
  "kbps-out": null,
  receives: "all",
  sends: "all",
  ...more,
});

test("a link is told in numbers, a line each, and not at all while there is none", () => {
  assert.deepEqual(numbers(seat()), []);
  const all = { path: "tcp", "loss-in-percent": 0.42, "loss-out-percent": 3, "jitter-ms": 4.4, "rtt-ms": 31.4, "kbps-in": 940, "kbps-out": 40 };
  assert.deepEqual(numbers(seat(all)), [
    "Over TCP",
    "Loss 0.4 % in, 3.0 % out",
    "Round trip 31 ms",
    "Jitter 4 ms",
    "940 kb/s in, 40 kb/s out",
  ]);
});

test("paused video is told with its way", () => {
  assert.equal(pausedVideo(seat()), null);
  assert.equal(pausedVideo(seat({ receives: "sound" })), "Video paused out");
  assert.equal(pausedVideo(seat({ receives: "sound", sends: "sound" })), "Video paused in and out");
  assert.equal(pausedVideo(seat({ sends: "screen" })), "Camera paused in");
});

test("a suite is named by algorithm and key length", () => {
  assert.equal(suiteWord("AEAD_AES_256_GCM"), "AES-256 GCM");
  assert.equal(suiteWord("SRTP_AES128_CM_HMAC_SHA1_80"), "AES-128");
  assert.equal(suiteWord("SOMETHING_NEW"), "SOMETHING_NEW");
  assert.equal(suiteWord(null), "–");
});

test("a page's connection is named by protocol, algorithm and key length", () => {
  assert.equal(tlsWord("TLSv1.3 TLS_AES_256_GCM_SHA384"), "Page: TLS 1.3, AES-256 GCM");
  assert.equal(tlsWord("TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384"), "Page: TLS 1.2, AES-256 GCM");
  assert.equal(tlsWord("TLSv1.3 TLS_CHACHA20_POLY1305_SHA256"), "Page: TLS 1.3, TLS_CHACHA20_POLY1305_SHA256");
  assert.equal(tlsWord(null), null);
});

test("rooms are counted by state", () => {
  const board = { rooms: [{ state: "live" }, { state: "waiting" }, { state: "live" }] };
  assert.equal(overview(board), "2 live · 1 waiting");
  assert.equal(overview({ rooms: [] }), "No open session");
});

test("a room says whether it is end-to-end encrypted, with what, and whether its people checked", () => {
  const room = (more) => roomEncryption({ encryption: "end-to-end", keys: null, epoch: null, verified: null, ...more });
  const texts = (more) => room(more).map(({ text }) => text);
  const keys = "MLS X-Wing AES-256-GCM SHA-512 Ed25519";
  assert.deepEqual(room({ encryption: "transport-only" }), [{ text: "Not end-to-end encrypted", poor: true }]);
  assert.deepEqual(texts({}), ["End-to-end encrypted"]);
  assert.deepEqual(texts({ keys, epoch: 3 }), [
    "End-to-end encrypted",
    "X-Wing, AES-256 GCM, epoch 3",
    "Not verified by spoken check",
  ]);
  assert.equal(texts({ keys, epoch: 3, verified: true }).at(-1), "Verified by spoken check");
  assert.deepEqual(room({ keys, epoch: 3, verified: false }).at(-1), { text: "Spoken check: pictures differed", poor: true });
  assert.equal(texts({ keys: "SOMETHING_NEW", epoch: 0 })[1], "SOMETHING_NEW, epoch 0");
});
