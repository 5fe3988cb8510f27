// @ts-check
// The generation of the room's group that was, while another one takes its place.
//
//   told of another ──▶ sent on still ──all are in the other, or 5 s──▶ only opened ──10 s after the beginning──▶ forgotten
//                             └──one of its people is out: at once──▶
//
// A room that moves to another worker gets a new group, and nobody should stand still meanwhile. But a server begins
// generations as it likes, and must not keep a key in use by it: both times run from when we were first told, and no
// further generation begins them anew. Whoever is out is lost with all that they sent. Timers are given.

/** @typedef {import("./epoch-switch.js").EpochSwitch} EpochSwitch */
/** @typedef {import("./epoch-switch.js").Timers} Timers */
/** @typedef {import("./group.js").Group} Group */
/** @typedef {{group: Group, generation: string, epochs: EpochSwitch}} Life one generation as we are in it */

const SENDS_FOR = 5_000; // ms, at most
const OPENS_FOR = 10_000; // ms

export class FormerGroup {
  #life;
  #timers;
  #ended;
  /** @type {(ended: void) => void} */ #resolve = () => {};
  /** @type {Promise<void>} resolves when it is no longer sent on */ over = new Promise((resolve) => (this.#resolve = resolve));
  /** @type {unknown} */ #sending;
  /** @type {unknown} */ #opening;

  /**
   * @param {Life} life of which frames are sent
   * @param {Timers} timers
   * @param {() => void} ended called when it is no longer sent on, by whatever
   */
  constructor(life, timers, ended) {
    this.#life = life;
    this.#timers = timers;
    this.#ended = ended;
    this.#sending = timers.set(() => this.stop(), SENDS_FOR);
    this.#opening = timers.set(() => this.forget(), OPENS_FOR);
  }

  /** @returns {Life | null} the generation, as long as it is sent on. */
  get life() {
    return this.#sending === null ? null : this.#life;
  }

  /** @returns {string[]} the others who can open what is sent. */
  get others() {
    return this.#life.epochs.others;
  }

  /**
   * These are out: send nothing to them, and open nothing of theirs.
   *
   * @param {readonly string[]} seats
   */
  without(seats) {
    if (!this.others.some((seat) => seats.includes(seat))) return;
    this.#life.epochs.without(seats);
    this.stop();
  }

  /** Send on it no more; what the others still send is opened. May be called twice. */
  stop() {
    if (this.#sending === null) return;
    this.#timers.clear(this.#sending);
    this.#sending = null;
    this.#life.epochs.stop();
    void this.#life.group.close();
    this.#resolve();
    this.#ended();
  }

  /** Neither send nor open anything of it. May be called twice. */
  forget() {
    this.stop();
    this.#timers.clear(this.#opening);
    this.#life.epochs.clear();
  }
}
