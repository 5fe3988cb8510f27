// Bytes joined, compared, and written for the wire.

import assert from "node:assert/strict";
import { test } from "node:test";

import { equalBytes, fromBase64url, joined, toBase64url, utf8 } from "../../static/js/bytes.js";

test("bytes survive the wire, whatever they are", () => {
  for (let length = 0; length < 70; length++) {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 37 + length * 11) % 256);
    const text = toBase64url(bytes);
    assert.equal(text, Buffer.from(bytes).toString("base64url"));
    assert.deepEqual(fromBase64url(text, length), bytes);
  }
});

test("what is not base64url, or is too long, is nothing", () => {
  for (const text of ["=", "AA==", "A", "AAAAA", "A+", "A/", "A A", "ü", null, undefined, 7, {}, ["AA"]]) {
    assert.equal(fromBase64url(text, 100), null, String(text));
  }
  assert.equal(fromBase64url("AAAA", 2), null);
  assert.equal(fromBase64url("A".repeat(1_000_000), 100), null);
});

test("parts are joined in order and compared whole", () => {
  assert.deepEqual(joined(utf8("a"), new Uint8Array(), utf8("ü")), utf8("aü"));
  assert.equal(equalBytes(utf8("ab"), utf8("ab")), true);
  assert.equal(equalBytes(utf8("ab"), utf8("ac")), false);
  assert.equal(equalBytes(utf8("ab"), utf8("abc")), false);
});
