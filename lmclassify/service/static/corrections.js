/* "Wrong label?": teaches the model the right label of the text, and takes that back. */

import { post } from "./api.js";
import { byId, element, labelName, say } from "./dom.js";

const BUTTONS = 4;
const form = byId("correction-form");
const field = byId("correction");
const undo = byId("unteach");
let labels = [];
let canLearn = false;
let shown = null; // the text, and its label
let last = null; // the lesson that can be taken back

export function setUpCorrections(model) {
  canLearn = model.can_learn && model.labels.length > 1;
  labels = model.labels.map(({ label }) => String(label));
  byId("correction-labels").replaceChildren(...labels.map((label) => element("option", { value: label })));
  form.hidden = labels.length <= BUTTONS + 1;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    teachFromField();
  });
  undo.addEventListener("click", takeBack);
}

/** Offers the other labels, the likeliest ones as buttons. */
export function showCorrections(text, label, ranked) {
  if (!canLearn) return;
  shown = { text, label };
  const others = ranked.filter((name) => name !== label).slice(0, BUTTONS);
  const buttons = others.map((name) => {
    const button = element("button", { type: "button" }, labelName(name));
    button.addEventListener("click", () => teach(name));
    return button;
  });
  byId("corrections").replaceChildren(...buttons);
  byId("correcting").hidden = false;
}

export function hideCorrections() {
  shown = null;
  byId("correcting").hidden = true;
  byId("correcting").open = false;
  say(byId("teach-error"), "");
  if (last !== null) forget();
}

function forget() {
  last = null;
  undo.hidden = true;
  say(byId("taught-text"), "");
}

function teachFromField() {
  const name = field.value.trim();
  if (labels.includes(name)) teach(name);
  else say(byId("teach-error"), name === "" ? "Choose a label." : `The model has no label ${name}.`);
}

async function teach(label) {
  if (shown === null) return;
  const { text, label: from } = shown;
  if (label === from) {
    say(byId("teach-error"), "This is the label that the text has.");
    return;
  }
  const lesson = { text, label, from };
  await send(lesson, () => {
    field.value = "";
    last = lesson;
    undo.hidden = false;
    say(byId("taught-text"), "Learned: this text is ", labelName(label), ".");
    byId("correcting").open = false;
    undo.focus();
  });
}

async function takeBack() {
  if (last === null) return;
  await send({ ...last, undo: true }, () => {
    forget();
    byId("text").focus();
  });
}

async function send(lesson, onDone) {
  try {
    await post("v1/learn", lesson);
  } catch (error) {
    say(byId("teach-error"), error.message);
    return;
  }
  say(byId("teach-error"), "");
  onDone();
  document.dispatchEvent(new Event("taught")); // the page asks for the new label
}
