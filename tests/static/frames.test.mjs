// The key ring, and frames sealed and opened with it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ANYBODY, KeyRing, Opener, ReplayWindow, Sealer, clearBytes } from "../../static/js/frames.js";
import { decodeHeader, encodeHeader, kidOf, partsOf } from "../../static/js/sframe.js";

const ANNE = "anne";
const BEN = "ben";
const PEOPLE = [
  { seat: ANNE, index: 0 },
  { seat: BEN, index: 1 },
];
const KEY_FRAME = [0x10, 2, 0, 0x9d, 1, 0x2a, 64, 1, 240, 0, 77, 78, 79];
const DELTA_FRAME = [0x11, 2, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12];

const base = (seed) => new Uint8Array(32).fill(seed);

/** The ring of a member who knows these epochs; the key of epoch n is full of n unless said otherwise. */
function ring({ epochs = [1], index = 0, sendOn = epochs.at(-1), seed = (epoch) => epoch } = {}) {
  const made = new KeyRing();
  for (const epoch of epochs) {
    made.install({ epoch, baseKey: base(seed(epoch)) });
    made.people({ epoch, members: PEOPLE });
  }
  if (sendOn !== undefined) made.sendOn({ epoch: sendOn, index });
  return made;
}

const frameOf = (bytes, type) => ({ data: new Uint8Array(bytes).buffer, type });
const bytesOf = (frame) => [...new Uint8Array(frame.data)];

async function sealed(sealer, bytes, type) {
  const frame = frameOf(bytes, type);
  assert.ok(await sealer.pass(frame));
  return frame;
}

const copy = (frame) => frameOf(bytesOf(frame), frame.type);

/** A frame's key id and counter, as anybody on the way reads them. */
function onTheWay(frame, codec) {
  const bytes = new Uint8Array(frame.data);
  return decodeHeader(bytes.subarray(clearBytes(codec, bytes)));
}

test("what one member seals the other opens, with only the needed bytes in clear", async () => {
  const anne = ring();
  const ben = ring({ index: 1 });
  for (const [context, codec, plain, clear] of [
    ["audio", "opus", [0x78, 1, 2, 3], 0],
    ["camera", "vp8", KEY_FRAME, 10],
    ["camera", "vp8", DELTA_FRAME, 1],
    ["screen", "vp8", DELTA_FRAME, 1],
  ]) {
    const opener = new Opener(ben, context, () => ANNE);
    const frame = await sealed(new Sealer(anne, context), plain);
    const way = bytesOf(frame);
    assert.deepEqual(way.slice(0, clear), plain.slice(0, clear));
    const header = onTheWay(frame, codec);
    assert.equal(way.length, plain.length + header.length + 16);
    assert.ok(await opener.pass(frame));
    assert.deepEqual(bytesOf(frame), plain);
  }
});

test("a frame changed anywhere is dropped, in its clear bytes too", async () => {
  const ben = ring({ index: 1 });
  const frame = await sealed(new Sealer(ring(), "camera"), KEY_FRAME);
  for (let at = 0; at < frame.data.byteLength; at += 1) {
    const changed = copy(frame);
    new Uint8Array(changed.data)[at] ^= 0x40;
    assert.equal(await new Opener(ben, "camera", () => ANNE).pass(changed), false, `byte ${at}`);
    assert.notDeepEqual(bytesOf(changed), KEY_FRAME);
  }
  for (let length = 0; length < frame.data.byteLength; length += 1) {
    assert.equal(await new Opener(ben, "camera", () => ANNE).pass(frameOf(bytesOf(frame).slice(0, length))), false);
  }
  assert.ok(await new Opener(ben, "camera", () => ANNE).pass(frame));
});

test("a header written in a longer form than the sender's does not authenticate", async () => {
  const anne = ring();
  const frame = await sealed(new Sealer(anne, "audio"), [1, 2, 3]);
  const bytes = bytesOf(frame);
  const header = onTheWay(frame, "opus");
  const longer = [0x80 | (3 << 4) | header.ctr, 0, 0, 0, header.kid, ...bytes.slice(header.length)];
  assert.equal(decodeHeader(new Uint8Array(longer)).kid, header.kid);
  const opener = new Opener(ring({ index: 1 }), "audio", () => ANNE);
  assert.equal(await opener.pass(frameOf(longer)), false);
  assert.equal(opener.counts.forged, 1);
});

test("with a wrong key, or none, nothing is opened", async () => {
  const frame = await sealed(new Sealer(ring(), "audio"), [1, 2, 3]);
  const wrong = new Opener(ring({ index: 1, seed: () => 99 }), "audio", () => ANNE);
  assert.equal(await wrong.pass(copy(frame)), false);
  assert.equal(wrong.counts.forged, 1);
  const none = new Opener(new KeyRing(), "audio", () => ANNE);
  assert.equal(await none.pass(copy(frame)), false);
  assert.equal(none.counts.noKey, 1);
});

test("frames of another seat, another track or one's own are dropped", async () => {
  const ben = ring({ index: 1 });
  const camera = await sealed(new Sealer(ring(), "camera"), KEY_FRAME);
  for (const [context, expected] of [
    ["camera", BEN],
    ["camera", null],
    ["camera", "nobody we know"],
    ["screen", ANNE],
    ["screen", ANYBODY],
  ]) {
    const opener = new Opener(ben, context, () => expected);
    assert.equal(await opener.pass(copy(camera)), false);
    assert.equal(opener.counts.wrongSender, 1);
  }
  const screen = await sealed(new Sealer(ring(), "screen"), KEY_FRAME);
  assert.ok(await new Opener(ben, "screen", () => ANYBODY).pass(copy(screen)));
  assert.equal(await new Opener(ring(), "screen", () => ANYBODY).pass(copy(screen)), false, "our own screen, sent back");
});

test("a place that has passed to somebody else does not open the frames of whoever had it", async () => {
  const frame = await sealed(new Sealer(ring({ index: 1 }), "camera"), KEY_FRAME);
  const anne = ring();
  anne.install({ epoch: 2, baseKey: base(2) });
  anne.people({ epoch: 2, members: [PEOPLE[0], { seat: "carl", index: 1 }] });
  assert.equal(await new Opener(anne, "camera", () => "carl").pass(copy(frame)), false);
  assert.ok(await new Opener(anne, "camera", () => BEN).pass(copy(frame)), "late frames of the one who left");
});

test("nothing of an epoch is opened before its people are known", async () => {
  const frame = await sealed(new Sealer(ring(), "audio"), [1]);
  const ben = new KeyRing();
  ben.install({ epoch: 1, baseKey: base(1) });
  assert.equal(await new Opener(ben, "audio", () => ANNE).pass(copy(frame)), false);
  ben.people({ epoch: 1, members: PEOPLE });
  assert.ok(await new Opener(ben, "audio", () => ANNE).pass(frame));
});

test("the same frame opens once, also when both copies come at the same time", async () => {
  const ben = ring({ index: 1 });
  const frame = await sealed(new Sealer(ring(), "audio"), [1, 2]);
  const opener = new Opener(ben, "audio", () => ANNE);
  assert.deepEqual((await Promise.all([opener.pass(copy(frame)), opener.pass(copy(frame))])).sort(), [false, true]);
  assert.equal(await opener.pass(copy(frame)), false);
  assert.equal(opener.counts.replayed, 2);
});

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
  for (const generation of [1, 2, 3]) {
    for (let epoch = 0; epoch < 18; epoch += 1) {
      anne.install({ epoch, baseKey: base(generation * 20 + epoch) });
      anne.sendOn({ epoch, index: 0 });
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
    (anne) => anne.drop(1),
    (anne) => anne.clear(),
    (anne) => anne.install({ epoch: 17, baseKey: base(17) }),
    (anne) => anne.install({ epoch: 1, baseKey: base(50) }), // the same number in another generation
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
  ben.install({ epoch: 1, baseKey: base(1) }); // finishes late: its place has been taken by a newer epoch
  ben.people({ epoch: 1, members: PEOPLE });
  assert.equal(await opener.pass(copy(old)), false);
  ben.drop(1); // does not drop epoch 17
  assert.ok(await opener.pass(await sealed(new Sealer(ring({ epochs: [17] }), "audio"), [1])));
  assert.throws(() => ben.sendOn({ epoch: 1, index: 1 }), RangeError);
  assert.equal(ben.sending, null);
});

test("old epochs go on being opened until they are dropped", async () => {
  const anne = ring({ epochs: [1, 2], sendOn: 1 });
  const ben = ring({ epochs: [1, 2], index: 1 });
  const opener = new Opener(ben, "audio", () => ANNE);
  const sealer = new Sealer(anne, "audio");
  const late = await sealed(sealer, [1]);
  anne.sendOn({ epoch: 2, index: 0 });
  assert.ok(await opener.pass(await sealed(sealer, [2])));
  assert.ok(await opener.pass(copy(late)));
  ben.drop(1);
  assert.equal(await new Opener(ben, "audio", () => ANNE).pass(late), false);
});

test("base keys are wiped, and refused when they are none", () => {
  const baseKey = base(7);
  const made = new KeyRing();
  made.install({ epoch: 3, baseKey });
  assert.deepEqual(baseKey, base(0));
  assert.throws(() => made.install({ epoch: 4, baseKey: new Uint8Array(16) }), RangeError);
  assert.throws(() => made.install({ epoch: -1, baseKey: base(1) }), RangeError);
  assert.throws(() => made.install({ epoch: 2 ** 60, baseKey: base(1) }), RangeError);
});

test("a key frame is asked for when frames open again that build on dropped ones", async () => {
  const anne = ring();
  const sealer = new Sealer(anne, "camera");
  const ben = new KeyRing();
  let asked = 0;
  const opener = new Opener(ben, "camera", () => ANNE, () => (asked += 1));
  assert.equal(await opener.pass(await sealed(sealer, DELTA_FRAME, "delta")), false);
  assert.equal(asked, 0);
  ben.install({ epoch: 1, baseKey: base(1) });
  ben.people({ epoch: 1, members: PEOPLE });
  assert.ok(await opener.pass(await sealed(sealer, DELTA_FRAME, "delta")));
  assert.equal(asked, 1);
  assert.ok(await opener.pass(await sealed(sealer, KEY_FRAME, "key")));
  assert.ok(await opener.pass(await sealed(sealer, DELTA_FRAME, "delta")));
  assert.equal(asked, 1);
});

test("who has missed an epoch is told from who was never in one", async () => {
  const before = new Sealer(ring({ epochs: [2] }), "audio");
  const now = new Sealer(ring({ epochs: [3] }), "audio");
  const later = new Sealer(ring({ epochs: [5] }), "audio");
  const ben = new KeyRing();
  const opener = new Opener(ben, "audio", () => ANNE);
  await opener.pass(await sealed(new Sealer(new KeyRing(), "audio"), [1]));
  await opener.pass(await sealed(now, [1]));
  assert.equal(opener.stuck, false, "in no epoch yet");
  ben.install({ epoch: 3, baseKey: base(3) });
  ben.people({ epoch: 3, members: PEOPLE });
  await opener.pass(await sealed(before, [1]));
  assert.equal(opener.stuck, false, "from before we came, however late");
  await opener.pass(await sealed(later, [1]));
  assert.equal(opener.stuck, true, "commits are missing");
  const frame = await sealed(now, [1]);
  await opener.pass(copy(frame));
  assert.equal(opener.stuck, false);
  await opener.pass(frame);
  assert.equal(opener.stuck, false, "the same frame twice");
  await opener.pass(frameOf([...encodeHeader(kidOf(0, 0, 3), 9), ...new Array(16).fill(0)]));
  assert.equal(opener.stuck, true, "another key");
});

test("every frame is counted under what became of it", async () => {
  const sealer = new Sealer(ring(), "audio");
  const opener = new Opener(ring({ index: 1 }), "audio", () => ANNE);
  await opener.pass(await sealed(sealer, [1]));
  await opener.pass(frameOf([]));
  await opener.pass(frameOf([...encodeHeader(kidOf(0, 1, 1), 0), ...new Array(16).fill(0)]));
  await opener.pass(frameOf([...encodeHeader(kidOf(0, 0, 2), 0), ...new Array(16).fill(0)]));
  await opener.pass(frameOf([...encodeHeader(kidOf(0, 0, 1), 9), ...new Array(16).fill(0)]));
  const { ms, ...counts } = opener.counts;
  assert.deepEqual(counts, { seen: 5, opened: 1, malformed: 1, noKey: 1, wrongSender: 1, replayed: 0, forged: 1 });
  assert.ok(ms > 0);
  assert.deepEqual({ ...sealer.counts, ms: 0 }, { seen: 1, sealed: 1, failed: 0, ms: 0 });
  const gone = { get data() { throw new Error("the frame is gone"); } };
  assert.equal(await sealer.pass(gone), false);
  assert.equal(sealer.counts.failed, 1);
  assert.equal(await opener.pass(gone), false);
  assert.equal(opener.counts.malformed, 2);
});
