// @ts-check
// Who may be in the room's group, as the person at this page knows it: by the list that the page shows, and by own clicks.
//
//   shown in the room, or let in by a click ──▶ may be put in
//   in, and not shown for 2 s ──▶ unseen: said aloud, and put out by whoever may
//   put out by a click ──▶ not put in again before a click, or before the list has shown them out and in again
//
// The server makes the list, and it also hands over who is to be put in. It must not be able to say one thing with the one
// and do another with the other. Timers are given; nothing here knows of MLS.

/** @typedef {import("./epoch-switch.js").Timers} Timers */

const LET_IN = 5_000; // ms for which a click lets somebody in whom the list does not show yet
const UNSEEN = 2_000; // ms for a member whom the list does not show: lists and commits cross on their way

export class GuestList {
  #timers;
  #overdue;
  /** @type {ReadonlySet<string> | null} whom the page shows as in the room; null while it is not there itself */
  #shown = null;
  /** @type {readonly string[]} the others who are in the group */ #members = [];
  /** @type {Map<string, boolean>} put out by a click; whether the list has shown them out since */ #out = new Map();
  /** @type {Map<string, unknown>} let in by a click, and the timer that ends it */ #letIn = new Map();
  /** @type {Map<string, unknown>} members who are not shown, and their timer; null when their time is over */
  #missing = new Map();

  /**
   * @param {object} settings
   * @param {Timers} settings.timers
   * @param {(seat: string) => void} settings.overdue called when a member has not been shown for too long
   */
  constructor({ timers, overdue }) {
    this.#timers = timers;
    this.#overdue = overdue;
  }

  /** @returns {ReadonlySet<string> | null} whom the page shows as in the room. */
  get shown() {
    return this.#shown;
  }

  /** @returns {string[]} members whom the list has not shown for too long. */
  get unseen() {
    return [...this.#missing].flatMap(([seat, timer]) => (timer === null ? [seat] : []));
  }

  /**
   * @param {string} seat
   * @returns {boolean} whether it may be put into the group now.
   */
  allows(seat) {
    return !this.#out.has(seat) && (this.#letIn.has(seat) || this.#shown?.has(seat) === true);
  }

  /**
   * @param {string} seat
   * @returns {boolean} whether a click has put it out, and nothing has brought it back.
   */
  isOut(seat) {
    return this.#out.has(seat);
  }

  /**
   * The list has changed.
   *
   * @param {readonly string[] | null} seats whom the page shows as in the room, without us; null while we are not there
   */
  show(seats) {
    this.#shown = seats && new Set(seats);
    for (const [seat, wasShownOut] of this.#out) {
      const isShown = this.#shown?.has(seat) === true;
      if (isShown && wasShownOut) this.#out.delete(seat);
      else if (!isShown) this.#out.set(seat, true);
    }
    for (const seat of seats ?? []) this.#endLetIn(seat);
    this.#look();
  }

  /**
   * These others are in the group now.
   *
   * @param {readonly string[]} seats
   */
  follow(seats) {
    this.#members = seats;
    this.#look();
  }

  /**
   * A click lets these in.
   *
   * @param {readonly string[]} seats
   */
  admit(seats) {
    for (const seat of seats) {
      this.#out.delete(seat);
      this.#endLetIn(seat);
      this.#letIn.set(seat, this.#timers.set(() => this.#letIn.delete(seat), LET_IN));
    }
  }

  /**
   * A click puts these out.
   *
   * @param {readonly string[]} seats
   */
  putOut(seats) {
    for (const seat of seats) {
      this.#endLetIn(seat);
      this.#out.set(seat, this.#shown?.has(seat) !== true);
    }
  }

  /**
   * A click that was to put these out has come to nothing, and the page says so: the list counts for them again.
   *
   * @param {readonly string[]} seats
   */
  keep(seats) {
    for (const seat of seats) this.#out.delete(seat);
  }

  /** Do nothing any more. */
  close() {
    for (const seat of [...this.#letIn.keys()]) this.#endLetIn(seat);
    this.#shown = null;
    this.#look();
  }

  #look() {
    const shown = this.#shown;
    const missing = new Set(shown === null ? [] : this.#members.filter((seat) => !shown.has(seat)));
    for (const [seat, timer] of this.#missing) {
      if (missing.has(seat)) continue;
      if (timer !== null) this.#timers.clear(timer);
      this.#missing.delete(seat);
    }
    for (const seat of missing) {
      if (this.#missing.has(seat)) continue;
      const due = () => {
        this.#missing.set(seat, null);
        this.#endLetIn(seat);
        this.#overdue(seat);
      };
      this.#missing.set(seat, this.#timers.set(due, UNSEEN));
    }
  }

  /** @param {string} seat */
  #endLetIn(seat) {
    if (!this.#letIn.has(seat)) return;
    this.#timers.clear(this.#letIn.get(seat));
    this.#letIn.delete(seat);
  }
}
