// Who may be in a group is not the server's word: lists, clicks, and a server that says one thing and does another.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fromBase64url, toBase64url, utf8 } from "../../static/js/bytes.js";
import { GuestList } from "../../static/js/guest-list.js";
import { Clock, MEETING, World } from "./delivery-kit.mjs";
import { HOST, KEYS, guest, openGroup, prepare } from "./group-kit.mjs";

const T = HOST.pid;
const ALL = "A<B A<T B<A B<T T<A T<B";

const seatsIn = (world, seat) => world.pages.get(seat).state.members.map((member) => member.seat).join("");

function list() {
  const clock = new Clock();
  const overdue = [];
  return { clock, overdue, guests: new GuestList({ timers: clock.timers, overdue: (seat) => overdue.push(seat) }) };
}

/** Therapist and couple; the therapist has put B on hold, and the server says so. */
async function held() {
  const world = await World.of("A", "B");
  world.pages.get(T).session.remove(["B"]);
  world.out("B");
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
  return world;
}

/** The server has B's honest page make fresh keys, and hands them over. The lists show B on hold. */
async function smuggle(world) {
  world.knock("B");
  await world.settle();
  const offer = world.offers.get("B");
  world.members.delete("B");
  world.admitted.add("B"); // so that this world forwards the Welcome; nobody is shown it
  world.tell(T, { type: "candidate", seat: "B", ...offer });
  await world.settle();
}

// ---- the list itself

test("whom the list shows may come in, and whom a click lets in for five seconds", () => {
  const { clock, guests } = list();
  assert.equal(guests.allows("A"), false);
  guests.show(["A"]);
  guests.admit(["B"]);
  assert.deepEqual(["A", "B", "C"].map((seat) => guests.allows(seat)), [true, true, false]);
  clock.advance(4_999);
  assert.equal(guests.allows("B"), true);
  clock.advance(1);
  assert.equal(guests.allows("B"), false);
  guests.show(null);
  assert.equal(guests.allows("A"), false, "nobody comes in where we are not");
});

test("whom a click has put out a list from before does not bring back; one that has shown them out and in does", () => {
  const { guests } = list();
  guests.show(["A", "B"]);
  guests.putOut(["B"]);
  guests.show(["A", "B", "U"]);
  assert.deepEqual([guests.allows("B"), guests.isOut("B")], [false, true]);
  guests.show(["A"]);
  assert.equal(guests.isOut("B"), true);
  guests.show(["A", "B"]);
  assert.deepEqual([guests.allows("B"), guests.isOut("B")], [true, false]);
  guests.putOut(["B"]);
  guests.keep(["B"]); // the server refused, and the person was told
  assert.equal(guests.allows("B"), true);
  guests.putOut(["B"]);
  guests.admit(["B"]);
  assert.equal(guests.allows("B"), true);
  guests.putOut(["B"]);
  assert.equal(guests.allows("B"), false, "the last click counts");
});

test("a member who is not shown for two seconds is overdue, once, and one who is shown meanwhile is not", () => {
  const { clock, guests, overdue } = list();
  guests.show(["A"]);
  guests.follow(["A", "B", "C"]);
  clock.advance(1_000);
  guests.follow(["A", "B", "C"]);
  guests.show(["A", "C"]);
  clock.advance(999);
  assert.deepEqual([overdue, guests.unseen], [[], []]);
  clock.advance(1);
  assert.deepEqual([overdue, guests.unseen], [["B"], ["B"]]);
  clock.advance(60_000);
  assert.deepEqual(overdue, ["B"]);
  guests.follow(["A", "C"]);
  assert.deepEqual(guests.unseen, []);
  guests.show(null);
  guests.admit(["D"]);
  guests.close();
  assert.equal(clock.waiting, 0);
});

// ---- in the room

test("a server cannot put somebody back whom the therapist has put on hold", async () => {
  const world = await held();
  await smuggle(world);
  assert.equal(seatsIn(world, T), "TA");
  assert.equal(await world.sights(), "A<T T<A");
  // A list of before changes nothing, and the next click lets them in at once, before any list.
  world.pages.get(T).session.admit(["B"]);
  await world.settle();
  assert.equal(await world.sights(), ALL);
});

test("somebody who waits comes in only when the page shows them in the room, and then without another candidate", async () => {
  const world = await World.of("A");
  world.page("B");
  await smuggle(world);
  assert.equal(seatsIn(world, T), "TA");
  world.pages.get(T).session.inside(["A", "B"]);
  await world.settle();
  assert.equal(seatsIn(world, T), "TAB");
  assert.equal(await world.sights(), ALL);
});

test("a member whom the lists leave out is put out after two seconds, and told of on both sides until then", async () => {
  const world = await World.of("A", "B");
  const [host, a] = [world.pages.get(T), world.pages.get("A")];
  host.session.inside(["A"]);
  a.session.inside([T]);
  await world.settle();
  world.hears = (_seat, { type }) => type !== "commit"; // and the server keeps back what would put B out
  world.clock.advance(1_999);
  await world.settle();
  assert.deepEqual([host.state.unseen, a.state.unseen], [[], []]);
  world.clock.advance(1);
  await world.settle();
  assert.deepEqual([host.state.unseen, a.state.unseen], [["B"], ["B"]]);
  world.clock.advance(300);
  await world.settle();
  assert.equal(await world.pages.get("B").sees(await host.frame(), T), null);
  world.hears = () => true;
  world.fromPage(host, { ...world.log.filter(({ type }) => type === "commit").at(-1) });
  await world.settle();
  assert.deepEqual([host.state.unseen, a.state.unseen], [[], []]);
  assert.equal(await world.sights(), "A<T T<A");
});

test("a click that lets somebody in lets them stay only if the list shows them", async () => {
  const world = await held();
  world.pages.get(T).session.admit(["B"]);
  await world.settle();
  await smuggle(world);
  assert.equal(seatsIn(world, T), "TAB");
  world.clock.advance(2_000);
  await world.settle();
  assert.equal(seatsIn(world, T), "TA");
});

test("a therapist's click that the server refuses puts out nobody for good", async () => {
  const world = await World.of("A", "B");
  const host = world.pages.get(T);
  host.session.remove(["B"]);
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
  world.knock("B"); // B is in the room as before, and asked for fresh keys
  await world.settle();
  assert.equal(seatsIn(world, T), "TA");
  host.session.keep(["B"]);
  await world.settle();
  assert.equal(await world.sights(), ALL);
});

// ---- who commits

test("a patient's page commits for nobody, whatever it is told", async () => {
  const world = new World();
  for (const seat of [T, "A", "B"]) world.page(seat);
  world.host("A");
  await world.settle();
  assert.deepEqual([world.pages.get("A").state.phase, world.pages.get("A").state.committer], ["none", false]);
  world.admit(T);
  await world.settle();
  assert.equal(await world.sights(), "");
  const fine = await World.of("A", "B");
  fine.host("A");
  await fine.settle();
  assert.equal(fine.pages.get("A").state.committer, false);
  assert.equal(fine.pages.get("A").state.sending, null);
});

test("a clinician's page that does not commit sends nothing until those it has put out are out", async () => {
  const world = await World.of("A", "B", "U");
  const u = world.pages.get("U");
  u.session.remove(["B"]);
  await world.settle();
  assert.equal(u.state.sending, null);
  assert.equal(await world.sights("U", "B"), "U<B");
  world.clock.advance(600_000); // a renewal, with B still in
  await world.settle();
  assert.equal(u.state.sending, null);
  assert.equal(await world.sights("U", "A"), "U<A");
  world.out("B");
  await world.settle();
  assert.equal(await world.sights(), "A<T A<U T<A T<U U<A U<T");
});

test("a clinician's page that does not commit goes on when its click was refused", async () => {
  const world = await World.of("A", "U");
  const u = world.pages.get("U");
  u.session.remove(["A"]);
  await world.settle();
  assert.equal(u.state.sending, null);
  u.session.keep(["A"]);
  await world.settle();
  assert.equal(await world.sights("U", "A"), "A<U U<A");
});

// ---- pairs

test("in the pair of the therapist and one waiting seat there is nobody else", async () => {
  const pair = new World("A");
  for (const seat of [T, "A", "B"]) pair.page(seat, { ring: false });
  pair.host();
  await pair.settle();
  assert.equal(pair.log.filter(({ seat, type }) => seat === "B" && type === "key-package").length, 0, "B's page has no part in it");
  pair.admit("A");
  await pair.settle();
  await pair.pages.get("A").session.seal(utf8("only for my therapist"));
  await pair.settle();
  assert.deepEqual([seatsIn(pair, T), pair.pages.get("B").heard], ["TA", []]);
  assert.deepEqual(pair.pages.get(T).heard.map(({ text }) => text), ["only for my therapist"]);
});

test("a host puts nobody into a pair but its seat, although the keys are good", async () => {
  const pair = new World("A");
  const host = pair.page(T, { ring: false });
  pair.host();
  await pair.settle();
  const { offer } = await prepare({ id: `${MEETING}/${pair.generation}/A`, me: guest("B"), keys: KEYS });
  pair.tell(T, { type: "candidate", seat: "B", "key-package": toBase64url(offer.keyPackage), tag: toBase64url(offer.tag) });
  await pair.settle();
  assert.deepEqual([host.state.refused, pair.log.filter(({ type }) => type === "commit").length], [[], 0]);
  assert.equal(seatsIn(pair, T), "T");
});

test("a guest stays in no pair with somebody else", async () => {
  const pair = new World("A");
  const a = pair.page("A", { ring: false });
  pair.generation = "0123456789abcdef";
  for (const [others, phase] of [[["B"], "securing"], [[], "secured"]]) {
    a.session.receive({ type: "group", group: "A", generation: pair.generation, role: "guest" });
    await pair.settle();
    const sent = pair.log.filter(({ type }) => type === "key-package").at(-1);
    const id = `${MEETING}/${pair.generation}/A`;
    const host = await openGroup({ id, me: HOST, keys: KEYS });
    const add = [{ pid: "A", keyPackage: fromBase64url(sent["key-package"], 8_192), tag: fromBase64url(sent.tag, 32) }];
    for (const pid of others) add.push({ pid, ...(await prepare({ id, me: guest(pid), keys: KEYS })).offer });
    const { welcome } = await host.commit({ add, remove: [] });
    a.session.receive({ type: "group-welcome", group: "A", generation: pair.generation, epoch: 1, welcome: toBase64url(welcome) });
    await pair.settle();
    assert.equal(a.state.phase, phase);
  }
});

// ---- commits without end

test("a server that has the same commit made again and again gets three of them, unless it has been away", async () => {
  const world = await World.of("A", "B");
  const host = world.pages.get(T);
  world.hears = (_seat, { type }) => type !== "commit";
  world.out("B");
  await world.settle();
  world.log.length = 0;
  const commits = () => world.log.filter(({ type }) => type === "commit").length;
  for (let time = 0; time < 5; time += 1) {
    host.session.reconnected();
    world.tell(T, { type: "accepted", epoch: 2 });
    await world.settle();
  }
  assert.deepEqual([commits(), host.state.phase], [5, "secured"]);
  for (let time = 0; time < 100; time += 1) world.tell(T, { type: "accepted", epoch: 2 });
  await world.settle();
  assert.deepEqual([commits(), host.state.phase, host.state.failure], [8, "failed", "refused"]);
});
