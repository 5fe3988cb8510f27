// @ts-check
// What a patient is told of their visit: the banner above everything else, and what is spoken after a change. Pure.

import { chatNews } from "./chat-state.js";
import { encryptionBanner, encryptionNews } from "./encryption-state.js";
import { NO_WAY, WAY_FOUND, pictureOf, screenOf, weakSentence } from "./link-words.js";
import { scene, word } from "./visit-state.js";

/** @typedef {import('./messages.js').Place} Place */
/** @typedef {import('./visit-state.js').VisitState} VisitState */

/**
 * The one thing to say above everything else, if there is any.
 *
 * @param {Readonly<VisitState>} state
 * @returns {{tone: 'alarm' | 'calm', text: string} | null}
 */
export function banner(state) {
  if (state.step !== "place") return null;
  if (state.line === "lost") {
    return { tone: "alarm", text: "The connection was lost. Your place is kept. Connecting again …" };
  }
  const unsafe = encryptionBanner(state.keys, false);
  if (unsafe !== null) return unsafe;
  if (state.unreached) return { tone: scene(state) === "room" ? "alarm" : "calm", text: NO_WAY };
  if (state.transport === "broken" && scene(state) === "room") {
    return { tone: "alarm", text: "Sound and picture are interrupted. Connecting again …" };
  }
  if (state.place !== null && !state.place["store-ok"]) {
    return {
      tone: "calm",
      text:
        "Because of a technical problem on our side nobody can be let in at the moment. " +
        "Your place is kept; there is nothing you need to do.",
    };
  }
  const weak = state.place === null ? null : weakSentence(state.place);
  return weak === null ? null : { tone: "calm", text: weak };
}

/**
 * What a listener must hear after a change; the page says it in a live region.
 *
 * @param {Readonly<VisitState>} before
 * @param {Readonly<VisitState>} after
 * @returns {{assertive: boolean, text: string} | null}
 */
export function announcement(before, after) {
  const warned = banner(before)?.text;
  const warning = banner(after);
  if (warning !== null && warning.text !== warned) {
    return { assertive: warning.tone === "alarm" && warning.text !== NO_WAY, text: warning.text };
  }
  if (before.line === "lost" && after.line === "open") return { assertive: false, text: "Connected again." };
  if (before.unreached && after.transport === "connected") return { assertive: false, text: WAY_FOUND };
  if (before.transport === "broken" && after.transport === "connected") {
    return { assertive: false, text: "Sound and picture are back." };
  }
  if (word(before) === word(after) && isWeak(before.place) && !isWeak(after.place)) {
    return { assertive: false, text: "The picture comes back." };
  }
  if (word(before) !== word(after)) {
    const text = SPOKEN[word(after)];
    return text === undefined ? null : { assertive: word(after) === "paused", text };
  }
  const place = after.place;
  if (before.place?.["store-ok"] === false && place?.["store-ok"]) {
    return { assertive: false, text: "People can be let in again." };
  }
  if (place?.["device-asks"] && place["device-asks"] !== before.place?.["device-asks"]) {
    return { assertive: true, text: "Another device asks to take your place." };
  }
  const written = chatNews(before.chat, after.chat);
  if (written !== null) return { assertive: false, text: written };
  if (place !== null && before.place !== null && scene(after) === "room") {
    const secured = place.state === "admitted" ? encryptionNews(before.keys, after.keys) : null;
    if (secured !== null) return secured;
    if (place.muted !== before.place.muted) {
      const text = place.muted ? "Your therapist has muted you." : "You are no longer muted.";
      return { assertive: false, text };
    }
    return companyChange(before.place, place);
  }
  return null;
}

/** @param {Place | null} place */
function isWeak(place) {
  return place !== null && weakSentence(place) !== null;
}

/** @type {Readonly<Record<string, string>>} */
const SPOKEN = Object.freeze({
  waiting: "You are in the waiting room. Your place is kept.",
  "asked-to-wait": "Your therapist asks you to wait a little longer.",
  admitted: "You are in the room.",
  paused: "The connection to your therapist was lost. You are on hold; nobody hears you.",
  held: "Your therapist has put you on hold. Nobody hears you.",
});

/**
 * @param {Place} before
 * @param {Place} after
 * @returns {{assertive: boolean, text: string} | null}
 */
function companyChange(before, after) {
  for (const other of after.others) {
    const earlier = before.others.find(({ seat }) => seat === other.seat);
    if (other.presence === earlier?.presence) {
      if (other.screen !== earlier.screen) return { assertive: false, text: screenOf(other.label, other.screen) };
      // What was off cannot pause.
      if (other.sends !== earlier.sends && (other.camera || other.screen)) {
        return { assertive: false, text: pictureOf(other.label, other.sends) };
      }
      continue;
    }
    if (other.presence === "away") return { assertive: false, text: `${other.label} is reconnecting.` };
    if (earlier?.presence === "away" && other.presence === "connected") {
      return { assertive: false, text: `${other.label} is back.` };
    }
    if (earlier === undefined && before.others.length > 0) {
      return { assertive: false, text: `${other.label} has come in.` };
    }
  }
  const gone = before.others.find(({ seat }) => !after.others.some((other) => other.seat === seat));
  return gone && after.others.length > 0 ? { assertive: false, text: `${gone.label} has gone out.` } : null;
}
