// The pictures are the same for those who are in one group, and for nobody else; what has been checked is lost with the keys.

import "./webcrypto.mjs";

import assert from "node:assert/strict";
import { test } from "node:test";

import { NO_KEYS, checkLost, comeAnew, withKeys } from "../../static/js/encryption-state.js";
import { checkPayload, readPayload } from "../../static/js/payloads.js";
import { PICTURES, SpokenCheck } from "../../static/js/spoken-check.js";
import { MEETING, World } from "./delivery-kit.mjs";
import { HOST, KEYS as LINK_KEYS, openGroup } from "./group-kit.mjs";

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

/** A couple and their therapist who have compared their pictures, through a real group; `settle` waits for their checks too. */
async function comparedInAGroup() {
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
  const verified = () => checks().map(({ state }) => state.verified);
  assert.deepEqual(verified(), [true, true, true]);
  return { world, settle, checks, verified };
}

test("through a real group: sealed, compared, verified, and lost when a page is put in anew", async () => {
  const { world, settle, checks, verified } = await comparedInAGroup();
  world.clock.advance(600_000);
  await settle();
  assert.deepEqual(verified(), [true, true, true]);
  world.page("B");
  world.knock("B");
  await settle();
  assert.deepEqual(verified(), [false, false, false]);
  assert.deepEqual(checks().map(({ state }) => state.kept), [false, false, false]);
});

test("a room that moves keeps its check, at every moment, and one that begins anew has it again", async () => {
  const { world, settle, verified } = await comparedInAGroup();
  for (const page of world.pages.values()) page.verdicts.length = 0;
  world.host();
  await settle();
  assert.deepEqual(verified(), [true, true, true]);
  for (const { verdicts, states } of world.pages.values()) {
    assert.ok(verdicts.length > 0 && verdicts.every((verdict) => verdict));
    assert.equal(states.at(-1).generation, world.generation);
  }
  // Everybody out of the former group at once, as when the server itself has been away.
  for (const page of world.pages.values()) page.session.inside(null);
  world.host();
  await settle();
  assert.deepEqual(verified(), [true, true, true]);
});

test("who is held, or goes back for a while, comes back as the same page", async () => {
  const { world, settle, verified } = await comparedInAGroup();
  for (const seat of ["A", "B"]) {
    world.out(seat);
    world.knock(seat); // the server asks for fresh keys, for when they come back
  }
  await settle();
  assert.deepEqual(verified(), [false, false, false]);
  for (const seat of ["A", "B"]) {
    world.admit(seat);
    await settle();
  }
  assert.deepEqual(verified(), [true, true, true]);
});

test("a server cannot use another generation to put somebody under a seat that was checked", async () => {
  const { world, settle, verified } = await comparedInAGroup();
  const therapist = world.pages.get(HOST.pid);
  const seen = (before) => withKeys(before, { ...NO_KEYS, ...therapist.state, check: { ...NO_KEYS.check, ...therapist.check.state } });
  const before = seen(NO_KEYS);
  assert.equal(comeAnew(before), null);
  world.page("B"); // with the link secret, and the server's help
  world.host();
  await settle();
  assert.deepEqual(verified(), [false, false, false]);
  const after = seen(before);
  assert.equal(after.generation, world.generation);
  assert.equal(comeAnew(after), "Partner B’s page has come back with new keys.");
  assert.equal(checkLost(after), true);
  // Nor is it had again when the first is back: it was not there meanwhile.
  world.out("B");
  world.host();
  await settle();
  assert.deepEqual(verified().slice(0, 2), [false, false]);
});

test("a server that leaves somebody out of another generation has a check nowhere until they are in", async () => {
  const { world, settle, checks, verified } = await comparedInAGroup();
  world.hears = (seat, { type }) => !(seat === "B" && type === "key-package");
  world.host();
  await settle();
  assert.deepEqual(verified(), [true, true, true], "what is sent on is the former one");
  world.clock.advance(5_000);
  await settle();
  assert.deepEqual(verified(), [false, false, false]);
  assert.deepEqual(checks().map(({ state }) => state.kept), [true, true, true]);
  world.hears = () => true;
  world.fromPage(world.pages.get("B"), world.log.filter(({ seat, type }) => seat === "B" && type === "key-package").at(-1));
  await settle();
  assert.deepEqual(verified(), [true, true, true]);
});

test("who has been checked and plays the host of another generation, under whichever seat, has no check with it", async () => {
  const { world, settle, verified } = await comparedInAGroup();
  const [a, b] = ["A", "B"].map((seat) => world.pages.get(seat));
  for (const me of [{ pid: "B", name: "Partner B" }, HOST]) {
    const generation = me === HOST ? "000000000000000e" : "000000000000000d";
    const told = { group: "room", generation };
    const forged = await openGroup({ id: `${MEETING}/${generation}`, me, keys: LINK_KEYS, signer: await b.signer });
    world.log.length = 0;
    a.session.receive({ ...told, type: "group", role: "guest" });
    await settle();
    const { "key-package": keyPackage, tag } = world.log.find(({ seat, type }) => seat === "A" && type === "key-package");
    const offer = { keyPackage: Buffer.from(keyPackage, "base64url"), tag: Buffer.from(tag, "base64url") };
    const { welcome } = await forged.commit({ add: [{ pid: "A", ...offer }] });
    await forged.merge();
    a.session.receive({ ...told, type: "group-welcome", epoch: 1, welcome: Buffer.from(welcome).toString("base64url") });
    await settle();
    world.clock.advance(5_000);
    await settle();
    assert.deepEqual(a.state.members.map(({ seat }) => seat), [me.pid, "A"]);
    assert.equal(a.check.state.verified, false);
    assert.equal(a.check.state.kept, me.pid === "B", "a key at another seat is somebody else");
  }
  assert.equal(verified()[1], false);
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

/** Therapist and couple who have found their pictures the same, in generation 1. */
async function checked() {
  const table = new Table(["T", "A", "B"]);
  table.follow({ generation: "1" });
  await table.compared();
  for (const check of Object.values(table.checks)) check.answer(true);
  await table.settle();
  const [t, a, b] = table.group.members;
  const there = () => [table.checks.T.state.verified, table.checks.T.state.kept];
  assert.deepEqual(there(), [true, true]);
  return { table, t, a, b, there };
}

const HOLDS = [true, true];
const WAITS = [false, true];
const LOST = [false, false];

test("in another generation a check holds when exactly those are in whom it held for, at their seats, with their keys", async () => {
  for (const [change, expected] of [
    [(all) => all, HOLDS],
    [([t, a, b]) => [b, t, a], HOLDS], // whoever commits, and in whichever order they came
    [([t, a]) => [t, a], WAITS],
    [([t]) => [t], WAITS],
    [(all) => [...all, { seat: "U", name: "U", index: 3, key: "key of U" }], LOST],
    [([t, a, b]) => [t, a, { ...b, key: "another key" }], LOST],
    [([t, a]) => [t, { ...a, key: "another key" }], LOST],
    [([t, a, b]) => [t, { ...a, seat: "B" }, { ...b, seat: "A" }], LOST],
    [([t, a, b]) => [{ ...b, seat: "T" }, a, b], LOST],
  ]) {
    const { table, there } = await checked();
    const { members } = table.group;
    table.follow({ generation: "2", epoch: 1, members: change(members) });
    assert.deepEqual(there(), expected);
    table.follow({ generation: "2", epoch: 2, members });
    assert.deepEqual(there(), expected === LOST ? LOST : HOLDS, "all of them, and nobody else, are in");
    table.follow({ generation: "2", epoch: 3, members: members.slice(0, 2) });
    assert.deepEqual(there(), expected === LOST ? LOST : HOLDS, "who leaves then takes nothing from the others");
  }
});

test("another host than when it was spoken takes nobody out of a check", async () => {
  const { table, t, a, b, there } = await checked();
  const [host, ...others] = [a, t, b].map((member, index) => ({ ...member, index }));
  table.follow({ generation: "2", epoch: 1, members: [host, ...others] });
  assert.deepEqual(there(), HOLDS);
  table.follow({ generation: "2", epoch: 2, members: [host, others[0]] });
  assert.deepEqual(there(), WAITS);
  table.follow({ generation: "2", epoch: 3, members: [host, ...others] });
  assert.deepEqual(there(), HOLDS);
});

test("who left before the room moved is not waited for, and may come back as the same page", async () => {
  const { table, t, a, b, there } = await checked();
  table.follow({ epoch: 4, members: [t, a] });
  table.follow({ generation: "2", epoch: 0, members: [t] });
  assert.deepEqual(there(), WAITS, "alone, there is nothing to be sure of");
  table.follow({ generation: "2", epoch: 1, members: [t, b] });
  assert.deepEqual(there(), WAITS);
  table.follow({ generation: "2", epoch: 2, members: [t, a, b] });
  assert.deepEqual(there(), HOLDS);
});

test("a generation that is named again is another one", async () => {
  const { table, t, a, there } = await checked();
  table.follow({ generation: "2", epoch: 1, members: [t, a] });
  table.follow({ generation: "1", epoch: 1, members: [t, a] });
  assert.deepEqual(there(), WAITS);
});

test("pictures that differed are carried nowhere", async () => {
  const { table, there } = await checked();
  table.checks.A.answer(true);
  await table.compared();
  table.checks.A.answer(false);
  await table.settle();
  table.follow({ generation: "2", epoch: 1 });
  assert.deepEqual(there(), LOST);
  assert.equal(table.checks.T.state.phase, "mismatch");
});

test("while keys are made nothing is sure, and nothing lost", async () => {
  const { table, there } = await checked();
  table.checks.T.follow({ ...table.group, phase: "securing", generation: "2", epoch: null, members: [] }, null);
  assert.deepEqual(there(), WAITS);
  table.follow({ generation: "2", epoch: 1 });
  assert.deepEqual(there(), HOLDS);
});
