// @ts-check
// Takes the seat token out of the address bar. Imported before everything else, so that no other code, no
// history entry and no copied address ever holds it.

import { readFragment } from "./credentials.js";

/** What the link brought; null when it brought nothing. Held in memory only. */
export const fragment = readFragment(location.hash);

if (location.hash !== "") history.replaceState(null, "", location.pathname);
