/* One colour per label, as in lmclassify/classify/label_colours.py; the colours are in label-colours.css. */

import { element } from "./dom.js";

export const COLOURS = 6; // up to this number of labels, no two have the same colour
let labels = []; // all labels of the model, in its order

export function setLabels(model) {
  labels = model.labels.map(({ label }) => String(label));
}

/** Returns the numbers of the colours of labels that are shown together; no two are equal if the colours suffice. */
export function colourNumbers(shown) {
  const together = new Set(shown);
  const numbers = new Map();
  for (const [position, label] of labels.entries()) {
    if (!together.has(label)) continue;
    const choice = Array.from({ length: COLOURS }, (_, step) => (position + step) % COLOURS);
    const used = new Set(numbers.values());
    numbers.set(label, choice.find((number) => !used.has(number)) ?? choice[0]);
  }
  return numbers;
}

/** Gives an element the colour with a number; without a number it stays as it is. */
export function coloured(made, number) {
  if (number !== undefined) made.style.setProperty("--label", `var(--label-${number})`);
  return made;
}

/** A square in a label's colour, to stand beside its name. */
export const swatch = (number) =>
  coloured(element("span", { class: number === undefined ? "" : "swatch", "aria-hidden": "true" }), number);
