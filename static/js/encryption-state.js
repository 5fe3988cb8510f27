// @ts-check
// What people are told of the end-to-end encryption of their visit: what holds now, what is missing, what to do. Pure.
//
// Two things are put side by side: what the server says the session is, and what this page's own keys say. Only the
// second is ever shown as "end-to-end encrypted"; the server cannot make a page say so.

/** @typedef {'end-to-end' | 'transport-only'} Promised */
/** @typedef {{tone: 'alarm' | 'calm', text: string}} Banner */

/** @typedef {import('./spoken-check.js').CheckState} CheckState */

/**
 * The spoken check on this page.
 *
 * @typedef {CheckState & {once: boolean}} Check `once`: it held at some time of this visit
 */

/** @typedef {'off' | 'none' | 'securing' | 'secured' | 'failed'} Phase `off`: this page has no link secret */

/**
 * How one group stands on this page.
 *
 * @typedef {object} GroupView
 * @property {Phase} phase
 * @property {readonly {seat: string, name: string}[]} members oneself too, named as their own pages do
 */

/**
 * What this page's keys say.
 *
 * @typedef {object} KeysView
 * @property {Phase} phase of the room's group
 * @property {string | null} generation of the room's group
 * @property {boolean} committer this page lets people into the group
 * @property {number | null} index our own place among the members
 * @property {readonly {seat: string, name: string, index?: number, key?: string}[]} members
 * @property {readonly {seat: string, code: string}[]} refused whom this page could not let in; `tag`: their link is
 *   not of this session
 * @property {boolean} unheard we are in it, and nobody could open what this page sends; so black and silence go out
 * @property {readonly string[]} unseen members whom the server has not shown as in the room for some time
 * @property {readonly string[]} unopened seats whose frames come and have not opened for some time
 * @property {Readonly<Record<string, GroupView>>} pairs the therapist and one seat that waits, by that seat
 * @property {Check} check
 * @property {Readonly<Record<string, string>>} known the keys that others had last, by seat, since this page was loaded
 * @property {readonly string[]} renewed seats whose key has changed, and which was not checked since
 */

/** @typedef {Omit<KeysView, 'known' | 'renewed'>} KeysNow what the keys say, without what is remembered of before */

/** @type {Readonly<Check>} */
export const NO_CHECK = Object.freeze({ phase: "idle", pictures: [], verified: false, kept: false, once: false });

/** @type {Readonly<KeysView>} */
export const NO_KEYS = Object.freeze({
  phase: "off",
  generation: null,
  committer: false,
  index: null,
  members: [],
  refused: [],
  unheard: false,
  unseen: [],
  unopened: [],
  pairs: {},
  check: NO_CHECK,
  known: {},
  renewed: [],
});

/**
 * Take over what the keys say now, and remember that a check has held, so that its loss can be told, and whose key has
 * changed. A page has one key for all generations: the server, which begins them, can hide nobody behind another one.
 *
 * @param {KeysView} before
 * @param {KeysNow} now
 * @returns {KeysView}
 */
export function withKeys(before, now) {
  const once = now.check.phase !== "mismatch" && (now.check.verified || before.check.once);
  const known = { ...before.known };
  const renewed = new Set(now.check.verified ? [] : before.renewed);
  for (const { seat, index, key } of now.members) {
    if (key === undefined || index === now.index) continue;
    if (known[seat] !== undefined && known[seat] !== key) renewed.add(seat);
    known[seat] = key;
  }
  return { ...now, check: { ...now.check, once }, known, renewed: [...renewed] };
}

/**
 * What the therapist is told of people who have come in anew under the same seat: another page, or somebody else.
 *
 * @param {KeysView} keys
 * @returns {string | null}
 */
export function comeAnew({ members, renewed }) {
  const names = members.flatMap(({ seat, name }) => (renewed.includes(seat) ? [name] : []));
  if (names.length === 0) return null;
  return names.map((name) => `${name}’s page has come back with new keys.`).join(" ");
}

/**
 * Whether a check held until somebody came.
 *
 * @param {KeysView} keys
 * @returns {boolean}
 */
export function checkLost({ phase, check }) {
  return phase === "secured" && check.phase === "idle" && check.once && !check.kept;
}

/**
 * Whether a check will hold again when all whom it held for are back.
 *
 * @param {KeysView} keys
 * @returns {boolean}
 */
export function checkWaits({ phase, members, check }) {
  return phase === "secured" && check.phase === "idle" && check.kept && !check.verified && members.length > 1;
}

/**
 * What the server says of a session, in whichever of its messages.
 *
 * @param {object | null} view
 * @returns {Promised | null} null while it has not said; then nothing may be shown as safe.
 */
export function promised(view) {
  if (view === null || !("encryption" in view)) return null;
  return view.encryption === "end-to-end" || view.encryption === "transport-only" ? view.encryption : null;
}

/**
 * The sentence under the room, and the mark beside it.
 *
 * @param {Promised | null} said
 * @param {KeysView} keys
 * @param {boolean} host
 * @returns {{mark: 'sealed' | 'verified' | 'securing' | 'doubted' | 'open' | 'plain', text: string}} `open`: it must be
 *   plain that this is not end-to-end encrypted
 */
export function protection(said, keys, host) {
  if (keys.phase === "off") {
    if (said === "transport-only") {
      return {
        mark: "open",
        text:
          "Not end-to-end encrypted. Sound and picture are encrypted on their way, but the practice’s server could " +
          "see and hear them. It records nothing.",
      };
    }
    const whom = host ? "each person" : "you";
    return {
      mark: "plain",
      text: `Sound and picture are encrypted between ${whom} and the practice’s server. Nothing is recorded.`,
    };
  }
  if (!isHeard(keys)) {
    return {
      mark: "securing",
      text:
        "Securing the conversation … Nobody sees or hears you until that is done. If it takes longer than half a " +
        `minute, reload this page${host ? "" : "; if that does not help, call your practice"}.`,
    };
  }
  if (keys.check.phase === "mismatch") {
    return { mark: "doubted", text: "Your pictures differ, so somebody else may see and hear you." };
  }
  const sealed = "End-to-end encrypted: only those in this room can see, hear and read what is said here.";
  return keys.check.verified
    ? { mark: "verified", text: `${sealed} You have checked together that nobody listens in.` }
    : { mark: "sealed", text: sealed };
}

/**
 * Whether the others can open what this page sends.
 *
 * @param {KeysView} keys
 */
function isHeard({ phase, unheard }) {
  return phase === "secured" && !unheard;
}

/**
 * What stands on the tile of somebody whose sound and picture cannot be opened.
 *
 * @param {KeysView} keys
 * @param {{seat: string, label: string}} who
 * @returns {string | null} null when they can.
 */
export function unopened({ phase, members, refused, unopened: shut }, { seat, label }) {
  if (phase === "off") return null;
  if (phase === "secured" && members.some((member) => member.seat === seat)) {
    if (!shut.includes(seat)) return null;
    return `Securing the conversation with ${label} … If this lasts, ${label} should reload their page.`;
  }
  return refused.some((one) => one.seat === seat)
    ? `${label} is not let into the conversation`
    : `Securing the conversation with ${label} …`;
}

/**
 * A person's name: from their own keys as soon as there are any, else as the server says.
 *
 * @param {KeysView} keys
 * @param {{seat: string, label: string}} who
 * @returns {string}
 */
export function nameOf(keys, { seat, label }) {
  return (keys.phase === "secured" && keys.members.find((member) => member.seat === seat)?.name) || label;
}

/**
 * How a group stands: the room's, or the pair of the therapist and a seat that waits.
 *
 * @param {KeysNow} keys
 * @param {string} group
 * @returns {GroupView}
 */
export function groupOf(keys, group) {
  return group === "room" ? keys : (keys.pairs[group] ?? { phase: "none", members: [] });
}

/**
 * What the therapist reads on the card of somebody whose keys could not be taken.
 *
 * @param {KeysView} keys
 * @param {string} seat
 * @returns {{heading: string, text: string} | null}
 */
export function refusal(keys, seat) {
  const refused = keys.refused.find((one) => one.seat === seat);
  if (refused === undefined) return null;
  return refused.code === "tag"
    ? {
        heading: "This person’s link does not match",
        text:
          "They are not let into the conversation: nobody sees or hears them. It may be somebody else. Move them back " +
          "or remove them, call the person you expect, and give them their own link of this visit again.",
      }
    : {
        heading: "The conversation with this person could not be secured",
        text: "Nobody sees or hears them. Ask them to reload their page; if that does not help, move them back.",
      };
}

/**
 * What must be said above everything else on account of the encryption.
 *
 * @param {KeysView} keys
 * @param {boolean} host
 * @returns {Banner | null}
 */
export function encryptionBanner(keys, host) {
  const unseen = keys.unseen.map((seat) => keys.members.find((member) => member.seat === seat)?.name ?? `Seat ${seat}`);
  if (unseen.length > 0) {
    const who = unseen.join(" and ");
    const hears = `${who} can hear and see what is said here, but the server does not show them in the room.`;
    return {
      tone: "alarm",
      text: host
        ? `${hears} Say nothing private. They are being taken out. If this message stays for longer than a few seconds, or ` +
          "comes again, end the visit and tell your practice."
        : `${hears} Say nothing private, and tell your therapist. If this message stays for longer than half a minute, ` +
          "leave, and call your practice.",
    };
  }
  if (keys.check.phase === "mismatch") {
    return {
      tone: "alarm",
      text: host
        ? "Your pictures differ: somebody may be listening in. Say nothing private here. End this visit, book a new " +
          "one, and send its links another way than last time, for example by text message instead of by mail."
        : "Your pictures differ: somebody may be listening in. Say nothing private here. Leave, and ask your practice " +
          "by telephone for a new link, sent another way than the last one.",
    };
  }
  return null;
}

/**
 * What a listener must hear after a change of the keys.
 *
 * @param {KeysView} before
 * @param {KeysView} after
 * @returns {{assertive: boolean, text: string} | null}
 */
export function encryptionNews(before, after) {
  const { check } = after;
  const turned = check.phase !== before.check.phase;
  if (turned && check.phase === "comparing") {
    return { assertive: false, text: "Five pictures are shown, to check together that nobody listens in." };
  }
  if (turned && check.phase === "aborted") {
    return { assertive: false, text: "The check was interrupted: somebody came, left or did not answer." };
  }
  if (check.verified && !before.check.verified && before.check.phase === "comparing") {
    return { assertive: false, text: "Checked: nobody listens in." };
  }
  if (checkLost(after) && !checkLost(before)) {
    return { assertive: false, text: "Somebody has come in anew. The check for listeners no longer counts." };
  }
  if ((before.phase === "securing" || before.unheard) && isHeard(after)) {
    return { assertive: false, text: "The conversation is end-to-end encrypted." };
  }
  if (isHeard(before) && (after.phase === "securing" || after.unheard)) {
    return { assertive: false, text: "The conversation is being secured again." };
  }
  return null;
}

/**
 * Pages that a visit ends on when its encryption cannot hold. The page goes on only after a reload, or not at all.
 *
 * @typedef {object} Stop
 * @property {string} heading
 * @property {readonly string[]} text for whom it concerns, one paragraph each
 * @property {boolean} reload whether loading the page anew may help
 */

/** @type {Readonly<Record<string, Stop>>} */
const STOPS = Object.freeze({
  clear: {
    heading: "We have stopped sound and picture",
    text: [
      "Your browser began to send without end-to-end encryption. Camera and microphone were turned off at once.",
      "Reload this page to try again. If it happens a second time, use another browser, and tell your practice.",
    ],
    reload: true,
  },
  "keys-failed": {
    heading: "The conversation could not be secured",
    text: [
      "Your device could not agree with the others on keys. Nothing was sent without end-to-end encryption; camera and " +
        "microphone are off.",
      "Reload this page to try again. If it happens a second time, tell your practice.",
    ],
    reload: true,
  },
  "strange-offer": {
    heading: "The connection was not offered as it should be",
    text: [
      "The server asked for sound and picture in a way that could tell others something of what is said. So we did not " +
        "connect; camera and microphone are off.",
      "Reload this page: after an update of the server that is all it needs. If it happens a second time, do not go on, and " +
        "tell your practice.",
    ],
    reload: true,
  },
  downgraded: {
    heading: "This visit is not protected as your link says",
    text: [
      "Your link is for an end-to-end encrypted visit, but the server says that this one is not. So we did not go on; " +
        "camera and microphone are off.",
      "Please call your practice and ask for a new link.",
    ],
    reload: false,
  },
});

/**
 * @param {string} code why the visit is over on this page
 * @returns {Stop | null} null when it is not on account of the encryption.
 */
export function stopOf(code) {
  return STOPS[code] ?? null;
}

/**
 * Whether the visit must stop on this page now, and why.
 *
 * @param {object | null} view what the server said last of the session; null while it has said nothing
 * @param {KeysView} keys
 * @param {{secret: boolean, happened: string}} page `secret`: it was given a link secret; `happened`: the type of the
 *   newest event
 * @returns {'clear' | 'strange-offer' | 'keys-failed' | 'downgraded' | null}
 */
export function mustStop(view, keys, { secret, happened }) {
  if (happened === "sent-clear") return "clear";
  if (happened === "offered-strangely") return "strange-offer";
  if (secret && view !== null && promised(view) !== "end-to-end") return "downgraded";
  return keys.phase === "failed" ? "keys-failed" : null;
}

/**
 * Whether the person must be asked for the link secret before the page can go on.
 *
 * @param {object | null} view as above
 * @param {boolean} secret
 * @returns {boolean}
 */
export function needsSecret(view, secret) {
  return !secret && promised(view) === "end-to-end";
}

/** What somebody reads whose text holds no link secret. */
export const NO_CODE =
  "This is neither a whole link nor a whole room code. Please look again: the code has 26 letters and numbers.";
