// @ts-check
// What members seal for each other: a first byte says what it is, the rest is that. Read totally: anything else is nothing.

import { joined, utf8 } from "./bytes.js";

const CHAT = 1; // then the text, UTF-8
const CHECK = 2; // then a spoken check's message, see spoken-check.js
const ALIVE = 3; // nothing more: whoever signed it is there
const MAX_TEXT = 6_000; // bytes: 2 000 characters of any script

/**
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer> | null} null for a text that is empty or longer than 6000 bytes.
 */
export function chatPayload(text) {
  const bytes = utf8(text);
  return bytes.length === 0 || bytes.length > MAX_TEXT ? null : joined(Uint8Array.of(CHAT), bytes);
}

/**
 * @param {Uint8Array} message
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function checkPayload(message) {
  return joined(Uint8Array.of(CHECK), message);
}

/** @returns {Uint8Array<ArrayBuffer>} what says that its sender is there. */
export function alivePayload() {
  return Uint8Array.of(ALIVE);
}

/**
 * @param {Uint8Array} payload
 * @returns {{kind: 'chat', text: string} | {kind: 'alive'} | {kind: 'check', message: Uint8Array} | null}
 */
export function readPayload(payload) {
  const rest = payload.subarray(1);
  if (payload[0] === CHECK) return { kind: "check", message: rest };
  if (payload[0] === ALIVE && rest.length === 0) return { kind: "alive" };
  if (payload[0] !== CHAT || rest.length === 0 || rest.length > MAX_TEXT) return null;
  try {
    return { kind: "chat", text: new TextDecoder("utf-8", { fatal: true }).decode(rest) };
  } catch {
    return null;
  }
}
