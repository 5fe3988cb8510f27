// Pages in a session, each with the real key ring, and a delivery service between them: honest unless a test meddles.

import { Opener, Sealer } from "../../static/js/frames.js";
import { GroupSession } from "../../static/js/group-session.js";
import { drawSigner } from "../../static/js/group-suite.js";
import { KeyRing } from "../../static/js/key-ring.js";
import { checkPayload, readPayload } from "../../static/js/payloads.js";
import { SpokenCheck } from "../../static/js/spoken-check.js";
import { HOST, KEYS, guest } from "./group-kit.mjs";

export const MEETING = "7k2mabcd";

/** Time that passes only when a test says so. */
export class Clock {
  now = 0;
  /** @type {{at: number, callback: () => void}[]} */ #timers = [];
  timers = {
    set: (callback, milliseconds) => {
      const timer = { at: this.now + milliseconds, callback };
      this.#timers.push(timer);
      return timer;
    },
    clear: (timer) => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    },
  };

  get waiting() {
    return this.#timers.length;
  }

  advance(milliseconds) {
    const until = this.now + milliseconds;
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.timers.clear(next);
      this.now = next.at;
      next.callback();
    }
    this.now = until;
  }
}

/** One page: its keys, what it was shown, and frames to try them with. */
export class Page {
  /** @type {import("../../static/js/group-session.js").GroupState[]} */ states = [];
  /** @type {boolean[]} whether the spoken check held, after each state */ verdicts = [];
  /** @type {{seat: string, text: string, epoch: number}[]} */ heard = [];
  missed = 0;
  ring = new KeyRing(() => this.world.clock.now);

  check = new SpokenCheck({
    seal: (message) => void this.session.seal(checkPayload(message)),
    changed: () => {},
  });

  constructor(world, seat, { keys = KEYS, name, group, ring = true, signer = drawSigner() } = {}) {
    this.world = world;
    this.seat = seat;
    this.signer = signer;
    this.session = new GroupSession({
      meeting: MEETING,
      group,
      mayCommit: seat === HOST.pid || seat === "U",
      me: seat === HOST.pid ? HOST : { ...guest(seat), ...(name ? { name } : {}) },
      keys,
      signer,
      ring: ring ? this.ring : null,
      send: (message) => world.fromPage(this, message),
      changed: (state) => {
        this.states.push(state);
        this.check.follow(state, this.session.epochAuthenticator);
        this.verdicts.push(this.check.state.verified);
      },
      opened: (from, payload, epoch) => {
        const read = readPayload(payload);
        if (read?.kind === "check") this.check.take(from, read.message, epoch);
        else this.heard.push({ seat: from, text: new TextDecoder().decode(payload), epoch });
      },
      missed: () => (this.missed += 1),
      now: () => world.clock.now,
      timers: world.clock.timers,
    });
  }

  get state() {
    return this.session.state;
  }

  /** A frame of this page as it leaves. */
  async frame() {
    const frame = { data: new TextEncoder().encode(`picture of ${this.seat}`).buffer, type: "delta" };
    await new Sealer(this.ring, "camera").pass(frame);
    return frame.data;
  }

  /** What this page sees of a frame that is said to be of `seat`. */
  async sees(data, seat) {
    const frame = { data: data.slice(0), type: "delta" };
    const isOpen = await new Opener(this.ring, "camera", () => seat).pass(frame);
    return isOpen ? new TextDecoder().decode(frame.data) : null;
  }
}

/** The delivery service, and the session's state that it follows. */
export class World {
  clock = new Clock();
  /** @type {Map<string, Page>} */ pages = new Map();
  /** @type {Map<string, object>} key packages of those who are not in */ offers = new Map();
  admitted = new Set();
  members = new Set();
  committer = null;
  epoch = 0;
  generation = "";
  #generations = 0;
  #moved = 0;
  /** Everything that pages sent, with who did. */
  log = [];
  /** What a test does to a message on its way to a page: return what arrives instead, as a list. */
  meddle = (_to, message) => [message];
  /** What a test does to a message of a page: return false to lose it. */
  hears = (_from, _message) => true;

  constructor(group = "room") {
    this.group = group;
  }

  page(seat, settings = {}) {
    const page = new Page(this, seat, { group: this.group, ...settings });
    this.pages.set(seat, page);
    return page;
  }

  tell(seat, message) {
    const page = this.pages.get(seat);
    if (!page) return;
    for (const each of this.meddle(seat, { group: this.group, generation: this.generation, ...message })) {
      this.#moved += 1;
      page.session.receive(each);
    }
  }

  /** A clinician's page makes the group; everybody who was in is to be put in anew. */
  host(seat = HOST.pid) {
    this.#generations += 1;
    this.generation = this.#generations.toString(16).padStart(16, "0");
    this.committer = seat;
    this.epoch = 0;
    this.members = new Set([seat]);
    this.offers.clear();
    this.admitted.delete(seat);
    this.#view();
    this.tell(seat, { type: "group", role: "host" });
    for (const other of this.pages.keys()) if (other !== seat) this.tell(other, { type: "group", role: "guest" });
  }

  /** Everybody reads who is in the room with them. */
  #view() {
    const inside = [this.committer, ...this.admitted];
    for (const [seat, page] of this.pages) page.session.inside(inside.includes(seat) ? inside.filter((other) => other !== seat) : null);
  }

  knock(seat) {
    this.#view();
    this.tell(seat, { type: "group", role: "guest" });
  }

  admit(seat) {
    this.admitted.add(seat);
    this.#view();
    this.#offer(seat);
  }

  /** Out at once, as far as the server goes; the committer is told. */
  out(seat, { told = true } = {}) {
    this.admitted.delete(seat);
    this.members.delete(seat);
    this.#view();
    if (told) this.tell(this.committer, { type: "drop", seats: [seat] });
  }

  #offer(seat) {
    const offer = this.offers.get(seat);
    if (!offer || !this.admitted.has(seat) || this.committer === null) return;
    this.offers.delete(seat);
    this.tell(this.committer, { type: "candidate", seat, ...offer });
  }

  fromPage(page, message) {
    const { seat } = page;
    if (this.pages.get(seat) !== page) return;
    this.#moved += 1;
    this.log.push({ seat, ...message });
    if (!this.hears(seat, message) || message.generation !== this.generation) return;
    if (message.type === "key-package") {
      this.offers.set(seat, { "key-package": message["key-package"], tag: message.tag });
      this.#offer(seat);
    } else if (message.type === "commit") this.#commit(seat, message);
    else if (message.type === "resync") {
      if (seat === this.committer) this.host(seat);
      else this.tell(seat, { type: "group", role: "guest" });
    } else if ((message.type === "ready" || message.type === "sealed") && this.members.has(seat)) {
      for (const other of this.members) if (other !== seat) this.tell(other, { ...message, seat });
    }
  }

  #commit(seat, { epoch, commit, welcome, adds, removes }) {
    if (seat !== this.committer || epoch !== this.epoch) return this.tell(seat, { type: "commit-refused", epoch: this.epoch });
    this.epoch += 1;
    for (const gone of removes) this.members.delete(gone);
    const stay = [...this.members].filter((each) => each !== seat);
    for (const added of adds) if (this.admitted.has(added)) this.members.add(added);
    this.tell(seat, { type: "accepted", epoch: this.epoch });
    for (const each of stay) this.tell(each, { type: "commit", epoch: this.epoch, commit });
    for (const added of adds) if (this.members.has(added)) this.tell(added, { type: "group-welcome", epoch: this.epoch, welcome });
  }

  /** Until nobody has anything left to do. */
  async settle() {
    for (;;) {
      const before = this.#moved;
      await Promise.all([...this.pages.values()].map((page) => page.session.idle()));
      await new Promise((done) => setImmediate(done));
      if (this.#moved === before) return;
    }
  }

  /** A host and these guests, all in, everybody sending in the epoch that stands. */
  static async of(...seats) {
    const world = new World();
    world.page(HOST.pid);
    for (const seat of seats) world.page(seat);
    world.host();
    await world.settle();
    for (const seat of seats) world.admit(seat);
    await world.settle();
    return world;
  }

  /** Who sees whose frames now, as `A sees B` would be `A<B`; sorted. */
  async sights(...seats) {
    const pages = (seats.length > 0 ? seats : [...this.pages.keys()]).map((seat) => this.pages.get(seat));
    const seen = [];
    for (const from of pages) {
      const data = await from.frame();
      for (const to of pages) {
        if (to !== from && (await to.sees(data, from.seat)) === `picture of ${from.seat}`) seen.push(`${to.seat}<${from.seat}`);
      }
    }
    return seen.sort().join(" ");
  }
}
