// @ts-check
// Five pictures that everybody reads aloud: they are the same only if nobody sits between the browsers.
//
//   idle ──begin, or somebody else did──▶ exchanging ──all committed, all revealed──▶ comparing ──▶ idle, verified
//                                             │        the people or the epoch change, or one is silent: ──▶ aborted
//                                             └─a reveal that is not what was committed──▶ mismatch ◀── "they differ",
//                                                                                                        by anybody
//
// Each page draws a nonce and first sends only a hash of it, bound to its leaf and to the epoch's authenticator; it tells
// the nonce when it has everybody's hash. Whoever sits between two groups has to fix its nonces before it sees the others:
// it has one try in 2^30, where a code of the keys alone could be searched for offline. The voice carries what no server
// may: "the same" says that everybody's page sees the same members with the same signature keys.
//
//   no check ──"the same"──▶ holds ──somebody leaves──▶ holds ──somebody who was not in it, or with another key──▶ no check
//                              └─another generation─▶ kept ──all whom it held for are in──▶ holds
//
// A signature key is its page's own and lives as long as that, so in another generation it is proof of the same page. But
// which page begins a generation, and so takes people out of it, is the server's word: there all must be together again whom
// the check held for, and nobody else; and only the host of when it was spoken may then leave some out. No DOM, no timers, no
// clock.

import { equalBytes, joined, utf8 } from "./bytes.js";

/** @typedef {import("./group-session.js").GroupState} GroupState */
/** @typedef {{symbol: string, name: string}} Picture */

/**
 * @typedef {object} CheckState a new object each time something changes
 * @property {'idle' | 'exchanging' | 'comparing' | 'mismatch' | 'aborted'} phase
 * @property {readonly Picture[]} pictures five, in phase `comparing`
 * @property {boolean} verified whether everybody who is in now was in, at the same seat and with the same key, when the
 *   pictures were the same
 * @property {boolean} kept whether a check is not lost: it holds, or will when all whom it held for are in again
 */

/** 64 pictures, with the names under which they are read aloud: no two that sound or look alike. */
export const PICTURES = Object.freeze(
  /** @type {[string, string][]} */ ([
    ["🐶", "dog"], ["🐱", "cat"], ["🦁", "lion"], ["🐴", "horse"], ["🐘", "elephant"], ["🐰", "rabbit"], ["🐼", "panda"], ["🐧", "penguin"],
    ["🐢", "turtle"], ["🐟", "fish"], ["🐙", "octopus"], ["🦋", "butterfly"], ["🐝", "bee"], ["🐌", "snail"], ["🦉", "owl"], ["🐳", "whale"],
    ["🌻", "sunflower"], ["🌵", "cactus"], ["🍄", "mushroom"], ["🍁", "maple leaf"], ["🌲", "fir tree"], ["🌙", "moon"], ["⭐", "star"], ["🌈", "rainbow"],
    ["🔥", "fire"], ["🍌", "banana"], ["🍎", "apple"], ["🍓", "strawberry"], ["🍇", "grapes"], ["🍋", "lemon"], ["🌽", "corn"], ["🥕", "carrot"],
    ["🍕", "pizza"], ["🍰", "cake"], ["🧀", "cheese"], ["🥚", "egg"], ["☂️", "umbrella"], ["⏳", "hourglass"], ["🎁", "gift"], ["💡", "light bulb"],
    ["📕", "book"], ["✏️", "pencil"], ["📎", "paper clip"], ["✂️", "scissors"], ["🔑", "key"], ["🔨", "hammer"], ["☎️", "telephone"], ["🏠", "house"],
    ["🚂", "steam train"], ["🚲", "bicycle"], ["✈️", "aeroplane"], ["🚀", "rocket"], ["⛵", "sailing boat"], ["🚜", "tractor"], ["🏆", "trophy"], ["⚽", "football"],
    ["🎸", "guitar"], ["🎺", "trumpet"], ["🥁", "drum"], ["🔔", "bell"], ["⚓", "anchor"], ["🎧", "headphones"], ["👑", "crown"], ["🧤", "gloves"],
  ]).map(([symbol, name]) => Object.freeze({ symbol, name })),
);

const SHOWN = 5; // pictures, six bits each
const LABEL = utf8("quietroom spoken check v1");
const COMMITMENT = 1;
const REVEAL = 2;
const DIFFERS = 3; // then nothing that counts: the pictures of this round are not the same, or cannot be
const LENGTH = 32; // bytes of a nonce, and of its hash
const MAX_ROUNDS = 16; // in one epoch; each gives whoever sits between one more try

/** One exchange in one epoch. */
class Round {
  nonce = crypto.getRandomValues(new Uint8Array(LENGTH));
  /** @type {Map<number, Uint8Array>} by leaf */ commitments = new Map();
  /** @type {Map<number, Uint8Array>} by leaf */ reveals = new Map();
  hasRevealed = false;

  /** @param {number} number @param {Uint8Array} authenticator */
  constructor(number, authenticator) {
    this.number = number;
    this.authenticator = authenticator;
  }

  /**
   * @param {number} index leaf of whose nonce it is
   * @param {Uint8Array} nonce
   */
  async commitment(index, nonce) {
    const text = joined(LABEL, Uint8Array.of(this.number, index), this.authenticator, nonce);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  }

  /** @returns {Promise<Picture[]>} */
  async pictures() {
    const nonces = [...this.reveals].sort(([a], [b]) => a - b).map(([, nonce]) => nonce);
    const ikm = await crypto.subtle.importKey("raw", joined(...nonces, this.authenticator), "HKDF", false, ["deriveBits"]);
    const info = Uint8Array.of(this.number);
    const bytes = await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-512", salt: LABEL, info }, ikm, 8 * SHOWN);
    // 64 divides 256: every picture is equally likely.
    return Array.from(new Uint8Array(bytes), (byte) => /** @type {Picture} */ (PICTURES[byte % PICTURES.length]));
  }
}

export class SpokenCheck {
  #seal;
  #changed;
  /** @type {CheckState["phase"]} */ #phase = "idle";
  /** @type {readonly Picture[]} */ #pictures = [];
  /** @type {GroupState | null} */ #group = null;
  /** @type {Uint8Array | null} */ #authenticator = null;
  /** @type {Round | null} */ #round = null;
  #rounds = 0;
  /** @type {ReadonlySet<string>} everybody the pictures were the same with, seats and keys */ #checked = new Set();
  /** @type {ReadonlySet<string>} those of them who were in when it last held */ #last = new Set();
  /** @type {string | null} the generation it holds in */ #holdsIn = null;
  /** @type {string | undefined} the host, when the pictures were the same */ #host;
  /** @type {Promise<void>} */ #turn = Promise.resolve();

  /**
   * @param {object} settings
   * @param {(message: Uint8Array) => void} settings.seal hand a message to all other members, sealed
   * @param {(state: CheckState) => void} settings.changed
   */
  constructor({ seal, changed }) {
    this.#seal = seal;
    this.#changed = changed;
  }

  /** @returns {CheckState} */
  get state() {
    const { phase, generation, members = [] } = this.#group ?? {};
    const kept = this.#checked.size > 0;
    const verified = kept && phase === "secured" && generation === this.#holdsIn && members.length > 1;
    return { phase: this.#phase, pictures: this.#pictures, verified, kept };
  }

  /**
   * The group has changed, or may have.
   *
   * @param {GroupState} group
   * @param {Uint8Array | null} authenticator of its epoch
   */
  follow(group, authenticator) {
    const before = this.#group;
    this.#group = group;
    this.#authenticator = authenticator;
    const isSame = before?.generation === group.generation && before.epoch === group.epoch && group.phase === "secured";
    if (!isSame) {
      this.#round = null;
      this.#rounds = 0;
      this.#pictures = [];
      if (this.#phase === "exchanging" || this.#phase === "comparing") this.#phase = "aborted";
    }
    if (group.phase === "secured") this.#keep(group);
    this.#changed(this.state);
  }

  /** Begin, or begin again. Does nothing while there is nobody to compare with. */
  begin() {
    this.#inTurn(() => this.#start(this.#rounds + 1));
  }

  /** Somebody has not answered for too long: what they sent, or were sent, is lost. */
  giveUp() {
    this.#inTurn(() => {
      if (this.#phase !== "exchanging") return;
      this.#round = null;
      this.#show("aborted");
    });
  }

  /**
   * What the person says about the pictures.
   *
   * @param {boolean} same
   */
  answer(same) {
    this.#inTurn(async () => {
      if (this.#phase !== "comparing" || !this.#group) return;
      if (!same) return this.#differ();
      this.#checked = this.#last = peopleOf(this.#group);
      this.#holdsIn = this.#group.generation;
      this.#host = hostOf(this.#group);
      this.#show("idle");
    });
  }

  /**
   * A message of another member.
   *
   * @param {string} seat whose signature it bears
   * @param {Uint8Array} message
   * @param {number} epoch it was sealed in
   */
  take(seat, message, epoch) {
    this.#inTurn(() => this.#take(seat, message, epoch));
  }

  /** @returns {Promise<void>} when everything that has arrived so far is done. */
  idle() {
    return this.#turn;
  }

  /**
   * What a check is worth among those who are in now.
   *
   * @param {GroupState} group that we are in
   */
  #keep(group) {
    const people = peopleOf(group);
    // Whoever came with another key has not been checked, and nobody is again when they leave.
    if (![...people].every((person) => this.#checked.has(person))) return this.#forget();
    const goesOn = group.generation === this.#holdsIn && hostOf(group) === this.#host;
    const holds = goesOn || [...this.#last].every((person) => people.has(person));
    this.#holdsIn = holds ? group.generation : null;
    if (holds && people.size > 1) this.#last = people;
  }

  #forget() {
    this.#checked = this.#last = new Set();
    this.#holdsIn = null;
  }

  /** @param {number} number */
  async #start(number) {
    const group = this.#group;
    if (!group || group.phase !== "secured" || group.index === null || group.members.length < 2) return;
    if (!this.#authenticator || number > MAX_ROUNDS) return;
    const round = new Round(number, this.#authenticator);
    this.#round = round;
    this.#rounds = number;
    const commitment = await round.commitment(group.index, round.nonce);
    if (this.#round !== round) return;
    round.commitments.set(group.index, commitment);
    this.#show("exchanging");
    this.#seal(joined(Uint8Array.of(COMMITMENT, number), commitment));
  }

  /** @param {string} seat @param {Uint8Array} message @param {number} epoch */
  async #take(seat, message, epoch) {
    const from = this.#group?.members.find((member) => member.seat === seat);
    if (!from || epoch !== this.#group?.epoch || message.length !== 2 + LENGTH) return;
    const [kind, number = 0] = message;
    const value = message.slice(2);
    // Somebody began, or began again: a later round than ours takes its place, an earlier one is over.
    if (kind === COMMITMENT && number > this.#rounds) await this.#start(number);
    // Also when we have found them the same: one of us does not.
    if (kind === DIFFERS && number >= Math.max(this.#rounds, 1)) {
      this.#rounds = number;
      return this.#show("mismatch");
    }
    const round = this.#round;
    if (!round || number !== round.number || this.#phase !== "exchanging") return;
    if (kind === COMMITMENT) {
      // A second one would be a choice made later.
      if (round.commitments.has(from.index)) return this.#differ();
      round.commitments.set(from.index, value);
    } else if (kind === REVEAL) {
      const committed = round.commitments.get(from.index);
      const isSame = committed !== undefined && equalBytes(await round.commitment(from.index, value), committed);
      if (this.#round !== round) return;
      if (!isSame || round.reveals.has(from.index)) return this.#differ();
      round.reveals.set(from.index, value);
    }
    await this.#advance(round);
  }

  /** @param {Round} round */
  async #advance(round) {
    const group = this.#group;
    if (!group || group.index === null) return;
    const everybody = group.members.map(({ index }) => index);
    if (!round.hasRevealed && everybody.every((index) => round.commitments.has(index))) {
      round.hasRevealed = true;
      round.reveals.set(group.index, round.nonce);
      this.#seal(joined(Uint8Array.of(REVEAL, round.number), round.nonce));
    }
    if (!round.hasRevealed || !everybody.every((index) => round.reveals.has(index))) return;
    const pictures = await round.pictures();
    if (this.#round === round) this.#show("comparing", pictures);
  }

  /** Tell everybody, as far as they can be told: a voice carries further. */
  #differ() {
    this.#show("mismatch");
    this.#seal(joined(Uint8Array.of(DIFFERS, this.#rounds), new Uint8Array(LENGTH)));
  }

  /** @param {CheckState["phase"]} phase @param {readonly Picture[]} pictures */
  #show(phase, pictures = []) {
    this.#phase = phase;
    this.#pictures = pictures;
    if (phase === "mismatch") this.#forget();
    this.#changed(this.state);
  }

  /** @param {() => Promise<void> | void} work */
  #inTurn(work) {
    this.#turn = this.#turn.then(work).catch(() => this.#show("mismatch")); // our own mistakes, too, end as a difference
  }
}

/**
 * Who is in, as their own keys say.
 *
 * @param {GroupState} group
 * @returns {ReadonlySet<string>}
 */
function peopleOf({ members }) {
  return new Set(members.map(personOf));
}

/**
 * @param {GroupState} group
 * @returns {string | undefined}
 */
function hostOf({ members }) {
  return members.filter(({ index }) => index === 0).map(personOf)[0];
}

/**
 * With another key, or at another seat, it is somebody else.
 *
 * @param {GroupState["members"][number]} member
 */
function personOf({ seat, key }) {
  return `${seat} ${key}`;
}
