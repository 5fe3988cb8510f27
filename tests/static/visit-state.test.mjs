// A patient's visit, told as a story: what happened, then what the page shows.

import assert from "node:assert/strict";
import { test } from "node:test";

import { NO_KEYS } from "../../static/js/encryption-state.js";
import { advance, conversation, looksForMedia, needsDevices, scene, shouldKnock, word } from "../../static/js/visit-state.js";
import { announcement } from "../../static/js/visit-words.js";
import { AGREED, NEW, place, after, entered, CHECKED, OPEN, LOST, TRANSPORT, UNREACHED } from "./visit-kit.mjs";

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

test("the server's clock is learnt from welcome", () => {
  assert.equal(after({ type: "welcome", seat: "A", role: "patient", now: 5_000, at: 3_000 }).skew, 2_000);
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

test("a way for media is looked for while a place is held, the server is there and the transport is not", () => {
  const offered = after(entered(), CHECKED, OPEN, place("waiting"), TRANSPORT("connecting"));
  assert.equal(looksForMedia(offered), true);
  assert.equal(looksForMedia(advance(offered, TRANSPORT("broken"))), true);
  const others = [TRANSPORT("connected"), TRANSPORT("none"), LOST, place("denied"), place("asking-device"), place("ended")];
  for (const event of others) assert.equal(looksForMedia(advance(offered, event)), false, JSON.stringify(event));
  const none = advance(offered, UNREACHED);
  assert.equal(none.unreached, true);
  for (const event of others) assert.equal(advance(none, event).unreached, false, JSON.stringify(event));
  assert.equal(advance(advance(none, TRANSPORT("connected")), UNREACHED).unreached, false, "the timer came too late");
});
