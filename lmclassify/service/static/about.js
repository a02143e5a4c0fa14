/* The section "About this model". */

import { byId, counted, element, labelName, percent } from "./dom.js";
import { colourNumbers, swatch } from "./label-colours.js";

export function showModel(model) {
  byId("model-name").replaceChildren(element("bdi", {}, model.model));
  document.title = `${model.model} – lmclassify`;
  const numbers = colourNumbers(model.labels.map(({ label }) => String(label)));
  const rows = model.labels.map((entry) => labelRow(entry, numbers.get(String(entry.label))));
  byId("labels").tBodies[0].replaceChildren(...rows);
  byId("model-details").replaceChildren(
    ...details(model).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value)),
    ),
  );
}

function labelRow({ label, prior, training_texts: texts, validation_perplexity: perplexity }, number) {
  const numbers = [percent(prior), texts?.toLocaleString("en"), perplexity?.toFixed(1)];
  const cells = numbers.map((number) => element("td", {}, number ?? "–"));
  return element("tr", {}, element("th", { scope: "row" }, swatch(number), labelName(label)), ...cells);
}

function details({
  tokenizer,
  parameters,
  training,
  settings,
  versions,
  unknown_threshold: threshold,
  limits,
}) {
  const { max_texts: texts, max_characters: characters, max_body_bytes: bytes } = limits;
  return [
    [
      "Tokenizer",
      [tokenizer.kind, counted(tokenizer.vocab_size, "token"), tokenizer.lowercase && "lower case"]
        .filter(Boolean)
        .join(", "),
    ],
    ["Recipe", settings.recipe],
    ["Parameters", parameters.toLocaleString("en")],
    ["Trained", trained(training)],
    [
      "Novelty threshold",
      threshold === null ? "none" : `${threshold.toFixed(2)}; a text above it is unlike every label`,
    ],
    ["Version", `lmclassify ${versions.lmclassify}`],
    [
      "Limits",
      `${counted(texts, "text")} and ${counted(bytes, "byte")} per request, ` +
        `${counted(characters, "character")} per text`,
    ],
  ];
}

function trained({ started, seconds, texts }) {
  const when =
    started && new Date(started).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  const parts = [when, seconds && `in ${seconds.toFixed(0)} s`, texts && `on ${counted(texts, "text")}`];
  return parts.filter(Boolean).join(", ") || "not recorded";
}
