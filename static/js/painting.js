// @ts-check
// When a page is painted: at once, unless keys are changing that somebody waits for.
//
//   repaint ──▶ painted       hold ──▶ not painted ──released, or 200 ms──▶ painted once, if it was asked for
//
// Between the click on Admit and the first picture, messages go to and fro between the server and the worker that has the
// keys, and all of them pass through the page. Painting somebody who comes in takes tens of milliseconds, and while that
// is done nothing is passed on. So it is done right after. Timers are given.

/** @typedef {import('./epoch-switch.js').Timers} Timers */

const AT_MOST = 200; // ms that a page is not painted, whatever is said meanwhile: keys take as long over a long way

export class Painting {
  #paint;
  #timers;
  /** @type {unknown} */ #timer = null;
  #due = false;

  /**
   * @param {() => void} paint
   * @param {Timers} [timers]
   */
  constructor(paint, timers = browserTimers) {
    this.#paint = paint;
    this.#timers = timers;
  }

  /** Paint, now or as soon as nothing is more urgent. */
  repaint() {
    if (this.#timer === null) this.#paint();
    else this.#due = true;
  }

  /** Keys are about to change. */
  hold() {
    if (this.#timer === null) this.#end(AT_MOST);
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
