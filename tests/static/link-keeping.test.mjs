// Whole links for a booking, and the secrets that the booking device keeps.

import "./webcrypto.mjs";

import assert from "node:assert/strict";
import { test } from "node:test";

import { readFragment } from "../../static/js/credentials.js";
import { forgetOld, forgetSecret, inGroups, keepSecret, keptSecret, withSecret } from "../../static/js/link-keeping.js";
import { readLinkSecret, secretIn } from "../../static/js/link-secret.js";

const SECRET = "7XKM29DTQ4ZB0HJ8VWN5CRY3FA";
const BOOKED = {
  meeting: "abc",
  password: "AAAAA-BBBBB",
  kind: "individual",
  starts: "2026-11-22T10:00:00Z",
  ends: "2026-11-22T11:00:00Z",
  seats: [
    { seat: "P", label: "Patient", "seat-token": "P-AAAA-BBBB-CCCC-DDDD", link: "https://x/j/abc#P-AAAA-BBBB-CCCC-DDDD" },
  ],
  "host-link": "https://x/host/abc",
  encryption: "end-to-end",
};

/** A shelf as the browser has it. */
class Shelf extends Map {
  getItem = (key) => this.get(key) ?? null;
  setItem = (key, value) => void this.set(key, value);
  removeItem = (key) => void this.delete(key);
  key = (index) => [...this.keys()][index] ?? null;
  get length() {
    return this.size;
  }
}

test("the secret stands between seat token and password, and alone in the host's link", () => {
  const whole = withSecret(BOOKED, SECRET);
  assert.equal(whole.seats[0].link, `https://x/j/abc#P-AAAA-BBBB-CCCC-DDDD.${SECRET}`);
  assert.equal(whole["host-link"], `https://x/host/abc#${SECRET}`);
  const seat = { ...BOOKED.seats[0], link: `${BOOKED.seats[0].link}.AAAAA-BBBBB` };
  const open = withSecret({ ...BOOKED, seats: [seat] }, SECRET).seats[0].link;
  assert.equal(open, `https://x/j/abc#P-AAAA-BBBB-CCCC-DDDD.${SECRET}.AAAAA-BBBBB`);
});

test("a page finds in a whole link what was put into it", () => {
  const link = withSecret(BOOKED, SECRET).seats[0].link;
  assert.equal(secretIn(link), SECRET);
  assert.equal(readFragment(new URL(link).hash)?.token, "P-AAAA-BBBB-CCCC-DDDD");
});

test("a secret in groups is the same secret", () => {
  assert.equal(inGroups(SECRET), "7XKM2-9DTQ4-ZB0HJ-8VWN5-CRY3F-A");
  assert.equal(readLinkSecret(inGroups(SECRET)), SECRET);
});

test("a secret is kept for its session until that has ended", () => {
  const shelf = new Shelf();
  keepSecret(shelf, BOOKED, SECRET);
  assert.equal(keptSecret(shelf, "abc"), SECRET);
  assert.equal(keptSecret(shelf, "other"), null);
  forgetSecret(shelf, "abc");
  assert.equal(keptSecret(shelf, "abc"), null);
});

test("old and damaged secrets go; what is not ours stays", () => {
  const shelf = new Shelf([
    ["quietroom.link.damaged", "nonsense"],
    ["quietroom.other", "theirs"],
  ]);
  keepSecret(shelf, BOOKED, SECRET);
  keepSecret(shelf, { meeting: "later", ends: "2026-11-25T11:00:00Z" }, SECRET);
  forgetOld(shelf, Date.parse("2026-11-23T10:59:00Z"));
  assert.deepEqual([...shelf.keys()], ["quietroom.other", "quietroom.link.abc", "quietroom.link.later"]);
  forgetOld(shelf, Date.parse("2026-11-23T11:01:00Z"));
  assert.deepEqual([...shelf.keys()], ["quietroom.other", "quietroom.link.later"]);
});
