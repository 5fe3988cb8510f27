// @ts-check
// From epoch keys to frames that only the room can open.
//
//   encoded frame ──Sealer──▶ clear bytes ‖ SFrame header ‖ ciphertext ‖ tag ──Opener──▶ encoded frame, or nothing
//                      └──────── KeyRing of key-ring.js ─────┘
//
// The ring always has something to seal with: while there is no epoch to send on, a random key that was drawn there and
// that nobody else has. An opener takes only frames of its own context whose sender is, in the frame's epoch, the seat
// that it expects. What does not open is counted and dropped; a decoder never gets it. No DOM, no timers.

import { contextOf } from "./key-ring.js";
import { CONTEXT, TAG, decodeHeader, encodeHeader, open, seal } from "./sframe.js";

/** @typedef {import('./key-ring.js').KeyRing} KeyRing */
/** @typedef {typeof import('./key-ring.js').ANYBODY} ANYBODY */
/** @typedef {keyof typeof CONTEXT} Context */
/** @typedef {'opus' | 'vp8'} Codec */
/** @typedef {{data: ArrayBuffer, type?: string}} Frame an RTCEncodedAudioFrame or RTCEncodedVideoFrame */

/** @type {Readonly<Record<Context, Codec>>} */
const CODEC = Object.freeze({ audio: "opus", camera: "vp8", screen: "vp8" });
const ASK_AGAIN = 30; // opened frames after which a key frame is asked for once more

/** Seals the frames of one sender. */
export class Sealer {
  /** Sealing needs nothing that could be missing. */
  stuck = false;
  #ring;
  #context;
  #codec;
  /** `seen`: frames that came at all; `ms`: time spent in sealing. */
  counts = { seen: 0, sealed: 0, failed: 0, ms: 0 };

  /**
   * @param {KeyRing} ring
   * @param {Context} context
   */
  constructor(ring, context) {
    this.#ring = ring;
    this.#context = CONTEXT[context];
    this.#codec = CODEC[context];
  }

  /** @returns {number} frames of sound that were sealed. */
  get sounds() {
    return this.#codec === "opus" ? this.counts.sealed : 0;
  }

  /**
   * Put the sealed frame in the place of the plain one.
   *
   * @param {Frame} frame
   * @returns {Promise<boolean>} whether it may be sent.
   */
  async pass(frame) {
    this.counts.seen += 1;
    const began = performance.now();
    try {
      frame.data = await this.#seal(new Uint8Array(frame.data));
    } catch {
      this.counts.failed += 1;
      return false;
    }
    this.counts.sealed += 1;
    this.counts.ms += performance.now() - began;
    return true;
  }

  /** @param {Uint8Array<ArrayBuffer>} plain */
  async #seal(plain) {
    const { kid, ctr, key } = this.#ring.next(this.#context);
    const header = encodeHeader(kid, ctr);
    const clear = plain.subarray(0, clearBytes(this.#codec, plain));
    const metadata = metadataOf(this.#context, clear);
    const secret = await seal(await key, header, ctr, metadata, plain.subarray(clear.length));
    const sealed = new Uint8Array(clear.length + header.length + secret.byteLength);
    sealed.set(clear);
    sealed.set(header, clear.length);
    sealed.set(new Uint8Array(secret), clear.length + header.length);
    return sealed.buffer;
  }
}

/** Opens the frames of one receiver. */
export class Opener {
  /** The last frame did not open although it should have: it is of an epoch that we have missed, or does not match. */
  stuck = false;
  #ring;
  #context;
  #codec;
  #expected;
  #askKeyFrame;
  #broken = false; // a frame was dropped that others build on
  #sinceAsked = 0;
  /** `ms`: time spent in opening what did open. */
  counts = { seen: 0, opened: 0, malformed: 0, noKey: 0, wrongSender: 0, replayed: 0, forged: 0, ms: 0 };

  /**
   * @param {KeyRing} ring
   * @param {Context} context
   * @param {() => string | ANYBODY | null} expected whose frames these may be; null: nobody's
   * @param {() => void} askKeyFrame fires when frames open again that build on dropped ones
   */
  constructor(ring, context, expected, askKeyFrame = () => {}) {
    this.#ring = ring;
    this.#context = CONTEXT[context];
    this.#codec = CODEC[context];
    this.#expected = expected;
    this.#askKeyFrame = askKeyFrame;
  }

  /**
   * Put the plain frame in the place of the sealed one.
   *
   * @param {Frame} frame
   * @returns {Promise<boolean>} whether the decoder may have it.
   */
  async pass(frame) {
    this.counts.seen += 1;
    const began = performance.now();
    const opened = await this.#tryOpen(frame);
    if (typeof opened === "string") {
      this.counts[opened] += 1;
      if (opened !== "replayed") this.#broken = true; // the same packet twice costs nobody a frame
      if (opened === "forged") this.stuck = true;
      return false;
    }
    frame.data = opened;
    this.stuck = false;
    this.counts.opened += 1;
    this.counts.ms += performance.now() - began;
    if (this.#broken) this.#mend(frame.type);
    return true;
  }

  /** @param {Frame} frame */
  async #tryOpen(frame) {
    try {
      return await this.#open(new Uint8Array(frame.data));
    } catch {
      return "malformed"; // one frame that cannot be handled must not end the stream of all
    }
  }

  /**
   * @param {Uint8Array<ArrayBuffer>} bytes from outside
   * @returns {Promise<ArrayBuffer | 'malformed' | 'noKey' | 'wrongSender' | 'replayed' | 'forged'>}
   */
  async #open(bytes) {
    const clear = bytes.subarray(0, clearBytes(this.#codec, bytes));
    const rest = bytes.subarray(clear.length);
    const header = decodeHeader(rest);
    if (header === null || rest.length < header.length + TAG) return "malformed";
    if (contextOf(header.kid) !== this.#context) return "wrongSender";
    const found = this.#ring.of(header.kid, this.#expected());
    if (found === "later-epoch") this.stuck = true;
    if (found === "no-key" || found === "later-epoch") return "noKey";
    if (found === "wrong-sender") return "wrongSender";
    if (!found.window.fresh(header.ctr)) return "replayed";
    const secret = await open(
      await found.key,
      rest.subarray(0, header.length),
      header.ctr,
      metadataOf(this.#context, clear),
      rest.subarray(header.length),
    );
    if (secret === null) return "forged";
    if (!found.window.take(header.ctr)) return "replayed"; // its twin was opened meanwhile
    this.#ring.heard(header.kid);
    const plain = new Uint8Array(clear.length + secret.byteLength);
    plain.set(clear);
    plain.set(new Uint8Array(secret), clear.length);
    return plain.buffer;
  }

  /** @param {string | undefined} type */
  #mend(type) {
    if (type === "delta") {
      if (this.#sinceAsked % ASK_AGAIN === 0) this.#askKeyFrame();
      this.#sinceAsked += 1;
    } else {
      this.#broken = false;
      this.#sinceAsked = 0;
    }
  }
}

/**
 * How many bytes at the start of a frame browsers read on the way, so that they stay in clear; they are
 * authenticated. VP8 says in its first bit whether it is a key frame (RFC 7741 §4.3), and a key frame's first ten
 * bytes hold its size (RFC 6386 §9.1). Sender and receiver compute it from the same bytes.
 *
 * @param {Codec} codec
 * @param {Uint8Array} bytes
 * @returns {number}
 */
export function clearBytes(codec, bytes) {
  const [first] = bytes;
  if (codec === "opus" || first === undefined) return 0;
  return Math.min((first & 1) === 0 ? 10 : 1, bytes.length);
}

/**
 * @param {number} context
 * @param {Uint8Array} clear
 */
function metadataOf(context, clear) {
  const metadata = new Uint8Array(1 + clear.length);
  metadata[0] = context;
  metadata.set(clear, 1);
  return metadata;
}
