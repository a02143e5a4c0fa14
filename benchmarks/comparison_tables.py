"""Results of `lmclassify benchmark` as Markdown tables: all data sets of a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from lmclassify.comparison.methods import METHODS
from lmclassify.comparison.results import Record, read_results
from lmclassify.comparison.tables import (
    COLUMN_BY_NAME,
    COLUMNS,
    FigureColumn,
    SizeSummary,
    best_methods,
    is_ours,
    summarise,
)
from lmclassify.errors import LMClassifyError


def to_markdown(records: Iterable[Record]) -> str:
    """Return Markdown tables of all data sets of a results file, with one column per data set.

    Only current records count (see `latest`), and only the last of several files with the same name. There is
    one table per figure for all training texts, then accuracy and log-loss for each smaller size.
    """
    shown = latest(records)
    rows_of = {_set_name(record): record.rows_sha256 for record in shown}
    sets: dict[str, list[Record]] = {}
    for record in shown:
        if record.rows_sha256 == rows_of[_set_name(record)]:
            sets.setdefault(_set_name(record), []).append(record)
    blocks = {name: summarise(group) for name, group in sets.items()}
    whole = [(name, block) for name, found in blocks.items() for block in found if block.size == "all"]
    sizes = sorted({block.size for found in blocks.values() for block in found if block.size != "all"})
    lines: list[str] = []
    for column in COLUMNS:
        if whole:
            lines += [f"**{column.title}**, all texts", "", *_markdown(whole, column), ""]
    for size in sizes:
        few = [(name, block) for name, found in blocks.items() for block in found if block.size == size]
        for name in ("accuracy", "log_loss"):
            title = f"**{COLUMN_BY_NAME[name].title}**, {size:,} training texts"
            lines += [title, "", *_markdown(few, COLUMN_BY_NAME[name]), ""]
    return "\n".join(lines).rstrip("\n")


def _series(record: Record) -> tuple[object, ...]:
    return (record.rows_sha256, record.method, record.size, record.folds)


def latest(records: Iterable[Record]) -> list[Record]:
    """Return the current records of a file that has grown over time, in the order of the file.

    For each method on the same texts, these are the runs with the last settings and version of lmclassify.
    Of a repeated run, it is the last success, or the last failure if there is no success.
    """
    all_records = list(records)
    newest = {_series(record): (record.settings, record.versions["lmclassify"]) for record in all_records}
    result: dict[str, Record] = {}
    for record in all_records:
        if newest[_series(record)] == (record.settings, record.versions["lmclassify"]):
            key = record.key()
            if record.error is None or key not in result or result[key].error is not None:
                result[key] = record
    return list(result.values())


def _set_name(record: Record) -> str:
    name = PurePath(record.data).name
    for ending in (".csv", ".tsv", ".tab", ".train"):
        name = name.removesuffix(ending)
    return name if record.folds is None else f"{name} ({record.folds} folds)"


def _markdown(blocks: Sequence[tuple[str, SizeSummary]], column: FigureColumn) -> list[str]:
    keys = [key for key in METHODS if any(row.method == key for _, block in blocks for row in block.rows)]
    lines = ["| | " + " | ".join(name for name, _ in blocks) + " |", "|---" * (len(blocks) + 1) + "|"]
    for key in keys:
        cells = []
        for _, block in blocks:
            row = next((row for row in block.rows if row.method == key), None)
            if row is None or column.name not in row.figures:
                cells.append("failed" if row and row.errors else "")
                continue
            spread = row.figures[column.name]
            text = format(spread.mean, column.format)
            if key in best_methods(block.rows, column):
                text = f"**{text}**"
            if column.with_spread and spread.std is not None:
                text += f" ± {format(spread.std, column.format)}"
            cells.append(text)
        lines.append(f"| {key} | " + " | ".join(cells) + " |")
    if column.name == "accuracy":
        leads = [_lead(block) for _, block in blocks]
        lines.append("| *ahead by, points* | " + " | ".join(leads) + " |")
    return lines


def _lead(block: SizeSummary) -> str:
    """Return the lead in accuracy over the best default baseline, in percentage points."""
    means = {row.method: row.figures["accuracy"].mean for row in block.rows if row.runs}
    ours = [mean for method, mean in means.items() if is_ours(method) and METHODS[method].default]
    baselines = [mean for method, mean in means.items() if not is_ours(method) and METHODS[method].default]
    return f"{100 * (ours[0] - max(baselines)):+.2f}" if ours and baselines else ""


def main() -> None:
    """Print the Markdown tables of a results file."""
    parser = argparse.ArgumentParser(description="Print the Markdown tables of a benchmark results file.")
    parser.add_argument("results", help="File that lmclassify benchmark --results wrote.")
    options = parser.parse_args()
    try:
        print(to_markdown(read_results(options.results)))
    except LMClassifyError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
