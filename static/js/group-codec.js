// @ts-check
// Between our groups and ts-mls: its messages read strictly, its refusals in our words.

import { CAPABILITIES, GroupError, credentialOf, lifetime, personOf } from "./group-policy.js";
import { suite } from "./group-suite.js";
import * as mls from "../vendor/mls.js";

/** @typedef {import("ts-mls/message.js").MLSMessage} MLSMessage */

/**
 * A key package of ours, never used before: what it is encrypted with is drawn for it.
 *
 * @param {import("./group-policy.js").Person} me
 * @param {import("./group-suite.js").Signer} signer
 */
export async function freshKeyPackage(me, signer) {
  const credential = credentialOf(me);
  if (personOf(credential) === null) throw new GroupError("identity", "A seat code and a name are needed.");
  return mls.generateKeyPackageWithKey(credential, CAPABILITIES, lifetime(), [], signer, await suite());
}

/**
 * The key of the tags of key packages, HMAC-SHA-256.
 *
 * @param {Uint8Array} key 32 bytes
 * @param {'sign' | 'verify'} use
 */
export function tagKey(key, use) {
  return crypto.subtle.importKey("raw", key.slice(), { name: "HMAC", hash: "SHA-256" }, false, [use]);
}

/**
 * @param {MLSMessage} message
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function wrapped(message) {
  return new Uint8Array(mls.encodeMlsMessage(message));
}

/**
 * Exactly one message of the wanted kind.
 *
 * @template {MLSMessage["wireformat"]} W
 * @param {Uint8Array} bytes
 * @param {W} wireformat
 * @returns {Extract<MLSMessage, {wireformat: W}>}
 */
export function unwrapped(bytes, wireformat) {
  let decoded;
  try {
    decoded = mls.decodeMlsMessage(bytes.slice(), 0);
  } catch {
    decoded = undefined;
  }
  if (decoded === undefined || decoded[1] !== bytes.length || decoded[0].wireformat !== wireformat) {
    throw new GroupError("malformed", `Not an ${wireformat}.`);
  }
  return /** @type {Extract<MLSMessage, {wireformat: W}>} */ (decoded[0]);
}

/**
 * What the library refuses, in our words: its own could name what it read.
 *
 * @template T
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
export async function refusing(work) {
  try {
    return await work;
  } catch (error) {
    throw error instanceof GroupError ? error : new GroupError("crypto", "MLS refused it.");
  }
}
