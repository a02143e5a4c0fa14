/* Shows one text: where it is from, why it was chosen, and the words that speak for the model's guess. */

import { byId, element, isolated, labelName, nats } from "../shared/dom.js";
import { coloured, colourNumbers } from "../shared/label-colours.js";

const MIN_SHARE = 0.05; // of the largest contribution; words with less are not coloured
const WHY = {
  random: "Chosen at random, for the estimate of accuracy.",
  uncertain: "The model is unsure about this text.",
  diverse: "Chosen so that the first texts differ from each other.",
  suspect: "The label of this text may be wrong.",
};
const text = byId("text");

export const placeOf = ({ file, row }) => `${file}, row ${row.toLocaleString("en")}`;

/** Shows a text; `guess` is the model's guess, or null if there is none to show. */
export function showText(item, guess) {
  byId("place").textContent = placeOf(item);
  byId("why").textContent = item.reason ? `Suspicious: ${item.reason}.` : (WHY[item.why] ?? "");
  showWords(item.text, guess);
}

/** Shows or hides the colours of the words of the same text. */
export function showWords(content, guess) {
  const { scrollTop } = text;
  const explained = guess?.against && guess.words.length > 0;
  byId("legend").hidden = !explained;
  if (!explained) {
    text.replaceChildren(content);
  } else {
    const { label, against, words } = guess;
    const numbers = colourNumbers([label, against]);
    const largest = words.reduce((most, { contribution }) => Math.max(most, Math.abs(contribution)), 0) || 1;
    text.replaceChildren(...words.flatMap((word) => wordParts(word, guess, numbers, largest)));
    for (const [id, name] of [
      ["legend-for", label],
      ["legend-against", against],
    ]) {
      coloured(byId(id), numbers.get(name)).replaceChildren("for ", labelName(name));
    }
  }
  text.scrollTop = scrollTop;
}

export const scrollText = (pages) => text.scrollBy({ top: pages * 0.85 * text.clientHeight });

export function scrollToStart() {
  text.scrollTop = 0;
}

function wordParts({ text: written, contribution }, { label, against }, numbers, largest) {
  const share = Math.abs(contribution) / largest;
  const word = written.trimEnd();
  if (share < MIN_SHARE || word === "") return [written];
  const favoured = contribution > 0 ? label : against;
  const made = element(
    "span",
    {
      class: contribution > 0 ? "for" : "against",
      title: `${nats(Math.abs(contribution))} nats for ${isolated(favoured)}`,
    },
    word,
  );
  coloured(made, numbers.get(favoured)).style.setProperty("--strength", share.toFixed(3));
  return [made, written.slice(word.length)];
}
