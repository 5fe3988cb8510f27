// What a patient is told, after what happened in the visit.

import assert from "node:assert/strict";
import { test } from "node:test";

import { advance } from "../../static/js/visit-state.js";
import { announcement, banner } from "../../static/js/visit-words.js";
import { NO_WAY } from "../../static/js/link-words.js";
import { place, other, after, entered, CHECKED, OPEN, LOST, TRANSPORT, UNREACHED } from "./visit-kit.mjs";

test("a lost connection is told before a lost store, and as an alarm", () => {
  const waiting = after(entered(), CHECKED, OPEN, place("waiting", { "store-ok": false }));
  assert.equal(banner(waiting).tone, "calm");
  const lost = advance(waiting, LOST);
  assert.equal(banner(lost).tone, "alarm");
  assert.match(banner(lost).text, /Your place is kept/);
  assert.equal(announcement(waiting, lost).assertive, true);
  assert.equal(announcement(lost, advance(advance(lost, place("waiting")), OPEN)).text, "Connected again.");
  assert.equal(announcement(waiting, advance(waiting, place("waiting"))).text, "People can be let in again.");
});

test("pause is announced at once and says that nobody hears", () => {
  const inside = after(entered(), CHECKED, OPEN, place("admitted"));
  const said = announcement(inside, advance(inside, place("paused")));
  assert.equal(said.assertive, true);
  assert.match(said.text, /nobody hears you/i);
});

test("what others do in the room is announced, politely", () => {
  const inside = after(entered(), CHECKED, OPEN, place("admitted", { others: [other("B")] }));
  const away = advance(inside, place("admitted", { others: [other("B", "away")] }));
  assert.deepEqual(announcement(inside, away), { assertive: false, text: "Partner B is reconnecting." });
  assert.equal(announcement(away, inside).text, "Partner B is back.");
  const muted = advance(inside, place("admitted", { others: [other("B")], muted: true }));
  assert.equal(announcement(inside, muted).text, "Your therapist has muted you.");
});

test("another device's question is announced at once, in the waiting room too", () => {
  const waiting = after(entered(), CHECKED, OPEN, place("waiting"));
  const asked = advance(waiting, place("waiting", { "device-asks": 1 }));
  assert.deepEqual(announcement(waiting, asked), { assertive: true, text: "Another device asks to take your place." });
  assert.equal(announcement(asked, waiting), null);
  const again = advance(waiting, place("waiting", { "device-asks": 2 }));
  assert.equal(announcement(asked, again)?.text, "Another device asks to take your place.");
});

test("a weak link is told once, calmly, below everything that is worse, and its end too", () => {
  const room = after(entered(), CHECKED, OPEN, place("admitted", { others: [other("B")] }));
  const weak = advance(room, place("admitted", { others: [other("B")], receives: "sound" }));
  assert.equal(banner(weak)?.tone, "calm");
  assert.match(banner(weak)?.text ?? "", /The picture is paused so that you can keep talking/);
  assert.deepEqual(announcement(room, weak), { assertive: false, text: banner(weak)?.text });
  assert.equal(announcement(weak, advance(weak, place("admitted", { others: [other("B")], receives: "sound", muted: false }))), null);
  assert.match(banner(advance(weak, LOST))?.text ?? "", /connection was lost/);
  const well = advance(weak, place("admitted", { others: [other("B")] }));
  assert.equal(banner(well), null);
  assert.deepEqual(announcement(weak, well), { assertive: false, text: "The picture comes back." });
});

test("being put on hold is told as that, not as a picture that is back", () => {
  const weak = after(entered(), CHECKED, OPEN, place("admitted", { sends: "sound" }));
  assert.match(announcement(weak, advance(weak, place("held")))?.text ?? "", /on hold/);
});

test("somebody else's paused picture is announced with its reason, and its return", () => {
  const all = after(entered(), CHECKED, OPEN, place("admitted", { others: [other("B")] }));
  const paused = advance(all, place("admitted", { others: [{ ...other("B"), sends: "sound" }] }));
  assert.equal(announcement(all, paused)?.text, "The picture of Partner B is paused: their connection is weak.");
  assert.equal(announcement(paused, all)?.text, "The picture of Partner B comes back.");
});

test("a camera that is off is not called paused", () => {
  const off = { ...other("B"), camera: false };
  const all = after(entered(), CHECKED, OPEN, place("admitted", { others: [off] }));
  assert.equal(announcement(all, advance(all, place("admitted", { others: [{ ...off, sends: "sound" }] }))), null);
});

test("a screen that somebody begins and ends to share is announced", () => {
  const all = after(entered(), CHECKED, OPEN, place("admitted", { others: [other("B")] }));
  const shared = advance(all, place("admitted", { others: [{ ...other("B"), screen: true }] }));
  assert.equal(announcement(all, shared)?.text, "Partner B shares a screen.");
  assert.equal(announcement(shared, all)?.text, "Partner B no longer shares a screen.");
});

test("who waits and is reached by no sound or picture is told so, politely and with what to do, until a way is found", () => {
  const looking = after(entered(), CHECKED, OPEN, place("waiting"), TRANSPORT("connecting"));
  assert.equal(banner(looking), null);
  const none = advance(looking, UNREACHED);
  assert.deepEqual(banner(none), { tone: "calm", text: NO_WAY });
  assert.match(NO_WAY, /Try another network, such as mobile data/);
  assert.deepEqual(announcement(looking, none), { assertive: false, text: NO_WAY });
  const again = advance(none, TRANSPORT("broken"));
  assert.deepEqual([banner(again)?.text, announcement(none, again)], [NO_WAY, null], "said once, and it stands");
  const found = advance(again, TRANSPORT("connected"));
  assert.deepEqual([banner(found), announcement(again, found)], [
    null,
    { assertive: false, text: "Sound and picture get through now." },
  ]);
});

test("in the room it is said in place of connecting again, without interrupting", () => {
  const broken = after(entered(), CHECKED, OPEN, place("admitted"), TRANSPORT("connected"), TRANSPORT("broken"));
  assert.match(banner(broken)?.text ?? "", /Connecting again/);
  const none = advance(broken, UNREACHED);
  assert.deepEqual(banner(none), { tone: "alarm", text: NO_WAY });
  assert.deepEqual(announcement(broken, none), { assertive: false, text: NO_WAY });
  assert.match(banner(advance(none, LOST))?.text ?? "", /connection was lost/, "that is another matter");
});
