// @ts-check
// What a group's session says to the server and reads from it: bytes as base64url, each within the bound of its field.

import { fromBase64url, toBase64url } from "./bytes.js";
import { GroupError } from "./group-policy.js";
import { GROUP_BOUNDS } from "./protocol.js";

/** @typedef {import("./messages.js").ClientMessage} ClientMessage */

export class GroupWire {
  #group;
  #send;

  /**
   * @param {string} group `room`, or the waiting seat of a pair
   * @param {(message: ClientMessage) => void} send
   */
  constructor(group, send) {
    this.#group = group;
    this.#send = send;
  }

  /**
   * We would be put in with these.
   *
   * @param {string} generation
   * @param {{keyPackage: Uint8Array, tag: Uint8Array}} offer
   */
  keyPackage(generation, { keyPackage, tag }) {
    const offer = { "key-package": toBase64url(keyPackage), tag: toBase64url(tag) };
    this.#send({ type: "key-package", group: this.#group, generation, ...offer });
  }

  /**
   * The group is to go on to the next epoch.
   *
   * @param {string} generation
   * @param {{epoch: number, commit: Uint8Array, welcome: Uint8Array | null, adds: string[], removes: string[]}} made `epoch`:
   *   the one before
   */
  commit(generation, { epoch, commit, welcome, adds, removes }) {
    const bytes = { commit: toBase64url(commit), welcome: welcome && toBase64url(welcome) };
    this.#send({ type: "commit", group: this.#group, generation, epoch, ...bytes, adds, removes });
  }

  /**
   * We have the keys of this epoch.
   *
   * @param {string} generation
   * @param {number} epoch
   */
  ready(generation, epoch) {
    this.#send({ type: "ready", group: this.#group, generation, epoch });
  }

  /**
   * Something is sealed for the others.
   *
   * @param {string} generation
   * @param {Uint8Array} message
   * @param {number} [id] under which the server is to say what became of it
   */
  sealed(generation, message, id) {
    const sealed = { group: this.#group, generation, message: toBase64url(message) };
    this.#send({ type: "sealed", ...sealed, ...(id === undefined ? {} : { id }) });
  }

  /**
   * We must be put in anew.
   *
   * @param {string} generation
   */
  resync(generation) {
    this.#send({ type: "resync", group: this.#group, generation });
  }
}

/**
 * @param {unknown} text base64url
 * @param {keyof typeof GROUP_BOUNDS} field that it came in
 * @returns {Uint8Array}
 * @throws {GroupError} `malformed`
 */
export function bytesOf(text, field) {
  const bytes = fromBase64url(text, GROUP_BOUNDS[field]);
  if (bytes === null) throw new GroupError("malformed", "Not bytes, or too many.");
  return bytes;
}
