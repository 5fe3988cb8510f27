// @ts-check
// Who is signed in on the staff pages, and signing out.

import { ApiError, get, post } from "./api.js";

/** @typedef {import('./messages.js').Account} Account */

/**
 * Make sure that somebody with this role is signed in; else go to the sign-in page and come back from there.
 *
 * @param {'therapist' | 'admin'} role
 * @returns {Promise<Account | null>} null when the page is being left, or the server did not answer.
 */
export async function signIn(role) {
  try {
    return await get(`/api/me?role=${role}`, { "Quietroom-Role": role });
  } catch (error) {
    if (error instanceof ApiError && error.final) {
      location.replace(`/login?next=${encodeURIComponent(location.pathname)}`);
    } else {
      const main = document.querySelector("main");
      const note = document.createElement("p");
      note.className = "banner alarm";
      note.setAttribute("role", "alert");
      note.textContent = "The server did not answer. Reload this page in a moment.";
      main?.prepend(note);
    }
    return null;
  }
}

/**
 * Make the page's "Sign out" button work.
 *
 * @param {'therapist' | 'admin'} role
 */
export function installSignOut(role) {
  document.getElementById("sign-out")?.addEventListener("click", async () => {
    try {
      await post("/api/logout", undefined, { "Quietroom-Role": role });
    } finally {
      location.assign("/login");
    }
  });
}
