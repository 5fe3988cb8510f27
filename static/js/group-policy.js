// @ts-check
// What a group of a session may be, and what a commit may do: every rule that our clients add to MLS (RFC 9420).
//
//   one committer, the host, at leaf 0 · only Add, Remove and PreSharedKey, written inside the commit · the link's PSK
//   exactly once with every Add and never without · every person, every key once · at most eight leaves · no extensions
//   · one suite and nothing else · basic credentials {"pid", "name", "role"} in one spelling
//
// ts-mls checks what RFC 9420 demands, except where a comment says that it does not. Pure but for reading the clock once,
// into the lifetime of a key package.

import { equalBytes, utf8 } from "./bytes.js";
import { SUITE } from "./group-suite.js";
import { defaultKeyPackageEqualityConfig } from "../vendor/mls.js";

/** @typedef {import("ts-mls/clientState.js").ClientState} ClientState */
/** @typedef {import("ts-mls/clientConfig.js").ClientConfig} ClientConfig */
/** @typedef {import("ts-mls/credential.js").Credential} MlsCredential */
/** @typedef {import("ts-mls/keyPackage.js").KeyPackage} KeyPackage */
/** @typedef {import("ts-mls/leafNode.js").LeafNode} LeafNode */
/** @typedef {import("ts-mls/presharedkey.js").PreSharedKeyID} PreSharedKeyID */
/** @typedef {import("ts-mls/proposal.js").Proposal} Proposal */
/** @typedef {import("ts-mls/ratchetTree.js").RatchetTree} RatchetTree */

/** @typedef {'host' | 'guest'} Role in the group: the host is the page that commits, everybody else is a guest */
/** @typedef {{pid: string, name: string, role: Role}} Person as a credential names it; `pid` is the seat code */
/**
 * @typedef {Person & {index: number, key: string, entry: string}} Member `index`: its leaf; `key`: its public signature key,
 *   base64url, the same for as long as its page lives; `entry`: another each time it is put in
 */

/**
 * @typedef {'malformed' | 'other-group' | 'other-key' | 'epoch' | 'policy' | 'tag' | 'key-package' | 'identity' | 'duplicate' | 'full'
 *   | 'no-psk' | 'not-committer' | 'pending' | 'not-a-member' | 'too-long' | 'closed' | 'crypto'} GroupErrorCode
 */

/** Why a group refused. Its text is for developers and holds nothing private. */
export class GroupError extends Error {
  /**
   * @param {GroupErrorCode} code stable
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "GroupError";
    this.code = code;
  }
}

const MAX_MEMBERS = 8; // a session has four seats; a seat that is put in anew never holds two leaves
const PSK_ID = utf8("quietroom link v1");
const PSK_NONCE = 64; // bytes, KDF.Nh of the suite (RFC 9420 §8.4)
const MAX_IDENTITY = 512; // bytes
const WEEK = 7n * 86_400n; // seconds

/** @type {ClientConfig} */
export const CLIENT = Object.freeze({
  // Messages of the epoch before may still be on their way when a commit arrives.
  keyRetentionConfig: { retainKeysForEpochs: 1, retainKeysForGenerations: 16, maximumForwardRatchetSteps: 200 },
  lifetimeConfig: { maximumTotalLifetime: 2n * WEEK, validateLifetimeOnReceive: false },
  keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
  paddingConfig: /** @type {const} */ ({ kind: "padUntilLength", padUntilLength: 256 }),
  // The library's own accepts any credential of anybody.
  authService: { validateCredential: async (/** @type {MlsCredential} */ credential) => personOf(credential) !== null },
});

/** What our leaves say they can do: our suite, and none of the random values that keep other implementations tolerant. */
export const CAPABILITIES = Object.freeze({
  versions: /** @type {["mls10"]} */ (["mls10"]),
  ciphersuites: /** @type {[typeof SUITE]} */ ([SUITE]),
  extensions: [],
  proposals: [],
  credentials: /** @type {["basic"]} */ (["basic"]),
});

/** A week before and after: people's clocks are wrong by days. What bounds a key package is its tag, which names the group. */
export function lifetime() {
  const now = BigInt(Math.floor(Date.now() / 1000));
  return { notBefore: now - WEEK, notAfter: now + WEEK };
}

/**
 * @param {Person} person
 * @returns {MlsCredential}
 */
export function credentialOf({ pid, name, role }) {
  return { credentialType: "basic", identity: utf8(JSON.stringify({ pid, name, role })) };
}

/**
 * Whom a credential names.
 *
 * @param {MlsCredential} credential
 * @returns {Person | null} null unless it is basic and spelled exactly as credentialOf does, so that no two readers can
 *   understand it differently.
 */
export function personOf(credential) {
  if (credential.credentialType !== "basic" || credential.identity.length > MAX_IDENTITY) return null;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(credential.identity);
    const { pid, name, role } = JSON.parse(text);
    if (typeof pid !== "string" || !/^[A-Z]$/.test(pid)) return null;
    if (typeof name !== "string" || name === "") return null;
    if (role !== "host" && role !== "guest") return null;
    return text === JSON.stringify({ pid, name, role }) ? { pid, name, role } : null;
  } catch {
    return null;
  }
}

/**
 * The people of a tree, each leaf's index with them.
 *
 * @param {RatchetTree} tree
 * @returns {(Person & {index: number, leaf: LeafNode})[]}
 * @throws {GroupError} `identity` for a leaf that names nobody.
 */
export function leavesOf(tree) {
  return tree.flatMap((node, at) => {
    if (node?.nodeType !== "leaf") return [];
    const person = personOf(node.leaf.credential);
    if (person === null) throw new GroupError("identity", "A leaf names nobody.");
    return [{ ...person, index: at / 2, leaf: node.leaf }];
  });
}

/**
 * That a state is one of ours, whoever made it: checked after every join and every commit.
 *
 * @param {ClientState} state
 * @param {Uint8Array} groupId
 * @throws {GroupError}
 */
export function checkState(state, groupId) {
  const { groupContext: context, ratchetTree } = state;
  if (!equalBytes(context.groupId, groupId)) throw new GroupError("other-group", "This is another group or generation.");
  if (context.version !== "mls10" || context.cipherSuite !== SUITE) throw new GroupError("policy", "Another suite.");
  if (context.extensions.length > 0) throw new GroupError("policy", "The group has extensions.");
  const leaves = leavesOf(ratchetTree);
  if (leaves.length > MAX_MEMBERS) throw new GroupError("full", "More leaves than a session has seats.");
  if (new Set(leaves.map(({ pid }) => pid)).size !== leaves.length) throw new GroupError("duplicate", "Somebody is in twice.");
  const hosts = leaves.filter(({ role }) => role === "host");
  if (hosts.length !== 1 || hosts[0]?.index !== 0) throw new GroupError("identity", "There must be one host, at leaf 0.");
  for (const { leaf } of leaves) checkLeaf(leaf);
  checkKeysOnce(ratchetTree);
}

/**
 * That a commit moved nobody: who was in before and was not taken out is at the same leaf with the same name and the same
 * signature key, the host too, whose leaf a commit renews.
 *
 * @param {RatchetTree} before
 * @param {RatchetTree} after
 * @param {ReadonlySet<number>} removed leaves taken out, perhaps given to somebody new in the same commit
 * @throws {GroupError}
 */
export function checkUnmoved(before, after, removed) {
  const now = new Map(leavesOf(after).map((leaf) => [leaf.index, leaf]));
  for (const was of leavesOf(before)) {
    if (removed.has(was.index)) continue;
    const is = now.get(was.index);
    if (
      is === undefined ||
      !equalBytes(is.leaf.signaturePublicKey, was.leaf.signaturePublicKey) ||
      is.pid !== was.pid ||
      is.name !== was.name ||
      is.role !== was.role
    ) {
      throw new GroupError("identity", "A commit changed who somebody is.");
    }
  }
}

/**
 * That a commit is made of what ours are made of.
 *
 * @param {readonly {proposal: Proposal, senderLeafIndex: number | undefined}[]} proposals
 * @returns {{adds: KeyPackage[], removed: Set<number>}}
 * @throws {GroupError}
 */
export function checkProposals(proposals) {
  /** @type {KeyPackage[]} */ const adds = [];
  /** @type {Set<number>} */ const removed = new Set();
  let psks = 0;
  for (const { proposal, senderLeafIndex } of proposals) {
    if (senderLeafIndex !== 0) throw new GroupError("policy", "A proposal of somebody else.");
    // The library lets proposals of unknown types through: their type is a number.
    if (typeof proposal.proposalType === "number") throw new GroupError("policy", "A proposal of an unknown type.");
    if (proposal.proposalType === "add" && "add" in proposal) adds.push(proposal.add.keyPackage);
    else if (proposal.proposalType === "remove" && "remove" in proposal) removed.add(proposal.remove.removed);
    else if (proposal.proposalType === "psk" && "psk" in proposal) {
      psks += 1;
      checkPsk(proposal.psk.preSharedKeyId);
    } else throw new GroupError("policy", "A proposal of a type that is not used here.");
  }
  if (adds.length > 0 && psks !== 1) throw new GroupError("no-psk", "Somebody is added without the link's key.");
  if (adds.length === 0 && psks !== 0) throw new GroupError("policy", "A pre-shared key and nobody added.");
  for (const added of adds) checkKeyPackage(added);
  return { adds, removed };
}

/**
 * A fresh reference to the link's key, one for each commit that adds.
 *
 * @returns {PreSharedKeyID}
 */
export function linkPsk() {
  return { psktype: "external", pskId: PSK_ID, pskNonce: crypto.getRandomValues(new Uint8Array(PSK_NONCE)) };
}

/**
 * Finds the link's key and no other, and remembers how often it was asked: MLS itself accepts a welcome without any.
 *
 * @param {Uint8Array} psk
 */
export function pskFinder(psk) {
  return {
    asked: 0,
    /** @param {PreSharedKeyID} id */
    findPsk(id) {
      this.asked += 1;
      checkPsk(id);
      return psk;
    },
  };
}

/** @param {PreSharedKeyID} id */
function checkPsk(id) {
  if (id.psktype !== "external" || !equalBytes(id.pskId, PSK_ID)) throw new GroupError("no-psk", "Not the link's key.");
  // The library never looks at the length of the nonce (RFC 9420 §8.4).
  if (id.pskNonce.length !== PSK_NONCE) throw new GroupError("policy", "A nonce of another length.");
}

/**
 * @param {KeyPackage} keyPackage
 * @throws {GroupError}
 */
export function checkKeyPackage(keyPackage) {
  const { leafNode } = keyPackage;
  if (keyPackage.version !== "mls10" || keyPackage.cipherSuite !== SUITE) throw new GroupError("key-package", "Another suite.");
  if (keyPackage.extensions.length > 0) throw new GroupError("key-package", "A key package with extensions.");
  if (personOf(leafNode.credential)?.role !== "guest") throw new GroupError("identity", "Only guests are added.");
  checkLeaf(leafNode);
}

/** @param {LeafNode} leaf */
function checkLeaf(leaf) {
  const { ciphersuites, credentials } = leaf.capabilities;
  if (leaf.extensions.length > 0) throw new GroupError("key-package", "A leaf with extensions.");
  if (!ciphersuites.includes(SUITE) || !credentials.includes("basic")) {
    throw new GroupError("key-package", "A leaf of another suite.");
  }
}

/**
 * That no key is in a tree twice, nor in what is about to be added to it.
 *
 * The library compares signature keys only: RFC 9420 §7.3 wants encryption keys unique too, or one person could stand in
 * for another's leaf. A page that is taken out and put in anew signs with the same key as before; what it is encrypted to
 * with is another, also than what it had.
 *
 * @param {RatchetTree} tree
 * @param {readonly KeyPackage[]} [adds]
 * @param {ReadonlySet<number>} [removed] leaves that are taken out by the same commit
 * @throws {GroupError}
 */
export function checkKeysOnce(tree, adds = [], removed = new Set()) {
  /** @type {Set<string>} */ const seen = new Set();
  /** @param {Uint8Array} key */
  const once = (key) => {
    const text = key.join();
    if (seen.has(text)) throw new GroupError("duplicate", "A key is used twice.");
    seen.add(text);
  };
  for (const [at, node] of tree.entries()) {
    if (node?.nodeType === "parent") once(node.parent.hpkePublicKey);
    if (node?.nodeType !== "leaf") continue;
    once(node.leaf.hpkePublicKey);
    if (!removed.has(at / 2)) once(node.leaf.signaturePublicKey);
  }
  for (const { initKey, leafNode } of adds) {
    once(initKey);
    once(leafNode.hpkePublicKey);
    once(leafNode.signaturePublicKey);
  }
}
