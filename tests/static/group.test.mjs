// A group between honest people: who is in, who has which key, and what survives trouble. Attacks: group-attacks.test.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeMlsMessage } from "../../static/vendor/mls.js";
import { Group } from "../../static/js/group.js";
import { drawSigner } from "../../static/js/group-suite.js";
import { utf8 } from "../../static/js/bytes.js";
import { GROUP_BOUNDS } from "../../static/js/protocol.js";
import { HOST, ID, KEYS, baseKeyOf, guest, openGroup, prepare, refusal, roomOf } from "./group-kit.mjs";

/** Everybody's base key as text: equal for those who are in the same epoch. */
async function keysOf(...groups) {
  return Promise.all(groups.map(async (group) => Buffer.from(await baseKeyOf(group)).toString("hex")));
}

test("those who are in have one key, another one in each epoch, and know each other by name", async () => {
  const room = await roomOf("A");
  const first = await keysOf(room.host, room.members.A);
  await room.change({ add: ["B"] });
  const second = await keysOf(room.host, room.members.A, room.members.B);
  assert.equal(new Set(first).size, 1);
  assert.equal(new Set(second).size, 1);
  assert.notEqual(first[0], second[0]);
  for (const group of [room.host, room.members.A, room.members.B]) {
    assert.equal(group.epoch, 2);
    assert.deepEqual(group.members.map(({ key, entry, ...shown }) => shown), [
      { ...HOST, role: "host", index: 0 },
      { ...guest("A"), role: "guest", index: 1 },
      { ...guest("B"), role: "guest", index: 2 },
    ]);
  }
});

test("both partners can be added by one commit, and the keys renewed by an empty one", async () => {
  const room = await roomOf("A", "B");
  const { welcome } = await room.change({});
  assert.equal(welcome, null);
  assert.equal(new Set(await keysOf(room.host, room.members.A, room.members.B)).size, 1);
  assert.equal(room.members.B.epoch, 2);
});

test("somebody removed is told so, and has no key of what follows", async () => {
  const room = await roomOf("A", "B");
  const removed = room.members.B;
  await room.change({ remove: ["B"] });
  assert.deepEqual(Object.keys(room.members), ["A"]);
  await assert.rejects(removed.epochKey(), refusal("closed"));
  assert.equal(new Set(await keysOf(room.host, room.members.A)).size, 1);
});

test("a reloaded page is put in anew by one commit, and its former self notices", async () => {
  const room = await roomOf("A", "B");
  const former = room.members.A;
  await room.change({ add: ["A"], remove: ["A"] });
  assert.notEqual(room.members.A, former);
  await assert.rejects(former.seal(utf8("still here?")), refusal("closed"));
  assert.equal(new Set(await keysOf(room.host, room.members.A, room.members.B)).size, 1);
  assert.equal(room.host.members.length, 3);
});

test("a page signs with one key in all its groups, and is encrypted to with others each time", async () => {
  const [signer, another] = [await drawSigner(), await drawSigner()];
  const seen = [];
  for (const [id, by] of [[ID, signer], [ID, signer], [`${ID.slice(0, -1)}0`, signer], [`${ID}/A`, signer], [ID, another]]) {
    const { offer } = await prepare({ id, me: guest("A"), keys: KEYS, signer: by });
    const { initKey, leafNode } = decodeMlsMessage(offer.keyPackage, 0)[0].keyPackage;
    seen.push([leafNode.signaturePublicKey, initKey, leafNode.hpkePublicKey].map((key) => key.join()));
  }
  const signs = seen.map(([key]) => key);
  assert.equal(new Set(signs.slice(0, 4)).size, 1);
  assert.notEqual(signs[4], signs[0], "another page, another key");
  assert.equal(new Set(seen.flatMap(([, ...keys]) => keys)).size, 10);
});

test("what a page signs with cannot be read by anybody, not even by it", async (t) => {
  const { mock } = t.mock.method(crypto.subtle, "generateKey");
  const { signKey } = await drawSigner();
  const { privateKey } = await mock.calls.at(-1).result;
  assert.equal(signKey.length, 0);
  assert.equal(privateKey.extractable, false);
  await assert.rejects(crypto.subtle.exportKey("pkcs8", privateKey));
});

test("a page that is put in anew signs as before, and its former self opens and seals nothing", async () => {
  const signer = await drawSigner();
  const enter = () => prepare({ id: ID, me: guest("A"), keys: KEYS, signer });
  const { host, members: { B: b } } = await roomOf("B");
  const first = await enter();
  const added = await host.commit({ add: [{ pid: "A", ...first.offer }] });
  await host.merge();
  await b.apply(added.commit);
  const former = await first.join(added.welcome);
  const before = host.members.find(({ pid }) => pid === "A");
  const again = await enter();
  const anew = await host.commit({ add: [{ pid: "A", ...again.offer }], remove: ["A"] });
  await host.merge();
  await b.apply(anew.commit);
  assert.equal((await former.apply(anew.commit)).removed, true);
  const a = await again.join(anew.welcome);
  assert.equal(new Set(await keysOf(host, a, b)).size, 1);
  const { key, entry } = host.members.find(({ pid }) => pid === "A");
  assert.equal(key, before.key);
  assert.notEqual(entry, before.entry);
  const { from } = await b.open(await a.seal(utf8("here again")));
  assert.equal(from.entry, entry);
  await assert.rejects(former.seal(utf8("still here?")), refusal("closed"));
  const of = (group) => group.members.map(({ entry: each }) => each);
  const entries = of(host);
  await host.commit({});
  await host.merge();
  assert.deepEqual(of(host), entries, "renewed keys are no other entry, the host's neither");
});

test("a group can go on after everybody left the host alone", async () => {
  const room = await roomOf("A");
  await room.change({ remove: ["A"] });
  await room.change({});
  await room.change({ add: ["B"] });
  assert.equal(new Set(await keysOf(room.host, room.members.B)).size, 1);
});

test("a refused commit leaves the epoch as it was, also after something was sealed meanwhile", async () => {
  const room = await roomOf("A");
  const [before] = await keysOf(room.host);
  await room.host.commit({});
  assert.equal(room.host.isPending, true);
  await assert.rejects(room.host.commit({}), refusal("pending"));
  await room.members.A.open(await room.host.seal(utf8("meanwhile")));
  await room.host.discard();
  assert.deepEqual(await keysOf(room.host, room.members.A), [before, before]);
  await room.change({ add: ["B"] });
  assert.equal(new Set(await keysOf(room.host, room.members.A, room.members.B)).size, 1);
  await assert.rejects(room.host.merge(), refusal("pending"));
});

test("a message is opened once, by everybody else, with the name of who sealed it", async () => {
  const room = await roomOf("A", "B");
  const sealed = await room.members.A.seal(utf8("Guten Tag"));
  for (const group of [room.host, room.members.B]) {
    const { from, payload } = await group.open(sealed);
    assert.deepEqual([from.pid, from.name, new TextDecoder().decode(payload)], ["A", "Partner A", "Guten Tag"]);
    await assert.rejects(group.open(sealed), refusal("crypto"));
  }
  await assert.rejects(room.members.A.open(sealed), refusal("not-a-member"));
});

test("messages overtake each other, and a commit overtakes them, without loss", async () => {
  const room = await roomOf("A", "B");
  const sealed = await Promise.all(["1", "2", "3"].map((text) => room.members.A.seal(utf8(text))));
  const opened = async (message) => new TextDecoder().decode((await room.host.open(message)).payload);
  assert.equal(await opened(sealed[2]), "3");
  await room.change({});
  assert.equal(await opened(sealed[0]), "1");
  await room.host.forgetEarlier();
  await assert.rejects(opened(sealed[1]), refusal("epoch"));
});

test("a message opened while a commit is on its way does not open again after it", async () => {
  const room = await roomOf("A");
  const sealed = await room.members.A.seal(utf8("once"));
  await room.host.commit({});
  await room.host.open(sealed);
  await room.host.merge();
  await assert.rejects(room.host.open(sealed), refusal("crypto"));
});

test("the length of what is sealed shows only in steps of 256", async () => {
  const { host } = await roomOf("A");
  const lengths = [];
  for (const length of [0, 1, 49, 150, 176, 177, 400, 432, 433, 6144]) lengths.push((await host.seal(new Uint8Array(length))).length);
  const [least = 0] = lengths;
  assert.deepEqual(
    lengths.map((length) => Math.round((length - least) / 256)),
    [0, 0, 0, 0, 0, 1, 1, 1, 2, 24],
  );
  // The header around it writes its own lengths in one, two or four bytes.
  for (const length of lengths) assert.ok(Math.abs(length - least - Math.round((length - least) / 256) * 256) <= 4);
  await assert.rejects(host.seal(new Uint8Array(6145)), refusal("too-long"));
});

test("the most that the largest room needs is within the bounds", async () => {
  const everybody = ["A", "B", "C"]; // a couple and a co-therapist; with the host no room has more places
  const room = await roomOf();
  const { offer } = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  assert.ok(offer.keyPackage.length <= GROUP_BOUNDS["key-package"]);
  const steps = [{ add: everybody }, {}, { add: everybody, remove: everybody }, { remove: ["B"] }, { add: ["B"], remove: ["C"] }];
  const made = [];
  for (const step of steps) made.push(await room.change(step));
  for (const { commit, welcome } of made) {
    assert.ok(commit.length <= GROUP_BOUNDS.commit, `a commit of ${commit.length} bytes`);
    assert.ok((welcome?.length ?? 0) <= GROUP_BOUNDS.welcome, `a Welcome of ${welcome?.length} bytes`);
  }
  assert.ok((await room.host.seal(new Uint8Array(6144))).length <= GROUP_BOUNDS.sealed);
});

test("what is asked for at once is done one after the other", async () => {
  const room = await roomOf("A");
  const sealed = await Promise.all(Array.from({ length: 20 }, (_, at) => room.host.seal(utf8(String(at)))));
  const ratchets = new Set(sealed.map((bytes) => Buffer.from(decodeMlsMessage(bytes, 0)[0].privateMessage.ciphertext).toString("hex")));
  assert.equal(ratchets.size, 20);
  const texts = await Promise.all(sealed.map(async (bytes) => new TextDecoder().decode((await room.members.A.open(bytes)).payload)));
  assert.deepEqual(texts, Array.from({ length: 20 }, (_, at) => String(at)));
});

test("the authenticator of an epoch is the same for all in it and for nobody else", async () => {
  const room = await roomOf("A");
  const text = (group) => Buffer.from(group.epochAuthenticator).toString("hex");
  const before = text(room.host);
  assert.equal(text(room.members.A), before);
  await room.change({});
  assert.equal(text(room.members.A), text(room.host));
  assert.notEqual(text(room.host), before);
  assert.notEqual(text((await roomOf("A")).host), text(room.host));
});

test("key packages carry the suite's number of this version of the library", async () => {
  const { offer } = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  // version mls10, wire format key package, version, suite 83: with 0xF00D it would be a later library and another protocol
  assert.deepEqual([...offer.keyPackage.slice(0, 8)], [0, 1, 0, 5, 0, 1, 0, 83]);
});

test("a welcome for an earlier key package of ours is told as such, and the one for the latest is good", async () => {
  const { host } = await roomOf();
  const earlier = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  const latest = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  const first = await host.commit({ add: [{ pid: "A", ...earlier.offer }] });
  await host.merge();
  await assert.rejects(latest.join(first.welcome), refusal("other-key"));
  const second = await host.commit({ add: [{ pid: "A", ...latest.offer }], remove: ["A"] });
  await host.merge();
  assert.deepEqual(await baseKeyOf(await latest.join(second.welcome)), await baseKeyOf(host));
});

test("a closed group does nothing any more and can be closed again", async () => {
  const host = await openGroup({ id: ID, me: HOST, keys: KEYS });
  assert.ok(host instanceof Group);
  await host.close();
  await host.close();
  for (const call of [() => host.seal(utf8("x")), () => host.commit({}), () => host.epochKey(), () => host.merge()]) {
    await assert.rejects(call(), refusal("closed"));
  }
});

test("nobody enters without a seat and a name that can be shown", async () => {
  for (const me of [{ pid: "AB", name: "x" }, { pid: "a", name: "x" }, { pid: "A", name: "" }, { pid: "A", name: "x".repeat(500) }]) {
    await assert.rejects(prepare({ id: ID, me, keys: KEYS }), refusal("identity"));
  }
});
