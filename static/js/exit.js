// @ts-check
// Leave quickly (N10): one press or Escape three times, no question, nothing left to see, also without a network.

const NEUTRAL = "/static/neutral.html";
const PRESSES = 3;
const WITHIN = 2_000; // ms

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
 * @param {() => void} options.silence stops everything that is heard, seen or connected; must not wait
 * @param {() => {meeting: string, seat: string} | null} options.seat the place to give up
 */
export function installExit({ silence, seat }) {
  const neutral = fetchNeutral();
  const leave = () => {
    document.documentElement.hidden = true; // blank before anything that could fail
    document.title = "Kitchen measures";
    const place = seat();
    if (place) {
      const body = new Blob([JSON.stringify(place)], { type: "application/json" });
      navigator.sendBeacon("/api/seat-leave", body);
    }
    try {
      silence();
      sessionStorage.clear();
    } finally {
      void replacePage(neutral());
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
 * Show the neutral page in place of the visit's history entry: at once from memory, then for real, so that
 * nothing of this page stays alive behind it.
 *
 * @param {Document | null} page
 */
async function replacePage(page) {
  history.replaceState(null, "", NEUTRAL);
  if (page?.documentElement) {
    document.documentElement.replaceWith(document.adoptNode(page.documentElement));
  } else {
    document.body.replaceChildren();
    document.documentElement.hidden = false;
  }
  try {
    await fetch(NEUTRAL, { cache: "no-store", signal: AbortSignal.timeout(3_000) });
    location.replace(NEUTRAL);
  } catch {
    // No network: what is shown stays, and a navigation would only bring an error page.
  }
}
