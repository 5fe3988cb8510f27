// @ts-check
// When a page is painted: at once, unless keys are changing that somebody waits for.
//
//   repaint ──▶ painted       hold ──▶ not painted ──let go, or 100 ms──▶ painted once, if it was asked for
//
// Between the click on Admit and the first picture, messages go to and fro between the server and the worker that has the
// keys, and all of them pass through the page. Painting somebody who comes in takes tens of milliseconds, and while that
// is done nothing is passed on. So it is done right after. Timers and clock are given.

/** @typedef {import('./epoch-switch.js').Timers} Timers */

const HOLD = 100; // ms without a word about keys, after which the page is painted
const AT_MOST = 200; // ms that it is not painted, whatever is said: nobody may wonder whether their click was heard

export class Painting {
  #paint;
  #timers;
  #now;
  /** @type {unknown} */ #timer = null;
  #heldSince = 0;
  #due = false;

  /**
   * @param {() => void} paint
   * @param {{timers?: Timers, now?: () => number}} [world] `now`: milliseconds that never go back
   */
  constructor(paint, { timers = browserTimers, now = () => performance.now() } = {}) {
    this.#paint = paint;
    this.#timers = timers;
    this.#now = now;
  }

  /** Paint, now or as soon as nothing is more urgent. */
  repaint() {
    if (this.#timer === null) this.#paint();
    else this.#due = true;
  }

  /** Keys are about to change. */
  hold() {
    const now = this.#now();
    if (this.#timer === null) this.#heldSince = now;
    else if (now + HOLD > this.#heldSince + AT_MOST) return; // it is held already, and for no longer
    else this.#timers.clear(this.#timer);
    this.#end(HOLD);
  }

  /** They have changed: paint when what is being done is done. */
  release() {
    if (this.#timer === null) return;
    this.#timers.clear(this.#timer);
    this.#end(0);
  }

  /** @param {number} after milliseconds */
  #end(after) {
    this.#timer = this.#timers.set(() => {
      this.#timer = null;
      if (!this.#due) return;
      this.#due = false;
      this.#paint();
    }, after);
  }
}

/** @type {Timers} */
const browserTimers = {
  set: (callback, milliseconds) => window.setTimeout(callback, milliseconds),
  clear: (timer) => window.clearTimeout(timer),
};
