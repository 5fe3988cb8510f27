// @ts-check
// When a new epoch is sent on, and when an old one is forgotten.
//
//   enter ──▶ received at once ──all who stay ready, or 1 s──▶ sent on ──10 s after the next one──▶ forgotten
//                          └──somebody left: at once──▶
//
// Of one generation of a group. A later one may wait until all who can hear an earlier one are in it (`waitFor`), and that
// it waits for them in bounded time is for the caller to see to (`release`).
//
// Those who stay learn the new key before anybody sends on it, so that no frame is lost; for somebody new nobody waits, for
// they can open nothing of before. They need whole pictures, from when we send on what they can open; and once more when
// they say that they have it, for the first may have come too early.
//
// Who left has none of what is sent from then on. The second is counted here: a server that holds back the word of the
// others delays nothing longer. Whoever is barred is in no epoch that is sent on, whatever the server accepts, and
// when. Clock and timers are given.

/** @typedef {import("./group.js").EpochKey} EpochKey */

/**
 * @typedef {object} Ring what frames are sealed and opened with in one generation, see key-ring.js
 * @property {(installed: {epoch: number, baseKey: Uint8Array<ArrayBuffer>}) => void} install
 * @property {(people: {epoch: number, members: readonly {seat: string, index: number}[], own: number}) => void} people
 * @property {(seats: readonly string[]) => void} without
 * @property {(sending: {epoch: number, index: number}) => void} sendOn
 * @property {() => void} stop
 * @property {(epoch: number) => void} drop
 * @property {() => void} clear
 */

/**
 * @typedef {object} Timers
 * @property {(callback: () => void, milliseconds: number) => unknown} set calls once
 * @property {(timer: any) => void} clear
 */

const WAIT = 1_000; // ms, for others to be ready
const KEEP = 10_000; // ms, that frames of an earlier epoch are still opened
const MAX_SEATS = 8;
const MAX_EARLY = 4; // epochs ahead of ours of which others may say that they are ready

export class EpochSwitch {
  #ring;
  #timers;
  #switched;
  #forgotten;
  #newcomers;
  /** @type {{epoch: number, index: number, others: Set<string>, members: EpochKey["members"]} | null} */ #current = null;
  /** @type {EpochKey["members"]} */ #reached = []; // who can open what is sent
  /** @type {number | null} */ #sending = null;
  /** @type {Set<string>} entries of those who are to be out: in no epoch of theirs is anything sent */ #barred = new Set();
  /** @type {number | null} installed before the server accepted it */ #early = null;
  /** @type {Map<number, Set<string>>} who has said to be ready, by epoch */ #ready = new Map();
  /** @type {readonly string[]} the others who can open the epoch before too */ #staying = [];
  /** @type {Set<string>} the others who cannot, and have not said that they can open this one */ #coming = new Set();
  /** @type {ReadonlySet<string> | null} who must be in before we send here at all */ #awaited = null;
  /** @type {unknown} */ #wait = null;
  /** @type {Set<unknown>} */ #keeping = new Set();

  /**
   * @param {object} settings
   * @param {Ring | null} settings.ring null for a group that has no frames, a pair
   * @param {Timers} settings.timers
   * @param {() => void} settings.switched called when another epoch is sent on than before, or none
   * @param {() => void} settings.forgotten called when an earlier epoch has had its time
   * @param {() => void} settings.newcomers called when somebody can open what we send from now on, and nothing of before
   */
  constructor({ ring, timers, switched, forgotten, newcomers }) {
    this.#ring = ring;
    this.#timers = timers;
    this.#switched = switched;
    this.#forgotten = forgotten;
    this.#newcomers = newcomers;
  }

  /** @returns {number | null} the epoch that is sent on; null while nobody can open what is sealed. */
  get sending() {
    return this.#sending;
  }

  /** @returns {string[]} the others who are in the epoch we are in. */
  get others() {
    return [...(this.#current?.others ?? [])];
  }

  /**
   * Send nothing here before these are in and ready, or until `release`: they are sent to elsewhere.
   *
   * @param {readonly string[]} seats
   */
  waitFor(seats) {
    this.#awaited = new Set(seats);
  }

  /** Wait for nobody any more who is not in. */
  release() {
    if (this.#awaited === null) return;
    this.#awaited = null;
    this.#switch();
  }

  /**
   * Be in this epoch.
   *
   * @param {EpochKey} key
   * @param {{index: number, atOnce: boolean}} how `index`: our own leaf; `atOnce`: wait for nobody before sending on it
   */
  enter(key, { index, atOnce }) {
    const before = this.#current;
    if (this.#early !== key.epoch) this.#install(key, index);
    else key.baseKey.fill(0);
    this.#early = null;
    const others = new Set(key.members.flatMap((member) => (member.index === index ? [] : [member.pid])));
    this.#current = { epoch: key.epoch, index, others, members: key.members };
    const was = before?.members ?? [];
    this.#staying = key.members.flatMap((member) =>
      others.has(member.pid) && was.some(({ entry }) => entry === member.entry) ? [member.pid] : [],
    );
    this.#coming = new Set([...others].filter((seat) => !this.#staying.includes(seat)));
    for (const epoch of [...this.#ready.keys()]) if (epoch < key.epoch) this.#ready.delete(epoch);
    // Whoever is put in again has another entry: who is not in here is out for good.
    for (const barred of this.#barred) if (!key.members.some(({ entry }) => entry === barred)) this.#barred.delete(barred);
    if (before && before.epoch !== key.epoch) {
      // Of who left nothing is opened any more, not even what was on its way.
      const stayed = before.members.filter((was) => key.members.some((is) => is.pid === was.pid));
      this.#people(before.epoch, stayed, before.index);
      this.#keep(before.epoch);
    }
    if (this.#holdsBarred(key.members)) return this.stop();
    this.#stopWaiting();
    const first = this.#sending === null && this.#awaited === null;
    if ((this.#awaited === null && atOnce) || first || this.#allReady()) this.#switch();
    else if (this.#allIn()) this.#wait = this.#timers.set(() => this.#switch(), WAIT);
  }

  /**
   * Another member has the keys of an epoch.
   *
   * @param {number} epoch
   * @param {string} seat
   */
  ready(epoch, seat) {
    if (!this.#current || epoch < this.#current.epoch || epoch > this.#current.epoch + MAX_EARLY) return;
    const seats = this.#ready.get(epoch) ?? new Set();
    if (seats.size < MAX_SEATS) this.#ready.set(epoch, seats.add(seat));
    const isPending = this.#wait !== null || this.#awaited !== null;
    if (isPending && this.#allReady()) this.#switch();
    else if (this.#sending === epoch && this.#coming.delete(seat)) this.#newcomers();
  }

  /**
   * Send no more in an epoch that one of these is in, and go on receiving, until we enter one without them.
   *
   * @param {readonly string[]} entries
   */
  bar(entries) {
    for (const entry of entries) this.#barred.add(entry);
    if (this.#holdsBarred(this.#reached)) this.stop();
  }

  /**
   * Send on the epoch that our pending commit leads to, although the server has not accepted it: somebody has to be out
   * of what we send now. The others follow when they have the commit. Nothing is sent if it holds somebody barred.
   *
   * @param {EpochKey} key
   * @param {number} index
   */
  early(key, index) {
    if (this.#early === key.epoch || this.#holdsBarred(key.members)) return void key.baseKey.fill(0);
    this.#stopWaiting();
    this.#install(key, index);
    this.#early = key.epoch;
    this.#ring?.sendOn({ epoch: key.epoch, index });
    this.#sent(key.epoch, key.members);
  }

  /** The commit of `early` is void: nothing is sent until the next one. */
  takeBack() {
    if (this.#early === null) return;
    this.#ring?.drop(this.#early);
    this.#early = null;
    this.#sent(null);
  }

  /** Send on none of these epochs any more, and go on receiving. */
  stop() {
    this.#stopWaiting();
    this.#ring?.stop();
    this.#sent(null);
  }

  /** Send on the epoch we are in, after `stop`. */
  again() {
    if (this.#awaited === null) this.#switch();
  }

  /**
   * Receive nothing of these people any more, not even what was on its way.
   *
   * @param {readonly string[]} seats
   */
  without(seats) {
    this.#ring?.without(seats);
  }

  /** Forget everything: nothing is opened, and nobody can open what is sealed. */
  clear() {
    this.#stopWaiting();
    for (const timer of this.#keeping) this.#timers.clear(timer);
    this.#keeping.clear();
    this.#ready.clear();
    this.#barred.clear();
    this.#current = this.#early = this.#awaited = null;
    this.#ring?.clear();
    this.#sent(null);
  }

  /**
   * @param {EpochKey} key
   * @param {number} own our leaf
   */
  #install({ epoch, baseKey, members }, own) {
    this.#ring?.install({ epoch, baseKey });
    this.#people(epoch, members, own);
    baseKey.fill(0);
  }

  /**
   * @param {number} epoch
   * @param {EpochKey["members"]} members
   * @param {number} own
   */
  #people(epoch, members, own) {
    this.#ring?.people({ epoch, members: members.map(({ pid, index }) => ({ seat: pid, index })), own });
  }

  #switch() {
    this.#stopWaiting();
    this.#awaited = null;
    if (!this.#current || this.#holdsBarred(this.#current.members)) return;
    const { epoch, index, members } = this.#current;
    const isNew = this.#sending !== epoch;
    this.#ring?.sendOn({ epoch, index });
    this.#sent(epoch, members);
    if (isNew && this.#sending === epoch && this.#coming.size > 0) this.#newcomers();
  }

  /**
   * @param {number | null} epoch
   * @param {EpochKey["members"]} [reached]
   */
  #sent(epoch, reached = []) {
    this.#reached = reached;
    if (this.#sending === epoch) return;
    this.#sending = epoch;
    this.#switched();
  }

  /** @param {number} epoch */
  #keep(epoch) {
    const timer = this.#timers.set(() => {
      this.#keeping.delete(timer);
      this.#ring?.drop(epoch);
      this.#forgotten();
    }, KEEP);
    this.#keeping.add(timer);
  }

  /** @param {EpochKey["members"]} members */
  #holdsBarred(members) {
    return members.some(({ entry }) => this.#barred.has(entry));
  }

  #allReady() {
    const ready = this.#ready.get(this.#current?.epoch ?? -1);
    // While earlier keys are sent on elsewhere, whoever is new here can open those.
    const awaited = this.#awaited === null ? this.#staying : this.others;
    return this.#allIn() && awaited.every((seat) => ready?.has(seat));
  }

  #allIn() {
    return [...(this.#awaited ?? [])].every((seat) => this.#current?.others.has(seat));
  }

  #stopWaiting() {
    if (this.#wait !== null) this.#timers.clear(this.#wait);
    this.#wait = null;
  }
}
