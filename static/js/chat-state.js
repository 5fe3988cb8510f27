// @ts-check
// What is written in a visit: one thread per group (the room, or the therapist and one seat that waits). Pure.
//
//   typed ──▶ sending ──sent──▶ a line of the thread, the box is empty
//               └──not sent──▶ the text stays in the box, with a word what to do
//
// Lines live in this value and nowhere else: they are gone with the page, and when the visit is over.

import { groupOf } from "./encryption-state.js";

/** @typedef {import('./encryption-state.js').KeysNow} KeysNow */
/** @typedef {import('./signal.js').LineState} LineState */

/** The room's own group; every other group has the name of the seat that waits. */
export const ROOM = "room";

/** Characters of one message. */
export const MAX_TEXT = 2_000;

const MAX_LINES = 500; // of a thread; older ones go

/**
 * One message as it stands in the thread.
 *
 * @typedef {object} Line
 * @property {number} id counts up within the thread
 * @property {string | null} name who wrote it, as their credential says; null for one's own
 * @property {string} text
 * @property {number} at when it was sent or came, milliseconds since the epoch by this device
 * @property {boolean} [gap] no message: from here on some may be missing
 */

/**
 * @typedef {object} Thread
 * @property {readonly Line[]} lines
 * @property {string} draft what is in the box
 * @property {string | null} sending what is on its way
 * @property {string | null} problem why the draft could not be sent, and what to do
 * @property {number} unread lines that came while the thread was closed
 * @property {boolean} open
 */

/** @typedef {Readonly<Record<string, Thread>>} Chat threads by the name of their group */

/** @type {Chat} */
export const NO_CHAT = Object.freeze({});

/** @type {Readonly<Thread>} */
const EMPTY = Object.freeze({ lines: [], draft: "", sending: null, problem: null, unread: 0, open: false });

/**
 * What can happen to a thread; all past tense.
 *
 * @typedef {{type: 'chat-opened', group: string}
 *   | {type: 'chat-closed', group: string}
 *   | {type: 'chat-typed', group: string, text: string}
 *   | {type: 'chat-sending', group: string}
 *   | {type: 'chat-sent', group: string, at: number}
 *   | {type: 'chat-not-sent', group: string, problem: string}
 *   | {type: 'chat-said', group: string, name: string, text: string, at: number}
 *   | {type: 'chat-missed', group: string}} ChatEvent
 */

/**
 * @param {{type: string}} event
 * @returns {event is ChatEvent}
 */
export function isChatEvent(event) {
  return event.type.startsWith("chat-");
}

/**
 * @param {Chat} chat
 * @param {string} group
 * @returns {Readonly<Thread>}
 */
export function threadOf(chat, group) {
  return chat[group] ?? EMPTY;
}

/**
 * Advance the threads by one event. Pure.
 *
 * @param {Chat} chat
 * @param {ChatEvent} event
 * @returns {Chat}
 */
export function advanceChat(chat, event) {
  const before = threadOf(chat, event.group);
  const after = moved(before, event);
  return after === before ? chat : { ...chat, [event.group]: after };
}

/**
 * @param {Readonly<Thread>} thread
 * @param {ChatEvent} event
 * @returns {Readonly<Thread>}
 */
function moved(thread, event) {
  switch (event.type) {
    case "chat-opened":
      return { ...thread, open: true, unread: 0 };
    case "chat-closed":
      return { ...thread, open: false, problem: null };
    case "chat-typed":
      return { ...thread, draft: event.text.slice(0, MAX_TEXT), problem: null };
    case "chat-sending":
      return { ...thread, sending: thread.draft, problem: null };
    case "chat-sent": {
      const { sending, draft } = thread;
      if (sending === null) return thread;
      // Whoever typed on meanwhile keeps what they typed.
      const rest = draft.startsWith(sending) ? draft.slice(sending.length).trimStart() : draft;
      return { ...withLine(thread, null, tidyText(sending), event.at), draft: rest, sending: null };
    }
    case "chat-not-sent":
      return { ...thread, sending: null, problem: event.problem, open: true };
    case "chat-said": {
      const grown = withLine(thread, event.name, event.text, event.at);
      return thread.open ? grown : { ...grown, unread: thread.unread + 1 };
    }
    case "chat-missed":
      return withGap(thread, ANEW_GAP);
  }
}

/**
 * @param {Readonly<Thread>} thread
 * @param {string | null} name
 * @param {string} text
 * @param {number} at
 * @returns {Thread}
 */
function withLine(thread, name, text, at) {
  const id = (thread.lines.at(-1)?.id ?? 0) + 1;
  return { ...thread, lines: [...thread.lines, { id, name, text, at }].slice(-MAX_LINES) };
}

/** What stands where messages may be missing. */
export const GAP = "You were not connected for a moment. What the others wrote meanwhile is not shown.";

/** The same, where it was for want of keys. */
export const ANEW_GAP = "The conversation was secured anew for you. What the others wrote at that moment is not shown.";

/**
 * @param {Readonly<Thread>} thread
 * @param {string} text
 * @returns {Readonly<Thread>} the same where its last line says so already.
 */
function withGap(thread, text) {
  const last = thread.lines.at(-1);
  if (last?.gap) return thread;
  return { ...thread, lines: [...thread.lines, { id: (last?.id ?? 0) + 1, name: null, text, at: 0, gap: true }] };
}

/**
 * The keys are others than before. Who is out of a group, and is to be put in anew, has no part in what the others write
 * until then. Pure.
 *
 * @param {Chat} chat
 * @param {KeysNow} before
 * @param {KeysNow} now
 * @returns {Chat}
 */
export function afterKeys(chat, before, now) {
  let after = chat;
  for (const group of [ROOM, ...Object.keys(now.pairs)]) {
    const isAnew = groupOf(before, group).phase === "secured" && groupOf(now, group).phase === "securing";
    if (isAnew) after = advanceChat(after, { type: "chat-missed", group });
  }
  return after;
}

/**
 * The connection is another than before. If it was gone and is back, what others wrote meanwhile did not come, and will
 * not. Pure.
 *
 * @param {Chat} chat
 * @param {LineState} before
 * @param {LineState} now
 * @param {boolean} inRoom whether the others could write in the room's thread, begun or not
 * @returns {Chat}
 */
export function afterLine(chat, before, now, inRoom) {
  if (now !== "open" || (before !== "lost" && before !== "moving")) return chat;
  const groups = new Set([...Object.keys(chat), ...(inRoom ? [ROOM] : [])]);
  const after = { ...chat };
  for (const group of groups) {
    const thread = threadOf(chat, group);
    const gapped = withGap(thread, GAP);
    if (gapped !== thread) after[group] = gapped;
  }
  return after;
}

/**
 * A message as it is sent and shown: no blank edges, no control characters but new lines.
 *
 * @param {string} text
 * @returns {string} empty when nothing is left of it.
 */
export function tidyText(text) {
  return text.replace(/\r\n?/g, "\n").replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, " ").trim();
}

/**
 * Why nothing can be sent in a group now, and what to do about it.
 *
 * @param {object} now
 * @param {boolean} now.connected the signaling connection stands
 * @param {'off' | 'none' | 'securing' | 'secured' | 'failed'} now.phase of the group
 * @param {number} now.members of the group, with oneself
 * @returns {string | null} null when it can.
 */
export function obstacle({ connected, phase, members }) {
  if (!connected) {
    return "Not sent: the connection is interrupted. Your text stays here. Press “Send” again when it is back.";
  }
  if (phase !== "secured") return SECURING;
  return members < 2 ? NOBODY : null;
}

const SECURING = "Not sent: the conversation is being secured. Your text stays here. Press “Send” again in a moment.";
const NOBODY = "Not sent: nobody is here to read it. Your text stays here. Press “Send” again when somebody is.";
const ANEW = // a pair ends when its guest comes into the room, and with the page of either
  "Not sent: this conversation has to be secured anew. Your text stays here. Press “Send” again in a moment, or when " +
  "the other side is back.";
const UNKNOWN =
  "The connection was interrupted, so perhaps this was not sent. Your text stays here. Press “Send” again when the " +
  "connection is back.";

/** @type {Readonly<Record<string, string>>} why a message was forwarded to nobody, by code, and what to do about it */
const NOT_SENT = Object.freeze({
  "not-sealed": SECURING,
  "keys-changed": SECURING,
  "nobody-there": NOBODY,
  "clinician-absent":
    "Not sent: the therapist is not in the room at the moment. Your text stays here. Press “Send” again when they are " +
    "back.",
  "connection-lost": UNKNOWN,
  "no-reply": UNKNOWN,
});

/**
 * What is said when a message that nothing on this page stood in the way of did not go out.
 *
 * @param {string | null} code why; null when it is not known
 * @param {string} group
 * @returns {string}
 */
export function notSent(code, group) {
  if (code === "keys-changed" && group !== ROOM) return ANEW;
  return NOT_SENT[code ?? ""] ?? "Not sent. Your text is still in the box: press “Send” again.";
}

/**
 * Whose message came in a thread that was closed, so that a listener hears of it. What it says is read when it is
 * opened: others may be beside the screen.
 *
 * @param {Chat} before
 * @param {Chat} after
 * @returns {string | null}
 */
export function chatNews(before, after) {
  for (const [group, { lines }] of Object.entries(after)) {
    const earlier = threadOf(before, group);
    const last = lines.at(-1);
    if (last && last.name !== null && last.id !== earlier.lines.at(-1)?.id && !earlier.open) {
      return `New message from ${last.name}.`;
    }
  }
  return null;
}

/**
 * @param {Chat} chat
 * @returns {number} lines nobody has opened yet, in all threads.
 */
export function unread(chat) {
  return Object.values(chat).reduce((sum, thread) => sum + thread.unread, 0);
}
