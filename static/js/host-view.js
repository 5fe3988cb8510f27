// @ts-check
// What the therapist sees: the couple as one card, the room beside it. A function of the page's state.

import { html, useEffect, useRef } from "../vendor/preact-htm.js";
import { ROOM, threadOf } from "./chat-state.js";
import { ChatButton, ChatPanel } from "./chat-view.js";
import { nameOf, promised, refusal, stopOf, unopened } from "./encryption-state.js";
import { ProtectionLine, RoomCode, SpokenCheck, Stopped, Unsealed } from "./encryption-view.js";
import { Heading, bannerView } from "./page.js";
import { Controls, LeaveIcon, LinkMark, SelfView, SharedScreen, SoundBlocked, Tile } from "./parts.js";
import { actionsFor, own, patients, pendingKey, waiting, word } from "./host-state.js";
import { banner, summary } from "./host-words.js";
import { missingScreen, pausedNotes, unreachedHint } from "./link-words.js";
import { dateAndTime, duration, stateWord, timeOfDay } from "./words.js";

/** @typedef {import('./host-state.js').HostState} HostState */
/** @typedef {import('./host-state.js').Action} Action */
/** @typedef {import('./messages.js').Roster} Roster */
/** @typedef {import('./messages.js').RosterSeat} RosterSeat */
/** @typedef {import('../vendor/preact-htm.js').Child} Child */

/**
 * What the view may ask of its shell.
 *
 * @typedef {object} OwnActions
 * @property {() => void} openRoom
 * @property {(action: Action, seats: readonly string[], reason?: string) => void} act
 * @property {(question: HostState['question']) => void} ask
 * @property {() => void} leave
 * @property {() => void} comeBack
 * @property {() => void} toggleMicrophone
 * @property {() => void} toggleCamera
 * @property {() => void} toggleShare
 * @property {() => void} unblockSound
 * @property {() => void} problemRead
 */
/** @typedef {import('./chat-view.js').ChatActions} ChatActions */
/** @typedef {import('./encryption-view.js').EncryptionActions} EncryptionActions */
/** @typedef {OwnActions & ChatActions & EncryptionActions} HostActions */

/** @typedef {import('./visit-view.js').Live} Live */

/** @type {Readonly<Record<Action, string>>} */
const WORDS = Object.freeze({
  admit: "Admit",
  "ask-to-wait": "Ask to wait",
  deny: "Deny",
  hold: "Hold",
  resume: "Resume",
  "move-back": "Move back",
  mute: "Mute",
  unmute: "Unmute",
  remove: "Remove",
  readmit: "Readmit",
  end: "End",
});

/**
 * @param {Readonly<HostState>} state
 * @param {HostActions} act
 * @param {Live} live
 * @returns {Child}
 */
export function hostView(state, act, live) {
  const shown = word(state);
  if (shown === "loading") {
    return html`<section class="card" key="loading">
      <${Heading}>One moment<//>
      <p class="quiet" role="status">${state.problem ?? "Opening the visit …"}</p>
    </section>`;
  }
  if (shown === "over") return html`<${Over} key="over" state=${state} act=${act} />`;
  if (shown === "room-code") return html`<${RoomCode} key="room-code" problem=${state.problem} host act=${act} />`;
  return html`<${Visit} key="visit" state=${state} roster=${state.roster} act=${act} live=${live} />`;
}

/** @param {{state: HostState, act: HostActions}} props */
function Over({ state, act }) {
  const code = state.over?.code ?? "";
  if (stopOf(code) !== null) return html`<${Stopped} code=${code} act=${act} />`;
  const ended = state.over === null || state.over.code === "ended";
  const moved = state.over?.code === "opened-elsewhere" || state.over?.code === "replaced";
  return html`<section class="card">
    <${Heading}>
      ${ended
        ? "The visit has ended"
        : state.over?.code === "left"
          ? "You have left the room"
          : moved
            ? "This visit is open in another window"
            : "This page cannot go on"}
    <//>
    <p>
      ${ended
        ? "Everybody has left and the links no longer open anything."
        : state.over?.code === "left"
          ? "Patients in the room are on hold until a clinician is back. The visit stays open until you end it."
          : (state.over?.text ?? "")}
    </p>
    <div class="row">
      ${!ended && html`<button type="button" class="primary" onClick=${act.comeBack}>Open the visit here</button>`}
      <a class="button" href="/staff">Your sessions</a>
    </div>
  </section>`;
}

/** @param {{state: HostState, roster: Roster, act: HostActions, live: Live}} props */
function Visit({ state, roster, act, live }) {
  const shown = word(state);
  return html`<div class="visit" data-shown=${shown}>
    <header class="visit-head">
      <${Heading}>${roster.kind === "couple" ? "Couple visit" : "Individual visit"}<//>
      <p class="quiet">
        ${dateAndTime(roster.starts)} to ${timeOfDay(roster.ends)} · ${remaining(roster, live.now)}
      </p>
    </header>
    ${bannerView(banner(state))}
    ${state.problem &&
    html`<p class="banner alarm" role="alert">
      ${state.problem} <button type="button" onClick=${act.problemRead}>Close this message</button>
    </p>`}
    <${SoundBlocked} blocked=${live.soundBlocked} onUnblock=${act.unblockSound} />
    <${Card} state=${state} roster=${roster} act=${act} now=${live.now} />
    <${Room} state=${state} roster=${roster} act=${act} live=${live} />
    <${Ending} state=${state} act=${act} />
  </div>`;
}

/**
 * @param {Roster} roster
 * @param {number} now
 */
function remaining(roster, now) {
  if (now < roster.starts) return `begins in ${duration(roster.starts - now)}`;
  return now < roster.ends ? `${duration(roster.ends - now)} left` : "past its end";
}

/** @param {{state: HostState, roster: Roster, act: HostActions, now: number}} props */
function Card({ state, roster, act, now }) {
  const all = patients(roster);
  const ready = waiting(roster);
  const both = roster.kind === "couple" && ready.length === 2;
  const seats = ready.map(({ seat }) => seat);
  return html`<section class="card couple" aria-labelledby="couple">
    <div class="couple-head">
      <div>
        <h2 id="couple">${roster.kind === "couple" ? "The couple" : "Your patient"}</h2>
        <p class="lead" id="summary">${summary(roster)}</p>
      </div>
      ${both &&
      html`<button type="button" class="primary" disabled=${cannotAdmit(state, roster, seats)}
        onClick=${() => act.act("admit", seats)}>Admit both</button>`}
    </div>
    <ul class="seats">
      ${all.map(
        (seat) =>
          html`<${Seat} key=${seat.seat} seat=${seat} state=${state} roster=${roster} act=${act} now=${now}
            quiet=${both} />`,
      )}
    </ul>
    <${Colleagues} roster=${roster} now=${now} />
  </section>`;
}

/**
 * @param {HostState} state
 * @param {Roster} roster
 * @param {readonly string[]} seats
 */
function cannotAdmit(state, roster, seats) {
  return state.opening || !roster["store-ok"] || rests(state, "admit", seats);
}

/**
 * @param {HostState} state
 * @param {Action} action
 * @param {readonly string[]} seats
 */
function rests(state, action, seats) {
  return state.line !== "open" || state.pending.includes(pendingKey(action, seats));
}

/** @param {{seat: RosterSeat, state: HostState, roster: Roster, act: HostActions, now: number, quiet: boolean}} props */
function Seat({ seat, state, roster, act, now, quiet }) {
  const asked = state.question?.seat === seat.seat ? state.question.action : null;
  const button = (/** @type {Action} */ action) => {
    const question = action === "deny" || action === "remove";
    const rest = action === "admit" ? cannotAdmit(state, roster, [seat.seat]) : rests(state, action, [seat.seat]);
    return html`<button type="button" key=${action}
      class=${action === "admit" || action === "resume" ? (quiet ? "" : "primary") : action === "remove" ? "danger" : ""}
      aria-label=${`${WORDS[action]} ${seat.label}`} aria-expanded=${question ? String(asked === action) : undefined}
      disabled=${rest}
      onClick=${() => (question ? act.ask({ action, seat: seat.seat }) : act.act(action, [seat.seat]))}
    >${WORDS[action]}</button>`;
  };
  return html`<li class="seat" data-seat=${seat.seat} data-state=${seat.state} data-presence=${seat.presence}>
    <h3>${seat.label}</h3>
    <p class="seat-state">
      <span class="dot" aria-hidden="true"></span>
      <strong>${stateWord(seat.state)}</strong>
      ${seat.state !== "expected" && html`<span> for ${duration(now - seat.since)}</span>`}
      ${seat.muted && html`<span> · muted</span>`}
    </p>
    <p class="quiet">${presence(seat, now)}</p>
    ${seat.unreached &&
    html`<div class="notice unreached">
      <p><strong>No sound or picture yet.</strong> ${unreachedHint(seat)}</p>
    </div>`}
    ${seat.quality && html`<p class="link-line"><${LinkMark} link=${seat} /></p>`}
    <ul class="tags" aria-label=${`About ${seat.label}`}>
      ${notes(seat).map((note) => html`<li key=${note}>${note}</li>`)}
    </ul>
    <${Mismatch} keys=${state.keys} seat=${seat.seat} />
    ${actionsFor(seat).length > 0 &&
    html`<div class="row" role="group" aria-label=${`Actions for ${seat.label}`}>
      ${actionsFor(seat).map(button)}
      ${writable(state, seat) &&
      html`<${ChatButton} chat=${state.chat} group=${seat.seat} act=${act} label="Write" whom=${seat.label} />`}
    </div>`}
    ${conversing(state, seat) &&
    html`<${ChatPanel} chat=${state.chat} group=${seat.seat} title=${`You and ${seat.label}`} act=${act}
      note=${`Only ${seat.label} and you can read this. It is gone when the visit is over.`} />`}
    ${(asked === "deny" || asked === "remove") &&
    html`<${Question} key=${asked} action=${asked} seat=${seat} act=${act} />`}
  </li>`;
}

/**
 * Whether the therapist may write to this seat alone: it waits, and this page lets people into the room.
 *
 * @param {HostState} state
 * @param {RosterSeat} seat
 */
function writable(state, seat) {
  return state.keys.committer && seat.role === "patient" && ["waiting", "asked-to-wait", "held"].includes(seat.state);
}

/**
 * Whether the conversation with this seat is open. What has been typed does not vanish when the seat stops waiting:
 * “Send” then says that nobody is there.
 *
 * @param {HostState} state
 * @param {RosterSeat} seat
 */
function conversing(state, seat) {
  const { open, draft } = threadOf(state.chat, seat.seat);
  return open && (writable(state, seat) || draft.trim() !== "");
}

/** @param {{keys: import('./encryption-state.js').KeysView, seat: string}} props */
function Mismatch({ keys, seat }) {
  const found = refusal(keys, seat);
  return (
    found &&
    html`<div class="question mismatch">
      <p><strong>${found.heading}</strong></p>
      <p>${found.text}</p>
    </div>`
  );
}

/**
 * @param {RosterSeat} seat
 * @param {number} now
 */
function presence(seat, now) {
  const kept = !["left", "denied", "removed", "ended"].includes(seat.state);
  if (seat.presence === "away" && kept) return `Away for ${duration(now - seat["presence-since"])}; the place is kept`;
  if (seat.presence !== "connected") return seat.state === "expected" ? "Has not opened the link" : "Not connected";
  if (seat.state === "expected") return "Has opened the link and is getting ready";
  if (seat.unreached) return "The page is connected";
  return seat.suite ? "Connected, encrypted" : "Connected";
}

/**
 * What else to know before admitting somebody.
 *
 * @param {RosterSeat} seat
 * @returns {readonly string[]}
 */
function notes(seat) {
  const said = [];
  if (seat.program) said.push("A program sends sound and picture, no page is open");
  if (seat["new-device"]) said.push("New device");
  if (seat.knocks > 1) said.push(`Knocked ${seat.knocks} times`);
  if (seat.state === "expected" || seat.state === "waiting") {
    if (seat.agreed) said.push("Agreement accepted");
    else if (seat.presence !== "absent") said.push("Agreement not accepted yet");
  }
  if (seat["in-room"]) said.push(...pausedNotes(seat));
  return said;
}

/** @param {{action: 'deny' | 'remove', seat: RosterSeat, act: HostActions}} props */
function Question({ action, seat, act }) {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => field.current?.focus(), []);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const reason = field.current?.value.trim();
    act.act(action, [seat.seat], reason || undefined);
  };
  const closing = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") act.ask(null);
  };
  const id = `reason-${seat.seat}`;
  return html`<form class="question" onSubmit=${submit} onKeyDown=${closing}>
    <p>
      ${action === "deny"
        ? `${seat.label} is told that they cannot be let in now. They may ask again.`
        : `${seat.label} is taken out of the visit and cannot come back until you readmit them.`}
    </p>
    <label for=${id}>Reason, shown to ${seat.label} (may be left empty)</label>
    <input id=${id} ref=${field} maxlength="200" autocomplete="off" aria-describedby="${id}-hint" />
    <p class="hint" id="${id}-hint">
      ${seat.label} reads this, and it is kept in the audit stream. Write no names.
    </p>
    <div class="row">
      <button type="submit" class="danger">${WORDS[action]} ${seat.label} now</button>
      <button type="button" onClick=${() => act.ask(null)}>Cancel</button>
    </div>
  </form>`;
}

/** @param {{roster: Roster, now: number}} props */
function Colleagues({ roster, now }) {
  const others = roster.seats.filter(({ role, seat }) => role === "host" && seat !== roster.me);
  if (others.length === 0) return null;
  return html`<div class="colleagues">
    <h3>Colleagues</h3>
    ${others.map(
      (seat) => html`<p key=${seat.seat}>
        ${seat.label}: ${seat["in-room"] ? "in the room" : "not in the room"}
        ${seat.presence === "away" ? `, away for ${duration(now - seat["presence-since"])}` : ""}
        ${seat.quality && html`${" · "}<${LinkMark} link=${seat} />`}
      </p>`,
    )}
  </div>`;
}

/** @param {{state: HostState, roster: Roster, act: HostActions, live: Live}} props */
function Room({ state, roster, act, live }) {
  const shown = word(state);
  if (shown !== "room") {
    const elsewhere = shown === "elsewhere";
    return html`<section class="card room-closed" aria-labelledby="room">
      <h2 id="room">${elsewhere ? "Your camera is on in another window" : "The room is not open yet"}</h2>
      <p>
        ${elsewhere
          ? "You can act on this page, or bring sound and picture here."
          : "When you open it, your camera and microphone are turned on. Patients come in only when you admit them."}
      </p>
      <button type="button" class=${waiting(roster).length > 0 ? "" : "primary"}
        disabled=${state.opening || state.line !== "open"} onClick=${act.openRoom}>
        ${state.opening ? "Opening …" : elsewhere ? "Use this window" : "Open the room"}
      </button>
    </section>`;
  }
  const others = roster.seats.filter((seat) => seat.slot !== null && seat["in-room"]);
  const me = own(roster);
  const { keys, chat } = state;
  const talks = keys.phase !== "off";
  const writes = talks && threadOf(chat, ROOM).open;
  return html`<section class=${writes ? "room writing" : "room"} aria-labelledby="room">
    <h2 id="room">The room</h2>
    <${Unsealed} said=${promised(roster)} keys=${keys} />
    ${talks && html`<${SpokenCheck} keys=${keys} host may=${keys.committer && keys.members.length > 1} act=${act} />`}
    <div class="stage" data-people=${others.length}>
      <${SharedScreen} stream=${live.screen} missing=${missingScreen(me?.receives ?? "all", others)} />
      ${others.map(
        (seat) =>
          html`<${Tile} key=${seat.seat} who=${{ ...seat, label: nameOf(keys, seat) }}
            media=${live.media(seat.slot ?? 0)} onBlocked=${live.onBlocked} unblocked=${live.soundUnblocked}
            receives=${me?.receives ?? "all"} unopened=${unopened(keys, seat)} />`,
      )}
      ${others.length === 0 && html`<div class="pause"><p class="lead">${nobodyHere(keys, roster.me)}</p></div>`}
    </div>
    ${writes && html`<${ChatPanel} chat=${chat} group=${ROOM} title="Chat" act=${act} note=${ROOM_CHAT} />`}
    <div class="under">
      <${SelfView} devices=${state.devices}
        note=${html`${me?.sends === "all" ? "You" : "You · paused for the others"}
          ${me?.quality && html`<br /><${LinkMark} link=${me} />`}`} />
      <${Controls} devices=${state.devices} sharing=${state.sharing} canShare=${true}
        onMicrophone=${act.toggleMicrophone} onCamera=${act.toggleCamera} onShare=${act.toggleShare}>
        ${talks && html`<${ChatButton} chat=${chat} group=${ROOM} act=${act} />`}
        <button type="button" onClick=${act.leave}><${LeaveIcon} />Leave the room</button>
      <//>
    </div>
    <${ProtectionLine} said=${promised(roster)} keys=${keys} host />
  </section>`;
}

/**
 * @param {import('./encryption-state.js').KeysView} keys
 * @param {string} me
 */
function nobodyHere({ members }, me) {
  // The server shows nobody; only our own keys can say that nobody hears.
  return members.some(({ seat }) => seat !== me)
    ? "Nobody is shown here at the moment. Those who were in the room may still hear you."
    : "Nobody is with you in the room. Nobody sees or hears you.";
}

const ROOM_CHAT = "Everybody who is in the room can read this. It is gone when the visit is over.";

/** @param {{state: HostState, act: HostActions}} props */
function Ending({ state, act }) {
  const asked = state.question?.action === "end";
  return html`<section class="ending" aria-label="End the visit">
    ${asked
      ? html`<div class="question" role="group" aria-labelledby="end-question"
          onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && act.ask(null)}>
          <p id="end-question"><strong>End the visit for everyone?</strong> Everybody leaves and the links stop working.</p>
          <div class="row">
            <${Focused} onClick=${() => act.ask(null)}>Keep going<//>
            <button type="button" class="danger" disabled=${rests(state, "end", [])} onClick=${() => act.act("end", [])}>
              End the visit now
            </button>
          </div>
        </div>`
      : html`<button type="button" class="danger quiet-button" onClick=${() => act.ask({ action: "end", seat: null })}>
          End for everyone …
        </button>`}
  </section>`;
}

/**
 * A button that takes the focus when it appears.
 *
 * @param {{onClick: () => void, children?: unknown}} props
 */
function Focused({ onClick, children }) {
  const ref = useRef(/** @type {HTMLButtonElement | null} */ (null));
  useEffect(() => ref.current?.focus(), []);
  return html`<button type="button" ref=${ref} onClick=${onClick}>${children}</button>`;
}
