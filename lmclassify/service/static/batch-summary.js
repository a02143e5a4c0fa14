/* What a labelled file looks like: its first rows, and how often the model agrees with the labels in the file. */

import { byId, counted, element, labelName, percent, say } from "./dom.js";

const ROWS = 20;
const CHARACTERS = 60;
const table = byId("preview");

export class BatchSummary {
  constructor({ texts, labels }) {
    this.texts = texts;
    this.labels = labels;
    this.first = new Map(); // predictions of the first rows
    this.right = 0;
    this.compared = 0;
  }

  add(row, prediction) {
    if (row < ROWS) this.first.set(row, prediction);
    const label = this.labels?.[row];
    if (!label) return;
    this.compared += 1;
    if (label === prediction.label) this.right += 1;
  }

  show() {
    const compares = this.compared > 0;
    const differ = this.compared - this.right;
    const text = `Accuracy ${percent(this.right / this.compared)}: the model differs from the label in the file in `;
    say(byId("file-accuracy"), compares ? `${text}${counted(differ, "row")} of ${counted(this.compared, "row")}.` : "");
    const rows = [...this.first].sort(([one], [other]) => one - other);
    table.tBodies[0].replaceChildren(...rows.map((row) => this.line(row)));
  }

  line([row, { label, probabilities }]) {
    const given = this.labels?.[row] ?? "";
    const differs = given !== "" && given !== label;
    const probability = Object.hasOwn(probabilities, label) ? percent(probabilities[label]) : "";
    const inFile =
      given === "" ? [] : [element("div", {}, "in the file: ", labelName(given), differs ? " (differs)" : "")];
    return element(
      "tr",
      differs ? { class: "differs" } : {},
      element("th", { scope: "row" }, (row + 1).toLocaleString("en")),
      element("td", { class: "text", dir: "auto" }, shortened(this.texts[row])),
      element("td", {}, labelName(label), " ", probability, ...inFile),
    );
  }
}

function shortened(text) {
  const characters = [...text.replace(/\s+/g, " ").trim()];
  return characters.length > CHARACTERS ? `${characters.slice(0, CHARACTERS - 1).join("")}…` : characters.join("");
}
