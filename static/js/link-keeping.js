// @ts-check
// Whole links for a booking made here, and the link secrets that this device keeps for its own bookings.
//
// The server answers a booking with links that lack the secret, since it never had it. Whoever books puts it in, hands
// the links out, and keeps it here until the session is over: it cannot be got from anywhere else.

import { readLinkSecret, secretIn } from "./link-secret.js";

/** @typedef {import('./messages.js').Booked} Booked */
/** @typedef {Pick<Storage, 'length' | 'key' | 'getItem' | 'setItem' | 'removeItem'>} Shelf */

const PREFIX = "quietroom.link.";
const AFTERWARDS = 86_400_000; // ms after its end for which a session may still be open

/**
 * A booking with the secret in its links: `#<seat token>.<secret>[.<password>]`, and `#<secret>` for the host.
 *
 * @param {Booked} booked as the server answered
 * @param {string} secret
 * @returns {Booked}
 */
export function withSecret(booked, secret) {
  return {
    ...booked,
    seats: booked.seats.map((seat) => {
      const [page = "", fragment = ""] = seat.link.split("#");
      const [token = "", ...password] = fragment.split(".");
      return { ...seat, link: `${page}#${[token, secret, ...password].join(".")}` };
    }),
    "host-link": `${booked["host-link"]}#${secret}`,
  };
}

/**
 * A link secret as it is read aloud or typed: in groups.
 *
 * @param {string} secret
 * @returns {string} such as `7XKM2-9DTQ4-…`
 */
export function inGroups(secret) {
  return secret.match(/.{1,5}/g)?.join("-") ?? secret;
}

/**
 * Keep the secret of a session on this device.
 *
 * @param {Shelf} shelf `localStorage`
 * @param {{meeting: string, ends: string}} session
 * @param {string} secret
 */
export function keepSecret(shelf, { meeting, ends }, secret) {
  shelf.setItem(PREFIX + meeting, `${secret}.${Date.parse(ends)}`);
}

/**
 * The secret of a session, if this device keeps it.
 *
 * @param {Shelf} shelf
 * @param {string} meeting
 * @returns {string | null}
 */
export function keptSecret(shelf, meeting) {
  return secretIn(shelf.getItem(PREFIX + meeting) ?? "");
}

/**
 * Forget the secret of a session that has ended.
 *
 * @param {Shelf} shelf
 * @param {string} meeting
 */
export function forgetSecret(shelf, meeting) {
  shelf.removeItem(PREFIX + meeting);
}

/**
 * Forget the secrets of sessions that are long over. Those of others who sign in on this device stay.
 *
 * @param {Shelf} shelf
 * @param {number} now milliseconds since 1970
 */
export function forgetOld(shelf, now) {
  const keys = Array.from({ length: shelf.length }, (_, index) => shelf.key(index) ?? "");
  for (const key of keys.filter((name) => name.startsWith(PREFIX))) {
    const [secret = "", ends = ""] = (shelf.getItem(key) ?? "").split(".");
    if (readLinkSecret(secret) === null || !(Number(ends) + AFTERWARDS > now)) shelf.removeItem(key);
  }
}
