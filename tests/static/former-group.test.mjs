// One generation takes the place of another while people are in the room: nobody stands still, and nobody hears for longer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { utf8 } from "../../static/js/bytes.js";
import { World } from "./delivery-kit.mjs";
import { HOST } from "./group-kit.mjs";

const T = HOST.pid;
const ALL = "A<B A<T B<A B<T T<A T<B";
const SEATS = [T, "A", "B"];

/** Therapist and couple; the room moves, and B's key package is on its way: the others are in the next generation. */
async function moving() {
  const world = await World.of("A", "B");
  for (const page of world.pages.values()) page.states.length = 0;
  world.hears = (seat, { type }) => !(seat === "B" && type === "key-package");
  world.host();
  await world.settle();
  assert.deepEqual(SEATS.map((seat) => kept(world, seat)), [1, 1, undefined]);
  return world;
}

const kept = (world, seat) => world.pages.get(seat).state.kept?.epoch;
const shown = (world, what) => SEATS.map((seat) => world.pages.get(seat).state[what]);

/** B's key package arrives. */
async function arrives(world) {
  world.hears = () => true;
  world.fromPage(world.pages.get("B"), world.log.filter(({ seat, type }) => seat === "B" && type === "key-package").at(-1));
  await world.settle();
}

test("a room that moves goes on: everybody sees everybody, and nothing is being secured", async () => {
  const world = await moving();
  assert.equal(await world.sights(), ALL);
  assert.deepEqual(shown(world, "generation"), Array(3).fill("0000000000000001"), "what is sent on is what is shown");
  assert.deepEqual(shown(world, "members").map(({ length }) => length), [3, 3, 3]);
  await arrives(world);
  assert.equal(await world.sights(), ALL);
  assert.deepEqual(shown(world, "generation"), Array(3).fill("0000000000000002"));
  assert.deepEqual(shown(world, "sending"), [2, 2, 2]);
  for (const { states } of world.pages.values()) {
    assert.ok(states.every(({ phase, sending, members }) => phase === "secured" && sending !== null && members.length === 3));
  }
});

test("who has not come after five seconds is not waited for, and who is not in sends nothing", async () => {
  const world = await moving();
  world.clock.advance(4_999);
  assert.equal(await world.sights(), ALL);
  world.clock.advance(1);
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
  assert.deepEqual(shown(world, "phase"), ["secured", "secured", "securing"]);
  assert.deepEqual(shown(world, "sending"), [1, 1, null]);
  await arrives(world);
  assert.equal(await world.sights(), ALL);
});

test("a server that begins one generation after the other keeps no key in use by it", async () => {
  const world = await moving();
  for (const seconds of [2, 2]) {
    world.clock.advance(seconds * 1_000);
    world.host();
    await world.settle();
    assert.equal(await world.sights(), ALL);
  }
  world.clock.advance(1_000);
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
  assert.equal(world.pages.get("B").state.sending, null);
  // Nor is it taken up again.
  world.host();
  await world.settle();
  assert.deepEqual(shown(world, "generation").slice(0, 2), Array(2).fill("0000000000000005"));
  assert.equal(world.pages.get("B").state.sending, null);
});

test("what the former generation's people sealed opens for ten seconds from the beginning, and then never", async () => {
  const world = await World.of("A", "B");
  const late = await world.pages.get("A").frame();
  world.host();
  await world.settle();
  assert.deepEqual(shown(world, "generation"), Array(3).fill("0000000000000002"));
  world.clock.advance(9_999);
  for (const seat of [T, "B"]) assert.equal(await world.pages.get(seat).sees(late, "A"), "picture of A");
  const later = await World.of("A", "B");
  const never = await later.pages.get("A").frame();
  later.host();
  await later.settle();
  later.clock.advance(10_000);
  for (const seat of [T, "B"]) assert.equal(await later.pages.get(seat).sees(never, "A"), null);
});

test("a second move within ten seconds ends what was kept of the first", async () => {
  const world = await World.of("A", "B");
  const first = await world.pages.get("A").frame();
  for (let move = 0; move < 2; move += 1) {
    world.host();
    await world.settle();
  }
  assert.equal(await world.sights(), ALL);
  assert.equal(await world.pages.get(T).sees(first, "A"), null);
});

for (const [how, out] of Object.entries({
  "by the host's own hand": (world) => world.pages.get(T).session.remove(["B"]),
  "by the server's word": (world) => world.tell(T, { type: "drop", seats: ["B"] }),
  "and is only seen to be gone": (world) => world.pages.get(T).session.inside(["A"]),
})) {
  test(`who is put out meanwhile ${how} loses the former generation at once`, async () => {
    const world = await moving();
    const [host, b] = [world.pages.get(T), world.pages.get("B")];
    const onItsWay = await b.frame();
    out(world);
    await world.settle();
    assert.equal(await b.sees(await host.frame(), T), null);
    assert.equal(await host.sees(onItsWay, "B"), null, "and nothing of theirs is opened");
    assert.equal(await world.sights(T, "A"), "A<T T<A", "A may be behind for a moment: what it sends opens");
    world.out("B");
    await world.settle();
    assert.equal(await b.sees(await world.pages.get("A").frame(), "A"), null);
  });
}

test("a partner reads that the other is not in the room any more, and sends them nothing", async () => {
  const world = await moving();
  world.pages.get("A").session.inside([T]);
  await world.settle();
  assert.equal(await world.pages.get("B").sees(await world.pages.get("A").frame(), "A"), null);
});

test("whoever is held during a move loses both generations", async () => {
  const world = await moving();
  world.pages.get("B").session.inside(null);
  await world.settle();
  const { phase, sending } = world.pages.get("B").state;
  assert.deepEqual([phase, sending], ["securing", null]);
  assert.equal(await world.sights(), "A<T T<A");
});

test("a removal that the server has not let through is not undone by a new generation", async () => {
  const world = await World.of("A", "B");
  world.hears = (_seat, { type }) => type !== "commit";
  world.pages.get(T).session.remove(["B"]);
  await world.settle();
  world.host();
  await world.settle();
  assert.equal(await world.pages.get("B").sees(await world.pages.get(T).frame(), T), null);
});

test("a page that is not in the room, or reads of others, goes on with nothing", async () => {
  for (const inside of [null, [T], []]) {
    const world = await World.of("A", "B");
    world.hears = (seat, { type }) => !(seat === "A" && type === "key-package");
    world.pages.get("A").session.inside(inside);
    world.meddle = (to, message) => [message];
    const told = { type: "group", group: "room", generation: "000000000000000a", role: "guest" };
    world.pages.get("A").session.receive(told);
    await world.settle();
    assert.deepEqual([world.pages.get("A").state.phase, world.pages.get("A").state.sending], ["securing", null]);
  }
});

test("a generation whose frames could not be told from the former's takes its place at once", async () => {
  const world = await World.of("A", "B");
  const frame = await world.pages.get("A").frame();
  world.hears = () => false;
  world.pages.get(T).session.receive({ type: "group", group: "room", generation: "f000000000000001", role: "host" });
  await world.settle();
  const host = world.pages.get(T);
  assert.deepEqual([host.state.generation, host.state.sending], ["f000000000000001", 0]);
  assert.equal(await host.sees(frame, "A"), null);
});

test("what cannot be the name of a generation is none", async () => {
  const world = await World.of("A");
  const sent = world.log.length;
  for (const generation of ["", "0000000000000001/A", "000000000000000g", "00000000000000001"]) {
    world.pages.get("A").session.receive({ type: "group", group: "room", generation, role: "guest" });
    await world.settle();
  }
  // Each time it asks to be put in anew where it was, and the third time is the end.
  assert.deepEqual(world.log.slice(sent).filter(({ type }) => type === "key-package").map(({ generation }) => generation), Array(2).fill(world.generation));
  assert.deepEqual([world.pages.get("A").state.phase, world.pages.get("A").state.failure], ["failed", "malformed"]);
});

test("nothing is written into a generation that not everybody is in, and the word of one who is ends the wait", async () => {
  const world = await moving();
  await assert.rejects(world.pages.get(T).session.seal(utf8("lost")), { code: "closed" });
  let settled = false;
  const waiting = world.pages.get("A").session.settled().then(() => (settled = true));
  await world.settle();
  assert.equal(settled, false);
  // T has waited long enough, by its own clock; A hears it in the next generation.
  world.pages.get(T).session.inside(["A"]);
  await world.settle();
  await world.pages.get(T).session.seal(utf8("Go on."));
  await world.settle();
  await waiting;
  assert.deepEqual(world.pages.get("A").heard, [{ seat: T, text: "Go on.", epoch: 1 }]);
  assert.equal(world.pages.get("A").state.generation, "0000000000000002");
});

test("a connection that breaks meanwhile is told of the next generation, and is asked again without a gap", async () => {
  const world = await moving();
  assert.deepEqual(world.pages.get(T).state.kept, { generation: "0000000000000002", epoch: 1 });
  assert.equal(world.pages.get("B").state.kept, null);
  world.hears = () => true;
  world.knock("B"); // so the server asks again
  await world.settle();
  assert.equal(await world.sights(), ALL);
  for (const { states } of world.pages.values()) assert.ok(states.every(({ sending }) => sending !== null));
});

test("closed is closed, also while a room moves", async () => {
  const world = await moving();
  const frame = await world.pages.get(T).frame();
  for (const page of world.pages.values()) page.session.close();
  assert.equal(world.clock.waiting, 0);
  assert.equal(await world.pages.get("A").sees(frame, T), null);
});
