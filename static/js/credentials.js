// @ts-check
// Reading what a person was given: the link's fragment, a meeting ID, a seat code, a password. Pure.

import { readLinkSecret } from "./link-secret.js";

/**
 * @typedef {object} Fragment
 * @property {string} token seat token, such as `A-XXXX-XXXX-XXXX-XXXX`
 * @property {string | null} password given in the link only if the practice chose so
 */

/**
 * Read `#<seat token>[.<link secret>][.<password>]`; what the link secret is, link-secret.js tells.
 *
 * @param {string} hash `location.hash`
 * @returns {Fragment | null} null when there is no seat token in it.
 */
export function readFragment(hash) {
  const [token = "", ...more] = safelyDecoded(hash.replace(/^#/, "")).trim().split(".");
  const password = more.find((part) => readLinkSecret(part) === null) ?? "";
  if (!/^[A-Za-z]-[0-9A-Za-z-]{4,60}$/.test(token)) return null;
  return { token: tidyCode(token), password: password ? tidyCode(password) : null };
}

/**
 * The meeting ID in a path such as `/j/<meeting>` or `/host/<meeting>`.
 *
 * @param {string} path
 * @returns {string} empty when there is none.
 */
export function meetingOfPath(path) {
  return /^\/(?:j|host)\/([0-9A-Za-z-]{1,64})\/?$/.exec(path)?.[1] ?? "";
}

/**
 * What a person typed or pasted where the meeting ID goes: the ID itself or their whole link.
 *
 * @param {string} text
 * @returns {{meeting: string, fragment: Fragment | null}}
 */
export function readMeeting(text) {
  const tidy = text.trim();
  const link = /\/j\/([0-9A-Za-z-]{1,64})\/?(#.*)?$/.exec(tidy);
  if (link) return { meeting: (link[1] ?? "").toLowerCase(), fragment: readFragment(link[2] ?? "") };
  return { meeting: tidy.replace(/\s+/g, "").toLowerCase(), fragment: null };
}

/**
 * A code as the server writes it: capital letters, without spaces, plain hyphens.
 *
 * @param {string} text
 * @returns {string}
 */
export function tidyCode(text) {
  return text.replace(/\s+/g, "").replace(/[\u2010-\u2015\u2212]/g, "-").toUpperCase();
}

/**
 * The seat letter that a seat token begins with.
 *
 * @param {string} token
 * @returns {string} empty when it begins with none.
 */
export function seatOfToken(token) {
  return /^([A-Z])(?:-|[0-9A-Z]{16}$)/.exec(token)?.[1] ?? "";
}

/**
 * Where to go after signing in: only to our own staff pages, and only to one that the role may see.
 *
 * @param {string | null} wanted the `next` parameter of the login page
 * @param {'therapist' | 'admin'} role
 * @returns {string} a local path.
 */
export function pageAfterLogin(wanted, role) {
  const home = role === "admin" ? "/admin" : "/staff";
  if (wanted === null || wanted.includes("\\") || wanted.includes("//")) return home;
  const theirs = role === "admin" ? /^\/admin\/?$/ : /^\/(staff\/?|host\/[0-9A-Za-z-]{1,64}\/?)$/;
  return theirs.test(wanted) ? wanted : home;
}

/** @param {string} text */
function safelyDecoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone % is not worth failing for
  }
}
