// @ts-check
// One group between the server's messages, its MLS state and the keys of frames: the room's, or that of a pair.
//
//            ┌──group (host)──▶ alone in epoch 0 ──candidate, drop, 10 min──▶ commit ──accepted──▶ next epoch ─┐
//   none ────┤                                            └──refused: as before, and again─────────────────────┘
//            └──group (guest)─▶ key package sent ──welcome──▶ in ──commit──▶ next epoch … taken out ──▶ none
//
//   an error of MLS ──▶ nothing is sent, `resync` ──group──▶ put in anew with fresh keys; the third in 60 s ──▶ failed
//   another generation ──▶ the former one is sent on until all who are in it are in the other (former-group.js)
//
// What the server says is bounded, done one after the other, and trusted with nothing but order: who is in, under which
// name and with which key comes from the group itself. No DOM; clock and timers are given. Runs in the keys' worker.

import { Committer } from "./committer.js";
import { EpochSwitch } from "./epoch-switch.js";
import { FormerGroup } from "./former-group.js";
import { openGroup, prepare } from "./group-entry.js";
import { GroupError } from "./group-policy.js";
import { GroupWire, bytesOf } from "./group-wire.js";
import { GuestList } from "./guest-list.js";
import { digitOf, isGeneration } from "./key-ring.js";

/** @typedef {import("./former-group.js").Life} Life */
/** @typedef {import("./key-ring.js").KeyRing} KeyRing */
/** @typedef {import("./epoch-switch.js").Timers} Timers */
/** @typedef {import("./group-policy.js").GroupErrorCode} GroupErrorCode */
/** @typedef {import("./group-policy.js").Member} Member */
/** @typedef {import("./group.js").Group} Group */
/** @typedef {import("./group.js").LinkSecrets} LinkSecrets */
/** @typedef {import("./group-suite.js").Signer} Signer */
/** @typedef {import("./group-entry.js").Newcomer} Newcomer */
/** @typedef {import("./messages.js").ClientMessage} ClientMessage */
/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
/** @typedef {Extract<ServerMessage, {generation: string}>} GroupMessage */

/** @typedef {GroupErrorCode | 'no-key' | 'flooded' | 'refused'} FailureCode */

/**
 * @typedef {object} GroupState what a page shows; a new object each time something changes
 * @property {'none' | 'securing' | 'secured' | 'failed'} phase `secured`: we are in, and what is sealed can be opened by all
 *   who are in and by nobody else
 * @property {string | null} generation of the group we are in, or are to be in; the former one while that is sent on
 * @property {boolean} committer
 * @property {number | null} epoch the one we are in
 * @property {number | null} sending the one frames are sealed in
 * @property {number | null} index our own leaf
 * @property {readonly {seat: string, name: string, index: number, key: string}[]} members ourselves too, named as their own
 *   pages do; `key`: of their signatures, the same in every generation for as long as the page lives
 * @property {readonly {seat: string, code: GroupErrorCode}[]} refused whom we could not add: `tag` says that their link is
 *   not of this session
 * @property {readonly string[]} unseen members whom the page has not shown as in the room for some time
 * @property {{generation: string, epoch: number} | null} kept what to tell the server, after a reconnect, that we are in
 * @property {FailureCode | null} failure why nothing goes on, in phase `failed`
 */

/**
 * @typedef {object} GroupSessionSettings
 * @property {string} meeting
 * @property {string} [group] `room`, or the waiting seat of a pair
 * @property {{pid: string, name: string}} me our seat code, and the name others see
 * @property {boolean} mayCommit whether this is a clinician's page; no other lets people in, whatever the server says
 * @property {LinkSecrets} keys
 * @property {Promise<Signer>} signer of this page, for all its groups
 * @property {KeyRing | null} ring null for a pair, which has no frames
 * @property {(message: ClientMessage) => void} send
 * @property {(state: GroupState) => void} changed
 * @property {(seat: string, payload: Uint8Array, epoch: number) => void} opened something sealed; `seat`: whose signature it
 *   bears; `epoch`: the one it was sealed in
 * @property {() => void} [newcomers] somebody can open our frames who could not open those before
 * @property {() => void} [missed] something was sealed for members whose epoch we have not
 * @property {() => number} now milliseconds that never go back
 * @property {Timers} timers
 */

const ROOM = "room";
const PATIENCE = 60_000; // ms within which
const ATTEMPTS = 3; // so many errors are the end
const MAX_WAITING = 256; // messages that have not been handled yet

export class GroupSession {
  #settings;
  #name;
  #wire;
  /** @type {Promise<void>} */ #turn = Promise.resolve();
  #waiting = 0;
  #closed = false;

  /** @type {{generation: string, role: 'host' | 'guest'} | null} what the server last told us to be */ #told = null;
  /** @type {Life | null} */ #in = null;
  /** @type {FormerGroup | null} */ #former = null;
  #guests;
  #isHushed = false; // nothing is sent, because somebody whom we put out is in still
  #mayRepeat = false; // the server says again in which epoch it is, after a reconnect
  /** @type {Newcomer | null} */ #newcomer = null;
  /** @type {Committer | null} */ #committer = null;
  #isLost = false; // the group we are in, if any, is of no use
  #hasAsked = false; // for fresh keys
  /** @type {FailureCode | null} */ #failure = null;
  /** @type {number[]} times of errors */ #troubles = [];
  #said = "";

  /** @param {GroupSessionSettings} settings */
  constructor(settings) {
    this.#settings = settings;
    this.#name = settings.group ?? ROOM;
    this.#wire = new GroupWire(this.#name, (message) => {
      if (!this.#isOver) settings.send(message);
    });
    this.#guests = new GuestList({ timers: settings.timers, overdue: (seat) => this.#expel(seat) });
    this.#said = JSON.stringify(this.state);
  }

  /** @returns {GroupState} */
  get state() {
    const shown = this.#shown;
    const group = shown?.group;
    const phase = this.#failure ? "failed" : !this.#told ? "none" : !group || this.#isLost ? "securing" : "secured";
    return {
      phase,
      generation: shown?.generation ?? this.#told?.generation ?? null,
      committer: this.#committer !== null,
      epoch: group?.epoch ?? null,
      sending: shown?.epochs.sending ?? null,
      index: group?.index ?? null,
      members: (group?.members ?? []).map(({ pid, name, index, key }) => ({ seat: pid, name, index, key })),
      refused: this.#committer?.refused ?? [],
      unseen: this.#guests.unseen,
      kept: this.#in && !this.#isLost ? { generation: this.#in.generation, epoch: this.#in.group.epoch } : null,
      failure: this.#failure,
    };
  }

  /** @returns {Life | null} the generation that is sent on, or is to be. */
  get #shown() {
    return this.#former?.life ?? this.#in;
  }

  /** @returns {Uint8Array | null} what only those in this epoch have, for the spoken check; null while we are in none. */
  get epochAuthenticator() {
    return this.#isLost ? null : (this.#shown?.group.epochAuthenticator ?? null);
  }

  /**
   * A message of the server about this group.
   *
   * @param {GroupMessage} message
   */
  receive(message) {
    if (this.#waiting >= MAX_WAITING) return this.#fail("flooded");
    this.#inTurn(() => this.#handle(message));
  }

  /**
   * A clinician puts these out, and does not wait for the server. Where somebody else commits, nothing is sent until they
   * are out.
   *
   * @param {string[]} seats
   */
  remove(seats) {
    this.#inTurn(async () => {
      this.#guests.putOut(seats);
      this.#former?.without(seats);
      if (this.#in && this.#shuns(this.#in.group)) this.#hush(this.#in.epochs);
      if (!this.#isLost) await this.#committer?.drop(seats);
    });
  }

  /**
   * A clinician lets these in.
   *
   * @param {readonly string[]} seats
   */
  admit(seats) {
    this.#inTurn(() => {
      this.#guests.admit(seats);
      return this.#look();
    });
  }

  /**
   * The server has refused to put these out, and the page says so.
   *
   * @param {readonly string[]} seats
   */
  keep(seats) {
    this.#inTurn(() => {
      this.#guests.keep(seats);
      return this.#look();
    });
  }

  /**
   * Whom the page shows as in the room: nobody else is put in or stays in, and only as long as it is the same people may
   * a former generation be sent on.
   *
   * @param {readonly string[] | null} seats without us; null while we are not in the room
   */
  inside(seats) {
    this.#inTurn(() => {
      this.#guests.show(seats);
      this.#former?.without(this.#former.others.filter((seat) => !this.#guests.shown?.has(seat)));
      return this.#look();
    });
  }

  /** There is another connection to the server, which says again what we may have missed. */
  reconnected() {
    this.#inTurn(() => {
      this.#mayRepeat = true;
    });
  }

  /** @returns {Promise<void>} when no generation is taking the place of another; in 5 s at most. */
  async settled() {
    await this.#turn;
    await this.#former?.over;
  }

  /**
   * Seal something for the others and send it.
   *
   * @param {Uint8Array} payload at most 6144 bytes
   * @param {number} [id] under which the server is to say what became of it
   * @returns {Promise<void>} when it is handed over
   * @throws {GroupError} `closed` while we are in no group, or not all of us are
   */
  async seal(payload, id) {
    const current = this.#isLost || this.#failure || this.#former?.life ? null : this.#in;
    if (!current) throw new GroupError("closed", "There is no group to seal for.");
    this.#wire.sealed(current.generation, await current.group.seal(payload), id);
  }

  /** Nothing of what the others send can be opened for long: be put in anew. Of the host nothing is asked. */
  resync() {
    this.#inTurn(async () => {
      if (this.#in && !this.#committer) this.#lose("no-key");
    });
  }

  /** @returns {Promise<void>} when everything that has arrived so far is done. */
  idle() {
    return this.#turn;
  }

  /** Be in no group any more; may be called twice. */
  close() {
    this.#closed = true;
    this.#leave();
    this.#guests.close();
  }

  /** @param {GroupMessage} message */
  async #handle(message) {
    if (message.type === "group") return this.#begin(message);
    if (message.type === "group-welcome") return this.#join(message);
    if (!this.#in || message.generation !== this.#in.generation || this.#isLost) return;
    if (message.type === "sealed") return this.#open(message);
    if (message.type === "ready") return this.#in.epochs.ready(message.epoch, message.seat);
    if (message.type === "commit") return this.#apply(message);
    const committer = this.#committer;
    if (!committer) return;
    if (message.type === "candidate") {
      const { seat, tag, "key-package": keyPackage } = message;
      const offer = () => ({ keyPackage: bytesOf(keyPackage, "key-package"), tag: bytesOf(tag, "tag") });
      return committer.candidate(seat, offer);
    }
    if (message.type === "drop") {
      this.#former?.without(message.seats);
      return committer.drop(message.seats);
    }
    if (message.type === "accepted") return this.#accepted(committer, message.epoch);
    if (message.type === "commit-refused" && (await committer.discarded(message.epoch)) && this.#isTooMuch()) {
      this.#fail("refused");
    }
  }

  /**
   * @param {Committer} committer
   * @param {number} epoch
   */
  async #accepted(committer, epoch) {
    const mayRepeat = this.#mayRepeat;
    this.#mayRepeat = false;
    const became = await committer.accepted(epoch);
    if (became === "next") this.#sayReady();
    // Each commit that is made again is one more in the same epoch, and a server could have any number of them.
    if (became === "again" && !mayRepeat && this.#isTooMuch()) this.#fail("refused");
  }

  /** @param {import("./messages.js").Group} message */
  async #begin({ generation, role }) {
    const { meeting, me, keys, mayCommit } = this.#settings;
    if (role === "host" && !mayCommit) throw new GroupError("policy", "Only a clinician's page lets people in.");
    if (role === "guest" && !this.#isRoom && this.#name !== me.pid) throw new GroupError("policy", "Not our pair.");
    if (role === "host" && this.#in?.generation === generation && !this.#isLost) return; // said again after a reconnect
    if (!isGeneration(generation)) throw new GroupError("malformed", "Not the name of a generation.");
    if (this.#mayGoOn(generation)) this.#retire();
    else this.#leave();
    const id = this.#isRoom ? `${meeting}/${generation}` : `${meeting}/${generation}/${this.#name}`;
    this.#told = { generation, role };
    this.#newcomer = null;
    this.#hasAsked = false;
    const signer = await this.#settings.signer;
    if (role === "host") {
      const group = await openGroup({ id, me, keys, signer });
      if (this.#isOver) return;
      const { epochs } = await this.#live(group, generation);
      this.#committer = new Committer({
        group,
        me: me.pid,
        epochs,
        allows: (seat) => (this.#isRoom ? this.#guests.allows(seat) : seat === this.#name),
        enter: (atOnce) => this.#enter(group, atOnce),
        timers: this.#settings.timers,
        inTurn: (work) => this.#inTurn(work),
        send: (made) => this.#wire.commit(generation, made),
      });
      return;
    }
    this.#newcomer = await prepare({ id, me, keys, signer });
    this.#wire.keyPackage(generation, this.#newcomer.offer);
  }

  /** @param {import("./messages.js").GroupWelcome} message */
  async #join({ generation, welcome }) {
    if (!this.#newcomer || this.#told?.generation !== generation) return;
    let group;
    try {
      group = await this.#newcomer.join(bytesOf(welcome, "welcome"));
    } catch (error) {
      // We were asked again while it was made; the one for our latest key package follows.
      if (error instanceof GroupError && error.code === "other-key") return;
      throw error;
    }
    if (this.#isOver) return;
    this.#fits(group);
    this.#newcomer = null;
    this.#isLost = false;
    await this.#live(group, generation);
    this.#sayReady();
  }

  /** @param {import("./messages.js").GroupCommit} message */
  async #apply({ epoch, commit }) {
    const { group } = this.#place();
    if (this.#committer) throw new GroupError("policy", "Nobody commits but us.");
    if (epoch <= group.epoch) return; // twice, or from before we joined
    if (epoch !== group.epoch + 1) throw new GroupError("epoch", "Commits are missing.");
    const { removed, left } = await group.apply(bytesOf(commit, "commit"));
    if (removed) {
      this.#leave();
      this.#told = null;
      return;
    }
    this.#fits(group);
    this.#former?.without(left);
    await this.#enter(group, left.length > 0);
    this.#sayReady();
  }

  /**
   * Whether what is sent on may be sent on until the next generation is.
   *
   * @param {string} next generation
   */
  #mayGoOn(next) {
    const life = this.#former?.life ?? this.#in;
    if (!this.#settings.ring || !life || this.#isLost || this.#committer?.takesOut) return false;
    // Asked again in the same one, a guest was out of it, and has no part in what it was in before.
    if (this.#in?.generation === next || digitOf(life.generation) === digitOf(next)) return false;
    return life.epochs.sending !== null && life.epochs.others.every((seat) => this.#guests.shown?.has(seat));
  }

  /** Be in no generation, and go on a little longer with the one that is sent on. */
  #retire() {
    const life = this.#in;
    this.#committer?.close();
    this.#in = this.#committer = null;
    if (!life) return;
    if (this.#former?.life) {
      // This one was never sent on. What was before it has its own time, and gets no more.
      void life.group.close();
      return life.epochs.clear();
    }
    this.#former?.forget();
    this.#former = new FormerGroup(life, this.#settings.timers, () => {
      this.#in?.epochs.release();
      this.#show();
    });
  }

  /**
   * Be in this group.
   *
   * @param {Group} group
   * @param {string} generation
   */
  async #live(group, generation) {
    const { ring, timers } = this.#settings;
    const epochs = new EpochSwitch({
      ring: ring?.generation(generation) ?? null,
      timers,
      switched: () => {
        if (epochs.sending !== null && this.#shuns(group)) return this.#hush(epochs);
        if (epochs.sending !== null) this.#isHushed = false;
        if (epochs === this.#in?.epochs && epochs.sending !== null) this.#former?.stop();
        this.#show();
      },
      forgotten: () => void group.forgetEarlier().catch(() => {}),
      newcomers: () => this.#settings.newcomers?.(),
    });
    this.#in = { group, generation, epochs };
    if (this.#former?.life) epochs.waitFor(this.#former.others);
    await this.#enter(group, true);
    return this.#in;
  }

  /**
   * @param {Group} group whose epoch is another than before
   * @param {boolean} atOnce
   */
  async #enter(group, atOnce) {
    const key = await group.epochKey();
    if (this.#in?.group === group) this.#in.epochs.enter(key, { index: group.index, atOnce });
  }

  get #isRoom() {
    return this.#name === ROOM;
  }

  /**
   * A pair is the host and one seat, and nobody else.
   *
   * @param {Group} group that we are in
   * @throws {GroupError} `policy`
   */
  #fits({ members }) {
    if (this.#isRoom || members.every(({ pid, index }) => index === 0 || pid === this.#name)) return;
    throw new GroupError("policy", "Somebody else is in the pair.");
  }

  /**
   * Whether somebody is in whom this page has put out, and whom another page has to take out.
   *
   * @param {Group} group
   */
  #shuns({ members }) {
    return this.#committer === null && members.some(({ pid }) => this.#guests.isOut(pid));
  }

  /** @param {EpochSwitch} epochs that nothing is sent on before `#look` finds nobody there who is to be out */
  #hush(epochs) {
    this.#isHushed = true;
    epochs.stop();
  }

  /** Others may be in now than before. */
  async #look() {
    if (this.#isHushed && this.#in && !this.#shuns(this.#in.group)) {
      this.#isHushed = false;
      this.#in.epochs.again();
    }
    if (!this.#isLost) await this.#committer?.look();
  }

  /**
   * Somebody is in whom the page does not show: if it is ours to do, put them out.
   *
   * @param {string} seat
   */
  #expel(seat) {
    this.#inTurn(async () => {
      if (!this.#guests.unseen.includes(seat)) return;
      this.#former?.without([seat]);
      if (!this.#isLost) await this.#committer?.drop([seat]);
    });
  }

  /** @param {import("./messages.js").Sealed} message */
  async #open({ message }) {
    const { group } = this.#place();
    let opened;
    try {
      opened = await group.open(bytesOf(message, "sealed"));
    } catch (error) {
      // One message that does not open breaks nothing: it may be a late or a double one.
      if (!(error instanceof GroupError)) throw error;
      if (error.code === "epoch") this.#settings.missed?.();
      return;
    }
    this.#former?.stop(); // who seals in this generation sends in it
    this.#settings.opened(opened.from.pid, opened.payload, opened.epoch);
  }

  #sayReady() {
    const { group, generation } = this.#place();
    this.#wire.ready(generation, group.epoch);
  }

  /** @returns {Life} the group we are in; asked only where that is known. */
  #place() {
    if (!this.#in) throw new GroupError("closed", "There is no group.");
    return this.#in;
  }

  /** @returns {boolean} whether we are to be in no group any more; things that take their time ask before they go on. */
  get #isOver() {
    return this.#closed || this.#failure !== null;
  }

  /**
   * Our keys are of no use: send nothing and ask for fresh ones.
   *
   * @param {FailureCode} code
   */
  #lose(code) {
    if (this.#isOver || this.#hasAsked || !this.#told) return;
    if (this.#isTooMuch()) return this.#fail(code);
    this.#isLost = this.#hasAsked = true;
    this.#newcomer = null;
    this.#in?.epochs.clear();
    this.#forgetFormer();
    this.#committer?.close();
    this.#wire.resync(this.#told.generation);
  }

  /** @returns {boolean} whether this was one error too many. */
  #isTooMuch() {
    const now = this.#settings.now();
    this.#troubles = [...this.#troubles.filter((time) => now - time < PATIENCE), now];
    return this.#troubles.length >= ATTEMPTS;
  }

  /** @param {FailureCode} code */
  #fail(code) {
    this.#failure ??= code;
    this.#leave();
    this.#show();
  }

  /** Be in no group; forget what was to be done in it. */
  #leave() {
    this.#committer?.close();
    void this.#in?.group.close();
    this.#in?.epochs.clear();
    this.#in = this.#newcomer = this.#committer = null;
    this.#isLost = false;
    this.#isHushed = false;
    this.#forgetFormer();
  }

  #forgetFormer() {
    this.#former?.forget();
    this.#former = null;
  }

  #show() {
    if (this.#closed) return;
    if (this.#isRoom) {
      const me = this.#settings.me.pid;
      this.#guests.follow((this.#shown?.group.members ?? []).flatMap(({ pid }) => (pid === me ? [] : [pid])));
    }
    const { state } = this;
    const said = JSON.stringify(state);
    if (said === this.#said) return;
    this.#said = said;
    this.#settings.changed(state);
  }

  /** @param {() => Promise<void> | void} work */
  #inTurn(work) {
    this.#waiting += 1;
    this.#turn = this.#turn.then(async () => {
      this.#waiting -= 1;
      if (this.#isOver) return;
      try {
        await work();
      } catch (error) {
        // Our own mistakes end as those of others do: closed.
        this.#lose(error instanceof GroupError ? error.code : "crypto");
      }
      this.#show();
    });
  }
}
