// The link secret: drawn, typed, and made into the same keys as on the server's side.

import "./webcrypto.mjs";

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { authenticatorHash, authenticatorText, drawLinkSecret, linkKeys, readLinkSecret, secretIn } from "../../static/js/link-secret.js";

const VECTOR = JSON.parse(readFileSync(new URL("../vectors/link-secret.json", import.meta.url), "utf8"));

/** @param {Uint8Array} bytes */
const hex = (bytes) => Buffer.from(bytes).toString("hex");

test("the keys of a link secret are those of the shared vector", async () => {
  const keys = await linkKeys(VECTOR.secret);
  assert.equal(hex(keys.authenticator), VECTOR.authenticator);
  assert.equal(hex(keys.psk), VECTOR.psk);
  assert.equal(hex(keys.kpKey), VECTOR["key-package-tag-key"]);
  assert.equal(authenticatorText(keys), VECTOR["authenticator-text"]);
  assert.equal(await authenticatorHash(keys), VECTOR["authenticator-hash"]);
});

test("a drawn secret is 26 characters that nobody mistakes, and never the same", () => {
  const drawn = new Set(Array.from({ length: 500 }, drawLinkSecret));
  assert.equal(drawn.size, 500);
  for (const secret of drawn) {
    assert.match(secret, /^[89A-HJKMNP-TV-Z][0-9A-HJKMNP-TV-Z]{25}$/, "as no meeting ID begins");
    assert.equal(readLinkSecret(secret), secret);
  }
  assert.equal(new Set([...drawn].join("")).size, 32, "every character occurs");
});

test("a secret is read as people type it", () => {
  assert.equal(readLinkSecret(VECTOR.typed), VECTOR.secret);
  assert.equal(readLinkSecret("oil0".repeat(6) + "zz"), "0110".repeat(6) + "ZZ");
});

test("anything else is no secret", () => {
  for (const text of ["", "7XKM", `${VECTOR.secret}A`, VECTOR.secret.slice(1), `U${VECTOR.secret.slice(1)}`, "-".repeat(5000), `ß${VECTOR.secret.slice(1)}`]) {
    assert.equal(readLinkSecret(text), null, text.slice(0, 40));
  }
});

test("the secret is found in a whole link, in what follows its #, and alone", () => {
  const secret = "0123456789ABCDEFGHJKMNPQRS";
  const token = "A-ABCD-EFGH-JKMN-PQRS";
  for (const text of [
    secret,
    ` ${secret.toLowerCase()} `,
    `#${token}.${secret}`,
    `https://visit.example.org/j/k7f3q2#${token}.${secret}.ABCDE-FGHJK`,
    `https://visit.example.org/host/k7f3q2#${secret}`,
  ]) {
    assert.equal(secretIn(text), secret);
  }
  for (const text of ["", token, `https://visit.example.org/j/k7f3q2#${token}`, "x".repeat(100_000)]) {
    assert.equal(secretIn(text), null);
  }
});
