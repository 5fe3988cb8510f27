// @ts-check
// What every page does besides its own matter: live regions, focus, the state word, copying.

import { html, render } from "../vendor/preact-htm.js";

/** @typedef {import('../vendor/preact-htm.js').Child} Child */

/**
 * Paint the page into `<main>`, keep `<body data-state>`, and move focus to the heading when the scene changed.
 *
 * @returns {(content: Child, shown: {word: string, scene: string, title: string}) => void}
 */
export function painter() {
  const main = document.querySelector("main");
  if (!main) throw new Error("The page has no main element.");
  main.replaceChildren(); // what stood there says that the page is loading
  let scene = "";
  const keepFocus = focusKeeper(main);
  keepInView(main);
  return (content, shown) => {
    render(content, main);
    keepFocus();
    document.body.dataset["state"] = shown.word;
    if (document.title !== shown.title) document.title = shown.title;
    if (shown.scene === scene) return;
    const first = scene === "" || scene === "opening";
    scene = shown.scene;
    document.body.dataset["scene"] = scene;
    if (first) return; // a fresh page begins where the browser begins it: at "Leave quickly"
    window.scrollTo(0, 0);
    main.querySelector("h1")?.focus();
  };
}

/**
 * What comes up above, a sentence or a picture, must not push out of the window what somebody is about to press
 * with a key (WCAG 2.4.11). Whoever has scrolled away from it stays where they are.
 *
 * @param {HTMLElement} main
 */
function keepInView(main) {
  let inView = false;
  const look = () => {
    const focused = main.querySelector(":focus-visible");
    if (focused === null) return null;
    const { top, height } = focused.getBoundingClientRect();
    const middle = top + height / 2;
    return { focused, inside: middle >= 0 && middle <= window.innerHeight };
  };
  main.addEventListener("focusin", () => (inView = true)); // the browser scrolls there
  document.addEventListener("scroll", () => (inView = look()?.inside ?? false), { passive: true });
  new ResizeObserver(() => {
    const now = look();
    if (inView && now?.inside === false) now.focused.scrollIntoView({ block: "nearest" });
  }).observe(main);
}

/**
 * Whoever works without a mouse must not lose their place when the button they pressed goes away: focus moves to
 * the heading of the nearest part that is still there.
 *
 * @param {HTMLElement} main
 * @returns {() => void} to be called after each painting.
 */
function focusKeeper(main) {
  /** @type {HTMLElement[]} what has the focus, and what it is inside of, innermost first */
  let path = [];
  main.addEventListener("focusin", ({ target }) => {
    path = [];
    for (let at = /** @type {HTMLElement | null} */ (target); at !== null; at = at.parentElement) {
      path.push(at);
      if (at === main) break;
    }
  });
  // With a pointer, focus goes where it is put, also nowhere.
  document.addEventListener("pointerdown", () => (path = []));
  return () => {
    const [focused, ...around] = path;
    if (!focused || document.activeElement !== document.body) return;
    if (focused.isConnected) {
      focused.focus(); // it rested, disabled, and may be back
      return;
    }
    const part = around.find((element) => element.isConnected && element.querySelector("h1, h2, h3"));
    const heading = /** @type {HTMLElement | undefined} */ (part?.querySelector("h1, h2, h3") ?? undefined);
    heading?.setAttribute("tabindex", "-1");
    heading?.focus();
  };
}

/**
 * Say something to listeners.
 *
 * @param {{assertive: boolean, text: string} | null} message
 */
export function announce(message) {
  if (message === null) return;
  const region = document.getElementById(message.assertive ? "alerts" : "announcements");
  if (!region) return;
  // What was said earlier may no longer hold; nobody should come across it.
  for (const id of ["alerts", "announcements"]) document.getElementById(id)?.replaceChildren();
  // The same sentence twice would not be read twice without the region having been empty in between.
  window.setTimeout(() => {
    region.textContent = message.text;
  }, 50);
}

/**
 * The heading of a step; focus lands on it.
 *
 * @param {{children?: unknown}} props
 */
export function Heading({ children }) {
  return html`<h1 tabindex="-1">${children}</h1>`;
}

/**
 * @param {{tone: 'alarm' | 'calm', text: string} | null} banner
 */
export function bannerView(banner) {
  return banner && html`<p class=${`banner ${banner.tone}`} data-banner=${banner.tone}>${banner.text}</p>`;
}

/**
 * Copy a text for pasting elsewhere.
 *
 * @param {string} text
 * @returns {Promise<boolean>} false when the browser refused.
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
