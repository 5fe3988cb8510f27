// @ts-check
// A conversation in writing: the button that opens it, what was said, and the box to answer in.

import { html, useEffect, useRef } from "../vendor/preact-htm.js";
import { MAX_TEXT, threadOf } from "./chat-state.js";
import { Icon } from "./parts.js";
import { timeOfDay } from "./words.js";

/** @typedef {import('./chat-state.js').Chat} Chat */

/**
 * What the views may ask of their shell.
 *
 * @typedef {object} ChatActions
 * @property {(group: string) => void} openChat
 * @property {(group: string) => void} closeChat
 * @property {(group: string, text: string) => void} typeChat
 * @property {(group: string) => void} sendChat
 */

const NEARLY = 200; // characters left from which on the rest is told

/**
 * Opens and closes a conversation, and tells what in it is new.
 *
 * @param {{chat: Chat, group: string, act: ChatActions, label?: string, whom?: string}} props `whom`: said to
 *   listeners only, where several buttons of the page have the same label
 */
export function ChatButton({ chat, group, act, label = "Chat", whom }) {
  const { open, unread } = threadOf(chat, group);
  const press = () => (open ? act.closeChat(group) : act.openChat(group));
  return html`<button type="button" class="chat-button" aria-expanded=${String(open)} onClick=${press}>
    <${Icon} shape="chat" />
    <span>${label}${whom && html`<span class="visually-hidden"> to ${whom}</span>`}</span>
    ${unread > 0 && html`<span class="badge">${unread} new</span>`}
  </button>`;
}

/**
 * @param {object} props
 * @param {Chat} props.chat
 * @param {string} props.group
 * @param {string} props.title who reads it
 * @param {string} props.note what to know before writing
 * @param {string | null} [props.closed] why nobody can write now; the box is away then
 * @param {boolean} [props.lasting] it stays open: there is nothing to close
 * @param {ChatActions} props.act
 */
export function ChatPanel({ chat, group, title, note, closed = null, lasting = false, act }) {
  const thread = threadOf(chat, group);
  const panel = useRef(/** @type {HTMLElement | null} */ (null));
  const log = useRef(/** @type {HTMLElement | null} */ (null));
  const last = thread.lines.at(-1)?.id ?? 0;
  useEffect(() => {
    if (log.current) log.current.scrollTop = log.current.scrollHeight;
  }, [last]);
  useEffect(() => {
    if (lasting) return;
    panel.current?.querySelector("textarea")?.focus({ preventScroll: true });
    panel.current?.querySelector("form")?.scrollIntoView({ block: "nearest" });
  }, []);
  const id = `chat-${group}`;
  const closing = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape" && !lasting) act.closeChat(group);
  };
  return html`<section class="chat" ref=${panel} aria-labelledby=${id} onKeyDown=${closing}>
    <header>
      <h3 id=${id}>${title}</h3>
      ${!lasting && html`<button type="button" class="plain" onClick=${() => act.closeChat(group)}>Close chat</button>`}
    </header>
    <p class="hint">${note}</p>
    <div class="log" ref=${log} role="log" aria-label="Messages" tabindex="0">
      ${thread.lines.length === 0 && html`<p class="quiet">No messages yet.</p>`}
      ${thread.lines.map(
        ({ id: line, name, text, at, gap }) =>
          gap
            ? html`<p key=${line} class="quiet">${text}</p>`
            : html`<div key=${line} class=${name === null ? "line own" : "line"}>
                <p class="who">${name ?? "You"} <span class="quiet">${timeOfDay(at)}</span></p>
                <p class="text" dir="auto">${text}</p>
              </div>`,
      )}
    </div>
    ${closed === null
      ? html`<${Box} thread=${thread} group=${group} act=${act} />`
      : html`<p class="quiet">${closed}${thread.draft.trim() !== "" && " What you have typed is kept."}</p>
          <p class="problem" role="alert">${thread.problem}</p>`}
  </section>`;
}

/** @param {{thread: import('./chat-state.js').Thread, group: string, act: ChatActions}} props */
function Box({ thread, group, act }) {
  const id = `write-${group}`;
  const left = MAX_TEXT - thread.draft.length;
  const send = () => {
    if (thread.draft.trim() !== "" && thread.sending === null) act.sendChat(group);
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    send();
  };
  const typed = (/** @type {Event} */ event) => act.typeChat(group, /** @type {HTMLTextAreaElement} */ (event.currentTarget).value);
  const pressed = (/** @type {KeyboardEvent} */ event) => {
    // While characters are being composed, Enter chooses one of them.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const problem = thread.problem !== null;
  return html`<form class="write" onSubmit=${submit}>
    <label for=${id}>Your message</label>
    <textarea id=${id} rows="2" maxlength=${MAX_TEXT} autocomplete="off" dir="auto" value=${thread.draft}
      aria-describedby=${`${id}-keys${problem ? ` ${id}-problem` : ""}`} aria-invalid=${String(problem)}
      onInput=${typed} onKeyDown=${pressed}></textarea>
    <p class="problem" id=${`${id}-problem`} role="alert">${thread.problem}</p>
    <div class="row">
      <button type="submit" class="primary" disabled=${thread.sending !== null}>Send</button>
      <span class="hint" id=${`${id}-keys`}>
        ${left <= NEARLY ? `${left} characters left` : "Enter sends; Shift and Enter begin a new line."}
      </span>
    </div>
  </form>`;
}
