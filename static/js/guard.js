// @ts-check
// What stands between a track and the wire while a visit is end-to-end encrypted.
//
//   camera ──▶ open, and proven? ──yes──▶ sender ──▶ worker seals ──▶ wire
//                    └──no──▶ black, silent ──┘
//
// A browser may send in clear, without a word, when a transform came late (Chromium does). Each of these four alone
// prevents that a picture leaves so:
//
//   1  the connection's flag: a sender without a transform sends nothing (Chromium; others do not know it)
//   2  every transform is set in the task in which its sender came to be, before there is a track
//   3  the real track goes on only when the worker has sealed a frame of that very sender, and a packet has left
//   4  each second: frames that left and the worker never saw → nothing is sent any more, for good
//
// `open` says that the room is open to us: we are in it, and its members can open what we send. Before, what keeps
// the transport warm is black and silent, and sealed with a key that nobody has.

/** @typedef {import('./peer.js').Source} Source */
/** @typedef {import('./keys.js').Keys} Keys */

/** @typedef {{frames: number, packets: number}} Sent */

/**
 * One of our senders. While a room moves there are two connections, each with its own.
 *
 * @typedef {object} Guarded
 * @property {RTCPeerConnection} pc
 * @property {Source} source
 * @property {number} id of its transform
 * @property {boolean} sealed the worker has sealed a frame of it
 * @property {boolean} proven and a packet of it has left
 * @property {Sent | null} before what had left it when it got its transform; null until that is known
 * @property {number} left frames that had left it since, at the last look
 */

const LOOK = 1_000; // ms between looks for frames that left unsealed
const PROOF = 25; // ms between looks for the first packet
const MISSED = 10; // frames that may have left a second ago and still be on their way to the worker
const BLACK = 160; // pixels, square: no camera's shape, so that its first picture is a key frame without asking
const BLACK_EVERY = 100; // ms

/** @type {Readonly<Record<string, Source>>} */
const OURS = Object.freeze({ 0: "audio", 1: "camera", 2: "screen" });

export class Guard {
  /** @type {Keys} */ #keys;
  /** @type {(source: Source) => void} */ #onChange;
  /** @type {() => void} */ #onClear;
  /** @type {Map<RTCRtpSender, Guarded>} */ #senders = new Map();
  #covers = new Covers();
  #open = false;
  #stopped = false;
  #looking = false;
  #lookTimer = 0;
  #proofTimer = 0;

  /**
   * @param {Keys} keys
   * @param {object} events
   * @param {(source: Source) => void} events.onChange fires when something else may be sent of this source
   * @param {() => void} events.onClear fires once, when frames have left unsealed
   */
  constructor(keys, { onChange, onClear }) {
    this.#keys = keys;
    this.#onChange = onChange;
    this.#onClear = onClear;
    keys.onReplaced = () => this.#replaced();
    keys.onNewcomers = () => this.#renew();
  }

  /** What every connection is made with. Browsers that do not know it take no notice. */
  configuration = Object.freeze({ encodedInsertableStreams: true });

  /** Resolves when `attach` can be called. */
  get ready() {
    return this.#keys.ready;
  }

  /**
   * Put a transform on every sender and receiver of a connection; call it in the task in which they come to be.
   * Everything has to be proven anew.
   *
   * @param {RTCPeerConnection} pc with the m-lines of the offer
   */
  attach(pc) {
    this.#forgetClosed();
    for (const { mid, sender, receiver } of pc.getTransceivers()) {
      if (mid === null) continue;
      const source = OURS[mid];
      if (source === undefined) {
        receiver.transform = this.#keys.opener(mid, received(mid, receiver.track.kind)).transform;
      } else {
        const { id, transform } = this.#keys.sealer(mid, source, () => this.#sealed(sender));
        sender.transform = transform;
        this.#senders.set(sender, { pc, source, id, sealed: false, proven: false, before: { frames: 0, packets: 0 }, left: 0 });
      }
    }
    window.clearInterval(this.#lookTimer);
    this.#looking = false;
    this.#lookTimer = window.setInterval(() => void this.#look(), LOOK);
  }

  /**
   * @param {boolean} open whether the room is open to us
   * @returns {boolean} whether that is new, so that other tracks are to go out.
   */
  setOpen(open) {
    const changed = open !== this.#open;
    this.#open = open;
    return changed;
  }

  /**
   * @param {RTCRtpSender} sender
   * @param {Source} source
   * @param {MediaStreamTrack | null} track what this device gives
   * @returns {MediaStreamTrack | null} what may be sent of it there now.
   */
  outgoing(sender, source, track) {
    const lets = track === null || (this.#open && this.#senders.get(sender)?.proven === true);
    if (lets || this.#stopped) this.#covers.lift(sender);
    if (this.#stopped) return null;
    return lets ? track : this.#covers.put(sender, source, track);
  }

  /** A transport is up: from now on packets leave. */
  connected() {
    void this.#prove();
  }

  /** Let go of everything. May be called twice. */
  close() {
    window.clearTimeout(this.#proofTimer);
    window.clearInterval(this.#lookTimer);
    this.#senders.clear();
    this.#covers.close();
  }

  /**
   * Send whole pictures: nobody who has just come can begin with what builds on others. Firefox knows no such option; there
   * they are asked for by those who receive, and take a way more. What is asked for over the network a browser does only
   * once in 300 ms.
   */
  #renew() {
    for (const [sender, { source }] of this.#senders) {
      if (source === "audio" || sender.track === null) continue;
      const set = /** @type {(to: RTCRtpSendParameters, how: object) => Promise<void>} not in the page library */ (sender.setParameters);
      // Somebody else may be setting them at this moment.
      void set.call(sender, sender.getParameters(), { encodingOptions: [{ keyFrame: true }] }).catch(() => undefined);
    }
  }

  /** Another worker has taken over: cover everything, then give it the senders and receivers. */
  #replaced() {
    const former = [...this.#senders.values()];
    this.#senders.clear();
    for (const source of new Set(former.map(({ source }) => source))) this.#onChange(source);
    for (const pc of new Set(former.map(({ pc }) => pc))) if (pc.signalingState !== "closed") this.attach(pc);
    for (const [sender, of] of this.#senders) void this.#beginAnew(sender, of);
  }

  /**
   * A sender counts from its own beginning, a transform from when it was made: only what leaves from now on is to be proven.
   *
   * @param {RTCRtpSender} sender
   * @param {Guarded} of
   */
  async #beginAnew(sender, of) {
    of.before = null;
    of.before = await sentBy(sender);
  }

  /** Look for frames that left and never came to the worker. */
  async #look() {
    if (this.#looking || this.#stopped) return;
    this.#looking = true;
    this.#forgetClosed();
    const now = await Promise.all([...this.#senders].map(async ([sender, of]) => ({ of, left: (await sentBy(sender)).frames })));
    const counts = await this.#keys.counts();
    this.#looking = false;
    for (const { of, left: total } of now) {
      if (of.before === null) continue;
      const left = total - of.before.frames;
      // What had left a second ago has come to the worker by now, however busy this device is.
      const clear = of.left - (counts[of.id]?.seen ?? 0) > MISSED;
      if (clear && of.pc.signalingState !== "closed" && [...this.#senders.values()].includes(of)) this.#stop();
      of.left = left;
    }
  }

  #stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const sender of this.#senders.keys()) void sender.replaceTrack(null);
    this.#onClear();
  }

  #forgetClosed() {
    for (const [sender, { pc }] of this.#senders) {
      if (pc.signalingState !== "closed") continue;
      this.#senders.delete(sender);
      this.#covers.lift(sender);
    }
  }

  /** @param {RTCRtpSender} sender */
  #sealed(sender) {
    const of = this.#senders.get(sender);
    if (of) of.sealed = true;
    void this.#prove();
  }

  /** See whether packets have left where frames were sealed; until they have, look again. */
  async #prove() {
    window.clearTimeout(this.#proofTimer);
    for (const [sender, of] of this.#unproven()) {
      const { packets } = await sentBy(sender);
      if (of.before === null || packets <= of.before.packets || of.proven || this.#senders.get(sender) !== of) continue;
      of.proven = true;
      this.#onChange(of.source);
    }
    window.clearTimeout(this.#proofTimer);
    const more = this.#unproven().some(([, { pc }]) => pc.connectionState === "connected");
    if (more) this.#proofTimer = window.setTimeout(() => void this.#prove(), PROOF);
  }

  #unproven() {
    return [...this.#senders].filter(([, { sealed, proven }]) => sealed && !proven);
  }
}

/**
 * @param {string} mid
 * @param {string} kind
 * @returns {Source} what comes in this m-line: nine is the screen, before it sound and picture of each slot.
 */
function received(mid, kind) {
  if (kind === "audio") return "audio";
  return mid === "9" ? "screen" : "camera";
}

/**
 * @param {RTCRtpSender} sender
 * @returns {Promise<Sent>} what has left so far. Of sound each packet is a frame.
 */
async function sentBy(sender) {
  let frames = 0;
  let packets = 0;
  (await sender.getStats()).forEach((entry) => {
    if (entry.type !== "outbound-rtp") return;
    packets = entry.packetsSent ?? 0;
    frames = entry.kind === "audio" ? packets : (entry.framesEncoded ?? 0);
  });
  return { frames, packets };
}

/** Black pictures and silence in the place of tracks. */
class Covers {
  /** @type {Map<RTCRtpSender, Source>} */ #covered = new Map();
  /** @type {{track: MediaStreamTrack, silence: MediaStreamTrack} | null} */ #sound = null;
  /** @type {{track: MediaStreamTrack, timer: number} | null} */ #black = null;

  /**
   * @param {RTCRtpSender} sender
   * @param {Source} source
   * @param {MediaStreamTrack} track
   * @returns {MediaStreamTrack} what is sent in its place.
   */
  put(sender, source, track) {
    this.#covered.set(sender, source);
    if (source === "audio") return this.#silence(track);
    this.#black ??= black();
    return this.#black.track;
  }

  /** @param {RTCRtpSender} sender */
  lift(sender) {
    if (this.#covered.delete(sender)) this.#tidy();
  }

  close() {
    this.#covered.clear();
    this.#tidy();
  }

  /** @param {MediaStreamTrack} track */
  #silence(track) {
    if (this.#sound?.track !== track) {
      this.#sound?.silence.stop();
      // A disabled track is silent by definition; a picture is not made so, since Firefox then sends none at all.
      const silence = track.clone();
      silence.enabled = false;
      this.#sound = { track, silence };
    }
    return this.#sound.silence;
  }

  /** Stop what covers nothing any more: a clone would keep the microphone's light on. */
  #tidy() {
    const sources = [...this.#covered.values()];
    if (!sources.includes("audio")) {
      this.#sound?.silence.stop();
      this.#sound = null;
    }
    if (this.#black !== null && sources.every((source) => source === "audio")) {
      window.clearInterval(this.#black.timer);
      this.#black.track.stop();
      this.#black = null;
    }
  }
}

/** @returns {{track: MediaStreamTrack, timer: number}} */
function black() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = BLACK;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const draw = () => context.fillRect(0, 0, BLACK, BLACK);
  draw();
  const track = /** @type {MediaStreamTrack} */ (canvas.captureStream().getVideoTracks()[0]);
  return { track, timer: window.setInterval(draw, BLACK_EVERY) };
}
