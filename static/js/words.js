// @ts-check
// How times, states and presence are said to people. Pure but for the person's own locale and time zone.

/**
 * How long something has lasted, in the fewest words: "40 s", "2 min", "1 h 5 min".
 *
 * @param {number} milliseconds negative counts as zero: clocks differ a little
 * @returns {string}
 */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

/**
 * The time of day, as the person's own clock shows it.
 *
 * @param {number} at milliseconds since the epoch
 * @returns {string}
 */
export function timeOfDay(at) {
  return new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }).format(at);
}

/**
 * Date and time with the zone's name, so that nobody comes an hour late.
 *
 * @param {number} at milliseconds since the epoch
 * @returns {string}
 */
export function dateAndTime(at) {
  return new Intl.DateTimeFormat(undefined, {
    weekday: "short",
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  }).format(at);
}

/**
 * A time as an RFC 3339 text with this device's offset, as booking wants it.
 *
 * @param {Date} date
 * @returns {string}
 */
export function rfc3339(date) {
  const offset = -date.getTimezoneOffset();
  const two = (/** @type {number} */ value) => String(Math.trunc(Math.abs(value))).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:00`;
  return `${day}T${time}${offset < 0 ? "-" : "+"}${two(offset / 60)}:${two(offset % 60)}`;
}

/** @type {Readonly<Record<string, string>>} */
const STATES = Object.freeze({
  expected: "Not here yet",
  waiting: "Waiting",
  "asked-to-wait": "Asked to wait",
  admitted: "In the room",
  paused: "On hold, no clinician",
  held: "On hold",
  denied: "Turned away",
  removed: "Removed",
  left: "Has left",
  ended: "Ended",
  "asking-device": "On another device",
});

/**
 * A seat's state in staff's words.
 *
 * @param {string} state
 * @returns {string} the state itself when a newer server has one more.
 */
export function stateWord(state) {
  return STATES[state] ?? state;
}
