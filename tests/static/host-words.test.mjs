// What a therapist is told, after what happened in the visit.

import assert from "node:assert/strict";
import { test } from "node:test";

import { NO_CHECK, NO_KEYS } from "../../static/js/encryption-state.js";
import { START, advance } from "../../static/js/host-state.js";
import { announcement, banner, summary, titleOf } from "../../static/js/host-words.js";
import { NO_WAY_HOST, unreachedHint } from "../../static/js/link-words.js";
import { seat, roster, shown, SEALED, keys } from "./host-kit.mjs";

test("the couple is spoken of as one", () => {
  assert.equal(summary(roster(seat("A", "expected", { presence: "absent" }), seat("B", "expected", { presence: "absent" }))), "Nobody is here yet");
  assert.equal(summary(roster("waiting", seat("B", "expected", { presence: "absent" }))), "One is here and waits");
  assert.equal(summary(roster("waiting", seat("B", "expected"))), "One waits, one is getting ready");
  assert.equal(summary(roster("waiting", "asked-to-wait")), "Both are waiting");
  assert.equal(summary(roster("admitted", "waiting")), "One is in the room, one waits");
  assert.equal(summary(roster("admitted", "admitted")), "Both are in the room");
  assert.equal(summary(roster("admitted", "held")), "One is in the room, one is on hold");
  assert.equal(summary(roster("held", "held")), "Both are on hold");
  assert.equal(summary(roster("held", "waiting")), "One is on hold, one waits");
});

test("the title counts who waits and never says who", () => {
  assert.equal(titleOf(shown(roster("waiting", "waiting"))), "(2) Waiting – Quietroom");
  assert.equal(titleOf(shown(roster("admitted", "held"))), "In the room – Quietroom");
});

test("a lost store is told as an alarm with what still works", () => {
  const down = shown(roster("waiting", "admitted", { "store-ok": false }));
  assert.equal(banner(down).tone, "alarm");
  assert.match(banner(down).text, /nobody new can be let in/);
  const well = advance(down, roster("waiting", "admitted"));
  assert.equal(announcement(down, well).text, "Patients can be admitted again.");
});

test("comings and goings are announced in one sentence", () => {
  const before = shown(roster("expected", "expected"));
  const after = advance(before, roster("waiting", "waiting"));
  assert.deepEqual(announcement(before, after), {
    assertive: false,
    text: "Partner A is waiting. Partner B is waiting.",
  });
  const away = advance(after, roster(seat("A", "waiting", { presence: "away" }), "waiting"));
  assert.equal(announcement(after, away).text, "Partner A is away.");
  assert.equal(announcement(away, advance(away, { type: "line", line: "open" })), null);
});

const me = (more) => seat("T", "admitted", { role: "host", label: "Therapist", slot: null, ...more });
const withMe = (more, a = "admitted") => ({ ...roster(a, "admitted"), seats: [typeof a === "string" ? seat("A", a) : a, me(more)] });

test("one's own weak link is told in the room, and where one's media is elsewhere it is not", () => {
  const before = shown(withMe({}));
  const weak = advance(before, withMe({ receives: "sound" }));
  assert.match(banner(weak)?.text ?? "", /Your connection is weak\./);
  assert.deepEqual(announcement(before, weak), { assertive: false, text: banner(weak)?.text });
  const well = advance(weak, withMe({}));
  assert.deepEqual([banner(well), announcement(weak, well)?.text], [null, "The picture comes back."]);
  assert.equal(banner(shown({ ...withMe({ receives: "sound" }), "media-here": false })), null);
});

test("a patient's paused camera is announced with its reason", () => {
  const before = shown(withMe({}));
  const paused = advance(before, withMe({}, seat("A", "admitted", { sends: "sound" })));
  assert.equal(announcement(before, paused)?.text, "The picture of Partner A is paused: their connection is weak.");
  assert.equal(announcement(paused, before)?.text, "The picture of Partner A comes back.");
  const quality = advance(before, withMe({}, seat("A", "admitted", { quality: "weak" })));
  assert.equal(announcement(before, quality), null, "a word that changed is there to be read, not to interrupt");
});

test("a camera that is off is not called paused, and a shared screen is announced", () => {
  const off = shown(withMe({}, seat("A", "admitted", { camera: false })));
  assert.equal(announcement(off, advance(off, withMe({}, seat("A", "admitted", { camera: false, sends: "sound" })))), null);
  const shared = advance(off, withMe({}, seat("A", "admitted", { screen: true })));
  assert.equal(announcement(off, shared)?.text, "Partner A shares a screen.");
  assert.equal(announcement(shared, off)?.text, "Partner A no longer shares a screen.");
});

// ---- end-to-end encryption -------------------------------------------------------------------------------

test("somebody whose link does not match is told at once", () => {
  const before = shown({ type: "secret-given" }, roster("admitted", "waiting", SEALED), keys());
  const after = advance(before, keys({ refused: [{ seat: "A", code: "tag" }] }));
  assert.deepEqual(announcement(before, after), {
    assertive: true,
    text: "Partner A: This person’s link does not match.",
  });
});

test("pictures that differ stand above everything but a lost line", () => {
  const differ = shown({ type: "secret-given" }, roster("admitted", "admitted", SEALED), keys({ check: { ...NO_CHECK, phase: "mismatch" } }));
  assert.match(banner(differ).text, /^Your pictures differ/);
  assert.match(banner(advance(differ, { type: "line", line: "lost" })).text, /^The connection to the server was lost/);
});

test("messages are told and counted, and gone when the visit is over", () => {
  const before = shown(roster("admitted", "admitted"), keys());
  const after = advance(before, { type: "chat-said", group: "room", name: "Partner A", text: "Hi", at: 0 });
  assert.deepEqual(announcement(before, after), { assertive: false, text: "New message from Partner A." });
  assert.equal(titleOf(after), "New message – Quietroom");
  assert.deepEqual(advance(after, { type: "over", code: "left", text: null }).chat, {});
  assert.deepEqual(advance(after, roster("ended", "ended", { open: false })).chat, {});
});

test("a member whom the server does not show is an alarm", () => {
  const keys = { ...NO_KEYS, phase: "secured", members: [{ seat: "B", name: "Partner B" }], unseen: ["B"] };
  const state = { ...START, roster: roster("admitted", "held"), keys };
  assert.equal(banner(state).tone, "alarm");
  assert.match(banner(state).text, /^Partner B can hear and see .* Say nothing private/);
});

test("the therapist hears once that somebody's page has come back with new keys", () => {
  const group = (key) => ({ ...NO_KEYS, phase: "secured", generation: "1", index: 0, members: [{ seat: "A", name: "Partner A", index: 1, key }] });
  const before = advance({ ...START, roster: roster("admitted", "held") }, { type: "keys", keys: group("a") });
  const after = advance(before, { type: "keys", keys: group("b") });
  assert.deepEqual(announcement(before, after), { assertive: false, text: "Partner A’s page has come back with new keys." });
  assert.equal(announcement(after, advance(after, { type: "keys", keys: group("b") })), null);
});

test("a seat for whose sound and picture no way is found is told of once, and when one is", () => {
  const before = shown(roster("waiting", "waiting"));
  const none = advance(before, roster(seat("A", "waiting", { unreached: true }), "waiting"));
  assert.deepEqual(announcement(before, none), { assertive: false, text: "Partner A: no sound or picture yet." });
  assert.equal(announcement(none, advance(none, roster(seat("A", "waiting", { unreached: true }), "waiting"))), null);
  const found = advance(none, roster(seat("A", "waiting", { suite: "s" }), "waiting"));
  assert.equal(announcement(none, found)?.text, "Partner A: sound and picture get through now.");
  const gone = advance(none, roster(seat("A", "waiting", { presence: "away" }), "waiting"));
  assert.equal(announcement(none, gone)?.text, "Partner A is away.", "no way was found by going away");
  assert.match(unreachedHint(seat("A", "waiting")), /try another one\. Admitting will not help yet/);
  for (const inside of ["admitted", "held"]) assert.doesNotMatch(unreachedHint(seat("A", inside)), /Admitting/);
  assert.equal(unreachedHint(seat("A", "admitted", { program: true })), "Nothing of the program gets through so far.");
});

test("a therapist without a way is told what to do, without being interrupted, and only where the media is", () => {
  const state = [{ type: "line", line: "open" }, roster("waiting", "waiting"), { type: "transport", transport: "broken" }];
  const broken = shown(...state);
  const none = advance(broken, { type: "unreached" });
  assert.deepEqual(banner(none), { tone: "alarm", text: NO_WAY_HOST });
  assert.deepEqual(announcement(broken, none), { assertive: false, text: NO_WAY_HOST });
  const found = advance(none, { type: "transport", transport: "connected" });
  assert.deepEqual([banner(found), announcement(none, found)?.text], [null, "Sound and picture get through now."]);
  assert.equal(advance(none, roster("waiting", "waiting", { "media-here": false, entered: true })).unreached, false);
});
