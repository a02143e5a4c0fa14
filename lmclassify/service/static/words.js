/* The explanation: the words of the text, coloured by their contribution (see /v1/explain). */

import { byId, element, isolated, labelName, nats } from "./dom.js";

const words = byId("words");
const details = byId("word-details");
const table = byId("parts-table");
const tableDetails = byId("parts");
let shown = null; // the explanation
let items = new Map(); // from the element of a word to its part of the explanation

export function showWords(explanation) {
  shown = explanation;
  items = new Map();
  const { label, against, end_of_text: end } = explanation;
  const largest = [...explanation.words, end].reduce((most, { part }) => Math.max(most, Math.abs(part)), 0) || 1;
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
  details.textContent = "Hover over a word, or move to it with Tab and the arrow keys, to see its numbers.";
  if (tableDetails.open) fillTable();
}

function option(item, text, largest) {
  const attributes = { role: "option", tabindex: -1, title: described(item) };
  if (item.word !== text) attributes["aria-label"] = item.word;
  if (shown.against !== null && item.part !== 0) attributes.class = item.part > 0 ? "for" : "against";
  const made = element("span", attributes, text);
  made.style.setProperty("--strength", (Math.abs(item.part) / largest).toFixed(3));
  items.set(made, item);
  return made;
}

function described({ part, log_probability: logProbability }) {
  const favoured = shown.against === null ? "" : ` for ${isolated(part > 0 ? shown.label : shown.against)}`;
  const each = compared().map((label) => `log p(${isolated(label)}) ${logProbability[label].toFixed(3)}`);
  return [`${nats(part)} nats${part === 0 ? "" : favoured}`, ...each].join("; ");
}

const compared = () => [shown.label, shown.against].filter((label) => label !== null);

function showLegend(label, against) {
  byId("legend").hidden = against === null;
  byId("legend-for").replaceChildren("for ", labelName(label));
  byId("legend-against").replaceChildren("for ", labelName(against ?? ""));
}

function showSum({ words: all, prior, end_of_text: end, decision, reading }) {
  const parts = [
    ["prior", prior.part],
    ["words", all.reduce((sum, { part }) => sum + part, 0)],
    ["end of text", end.part],
    ["total (nats)", decision],
  ];
  const pairs = parts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, nats(value))),
  );
  if (reading !== null) {
    pairs.push(element("div", {}, element("dt", {}, "normalized text"), element("dd", { dir: "auto" }, reading)));
  }
  byId("sum").replaceChildren(...pairs);
}

function fillTable() {
  const labels = compared();
  const cell = (text) => element("td", {}, text);
  const row = (name, item) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", dir: "auto" }, name),
      ...labels.map((label) => cell(item.log_probability?.[label].toFixed(3) ?? "")),
      cell(nats(item.part)),
    );
  const heads = [["word"], ...labels.map((label) => ["log p(", labelName(label), ")"]), ["contribution"]];
  table.tHead.replaceChildren(
    element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, ...head))),
  );
  table.tBodies[0].replaceChildren(
    row("(prior)", shown.prior),
    ...shown.words.map((word) => row(word.word, word)),
    row("(end of text)", shown.end_of_text),
    row("(total)", { part: shown.decision }),
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
tableDetails.addEventListener("toggle", () => tableDetails.open && shown && fillTable());
