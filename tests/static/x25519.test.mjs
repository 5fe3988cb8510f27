// X25519 in the form in which X-Wing asks for it: as what it replaces. Between browsers: tests/e2e/test_firefox.py.

import "./webcrypto.mjs";

import assert from "node:assert/strict";
import { test } from "node:test";

import * as replaced from "@hpke/dhkem-x25519";

import * as ours from "../../static/vendor/x25519.mjs";

const BASE = new Uint8Array(32).fill(9, 0, 1);
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const drawn = () => crypto.getRandomValues(new Uint8Array(32));
const native = new ours.X25519();
const plain = new replaced.X25519(new replaced.HkdfSha256());

test("it says what the package says that it replaces, for any bytes", async () => {
  for (let round = 0; round < 20; round += 1) {
    const [mine, theirs] = [drawn(), drawn()];
    for (const coordinate of [theirs, BASE, new Uint8Array(32).fill(255)]) {
      assert.deepEqual(await native.derive(mine, coordinate), await plain.derive(mine, coordinate));
    }
  }
});

test("the first two examples of RFC 7748 §5.2 come out", async () => {
  for (const [scalar, coordinate, outcome] of [
    [
      "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
      "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ],
    [
      "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
      "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
      "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ],
  ]) {
    assert.equal(Buffer.from(await native.derive(bytes(scalar), bytes(coordinate))).toString("hex"), outcome);
  }
});

test("a public key that leads to nothing but zeroes is refused, as before", async () => {
  for (const worthless of [new Uint8Array(32), new Uint8Array(32).fill(1, 0, 1)]) {
    await assert.rejects(native.derive(drawn(), worthless));
    await assert.rejects(async () => plain.derive(drawn(), worthless));
  }
  await assert.rejects(native.derive(drawn(), drawn().subarray(1)));
  await assert.rejects(native.derive(drawn().subarray(1), drawn()));
});

test("it keeps and changes nothing that it was given", async () => {
  const [mine, theirs] = [drawn(), drawn()];
  const before = [mine.slice(), theirs.slice()];
  await native.derive(mine, theirs);
  assert.deepEqual([mine, theirs], before);
});
