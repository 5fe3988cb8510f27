// @ts-check
// The page's side of the worker that has the keys: starts it, relays, and makes the transforms of a transport.
//
//   server ──about groups──▶ Keys ──▶ worker        page ◀── state, what was sealed for us, the spoken check
//
// The page never has an epoch's key. A worker that stops answering is replaced: the new one has no keys, so the group
// is asked to put this page in anew, and never does a second worker seal with a key that another has had. It signs with
// another key too, so that to the others it is another page: they are told, and a spoken check is lost.

/** @typedef {import('./keys-worker.js').ToWorker} ToWorker */
/** @typedef {import('./keys-worker.js').FromWorker} FromWorker */
/** @typedef {import('./keys-worker.js').Counts} Counts */
/** @typedef {import('./keys-worker.js').TransformOptions} TransformOptions */
/** @typedef {import('./group-session.js').GroupState} GroupState */
/** @typedef {import('./frames.js').Context} Context */
/** @typedef {import('./spoken-check.js').CheckState} CheckState */
/** @typedef {import('./messages.js').ServerMessage} ServerMessage */
/** @typedef {import('./messages.js').ClientMessage} ClientMessage */
/** @typedef {import('./group-session.js').GroupMessage} GroupTold */
/** @typedef {Omit<GroupState, 'failure'> & {failure: GroupState['failure'] | 'no-worker'}} KeysState */

/** @typedef {(request: {type: 'sealed', group: string, generation: string, message: string}) => Promise<{code: string | null}>} Ask never rejects */

const NOT_SEALED = "not-sealed";
const ROOM = "room";
const PATIENCE = 10_000; // ms without an answer after which a worker counts as dead

/** @type {ReadonlySet<string>} */
const GROUP_TOLD = new Set([
  "group",
  "candidate",
  "drop",
  "accepted",
  "commit-refused",
  "commit",
  "group-welcome",
  "ready",
  "sealed",
]);

/** @type {Readonly<KeysState>} */
export const NO_GROUP = Object.freeze({
  phase: "none",
  generation: null,
  committer: false,
  epoch: null,
  sending: null,
  index: null,
  members: [],
  refused: [],
  unseen: [],
  kept: null,
  failure: null,
});

/** @type {Readonly<CheckState>} */
const NO_CHECK = Object.freeze({ phase: "idle", pictures: [], verified: false, kept: false });

/**
 * Whether a message of the server is about a group, so that it is for `Keys.receive`.
 *
 * @param {ServerMessage} message
 * @returns {message is GroupTold}
 */
export function isGroupTold(message) {
  return GROUP_TOLD.has(message.type);
}

/** The one policy that the pages' headers allow: it makes the address of our own worker, and nothing else. */
const policy = /** @type {{trustedTypes?: {createPolicy: Function}}} */ (/** @type {unknown} */ (globalThis)).trustedTypes
  ?.createPolicy("quietroom", {
    createScriptURL(/** @type {string} */ url) {
      if (url !== WORKER) throw new TypeError("Only our own worker is started.");
      return url;
    },
  });
const WORKER = new URL("keys-worker.js", import.meta.url).href;

/** @returns {Worker} */
function startWorker() {
  return new Worker(policy?.createScriptURL(WORKER) ?? WORKER, { type: "module" });
}

export class Keys {
  /** @type {Extract<ToWorker, {type: 'start'}>} */ #start;
  /** @type {(message: ClientMessage) => void} */ #send;
  /** @type {Ask} */ #ask;
  /** @type {() => void} */ #onState;
  /** @type {(group: string, seat: string, payload: Uint8Array, epoch: number) => void} */ #onOpened;
  /** @type {(group: string) => void} */ #onMissed;
  /** @type {() => Worker} */ #startWorker;
  /** @type {Worker | null} */ #worker = null;
  /** @type {KeysState} */ #state = NO_GROUP;
  #sends = false;
  /** @type {Map<string, KeysState>} */ #pairs = new Map();
  /** @type {Map<string, string>} the generation of each group we were told of */ #generations = new Map();
  /** @type {Readonly<Record<string, string>>} */ #expected = {};
  /** @type {readonly string[] | null} */ #inside = null;
  /** @type {Map<number, () => void>} */ #firsts = new Map();
  /** @type {Map<number, (counts: Readonly<Record<number, Counts>>) => void>} */ #asked = new Map();
  /** @type {Map<number, (code: string | null) => void>} */ #sealing = new Map();
  /** @type {CheckState} */ #check = NO_CHECK;
  /** @type {readonly string[]} */ #unopened = [];
  #nextId = 1;
  #deadline = 0;
  /** Resolves when transforms can be made: one made before the worker has loaded may never be told of. */
  ready = Promise.resolve();
  /** Fires when somebody can open our frames who could not open those before: they need whole pictures. */
  onNewcomers = () => {};
  /** Fires after the worker was replaced: every transform must be made anew, at once. */
  onReplaced = () => {};

  /**
   * @param {object} options
   * @param {string} options.meeting
   * @param {{pid: string, name: string}} options.me our seat and label
   * @param {boolean} options.mayCommit whether this is a clinician's page, the only kind that lets people in
   * @param {{psk: Uint8Array<ArrayBuffer>, kpKey: Uint8Array<ArrayBuffer>}} options.keys of the link secret
   * @param {(message: ClientMessage) => void} options.send says something to the server
   * @param {Ask} options.ask says something that is answered
   * @param {() => void} options.onState fires when `state`, `sends`, `check` or a pair's state changed
   * @param {(group: string, seat: string, payload: Uint8Array, epoch: number) => void} options.onOpened fires for
   *   each message that a member sealed for us, in that epoch
   * @param {(group: string) => void} options.onMissed fires when a member sealed something that we have no keys for
   * @param {() => Worker} [options.start] starts the worker
   */
  constructor({ meeting, me, mayCommit, keys, send, ask, onState, onOpened, onMissed, start = startWorker }) {
    this.#start = { type: "start", meeting, me, mayCommit, keys };
    this.#send = send;
    this.#ask = ask;
    this.#onState = onState;
    this.#onOpened = onOpened;
    this.#onMissed = onMissed;
    this.#startWorker = start;
    this.#begin();
  }

  /** @returns {KeysState} of the room's group. */
  get state() {
    return this.#state;
  }

  /** @returns {boolean} whether what we send can be opened by the members of the room's group, and nobody else. */
  get sends() {
    return this.#sends;
  }

  /** @returns {{generation: string, epoch: number} | null} the room's group as this page has kept it. */
  get kept() {
    return this.#state.kept;
  }

  /** @returns {Readonly<Record<string, KeysState>>} of each pair of the therapist and a waiting seat, by that seat. */
  get pairs() {
    return Object.fromEntries(this.#pairs);
  }

  /** @returns {CheckState} of the spoken check in the room. */
  get check() {
    return this.#check;
  }

  /** @returns {readonly string[]} seats whose frames come and have not opened for some time. */
  get unopened() {
    return this.#unopened;
  }

  /**
   * What the server says about a group.
   *
   * @param {GroupTold} message
   */
  receive(message) {
    if (message.type === "group") this.#generations.set(message.group, message.generation);
    this.#tell({ type: "server", message });
  }

  /**
   * Put these out of the room's group without waiting for the server; for a clinician's page.
   *
   * @param {readonly string[]} seats
   */
  remove(seats) {
    this.#inside = this.#inside && this.#inside.filter((seat) => !seats.includes(seat)); // for a worker that follows
    this.#tell({ type: "remove", group: ROOM, seats });
  }

  /**
   * Let these into the room's group as soon as the server hands over their keys.
   *
   * @param {readonly string[]} seats
   */
  admit(seats) {
    this.#tell({ type: "admit", seats });
  }

  /**
   * These were not put out after all, since the server refused; for after `remove`, when the page says so.
   *
   * @param {readonly string[]} seats
   */
  keep(seats) {
    this.#tell({ type: "keep", seats });
  }

  /** There is another connection to the server. */
  reconnected() {
    this.#tell({ type: "reconnected" });
  }

  /**
   * Seal something for the members of a group, and have it forwarded.
   *
   * @param {string} group
   * @param {Uint8Array<ArrayBuffer>} payload
   * @returns {Promise<string | null>} null when the server has forwarded it to somebody; else why not: `not-sealed`, or a
   *   code of the server or of the connection. Never rejects.
   */
  seal(group, payload) {
    if (this.#worker === null) return Promise.resolve(NOT_SEALED);
    const asking = this.#nextId++;
    this.#tell({ type: "seal", asking, group, payload });
    return new Promise((resolve) => this.#sealing.set(asking, resolve));
  }

  /** Begin a spoken check with all who are in the room's group, or begin it again. */
  beginCheck() {
    this.#tell({ type: "begin-check" });
  }

  /**
   * What the person says about the pictures.
   *
   * @param {boolean} same
   */
  answerCheck(same) {
    this.#tell({ type: "answer-check", same });
  }

  /**
   * Who is in which slot: frames of anybody else are dropped there.
   *
   * @param {readonly {seat: string, mids: readonly string[]}[]} slots
   */
  expect(slots) {
    this.#expected = Object.fromEntries(slots.flatMap(({ seat, mids }) => mids.map((mid) => [mid, seat])));
    this.#tell({ type: "expect", seats: this.#expected });
  }

  /**
   * Whom the page shows as in the room: nobody else stays in the group.
   *
   * @param {readonly string[] | null} seats without us; null while we are not in the room
   */
  inside(seats) {
    this.#inside = seats;
    this.#tell({ type: "inside", seats });
  }

  /**
   * Make what seals the frames of a sender.
   *
   * @param {string} mid
   * @param {Context} context
   * @param {() => void} onFirst fires when the first frame has been sealed
   * @returns {{id: number, transform: RTCRtpScriptTransform}}
   */
  sealer(mid, context, onFirst) {
    const made = this.#transform({ seals: true, context, mid });
    this.#firsts.set(made.id, onFirst);
    return made;
  }

  /**
   * Make what opens the frames of a receiver.
   *
   * @param {string} mid
   * @param {Context} context
   * @returns {{id: number, transform: RTCRtpScriptTransform}}
   */
  opener(mid, context) {
    return this.#transform({ seals: false, context, mid });
  }

  /**
   * What has become of the frames of each transform so far.
   *
   * @returns {Promise<Readonly<Record<number, Counts>>>} by the transform's id. Never resolves if the worker is
   *   dead; it is replaced meanwhile.
   */
  counts() {
    const asking = this.#nextId++;
    return new Promise((resolve) => {
      this.#asked.set(asking, resolve);
      if (this.#deadline === 0) this.#deadline = window.setTimeout(() => this.replace(), PATIENCE);
      this.#tell({ type: "counts", asking });
    });
  }

  /** Go on with a new worker, which has no keys: the group is asked to put this page in anew. */
  replace() {
    if (this.#worker === null) return;
    this.#end();
    this.#begin();
    this.#tell({ type: "expect", seats: this.#expected });
    this.#tell({ type: "inside", seats: this.#inside });
    void this.ready.then(() => this.onReplaced());
    for (const [group, generation] of this.#generations) this.#send({ type: "resync", group, generation });
    this.#onState();
  }

  /** End the worker; its keys are gone with it. May be called twice. */
  close() {
    this.#end();
  }

  #begin() {
    const worker = this.#startWorker();
    this.#worker = worker;
    this.ready = new Promise((resolve) => {
      worker.onmessage = (/** @type {MessageEvent<FromWorker>} */ { data }) => {
        if (worker !== this.#worker) return;
        if (data.type === "ready") resolve();
        else this.#hear(data);
      };
    });
    worker.onerror = () => {
      if (worker !== this.#worker) return;
      this.#state = { ...NO_GROUP, phase: "failed", failure: "no-worker" };
      this.#sends = false;
      this.#onState();
    };
    this.#tell(this.#start);
  }

  #end() {
    window.clearTimeout(this.#deadline);
    this.#deadline = 0;
    this.#worker?.terminate();
    this.#worker = null;
    this.#firsts.clear();
    this.#asked.clear();
    for (const resolve of this.#sealing.values()) resolve(NOT_SEALED);
    this.#sealing.clear();
    this.#state = NO_GROUP;
    this.#sends = false;
    this.#check = NO_CHECK;
    this.#unopened = [];
    this.#pairs.clear();
  }

  /** @param {Exclude<FromWorker, {type: 'ready'}>} said */
  #hear(said) {
    switch (said.type) {
      case "send":
        if (said.message.type === "sealed" && said.message.id != null) this.#deliver(said.message, said.message.id);
        else this.#send(said.message);
        break;
      case "state":
        if (said.group === ROOM) {
          this.#state = said.state;
          this.#sends = said.sends;
        } else {
          this.#pairs.set(said.group, said.state);
        }
        this.#onState();
        break;
      case "opened":
        this.#onOpened(said.group, said.seat, said.payload, said.epoch);
        break;
      case "missed":
        this.#onMissed(said.group);
        break;
      case "newcomers":
        this.onNewcomers();
        break;
      case "not-sealed":
        this.#sealing.get(said.asking)?.(NOT_SEALED);
        this.#sealing.delete(said.asking);
        break;
      case "check":
        this.#check = said.check;
        this.#onState();
        break;
      case "unopened":
        this.#unopened = said.seats;
        this.#onState();
        break;
      case "first":
        this.#firsts.get(said.id)?.();
        this.#firsts.delete(said.id);
        break;
      case "counts":
        window.clearTimeout(this.#deadline);
        this.#deadline = 0;
        this.#asked.get(said.asking)?.(said.counts);
        this.#asked.delete(said.asking);
        break;
    }
  }

  /**
   * @param {import('./messages.js').SendSealed} message
   * @param {number} asking the worker's number for it; the connection has numbers of its own
   */
  #deliver({ group, generation, message }, asking) {
    const settle = this.#sealing.get(asking);
    this.#sealing.delete(asking);
    void this.#ask({ type: "sealed", group, generation, message }).then(({ code }) => settle?.(code));
  }

  /** @param {Omit<TransformOptions, 'id'>} options */
  #transform(options) {
    if (this.#worker === null) throw new Error("The worker has ended.");
    const id = this.#nextId++;
    return { id, transform: new RTCRtpScriptTransform(this.#worker, { id, ...options }) };
  }

  /** @param {ToWorker} message */
  #tell(message) {
    this.#worker?.postMessage(message);
  }
}
