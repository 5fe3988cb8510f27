// Frames sealed and opened with a key ring.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Opener, Sealer } from "../../static/js/frames.js";
import { ANYBODY, KeyRing } from "../../static/js/key-ring.js";
import { decodeHeader, encodeHeader, kidOf } from "../../static/js/sframe.js";
import { ANNE, BEN, DELTA_FRAME, KEY_FRAME, NAME, PEOPLE, base, bytesOf, copy, frameOf, onTheWay, ring, sealed } from "./frame-kit.mjs";

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
  anne.generation(NAME).install({ epoch: 2, baseKey: base(2) });
  anne.generation(NAME).people({ epoch: 2, members: [PEOPLE[0], { seat: "carl", index: 1 }], own: 0 });
  assert.equal(await new Opener(anne, "camera", () => "carl").pass(copy(frame)), false);
  assert.ok(await new Opener(anne, "camera", () => BEN).pass(copy(frame)), "late frames of the one who left");
});

test("nothing of an epoch is opened before its people are known", async () => {
  const frame = await sealed(new Sealer(ring(), "audio"), [1]);
  const ben = new KeyRing();
  ben.generation(NAME).install({ epoch: 1, baseKey: base(1) });
  assert.equal(await new Opener(ben, "audio", () => ANNE).pass(copy(frame)), false);
  ben.generation(NAME).people({ epoch: 1, members: PEOPLE, own: 1 });
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

test("a key frame is asked for when frames open again that build on dropped ones", async () => {
  const anne = ring();
  const sealer = new Sealer(anne, "camera");
  const ben = new KeyRing();
  let asked = 0;
  const opener = new Opener(ben, "camera", () => ANNE, () => (asked += 1));
  assert.equal(await opener.pass(await sealed(sealer, DELTA_FRAME, "delta")), false);
  assert.equal(asked, 0);
  ben.generation(NAME).install({ epoch: 1, baseKey: base(1) });
  ben.generation(NAME).people({ epoch: 1, members: PEOPLE, own: 1 });
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
  ben.generation(NAME).install({ epoch: 3, baseKey: base(3) });
  ben.generation(NAME).people({ epoch: 3, members: PEOPLE, own: 1 });
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
