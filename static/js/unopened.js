// @ts-check
// Whose frames come and do not open, for so long that people must be told: else they would see a picture that stands
// still, or nothing, and not know why.
//
//   a frame that opens ──▶ nothing to tell        frames that do not, for 3 s ──▶ told, until one opens or none comes
//
// Pure but for being told of each frame; the time is an argument.

const PATIENCE = 3_000; // ms; a page that missed an epoch has asked for it by then, and has it
const FRESH = 2_000; // ms without a frame after which nothing can be said of that sender

export class Unopened {
  /** @type {Map<number, {seat: string, since: number, last: number}>} by transform */ #shut = new Map();
  #changed;
  #told = "";

  /** @param {(seats: readonly string[]) => void} changed fires with all of these seats when they are others than before */
  constructor(changed) {
    this.#changed = changed;
  }

  /**
   * A frame has come.
   *
   * @param {number} id of its transform
   * @param {string | null} seat whose it should be; null when that is not known
   * @param {boolean} opened
   * @param {number} now milliseconds that never go back
   */
  note(id, seat, opened, now) {
    const before = this.#shut.get(id);
    if (opened || seat === null) this.#shut.delete(id);
    else this.#shut.set(id, { seat, since: before?.seat === seat ? before.since : now, last: now });
    this.#tell(now);
  }

  /**
   * A transform has ended.
   *
   * @param {number} id
   * @param {number} now
   */
  forget(id, now) {
    this.#shut.delete(id);
    this.#tell(now);
  }

  /** @param {number} now */
  #tell(now) {
    if (this.#shut.size === 0 && this.#told === "") return;
    const lasting = [...this.#shut.values()].filter(({ since, last }) => now - since >= PATIENCE && now - last < FRESH);
    const seats = [...new Set(lasting.map(({ seat }) => seat))].sort();
    const told = seats.join();
    if (told === this.#told) return;
    this.#told = told;
    this.#changed(seats);
  }
}
