// @ts-check
// Takes seat token and link secret out of the address bar. Imported before everything else, so that no other code, no
// history entry and no copied address ever holds them.

import { readFragment } from "./credentials.js";
import { secretIn } from "./link-secret.js";

/** What the link brought; null when it brought nothing. Held in memory only. */
export const fragment = readFragment(location.hash);

/** The session's secret, if the link brought it: for patients with the seat token, for hosts alone. */
export const linkSecret = location.hash === "" ? null : secretIn(location.hash);

if (location.hash !== "") history.replaceState(null, "", location.pathname);
