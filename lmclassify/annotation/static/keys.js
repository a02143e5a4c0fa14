/* The keys of the page. Digits and signs are keys while the search field is empty; letters go into it. */

import { byId } from "../shared/dom.js";
import { hasErased, isSearching, openSearch, searchKey } from "./choices.js";
import { scrollText } from "./text.js";

const search = byId("search");
const note = byId("note");
const help = byId("help");
let commands = null;

/** `commands`: functions number(n), enter, none, skip, note, undo, and isOpen, whether a text is shown. */
export function setUpKeys(given) {
  commands = given;
  document.addEventListener("keydown", pressed);
}

function pressed(event) {
  if (event.isComposing || event.keyCode === 229 || help.open) return; // 229: a key of an input method
  const { target, key } = event;
  if (target === note) {
    if (key === "Enter" || key === "Escape") {
      event.preventDefault();
      search.focus();
    }
    return;
  }
  const inSearch = target === search && isSearching();
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (key.toLowerCase() !== "z" || event.shiftKey || event.altKey || inSearch) return;
    event.preventDefault();
    if (!event.repeat) commands.undo();
  } else if (inSearch) {
    if (event.repeat && key === "Enter") event.preventDefault();
    else if (searchKey(key)) event.preventDefault();
  } else {
    const command = commandOf(key, target);
    if (command !== null) {
      event.preventDefault();
      if (!event.repeat || command.repeats) command();
    } else if (target !== search && isTyped(key) && commands.isOpen()) {
      search.focus(); // the letter is typed into the field
    }
  }
}

const isTyped = (key) => [...key].length === 1 && key !== " ";

function commandOf(key, target) {
  const usesKey = target.closest("button, summary, input[type=checkbox]") !== null;
  if (key === "?") return () => help.showModal();
  if (key === "Backspace") return hasErased() ? nothing : commands.undo;
  if (!commands.isOpen()) return null;
  if (/^[1-9]$/.test(key)) return () => commands.number(Number(key));
  if (key === "0") return commands.none;
  if (key === "-") return commands.skip;
  if (key === "+" || key === "=") return commands.note;
  if (key === "/") return openSearch;
  if (key === "Enter" && !usesKey) return commands.enter;
  if (target !== search) return null;
  if (key === "ArrowDown") return openSearch;
  if (key === " " || key === "PageDown") return scrollDown;
  if (key === "PageUp") return scrollUp;
  return null;
}

const nothing = () => {};
const scrollDown = Object.assign(() => scrollText(1), { repeats: true });
const scrollUp = Object.assign(() => scrollText(-1), { repeats: true });

byId("help-button").addEventListener("click", () => help.showModal());
