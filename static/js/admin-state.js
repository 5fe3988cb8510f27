// @ts-check
// What the admin's board says of rooms and seats. Pure.

/** @typedef {import('./messages.js').Board} Board */
/** @typedef {import('./messages.js').BoardRoom} BoardRoom */
/** @typedef {import('./messages.js').BoardSeat} BoardSeat */

/**
 * The way and the numbers of a seat's transport, a line each; "in" is from the seat to the server. The way is that at the
 * server: who comes through a TURN server of the practice's own comes over UDP.
 *
 * @param {BoardSeat} seat
 * @returns {readonly string[]} none while it has no transport.
 */
export function numbers(seat) {
  const { "loss-in-percent": lossIn, "loss-out-percent": lossOut, "jitter-ms": jitter, "rtt-ms": trip } = seat;
  const said = [];
  if (seat.path !== null) said.push(`Over ${seat.path.toUpperCase()}`);
  if (lossIn !== null && lossOut !== null) said.push(`Loss ${lossIn.toFixed(1)} % in, ${lossOut.toFixed(1)} % out`);
  if (trip !== null) said.push(`Round trip ${Math.round(trip)} ms`);
  if (jitter !== null) said.push(`Jitter ${Math.round(jitter)} ms`);
  if (seat["kbps-in"] !== null && seat["kbps-out"] !== null) {
    said.push(`${seat["kbps-in"]} kb/s in, ${seat["kbps-out"]} kb/s out`);
  }
  return said;
}

/**
 * Which pictures are paused because the seat's link is weak.
 *
 * @param {BoardSeat} seat
 * @returns {string | null}
 */
export function pausedVideo({ receives, sends }) {
  if (receives === "all" && sends === "all") return null;
  const ways = [sends === "all" ? "" : "in", receives === "all" ? "" : "out"].filter(Boolean);
  const part = receives === "screen" || sends === "screen" ? "Camera" : "Video";
  return `${part} paused ${ways.join(" and ")}`;
}

/**
 * The encryption suite in fewer letters.
 *
 * @param {string | null} suite SRTP profile, such as `AEAD_AES_256_GCM`
 * @returns {string}
 */
export function suiteWord(suite) {
  if (suite === null) return "–";
  const found = /AES_?(CM_)?(128|256)[-_]?(GCM)?/.exec(suite) ?? /AES(CM)?_?(128|256)/.exec(suite);
  return found ? `AES-${found[2]}${found[3] ? " GCM" : ""}` : suite;
}

/**
 * How the page's own connection is encrypted, for the line below the suite.
 *
 * @param {string | null} tls protocol and suite as OpenSSL names them, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`
 * @returns {string | null}
 */
export function tlsWord(tls) {
  const found = tls === null ? null : /^TLSv(\S+) (\S+)$/.exec(tls);
  return found ? `Page: TLS ${found[1]}, ${suiteWord(found[2])}` : tls;
}

/**
 * What holds of a room's end-to-end encryption, a line each. It is what its pages say; nobody else can know.
 *
 * @param {Pick<BoardRoom, 'encryption' | 'keys' | 'epoch' | 'verified'>} room
 * @returns {readonly {text: string, poor: boolean}[]} `poor`: somebody should look into it
 */
export function roomEncryption({ encryption, keys, epoch, verified }) {
  if (encryption === "transport-only") return [{ text: "Not end-to-end encrypted", poor: true }];
  const said = [{ text: "End-to-end encrypted", poor: false }];
  if (keys === null) return said;
  said.push({ text: `${groupSuiteWord(keys)}, epoch ${epoch ?? 0}`, poor: false });
  if (verified === false) said.push({ text: "Spoken check: pictures differed", poor: true });
  else said.push({ text: verified ? "Verified by spoken check" : "Not verified by spoken check", poor: false });
  return said;
}

/**
 * The suite of a room's keys in fewer letters.
 *
 * @param {string} suite such as `MLS X-Wing AES-256-GCM SHA-512 Ed25519`
 * @returns {string}
 */
function groupSuiteWord(suite) {
  const found = /^MLS (\S+) AES-(128|256)-GCM/.exec(suite);
  return found ? `${found[1]}, AES-${found[2]} GCM` : suite;
}

/**
 * How many rooms are in which state, in one sentence.
 *
 * @param {Board} board
 * @returns {string}
 */
export function overview(board) {
  const count = (/** @type {string} */ state) => board.rooms.filter((room) => room.state === state).length;
  const said = [];
  for (const [state, word] of /** @type {const} */ ([
    ["live", "live"],
    ["paused", "paused"],
    ["waiting", "waiting"],
    ["scheduled", "scheduled"],
  ])) {
    if (count(state) > 0) said.push(`${count(state)} ${word}`);
  }
  return said.length === 0 ? "No open session" : said.join(" · ");
}
