// @ts-check
// What a therapist is told of their visit: the couple in one sentence, the banner above everything else, what is spoken
// after a change, the tab's title. Pure.

import { chatNews, unread } from "./chat-state.js";
import { comeAnew, encryptionBanner, encryptionNews, refusal } from "./encryption-state.js";
import { own, patients, waiting, word } from "./host-state.js";
import { NO_WAY_HOST, WAY_FOUND, pictureOf, screenOf, weakSentence } from "./link-words.js";

/** @typedef {import('./messages.js').Roster} Roster */
/** @typedef {import('./messages.js').RosterSeat} RosterSeat */
/** @typedef {import('./host-state.js').HostState} HostState */

/**
 * Where the patients are, in one sentence; a couple is spoken of as one.
 *
 * @param {Roster} roster
 * @returns {string}
 */
export function summary(roster) {
  const all = patients(roster);
  const here = all.filter(({ presence, state }) => presence !== "absent" && state !== "left" && state !== "removed");
  const inside = all.filter(({ state }) => state === "admitted" || state === "held");
  const held = inside.filter(({ state }) => state === "held").length;
  const one = held === 0 ? "One is in the room" : "One is on hold";
  if (roster.kind === "individual") {
    if (inside.length > 0) return held === 0 ? "In the room with you" : "On hold";
    return waiting(roster).length > 0 ? "Waiting for you" : here.length > 0 ? "Getting ready" : "Not here yet";
  }
  if (inside.length === 2) return ["Both are in the room", "One is in the room, one is on hold", "Both are on hold"][held] ?? "";
  if (waiting(roster).length === 2) return "Both are waiting";
  if (inside.length === 1) return waiting(roster).length === 1 ? `${one}, one waits` : one;
  if (waiting(roster).length === 1) return here.length === 2 ? "One waits, one is getting ready" : "One is here and waits";
  return here.length > 0 ? "Getting ready" : "Nobody is here yet";
}

/**
 * The tab's title: it tells that somebody waits, never who.
 *
 * @param {Readonly<HostState>} state
 * @returns {string}
 */
export function titleOf(state) {
  if (unread(state.chat) > 0) return "New message – Quietroom";
  const count = waiting(state.roster).length;
  if (count > 0) return `(${count}) Waiting – Quietroom`;
  return state.roster?.entered ? "In the room – Quietroom" : "Visit – Quietroom";
}

/**
 * The one thing to say above everything else, if there is any.
 *
 * @param {Readonly<HostState>} state
 * @returns {{tone: 'alarm' | 'calm', text: string} | null}
 */
export function banner(state) {
  if (word(state) === "over") return null;
  if (state.line === "lost") {
    return {
      tone: "alarm",
      text: "The connection to the server was lost. Patients in the room are put on hold until you are back. Connecting again …",
    };
  }
  const unsafe = encryptionBanner(state.keys, true);
  if (unsafe !== null) return unsafe;
  if (state.unreached) return { tone: "alarm", text: NO_WAY_HOST };
  if (state.transport === "broken") {
    return { tone: "alarm", text: "Sound and picture are interrupted. Connecting again …" };
  }
  if (state.roster && !state.roster["store-ok"]) {
    return {
      tone: "alarm",
      text:
        "The audit stream cannot be written at the moment, so nobody new can be let in. " +
        "Whoever is in the room stays there. Holding, removing and leaving work.",
    };
  }
  const weak = weakHere(state);
  return weak === null ? null : { tone: "calm", text: weak };
}

/**
 * @param {Readonly<HostState>} state
 * @returns {string | null} only where this page's own media is, and with somebody to see.
 */
function weakHere(state) {
  const me = own(state.roster);
  return me && word(state) === "room" ? weakSentence(me) : null;
}

/**
 * What a listener must hear after a change; the page says it in a live region.
 *
 * @param {Readonly<HostState>} before
 * @param {Readonly<HostState>} after
 * @returns {{assertive: boolean, text: string} | null}
 */
export function announcement(before, after) {
  const warning = banner(after);
  if (warning !== null && warning.text !== banner(before)?.text) {
    return { assertive: warning.tone === "alarm" && warning.text !== NO_WAY_HOST, text: warning.text };
  }
  if (before.line === "lost" && after.line === "open") return { assertive: false, text: "Connected again." };
  if (before.unreached && after.transport === "connected") return { assertive: false, text: WAY_FOUND };
  const safety = encryptionNews(before.keys, after.keys) ?? stranger(before, after) ?? renewed(before, after);
  if (safety !== null) return safety;
  const written = chatNews(before.chat, after.chat);
  if (written !== null) return { assertive: false, text: written };
  if (after.roster === null || before.roster === after.roster) return null;
  if (weakHere(before) !== null && weakHere(after) === null && word(after) === "room") {
    return { assertive: false, text: "The picture comes back." };
  }
  const storeBack = before.roster?.["store-ok"] === false && after.roster["store-ok"];
  /** @type {(string | null)[]} */
  const news = storeBack ? ["Patients can be admitted again."] : [];
  for (const seat of after.roster.seats) {
    const earlier = before.roster?.seats.find((one) => one.seat === seat.seat);
    if (seat.seat === after.roster.me) continue;
    if (earlier?.state !== seat.state) news.push(changed(seat, before.roster === null));
    else if (earlier.presence !== seat.presence) news.push(presenceChanged(seat));
    else if (earlier["in-room"] && seat["in-room"]) news.push(pictureChanged(earlier, seat));
    if (seat.unreached && !earlier?.unreached) news.push(`${seat.label}: no sound or picture yet.`);
    // Without a transport for another reason, nothing is heard of them either.
    if (earlier?.unreached && seat.suite !== null) news.push(`${seat.label}: sound and picture get through now.`);
  }
  const text = news.filter(Boolean).join(" ");
  return text === "" ? null : { assertive: false, text };
}

/**
 * @param {Readonly<HostState>} before
 * @param {Readonly<HostState>} after
 * @returns {{assertive: boolean, text: string} | null} about somebody whose keys could not be taken.
 */
function stranger(before, after) {
  for (const seat of after.roster?.seats ?? []) {
    const found = refusal(after.keys, seat.seat);
    if (found && !refusal(before.keys, seat.seat)) return { assertive: true, text: `${seat.label}: ${found.heading}.` };
  }
  return null;
}

/**
 * @param {Readonly<HostState>} before
 * @param {Readonly<HostState>} after
 * @returns {{assertive: boolean, text: string} | null} about somebody who has come in anew.
 */
function renewed(before, after) {
  const text = comeAnew(after.keys);
  return text === null || text === comeAnew(before.keys) ? null : { assertive: false, text };
}

/**
 * @param {RosterSeat} seat
 * @param {boolean} first whether the page has just loaded
 * @returns {string | null}
 */
function changed(seat, first) {
  switch (seat.state) {
    case "waiting":
      return `${seat.label} is waiting.`;
    case "asked-to-wait":
      return `${seat.label} has been asked to wait.`;
    case "admitted":
      return `${seat.label} is in the room.`;
    case "held":
      return `${seat.label} is on hold.`;
    case "left":
      return first ? null : `${seat.label} has left.`;
    case "denied":
      return first ? null : `${seat.label} was turned away.`;
    case "removed":
      return first ? null : `${seat.label} was removed.`;
    default:
      return null;
  }
}

/**
 * @param {RosterSeat} seat
 * @returns {string | null}
 */
function presenceChanged(seat) {
  if (seat.presence === "away") return `${seat.label} is away.`;
  return seat.presence === "connected" ? `${seat.label} is connected.` : null;
}

/**
 * @param {RosterSeat} earlier
 * @param {RosterSeat} seat
 * @returns {string | null}
 */
function pictureChanged(earlier, seat) {
  if (earlier.screen !== seat.screen) return screenOf(seat.label, seat.screen);
  // What was off cannot pause.
  return earlier.sends !== seat.sends && (seat.camera || seat.screen) ? pictureOf(seat.label, seat.sends) : null;
}
