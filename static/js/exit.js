// @ts-check
// Leave quickly (N10): one press or Escape three times, no question, nothing left to see, also without a network.

const NEUTRAL = "/static/neutral.html";
const PRESSES = 3;
const WITHIN = 2_000; // ms
const ANSWER_WITHIN = 3_000; // ms
const AGAIN_AFTER = 2_000; // ms

/**
 * Whether this Escape is the third within two seconds. Pure.
 *
 * @param {readonly number[]} earlier times of earlier presses, milliseconds
 * @param {number} now
 * @returns {{presses: readonly number[], leave: boolean}}
 */
export function escapePressed(earlier, now) {
  const presses = [...earlier.filter((time) => now - time < WITHIN), now];
  return { presses, leave: presses.length >= PRESSES };
}

/**
 * Make the page's "Leave quickly" button and Escape work.
 *
 * @param {object} options
 * @param {() => void} options.hush stops everything that is heard or seen, and all painting; must not wait
 * @param {() => void} options.close ends what is still connected
 * @param {() => {meeting: string, seat: string} | null} options.seat the place to give up
 */
export function installExit({ hush, close, seat }) {
  const neutral = fetchNeutral();
  let left = false;
  const leave = () => {
    if (left) return;
    left = true;
    document.documentElement.hidden = true; // blank before anything that could fail
    document.title = "Kitchen measures";
    const place = seat();
    try {
      hush();
      sessionStorage.clear();
    } finally {
      showInstead(neutral());
      void goAway(place, close);
    }
  };
  document.getElementById("leave-quickly")?.addEventListener("click", leave);
  /** @type {readonly number[]} */
  let presses = [];
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.repeat) return;
    const pressed = escapePressed(presses, performance.now());
    presses = pressed.presses;
    if (pressed.leave) leave();
  });
}

/**
 * Fetch the neutral page in advance, for leaving without a network. As a document, because turning text into
 * one would need an exception from Trusted Types.
 *
 * @returns {() => Document | null}
 */
function fetchNeutral() {
  /** @type {Document | null} */
  let page = null;
  const request = new XMLHttpRequest();
  request.open("GET", NEUTRAL);
  request.responseType = "document";
  request.onload = () => {
    page = request.status === 200 ? request.responseXML : null;
  };
  request.send();
  return () => page;
}

/**
 * Show the neutral page in place of the visit, here and in the history.
 *
 * @param {Document | null} page
 */
function showInstead(page) {
  history.replaceState(null, "", NEUTRAL);
  if (page?.documentElement) {
    document.documentElement.replaceWith(document.adoptNode(page.documentElement));
  } else {
    document.body.replaceChildren();
    document.documentElement.hidden = false;
  }
}

/**
 * Give the place up, then load the neutral page for real, so that nothing of the visit stays alive behind it.
 * Without a network what is shown stays, for a navigation would only bring an error page; so it does while the
 * server cannot record anything, for the cookie is ended only then. The rest follows when that is over.
 *
 * @param {{meeting: string, seat: string} | null} place
 * @param {() => void} close
 */
async function goAway(place, close) {
  try {
    // The connections end after the place does: a connection lost first would show the others "reconnecting",
    // which no ordinary leaving does.
    const answer = place && (await ask("/api/seat-leave", place));
    close();
    await ask(NEUTRAL);
    if (answer?.status !== 503) location.replace(NEUTRAL);
    else setTimeout(() => void goAway(place, close), AGAIN_AFTER);
  } catch {
    close();
    setTimeout(() => void goAway(place, close), AGAIN_AFTER);
  }
}

/**
 * @param {string} path
 * @param {object} [body] posted, and sent to its end even if this page is closed meanwhile
 */
function ask(path, body) {
  const settings = { cache: /** @type {const} */ ("no-store"), signal: AbortSignal.timeout(ANSWER_WITHIN) };
  if (!body) return fetch(path, settings);
  const headers = { "Content-Type": "application/json" };
  return fetch(path, { ...settings, method: "POST", headers, body: JSON.stringify(body), keepalive: true });
}
