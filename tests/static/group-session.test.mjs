// A group through the visit: in, out, renewed, broken and mended, with an honest delivery service and with a malicious one.

import assert from "node:assert/strict";
import { test } from "node:test";

import { toBase64url, utf8 } from "../../static/js/bytes.js";
import { drawLinkSecret, linkKeys } from "../../static/js/link-secret.js";
import { World } from "./delivery-kit.mjs";
import { HOST, guest } from "./group-kit.mjs";

const T = HOST.pid;
const ALL = "A<B A<T B<A B<T T<A T<B";

// ---- an honest delivery service

test("a host is alone in epoch 0; who waits has sent a key package and is in nothing", async () => {
  const world = new World();
  const host = world.page(T);
  const a = world.page("A");
  assert.equal(a.state.phase, "none");
  world.host();
  await world.settle();
  assert.deepEqual([host.state.phase, host.state.epoch, host.state.sending, host.state.committer], ["secured", 0, 0, true]);
  assert.deepEqual([a.state.phase, a.state.epoch, a.state.sending], ["securing", null, null]);
  assert.equal(world.offers.size, 1);
  assert.equal(await world.sights(), "");
});

test("those admitted are in, with the names that their own pages gave, and see each other and nobody else does", async () => {
  const world = await World.of("A", "B");
  world.page("C");
  world.knock("C");
  await world.settle();
  assert.equal(await world.sights(), ALL);
  for (const seat of [T, "A", "B"]) {
    assert.deepEqual(world.pages.get(seat).state.members.map(({ key, ...shown }) => shown), [
      { seat: T, name: HOST.name, index: 0 },
      { seat: "A", name: guest("A").name, index: 1 },
      { seat: "B", name: guest("B").name, index: 2 },
    ]);
  }
  const states = world.pages.get("A").states;
  assert.deepEqual(states.map(({ phase }) => phase).filter((phase, at, all) => phase !== all[at - 1]), ["securing", "secured"]);
});

test("both partners admitted at once come in with one commit", async () => {
  const world = await World.of();
  for (const seat of ["A", "B"]) {
    world.page(seat);
    world.knock(seat);
  }
  await world.settle();
  world.hears = (_seat, { type }) => type !== "commit"; // the first commit is lost, and both wait
  world.admit("A");
  world.admit("B");
  await world.settle();
  world.hears = () => true;
  world.log.length = 0;
  world.tell(T, { type: "accepted", epoch: 0 }); // after a reconnect: it never arrived
  await world.settle();
  assert.deepEqual(world.log.filter(({ type }) => type === "commit").map(({ adds }) => [...adds].sort()), [["A", "B"]]);
  assert.equal(await world.sights(), ALL);
});

test("somebody who left, or is held, sees nothing from then on, and the others miss nothing", async () => {
  const world = await World.of("A", "B");
  world.out("B");
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
  assert.deepEqual([T, "A"].map((seat) => world.pages.get(seat).state.sending), [3, 3]);
  // Even if the server forwards the commit that puts it out:
  const removal = world.log.filter(({ type }) => type === "commit").at(-1);
  world.tell("B", { type: "commit", epoch: 3, commit: removal.commit });
  await world.settle();
  assert.deepEqual([world.pages.get("B").state.phase, world.pages.get("B").state.members], ["none", []]);
});

test("the aside of one partner is an epoch that the other has no key of, although everything is forwarded to it", async () => {
  const world = await World.of("A", "B");
  world.out("A"); // A is moved back while the therapist talks with B
  await world.settle();
  const word = await world.pages.get("B").frame();
  assert.equal(await world.pages.get(T).sees(word, "B"), "picture of B");
  assert.equal(await world.pages.get("A").sees(word, "B"), null);
  for (const message of world.log.filter(({ type }) => type === "commit")) {
    world.tell("A", { type: "commit", epoch: message.epoch + 1, commit: message.commit });
  }
  await world.settle();
  assert.equal(await world.pages.get("A").sees(word, "B"), null);
  // Back in the room, with fresh keys:
  world.knock("A");
  world.admit("A");
  await world.settle();
  assert.equal(await world.sights(), ALL);
  assert.equal(await world.pages.get("A").sees(word, "B"), null, "what was said meanwhile stays unsaid");
});

test("two who are held at once lose the epoch, and cannot see even each other", async () => {
  const world = await World.of("A", "B");
  for (const seat of ["A", "B"]) {
    world.out(seat);
    world.knock(seat); // the server asks for fresh keys, for when they come back
  }
  await world.settle();
  assert.equal(await world.sights(), "");
  for (const seat of ["A", "B"]) assert.equal(world.pages.get(seat).state.phase, "securing");
});

test("the host takes somebody out by itself, before the server asks", async () => {
  const world = await World.of("A", "B");
  world.pages.get(T).session.remove(["B"]);
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
  world.out("B"); // the server's word comes after: nothing is left to do
  await world.settle();
  assert.equal(world.epoch, 3);
});

test("a new epoch is sent on when everybody is ready, or after a second", async () => {
  const world = await World.of("A", "B");
  world.meddle = (to, message) => (message.type === "ready" && to === T && message.seat === "B" ? [] : [message]);
  world.clock.advance(600_000);
  await world.settle();
  assert.deepEqual([T, "A", "B"].map((seat) => world.pages.get(seat).state.epoch), [3, 3, 3]);
  assert.deepEqual([T, "A", "B"].map((seat) => world.pages.get(seat).state.sending), [2, 3, 3]);
  assert.equal(await world.sights(), ALL);
  world.clock.advance(999);
  assert.equal(world.pages.get(T).state.sending, 2);
  world.clock.advance(1);
  assert.equal(world.pages.get(T).state.sending, 3);
});

test("nobody waits for somebody new, who cannot open the epoch before anyway; and still for those who stay", async () => {
  const world = await World.of();
  world.meddle = (_to, message) => (message.type === "ready" ? [] : [message]);
  world.page("A");
  world.knock("A");
  await world.settle();
  world.admit("A");
  await world.settle();
  assert.deepEqual([T, "A"].map((seat) => world.pages.get(seat).state.sending), [1, 1]);
  world.page("B");
  world.knock("B");
  await world.settle();
  world.meddle = (to, message) => (message.type === "ready" && (message.seat === "B" || to === "A") ? [] : [message]);
  world.admit("B");
  await world.settle();
  assert.deepEqual([T, "A", "B"].map((seat) => world.pages.get(seat).state.sending), [2, 1, 2]);
  world.clock.advance(1_000);
  assert.equal(world.pages.get("A").state.sending, 2);
});

test("after a removal nobody waits: host and others send on the new epoch when they have it", async () => {
  const world = await World.of("A", "B");
  world.meddle = (_to, message) => (message.type === "ready" ? [] : [message]);
  world.out("B");
  await world.settle();
  assert.deepEqual([T, "A"].map((seat) => world.pages.get(seat).state.sending), [3, 3]);
});

test("the keys are renewed every ten minutes, and frames of the epoch before open for ten seconds more", async () => {
  const world = await World.of("A");
  const late = await world.pages.get("A").frame();
  world.clock.advance(599_999);
  await world.settle();
  assert.equal(world.epoch, 1);
  world.clock.advance(1);
  await world.settle();
  assert.equal(world.epoch, 2);
  assert.equal(await world.sights(), "A<T T<A");
  world.clock.advance(9_999);
  assert.equal(await world.pages.get(T).sees(late, "A"), "picture of A");
  world.clock.advance(1);
  assert.equal(await world.pages.get(T).sees(late, "A"), null);
  world.clock.advance(590_000);
  await world.settle();
  assert.equal(world.epoch, 3);
});

test("a reloaded page of a guest is put in anew, and no frame of the others is lost", async () => {
  const world = await World.of("A", "B");
  const during = [];
  world.meddle = (to, message) => {
    if (to === "B" && message.type === "commit") during.push(world.pages.get("B").frame());
    return [message];
  };
  const former = world.pages.get("A");
  world.page("A");
  world.knock("A");
  await world.settle();
  assert.equal(await world.sights(), ALL);
  assert.deepEqual(world.log.filter(({ type }) => type === "commit").at(-1).removes, ["A"]);
  assert.equal(await world.pages.get(T).sees(await during[0], "B"), "picture of B");
  assert.equal(await former.sees(await world.pages.get("B").frame(), "B"), null);
});

test("a reloaded host begins a new generation, and the guests see each other until they are in it", async () => {
  const world = await World.of("A", "B");
  world.page(T);
  world.hears = (seat, { type }) => !(seat === T && type === "commit"); // the new host is slow
  world.host();
  await world.settle();
  assert.equal(await world.sights("A", "B"), "A<B B<A");
  assert.equal(world.pages.get("A").state.phase, "secured");
  world.hears = () => true;
  world.tell(T, { type: "accepted", epoch: 0 });
  await world.settle();
  assert.equal(await world.sights(), ALL);
  assert.equal(world.pages.get("B").state.generation, "0000000000000002");
});

test("another clinician makes the next group; the former host becomes a guest", async () => {
  const world = await World.of("A", "U");
  world.host("U");
  world.admit(T);
  await world.settle();
  assert.equal(await world.sights(), "A<T A<U T<A T<U U<A U<T");
  assert.deepEqual([T, "U"].map((seat) => world.pages.get(seat).state.committer), [false, true]);
  assert.equal(world.clock.advance(600_000), undefined);
  await world.settle();
  assert.deepEqual(world.log.filter(({ type }) => type === "commit").at(-1).seat, "U");
});

test("somebody dropped before their commit is made never comes in, and one dropped during it goes out again", async () => {
  const world = await World.of("A");
  world.page("B");
  world.knock("B");
  await world.settle();
  world.hears = (_seat, { type }) => type !== "commit";
  world.admit("B"); // a commit with B is on its way
  await world.settle();
  world.out("B");
  await world.settle();
  world.hears = () => true;
  // It did arrive after all:
  const pending = world.log.filter(({ type }) => type === "commit").at(-1);
  world.epoch = 2;
  world.tell(T, { type: "accepted", epoch: 2 });
  world.tell("A", { type: "commit", epoch: 2, commit: pending.commit });
  await world.settle();
  assert.equal(world.epoch, 3);
  assert.deepEqual(world.pages.get(T).state.members.map(({ seat }) => seat), [T, "A"]);
  assert.equal(await world.sights(), "A<T T<A");
});

test("a commit that lost its place is made again, with what is still wanted", async () => {
  const world = await World.of("A", "B");
  world.hears = (_seat, { type }) => type !== "commit";
  world.out("B");
  await world.settle();
  world.hears = () => true;
  world.tell(T, { type: "commit-refused", epoch: 2 });
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
  assert.equal(world.epoch, 3);
});

test("a candidate said again, while its commit is on its way and after it, changes nothing", async () => {
  const world = await World.of("A");
  world.page("B");
  world.knock("B");
  await world.settle();
  const offer = world.offers.get("B");
  world.hears = (_seat, { type }) => type !== "commit";
  world.admit("B");
  await world.settle();
  world.hears = () => true;
  world.tell(T, { type: "accepted", epoch: 1 }); // the connection broke: it never arrived, and all is said again
  world.tell(T, { type: "candidate", seat: "B", ...offer });
  await world.settle();
  world.tell(T, { type: "candidate", seat: "B", ...offer });
  await world.settle();
  assert.deepEqual([world.epoch, world.pages.get(T).state.refused], [2, []]);
  assert.equal(await world.sights(), ALL);
});

test("what is sealed is heard by all who are in, under the name of who signed it", async () => {
  const world = await World.of("A", "B");
  world.page("C");
  world.knock("C");
  await world.settle();
  await world.pages.get("A").session.seal(utf8("Guten Tag"));
  await world.settle();
  const expected = [{ seat: "A", text: "Guten Tag", epoch: 2 }];
  assert.deepEqual([T, "B"].map((seat) => world.pages.get(seat).heard), [expected, expected]);
  assert.deepEqual(["A", "C"].map((seat) => world.pages.get(seat).heard), [[], []]);
  await assert.rejects(world.pages.get("C").session.seal(utf8("me too")), { code: "closed" });
});

test("a pair is a group of its own, without frames: the room and the other waiting seat are not in it", async () => {
  const pair = new World("A");
  pair.page(T, { ring: false });
  const a = pair.page("A", { ring: false });
  pair.host();
  await pair.settle();
  pair.admit("A");
  await pair.settle();
  await pair.pages.get(T).session.seal(utf8("A few minutes more, please."));
  await pair.settle();
  assert.deepEqual(a.heard, [{ seat: T, text: "A few minutes more, please.", epoch: 1 }]);
  assert.deepEqual([a.state.phase, a.state.epoch], ["secured", 1]);
  // Its key package is good for this pair only.
  const room = await World.of();
  const offer = pair.log.find(({ type }) => type === "key-package");
  room.tell(T, { type: "candidate", seat: "A", "key-package": offer["key-package"], tag: offer.tag });
  await room.settle();
  assert.deepEqual(room.pages.get(T).state.refused, [{ seat: "A", code: "tag" }]);
});

test("a page signs with the same key in every generation and in its pair; whoever loads anew, or is elsewhere, with another", async () => {
  const world = await World.of("A");
  const keyOf = (page, seat) => page.state.members.find((member) => member.seat === seat).key;
  const [host, a] = [T, "A"].map((seat) => world.pages.get(seat));
  const before = [T, "A"].map((seat) => keyOf(host, seat));
  world.host();
  await world.settle();
  a.session.resync();
  await world.settle();
  assert.deepEqual([T, "A"].map((seat) => keyOf(a, seat)), before);
  const pair = new World("A");
  for (const { seat, signer } of [host, a]) pair.page(seat, { ring: false, signer });
  pair.host();
  await pair.settle();
  pair.admit("A");
  await pair.settle();
  assert.deepEqual([T, "A"].map((seat) => keyOf(pair.pages.get("A"), seat)), before);
  world.page("A");
  world.knock("A");
  await world.settle();
  const seen = [...before, keyOf(host, "A"), keyOf((await World.of()).pages.get(T), T)];
  assert.equal(new Set(seen).size, 4);
});

test("closed is closed: nothing is sent, shown or opened any more, and no timer is left", async () => {
  const world = await World.of("A");
  const a = world.pages.get("A");
  const frame = await world.pages.get(T).frame();
  const [sent, shown] = [world.log.length, a.states.length];
  a.session.close();
  a.session.close();
  world.clock.advance(600_000);
  await world.settle();
  assert.equal(await a.sees(frame, T), null);
  assert.equal(world.log.filter(({ seat }) => seat === "A").length, world.log.slice(0, sent).filter(({ seat }) => seat === "A").length);
  assert.equal(a.states.length, shown);
  for (const page of world.pages.values()) page.session.close();
  assert.equal(world.clock.waiting, 0);
});

// ---- trouble, and a malicious delivery service

test("somebody whose link is not of this session is not let in, and the host is told so", async () => {
  const world = await World.of("A");
  world.page("B", { keys: await linkKeys(drawLinkSecret()) });
  world.knock("B");
  world.admit("B");
  await world.settle();
  assert.deepEqual(world.pages.get(T).state.refused, [{ seat: "B", code: "tag" }]);
  assert.equal(await world.sights(), "A<T T<A");
  // With the right link it can come.
  world.page("B");
  world.knock("B");
  await world.settle();
  assert.deepEqual(world.pages.get(T).state.refused, []);
  assert.equal(await world.sights(), ALL);
});

test("one candidate whose keys are no good does not keep the other out", async () => {
  const world = await World.of();
  for (const seat of ["A", "B"]) {
    world.page(seat);
    world.knock(seat);
  }
  await world.settle();
  const { tag } = world.offers.get("A");
  world.hears = (_seat, { type }) => type !== "commit";
  world.tell(T, { type: "candidate", seat: "A", "key-package": world.offers.get("B")["key-package"], tag });
  world.hears = () => true;
  world.tell(T, { type: "candidate", seat: "Ä", "key-package": "AAAA", tag: "AAAA" });
  await world.settle();
  assert.equal(world.generation, "0000000000000002", "a message out of shape ends the generation");
  world.admit("B");
  await world.settle();
  assert.equal(await world.sights(T, "B"), "B<T T<B");
});

test("a lost commit is noticed at the next one: keys are asked for anew, and nothing is sent until they are there", async () => {
  const world = await World.of("A", "B");
  let lost = true;
  world.meddle = (to, message) => (to === "A" && message.type === "commit" && lost ? [] : [message]);
  world.clock.advance(600_000);
  await world.settle();
  lost = false;
  assert.equal(world.pages.get("A").state.epoch, 2);
  world.hears = (_seat, { type }) => type !== "resync";
  world.clock.advance(600_000);
  await world.settle();
  const a = world.pages.get("A");
  assert.deepEqual([a.state.phase, a.state.sending], ["securing", null]);
  assert.deepEqual(await world.sights(), "B<T T<B");
  world.hears = () => true;
  world.knock("A");
  await world.settle();
  assert.equal(await world.sights(), ALL);
});

test("frames that cannot be opened for long make a guest ask for fresh keys, and not the host", async () => {
  const world = await World.of("A");
  world.pages.get(T).session.resync();
  await world.settle();
  assert.equal(world.epoch, 1);
  world.pages.get("A").session.resync();
  await world.settle();
  assert.equal(world.epoch, 2);
  assert.equal(await world.sights(), "A<T T<A");
});

test("who is put in anew is told of what was sealed for an epoch that they never had", async () => {
  const world = await World.of("A");
  const held = [];
  world.meddle = (to, message) => (to === T && message.type === "accepted" ? (held.push(message), []) : [message]);
  const a = world.pages.get("A");
  a.session.resync();
  await world.settle();
  await world.pages.get(T).session.seal(new TextEncoder().encode("too early"));
  await world.settle();
  assert.deepEqual([a.heard.length, a.missed], [0, 1]);
  world.meddle = (_to, message) => [message];
  world.tell(T, held[0]);
  await world.settle();
  await world.pages.get(T).session.seal(new TextEncoder().encode("now"));
  await world.settle();
  assert.deepEqual([a.heard.map(({ text }) => text), a.missed], [["now"], 1]);
});

test("an altered commit or welcome breaks nobody for good, and three errors in a minute are the end", async () => {
  const world = await World.of("A", "B");
  const a = world.pages.get("A");
  const flip = (text) => `${text.slice(0, -20)}${text.at(-20) === "A" ? "B" : "A"}${text.slice(-19)}`;
  world.meddle = (to, message) => {
    if (to !== "A") return [message];
    if (message.type === "commit") return [{ ...message, commit: flip(message.commit) }];
    return [message];
  };
  world.clock.advance(600_000);
  await world.settle();
  assert.equal(a.state.phase, "secured", "put in anew");
  assert.equal(await world.sights(), ALL);
  world.meddle = (to, message) => (to === "A" && message.type === "group-welcome" ? [{ ...message, welcome: flip(message.welcome) }] : [message]);
  a.session.resync();
  await world.settle();
  assert.deepEqual([a.state.phase, a.state.failure, a.state.sending, a.state.members], ["failed", "crypto", null, []]);
  assert.equal(await world.sights(), "B<T T<B");
  // Nothing more is heard of it.
  const sent = world.log.filter(({ seat }) => seat === "A").length;
  world.knock("A");
  await world.settle();
  assert.equal(world.log.filter(({ seat }) => seat === "A").length, sent);
});

test("errors far apart are mended every time", async () => {
  const world = await World.of("A");
  for (let round = 0; round < 5; round += 1) {
    world.pages.get("A").session.resync();
    await world.settle();
    assert.equal(world.pages.get("A").state.phase, "secured");
    world.clock.advance(30_001);
    await world.settle();
  }
});

test("double, late and reordered messages change nothing", async () => {
  const world = await World.of("A", "B");
  const told = [];
  world.meddle = (to, message) => {
    if (message.type !== "group") told.push([to, message]);
    return message.type === "group" ? [message] : [message, message];
  };
  world.clock.advance(600_000);
  await world.settle();
  world.out("B");
  await world.settle();
  await world.pages.get("A").session.seal(utf8("once"));
  await world.settle();
  world.meddle = (_to, message) => [message];
  for (const [to, message] of told) if (message.type !== "drop") world.tell(to, message);
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
  assert.deepEqual(world.pages.get(T).heard.map(({ text }) => text), ["once"]);
  assert.deepEqual([T, "A"].map((seat) => world.pages.get(seat).state.phase), ["secured", "secured"]);
});

test("messages of another generation are not for us", async () => {
  const world = await World.of("A");
  const before = world.pages.get(T).state;
  for (const message of [{ type: "accepted", epoch: 7 }, { type: "commit-refused", epoch: 7 }, { type: "drop", seats: ["A"] }]) {
    world.tell(T, { ...message, generation: "ffffffffffffffff" });
  }
  await world.settle();
  assert.deepEqual(world.pages.get(T).state, before);
});

test("a host whose commit is not answered within 300 ms no longer sends to whom it took out", async () => {
  const world = await World.of("A", "B");
  world.hears = (_seat, { type }) => type !== "commit";
  world.out("B", { told: false });
  world.pages.get(T).session.remove(["B"]);
  await world.settle();
  const host = world.pages.get(T);
  assert.equal(await world.pages.get("B").sees(await host.frame(), T), "picture of T", "the server has 300 ms");
  world.clock.advance(300);
  await world.settle();
  assert.equal(host.state.sending, 3);
  assert.equal(await world.sights(), "A<B B<A T<A T<B");
  // The commit is accepted late: A follows.
  const pending = world.log.filter(({ type }) => type === "commit").at(-1);
  world.hears = () => true;
  world.fromPage(host, { ...pending });
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
});

test("a host that cannot even commit a removal sends in no epoch after 300 ms, and goes on receiving", async () => {
  const world = await World.of("A", "B");
  const host = world.pages.get(T);
  world.hears = (_seat, { type }) => type !== "commit";
  world.clock.advance(600_000); // a renewal is on its way, and the server keeps it
  await world.settle();
  assert.equal(await world.sights(), "A<B A<T B<A B<T T<A T<B");
  host.session.remove(["B"]);
  await world.settle();
  world.clock.advance(300);
  await world.settle();
  assert.equal(host.state.sending, null);
  assert.equal(await world.sights(), "A<B B<A T<A T<B");
  world.hears = () => true;
  world.tell(T, { type: "commit-refused", epoch: 2 });
  await world.settle();
  assert.equal(await world.sights(), "A<T T<A");
});

test("a server that refuses every commit ends the group after the third, closed", async () => {
  const world = await World.of("A", "B");
  world.hears = (_seat, { type }) => {
    if (type === "commit") world.tell(T, { type: "commit-refused", epoch: 2 });
    return type !== "commit";
  };
  world.out("B");
  await world.settle();
  const host = world.pages.get(T);
  assert.deepEqual([host.state.phase, host.state.failure, host.state.sending], ["failed", "refused", null]);
  assert.equal(await world.pages.get("B").sees(await host.frame(), T), null);
});

test("a server that says another epoch stands ends the generation", async () => {
  const world = await World.of("A");
  world.tell(T, { type: "accepted", epoch: 9 });
  await world.settle();
  assert.equal(world.generation, "0000000000000002");
  assert.equal(await world.sights(), "A<T T<A");
});

test("a commit sent to the host, by whoever, ends the generation", async () => {
  const world = await World.of("A");
  world.tell(T, { type: "commit", epoch: 2, commit: "AAAA" });
  await world.settle();
  assert.equal(world.generation, "0000000000000002");
  assert.equal(await world.sights(), "A<T T<A");
});

test("bytes that are too many or no base64url are refused before they are read", async () => {
  const world = await World.of("A");
  const b = world.page("B");
  world.knock("B");
  await world.settle();
  const long = toBase64url(new Uint8Array(40_000));
  world.tell(T, { type: "candidate", seat: "B", "key-package": long, tag: "AAAA" });
  await world.settle();
  assert.deepEqual(world.pages.get(T).state.refused, [{ seat: "B", code: "malformed" }]);
  world.tell("B", { type: "group-welcome", epoch: 1, welcome: "%%%" });
  world.tell(T, { type: "sealed", seat: "A", message: long });
  await world.settle();
  assert.equal(world.pages.get(T).state.phase, "secured");
  assert.equal(b.state.phase, "securing");
  assert.equal(world.log.at(-1).type, "key-package", "asked for fresh keys, and offered them");
});

test("a server that floods a page with messages ends its part, closed", async () => {
  const world = await World.of("A");
  const a = world.pages.get("A");
  for (let count = 0; count < 300; count += 1) world.tell("A", { type: "sealed", seat: T, message: "AAAA" });
  await world.settle();
  assert.deepEqual([a.state.phase, a.state.failure, a.state.sending], ["failed", "flooded", null]);
});

