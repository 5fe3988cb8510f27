// The transport of a page, with connections that do as they are told and a clock of our own.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, mock, test } from "node:test";

import { Peer } from "../../static/js/peer.js";

/** @type {Connection[]} all that were made since the test began, oldest first */
let made = [];

let clock = 0; // of what connections count, milliseconds

/** A browser's connection: what it is offered has all m-lines; states, pictures and packets come when told to. */
class Connection {
  connectionState = "new";
  localDescription = null;
  closed = false;
  refuses = false;
  packets = 0;
  newest = undefined; // when the last of them came; not every browser tells
  looks = 0;
  offers = [];
  configurations = [];
  transceivers = [];

  constructor(configuration) {
    this.configurations.push(configuration);
    made.push(this);
  }

  setConfiguration(configuration) {
    this.configurations.push(configuration);
  }

  async setRemoteDescription({ sdp }) {
    if (this.refuses) throw new Error("no");
    this.offers.push(sdp);
    if (this.transceivers.length === 0) this.transceivers = Array.from({ length: 10 }, (_, mid) => new Transceiver(mid));
  }

  async setLocalDescription() {
    this.localDescription = { type: "answer", sdp: `answer to ${this.offers.at(-1)}` };
  }

  getTransceivers() {
    return this.closed ? [] : this.transceivers;
  }

  async getStats() {
    this.looks += 1;
    return new Map([
      ["p", { type: "candidate-pair", lastPacketReceivedTimestamp: this.newest }],
      ["t", { type: "transport", packetsReceived: this.packets, timestamp: clock }],
    ]);
  }

  close() {
    this.closed = true;
    this.connectionState = "closed";
  }

  becomes(state) {
    this.connectionState = state;
    this.onconnectionstatechange();
  }

  /** So many packets arrive, now. */
  hears(packets) {
    this.packets += packets;
    this.newest = clock;
  }

  /** More pictures, or packets of sound, arrive on these m-lines. */
  brings(...mids) {
    for (const mid of mids) this.transceivers[mid].count += 1;
  }

  sends(mid) {
    return this.transceivers[mid].sender.track;
  }
}

class Transceiver {
  direction = "recvonly";
  count = 0;

  constructor(mid) {
    this.mid = String(mid);
    const kind = mid === 0 || (mid >= 3 && mid % 2 === 1 && mid !== 9) ? "audio" : "video";
    this.sender = {
      track: null,
      bitrate: null,
      replaceTrack: async (track) => void (this.sender.track = track),
      getParameters: () => ({ encodings: [{}] }),
      setParameters: async ({ encodings }) => void (this.sender.bitrate = encodings[0].maxBitrate),
    };
    this.receiver = {
      track: { kind },
      getStats: async () =>
        new Map([["in", { type: "inbound-rtp", kind, framesDecoded: this.count, packetsReceived: this.count }]]),
    };
  }
}

globalThis.window = globalThis;
globalThis.RTCPeerConnection = Connection;
globalThis.MediaStream = class {
  constructor(tracks) {
    this.tracks = tracks;
  }
};

beforeEach(() => {
  made = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Let time pass, and what it sets off happen. */
async function pass(milliseconds) {
  for (let at = 0; at < milliseconds; at += 50) {
    clock += 50;
    mock.timers.tick(50);
    await settled();
  }
}

function play() {
  const seen = { answers: [], troubles: [], silent: [], states: [], tracks: 0, strange: 0 };
  const peer = new Peer({
    onAnswer: (sdp) => seen.answers.push(sdp),
    onTrouble: ({ silent, ...trouble }) => {
      seen.troubles.push(trouble);
      seen.silent.push(silent);
    },
    onState: (state) => seen.states.push(state),
    onTracks: () => (seen.tracks += 1),
    onStrange: () => (seen.strange += 1),
  });
  peer.protect(null);
  return { peer, seen };
}

async function connected() {
  const stage = play();
  await stage.peer.offer({ type: "offer", sdp: "one", restart: false });
  made[0].becomes("connected");
  await settled();
  return stage;
}

const report = (more) => ({ microphone: "mic", camera: "cam", cameraOn: true, ...more });

test("one offer makes one connection, answered once, with our tracks on the first three lines", async () => {
  const { peer, seen } = play();
  peer.follow(report());
  await peer.offer({ type: "offer", sdp: "one", restart: false, "ice-servers": [{ urls: ["turns:here"] }] });
  assert.equal(made.length, 1);
  assert.deepEqual(made[0].configurations[0].iceServers.map(({ urls }) => urls), [["turns:here"]]);
  assert.deepEqual(seen.answers, ["answer to one"]);
  assert.deepEqual([0, 1, 2].map((mid) => made[0].sends(mid)), ["mic", "cam", null]);
  assert.deepEqual(made[0].transceivers.map(({ direction }) => direction === "sendonly"), [
    ...[true, true, true],
    ...Array(7).fill(false),
  ]);
  assert.equal(made[0].transceivers[1].sender.bitrate, 1_700_000);
  made[0].becomes("connected");
  assert.deepEqual(seen.states, ["connecting", "connected"]);
});

test("a restart keeps the connection, with the servers of the new offer", async () => {
  const { peer, seen } = await connected();
  made[0].becomes("failed");
  await peer.offer({ type: "offer", sdp: "two", restart: true, "ice-servers": [{ urls: ["turn:there"] }] });
  assert.equal(made.length, 1);
  assert.equal(made[0].closed, false);
  assert.deepEqual(made[0].configurations[1].iceServers.map(({ urls }) => urls), [["turn:there"]]);
  assert.deepEqual(seen.answers, ["answer to one", "answer to two"]);
});

test("a restart of nothing makes a connection", async () => {
  const { peer, seen } = play();
  await peer.offer({ type: "offer", sdp: "one", restart: true });
  assert.equal(made.length, 1);
  assert.deepEqual(seen.answers, ["answer to one"]);
});

test("a connection that heals by itself is no trouble", async () => {
  const { seen } = await connected();
  made[0].becomes("disconnected");
  await pass(900);
  made[0].becomes("connected");
  await pass(10_000);
  assert.deepEqual(seen.troubles, []);
  assert.deepEqual(seen.states, ["connecting", "connected"]);
});

test("trouble asks for a restart, again while it lasts, and for a new transport after two", async () => {
  const { peer, seen } = await connected();
  made[0].becomes("disconnected");
  await pass(1_000);
  assert.equal(peer.state, "broken");
  assert.deepEqual(seen.troubles, [{ fresh: false, unanswered: false }]);
  await pass(3_000);
  assert.deepEqual(seen.troubles.at(-1), { fresh: false, unanswered: true });
  await peer.offer({ type: "offer", sdp: "two", restart: true });
  await pass(3_000);
  assert.deepEqual(seen.troubles.at(-1), { fresh: true, unanswered: false });
  await peer.offer({ type: "offer", sdp: "three", restart: false });
  assert.deepEqual(made.map(({ closed }) => closed), [true, false], "what is broken is not kept beside the new one");
  made[1].becomes("connected");
  await pass(10_000);
  assert.equal(seen.troubles.length, 3);
  made[1].becomes("failed");
  assert.deepEqual(seen.troubles.at(-1), { fresh: false, unanswered: false }, "success began the count anew");
});

test("a way that falls silent while others are heard is dead, long before the browser says so", async () => {
  const { peer, seen } = await connected();
  for (let second = 0; second < 3; second += 1) {
    made[0].hears(100);
    await pass(1_000);
  }
  await pass(200);
  assert.deepEqual(seen.troubles, []);
  const { looks } = made[0];
  await pass(50);
  assert.deepEqual(seen.troubles, [{ fresh: false, unanswered: false }]);
  assert.equal(peer.state, "broken");
  assert.equal(made[0].looks, looks + 1, "it was looked once more, when it was due");
  made[0].packets += 1;
  await pass(1_000);
  assert.equal(peer.state, "connected", "it heals also without the browser's noticing anything");
  await pass(10_000);
  assert.equal(seen.troubles.length, 1, "reports alone may come seldom");
});

test("a way that falls silent just after a look is noticed too", async () => {
  const { seen } = await connected();
  made[0].hears(100);
  await pass(1_000);
  made[0].hears(5); // and then nothing any more
  await pass(1_200);
  assert.deepEqual(seen.troubles, []);
  await pass(50);
  assert.deepEqual(seen.troubles, [{ fresh: false, unanswered: false }]);
});

test("a browser that does not tell when a packet came is taken to have got it when it was looked", async () => {
  for (const newest of [undefined, -60_000]) {
    made = [];
    const { peer, seen } = await connected();
    made[0].packets += 100;
    if (newest) made[0].newest = clock + newest;
    await pass(500 + 1_200);
    assert.deepEqual(seen.troubles, []);
    await pass(50);
    assert.deepEqual(seen.troubles, [{ fresh: false, unanswered: false }]);
    peer.close();
  }
});

test("to those whom the others have left a report may be lost, and the next be late", async () => {
  for (let last = 0; last < 500; last += 50) {
    made = [];
    const { peer, seen } = await connected();
    await pass(last);
    made[0].hears(100);
    await pass(1_200);
    made[0].hears(1);
    await pass(1_200);
    made[0].hears(1);
    await pass(5_000);
    assert.deepEqual(seen.troubles, []);
    peer.close();
  }
});

test("while all goes well it is looked twice a second, and hardly more often when nothing comes", async () => {
  const { peer } = await connected();
  const first = made[0].looks;
  for (let at = 0; at < 5_000; at += 50) {
    made[0].hears(5);
    await pass(50);
  }
  assert.equal(made[0].looks - first, 10);
  await pass(5_000);
  assert.equal(peer.state, "broken");
  assert.ok(made[0].looks - first <= 10 + 10 + 2);
  const { looks } = made[0];
  peer.close();
  await pass(5_000);
  assert.equal(made[0].looks, looks);
});

test("after some have gone, the few packets that go on may come seldom", async () => {
  const { seen } = await connected();
  for (const packets of [100, 5, 5]) {
    made[0].packets += packets;
    await pass(1_000);
  }
  await pass(10_000);
  assert.deepEqual(seen.troubles, []);
});

/** A page whose way fell silent: a restart has been asked for. */
async function silent() {
  const stage = await connected();
  await pass(250);
  made[0].hears(100);
  await pass(1_250);
  assert.deepEqual(stage.seen.troubles, [{ fresh: false, unanswered: false }]);
  return stage;
}

test("a dead way with a dead socket is asked for again after three seconds, and then for a new one", async () => {
  const { seen } = await silent();
  await pass(2_950);
  assert.equal(seen.troubles.length, 1);
  await pass(50);
  assert.deepEqual(seen.troubles[1], { fresh: false, unanswered: true });
  await pass(3_000);
  assert.deepEqual(seen.troubles[2], { fresh: true, unanswered: true });
});

test("what carries again when the next request is due is let be, looked at or not", async () => {
  const { peer, seen } = await silent();
  await pass(2_950);
  made[0].packets += 1; // the next look and the next request come in the same instant
  await pass(50);
  assert.equal(peer.state, "connected");
  await pass(10_000);
  assert.equal(seen.troubles.length, 1);
});

test("while packets arrive, neither the socket nor the transport is given up for a browser slow to notice", async () => {
  const { peer, seen } = await silent();
  await pass(2_500);
  made[0].becomes("disconnected");
  for (let n = 0; n < 40; n += 1) {
    made[0].packets += 5;
    await pass(100);
  }
  assert.deepEqual(seen.troubles.slice(1), Array(2).fill({ fresh: false, unanswered: false }));
  assert.deepEqual(seen.silent, [true, false, false], "so the server's answer is not waited for in haste");
  await pass(3_000);
  assert.deepEqual(seen.troubles.at(-1), { fresh: true, unanswered: true }, "as soon as nothing arrives any more");
  assert.equal(peer.state, "broken");
});

test("a request is unanswered after three seconds, not when the browser notices the same trouble", async () => {
  const { seen } = await silent();
  await pass(500);
  made[0].becomes("disconnected");
  await pass(1_500);
  made[0].becomes("failed");
  await pass(950);
  assert.equal(seen.troubles.length, 1);
  await pass(50);
  assert.deepEqual(seen.troubles[1], { fresh: false, unanswered: true });
});

test("a restart that did not help is followed by another as soon as the browser gives up", async () => {
  const { peer, seen } = await silent();
  await peer.offer({ type: "offer", sdp: "two", restart: true });
  made[0].becomes("failed");
  assert.deepEqual(seen.troubles[1], { fresh: false, unanswered: false });
});

test("a restart that arrives when everything carries again is not begun", async () => {
  const { peer, seen } = await silent();
  made[0].packets += 1;
  await pass(1_000);
  assert.equal(peer.state, "connected");
  await peer.offer({ type: "offer", sdp: "two", restart: true });
  assert.deepEqual([made[0].offers, seen.answers], [["one"], ["answer to one"]]);
  peer.doubt();
  peer.reassure();
  await peer.offer({ type: "offer", sdp: "three", restart: true });
  assert.deepEqual(seen.answers, ["answer to one", "answer to three"], "one that was asked for in doubt is");
  await peer.offer({ type: "offer", sdp: "four", restart: false });
  assert.deepEqual(made.length, 2, "and a new transport always: the server has none any more");
});

test("a transport is kept if it carries at this moment, whatever was found before", async () => {
  const { peer, seen } = await silent();
  assert.equal(await peer.carries(), false);
  await pass(500);
  made[0].packets += 1;
  assert.equal(peer.state, "broken", "nobody has looked yet");
  assert.equal(await peer.carries(), true);
  assert.equal(peer.state, "connected");
  await pass(10_000);
  assert.equal(seen.troubles.length, 1);
  peer.close();
  assert.equal(await peer.carries(), false);
});

test("a transport is kept that brings packets before the browser has noticed, not one that only begins", async () => {
  const { peer } = await connected();
  made[0].becomes("disconnected");
  await pass(1_000);
  assert.equal(await peer.carries(), false);
  made[0].packets += 1;
  assert.equal(await peer.carries(), true);
  await peer.offer({ type: "offer", sdp: "two", restart: false });
  made[1].becomes("connecting");
  made[1].packets += 3; // of the handshake
  assert.equal(await peer.carries(), false);
});

test("a page that is held up itself takes nobody for silent", async () => {
  const { seen } = await connected();
  made[0].packets += 100;
  await pass(1_000);
  clock -= 5_000; // it looks five times, all at the same instant of what was counted
  await pass(5_000);
  assert.deepEqual(seen.troubles, []);
});

test("whoever hears nobody is not alarmed by silence", async () => {
  const { seen } = await connected();
  made[0].packets += 5;
  await pass(20_000);
  assert.deepEqual(seen.troubles, []);
});

test("after the network has changed new ways are asked for, once, as soon as the server is there", async () => {
  const { peer, seen } = await connected();
  peer.reassure();
  assert.deepEqual(seen.troubles, []);
  peer.doubt();
  peer.reassure();
  peer.reassure();
  assert.deepEqual(seen.troubles, [{ fresh: false, unanswered: false }]);
  assert.equal(peer.state, "connected", "the old way may work as before");
  peer.close();
  peer.doubt();
  peer.reassure();
  assert.equal(seen.troubles.length, 1);
});

test("while the page knows that its network went, silence says nothing of the transport", async () => {
  const { peer, seen } = await connected();
  made[0].hears(100);
  await pass(500);
  peer.doubt();
  await pass(3_000);
  assert.equal(await peer.carries(), true, "it is to be kept");
  assert.deepEqual(seen.troubles, []);
  peer.reassure();
  assert.equal(seen.troubles.length, 1);
  await pass(500);
  assert.equal(peer.state, "broken", "the server is there, and nothing comes");
});

test("another network is looked for again and again until something comes over it", async () => {
  for (const [comesAfter, asked] of [[0, 1], [2_000, 3], [60_000, 6]]) {
    made = [];
    const { peer, seen } = await connected();
    peer.doubt();
    peer.reassure();
    for (let at = 0, offered = 0; at < 6_000; at += 50) {
      if (seen.troubles.length > offered) {
        offered += 1;
        await peer.offer({ type: "offer", sdp: `another ${offered}`, restart: true });
      }
      await pass(50);
      if (at >= comesAfter && at % 500 === 0) made[0].packets += 1; // to who is alone, reports
    }
    assert.deepEqual(seen.troubles, Array(asked).fill({ fresh: false, unanswered: false }));
    peer.close();
  }
});

test("a network that the browser knows only now has its time before it is asked for another way", async () => {
  const { peer, seen } = await connected();
  peer.doubt();
  peer.reassure();
  await peer.offer({ type: "offer", sdp: "two", restart: true });
  await pass(700);
  made[0].onicecandidate();
  await pass(750);
  assert.equal(seen.troubles.length, 1);
  await pass(50);
  assert.equal(seen.troubles.length, 2);
});

test("a new transport, or its end, ends the doubt", async () => {
  for (const ends of [(peer) => peer.close(), (peer) => peer.offer({ type: "offer", sdp: "new", restart: false })]) {
    const { peer, seen } = await connected();
    peer.doubt();
    peer.reassure();
    await peer.offer({ type: "offer", sdp: "two", restart: true });
    await ends(peer);
    await pass(2_000);
    assert.equal(seen.troubles.length, 1);
    peer.close();
  }
});

test("an offer that cannot be taken asks for a new transport, and the next one is", async () => {
  const { peer, seen } = await connected();
  made[0].becomes("failed");
  made[0].refuses = true;
  await peer.offer({ type: "offer", sdp: "two", restart: true });
  assert.deepEqual(seen.troubles.slice(1), [{ fresh: true, unanswered: false }]);
  await peer.offer({ type: "offer", sdp: "three", restart: false });
  assert.deepEqual(seen.answers, ["answer to one", "answer to three"]);
});

test("a camera that is turned off is sent black for a second, and then not at all", async () => {
  const { peer } = await connected();
  peer.follow(report());
  await settled();
  peer.follow(report({ cameraOn: false }));
  await pass(950);
  assert.equal(made[0].sends(1), "cam");
  await pass(50);
  assert.equal(made[0].sends(1), null);
  assert.equal(made[0].sends(0), "mic");
});

test("a camera that is turned on again at once is never missing", async () => {
  const { peer } = await connected();
  peer.follow(report());
  peer.follow(report({ cameraOn: false }));
  await pass(500);
  peer.follow(report());
  await pass(2_000);
  assert.equal(made[0].sends(1), "cam");
});

test("a weak link holds the camera back, then the screen, never the sound; also on a new connection", async () => {
  const { peer } = await connected();
  peer.follow(report());
  await peer.setLocal("screen", "slides");
  const sent = () => [0, 1, 2].map((mid) => made.at(-1).sends(mid));
  peer.keepTo("screen");
  await settled();
  assert.deepEqual(sent(), ["mic", null, "slides"]);
  peer.keepTo("sound");
  await settled();
  assert.deepEqual(sent(), ["mic", null, null]);
  await peer.offer({ type: "offer", sdp: "two", restart: false });
  assert.deepEqual(sent(), ["mic", null, null]);
  peer.keepTo("all");
  await settled();
  assert.deepEqual(sent(), ["mic", "cam", "slides"]);
});

test("a picture moves while frames come, and has stopped after three looks without one", async () => {
  const { peer, seen } = await connected();
  assert.equal(peer.slot(0).moving, false);
  made[0].brings(4);
  await pass(1_000);
  assert.equal(peer.slot(0).moving, true);
  assert.equal(peer.slot(1).moving, false);
  const told = seen.tracks;
  await pass(2_000);
  assert.equal(peer.slot(0).moving, true);
  await pass(1_000);
  assert.equal(peer.slot(0).moving, false);
  assert.equal(seen.tracks, told + 1);
});

test("a screen is shown while it moves", async () => {
  const { peer } = await connected();
  assert.equal(peer.screen, null);
  made[0].brings(9);
  await pass(1_000);
  assert.deepEqual(peer.screen.tracks, [made[0].transceivers[9].receiver.track]);
});

// ---- the room moves: a new transport beside one that still carries --------------------------------------------

/** Which connection the page shows what of: its video of the first slot. */
const shown = (peer) => made.findIndex(({ transceivers }) => transceivers[4]?.receiver.track === peer.slot(0).video?.tracks[0]);

async function moving() {
  const stage = await connected();
  made[0].brings(3, 4, 5, 6);
  await pass(1_000);
  await stage.peer.offer({ type: "offer", sdp: "two", restart: false });
  return stage;
}

test("a transport that carries is shown until the new one brings all that it did", async () => {
  const { peer, seen } = await moving();
  assert.deepEqual(seen.answers, ["answer to one", "answer to two"]);
  assert.equal(shown(peer), 0);
  assert.equal(made[0].closed, false);
  made[1].becomes("connected");
  made[1].brings(3, 4, 5);
  await pass(200);
  assert.equal(shown(peer), 0, "one picture is missing still");
  made[1].brings(6);
  await pass(50);
  assert.equal(shown(peer), 1);
  assert.equal(peer.slot(1).moving, true, "and no picture goes out meanwhile");
  assert.equal(made[0].closed, false, "the others may need what it sends for a moment more");
  await pass(2_000);
  assert.deepEqual(made.map(({ closed }) => closed), [true, false]);
  assert.deepEqual(seen.states, ["connecting", "connected"], "nobody is told of an interruption");
  assert.deepEqual(seen.troubles, []);
});

test("a transport that has fallen silent is not kept beside the new one, though the browser has not noticed", async () => {
  const { peer } = await silent();
  assert.equal(made[0].connectionState, "connected");
  await peer.offer({ type: "offer", sdp: "two", restart: false });
  assert.deepEqual(made.map(({ closed }) => closed), [true, false]);
  assert.equal(shown(peer), 1, "with whatever comes first");
  made[1].becomes("connected");
  assert.equal(peer.state, "connected");
});

test("what is still missing three seconds after the first picture is not waited for", async () => {
  const { peer } = await moving();
  made[1].becomes("connected");
  made[1].brings(4);
  await pass(3_000);
  assert.equal(shown(peer), 0);
  await pass(100);
  assert.equal(shown(peer), 1);
});

test("when the former transport ends, the new one is shown as it is", async () => {
  const { peer, seen } = await moving();
  made[0].becomes("disconnected");
  assert.equal(shown(peer), 1);
  assert.equal(peer.state, "connecting");
  made[1].becomes("connected");
  assert.equal(peer.state, "connected");
  assert.deepEqual(seen.troubles, [], "what ended was not needed any more");
});

test("devices and weak links are followed on both transports while there are two", async () => {
  const { peer } = await moving();
  peer.follow(report());
  await settled();
  assert.deepEqual(made.map((pc) => pc.sends(1)), ["cam", "cam"]);
  peer.keepTo("sound");
  await settled();
  assert.deepEqual(made.map((pc) => pc.sends(1)), [null, null]);
});

test("a second new transport replaces the first; the one that carries stays", async () => {
  const { peer } = await moving();
  await peer.offer({ type: "offer", sdp: "three", restart: false });
  assert.deepEqual(made.map(({ closed }) => closed), [false, true, false]);
  assert.equal(shown(peer), 0);
  made[2].becomes("connected");
  made[2].brings(3, 4, 5, 6);
  await pass(2_050);
  assert.equal(shown(peer), 2);
  assert.deepEqual(made.map(({ closed }) => closed), [true, true, false]);
});

test("closing ends all there are, at once and for good", async () => {
  const { peer, seen } = await moving();
  peer.close();
  peer.close();
  assert.deepEqual(made.map(({ closed }) => closed), [true, true]);
  assert.equal(peer.state, "none");
  assert.equal(peer.slot(0).video, null);
  const told = seen.tracks;
  await pass(10_000);
  assert.deepEqual(seen.troubles, []);
  assert.equal(seen.tracks, told);
});

test("where a visit is sealed, an offer that asks for anything else than our server does makes no transport", async () => {
  const { peer, seen } = play();
  const transform = () => ({ id: 1, transform: {} });
  peer.protect({ ready: Promise.resolve(), sealer: transform, opener: transform, counts: async () => ({}) });
  const { lines } = JSON.parse(readFileSync(new URL("../vectors/offer.json", import.meta.url), "utf8"));
  const ours = lines.join("\r\n") + "\r\n";
  await peer.offer({ type: "offer", sdp: ours.replace(";cbr=1", ""), restart: false });
  assert.deepEqual([made.length, seen.strange, seen.answers.length, seen.troubles.length], [0, 1, 0, 0]);
  await peer.offer({ type: "offer", sdp: ours, restart: false });
  assert.deepEqual([made.length, seen.strange, seen.answers.length], [1, 1, 1]);
  await peer.offer({ type: "offer", sdp: ours.replace("useinbandfec", "usedtx=1;useinbandfec"), restart: true });
  assert.deepEqual([made[0].offers.length, seen.strange, seen.answers.length], [1, 2, 1], "nor does it change one");
  peer.close();
});

test("no offer is answered before it was said whether the visit is encrypted", async () => {
  const seen = { answers: 0, troubles: 0 };
  const peer = new Peer({
    onAnswer: () => (seen.answers += 1),
    onTrouble: () => (seen.troubles += 1),
    onState: () => {},
    onTracks: () => {},
  });
  await peer.offer({ type: "offer", sdp: "first", restart: false });
  assert.deepEqual(seen, { answers: 0, troubles: 1 });
  assert.equal(made.length, 0);
  peer.protect(null);
  await peer.offer({ type: "offer", sdp: "second", restart: false });
  assert.equal(seen.answers, 1);
  peer.close();
  await peer.offer({ type: "offer", sdp: "third", restart: false });
  assert.deepEqual(seen, { answers: 1, troubles: 2 }, "what was said held until the end");
  assert.equal(made.length, 1);
  peer.close();
});

test("what is closed while an offer waits for the keys' worker stays closed", async () => {
  const { peer, seen } = play();
  let loaded = () => {};
  const ready = new Promise((resolve) => (loaded = resolve));
  peer.protect({ ready, counts: async () => ({}) });
  const answered = peer.offer({ type: "offer", sdp: "first", restart: false });
  await settled();
  peer.close();
  loaded();
  await answered;
  assert.equal(made.length, 0);
  assert.deepEqual([seen.answers, seen.troubles], [[], []]);
});
