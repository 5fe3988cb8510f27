// @ts-check
// From epoch keys to frames that only the room can open.
//
//   encoded frame ──Sealer──▶ clear bytes ‖ SFrame header ‖ ciphertext ‖ tag ──Opener──▶ encoded frame, or nothing
//                      └────────────── KeyRing ──────────────┘
//
// The ring holds the base keys of epochs, by their full number, and always has something to seal with: while
// there is no epoch to send on, a random key that was drawn here and that nobody else has. A counter is taken in
// the same step in which it is read and never goes back as long as this ring lives, whatever becomes of the keys.
// An opener takes only frames of its own context whose sender is, in the frame's epoch, the seat that it expects.
// What does not open is counted and dropped; a decoder never gets it. No DOM, no timers.

import { CONTEXT, EPOCHS, INDICES, TAG, decodeHeader, deriveKey, encodeHeader, importBaseKey } from "./sframe.js";
import { kidOf, open, partsOf, seal } from "./sframe.js";

/** @typedef {keyof typeof CONTEXT} Context */
/** @typedef {'opus' | 'vp8'} Codec */
/** @typedef {import('./sframe.js').FrameKey} FrameKey */
/** @typedef {{data: ArrayBuffer, type?: string}} Frame an RTCEncodedAudioFrame or RTCEncodedVideoFrame */

/** What an opener may expect instead of a seat: whoever else is a member, as a shared screen may be anybody's. */
export const ANYBODY = Symbol("anybody else in the group");

/** @type {Readonly<Record<Context, Codec>>} */
const CODEC = Object.freeze({ audio: "opus", camera: "vp8", screen: "vp8" });
const NOBODY = INDICES - 1; // the sender index of the key that nobody else has; no member may have it
const BASE_KEY = 32; // bytes
const WINDOW = 2_048; // frames of one sender that may come out of order
const ASK_AGAIN = 30; // opened frames after which a key frame is asked for once more

/** The keys and people of one epoch. */
class Epoch {
  /** @type {Promise<CryptoKey>} */ #base;
  /** @type {Map<number, Promise<FrameKey>>} */ #keys = new Map();
  /** @type {Map<number, ReplayWindow>} */ #windows = new Map();
  /** @type {ReadonlyMap<string, number>} */ indexOf = new Map();

  /**
   * @param {number} number
   * @param {Uint8Array<ArrayBuffer>} baseKey is wiped
   */
  constructor(number, baseKey) {
    this.number = number;
    this.#base = importBaseKey(baseKey);
    baseKey.fill(0);
  }

  /** @param {number} kid */
  key(kid) {
    let key = this.#keys.get(kid);
    if (key === undefined) {
      key = this.#base.then((base) => deriveKey(base, kid));
      this.#keys.set(kid, key);
    }
    return key;
  }

  /** @param {number} kid */
  window(kid) {
    let window = this.#windows.get(kid);
    if (window === undefined) this.#windows.set(kid, (window = new ReplayWindow()));
    return window;
  }
}

export class KeyRing {
  /** @type {Map<number, Epoch>} by the epoch mod 16, which is what a frame tells; each knows its full number */
  #slots = new Map();
  /** @type {Map<number, number>} the next counter by key id; never reset, whatever key is behind the id */
  #counters = new Map();
  /** @type {{epoch: Epoch, index: number}} */ #sending;
  /** @type {number | null} */ #ours = null;

  constructor() {
    this.#sending = unreadable();
  }

  /**
   * Receive what is sent in this epoch; take the place of the epoch 16 before, or of the same number of an earlier
   * group. An epoch older than what has its place is ignored.
   *
   * @param {{epoch: number, baseKey: Uint8Array<ArrayBuffer>}} installed `baseKey`: 32 bytes, wiped
   */
  install({ epoch, baseKey }) {
    if (!Number.isSafeInteger(epoch) || epoch < 0) throw new RangeError("An epoch is a number from 0 up.");
    if (baseKey.length !== BASE_KEY) throw new RangeError("A base key has 32 bytes.");
    const slot = epoch % EPOCHS;
    const former = this.#slots.get(slot);
    if (former !== undefined && former.number > epoch) return;
    if (former !== undefined && former === this.#sending.epoch) this.#stop();
    this.#slots.set(slot, new Epoch(epoch, baseKey));
  }

  /**
   * Who the senders of an epoch are. Until this is said, nothing of that epoch is opened.
   *
   * @param {{epoch: number, members: readonly {seat: string, index: number}[]}} people
   */
  people({ epoch, members }) {
    const found = this.#of(epoch);
    if (found) found.indexOf = new Map(members.map(({ seat, index }) => [seat, index]));
  }

  /**
   * Seal with this epoch from the next frame on.
   *
   * @param {{epoch: number, index: number}} sending `index`: our own leaf
   */
  sendOn({ epoch, index }) {
    const found = this.#of(epoch);
    if (!found || !Number.isSafeInteger(index) || index < 0 || index >= NOBODY) {
      this.#stop();
      throw new RangeError("Nothing can be sent in an epoch without a key, or as a member without a place.");
    }
    this.#sending = { epoch: found, index };
    this.#ours = index;
  }

  /**
   * Open nothing of this epoch any more.
   *
   * @param {number} epoch
   */
  drop(epoch) {
    const found = this.#of(epoch);
    if (!found) return;
    if (found === this.#sending.epoch) this.#stop();
    this.#slots.delete(epoch % EPOCHS);
  }

  /** Forget every epoch: nothing can be opened, and what is sealed nobody can open. */
  clear() {
    this.#slots.clear();
    this.#stop();
  }

  /** @returns {number | null} the epoch that is sent on; null while nobody can open what is sealed. */
  get sending() {
    return this.#sending.index === NOBODY ? null : this.#sending.epoch.number;
  }

  /**
   * The key, its id and a counter for one frame to be sealed.
   *
   * @param {number} context
   */
  next(context) {
    const { epoch, index } = this.#sending;
    const kid = kidOf(context, index, epoch.number);
    // Read and raised in one step, before anything is awaited: no two frames can have the same.
    const ctr = this.#counters.get(kid) ?? 0;
    this.#counters.set(kid, ctr + 1);
    return { kid, ctr, key: epoch.key(kid) };
  }

  /**
   * The key of a received frame.
   *
   * @param {number} kid
   * @param {string | typeof ANYBODY | null} seat who is expected
   * @returns {{key: Promise<FrameKey>, window: ReplayWindow} | 'no-key' | 'later-epoch' | 'wrong-sender'} `no-key`: of
   *   an epoch that we do not have any more, or never had
   */
  of(kid, seat) {
    const { index, slot } = partsOf(kid);
    if (index === NOBODY) return "wrong-sender";
    const epoch = this.#slots.get(slot);
    if (epoch === undefined) return this.#isLater(slot) ? "later-epoch" : "no-key";
    if (!isExpected(epoch.indexOf, index, seat, this.#ours)) return "wrong-sender";
    return { key: epoch.key(kid), window: epoch.window(kid) };
  }

  /**
   * Whether an epoch is after all of ours; among sixteen the nearer eight are.
   *
   * @param {number} slot
   */
  #isLater(slot) {
    const newest = Math.max(...[...this.#slots.values()].map(({ number }) => number));
    const ahead = (slot - (newest % EPOCHS) + EPOCHS) % EPOCHS;
    return this.#slots.size > 0 && ahead > 0 && ahead <= EPOCHS / 2;
  }

  /** @param {number} epoch */
  #of(epoch) {
    const found = this.#slots.get(epoch % EPOCHS);
    return found?.number === epoch ? found : undefined;
  }

  #stop() {
    this.#sending = unreadable();
    this.#ours = null;
  }
}

/** @returns {{epoch: Epoch, index: number}} an epoch of its own with a key that is nowhere else. */
function unreadable() {
  return { epoch: new Epoch(0, crypto.getRandomValues(new Uint8Array(BASE_KEY))), index: NOBODY };
}

/**
 * @param {ReadonlyMap<string, number>} indexOf
 * @param {number} index
 * @param {string | typeof ANYBODY | null} seat
 * @param {number | null} ours
 */
function isExpected(indexOf, index, seat, ours) {
  if (seat === null) return false;
  if (seat !== ANYBODY) return indexOf.get(seat) === index;
  return index !== ours && [...indexOf.values()].includes(index);
}

/** Which counters of one sender have been seen; late ones are taken within the window, none twice. */
export class ReplayWindow {
  #top = -1;
  #seen = new Uint8Array(WINDOW);

  /** @param {number} ctr */
  fresh(ctr) {
    return ctr > this.#top || (ctr > this.#top - WINDOW && this.#seen[ctr % WINDOW] === 0);
  }

  /**
   * Note a counter that has authenticated.
   *
   * @param {number} ctr
   * @returns {boolean} whether it was fresh.
   */
  take(ctr) {
    if (!this.fresh(ctr)) return false;
    if (ctr - this.#top >= WINDOW) this.#seen.fill(0);
    else for (let skipped = this.#top + 1; skipped < ctr; skipped += 1) this.#seen[skipped % WINDOW] = 0;
    this.#seen[ctr % WINDOW] = 1;
    this.#top = Math.max(this.#top, ctr);
    return true;
  }
}

/** Seals the frames of one sender. */
export class Sealer {
  /** Sealing needs nothing that could be missing. */
  stuck = false;
  #ring;
  #context;
  #codec;
  /** `seen`: frames that came at all; `ms`: time spent in sealing. */
  counts = { seen: 0, sealed: 0, failed: 0, ms: 0 };

  /**
   * @param {KeyRing} ring
   * @param {Context} context
   */
  constructor(ring, context) {
    this.#ring = ring;
    this.#context = CONTEXT[context];
    this.#codec = CODEC[context];
  }

  /**
   * Put the sealed frame in the place of the plain one.
   *
   * @param {Frame} frame
   * @returns {Promise<boolean>} whether it may be sent.
   */
  async pass(frame) {
    this.counts.seen += 1;
    const began = performance.now();
    try {
      frame.data = await this.#seal(new Uint8Array(frame.data));
    } catch {
      this.counts.failed += 1;
      return false;
    }
    this.counts.sealed += 1;
    this.counts.ms += performance.now() - began;
    return true;
  }

  /** @param {Uint8Array<ArrayBuffer>} plain */
  async #seal(plain) {
    const { kid, ctr, key } = this.#ring.next(this.#context);
    const header = encodeHeader(kid, ctr);
    const clear = plain.subarray(0, clearBytes(this.#codec, plain));
    const metadata = metadataOf(this.#context, clear);
    const secret = await seal(await key, header, ctr, metadata, plain.subarray(clear.length));
    const sealed = new Uint8Array(clear.length + header.length + secret.byteLength);
    sealed.set(clear);
    sealed.set(header, clear.length);
    sealed.set(new Uint8Array(secret), clear.length + header.length);
    return sealed.buffer;
  }
}

/** Opens the frames of one receiver. */
export class Opener {
  /** The last frame did not open although it should have: it is of an epoch that we have missed, or does not match. */
  stuck = false;
  #ring;
  #context;
  #codec;
  #expected;
  #askKeyFrame;
  #broken = false; // a frame was dropped that others build on
  #sinceAsked = 0;
  /** `ms`: time spent in opening what did open. */
  counts = { seen: 0, opened: 0, malformed: 0, noKey: 0, wrongSender: 0, replayed: 0, forged: 0, ms: 0 };

  /**
   * @param {KeyRing} ring
   * @param {Context} context
   * @param {() => string | typeof ANYBODY | null} expected whose frames these may be; null: nobody's
   * @param {() => void} askKeyFrame fires when frames open again that build on dropped ones
   */
  constructor(ring, context, expected, askKeyFrame = () => {}) {
    this.#ring = ring;
    this.#context = CONTEXT[context];
    this.#codec = CODEC[context];
    this.#expected = expected;
    this.#askKeyFrame = askKeyFrame;
  }

  /**
   * Put the plain frame in the place of the sealed one.
   *
   * @param {Frame} frame
   * @returns {Promise<boolean>} whether the decoder may have it.
   */
  async pass(frame) {
    this.counts.seen += 1;
    const began = performance.now();
    const opened = await this.#tryOpen(frame);
    if (typeof opened === "string") {
      this.counts[opened] += 1;
      if (opened !== "replayed") this.#broken = true; // the same packet twice costs nobody a frame
      if (opened === "forged") this.stuck = true;
      return false;
    }
    frame.data = opened;
    this.stuck = false;
    this.counts.opened += 1;
    this.counts.ms += performance.now() - began;
    if (this.#broken) this.#mend(frame.type);
    return true;
  }

  /** @param {Frame} frame */
  async #tryOpen(frame) {
    try {
      return await this.#open(new Uint8Array(frame.data));
    } catch {
      return "malformed"; // one frame that cannot be handled must not end the stream of all
    }
  }

  /**
   * @param {Uint8Array<ArrayBuffer>} bytes from outside
   * @returns {Promise<ArrayBuffer | 'malformed' | 'noKey' | 'wrongSender' | 'replayed' | 'forged'>}
   */
  async #open(bytes) {
    const clear = bytes.subarray(0, clearBytes(this.#codec, bytes));
    const rest = bytes.subarray(clear.length);
    const header = decodeHeader(rest);
    if (header === null || rest.length < header.length + TAG) return "malformed";
    if (partsOf(header.kid).context !== this.#context) return "wrongSender";
    const found = this.#ring.of(header.kid, this.#expected());
    if (found === "later-epoch") this.stuck = true;
    if (found === "no-key" || found === "later-epoch") return "noKey";
    if (found === "wrong-sender") return "wrongSender";
    if (!found.window.fresh(header.ctr)) return "replayed";
    const secret = await open(
      await found.key,
      rest.subarray(0, header.length),
      header.ctr,
      metadataOf(this.#context, clear),
      rest.subarray(header.length),
    );
    if (secret === null) return "forged";
    if (!found.window.take(header.ctr)) return "replayed"; // its twin was opened meanwhile
    const plain = new Uint8Array(clear.length + secret.byteLength);
    plain.set(clear);
    plain.set(new Uint8Array(secret), clear.length);
    return plain.buffer;
  }

  /** @param {string | undefined} type */
  #mend(type) {
    if (type === "delta") {
      if (this.#sinceAsked % ASK_AGAIN === 0) this.#askKeyFrame();
      this.#sinceAsked += 1;
    } else {
      this.#broken = false;
      this.#sinceAsked = 0;
    }
  }
}

/**
 * How many bytes at the start of a frame browsers read on the way, so that they stay in clear; they are
 * authenticated. VP8 says in its first bit whether it is a key frame (RFC 7741 §4.3), and a key frame's first ten
 * bytes hold its size (RFC 6386 §9.1). Sender and receiver compute it from the same bytes.
 *
 * @param {Codec} codec
 * @param {Uint8Array} bytes
 * @returns {number}
 */
export function clearBytes(codec, bytes) {
  const [first] = bytes;
  if (codec === "opus" || first === undefined) return 0;
  return Math.min((first & 1) === 0 ? 10 : 1, bytes.length);
}

/**
 * @param {number} context
 * @param {Uint8Array} clear
 */
function metadataOf(context, clear) {
  const metadata = new Uint8Array(1 + clear.length);
  metadata[0] = context;
  metadata.set(clear, 1);
  return metadata;
}
