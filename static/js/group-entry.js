// @ts-check
// The ways into a group: as the host who makes it, or as somebody whom the host adds.
//
//   host   openGroup ──▶ Group
//   guest  prepare ──▶ Newcomer ──key package and tag──▶ server, host … server ──welcome──▶ join ──▶ Group

import { equalBytes, joined, utf8 } from "./bytes.js";
import { freshKeyPackage, refusing, tagKey, unwrapped, wrapped } from "./group-codec.js";
import { CLIENT, GroupError, checkState, leavesOf, personOf, pskFinder } from "./group-policy.js";
import { SUITE, suite } from "./group-suite.js";
import { Group } from "./group.js";
import * as mls from "../vendor/mls.js";

/** @typedef {import("ts-mls/crypto/ciphersuite.js").CiphersuiteImpl} CiphersuiteImpl */
/** @typedef {import("ts-mls/keyPackage.js").KeyPackage} KeyPackage */
/** @typedef {import("ts-mls/keyPackage.js").PrivateKeyPackage} PrivateKeyPackage */
/** @typedef {import("./group.js").Bytes} Bytes */

/**
 * @typedef {object} GroupSettings
 * @property {string} id group id, `<meeting>/<generation>` and for a pair `/<seat>` behind it
 * @property {{pid: string, name: string}} me seat code, and the name that the others see
 * @property {import("./group.js").LinkSecrets} keys
 * @property {import("./group-suite.js").Signer} signer of this page, the same in each of its groups
 */

/**
 * Make a group, as its host and only member.
 *
 * @param {GroupSettings} settings
 * @returns {Promise<Group>}
 */
export async function openGroup({ id, me, keys, signer }) {
  const own = await freshKeyPackage({ ...me, role: "host" }, signer);
  const state = await mls.createGroup(utf8(id), own.publicPackage, own.privatePackage, [], await suite(), CLIENT);
  return new Group(await suite(), id, keys, state);
}

/**
 * Make what somebody else needs to add us. Each is good for one welcome.
 *
 * @param {GroupSettings} settings
 * @returns {Promise<Newcomer>}
 */
export async function prepare({ id, me, keys, signer }) {
  const own = await freshKeyPackage({ ...me, role: "guest" }, signer);
  const message = wrapped({ version: "mls10", wireformat: "mls_key_package", keyPackage: own.publicPackage });
  const tag = new Uint8Array(await crypto.subtle.sign("HMAC", await tagKey(keys.kpKey, "sign"), joined(utf8(id), message)));
  return new Newcomer(await suite(), id, keys, own, { keyPackage: message, tag });
}

/** Somebody who has offered a key package and waits to be added. */
export class Newcomer {
  #suite;
  #id;
  #keys;
  #own;

  /**
   * @param {CiphersuiteImpl} suite
   * @param {string} id
   * @param {GroupSettings["keys"]} keys
   * @param {{publicPackage: KeyPackage, privatePackage: PrivateKeyPackage}} own
   * @param {{keyPackage: Bytes, tag: Bytes}} offer
   */
  constructor(suite, id, keys, own, offer) {
    this.#suite = suite;
    this.#id = id;
    this.#keys = keys;
    this.#own = own;
    /** What to send: an MLSMessage, and HMAC-SHA-256 over group id and message under the link's tag key. */
    this.offer = offer;
  }

  /**
   * Enter by a welcome. One that is refused spoils nothing: the right one may still come.
   *
   * @param {Uint8Array} welcome an MLSMessage
   * @returns {Promise<Group>}
   * @throws {GroupError} `other-key` when it is for another key package, perhaps an earlier one of ours
   */
  async join(welcome) {
    const { welcome: message } = unwrapped(welcome, "mls_welcome");
    // The library looks at the suite of what is inside only.
    if (message.cipherSuite !== SUITE) throw new GroupError("policy", "Another suite.");
    const mine = await mls.makeKeyPackageRef(this.#own.publicPackage, this.#suite.hash);
    if (!message.secrets.some(({ newMember }) => equalBytes(newMember, mine))) {
      throw new GroupError("other-key", "A welcome for another key package.");
    }
    const finder = pskFinder(this.#keys.psk);
    // Who signed the group's state is the first whose credential the library asks about. It does not tell in another way.
    /** @type {Uint8Array | undefined} */ let signer;
    const config = {
      ...CLIENT,
      authService: {
        /** @type {import("ts-mls/authenticationService.js").AuthenticationService["validateCredential"]} */
        async validateCredential(credential, key) {
          signer ??= key;
          return personOf(credential) !== null;
        },
      },
    };
    const { publicPackage, privatePackage } = this.#own;
    const state = await refusing(
      mls.joinGroup(message, publicPackage, privatePackage, finder, this.#suite, undefined, undefined, config),
    );
    if (finder.asked !== 1) throw new GroupError("no-psk", "A welcome without the link's key: not from our host.");
    checkState(state, utf8(this.#id));
    const leaves = leavesOf(state.ratchetTree);
    const leaf = leaves.find(({ index }) => index === state.privatePath.leafIndex);
    if (!leaf || !equalBytes(leaf.leaf.signaturePublicKey, publicPackage.leafNode.signaturePublicKey)) {
      throw new GroupError("identity", "The welcome is for somebody else.");
    }
    if (!signer || !equalBytes(signer, leaves[0]?.leaf.signaturePublicKey ?? new Uint8Array())) {
      throw new GroupError("policy", "The welcome is not of the host.");
    }
    mls.zeroOutUint8Array(privatePackage.initPrivateKey);
    return new Group(this.#suite, this.#id, this.#keys, { ...state, clientConfig: CLIENT });
  }
}
