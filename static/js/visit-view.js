// @ts-check
// What a patient sees at each point of the visit: a function of the visit's state.

import { html, useState } from "../vendor/preact-htm.js";
import { RoomCode, Stopped } from "./encryption-view.js";
import { stopOf } from "./encryption-state.js";
import { unread } from "./chat-state.js";
import { Heading } from "./page.js";
import { Level, SelfView } from "./parts.js";
import { placeView } from "./place-view.js";
import { CANNOT_SEAL, permissionSteps } from "./support.js";
import { word } from "./visit-state.js";

/** @typedef {import('./visit-state.js').VisitState} VisitState */
/** @typedef {import('./devices.js').DeviceReport} DeviceReport */
/** @typedef {import('../vendor/preact-htm.js').Child} Child */

/** @typedef {import('./chat-view.js').ChatActions} ChatActions */
/** @typedef {import('./encryption-view.js').EncryptionActions} EncryptionActions */

/**
 * What the view may ask of its shell.
 *
 * @typedef {object} OwnActions
 * @property {(fields: {meeting: string, token: string, code: string, password: string}) => void} enter
 * @property {() => Promise<boolean>} copyLink
 * @property {() => void} askDevices ask for camera and microphone (again)
 * @property {() => void} goOn from the check to the agreement or the waiting room
 * @property {() => void} agree
 * @property {() => void} knock
 * @property {() => void} checkAgain
 * @property {() => void} leave
 * @property {() => void} comeBack
 * @property {(allow: boolean, asking: number) => void} answerDevice
 * @property {(id: string) => void} chooseMicrophone
 * @property {(id: string) => void} chooseCamera
 * @property {() => void} withoutCamera
 * @property {() => void} toggleMicrophone
 * @property {() => void} toggleCamera
 * @property {() => void} toggleShare
 * @property {() => void} unblockSound
 */
/** @typedef {OwnActions & ChatActions & EncryptionActions} VisitActions */

/**
 * What the view shows that is no state of the visit.
 *
 * @typedef {object} Live
 * @property {number} now server time, milliseconds since the epoch
 * @property {(slot: number) => {audio: MediaStream | null, video: MediaStream | null, moving: boolean}} media
 * @property {MediaStream | null} screen
 * @property {boolean} soundBlocked
 * @property {number} soundUnblocked
 * @property {() => void} onBlocked
 */

/** @type {Readonly<Record<string, string>>} */
const TITLES = Object.freeze({
  waiting: "Waiting",
  "asked-to-wait": "Waiting",
  admitted: "In the room",
  paused: "On hold",
  held: "On hold",
});

/**
 * The tab's title; it never says what kind of visit this is.
 *
 * @param {Readonly<VisitState>} state
 * @returns {string}
 */
export function titleOf(state) {
  const what = unread(state.chat) > 0 ? "New message" : TITLES[word(state)];
  return `${what ?? "Your visit"} – Quietroom`;
}

/**
 * @param {Readonly<VisitState>} state
 * @param {VisitActions} act
 * @param {Live} live
 * @returns {Child}
 */
export function visitView(state, act, live) {
  switch (state.step) {
    case "opening":
      return html`<section class="card" key="opening">
        <${Heading}>One moment<//>
        <p class="quiet" role="status">${state.problem ?? "Opening your visit …"}</p>
      </section>`;
    case "unsupported":
      return html`<${Unsupported} key="unsupported" state=${state} act=${act} />`;
    case "credentials":
      return html`<${Credentials} key="credentials" state=${state} act=${act} />`;
    case "room-code":
      return html`<${RoomCode} key="room-code" problem=${state.problem} act=${act} />`;
    case "check":
      return html`<${Check} key="check" state=${state} act=${act} />`;
    case "agreement":
      return html`<${AgreementStep} key="agreement" state=${state} act=${act} />`;
    case "place":
      return placeView(state, act, live);
    case "over":
      return html`<${Over} key="over" state=${state} act=${act} />`;
  }
}

/** @param {{state: VisitState, act: VisitActions}} props */
function Unsupported({ state, act }) {
  const [copied, setCopied] = useState(false);
  const text = {
    "in-app": "You opened your link inside another app. Its small browser cannot use your camera reliably.",
    insecure: "This page was opened without encryption, so your browser keeps the camera closed. Use the link that begins with https.",
    old: "This browser cannot hold video visits.",
    "no-keys": CANNOT_SEAL,
  }[state.lack ?? "old"];
  return html`<section class="card">
    <${Heading}>Please open your link in another browser<//>
    <p>${text}</p>
    <ol>
      <li>Copy your link with the button below.</li>
      <li>Open Safari, Chrome, Firefox or Edge.</li>
      <li>Paste the link into the address line.</li>
    </ol>
    <p>
      <button type="button" class="primary" onClick=${() => void act.copyLink().then(setCopied)}>Copy my link</button>
    </p>
    <p role="status">${copied && "Copied."}</p>
    <p class="quiet">The link is yours alone. Do not send it to anybody.</p>
  </section>`;
}

/** @param {{text: string | null}} props */
function Problem({ text }) {
  return html`<p class="problem" id="problem" role="alert">${text}</p>`;
}

/** @param {{state: VisitState, act: VisitActions}} props */
function Credentials({ state, act }) {
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const field = (/** @type {string} */ name) => String(data.get(name) ?? "");
    act.enter({ meeting: field("meeting"), token: field("token"), code: field("code"), password: field("password") });
  };
  const wrong = (/** @type {string} */ field) => state.wrong.includes(field);
  const described = (/** @type {string} */ field) => `${field}-hint${wrong(field) ? " problem" : ""}`;
  return html`<section class="card">
    <${Heading}>Welcome<//>
    <p>
      ${state.passwordGiven
        ? "This is your own way into your visit."
        : "Please enter what your practice gave you. It opens your waiting room, nothing else."}
    </p>
    <form onSubmit=${submit} novalidate>
      ${state.meeting === "" &&
      html`<label for="meeting">Meeting ID</label>
        <input id="meeting" name="meeting" required autocomplete="off" autocapitalize="none" spellcheck="false"
          aria-invalid=${wrong("meeting")} aria-describedby=${wrong("meeting") ? "problem" : undefined} />`}
      ${!state.tokenGiven &&
      html`<label for="token">Seat code</label>
        <p class="hint" id="token-hint">It looks like A-XXXX-XXXX-XXXX-XXXX.</p>
        <input id="token" name="token" required autocomplete="off" autocapitalize="characters" spellcheck="false"
          aria-invalid=${wrong("token")} aria-describedby=${described("token")} />`}
      ${!state.secret &&
      html`<label for="code">Room code</label>
        <p class="hint" id="code-hint">26 letters and numbers. Leave this empty only if you were given none.</p>
        <input id="code" name="code" autocomplete="off" autocapitalize="characters" spellcheck="false"
          aria-invalid=${wrong("code")} aria-describedby=${described("code")} />`}
      ${!state.passwordGiven &&
      html`<label for="password">Visit password</label>
        <p class="hint" id="password-hint">Ten letters and numbers, such as XXXXX-XXXXX.</p>
        <input id="password" name="password" required autocomplete="off" autocapitalize="characters"
          spellcheck="false" aria-invalid=${wrong("password")}
          aria-describedby=${described("password")} />`}
      <${Problem} text=${state.problem} />
      <button type="submit" class="primary wide" aria-describedby=${state.problem ? "problem" : undefined} disabled=${state.busy}>
        ${state.busy ? "One moment …" : "Continue"}
      </button>
    </form>
    <p class="quiet">You do not need an account and nothing is installed.</p>
  </section>`;
}

/** @param {{state: VisitState, act: VisitActions}} props */
function Check({ state, act }) {
  const devices = state.devices;
  const [heard, setHeard] = useState(false);
  const denied = devices?.microphoneProblem === "denied" || devices?.cameraProblem === "denied";
  const agreed = state.entered?.agreed ?? false;
  return html`<section class="card">
    <${Heading}>Camera and microphone<//>
    ${state.entered && html`<p class="quiet">You come in as <strong>${state.entered.label}</strong>.</p>`}
    ${!devices
      ? html`<p>
            Let us see whether you can be seen and heard. Your browser will ask for permission. Nothing leaves
            your device yet.
          </p>
          <button type="button" class="primary wide" onClick=${act.askDevices}>Check camera and microphone</button>
          <p class="quiet">Headphones keep your conversation private and prevent echo.</p>`
      : html`<${SelfView} devices=${devices} note="Only you see this" />
          ${devices.asking && html`<p role="status">Please allow camera and microphone in your browser’s question.</p>`}
          ${denied && html`<${Denied} onRetry=${act.askDevices} />`}
          ${!denied && !devices.asking && html`<${DeviceNotes} devices=${devices} act=${act} />`}
          ${devices.microphone &&
          html`<div class="meter">
            <label for="level">${heard ? "We can hear you" : "Say a few words"}</label>
            <${Level} track=${devices.microphone} onHeard=${() => setHeard(true)} />
          </div>`}
          <${Chooser} devices=${devices} act=${act} />
          <p class="advice">
            ${devices.headphones
              ? "You seem to have headphones: good for privacy and sound."
              : "If you can, use headphones: they keep the conversation private and prevent echo."}
            ${" "}Choose a place where nobody overhears you.
          </p>
          <${Problem} text=${state.problem} />
          <button type="button" class="primary wide" disabled=${devices.asking || !devices.microphone}
            onClick=${act.goOn}>
            ${agreed ? "Enter the waiting room" : "Continue"}
          </button>
          ${!devices.asking && !devices.microphone &&
          html`<p class="quiet">A microphone is needed, so that your therapist can hear you.</p>`}`}
  </section>`;
}

/** @param {{onRetry: () => void}} props */
function Denied({ onRetry }) {
  return html`<div class="notice" role="alert">
    <h2>Your browser keeps camera or microphone closed</h2>
    <ol>
      ${permissionSteps(navigator.userAgent).map((step) => html`<li>${step}</li>`)}
    </ol>
    <button type="button" onClick=${onRetry}>Try again</button>
  </div>`;
}

/** @param {{devices: DeviceReport, act: VisitActions}} props */
function DeviceNotes({ devices, act }) {
  const says = {
    busy: "is used by another program. Close that program and try again.",
    missing: "was not found. Connect one and try again.",
    denied: "is not allowed.",
  };
  const { cameraProblem, microphoneProblem } = devices;
  if (!cameraProblem && !microphoneProblem) return null;
  return html`<div class="notice" role="alert">
    ${microphoneProblem && html`<p>The microphone ${says[microphoneProblem]}</p>`}
    ${cameraProblem && html`<p>The camera ${says[cameraProblem]}</p>`}
    <button type="button" onClick=${act.askDevices}>Try again</button>
    ${cameraProblem && html`${" "}<button type="button" onClick=${act.withoutCamera}>Continue without camera</button>`}
  </div>`;
}

/** @param {{devices: DeviceReport, act: VisitActions}} props */
function Chooser({ devices, act }) {
  const choice = (
    /** @type {string} */ id,
    /** @type {string} */ label,
    /** @type {DeviceReport['cameras']} */ list,
    /** @type {MediaStreamTrack | null} */ track,
    /** @type {(id: string) => void} */ onChoose,
  ) =>
    list.length > 1 &&
    html`<label for=${id}>${label}</label>
      <select id=${id} value=${track?.getSettings().deviceId}
        onChange=${(/** @type {Event} */ event) => onChoose(/** @type {HTMLSelectElement} */ (event.currentTarget).value)}>
        ${list.map((device) => html`<option value=${device.id}>${device.label}</option>`)}
      </select>`;
  return html`<div class="chooser">
    ${choice("microphone", "Microphone", devices.microphones, devices.microphone, act.chooseMicrophone)}
    ${choice("camera", "Camera", devices.cameras, devices.camera, act.chooseCamera)}
  </div>`;
}

/** @param {{state: VisitState, act: VisitActions}} props */
function AgreementStep({ state, act }) {
  const [agreed, setAgreed] = useState(false);
  const agreement = state.agreement;
  if (!agreement) {
    return html`<section class="card">
      <${Heading}>Agreement<//>
      ${state.problem
        ? html`<${Problem} text=${state.problem} /><button type="button" onClick=${act.goOn}>Try again</button>`
        : html`<p class="quiet" role="status">One moment …</p>`}
    </section>`;
  }
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (agreed) act.agree();
  };
  return html`<section class="card">
    <${Heading}>${agreement.title}<//>
    ${agreement.paragraphs.map((paragraph) => html`<p>${paragraph}</p>`)}
    <form onSubmit=${submit}>
      <div class="check">
        <input type="checkbox" id="agree" checked=${agreed} aria-describedby=${state.problem ? "problem" : undefined}
          onChange=${(/** @type {Event} */ event) => setAgreed(/** @type {HTMLInputElement} */ (event.currentTarget).checked)} />
        <label for="agree">I have read this and agree</label>
      </div>
      <${Problem} text=${state.problem} />
      <button type="submit" class="primary wide" disabled=${!agreed || state.busy}>Enter the waiting room</button>
    </form>
    <p class="quiet">Version ${agreement.version}. Your agreement is recorded for this visit.</p>
  </section>`;
}

/** @type {Readonly<Record<string, {heading: string, text: string, again: string | null}>>} */
const ENDINGS = Object.freeze({
  left: {
    heading: "You have left",
    text: "Your camera and microphone are off. As long as the visit is open you can come back.",
    again: "Come back",
  },
  ended: {
    heading: "The visit has ended",
    text: "Your camera and microphone are off. You can close this page.",
    again: null,
  },
  removed: {
    heading: "You are no longer in this visit",
    text: "Your camera and microphone are off. Please call your practice if you have questions.",
    again: null,
  },
  "opened-elsewhere": {
    heading: "Your visit is open in another window",
    text: "It can only be in one place at a time. You can close this page or go on here.",
    again: "Continue here",
  },
  replaced: {
    heading: "Your visit has moved to your other device",
    text: "You can close this page. Camera and microphone are off here.",
    again: "Continue here instead",
  },
  "device-refused": {
    heading: "Your other device keeps the place",
    text: "Somebody chose to stay there. If that was not you, please call your practice.",
    again: "Ask again",
  },
  "enter-again": {
    heading: "Please enter again",
    text: "This page is no longer connected to your visit. Enter again with what you were given, or call your practice.",
    again: "Enter again",
  },
});

/** @param {{state: VisitState, act: VisitActions}} props */
function Over({ state, act }) {
  const code = state.over?.code ?? "";
  if (stopOf(code) !== null) return html`<${Stopped} code=${code} act=${act} />`;
  const ending = ENDINGS[code] ?? {
    heading: "The connection was closed",
    text: state.over?.text ?? "You can try to come back.",
    again: "Come back",
  };
  const reason = code === "removed" ? state.over?.text : null;
  return html`<section class="card">
    <${Heading}>${ending.heading}<//>
    ${reason && html`<p>Your therapist says: <q>${reason}</q></p>`}
    <p>${ending.text}</p>
    ${ending.again &&
    html`<button type="button" class="primary" onClick=${act.comeBack}>
      ${ending.again}
    </button>`}
  </section>`;
}
