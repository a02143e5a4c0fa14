/* Requests to the service, and what its errors mean. Addresses are relative: the page may stand anywhere. */

import { askForToken, token } from "./token.js";

/** An error whose message is for people. */
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

/** Asks until there is an answer other than "no token" (401) or "busy" (503). */
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
    // Something between page and service has answered, in its own way.
  }
  if (response.ok && content !== null) return content;
  const reason = content?.detail ?? `It answered ${`${response.status} ${response.statusText}`.trim()}.`;
  throw new ServiceError(`The service could not do this. ${reason}`, response.status);
}

export const pause = (milliseconds = 0) => new Promise((resolve) => setTimeout(resolve, milliseconds));
