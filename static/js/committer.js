// @ts-check
// What only the host of a group does: put people in and out, renew the keys, one commit at a time.
//
//   candidate, drop, remove, 10 min ──▶ commit ──accepted──▶ next epoch
//                                          └─────refused────▶ as before; what is still wanted goes into another
//
// Somebody who is to be out is out of what the host sends after 300 ms at most, whether or not the server has taken the
// commit: then the host sends in the epoch that it leads to, or in none. Timers are given; the caller runs one thing at a
// time.

import { equalBytes } from "./bytes.js";
import { GroupError } from "./group-policy.js";

/** @typedef {import("./epoch-switch.js").EpochSwitch} EpochSwitch */
/** @typedef {import("./epoch-switch.js").Timers} Timers */
/** @typedef {import("./group-policy.js").GroupErrorCode} GroupErrorCode */
/** @typedef {import("./group.js").Group} Group */
/** @typedef {{keyPackage: Uint8Array, tag: Uint8Array}} Offer */
/** @typedef {{epoch: number, commit: Uint8Array, welcome: Uint8Array | null, adds: string[], removes: string[]}} Made */

/**
 * @typedef {object} CommitterSettings
 * @property {Group} group that we made
 * @property {string} me our own seat code
 * @property {EpochSwitch} epochs
 * @property {(seat: string) => boolean} allows whether this seat may be put in now, as far as we know ourselves
 * @property {(atOnce: boolean) => Promise<void>} enter be in the group's epoch, which is another than before
 * @property {Timers} timers
 * @property {(made: Made) => void} send hand a commit to the server
 * @property {(work: () => Promise<void>) => void} inTurn do this when what is being done is done
 */

const ROTATE = 600_000; // ms between two renewals of the keys
const AT_MOST = 300; // ms in an epoch of somebody who is to be out

export class Committer {
  #group;
  #me;
  #epochs;
  #allows;
  #enter;
  #timers;
  #send;
  #inTurn;
  /** @type {Map<string, Offer>} to be added, each good for itself */ #adds = new Map();
  /** @type {Set<string>} to be taken out */ #removes = new Set();
  /** @type {{adds: Map<string, Offer>, leaving: string[], renews: boolean} | null} */ #inFlight = null;
  /** @type {Map<string, Uint8Array>} key packages that are in, or in the commit on its way */ #used = new Map();
  /** @type {Map<string, GroupErrorCode>} */ #refused = new Map();
  /** @type {unknown} */ #rotation = null;
  /** @type {unknown} */ #hurry = null;
  #closed = false;

  /** @param {CommitterSettings} settings */
  constructor({ group, me, epochs, allows, enter, timers, send, inTurn }) {
    this.#group = group;
    this.#me = me;
    this.#epochs = epochs;
    this.#allows = allows;
    this.#enter = enter;
    this.#timers = timers;
    this.#send = send;
    this.#inTurn = inTurn;
    this.#armRotation();
  }

  /** @returns {{seat: string, code: GroupErrorCode}[]} whom we could not add, and why. */
  get refused() {
    return [...this.#refused].map(([seat, code]) => ({ seat, code }));
  }

  /** @returns {boolean} whether somebody is to be out who is in still. */
  get takesOut() {
    return this.#removes.size > 0 || (this.#inFlight?.leaving.length ?? 0) > 0;
  }

  /**
   * Somebody has been admitted, as the server says; put in as soon as they are allowed.
   *
   * @param {string} seat
   * @param {() => Offer} offer throws a GroupError when it is none
   */
  async candidate(seat, offer) {
    if (!/^[A-Z]$/.test(seat)) throw new GroupError("malformed", "Not a seat.");
    this.#adds.delete(seat);
    this.#refused.delete(seat);
    try {
      const offered = offer();
      // After a reconnect the server says again what we may have missed; a key package is good for one place only.
      const used = this.#used.get(seat);
      if (used && equalBytes(used, offered.keyPackage)) return;
      await this.#group.check({ pid: seat, ...offered });
      this.#adds.set(seat, offered);
    } catch (error) {
      this.#refuse(seat, error);
    }
    await this.#advance();
  }

  /** Others may be allowed now than before. */
  async look() {
    await this.#advance();
  }

  /**
   * These are to be out, or are not to come in.
   *
   * @param {readonly string[]} seats
   */
  async drop(seats) {
    const members = this.#members();
    members.delete(this.#me);
    for (const seat of seats) {
      this.#adds.delete(seat);
      this.#refused.delete(seat);
      if (members.has(seat) || this.#inFlight?.adds.has(seat)) this.#removes.add(seat);
    }
    if (this.#removes.size > 0) this.#hurryUp();
    await this.#advance();
  }

  /**
   * The server is in this epoch: it has taken our commit, or, after a reconnect, has never got it.
   *
   * @param {number} epoch
   * @returns {Promise<'next' | 'again' | 'nothing'>} `next`: we are in another epoch now; `again`: our commit was void
   * @throws {GroupError} `epoch` when neither can be
   */
  async accepted(epoch) {
    const standing = this.#group.epoch;
    if (epoch === standing) {
      if (!this.#inFlight) return "nothing";
      await this.#again();
      return "again";
    }
    if (!this.#inFlight || epoch !== standing + 1) throw new GroupError("epoch", "The server is in another epoch.");
    const { leaving, renews } = this.#inFlight;
    await this.#group.merge();
    this.#inFlight = null;
    if (renews) this.#armRotation();
    await this.#enter(leaving.length > 0);
    if (this.#removes.size === 0) this.#calmDown();
    await this.#advance();
    return "next";
  }

  /**
   * The server has not taken our commit.
   *
   * @param {number} epoch that stands at the server
   * @returns {Promise<boolean>} whether there was one
   * @throws {GroupError} `epoch` when it is not ours
   */
  async discarded(epoch) {
    if (!this.#inFlight) return false;
    if (epoch !== this.#group.epoch) throw new GroupError("epoch", "The server is in another epoch.");
    await this.#again();
    return true;
  }

  /** Do nothing any more. */
  close() {
    this.#closed = true;
    if (this.#rotation !== null) this.#timers.clear(this.#rotation);
    this.#rotation = null;
    this.#calmDown();
  }

  /** Commit what is to be done, unless a commit is on its way. */
  async #advance() {
    if (this.#inFlight) return;
    const members = this.#members();
    let adds = this.#allowed();
    const leaving = [...this.#removes].filter((seat) => members.has(seat) && adds.every(([added]) => added !== seat));
    this.#removes.clear();
    while (adds.length + leaving.length > 0) {
      const removes = [...leaving, ...adds.flatMap(([seat]) => (members.has(seat) ? [seat] : []))];
      try {
        const made = await this.#group.commit({ add: adds.map(([pid, offer]) => ({ pid, ...offer })), remove: removes });
        for (const [seat, { keyPackage }] of adds) {
          this.#adds.delete(seat);
          this.#used.set(seat, keyPackage);
        }
        this.#inFlight = { adds: new Map(adds), leaving, renews: removes.length > 0 };
        if (leaving.length > 0) this.#hurryUp();
        return this.#send({ ...made, adds: adds.map(([seat]) => seat), removes });
      } catch (error) {
        const [first, ...others] = adds;
        if (!first) throw error;
        // Each is good for itself, and one not with the others or with who is in: one by one, the next with the next commit.
        if (others.length > 0) adds = [first];
        else {
          this.#refuse(first[0], error);
          this.#adds.delete(first[0]);
          adds = this.#allowed().slice(0, 1);
        }
      }
    }
  }

  #allowed() {
    return [...this.#adds].filter(([seat]) => this.#allows(seat));
  }

  /** Our commit is void; do what it was for with another one, as far as that is still wanted. */
  async #again() {
    if (!this.#inFlight) return;
    const { adds, leaving } = this.#inFlight;
    await this.#group.discard();
    this.#inFlight = null;
    this.#epochs.takeBack();
    for (const seat of adds.keys()) this.#used.delete(seat);
    for (const [seat, offer] of adds) if (!this.#adds.has(seat) && !this.#removes.has(seat)) this.#adds.set(seat, offer);
    for (const seat of leaving) this.#removes.add(seat);
    await this.#advance();
  }

  /** Renew the keys, although nobody comes or goes. */
  async #rotate() {
    if (this.#closed) return;
    this.#armRotation();
    if (this.#inFlight) return; // the commit after will do
    const made = await this.#group.commit({});
    this.#inFlight = { adds: new Map(), leaving: [], renews: true };
    this.#send({ ...made, adds: [], removes: [] });
  }

  #hurryUp() {
    this.#hurry ??= this.#timers.set(() => {
      this.#hurry = null;
      this.#inTurn(async () => {
        if (this.#closed || !this.takesOut) return;
        const pending = this.#inFlight && (await this.#group.pendingKey());
        const out = [...this.#removes, ...(this.#inFlight?.leaving ?? [])];
        const known = [...this.#group.members, ...(pending?.members ?? [])];
        this.#epochs.bar(known.flatMap(({ pid, entry }) => (out.includes(pid) ? [entry] : [])));
        if (pending && this.#inFlight?.leaving.length) this.#epochs.early(pending, this.#group.index);
        else pending?.baseKey.fill(0);
      });
    }, AT_MOST);
  }

  #calmDown() {
    if (this.#hurry !== null) this.#timers.clear(this.#hurry);
    this.#hurry = null;
  }

  #armRotation() {
    if (this.#rotation !== null) this.#timers.clear(this.#rotation);
    this.#rotation = this.#timers.set(() => this.#inTurn(() => this.#rotate()), ROTATE);
  }

  #members() {
    return new Set(this.#group.members.map(({ pid }) => pid));
  }

  /**
   * @param {string} seat
   * @param {unknown} error
   */
  #refuse(seat, error) {
    if (!(error instanceof GroupError)) throw error;
    this.#refused.set(seat, error.code);
  }
}
