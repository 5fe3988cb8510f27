// SFrame as RFC 9605 has it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as sframe from "../../static/js/sframe.js";
import { check } from "../vectors/sframe.mjs";

const VECTORS = JSON.parse(readFileSync(new URL("../vectors/sframe.json", import.meta.url), "utf8"));

test("the official vectors of cipher suite 5 hold", async () => {
  assert.deepEqual(await check(sframe, VECTORS), { faults: [], headers: 196, refused: 93, frames: 1 });
});

test("context, sender and epoch come back from a key id", () => {
  for (const context of [0, 1, 2, 3]) {
    for (const index of [0, 7, 15]) {
      for (const epoch of [0, 15, 16, 1_000_003]) {
        assert.deepEqual(sframe.partsOf(sframe.kidOf(context, index, epoch)), { context, index, slot: epoch % 16 });
      }
    }
  }
});

test("no bytes make the header reader fail", () => {
  assert.equal(sframe.decodeHeader(new Uint8Array()), null);
  for (let first = 0; first < 256; first += 1) {
    for (let length = 1; length < 20; length += 1) {
      const bytes = new Uint8Array(length).fill(0xff);
      bytes[0] = first;
      const header = sframe.decodeHeader(bytes);
      if (header !== null) assert.ok(header.length <= length && Number.isSafeInteger(header.kid) && Number.isSafeInteger(header.ctr));
    }
  }
});
