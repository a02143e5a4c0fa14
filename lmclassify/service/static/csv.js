/* CSV and TSV (RFC 4180), parsed as strictly as by `lmclassify predict`; the input text is kept unchanged. */

import { counted } from "./dom.js";

export const TEXT_COLUMNS = ["text", "subject", "message", "body", "title", "content"];
export const LABEL_COLUMNS = ["label", "class", "category", "target", "spam/ham"];

/** An error in a file, with a message for the user. */
export class TableError extends Error {}

/** The text of a file, with its byte order mark. */
export function decode(bytes, name) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new TableError(
      `${name} is not UTF-8 text. Save it as UTF-8; in a spreadsheet choose the format “CSV UTF-8”.`,
    );
  }
  if (text.includes("\0")) throw new TableError(`${name} does not look like text. Is it a CSV or TSV file?`);
  return text;
}

/** A table: its header, and an iterator over its rows. `end` is the end of the header in the text. */
export function openTable(text, name) {
  const start = text.match(/^\ufeff?[\r\n]*/)[0].length;
  if (start === text.length) throw new TableError(`${name} is empty. It needs a header and rows.`);
  const header = text.slice(start).match(/^.*/)[0];
  const tabs = /\.(tsv|tab)$/i.test(name) || (header.includes("\t") && !header.includes(","));
  const separator = tabs ? "\t" : ",";
  const records = recordsOf(text, start, separator);
  const { cells: columns, end } = records.next().value;
  return { text, name, separator, columns, end, rows: rowsOf(records, columns.length, name) };
}

/** The index of the text column, found by its usual names; null if there is none or more than one. */
export const findTextColumn = (columns) => findColumn(columns, TEXT_COLUMNS);

/** The same for the column of labels. */
export const findLabelColumn = (columns) => findColumn(columns, LABEL_COLUMNS);

function findColumn(columns, usualNames) {
  const names = columns.map((column) => column.trim().toLowerCase());
  const usual = usualNames.find((name) => names.includes(name));
  return usual === undefined || names.indexOf(usual) !== names.lastIndexOf(usual)
    ? null
    : names.indexOf(usual);
}

function* rowsOf(records, width, name) {
  let number = 0;
  for (const { cells, start, end, line } of records) {
    if (start === end && width > 1) continue; // a blank line
    number += 1;
    if (cells.length !== width) {
      throw new TableError(
        `Row ${place(number, line)} has ${counted(cells.length, "cell")}, but the header has ${width}. ` +
          "Put quotes around a cell that holds a separator.",
      );
    }
    yield { cells, end, number, line };
  }
  if (number === 0) throw new TableError(`${name} has a header but no rows.`);
}

export const place = (number, line) => `${number.toLocaleString("en")} (line ${line.toLocaleString("en")})`;

function* recordsOf(text, start, separator) {
  const plain = separator === "\t" ? /[^\t\r\n]*/y : /[^,\r\n]*/y;
  const lineEnd = /\r*\n|\r+$/y;
  const padded = /[ \t]*"([^"\n]*(?:""[^"\n]*)*)"[ \t]*(?=,|\r*(?:\n|$))/y; // blanks around a quoted cell
  const opened = /[ \t]*"/y;
  let at = start;
  let line = 1 + newlines(text.slice(0, start));
  for (let number = 0; at < text.length; number++) {
    const record = { cells: [], start: at, end: at, line };
    const fail = (what) => {
      const where = number === 0 ? "The header" : `Row ${place(number, record.line)}`;
      throw new TableError(`${where} ${what}`);
    };
    let trims = separator !== "\t"; // until a quoted cell does not end on the first line of the row
    for (;;) {
      padded.lastIndex = opened.lastIndex = at;
      const trimmed = trims && line === record.line ? padded.exec(text) : null;
      trims &&= trimmed !== null || !opened.test(text);
      const quoted = text[at] === '"';
      if (trimmed !== null) {
        record.cells.push(trimmed[1].replaceAll('""', '"'));
        at += trimmed[0].length;
      } else if (quoted) {
        const close = closingQuote(text, at + 1);
        if (close < 0) fail("has a quote that is never closed. Close it, or double quotes inside quotes.");
        const cell = text.slice(at + 1, close);
        record.cells.push(cell.replaceAll('""', '"'));
        line += newlines(cell);
        at = close + 1;
      } else {
        plain.lastIndex = at;
        const [cell] = plain.exec(text);
        record.cells.push(cell);
        at += cell.length;
      }
      record.end = at;
      if (text[at] === separator) {
        at += 1;
        continue;
      }
      if (at === text.length) break;
      lineEnd.lastIndex = at;
      const end = lineEnd.exec(text);
      if (end !== null) {
        at += end[0].length;
        line += 1;
        break;
      }
      if (quoted && text[at] !== "\r") fail("has text after a closing quote. Double quotes inside quotes.");
      fail("has a carriage return outside quotes. End lines with a line feed.");
    }
    yield record;
  }
}

function closingQuote(text, from) {
  let at = text.indexOf('"', from);
  while (at >= 0 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  return at;
}

function newlines(text) {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

/** A cell, quoted if necessary. */
export const quote = (cell, separator) =>
  cell.includes(separator) || /["\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;

/** A number with nine digits, as C's %.9g and `lmclassify predict` write it. */
export function nineDigits(number) {
  const [digits, exponent] = number.toExponential(8).split("e");
  const size = Number(exponent);
  const short = (written) => (written.includes(".") ? written.replace(/\.?0+$/, "") : written);
  if (size >= -4 && size < 9) return short(number.toFixed(8 - size));
  return `${short(digits)}e${size < 0 ? "-" : "+"}${String(Math.abs(size)).padStart(2, "0")}`;
}

/** Whether a text has no words, with Python's definition of white space. */
export const isBlank = (text) =>
  /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$/.test(text);
