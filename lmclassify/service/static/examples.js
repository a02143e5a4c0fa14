/* On the empty page: words that are typical of a label, as the model suggests them. */

import { post } from "./api.js";
import { byId, element, labelName } from "./dom.js";

const LABELS = 6;
const WORDS = 5;
const place = byId("examples");
const area = byId("text");
let available = false;

export function setUpExamples(model) {
  available = model.can_suggest;
  const labels = [...model.labels].sort((one, other) => other.prior - one.prior).slice(0, LABELS);
  for (const { label } of labels) {
    const button = element("button", { type: "button" }, labelName(String(label)));
    button.addEventListener("click", () => write(String(label)));
    place.append(button);
  }
}

export function showExamples(shown) {
  place.hidden = !(shown && available);
}

/** Writes the likeliest words of a label into the text. */
async function write(label) {
  let text = "";
  try {
    for (let count = 0; count < WORDS; count++) {
      const { suggestions } = await post("v1/suggest", { prefix: text, label, n: 3 });
      const next = suggestions.find(({ word }) => !text.split(" ").includes(word));
      if (next === undefined) break;
      text += `${text === "" ? "" : " "}${next.word}`;
    }
  } catch {
    return; // examples are optional
  }
  if (area.value.trim() !== "" || text === "") return;
  area.value = text;
  area.focus();
  area.dispatchEvent(new Event("input", { bubbles: true }));
}
