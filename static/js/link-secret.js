// @ts-check
// The secret that every link of a session carries behind its `#`, and the three keys made from it.
//
//   S (129 bits) ─HKDF-SHA-512─▶ authenticator   shown to the server, which keeps its hash: who has S may knock
//                           ├──▶ psk             enters the group's keys with everybody who is added
//                           └──▶ tag key         proves that a key package comes from somebody who has S
//
// S is drawn where a session is booked and never sent. The server, which sees the authenticator, cannot get from it to
// the other two.

import { toBase64url, utf8 } from "./bytes.js";

// Crockford's base32: no I, L, O or U, so that it can be read aloud and typed.
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH = 26;
const FIRST = ALPHABET.slice(8);
const SALT = utf8("quietroom link v1");

/**
 * A fresh link secret. It begins with no digit below 8, as every meeting ID does: typed into the wrong field, it is not
 * taken for one.
 *
 * @returns {string} 26 characters of Crockford's base32, more than 129 bits.
 */
export function drawLinkSecret() {
  for (;;) {
    // 32 divides 256: every character is equally likely.
    const drawn = Array.from(crypto.getRandomValues(new Uint8Array(LENGTH)), (byte) => ALPHABET[byte % 32]).join("");
    if (FIRST.includes(drawn.charAt(0))) return drawn;
  }
}

/**
 * A link secret as a person typed or pasted it: any case, with spaces and hyphens, O for 0, I or L for 1.
 *
 * @param {string} text
 * @returns {string | null} as drawLinkSecret writes it; null when it is none.
 */
export function readLinkSecret(text) {
  if (text.length > 200) return null;
  const tidy = text
    .replace(/[\s\-\u2010-\u2015\u2212]+/g, "")
    .toUpperCase()
    .replaceAll("O", "0")
    .replace(/[IL]/g, "1");
  return tidy.length === LENGTH && [...tidy].every((character) => ALPHABET.includes(character)) ? tidy : null;
}

/**
 * The link secret in what a person pasted or typed: their whole link, the part behind its `#`, or the bare code.
 *
 * @param {string} text
 * @returns {string | null} as drawLinkSecret writes it; null when there is none.
 */
export function secretIn(text) {
  for (const part of text.slice(0, 2_000).replace(/^.*#/s, "").split(".")) {
    const secret = readLinkSecret(part);
    if (secret !== null) return secret;
  }
  return null;
}

/**
 * @typedef {object} LinkKeys
 * @property {Uint8Array<ArrayBuffer>} authenticator 32 bytes, shown to the server
 * @property {Uint8Array<ArrayBuffer>} psk 64 bytes, the group's external pre-shared key (RFC 9420 §8.4)
 * @property {Uint8Array<ArrayBuffer>} kpKey 32 bytes, the key of HMAC-SHA-256 over key packages
 */

/**
 * The keys that a link secret stands for.
 *
 * @param {string} secret as drawLinkSecret or readLinkSecret gives it
 * @returns {Promise<LinkKeys>}
 */
export async function linkKeys(secret) {
  const ikm = await crypto.subtle.importKey("raw", utf8(secret), "HKDF", false, ["deriveBits"]);
  /** @param {string} info @param {number} length bytes */
  const derived = async (info, length) =>
    new Uint8Array(
      await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-512", salt: SALT, info: utf8(info) }, ikm, length * 8),
    );
  return {
    authenticator: await derived("server authenticator", 32),
    psk: await derived("mls external psk", 64),
    kpKey: await derived("key package tag", 32),
  };
}

/**
 * What a booking gives to the server: it recognises the authenticator by this, and cannot make it from this.
 *
 * @param {LinkKeys} keys
 * @returns {Promise<string>} SHA-256 of the authenticator, 64 hex digits.
 */
export async function authenticatorHash(keys) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", keys.authenticator));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * What a page shows to the server when it enters.
 *
 * @param {LinkKeys} keys
 * @returns {string} the authenticator in base64url.
 */
export function authenticatorText(keys) {
  return toBase64url(keys.authenticator);
}
