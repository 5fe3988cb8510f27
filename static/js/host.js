// @ts-check
// The therapist's page: carries out what its state asks for.

import { linkSecret } from "./fragment.js";
import { post } from "./api.js";
import { chime } from "./chime.js";
import { meetingOfPath } from "./credentials.js";
import { Devices, shareScreen } from "./devices.js";
import { START, advance, inTheRoom, looksForMedia, own, pendingKey, shouldEnter, someoneCame, word } from "./host-state.js";
import { hostView } from "./host-view.js";
import { announcement, titleOf } from "./host-words.js";
import { announce, painter } from "./page.js";
import { Painting } from "./painting.js";
import { Reach } from "./reach.js";
import { CANNOT_SEAL, canSeal } from "./support.js";
import { followThePage } from "./signal.js";
import { NO_CODE } from "./encryption-state.js";
import { forgetSecret, keptSecret } from "./link-keeping.js";
import { linkKeys, secretIn } from "./link-secret.js";
import { talkActions } from "./talk.js";
import { signIn } from "./staff-account.js";
import { connect } from "./visiting.js";

const meeting = meetingOfPath(location.pathname).toLowerCase();

const REMEMBERED = "quietroom.host"; // the meeting whose room this tab has open: a reload comes back to it

const SECRET = `quietroom.link.${meeting}`; // its link secret in this tab, for reloads; the device may keep it too

let state = { ...START, inside: sessionStorage.getItem(REMEMBERED) === meeting };
/** @type {import('./link-secret.js').LinkKeys | null} */
let link = null;
let soundBlocked = false;
let soundUnblocked = 0;
/** @type {MediaStreamTrack | null} */
let screenTrack = null;
/** @type {Devices | null} */
let devices = null;
/** Called whenever a roster shows a clinician present. */
let onPresent = () => {};
const PRESENT_WITHIN = 5_000; // ms for our own sound and picture to come up

const reach = new Reach(() => apply({ type: "unreached" }));

const paint = painter();
const painting = new Painting(paintNow);
const repaint = () => painting.repaint();

const { signal, peer, sealing } = connect({
  ticket: async () => (await post("/api/host-ticket", { meeting }, { "Quietroom-Role": "therapist" })).ticket,
  mayCommit: true,
  onMessage: received,
  onLine: (line) => apply({ type: "line", line }),
  onEnd: ({ code, text }) => void ended(code, text),
  apply,
  onTracks: repaint,
  painting,
});

/** Actions after which a seat must not understand what is said in the room. */
const PUTS_OUT = new Set(["hold", "move-back", "remove", "deny"]);

/** Actions that let a seat come into the room. */
const LETS_IN = new Set(["admit", "resume"]);

/** Actions that are repeated after a loss of the connection: a click on them must not come to nothing. */
const CLOSES = new Set([...PUTS_OUT, "mute", "end"]);
const LEAVES_WITHIN = 3_000; // ms after which leaving waits for the connection no longer

/**
 * Advance the page, paint it, and do what follows from it.
 *
 * @param {Parameters<typeof advance>[1]} event
 */
function apply(event) {
  const before = state;
  state = advance(state, event);
  if (state === before) return;
  repaint();
  announce(announcement(before, state));
  if (state.roster && state.roster !== before.roster && someoneCame(before.roster, state.roster)) chime();
  if (before.sharing && !state.sharing) stopSharing();
  peer.keepTo(own(state.roster)?.sends ?? "all");
  reach.follow(looksForMedia(state));
  begin();
  sealing.follow(state.roster?.entered === true && state.roster["media-here"], inSlots(), inTheRoom(state.roster));
  if (word(state) === "over" && word(before) !== "over") silence();
  if (state.roster?.open === false) forget();
  if (state.roster?.["clinician-present"]) onPresent();
  if (state.inside !== before.inside) {
    if (state.inside) sessionStorage.setItem(REMEMBERED, meeting);
    else sessionStorage.removeItem(REMEMBERED);
  }
  if (shouldEnter(state)) void openRoom();
}

/** Make the keys as soon as it is known who we are and what the session is. */
function begin() {
  const me = own(state.roster);
  if (state.roster === null || me === undefined || word(state) === "over" || word(state) === "room-code") return;
  sealing.begin(state.roster, { meeting, seat: me.seat, label: me.label, link });
}

function inSlots() {
  return (state.roster?.seats ?? []).flatMap(({ seat, slot }) => (slot === null ? [] : [{ seat, slot }]));
}

/** The visit is over for everybody: its secret opens nothing any more. */
function forget() {
  sessionStorage.removeItem(SECRET);
  forgetSecret(localStorage, meeting);
}

/** @param {string} secret */
async function useSecret(secret) {
  link = await linkKeys(secret);
  sessionStorage.setItem(SECRET, secret);
  apply({ type: "secret-given" });
}

function paintNow() {
  paint(
    hostView(state, actions, {
      now: Date.now() + state.skew,
      media: (slot) => peer.slot(slot),
      screen: peer.screen,
      soundBlocked,
      soundUnblocked,
      onBlocked: () => {
        if (soundBlocked) return;
        soundBlocked = true;
        repaint();
      },
    }),
    { word: word(state), scene: word(state) === "over" ? "over" : "visit", title: titleOf(state) },
  );
  document.body.dataset["line"] = state.line;
  document.body.dataset["transport"] = state.transport;
}

/** @param {Exclude<import('./messages.js').ServerMessage, {type: 'offer'}>} message */
function received(message) {
  switch (message.type) {
    case "welcome":
      apply({ ...message, at: Date.now() });
      break;
    case "roster":
      apply(message);
      peer.reassure();
      break;
  }
}

/**
 * @param {string} code
 * @param {string} text
 */
async function ended(code, text) {
  const signedOut = code === "sign-in-needed" || code === "not-allowed";
  if (signedOut && (await signIn("therapist")) === null) return;
  // Another tab has signed in again meanwhile: this one goes on with that sign-in.
  if (code === "sign-in-needed") signal.start();
  else apply({ type: "over", code, text });
}

async function openDevices() {
  devices ??= new Devices((report) => {
    apply({ type: "devices", report });
    peer.follow(report);
  });
  return devices.open();
}

/**
 * Come into the room with sound and picture, if not there already.
 *
 * @returns {Promise<boolean>} whether this page is in the room.
 */
async function openRoom() {
  if (state.roster?.entered && state.roster["media-here"]) return true;
  apply({ type: "opening" });
  if (state.roster?.encryption === "end-to-end" && !(await canSeal())) {
    apply({ type: "opened", code: "no-keys", problem: CANNOT_SEAL });
    return false;
  }
  const report = devices?.report.microphone ? devices.report : await openDevices();
  if (report.microphone === null) {
    const text = {
      denied: "Your browser keeps the microphone closed. Allow it beside the address and open the room again.",
      busy: "Your microphone is used by another program. Close that program and open the room again.",
      missing: "No microphone was found. Connect one and open the room again.",
    };
    apply({ type: "opened", code: "no-microphone", problem: text[report.microphoneProblem ?? "missing"] });
    return false;
  }
  const { code, text } = await signal.ask({ type: "enter" });
  const problem = code === null ? null : (text ?? "The room could not be opened. Please try again.");
  apply({ type: "opened", code, problem: code === "connection-lost" ? null : problem });
  return code === null;
}

/**
 * Wait until the room has a clinician who hears; nobody can be admitted before.
 *
 * @returns {Promise<void>} also when it takes too long: then the server says what is missing.
 */
function clinicianPresent() {
  if (state.roster?.["clinician-present"]) return Promise.resolve();
  return new Promise((resolve) => {
    onPresent = resolve;
    window.setTimeout(resolve, PRESENT_WITHIN);
  });
}

function stopSharing() {
  screenTrack?.stop();
  screenTrack = null;
  void peer.setLocal("screen", null);
}

/** Stop all that is heard, seen or connected, at once. */
function silence() {
  stopSharing();
  devices?.close();
  devices = null;
  signal.stop();
  peer.close();
  sealing.close();
}

/** @type {import('./host-view.js').HostActions} */
const actions = {
  ...talkActions({
    state: () => state,
    apply,
    seals: () => sealing.keys,
    pair: (seat) => void signal.send({ type: "pair", seat }),
  }),
  giveCode(text) {
    const secret = secretIn(text);
    if (secret !== null) {
      void useSecret(secret);
      return;
    }
    apply({ type: "secret-refused", problem: NO_CODE });
    document.getElementById("code")?.focus();
  },
  openRoom: () => void openRoom(),
  async act(action, seats, reason) {
    const key = pendingKey(action, seats);
    const request = /** @type {const} */ ({ type: "act", action, seats, ...(reason === undefined ? {} : { reason }) });
    const ready = action !== "admit" || (state.roster?.entered && state.roster["clinician-present"]);
    if (LETS_IN.has(action)) sealing.keys?.admit(seats); // so that nobody waits for a page that is being painted
    // Painting takes as long as the server does: what can be asked now is asked before.
    let reply = CLOSES.has(action) ? signal.insist(request) : ready ? signal.ask(request) : null;
    if (PUTS_OUT.has(action)) sealing.keys?.remove(seats); // at once, whatever the server does
    apply({ type: "asked", key });
    apply({ type: "question", question: null });
    if (LETS_IN.has(action) && reply !== null && sealing.keys !== null) painting.hold(); // their keys follow the answer
    if (reply === null) {
      if (!state.roster?.entered && !(await openRoom())) {
        apply({ type: "answered", key, problem: null });
        return;
      }
      await clinicianPresent();
      reply = signal.ask(request);
    }
    const { code, text } = await reply;
    const problem = code === null ? null : (text ?? "That was not possible. Please try again.");
    if (code !== null) painting.release();
    if (code !== null && PUTS_OUT.has(action)) sealing.keys?.keep(seats);
    apply({ type: "answered", key, problem });
  },
  ask: (question) => apply({ type: "question", question }),
  async leave() {
    await signal.insist({ type: "leave" }, LEAVES_WITHIN);
    apply({ type: "over", code: "left", text: null });
  },
  comeBack() {
    apply({ type: "came-back" });
    signal.start();
  },
  toggleMicrophone: () => devices?.setMicrophone(!devices.report.microphoneOn),
  toggleCamera: () => devices?.setCamera(!devices.report.cameraOn),
  async toggleShare() {
    if (state.sharing) {
      apply({ type: "sharing", on: false });
      return;
    }
    const track = await shareScreen(() => apply({ type: "sharing", on: false }));
    if (track === null) return;
    screenTrack = track;
    apply({ type: "sharing", on: true });
    await peer.setLocal("screen", track);
  },
  unblockSound() {
    soundBlocked = false;
    soundUnblocked += 1;
    repaint();
  },
  problemRead: () => apply({ type: "problem-read" }),
};

followThePage(signal, peer);
window.setInterval(repaint, 1_000); // durations
repaint();
const secret = linkSecret ?? secretIn(sessionStorage.getItem(SECRET) ?? "") ?? keptSecret(localStorage, meeting);
if (secret !== null) await useSecret(secret);
if (await signIn("therapist")) signal.start();

