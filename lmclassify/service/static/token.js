/* The bearer token of a service that asks for one: kept for this tab only. */

import { byId, say } from "./dom.js";

const KEY = "lmclassify-token";
const form = byId("token-form");
let current = stored();
let given = null; // a promise while the form waits
let give = null;

export const token = () => current;

/** Resolves when the user has given a token. */
export function askForToken() {
  if (given === null) {
    given = new Promise((resolve) => (give = resolve));
    form.hidden = false;
    say(byId("token-error"), current === null ? "" : "This token is not the right one. Please check it.");
    if (current !== null || document.activeElement === document.body) byId("token").focus();
  }
  return given;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const entered = byId("token").value.trim();
  if (!/^[!-~]+$/.test(entered)) {
    say(byId("token-error"), "A token is one word of letters, digits and signs, without accents.");
    return;
  }
  current = entered;
  try {
    sessionStorage.setItem(KEY, entered);
  } catch {
    // Storage is switched off: the token is kept until the page is left.
  }
  form.reset();
  form.hidden = true;
  byId("text").focus();
  given = null;
  give();
});

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
