/* The explanation: the words of the text, in the colour of the label that they speak for (see /v1/explain). */

import { byId, element, isolated, labelName, nats } from "./dom.js";
import { coloured } from "./label-colours.js";

const MIN_SHARE = 0.05; // of the largest contribution; words with less are grey
const words = byId("words");
const details = byId("word-details");
const table = byId("contributions-table");
const tableDetails = byId("contributions");
const withModels = byId("log-probabilities");
let kind = "LSTM"; // what the labels' language models are
let shown = null; // the explanation
let numbers = new Map(); // of the labels' colours
let items = new Map(); // from the element of a word to its place in the explanation

export function setUpWords({ settings }) {
  if (settings.recipe === "ngram") kind = "LM";
}

export function showWords(explanation, colours) {
  shown = explanation;
  numbers = colours;
  items = new Map();
  const { label, against, end_of_text: end } = explanation;
  const all = [...explanation.words, end];
  const largest = all.reduce((most, { contribution }) => Math.max(most, Math.abs(contribution)), 0) || 1;
  const characters = [...explanation.text]; // positions are in code points, JavaScript strings in UTF-16 units
  const content = [];
  let done = 0;
  for (const word of explanation.words) {
    content.push(characters.slice(done, word.start).join(""));
    content.push(option(word, word.word, largest));
    done = word.end;
  }
  content.push(characters.slice(done).join(""), " ", option({ ...end, word: "end of text" }, "⏎", largest));
  words.replaceChildren(...content);
  words.querySelector("[role=option]").tabIndex = 0;
  const why =
    against === null
      ? ["Why ", labelName(label)]
      : ["Why ", labelName(label), " and not ", labelName(against)];
  byId("why").replaceChildren(...why);
  showLegend(label, against);
  showSum(explanation);
  details.textContent = "Hover over a word, or move to it with Tab and the arrow keys, to see its contribution.";
  fillTable();
}

function option(item, text, largest) {
  const { contribution } = item;
  const share = Math.abs(contribution) / largest;
  const attributes = { role: "option", tabindex: -1, title: described(item) };
  if (item.word !== text) attributes["aria-label"] = item.word;
  if (shown.against !== null) {
    attributes.class = share < MIN_SHARE ? "minor" : contribution > 0 ? "for" : "against";
  }
  const made = coloured(element("span", attributes, text), numbers.get(favoured(contribution)));
  made.style.setProperty("--strength", share.toFixed(3));
  items.set(made, item);
  return made;
}

const favoured = (contribution) => (contribution > 0 ? shown.label : shown.against);

function described({ contribution, log_probability: logProbability }) {
  const label = contribution === 0 ? null : favoured(contribution);
  const said = [`${nats(contribution)} nats${label === null ? "" : ` for ${isolated(label)}`}`];
  if (withModels.checked) {
    said.push(...compared().map((name) => `${kind} of ${isolated(name)} ${nats(logProbability[name])} nats`));
  }
  return said.join("; ");
}

const compared = () => [shown.label, shown.against].filter((label) => label !== null);

function showLegend(label, against) {
  byId("legend").hidden = against === null;
  for (const [id, name] of [
    ["legend-for", label],
    ["legend-against", against ?? ""],
  ]) {
    coloured(byId(id), numbers.get(name)).replaceChildren("for ", labelName(name));
  }
}

function showSum({ label, against, words: all, prior, end_of_text: end, decision, reading }) {
  const sums = [
    ["words", all.reduce((sum, { contribution }) => sum + contribution, 0)],
    ["end of text", end.contribution],
    ["prior, before any word is read", prior.contribution],
    ["sum", decision],
  ];
  const pairs = sums.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, nats(value))),
  );
  if (reading !== null) {
    pairs.push(element("div", {}, element("dt", {}, "normalized text"), element("dd", { dir: "auto" }, reading)));
  }
  byId("sum").replaceChildren(...pairs);
  const unit = "Contributions are in nats, a unit of log-probability";
  if (against === null) {
    byId("meaning").replaceChildren(`${unit}. They add up to the joint log-probability of the text and the label.`);
    return;
  }
  const [more, less] = decision >= 0 ? [label, against] : [against, label];
  byId("meaning").replaceChildren(
    `${unit}: positive ones speak for `,
    labelName(label),
    ", negative ones for ",
    labelName(against),
    `. They add up to ${nats(decision)}: `,
    labelName(more),
    ` is ${times(Math.abs(decision))} as probable as `,
    labelName(less),
    ".",
  );
}

function times(logOdds) {
  const ratio = Math.exp(logOdds);
  if (ratio >= 1e6) return "more than a million times";
  if (ratio < 20) return `${ratio.toFixed(1)} times`;
  return `about ${Number(ratio.toPrecision(2)).toLocaleString("en")} times`;
}

function fillTable() {
  if (shown === null || !tableDetails.open) return;
  const labels = withModels.checked ? compared() : [];
  const cell = (text) => element("td", {}, text);
  const row = (name, item) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, element("bdi", {}, name)),
      cell(nats(item.contribution)),
      ...labels.map((label) => cell(item.log_probability ? nats(item.log_probability[label]) : "")),
    );
  const heads = [["word"], ["contribution"], ...labels.map((label) => [`${kind} of `, labelName(label)])];
  table.tHead.replaceChildren(
    element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, ...head))),
  );
  byId("models-note").textContent = withModels.checked
    ? `; ${kind} of a label: log-probability of the word under the label’s language model, in nats`
    : "";
  table.tBodies[0].replaceChildren(
    ...shown.words.map((word) => row(word.word, word)),
    row("(end of text)", shown.end_of_text),
    row("(prior)", shown.prior),
    row("(sum)", { contribution: shown.decision }),
  );
}

function showDetails(event) {
  const item = items.get(event.target);
  if (item === undefined) return;
  details.replaceChildren(element("bdi", {}, element("strong", {}, item.word)), `: ${described(item)}`);
}

function move(event) {
  const all = [...items.keys()];
  const at = all.indexOf(event.target);
  const forward = getComputedStyle(words).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
  const back = forward === "ArrowLeft" ? "ArrowRight" : "ArrowLeft";
  const places = {
    [forward]: at + 1,
    ArrowDown: at + 1,
    [back]: at - 1,
    ArrowUp: at - 1,
    Home: 0,
    End: all.length - 1,
  };
  const next = all[places[event.key]];
  if (at < 0 || next === undefined) return;
  event.preventDefault();
  next.focus();
}

function keepTabStop(event) {
  if (!items.has(event.target)) return;
  for (const other of words.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
  event.target.tabIndex = 0;
}

words.addEventListener("pointerover", showDetails);
words.addEventListener("focusin", showDetails);
words.addEventListener("focusin", keepTabStop);
words.addEventListener("keydown", move);
tableDetails.addEventListener("toggle", fillTable);
withModels.addEventListener("change", () => shown && showWords(shown, numbers));
