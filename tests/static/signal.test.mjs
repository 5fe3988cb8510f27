// The signaling connection on a clock of our own: how it comes back, and when it does not.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../../static/js/api.js";
import { Signal, delayBefore, socketUrl } from "../../static/js/signal.js";

/** Time, timers and sockets that move only when told to. */
class World {
  time = 0;
  sockets = [];
  #timers = new Map();
  #next = 1;

  connect(url, protocols) {
    const socket = { url, protocols, sent: [], closed: false };
    socket.send = (text) => socket.sent.push(JSON.parse(text));
    socket.close = () => {
      socket.closed = true;
    };
    this.sockets.push(socket);
    return socket;
  }

  later(action, milliseconds) {
    const timer = this.#next++;
    this.#timers.set(timer, { at: this.time + milliseconds, action });
    return timer;
  }

  cancel(timer) {
    this.#timers.delete(timer);
  }

  now() {
    return this.time;
  }

  random() {
    return 1; // the longest delays: what they promise must hold for these
  }

  async pass(milliseconds) {
    const until = this.time + milliseconds;
    for (;;) {
      await settled();
      const due = [...this.#timers].filter(([, timer]) => timer.at <= until).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.time = due[1].at;
      due[1].action();
    }
    this.time = until;
    await settled();
  }

  get timers() {
    return this.#timers.size;
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

async function play({ ticket = async () => "t1", mediaKept = () => false, groupKept = () => null } = {}) {
  const world = new World();
  const seen = { lines: [], messages: [], ends: [], tickets: 0 };
  const signal = new Signal({
    url: "wss://host/ws",
    ticket: () => {
      seen.tickets += 1;
      return ticket(seen.tickets);
    },
    mediaKept,
    groupKept,
    onMessage: (message) => seen.messages.push(message.type),
    onLine: (line) => seen.lines.push(line),
    onEnd: (end) => seen.ends.push(end),
    world,
  });
  signal.start();
  await settled();
  return { world, signal, seen };
}

const last = (world) => world.sockets.at(-1);
const hear = (socket, message) => socket.onmessage({ data: JSON.stringify(message) });

async function opened(options) {
  const stage = await play(options);
  await open(stage);
  return stage;
}

async function open({ world }) {
  last(world).onopen();
  hear(last(world), { type: "welcome", seat: "A", role: "patient", now: 0 });
  await settled();
}

test("a connection carries its ticket in the subprotocol and says hello first", async () => {
  const { world, seen } = await opened({ mediaKept: () => true });
  assert.deepEqual(last(world).protocols, ["quietroom.v1", "ticket.t1"]);
  assert.deepEqual(last(world).sent, [{ type: "hello", "media-kept": true }]);
  assert.deepEqual(seen.lines, ["connecting", "open"]);
});

test("the hello waits for a look at the transport; a connection given up meanwhile says none", async () => {
  const looks = [];
  const { world, signal } = await play({ mediaKept: () => new Promise((resolve) => looks.push(resolve)) });
  const first = last(world);
  first.onopen();
  await settled();
  assert.deepEqual(first.sent, []);
  first.onclose();
  await world.pass(100);
  last(world).onopen();
  looks.forEach((resolve) => resolve(true));
  await settled();
  assert.deepEqual([first.sent, last(world).sent], [[], [{ type: "hello", "media-kept": true }]]);
  signal.stop();
});

test("the hello says where in the room's group the page still is", async () => {
  const { world } = await opened({ groupKept: () => ({ generation: "0123456789abcdef", epoch: 3 }) });
  assert.deepEqual(last(world).sent[0], { type: "hello", "media-kept": false, generation: "0123456789abcdef", epoch: 3 });
});

test("delays double from 100 ms, stay within half a second while a server restarts, and are spread", () => {
  const delays = [0, 1, 2, 3, 19, 20, 60].map((attempt) => delayBefore(attempt, 1));
  assert.deepEqual(delays, [100, 200, 400, 500, 500, 2000, 2000]);
  assert.equal(delayBefore(0, 0), 50);
});

test("a lost connection comes back with a new ticket", async () => {
  const { world, signal, seen } = await opened();
  last(world).onclose();
  assert.equal(signal.line, "lost");
  await world.pass(100);
  assert.equal(world.sockets.length, 2);
  assert.equal(seen.tickets, 2);
  await open({ world });
  assert.deepEqual(seen.lines, ["connecting", "open", "lost", "open"]);
});

/** A page that has lost its network, and asks for tickets that come when told to. */
async function inDoubt() {
  const asked = [];
  let waits = false;
  const stage = await opened({
    ticket: () => (waits ? new Promise((resolve, reject) => asked.push({ resolve, reject })) : Promise.resolve("t")),
  });
  waits = true;
  stage.signal.suspect();
  await stage.world.pass(100);
  assert.equal(asked.length, 1);
  return { ...stage, asked };
}

test("after the network went, a ticket that does not come over a dead connection is asked for over another", async () => {
  const { world, seen, asked } = await inDoubt();
  await world.pass(600);
  assert.equal(asked.length, 1);
  await world.pass(100);
  asked[1].resolve("second");
  await settled();
  assert.deepEqual(last(world).protocols, ["quietroom.v1", "ticket.second"]);
  asked[0].reject(new ApiError(0, "unreachable", "…"));
  await open({ world });
  assert.deepEqual([seen.lines, world.sockets.length], [["connecting", "open", "lost", "open"], 2]);
});

test("of two requests for a ticket, either's refusal is final, and a dead second one is not", async () => {
  for (const refuses of [0, 1]) {
    const { world, seen, asked } = await inDoubt();
    await world.pass(700);
    if (refuses === 0) asked[1].reject(new ApiError(0, "unreachable", "…"));
    await settled();
    assert.deepEqual(seen.ends, []);
    asked[refuses].reject(new ApiError(403, "seat-locked", "Ask the practice."));
    await settled();
    assert.deepEqual(seen.ends, [{ code: "seat-locked", text: "Ask the practice." }]);
    await world.pass(5_000);
    assert.deepEqual([asked.length, world.timers], [2, 0]);
  }
});

test("of a page that has left in doubt nothing is asked any more", async () => {
  const { world, signal, asked } = await inDoubt();
  signal.stop();
  await world.pass(5_000);
  assert.equal(asked.length, 1);
});

test("a slow server is asked for one ticket: each is put on record", async () => {
  const { world, seen } = await play({ ticket: () => new Promise(() => {}) });
  await world.pass(3_900);
  assert.equal(seen.tickets, 1);
});

test("a server that says nothing when it should is taken for gone, and any word of it will do", async () => {
  for (const says of [false, true]) {
    const { world, signal } = await opened();
    signal.expect();
    await world.pass(400);
    signal.expect(); // asked once more: the time is that of the first
    if (says) hear(last(world), { type: "place" });
    await world.pass(300);
    assert.equal(signal.line, says ? "open" : "lost");
    signal.stop();
    assert.equal(world.timers, 0);
  }
});

/** A page whose server should answer, and does not; tickets come when told to. */
async function expecting() {
  const asked = [];
  let waits = false;
  const stage = await opened({
    ticket: () => (waits ? new Promise((resolve, reject) => asked.push({ resolve, reject })) : Promise.resolve("t")),
  });
  waits = true;
  stage.signal.expect();
  return { ...stage, asked };
}

test("a ticket is asked for while a word of the server is waited for, and serves the next connection", async () => {
  const { world, signal, asked } = await expecting();
  await world.pass(199);
  assert.equal(asked.length, 0, "usually it answers at once");
  await world.pass(1);
  assert.equal(asked.length, 1);
  asked[0].resolve("early");
  await world.pass(499);
  assert.deepEqual([signal.line, world.sockets.length], ["open", 1], "that one may still answer");
  await world.pass(101);
  assert.deepEqual(last(world).protocols, ["quietroom.v1", "ticket.early"]);
  await open({ world });
  assert.deepEqual([signal.line, asked.length, world.timers], ["open", 1, 0]);
});

test("a ticket that was asked for early over a dead connection is asked for once more, at its own time", async () => {
  const { world, asked } = await expecting();
  await world.pass(899);
  assert.equal(asked.length, 1, "the next attempt waits for it, and asks for none");
  await world.pass(1);
  assert.equal(asked.length, 2);
  asked[1].resolve("second");
  await settled();
  assert.deepEqual(last(world).protocols, ["quietroom.v1", "ticket.second"]);
});

test("a ticket that could not be had early is asked for anew", async () => {
  for (const error of [new ApiError(0, "unreachable", "…"), new ApiError(403, "seat-locked", "Ask the practice.")]) {
    const { world, signal, seen, asked } = await expecting();
    await world.pass(200);
    asked[0].reject(error);
    await world.pass(500);
    assert.deepEqual([signal.line, seen.ends, asked.length], ["lost", [], 1]);
    await world.pass(100);
    assert.equal(asked.length, 2);
    signal.stop();
  }
});

test("a slow server is asked for a ticket in vain once a minute at most, and for no second one", async () => {
  const { world, signal, asked } = await expecting();
  for (let again = 0; again < 20; again += 1) {
    signal.expect();
    await world.pass(600);
    hear(last(world), { type: "place" });
    await world.pass(2_400);
  }
  assert.deepEqual([asked.length, signal.line, world.timers], [1, "open", 0]);
  asked[0].resolve("never used");
  await world.pass(60_000);
  assert.deepEqual([asked.length, world.sockets.length], [1, 1]);
  signal.expect();
  await world.pass(600);
  assert.equal(asked.length, 2);
});

test("a page that has left while it waited for a word asks for nothing", async () => {
  for (const after of [100, 300]) {
    const { world, signal, asked } = await expecting();
    await world.pass(after);
    const before = asked.length;
    signal.stop();
    await world.pass(5_000);
    assert.deepEqual([asked.length, world.sockets.length, world.timers], [before, 1, 0]);
  }
});

test("after the server has closed the connection no ticket of before is used", async () => {
  const { world, asked } = await expecting();
  await world.pass(300);
  last(world).onclose();
  await world.pass(100);
  assert.equal(asked.length, 2);
  asked[0].resolve("former");
  await world.pass(1_000);
  assert.equal(world.sockets.length, 1);
});

test("a server that returns after some seconds is found within half a second", async () => {
  let up = true;
  const { world } = await opened({
    ticket: async () => {
      if (!up) throw new ApiError(0, "unreachable", "…");
      return "t";
    },
  });
  up = false;
  last(world).onclose();
  await world.pass(8_000);
  up = true;
  await world.pass(500);
  assert.equal(world.sockets.length, 2);
});

test("a server that returns is found within five seconds, however long it was away", async () => {
  let up = true;
  const { world, seen } = await opened({
    ticket: async () => {
      if (!up) throw new ApiError(0, "unreachable", "…");
      return "t";
    },
  });
  up = false;
  last(world).onclose();
  await world.pass(120_000);
  const tried = seen.tickets;
  up = true;
  const sockets = world.sockets.length;
  await world.pass(5_000);
  assert.ok(seen.tickets > tried);
  assert.ok(world.sockets.length > sockets);
});

test("an attempt that hangs is given up, each later one with more patience", async () => {
  const { world, seen } = await play({ ticket: () => new Promise(() => {}) });
  await world.pass(4_000 + 100);
  assert.equal(seen.tickets, 2);
  await world.pass(4_000 + 200);
  assert.equal(seen.tickets, 2);
  await world.pass(2_000);
  assert.equal(seen.tickets, 3);
  assert.deepEqual(seen.lines, ["connecting"]);
});

test("the network's return cuts the wait short, once", async () => {
  const { world, signal, seen } = await opened();
  last(world).onclose();
  signal.wake();
  await settled();
  assert.equal(world.sockets.length, 2);
  signal.wake(); // an attempt is on its way
  await world.pass(100);
  assert.equal(world.sockets.length, 2);
  assert.equal(seen.tickets, 2);
});

test("the network's loss gives the connection up at once", async () => {
  const { world, signal } = await opened();
  const first = last(world);
  signal.suspect();
  assert.equal(first.closed, true);
  assert.equal(signal.line, "lost");
});

for (const code of ["removed", "ended", "opened-elsewhere", "replaced", "device-refused"]) {
  test(`after bye ${code} it stays away`, async () => {
    const { world, seen } = await opened();
    hear(last(world), { type: "bye", code, text: "because" });
    last(world).onclose();
    await world.pass(60_000);
    assert.deepEqual(seen.ends, [{ code, text: "because" }]);
    assert.equal(world.sockets.length, 1);
    assert.equal(world.timers, 0);
  });
}

test("a draining server is looked for again", async () => {
  const { world, seen } = await opened();
  hear(last(world), { type: "bye", code: "draining", text: "…" });
  last(world).onclose();
  await world.pass(100);
  assert.equal(world.sockets.length, 2);
  assert.deepEqual(seen.ends, []);
});

test("a room that moves is no loss, unless it is not found in time", async () => {
  const { world, seen } = await opened();
  hear(last(world), { type: "bye", code: "moved", text: "…" });
  last(world).onclose();
  assert.deepEqual(seen.lines, ["connecting", "open", "moving"]);
  await world.pass(100);
  await open({ world });
  assert.deepEqual(seen.lines.slice(2), ["moving", "open"]);
  assert.equal(world.timers, 0);
  hear(last(world), { type: "bye", code: "moved", text: "…" });
  last(world).onclose();
  await world.pass(2_999);
  assert.equal(seen.lines.at(-1), "moving");
  await world.pass(1);
  assert.equal(seen.lines.at(-1), "lost");
  await open({ world });
  assert.equal(seen.lines.at(-1), "open");
});

test("a move that is refused is a loss", async () => {
  const { world, seen } = await opened();
  hear(last(world), { type: "bye", code: "moved", text: "…" });
  last(world).onclose();
  await world.pass(100);
  last(world).onclose();
  assert.deepEqual(seen.lines.slice(2), ["moving", "lost"]);
});

test("a refused ticket ends it, a busy server does not", async () => {
  const refused = await play({ ticket: async () => Promise.reject(new ApiError(403, "enter-again", "Enter again.")) });
  assert.deepEqual(refused.seen.ends, [{ code: "enter-again", text: "Enter again." }]);
  const busy = await play({ ticket: async () => Promise.reject(new ApiError(429, "busy", "…")) });
  await busy.world.pass(1_000);
  assert.deepEqual(busy.seen.ends, []);
  assert.ok(busy.seen.tickets > 1);
});

test("replies find their requests, whatever their order", async () => {
  const { world, signal } = await opened();
  const knock = signal.ask({ type: "knock" });
  const leave = signal.ask({ type: "leave" });
  const [, first, second] = last(world).sent;
  hear(last(world), { type: "reply", id: second.id, code: "wrong-state", text: "Too late." });
  hear(last(world), { type: "reply", id: first.id, code: null });
  assert.deepEqual(await knock, { code: null, text: null });
  assert.deepEqual(await leave, { code: "wrong-state", text: "Too late." });
});

test("a request is never left hanging", async () => {
  const { world, signal } = await opened();
  const silent = signal.ask({ type: "knock" });
  await world.pass(5_000);
  assert.equal((await silent).code, "no-reply");
  const lost = signal.ask({ type: "knock" });
  last(world).onclose();
  assert.equal((await lost).code, "connection-lost");
  assert.equal((await signal.ask({ type: "knock" })).code, "connection-lost");
});

test("what closes is asked again where the room has moved to", async () => {
  const { world, signal } = await opened();
  const hold = { type: "act", action: "hold", seats: ["A"] };
  const asked = signal.insist(hold);
  hear(last(world), { type: "bye", code: "moved", text: "…" });
  last(world).onclose();
  const between = signal.insist({ type: "leave" });
  await world.pass(100);
  await open({ world });
  const [, first, second] = last(world).sent;
  assert.deepEqual([first, second].map(({ id, ...request }) => request), [hold, { type: "leave" }]);
  hear(last(world), { type: "reply", id: first.id, code: null });
  hear(last(world), { type: "reply", id: second.id, code: "not-allowed", text: "No." });
  assert.deepEqual(await asked, { code: null, text: null });
  assert.deepEqual(await between, { code: "not-allowed", text: "No." });
  assert.equal(world.timers, 0);
});

test("what closes is asked again after a second loss too, but not for ever", async () => {
  const { world, signal } = await opened({ ticket: async (count) => (count < 3 ? "t" : new Promise(() => {})) });
  const asked = signal.insist({ type: "act", action: "end" });
  last(world).onclose();
  await world.pass(100);
  await open({ world });
  assert.equal(last(world).sent[1].action, "end");
  last(world).onclose();
  let outcome = null;
  void asked.then((found) => (outcome = found));
  await world.pass(14_899);
  assert.equal(outcome, null);
  await world.pass(1);
  assert.equal(outcome.code, "connection-lost");
});

test("what closes is asked no more when the connection is over", async () => {
  const { world, signal } = await opened();
  const asked = signal.insist({ type: "leave" });
  hear(last(world), { type: "bye", code: "ended", text: "…" });
  last(world).onclose();
  assert.equal((await asked).code, "connection-lost");
  assert.equal((await signal.insist({ type: "leave" })).code, "connection-lost");
  assert.equal(world.timers, 0);
});

test("whatever is not a message of ours is passed over", async () => {
  const { world, seen } = await opened();
  for (const data of ["", "{", "[]", "null", "7", '{"type":7}', new Uint8Array(3)]) last(world).onmessage({ data });
  assert.deepEqual(seen.messages, ["welcome"]);
});

test("a socket that was given up says nothing any more", async () => {
  const { world, signal, seen } = await opened();
  const first = last(world);
  signal.suspect();
  hear(first, { type: "place" });
  first.onclose();
  assert.deepEqual(seen.messages, ["welcome"]);
  assert.equal(world.timers, 1, "one attempt is due, not two");
});

test("stopping leaves nothing behind and starting begins anew", async () => {
  const { world, signal } = await opened();
  signal.stop();
  signal.stop();
  assert.equal(signal.line, "idle");
  assert.equal(world.timers, 0);
  signal.start();
  await settled();
  assert.equal(world.sockets.length, 2);
});

test("the socket is encrypted wherever the page is", () => {
  assert.equal(socketUrl({ protocol: "https:", host: "q.example" }), "wss://q.example/ws");
  assert.equal(socketUrl({ protocol: "http:", host: "localhost:8080" }), "ws://localhost:8080/ws");
});
