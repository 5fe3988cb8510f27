// The parts of devices and of leaving quickly that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";

import { loudness, problemOf } from "../../static/js/devices.js";
import { escapePressed } from "../../static/js/exit.js";
import { midsOf } from "../../static/js/peer.js";

const tone = (amplitude) => Float32Array.from({ length: 1024 }, (_, index) => amplitude * Math.sin(index / 5));

test("loudness runs from silence to close speech", () => {
  assert.equal(loudness(new Float32Array(1024)), 0);
  assert.equal(loudness([]), 0);
  assert.equal(loudness(tone(1)), 1);
  const [soft, loud] = [loudness(tone(0.01)), loudness(tone(0.1))];
  assert.ok(soft > 0.2 && soft < loud && loud < 1, `${soft} ${loud}`);
});

test("what the browser throws is one of three problems", () => {
  const error = (name) => Object.assign(new Error("no"), { name });
  assert.equal(problemOf(error("NotAllowedError")), "denied");
  assert.equal(problemOf(error("NotReadableError")), "busy");
  assert.equal(problemOf(error("NotFoundError")), "missing");
  assert.equal(problemOf("nonsense"), "missing");
});

test("Escape leaves at the third press within two seconds", () => {
  let state = { presses: [], leave: false };
  for (const now of [0, 500, 2_100]) state = escapePressed(state.presses, now);
  assert.equal(state.leave, false, "the first is too long ago");
  assert.equal(escapePressed(state.presses, 2_400).leave, true);
});

test("slots follow our three m-lines", () => {
  assert.deepEqual([0, 1, 2].map(midsOf), [
    { audio: "3", video: "4" },
    { audio: "5", video: "6" },
    { audio: "7", video: "8" },
  ]);
});
