// @ts-check
// The one transport of this page. The server offers it once, with all m-lines it will ever have:
//
//   mid 0 our audio · 1 our camera · 2 our screen · then slot i (0…2): 3+2i audio, 4+2i video · 9 the screen shown
//
// The page answers once. Admission changes nothing here: the server merely starts to forward. A `restart` offer
// keeps the connection (new ICE credentials); any other offer makes a new one, with the same local tracks. While the
// former one still carries (the room moves to another worker), it is shown until the new one carries as much; one that
// has fallen silent is not, whatever the browser thinks of it.
//
// No timer judges: when one is due, what has arrived is looked at first. What carries again is let be, and a restart
// that was asked for before is not begun.
//
// Whether a visit is end-to-end encrypted is said by `protect` before the first offer; then a guard stands between
// every track and the wire, and offers are taken only as our own server writes them (offer.js).

import { Arrivals, find, packetsOf } from "./arrivals.js";
import { Guard } from "./guard.js";
import { isOurOffer } from "./offer.js";

/** @typedef {'none' | 'connecting' | 'connected' | 'broken'} TransportState */
/** @typedef {'audio' | 'camera' | 'screen'} Source */
/** @typedef {{fresh: boolean, unanswered: boolean, silent: boolean}} Trouble */
/** @typedef {import('./link-words.js').Level} Level */

export const SLOTS = 3;

/** @type {Readonly<Record<Source, string>>} */
const OURS = Object.freeze({ audio: "0", camera: "1", screen: "2" });
/** @type {Readonly<Record<Level, readonly Source[]>>} what a weak link holds back */
const HELD_BACK = Object.freeze({ all: [], screen: ["camera"], sound: ["camera", "screen"] });
const SCREEN_SHOWN = String(3 + 2 * SLOTS);

const CAMERA_BITRATE = 1_700_000; // a clear face; what the server lets everybody have
const SCREEN_BITRATE = 1_500_000;
const PATIENCE = 1_000; // ms `disconnected` may heal by itself
const RETRY = 3_000; // ms between requests for a restart
const FRESH_AFTER = 2; // restarts without success; then a new transport
const LOOK = 500; // ms between looks at what arrives
const LIVELY = 10; // packets between two looks: others are seen or heard
const FLOWS = 1_000; // ms since the newest packet: who is alone gets a report every 500, and one may be late
const SILENCE = 1_250; // ms since the newest packet: the way is dead, long before the browser says so. One report may be lost
const ANEW = 50; // ms after which a browser counts anew when it is asked again
const DOUBTS = 6; // times new ways are asked for in another network, until something comes over them
const SETTLES = 200; // ms after which whatever comes has come over new ways
const COUNTS = 600; // ms in which it is waited for then: who is alone gets no more than a report every 500
const FADE = 1_000; // ms a camera that was turned off is still sent, black
const OVERTAKE = 50; // ms between looks whether the new transport carries what the former one does
const PATCHY = 3_000; // ms after its first packet that the new one may still lack something
const STAYS = 2_000; // ms the former one is kept after that: others may be slower, and need what it sends until then

/**
 * The mids of one slot.
 *
 * @param {number} slot 0…2
 * @returns {{audio: string, video: string}}
 */
export function midsOf(slot) {
  return { audio: String(3 + 2 * slot), video: String(4 + 2 * slot) };
}

/**
 * One connection, and what it receives.
 *
 * @typedef {object} Transport
 * @property {RTCPeerConnection} pc
 * @property {Map<string, MediaStream>} received by mid
 * @property {Arrivals} arrivals
 * @property {{packets: number, at: number, many: boolean, lively: boolean, silent: boolean}} heard all packets so far;
 *   when the newest came, in the browser's own count; whether many came then; whether then or the time before, for
 *   silence may begin soon after a look; whether none has come for too long
 */

export class Peer {
  /** @type {(sdp: string) => void} */ #onAnswer;
  /** @type {(trouble: Trouble) => void} */ #onTrouble;
  /** @type {(state: TransportState) => void} */ #onState;
  /** @type {() => void} */ #onTracks;
  /** @type {() => void} */ #onClear;
  /** @type {() => void} */ #onStrange;
  /** @type {Guard | null | undefined} not known as long as nobody has said */ #guard = undefined;
  /** @type {Transport | null} the newest */ #current = null;
  /** @type {Transport | null} whose pictures and voices the page has; a former one until the newest carries */
  #shown = null;
  /** @type {Set<RTCPeerConnection>} all that are not closed */ #open = new Set();
  /** @type {TransportState} */ #state = "none";
  /** @type {Record<Source, MediaStreamTrack | null>} */ #local = { audio: null, camera: null, screen: null };
  /** @type {Level} */ #level = "all";
  /** @type {Promise<void>} */ #work = Promise.resolve();
  #fadeTimer = 0;
  #troubleTimer = 0;
  #restarts = 0;
  #unanswered = false;
  #watchTimer = 0;
  #silenceTimer = 0;
  #patchyTimer = 0;
  #doubtful = false;
  #doubted = false; // new ways were asked for although nothing is known to be broken
  #doubts = 0; // how often that may still be done
  #doubtTimer = 0;

  /**
   * @param {object} options
   * @param {(sdp: string) => void} options.onAnswer fires with our answer to each offer
   * @param {(trouble: Trouble) => void} options.onTrouble fires when the server
   *   should be asked for a restart offer, or for a new transport (`fresh`); again every 3 s while it lasts.
   *   `silent`: nothing comes over the transport. `unanswered`: nor has an offer come for so long
   * @param {(state: TransportState) => void} options.onState fires when the transport's state changed
   * @param {() => void} options.onTracks fires when received streams were replaced, and when a picture began
   *   or stopped moving
   * @param {() => void} [options.onClear] fires when something left this device unsealed although the visit is
   *   end-to-end encrypted; nothing is sent any more
   * @param {() => void} [options.onStrange] fires when an offer asks for what our server does not ask for, in a visit that
   *   is end-to-end encrypted; it is not taken
   */
  constructor({ onAnswer, onTrouble, onState, onTracks, onClear = () => {}, onStrange = () => {} }) {
    this.#onAnswer = onAnswer;
    this.#onTrouble = onTrouble;
    this.#onState = onState;
    this.#onTracks = onTracks;
    this.#onClear = onClear;
    this.#onStrange = onStrange;
  }

  /**
   * Say whether what is sent is sealed; before that, no offer is answered.
   *
   * @param {import('./keys.js').Keys | null} keys null in a visit that is not end-to-end encrypted
   */
  protect(keys) {
    this.#guard?.close();
    this.#guard = keys && new Guard(keys, { onChange: (source) => void this.#send(source), onClear: this.#onClear });
  }

  /**
   * Say whether the room is open to us: we are in it, and its members can open what we send. Until then only black
   * and silence go out of a visit that is end-to-end encrypted.
   *
   * @param {boolean} open
   * @returns {Promise<void>} when what goes out is what may.
   */
  async setOpen(open) {
    if (!this.#guard?.setOpen(open)) return;
    await Promise.all(/** @type {Source[]} */ (["audio", "camera", "screen"]).map((source) => this.#send(source)));
  }

  /** @returns {TransportState} */
  get state() {
    return this.#state;
  }

  /**
   * Take an offer of the server; offers are worked through one after the other.
   *
   * @param {import('./messages.js').Offer} offer
   * @returns {Promise<void>} when answered, or given up: then `onTrouble` has asked for a new one.
   */
  offer(offer) {
    this.#unanswered = false;
    this.#work = this.#work.then(async () => {
      try {
        await this.#take(offer);
      } catch {
        this.#trouble({ fresh: true });
      }
    });
    return this.#work;
  }

  /**
   * Send this track from now on; `null` sends nothing. No negotiation follows.
   *
   * @param {Source} source
   * @param {MediaStreamTrack | null} track
   */
  async setLocal(source, track) {
    this.#local[source] = track;
    await this.#send(source);
  }

  /**
   * Keep to what the link carries: hold the camera back, or the screen too, until told otherwise. Sound always goes.
   *
   * @param {Level} level
   */
  keepTo(level) {
    if (level === this.#level) return;
    this.#level = level;
    for (const source of /** @type {Source[]} */ (["camera", "screen"])) void this.#send(source);
  }

  /** @param {Source} source */
  async #send(source) {
    await Promise.allSettled(
      [...this.#open].map(async (pc) => {
        const transceiver = find(pc, OURS[source]);
        if (!transceiver) return;
        await transceiver.sender.replaceTrack(this.#outgoing(source, transceiver.sender));
        await limit(transceiver.sender, source);
      }),
    );
  }

  /**
   * @param {Source} source
   * @param {RTCRtpSender} sender
   * @returns {MediaStreamTrack | null}
   */
  #outgoing(source, sender) {
    const track = HELD_BACK[this.#level].includes(source) ? null : this.#local[source];
    return this.#guard ? this.#guard.outgoing(sender, source, track) : track;
  }

  /**
   * Send what this device gives. A camera that is off is sent black for a moment, so that no frozen face stays
   * with the others, and then not at all.
   *
   * @param {Pick<import('./devices.js').DeviceReport, 'microphone' | 'camera' | 'cameraOn'>} report
   */
  follow({ microphone, camera, cameraOn }) {
    if (microphone !== this.#local.audio) void this.setLocal("audio", microphone);
    window.clearTimeout(this.#fadeTimer);
    if (camera && !cameraOn && this.#local.camera) {
      this.#fadeTimer = window.setTimeout(() => void this.setLocal("camera", null), FADE);
    } else {
      const sent = cameraOn ? camera : null;
      if (sent !== this.#local.camera) void this.setLocal("camera", sent);
    }
  }

  /**
   * What another seat sends.
   *
   * @param {number} slot 0…2
   * @returns {{audio: MediaStream | null, video: MediaStream | null, moving: boolean}} `moving`: frames arrive.
   */
  slot(slot) {
    const { audio, video } = midsOf(slot);
    return {
      audio: this.#shown?.received.get(audio) ?? null,
      video: this.#shown?.received.get(video) ?? null,
      moving: this.#moves(video),
    };
  }

  /**
   * The screen that somebody in the room shares.
   *
   * @returns {MediaStream | null} null while nobody does.
   */
  get screen() {
    return this.#moves(SCREEN_SHOWN) ? (this.#shown?.received.get(SCREEN_SHOWN) ?? null) : null;
  }

  /** The network has changed: what was connected may be dead without knowing it. */
  doubt() {
    this.#doubtful = this.#current !== null;
    this.#endDoubt();
  }

  /** The server answers: if there was doubt, have it offer new ways, which disturbs nothing that works. */
  reassure() {
    if (this.#doubtful && this.#current !== null) {
      this.#doubts = DOUBTS;
      this.#askInDoubt();
    }
    this.#doubtful = false;
  }

  #endDoubt() {
    window.clearTimeout(this.#doubtTimer);
    this.#doubtTimer = 0;
    this.#doubts = 0;
  }

  #askInDoubt() {
    this.#doubts -= 1;
    this.#doubted = true;
    this.#onTrouble({ fresh: false, unanswered: false, silent: false });
  }

  /** @param {Transport} transport */
  #doubtLater(transport) {
    window.clearTimeout(this.#doubtTimer);
    this.#doubtTimer = window.setTimeout(() => void this.#doubtAgain(transport), SETTLES);
  }

  /**
   * Ask again if nothing comes over the ways that were just offered: a browser may know of a network seconds before its
   * WebRTC does, and then has looked for ways in the one that is gone.
   *
   * @param {Transport} transport
   */
  async #doubtAgain(transport) {
    const timer = this.#doubtTimer;
    const { packets } = await packetsOf(transport.pc);
    if (timer !== this.#doubtTimer) return;
    this.#doubtTimer = window.setTimeout(async () => {
      const counting = this.#doubtTimer;
      const now = await packetsOf(transport.pc);
      if (counting !== this.#doubtTimer) return;
      this.#doubtTimer = 0;
      if (transport === this.#current && now.packets === packets) this.#askInDoubt();
    }, COUNTS);
  }

  /**
   * Look whether the transport carries, at this moment: what was found broken may have come back since.
   *
   * @returns {Promise<boolean>}
   */
  async carries() {
    const transport = this.#current;
    const flows = transport !== null && this.#state !== "connected" && (await this.#hear(transport));
    if (transport === null || transport !== this.#current) return false;
    return this.#state === "connected" || (flows && transport.pc.connectionState === "disconnected");
  }

  /**
   * End the transport. Local tracks stay as they are. Before another offer is answered, `protect` must be said anew. May
   * be called twice.
   */
  close() {
    window.clearTimeout(this.#fadeTimer);
    window.clearTimeout(this.#troubleTimer);
    window.clearInterval(this.#watchTimer);
    window.clearTimeout(this.#silenceTimer);
    window.clearTimeout(this.#patchyTimer);
    this.#endDoubt();
    this.#guard?.close();
    this.#guard = undefined;
    for (const pc of this.#open) pc.close();
    this.#open.clear();
    this.#current = this.#shown = null;
    this.#troubleTimer = 0;
    this.#doubted = false;
    this.#set("none");
    this.#onTracks();
  }

  /** @param {import('./messages.js').Offer} offer */
  async #take({ sdp, restart, "ice-servers": servers = [] }) {
    const guard = this.#guard;
    if (guard === undefined) throw new Error("Nobody has said whether this visit is end-to-end encrypted.");
    if (guard !== null && !isOurOffer(sdp)) {
      this.#onStrange();
      return;
    }
    if (restart) await this.carries(); // if it does, it is connected from now on
    const kept = restart && this.#current !== null;
    const doubted = this.#doubted;
    this.#doubted = false;
    if (kept && !doubted && this.#state === "connected") return; // asked for before it came back; the old ways hold
    /** @type {RTCConfiguration} */
    const configuration = {
      ...guard?.configuration,
      bundlePolicy: "max-bundle",
      rtcpMuxPolicy: "require",
      iceServers: servers.map(({ urls, username, credential }) => ({ urls: [...urls], username, credential })),
    };
    if (!kept) await guard?.ready;
    if (guard !== this.#guard) return; // closed meanwhile
    const transport = kept ? /** @type {Transport} */ (this.#current) : this.#renew(configuration);
    const { pc } = transport;
    if (kept) pc.setConfiguration(configuration);
    await pc.setRemoteDescription({ type: "offer", sdp });
    if (transport !== this.#current) return;
    if (!kept) {
      guard?.attach(pc); // in this very task: one later, and Chromium sends in clear
      for (const source of /** @type {Source[]} */ (["audio", "camera", "screen"])) {
        const transceiver = find(pc, OURS[source]);
        if (!transceiver) throw new Error(`The offer has no m-line for ${source}.`);
        transceiver.direction = "sendonly";
        await transceiver.sender.replaceTrack(this.#outgoing(source, transceiver.sender));
      }
    }
    await pc.setLocalDescription();
    if (transport !== this.#current || pc.localDescription === null) return;
    this.#onAnswer(pc.localDescription.sdp);
    if (doubted && this.#doubts > 0) this.#doubtLater(transport);
    if (kept) return;
    for (const source of /** @type {Source[]} */ (["camera", "screen"])) {
      const sender = find(pc, OURS[source])?.sender;
      if (sender) await limit(sender, source);
    }
    for (const { mid, receiver } of pc.getTransceivers()) {
      if (mid !== null && Number(mid) >= 3) transport.received.set(mid, new MediaStream([receiver.track]));
    }
    if (transport === this.#shown) this.#show(transport);
  }

  /**
   * @param {RTCConfiguration} configuration its ICE servers are the way in where UDP is blocked: the practice's
   *   own, unless it names another, so nobody else learns of the visit
   * @returns {Transport}
   */
  #renew(configuration) {
    window.clearTimeout(this.#troubleTimer);
    this.#endDoubt();
    this.#doubtful = false;
    const pc = new RTCPeerConnection(configuration);
    /** @type {Transport} */
    const transport = {
      pc,
      received: new Map(),
      arrivals: new Arrivals(pc),
      heard: { packets: 0, at: 0, many: false, lively: false, silent: false },
    };
    const shown = this.#shown;
    const former = shown?.pc.connectionState === "connected" && !shown.heard.silent ? shown : null;
    for (const open of this.#open) if (open !== former?.pc) this.#end(open);
    this.#open.add(pc);
    this.#current = transport;
    this.#shown = former ?? transport;
    pc.onconnectionstatechange = () => {
      if (transport === this.#current) this.#changed(pc.connectionState);
      else if (transport === this.#shown && this.#current) this.#show(this.#current); // there is nothing left to show
    };
    pc.onicecandidate = () => {
      // A network that the browser knows only now: what comes over it has its time from here.
      if (this.#doubtTimer !== 0 && transport === this.#current) this.#doubtLater(transport);
    };
    if (former) this.#watch(() => this.#overtake(transport, former), OVERTAKE);
    else if (this.#state !== "broken") this.#set("connecting");
    return transport;
  }

  /**
   * Show what a transport receives; a former one is not needed any more.
   *
   * @param {Transport} transport
   */
  #show(transport) {
    this.#shown = transport;
    if (this.#state === "connected" && transport.pc.connectionState !== "connected") this.#set("connecting");
    for (const pc of this.#open) if (pc !== transport.pc) window.setTimeout(() => this.#end(pc), STAYS);
    transport.arrivals.refresh();
    this.#watch(() => this.#look(transport), LOOK);
    void this.#look(transport);
    this.#onTracks();
  }

  /** @param {RTCPeerConnection} pc */
  #end(pc) {
    this.#open.delete(pc);
    pc.close();
  }

  /**
   * @param {() => Promise<void>} look
   * @param {number} every milliseconds
   */
  #watch(look, every) {
    window.clearInterval(this.#watchTimer);
    window.clearTimeout(this.#patchyTimer);
    this.#patchyTimer = 0;
    this.#watchTimer = window.setInterval(() => void look(), every);
  }

  /** @param {RTCPeerConnectionState} connection */
  #changed(connection) {
    switch (connection) {
      case "connected":
        window.clearTimeout(this.#troubleTimer);
        this.#troubleTimer = 0;
        this.#restarts = 0;
        this.#unanswered = false;
        this.#guard?.connected();
        this.#set("connected");
        break;
      case "disconnected":
        if (this.#state !== "broken") this.#ponder(PATIENCE);
        break;
      case "failed": // does not heal by itself
        if (!this.#unanswered) this.#trouble(); // otherwise it was asked for, and will be again
        break;
    }
  }

  /** @param {number} wait milliseconds until the server is asked, if it is needed then */
  #ponder(wait) {
    window.clearTimeout(this.#troubleTimer);
    this.#troubleTimer = window.setTimeout(() => void this.#due(), wait);
  }

  /** Ask, unless what was broken carries again. */
  async #due() {
    const timer = this.#troubleTimer;
    const flows = this.#current !== null && (await this.#hear(this.#current));
    if (timer !== this.#troubleTimer) return; // it carries, or the server was asked meanwhile
    // While anything arrives, nothing is as dead as it seems: neither socket nor transport is given up.
    if (flows) this.#trouble({ fresh: false, silent: false });
    else this.#trouble({ unanswered: this.#unanswered });
  }

  /** @param {Partial<Trouble>} [request] */
  #trouble({ fresh = this.#restarts >= FRESH_AFTER, unanswered = false, silent = true } = {}) {
    this.#set("broken");
    this.#onTrouble({ fresh, unanswered, silent });
    this.#unanswered = true;
    this.#restarts += 1;
    this.#ponder(RETRY);
  }

  /**
   * See which pictures move, and whether anything comes at all.
   *
   * @param {Transport} transport
   */
  async #look(transport) {
    if ((await transport.arrivals.look(transport.received.keys())) && transport === this.#shown) this.#onTracks();
    await this.#hear(transport);
  }

  /**
   * Listen whether a transport carries.
   *
   * @param {Transport} transport
   * @returns {Promise<boolean>} whether anything has arrived just now over what was connected once.
   */
  async #hear(transport) {
    const { packets, at, newest } = await packetsOf(transport.pc);
    if (transport !== this.#current) return false;
    const { heard, pc } = transport;
    if (packets > heard.packets) {
      const many = packets - heard.packets >= LIVELY;
      transport.heard = { packets, at: newest, many, lively: many || (heard.many && !heard.silent), silent: false };
      if (heard.silent && this.#state === "broken" && pc.connectionState === "connected") this.#changed("connected");
    } else if (heard.lively && !heard.silent && this.#state === "connected" && !this.#doubtful) {
      // In doubt the page knows why nothing comes, and asks for new ways as soon as the server is there.
      this.#judgeSilence(transport, heard.at + SILENCE - at);
    }
    return packets > 0 && at - transport.heard.at < FLOWS && ["connected", "disconnected"].includes(pc.connectionState);
  }

  /**
   * Nothing came since the last look: if that lasts, look once more at the very moment when it has lasted too long.
   * Looking more often all the time would cost a phone more, and find it no sooner.
   *
   * @param {Transport} transport
   * @param {number} left milliseconds until then
   */
  #judgeSilence(transport, left) {
    window.clearTimeout(this.#silenceTimer);
    if (left > 0) {
      this.#silenceTimer = window.setTimeout(() => void this.#hear(transport), Math.max(left, ANEW));
      return;
    }
    transport.heard.silent = true;
    this.#trouble();
  }

  /**
   * Show the new transport as soon as all that the former one brought comes over it; and also when it has carried
   * for a while and something is still missing.
   *
   * @param {Transport} transport
   * @param {Transport} former
   */
  async #overtake(transport, former) {
    await transport.arrivals.look(transport.received.keys());
    if (transport !== this.#current || former !== this.#shown || transport.pc.connectionState !== "connected") return;
    const wanted = former.arrivals.moving;
    const there = wanted.filter((mid) => transport.arrivals.has(mid));
    if (there.length > 0 && this.#patchyTimer === 0) {
      this.#patchyTimer = window.setTimeout(() => transport === this.#current && this.#show(transport), PATCHY);
    }
    if (there.length === wanted.length) this.#show(transport);
  }

  /** @param {string} mid */
  #moves(mid) {
    return this.#shown?.arrivals.moves(mid) ?? false;
  }

  /** @param {TransportState} state */
  #set(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#onState(state);
  }
}

/**
 * Keep within what a home connection carries.
 *
 * @param {RTCRtpSender} sender
 * @param {Source} source
 */
async function limit(sender, source) {
  if (source === "audio") return;
  const parameters = sender.getParameters();
  const encoding = parameters.encodings[0];
  const most = source === "camera" ? CAMERA_BITRATE : SCREEN_BITRATE;
  // Some browsers have none before the transport is up; the default will do.
  if (encoding === undefined || encoding.maxBitrate === most) return;
  encoding.maxBitrate = most;
  try {
    await sender.setParameters(parameters);
  } catch {
    // A refused limit costs bandwidth, not the visit.
  }
}
