// @ts-check
// End-to-end encryption as people see it: the sentence under the room, the spoken check, and where a visit stops.

import { html } from "../vendor/preact-htm.js";
import { checkLost, checkWaits, comeAnew, protection, stopOf } from "./encryption-state.js";
import { Heading } from "./page.js";
import { Icon } from "./parts.js";

/** @typedef {import('./encryption-state.js').KeysView} KeysView */
/** @typedef {import('./encryption-state.js').Promised} Promised */

/**
 * What the views may ask of their shell.
 *
 * @typedef {object} EncryptionActions
 * @property {() => void} beginCheck
 * @property {(same: boolean) => void} answerCheck whether the pictures are the same
 * @property {(text: string) => void} giveCode what was typed or pasted: a whole link, or a room code
 * @property {() => void} reload
 */

/**
 * What holds now, in one sentence with a mark.
 *
 * @param {{said: Promised | null, keys: KeysView, host?: boolean}} props
 */
export function ProtectionLine({ said, keys, host = false }) {
  const { mark, text } = protection(said, keys, host);
  const shapes = { sealed: "lock", verified: "lock-checked", securing: "lock", doubted: "lock-open", open: "lock-open", plain: null };
  const shape = shapes[mark];
  return html`<p class="quiet encryption" data-encryption=${mark}>${shape && html`<${Icon} shape=${shape} />`}<span>${text}</span></p>`;
}

/**
 * Says at the top, in few words, that a visit is not end-to-end encrypted; nothing where it is, or is not yet known.
 *
 * @param {{said: Promised | null, keys: KeysView}} props
 */
export function Unsealed({ said, keys }) {
  if (protection(said, keys, false).mark !== "open") return null;
  return html`<p class="unsealed"><${Icon} shape="lock-open" />Not end-to-end encrypted</p>`;
}

/**
 * The spoken check: offered to the therapist, then five pictures for everybody to compare aloud.
 *
 * @param {{keys: KeysView, host: boolean, may: boolean, act: EncryptionActions}} props `may`: this page may begin one
 */
export function SpokenCheck({ keys, host, may, act }) {
  const { phase, pictures, verified } = keys.check;
  if (phase === "comparing") return html`<${Comparing} pictures=${pictures} host=${host} act=${act} />`;
  if (phase === "exchanging") return html`<p class="quiet" role="status">The pictures are being drawn …</p>`;
  const why =
    phase === "aborted"
      ? "The check was interrupted: somebody came, left or did not answer."
      : checkLost(keys)
        ? "Somebody has come in anew since you checked that nobody listens in."
        : checkWaits(keys)
          ? "Your check that nobody listens in counts again when everybody is back."
          : null;
  const anew = may ? comeAnew(keys) : null;
  if (!may) return why && html`<p class="quiet">${why} Your therapist can check again.</p>`;
  const again = why !== null || verified || phase === "mismatch";
  return html`<div class="check-offer">
    ${anew && html`<p class="quiet">${anew} If you did not expect that, check that nobody listens in.</p>`}
    ${why && html`<p class="quiet">${why}</p>`}
    <button type="button" onClick=${act.beginCheck}>
      <${Icon} shape="lock-checked" />${again ? "Check again that nobody listens in" : "Check that nobody listens in"}
    </button>
  </div>`;
}

/** @param {{pictures: readonly import('./spoken-check.js').Picture[], host: boolean, act: EncryptionActions}} props */
function Comparing({ pictures, host, act }) {
  return html`<section class="comparing card" aria-labelledby="comparing">
    <h3 id="comparing">Check that nobody listens in</h3>
    <p>
      ${host
        ? "Read these five aloud, in this order. Then ask each person whether theirs are the same."
        : "Your therapist reads five pictures aloud. Say whether yours are the same, in the same order."}
    </p>
    <ol class="emoji">
      ${pictures.map(({ symbol, name }, at) => html`<li key=${at}><span aria-hidden="true">${symbol}</span>${name}</li>`)}
    </ol>
    <div class="row">
      <button type="button" class="primary" onClick=${() => act.answerCheck(true)}>
        ${host ? "Everybody says they are the same" : "They are the same"}
      </button>
      <button type="button" class="danger" onClick=${() => act.answerCheck(false)}>They differ</button>
    </div>
    <p class="hint">
      Only voices count: compare by talking, not in the chat. If they differ, somebody may sit in between.
    </p>
  </section>`;
}

/**
 * Asks for the secret of an end-to-end encrypted visit.
 *
 * @param {{problem: string | null, host?: boolean, act: EncryptionActions}} props
 */
export function RoomCode({ problem, host = false, act }) {
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    act.giveCode(String(new FormData(/** @type {HTMLFormElement} */ (event.currentTarget)).get("code") ?? ""));
  };
  return html`<section class="card room-code">
    <${Heading}>${host ? "Paste your own link of this visit" : "Paste your full link"}<//>
    <p>
      This visit is end-to-end encrypted. What opens it is the last part of your link, and
      ${host ? " this device does not have it. " : " that part is missing here. "} It is not on our server, so we
      cannot look it up.
    </p>
    <form onSubmit=${submit} novalidate>
      <label for="code">Your full link, or the room code</label>
      <p class="hint" id="code-hint">
        The room code has 26 letters and numbers. It was ${host ? "shown when the visit was booked." : "given to you with your link."}
      </p>
      <input id="code" name="code" required autocomplete="off" autocapitalize="characters" spellcheck="false"
        aria-invalid=${String(problem !== null)} aria-describedby=${`code-hint${problem === null ? "" : " problem"}`} />
      <p class="problem" id="problem" role="alert">${problem}</p>
      <button type="submit" class="primary wide">Continue</button>
    </form>
    <p class="quiet">
      ${host
        ? "You find your link on the device on which the visit was booked, under “Your sessions”."
        : "If you cannot find your link, call your practice. They can read the room code to you."}
    </p>
  </section>`;
}

/**
 * Where a visit stops because its encryption cannot hold.
 *
 * @param {{code: string, act: EncryptionActions}} props
 */
export function Stopped({ code, act }) {
  const stop = stopOf(code);
  if (stop === null) return null;
  return html`<section class="card stopped">
    <${Heading}>${stop.heading}<//>
    ${stop.text.map((paragraph) => html`<p key=${paragraph}>${paragraph}</p>`)}
    ${stop.reload && html`<button type="button" class="primary" onClick=${act.reload}>Reload this page</button>`}
  </section>`;
}
