// @ts-check
// Reading what a person was given: the link's fragment, a meeting ID, a seat code, a password. Pure.
//
// People paste what they have where there is room for it. What is in a field is taken for what it is, not for what was
// asked; and what is none of the things that the server is shown is not shown to it, for it might hold the link secret.

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
  const password = more.find((part) => SHAPES.password.test(tidyCode(part).replaceAll("-", ""))) ?? "";
  if (!/^[A-Za-z]-[0-9A-Za-z-]{4,24}$/.test(token)) return null;
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
 * What was typed into the entry form, each thing as what it is.
 *
 * @typedef {object} Entry
 * @property {string} meeting
 * @property {string} token
 * @property {string} password
 * @property {string | null} secret the link's; never to be sent
 * @property {readonly Field[]} strange fields that hold nothing of these
 */

/** @typedef {'meeting' | 'token' | 'code' | 'password'} Field */

/**
 * Sort what a person typed or pasted, in whichever field: a whole link, what stands behind its `#`, a room code, or what
 * the field asks for.
 *
 * @param {Readonly<Record<Field, string>>} fields
 * @returns {Entry} without what the person did not give.
 */
export function readEntry(fields) {
  /** @type {{-readonly [key in 'meeting' | 'token' | 'password']: string}} */
  const own = { meeting: "", token: "", password: "" };
  /** @type {Partial<Omit<Entry, 'strange'>>} */
  let pasted = {};
  /** @type {Field[]} */
  const strange = [];
  for (const field of /** @type {Field[]} */ (["meeting", "token", "code", "password"])) {
    const text = fields[field].trim();
    if (text === "") continue;
    const code = tidyCode(text);
    if (field !== "code" && SHAPES[field].test(code.replaceAll("-", ""))) {
      own[field] = field === "meeting" ? code.toLowerCase() : code;
      continue;
    }
    const found = readPasted(text);
    if (found === null) strange.push(field);
    else pasted = { ...found, ...pasted };
  }
  return {
    meeting: own.meeting || (pasted.meeting ?? ""),
    token: own.token || (pasted.token ?? ""),
    password: own.password || (pasted.password ?? ""),
    secret: pasted.secret ?? null,
    strange,
  };
}

/**
 * What the server is shown, without hyphens; a link secret, or most of it, is none of them. A meeting ID has
 * as many characters, but begins with a small digit, as no secret that is drawn here does.
 */
const SHAPES = Object.freeze({
  meeting: /^[0-7OIL][0-9A-Z]{25}$/,
  token: /^[A-Z][0-9A-Z]{16}$/,
  password: /^[0-9A-Z]{10}$/,
});

/**
 * What a whole link, its end, or a bare room code brings.
 *
 * @param {string} text
 * @returns {Partial<Omit<Entry, 'strange'>> | null} without what is not in it; null when nothing is.
 */
function readPasted(text) {
  if (text.length > MAX_PASTED) return null;
  const link = /\/(?:j|host)\/([0-9A-Za-z-]{1,64})\/?(?:\?[^#]*)?(?:#.*)?$/s.exec(text);
  const end = safelyDecoded(text.replace(/^.*#/s, ""));
  const secret = end.split(".").map(readLinkSecret).find((found) => found !== null);
  const fragment = readFragment(end);
  /** @type {Partial<Omit<Entry, 'strange'>>} */
  const found = {};
  const meeting = link?.[1]?.toUpperCase() ?? "";
  if (SHAPES.meeting.test(meeting)) found.meeting = meeting.toLowerCase();
  if (fragment && SHAPES.token.test(fragment.token.replaceAll("-", ""))) found.token = fragment.token;
  if (fragment?.password) found.password = fragment.password;
  if (secret) found.secret = secret;
  return Object.keys(found).length > 0 ? found : null;
}

const MAX_PASTED = 2_000; // characters

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
