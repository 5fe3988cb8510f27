// @ts-check
// Small things done with bytes: joined, compared, written as text for the wire. Pure.

/**
 * @param {...Uint8Array} parts
 * @returns {Uint8Array<ArrayBuffer>} all of them, one after the other.
 */
export function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Whether two public values are equal. Not for secrets: it stops at the first difference.
 *
 * @param {Uint8Array} a
 * @param {Uint8Array} b
 */
export function equalBytes(a, b) {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/**
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>} its UTF-8.
 */
export function utf8(text) {
  return new Uint8Array(new TextEncoder().encode(text));
}

/**
 * Bytes as the wire carries them: base64url without padding (RFC 4648 §5).
 *
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function toBase64url(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * What the wire carries, as bytes.
 *
 * @param {unknown} text
 * @param {number} limit greatest number of bytes
 * @returns {Uint8Array<ArrayBuffer> | null} null for anything but base64url without padding within the limit.
 */
export function fromBase64url(text, limit) {
  if (typeof text !== "string" || text.length > Math.ceil((limit * 4) / 3) || !/^[0-9A-Za-z_-]*$/.test(text)) return null;
  if (text.length % 4 === 1) return null;
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}
