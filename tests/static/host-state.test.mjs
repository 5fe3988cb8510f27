// The therapist's page: what follows from a roster, and what is asked before it is done.

import assert from "node:assert/strict";
import { test } from "node:test";

import { START, actionsFor, advance, inTheRoom, pendingKey, shouldEnter, someoneCame, waiting, word } from "../../static/js/host-state.js";
import { seat, roster, shown, SEALED, keys } from "./host-kit.mjs";

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

test("a chime for whoever comes, not for whoever was moved back", () => {
  const none = roster("expected", "expected");
  assert.equal(someoneCame(none, roster("waiting", "expected")), true);
  assert.equal(someoneCame(roster("waiting", "expected"), roster("waiting", "waiting")), true);
  assert.equal(someoneCame(roster("waiting", "waiting"), roster("waiting", "asked-to-wait")), false);
  assert.equal(someoneCame(roster("asked-to-wait", "expected"), roster("waiting", "expected")), false);
  assert.equal(someoneCame(roster("admitted", "expected"), roster("waiting", "expected")), false);
  assert.equal(someoneCame(null, roster("waiting", "expected")), true);
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

test("a page whose media died with its connection comes in again, though the server still takes it for alive", () => {
  const here = roster("waiting", "waiting");
  const dead = roster("held", "held", { "media-here": false });
  const lines = (...names) => names.map((line) => ({ type: "line", line }));
  const inside = shown(...lines("connecting", "open"), here, { type: "opened", code: null, problem: null }, here);
  assert.equal(inside.inside, true);
  const back = [...lines("lost", "open"), dead].reduce(advance, inside);
  assert.deepEqual([word(back), shouldEnter(back)], ["room", true]);
  const asking = [{ type: "opening" }, dead].reduce(advance, back);
  assert.deepEqual([word(asking), shouldEnter(asking)], ["room", false]);
  const again = [{ type: "opened", code: null, problem: null }, here].reduce(advance, asking);
  assert.deepEqual([again.inside, shouldEnter(again)], [true, false]);
  const kept = [...lines("lost", "open"), here].reduce(advance, inside);
  assert.equal(shouldEnter(kept), false);
  assert.equal(advance(kept, dead).inside, false, "later it is another window that has it");
  const moved = [...lines("moving", "open"), dead].reduce(advance, inside);
  assert.equal(moved.inside, false);
});

test("a page does not fight another window, a refusal or a leave", () => {
  const inside = shown({ type: "line", line: "open" }, roster("waiting", "waiting"), { type: "opened", code: null, problem: null });
  assert.equal(advance(inside, roster("waiting", "waiting", { "media-here": false })).inside, false);
  assert.equal(advance(inside, { type: "opened", code: "full", problem: "…" }).inside, false);
  assert.equal(advance(inside, { type: "opened", code: "connection-lost", problem: null }).inside, true);
  assert.equal(advance(inside, { type: "over", code: "left", text: null }).inside, false);
});

// ---- end-to-end encryption -------------------------------------------------------------------------------

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
