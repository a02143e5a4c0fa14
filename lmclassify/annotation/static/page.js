/* Entry point: shows one text after the other and sends the answers, one at a time. */

import { byId, counted, isolated, percent, say } from "../shared/dom.js";
import { setLabels } from "../shared/label-colours.js";
import { closeSearch, labelOfEnter, labelOfKey, setUpChoices, showChoices } from "./choices.js";
import { setUpKeys } from "./keys.js";
import { numDone, showProgress } from "./progress.js";
import { get, post } from "./requests.js";
import { placeOf, scrollToStart, showText, showWords } from "./text.js";

const AHEAD = 3; // texts that are kept ready
const UNREAD = 250; // milliseconds in which nobody can have read a new text: a second press of the same key
const SLOW = 500; // milliseconds after which the page says that it is still saving
const ASK_AGAIN = 3000; // milliseconds between two looks at a model that is being trained
const SHOW_GUESS = "lmclassify-show-guess";
const READ_ALOUD = 200; // characters of the next text in its announcement

const card = byId("answer-card");
const search = byId("search");
const note = byId("note");
const showGuess = byId("show-guess");
let state = null;
let queue = []; // the texts after the current one
let current = null;
let busy = true; // an answer is being sent, a text was shown just now, or a problem is to be solved first
let problem = null; // {button, action}
let fetching = null; // AbortController of the request for further texts
let lastNote = null; // {id, note} of the last answer, for undo

const shownGuess = () => (showGuess.checked ? (current?.guess ?? null) : null);

async function start(said = "") {
  setBusy(true);
  try {
    state = await get("v1/state");
    queue = (await get(`v1/next?count=${AHEAD}`)).texts;
  } catch (error) {
    showProblem(error.message, error.status === 401 ? null : "Try again", () => start(said));
    return;
  }
  hideProblem();
  showState();
  showNext(said);
}

function showState() {
  setLabels({ labels: state.labels.map(({ name }) => ({ label: name })) });
  showProgress(state);
  const name = state.files.map(isolated).join(", ");
  document.title = `${name} – lmclassify label`;
  byId("help-enter").textContent =
    state.mode === "check"
      ? "keep the label in the file, or give the label found"
      : "accept the model’s guess, while it is shown, or give the label found";
}

/** Shows the next text, or that there is none. `said` is announced first. */
function showNext(said) {
  current = queue.shift() ?? null;
  byId("text-card").hidden = current === null;
  card.hidden = current === null;
  byId("finished").hidden = current !== null;
  if (current === null) showFinished(said);
  else showCurrent(said);
}

function showCurrent(said) {
  byId("guess-switch").hidden = state.mode === "check" && current.guess === null;
  const guess = shownGuess();
  showText(current, guess);
  scrollToStart();
  showChoices(state, current, guess);
  say(byId("saved"), said);
  const start = [...current.text].slice(0, READ_ALOUD).join("");
  const guessed =
    guess === null ? "" : ` The model’s guess: ${isolated(guess.label)}, ${percent(guess.probability)}.`;
  say(
    byId("announcement"),
    `${said} Text from ${isolated(placeOf(current))}: ${isolated(start)}${guessed}`.trim(),
  );
  moveFocus();
  byId("text-card").scrollIntoView({ block: "nearest" });
  setBusy(true);
  setTimeout(() => setBusy(problem !== null), UNREAD);
}

/** The search field has the focus, except on a touch screen, where a keyboard would cover the page. */
function moveFocus() {
  const focused = document.activeElement;
  const stays = focused !== document.body && focused.closest("#text, .side, dialog") !== null;
  if (!stays && !matchMedia("(pointer: coarse)").matches) search.focus({ preventScroll: true });
}

function showFinished(said) {
  const { files } = state;
  const left = state.num_texts - numDone(state);
  const done = state.mode === "check" ? "All suspicious rows are checked" : "All texts are done";
  const others = left === 1 ? "The last text is" : `The last ${left.toLocaleString("en")} texts are`;
  byId("finished-heading").textContent = left > 0 ? "No texts are left for this page" : done;
  byId("finished-text").textContent =
    left > 0
      ? `${others} open on another page, here or in another browser.`
      : `Every answer is in ${files.map(isolated).join(", ")}.`;
  byId("next-step").textContent = "Train a model on the labels with this command:";
  byId("command").textContent = `${state.fit_command} -o MODEL`;
  say(byId("announcement"), `${said} ${byId("finished-heading").textContent}.`.trim());
  byId("finished-heading").focus();
  setBusy(false);
}

async function answer(action, label = null) {
  if (current === null || isIgnored()) return;
  const item = current;
  const written = note.value.trim();
  const said =
    action === "label" ? `labelled ${isolated(label)}` : action === "skip" ? "skipped" : "none of these";
  fetching?.abort();
  closeSearch(); // what is typed from now on is for the next text
  await send({
    request: () => post("v1/answer", { id: item.id, action, label, note: written || null, seen: item.label }),
    onDone: (result) => {
      lastNote = { id: item.id, note: written };
      state = result.state;
      merge(result.next);
      leave(`${placeOf(item)}: ${said}.`);
    },
    onConflict: leaveChanged,
    failure: `The answer for ${placeOf(item)} (${said}) is not saved.`,
  });
}

/** Goes on to the next text; asks for texts if there is none or there are few. */
async function leave(said) {
  showNote(false, "");
  showState();
  if (queue.length > 0) {
    showNext(said);
    fetchAhead();
  } else {
    await send({
      request: () => get(`v1/next?count=${AHEAD}`),
      onDone: ({ texts }) => {
        queue = texts;
        showNext(said);
      },
      failure: "The next text could not be read.",
    });
  }
}

/** Goes on after another page has changed the row; its label may be a new one. */
const leaveChanged = (said) =>
  send({
    request: () => get("v1/state"),
    onDone: (newer) => {
      state = newer;
      leave(said);
    },
    failure: said,
  });

async function undo() {
  if (state === null || isIgnored()) return;
  fetching?.abort();
  await send({
    request: () => post("v1/undo"),
    onDone: (result) => {
      state = result.state;
      if (current !== null) queue.unshift(current);
      queue = [result.text, ...queue.filter(({ id }) => id !== result.text.id)];
      closeSearch();
      const kept = lastNote?.id === result.text.id ? lastNote.note : "";
      showNote(kept !== "", kept);
      showState();
      showNext(`Taken back: ${placeOf(result.text)}.`);
    },
    failure: "The last answer is not taken back.",
  });
}

/** Sends one request; until it is answered, or its problem is solved, further answers are ignored.

    `onConflict`: called with a message if the row has been changed by another page or program (refuse). */
async function send({ request, onDone, onConflict = refuse, failure }) {
  setBusy(true);
  const slow = setTimeout(() => say(byId("saved"), "Still waiting for the program…"), SLOW);
  let result;
  try {
    result = await request();
  } catch (error) {
    const message = `${failure} ${error.message}`;
    say(byId("saved"), "");
    if (error.status === 401) showProblem(message, null);
    else if (error.fileChanged) showProblem(message, "Read the file again", readAgain);
    else if (error.status === 0 || error.status >= 500) {
      showProblem(message, "Try again", () => send({ request, onDone, onConflict, failure }));
    } else {
      hideProblem();
      (error.status === 409 ? onConflict : refuse)(message);
    }
    return;
  } finally {
    clearTimeout(slow);
  }
  hideProblem();
  onDone(result);
}

const readAgain = () =>
  send({
    request: () => post("v1/reload"),
    onDone: ({ lost }) =>
      start(lost > 0 ? `The rows of ${counted(lost, "answer")} are not in the file any more.` : ""),
    failure: "The file could not be read.",
  });

/** Shows a message about a request that was refused; the text stays, and another answer can be given. */
function refuse(message) {
  say(byId("saved"), message);
  say(byId("announcement"), message);
  setBusy(false);
}

function showProblem(message, button, action) {
  setBusy(true);
  problem = { action };
  byId("problem").hidden = false;
  say(byId("problem-text"), message);
  byId("problem-button").hidden = button === null;
  byId("problem-button").textContent = button ?? "";
  byId("problem-button").focus();
}

function solve() {
  const action = problem?.action;
  if (!action) return;
  problem.action = null; // a second press does nothing
  action();
}

function hideProblem() {
  if (problem === null) return;
  problem = null;
  byId("problem").hidden = true;
  say(byId("problem-text"), "");
}

function setBusy(value) {
  busy = value;
  card.setAttribute("aria-busy", String(value));
}

/** Whether answers are not accepted now; says so, so that no key is lost unnoticed. */
function isIgnored() {
  if (!busy) return false;
  const message =
    problem !== null
      ? "Solve the problem above first: the last answer is not saved yet."
      : "That was ignored: the answer before it has only just been given.";
  say(byId("saved"), message);
  say(byId("announcement"), message);
  return true;
}

/** Keeps texts ready, so that the next one is shown without waiting. */
async function fetchAhead() {
  if (queue.length >= AHEAD) return;
  fetching = new AbortController();
  const { signal } = fetching;
  try {
    const { texts } = await get(`v1/next?count=${AHEAD + 1}`, { signal });
    if (!signal.aborted) merge(texts);
  } catch {
    // The texts are asked for again when they are needed.
  }
}

/** Adds texts to the queue; one that is there already is replaced, since its guess may be newer. */
function merge(texts) {
  for (const text of texts) {
    const place = queue.findIndex(({ id }) => id === text.id);
    if (place >= 0) queue[place] = text;
    else if (text.id !== current?.id) queue.push(text);
  }
}

function showNote(open, value = note.value) {
  note.value = value;
  byId("note-field").hidden = !open;
  byId("note-button").setAttribute("aria-expanded", String(open));
  if (open && value === "") note.focus();
}

/** While a model is being trained, looks now and then whether it is ready. */
async function watchModel() {
  if (state?.model.state !== "fitting" || document.hidden || busy) return;
  try {
    const seen = state;
    const newer = await get("v1/state");
    if (state === seen) {
      state = newer;
      showState();
    }
  } catch {
    // The next answer shows the problem.
  }
}

function redraw() {
  if (current === null) return;
  const guess = shownGuess();
  showWords(current.text, guess);
  showChoices(state, current, guess);
}

function enter() {
  const label = labelOfEnter();
  if (label !== null) answer("label", label);
  else if (!isIgnored()) say(byId("saved"), "Enter accepts the model’s guess, but none is shown.");
}

function number(position) {
  const label = labelOfKey(position);
  if (label !== undefined) answer("label", label);
  else if (!isIgnored()) say(byId("saved"), `No label has the key ${position}.`);
}

function rememberSwitch() {
  try {
    localStorage.setItem(SHOW_GUESS, showGuess.checked ? "yes" : "no");
  } catch {
    // Storage is disabled: the switch is back on after a reload.
  }
}

function storedSwitch() {
  try {
    return localStorage.getItem(SHOW_GUESS) !== "no";
  } catch {
    return true;
  }
}

const commands = {
  number,
  enter,
  undo,
  none: () => answer("none"),
  skip: () => answer("skip"),
  note: () => showNote(true),
  isOpen: () => current !== null,
};

setUpChoices((label) => answer("label", label));
setUpKeys(commands);
for (const [id, command] of [
  ["none", commands.none],
  ["skip", commands.skip],
  ["undo", undo],
  ["finished-undo", undo],
  ["look-again", () => leave("")],
  ["problem-button", solve],
]) {
  byId(id).addEventListener("click", command);
}
byId("note-button").addEventListener("click", () => showNote(byId("note-field").hidden || note.value !== ""));
showGuess.checked = storedSwitch();
showGuess.addEventListener("change", () => {
  rememberSwitch();
  redraw();
});
setInterval(watchModel, ASK_AGAIN);
start();
