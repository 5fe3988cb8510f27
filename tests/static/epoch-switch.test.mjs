// Which epoch is sent on when the server does with commits what it likes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { EpochSwitch } from "../../static/js/epoch-switch.js";
import { Clock, World } from "./delivery-kit.mjs";
import { HOST } from "./group-kit.mjs";

const T = HOST.pid;
const ALL = "A<B A<T B<A B<T T<A T<B";

/** A room whose server keeps a renewal to itself while the host takes B out; 300 ms have passed. */
async function hushed() {
  const world = await World.of("A", "B");
  const host = world.pages.get(T);
  world.hears = (_seat, { type }) => type !== "commit";
  world.clock.advance(600_000);
  await world.settle();
  assert.equal(await world.sights(), ALL);
  const renewal = world.log.filter(({ type }) => type === "commit").at(-1);
  const frame = await world.pages.get("A").frame();
  assert.equal(await host.sees(frame, "A"), "picture of A");
  host.session.remove(["B"]);
  await world.settle();
  world.clock.advance(300);
  await world.settle();
  assert.equal(host.state.sending, null);
  return { world, host, renewal, frame };
}

test("a commit that is accepted late does not bring back whoever is to be out", async () => {
  const { world, host, renewal } = await hushed();
  world.hears = (_seat, { type, epoch }) => type !== "commit" || epoch === renewal.epoch;
  world.fromPage(host, { ...renewal });
  await world.settle();
  const b = world.pages.get("B");
  for (const passes of [0, 299, 1, 5_000]) {
    world.clock.advance(passes);
    await world.settle();
    assert.equal(await b.sees(await host.frame(), T), null);
  }
  assert.equal(host.state.sending, host.state.epoch + 1, "the epoch that the removal leads to");
  world.hears = () => true;
  world.fromPage(host, { ...world.log.filter(({ type }) => type === "commit").at(-1) });
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
});

test("who stops sending still opens each frame once only", async () => {
  const { world, host, frame } = await hushed();
  assert.equal(await host.sees(frame, "A"), null);
  assert.equal(await host.sees(await world.pages.get("A").frame(), "A"), "picture of A");
});

test("a server that asks twice for a removal does not stop the host's sending to those who stay", async () => {
  const world = await World.of("A", "B");
  const host = world.pages.get(T);
  world.hears = (_seat, { type }) => type !== "commit";
  for (let time = 0; time < 2; time += 1) world.tell(T, { type: "drop", seats: ["B"] });
  await world.settle();
  world.clock.advance(300);
  await world.settle();
  assert.equal(host.state.sending, host.state.epoch + 1);
});

test("somebody else who is to be out during a removal is in nothing that is sent after 300 ms either", async () => {
  const world = await World.of("A", "B");
  const host = world.pages.get(T);
  world.hears = (_seat, { type }) => type !== "commit";
  host.session.remove(["B"]);
  await world.settle();
  world.clock.advance(300);
  await world.settle();
  const removal = world.log.filter(({ type }) => type === "commit").at(-1);
  host.session.remove(["A"]);
  await world.settle();
  world.clock.advance(300);
  await world.settle();
  assert.equal(host.state.sending, null);
  world.hears = (_seat, { type, epoch }) => type !== "commit" || epoch === removal.epoch;
  world.fromPage(host, { ...removal });
  await world.settle();
  assert.equal(host.state.sending, null);
  assert.equal(await world.pages.get("A").sees(await host.frame(), T), null);
});

test("whoever was barred and comes in anew, with other keys, is sent to again", async () => {
  const { world, host } = await hushed();
  world.hears = () => true;
  world.tell(T, { type: "commit-refused", epoch: host.state.epoch });
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
  world.out("B", { told: false });
  world.knock("B");
  await world.settle();
  world.admit("B");
  await world.settle();
  assert.equal(await world.sights(), ALL);
});

test("whoever was barred and is taken out and put in by one commit, the same page, is sent to again", async () => {
  const { world, host } = await hushed();
  const [{ key }] = host.state.members.filter(({ seat }) => seat === "B");
  world.knock("B"); // it has lost what it had
  await world.settle();
  host.session.admit(["B"]);
  world.admit("B");
  await world.settle();
  world.hears = () => true;
  world.tell(T, { type: "commit-refused", epoch: host.state.epoch });
  await world.settle();
  assert.equal(host.state.members.find(({ seat }) => seat === "B").key, key);
  assert.equal(await world.sights(), ALL);
});

test("nobody waits for a page that is put in anew, which can open nothing of before", async () => {
  const world = await World.of("A", "B");
  const [host, b] = [T, "B"].map((seat) => world.pages.get(seat));
  const { epoch } = host.state;
  world.meddle = (_to, message) => (message.type === "ready" && message.seat === "B" ? [] : [message]);
  b.session.resync();
  await world.settle();
  assert.deepEqual([T, "A", "B"].map((seat) => world.pages.get(seat).state.sending), Array(3).fill(epoch + 1));
  assert.equal(await world.sights(), ALL);
});

const key = (epoch, members) => ({ epoch, members, baseKey: new Uint8Array(32) });
const people = [
  { pid: T, name: "", role: "host", index: 0, entry: "t" },
  { pid: "B", name: "", role: "guest", index: 1, entry: "b" },
  { pid: "A", name: "", role: "guest", index: 2, entry: "a" },
];

test("who comes gets whole pictures as soon as they are sent something, and when they say that they can open it; once", () => {
  const clock = new Clock();
  const seen = [];
  const [switched, newcomers] = [() => seen.push(epochs.sending), () => seen.push("whole")];
  const epochs = new EpochSwitch({ ring: null, timers: clock.timers, switched, forgotten: () => {}, newcomers });
  epochs.enter(key(1, people.slice(0, 1)), { index: 0, atOnce: true });
  epochs.enter(key(2, people.slice(0, 2)), { index: 0, atOnce: false });
  assert.deepEqual(seen, [1, 2, "whole"], "after the epoch that it is for");
  for (let time = 0; time < 3; time += 1) epochs.ready(2, "B");
  epochs.ready(2, "A");
  assert.deepEqual(seen, [1, 2, "whole", "whole"]);
  // Whoever stays has what was sent before, and is waited for.
  epochs.enter(key(3, people), { index: 0, atOnce: false });
  epochs.ready(3, "A");
  assert.deepEqual(seen.slice(4), []);
  epochs.ready(3, "B");
  assert.deepEqual(seen.slice(4), [3, "whole"]);
  epochs.enter(key(4, people), { index: 0, atOnce: false });
  for (const seat of ["A", "B"]) epochs.ready(4, seat);
  epochs.enter(key(5, people.slice(0, 2)), { index: 0, atOnce: true });
  epochs.ready(5, "B");
  assert.deepEqual(seen.slice(6), [4, 5], "nobody has come");
});

test("an end of waiting sends nothing to whoever is barred", () => {
  const { timers } = new Clock();
  const epochs = new EpochSwitch({ ring: null, timers, switched: () => {}, forgotten: () => {}, newcomers: () => {} });
  epochs.waitFor(["A"]);
  epochs.enter(key(1, people.slice(0, 2)), { index: 0, atOnce: true });
  epochs.bar(["b"]);
  epochs.release();
  epochs.ready(1, "B");
  assert.equal(epochs.sending, null);
  epochs.enter(key(2, people.slice(0, 2)), { index: 0, atOnce: true });
  assert.equal(epochs.sending, null);
  epochs.enter(key(3, people.slice(0, 1)), { index: 0, atOnce: false });
  assert.equal(epochs.sending, 3);
});

/** A room where the server keeps to itself the commit that takes B out, and the host is in the epoch after. */
async function withheld() {
  const world = await World.of("A", "B");
  const [host, a, b] = [T, "A", "B"].map((seat) => world.pages.get(seat));
  assert.equal(await world.sights(), ALL);
  world.meddle = (to, message) => (to !== T && message.type === "commit" ? [] : [message]);
  host.session.remove(["B"]);
  await world.settle();
  assert.equal(host.state.epoch, a.state.epoch + 1);
  return { world, host, a, b };
}

test("a server that keeps a removal from a guest keeps nothing in use by it for longer than 3 s", async () => {
  const { world, host, a, b } = await withheld();
  for (let second = 0; second < 3; second += 1) {
    assert.equal(await b.sees(await a.frame(), "A"), "picture of A", "a server may be late, and the host's page too");
    assert.equal(await a.sees(await host.frame(), T), null);
    world.clock.advance(1_001);
  }
  assert.equal(await b.sees(await a.frame(), "A"), null);
  assert.equal(a.ring.sending, null);
});

test("a guest goes on as soon as it opens the host again, and not for what was played before or another sends", async () => {
  const world = await World.of("A", "B");
  const [host, a, b] = [T, "A", "B"].map((seat) => world.pages.get(seat));
  const frame = await host.frame();
  assert.equal(await a.sees(frame, T), "picture of T");
  world.clock.advance(3_001);
  assert.equal(await a.sees(frame, T), null);
  b.ring.isAlive(b.state.epoch);
  assert.equal(await a.sees(await b.frame(), "B"), "picture of B");
  assert.equal(await b.sees(await a.frame(), "A"), null);
  assert.equal(await a.sees(await host.frame(), T), "picture of T");
  assert.equal(await b.sees(await a.frame(), "A"), "picture of A");
});

test("what the host sent in an epoch from before, and was kept back, is no sign of it", async () => {
  const world = await World.of("A", "B");
  const [host, a, b] = [T, "A", "B"].map((seat) => world.pages.get(seat));
  const late = await host.frame();
  const { epoch } = host.state;
  host.session.remove(["B"]);
  await world.settle();
  assert.equal(a.state.sending, epoch + 1);
  world.clock.advance(3_001);
  a.ring.isAlive(epoch);
  assert.equal(await a.sees(late, T), "picture of T");
  assert.equal(await host.sees(await a.frame(), "A"), null);
  a.ring.isAlive(epoch + 1);
  assert.equal(await host.sees(await a.frame(), "A"), "picture of A");
  assert.equal(await b.sees(await a.frame(), "A"), null);
});

test("an epoch that is not renewed in time is not sent on, by whoever", async () => {
  const { world, host, a, b } = await withheld();
  world.hears = (_seat, { type }) => type !== "commit";
  world.clock.advance(660_000);
  await world.settle();
  a.ring.isAlive(a.state.epoch);
  assert.equal(a.ring.sending, a.state.epoch);
  assert.equal(host.ring.sending, host.state.epoch);
  world.clock.advance(1);
  assert.equal(a.ring.sending, null);
  assert.equal(host.ring.sending, null);
  assert.equal(await b.sees(await a.frame(), "A"), null);
});
