// @ts-check
// What the admin's board says of rooms and seats. Pure.

/** @typedef {import('./messages.js').Board} Board */
/** @typedef {import('./messages.js').BoardSeat} BoardSeat */

/**
 * How well a seat's transport works, as short words and numbers.
 *
 * @param {BoardSeat} seat
 * @returns {{text: string, poor: boolean}} `poor` from 5 % loss or 400 ms round trip.
 */
export function quality(seat) {
  const loss = seat["loss-percent"];
  const trip = seat["rtt-ms"];
  const said = [];
  if (loss !== null) said.push(`${loss.toFixed(1)} % loss`);
  if (trip !== null) said.push(`${Math.round(trip)} ms`);
  if (seat.kbps !== null) said.push(`${seat.kbps} kb/s`);
  return { text: said.length > 0 ? said.join(", ") : "–", poor: (loss ?? 0) >= 5 || (trip ?? 0) >= 400 };
}

/**
 * The encryption suite in fewer letters.
 *
 * @param {string | null} suite SRTP profile, such as `AEAD_AES_256_GCM`
 * @returns {string}
 */
export function suiteWord(suite) {
  if (suite === null) return "–";
  const found = /AES_?(CM_)?(128|256)_?(GCM)?/.exec(suite) ?? /AES(CM)?_?(128|256)/.exec(suite);
  return found ? `AES-${found[2]}${found[3] ? " GCM" : ""}` : suite;
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
