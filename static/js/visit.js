// @ts-check
// The patient's page: carries out what the visit's state asks for.

import { fragment, linkSecret } from "./fragment.js";
import { get, post, sentence, ApiError } from "./api.js";
import { meetingOfPath, readEntry, seatOfToken } from "./credentials.js";
import { Devices, shareScreen } from "./devices.js";
import { installExit } from "./exit.js";
import { announce, copy, painter } from "./page.js";
import { Painting } from "./painting.js";
import { Reach } from "./reach.js";
import { delayBefore, followThePage } from "./signal.js";
import { canSeal, lackOf } from "./support.js";
import { NO_CODE } from "./encryption-state.js";
import { authenticatorText, linkKeys, secretIn } from "./link-secret.js";
import { talkActions } from "./talk.js";
import { START, advance, looksForMedia, needsDevices, scene, shouldKnock, word } from "./visit-state.js";
import { titleOf, visitView } from "./visit-view.js";
import { announcement } from "./visit-words.js";
import { connect } from "./visiting.js";

/** @typedef {import('./visit-state.js').LocalEvent} LocalEvent */
/** @typedef {import('./messages.js').Entered} Entered */

const REMEMBERED = "quietroom.seat"; // {meeting, seat, camera} of this tab: no secret, enough to find the cookie
const SECRET = "quietroom.link"; // {meeting, secret} of this tab, for reloads; gone with the tab
const DOOR_SHUT =
  "Because of a technical problem on our side nobody can be let in at the moment. Nothing is wrong with what you " +
  "typed. Please try again in a minute.";
/** @type {Readonly<Record<import('./credentials.js').Field, string>>} what is said of a field that nothing can be made of */
const UNREADABLE = Object.freeze({
  meeting: "This is not a whole meeting ID. Please look again, or paste your whole link.",
  token: "This is not a whole seat code. Please look again: it looks like A-XXXX-XXXX-XXXX-XXXX.",
  code: NO_CODE,
  password: "This is not a whole visit password. Please look again: it has ten letters and numbers.",
});
const CLOCK = 15_000; // ms between repaints while somebody waits

let state = START;
let token = fragment?.token ?? "";
let password = fragment?.password ?? "";
/** @type {import('./link-secret.js').LinkKeys | null} */
let link = null;
let knockAsked = false;
let gone = false; // left quickly: whatever still happens is neither painted nor followed
let soundBlocked = false;
let soundUnblocked = 0;
let chosen = { camera: remembered()?.camera ?? true, microphoneId: "", cameraId: "" };
/** @type {MediaStreamTrack | null} */
let screenTrack = null;

const reach = new Reach(() => apply({ type: "unreached" }));

const paint = painter();
const painting = new Painting(paintNow);
const repaint = () => painting.repaint();

const { signal, peer, sealing } = connect({
  ticket: async () => (await post("/api/seat-ticket", place())).ticket,
  mayCommit: false,
  onMessage: received,
  onLine: (line) => apply({ type: "line", line, at: Date.now() }),
  onEnd: ({ code, text }) => apply({ type: "over", code: ENDS[code] ?? code, text }),
  apply,
  onTracks: repaint,
  painting,
});

/** @type {Readonly<Record<string, string>>} codes that mean the same to a patient */
const ENDS = Object.freeze({ "cannot-enter": "enter-again", "not-allowed": "enter-again" });

/** @type {Devices | null} */
let devices = null;

installExit({ hush, close: () => peer.close(), seat: () => (state.entered ? place() : null) });

/**
 * Advance the visit, paint it, and do what follows from it.
 *
 * @param {Parameters<typeof advance>[1]} event
 */
function apply(event) {
  if (gone) return;
  const before = state;
  state = advance(state, event);
  if (state === before) return;
  repaint();
  announce(announcement(before, state));
  follow(before);
}

/** @param {typeof state} before */
function follow(before) {
  if (state.step === "over" && before.step !== "over") {
    silence();
    if (state.over?.code === "removed" || state.over?.code === "ended") forget();
  }
  if (state.step === "agreement" && state.agreement === null && before.step !== "agreement") void loadAgreement();
  if (needsDevices(state) && devices === null) void openDevices(); // resumed after a reload
  if (before.sharing && !state.sharing) stopSharing();
  peer.keepTo(state.place?.sends ?? "all");
  reach.follow(looksForMedia(state));
  const others = state.place?.others ?? [];
  sealing.follow(state.place?.state === "admitted", others, others.map(({ seat }) => seat));
  if (shouldKnock(state) && !knockAsked) void knock();
}

function paintNow() {
  if (gone) return;
  paint(
    visitView(state, actions, {
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
    { word: word(state), scene: scene(state), title: titleOf(state) },
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
    case "place":
      apply(message);
      peer.reassure();
      break;
  }
}

async function open() {
  const lack = lackOf({
    userAgent: navigator.userAgent,
    secure: window.isSecureContext,
    media: "mediaDevices" in navigator && "getUserMedia" in navigator.mediaDevices,
    peer: "RTCPeerConnection" in window,
  });
  const meeting = meetingOfPath(location.pathname).toLowerCase();
  apply({ type: "opened", meeting, tokenGiven: token !== "", passwordGiven: password !== "" });
  if (lack !== null) {
    apply({ type: "lacking", lack });
    return;
  }
  followThePage(signal, peer);
  window.setInterval(() => {
    if (scene(state) === "waiting-room") repaint();
  }, CLOCK);
  const secret = linkSecret ?? keptSecret(meeting);
  if (secret !== null) await useSecret(meeting, secret);
  if (token) post("/api/link-opened", { meeting, "seat-token": token }).catch(() => undefined);
  // A reload, or the same link again in this tab: the cookie still knows the seat.
  const before = remembered();
  const resumes = before?.meeting === meeting && (!token || seatOfToken(token) === before.seat);
  if (before && resumes) await resume({ meeting, seat: before.seat });
  else apply({ type: "credentials-needed" });
}

/**
 * Come back with this device's cookie; without it, ask for what the person was given. A server that does not
 * answer is asked again: the place is kept there, and a form would only look as if it were lost.
 *
 * @param {{meeting: string, seat: string}} seat
 */
async function resume(seat) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await entered(await post("/api/seat", seat));
      return;
    } catch (error) {
      if (error instanceof ApiError && error.final) {
        apply({ type: "credentials-needed" });
        return;
      }
      apply({ type: "refused", text: "The server does not answer. Trying again …" });
    }
    await new Promise((resolve) => window.setTimeout(resolve, delayBefore(attempt, Math.random())));
  }
}

/** @param {Entered} seat */
async function entered(seat) {
  if (seat.encryption === "end-to-end" && !(await canSeal())) {
    apply({ type: "lacking", lack: "no-keys" });
    return;
  }
  token = password = ""; // from now on the cookie speaks for the seat
  remember({ meeting: seat.meeting, seat: seat.seat, camera: chosen.camera });
  history.replaceState(null, "", `/j/${seat.meeting}`); // typed by hand at "/": a reload finds the visit
  apply({ type: "entered", entered: seat });
  begin();
}

/** Connect, unless something is missing: the link's secret, or what it promises. */
function begin() {
  if (state.entered === null || state.step === "room-code" || state.step === "over") return;
  sealing.begin(state.entered, { ...state.entered, link });
  signal.start();
}

/**
 * @param {string} meeting
 * @param {string} secret
 */
async function useSecret(meeting, secret) {
  link = await linkKeys(secret);
  sessionStorage.setItem(SECRET, JSON.stringify({ meeting, secret }));
  apply({ type: "secret-given" });
}

/**
 * @param {string} meeting
 * @returns {string | null} the secret of its link, if this tab had it before.
 */
function keptSecret(meeting) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(SECRET) ?? "null");
    return kept?.meeting === meeting ? secretIn(String(kept.secret)) : null;
  } catch {
    return null;
  }
}

/**
 * Say why the door stayed shut. What was typed, or came with the link, is doubted only if the server says so.
 *
 * @param {unknown} error
 */
function notEntered(error) {
  if (!(error instanceof ApiError && error.final)) {
    const ours = error instanceof ApiError && error.code === "audit-unavailable";
    apply({ type: "refused", text: ours ? DOOR_SHUT : sentence(error) });
    return;
  }
  password = "";
  apply({ type: "opened", meeting: state.meeting, tokenGiven: token !== "", passwordGiven: false });
  apply({ type: "refused", text: error.message, wrong: ["meeting", "token", "code", "password"] });
  document.getElementById("password")?.focus();
}

/** @returns {{meeting: string, seat: string}} */
function place() {
  return { meeting: state.entered?.meeting ?? state.meeting, seat: state.entered?.seat ?? "" };
}

/**
 * @param {{meeting: string, 'seat-token': string, password: string}} body
 * @returns {{id: string, name: string} | null}
 */
function missingField(body) {
  if (!body.meeting) return { id: "meeting", name: "meeting ID" };
  if (!body["seat-token"]) return { id: "token", name: "seat code" };
  return body.password ? null : { id: "password", name: "visit password" };
}

async function openDevices() {
  if (devices === null) {
    devices = new Devices((report) => {
      apply({ type: "devices", report });
      peer.follow(report);
    });
  }
  await devices.open(chosen);
}

async function loadAgreement(renewed = false) {
  try {
    apply({ type: "agreement", agreement: await get("/api/agreement"), renewed });
  } catch (error) {
    apply({ type: "refused", text: sentence(error) });
  }
}

async function knock() {
  knockAsked = true;
  const { code, text } = await signal.ask({ type: "knock" });
  knockAsked = false;
  apply({ type: "knock-answered", code, text });
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

/** Leave quickly: camera and microphone are off and nothing is painted; only the transport still stands. */
function hush() {
  gone = true;
  stopSharing();
  devices?.close();
  devices = null;
  // The room cuts and frees the place at once, also while nothing can be recorded.
  void signal.ask({ type: "leave", quickly: true });
  signal.stop();
  sealing.close();
}

/** @type {import('./visit-view.js').VisitActions} */
const actions = {
  ...talkActions({ state: () => state, apply, seals: () => sealing.keys, pair: () => undefined }),
  async giveCode(text) {
    const secret = secretIn(text);
    if (secret === null) {
      apply({ type: "refused", text: NO_CODE, wrong: ["code"] });
      document.getElementById("code")?.focus();
      return;
    }
    await useSecret(state.meeting, secret);
    begin();
  },
  async enter(fields) {
    const typed = readEntry(fields);
    const [strange] = typed.strange;
    if (strange !== undefined) {
      apply({ type: "refused", text: UNREADABLE[strange], wrong: [strange] });
      document.getElementById(strange)?.focus();
      return;
    }
    const body = {
      meeting: typed.meeting || state.meeting,
      "seat-token": typed.token || token,
      password: typed.password || password,
    };
    const pasted = typed.secret;
    const missing = missingField(body);
    if (missing !== null) {
      apply({ type: "refused", text: `Please enter the ${missing.name}.`, wrong: [missing.id] });
      document.getElementById(missing.id)?.focus();
      return;
    }
    apply({ type: "asked" });
    try {
      const keys = pasted ? await linkKeys(pasted) : link;
      const seat = await post("/api/enter", keys === null ? body : { ...body, "link-auth": authenticatorText(keys) });
      if (pasted) await useSecret(body.meeting, pasted);
      await entered(seat);
    } catch (error) {
      notEntered(error);
    }
  },
  copyLink() {
    const brought = [token, linkSecret, password].filter(Boolean).join(".");
    return copy(`${location.origin}${location.pathname}${brought && `#${brought}`}`);
  },
  askDevices: () => void openDevices(),
  goOn() {
    if (state.step === "agreement") void loadAgreement();
    else apply({ type: "checked" });
  },
  async agree() {
    const version = state.agreement?.version ?? "";
    apply({ type: "asked" });
    try {
      await post("/api/agree", { ...place(), version });
      apply({ type: "agreed" });
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) await loadAgreement(true);
      else apply({ type: "refused", text: sentence(error) });
    }
  },
  knock: () => apply({ type: "checked" }),
  checkAgain() {
    apply({ type: "check-again" });
    void openDevices();
  },
  async leave() {
    const told = await signal.ask({ type: "leave" });
    if (told.code !== null) post("/api/seat-leave", place()).catch(() => undefined);
    apply({ type: "over", code: "left", text: null });
  },
  comeBack() {
    apply({ type: "came-back" });
    void resume(place());
  },
  answerDevice: (allow, asking) => void signal.send({ type: "device-answer", allow, asking }),
  chooseMicrophone(id) {
    chosen = { ...chosen, microphoneId: id };
    void openDevices();
  },
  chooseCamera(id) {
    chosen = { ...chosen, cameraId: id };
    void openDevices();
  },
  withoutCamera() {
    chosen = { ...chosen, camera: false };
    remember({ ...place(), camera: false });
    void openDevices();
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
    if (state.place?.state !== "admitted") {
      track.stop(); // put on hold while choosing
      return;
    }
    screenTrack = track;
    apply({ type: "sharing", on: true });
    await peer.setLocal("screen", track);
  },
  unblockSound() {
    soundBlocked = false;
    soundUnblocked += 1;
    repaint();
  },
};

/** @returns {{meeting: string, seat: string, camera: boolean} | null} */
function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(REMEMBERED) ?? "null");
  } catch {
    return null;
  }
}

/** @param {{meeting: string, seat: string, camera: boolean}} seat */
function remember(seat) {
  sessionStorage.setItem(REMEMBERED, JSON.stringify(seat));
}

function forget() {
  sessionStorage.removeItem(REMEMBERED);
  sessionStorage.removeItem(SECRET);
}

void open();
