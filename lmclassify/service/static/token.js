/* The bearer token, if the service requires one. It is stored for this tab only. */

import { byId, say } from "./dom.js";

const KEY = "lmclassify-token";
const form = byId("token-form");
let current = stored();
let entered = null; // a promise while the form is shown
let resolveEntered = null;

export const token = () => current;

/** Resolves when the user has entered a token. */
export function askForToken() {
  if (entered === null) {
    entered = new Promise((resolve) => (resolveEntered = resolve));
    form.hidden = false;
    say(byId("token-error"), current === null ? "" : "This token is not valid. Check it and try again.");
    if (current !== null || document.activeElement === document.body) byId("token").focus();
  }
  return entered;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const value = byId("token").value.trim();
  if (!/^[!-~]+$/.test(value)) {
    say(byId("token-error"), "A token is one word of visible ASCII characters.");
    return;
  }
  current = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // Storage is disabled: the token is lost when the page is closed or reloaded.
  }
  form.reset();
  form.hidden = true;
  byId("text").focus();
  entered = null;
  resolveEntered();
});

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
