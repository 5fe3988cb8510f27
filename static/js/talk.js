// @ts-check
// What a page does with its keys besides sound and picture: writing, reading, the spoken check.
//
//   typed ──▶ is anything in the way? ──no──▶ sealed by the worker ──▶ forwarded? ──yes──▶ a line of the thread
//                    └──yes──▶ the text stays in the box ◀───────────────────no──┘
//
// Two who begin to write to each other need keys first. Whoever is faster than these waits a moment, and presses
// nothing again.

import { MAX_TEXT, ROOM, notSent, obstacle, threadOf, tidyText } from "./chat-state.js";
import { groupOf } from "./encryption-state.js";
import { chatPayload, readPayload } from "./payloads.js";

/** @typedef {import('./chat-state.js').Chat} Chat */
/** @typedef {import('./chat-state.js').ChatEvent} ChatEvent */
/** @typedef {import('./encryption-state.js').KeysView} KeysView */
/** @typedef {import('./encryption-state.js').KeysNow} KeysNow */

/**
 * Seals for the members of a group; runs the spoken check.
 *
 * @typedef {object} Seals
 * @property {(group: string, payload: Uint8Array<ArrayBuffer>) => Promise<string | null>} seal resolves with null when it
 *   was forwarded to somebody, else with a code that says why not; never rejects
 * @property {() => void} beginCheck
 * @property {(same: boolean) => void} answerCheck
 */

const SECURED_WITHIN = 5_000; // ms that what was written to one person waits for the keys of these two
const LOOK = 50; // ms between looks whether they are there

/**
 * @typedef {object} TalkSettings
 * @property {() => {chat: Chat, keys: KeysView, line: string}} state
 * @property {(event: ChatEvent) => void} apply
 * @property {() => Seals | null} seals null while this page has no keys
 * @property {(seat: string) => void} pair asks for a group with that waiting seat
 */

/**
 * What the views may ask for.
 *
 * @param {TalkSettings} settings
 */
export function talkActions({ state, apply, seals, pair }) {
  const obstacleIn = (/** @type {string} */ group) => {
    const { keys, line } = state();
    const { phase, members } = groupOf(keys, group);
    return obstacle({ connected: line === "open", phase, members: members.length });
  };
  /**
   * Whether keys are on their way, by themselves. In the room it may be others who are in when they are there.
   *
   * @param {string} group
   */
  const isComing = (group) =>
    group !== ROOM && state().line === "open" && seals() !== null && groupOf(state().keys, group).phase !== "failed";
  return {
    openChat(/** @type {string} */ group) {
      apply({ type: "chat-opened", group });
      if (group !== ROOM && groupOf(state().keys, group).phase === "none") pair(group);
    },
    closeChat: (/** @type {string} */ group) => apply({ type: "chat-closed", group }),
    typeChat: (/** @type {string} */ group, /** @type {string} */ text) => apply({ type: "chat-typed", group, text }),
    async sendChat(/** @type {string} */ group) {
      const payload = chatPayload(tidyText(threadOf(state().chat, group).draft));
      apply({ type: "chat-sending", group });
      const waits = () => payload !== null && obstacleIn(group) !== null && isComing(group);
      for (let waited = 0; waited < SECURED_WITHIN && waits(); waited += LOOK) {
        await new Promise((resolve) => setTimeout(resolve, LOOK));
      }
      const by = seals();
      const problem = obstacleIn(group);
      if (problem !== null || by === null || payload === null) {
        apply({ type: "chat-not-sent", group, problem: problem ?? notSent(null, group) });
        return;
      }
      let code = await by.seal(group, payload);
      // A commit was under way. What leads to the epoch that stands came before this answer, so it is sealed in that one.
      if (code === "keys-changed") code = await by.seal(group, payload);
      if (code === "keys-changed" && group !== ROOM) pair(group); // the server has no such pair any more
      if (code === null) apply({ type: "chat-sent", group, at: Date.now() });
      else apply({ type: "chat-not-sent", group, problem: notSent(code, group) });
    },
    beginCheck: () => seals()?.beginCheck(),
    answerCheck: (/** @type {boolean} */ same) => seals()?.answerCheck(same),
    reload: () => location.reload(),
  };
}

/**
 * What a member sealed for us, as an event of the page.
 *
 * @param {KeysNow} keys
 * @param {string} group
 * @param {string} seat whose signature it bears
 * @param {Uint8Array} payload
 * @returns {ChatEvent | null} null when it is nothing that people write to each other.
 */
export function said(keys, group, seat, payload) {
  const read = readPayload(payload);
  const text = read?.kind === "chat" ? tidyText(read.text) : "";
  // Signed by nobody whom the group names: they were taken out while it was on its way.
  const name = groupOf(keys, group).members.find((member) => member.seat === seat)?.name;
  if (text === "" || text.length > MAX_TEXT || name === undefined) return null;
  return { type: "chat-said", group, name, text, at: Date.now() };
}
