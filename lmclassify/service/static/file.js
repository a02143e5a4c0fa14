/* Labels a file that the user chose or dropped, and offers the result for download. */

import { getModel } from "./api.js";
import { decode, findLabelColumn, findTextColumn, openTable, TableError } from "./csv.js";
import { byId, counted, element, labelName, say } from "./dom.js";
import { BatchSummary } from "./batch-summary.js";
import { labelRows, newColumns, readRows } from "./labelling.js";

const LARGEST = 256 * 2 ** 20; // bytes
const input = byId("file");
const columnForm = byId("column-form");
const job = byId("job");
const progress = byId("progress");
const download = byId("download");
let running = null;

async function label(file) {
  if (running !== null) {
    say(byId("file-error"), "Another file is being labelled. Wait for it, or cancel it.");
    return;
  }
  running = new AbortController();
  clear();
  try {
    await labelFile(file, running.signal);
  } catch (error) {
    say(byId("file-status"), running.signal.aborted ? "Cancelled." : "");
    if (!running.signal.aborted) say(byId("file-error"), error.message);
  } finally {
    columnForm.hidden = true;
    job.hidden = true;
    running = null;
  }
}

async function labelFile(file, signal) {
  say(byId("file-status"), "Reading ", element("bdi", {}, file.name), "…");
  const table = openTable(decode(await bytesOf(file), file.name), file.name);
  const model = await getModel({ signal });
  const labels = model.labels.map(({ label }) => label);
  const taken = newColumns(labels).filter((column) => table.columns.includes(column));
  if (taken.length > 0) {
    const columns = `${taken.length === 1 ? "a column" : "columns"} named ${taken.join(", ")}`;
    throw new TableError(`${file.name} already has ${columns}. Rename or remove it first.`);
  }
  const textAt = columnsOfModel(table.columns, model) ?? [
    findTextColumn(table.columns) ?? (await chosenColumn(table.columns, signal)),
  ];
  const found = findLabelColumn(table.columns);
  const labelAt = textAt.includes(found) ? null : found;
  job.hidden = false;
  showProgress(0, null);
  const rows = await readRows(table, { textAt, labelAt }, model.limits, signal);
  const total = rows.texts.length;
  say(
    byId("file-status"),
    "Labelling ",
    counted(total, "row"),
    `; the text is in the ${textAt.length === 1 ? "column" : "columns"} `,
    textAt.map((place) => columnName(table.columns, place)).join(", "),
    ".",
  );
  showProgress(0, total);
  const busy = () => (byId("progress-text").textContent = "The service is busy. Waiting…");
  const summary = new BatchSummary(rows);
  const onRow = (row, prediction) => summary.add(row, prediction);
  const options = { signal, onProgress: (done) => showProgress(done, total), onRow, onBusy: busy };
  const { blob, counts } = await labelRows(table, rows, { labels, limits: model.limits }, options);
  summary.show();
  showResult(file.name, blob, counts, total);
}

async function bytesOf(file) {
  if (file.size > LARGEST) {
    throw new TableError(
      `${file.name} is too large for this page. Use lmclassify predict on the command line.`,
    );
  }
  try {
    return await file.arrayBuffer();
  } catch {
    throw new TableError(`${file.name} cannot be read. Check that it is a file and still exists.`);
  }
}

/** The places of the columns that the model was trained on; null if the table lacks one of several. */
function columnsOfModel(columns, { reading }) {
  const places = (reading.text_columns ?? [reading.text_column]).map((name) => columns.indexOf(name));
  return places.includes(-1) ? null : places;
}

/** Asks the user which column has the texts. */
function chosenColumn(columns, signal) {
  const options = columns.map((_, place) => element("option", { value: place }, columnName(columns, place)));
  byId("column").replaceChildren(...options);
  columnForm.hidden = false;
  say(byId("file-status"), "Which column holds the texts?");
  byId("column").focus();
  return new Promise((resolve, reject) => {
    columnForm.onsubmit = (event) => {
      event.preventDefault();
      columnForm.hidden = true;
      resolve(byId("column").selectedIndex);
    };
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

/** A column's name, with its number if several columns have this name. */
function columnName(columns, place) {
  const name = columns[place].trim() || "(no name)";
  return columns.filter((column) => (column.trim() || "(no name)") === name).length > 1
    ? `${name} (${place + 1})`
    : name;
}

function showProgress(done, total) {
  progress.max = total ?? 1;
  if (total === null) progress.removeAttribute("value");
  else progress.value = done;
  byId("progress-text").textContent =
    total === null ? "" : `${done.toLocaleString("en")} of ${counted(total, "row")}`;
}

function showResult(name, blob, counts, total) {
  const labelled = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const rows = [...counts].sort(([, one], [, other]) => other - one);
  const lines = rows.map(([label, count]) => line(labelName(label), count));
  if (labelled < total) lines.push(line(element("em", {}, "no text"), total - labelled));
  byId("counts").tBodies[0].replaceChildren(...lines);
  download.href = URL.createObjectURL(blob);
  download.download = name.replace(/(\.[^.]*)?$/, (ending) => `-labelled${ending || ".csv"}`);
  download.textContent = `Download ${download.download}`;
  byId("file-result").hidden = false;
  if (job.contains(document.activeElement)) download.focus();
  say(byId("file-status"), `Done: ${counted(labelled, "row")} labelled.`);
}

const line = (name, count) =>
  element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, count.toLocaleString("en")));

function clear() {
  if (download.href) URL.revokeObjectURL(download.href);
  download.removeAttribute("href");
  byId("file-result").hidden = true;
  say(byId("file-error"), "");
  say(byId("file-status"), "");
}

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

export function setUpFiles() {
  input.disabled = false;
  input.addEventListener("click", () => (input.value = "")); // the same file may be chosen again
  input.addEventListener("change", () => input.files.length && label(input.files[0]));
  for (const cancel of document.querySelectorAll(".cancel")) {
    cancel.addEventListener("click", () => {
      running?.abort();
      input.focus();
    });
  }
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    document.body.classList.remove("dropping");
    const { files } = event.dataTransfer;
    if (files.length === 1) label(files[0]);
    else say(byId("file-error"), "Drop one file at a time.");
  });
}
