// @ts-check
// One member's view of the MLS group of a session: the strict wrapper around ts-mls (RFC 9420). Ways in: group-entry.js.
//
//   host   commit ──▶ server ──accepted──▶ merge       guest   ──commit──▶ apply
//                           ──refused───▶ discard
//
// A method that throws a GroupError has changed nothing: the state is as it was and goes on working. What group-policy.js
// does not allow never becomes state. One thing is done at a time, in the order it was asked for: two messages sealed at
// once would otherwise share a key. No timers, no clock, no DOM.

import { equalBytes, joined, toBase64url, utf8 } from "./bytes.js";
import { freshKeyPackage, refusing, tagKey, unwrapped, wrapped } from "./group-codec.js";
import { CLIENT, GroupError, checkKeyPackage, checkKeysOnce, checkProposals } from "./group-policy.js";
import { checkState, checkUnmoved, leavesOf, linkPsk, personOf, pskFinder } from "./group-policy.js";
import { drawSigner } from "./group-suite.js";
import * as mls from "../vendor/mls.js";

/** @typedef {import("ts-mls/clientState.js").ClientState} ClientState */
/** @typedef {import("ts-mls/crypto/ciphersuite.js").CiphersuiteImpl} CiphersuiteImpl */
/** @typedef {import("ts-mls/keyPackage.js").KeyPackage} KeyPackage */
/** @typedef {import("ts-mls/proposal.js").Proposal} Proposal */
/** @typedef {import("./group-policy.js").Member} Member */
/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {{psk: Uint8Array, kpKey: Uint8Array}} LinkSecrets made from the link secret, see link-secret.js */
/** @typedef {{epoch: number, baseKey: Bytes, members: Member[]}} EpochKey `baseKey`: 32 bytes, for the caller to wipe */

const MAX_PAYLOAD = 6_144; // bytes, of one sealed message
const PAD = 256; // what is sealed looks as long as the next multiple
const FRAMING = 80; // bytes that MLS puts around a payload before it is padded: a signature and three lengths

/** One member's view of a group. */
export class Group {
  #suite;
  #id;
  #keys;
  #state;
  /** @type {{state: ClientState, consumed: Uint8Array[]} | null} made and not yet accepted */ #pending = null;
  /** @type {Promise<unknown>} */ #turn = Promise.resolve();
  #closed = false;

  /**
   * @param {CiphersuiteImpl} suite
   * @param {string} id
   * @param {LinkSecrets} keys
   * @param {ClientState} state
   */
  constructor(suite, id, keys, state) {
    this.#suite = suite;
    this.#id = utf8(id);
    this.#keys = keys;
    this.#state = state;
  }

  /** @returns {number} */
  get epoch() {
    return Number(this.#state.groupContext.epoch);
  }

  /** @returns {number} our own leaf. */
  get index() {
    return this.#state.privatePath.leafIndex;
  }

  /** @returns {Member[]} who is in, as their own credentials say; by leaf. */
  get members() {
    return membersOf(this.#state);
  }

  /** @returns {boolean} whether a commit of ours waits for the server's word. */
  get isPending() {
    return this.#pending !== null;
  }

  /**
   * Host: whether somebody could be added, as far as their key package tells.
   *
   * @param {{pid: string, keyPackage: Uint8Array, tag: Uint8Array}} candidate
   * @throws {GroupError} `tag` when it is by somebody without the link secret.
   */
  check(candidate) {
    return this.#inTurn(async () => void (await this.#checked(candidate)));
  }

  /**
   * Host: make the commit that adds and removes these; neither renews the keys. The epoch stays until `merge`.
   *
   * @param {{add?: {pid: string, keyPackage: Uint8Array, tag: Uint8Array}[], remove?: string[]}} change whoever is in
   *   and to be put in anew is in both
   * @returns {Promise<{epoch: number, commit: Bytes, welcome: Bytes | null}>} `epoch`: the one it starts from
   * @throws {GroupError}
   */
  commit({ add = [], remove = [] }) {
    return this.#inTurn(async () => {
      if (this.index !== 0) throw new GroupError("not-committer", "Only the host commits.");
      if (this.#pending) throw new GroupError("pending", "The commit before is not settled.");
      const leaves = leavesOf(this.#state.ratchetTree);
      /** @type {Proposal[]} */ const extraProposals = [];
      /** @type {Set<number>} */ const removed = new Set();
      for (const pid of new Set(remove)) {
        const leaf = leaves.find((each) => each.pid === pid);
        if (!leaf || leaf.index === 0) throw new GroupError("not-a-member", "There is no such guest to remove.");
        removed.add(leaf.index);
        extraProposals.push({ proposalType: "remove", remove: { removed: leaf.index } });
      }
      const packages = [];
      for (const candidate of add) packages.push(await this.#checked(candidate));
      const pids = [...leaves.filter(({ index }) => !removed.has(index)), ...add].map(({ pid }) => pid);
      if (new Set(pids).size !== pids.length) throw new GroupError("duplicate", "Somebody would be in twice.");
      checkKeysOnce(this.#state.ratchetTree, packages, removed);
      for (const each of packages) extraProposals.push({ proposalType: "add", add: { keyPackage: each } });
      if (packages.length > 0) extraProposals.push({ proposalType: "psk", psk: { preSharedKeyId: linkPsk() } });
      const made = await refusing(
        mls.createCommit(
          { state: this.#state, cipherSuite: this.#suite, pskIndex: pskFinder(this.#keys.psk) },
          { extraProposals, ratchetTreeExtension: true },
        ),
      );
      checkState(made.newState, this.#id);
      // What it consumed is wiped when it is accepted: until then the epoch that stands needs it.
      this.#pending = { state: await this.#freshIfAlone(made.newState), consumed: made.consumed };
      const welcome = made.welcome && wrapped({ version: "mls10", wireformat: "mls_welcome", welcome: made.welcome });
      return { epoch: this.epoch, commit: wrapped(made.commit), welcome: welcome ?? null };
    });
  }

  /**
   * Host: the server has put our commit in its place.
   *
   * @throws {GroupError} `pending` when there is none.
   */
  merge() {
    return this.#inTurn(async () => {
      if (!this.#pending) throw new GroupError("pending", "There is no commit to merge.");
      const { state, consumed } = this.#pending;
      const before = this.#state.groupContext.epoch;
      const kept = state.historicalReceiverData.get(before);
      // Messages opened while the commit was on its way must not open again from its older copy of the ratchets.
      if (kept) state.historicalReceiverData.set(before, { ...kept, secretTree: this.#state.secretTree });
      this.#pending = null;
      this.#state = state;
      consumed.forEach(mls.zeroOutUint8Array);
    });
  }

  /** Host: the server has not taken our commit. */
  discard() {
    return this.#inTurn(async () => {
      this.#pending = null;
    });
  }

  /**
   * Guest: follow a commit of the host.
   *
   * @param {Uint8Array} commit an MLSMessage
   * @returns {Promise<{removed: boolean, left: string[]}>} `removed`: it takes us out; this group is at its end for us;
   *   `left`: who is in no more
   * @throws {GroupError}
   */
  apply(commit) {
    return this.#inTurn(async () => {
      const message = this.#ours(commit, "commit");
      if (this.index === 0) throw new GroupError("policy", "Nobody commits but us.");
      if (message.epoch !== this.#state.groupContext.epoch) throw new GroupError("epoch", "A commit of another epoch.");
      /** @type {ReturnType<typeof checkProposals> | undefined} */ let change;
      const result = await refusing(
        // Not processMessage: that of 1.6.4 leaves the pre-shared keys behind.
        mls.processPrivateMessage(this.#state, message, pskFinder(this.#keys.psk), this.#suite, (incoming) => {
          if (incoming.kind !== "commit" || incoming.senderLeafIndex !== 0) throw new GroupError("policy", "Not of the host.");
          const { adds, removed } = checkProposals(incoming.proposals);
          checkKeysOnce(this.#state.ratchetTree, adds, removed);
          change = { adds, removed };
          // The library does not notice that we are removed when our leaf goes to somebody else in the same commit.
          return removed.has(this.index) ? "reject" : "accept";
        }),
      );
      if (result.kind !== "newState" || !change) throw new GroupError("policy", "Not a commit.");
      if (change.removed.has(this.index)) {
        this.#close();
        return { removed: true, left: [] };
      }
      const { newState, consumed } = result;
      checkState(newState, this.#id);
      checkUnmoved(this.#state.ratchetTree, newState.ratchetTree, change.removed);
      if (newState.groupActiveState.kind !== "active" || newState.groupContext.epoch !== message.epoch + 1n) {
        throw new GroupError("policy", "A commit that leads elsewhere.");
      }
      const before = this.members;
      this.#state = newState;
      consumed.forEach(mls.zeroOutUint8Array);
      const stays = new Set(this.members.map(({ pid }) => pid));
      return { removed: false, left: before.flatMap(({ pid }) => (stays.has(pid) ? [] : [pid])) };
    });
  }

  /**
   * Seal something for the other members, signed by us and padded.
   *
   * @param {Uint8Array} payload at most 6144 bytes
   * @returns {Promise<Bytes>} an MLSMessage
   * @throws {GroupError}
   */
  seal(payload) {
    return this.#inTurn(async () => {
      if (payload.length > MAX_PAYLOAD) throw new GroupError("too-long", "More than fits one message.");
      const padUntilLength = Math.ceil((payload.length + FRAMING) / PAD) * PAD;
      const padded = { ...CLIENT, paddingConfig: /** @type {const} */ ({ kind: "padUntilLength", padUntilLength }) };
      const state = { ...this.#state, clientConfig: padded };
      const made = await refusing(mls.createApplicationMessage(state, payload, this.#suite));
      this.#state = { ...made.newState, clientConfig: CLIENT };
      made.consumed.forEach(mls.zeroOutUint8Array);
      return wrapped({ version: "mls10", wireformat: "mls_private_message", privateMessage: made.privateMessage });
    });
  }

  /**
   * Open what a member sealed in this epoch, or in the one before while that is kept. Each opens once.
   *
   * @param {Uint8Array} sealed an MLSMessage
   * @returns {Promise<{from: Member, payload: Uint8Array, epoch: number}>} `from`: whose signature it bears, whatever the
   *   server says; `epoch`: the one it was sealed in
   * @throws {GroupError}
   */
  open(sealed) {
    return this.#inTurn(async () => {
      const message = this.#ours(sealed, "application");
      const { groupContext, keySchedule, historicalReceiverData } = this.#state;
      const current = message.epoch === groupContext.epoch;
      const { ratchetTree } = this.#state;
      const epoch = current ? { ...keySchedule, ratchetTree } : historicalReceiverData.get(message.epoch);
      if (!epoch) throw new GroupError("epoch", "A message of an epoch that is not kept.");
      const sender = await refusing(mls.decryptSenderData(message, epoch.senderDataSecret, this.#suite));
      const then = leavesOf(epoch.ratchetTree).find(({ index }) => index === sender?.leafIndex);
      const now = leavesOf(ratchetTree).find(({ index }) => index === sender?.leafIndex);
      if (!then || !now || now.index === this.index || !equalBytes(then.leaf.signaturePublicKey, now.leaf.signaturePublicKey)) {
        throw new GroupError("not-a-member", "Sealed by nobody who is in.");
      }
      // Its signature is checked with the key of the very leaf that the sender data named.
      const result = await refusing(
        mls.processPrivateMessage(this.#state, message, pskFinder(this.#keys.psk), this.#suite, () => "reject"),
      );
      if (result.kind !== "applicationMessage") throw new GroupError("policy", "Not a message.");
      this.#state = result.newState;
      const from = /** @type {Member} */ (this.members.find(({ index }) => index === now.index));
      const payload = result.message.slice();
      result.consumed.forEach(mls.zeroOutUint8Array);
      return { from, payload, epoch: Number(message.epoch) };
    });
  }

  /**
   * The key that the frames of this epoch are made from (RFC 9605 §5.2), and the members it is for.
   *
   * @returns {Promise<EpochKey>}
   */
  epochKey() {
    return this.#inTurn(() => this.#keyOf(this.#state));
  }

  /**
   * Host: those of the epoch that our pending commit leads to.
   *
   * @returns {Promise<EpochKey>}
   * @throws {GroupError} `pending` when there is none.
   */
  pendingKey() {
    return this.#inTurn(async () => {
      if (!this.#pending) throw new GroupError("pending", "There is no commit pending.");
      return this.#keyOf(this.#pending.state);
    });
  }

  /** @returns {Bytes} 64 bytes that only those who are in this very epoch of this group have (RFC 9420 §8.7). */
  get epochAuthenticator() {
    return new Uint8Array(this.#state.keySchedule.epochAuthenticator);
  }

  /** Open nothing of earlier epochs any more. */
  forgetEarlier() {
    return this.#inTurn(async () => {
      for (const { senderDataSecret } of this.#state.historicalReceiverData.values()) mls.zeroOutUint8Array(senderDataSecret);
      this.#state = { ...this.#state, historicalReceiverData: new Map() };
    });
  }

  /** Be a member no more, as far as this page can; may be called twice. */
  close() {
    return this.#inTurn(async () => this.#close()).catch(() => {});
  }

  #close() {
    this.#closed = true;
    this.#pending = null;
    // Best effort: other copies may be anywhere in the heap.
    for (const secret of Object.values(this.#state.keySchedule)) mls.zeroOutUint8Array(secret);
  }

  /** @param {ClientState} state @returns {Promise<EpochKey>} */
  async #keyOf(state) {
    const { exporterSecret } = state.keySchedule;
    const key = await mls.mlsExporter(exporterSecret, "SFrame 1.0 Base Key", new Uint8Array(), 32, this.#suite);
    return { epoch: Number(state.groupContext.epoch), baseKey: new Uint8Array(key), members: membersOf(state) };
  }

  /**
   * A state for us alone gets an epoch secret of its own.
   *
   * With nobody else there, ts-mls 1.6.4 renews the keys with a commit secret of zeroes (RFC 9420 §7.5 wants a random
   * one): whoever was just removed could compute the epoch after. Nobody else has to follow, so it is simply drawn.
   *
   * @param {ClientState} state
   * @returns {Promise<ClientState>}
   */
  async #freshIfAlone(state) {
    if (leavesOf(state.ratchetTree).length > 1) return state;
    const own = await freshKeyPackage({ pid: "A", name: "nobody", role: "host" }, await drawSigner());
    const fresh = await mls.createGroup(this.#id, own.publicPackage, own.privatePackage, [], this.#suite, CLIENT);
    return { ...state, keySchedule: fresh.keySchedule, secretTree: fresh.secretTree };
  }

  /**
   * A candidate's key package, after everything that can be said about it.
   *
   * @param {{pid: string, keyPackage: Uint8Array, tag: Uint8Array}} candidate
   * @returns {Promise<KeyPackage>}
   */
  async #checked({ pid, keyPackage: bytes, tag }) {
    const key = await tagKey(this.#keys.kpKey, "verify");
    const isTagged = await crypto.subtle.verify("HMAC", key, tag.slice(), joined(this.#id, bytes));
    if (!isTagged) throw new GroupError("tag", "A key package by somebody without the link secret, or for another group.");
    const { keyPackage: offered } = unwrapped(bytes, "mls_key_package");
    checkKeyPackage(offered);
    if (personOf(offered.leafNode.credential)?.pid !== pid) throw new GroupError("identity", "It names another seat.");
    return offered;
  }

  /**
   * @param {Uint8Array} bytes
   * @param {'commit' | 'application'} contentType
   */
  #ours(bytes, contentType) {
    const { privateMessage: message } = unwrapped(bytes, "mls_private_message");
    if (!equalBytes(message.groupId, this.#id)) throw new GroupError("other-group", "This is another group or generation.");
    if (message.contentType !== contentType) throw new GroupError("policy", `A ${contentType} was expected.`);
    if (message.authenticatedData.length > 0) throw new GroupError("policy", "Additional data is not used.");
    return message;
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #inTurn(work) {
    const done = this.#turn.then(() => {
      if (this.#closed) throw new GroupError("closed", "This group is at its end.");
      return work();
    });
    this.#turn = done.catch(() => {});
    return done;
  }
}

/**
 * @param {ClientState} state
 * @returns {Member[]}
 */
function membersOf(state) {
  return leavesOf(state.ratchetTree).map(({ pid, name, role, index, leaf }) => {
    const key = toBase64url(leaf.signaturePublicKey);
    // The host comes in once, and its leaf is signed anew by each commit.
    return { pid, name, role, index, key, entry: role === "host" ? key : toBase64url(leaf.signature) };
  });
}
