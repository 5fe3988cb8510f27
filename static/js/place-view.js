// @ts-check
// What a patient sees while the server holds a place for them: the waiting room, the room, on hold, denied.

import { html } from "../vendor/preact-htm.js";
import { ROOM, threadOf } from "./chat-state.js";
import { ChatButton, ChatPanel } from "./chat-view.js";
import { nameOf, promised, unopened } from "./encryption-state.js";
import { ProtectionLine, SpokenCheck, Unsealed } from "./encryption-view.js";
import { missingScreen } from "./link-words.js";
import { Heading, bannerView } from "./page.js";
import { Controls, LeaveIcon, SelfView, SharedScreen, SoundBlocked, Tile } from "./parts.js";
import { conversation, word } from "./visit-state.js";
import { banner } from "./visit-words.js";
import { duration, timeOfDay } from "./words.js";

/** @typedef {import('./visit-state.js').VisitState} VisitState */
/** @typedef {import('./visit-view.js').VisitActions} VisitActions */
/** @typedef {import('./visit-view.js').Live} Live */
/** @typedef {import('./messages.js').Place} Place */
/** @typedef {import('../vendor/preact-htm.js').Child} Child */

/**
 * @param {Readonly<VisitState>} state
 * @param {VisitActions} act
 * @param {Live} live
 * @returns {Child}
 */
export function placeView(state, act, live) {
  const shown = word(state);
  if (shown === "denied") return html`<${Denial} key="denied" state=${state} act=${act} />`;
  if (shown === "asking-device") {
    return html`<section class="card" key="asking-device">
      <${Heading}>Asking your other device<//>
      <p>Your visit is open on another device. We ask there whether it may move here.</p>
      <p class="quiet" role="status">This takes a few seconds. If nobody answers there, you come in here.</p>
      <div class="row"><button type="button" onClick=${act.leave}>Stop here</button></div>
    </section>`;
  }
  const place = state.place;
  if (place && (shown === "admitted" || shown === "paused" || shown === "held")) {
    return html`<${Room} key="room" state=${state} place=${place} act=${act} live=${live} />`;
  }
  return html`<${WaitingRoom} key="waiting-room" state=${state} act=${act} live=${live} />`;
}

/** @param {{state: VisitState, act: VisitActions}} props */
function AskDevice({ state, act }) {
  const asking = state.place?.["device-asks"] ?? 0;
  return (
    asking > 0 &&
    html`<div key=${asking} class="notice" role="alertdialog" aria-labelledby="device-asks">
      <p id="device-asks"><strong>Another device asks to take your place.</strong> Is it yours?</p>
      <div class="row">
        <button type="button" class="primary" onClick=${() => act.answerDevice(false, asking)}>No, stay here</button>
        <button type="button" onClick=${() => act.answerDevice(true, asking)}>Yes, move there</button>
      </div>
    </div>`
  );
}

/** @param {{state: VisitState, act: VisitActions, live: Live}} props */
function WaitingRoom({ state, act, live }) {
  const shown = word(state);
  const place = state.place;
  const heading = {
    knocking: "Letting your therapist know …",
    resuming: "Finding your place …",
    expected: "You are not in the waiting room yet",
    "asked-to-wait": "Your therapist asks you to wait a little longer",
  }[shown] ?? "You are in the waiting room";
  const waits = shown === "waiting" || shown === "asked-to-wait";
  return html`<section class="card waiting">
    <div class=${waits ? "breath" : "breath still"} aria-hidden="true"></div>
    <${Heading}>${heading}<//>
    ${bannerView(banner(state))}
    <${AskDevice} state=${state} act=${act} />
    ${waits && place &&
    html`<p class="lead">Your place is kept. Your therapist has been told that you are here.</p>
      <p class="quiet">
        Since ${timeOfDay(place.since)} (${duration(live.now - place.since)}). If your phone locks or your
        connection drops, you do not lose your place.
      </p>`}
    ${shown === "expected" &&
    html`<button type="button" class="primary wide" onClick=${act.knock}>Enter the waiting room</button>`}
    <${Writing} state=${state} act=${act} />
    <${Unsealed} said=${promised(place)} keys=${state.keys} />
    ${shown !== "resuming" && html`<${WaitingBody} state=${state} act=${act} />`}
  </section>`;
}

/** @param {{state: VisitState, act: VisitActions}} props */
function WaitingBody({ state, act }) {
  return html`<${SelfView} devices=${state.devices} note="Only you see this" />
    <p class="quiet">
      ${state.devices?.camera && state.devices.cameraOn
        ? "Your camera is on so that you are ready. Nobody can see or hear you until your therapist lets you in."
        : "Nobody can hear you until your therapist lets you in."}
    </p>
    ${state.devices && !state.devices.asking && !state.devices.microphone &&
    html`<div class="notice" role="alert">
      <p>Your microphone is not available, so you could not be heard.</p>
      <button type="button" onClick=${act.checkAgain}>Check camera and microphone</button>
    </div>`}
    <div class="row">
      <button type="button" onClick=${act.checkAgain}>Test camera and microphone again</button>
      <button type="button" onClick=${act.leave}>Leave the waiting room</button>
    </div>`;
}

/**
 * The conversation with the therapist alone, once the therapist has begun it.
 *
 * @param {{state: VisitState, act: VisitActions}} props
 */
function Writing({ state, act }) {
  const group = conversation(state);
  if (group === null || group === ROOM) return null;
  return html`<${ChatPanel} chat=${state.chat} group=${group} title="Your therapist writes to you" lasting
    note="Only your therapist and you can read this. It is gone when the visit is over." act=${act} />`;
}

/** @param {{state: VisitState, act: VisitActions}} props */
function Denial({ state, act }) {
  return html`<section class="card">
    <${Heading}>You cannot be let in at the moment<//>
    ${bannerView(banner(state))}
    ${state.place?.reason && html`<p>Your therapist says: <q>${state.place.reason}</q></p>`}
    <p class="quiet">If you think this is a mistake, you may ask again or call your practice.</p>
    <div class="row">
      <button type="button" class="primary" onClick=${act.knock}>Ask again</button>
      <button type="button" onClick=${act.leave}>Leave</button>
    </div>
  </section>`;
}

/** @param {{state: VisitState, place: Place, act: VisitActions, live: Live}} props */
function Room({ state, place, act, live }) {
  const admitted = place.state === "admitted";
  const { keys, chat } = state;
  const talks = conversation(state) === ROOM;
  const writes = talks && threadOf(chat, ROOM).open;
  return html`<section class=${writes ? "room writing" : "room"}>
    <${Heading}>${ROOM_HEADINGS[place.state]}<//>
    <${Unsealed} said=${promised(place)} keys=${keys} />
    ${bannerView(banner(state))}
    <${AskDevice} state=${state} act=${act} />
    <${SoundBlocked} blocked=${live.soundBlocked} onUnblock=${act.unblockSound} />
    ${admitted && place.muted &&
    html`<p class="banner calm">Your therapist has muted you. The others see you but do not hear you.</p>`}
    ${admitted && keys.phase !== "off" && html`<${SpokenCheck} keys=${keys} host=${false} may=${false} act=${act} />`}
    <div class="stage" data-people=${admitted ? place.others.length : 0}>
      ${admitted
        ? html`<${SharedScreen} stream=${live.screen} missing=${missingScreen(place.receives, place.others)} />
            ${place.others.map(
              (other) =>
                html`<${Tile} key=${other.seat} who=${{ ...other, label: nameOf(keys, other) }}
                  media=${live.media(other.slot)} onBlocked=${live.onBlocked} unblocked=${live.soundUnblocked}
                  receives=${place.receives} unopened=${unopened(keys, other)} />`,
            )}`
        : html`<div class="pause">
            <div class="breath" aria-hidden="true"></div>
            <p class="lead">
              ${place.state === "held"
                ? "Your therapist has put you on hold for a moment. Nobody sees or hears you, and your place is kept."
                : "The connection to your therapist was lost. You are on hold until they are back; nobody sees or hears you. Your place is kept, and the visit goes on by itself."}
            </p>
            ${place.reason && html`<p>${place.reason}</p>`}
          </div>`}
    </div>
    <${Writing} state=${state} act=${act} />
    ${writes &&
    html`<${ChatPanel} chat=${chat} group=${ROOM} title="Chat" act=${act} note=${ROOM_CHAT}
      closed=${admitted ? null : "While you are on hold nobody can write."} />`}
    <div class="under">
      <${SelfView} devices=${state.devices} note=${selfNote(place)} />
      <${Controls} devices=${state.devices} sharing=${state.sharing} canShare=${admitted}
        onMicrophone=${act.toggleMicrophone} onCamera=${act.toggleCamera} onShare=${act.toggleShare}>
        ${talks && html`<${ChatButton} chat=${chat} group=${ROOM} act=${act} />`}
        <button type="button" class="danger" onClick=${act.leave}><${LeaveIcon} />Leave</button>
      <//>
    </div>
    ${(admitted || keys.phase === "off") && html`<${ProtectionLine} said=${promised(place)} keys=${keys} />`}
  </section>`;
}

const ROOM_CHAT = "Everybody who is in the room can read this. It is gone when the visit is over.";

/** @param {Place} place */
function selfNote(place) {
  if (place.state !== "admitted") return "Only you see this";
  return place.sends === "all" ? "You" : "You · paused for the others";
}

/** @type {Readonly<Record<string, string>>} */
const ROOM_HEADINGS = Object.freeze({
  admitted: "You are in the room",
  paused: "On hold",
  held: "On hold",
});
