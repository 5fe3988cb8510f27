// @ts-check
// The one worker of a page that has keys: the group's protocol and the frames, side by side. Keys never leave it.
//
//   page ──messages of the server──▶ GroupSession ──epoch keys──▶ KeyRing ◀── Sealer, Opener ◀── encoded frames
//   page ◀──messages for the server, state, counts──┘
//
// The page starts it with the session's secrets (`start`), and from then on relays. The room's group feeds the ring and
// the spoken check; a pair's group only carries text. Whatever a frame's transform is told, it was told by the page when
// it was made.

import { Opener, Sealer } from "./frames.js";
import { GroupSession } from "./group-session.js";
import { drawSigner } from "./group-suite.js";
import { ANYBODY, KeyRing } from "./key-ring.js";
import { alivePayload, checkPayload, readPayload } from "./payloads.js";
import { rehearse } from "./rehearsal.js";
import { SpokenCheck } from "./spoken-check.js";
import { Unopened } from "./unopened.js";

/** @typedef {import('./frames.js').Context} Context */
/** @typedef {import('./group-session.js').GroupState} GroupState */
/** @typedef {import('./spoken-check.js').CheckState} CheckState */
/** @typedef {Sealer['counts'] | Opener['counts']} Counts */

/**
 * What the page says.
 *
 * @typedef {{type: 'start', meeting: string, me: {pid: string, name: string}, mayCommit: boolean,
 *     keys: {psk: Uint8Array<ArrayBuffer>, kpKey: Uint8Array<ArrayBuffer>}}
 *   | {type: 'server', message: import('./group-session.js').GroupMessage}
 *   | {type: 'remove', group: string, seats: readonly string[]}
 *   | {type: 'admit' | 'keep', seats: readonly string[]}
 *   | {type: 'reconnected'}
 *   | {type: 'seal', asking: number, group: string, payload: Uint8Array<ArrayBuffer>}
 *   | {type: 'begin-check'}
 *   | {type: 'answer-check', same: boolean}
 *   | {type: 'expect', seats: Readonly<Record<string, string>>}
 *   | {type: 'inside', seats: readonly string[] | null}
 *   | {type: 'counts', asking: number}} ToWorker
 */

/**
 * What the worker says; first of all that it is `ready` for transforms. `sends`: what the page sends can be opened by the members of the group; `first`: the first
 * frame of this transform has been sealed.
 *
 * @typedef {{type: 'ready'} | {type: 'send', message: import('./messages.js').ClientMessage}
 *   | {type: 'state', group: string, state: GroupState, sends: boolean}
 *   | {type: 'opened', group: string, seat: string, payload: Uint8Array, epoch: number}
 *   | {type: 'missed', group: string}
 *   | {type: 'newcomers'}
 *   | {type: 'not-sealed', asking: number}
 *   | {type: 'unopened', seats: readonly string[]}
 *   | {type: 'check', check: CheckState}
 *   | {type: 'first', id: number}
 *   | {type: 'counts', asking: number, counts: Readonly<Record<number, Counts>>}} FromWorker
 */

/**
 * What a transform is made with. `mid`: of the m-line, which tells whose frames an opener expects.
 *
 * @typedef {{id: number, seals: boolean, context: Context, mid: string}} TransformOptions
 */

/**
 * @typedef {object} Transformer an RTCRtpScriptTransformer
 * @property {TransformOptions} options
 * @property {ReadableStream} readable
 * @property {WritableStream} writable
 * @property {() => Promise<void>} [sendKeyFrameRequest]
 */

const ROOM = "room";
const REHEARSAL = 1_000; // ms after the start, when our own keys are made
const PATIENCE = 2_000; // ms that members' frames may not open before the group is asked to put us in anew

const BEAT = 1_000; // ms without a frame of our sound, after which the host says that it is there
const DRAWN_WITHIN = 15_000; // ms that the pictures of a spoken check may take

const ring = new KeyRing();
const signer = drawSigner(); // lives and ends with this worker, and so with the page at the latest
const unopened = new Unopened((seats) => say({ type: "unopened", seats }));
/** @type {Map<string, GroupSession>} by the name of the group */
const sessions = new Map();
/** @type {Map<number, Sealer | Opener>} */
const passes = new Map();
/** @type {Readonly<Record<string, string>>} which seat is in the slot of an m-line */
let expected = {};
/** @type {Extract<ToWorker, {type: 'start'}> | null} */
let started = null;
let told = ""; // what the server knows of the check
/** @type {string} */
let epochNow = "";
let epochSince = 0; // when the room's group came into it
/** @type {GroupState | null} */
let roomNow = null; // as the page knows it
/** @type {number | null} */
let sendsOn = null; // what the page knows of what is sent on
let soundsBefore = 0; // frames of sound that had been sealed at the last beat

/** @param {FromWorker} message */
const say = (message) => self.postMessage(message);

/**
 * The session of a group, made when the group is first heard of.
 *
 * @param {string} group
 * @returns {GroupSession | null} null before `start`, and for a pair that this page can have no part in.
 */
function sessionOf(group) {
  let session = sessions.get(group) ?? null;
  if (session === null && started !== null) {
    const { meeting, me, mayCommit, keys } = started;
    const isOurs = group === ROOM || group === me.pid || (mayCommit && /^[A-Z]$/.test(group));
    if (!isOurs) return null;
    session = new GroupSession({
      meeting,
      me,
      mayCommit,
      keys,
      signer,
      group,
      ring: group === ROOM ? ring : null,
      send: (message) => say({ type: "send", message }),
      changed: (state) => changed(group, state),
      opened: (seat, payload, epoch) => opened(group, seat, payload, epoch),
      newcomers: () => group === ROOM && say({ type: "newcomers" }),
      missed: () => say({ type: "missed", group }),
      now: () => performance.now(),
      timers: {
        set: (action, milliseconds) => self.setTimeout(action, milliseconds),
        clear: (timer) => self.clearTimeout(timer),
      },
    });
    sessions.set(group, session);
  }
  return session;
}

/**
 * @param {string} group
 * @param {GroupState} state
 */
function tell(group, state) {
  const sending = ring.sending;
  if (group === ROOM) sendsOn = sending;
  say({ type: "state", group, state, sends: group === ROOM && sending !== null });
}

/**
 * @param {string} group
 * @param {GroupState} state
 */
function changed(group, state) {
  if (group === ROOM) roomNow = state;
  tell(group, state);
  const { generation, epoch } = state;
  if (group === ROOM && epochNow !== `${generation} ${epoch}`) {
    epochNow = `${generation} ${epoch}`;
    epochSince = performance.now();
  }
  if (group === ROOM) check.follow(state, sessions.get(ROOM)?.epochAuthenticator ?? null);
}

/**
 * @param {string} group
 * @param {string} seat
 * @param {Uint8Array} payload
 * @param {number} epoch
 */
function opened(group, seat, payload, epoch) {
  const read = readPayload(payload);
  if (read?.kind === "alive") {
    if (group === ROOM && roomNow?.members.some((member) => member.seat === seat && member.index === 0)) ring.isAlive(epoch);
  } else if (read?.kind !== "check") say({ type: "opened", group, seat, payload, epoch });
  else if (group === ROOM) check.take(seat, read.message, epoch);
}

/** A host without a microphone sends no frames that all get; that it is there, and in which epoch, is said in writing. */
function beat() {
  const sounds = [...passes.values()].reduce((sum, pass) => sum + (pass instanceof Sealer ? pass.sounds : 0), 0);
  if (sounds <= soundsBefore && roomNow?.committer && roomNow.members.length > 1) {
    void sessions.get(ROOM)?.seal(alivePayload()).catch(() => undefined); // while nothing can be sealed, nobody hears of us rightly
  }
  soundsBefore = sounds;
}
self.setInterval(beat, BEAT);

/** Tell the page when frames begin or cease to be for the room, as the sign of the host comes and goes. */
function follow() {
  if (roomNow && ring.sending !== sendsOn) tell(ROOM, roomNow);
}

let drawing = 0; // times how long the pictures take

const check = new SpokenCheck({
  // What cannot be sealed is not sent: the group has changed, which ends the check anyway.
  seal: (message) => void sessions.get(ROOM)?.seal(checkPayload(message)).catch(() => undefined),
  changed(now) {
    if (now.phase !== "exchanging") {
      self.clearTimeout(drawing);
      drawing = 0;
    } else if (drawing === 0) {
      drawing = self.setTimeout(() => check.giveUp(), DRAWN_WITHIN);
    }
    say({ type: "check", check: now });
    const { committer, generation, epoch } = sessions.get(ROOM)?.state ?? {};
    const isDecided = now.verified || now.phase === "mismatch";
    // The server forgets what it was told when somebody comes, and we know better whether that is somebody new.
    const outcome = committer && isDecided ? `${generation} ${epoch} ${now.verified}` : "";
    if (outcome === told) return;
    told = outcome;
    if (outcome === "" || !generation || epoch == null) return;
    say({ type: "send", message: { type: "checked", generation, epoch, verified: now.verified } });
  },
});

/** @param {Extract<ToWorker, {type: 'seal'}>} asked */
async function seal({ asking, group, payload }) {
  try {
    const session = sessions.get(group);
    if (!session) throw new Error("There is no such group.");
    await session.settled(); // not everybody is where it would be sealed, and the server forwards nothing of before
    await session.seal(payload, asking);
    return;
  } catch {
    // Nothing was sent: we are in no group now.
  }
  say({ type: "not-sealed", asking });
}

self.onmessage = (/** @type {MessageEvent<ToWorker>} */ { data }) => {
  switch (data.type) {
    case "start":
      started = data;
      self.setTimeout(() => void rehearse().catch(() => false), REHEARSAL); // how the real one goes is seen then
      break;
    case "server":
      sessionOf(data.message.group)?.receive(data.message);
      break;
    case "remove":
      sessions.get(data.group)?.remove([...data.seats]);
      break;
    case "admit":
      sessions.get(ROOM)?.admit(data.seats);
      break;
    case "keep":
      sessions.get(ROOM)?.keep(data.seats);
      break;
    case "reconnected":
      for (const session of sessions.values()) session.reconnected();
      break;
    case "seal":
      void seal(data);
      break;
    case "begin-check":
      check.begin();
      break;
    case "answer-check":
      check.answer(data.same);
      break;
    case "expect":
      expected = data.seats;
      break;
    case "inside":
      sessionOf(ROOM)?.inside(data.seats);
      break;
    case "counts":
      say({ type: "counts", asking: data.asking, counts: Object.fromEntries([...passes].map(([id, pass]) => [id, pass.counts])) });
      break;
  }
};

/** @param {Transformer} transformer */
async function transform(transformer) {
  const { id, seals, context, mid } = transformer.options;
  const seat = () => (context === "screen" ? ANYBODY : (expected[mid] ?? null));
  const askKeyFrame = () => void transformer.sendKeyFrameRequest?.().catch(() => undefined);
  const pass = seals ? new Sealer(ring, context) : new Opener(ring, context, seat, askKeyFrame);
  passes.set(id, pass);
  let first = seals;
  /** @type {number | null} */
  let stuckSince = null;
  const frames = new TransformStream({
    async transform(frame, controller) {
      const passes = await pass.pass(frame);
      follow();
      const now = performance.now();
      stuckSince = pass.stuck ? (stuckSince ?? now) : null;
      // What came before we were in this epoch could not open, and says nothing about it.
      if (stuckSince !== null && now - Math.max(stuckSince, epochSince) > PATIENCE) {
        stuckSince = null;
        sessions.get(ROOM)?.resync();
      }
      if (!seals && context !== "screen") unopened.note(id, expected[mid] ?? null, passes, now);
      if (!passes) return;
      controller.enqueue(frame);
      if (first) say({ type: "first", id });
      first = false;
    },
  });
  try {
    await transformer.readable.pipeThrough(frames).pipeTo(transformer.writable);
  } catch {
    // The transport has ended; so has this.
  } finally {
    passes.delete(id);
    unopened.forget(id, performance.now());
  }
}

// TypeScript's page library knows nothing of a worker's events.
self.addEventListener("rtctransform", (event) => {
  void transform(/** @type {{transformer: Transformer}} */ (/** @type {unknown} */ (event)).transformer);
});

say({ type: "ready" });
