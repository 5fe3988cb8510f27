// What a malicious server, guest or host may try, and that each is refused with the state as it was.
//
// The attacks that the design was tried with have numbers here, 1 to 11 in its order, and 12. The policy of group-policy.js, rule by
// rule, for the host that commits and for the guests that follow:
//
//   only leaf 0 commits                    host: 7 · guests: 7, "an external commit …"
//   Add, Remove and PSK, inline            guests: 8 · "stand-alone proposals …"
//   one PSK with every Add, none without   guests: 8, "an add without the link's key …" · "the link's key twice …" · newcomers: 3, 4
//   no external commit, no proposal alone  "an external commit …" · "stand-alone proposals …"
//   no extensions, our suite only          8 · "groups with extensions …"
//   this group id, the next epoch          5, 9, 10
//   every person once                      host and guests: "somebody twice …"
//   one host, at leaf 0, always the same   12 · "somebody twice …" · "a host that changes its own name …" · "groups with extensions …"
//   every key once                         host: "an encryption key …", "a signature key …" · guests: "an encryption key …" (of
//                                          signature keys the library sees to it) · both: "a page that is put in anew …"
//   at most eight leaves                   host: "somebody twice …" · guests: "more than fit …"
//   a welcome used the PSK, by the host    newcomers: 3, 4 · "a welcome signed by a guest …"
//   the group's state goes out sealed      "what leaves a page …"

import assert from "node:assert/strict";
import { test } from "node:test";

import { unprotectPrivateMessage } from "ts-mls/messageProtection.js";
import { nextEpochContext } from "ts-mls/clientState.js";
import { initializeEpoch } from "ts-mls/keySchedule.js";
import { signKeyPackage } from "ts-mls/keyPackage.js";
import { signLeafNodeKeyPackage } from "ts-mls/leafNode.js";
import { createGroupInfoWithExternalPubAndRatchetTree, joinGroupExternal } from "ts-mls/createCommit.js";
import { createProposal } from "ts-mls/createMessage.js";
import { processPublicMessage } from "ts-mls/processMessages.js";
import { removeLeafNode } from "ts-mls/ratchetTree.js";
import { treeHashRoot } from "ts-mls/treeHash.js";
import { applyUpdatePath } from "ts-mls/updatePath.js";

import { utf8 } from "../../static/js/bytes.js";
import * as suites from "../../static/js/group-suite.js";
import { checkProposals, linkPsk } from "../../static/js/group-policy.js";
import { drawLinkSecret, linkKeys } from "../../static/js/link-secret.js";
import * as mls from "../../static/vendor/mls.js";
import { SUITE_1, suitesBeside } from "../vectors/suites.mjs";
import { HOST, ID, KEYS, Raw, baseKeyOf, guest, offerOf, openGroup, prepare, rawKeyPackage, refusal, roomOf, tagOf } from "./group-kit.mjs";

const { drawSigner, suite } = suites;
const OTHER = await linkKeys(drawLinkSecret());
const WRONG_PSK = new Uint8Array(64).fill(7);

/** A room whose host, Raw, keeps no rule, with two honest guests. */
async function roomOfARogue() {
  const rogue = await Raw.host();
  const a = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  const b = await prepare({ id: ID, me: guest("B"), keys: KEYS });
  const { welcome } = await rogue.commit(Raw.adding([a.offer.keyPackage, b.offer.keyPackage]));
  return { rogue, a: await a.join(welcome), b: await b.join(welcome) };
}

/** Refused with this code, and the group goes on: the rogue's next honest commit is followed. */
async function refusedAndGoesOn({ rogue, a }, commit, code) {
  const before = rogue.state;
  const { commit: evil } = await commit();
  const [epoch, members] = [a.epoch, a.members];
  await assert.rejects(a.apply(evil), refusal(code));
  assert.deepEqual([a.epoch, a.members], [epoch, members]);
  rogue.state = before;
  await a.apply((await rogue.commit([])).commit);
  assert.deepEqual(await baseKeyOf(a), await rogue.baseKey());
}

/** The host's leaf as every member has it, from the welcome of one of them. */
async function leafOfHost(host) {
  const own = await rawKeyPackage({ ...guest("C"), role: "guest" });
  const { welcome } = await host.commit({ add: [{ pid: "C", ...(await offerOf(own.publicPackage)) }] });
  await host.merge();
  return (await Raw.join(own, welcome)).state.ratchetTree[0].leaf;
}

const host = () => openGroup({ id: ID, me: HOST, keys: KEYS });

// ---- the twelve attacks of the study

test("1: the server swaps in a key package of its own", async () => {
  const room = await host();
  const own = await rawKeyPackage({ ...guest("A"), role: "guest" });
  const honest = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  const swapped = { ...(await offerOf(own.publicPackage, OTHER)), pid: "A" };
  await assert.rejects(room.commit({ add: [swapped] }), refusal("tag"));
  await assert.rejects(room.commit({ add: [{ ...swapped, tag: honest.offer.tag }] }), refusal("tag"));
  await assert.rejects(room.commit({ add: [{ ...swapped, tag: new Uint8Array() }] }), refusal("tag"));
  await room.commit({ add: [{ pid: "A", ...honest.offer }] });
});

test("2: were the tag forged, the link's key in the group's keys would still keep the server out", async () => {
  const room = await host();
  const own = await rawKeyPackage({ ...guest("A"), role: "guest" });
  const { welcome } = await room.commit({ add: [{ pid: "A", ...(await offerOf(own.publicPackage)) }] });
  await assert.rejects(Raw.join(own, welcome, WRONG_PSK));
  await Raw.join(own, welcome, KEYS.psk); // so it is the key, and nothing else, that kept it out
});

test("3: the server plays the host without the link's key, which MLS alone would accept", async () => {
  const server = await Raw.host();
  const newcomer = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  const { welcome } = await server.commit(Raw.adding([newcomer.offer.keyPackage], null));
  await assert.rejects(newcomer.join(welcome), refusal("no-psk"));

  const own = await rawKeyPackage({ ...guest("B"), role: "guest" });
  const second = await (await Raw.host()).commit(Raw.adding([(await offerOf(own.publicPackage)).keyPackage], null));
  await Raw.join(own, second.welcome, null);
});

test("4: the server plays the host with a key it made up, or one of another name", async () => {
  const newcomer = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  const server = await Raw.host({ psk: WRONG_PSK });
  const made = await server.commit(Raw.adding([newcomer.offer.keyPackage]));
  await assert.rejects(newcomer.join(made.welcome), refusal("crypto"));

  const named = await (await Raw.host({ psk: WRONG_PSK })).commit(
    Raw.adding([newcomer.offer.keyPackage], { ...linkPsk(), pskId: utf8("a key of the server's") }),
  );
  await assert.rejects(newcomer.join(named.welcome), refusal("no-psk"));

  const twice = [...Raw.adding([newcomer.offer.keyPackage]), { proposalType: "psk", psk: { preSharedKeyId: linkPsk() } }];
  await assert.rejects(newcomer.join((await (await Raw.host()).commit(twice)).welcome), refusal("no-psk"));

  // What it refused has spoiled nothing.
  const honest = await host();
  const { welcome } = await honest.commit({ add: [{ pid: "A", ...newcomer.offer }] });
  await honest.merge();
  assert.equal((await newcomer.join(welcome)).epoch, 1);
});

test("5: a commit is played again, or kept back and played late", async () => {
  const room = await roomOf("A", "B");
  const first = await room.host.commit({});
  await room.host.merge();
  const second = await room.host.commit({});
  await room.host.merge();
  await assert.rejects(room.members.A.apply(second.commit), refusal("epoch"));
  await room.members.A.apply(first.commit);
  await assert.rejects(room.members.A.apply(first.commit), refusal("epoch"));
  await room.members.A.apply(second.commit);
  assert.deepEqual(await baseKeyOf(room.members.A), await baseKeyOf(room.host));
});

test("6: bits are flipped on the way; the state stays, and the right bytes still work", async () => {
  const room = await roomOf("A");
  const newcomer = await prepare({ id: ID, me: guest("B"), keys: KEYS });
  const { commit, welcome } = await room.host.commit({ add: [{ pid: "B", ...newcomer.offer }] });
  const sealed = await room.host.seal(utf8("x"));
  await room.host.merge();
  const flipped = (bytes, at) => bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte));
  for (let at = 0; at < commit.length; at += 211) await assert.rejects(room.members.A.apply(flipped(commit, at)), { name: "GroupError" });
  // A welcome is for several; flipping what another newcomer would read is no harm. One byte of each part we read:
  for (const at of [1, 3, 5, 10, 60, 900, 1300, 2000, welcome.length - 1]) {
    await assert.rejects(newcomer.join(flipped(welcome, at)), { name: "GroupError" }, String(at));
  }
  for (let at = 0; at < sealed.length; at += 37) await assert.rejects(room.members.A.open(flipped(sealed, at)), { name: "GroupError" });
  await room.members.A.open(sealed);
  await room.members.A.apply(commit);
  assert.deepEqual(await baseKeyOf(await newcomer.join(welcome)), await baseKeyOf(room.members.A));
});

test("7: a guest commits", async () => {
  const room = await roomOf("A");
  const own = await rawKeyPackage({ ...guest("B"), role: "guest" });
  const { commit, welcome } = await room.host.commit({ add: [{ pid: "B", ...(await offerOf(own.publicPackage)) }] });
  await room.host.merge();
  await room.members.A.apply(commit);
  const rogue = await Raw.join(own, welcome);
  const before = rogue.state;
  for (const proposals of [[], [{ proposalType: "remove", remove: { removed: 1 } }], [{ proposalType: "remove", remove: { removed: 0 } }]]) {
    rogue.state = before;
    const evil = (await rogue.commit(proposals)).commit;
    await assert.rejects(room.members.A.apply(evil), refusal("policy"));
    await assert.rejects(room.host.apply(evil), refusal("policy"));
  }
  await assert.rejects(room.members.A.commit({}), refusal("not-committer"));
});

test("8: proposals of types that are not used, though the host itself sends them", async () => {
  const room = await roomOfARogue();
  const types = [
    { proposalType: "group_context_extensions", groupContextExtensions: { extensions: [] } },
    { proposalType: "reinit", reinit: { groupId: utf8("x"), version: "mls10", cipherSuite: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", extensions: [] } },
    { proposalType: 0xf001, proposalData: new Uint8Array([1]) },
  ];
  for (const proposal of types) await refusedAndGoesOn(room, () => room.rogue.commit([proposal]), "policy");
  await refusedAndGoesOn(room, () => room.rogue.commit([{ proposalType: "psk", psk: { preSharedKeyId: linkPsk() } }]), "policy");
  // Those that the library does not let anybody write into a commit of this kind:
  for (const proposal of [{ proposalType: "external_init", externalInit: {} }, { proposalType: "update", update: {} }, { proposalType: 10, proposalData: {} }]) {
    assert.throws(() => checkProposals([{ proposal, senderLeafIndex: 0 }]), refusal("policy"));
  }
  const removal = { proposalType: "remove", remove: { removed: 1 } };
  assert.throws(() => checkProposals([{ proposal: removal, senderLeafIndex: 2 }]), refusal("policy"));
  assert.deepEqual([...checkProposals([{ proposal: removal, senderLeafIndex: 0 }]).removed], [1]);
});

test("9: a key package of one generation is offered in another", async () => {
  const newcomer = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  const next = await openGroup({ id: ID.replace("0", "f"), me: HOST, keys: KEYS });
  await assert.rejects(next.commit({ add: [{ pid: "A", ...newcomer.offer }] }), refusal("tag"));
  const pair = await openGroup({ id: `${ID}/A`, me: HOST, keys: KEYS });
  await assert.rejects(pair.commit({ add: [{ pid: "A", ...newcomer.offer }] }), refusal("tag"));
});

test("10: a welcome, commit or message of another generation", async () => {
  const newcomer = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  const elsewhere = await Raw.host({ id: ID.replace("0", "f") });
  const made = await elsewhere.commit(Raw.adding([newcomer.offer.keyPackage]));
  await assert.rejects(newcomer.join(made.welcome), refusal("other-group"));
  const room = await roomOf("A");
  await assert.rejects(room.members.A.apply((await elsewhere.commit([])).commit), refusal("other-group"));
});

test("11: somebody removed opens nothing that is said later", async () => {
  const room = await roomOf("A");
  const own = await rawKeyPackage({ ...guest("B"), role: "guest" });
  const { commit, welcome } = await room.host.commit({ add: [{ pid: "B", ...(await offerOf(own.publicPackage)) }] });
  await room.host.merge();
  await room.members.A.apply(commit);
  const removed = await Raw.join(own, welcome);
  await room.change({ remove: ["B"] });
  const message = mls.decodeMlsMessage(await room.host.seal(utf8("about B")), 0)[0].privateMessage;
  await assert.rejects(mls.processPrivateMessage(removed.state, message, { findPsk: () => KEYS.psk }, await suite()));
  // And says nothing any more, although the others keep the epoch before for messages that are late.
  const late = await mls.createApplicationMessage(removed.state, utf8("hear me"), await suite());
  const sealed = new Uint8Array(mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage: late.privateMessage }));
  await assert.rejects(room.members.A.open(sealed), refusal("not-a-member"));
});

test("12: a key package that names another seat, a host, or nobody", async () => {
  const room = await host();
  const named = async (person, options) => ({ pid: "A", ...(await offerOf((await rawKeyPackage(person, options)).publicPackage)) });
  await assert.rejects(room.commit({ add: [await named({ ...guest("B"), role: "guest" })] }), refusal("identity"));
  await assert.rejects(room.commit({ add: [await named({ ...guest("A"), role: "host" })] }), refusal("identity"));
  const spelled = (text) => named({ ...guest("A"), role: "guest" }, { credential: { credentialType: "basic", identity: utf8(text) } });
  for (const text of [
    "",
    "null",
    "[]",
    '{"pid":"A","name":"Partner A","role":"guest","role":"host"}',
    '{"pid":"B","pid":"A","name":"Partner A","role":"guest"}',
    '{"pid": "A","name":"Partner A","role":"guest"}',
    '{"pid":"A","name":"Partner A","role":"guest","admin":true}',
    `{"pid":"A","name":"${"x".repeat(2000)}","role":"guest"}`,
  ]) {
    await assert.rejects(room.commit({ add: [await spelled(text)] }), refusal("identity"), text.slice(0, 60));
  }
});

// ---- the rest of the policy

test("an add without the link's key, and a nonce of another length", async () => {
  const room = await roomOfARogue();
  const { offer } = await prepare({ id: ID, me: guest("C"), keys: KEYS });
  await refusedAndGoesOn(room, () => room.rogue.commit(Raw.adding([offer.keyPackage], null)), "no-psk");
  const short = { ...linkPsk(), pskNonce: new Uint8Array(32) };
  await refusedAndGoesOn(room, () => room.rogue.commit(Raw.adding([offer.keyPackage], short)), "policy");
  const newcomer = await prepare({ id: ID, me: guest("D"), keys: KEYS });
  const made = await (await Raw.host()).commit(Raw.adding([newcomer.offer.keyPackage], short));
  await assert.rejects(newcomer.join(made.welcome), refusal("policy"));
});

test("an encryption key that is somebody's already, which ts-mls lets through", async () => {
  const cs = await suite();
  const room = await roomOfARogue();
  const honest = await host();
  const a = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  await honest.commit({ add: [{ pid: "A", ...a.offer }] });
  await honest.merge();
  const copied = mls.decodeMlsMessage(a.offer.keyPackage, 0)[0].keyPackage.leafNode.hpkePublicKey;
  const inRogue = room.rogue.state.ratchetTree[2].leaf.hpkePublicKey;
  const withKey = async (hpkePublicKey) => {
    const own = await rawKeyPackage({ ...guest("C"), role: "guest" });
    const key = own.privatePackage.signaturePrivateKey;
    const leafNode = await signLeafNodeKeyPackage({ ...own.publicPackage.leafNode, hpkePublicKey }, key, cs.signature);
    return offerOf(await signKeyPackage({ ...own.publicPackage, leafNode }, key, cs.signature));
  };
  await assert.rejects(honest.commit({ add: [{ pid: "C", ...(await withKey(copied)) }] }), refusal("duplicate"));
  const offer = await withKey(inRogue);
  await refusedAndGoesOn(room, () => room.rogue.commit(Raw.adding([offer.keyPackage])), "duplicate");
});

test("a signature key that is somebody's already, or a key that is used for two things", async () => {
  const cs = await suite();
  const honest = await host();
  const own = await rawKeyPackage({ ...guest("A"), role: "guest" });
  const key = own.privatePackage.signaturePrivateKey;
  await honest.commit({ add: [{ pid: "A", ...(await offerOf(own.publicPackage)) }] });
  await honest.merge();
  // The same signature key in another seat, and a key package whose first key is its leaf's.
  const again = await rawKeyPackage({ ...guest("C"), role: "guest" });
  const { signaturePublicKey } = own.publicPackage.leafNode;
  const signed = async (leaf, keyPackage) => {
    const leafNode = await signLeafNodeKeyPackage(leaf, key, cs.signature);
    return offerOf(await signKeyPackage({ ...keyPackage, leafNode }, key, cs.signature));
  };
  const taken = await signed({ ...again.publicPackage.leafNode, signaturePublicKey }, again.publicPackage);
  await assert.rejects(honest.commit({ add: [{ pid: "C", ...taken }] }), refusal("duplicate"));
  const leaf = { ...own.publicPackage.leafNode, hpkePublicKey: own.publicPackage.initKey };
  const double = await signed(leaf, own.publicPackage);
  await assert.rejects((await host()).commit({ add: [{ pid: "A", ...double }] }), refusal("duplicate"));
});

test("a page that is put in anew, and is to be encrypted to with what it had before, or is still in", async () => {
  const cs = await suite();
  const signer = await drawSigner();
  const former = await rawKeyPackage({ ...guest("C"), role: "guest" }, { signer });
  const { hpkePublicKey } = former.publicPackage.leafNode;
  const again = await rawKeyPackage({ ...guest("C"), role: "guest" }, { signer });
  const leafNode = await signLeafNodeKeyPackage({ ...again.publicPackage.leafNode, hpkePublicKey }, signer.signKey, cs.signature);
  const reused = await offerOf(await signKeyPackage({ ...again.publicPackage, leafNode }, signer.signKey, cs.signature));
  const [first, fresh] = [await offerOf(former.publicPackage), await offerOf(again.publicPackage)];
  const honest = await host();
  await honest.commit({ add: [{ pid: "C", ...first }] });
  await honest.merge();
  await assert.rejects(honest.commit({ add: [{ pid: "C", ...reused }], remove: ["C"] }), refusal("duplicate"));
  await assert.rejects(honest.commit({ add: [{ pid: "C", ...fresh }] }), refusal("duplicate"));
  await honest.commit({ add: [{ pid: "C", ...fresh }], remove: ["C"] });
  // A guest refuses them of a host that keeps no rule.
  const room = await roomOfARogue();
  const { commit: added } = await room.rogue.commit(Raw.adding([first.keyPackage]));
  await room.a.apply(added);
  const out = { proposalType: "remove", remove: { removed: room.a.members.find(({ pid }) => pid === "C").index } };
  await refusedAndGoesOn(room, () => room.rogue.commit([out, ...Raw.adding([reused.keyPackage])]), "duplicate");
  await assert.rejects(room.rogue.commit(Raw.adding([fresh.keyPackage])), "the library lets nobody make such a commit");
  await room.a.apply((await room.rogue.commit([out, ...Raw.adding([fresh.keyPackage])])).commit);
});

test("a member who plays the host of another generation with the host's own leaf and key", async () => {
  const { host: honest } = await roomOf("A", "B");
  const next = ID.replace("0", "f");
  const forger = await Raw.host({ id: next });
  forger.state.ratchetTree[0] = { nodeType: "leaf", leaf: await leafOfHost(honest) };
  const newcomer = await prepare({ id: next, me: guest("A"), keys: KEYS });
  const { welcome } = await forger.commit(Raw.adding([newcomer.offer.keyPackage]));
  await assert.rejects(newcomer.join(welcome), refusal("crypto"));
});

test("a key package of a page's, offered in another generation by somebody with the link secret, opens to nobody", async () => {
  const signer = await drawSigner();
  const me = { me: guest("A"), keys: KEYS, signer };
  const next = ID.replace("0", "f");
  const [before, now] = [await prepare({ id: ID, ...me }), await prepare({ id: next, ...me })];
  const { keyPackage } = before.offer;
  const there = await openGroup({ id: next, me: HOST, keys: KEYS });
  const { welcome } = await there.commit({ add: [{ pid: "A", keyPackage, tag: await tagOf(keyPackage, KEYS, next) }] });
  await assert.rejects(before.join(welcome), refusal("other-group"));
  await assert.rejects(now.join(welcome), refusal("other-key"));
});

test("the link's key twice with one add", async () => {
  const room = await roomOfARogue();
  const { offer } = await prepare({ id: ID, me: guest("C"), keys: KEYS });
  const twice = [...Raw.adding([offer.keyPackage]), { proposalType: "psk", psk: { preSharedKeyId: linkPsk() } }];
  await refusedAndGoesOn(room, () => room.rogue.commit(twice), "no-psk");
});

test("more than fit, by a host that does not count", async () => {
  const room = await roomOfARogue();
  const offers = await Promise.all([..."CDEFGH"].map(async (pid) => (await prepare({ id: ID, me: guest(pid), keys: KEYS })).offer.keyPackage));
  await refusedAndGoesOn(room, () => room.rogue.commit(Raw.adding(offers)), "full");
});

test("an external commit by somebody to whom a member gave the group's state", async () => {
  const cs = await suite();
  const room = await roomOfARogue();
  const info = await createGroupInfoWithExternalPubAndRatchetTree(room.rogue.state, [], cs);
  const own = await rawKeyPackage({ ...guest("C"), role: "guest" });
  const { publicMessage } = await joinGroupExternal(info, own.publicPackage, own.privatePackage, false, cs, undefined, room.rogue.state.clientConfig);
  const bytes = new Uint8Array(mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_public_message", publicMessage }));
  // MLS alone lets them in.
  const taken = await processPublicMessage(room.rogue.state, publicMessage, { findPsk: () => KEYS.psk }, cs, () => "accept");
  assert.equal(taken.newState.groupContext.epoch, room.rogue.state.groupContext.epoch + 1n);
  await refusedAndGoesOn(room, async () => ({ commit: bytes }), "malformed");
});

test("what leaves a page is sealed, signed or for one newcomer: never the group's state in the clear", async () => {
  const room = await roomOf("A");
  const newcomer = await prepare({ id: ID, me: guest("B"), keys: KEYS });
  const { commit, welcome } = await room.host.commit({ add: [{ pid: "B", ...newcomer.offer }] });
  await room.host.merge();
  const sealed = await room.host.seal(utf8("x"));
  const formats = [newcomer.offer.keyPackage, commit, welcome, sealed].map((bytes) => mls.decodeMlsMessage(bytes, 0)[0].wireformat);
  assert.deepEqual(formats, ["mls_key_package", "mls_private_message", "mls_welcome", "mls_private_message"]);
  // Names and keys of those who are in can be read in none of what goes out while somebody comes.
  const [, a] = room.host.members;
  for (const bytes of [commit, welcome, sealed]) {
    const text = Buffer.from(bytes).toString("latin1");
    assert.ok(!text.includes(a.name));
    assert.ok(!text.includes(Buffer.from(a.key, "base64url").toString("latin1")));
  }
});

test("somebody twice, the same keys twice, more than fit", async () => {
  const room = await roomOf("A");
  const again = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  await assert.rejects(room.host.commit({ add: [{ pid: "A", ...again.offer }] }), refusal("duplicate"));
  const b = await prepare({ id: ID, me: guest("B"), keys: KEYS });
  await assert.rejects(room.host.commit({ add: [{ pid: "B", ...b.offer }, { pid: "B", ...b.offer }] }), refusal("duplicate"));
  await assert.rejects(room.host.commit({ remove: ["B"] }), refusal("not-a-member"));
  await assert.rejects(room.host.commit({ remove: ["T"] }), refusal("not-a-member"));
  const many = await Promise.all([..."BCDEFGHI"].map(async (pid) => ({ pid, ...(await prepare({ id: ID, me: guest(pid), keys: KEYS })).offer })));
  await assert.rejects(room.host.commit({ add: many }), refusal("full"));

  const rogue = await roomOfARogue();
  const twin = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  await refusedAndGoesOn(rogue, () => rogue.rogue.commit(Raw.adding([twin.offer.keyPackage])), "duplicate");
  const second = await rawKeyPackage({ ...guest("C"), role: "host" });
  const offer = await offerOf(second.publicPackage);
  await refusedAndGoesOn(rogue, () => rogue.rogue.commit(Raw.adding([offer.keyPackage])), "identity");
});

test("a host that changes its own name with a commit", async () => {
  const room = await roomOfARogue();
  const renamed = { ...room.rogue.state.ratchetTree[0].leaf, credential: { credentialType: "basic", identity: utf8('{"pid":"T","name":"Dr. Other","role":"host"}') } };
  await refusedAndGoesOn(
    room,
    () => {
      const { ratchetTree } = room.rogue.state;
      room.rogue.state = { ...room.rogue.state, ratchetTree: [{ nodeType: "leaf", leaf: renamed }, ...ratchetTree.slice(1)] };
      return room.rogue.commit([]);
    },
    "identity",
  );
});

test("a welcome signed by a guest who forks the group", async () => {
  const room = await host();
  const own = await rawKeyPackage({ ...guest("B"), role: "guest" });
  const { welcome } = await room.commit({ add: [{ pid: "B", ...(await offerOf(own.publicPackage)) }] });
  await room.merge();
  const rogue = await Raw.join(own, welcome);
  const newcomer = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  const forged = await rogue.commit(Raw.adding([newcomer.offer.keyPackage]));
  await assert.rejects(newcomer.join(forged.welcome), refusal("policy"));
});

test("groups with extensions, other suites, no host at leaf 0", async () => {
  const newcomer = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  const joining = async (settings) => newcomer.join((await (await Raw.host(settings)).commit(Raw.adding([newcomer.offer.keyPackage]))).welcome);
  // The library refuses extensions that we do not say we can; required_capabilities it always allows.
  await assert.rejects(joining({ extensions: [{ extensionType: "required_capabilities", extensionData: new Uint8Array(3) }] }), { name: "GroupError" });
  await assert.rejects(joining({ person: { ...guest("B"), role: "guest" } }), refusal("identity"));

  const room = await host();
  const cs = await suitesBeside(suites)[1]();
  const weaker = await rawKeyPackage({ ...guest("A"), role: "guest" }, { cs, capabilities: { versions: ["mls10"], ciphersuites: [SUITE_1], extensions: [], proposals: [], credentials: ["basic"] } });
  await assert.rejects(room.commit({ add: [{ pid: "A", ...(await offerOf(weaker.publicPackage)) }] }), refusal("key-package"));
  const extended = await rawKeyPackage({ ...guest("A"), role: "guest" }, { extensions: [{ extensionType: 0xf001, extensionData: new Uint8Array() }] });
  await assert.rejects(room.commit({ add: [{ pid: "A", ...(await offerOf(extended.publicPackage)) }] }), refusal("key-package"));
});

test("stand-alone proposals, public commits, commits with additional data, bytes that are no message", async () => {
  const room = await roomOfARogue();
  const { message } = await createProposal(room.rogue.state, false, { proposalType: "remove", remove: { removed: 1 } }, await suite());
  await assert.rejects(room.a.apply(new Uint8Array(mls.encodeMlsMessage(message))), refusal("policy"));
  await refusedAndGoesOn(room, () => room.rogue.commit([], { publicly: true }), "malformed");
  await refusedAndGoesOn(room, () => room.rogue.commit([], { authenticatedData: utf8("x") }), "policy");
  const { commit } = await room.rogue.commit([]);
  for (const bytes of [new Uint8Array(), commit.slice(0, -1), new Uint8Array([...commit, 0]), commit.slice(1), new Uint8Array(5000).fill(255)]) {
    await assert.rejects(room.a.apply(bytes), refusal("malformed"));
    await assert.rejects(room.a.open(bytes), refusal("malformed"));
  }
  await assert.rejects(room.a.open(commit), refusal("policy"));
});

test("the only guest, removed, cannot compute the keys of the host that stays alone", async () => {
  const cs = await suite();
  const room = await host();
  const own = await rawKeyPackage({ ...guest("A"), role: "guest" });
  const { welcome } = await room.commit({ add: [{ pid: "A", ...(await offerOf(own.publicPackage)) }] });
  await room.merge();
  const { state } = await Raw.join(own, welcome);

  /** What ts-mls derives after this removal, from what the removed member has: the commit secret of a lone host is zeroes. */
  const computed = async (bytes) => {
    const message = mls.decodeMlsMessage(bytes, 0)[0].privateMessage;
    const { content } = await unprotectPrivateMessage(
      state.keySchedule.senderDataSecret, message, state.secretTree, state.ratchetTree, state.groupContext, state.clientConfig.keyRetentionConfig, cs,
    );
    const tree = await applyUpdatePath(removeLeafNode(state.ratchetTree, 1), 0, content.content.commit.path, cs.hash);
    const hash = await treeHashRoot(tree, cs.hash);
    const context = await nextEpochContext(state.groupContext, "mls_private_message", content.content, content.auth.signature, hash, state.confirmationTag, cs.hash);
    const zeroes = new Uint8Array(cs.kdf.size);
    const { keySchedule } = await initializeEpoch(state.keySchedule.initSecret, zeroes, context, zeroes, cs.kdf);
    return Buffer.from(await mls.mlsExporter(keySchedule.exporterSecret, "SFrame 1.0 Base Key", new Uint8Array(), 32, cs)).toString("hex");
  };

  const made = await room.commit({ remove: ["A"] });
  await room.merge();
  assert.notEqual(Buffer.from(await baseKeyOf(room)).toString("hex"), await computed(made.commit));

  // The same attack on the library as it is, so that this test cannot pass for a mistake in its own arithmetic.
  const plain = await Raw.host();
  const second = await plain.commit(Raw.adding([(await offerOf(own.publicPackage)).keyPackage]));
  Object.assign(state, (await Raw.join(own, second.welcome)).state);
  const bare = await plain.commit([{ proposalType: "remove", remove: { removed: 1 } }]);
  assert.equal(Buffer.from(await plain.baseKey()).toString("hex"), await computed(bare.commit));
});


test("whatever arrives, a refusal is a GroupError and says nothing of what it read", async () => {
  const room = await roomOf("A", "B");
  const { commit, welcome } = await room.host.commit({});
  assert.equal(welcome, null);
  const sealed = await room.host.seal(utf8("secret words"));
  await room.host.merge();
  let seed = 9;
  const random = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  for (let round = 0; round < 120; round += 1) {
    const source = round % 2 ? commit : sealed;
    const bytes = source.slice(0, Math.ceil(random() * source.length));
    for (let hit = 0; hit < 3; hit += 1) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    for (const attempt of [room.members.A.apply(bytes), room.members.A.open(bytes)]) {
      await assert.rejects(attempt, (error) => error.name === "GroupError" && !/Partner|secret words|[0-9a-f]{16}/.test(error.message));
    }
  }
  await room.members.A.open(sealed);
  await room.members.A.apply(commit);
});

test("a tag is only good with the right key and group", async () => {
  const { offer } = await prepare({ id: ID, me: guest("A"), keys: KEYS });
  assert.deepEqual(offer.tag, await tagOf(offer.keyPackage));
  assert.notDeepEqual(offer.tag, await tagOf(offer.keyPackage, OTHER));
  assert.notDeepEqual(offer.tag, await tagOf(offer.keyPackage, KEYS, `${ID}/A`));
});
