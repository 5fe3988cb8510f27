// @ts-check
// A patient's visit as one value, and how it moves. Pure: no page, no socket, no device, no clock.
//
//   opening ──▶ credentials ──▶ check ──▶ agreement ──▶ place ──▶ over
//    ▲ │ │ (this device was here before)                  ▲         │
//    │ │ └────────────────────────────────────────────────┘         │
//    │ └──▶ unsupported                                             │
//    └──────────────────────── come back ───────────────────────────┘
//
// Between credentials and check stands `room-code` if the visit is end-to-end encrypted and this page lacks the secret
// of its link. Whatever the encryption does not allow ends in `over`.
//
// `place` is all that the server decides (waiting, admitted, paused, held, denied …): what it shows is the
// newest `place` message. Everything before it is between the person and their own device.

import { NO_CHAT, ROOM, advanceChat, afterKeys, afterLine, isChatEvent, threadOf } from "./chat-state.js";
import { NO_KEYS, groupOf, mustStop, needsSecret, withKeys } from "./encryption-state.js";

/** @typedef {import('./messages.js').Place} Place */
/** @typedef {import('./messages.js').Welcome} Welcome */
/** @typedef {import('./messages.js').Entered} Entered */
/** @typedef {import('./messages.js').Agreement} Agreement */
/** @typedef {import('./support.js').Lack} Lack */
/** @typedef {import('./devices.js').DeviceReport} DeviceReport */
/** @typedef {import('./signal.js').LineState} LineState */
/** @typedef {import('./peer.js').TransportState} TransportState */

/** @typedef {import('./chat-state.js').Chat} Chat */
/** @typedef {import('./chat-state.js').ChatEvent} ChatEvent */
/** @typedef {import('./encryption-state.js').KeysView} KeysView */
/** @typedef {import('./encryption-state.js').KeysNow} KeysNow */

/** @typedef {'opening' | 'unsupported' | 'credentials' | 'room-code' | 'check' | 'agreement' | 'place' | 'over'} Step */

/**
 * @typedef {object} VisitState
 * @property {Step} step
 * @property {string} meeting
 * @property {Lack | null} lack what the browser lacks, in step `unsupported`
 * @property {boolean} tokenGiven the link brought the seat token; else it is typed
 * @property {boolean} passwordGiven the link brought the password too
 * @property {boolean} busy an answer is awaited; buttons rest
 * @property {string | null} problem one sentence beside the form or button that failed
 * @property {readonly string[]} wrong the form's fields that the problem is about
 * @property {Entered | null} entered
 * @property {Agreement | null} agreement
 * @property {DeviceReport | null} devices null until camera and microphone were asked for
 * @property {boolean} sharing the screen is being shared
 * @property {boolean} knocking the person wants in and the server does not know it yet
 * @property {LineState} line
 * @property {TransportState} transport
 * @property {boolean} unreached for seconds no way was found for sound and picture
 * @property {number} skew server time minus this device's, milliseconds
 * @property {Place | null} place
 * @property {boolean} secret this page was given the secret of its link
 * @property {KeysView} keys
 * @property {Chat} chat
 * @property {{code: string, text: string | null} | null} over
 */

/** @type {Readonly<VisitState>} */
export const START = Object.freeze({
  step: "opening",
  meeting: "",
  lack: null,
  tokenGiven: false,
  passwordGiven: false,
  busy: false,
  problem: null,
  wrong: [],
  entered: null,
  agreement: null,
  devices: null,
  sharing: false,
  knocking: false,
  line: "idle",
  transport: "none",
  unreached: false,
  skew: 0,
  place: null,
  secret: false,
  keys: NO_KEYS,
  chat: NO_CHAT,
  over: null,
});

/**
 * What can happen to a visit besides the server's messages; all past tense.
 *
 * @typedef {{type: 'lacking', lack: Lack}
 *   | {type: 'opened', meeting: string, tokenGiven: boolean, passwordGiven: boolean}
 *   | {type: 'credentials-needed'}
 *   | {type: 'asked'}
 *   | {type: 'refused', text: string, wrong?: readonly string[]}
 *   | {type: 'entered', entered: Entered}
 *   | {type: 'devices', report: DeviceReport}
 *   | {type: 'sharing', on: boolean}
 *   | {type: 'checked'}
 *   | {type: 'check-again'}
 *   | {type: 'agreement', agreement: Agreement, renewed?: boolean}
 *   | {type: 'agreed'}
 *   | {type: 'knock-answered', code: string | null, text: string | null}
 *   | {type: 'line', line: LineState, at: number}
 *   | {type: 'transport', transport: TransportState}
 *   | {type: 'unreached'}
 *   | {type: 'secret-given'}
 *   | {type: 'keys', keys: KeysNow}
 *   | {type: 'sent-clear'}
 *   | {type: 'offered-strangely'}
 *   | ChatEvent
 *   | {type: 'over', code: string, text: string | null}
 *   | {type: 'came-back'}} LocalEvent
 */

/** States in which the seat holds a place, so that the page shows it whatever it showed before. */
const PLACED = new Set(["waiting", "asked-to-wait", "admitted", "paused", "held", "asking-device"]);

/** States in which sound and picture are to have a way, although only in the room anybody sees and hears them. */
const HAS_MEDIA = new Set(["waiting", "asked-to-wait", "admitted", "paused", "held"]);

/** States from which one may knock. */
const KNOCKABLE = new Set(["expected", "left", "denied"]);

/**
 * Advance the visit by one local event or server message. Pure.
 *
 * @param {Readonly<VisitState>} state
 * @param {LocalEvent | (Welcome & {at: number}) | Place} event `at`: this device's time, milliseconds
 * @returns {Readonly<VisitState>} the same object when nothing changed.
 */
export function advance(state, event) {
  const next = isChatEvent(event) ? talked(state, event) : moved(state, event);
  const after = next.unreached && !looksForMedia(next) ? { ...next, unreached: false } : next;
  if (after.step === "over" || after === state) return after;
  const stop = mustStop(after.place ?? after.entered, after.keys, { secret: after.secret, happened: event.type });
  return stop === null ? after : over(after, stop, null);
}

/**
 * @param {Readonly<VisitState>} state
 * @param {Exclude<LocalEvent, ChatEvent> | (Welcome & {at: number}) | Place} event
 * @returns {Readonly<VisitState>}
 */
function moved(state, event) {
  switch (event.type) {
    case "lacking":
      return { ...state, step: "unsupported", lack: event.lack };
    case "opened":
      return {
        ...state,
        meeting: event.meeting,
        tokenGiven: event.tokenGiven,
        passwordGiven: event.passwordGiven,
      };
    case "credentials-needed":
      return { ...state, step: "credentials", busy: false };
    case "asked":
      return { ...state, busy: true, problem: null, wrong: [] };
    case "refused":
      return { ...state, busy: false, problem: event.text, wrong: event.wrong ?? [] };
    case "entered":
      return entered(state, event.entered);
    case "devices":
      return { ...state, devices: event.report };
    case "sharing":
      return { ...state, sharing: event.on };
    case "checked":
      if (state.place !== null && PLACED.has(state.place.state)) return { ...state, step: "place" };
      return state.entered?.agreed ? knocking(state) : { ...state, step: "agreement", problem: null };
    case "check-again":
      return { ...state, step: "check", knocking: false, problem: null };
    case "agreement":
      return {
        ...state,
        busy: false,
        agreement: event.agreement,
        problem: event.renewed ? "The agreement was updated. Please read it again." : state.problem,
      };
    case "agreed":
      return knocking({ ...state, entered: state.entered && { ...state.entered, agreed: true } });
    case "knock-answered":
      return knockAnswered(state, event.code, event.text);
    case "line":
      return { ...state, line: event.line, chat: afterLine(state.chat, state.line, event.line, conversation(state) === ROOM) };
    case "transport":
      return { ...state, transport: event.transport };
    case "unreached":
      return looksForMedia(state) ? { ...state, unreached: true } : state;
    case "secret-given":
      return state.step === "room-code" && state.entered !== null
        ? entered({ ...state, secret: true }, state.entered)
        : { ...state, secret: true };
    case "keys":
      return { ...state, keys: withKeys(state.keys, event.keys), chat: afterKeys(state.chat, state.keys, event.keys) };
    case "sent-clear":
    case "offered-strangely":
      return { ...state };
    case "welcome":
      return { ...state, skew: event.now - event.at };
    case "place":
      return placed(state, event);
    case "over":
      return over(state, event.code, event.text);
    case "came-back":
      return { ...START, meeting: state.meeting, entered: state.entered, skew: state.skew, secret: state.secret };
  }
}

/**
 * @param {Readonly<VisitState>} state
 * @param {ChatEvent} event
 * @returns {Readonly<VisitState>}
 */
function talked(state, event) {
  // To somebody who waits, what the therapist writes shows by itself.
  const shows = event.type === "chat-said" && event.group !== ROOM;
  const chat = advanceChat(state.chat, event);
  return { ...state, chat: shows ? advanceChat(chat, { type: "chat-opened", group: event.group }) : chat };
}

/**
 * The conversation this person may read now: that of the room, or the one with the therapist alone.
 *
 * @param {Readonly<VisitState>} state
 * @returns {string | null} name of its group; null when there is none.
 */
export function conversation({ place, keys, chat }) {
  if (place === null || keys.phase === "off") return null;
  if (place.state === "admitted" || place.state === "paused") return ROOM;
  if (!["waiting", "asked-to-wait", "held"].includes(place.state)) return null;
  const begun = groupOf(keys, place.seat).phase !== "none" || threadOf(chat, place.seat).lines.length > 0;
  return begun ? place.seat : null;
}

/**
 * The one word for what the page shows: on `<body data-state>`, and what a change is judged by.
 *
 * @param {Readonly<VisitState>} state
 * @returns {string} a step, a place's state, `knocking`, `resuming`, or the reason it is over.
 */
export function word(state) {
  if (state.step === "over") return state.over?.code ?? "over";
  if (state.step !== "place") return state.step;
  if (state.knocking) return "knocking";
  return state.place?.state ?? "resuming";
}

/**
 * Which larger scene the page shows. Focus moves to the heading when it changes, and only then.
 *
 * @param {Readonly<VisitState>} state
 * @returns {string}
 */
export function scene(state) {
  const shown = word(state);
  if (shown === "admitted" || shown === "paused" || shown === "held") return "room";
  if (["knocking", "resuming", "waiting", "asked-to-wait", "expected"].includes(shown)) return "waiting-room";
  return shown;
}

/**
 * Whether the server should be told now that this person wants in.
 *
 * @param {Readonly<VisitState>} state
 * @returns {boolean}
 */
export function shouldKnock(state) {
  return (
    state.step === "place" &&
    state.knocking &&
    state.line === "open" &&
    state.place !== null &&
    state.place["store-ok"] &&
    KNOCKABLE.has(state.place.state)
  );
}

/**
 * Whether a way for sound and picture is being looked for. While the server is not reached either, that is another matter.
 *
 * @param {Readonly<VisitState>} state
 * @returns {boolean}
 */
export function looksForMedia({ step, line, transport, place }) {
  const placed = step === "place" && line === "open" && place !== null && HAS_MEDIA.has(place.state);
  return placed && (transport === "connecting" || transport === "broken");
}

/**
 * Whether camera and microphone are needed now: after a reload the page must open them by itself.
 *
 * @param {Readonly<VisitState>} state
 * @returns {boolean}
 */
export function needsDevices(state) {
  return state.step === "place" && (state.knocking || (state.place !== null && PLACED.has(state.place.state)));
}

/**
 * @param {Readonly<VisitState>} state
 * @param {Entered} seat
 * @returns {VisitState}
 */
function entered(state, seat) {
  // A denied person comes back to the reason they were given, not to the camera.
  const resumes = PLACED.has(seat.state) || seat.state === "denied";
  const step = needsSecret(seat, state.secret) ? "room-code" : resumes ? "place" : "check";
  return { ...state, step, entered: seat, busy: false, problem: null };
}

/**
 * @param {Readonly<VisitState>} state
 * @returns {VisitState}
 */
function knocking(state) {
  return { ...state, step: "place", knocking: true, busy: false, problem: null };
}

/**
 * @param {Readonly<VisitState>} state
 * @param {string | null} code
 * @param {string | null} text
 * @returns {VisitState}
 */
function knockAnswered(state, code, text) {
  switch (code) {
    case null:
    case "wrong-state": // somebody knocked for this seat already: the place message tells
    case "connection-lost": // asked again when the line is back
    case "audit-unavailable": // asked again when the store is back
      return { ...state };
    case "agreement-needed":
      return {
        ...state,
        step: "agreement",
        agreement: null,
        knocking: false,
        entered: state.entered && { ...state.entered, agreed: false },
      };
    default:
      return {
        ...state,
        step: "check",
        knocking: false,
        problem: text ?? "That did not work. Please try again in a moment.",
      };
  }
}

/**
 * @param {Readonly<VisitState>} state
 * @param {Place} place
 * @returns {VisitState}
 */
function placed(state, place) {
  if (place.state === "removed" || place.state === "ended") return over({ ...state, place }, place.state, place.reason);
  if (place.state === "left" && state.step === "place" && !state.knocking) {
    return over({ ...state, place }, "left", null);
  }
  const holds = PLACED.has(place.state);
  // Whoever is at the camera or the agreement stays there until something happens to their place: they were let
  // in while they tested again, or knocked from another tab.
  const news = holds && place.state !== state.place?.state;
  const step = news && (state.step === "check" || state.step === "agreement") ? "place" : state.step;
  return {
    ...state,
    step,
    place,
    knocking: state.knocking && !holds,
    sharing: place.state === "admitted" && state.sharing,
  };
}

/**
 * @param {Readonly<VisitState>} state
 * @param {string} code
 * @param {string | null} text
 * @returns {VisitState}
 */
function over(state, code, text) {
  return {
    ...state,
    step: "over",
    over: { code, text },
    busy: false,
    knocking: false,
    sharing: false,
    line: "idle",
    transport: "none",
    unreached: false,
    keys: NO_KEYS,
    chat: NO_CHAT,
  };
}
