// @ts-check
// What members of a group seal for each other: one byte that says what it is, then the rest. Pure.
//
// A text is 1 ‖ UTF-8. Whatever else comes, from whomever, is nothing.

import { utf8 } from "./bytes.js";
import { MAX_TEXT, tidyText } from "./chat-state.js";

const TEXT = 1;

/**
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer> | null} null when there is nothing to say.
 */
export function sealable(text) {
  const tidy = tidyText(text);
  if (tidy === "" || tidy.length > MAX_TEXT) return null;
  const body = utf8(tidy);
  const payload = new Uint8Array(1 + body.length);
  payload[0] = TEXT;
  payload.set(body, 1);
  return payload;
}

/**
 * @param {Uint8Array} payload
 * @returns {string | null} null when it is no text, or none that our pages would send.
 */
export function readText(payload) {
  if (payload[0] !== TEXT || payload.length > 1 + 3 * MAX_TEXT) return null;
  try {
    const text = tidyText(new TextDecoder("utf-8", { fatal: true }).decode(payload.subarray(1)));
    return text === "" || text.length > MAX_TEXT ? null : text;
  } catch {
    return null;
  }
}
