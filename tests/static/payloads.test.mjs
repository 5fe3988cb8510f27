// What members seal for each other is read totally.

import assert from "node:assert/strict";
import { test } from "node:test";

import { joined, utf8 } from "../../static/js/bytes.js";
import { alivePayload, chatPayload, checkPayload, readPayload } from "../../static/js/payloads.js";

test("chat, check and signs of life are what they were", () => {
  assert.deepEqual(readPayload(alivePayload()), { kind: "alive" });
  assert.deepEqual(readPayload(chatPayload("Grüße 👋")), { kind: "chat", text: "Grüße 👋" });
  assert.deepEqual(readPayload(checkPayload(Uint8Array.of(1, 2, 3))), { kind: "check", message: Uint8Array.of(1, 2, 3) });
});

test("anything else is nothing", () => {
  for (const bytes of [[], [0], [1], [3, 65], [1, 0xff, 0xfe], [1, 0xc3]]) assert.equal(readPayload(Uint8Array.from(bytes)), null);
  assert.equal(readPayload(joined(Uint8Array.of(1), utf8("x".repeat(6_001)))), null);
  assert.equal(chatPayload(""), null);
  assert.equal(chatPayload("ü".repeat(3_001)), null);
  assert.notEqual(chatPayload("漢".repeat(2_000)), null);
});
