// What ties a page to its keys: when they are made, what they hear, and when something real may be sent.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { chatPayload } from "../../static/js/payloads.js";
import { FakeWorker, started } from "./worker-kit.mjs";

globalThis.window = globalThis;
globalThis.Worker = FakeWorker;
const { Sealing } = await import("../../static/js/sealing.js");
const { NO_GROUP } = await import("../../static/js/keys.js");

beforeEach(() => {
  started.length = 0;
});

const ME = { meeting: "m", seat: "A", label: "Partner A" };
const LINK = { authenticator: new Uint8Array(32), psk: new Uint8Array(64), kpKey: new Uint8Array(32) };
const SEALED = { encryption: "end-to-end" };
const MEMBERS = [
  { seat: "T", name: "Therapist", index: 0, key: "t" },
  { seat: "A", name: "Partner A", index: 1, key: "a" },
];
const SECURED = { ...NO_GROUP, phase: "secured", generation: "0123456789abcdef", epoch: 1, sending: 1, members: MEMBERS };

const settled = () => new Promise((resolve) => setImmediate(resolve));

function page() {
  const seen = { protected: [], closed: 0, open: [], events: [], sent: [], painting: [] };
  const sealing = new Sealing({
    mayCommit: false,
    peer: {
      protect: (keys) => seen.protected.push(keys),
      close: () => (seen.closed += 1),
      setOpen: async (open) => {
        seen.open.push(open);
        await seen.out;
      },
    },
    send: (message) => seen.sent.push(message),
    ask: async () => ({ code: null }),
    apply: (event) => seen.events.push(event),
    painting: { hold: () => seen.painting.push("hold"), release: () => seen.painting.push("release") },
  });
  return { sealing, seen };
}

test("there are keys in an end-to-end encrypted session, and none in one that is not", () => {
  for (const [view, link, made] of [
    [SEALED, LINK, true],
    [{ encryption: "transport-only" }, null, false],
  ]) {
    const { sealing, seen } = page();
    sealing.begin(view, { ...ME, link });
    assert.equal(sealing.keys !== null, made);
    assert.deepEqual(seen.protected, [sealing.keys], "what is sent is known before the first offer");
    assert.equal(seen.closed, 0);
  }
  assert.equal(started.length, 1);
});

test("where link and session do not go together there is no transport", () => {
  for (const [view, link] of [
    [SEALED, null],
    [{ encryption: "transport-only" }, LINK],
    [{ encryption: "some day" }, null],
    [{ encryption: "some day" }, LINK],
    [{}, null],
    [{}, LINK],
  ]) {
    const { sealing, seen } = page();
    sealing.begin(view, { ...ME, link });
    assert.equal(sealing.keys, null);
    assert.deepEqual(seen.protected, [], "no offer is answered");
    assert.equal(seen.closed, 1);
  }
  assert.equal(started.length, 0);
});

test("keys are made once, and anew only after they were closed", () => {
  const { sealing } = page();
  sealing.begin(SEALED, { ...ME, link: LINK });
  sealing.begin(SEALED, { ...ME, link: LINK });
  assert.equal(started.length, 1);
  sealing.close();
  sealing.close();
  assert.equal(started[0].ended, true);
  assert.equal(sealing.keys, null);
  sealing.begin(SEALED, { ...ME, link: LINK });
  assert.equal(started.length, 2);
});

test("something real is sent only in the room, and when its members can open it", () => {
  const { sealing, seen } = page();
  sealing.begin(SEALED, { ...ME, link: LINK });
  const [worker] = started;
  sealing.follow(true, [], []);
  worker.says({ type: "state", group: "room", state: SECURED, sends: true });
  sealing.follow(false, [], []);
  worker.says({ type: "state", group: "room", state: SECURED, sends: true });
  assert.deepEqual(seen.open.slice(1), [false, true, false, false]);
});

test("a page that is in, and whose keys let nothing out that anybody could open, shows itself unheard", () => {
  const { sealing, seen } = page();
  sealing.begin(SEALED, { ...ME, link: LINK });
  const [worker] = started;
  for (const [state, sends] of [[SECURED, true], [SECURED, false], [{ ...SECURED, phase: "securing" }, false], [SECURED, true]]) {
    worker.says({ type: "state", group: "room", state, sends });
  }
  assert.deepEqual(seen.events.slice(1).map(({ keys }) => keys.unheard), [false, true, false, false]);
});

test("the worker is told who is in which slot, once for each change", () => {
  const { sealing } = page();
  sealing.begin(SEALED, { ...ME, link: LINK });
  const others = [{ seat: "T", slot: 0 }];
  sealing.follow(true, others, ["T"]);
  sealing.follow(true, others, ["T"]);
  const told = started[0].of("expect");
  assert.deepEqual(told.at(-1).seats, { 3: "T", 4: "T" });
  assert.equal(told.length, 1);
});

test("the worker is told who is in the room with us, and when we are not", () => {
  const { sealing } = page();
  sealing.follow(true, [], ["T"]); // before there are keys
  sealing.begin(SEALED, { ...ME, link: LINK });
  sealing.follow(true, [], ["T"]);
  sealing.follow(true, [], ["T", "B"]);
  sealing.follow(false, [], ["T", "B"]);
  const told = started[0].of("inside");
  assert.deepEqual(told.map(({ seats }) => seats), [["T"], ["T", "B"], null]);
});

test("what is about groups goes to the keys, everything else does not", () => {
  const { sealing } = page();
  const group = { type: "group", group: "room", generation: "0123456789abcdef", role: "guest" };
  assert.equal(sealing.hear(group), true, "also while there are none");
  sealing.begin(SEALED, { ...ME, link: LINK });
  assert.equal(sealing.hear(group), true);
  assert.equal(sealing.hear({ type: "place" }), false);
  assert.deepEqual(started[0].of("server").map(({ message }) => message), [group]);
});

test("a member's message becomes an event with the member's name; a stranger's does not", () => {
  const { sealing, seen } = page();
  sealing.begin(SEALED, { ...ME, link: LINK });
  started[0].says({ type: "state", group: "room", state: SECURED, sends: true });
  seen.events = [];
  started[0].says({ type: "opened", group: "room", seat: "T", payload: chatPayload("Hello"), epoch: 1 });
  started[0].says({ type: "opened", group: "room", seat: "B", payload: chatPayload("Hello"), epoch: 1 });
  assert.deepEqual(seen.events.map(({ type, name, text }) => [type, name, text]), [["chat-said", "Therapist", "Hello"]]);
});

test("a patient's keys commit for nobody, and hear of every new connection", () => {
  const { sealing } = page();
  sealing.begin(SEALED, { ...ME, link: LINK });
  assert.equal(sealing.hear({ type: "welcome", now: 0 }), false);
  assert.equal(started[0].told[0].mayCommit, false);
  assert.deepEqual(started[0].told.slice(1), [{ type: "reconnected" }]);
});

test("painting waits from what the server says of the room's keys until the worker has them", async () => {
  const group = { group: "room", generation: "0123456789abcdef" };
  for (const type of ["candidate", "commit", "accepted", "group-welcome"]) {
    const { sealing, seen } = page();
    sealing.hear({ type, ...group });
    assert.deepEqual(seen.painting, [], "there are no keys yet");
    sealing.begin(SEALED, { ...ME, link: LINK });
    sealing.hear({ type, ...group, group: "A" });
    assert.deepEqual(seen.painting, [], "nobody waits for a pair");
    sealing.hear({ type, ...group });
    assert.deepEqual(seen.painting, ["hold"]);
    started.at(-1).says({ type: "send", message: { type: "ready", ...group, group: "A", epoch: 1 } });
    assert.deepEqual(seen.painting, ["hold"]);
    started.at(-1).says({ type: "send", message: { type: "ready", ...group, epoch: 1 } });
    assert.equal(seen.sent.length, 2, "the server hears of it first");
    await settled();
    assert.deepEqual(seen.painting, ["hold", "release"]);
  }
});

test("painting waits until what goes out is what may; and not for a picture that cannot", async () => {
  for (const end of ["resolve", "reject"]) {
    const { sealing, seen } = page();
    sealing.begin(SEALED, { ...ME, link: LINK });
    const worker = started.at(-1);
    sealing.follow(true, [], ["T"]);
    sealing.hear({ type: "group-welcome", group: "room", generation: "0123456789abcdef" });
    let over;
    seen.out = new Promise((resolve, reject) => (over = { resolve, reject }));
    worker.says({ type: "state", group: "room", state: SECURED, sends: true });
    worker.says({ type: "send", message: { type: "ready", group: "room", generation: "0123456789abcdef", epoch: 1 } });
    await settled();
    assert.deepEqual(seen.painting, ["hold"]);
    over[end](new Error("The device is gone."));
    await settled();
    assert.deepEqual(seen.painting, ["hold", "release"]);
  }
});

test("a patient who is let in is shown that when the keys are there; one who has them, at once", () => {
  const { sealing, seen } = page();
  sealing.begin(SEALED, { ...ME, link: LINK });
  sealing.hear({ type: "place", state: "waiting" });
  assert.deepEqual(seen.painting, []);
  sealing.hear({ type: "place", state: "admitted" });
  assert.deepEqual(seen.painting, ["hold"]);
  started[0].says({ type: "state", group: "room", state: SECURED, sends: true });
  sealing.hear({ type: "place", state: "admitted" });
  assert.deepEqual(seen.painting, ["hold"]);
});

test("whoever lets somebody in is shown them as soon as the commit is out", async () => {
  const { sealing, seen } = page();
  const group = { group: "room", generation: "0123456789abcdef" };
  sealing.begin(SEALED, { ...ME, link: LINK });
  sealing.hear({ type: "candidate", ...group });
  started[0].says({ type: "send", message: { type: "commit", ...group, group: "A" } });
  await settled();
  assert.deepEqual(seen.painting, ["hold"]);
  started[0].says({ type: "send", message: { type: "commit", ...group } });
  await settled();
  assert.deepEqual(seen.painting, ["hold", "release"]);
  assert.equal(seen.sent.at(-1).type, "commit", "the server has it first");
});
