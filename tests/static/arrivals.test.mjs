// Which pictures move over a transport, as the frames that a browser counts tell.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Arrivals, packetsOf } from "../../static/js/arrivals.js";

/** A connection that receives a picture (mid 4) and a voice (mid 3), which come when told to. */
function play() {
  const count = { 3: 0, 4: 0 };
  const receiver = (mid, kind) => ({
    track: { kind },
    getStats: async () =>
      new Map([["in", { type: "inbound-rtp", kind, framesDecoded: count[mid], packetsReceived: count[mid] }]]),
  });
  const pc = {
    connectionState: "connected",
    getTransceivers: () => [
      { mid: "3", receiver: receiver(3, "audio") },
      { mid: "4", receiver: receiver(4, "video") },
    ],
    getStats: async () => new Map([["t", { type: "transport", packetsReceived: 7, timestamp: 5 }]]),
  };
  const arrivals = new Arrivals(pc);
  return { pc, count, arrivals, look: () => arrivals.look(["3", "4", "5"]) };
}

test("a picture moves from its first frame until six looks have seen none", async () => {
  const { count, arrivals, look } = play();
  assert.equal(await look(), false);
  assert.equal(arrivals.moves("4"), false);
  count[4] = 1;
  assert.equal(await look(), true);
  assert.deepEqual([arrivals.moves("4"), arrivals.moving], [true, ["4"]]);
  for (let looks = 0; looks < 5; looks += 1) assert.equal(await look(), false);
  assert.equal(await look(), true);
  assert.deepEqual([arrivals.moves("4"), arrivals.has("4"), arrivals.moving], [false, true, []]);
});

test("a voice is counted, and no picture begins with it", async () => {
  const { count, arrivals, look } = play();
  count[3] = 50;
  assert.equal(await look(), false);
  assert.deepEqual(arrivals.moving, ["3"]);
});

test("what ever came is taken to move when it is shown anew, what never came is not", async () => {
  const { count, arrivals, look } = play();
  count[4] = 1;
  for (let looks = 0; looks < 7; looks += 1) await look();
  arrivals.refresh();
  assert.deepEqual(arrivals.moving, ["4"]);
});

test("of a closed connection nothing is asked", async () => {
  const { pc } = play();
  assert.deepEqual(await packetsOf(pc), { packets: 7, at: 5, newest: 5 });
  pc.connectionState = "closed";
  assert.deepEqual(await packetsOf(pc), { packets: 0, at: 0, newest: 0 });
});

test("a connection that is closed while it counts has brought nothing, and says so", async () => {
  const { pc } = play();
  pc.getStats = () => Promise.reject(new DOMException("closed", "InvalidStateError"));
  assert.deepEqual(await packetsOf(pc), { packets: 0, at: 0, newest: 0 });
});

test("the newest packet came when the browser says so, if that can be", async () => {
  const { pc } = play();
  for (const [told, newest] of [[[], 9_000], [[8_600], 8_600], [[8_600, 8_700], 8_700], [[7_900], 9_000], [[9_001], 9_000]]) {
    const pairs = told.map((at, n) => [n, { type: "candidate-pair", lastPacketReceivedTimestamp: at }]);
    pc.getStats = async () =>
      new Map([...pairs, ["none", { type: "candidate-pair" }], ["t", { type: "transport", packetsReceived: 3, timestamp: 9_000 }]]);
    assert.deepEqual(await packetsOf(pc), { packets: 3, at: 9_000, newest });
  }
});

test("a browser that does not count for the transport counts what it hears and what is reported to it", async () => {
  const { pc } = play();
  pc.getStats = async () =>
    new Map([
      ["t", { type: "transport", timestamp: 9 }],
      ["a", { type: "inbound-rtp", packetsReceived: 50 }],
      ["b", { type: "inbound-rtp", packetsReceived: 200 }],
      ["c", { type: "remote-inbound-rtp", roundTripTimeMeasurements: 3 }],
    ]);
  assert.deepEqual(await packetsOf(pc), { packets: 253, at: 9, newest: 9 });
});
