// @ts-check
// How long a page looks for a way for its sound and picture before it says that there is none. What that means for a
// person is said in link-words.js; it looks on meanwhile, and what was said is taken back when a way is found.

export const UNREACHED_AFTER = 9_000; // ms; where UDP is blocked, the others are found within three

export class Reach {
  /** @type {() => void} */ #onNone;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** @param {() => void} onNone fires once for each search that found nothing for so long */
  constructor(onNone) {
    this.#onNone = onNone;
  }

  /** @param {boolean} looking whether the page is to have a way now, and has none */
  follow(looking) {
    if (!looking) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    } else {
      this.#timer ??= setTimeout(this.#onNone, UNREACHED_AFTER);
    }
  }
}
