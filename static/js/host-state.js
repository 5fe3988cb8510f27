// @ts-check
// The therapist's page as one value, and how it moves. Pure: no page, no socket, no device, no clock.
//
// What is true comes whole with each `roster` message; this adds only what the page itself knows: which question
// is open, which request is on its way, and what went wrong.

import { NO_CHAT, advanceChat, afterKeys, afterLine, isChatEvent } from "./chat-state.js";
import { NO_KEYS, mustStop, needsSecret, withKeys } from "./encryption-state.js";

/** @typedef {import('./messages.js').Roster} Roster */
/** @typedef {import('./messages.js').RosterSeat} RosterSeat */
/** @typedef {import('./messages.js').Welcome} Welcome */
/** @typedef {import('./devices.js').DeviceReport} DeviceReport */
/** @typedef {import('./signal.js').LineState} LineState */
/** @typedef {import('./peer.js').TransportState} TransportState */

/** @typedef {import('./chat-state.js').Chat} Chat */
/** @typedef {import('./chat-state.js').ChatEvent} ChatEvent */
/** @typedef {import('./encryption-state.js').KeysView} KeysView */
/** @typedef {import('./encryption-state.js').KeysNow} KeysNow */

/** @typedef {'admit' | 'ask-to-wait' | 'deny' | 'hold' | 'resume' | 'move-back' | 'mute' | 'unmute' | 'remove' | 'readmit' | 'end'} Action */

/**
 * @typedef {object} HostState
 * @property {Roster | null} roster
 * @property {boolean} fresh the roster came after this connection was opened and after the last `enter`
 * @property {boolean} back the connection was lost and is there again, without a roster so far: the first may speak of the
 *   transport that this page had, which the server still takes for alive
 * @property {LineState} line
 * @property {TransportState} transport
 * @property {boolean} unreached for seconds no way was found for sound and picture
 * @property {number} skew server time minus this device's, milliseconds
 * @property {DeviceReport | null} devices null until the room is opened
 * @property {boolean} opening camera and microphone are being asked for, or `enter` is on its way
 * @property {boolean} inside this page is to be in the room: it opened it, and comes back there by itself
 * @property {boolean} sharing
 * @property {{action: 'deny' | 'remove' | 'end', seat: string | null} | null} question open on the page
 * @property {readonly string[]} pending requests on their way, as `pendingKey`
 * @property {string | null} problem what went wrong last
 * @property {boolean} secret this page was given the secret of the session's links
 * @property {KeysView} keys
 * @property {Chat} chat
 * @property {{code: string, text: string | null} | null} over
 */

/** @type {Readonly<HostState>} */
export const START = Object.freeze({
  roster: null,
  fresh: false,
  back: false,
  line: "idle",
  transport: "none",
  unreached: false,
  skew: 0,
  devices: null,
  opening: false,
  inside: false,
  sharing: false,
  question: null,
  pending: [],
  problem: null,
  secret: false,
  keys: NO_KEYS,
  chat: NO_CHAT,
  over: null,
});

/**
 * What can happen to the page besides the server's messages; all past tense.
 *
 * @typedef {{type: 'line', line: LineState}
 *   | {type: 'transport', transport: TransportState}
 *   | {type: 'unreached'}
 *   | {type: 'devices', report: DeviceReport | null}
 *   | {type: 'opening'}
 *   | {type: 'opened', code: string | null, problem: string | null}
 *   | {type: 'sharing', on: boolean}
 *   | {type: 'question', question: HostState['question']}
 *   | {type: 'asked', key: string}
 *   | {type: 'answered', key: string, problem: string | null}
 *   | {type: 'problem-read'}
 *   | {type: 'secret-given'}
 *   | {type: 'secret-refused', problem: string}
 *   | {type: 'keys', keys: KeysNow}
 *   | {type: 'sent-clear'}
 *   | {type: 'offered-strangely'}
 *   | ChatEvent
 *   | {type: 'over', code: string, text: string | null}
 *   | {type: 'came-back'}} LocalEvent
 */

/**
 * Advance the page by one local event or server message. Pure.
 *
 * @param {Readonly<HostState>} state
 * @param {LocalEvent | (Welcome & {at: number}) | Roster} event `at`: this device's time, milliseconds
 * @returns {Readonly<HostState>}
 */
export function advance(state, event) {
  const next = isChatEvent(event) ? { ...state, chat: advanceChat(state.chat, event) } : moved(state, event);
  const after = next.unreached && !looksForMedia(next) ? { ...next, unreached: false } : next;
  if (after.over !== null) return after;
  const stop = mustStop(after.roster, after.keys, { secret: after.secret, happened: event.type });
  return stop === null ? after : over(after, stop, null);
}

/**
 * @param {Readonly<HostState>} state
 * @param {Exclude<LocalEvent, ChatEvent> | (Welcome & {at: number}) | Roster} event
 * @returns {Readonly<HostState>}
 */
function moved(state, event) {
  switch (event.type) {
    case "roster":
      return shown(state, event);
    case "welcome":
      return { ...state, skew: event.now - event.at };
    case "line":
      return {
        ...state,
        line: event.line,
        fresh: false,
        back: state.line === "lost" && event.line === "open",
        chat: afterLine(state.chat, state.line, event.line, talks(state)),
      };
    case "transport":
      return { ...state, transport: event.transport };
    case "unreached":
      return looksForMedia(state) ? { ...state, unreached: true } : state;
    case "devices":
      return { ...state, devices: event.report };
    case "opening":
      return { ...state, opening: true, problem: null };
    case "opened":
      return {
        ...state,
        opening: false,
        fresh: false,
        problem: event.problem,
        inside: event.code === null || (state.inside && event.code === "connection-lost"),
      };
    case "sharing":
      return { ...state, sharing: event.on };
    case "question":
      return { ...state, question: event.question, problem: null };
    case "asked":
      return { ...state, pending: [...state.pending, event.key], problem: null };
    case "answered":
      return {
        ...state,
        pending: state.pending.filter((key) => key !== event.key),
        problem: event.problem ?? state.problem,
      };
    case "problem-read":
      return { ...state, problem: null };
    case "secret-given":
      return { ...state, secret: true, problem: null };
    case "secret-refused":
      return { ...state, problem: event.problem };
    case "keys":
      return { ...state, keys: withKeys(state.keys, event.keys), chat: afterKeys(state.chat, state.keys, event.keys) };
    case "sent-clear":
    case "offered-strangely":
      return { ...state };
    case "over":
      return over(state, event.code, event.text);
    case "came-back":
      return { ...START, skew: state.skew, secret: state.secret };
  }
}

/**
 * @param {Readonly<HostState>} state
 * @param {string} code
 * @param {string | null} text
 * @returns {HostState}
 */
function over(state, code, text) {
  return {
    ...state,
    over: { code, text },
    question: null,
    pending: [],
    opening: false,
    inside: false,
    sharing: false,
    line: "idle",
    transport: "none",
    unreached: false,
    keys: NO_KEYS,
    chat: NO_CHAT,
  };
}

/**
 * @param {Readonly<HostState>} state
 * @param {Roster} roster
 * @returns {HostState}
 */
function shown(state, roster) {
  const { question } = state;
  const seat = question && roster.seats.find((one) => one.seat === question.seat);
  // A question about somebody who has left meanwhile answers itself.
  const stands = question && (question.action === "end" || (seat && actionsFor(seat).includes(question.action)));
  const elsewhere = roster.entered && !roster["media-here"] && !state.back && !state.opening;
  return {
    ...state,
    roster,
    fresh: true,
    back: false,
    question: stands ? question : null,
    inside: state.inside && roster.open && !elsewhere,
    sharing: state.sharing && !elsewhere,
    chat: roster.open ? state.chat : NO_CHAT,
  };
}

/**
 * Whether others may write to this page in the room.
 *
 * @param {Readonly<HostState>} state
 */
function talks({ keys, roster }) {
  return keys.phase !== "off" && roster?.entered === true;
}

/**
 * Whether the server should be told now that this page comes into the room again: it was reloaded, or lost its
 * connection for so long that its media did not survive.
 *
 * @param {Readonly<HostState>} state
 * @returns {boolean}
 */
export function shouldEnter(state) {
  const { roster } = state;
  if (roster === null || needsSecret(roster, state.secret)) return false;
  const here = roster.entered && roster["media-here"];
  return state.inside && state.fresh && !state.opening && state.line === "open" && !here;
}

/**
 * One name per request on its way, so that its button rests meanwhile.
 *
 * @param {Action} action
 * @param {readonly string[]} seats
 * @returns {string}
 */
export function pendingKey(action, seats) {
  return `${action} ${[...seats].sort().join("")}`;
}

/** @type {Readonly<Record<string, readonly Action[]>>} */
const ACTIONS = Object.freeze({
  expected: [],
  left: ["remove"],
  denied: ["remove"],
  waiting: ["admit", "ask-to-wait", "deny"],
  "asked-to-wait": ["admit", "deny"],
  admitted: ["hold", "mute", "move-back", "remove"],
  held: ["resume", "move-back", "remove"],
  removed: ["readmit"],
});

/**
 * What can be done for a patient's seat now, in the order to offer it.
 *
 * @param {RosterSeat} seat
 * @returns {readonly Action[]}
 */
export function actionsFor(seat) {
  if (seat.role === "host") return [];
  const actions = ACTIONS[seat.state] ?? [];
  return seat.muted ? actions.map((action) => (action === "mute" ? "unmute" : action)) : actions;
}

/**
 * @param {Roster | null} roster
 * @returns {readonly RosterSeat[]}
 */
export function patients(roster) {
  return roster?.seats.filter(({ role }) => role === "patient") ?? [];
}

/**
 * This page's own seat.
 *
 * @param {Roster | null} roster
 * @returns {RosterSeat | undefined}
 */
export function own(roster) {
  return roster?.seats.find(({ seat }) => seat === roster.me);
}

/**
 * Who else is shown as in the room: by a tile and by their card, neither without the other.
 *
 * @param {Roster | null} roster
 * @returns {readonly string[] | null} null while no clinician hears, so that nobody is.
 */
export function inTheRoom(roster) {
  if (!roster?.["clinician-present"]) return null;
  const shown = roster.seats.filter((one) => one["in-room"] && one.state === "admitted" && one.slot !== null);
  return shown.flatMap(({ seat }) => (seat === roster.me ? [] : [seat]));
}

/**
 * The seats that wait to be let in.
 *
 * @param {Roster | null} roster
 * @returns {readonly RosterSeat[]}
 */
export function waiting(roster) {
  return patients(roster).filter(({ state }) => state === "waiting" || state === "asked-to-wait");
}

/**
 * Whether somebody has come to the waiting room with this change.
 *
 * @param {Roster | null} before
 * @param {Roster} after
 * @returns {boolean}
 */
export function someoneCame(before, after) {
  if (before === null) return waiting(after).length > 0;
  const earlier = new Set(waiting(before).map(({ seat }) => seat));
  const inside = new Set(patients(before).filter(({ state }) => state === "admitted" || state === "held").map(({ seat }) => seat));
  // Whoever was moved back by a host did not come just now.
  return waiting(after).some(({ seat, state }) => state === "waiting" && !earlier.has(seat) && !inside.has(seat));
}

/**
 * Whether a way for this page's sound and picture is being looked for, while the server is reached.
 *
 * @param {Readonly<HostState>} state
 * @returns {boolean}
 */
export function looksForMedia(state) {
  const { line, transport, roster } = state;
  const here = line === "open" && word(state) === "room" && roster?.["media-here"] === true;
  return here && (transport === "connecting" || transport === "broken");
}

/**
 * The one word for what the page shows.
 *
 * @param {Readonly<HostState>} state
 * @returns {'over' | 'loading' | 'room-code' | 'outside' | 'elsewhere' | 'room'}
 */
export function word(state) {
  if (state.over) return "over";
  if (!state.roster) return "loading";
  if (!state.roster.open) return "over";
  if (needsSecret(state.roster, state.secret)) return "room-code";
  if (state.inside) return "room";
  if (!state.roster.entered) return "outside";
  return state.roster["media-here"] ? "room" : "elsewhere";
}
