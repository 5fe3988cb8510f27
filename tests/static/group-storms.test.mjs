// Whatever happens in whatever order: who is out sees nothing, and when the storm is over all who are in see each other.

import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./delivery-kit.mjs";
import { HOST } from "./group-kit.mjs";

const T = HOST.pid;
const SEATS = ["A", "B", "C"];
const STEPS = 14;

/** Numbers that only look like chance, so that a storm can be had again by its seed. */
function chance(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What can happen; each may find that it does not apply. */
const HAPPENINGS = {
  admit(world, seat) {
    world.admit(seat);
  },
  out(world, seat) {
    world.out(seat);
    world.knock(seat); // it waits again
  },
  hostTakesOut(world, seat) {
    world.pages.get(T).session.remove([seat]);
    world.out(seat, { told: false });
    world.knock(seat);
  },
  reload(world, seat) {
    const former = world.pages.get(seat);
    world.page(seat);
    former.session.close();
    world.members.delete(seat);
    world.knock(seat);
  },
  moves(world) {
    world.host(); // to another server: the same pages, a new group
  },
  hostReloads(world) {
    const former = world.pages.get(T);
    world.page(T);
    former.session.close();
    world.host();
  },
  stuck(world, seat) {
    world.pages.get(seat).session.resync();
  },
  renew(world) {
    world.clock.advance(600_000);
  },
  wait(world) {
    world.clock.advance(1_000);
  },
};

/** @param {number} seed */
async function storm(seed) {
  const next = chance(seed);
  const world = await World.of("A");
  for (const seat of ["B", "C"]) {
    world.page(seat);
    world.knock(seat);
  }
  await world.settle();
  const told = [];
  for (let step = 0; step < STEPS; step += 1) {
    const [name, happen] = Object.entries(HAPPENINGS)[next(Object.keys(HAPPENINGS).length)];
    const seat = SEATS[next(SEATS.length)];
    told.push(`${name} ${seat}`);
    const bad = next(3);
    const victim = SEATS[next(SEATS.length)];
    // A guest's connection loses, doubles or keeps back what is said to it.
    world.meddle = (to, message) => (to !== victim || message.type === "group" ? [message] : bad === 0 ? [] : bad === 1 ? [message, message] : [message]);
    world.clock.advance(60_000); // errors of a minute ago are forgotten, so that no storm is the end
    happen(world, seat);
    if (next(2) === 0) await world.settle();
    world.meddle = (_to, message) => [message];
    if (next(2) === 0) continue; // the next thing happens while this is going on
    await world.settle();
    world.clock.advance(300);
    await world.settle();
    await nobodyOutsideSees(world, told);
  }
  // Calm: the server asks whoever does not follow, as it does after a reconnect.
  world.clock.advance(60_000);
  await world.settle();
  for (let round = 0; round < 2; round += 1) {
    for (const seat of world.admitted) if (world.pages.get(seat).state.epoch !== world.epoch || world.pages.get(seat).state.generation !== world.generation) world.knock(seat);
    await world.settle();
    world.clock.advance(60_000);
    await world.settle();
  }
  const inside = [T, ...world.admitted].sort();
  for (const seat of inside) assert.equal(world.pages.get(seat).state.phase, "secured", `${seat} after ${told.join(", ")} (seed ${seed})`);
  const expected = inside.flatMap((to) => inside.flatMap((from) => (from === to ? [] : [`${to}<${from}`])));
  assert.equal(await world.sights(), expected.sort().join(" "), `after ${told.join(", ")} (seed ${seed})`);
  for (const page of world.pages.values()) page.session.close();
}

/** No frame that anybody inside seals now can be opened by a page that is not admitted. */
async function nobodyOutsideSees(world, told) {
  for (const from of [T, ...world.members]) {
    const page = world.pages.get(from);
    const { kept } = page.state;
    if (kept?.epoch !== world.epoch || kept.generation !== world.generation) continue; // has not heard of it yet
    const frame = await page.frame();
    for (const seat of SEATS) {
      if (world.admitted.has(seat)) continue;
      assert.equal(await world.pages.get(seat).sees(frame, from), null, `${seat} is out and sees ${from} after ${told.join(", ")}`);
    }
  }
}

for (let seed = 1; seed <= 12; seed += 1) test(`storm ${seed}`, () => storm(seed));
