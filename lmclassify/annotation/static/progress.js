/* The side of the page: progress, how good the model is, and the labels with their numbers of texts. */

import { byId, counted, element, labelName } from "../shared/dom.js";
import { COLOURS, colourNumbers, swatch } from "../shared/label-colours.js";


export function showProgress(state) {
  byId("files").textContent = state.files.join(", ");
  const bar = byId("progress");
  bar.max = Math.max(state.num_texts, 1);
  bar.value = numDone(state);
  byId("progress-text").textContent = progressText(state);
  byId("figures").replaceChildren(
    ...figures(state).map(([name, ...value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, ...value)),
    ),
  );
  showLabels(state.labels);
  byId("progress-card").hidden = false;
}

/** Texts that are not shown again. When suspicious rows are checked, skipped ones are among the checked. */
export const numDone = ({ mode, num_labelled: labelled, num_skipped: skipped, num_none: none }) =>
  mode === "check" ? labelled : labelled + skipped + none;

function progressText({
  mode,
  num_texts: all,
  num_labelled: labelled,
  num_skipped: skipped,
  num_none: none,
}) {
  const number = labelled.toLocaleString("en");
  if (mode === "check") return `${number} of ${counted(all, "suspicious row")} checked`;
  const others = [
    skipped && `; ${skipped.toLocaleString("en")} skipped`,
    none && `; ${none.toLocaleString("en")} none of these`,
  ];
  return [`${number} of ${counted(all, "text")} labelled`, ...others.filter(Boolean)].join("");
}

function figures({ mode, agreement, accuracy, forecast, model }) {
  const shown = [];
  if (accuracy !== null) {
    const { estimate, low, high, of } = accuracy;
    shown.push([
      "Accuracy of the model",
      `about ${whole(estimate)}% (${whole(low)} to ${whole(high)}%), from ${counted(of, "text")} drawn at random`,
    ]);
  }
  if (forecast !== null) shown.push(["Forecast", forecastText(forecast)]);
  if (agreement !== null && agreement.of > 0) {
    const { agreed, of } = agreement;
    shown.push([
      "You and the model agree",
      `on ${agreed} of the last ${counted(of, "text")} with a guess (${whole(agreed / of)}%)`,
    ]);
  }
  if (mode === "label" || model.state !== "waiting") shown.push(["Model", modelText(model)]);
  return shown;
}

const whole = (share) => Math.round(share * 100);

function forecastText({ labels, points }) {
  const gain = points >= 0.05 ? `to bring +${points.toFixed(1)} points` : "to bring no measurable gain";
  return `${counted(labels, "more label")} ${labels === 1 ? "is" : "are"} expected ${gain}.`;
}

function modelText({ state, num_texts: texts, detail }) {
  if (state === "failed")
    return element("span", { class: "error" }, `could not be trained: ${detail ?? "unknown error"}`);
  if (state === "waiting") return detail ?? "waits for texts of at least two labels";
  if (state === "fitting") return detail ?? "learns from your answers in the background…";
  return detail ?? `has learned from ${counted(texts, "labelled text")}`;
}

function showLabels(labels) {
  const numbers = labels.length <= COLOURS ? colourNumbers(labels.map(({ name }) => name)) : new Map();
  byId("labels-card").hidden = labels.length === 0;
  byId("number-of-labels").textContent = `(${labels.length})`;
  byId("labels").tBodies[0].replaceChildren(
    ...labels.map(({ name, count }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, swatch(numbers.get(name)), labelName(name)),
        element("td", {}, count.toLocaleString("en")),
      ),
    ),
  );
}
