// @ts-check
// SFrame (RFC 9605) with AES_256_GCM_SHA512_128: header, key derivation, one frame sealed and opened. Pure.
//
//   header (RFC 9605 §4.3)      X KKK Y CCC │ KID, if X: KKK + 1 bytes │ CTR, if Y: CCC + 1 bytes
//   KID of a group (§5.2)       context (from bit 8) │ sender index (4 bits) │ epoch mod 16 (4 bits)
//
// Numbers beyond 2^53 are not taken: our key ids have 14 bits, and no counter gets that far.

/** @typedef {{kid: number, ctr: number, length: number}} Header `length`: bytes that it took */
/** @typedef {{key: CryptoKey, salt: Uint8Array}} FrameKey */

/** What a frame is part of; it is in the key id and authenticated. 3 is spare. */
export const CONTEXT = Object.freeze({ audio: 0, camera: 1, screen: 2 });

/** Bytes of the authentication tag. */
export const TAG = 16;
/** Sender indices and epochs are told apart within this many. */
export const INDICES = 16;
export const EPOCHS = 16;

const SUITE = 5; // AES_256_GCM_SHA512_128 (RFC 9605 §4.5)
const KEY = 32;
const NONCE = 12;

/**
 * @param {number} context from 0 up
 * @param {number} index the sender's leaf, 0…15
 * @param {number} epoch
 * @returns {number} the key id of RFC 9605 §5.2.
 */
export function kidOf(context, index, epoch) {
  return context * INDICES * EPOCHS + index * EPOCHS + (epoch % EPOCHS);
}

/**
 * @param {number} kid
 * @returns {{context: number, index: number, slot: number}} `slot`: the epoch mod 16.
 */
export function partsOf(kid) {
  const rest = Math.floor(kid / EPOCHS);
  return { context: Math.floor(rest / INDICES), index: rest % INDICES, slot: kid % EPOCHS };
}

/**
 * @param {number} kid below 2^53
 * @param {number} ctr below 2^53
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeHeader(kid, ctr) {
  const kids = kid < 8 ? 0 : bytesOf(kid);
  const ctrs = ctr < 8 ? 0 : bytesOf(ctr);
  const header = new Uint8Array(1 + kids + ctrs);
  header[0] = (kids ? 0x80 | ((kids - 1) << 4) : kid << 4) | (ctrs ? 0x08 | (ctrs - 1) : ctr);
  if (kids) write(header, 1, kids, kid);
  if (ctrs) write(header, 1 + kids, ctrs, ctr);
  return header;
}

/**
 * Read the header at the beginning of some bytes from outside.
 *
 * @param {Uint8Array} bytes
 * @returns {Header | null} null when it is cut short, or names a number beyond 2^53.
 */
export function decodeHeader(bytes) {
  const [first] = bytes;
  if (first === undefined) return null;
  const kids = first & 0x80 ? ((first >> 4) & 7) + 1 : 0;
  const ctrs = first & 0x08 ? (first & 7) + 1 : 0;
  const length = 1 + kids + ctrs;
  if (bytes.length < length) return null;
  const kid = kids ? read(bytes, 1, kids) : (first >> 4) & 7;
  const ctr = ctrs ? read(bytes, 1 + kids, ctrs) : first & 7;
  return Number.isSafeInteger(kid) && Number.isSafeInteger(ctr) ? { kid, ctr, length } : null;
}

/**
 * Take a base key in; its bytes can be wiped as soon as this has been called.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<CryptoKey>} for `deriveKey`; cannot be read back.
 */
export function importBaseKey(bytes) {
  return crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey", "deriveBits"]);
}

/**
 * The key and salt of one key id (RFC 9605 §4.4.2).
 *
 * @param {CryptoKey} base
 * @param {number} kid
 * @returns {Promise<FrameKey>}
 */
export async function deriveKey(base, kid) {
  const [key, salt] = await Promise.all([
    crypto.subtle.deriveKey(hkdf("key", kid), base, { name: "AES-GCM", length: 8 * KEY }, false, ["encrypt", "decrypt"]),
    crypto.subtle.deriveBits(hkdf("salt", kid), base, 8 * NONCE),
  ]);
  return { key, salt: new Uint8Array(salt) };
}

/**
 * Seal one frame. The caller never gives the same counter to the same key twice.
 *
 * @param {FrameKey} frameKey
 * @param {Uint8Array} header as `encodeHeader` made it
 * @param {number} ctr the same as in the header
 * @param {Uint8Array} metadata authenticated, not sent
 * @param {Uint8Array<ArrayBuffer>} plaintext
 * @returns {Promise<ArrayBuffer>} ciphertext and tag.
 */
export function seal({ key, salt }, header, ctr, metadata, plaintext) {
  return crypto.subtle.encrypt(gcm(salt, ctr, header, metadata), key, plaintext);
}

/**
 * Open one frame.
 *
 * @param {FrameKey} frameKey
 * @param {Uint8Array} header exactly the bytes received: a header written otherwise does not authenticate
 * @param {number} ctr the same as in the header
 * @param {Uint8Array} metadata
 * @param {Uint8Array<ArrayBuffer>} sealed ciphertext and tag
 * @returns {Promise<ArrayBuffer | null>} null when key, header, metadata or ciphertext is not the sender's.
 */
export async function open({ key, salt }, header, ctr, metadata, sealed) {
  try {
    return await crypto.subtle.decrypt(gcm(salt, ctr, header, metadata), key, sealed);
  } catch {
    return null;
  }
}

/**
 * @param {Uint8Array} salt
 * @param {number} ctr
 * @param {Uint8Array} header
 * @param {Uint8Array} metadata
 * @returns {AesGcmParams}
 */
function gcm(salt, ctr, header, metadata) {
  const iv = new Uint8Array(NONCE); // RFC 9605 §4.4.3: salt XOR counter, big-endian
  write(iv, NONCE - 8, 8, ctr);
  for (let i = 0; i < NONCE; i += 1) iv[i] = byte(iv, i) ^ byte(salt, i);
  const additionalData = new Uint8Array(header.length + metadata.length);
  additionalData.set(header);
  additionalData.set(metadata, header.length);
  return { name: "AES-GCM", iv, additionalData, tagLength: 8 * TAG };
}

/**
 * @param {'key' | 'salt'} what
 * @param {number} kid
 * @returns {HkdfParams}
 */
function hkdf(what, kid) {
  const label = new TextEncoder().encode(`SFrame 1.0 Secret ${what} `);
  const info = new Uint8Array(label.length + 8 + 2);
  info.set(label);
  write(info, label.length, 8, kid);
  write(info, label.length + 8, 2, SUITE);
  return { name: "HKDF", hash: "SHA-512", salt: new Uint8Array(), info };
}

/** @param {number} value */
function bytesOf(value) {
  let bytes = 1;
  for (let rest = value; rest > 255; rest = Math.floor(rest / 256)) bytes += 1;
  return bytes;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} count
 * @param {number} value
 */
function write(bytes, at, count, value) {
  for (let i = at + count - 1, rest = value; i >= at; i -= 1, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} count
 */
function read(bytes, at, count) {
  let value = 0;
  for (let i = at; i < at + count; i += 1) value = value * 256 + byte(bytes, i);
  return value;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at within them
 */
function byte(bytes, at) {
  return /** @type {number} */ (bytes[at]);
}
