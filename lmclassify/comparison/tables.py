"""Benchmark records as tables: text and JSON for one data set, Markdown for all data sets of a file.

``python -m lmclassify.comparison.tables RESULTS`` prints the Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from lmclassify.comparison.methods import METHODS
from lmclassify.comparison.results import Record, Size, latest, read_results
from lmclassify.errors import LMClassifyError, printable


@dataclass(frozen=True)
class FigureColumn:
    """A figure and its format in tables."""

    name: str
    """Field of `Figures`."""
    title: str
    format: str
    higher_is_better: bool
    with_spread: bool
    """Whether tables show the standard deviation; JSON always has it."""


COLUMNS = (
    FigureColumn("accuracy", "accuracy", ".4f", True, True),
    FigureColumn("macro_f1", "macro F1", ".4f", True, True),
    FigureColumn("log_loss", "log-loss", ".4f", False, True),
    FigureColumn("ece", "ECE", ".4f", False, True),
    FigureColumn("fit_seconds", "fit s", ",.2f", False, False),
    FigureColumn("texts_per_second", "texts/s", ",.0f", True, False),
    FigureColumn("peak_megabytes", "MB", ",.0f", False, False),
)
_NO_SPREAD = "–     "  # as wide as a spread
_BY_NAME = {column.name: column for column in COLUMNS}


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over runs."""

    mean: float
    std: float | None
    """None for a single run."""


@dataclass(frozen=True)
class MethodSummary:
    """Results of one method at one size."""

    method: str
    runs: int
    """Number of runs that succeeded."""
    figures: Mapping[str, Spread]
    """Empty if no run succeeded."""
    errors: Sequence[str]
    """Of failed runs."""


@dataclass(frozen=True)
class SizeSummary:
    """Results of all methods at one size."""

    size: Size
    training_texts: int
    """Mean over runs, rounded."""
    rows: Sequence[MethodSummary]


def summarise(records: Iterable[Record]) -> list[SizeSummary]:
    """Return means and standard deviations of the records of one data set, by size.

    Sizes are in ascending order, methods in the order of `METHODS`.
    """
    by_size: dict[Size, dict[str, list[Record]]] = {}
    for record in records:
        by_size.setdefault(record.size, {}).setdefault(record.method, []).append(record)
    order = {key: position for position, key in enumerate(METHODS)}
    blocks = []
    for size, by_method in by_size.items():
        keys = sorted(by_method, key=lambda key: order.get(key, len(order)))
        texts = [record.training_texts for group in by_method.values() for record in group]
        blocks.append(
            SizeSummary(size, round(statistics.mean(texts)), [_row(key, by_method[key]) for key in keys])
        )
    return sorted(blocks, key=lambda block: (block.size == "all", block.training_texts))


def _row(method: str, records: Sequence[Record]) -> MethodSummary:
    finished = [record.figures for record in records if record.figures is not None]
    figures = {}
    for column in COLUMNS:
        values = [value for item in finished if (value := getattr(item, column.name)) is not None]
        if values:
            figures[column.name] = Spread(
                statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None
            )
    return MethodSummary(method, len(finished), figures, [record.error for record in records if record.error])


def to_text(records: Sequence[Record], *, notes: Sequence[str] = ()) -> str:
    """Return the results of one data set as text: a table and a comparison with the baselines per size."""
    lines = [printable(_headline(records))]
    for block in summarise(records):
        every = "all " if block.size == "all" else ""
        lines += ["", f"{every}{block.training_texts:,} training texts"]
        lines += _table(block)
        lines += [f"{row.method} {_failure(row)}" for row in block.rows if row.errors and row.runs]
        lines += verdicts(block)
    lines += ["", *_footnotes(records), *(f"note: {printable(note)}" for note in notes)]
    return "\n".join(lines)


def _headline(records: Sequence[Record]) -> str:
    first = records[0]
    if first.test is None:
        times = len({record.seed for record in records})
        how = f"{first.folds}-fold cross-validation" + (f", repeated {times} times" if times > 1 else "")
    else:
        how = f"tested on {first.test} ({first.test_texts:,} texts)"
    return f"{first.data}, {first.labels:,} labels, {how}"


def _table(block: SizeSummary) -> list[str]:
    shown = [column for column in COLUMNS if any(column.name in row.figures for row in block.rows)]
    best = {column.name: _best(block.rows, column) for column in shown}
    cells = [["method", *(f"{column.title} " for column in shown)]]
    for row in block.rows:
        values = [_value(row, column, row.method in best[column.name]) for column in shown]
        cells.append([row.method, *values])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row_or_head, line in zip((None, *block.rows), cells, strict=True):
        name = line[0].ljust(widths[0])
        if row_or_head is not None and not row_or_head.runs:
            lines.append(f"{name}  {_failure(row_or_head)}")
        else:
            rest = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
            lines.append("  ".join([name, *rest]).rstrip())
    return lines


def _value(row: MethodSummary, column: FigureColumn, is_best: bool) -> str:
    if column.name not in row.figures:
        return ""
    spread = row.figures[column.name]
    mean = format(spread.mean, column.format) + ("*" if is_best else " ")
    if not column.with_spread:
        return mean
    return f"{mean} ± " + (_NO_SPREAD if spread.std is None else format(spread.std, column.format))


def _best(rows: Sequence[MethodSummary], column: FigureColumn) -> set[str]:
    """Return the methods with the best mean, after rounding as in the table."""
    means = {row.method: row.figures[column.name].mean for row in rows if column.name in row.figures}
    shown = {key: float(format(mean, column.format).replace(",", "")) for key, mean in means.items()}
    if len(shown) < 2:
        return set()
    target = (max if column.higher_is_better else min)(shown.values())
    return {key for key, value in shown.items() if value == target}


def _failure(row: MethodSummary) -> str:
    total = row.runs + len(row.errors)
    count = "" if total == 1 else f" ({len(row.errors)} of {total} runs)"
    return printable(f"failed: {row.errors[0]}{count}")


def verdicts(block: SizeSummary) -> list[str]:
    """Return sentences that compare lmclassify with the best baseline in accuracy and log-loss."""
    finished = [row for row in block.rows if row.runs]
    ours = next((row for row in finished if _is_ours(row.method)), None)
    baselines = [row for row in finished if not _is_ours(row.method)]
    if ours is None or not baselines:
        return []
    parts = []
    for name in ("accuracy", "log_loss"):
        column = _BY_NAME[name]
        pick: Callable[..., MethodSummary] = max if column.higher_is_better else min
        baseline = pick(baselines, key=lambda row: row.figures[name].mean)
        own, other = ours.figures[name], baseline.figures[name]
        own_text, other_text = (format(item.mean, column.format) for item in (own, other))
        if own_text == other_text:
            parts.append(f"{column.title}: equal to {baseline.method} at {own_text}")
            continue
        ahead = (own.mean > other.mean) == column.higher_is_better
        gap = abs(own.mean - other.mean)
        within = gap <= max(own.std or 0.0, other.std or 0.0)
        parts.append(
            f"{column.title}: {'ahead of' if ahead else 'behind'} the best baseline, {baseline.method}, "
            f"by {format(gap, column.format)} ({own_text} against {other_text}"
            + (", within one standard deviation)" if within else ")")
        )
    return [f"{ours.method}, {part}" for part in parts]


def _is_ours(method: str) -> bool:
    return method in METHODS and METHODS[method].ours


def _footnotes(records: Sequence[Record]) -> list[str]:
    lines = [
        "Mean ± standard deviation over runs (–: one run). * best of its column. Log-loss in nats.",
        "MB: peak memory of the process that fits and predicts.",
    ]
    if any(record.figures and record.figures.temperature is not None for record in records):
        lines += [
            "The baselines' probabilities are calibrated by a temperature fitted on held-out training texts,",
            "which improves their log-loss and ECE; fit s and MB do not include it.",
        ]
    whole = {record.method for record in records if record.size == "all" and record.test is not None}
    once = [key for key in METHODS if key in whole and METHODS[key].deterministic]
    if once:
        lines.append(
            f"These do not depend on the seed when trained on all texts, so they ran once: {', '.join(once)}."
        )
    keys = [key for key in METHODS if any(record.method == key for record in records)]
    width = max(map(len, keys), default=0)
    return lines + [f"{key.ljust(width)}  {METHODS[key].description}" for key in keys]


def to_dict(records: Sequence[Record], *, notes: Sequence[str] = (), waiting: int = 0) -> dict[str, Any]:
    """Return the results of one data set as JSON-compatible data: summaries by size, and all records."""
    first = records[0]
    return {
        "data": first.data,
        "test": first.test,
        "folds": first.folds,
        "labels": first.labels,
        "sizes": [
            {
                "size": block.size,
                "training_texts": block.training_texts,
                "rows": [_row_dict(row, block) for row in block.rows],
                "verdicts": verdicts(block),
            }
            for block in summarise(records)
        ],
        "notes": list(notes),
        "runs_not_done": waiting,
        "runs": [asdict(record) for record in records],
    }


def _row_dict(row: MethodSummary, block: SizeSummary) -> dict[str, Any]:
    best = [column.name for column in COLUMNS if row.method in _best(block.rows, column)]
    return asdict(row) | {"best_in": best}


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
            title = f"**{_BY_NAME[name].title}**, {size:,} training texts"
            lines += [title, "", *_markdown(few, _BY_NAME[name]), ""]
    return "\n".join(lines).rstrip("\n")


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
            if key in _best(block.rows, column):
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
    ours = [mean for method, mean in means.items() if _is_ours(method) and METHODS[method].default]
    baselines = [mean for method, mean in means.items() if not _is_ours(method) and METHODS[method].default]
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
