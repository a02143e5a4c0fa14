/* The buttons of labels with their keys, and the search field that finds or adds a label. */

import { byId, element, labelName, percent } from "../shared/dom.js";
import { COLOURS, colourNumbers, swatch } from "../shared/label-colours.js";

const KEYS = 9;
const search = byId("search");
const list = byId("found");
let labels = []; // as in the state
let onChoose = null;
let keep = null; // the label of the file that Enter keeps, or the shown guess that it accepts
let numbered = []; // the labels of the keys 1 to 9
let options = []; // of the open list: {label, isNew}
let active = -1; // place of the active option
let searching = false; // the list is open although nothing is typed
let erased = false; // the last key erased what was typed

export function setUpChoices(choose) {
  onChoose = choose;
}

export const labelOfKey = (number) => numbered[number - 1];
export const labelOfEnter = () => keep;
export const isSearching = () => searching || search.value !== "";

/** Whether Backspace was pressed only to erase what was typed: once too often takes no answer back. */
export const hasErased = () => erased;

/** Shows the buttons for a text; `guess` is the model's guess, or null if there is none to show. */
export function showChoices(state, item, guess) {
  labels = state.labels;
  const checks = state.mode === "check" && item.label !== null;
  keep = checks ? item.label : (guess?.label ?? null);
  numbered = numberedLabels(item, guess, checks);
  const shown = checks ? [item.label, ...numbered] : numbered;
  const numbers = numbersOf(shown, guess);
  byId("choices").replaceChildren(
    ...shown.map((label) => choiceButton(label, numbers.get(label), guess, checks)),
  );
  byId("choices").hidden = shown.length === 0;
  byId("start").hidden = labels.length > 0;
  byId("all-labels").hidden = labels.length === 0;
  byId("guess").replaceChildren(...sentence(item, guess, checks, numbers));
  if (isSearching()) fillList();
}

/** Up to nine labels: in their order, or of many the model's guesses and the most frequent ones. */
function numberedLabels(item, guess, checks) {
  const names = labels.map(({ name }) => name);
  const first = item.suggested === null ? [] : [item.suggested];
  const others = checks ? names.filter((name) => name !== item.label) : names;
  if (others.length <= KEYS) return [...new Set([...first, ...others])].slice(0, KEYS);
  const guessed = Object.entries(guess?.probabilities ?? {})
    .sort(([, one], [, other]) => other - one)
    .map(([name]) => name);
  const frequent = [...labels].sort((one, other) => other.count - one.count).map(({ name }) => name);
  const chosen = new Set([...first, ...guessed, ...frequent]);
  if (checks) chosen.delete(item.label);
  return [...chosen].slice(0, KEYS);
}

function numbersOf(shown, guess) {
  if (labels.length <= COLOURS) return colourNumbers(shown);
  return guess?.against ? colourNumbers([guess.label, guess.against]) : new Map();
}

function choiceButton(label, colour, guess, checks) {
  const number = numbered.indexOf(label) + 1;
  const made = element("button", { type: "button", class: label === keep ? "first" : "" });
  const keys = [number > 0 && String(number), label === keep && "Enter"].filter(Boolean);
  const share = guess?.probabilities?.[label];
  made.append(...keys.flatMap((key) => [element("kbd", { "aria-hidden": "true" }, key), " "]));
  made.append(checks && label === keep ? "Keep " : "", swatch(colour), labelName(label));
  if (share !== undefined) made.append(" ", element("span", { class: "share" }, percent(share)));
  made.setAttribute("aria-keyshortcuts", keys.join(" "));
  made.addEventListener("click", () => onChoose(label));
  return made;
}

function sentence(item, guess, checks, numbers) {
  const named = (label) => element("strong", {}, swatch(numbers.get(label)), labelName(label));
  if (checks) {
    const suggested = item.suggested === null ? [] : [" Suggested: ", named(item.suggested), "."];
    return ["In the file: ", named(item.label), ".", ...suggested];
  }
  if (guess === null) return [];
  return ["The model’s guess: ", named(guess.label), `, ${percent(guess.probability)}.`];
}

/** Opens the list of labels, also with nothing typed; then digits and signs are typed, too. */
export function openSearch() {
  search.focus();
  searching = true;
  fillList();
}

export function closeSearch() {
  search.value = "";
  searching = false;
  options = [];
  showList();
}

function fillList() {
  const typed = search.value.trim().replace(/\s+/g, " ");
  options = matching(typed).map((label) => ({ ...label, isNew: false }));
  if (typed !== "" && !labels.some(({ name }) => plain(name) === plain(typed))) {
    options.push({ name: typed, isNew: true });
  }
  active = typed === "" ? -1 : 0;
  showList();
}

const plain = (name) => name.normalize("NFKC").toLowerCase(); // labels that differ only in this are refused
const folded = (name) => name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** The labels whose names contain what was typed: first those that are equal to it, or begin with it. */
function matching(typed) {
  const sought = folded(typed);
  const rank = ({ name }) => {
    const whole = folded(name);
    if (name === typed) return 0;
    if (whole === sought) return 1;
    if (whole.startsWith(sought)) return 2;
    if (whole.split(/[^\p{L}\p{N}]+/u).some((part) => part.startsWith(sought))) return 3;
    return whole.includes(sought) ? 4 : 5;
  };
  const ranked = labels.map((label) => ({ ...label, rank: rank(label) }));
  return ranked.filter((label) => label.rank < 5).sort((one, other) => one.rank - other.rank);
}

function showList() {
  list.hidden = options.length === 0;
  for (const opener of [search, byId("all-labels")])
    opener.setAttribute("aria-expanded", String(!list.hidden));
  list.replaceChildren(...options.map(option));
  if (!list.hidden) list.parentElement.scrollIntoView({ block: "nearest" });
  showActive();
}

function option({ name, count, isNew }, place) {
  const made = element("li", { role: "option", id: `found-${place}`, "aria-selected": "false" });
  if (isNew) made.append(element("span", {}, "Add label “", labelName(name), "”"));
  else made.append(labelName(name), element("span", { class: "number" }, count.toLocaleString("en")));
  made.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
  made.addEventListener("click", () => onChoose(name));
  return made;
}

function showActive() {
  for (const [place, made] of [...list.children].entries()) {
    made.setAttribute("aria-selected", String(place === active));
  }
  if (active < 0 || list.hidden) {
    search.removeAttribute("aria-activedescendant");
    list.scrollTop = 0;
  } else {
    search.setAttribute("aria-activedescendant", `found-${active}`);
    list.children[active].scrollIntoView({ block: "nearest" });
  }
}

/** Handles a key of the search field while something is searched; returns whether it was one of its keys. */
export function searchKey(key) {
  if (key === "Escape") closeSearch();
  else if (options.length === 0) return false;
  else if (key === "ArrowDown") active = (active + 1) % options.length;
  else if (key === "ArrowUp") active = (Math.max(active, 0) + options.length - 1) % options.length;
  else if (key === "Enter") {
    if (options[active] !== undefined) onChoose(options[active].name);
  } else return false;
  if (key.startsWith("Arrow")) showActive();
  return true;
}

search.addEventListener("keydown", ({ key }) => {
  if (key !== "Backspace") erased = false;
});
search.addEventListener("input", () => {
  erased = search.value === "";
  if (erased) closeSearch();
  else fillList();
});
search.addEventListener("blur", () => {
  erased = false;
  if (search.value === "") closeSearch();
});
byId("all-labels").addEventListener("mousedown", (event) => event.preventDefault());
byId("all-labels").addEventListener("click", () => (list.hidden ? openSearch() : closeSearch()));
