// The therapist's page: what follows from a roster, and what is asked before it is done.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  START,
  actionsFor,
  advance,
  announcement,
  banner,
  inTheRoom,
  pendingKey,
  shouldEnter,
  someoneCame,
  summary,
  titleOf,
  waiting,
  word,
} from "../../static/js/host-state.js";
import { NO_CHECK, NO_KEYS } from "../../static/js/encryption-state.js";

const seat = (letter, state, more = {}) => ({
  seat: letter,
  label: `Partner ${letter}`,
  role: "patient",
  slot: 0,
  state,
  since: 0,
  presence: "connected",
  "presence-since": 0,
  "in-room": state === "admitted",
  muted: false,
  quality: "good",
  path: "udp",
  receives: "all",
  sends: "all",
  camera: true,
  screen: false,
  agreed: true,
  knocks: 1,
  "new-device": false,
  suite: null,
  ...more,
});
const roster = (a, b, more = {}) => ({
  type: "roster",
  me: "T",
  entered: true,
  "media-here": true,
  open: true,
  "clinician-present": true,
  "store-ok": true,
  starts: 0,
  ends: 1,
  kind: "couple",
  seats: [
    typeof a === "string" ? seat("A", a) : a,
    typeof b === "string" ? seat("B", b) : b,
    seat("T", "admitted", { role: "host", label: "Therapist", slot: null }),
  ],
  ...more,
});
const shown = (...events) => events.reduce((state, event) => advance(state, event), START);

test("each state offers its own actions and no others", () => {
  assert.deepEqual(actionsFor(seat("A", "waiting")), ["admit", "ask-to-wait", "deny"]);
  assert.deepEqual(actionsFor(seat("A", "asked-to-wait")), ["admit", "deny"]);
  assert.deepEqual(actionsFor(seat("A", "admitted")), ["hold", "mute", "move-back", "remove"]);
  assert.deepEqual(actionsFor(seat("A", "admitted", { muted: true })), ["hold", "unmute", "move-back", "remove"]);
  assert.deepEqual(actionsFor(seat("A", "held")), ["resume", "move-back", "remove"]);
  assert.deepEqual(actionsFor(seat("A", "removed")), ["readmit"]);
  assert.deepEqual(actionsFor(seat("T", "admitted", { role: "host" })), []);
  assert.deepEqual(actionsFor(seat("A", "a state of a later server")), []);
});

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

test("a chime for whoever comes, not for whoever was moved back", () => {
  const none = roster("expected", "expected");
  assert.equal(someoneCame(none, roster("waiting", "expected")), true);
  assert.equal(someoneCame(roster("waiting", "expected"), roster("waiting", "waiting")), true);
  assert.equal(someoneCame(roster("waiting", "waiting"), roster("waiting", "asked-to-wait")), false);
  assert.equal(someoneCame(roster("asked-to-wait", "expected"), roster("waiting", "expected")), false);
  assert.equal(someoneCame(roster("admitted", "expected"), roster("waiting", "expected")), false);
  assert.equal(someoneCame(null, roster("waiting", "expected")), true);
});

test("the title counts who waits and never says who", () => {
  assert.equal(titleOf(shown(roster("waiting", "waiting"))), "(2) Waiting – Quietroom");
  assert.equal(titleOf(shown(roster("admitted", "held"))), "In the room – Quietroom");
});

test("a question about somebody who has left meanwhile closes by itself", () => {
  const asked = shown(roster("waiting", "waiting"), { type: "question", question: { action: "deny", seat: "A" } });
  assert.deepEqual(advance(asked, roster("waiting", "expected")).question, { action: "deny", seat: "A" });
  assert.equal(advance(asked, roster("left", "waiting")).question, null);
});

test("the question whether to end stays whatever seats do", () => {
  const asked = shown(roster("admitted", "admitted"), { type: "question", question: { action: "end", seat: null } });
  assert.equal(advance(asked, roster("left", "left")).question.action, "end");
});

test("a request on its way rests its button until it is answered", () => {
  const key = pendingKey("admit", ["B", "A"]);
  assert.equal(key, pendingKey("admit", ["A", "B"]));
  const asked = shown({ type: "asked", key });
  assert.deepEqual(asked.pending, [key]);
  const answered = advance(asked, { type: "answered", key, problem: "The room is full." });
  assert.deepEqual([answered.pending, answered.problem], [[], "The room is full."]);
});

test("the page knows whether the room is open, and where", () => {
  assert.equal(word(START), "loading");
  assert.equal(word(shown(roster("waiting", "waiting", { entered: false, "media-here": false }))), "outside");
  assert.equal(word(shown(roster("waiting", "waiting"))), "room");
  assert.equal(word(shown(roster("waiting", "waiting", { "media-here": false }))), "elsewhere");
  assert.equal(word(shown(roster("ended", "ended", { open: false }))), "over");
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

test("who waits includes whoever was asked to", () => {
  assert.deepEqual(waiting(roster("waiting", "asked-to-wait")).map(({ seat: letter }) => letter), ["A", "B"]);
});

test("a page that had the room open comes back to it by itself", () => {
  const outside = roster("held", "held", { entered: false, "media-here": false });
  const open = { type: "line", line: "open" };
  const inside = shown(open, roster("waiting", "waiting", { entered: false, "media-here": false }), { type: "opening" }, {
    type: "opened",
    code: null,
    problem: null,
  });
  assert.equal(shouldEnter(inside), false, "what the page knows is older than its own coming in");
  const back = advance(inside, outside);
  assert.equal(word(back), "room", "and is not asked to open it again");
  assert.equal(shouldEnter(back), true);
  assert.equal(shouldEnter(advance(back, { type: "opening" })), false);
  assert.equal(shouldEnter(advance(back, { type: "line", line: "lost" })), false);
  assert.equal(shouldEnter(advance(back, roster("held", "held"))), false);
});

test("a page does not fight another window, a refusal or a leave", () => {
  const inside = shown({ type: "line", line: "open" }, roster("waiting", "waiting"), { type: "opened", code: null, problem: null });
  assert.equal(advance(inside, roster("waiting", "waiting", { "media-here": false })).inside, false);
  assert.equal(advance(inside, { type: "opened", code: "full", problem: "…" }).inside, false);
  assert.equal(advance(inside, { type: "opened", code: "connection-lost", problem: null }).inside, true);
  assert.equal(advance(inside, { type: "over", code: "left", text: null }).inside, false);
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

const SEALED = { encryption: "end-to-end" };
const keys = (more = {}) => ({
  type: "keys",
  keys: { ...NO_KEYS, phase: "secured", committer: true, members: [{ seat: "T", name: "Therapist" }], ...more },
});

test("without the secret of the links the page asks for it, and does not come into the room by itself", () => {
  const reloaded = { ...START, inside: true, line: "open" };
  const asks = advance(reloaded, roster("waiting", "expected", { ...SEALED, entered: false }));
  assert.equal(word(asks), "room-code");
  assert.equal(shouldEnter(asks), false);
  const given = advance(asks, { type: "secret-given" });
  assert.equal(word(given), "room");
  assert.equal(shouldEnter(given), true);
});

test("a page with the secret refuses a session said to be less", () => {
  const told = shown({ type: "secret-given" }, roster("waiting", "expected", { encryption: "transport-only" }));
  assert.equal(word(told), "over");
  assert.equal(told.over.code, "downgraded");
});

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

test("what left unsealed ends the visit on this page", () => {
  const after = advance(shown(roster("admitted", "admitted"), keys()), { type: "sent-clear" });
  assert.equal(after.over.code, "clear");
  assert.equal(after.inside, false);
});

test("in the room is who has a tile and a card that says so; nobody while no clinician hears", () => {
  assert.deepEqual(inTheRoom(roster("admitted", "held")), ["A"]);
  assert.deepEqual(inTheRoom(roster("admitted", seat("B", "held", { "in-room": true }))), ["A"]);
  assert.deepEqual(inTheRoom(roster("admitted", seat("B", "admitted", { slot: null }))), ["A"]);
  assert.deepEqual(inTheRoom(roster("admitted", seat("B", "admitted", { "in-room": false }))), ["A"]);
  assert.equal(inTheRoom(roster("admitted", "admitted", { "clinician-present": false })), null);
  assert.equal(inTheRoom(null), null);
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
