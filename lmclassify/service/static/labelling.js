/* Labels the rows of a table: sends the texts in several requests and adds the results as columns. */

import { pause, post } from "./api.js";
import { isBlank, nineDigits, place, quote, TableError } from "./csv.js";

const IN_FLIGHT = 2;
const PIECE = 512; // texts per request, so that other requests need not wait long
const STEP = 2000; // rows read before the page can react to the user
const AROUND = '{"texts":[]}'.length;
const encoder = new TextEncoder();

export const newColumns = (labels) => ["predicted_label", ...labels.map((label) => `p_${label}`)];

/** Reads the rows of a table and checks them against the limits before anything is sent.

    `labels` are those in the file; null if it has no column of labels. */
export async function readRows(table, { textAt, labelAt }, limits, signal) {
  const texts = [];
  const labels = labelAt === null ? null : [];
  const ends = [];
  for (const { cells, end, number, line } of table.rows) {
    const text = joinColumns(cells, textAt);
    checkSize(text, limits, place(number, line));
    texts.push(text);
    labels?.push(cells[labelAt].trim());
    ends.push(end);
    if (number % STEP === 0) {
      await pause();
      signal.throwIfAborted();
    }
  }
  return { texts, labels, ends };
}

/** The text of a row: a cell, or a line for each of several. */
function joinColumns(cells, places) {
  if (places.length === 1) return cells[places[0]];
  const lines = places.map((place) => cells[place].trim().replaceAll(/\s+/g, " "));
  return lines.some((line) => line !== "") ? lines.join("\n") : "";
}

/** Returns the table with columns of labels and probabilities as a Blob, and the number of rows per label.

    `onRow` is called with the number of each row with a text, from 0, and its prediction. */
export async function labelRows(table, { texts, ends }, { labels, limits }, { signal, onProgress, onRow, onBusy }) {
  const controller = new AbortController();
  const options = { signal: AbortSignal.any([signal, controller.signal]), onBusy };
  const parts = [];
  const counts = new Map();
  let done = 0;
  const written = (cells) => cells.map((cell) => table.separator + quote(cell, table.separator)).join("");
  const nothing = written(newColumns(labels).map(() => ""));

  function suffix(prediction) {
    const { label, probabilities } = prediction;
    if (!labels.every((name) => Object.hasOwn(probabilities, name))) {
      throw new TableError("The model of the service has changed. Label the file again.");
    }
    counts.set(label, (counts.get(label) ?? 0) + 1);
    return written([label, ...labels.map((name) => nineDigits(probabilities[name]))]);
  }

  const pieces = piecesOf(texts, limits);
  async function work() {
    for (const piece of pieces) {
      const predictions = piece.texts.length ? await predict(piece.texts, options) : [];
      const rows = [];
      for (let row = piece.from, next = 0; row < piece.to; row++) {
        const begin = row === 0 ? table.end : ends[row - 1];
        rows.push(table.text.slice(begin, ends[row]));
        const prediction = isBlank(texts[row]) ? null : predictions[next++];
        if (prediction !== null) onRow(row, prediction);
        rows.push(prediction === null ? nothing : suffix(prediction));
      }
      parts[piece.index] = new Blob([rows.join("")]); // encoded piece by piece
      done += piece.to - piece.from;
      onProgress(done);
      await pause();
      options.signal.throwIfAborted();
    }
  }

  try {
    await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  } finally {
    controller.abort(); // if one worker failed, stop the other
  }
  const header = table.text.slice(0, table.end) + written(newColumns(labels));
  const rest = table.text.slice(ends.at(-1));
  return { blob: new Blob([header, ...parts, rest], { type: "text/csv;charset=utf-8" }), counts };
}

function* piecesOf(texts, limits) {
  const most = Math.min(limits.max_texts, PIECE);
  let piece = { index: 0, from: 0, texts: [] };
  let size = AROUND;
  for (const [row, text] of texts.entries()) {
    const blank = isBlank(text);
    const more = blank ? 0 : bytesOf(text) + 1;
    const full = piece.texts.length === most || size + more > limits.max_body_bytes + 1;
    if (row - piece.from === STEP || (full && !blank)) {
      yield { ...piece, to: row };
      piece = { index: piece.index + 1, from: row, texts: [] };
      size = AROUND;
    }
    if (!blank) piece.texts.push(text);
    size += more;
  }
  yield { ...piece, to: texts.length };
}

async function predict(texts, options) {
  try {
    return (await post("v1/predict", { texts }, options)).predictions;
  } catch (error) {
    if (error.status !== 504 || texts.length === 1) throw error;
    const half = texts.length >> 1; // too much for the time limit
    return [
      ...(await predict(texts.slice(0, half), options)),
      ...(await predict(texts.slice(half), options)),
    ];
  }
}

function checkSize(text, { max_characters: characters, max_body_bytes: bytes }, where) {
  let problem = null;
  if (isLonger(text, characters)) problem = `${characters.toLocaleString("en")} characters`;
  else if (text.length * 6 + AROUND > bytes && bytesOf(text) + AROUND > bytes)
    problem = `${bytes.toLocaleString("en")} bytes per request`;
  if (problem !== null) {
    throw new TableError(
      `The text of row ${where} is too long: the limit is ${problem}. Shorten it.`,
    );
  }
}

const bytesOf = (text) => encoder.encode(JSON.stringify(text)).length;

/** Whether a text has more than this number of characters (code points). */
export const isLonger = (text, characters) => text.length > characters && [...text].length > characters;
