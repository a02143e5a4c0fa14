/* Next words, or the rest of an unfinished one: buttons, and Tab in the textarea for the first. */

import { post } from "./api.js";
import { byId, element } from "./dom.js";

const SHOWN = 5;
const SEARCHED = 100; // words among which to look for the rest of an unfinished one
const area = byId("text");
const place = byId("suggestions");
const buttons = byId("next-words");
const chosen = byId("as-label");
let ready = null; // what the buttons add, and the text they were asked for
let searched = { key: null, words: null };
let completed = null; // a text whose last word was taken, and is whole
let dismissed = false; // until the text changes
let most = 0;

export function setUpSuggestions(model) {
  most = model.can_suggest ? model.limits.max_suggestions : 0;
  byId("suggesting").hidden = most === 0;
  chosen.append(...model.labels.map(({ label }) => element("option", { value: `=${label}` }, label)));
}

/** Keeps the old buttons in place, greyed, until there are new ones. */
export function ageSuggestions() {
  ready = null;
  dismissed = false;
  for (const button of buttons.children) button.setAttribute("aria-disabled", "true");
}

export async function suggest(text, options) {
  if (most === 0) return;
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
  const unfinished = text === completed ? "" : text.slice(text.search(/\s\S*$/) + 1);
  if (unfinished !== "") {
    const before = text.slice(0, text.length - unfinished.length);
    const begun = (word) => word.slice(0, unfinished.length).toLowerCase() === unfinished.toLowerCase();
    const words = (await searchedAfter(before)).filter(begun);
    const rests = new Set(words.map((word) => word.slice(unfinished.length)).filter((rest) => rest !== ""));
    const longer = [...rests].slice(0, SHOWN); // once, where words differ by upper and lower case only
    if (longer.length > 0) return longer.map((added) => ({ word: unfinished + added, added }));
  }
  const gap = text === "" || /\s$/.test(text) ? "" : " ";
  const words = await asked(text, Math.min(SHOWN, most), options);
  return words.map((word) => ({ word, added: gap + word }));
}

/** Asks once while a word is typed: more keys do not end this request, and its answer serves them all. */
function searchedAfter(prefix) {
  const key = `${chosen.value}\n${prefix}`;
  if (searched.key !== key) {
    const words = asked(prefix, Math.min(SEARCHED, most));
    searched = { key, words };
    words.catch(() => (searched = { key: null, words: null }));
  }
  return searched.words;
}

async function asked(prefix, n, options) {
  const label = chosen.value === "" ? null : chosen.value.slice(1);
  const { suggestions } = await post("v1/suggest", { prefix, label, n }, options);
  return suggestions.map(({ word }) => word);
}

function take(addition) {
  if (ready === null || ready.text !== area.value || addition === undefined) return false;
  area.setRangeText(addition.added, area.value.length, area.value.length, "end");
  area.focus();
  completed = area.value;
  area.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}

buttons.addEventListener("click", (event) =>
  take(ready?.additions[[...buttons.children].indexOf(event.target)]),
);

area.addEventListener("keydown", (event) => {
  if (place.hidden || event.isComposing) return;
  const { length } = area.value;
  const atEnd = area.selectionStart === length && area.selectionEnd === length;
  const modified = event.shiftKey || event.ctrlKey || event.altKey || event.metaKey;
  if (event.key === "Escape") {
    dismissed = true;
    hideSuggestions();
  }
  if (event.key === "Tab" && !modified && atEnd && take(ready?.additions[0])) event.preventDefault();
});
