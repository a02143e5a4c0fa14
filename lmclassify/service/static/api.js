/* Requests to the service, and their errors. URLs are relative: the page may be served under any path. */

import { askForToken, token } from "./token.js";

/** An error with a message for the user. */
export class ServiceError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export const getModel = (options) => request("v1/model", {}, options);

export const post = (path, body, options) =>
  request(
    path,
    { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) },
    options,
  );

/** Repeats a request while it is answered with "no valid token" (401) or "busy" (503). */
async function request(path, { headers, ...init }, { signal, onBusy } = {}) {
  for (;;) {
    const used = token();
    const authorization = used === null ? {} : { Authorization: `Bearer ${used}` };
    let response, answer;
    try {
      response = await fetch(path, { ...init, headers: { ...headers, ...authorization }, signal });
      answer = await response.text();
    } catch {
      signal?.throwIfAborted();
      throw new ServiceError("The service cannot be reached. Is it still running?");
    }
    if (response.status === 401) {
      if (used === token()) await unlessAborted(askForToken(), signal);
    } else if (response.status === 503) {
      const seconds = Number(response.headers.get("Retry-After")) || 1;
      onBusy?.(seconds);
      await unlessAborted(pause(seconds * 1000), signal);
    } else {
      return result(response, answer);
    }
  }
}

function unlessAborted(promise, signal) {
  if (signal === undefined) return promise;
  let stop;
  const aborted = new Promise((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", stop));
}

function result(response, answer) {
  let content = null;
  try {
    content = JSON.parse(answer);
  } catch {
    // A proxy between page and service has answered.
  }
  if (response.ok && content !== null) return content;
  const reason = content?.detail ?? `The status was ${`${response.status} ${response.statusText}`.trim()}.`;
  throw new ServiceError(`The request failed. ${reason}`, response.status);
}

export const pause = (milliseconds = 0) => new Promise((resolve) => setTimeout(resolve, milliseconds));
