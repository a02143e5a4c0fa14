/* Suggestions: next words, or completions of an unfinished word. Tab in the text area inserts the first. */

import { post } from "./api.js";
import { byId, element } from "./dom.js";

const SHOWN = 5;
const MANY_LABELS = 20; // from so many on, a mixture of all takes too long
const SEARCHED = 100; // words among which to look for completions of an unfinished word
const SCRIPTS = ["Han", "Hiragana", "Katakana", "Bopomofo", "Thai", "Lao", "Tibetan", "Myanmar", "Khmer"];
const PUNCTUATION = "ー\u3001-\u3003\u3008-\u3011\u3014-\u301f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65";
const LETTERS = SCRIPTS.map((name) => `\\p{sc=${name}}`).join("");
const UNSPACED_END = new RegExp(`[${LETTERS}${PUNCTUATION}]\\p{M}*$`, "u");
const area = byId("text");
const place = byId("suggestions");
const buttons = byId("next-words");
const chosen = byId("as-label");
let ready = null; // what the buttons insert, and the text for which they were requested
let searched = { key: null, words: null };
let completed = null; // a text whose last word was inserted, so it is complete
let likeliest = null; // label that words are suggested for if none is chosen
let dismissed = false; // hidden by Esc, until the text changes
let maxSuggestions = 0;
let onRequest = false; // with many labels words are suggested only when asked for
let asked = () => {}; // asks for words after the current text

export function setUpSuggestions(model) {
  maxSuggestions = model.can_suggest ? model.limits.max_suggestions : 0;
  byId("suggesting").hidden = maxSuggestions === 0;
  onRequest = model.labels.length > MANY_LABELS;
  byId("ask-words").hidden = !onRequest;
  if (onRequest) chosen.options[0].textContent = "the label found";
  chosen.append(...model.labels.map(({ label }) => element("option", { value: `=${label}` }, label)));
}

/** Disables the old buttons, but leaves them in place until there are new ones. */
export function ageSuggestions() {
  ready = null;
  asked = () => {};
  if (onRequest) hideSuggestions();
  dismissed = false;
  for (const button of buttons.children) button.setAttribute("aria-disabled", "true");
}

/** Suggests words after a text; with many labels, prepares to do so when asked. */
export async function suggest(text, label, options) {
  if (maxSuggestions === 0) return;
  likeliest = onRequest ? label : null;
  if (!onRequest) return show(text, options);
  asked = () => show(text, options).catch(() => hideSuggestions());
}

async function show(text, options) {
  const additions = await additionsTo(text, options);
  options.signal.throwIfAborted();
  if (dismissed) return;
  ready = { text, additions };
  buttons.replaceChildren(
    ...additions.map(({ word }) => element("button", { type: "button", dir: "auto" }, word)),
  );
  place.hidden = additions.length === 0;
  describe();
}

export function hideSuggestions() {
  ready = null;
  place.hidden = true;
  describe();
}

function describe() {
  if (place.hidden) area.removeAttribute("aria-describedby");
  else area.setAttribute("aria-describedby", "suggestions-hint");
}

async function additionsTo(text, options) {
  const unspaced = UNSPACED_END.test(text); // there the service completes unfinished words itself
  const unfinished = text === completed || unspaced ? "" : text.slice(text.search(/\s\S*$/) + 1);
  if (unfinished !== "") {
    const before = text.slice(0, text.length - unfinished.length);
    const begun = (word) => word.slice(0, unfinished.length).toLowerCase() === unfinished.toLowerCase();
    const words = (await searchedAfter(before)).filter(begun);
    const rests = new Set(words.map((word) => word.slice(unfinished.length)).filter((rest) => rest !== ""));
    const longer = [...rests].slice(0, SHOWN); // one of the words that differ only in case
    if (longer.length > 0) return longer.map((added) => ({ word: unfinished + added, added }));
  }
  const gap = text === "" || /\s$/.test(text) || unspaced ? "" : " ";
  const words = await requestWords(text, Math.min(SHOWN, maxSuggestions), options);
  return words.map((word) => ({ word, added: gap + word }));
}

/** Requests words once while a word is typed: further keys reuse the answer. */
function searchedAfter(prefix) {
  const key = `${chosen.value}\n${likeliest}\n${prefix}`;
  if (searched.key !== key) {
    const words = requestWords(prefix, Math.min(SEARCHED, maxSuggestions));
    searched = { key, words };
    words.catch(() => (searched = { key: null, words: null }));
  }
  return searched.words;
}

async function requestWords(prefix, n, options) {
  const label = chosen.value === "" ? likeliest : chosen.value.slice(1);
  const { suggestions } = await post("v1/suggest", { prefix, label, n }, options);
  return suggestions.map(({ word }) => word);
}

function insert(addition) {
  if (ready === null || ready.text !== area.value || addition === undefined) return false;
  area.setRangeText(addition.added, area.value.length, area.value.length, "end");
  area.focus();
  completed = area.value;
  area.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}

buttons.addEventListener("click", (event) =>
  insert(ready?.additions[[...buttons.children].indexOf(event.target)]),
);

byId("ask-words").addEventListener("click", () => {
  dismissed = false;
  asked();
});

area.addEventListener("keydown", (event) => {
  if (place.hidden || event.isComposing) return;
  const { length } = area.value;
  const atEnd = area.selectionStart === length && area.selectionEnd === length;
  const modified = event.shiftKey || event.ctrlKey || event.altKey || event.metaKey;
  if (event.key === "Escape") {
    dismissed = true;
    hideSuggestions();
  }
  if (event.key === "Tab" && !modified && atEnd && insert(ready?.additions[0])) event.preventDefault();
});
