// The key ring: epochs of generations, whom their frames are of, counters and replays.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Opener, Sealer } from "../../static/js/frames.js";
import { ANYBODY, KeyRing, ReplayWindow } from "../../static/js/key-ring.js";
import { partsOf } from "../../static/js/sframe.js";
import { ANNE, BEN, DELTA_FRAME, KEY_FRAME, NAME, PEOPLE, base, bytesOf, copy, onTheWay, ring, sealed } from "./frame-kit.mjs";

test("late frames are taken once within the window", () => {
  const window = new ReplayWindow();
  assert.ok(window.take(5));
  assert.ok(window.take(3));
  assert.ok(!window.take(3));
  assert.ok(window.take(2_050));
  assert.ok(!window.take(2), "older than the window");
  assert.ok(window.take(4), "skipped before, still within");
  assert.ok(!window.take(5));
  assert.ok(window.take(2_049), "skipped by the last step");
  assert.ok(window.take(1_000_000));
  assert.ok(!window.take(2_051));
  assert.ok(window.take(999_999));
  assert.ok(!window.take(999_999));
});

test("no counter comes twice under one key id, whatever happens to the keys", async () => {
  const anne = new KeyRing();
  const name = (generation) => `${generation}`.repeat(15) + "7";
  const sealers = { audio: new Sealer(anne, "audio"), camera: new Sealer(anne, "camera") };
  const seen = new Set();
  let frames = 0;
  const sendSome = async () => {
    const made = await Promise.all([
      ...Array.from({ length: 5 }, () => sealed(sealers.audio, [1, 2])),
      ...Array.from({ length: 5 }, () => sealed(sealers.camera, DELTA_FRAME)),
    ]);
    for (const [number, frame] of made.entries()) {
      const { kid, ctr } = onTheWay(frame, number < 5 ? "opus" : "vp8");
      seen.add(`${kid}:${ctr}`);
      frames += 1;
    }
  };
  await sendSome();
  // Each takes the place of the one before, with the same key ids.
  for (const generation of [1, 2, 3]) {
    for (let epoch = 0; epoch < 18; epoch += 1) {
      anne.generation(name(generation)).install({ epoch, baseKey: base(generation * 20 + epoch) });
      anne.generation(name(generation)).sendOn({ epoch, index: 0 });
      await sendSome();
    }
    // A new transport makes new sealers on the same ring.
    sealers.audio = new Sealer(anne, "audio");
    anne.clear();
    await sendSome();
  }
  assert.equal(frames, 10 * (1 + 3 * 19));
  assert.equal(seen.size, frames);
});

const NEXT = "000000000000000b";

/** Rings of two members that know epoch 1 of two generations. */
function rings() {
  const [anne, ben] = [ring(), ring({ index: 1 })];
  for (const [own, made] of [anne, ben].entries()) {
    made.generation(NEXT).install({ epoch: 1, baseKey: base(77) });
    // Their places are others than before.
    made.generation(NEXT).people({ epoch: 1, members: [{ seat: BEN, index: 0 }, { seat: ANNE, index: 1 }], own: 1 - own });
  }
  return [anne, ben];
}

test("the same epoch of two generations is two epochs: both are opened, each with its own key and people", async () => {
  const [anne, ben] = rings();
  const sealer = new Sealer(anne, "camera");
  const opener = new Opener(ben, "camera", () => ANNE);
  const former = await sealed(sealer, KEY_FRAME);
  anne.generation(NEXT).sendOn({ epoch: 1, index: 1 });
  const next = await sealed(sealer, KEY_FRAME);
  assert.notEqual(onTheWay(former, "vp8").kid, onTheWay(next, "vp8").kid);
  const of = (seat) => new Opener(ben, "camera", () => seat);
  for (const frame of [former, next]) assert.equal(await of(BEN).pass(copy(frame)), false, "nobody has another's place");
  assert.ok(await opener.pass(copy(next)));
  assert.ok(await opener.pass(copy(former)));
  ben.generation(NAME).clear();
  assert.equal(await of(ANNE).pass(copy(former)), false);
  assert.equal(opener.stuck, false, "and nobody is asked for what is over");
  assert.ok(await opener.pass(await sealed(sealer, DELTA_FRAME)));
});

test("one's own screen, sent back, is nobody's in either generation", async () => {
  const [anne] = rings();
  const sealer = new Sealer(anne, "screen");
  for (const [name, index] of [[NAME, 0], [NEXT, 1]]) {
    anne.generation(name).sendOn({ epoch: 1, index });
    const frame = await sealed(sealer, KEY_FRAME);
    anne.generation(NAME).stop();
    anne.generation(NEXT).stop();
    assert.equal(anne.sending, null);
    assert.equal(await new Opener(anne, "screen", () => ANYBODY).pass(frame), false);
  }
});

test("stopping or clearing one generation leaves what is sent in the other", async () => {
  const [anne] = rings();
  anne.generation(NEXT).sendOn({ epoch: 1, index: 1 });
  for (const end of ["stop", "clear"]) {
    anne.generation(NAME)[end]();
    assert.equal(anne.sending, 1);
  }
  anne.generation(NEXT).stop();
  assert.equal(anne.sending, null);
});

test("of two generations whose frames look the same only the later is known", async () => {
  const [anne, ben] = [ring(), ring({ index: 1 })];
  const frame = await sealed(new Sealer(anne, "audio"), [1]);
  const alike = `f${NAME.slice(1)}`;
  anne.generation(alike);
  assert.equal(anne.sending, null);
  ben.generation(alike).install({ epoch: 1, baseKey: base(1) });
  ben.generation(alike).people({ epoch: 1, members: PEOPLE, own: 1 });
  assert.ok(await new Opener(ben, "audio", () => ANNE).pass(copy(frame)), "by the same key");
  assert.equal(ben.generation(NAME).at(1), undefined);
  for (const name of ["", "0", "g".repeat(16), `${NAME}0`]) assert.throws(() => ben.generation(name), RangeError);
});

test("whoever is out is heard in no epoch any more", async () => {
  const ben = ring({ epochs: [1, 2], index: 1 });
  const frames = [];
  for (const sendOn of [1, 2]) frames.push(await sealed(new Sealer(ring({ epochs: [1, 2], sendOn }), "audio"), [1]));
  ben.generation(NAME).without([ANNE]);
  for (const frame of frames) assert.equal(await new Opener(ben, "audio", () => ANNE).pass(frame), false);
});

test("without an epoch, frames are sealed with a key that nobody else has", async () => {
  const anne = new KeyRing();
  assert.equal(anne.sending, null);
  const frame = await sealed(new Sealer(anne, "camera"), KEY_FRAME);
  const { index } = partsOf(onTheWay(frame, "vp8").kid);
  assert.equal(index, 15);
  assert.throws(() => ring({ index: 15 }), RangeError);
  for (const opener of [ring({ epochs: [0, 16], index: 1 }), new KeyRing(), anne]) {
    assert.equal(await new Opener(opener, "camera", () => ANNE).pass(copy(frame)), false);
  }
  const sent = bytesOf(frame);
  anne.clear(); // another random key, the same id and the next counter
  const again = await sealed(new Sealer(anne, "camera"), KEY_FRAME);
  assert.notDeepEqual(bytesOf(again).slice(-16), sent.slice(-16));
});

test("an epoch that is dropped, cleared or replaced is no longer sent on", async () => {
  for (const end of [
    (anne) => anne.generation(NAME).drop(1),
    (anne) => anne.clear(),
    (anne) => anne.generation(NAME).install({ epoch: 17, baseKey: base(17) }),
    (anne) => anne.generation(NAME).install({ epoch: 1, baseKey: base(50) }), // the same number in another generation
  ]) {
    const anne = ring();
    assert.equal(anne.sending, 1);
    end(anne);
    assert.equal(anne.sending, null);
    const frame = await sealed(new Sealer(anne, "audio"), [1]);
    assert.equal(await new Opener(ring({ index: 1 }), "audio", () => ANNE).pass(frame), false);
  }
});

test("epochs sixteen apart are not taken for each other", async () => {
  const old = await sealed(new Sealer(ring({ epochs: [1] }), "audio"), [1]);
  const ben = ring({ epochs: [1, 17], index: 1 });
  const opener = new Opener(ben, "audio", () => ANNE);
  assert.equal(await opener.pass(copy(old)), false);
  ben.generation(NAME).install({ epoch: 1, baseKey: base(1) }); // finishes late: its place has been taken by a newer epoch
  ben.generation(NAME).people({ epoch: 1, members: PEOPLE, own: 1 });
  assert.equal(await opener.pass(copy(old)), false);
  ben.generation(NAME).drop(1); // does not drop epoch 17
  assert.ok(await opener.pass(await sealed(new Sealer(ring({ epochs: [17] }), "audio"), [1])));
  assert.throws(() => ben.generation(NAME).sendOn({ epoch: 1, index: 1 }), RangeError);
  assert.equal(ben.sending, null);
});

test("old epochs go on being opened until they are dropped", async () => {
  const anne = ring({ epochs: [1, 2], sendOn: 1 });
  const ben = ring({ epochs: [1, 2], index: 1 });
  const opener = new Opener(ben, "audio", () => ANNE);
  const sealer = new Sealer(anne, "audio");
  const late = await sealed(sealer, [1]);
  anne.generation(NAME).sendOn({ epoch: 2, index: 0 });
  assert.ok(await opener.pass(await sealed(sealer, [2])));
  assert.ok(await opener.pass(copy(late)));
  ben.generation(NAME).drop(1);
  assert.equal(await new Opener(ben, "audio", () => ANNE).pass(late), false);
});

test("base keys are wiped, and refused when they are none", () => {
  const baseKey = base(7);
  const made = new KeyRing();
  made.generation(NAME).install({ epoch: 3, baseKey });
  assert.deepEqual(baseKey, base(0));
  assert.throws(() => made.generation(NAME).install({ epoch: 4, baseKey: new Uint8Array(16) }), RangeError);
  assert.throws(() => made.generation(NAME).install({ epoch: -1, baseKey: base(1) }), RangeError);
  assert.throws(() => made.generation(NAME).install({ epoch: 2 ** 60, baseKey: base(1) }), RangeError);
});
