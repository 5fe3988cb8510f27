// @ts-check
// Requests to the server: JSON in, JSON or an ApiError out.

/** @typedef {import('./messages.js').Problem} Problem */

/** A request that did not succeed. `message` is a sentence for the person. */
export class ApiError extends Error {
  /**
   * @param {number} status HTTP status; 0 when the server did not answer
   * @param {string} code the problem's code; `unreachable` when the server did not answer
   * @param {string} text what to do next
   */
  constructor(status, code, text) {
    super(text);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }

  /** The server did answer, and asking again would not change the answer. */
  get final() {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}

/**
 * Ask the server.
 *
 * @param {'GET' | 'POST'} method
 * @param {string} path
 * @param {object} [options]
 * @param {unknown} [options.body] sent as JSON
 * @param {Record<string, string>} [options.headers]
 * @param {number} [options.timeout] milliseconds until giving up
 * @returns {Promise<any>} the answer's JSON; null for an empty one.
 * @throws {ApiError}
 */
export async function request(method, path, { body, headers = {}, timeout = 10_000 } = {}) {
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? headers : { ...headers, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(timeout),
    });
    text = await response.text();
  } catch {
    throw new ApiError(0, "unreachable", "The server did not answer. Check your connection and try again.");
  }
  const data = parsed(text);
  if (response.ok) return data;
  const problem = /** @type {Partial<Problem>} */ (data ?? {});
  const said = problem.detail ?? problem.title ?? "That did not work. Please try again in a moment.";
  throw new ApiError(response.status, problem.code ?? "error", said);
}

/**
 * @param {string} path
 * @param {unknown} [body]
 * @param {Record<string, string>} [headers]
 */
export const post = (path, body, headers = {}) => request("POST", path, { body, headers });

/**
 * @param {string} path
 * @param {Record<string, string>} [headers]
 */
export const get = (path, headers = {}) => request("GET", path, { headers });

/**
 * The sentence of an error for the person who sees it.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function sentence(error) {
  return error instanceof ApiError ? error.message : "Something went wrong on this page. Reload it and try again.";
}

/** @param {string} text */
function parsed(text) {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    return null; // a proxy's HTML page instead of our JSON
  }
}
