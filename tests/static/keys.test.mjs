// The page's side of the worker with the keys, with workers that say what the test tells them to.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Keys, NO_GROUP, isGroupTold } from "../../static/js/keys.js";
import { FakeWorker, started } from "./worker-kit.mjs";

globalThis.window = globalThis;
globalThis.RTCRtpScriptTransform = class {
  constructor(worker, options) {
    Object.assign(this, { worker, options });
  }
};

beforeEach(() => {
  started.length = 0;
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
});

const settled = () => new Promise((resolve) => setImmediate(resolve));
const SECURED = {
  ...NO_GROUP,
  phase: "secured",
  generation: "0123456789abcdef",
  epoch: 3,
  sending: 3,
  kept: { generation: "0123456789abcdef", epoch: 3 },
};

function play() {
  const seen = { sent: [], asked: [], states: 0, opened: [], missed: [] };
  const keys = new Keys({
    meeting: "meeting",
    me: { pid: "A", name: "Anne" },
    mayCommit: false,
    keys: { psk: new Uint8Array(64), kpKey: new Uint8Array(32) },
    send: (message) => seen.sent.push(message),
    ask: (message) => new Promise((answer) => seen.asked.push({ message, answer })),
    onState: () => (seen.states += 1),
    onOpened: (...opened) => seen.opened.push(opened),
    onMissed: (group) => seen.missed.push(group),
    start: () => new FakeWorker(),
  });
  return { keys, seen };
}

test("messages about groups are told from all others", () => {
  for (const type of ["group", "candidate", "drop", "accepted", "commit-refused", "commit", "group-welcome", "ready", "sealed"]) {
    assert.ok(isGroupTold({ type }));
  }
  for (const type of ["welcome", "place", "roster", "offer", "reply", "error", "bye"]) assert.ok(!isGroupTold({ type }));
});

test("the worker gets the secrets first, and what the server says about groups", () => {
  const { keys } = play();
  const message = { type: "group", group: "room", generation: "0123456789abcdef", role: "guest" };
  keys.receive(message);
  void keys.seal("room", new Uint8Array([1]));
  keys.remove(["B"]);
  keys.admit(["B"]);
  keys.keep(["B"]);
  keys.reconnected();
  assert.deepEqual(
    started[0].told.map(({ type }) => type),
    ["start", "server", "seal", "remove", "admit", "keep", "reconnected"],
  );
  assert.deepEqual(started[0].told[0].me, { pid: "A", name: "Anne" });
  assert.equal(started[0].told[1].message, message);
});

test("what the worker says reaches the server and the page", () => {
  const { keys, seen } = play();
  let came = 0;
  keys.onNewcomers = () => (came += 1);
  started[0].says({ type: "newcomers" });
  assert.equal(came, 1);
  started[0].says({ type: "send", message: { type: "ready", group: "room", generation: "0123456789abcdef", epoch: 1 } });
  assert.equal(seen.sent[0].type, "ready");
  assert.equal(keys.kept, null);
  started[0].says({ type: "state", group: "room", state: SECURED, sends: true });
  assert.equal(keys.state, SECURED);
  assert.equal(keys.sends, true);
  assert.deepEqual(keys.kept, { generation: "0123456789abcdef", epoch: 3 });
  started[0].says({ type: "state", group: "B", state: { ...SECURED, epoch: 1 }, sends: false });
  assert.equal(keys.state, SECURED, "a pair's state is not the room's");
  assert.equal(keys.sends, true);
  assert.equal(keys.pairs.B.epoch, 1);
  assert.equal(seen.states, 2);
  started[0].says({ type: "opened", group: "B", seat: "B", payload: new Uint8Array([7]), epoch: 1 });
  assert.deepEqual(seen.opened, [["B", "B", new Uint8Array([7]), 1]]);
  started[0].says({ type: "missed", group: "B" });
  assert.deepEqual(seen.missed, ["B"]);
});

test("transforms may be made once the worker is ready, and say whose frames they take", async () => {
  const { keys } = play();
  let ready = false;
  void keys.ready.then(() => (ready = true));
  await settled();
  assert.equal(ready, false);
  started[0].says({ type: "ready" });
  await settled();
  assert.equal(ready, true);
  let firsts = 0;
  const sealer = keys.sealer("1", "camera", () => (firsts += 1));
  const opener = keys.opener("4", "camera");
  assert.notEqual(sealer.id, opener.id);
  assert.deepEqual(sealer.transform.options, { id: sealer.id, seals: true, context: "camera", mid: "1" });
  assert.deepEqual(opener.transform.options, { id: opener.id, seals: false, context: "camera", mid: "4" });
  started[0].says({ type: "first", id: opener.id });
  assert.equal(firsts, 0);
  started[0].says({ type: "first", id: sealer.id });
  started[0].says({ type: "first", id: sealer.id });
  assert.equal(firsts, 1);
  keys.expect([{ seat: "B", mids: ["3", "4"] }]);
  assert.deepEqual(started[0].of("expect"), [{ type: "expect", seats: { 3: "B", 4: "B" } }]);
});

test("each question for counts gets its own answer", async () => {
  const { keys } = play();
  const answers = [];
  void keys.counts().then((counts) => answers.push(counts));
  void keys.counts().then((counts) => answers.push(counts));
  const [first, second] = started[0].of("counts");
  started[0].says({ type: "counts", asking: second.asking, counts: { 2: {} } });
  started[0].says({ type: "counts", asking: first.asking, counts: { 1: {} } });
  await settled();
  assert.deepEqual(answers, [{ 2: {} }, { 1: {} }]);
  mock.timers.tick(60_000);
  assert.equal(started.length, 1);
});

test("a worker that does not answer is replaced, and the group is asked to put the page in anew", async () => {
  const { keys, seen } = play();
  let replaced = 0;
  keys.onReplaced = () => (replaced += 1);
  keys.receive({ type: "group", group: "room", generation: "0123456789abcdef", role: "guest" });
  keys.expect([{ seat: "B", mids: ["3", "4"] }]);
  keys.inside(["B"]);
  started[0].says({ type: "state", group: "room", state: SECURED, sends: true });
  void keys.counts();
  mock.timers.tick(9_999);
  assert.equal(started.length, 1);
  mock.timers.tick(1);
  assert.equal(started.length, 2);
  assert.ok(started[0].ended);
  assert.equal(keys.sends, false);
  assert.equal(keys.kept, null);
  assert.deepEqual(seen.sent, [{ type: "resync", group: "room", generation: "0123456789abcdef" }]);
  assert.deepEqual(started[1].told.map(({ type }) => type), ["start", "expect", "inside"]);
  assert.deepEqual(started[1].of("inside"), [{ type: "inside", seats: ["B"] }]);
  assert.equal(replaced, 0, "no transform before it has loaded");
  started[1].says({ type: "ready" });
  await settled();
  assert.equal(replaced, 1);
  started[0].says({ type: "state", group: "room", state: SECURED, sends: true });
  assert.equal(keys.sends, false, "what a former worker still says is not heard");
});

test("a worker that fails leaves nothing secured", () => {
  const { keys, seen } = play();
  started[0].says({ type: "state", group: "room", state: SECURED, sends: true });
  started[0].onerror({});
  assert.equal(keys.state.phase, "failed");
  assert.equal(keys.state.failure, "no-worker");
  assert.equal(keys.sends, false);
  assert.equal(seen.states, 2);
});

test("when it is closed the worker is gone, and comes not back", () => {
  const { keys } = play();
  void keys.counts();
  keys.close();
  keys.close();
  assert.ok(started[0].ended);
  mock.timers.tick(60_000);
  keys.replace();
  assert.equal(started.length, 1);
  assert.throws(() => keys.sealer("0", "audio", () => {}));
});

test("the page hears whose frames do not open, and forgets it with the worker", () => {
  const { keys, seen } = play();
  started[0].says({ type: "unopened", seats: ["B"] });
  assert.deepEqual(keys.unopened, ["B"]);
  assert.equal(seen.states, 1);
  keys.replace();
  assert.deepEqual(keys.unopened, []);
});

test("what is to be sealed is answered for: by the server, by the worker or by its end", async () => {
  const { keys, seen } = play();
  const answers = [];
  for (const group of ["room", "B", "C", "room"]) {
    void keys.seal(group, new Uint8Array([1])).then((code) => answers.push([group, code]));
  }
  const [first, second, third] = started[0].of("seal");
  started[0].says({ type: "not-sealed", asking: second.asking });
  for (const { group, asking } of [third, first]) {
    started[0].says({ type: "send", message: { type: "sealed", group, generation: "0123456789abcdef", message: "AA", id: asking } });
  }
  assert.deepEqual(seen.asked.map(({ message }) => message), [
    { type: "sealed", group: "C", generation: "0123456789abcdef", message: "AA" },
    { type: "sealed", group: "room", generation: "0123456789abcdef", message: "AA" },
  ]);
  assert.deepEqual(seen.sent, []);
  await settled();
  assert.deepEqual(answers, [["B", "not-sealed"]], "what was handed over is not yet with anybody");
  seen.asked[0].answer({ code: "nobody-there" });
  seen.asked[1].answer({ code: null });
  keys.close();
  await settled();
  assert.deepEqual(answers.slice(1).sort(), [["C", "nobody-there"], ["room", "not-sealed"], ["room", null]].sort());
  assert.equal(await keys.seal("room", new Uint8Array([1])), "not-sealed");
});

test("what the spoken check seals is sent without a question", () => {
  const { seen } = play();
  const message = { type: "sealed", group: "room", generation: "0123456789abcdef", message: "AA" };
  started[0].says({ type: "send", message });
  assert.deepEqual([seen.sent, seen.asked], [[message], []]);
});

test("the spoken check is begun and answered by the page, and shown to it", () => {
  const { keys, seen } = play();
  keys.beginCheck();
  keys.answerCheck(true);
  assert.deepEqual(started[0].told.slice(1), [{ type: "begin-check" }, { type: "answer-check", same: true }]);
  const check = { phase: "comparing", pictures: [], verified: false, kept: false };
  started[0].says({ type: "check", check });
  assert.equal(keys.check, check);
  assert.equal(seen.states, 1);
  keys.replace();
  assert.equal(keys.check.phase, "idle");
});
