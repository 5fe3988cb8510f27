// The board's words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { overview, quality, suiteWord } from "../../static/js/admin-state.js";

const seat = (more = {}) => ({ "loss-percent": null, "rtt-ms": null, kbps: null, ...more });

test("quality is numbers, and says when they are poor", () => {
  assert.deepEqual(quality(seat()), { text: "–", poor: false });
  assert.deepEqual(quality(seat({ "loss-percent": 0.42, "rtt-ms": 31.4, kbps: 940 })), {
    text: "0.4 % loss, 31 ms, 940 kb/s",
    poor: false,
  });
  assert.equal(quality(seat({ "loss-percent": 5 })).poor, true);
  assert.equal(quality(seat({ "rtt-ms": 400 })).poor, true);
});

test("a suite is named by algorithm and key length", () => {
  assert.equal(suiteWord("AEAD_AES_256_GCM"), "AES-256 GCM");
  assert.equal(suiteWord("SRTP_AES128_CM_HMAC_SHA1_80"), "AES-128");
  assert.equal(suiteWord("SOMETHING_NEW"), "SOMETHING_NEW");
  assert.equal(suiteWord(null), "–");
});

test("rooms are counted by state", () => {
  const board = { rooms: [{ state: "live" }, { state: "waiting" }, { state: "live" }] };
  assert.equal(overview(board), "2 live · 1 waiting");
  assert.equal(overview({ rooms: [] }), "No open session");
});
