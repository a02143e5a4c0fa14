/* Shows the label, probabilities and explanation of the text while it is typed. */

import { post } from "./api.js";
import { hideCorrections, showCorrections } from "./corrections.js";
import { byId, counted, element, labelName, percent, say } from "./dom.js";
import { colourNumbers, coloured, swatch } from "./label-colours.js";
import { isLonger } from "./labelling.js";
import { showExamples } from "./examples.js";
import { ageSuggestions, hideSuggestions, setUpSuggestions, suggest } from "./suggestions.js";
import { setUpWords, showWords } from "./words.js";

const DELAY = 150; // milliseconds without a key
const BARS = 5;
const area = byId("text");
let model = null;
let asking = new AbortController();
let timer = null;
let predicted = null; // the likeliest label of the text shown

export function setUpTyping(served) {
  model = served;
  setUpSuggestions(model);
  setUpWords(model);
  area.addEventListener("input", changed);
  byId("as-label").addEventListener("change", changed);
  document.addEventListener("taught", update);
  update();
}

function changed() {
  hideCorrections();
  ageSuggestions();
  asking.abort();
  clearTimeout(timer);
  timer = setTimeout(update, DELAY);
}

async function update() {
  asking = new AbortController();
  const { signal } = asking;
  const text = area.value;
  const onBusy = () => say(byId("text-error"), "The service is busy. Trying again…");
  try {
    if (isLonger(text, model.limits.max_characters)) {
      const limit = counted(model.limits.max_characters, "character");
      throw new Error(`This text is too long: the limit is ${limit}.`);
    }
    const empty = text.trim() === "";
    showExamples(empty);
    if (empty) showNothing();
    else await explain(text, { signal, onBusy });
    say(byId("text-error"), "");
  } catch (error) {
    if (signal.aborted) return;
    showNothing();
    hideSuggestions();
    say(byId("text-error"), error.message);
    return;
  }
  try {
    await suggest(text, predicted, { signal });
  } catch {
    if (!signal.aborted) hideSuggestions(); // suggestions are optional
  }
}

async function explain(text, options) {
  const predicting = post("v1/predict", { texts: [text] }, options);
  const explaining = post("v1/explain", { text, brief: true }, options);
  explaining.catch(() => {}); // its error is thrown below
  const [prediction] = (await predicting).predictions;
  const { label, probabilities } = prediction;
  const ranked = Object.entries(probabilities).sort(([, one], [, other]) => other - one);
  const probability = Object.hasOwn(probabilities, label) ? ` (${percent(probabilities[label])})` : "";
  const bars = ranked.slice(0, BARS);
  say(byId("verdict"), swatch(colourNumbers([label]).get(label)), element("strong", {}, labelName(label)), probability);
  const explanation = await explaining; // takes longer with many labels
  const compared = [explanation.label, explanation.against].filter((name) => name !== null);
  const numbers = colourNumbers([...bars.map(([name]) => name), ...compared]);
  byId("verdict").firstChild.replaceWith(swatch(numbers.get(label)));
  predicted = Object.hasOwn(probabilities, label) ? label : ranked[0][0];
  showCorrections(
    text,
    predicted,
    ranked.map(([name]) => name),
  );
  showUnknown(prediction);
  byId("probabilities").replaceChildren(
    ...bars.map(([name, share]) => bar(name, share, numbers.get(name))),
  );
  const more = ranked.length - BARS;
  byId("more").textContent = more > 0 ? `and ${counted(more, "more label")}` : "";
  showWords(explanation, numbers);
  byId("result").hidden = false;
}

function bar(label, probability, number) {
  const filled = coloured(element("span", { class: "filled" }), number);
  filled.style.width = `${probability * 100}%`;
  return element(
    "li",
    {},
    element("span", { class: "name" }, labelName(label)),
    element("span", { class: "bar", "aria-hidden": "true" }, filled),
    element("span", { class: "number" }, percent(probability)),
  );
}

function showUnknown({ unknown, novelty }) {
  const warning =
    `This text is unlike every label: its novelty is ${novelty.toFixed(2)}, ` +
    `and 95% of held-out texts are below ${model.unknown_threshold?.toFixed(2)}. Do not rely on the label.`;
  say(byId("unknown"), unknown ? warning : "");
}

function showNothing() {
  predicted = null;
  hideCorrections();
  byId("result").hidden = true;
  say(byId("verdict"), "");
  say(byId("unknown"), "");
}
