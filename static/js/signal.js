// @ts-check
// The signaling connection of one page: a WebSocket that comes back by itself.
//
//   idle ──start──▶ connecting ──welcome──▶ open ──closed──▶ lost ──welcome──▶ open
//                                            ├──bye moved──▶ moving ──welcome──▶ open, or too late: lost
//                                            └── bye with a final code ──▶ idle
//
// Each connection is opened with a fresh single-use ticket and begins with `hello`. The server then shows the
// page its whole view, so nothing is replayed. A server that comes back is found within half a second plus one
// attempt; one that was away for longer, within 2 s. A room that moves to another worker is no loss: sound and
// picture go on meanwhile.

import { ApiError } from "./api.js";
import { COMES_BACK, PROTOCOL } from "./protocol.js";

/** @typedef {import('./messages.js').ServerMessage} ServerMessage */
/** @typedef {import('./messages.js').ClientMessage} ClientMessage */

/** @typedef {'idle' | 'connecting' | 'open' | 'moving' | 'lost'} LineState */
/** @typedef {{code: string | null, text: string | null}} Outcome */

/**
 * A client message without its `id`, which `ask` adds.
 * @typedef {{type: 'knock' | 'enter'} | {type: 'leave', quickly?: boolean}
 *   | {type: 'act', action: string, seats?: readonly string[], reason?: string}
 *   | {type: 'sealed', group: string, generation: string, message: string}} Request
 */

const FIRST_DELAY = 100; // ms: a room that moved to another worker is there already
const LONGEST_DELAY = 500; // ms: a page is to be back, with media, within 5 s of the server's return
const QUICK = 20; // attempts, in the seconds that a restart takes; then the server is asked less often
const LATER_DELAY = 2_000; // ms
const MOVED_WITHIN = 3_000; // ms a move may take before the page says that the connection is lost
const ATTEMPT_LIMIT = 4_000; // ms for the first attempt to reach `welcome`
const NO_TICKET = 700; // ms without a ticket, in doubt, until another is asked for over another connection
const NO_WORD = 700; // ms in which the server says something, if it is to be expected
const AT_ONCE = 200; // ms in which it usually does; then a ticket is asked for, in case that it does not
const SELDOM = 60_000; // ms until one is again, if it did: each ticket is put on record
const ATTEMPT_MORE = 2_000; // ms more for each further one: a server under load must not be asked in vain
const LONGEST_ATTEMPT = 10_000; // ms
const REPLY_LIMIT = 5_000; // ms
const INSIST_LIMIT = 15_000; // ms for a request that is repeated: nobody expects an older one to be carried out
const STEADY = 2_000; // ms a connection must have lasted for the delays to start over

/** @type {ReadonlySet<string>} */
const MAY_COME_BACK = new Set(COMES_BACK);

/**
 * How long to wait before an attempt: doubled each time, capped, and spread over its upper half, so that the
 * pages of a restarted server do not all come in the same instant. Pure.
 *
 * @param {number} attempt 0 for the first after a loss
 * @param {number} random from 0 up to 1
 * @returns {number} milliseconds
 */
export function delayBefore(attempt, random) {
  const longest = attempt < QUICK ? Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** attempt) : LATER_DELAY;
  return longest * (0.5 + random / 2);
}

/**
 * The world a connection lives in; tests hand in their own.
 *
 * @typedef {object} World
 * @property {(url: string, protocols: string[]) => WebSocket} connect
 * @property {(action: () => void, milliseconds: number) => number} later
 * @property {(timer: number) => void} cancel
 * @property {() => number} now milliseconds, never decreasing
 * @property {() => number} random from 0 up to 1
 */

/** @returns {World} */
function browserWorld() {
  return {
    connect: (url, protocols) => new WebSocket(url, protocols),
    later: (action, milliseconds) => window.setTimeout(action, milliseconds),
    cancel: (timer) => window.clearTimeout(timer),
    now: () => performance.now(),
    random: Math.random,
  };
}

export class Signal {
  /** @type {string} */ #url;
  /** @type {() => Promise<string>} */ #ticket;
  /** @type {() => Promise<boolean>} */ #mediaKept;
  /** @type {() => {generation: string, epoch: number} | null} */ #groupKept;
  /** @type {(message: ServerMessage) => void} */ #onMessage;
  /** @type {(line: LineState) => void} */ #onLine;
  /** @type {(end: {code: string, text: string}) => void} */ #onEnd;
  /** @type {World} */ #world;
  /** @type {LineState} */ #line = "idle";
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {number | null} */ #retry = null;
  /** @type {number | null} */ #deadline = null;
  /** @type {number | null} */ #tooLate = null;
  /** @type {number | null} */ #expected = null;
  #preparing = 0; // timer, while something is expected
  #vainUntil = 0; // when a server that was only slow may be asked for a ticket again while it is expected to answer
  /** @type {{ticket: Promise<string>} | null} the ticket that is being asked for; it may outlive a connection */
  #request = null;
  #suspected = false; // the last connection was given up unheard
  #attempt = 0;
  #turn = 0; // counts connections: whatever belongs to an earlier one is ignored
  #openSince = 0;
  #nextId = 1;
  /** @type {Map<number, (outcome: Outcome) => void>} */ #asked = new Map();
  /** @type {Set<(open: boolean) => void>} */ #waiting = new Set(); // for the connection to be open, or over

  /**
   * @param {object} options
   * @param {string} options.url of the WebSocket
   * @param {() => Promise<string>} options.ticket fetches a fresh ticket; an ApiError that is `final` ends it
   * @param {() => Promise<boolean>} options.mediaKept looks whether a transport from before still carries
   * @param {() => {generation: string, epoch: number} | null} [options.groupKept] where in the room's group this page
   *   is; null when it is in none
   * @param {(message: ServerMessage) => void} options.onMessage fires for each message of the server except
   *   `reply` and `bye`, in order
   * @param {(line: LineState) => void} options.onLine fires when the connection's state changed
   * @param {(end: {code: string, text: string}) => void} options.onEnd fires once, when there will be no
   *   further attempt and `stop` was not called
   * @param {World} [options.world]
   */
  constructor({ url, ticket, mediaKept, groupKept = () => null, onMessage, onLine, onEnd, world = browserWorld() }) {
    this.#url = url;
    this.#ticket = ticket;
    this.#mediaKept = mediaKept;
    this.#groupKept = groupKept;
    this.#onMessage = onMessage;
    this.#onLine = onLine;
    this.#onEnd = onEnd;
    this.#world = world;
  }

  /** @returns {LineState} */
  get line() {
    return this.#line;
  }

  /** Begin; does nothing when begun. */
  start() {
    if (this.#line !== "idle") return;
    this.#attempt = 0;
    this.#set("connecting");
    void this.#connect();
  }

  /** End without a word to the server. May be called twice. */
  stop() {
    this.#drop();
    this.#set("idle");
  }

  /** The network or the page came back: if an attempt is due later, make it now. */
  wake() {
    this.#attempt = 0; // an attempt under way, begun without a network, must not be followed by a long wait
    if (this.#retry === null) return;
    this.#world.cancel(this.#retry);
    this.#retry = null;
    void this.#connect();
  }

  /** The network went away: give this connection up at once instead of waiting for it to time out. */
  suspect() {
    if (this.#line !== "open") return;
    this.#suspected = true;
    const prepared = this.#request;
    this.#lost();
    this.#request = prepared;
  }

  /** The server should answer what was just sent, and nothing else comes from it: unless it says something, suspect. */
  expect() {
    if (this.#line !== "open" || this.#expected !== null) return;
    this.#expected = this.#world.later(() => this.suspect(), NO_WORD);
    this.#preparing = this.#world.later(() => this.#prepare(), AT_ONCE);
  }

  /** Ask for the next connection's ticket while this one may still answer; if it does, the ticket is left to expire. */
  #prepare() {
    if (this.#world.now() >= this.#vainUntil) this.#ask({ twice: true });
  }

  /**
   * Send a message that has no reply. Dropped when the connection is not open: the server shows its view
   * after each reconnect, and what still matters is asked for again by then.
   *
   * @param {ClientMessage} message
   * @returns {boolean} whether it was sent.
   */
  send(message) {
    if (this.#line !== "open" || this.#socket === null) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /**
   * Send a request and wait for its reply.
   *
   * @param {Request} request
   * @returns {Promise<Outcome>} never rejects; code `connection-lost` or `no-reply` when it is not known
   *   whether the server did it. Asking again is harmless: all requests are idempotent.
   */
  ask(request) {
    const id = this.#nextId;
    this.#nextId += 1;
    const sent = this.send(/** @type {ClientMessage} */ ({ ...request, id }));
    if (!sent) return Promise.resolve(LOST);
    return new Promise((resolve) => {
      const timer = this.#world.later(() => settle(SILENT), REPLY_LIMIT);
      const settle = (/** @type {Outcome} */ outcome) => {
        this.#world.cancel(timer);
        this.#asked.delete(id);
        resolve(outcome);
      };
      this.#asked.set(id, settle);
    });
  }

  /**
   * Send a request that closes something, and again each time the connection has come back without its reply:
   * the room may have moved meanwhile, and nobody there has heard of it.
   *
   * @param {Request} request
   * @param {number} [within] ms after which it is not repeated any more
   * @returns {Promise<Outcome>} as of `ask`
   */
  async insist(request, within = INSIST_LIMIT) {
    const until = this.#world.now() + within;
    for (;;) {
      const outcome = await this.ask(request);
      if (outcome.code !== "connection-lost" || !(await this.#opens(until))) return outcome;
    }
  }

  /**
   * @param {number} until as `now` of the world
   * @returns {Promise<boolean>} whether the connection is open by then
   */
  #opens(until) {
    const left = until - this.#world.now();
    if (this.#line === "idle" || left <= 0) return Promise.resolve(false);
    if (this.#line === "open") return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = this.#world.later(() => settle(false), left);
      const settle = (/** @type {boolean} */ open) => {
        this.#world.cancel(timer);
        this.#waiting.delete(settle);
        resolve(open);
      };
      this.#waiting.add(settle);
    });
  }

  async #connect() {
    this.#turn += 1;
    const turn = this.#turn;
    const limit = Math.min(LONGEST_ATTEMPT, ATTEMPT_LIMIT + ATTEMPT_MORE * this.#attempt);
    this.#deadline = this.#world.later(() => {
      if (turn === this.#turn) this.#lost();
    }, limit);
    let ticket;
    try {
      ticket = await (this.#request ?? this.#ask({ twice: this.#suspected })).ticket;
    } catch (error) {
      if (turn !== this.#turn) return;
      if (error instanceof ApiError && error.final) this.#end({ code: error.code, text: error.message });
      else this.#lost();
      return;
    }
    if (turn !== this.#turn) return;
    const socket = this.#world.connect(this.#url, [PROTOCOL, `ticket.${ticket}`]);
    this.#socket = socket;
    /** @type {{code: string, text: string} | null} */
    let bye = null;
    socket.onopen = async () => {
      const kept = await this.#mediaKept();
      if (turn !== this.#turn) return;
      socket.send(JSON.stringify({ type: "hello", "media-kept": kept, ...this.#groupKept() }));
    };
    socket.onmessage = ({ data }) => {
      if (turn !== this.#turn) return;
      if (this.#line === "open" && this.#request !== null) this.#vainUntil = this.#world.now() + SELDOM;
      this.#heard();
      const message = read(data);
      if (message === null) return;
      if (message.type === "bye") bye = message;
      else this.#take(message);
    };
    socket.onclose = () => {
      if (turn !== this.#turn) return;
      if (bye !== null && !MAY_COME_BACK.has(bye.code)) this.#end({ code: bye.code, text: bye.text });
      else this.#lost(bye?.code === "moved");
    };
  }

  /**
   * Ask for a ticket, until `#request` is another.
   *
   * @param {{twice: boolean}} how once more, if none comes soon
   * @returns {{ticket: Promise<string>}}
   */
  #ask({ twice }) {
    /** @type {{ticket: Promise<string>}} */
    const request = { ticket: twice ? this.#askTwice(() => this.#request === request) : this.#ticket() };
    this.#request = request;
    request.ticket.catch(() => {
      if (this.#request === request) this.#request = null; // whoever needs one asks anew
    });
    return request;
  }

  /**
   * Ask for a ticket, and once more, if none comes soon: after the network went away a browser asks over a connection of
   * the former one, and takes seconds to give that up.
   *
   * @param {() => boolean} wanted whether it still is
   * @returns {Promise<string>}
   * @throws {ApiError} what became of the first request; or of the second, if asking again would not change it
   */
  async #askTwice(wanted) {
    let timer = 0;
    /** @type {Promise<string>} */
    const another = new Promise((resolve, reject) => {
      const refused = (/** @type {unknown} */ error) => error instanceof ApiError && error.final && reject(error);
      timer = this.#world.later(() => {
        if (wanted()) this.#ticket().then(resolve, refused);
      }, NO_TICKET);
    });
    try {
      return await Promise.race([this.#ticket(), another]);
    } finally {
      this.#world.cancel(timer);
    }
  }

  /** @param {Exclude<ServerMessage, {type: 'bye'}>} message */
  #take(message) {
    if (message.type === "reply") {
      this.#asked.get(message.id)?.({ code: message.code, text: message.text ?? null });
      return;
    }
    if (message.type === "welcome") {
      if (this.#deadline !== null) this.#world.cancel(this.#deadline);
      this.#deadline = null;
      this.#openSince = this.#world.now();
      this.#suspected = false;
      this.#set("open");
    }
    this.#onMessage(message);
  }

  #lost(moved = false) {
    const before = this.#line;
    if (this.#line === "open" && this.#world.now() - this.#openSince > STEADY) this.#attempt = 0;
    this.#drop();
    this.#set(before === "connecting" ? before : moved && before === "open" ? "moving" : "lost");
    if (this.#line === "moving") this.#tooLate = this.#world.later(() => this.#set("lost"), MOVED_WITHIN);
    const delay = delayBefore(this.#attempt, this.#world.random());
    this.#attempt += 1;
    this.#retry = this.#world.later(() => {
      this.#retry = null;
      void this.#connect();
    }, delay);
  }

  /** @param {{code: string, text: string}} end */
  #end(end) {
    this.#drop();
    this.#set("idle");
    this.#onEnd(end);
  }

  /** Nothing more is expected, nor a ticket needed. */
  #heard() {
    if (this.#expected !== null) this.#world.cancel(this.#expected);
    this.#world.cancel(this.#preparing);
    this.#expected = this.#request = null;
  }

  #drop() {
    this.#turn += 1;
    this.#heard();
    if (this.#retry !== null) this.#world.cancel(this.#retry);
    if (this.#deadline !== null) this.#world.cancel(this.#deadline);
    this.#retry = this.#deadline = null;
    this.#socket?.close();
    this.#socket = null;
    for (const settle of [...this.#asked.values()]) settle(LOST);
  }

  /** @param {LineState} line */
  #set(line) {
    if (line === this.#line) return;
    if (this.#tooLate !== null) this.#world.cancel(this.#tooLate);
    this.#tooLate = null;
    this.#line = line;
    if (line === "open" || line === "idle") for (const settle of [...this.#waiting]) settle(line === "open");
    this.#onLine(line);
  }
}

/** @type {Outcome} */
const LOST = Object.freeze({
  code: "connection-lost",
  text: "The connection was interrupted. Please try again.",
});

/** @type {Outcome} */
const SILENT = Object.freeze({ code: "no-reply", text: "The server did not answer. Please try again." });

/**
 * @param {unknown} data
 * @returns {ServerMessage | null} null for what is not a message of ours.
 */
function read(data) {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data);
    return typeof message?.type === "string" ? message : null;
  } catch {
    return null;
  }
}

/**
 * The WebSocket's address on this page's server.
 *
 * @param {Location} location
 * @returns {string}
 */
export function socketUrl(location) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
}

/**
 * Tell a connection about the network and the page coming and going, and its transport about the network.
 *
 * @param {Signal} signal
 * @param {{doubt: () => void}} peer
 */
export function followThePage(signal, peer) {
  window.addEventListener("online", () => signal.wake());
  window.addEventListener("offline", () => {
    peer.doubt();
    signal.suspect();
  });
  window.addEventListener("pageshow", () => signal.wake());
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") signal.wake();
  });
}
