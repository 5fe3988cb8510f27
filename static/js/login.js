// @ts-check
// Signing in on the staff pages.

import { post, sentence } from "./api.js";
import { pageAfterLogin } from "./credentials.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("login"));
const problem = /** @type {HTMLElement} */ (document.getElementById("problem"));
const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));

document.body.dataset["state"] = "login";

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(form);
  const name = String(data.get("name") ?? "").trim();
  const password = String(data.get("password") ?? "");
  if (!name || !password) {
    refuse(name ? "Please enter your password." : "Please enter your account name.", name ? "password" : "name");
    return;
  }
  button.disabled = true;
  try {
    const account = await post("/api/login", { name, password });
    location.replace(pageAfterLogin(new URLSearchParams(location.search).get("next"), account.role));
  } catch (error) {
    refuse(sentence(error), "password");
  } finally {
    button.disabled = false;
  }
});

/**
 * @param {string} text
 * @param {string} field the one to correct
 */
function refuse(text, field) {
  problem.textContent = text;
  for (const input of form.querySelectorAll("input")) {
    input.setAttribute("aria-invalid", String(input.id === field));
  }
  document.getElementById(field)?.focus();
}
