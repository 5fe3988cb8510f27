// What stands between a track and the wire, with senders, workers and a clock that do as they are told.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Guard } from "../../static/js/guard.js";

let blacks = 0; // black pictures that are being drawn

class Track {
  stopped = false;
  enabled = true;

  constructor(name) {
    this.name = name;
  }

  clone() {
    return new Track(`${this.name} again`);
  }

  stop() {
    if (this.name === "black" && !this.stopped) blacks -= 1;
    this.stopped = true;
  }
}

class Sender {
  track = null;
  transform = null;
  packets = 0;
  frames = 0;
  whole = 0; // pictures that were to be whole

  constructor(kind) {
    this.kind = kind;
  }

  async replaceTrack(track) {
    this.track = track;
  }

  getParameters() {
    return { encodings: [{}] };
  }

  async setParameters({ encodings }, { encodingOptions }) {
    assert.equal(encodings.length, encodingOptions.length);
    if (encodingOptions[0].keyFrame) this.whole += 1;
    if (this.refuses) throw new Error("InvalidModificationError");
  }

  async getStats() {
    return new Map([["out", { type: "outbound-rtp", kind: this.kind, packetsSent: this.packets, framesEncoded: this.frames }]]);
  }
}

class Connection {
  connectionState = "connected";
  signalingState = "stable";
  senders = [new Sender("audio"), new Sender("video"), new Sender("video")];
  receivers = Array.from({ length: 10 }, (_, mid) => ({
    transform: null,
    track: { kind: mid >= 3 && mid % 2 === 1 && mid !== 9 ? "audio" : "video" },
  }));

  getTransceivers() {
    return this.receivers.map((receiver, mid) => ({ mid: String(mid), sender: this.senders[mid] ?? new Sender("audio"), receiver }));
  }

  close() {
    this.connectionState = this.signalingState = "closed";
  }
}

class FakeKeys {
  ready = Promise.resolve();
  firsts = [];
  seen = {};
  made = [];
  counts = async () => Object.fromEntries(Object.entries(this.seen).map(([id, seen]) => [id, { seen }]));

  sealer(mid, context, onFirst) {
    this.firsts.push(onFirst);
    const id = this.made.push(`seals ${context} ${mid}`);
    this.seen[id] = 0;
    return { id, transform: this.made[id - 1] };
  }

  opener(mid, context) {
    const id = this.made.push(`opens ${context} ${mid}`);
    return { id, transform: this.made[id - 1] };
  }
}

globalThis.window = globalThis;
globalThis.document = {
  createElement: () => ({
    getContext: () => ({ fillRect() {} }),
    captureStream: () => {
      blacks += 1;
      return { getVideoTracks: () => [new Track("black")] };
    },
  }),
};

beforeEach(() => {
  blacks = 0;
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

async function pass(milliseconds) {
  for (let at = 0; at < milliseconds; at += 25) {
    mock.timers.tick(25);
    await settled();
  }
}

const MICROPHONE = new Track("microphone");
const CAMERA = new Track("camera");

/** A guard with one connection, which asks what to send whenever that may have changed. */
function play() {
  const keys = new FakeKeys();
  const pc = new Connection();
  const seen = { changed: [], clear: 0 };
  const guard = new Guard(keys, { onChange: (source) => seen.changed.push(source), onClear: () => (seen.clear += 1) });
  guard.attach(pc);
  const out = () =>
    [guard.outgoing(pc.senders[0], "audio", MICROPHONE), guard.outgoing(pc.senders[1], "camera", CAMERA)].map((track) => track?.name ?? null);
  return { keys, pc, guard, seen, out };
}

/** All that has to be, for a sender's real track to go on. */
function prove({ keys, pc }, number) {
  pc.senders[number].packets = 1;
  keys.firsts[number]();
}

test("every sender and receiver gets its transform in the call itself", () => {
  const { keys, pc } = play();
  assert.deepEqual(
    pc.senders.map(({ transform }) => transform),
    ["seals audio 0", "seals camera 1", "seals screen 2"],
  );
  assert.deepEqual(
    pc.receivers.slice(3).map(({ transform }) => transform),
    ["opens audio 3", "opens camera 4", "opens audio 5", "opens camera 6", "opens audio 7", "opens camera 8", "opens screen 9"],
  );
  assert.equal(keys.made.length, 10);
});

test("black and silence go out until the room is open and the sender proven", async () => {
  for (const order of [["open", "prove"], ["prove", "open"]]) {
    const at = play();
    assert.deepEqual(at.out(), ["microphone again", "black"]);
    for (const step of order) {
      assert.deepEqual(at.out(), ["microphone again", "black"], `before ${step}`);
      if (step === "open") assert.equal(at.guard.setOpen(true), true);
      else for (const number of [0, 1]) prove(at, number);
      await pass(100);
    }
    assert.deepEqual(at.out(), ["microphone", "camera"]);
    assert.deepEqual(at.seen.changed.sort(), ["audio", "camera"]);
    assert.equal(at.guard.setOpen(true), false);
    at.guard.setOpen(false);
    assert.deepEqual(at.out(), ["microphone again", "black"]);
    at.guard.close();
    assert.equal(blacks, 0);
  }
});

test("the silence in the place of a microphone is a disabled track, and is stopped when it is not needed", async () => {
  const at = play();
  const silence = at.guard.outgoing(at.pc.senders[0], "audio", MICROPHONE);
  assert.equal(silence.enabled, false);
  assert.equal(at.guard.outgoing(at.pc.senders[0], "audio", MICROPHONE), silence);
  const other = at.guard.outgoing(at.pc.senders[0], "audio", new Track("another microphone"));
  assert.ok(silence.stopped);
  at.guard.outgoing(at.pc.senders[0], "audio", null);
  assert.ok(other.stopped);
});

test("a sealed frame without a packet that left proves nothing, and neither does a packet without a frame", async () => {
  const at = play();
  at.guard.setOpen(true);
  at.pc.senders[0].packets = 5;
  at.keys.firsts[1]();
  await pass(500);
  assert.deepEqual(at.out(), ["microphone again", "black"]);
  at.pc.senders[1].packets = 1;
  await pass(50);
  assert.deepEqual(at.out(), ["microphone again", "camera"]);
  at.keys.firsts[0]();
  await pass(25);
  assert.deepEqual(at.out(), ["microphone", "camera"]);
});

test("a transport that is not up is asked again when it is", async () => {
  const at = play();
  at.guard.setOpen(true);
  at.pc.connectionState = "connecting";
  at.keys.firsts[1]();
  await pass(200);
  at.pc.connectionState = "connected";
  at.pc.senders[1].packets = 1;
  await pass(200);
  assert.deepEqual(at.out(), ["microphone again", "black"]);
  at.guard.connected();
  await pass(25);
  assert.deepEqual(at.out(), ["microphone again", "camera"]);
});

test("each connection has to prove itself, and a closed one is forgotten", async () => {
  const at = play();
  at.guard.setOpen(true);
  prove(at, 1);
  await pass(25);
  const second = new Connection();
  at.guard.attach(second);
  assert.equal(at.guard.outgoing(second.senders[1], "camera", CAMERA).name, "black");
  assert.equal(at.guard.outgoing(at.pc.senders[1], "camera", CAMERA).name, "camera");
  second.senders[1].packets = 1;
  at.keys.firsts[4]();
  await pass(25);
  assert.equal(at.guard.outgoing(second.senders[1], "camera", CAMERA).name, "camera");
  at.pc.close();
  second.senders[1].frames = 1;
  await pass(1_000);
  assert.equal(at.guard.outgoing(at.pc.senders[1], "camera", CAMERA).name, "black", "nothing is known of it any more");
  assert.equal(at.seen.clear, 0);
});

test("frames that left and the worker never saw end everything, for good", async () => {
  for (const [number, what] of [[0, "packets"], [1, "frames"], [2, "frames"]]) {
    const at = play();
    at.guard.setOpen(true);
    for (const sender of [0, 1, 2]) prove(at, sender);
    await pass(25);
    await at.pc.senders[number].replaceTrack(CAMERA);
    at.pc.senders[number][what] = 11 + at.keys.seen[number + 1];
    await pass(2_000);
    assert.equal(at.seen.clear, 1);
    assert.ok(at.pc.senders.every(({ track }) => track === null));
    assert.deepEqual(at.out(), [null, null]);
    assert.equal(blacks, 0);
    at.guard.attach(new Connection());
    at.guard.setOpen(false);
    assert.deepEqual(at.out(), [null, null]);
    at.guard.close();
  }
});

test("frames on their way to a busy worker are no alarm", async () => {
  const at = play();
  at.guard.setOpen(true);
  for (let second = 1; second <= 5; second += 1) {
    at.pc.senders[1].frames = 30 * second;
    await pass(900);
    at.keys.seen[2] = 30 * second - 9; // all but a few, and a second late
    await pass(100);
  }
  assert.equal(at.seen.clear, 0);
  at.pc.senders[1].frames += 30;
  await pass(2_000);
  assert.equal(at.seen.clear, 1);
});

test("no answer of the worker is no alarm either", async () => {
  const at = play();
  let answer = () => {};
  at.keys.counts = () => new Promise((resolve) => (answer = resolve));
  at.pc.senders[1].frames = 30;
  await pass(5_000);
  assert.equal(at.seen.clear, 0);
  answer({ 2: { seen: 30 } });
  await pass(100);
  assert.equal(at.seen.clear, 0);
});

test("a new worker gets every sender and receiver after the real tracks were taken off", async () => {
  const at = play();
  at.guard.setOpen(true);
  for (const number of [0, 1]) prove(at, number);
  await pass(25);
  assert.deepEqual(at.out(), ["microphone", "camera"]);
  at.seen.changed = [];
  const made = at.keys.made.length;
  at.keys.onReplaced();
  assert.deepEqual(at.seen.changed.sort(), ["audio", "camera", "screen"]);
  assert.equal(at.keys.made.length, made + 10);
  assert.deepEqual(at.out(), ["microphone again", "black"]);
  at.keys.firsts[4]();
  await pass(25);
  assert.deepEqual(at.out(), ["microphone again", "black"], "that packets left before proves nothing");
  at.pc.senders[1].packets += 1;
  await pass(25);
  assert.deepEqual(at.out(), ["microphone again", "camera"]);
});

for (const isSealed of [true, false]) {
  const what = isSealed ? "it has seen are no alarm, however many left before" : "it never saw end everything";
  test(`with a new worker, frames that ${what}`, async () => {
    const at = play();
    at.guard.setOpen(true);
    const [sound, picture] = at.pc.senders;
    for (const number of [0, 1]) prove(at, number);
    const second = async (before) => {
      sound.packets += 50;
      picture.frames += 30;
      at.keys.seen[before + 1] += 50;
      if (isSealed || before === 0) at.keys.seen[before + 2] += 30;
      await pass(1_000);
    };
    for (let seconds = 0; seconds < 5; seconds += 1) await second(0);
    const made = at.keys.made.length;
    at.keys.onReplaced();
    for (let seconds = 0; seconds < 4; seconds += 1) await second(made);
    assert.equal(at.seen.clear, isSealed ? 0 : 1);
    at.guard.close();
  });
}

test("who has just come gets whole pictures of what is sent; no sound is asked for, and no track that is not there", async () => {
  const { keys, pc } = play();
  const [audio, camera, screen] = pc.senders;
  audio.track = camera.track = new Track("camera");
  keys.onNewcomers();
  camera.refuses = true; // somebody else sets them at this moment
  keys.onNewcomers();
  await settled();
  assert.deepEqual([audio, camera, screen].map(({ whole }) => whole), [0, 2, 0]);
});
