/* Requests to `lmclassify label`, with the token of the address that it printed, and their errors.
   Token and client id are stored for this tab only: after a reload the tab gets the same texts again. */

const TOKEN = "lmclassify-label-token";
const CLIENT = "lmclassify-label-client";
const TIMEOUT = 20_000; // milliseconds

/** An error with a message for the user; status 0: there was no answer. */
export class RequestError extends Error {
  constructor(message, status, fileChanged = false) {
    super(message);
    this.status = status;
    this.fileChanged = fileChanged;
  }
}

const token = takeToken();
const client = stored(CLIENT) ?? store(CLIENT, randomName());

export const get = (path, options) => request(path, {}, options);

export const post = (path, body = {}) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

async function request(path, { headers, ...init }, { signal } = {}) {
  const timeout = AbortSignal.timeout(TIMEOUT);
  let response, answer;
  try {
    response = await fetch(path, {
      ...init,
      headers: { ...headers, Authorization: `Bearer ${token ?? ""}`, "X-Client": client },
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    answer = await response.text();
  } catch {
    signal?.throwIfAborted();
    throw new RequestError("lmclassify does not answer. Is the command “lmclassify label” still running?", 0);
  }
  let content = null;
  try {
    content = JSON.parse(answer);
  } catch {
    // not an answer of lmclassify
  }
  if (response.ok && content !== null) return content;
  if (response.status === 401) {
    throw new RequestError(
      "This page has no valid token. Open the address that “lmclassify label” printed.",
      401,
    );
  }
  const { detail = `The status was ${response.status}.`, file_changed: fileChanged } = content ?? {};
  throw new RequestError(detail, response.status, fileChanged);
}

/** Moves the token from the address to the tab's storage, so that it is not in the history. */
function takeToken() {
  const address = new URL(location.href);
  const given = address.searchParams.get("token");
  if (given === null) return stored(TOKEN);
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
  return store(TOKEN, given);
}

function stored(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key, value) {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    // Storage is disabled: the value is lost when the page is closed or reloaded.
  }
  return value;
}

function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
