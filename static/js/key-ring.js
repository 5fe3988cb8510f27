// @ts-check
// The keys that a page's frames are sealed and opened with, by generation, epoch and sender.
//
//   generation ─┬─ epoch ── its people, its key ── one key for each sender and kind ── replay window
//               └─ epoch …         frames are sealed in one epoch of one generation, or in what nobody can open
//
// Two generations may be known at once while one takes the place of the other. Their epochs have the same numbers, so
// a key id says the generation too: by four bits, the last digit of its name. Two with the same digit are never known
// together, nor two epochs of one generation that are the same modulo sixteen: a frame names one key, and no other is
// tried. A counter is taken in the same step in which it is read and never goes back as long as this ring lives,
// whatever becomes of the keys.
//
// A server could keep a commit from a guest, who would go on in an epoch of somebody who is out. So a guest seals in its
// epoch only as long as the host does: while frames of the host open that are of no earlier one. And no epoch is sent on
// for ever. No DOM, no timers; the clock is given.

import { EPOCHS, INDICES, deriveKey, importBaseKey, kidOf, partsOf } from "./sframe.js";

/** @typedef {import('./sframe.js').FrameKey} FrameKey */

/** What may be expected instead of a seat: whoever else is a member, as a shared screen may be anybody's. */
export const ANYBODY = Symbol("anybody else in the group");

const CONTEXTS = 4; // kinds of frames, see CONTEXT of sframe.js; above them a key id has the generation's digit
const NOBODY = INDICES - 1; // the sender index of the key that nobody else has; no member may have it
const BASE_KEY = 32; // bytes
const COMMITTER = 0; // the host's leaf
const QUIET = 3_000; // ms without a sign of the host that a guest may go on sending
const AGE = 660_000; // ms that an epoch may be sent on; the host renews the keys every ten minutes
const WINDOW = 2_048; // frames of one sender that may come out of order

/**
 * @param {string} text from outside
 * @returns {boolean} whether it can be the name of a generation.
 */
export function isGeneration(text) {
  return /^[0-9a-f]{16}$/.test(text);
}

/**
 * What a key id says of a generation.
 *
 * @param {string} generation
 * @returns {number} 0…15
 * @throws {RangeError} for what cannot be the name of one.
 */
export function digitOf(generation) {
  if (!isGeneration(generation)) throw new RangeError("A generation is named by 16 hex characters.");
  return Number.parseInt(generation.slice(-1), 16);
}

/**
 * @param {number} kid from outside
 * @returns {number} what kind of frame it is for, as CONTEXT of sframe.js has them, or the spare one.
 */
export function contextOf(kid) {
  return partsOf(kid).context % CONTEXTS;
}

/** The keys and people of one epoch. */
class Epoch {
  /** @type {Promise<CryptoKey>} */ #base;
  /** @type {Map<number, Promise<FrameKey>>} */ #keys = new Map();
  /** @type {Map<number, ReplayWindow>} */ #windows = new Map();
  /** @type {ReadonlyMap<string, number>} */ indexOf = new Map();
  /** @type {number | null} our own leaf */ own = null;
  /** @type {number | null} when it was first sent on */ sentOn = null;

  /**
   * @param {number} number
   * @param {Uint8Array<ArrayBuffer>} baseKey is wiped
   * @param {number} since when we came to know it
   */
  constructor(number, baseKey, since) {
    this.number = number;
    this.since = since;
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

/** The epochs of one generation, as its group says them. */
class Generation {
  /** @type {Map<number, Epoch>} by the epoch mod 16, which is what a frame tells; each knows its full number */
  #slots = new Map();
  #ring;

  /**
   * @param {KeyRing} ring
   * @param {string} name
   */
  constructor(ring, name) {
    this.#ring = ring;
    this.name = name;
    this.digit = digitOf(name);
  }

  /**
   * Receive what is sent in this epoch; take the place of the epoch 16 before. An epoch older than what has its place
   * is ignored.
   *
   * @param {{epoch: number, baseKey: Uint8Array<ArrayBuffer>}} installed `baseKey`: 32 bytes, wiped
   */
  install({ epoch, baseKey }) {
    if (!Number.isSafeInteger(epoch) || epoch < 0) throw new RangeError("An epoch is a number from 0 up.");
    if (baseKey.length !== BASE_KEY) throw new RangeError("A base key has 32 bytes.");
    const slot = epoch % EPOCHS;
    const former = this.#slots.get(slot);
    if (former !== undefined && former.number > epoch) return;
    if (former !== undefined) this.#ring.stop(former);
    this.#slots.set(slot, new Epoch(epoch, baseKey, this.#ring.now()));
  }

  /**
   * Who the senders of an epoch are. Until this is said, nothing of that epoch is opened.
   *
   * @param {{epoch: number, members: readonly {seat: string, index: number}[], own: number}} people `own`: our leaf
   */
  people({ epoch, members, own }) {
    const found = this.#of(epoch);
    if (!found) return;
    found.indexOf = new Map(members.map(({ seat, index }) => [seat, index]));
    found.own = own;
  }

  /**
   * Open nothing of these people any more, in whichever epoch they sent it.
   *
   * @param {readonly string[]} seats
   */
  without(seats) {
    for (const epoch of this.#slots.values()) {
      epoch.indexOf = new Map([...epoch.indexOf].filter(([seat]) => !seats.includes(seat)));
    }
  }

  /**
   * Seal with this epoch from the next frame on.
   *
   * @param {{epoch: number, index: number}} sending `index`: our own leaf
   */
  sendOn({ epoch, index }) {
    const found = this.#of(epoch);
    if (!found || !Number.isSafeInteger(index) || index < 0 || index >= NOBODY) {
      this.stop();
      throw new RangeError("Nothing can be sent in an epoch without a key, or as a member without a place.");
    }
    this.#ring.sendOn(found, index, this.digit);
  }

  /** Seal with none of these epochs any more, and go on opening them. */
  stop() {
    for (const epoch of this.#slots.values()) this.#ring.stop(epoch);
  }

  /**
   * Open nothing of this epoch any more.
   *
   * @param {number} epoch
   */
  drop(epoch) {
    const found = this.#of(epoch);
    if (!found) return;
    this.#ring.stop(found);
    this.#slots.delete(epoch % EPOCHS);
  }

  /** Forget every epoch of this generation: nothing of it can be opened any more. */
  clear() {
    this.stop();
    this.#slots.clear();
  }

  /**
   * @param {number} slot
   * @returns {Epoch | undefined}
   */
  at(slot) {
    return this.#slots.get(slot);
  }

  /**
   * Whether an epoch is after all of ours; among sixteen the nearer eight are.
   *
   * @param {number} slot
   */
  isLater(slot) {
    const newest = Math.max(...[...this.#slots.values()].map(({ number }) => number));
    const ahead = (slot - (newest % EPOCHS) + EPOCHS) % EPOCHS;
    return this.#slots.size > 0 && ahead > 0 && ahead <= EPOCHS / 2;
  }

  /** @param {number} epoch */
  #of(epoch) {
    const found = this.#slots.get(epoch % EPOCHS);
    return found?.number === epoch ? found : undefined;
  }
}

export class KeyRing {
  /** @type {Map<number, Generation>} by the digit that a frame tells */
  #generations = new Map();
  /** @type {Map<number, number>} the next counter by key id; never reset, whatever key is behind the id */
  #counters = new Map();
  #sending = unreadable();
  #instead = unreadable(); // while what is to be sent on may not be
  #heard = -Infinity; // when the host last was

  /** @param {() => number} [now] milliseconds that never go back */
  constructor(now = () => performance.now()) {
    this.now = now;
  }

  /**
   * The keys of one generation; another one with the same digit is forgotten.
   *
   * @param {string} name 16 hex characters
   * @returns {Generation}
   * @throws {RangeError} for what cannot be the name of one.
   */
  generation(name) {
    const former = this.#generations.get(digitOf(name));
    if (former?.name === name) return former;
    former?.clear();
    const made = new Generation(this, name);
    this.#generations.set(made.digit, made);
    return made;
  }

  /** Forget everything: nothing can be opened, and what is sealed nobody can open. */
  clear() {
    for (const generation of this.#generations.values()) generation.clear();
    this.#generations.clear();
  }

  /**
   * Seal with this epoch from the next frame on; for generations.
   *
   * @param {Epoch} epoch
   * @param {number} index our own leaf
   * @param {number} digit of the generation
   */
  sendOn(epoch, index, digit) {
    epoch.sentOn ??= this.now();
    this.#sending = { epoch, index, digit };
  }

  /**
   * Seal with this epoch no more; for generations.
   *
   * @param {Epoch} epoch
   */
  stop(epoch) {
    if (this.#sending.epoch === epoch) this.#sending = unreadable();
  }

  /** @returns {number | null} the epoch that is sent on; null while nobody can open what is sealed. */
  get sending() {
    return this.#sending.index === NOBODY || !this.#isFresh() ? null : this.#sending.epoch.number;
  }

  /**
   * Somebody has sealed something that opened: if that is the host, in no epoch from before ours, we may go on.
   *
   * @param {number} kid of a frame
   */
  heard(kid) {
    const { context, index, slot } = partsOf(kid);
    const digit = Math.floor(context / CONTEXTS);
    const number = this.#generations.get(digit)?.at(slot)?.number;
    if (index !== COMMITTER || number === undefined) return;
    // Of another generation we know only while one takes the place of the other.
    if (digit !== this.#sending.digit || number >= this.#sending.epoch.number) this.#heard = this.now();
  }

  /**
   * The host has said in this epoch that it is there, since no sound of it goes out.
   *
   * @param {number} epoch
   */
  isAlive(epoch) {
    if (epoch >= this.#sending.epoch.number) this.#heard = this.now();
  }

  /**
   * The key, its id and a counter for one frame to be sealed.
   *
   * @param {number} context
   */
  next(context) {
    const { epoch, index, digit } = this.#isFresh() ? this.#sending : this.#instead;
    const kid = kidOf(CONTEXTS * digit + context, index, epoch.number);
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
   *   an epoch or a generation that we do not have any more, or never had
   */
  of(kid, seat) {
    const { context, index, slot } = partsOf(kid);
    if (index === NOBODY) return "wrong-sender";
    const generation = this.#generations.get(Math.floor(context / CONTEXTS));
    const epoch = generation?.at(slot);
    if (epoch === undefined) return generation?.isLater(slot) ? "later-epoch" : "no-key";
    if (!isExpected(epoch, index, seat)) return "wrong-sender";
    return { key: epoch.key(kid), window: epoch.window(kid) };
  }

  /** @returns {boolean} whether the epoch that is to be sent on may be. */
  #isFresh() {
    const { index, epoch } = this.#sending;
    const now = this.now();
    if (now - epoch.since > AGE) return false;
    return index === COMMITTER || now - Math.max(this.#heard, epoch.sentOn ?? -Infinity) <= QUIET;
  }
}

/** @returns {{epoch: Epoch, index: number, digit: number}} an epoch of its own with a key that is nowhere else. */
function unreadable() {
  return { epoch: new Epoch(0, crypto.getRandomValues(new Uint8Array(BASE_KEY)), 0), index: NOBODY, digit: 0 };
}

/**
 * @param {Epoch} epoch
 * @param {number} index
 * @param {string | typeof ANYBODY | null} seat
 */
function isExpected({ indexOf, own }, index, seat) {
  if (seat === null) return false;
  if (seat !== ANYBODY) return indexOf.get(seat) === index;
  return index !== own && [...indexOf.values()].includes(index);
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

