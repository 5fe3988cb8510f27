// @ts-check
// What arrives over one transport, as the browser counts it: which pictures move, which voices come. The server never
// says who shares a screen or lost their camera; frames do.

const RECENT = 1_000; // ms: a time further back is not believed to be that of a packet which is new
const STILL = 6; // looks, two a second, without a frame: a picture is gone; a still screen sends one a second

export class Arrivals {
  #pc;
  /**
   * @type {Map<string, {count: number, still: number}>} by mid: pictures decoded or packets of sound, and how many looks
   *   ago there was a new one
   */
  #of = new Map();

  /** @param {RTCPeerConnection} pc */
  constructor(pc) {
    this.#pc = pc;
  }

  /**
   * Note what has come since the last look.
   *
   * @param {Iterable<string>} mids
   * @returns {Promise<boolean>} whether a picture began or stopped moving.
   */
  async look(mids) {
    let changed = false;
    for (const mid of mids) {
      const receiver = find(this.#pc, mid)?.receiver;
      if (!receiver) continue;
      const now = await arrived(receiver);
      const before = this.#of.get(mid) ?? { count: 0, still: STILL };
      const after = { count: now, still: now > before.count ? 0 : Math.min(before.still + 1, STILL) };
      this.#of.set(mid, after);
      changed ||= receiver.track.kind === "video" && before.still < STILL !== after.still < STILL;
    }
    return changed;
  }

  /** Take whatever has ever come for what moves now, until looks tell otherwise. */
  refresh() {
    for (const arrival of this.#of.values()) if (arrival.count > 0) arrival.still = 0;
  }

  /** @returns {string[]} the mids of what moves. */
  get moving() {
    return [...this.#of.keys()].filter((mid) => this.moves(mid));
  }

  /** @param {string} mid */
  moves(mid) {
    return (this.#of.get(mid)?.still ?? STILL) < STILL;
  }

  /**
   * Whether anything has ever come.
   *
   * @param {string} mid
   */
  has(mid) {
    return (this.#of.get(mid)?.count ?? 0) > 0;
  }
}

/**
 * @param {RTCPeerConnection} pc
 * @param {string} mid
 */
export function find(pc, mid) {
  return pc.getTransceivers().find((transceiver) => transceiver.mid === mid);
}

/**
 * @param {RTCRtpReceiver} receiver
 * @returns {Promise<number>} pictures decoded so far, or packets of sound.
 */
async function arrived(receiver) {
  let found = 0;
  (await receiver.getStats()).forEach((entry) => {
    if (entry.type === "inbound-rtp") found = (entry.kind === "video" ? entry.framesDecoded : entry.packetsReceived) ?? 0;
  });
  return found;
}

/**
 * @param {RTCPeerConnection} pc
 * @returns {Promise<{packets: number, at: number, newest: number}>} of any kind, so far; when they were counted: a busy
 *   page reads late what has come in time; and when the newest came, if it is new. Where that is not told or cannot be
 *   true, it is taken to have come just now.
 */
export async function packetsOf(pc) {
  const found = { packets: 0, at: 0, newest: 0 };
  if (pc.connectionState === "closed") return found;
  // It may be closed while it counts. Whoever asks waits for an answer: a reconnect, or another look at what is broken.
  const report = await pc.getStats().catch(() => /** @type {RTCStatsReport} */ (new Map()));
  let counted = 0;
  let newest = -Infinity;
  let all;
  report.forEach((entry) => {
    if (entry.type === "transport") [all, found.at] = [entry.packetsReceived, entry.timestamp];
    else if (entry.type === "candidate-pair") newest = Math.max(newest, entry.lastPacketReceivedTimestamp ?? 0);
    else if (entry.type === "inbound-rtp") counted += entry.packetsReceived ?? 0;
    else if (entry.type === "remote-inbound-rtp") counted += entry.roundTripTimeMeasurements ?? 0;
  });
  found.newest = found.at - newest < RECENT ? Math.min(newest, found.at) : found.at;
  found.packets = all ?? counted; // Firefox does not count for the transport: then media, and reports on what we send
  return found;
}
