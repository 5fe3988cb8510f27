// @ts-check
// A therapist's sessions: the list, booking one, and the links, shown once.

import { html, useState } from "../vendor/preact-htm.js";
import { ApiError, get, post, sentence } from "./api.js";
import { forgetOld, forgetSecret, inGroups, keepSecret, keptSecret, withSecret } from "./link-keeping.js";
import { authenticatorHash, drawLinkSecret, linkKeys } from "./link-secret.js";
import { Heading, announce, copy, painter } from "./page.js";
import { installSignOut, signIn } from "./staff-account.js";
import { dateAndTime, rfc3339, timeOfDay } from "./words.js";

/** @typedef {import('./messages.js').SessionSummary} SessionSummary */
/** @typedef {import('./messages.js').Booked} Booked */

const ROLE = { "Quietroom-Role": "therapist" };

/** @type {readonly SessionSummary[] | null} */
let sessions = null;
/** @type {Booked | null} */
let booked = null;
/** @type {string | null} */
let problem = null;
/** @type {string | null} */
let ending = null; // the meeting that is asked about
let busy = false;
let bookingKey = crypto.randomUUID(); // the same until the booking is known to have succeeded
let secret = drawLinkSecret(); // of that booking: a repeated request is the same one only with the same secret

const paint = painter();

function repaint() {
  paint(html`<${Page} />`, {
    word: booked ? "booked" : sessions ? "sessions" : "loading",
    scene: booked ? "booked" : "sessions",
    title: "Your sessions – Quietroom",
  });
}

function Page() {
  if (booked) return html`<${Links} booked=${booked} />`;
  return html`<div class="staff">
    <${Heading}>Your sessions<//>
    <p class="problem" role="alert">${problem}</p>
    <${Booking} />
    <${List} />
  </div>`;
}

function Booking() {
  const soon = new Date(Math.ceil(Date.now() / 900_000) * 900_000); // the next quarter of an hour
  const local = (/** @type {Date} */ date) => rfc3339(date).slice(0, 16);
  return html`<section class="card" aria-labelledby="book">
    <h2 id="book">Book a session</h2>
    <form onSubmit=${submit}>
      <fieldset>
        <legend>Kind</legend>
        <div class="check"><input type="radio" name="kind" id="couple" value="couple" checked /><label for="couple">Couple</label></div>
        <div class="check"><input type="radio" name="kind" id="individual" value="individual" /><label for="individual">Individual</label></div>
      </fieldset>
      <div class="pair">
        <div><label for="starts">Begins</label><input type="datetime-local" id="starts" name="starts" required value=${local(soon)} /></div>
        <div><label for="ends">Ends</label><input type="datetime-local" id="ends" name="ends" required value=${local(new Date(soon.getTime() + 3_600_000))} /></div>
      </div>
      <label for="cohost">Second clinician’s account name (may be left empty)</label>
      <input id="cohost" name="cohost" maxlength="64" autocomplete="off" autocapitalize="none" spellcheck="false" />
      <div class="check">
        <input type="checkbox" id="in-link" name="in-link" aria-describedby="in-link-hint" />
        <label for="in-link">Put the password into the links</label>
      </div>
      <p class="hint" id="in-link-hint">Easier to use; but whoever gets hold of such a link can knock with it.</p>
      <button type="submit" class="primary" disabled=${busy}>Book</button>
    </form>
  </section>`;
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  if (busy) return;
  const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
  const starts = new Date(String(data.get("starts")));
  const ends = new Date(String(data.get("ends")));
  if (!(starts < ends)) {
    fail("The session must end after it begins. Change “Ends”.");
    document.getElementById("ends")?.focus();
    return;
  }
  const cohost = String(data.get("cohost") ?? "").trim();
  busy = true;
  problem = null;
  repaint();
  try {
    const body = {
      kind: data.get("kind"),
      starts: rfc3339(starts),
      ends: rfc3339(ends),
      "password-in-link": data.has("in-link"),
      ...(cohost ? { cohost } : {}),
      "link-authenticator-hash": await authenticatorHash(await linkKeys(secret)),
    };
    const answer = await post("/api/sessions", body, { ...ROLE, "Idempotency-Key": bookingKey });
    booked = sealed(answer);
    anew();
  } catch (error) {
    problem = sentence(error);
    if (!(error instanceof Error && "status" in error && error.status === 0)) anew();
  }
  busy = false;
  repaint();
}

/** The next booking is another one. */
function anew() {
  bookingKey = crypto.randomUUID();
  secret = drawLinkSecret();
}

/**
 * Put the secret into the links, and keep it for our own page.
 *
 * @param {Booked} answer
 * @returns {Booked}
 */
function sealed(answer) {
  if (answer.encryption !== "end-to-end") {
    throw new ApiError(200, "downgraded", "The server booked a session that is not end-to-end encrypted. End it below.");
  }
  keepSecret(localStorage, answer, secret);
  return withSecret(answer, secret);
}

/** @param {string} text */
function fail(text) {
  problem = text;
  repaint();
}

/** @param {{booked: Booked}} props */
function Links({ booked: session }) {
  const code = keptSecret(localStorage, session.meeting);
  return html`<section class="card">
    <${Heading}>The session is booked<//>
    <p>
      <strong>Give each person only their own link.</strong> The links and the password are shown this once and
      cannot be shown again.
    </p>
    <dl class="facts">
      <dt>When</dt>
      <dd>${dateAndTime(Date.parse(session.starts))} to ${timeOfDay(Date.parse(session.ends))}</dd>
      <dt>Meeting ID</dt>
      <dd><${Copyable} text=${session.meeting} name="meeting ID" /></dd>
      <dt>Password, for everybody in this session</dt>
      <dd><${Copyable} text=${session.password} name="password" /></dd>
      ${code !== null &&
      html`<dt>Room code, for everybody in this session who types by hand</dt>
        <dd><${Copyable} text=${inGroups(code)} name="room code" /></dd>
        <dt>Your own link, for another device</dt>
        <dd><${Copyable} text=${session["host-link"]} name="link of your own page" /></dd>`}
    </dl>
    ${code !== null &&
    html`<p>
      The links hold the key of this session. Our server does not have it: if links and room code are lost, nobody can
      restore them, and you book the session anew.
    </p>`}
    ${session.seats.map(
      (seat) => html`<div class="link" key=${seat.seat}>
        <h2>${seat.label}</h2>
        <dl class="facts">
          <dt>Link</dt>
          <dd><${Copyable} text=${seat.link} name=${`link of ${seat.label}`} /></dd>
          <dt>Seat code, to type by hand</dt>
          <dd><${Copyable} text=${seat["seat-token"]} name=${`seat code of ${seat.label}`} /></dd>
        </dl>
      </div>`,
    )}
    <p class="quiet">Send the password another way than the link, so that a forwarded link alone opens nothing.</p>
    <div class="row">
      <a class="button primary" href=${hostPage(session)}>Open your page of this session</a>
      <button type="button" onClick=${done}>I have handed them out</button>
    </div>
  </section>`;
}

/** @param {{text: string, name: string}} props */
function Copyable({ text, name }) {
  const [copied, setCopied] = useState(false);
  const press = async () => {
    setCopied(await copy(text));
    announce({ assertive: false, text: `The ${name} was copied.` });
  };
  return html`<span class="copyable">
    <code>${text}</code>
    <button type="button" aria-label=${`Copy the ${name}`} onClick=${press}>${copied ? "Copied" : "Copy"}</button>
  </span>`;
}

function done() {
  booked = null;
  void load();
}

function List() {
  if (sessions === null) return html`<p class="quiet" role="status">One moment …</p>`;
  const open = sessions.filter(({ state }) => state === "open");
  return html`<section class="card" aria-labelledby="open">
    <h2 id="open">Open sessions</h2>
    ${open.length === 0 && html`<p class="quiet">There is no open session.</p>`}
    <ul class="sessions">
      ${open.map(
        (session) => html`<li key=${session.meeting}>
          <div>
            <strong>${session.kind === "couple" ? "Couple" : "Individual"}</strong>, ${dateAndTime(Date.parse(session.starts))}
            ${" "}to ${timeOfDay(Date.parse(session.ends))}
            <br /><span class="quiet">Meeting ${session.meeting.slice(0, 6)}…</span>
          </div>
          ${ending === session.meeting
            ? html`<div class="question" role="group" aria-label="End this session?">
                <p><strong>End this session for everyone?</strong> The links stop working.</p>
                <div class="row">
                  <button type="button" class="danger" onClick=${() => void end(session.meeting)}>End it now</button>
                  <button type="button" onClick=${() => ask(null)}>Keep it</button>
                </div>
              </div>`
            : html`<div class="row">
                <a class="button primary" href=${hostPage(session)}>Open</a>
                <button type="button" onClick=${() => ask(session.meeting)}>End …</button>
              </div>`}
        </li>`,
      )}
    </ul>
  </section>`;
}

/** @param {string | null} meeting */
function ask(meeting) {
  ending = meeting;
  repaint();
}

/** @param {string} meeting */
async function end(meeting) {
  try {
    await post(`/api/sessions/${encodeURIComponent(meeting)}/end`, undefined, ROLE);
    forgetSecret(localStorage, meeting);
    announce({ assertive: false, text: "The session has ended." });
  } catch (error) {
    problem = sentence(error);
  }
  ending = null;
  await load();
}

/**
 * The path of a link to our own pages: links carry the public address, which may not be the one in use.
 *
 * @param {string} link
 */
function local(link) {
  return URL.canParse?.(link) ? new URL(link).pathname : link;
}

/**
 * The address of the host's page, with the key of the session if this device keeps it.
 *
 * @param {{meeting: string, 'host-link': string}} session
 */
function hostPage(session) {
  const kept = keptSecret(localStorage, session.meeting);
  return local(session["host-link"]) + (kept === null ? "" : `#${kept}`);
}

async function load() {
  try {
    sessions = await get("/api/sessions", ROLE);
  } catch (error) {
    problem = sentence(error);
  }
  repaint();
}

forgetOld(localStorage, Date.now());
repaint();
installSignOut("therapist");
if (await signIn("therapist")) await load();
