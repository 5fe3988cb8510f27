// @ts-check
// Ties a page to its keys: makes them for a session that is end-to-end encrypted, feeds them with what the server says,
// and turns what they say into the page's state.
//
//   server ──about groups──▶ Keys ──state, messages, check──▶ the page's `apply`
//   the page's state ──open to us? who is in which slot, who inside?──▶ Peer, Keys
//
// While keys change, what the server and the worker say to each other goes before painting (painting.js).

import { NO_CHECK, promised } from "./encryption-state.js";
import { Keys, isGroupTold } from "./keys.js";
import { midsOf } from "./peer.js";
import { said } from "./talk.js";

/** @typedef {import('./chat-state.js').ChatEvent} ChatEvent */
/** @typedef {import('./encryption-state.js').KeysNow} KeysNow */
/** @typedef {import('./link-secret.js').LinkKeys} LinkKeys */
/** @typedef {import('./messages.js').ClientMessage} ClientMessage */
/** @typedef {import('./messages.js').ServerMessage} ServerMessage */

const ROOM = "room";

/** What the server says when keys change; the worker's `commit` or `ready` is what others wait for. @type {ReadonlySet<string>} */
const CHANGES = new Set(["candidate", "commit", "accepted", "group-welcome"]);

export class Sealing {
  #mayCommit;
  /** @type {import('./peer.js').Peer} */ #peer;
  /** @type {(message: ClientMessage) => void} */ #send;
  /** @type {import('./keys.js').Ask} */ #ask;
  /** @type {(event: {type: 'keys', keys: KeysNow} | ChatEvent) => void} */ #apply;
  /** @type {Pick<import('./painting.js').Painting, 'hold' | 'release'>} */ #painting;
  /** @type {Keys | null} */ #keys = null;
  /** @type {Promise<unknown>} when what we send is what may be sent */ #sent = Promise.resolve();
  #open = false;
  #written = "";

  /**
   * @param {object} options
   * @param {boolean} options.mayCommit whether this is a clinician's page, the only kind that lets people in
   * @param {import('./peer.js').Peer} options.peer
   * @param {(message: ClientMessage) => void} options.send says something to the server
   * @param {import('./keys.js').Ask} options.ask says something that is answered
   * @param {(event: {type: 'keys', keys: KeysNow} | ChatEvent) => void} options.apply
   * @param {Pick<import('./painting.js').Painting, 'hold' | 'release'>} options.painting waits while keys change
   */
  constructor({ mayCommit, peer, send, ask, apply, painting }) {
    this.#mayCommit = mayCommit;
    this.#peer = peer;
    this.#send = send;
    this.#ask = ask;
    this.#apply = apply;
    this.#painting = painting;
  }

  /** @returns {Keys | null} null in a session that is not end-to-end encrypted, and before `begin`. */
  get keys() {
    return this.#keys;
  }

  /**
   * Make this page's keys, if the session is to have any; before the first offer. Once only until `close`. Where what
   * the server says of the session and what the link brought do not go together, there is no transport at all.
   *
   * @param {object} view what the server says of the session
   * @param {{meeting: string, seat: string, label: string, link: LinkKeys | null}} me `link`: the keys of the link
   *   secret; null when this page has none
   */
  begin(view, { meeting, seat, label, link }) {
    if (this.#keys !== null) return;
    const said = promised(view);
    if (said === null || (said === "end-to-end") !== (link !== null)) {
      this.#peer.close(); // whatever there is was made for another kind of session
      return;
    }
    if (link !== null) {
      this.#keys = new Keys({
        meeting,
        me: { pid: seat, name: label },
        mayCommit: this.#mayCommit,
        keys: { psk: link.psk, kpKey: link.kpKey },
        send: (message) => this.#say(message),
        ask: this.#ask,
        onState: () => this.#changed(),
        onOpened: (group, from, payload) => this.#opened(group, from, payload),
        onMissed: (group) => this.#apply({ type: "chat-missed", group }),
      });
    }
    this.#peer.protect(this.#keys);
    if (this.#keys !== null) this.#changed();
  }

  /**
   * @param {ServerMessage} message
   * @returns {boolean} whether it was about a group, so that nobody else need look at it.
   */
  hear(message) {
    if (message.type === "welcome") this.#keys?.reconnected();
    if (this.#keys !== null && this.#changesKeys(message)) this.#painting.hold();
    if (!isGroupTold(message)) return false;
    this.#keys?.receive(message);
    return true;
  }

  /**
   * What the page's state asks for.
   *
   * @param {boolean} open this page is in the room
   * @param {readonly {seat: string, slot: number}[]} others who is in which slot
   * @param {readonly string[] | null} inside whom of them the page shows as in the room; null while nobody can be
   */
  follow(open, others, inside) {
    this.#open = open;
    this.#letOut();
    const slots = others.map(({ seat, slot }) => ({ seat, mids: Object.values(midsOf(slot)) }));
    const seats = open && inside !== null ? [...inside] : null;
    const written = JSON.stringify([slots, seats]);
    if (this.#keys === null || written === this.#written) return;
    this.#written = written;
    this.#keys.expect(slots);
    this.#keys.inside(seats);
  }

  /** End the keys; they are gone with it. May be called twice. */
  close() {
    this.#keys?.close();
    this.#keys = null;
    this.#written = "";
  }

  /** @param {ServerMessage} message */
  #changesKeys(message) {
    if (message.type === "place") return message.state === "admitted" && this.#keys?.sends === false; // they follow
    return CHANGES.has(message.type) && "group" in message && message.group === ROOM;
  }

  /** @param {ClientMessage} message */
  #say(message) {
    this.#send(message);
    if ((message.type !== "commit" && message.type !== "ready") || message.group !== ROOM) return;
    // Who commits has time until the newcomer's picture comes; the others wait for ours. What cannot be sent is told
    // elsewhere.
    const release = () => this.#painting.release();
    void this.#sent.then(release, release);
  }

  /** Let the real tracks out as soon as they may be, and not a moment longer. */
  #letOut() {
    this.#sent = Promise.all([this.#sent.catch(() => undefined), this.#peer.setOpen(this.#open && this.#keys?.sends === true)]);
  }

  #changed() {
    const keys = this.#keys;
    if (keys === null) return;
    this.#letOut();
    this.#apply({ type: "keys", keys: viewOf(keys) });
  }

  /**
   * @param {string} group
   * @param {string} seat
   * @param {Uint8Array} payload
   */
  #opened(group, seat, payload) {
    const event = this.#keys && said(viewOf(this.#keys), group, seat, payload);
    if (event) this.#apply(event);
  }
}

/**
 * @param {Keys} keys
 * @returns {KeysNow}
 */
function viewOf({ state, sends, pairs, check, unopened }) {
  const unheard = state.phase === "secured" && !sends;
  return { ...state, unheard, pairs, unopened, check: { ...NO_CHECK, ...check } };
}
