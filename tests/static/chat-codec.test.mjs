// What members seal for each other: only texts that our pages would send are ever shown.

import assert from "node:assert/strict";
import { test } from "node:test";

import { readText, sealable } from "../../static/js/chat-codec.js";
import { MAX_TEXT } from "../../static/js/chat-state.js";

test("a text arrives as it was written", () => {
  for (const text of ["a", "Zoë\n– שלום 👋🏽", "漢".repeat(MAX_TEXT)]) assert.equal(readText(sealable(text)), text);
});

test("nothing and too much are not sent", () => {
  for (const text of ["", " \n\t ", "x".repeat(MAX_TEXT + 1)]) assert.equal(sealable(text), null);
});

test("whatever else a member seals is no text", () => {
  const bytes = (...values) => new Uint8Array(values);
  const others = [
    bytes(),
    bytes(1),
    bytes(1, 0x20),
    bytes(0, 0x61),
    bytes(2, 0x61),
    bytes(255),
    bytes(1, 0xff, 0xfe),
    bytes(1, ...new Array(MAX_TEXT + 1).fill(0x61)),
    bytes(1, ...new Array(100_000).fill(0x61)),
  ];
  for (const payload of others) assert.equal(readText(payload), null);
});

test("control characters of a stranger's page do not come through", () => {
  assert.equal(readText(new Uint8Array([1, 0x61, 0, 0x1b, 0x62])), "a  b");
});
