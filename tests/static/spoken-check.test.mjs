// The pictures are the same for those who are in one group, and for nobody else; what has been checked is lost with the keys.

import "./webcrypto.mjs";

import assert from "node:assert/strict";
import { test } from "node:test";

import { checkPayload, readPayload } from "../../static/js/payloads.js";
import { PICTURES, SpokenCheck } from "../../static/js/spoken-check.js";
import { World } from "./delivery-kit.mjs";

const AUTHENTICATOR = new Uint8Array(64).fill(5);
const KEYS = { T: "key of T", A: "key of A", B: "key of B" };

/** Pages in one epoch, their messages going to all others at once unless a test meddles. */
class Table {
  /** @type {Record<string, SpokenCheck>} */ checks = {};
  sent = [];
  meddle = (_from, _to, message) => [message];

  constructor(seats, { authenticator = AUTHENTICATOR, epoch = 3 } = {}) {
    this.group = {
      phase: "secured", generation: "0123456789abcdef", committer: false, epoch, sending: epoch, index: 0, refused: [], failure: null,
      members: seats.map((seat, index) => ({ seat, name: seat, index, key: KEYS[seat] })),
    };
    for (const seat of seats) {
      this.checks[seat] = new SpokenCheck({ seal: (message) => this.#carry(seat, message), changed: () => {} });
    }
    this.follow({}, authenticator);
  }

  follow(change, authenticator = AUTHENTICATOR) {
    this.group = { ...this.group, ...change };
    for (const { seat, index } of this.group.members) this.checks[seat]?.follow({ ...this.group, index }, authenticator);
  }

  #carry(from, message) {
    this.sent.push([from, message]);
    const read = readPayload(checkPayload(message));
    for (const to of Object.keys(this.checks)) {
      if (to === from) continue;
      for (const each of this.meddle(from, to, read.message)) this.checks[to].take(from, each, this.group.epoch);
    }
  }

  async settle() {
    for (let sent = -1; sent !== this.sent.length; ) {
      sent = this.sent.length;
      await Promise.all(Object.values(this.checks).map((check) => check.idle()));
    }
  }

  async compared() {
    this.checks.T.begin();
    await this.settle();
    return Object.fromEntries(Object.entries(this.checks).map(([seat, { state }]) => [seat, state.pictures.map(({ name }) => name).join(" ")]));
  }

  phases() {
    return Object.values(this.checks).map(({ state }) => state.phase);
  }
}

test("there are 64 pictures, each once, with a name of its own", () => {
  assert.equal(PICTURES.length, 64);
  assert.equal(new Set(PICTURES.map(({ symbol }) => symbol)).size, 64);
  assert.equal(new Set(PICTURES.map(({ name }) => name)).size, 64);
});

test("everybody sees the same five pictures, others each time", async () => {
  const table = new Table(["T", "A", "B"]);
  const first = await table.compared();
  assert.equal(new Set(Object.values(first)).size, 1);
  assert.equal(table.checks.A.state.pictures.length, 5);
  assert.deepEqual(table.phases(), ["comparing", "comparing", "comparing"]);
  const second = await table.compared();
  assert.equal(new Set(Object.values(second)).size, 1);
  assert.notEqual(first.T, second.T);
});

test("nobody tells a nonce before everybody has committed", async () => {
  const table = new Table(["T", "A", "B"]);
  table.meddle = (from, _to, message) => (from === "B" ? [] : [message]);
  await table.compared();
  assert.deepEqual(table.phases(), ["exchanging", "exchanging", "exchanging"]);
  assert.deepEqual(table.sent.filter(([seat]) => seat !== "B").map(([, [kind]]) => kind), [1, 1]);
});

test("the pictures depend on the epoch's authenticator, whatever nonces somebody between two groups may get", async (t) => {
  t.mock.method(crypto, "getRandomValues", (bytes) => bytes.fill(7));
  const seen = [];
  for (const fill of [1, 1, 2]) seen.push((await new Table(["T", "A"], { authenticator: new Uint8Array(64).fill(fill) }).compared()).T);
  assert.equal(seen[0], seen[1]);
  assert.notEqual(seen[0], seen[2]);
});

test("a reveal that was not committed to, a second commitment and a second reveal are told as a difference", async () => {
  const alter = (kind) => (from, to, message) => {
    if (from !== "A" || to !== "T" || message[0] !== kind) return [message];
    const other = message.slice();
    other[10] ^= 1;
    return kind === 1 ? [message, other] : [other];
  };
  for (const kind of [1, 2]) {
    const table = new Table(["T", "A"]);
    table.meddle = alter(kind);
    await table.compared();
    assert.equal(table.checks.T.state.phase, "mismatch");
    assert.deepEqual(table.checks.T.state.pictures, []);
  }
  const twice = new Table(["T", "A", "B"]);
  twice.meddle = (from, to, message) => (from === "A" && to === "T" && message[0] === 2 ? [message, message] : from === "B" && message[0] === 2 ? [] : [message]);
  await twice.compared();
  assert.equal(twice.checks.T.state.phase, "mismatch");
});

test("a commitment of one cannot be handed on as another's", async () => {
  const table = new Table(["T", "A", "B"]);
  let ofA;
  table.meddle = (from, to, message) => {
    if (from === "A") ofA ??= message;
    if (from === "A" && message[0] === 2) ofA = message;
    return from === "B" && to === "T" && ofA ? [ofA] : [message];
  };
  await table.compared();
  assert.notEqual(table.checks.T.state.phase, "comparing");
});

test("what has been compared holds through renewed keys and when somebody leaves, and is lost when somebody comes", async () => {
  const table = new Table(["T", "A", "B"]);
  await table.compared();
  assert.equal(table.checks.T.state.verified, false);
  for (const check of Object.values(table.checks)) check.answer(true);
  await table.settle();
  const verified = () => ["T", "A"].map((seat) => table.checks[seat].state.verified);
  assert.deepEqual(verified(), [true, true]);
  assert.deepEqual(table.phases(), ["idle", "idle", "idle"]);
  table.follow({ epoch: 4 });
  assert.deepEqual(verified(), [true, true]);
  const [t, a, b] = table.group.members;
  table.follow({ epoch: 5, members: [t, a] });
  assert.deepEqual(verified(), [true, true]);
  table.follow({ epoch: 6, members: [t, a, { ...b, key: "a reloaded page of B" }] });
  assert.deepEqual(verified(), [false, false]);
  table.follow({ epoch: 7, members: [t] });
  assert.equal(table.checks.T.state.verified, false, "alone, there is nothing to be sure of");
});

test("different pictures are a warning, and nothing stays verified", async () => {
  const table = new Table(["T", "A"]);
  await table.compared();
  table.checks.T.answer(true);
  await table.settle();
  await table.compared();
  table.checks.T.answer(false);
  await table.settle();
  assert.deepEqual([table.checks.T.state.phase, table.checks.T.state.verified], ["mismatch", false]);
});

test("a change of epoch ends a check that is going on", async () => {
  const table = new Table(["T", "A"]);
  await table.compared();
  table.follow({ epoch: 4 });
  assert.deepEqual(table.phases(), ["aborted", "aborted"]);
  const late = table.sent.at(-1);
  table.checks.T.take("A", late[1], 3);
  table.checks.T.answer(true);
  await table.settle();
  assert.deepEqual([table.checks.T.state.phase, table.checks.T.state.verified], ["aborted", false]);
});

test("a check in which somebody stays silent can be given up, and begun again", async () => {
  const table = new Table(["T", "A"]);
  table.meddle = () => [];
  await table.compared();
  assert.equal(table.checks.T.state.phase, "exchanging");
  for (const check of Object.values(table.checks)) check.giveUp();
  await table.settle();
  assert.deepEqual(table.phases(), ["aborted", "idle"]);
  table.meddle = (_from, _to, message) => [message];
  const seen = await table.compared();
  assert.equal(seen.T, seen.A);
  assert.notEqual(seen.T, "");
  for (const check of Object.values(table.checks)) check.giveUp();
  await table.settle();
  assert.deepEqual(table.phases(), ["comparing", "comparing"], "there is nothing to give up any more");
});

test("there is nothing to compare alone, while keys are made, or without end", async () => {
  const alone = new Table(["T"]);
  await alone.compared();
  assert.deepEqual(alone.phases(), ["idle"]);
  const securing = new Table(["T", "A"]);
  securing.follow({ phase: "securing" });
  await securing.compared();
  assert.deepEqual(securing.phases(), ["idle", "idle"]);
  const patient = new Table(["T", "A"]);
  for (let round = 0; round < 20; round += 1) await patient.compared();
  assert.equal(patient.sent.filter(([seat, [kind]]) => seat === "T" && kind === 1).length, 16);
});

test("messages out of shape, of strangers or of other epochs change nothing", async () => {
  const table = new Table(["T", "A"]);
  const good = Uint8Array.of(1, 1, ...new Uint8Array(32));
  for (const [seat, message, epoch] of [
    ["X", good, 3], ["A", good, 2], ["A", good.slice(1), 3], ["A", new Uint8Array(), 3], ["A", Uint8Array.of(9, 1, ...new Uint8Array(32)), 3],
    ["A", Uint8Array.of(1, 200, ...new Uint8Array(32)), 3], ["A", Uint8Array.of(2, 1, ...new Uint8Array(32)), 3],
  ]) {
    table.checks.T.take(seat, message, epoch);
  }
  await table.settle();
  assert.deepEqual(table.phases(), ["idle", "idle"]);
});

test("through a real group: sealed, compared, verified, and lost when a page is put in anew", async () => {
  const world = await World.of("A", "B");
  const checks = () => [...world.pages.values()].map(({ check }) => check);
  const settle = async () => {
    for (let sent = -1; sent !== world.log.length; ) {
      sent = world.log.length;
      await world.settle();
      await Promise.all(checks().map((check) => check.idle()));
    }
  };
  checks()[0].begin();
  // Sealing goes on by itself after the check has decided to; it ends with everybody comparing.
  const late = performance.now() + 20_000; // on a busy machine the cipher's own thread comes late
  while (performance.now() < late && checks().some(({ state }) => state.phase !== "comparing")) await settle();
  assert.deepEqual(checks().map(({ state }) => state.phase), ["comparing", "comparing", "comparing"]);
  assert.equal(new Set(checks().map(({ state }) => state.pictures.map(({ name }) => name).join(" "))).size, 1);
  for (const check of checks()) check.answer(true);
  await settle();
  assert.deepEqual(checks().map(({ state }) => state.verified), [true, true, true]);
  world.clock.advance(600_000);
  await settle();
  assert.deepEqual(checks().map(({ state }) => state.verified), [true, true, true]);
  world.page("B");
  world.knock("B");
  await settle();
  assert.deepEqual(checks().map(({ state }) => state.verified), [false, false, false]);
});

test("whoever finds that the pictures differ says so to everybody, also to those who found them the same", async () => {
  const table = new Table(["T", "A", "B"]);
  await table.compared();
  table.checks.T.answer(true);
  await table.settle();
  assert.equal(table.checks.T.state.verified, true);
  table.checks.A.answer(false);
  await table.settle();
  assert.deepEqual(table.phases(), ["mismatch", "mismatch", "mismatch"]);
  assert.deepEqual(Object.values(table.checks).map(({ state }) => state.verified), [false, false, false]);
  assert.equal(table.sent.filter(([, [kind]]) => kind === 3).length, 1, "it is not said on and on");
});

test("that an earlier round differed is over when a later one has begun, and strangers say nothing", async () => {
  const table = new Table(["T", "A", "B"]);
  await table.compared();
  await table.compared();
  const differs = (number) => new Uint8Array(34).fill(0).map((_, at) => [3, number][at] ?? 0);
  table.checks.T.take("A", differs(1), 3);
  table.checks.T.take("A", differs(0), 3);
  table.checks.T.take("A", differs(2), 2);
  table.checks.T.take("X", differs(2), 3);
  await table.settle();
  assert.equal(table.checks.T.state.phase, "comparing");
  table.checks.T.take("A", differs(2), 3);
  await table.settle();
  assert.equal(table.checks.T.state.phase, "mismatch");
});

test("a check that is lost because somebody came is not had again when they leave", async () => {
  const table = new Table(["T", "A"]);
  await table.compared();
  table.checks.T.answer(true);
  await table.settle();
  const { members } = table.group;
  table.follow({ epoch: 4, members: [...members, { seat: "B", name: "B", index: 2, key: KEYS.B }] });
  assert.equal(table.checks.T.state.verified, false);
  table.follow({ epoch: 5, members });
  assert.equal(table.checks.T.state.verified, false);
});

test("a check holds while somebody leaves, and for those who stay", async () => {
  const table = new Table(["T", "A", "B"]);
  await table.compared();
  table.checks.T.answer(true);
  await table.settle();
  table.follow({ epoch: 4, members: table.group.members.slice(0, 2) });
  assert.equal(table.checks.T.state.verified, true);
});
