// What people are told of the encryption: never more than their own page's keys say.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  NO_CHECK,
  NO_KEYS,
  checkLost,
  checkWaits,
  comeAnew,
  encryptionBanner,
  encryptionNews,
  groupOf,
  mustStop,
  nameOf,
  needsSecret,
  promised,
  protection,
  refusal,
  stopOf,
  unopened,
  withKeys,
} from "../../static/js/encryption-state.js";

const A = { seat: "A", name: "Partner A", index: 1 };
const keys = (phase, more = {}) => ({ ...NO_KEYS, phase, members: phase === "secured" ? [A] : [], ...more });
const checked = (phase, more = {}) => keys("secured", { check: { ...NO_CHECK, phase, ...more } });
const VERIFIED = checked("idle", { verified: true, kept: true });

test("the server's word alone never makes a page say end-to-end encrypted", () => {
  for (const said of [null, "end-to-end", "transport-only"]) {
    for (const phase of ["off", "none", "securing", "failed"]) {
      assert.doesNotMatch(protection(said, keys(phase), false).text, /^End-to-end/);
    }
  }
  assert.match(protection("end-to-end", keys("secured"), false).text, /^End-to-end encrypted/);
});

test("a session that is not end-to-end encrypted says so plainly", () => {
  const { mark, text } = protection("transport-only", NO_KEYS, false);
  assert.equal(mark, "open");
  assert.match(text, /^Not end-to-end encrypted\./);
});

test("an older server's sessions look as before", () => {
  assert.equal(promised({ seat: "A" }), null);
  assert.equal(promised({ encryption: "anything" }), null);
  assert.match(protection(null, NO_KEYS, true).text, /between each person and the practice’s server/);
  assert.equal(unopened(NO_KEYS, { seat: "A", label: "Partner A" }), null);
});

test("a person's tile says securing until their keys are in this page's group", () => {
  const who = (seat) => ({ seat, label: `Partner ${seat}` });
  assert.equal(unopened(keys("securing"), who("A")), "Securing the conversation with Partner A …");
  assert.equal(unopened(keys("secured"), who("A")), null);
  assert.equal(unopened(keys("secured"), who("B")), "Securing the conversation with Partner B …");
  const refused = keys("secured", { refused: [{ seat: "B", code: "tag" }] });
  assert.equal(unopened(refused, who("B")), "Partner B is not let into the conversation");
  const shut = keys("secured", { unopened: ["A"] });
  assert.match(unopened(shut, who("A")), /^Securing the conversation with Partner A … If this lasts, Partner A should reload/);
});

test("once secured, names are those of people's own keys", () => {
  const who = { seat: "A", label: "as the server says" };
  assert.equal(nameOf(keys("securing", { members: [A] }), who), "as the server says");
  assert.equal(nameOf(keys("secured"), who), "Partner A");
  assert.equal(nameOf(keys("secured"), { seat: "B", label: "B" }), "B");
});

test("a page with a link secret goes on with nothing less than end-to-end", () => {
  const page = { secret: true, happened: "keys" };
  assert.equal(mustStop(null, NO_KEYS, page), null);
  assert.equal(mustStop({ encryption: "end-to-end" }, NO_KEYS, page), null);
  for (const view of [{ encryption: "transport-only" }, { encryption: "none" }, {}]) {
    assert.equal(mustStop(view, NO_KEYS, page), "downgraded");
    assert.equal(mustStop(view, NO_KEYS, { ...page, secret: false }), null);
  }
});

test("a page without the link secret asks for it where it is needed", () => {
  assert.equal(needsSecret({ encryption: "end-to-end" }, false), true);
  assert.equal(needsSecret({ encryption: "end-to-end" }, true), false);
  assert.equal(needsSecret({ encryption: "transport-only" }, false), false);
  assert.equal(needsSecret(null, false), false);
});

test("what left unsealed, and keys that cannot be had, end the visit on this page with what to do", () => {
  const page = { secret: true, happened: "keys" };
  const view = { encryption: "end-to-end" };
  assert.equal(mustStop(view, keys("secured"), { ...page, happened: "sent-clear" }), "clear");
  assert.equal(mustStop(view, keys("secured"), { ...page, happened: "offered-strangely" }), "strange-offer");
  assert.equal(mustStop(view, keys("failed"), page), "keys-failed");
  for (const code of ["clear", "strange-offer", "keys-failed", "downgraded"]) {
    const stop = stopOf(code);
    assert.ok(stop.heading);
    assert.match(stop.text.join(" "), /tell your practice|call your practice/);
  }
  assert.equal(stopOf("downgraded").reload, false);
  assert.equal(stopOf("left"), null);
});

test("whose link does not match is named on the card, with what to do", () => {
  const found = refusal(keys("secured", { refused: [{ seat: "B", code: "tag" }] }), "B");
  assert.equal(found.heading, "This person’s link does not match");
  assert.match(found.text, /call the person you expect/);
  assert.match(refusal(keys("secured", { refused: [{ seat: "B", code: "key-package" }] }), "B").text, /reload their page/);
  assert.equal(refusal(keys("secured"), "B"), null);
});

test("pictures that differ are an alarm with a way out, for both sides", () => {
  for (const [host, out] of [[true, /book a new one/], [false, /ask your practice by telephone/]]) {
    const { tone, text } = encryptionBanner(checked("mismatch"), host);
    assert.equal(tone, "alarm");
    assert.match(text, out);
    assert.match(text, /another way/);
  }
  assert.equal(encryptionBanner(VERIFIED, true), null);
  assert.equal(protection("end-to-end", checked("mismatch"), true).mark, "doubted");
});

test("members whom the server does not show are named in an alarm, with what to do", () => {
  const unseen = keys("secured", { unseen: ["A", "B"] });
  assert.match(encryptionBanner(unseen, true).text, /^Partner A and Seat B can hear and see .* being taken out.* end the visit/);
  assert.match(encryptionBanner(unseen, false).text, /tell your therapist.* leave, and call your practice/);
  assert.equal(encryptionBanner(keys("secured"), false), null);
});

test("who is in and sends nothing that anybody can open is told so, and what is seen of the others stays", () => {
  const unheard = keys("secured", { unheard: true });
  for (const host of [true, false]) {
    const { mark, text } = protection("end-to-end", unheard, host);
    assert.equal(mark, "securing");
    assert.match(text, /Nobody sees or hears you until that is done/);
  }
  assert.equal(protection("end-to-end", checked("idle", { verified: true }), false).mark, "verified");
  assert.equal(protection("end-to-end", { ...VERIFIED, unheard: true }, false).mark, "securing");
  assert.equal(unopened(unheard, { seat: "A", label: "Partner A" }), null);
  assert.match(encryptionNews(keys("secured"), unheard).text, /secured again/);
  assert.match(encryptionNews(unheard, keys("secured")).text, /end-to-end encrypted/);
  assert.equal(encryptionNews(unheard, keys("securing")), null, "that is no news");
});

test("the check's steps and its end are told to listeners, and new keys", () => {
  const comparing = checked("comparing");
  assert.match(encryptionNews(checked("exchanging"), comparing).text, /Five pictures/);
  assert.match(encryptionNews(comparing, VERIFIED).text, /nobody listens in/);
  assert.match(encryptionNews(comparing, checked("aborted")).text, /interrupted/);
  assert.match(encryptionNews(keys("securing"), keys("secured")).text, /end-to-end encrypted/);
  assert.match(encryptionNews(keys("secured"), keys("securing")).text, /secured again/);
  assert.equal(encryptionNews(keys("secured"), keys("secured")), null);
  assert.equal(protection("end-to-end", VERIFIED, true).mark, "verified");
});

test("a check that held is lost when somebody comes, and that is told once", () => {
  const held = withKeys(NO_KEYS, VERIFIED);
  const lost = withKeys(held, keys("secured"));
  assert.equal(checkLost(held), false);
  assert.equal(checkLost(lost), true);
  assert.match(encryptionNews(held, lost).text, /no longer counts/);
  assert.equal(encryptionNews(lost, withKeys(lost, keys("secured"))), null);
  assert.equal(protection("end-to-end", lost, true).mark, "sealed");
  assert.equal(checkLost(withKeys(lost, VERIFIED)), false, "checked again");
  assert.equal(checkLost(withKeys(held, keys("securing"))), false, "not while the keys are being renewed");
  assert.equal(checkLost(withKeys(held, checked("mismatch"))), false);
});

test("a check that waits for somebody is not lost, and says what it waits for only to those who are together", () => {
  const held = withKeys(NO_KEYS, VERIFIED);
  const waits = (members) => withKeys(held, { ...checked("idle", { kept: true }), members });
  const together = waits([A, { ...A, seat: "T", index: 0 }]);
  assert.deepEqual([checkLost(together), checkWaits(together)], [false, true]);
  assert.deepEqual([checkLost(waits([A])), checkWaits(waits([A]))], [false, false]);
  assert.equal(protection("end-to-end", together, true).mark, "sealed");
  assert.equal(encryptionNews(held, together), null);
  for (const other of [held, keys("secured"), withKeys(held, keys("secured"))]) assert.equal(checkWaits(other), false);
});

test("the therapist is told whose key has changed, until it is checked, in whichever generation and whoever let them in", () => {
  const group = (a, more = {}) => {
    const members = [{ seat: "T", name: "Therapist", index: 0, key: `t${a}` }, ...(a ? [{ ...A, key: a }] : [])];
    return keys("secured", { generation: "1", index: 0, members, ...more });
  };
  const first = withKeys(NO_KEYS, group("a1"));
  assert.equal(comeAnew(first), null);
  const gone = withKeys(first, group(null));
  assert.equal(comeAnew(withKeys(gone, group("a1"))), null, "the same page");
  const back = withKeys(gone, group("a2"));
  assert.equal(comeAnew(back), "Partner A’s page has come back with new keys.");
  assert.equal(comeAnew(withKeys(back, group("a2"))), comeAnew(back), "as long as it is not checked");
  assert.equal(comeAnew(withKeys(back, group("a2", { check: { ...NO_CHECK, verified: true, kept: true } }))), null);
  assert.equal(comeAnew(withKeys(back, group(null))), null, "not of somebody who is not there");
  const moved = (before, a) => withKeys(before, group(a, { generation: "2" }));
  assert.equal(comeAnew(moved(first, "a1")), null, "the same page in another generation");
  assert.equal(comeAnew(moved(first, "a2")), comeAnew(back));
  assert.equal(comeAnew(moved(moved(first, null), "a2")), comeAnew(back));
  assert.equal(comeAnew(moved(withKeys(first, keys("securing", { generation: "2" })), "a2")), comeAnew(back));
  assert.equal(comeAnew(moved(back, "a2")), comeAnew(back), "another generation is no check");
});

test("a group nobody has begun has nobody in it", () => {
  assert.deepEqual(groupOf(keys("secured"), "B"), { phase: "none", members: [] });
  assert.equal(groupOf(keys("secured"), "room").phase, "secured");
});
