// A patient's visit, told as a story: what happened, then what the page shows.

import assert from "node:assert/strict";
import { test } from "node:test";

import { NO_KEYS } from "../../static/js/encryption-state.js";
import {
  START,
  advance,
  announcement,
  banner,
  conversation,
  needsDevices,
  scene,
  shouldKnock,
  word,
} from "../../static/js/visit-state.js";

const AGREED = { meeting: "m", seat: "A", label: "Partner A", kind: "couple", agreed: true, state: "expected" };
const NEW = { ...AGREED, agreed: false };

const place = (state, more = {}) => ({
  type: "place",
  seat: "A",
  label: "Partner A",
  state,
  since: 1_000,
  reason: null,
  muted: false,
  receives: "all",
  sends: "all",
  agreed: true,
  others: [],
  "device-asks": 0,
  "store-ok": true,
  ends: 9_000,
  ...more,
});
const other = (seat, presence = "connected") => ({ seat, label: `Partner ${seat}`, slot: 0, presence, muted: false, sends: "all", camera: true, screen: false });
const after = (...events) => events.reduce((state, event) => advance(state, event), START);
const entered = (seat = AGREED) => ({ type: "entered", entered: seat });
const CHECKED = { type: "checked" };
const OPEN = { type: "line", line: "open" };
const LOST = { type: "line", line: "lost" };

test("a newcomer checks the devices, agrees, knocks and waits", () => {
  let state = after({ type: "opened", meeting: "m", tokenGiven: true, passwordGiven: false }, { type: "credentials-needed" });
  assert.equal(word(state), "credentials");
  state = advance(state, entered(NEW));
  assert.equal(word(state), "check");
  state = advance(state, CHECKED);
  assert.equal(word(state), "agreement");
  state = advance(state, { type: "agreed" });
  assert.equal(word(state), "knocking");
  state = advance(state, OPEN);
  assert.equal(shouldKnock(state), false, "not before the server has shown the place");
  state = advance(state, place("expected"));
  assert.equal(shouldKnock(state), true);
  state = advance(state, place("waiting"));
  assert.equal(word(state), "waiting");
  assert.equal(shouldKnock(state), false);
});

test("whoever agreed before knocks without being asked again", () => {
  assert.equal(word(after(entered(), CHECKED)), "knocking");
});

test("a reload comes straight back to the place", () => {
  const state = after(entered({ ...AGREED, state: "admitted" }));
  assert.equal(word(state), "resuming");
  assert.equal(needsDevices(state), false, "not before the place is known");
  assert.equal(needsDevices(advance(state, place("admitted"))), true);
});

test("a denied person who reloads sees the reason, without camera", () => {
  const state = after(entered({ ...AGREED, state: "denied" }), OPEN, place("denied", { reason: "Call first" }));
  assert.equal(word(state), "denied");
  assert.equal(needsDevices(state), false);
  const again = advance(state, CHECKED);
  assert.equal(word(again), "knocking");
  assert.equal(shouldKnock(again), true);
});

test("a refused password stays in the form with its sentence", () => {
  const state = after({ type: "credentials-needed" }, { type: "asked" }, { type: "refused", text: "Check it." });
  assert.deepEqual([state.step, state.busy, state.problem], ["credentials", false, "Check it."]);
});

test("testing again while waiting is not interrupted, being admitted is seen at once", () => {
  let state = after(entered(), CHECKED, OPEN, place("waiting"), { type: "check-again" });
  assert.equal(word(state), "check");
  state = advance(state, place("waiting", { "store-ok": false }));
  assert.equal(word(state), "check");
  assert.equal(word(advance(state, CHECKED)), "waiting", "and leads back to the place, not to another knock");
  assert.equal(word(advance(state, place("admitted"))), "admitted");
});

test("a knock waits for the store and is repeated when it is back", () => {
  let state = after(entered(), CHECKED, OPEN, place("expected", { "store-ok": false }));
  assert.equal(shouldKnock(state), false);
  state = advance(state, { type: "knock-answered", code: "audit-unavailable", text: "…" });
  assert.equal(word(state), "knocking");
  assert.equal(shouldKnock(advance(state, place("expected"))), true);
});

test("a knock that the lost connection swallowed is repeated", () => {
  const state = after(entered(), CHECKED, OPEN, place("expected"), LOST, {
    type: "knock-answered",
    code: "connection-lost",
    text: "…",
  });
  assert.equal(shouldKnock(state), false);
  assert.equal(shouldKnock(advance(state, OPEN)), true);
});

test("a new agreement leads back to reading it", () => {
  const state = after(entered(), CHECKED, OPEN, place("expected"), {
    type: "knock-answered",
    code: "agreement-needed",
    text: null,
  });
  assert.equal(word(state), "agreement");
  assert.equal(state.entered.agreed, false);
});

test("a session that is not open yet says so at the check", () => {
  const state = after(entered(), CHECKED, { type: "knock-answered", code: "not-open", text: "It opens at ten." });
  assert.deepEqual([word(state), state.problem], ["check", "It opens at ten."]);
});

for (const ending of ["removed", "ended", "left"]) {
  test(`a place that is ${ending} is over`, () => {
    const state = after(entered(), CHECKED, OPEN, place("admitted"), place(ending, { reason: "because" }));
    assert.equal(state.step, "over");
    assert.equal(word(state), ending);
  });
}

test("coming back keeps the seat and nothing else", () => {
  const state = after(entered(), CHECKED, place("admitted"), { type: "over", code: "replaced", text: null }, { type: "came-back" });
  assert.deepEqual([state.step, state.entered.seat, state.place, state.devices], ["opening", "A", null, null]);
});

test("sharing a screen ends with being held", () => {
  const state = after(entered(), CHECKED, OPEN, place("admitted"), { type: "sharing", on: true }, place("held"));
  assert.equal(state.sharing, false);
});

test("waiting and the room are two scenes, hold and pause belong to the room", () => {
  const scenes = ["waiting", "asked-to-wait", "admitted", "paused", "held"].map((state) =>
    scene(after(entered(), CHECKED, place(state))),
  );
  assert.deepEqual(scenes, ["waiting-room", "waiting-room", "room", "room", "room"]);
});

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

test("the server's clock is learnt from welcome", () => {
  assert.equal(after({ type: "welcome", seat: "A", role: "patient", now: 5_000, at: 3_000 }).skew, 2_000);
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

// ---- end-to-end encryption -------------------------------------------------------------------------------

const SEALED = { ...AGREED, encryption: "end-to-end" };
const GIVEN = { type: "secret-given" };
const keys = (more = {}) => ({ type: "keys", keys: { ...NO_KEYS, phase: "secured", ...more } });
const pair = (phase) => keys({ phase: "none", pairs: { A: { phase, members: [] } } });
const said = (group) => ({ type: "chat-said", group, name: "Therapist", text: "Hello", at: 0 });

test("without the link's secret the page asks for it before anything else, and then goes on", () => {
  const asks = after(entered(SEALED));
  assert.equal(word(asks), "room-code");
  assert.equal(needsDevices(asks), false);
  assert.equal(word(advance(asks, GIVEN)), "check");
  assert.equal(word(after(GIVEN, entered(SEALED))), "check");
  assert.equal(word(advance(after(entered({ ...SEALED, state: "admitted" })), GIVEN)), "resuming");
});

test("a page with the link's secret refuses a visit said to be less than end-to-end encrypted", () => {
  for (const encryption of ["transport-only", undefined]) {
    const stopped = after(GIVEN, entered({ ...AGREED, encryption }));
    assert.deepEqual([word(stopped), stopped.line], ["downgraded", "idle"]);
  }
  const later = after(GIVEN, entered(SEALED), CHECKED, place("waiting", { encryption: "transport-only" }));
  assert.equal(word(later), "downgraded");
});

test("frames that left unsealed, and keys that cannot be had, stop the visit here", () => {
  const inside = after(GIVEN, entered(SEALED), CHECKED, place("admitted", { encryption: "end-to-end" }));
  assert.equal(word(inside), "admitted");
  assert.equal(word(advance(inside, { type: "sent-clear" })), "clear");
  assert.equal(word(advance(inside, { type: "offered-strangely" })), "strange-offer");
  assert.equal(word(advance(inside, keys({ phase: "failed" }))), "keys-failed");
});

test("whoever waits sees no conversation until the therapist begins one, and then by itself", () => {
  const waits = after(entered(), CHECKED, OPEN, place("waiting"), keys({ phase: "none" }));
  assert.equal(conversation(waits), null);
  assert.equal(conversation(advance(waits, pair("securing"))), "A");
  const written = advance(advance(waits, pair("secured")), said("A"));
  assert.equal(written.chat.A.open, true);
  assert.deepEqual(announcement(advance(waits, pair("secured")), written), {
    assertive: false,
    text: "New message from Therapist.",
  });
  assert.equal(conversation(advance(written, keys({ phase: "none" }))), "A", "what was written can still be read");
});

test("the conversation is that of the room in the room, and the one with the therapist on hold", () => {
  const at = (state) => conversation(after(entered(), CHECKED, OPEN, place(state), pair("secured")));
  assert.deepEqual(["admitted", "paused", "held", "denied"].map(at), ["room", "room", "A", null]);
  assert.equal(conversation(after(entered(), CHECKED, OPEN, place("admitted"))), null, "without keys there is none");
});

test("nothing written is kept once the visit is over or left", () => {
  const talked = after(entered(), CHECKED, OPEN, place("admitted"), keys(), said("room"));
  assert.equal(talked.chat.room.lines.length, 1);
  for (const end of [place("ended"), place("removed"), { type: "over", code: "left", text: null }]) {
    assert.deepEqual(advance(talked, end).chat, {});
  }
});
