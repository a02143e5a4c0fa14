"""Benchmark records of one data set as a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lmclassify.comparison.methods import METHODS
from lmclassify.comparison.results import Record, Size
from lmclassify.errors import counted, printable
from lmclassify.text.display import share_digits


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
_NO_SPREAD = "–"
COLUMN_BY_NAME = {column.name: column for column in COLUMNS}


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


def to_text(records: Sequence[Record], *, notes: Sequence[str] = (), width: int | None = None) -> str:
    """Return the results of one data set as text: a table and a comparison with the baselines per size.

    Shares have the decimals that the number of test texts supports. Tables that are wider than a terminal of
    `width` columns show no standard deviations.
    """
    lines = [printable(_headline(records))]
    columns = _rounded(records)
    tables = [_table(block, columns) for block in summarise(records)]
    if width is not None and any(len(line) > width for table in tables for line in table[:1]):
        columns = [replace(column, with_spread=False) for column in columns]
    for block in summarise(records):
        every = "all " if block.size == "all" else ""
        lines += ["", f"{every}{counted(block.training_texts, 'training text')}"]
        lines += _table(block, columns)
        lines += [f"{row.method} {_failure(row)}" for row in block.rows if row.errors and row.runs]
        lines += verdicts(block, columns)
    lines += ["", *_footnotes(records, columns), *(f"note: {printable(note)}" for note in notes)]
    return "\n".join(lines)


def _headline(records: Sequence[Record]) -> str:
    first = records[0]
    if first.test is None:
        times = len({record.seed for record in records})
        how = f"{first.folds}-fold cross-validation" + (f", repeated {times} times" if times > 1 else "")
    else:
        how = f"tested on {first.test} ({counted(first.test_texts, 'text')})"
    return f"{first.data}, {counted(first.labels, 'label')}, {how}"


def _rounded(records: Sequence[Record]) -> list[FigureColumn]:
    """Return the columns with the decimals that the number of test texts supports."""
    first = records[0]
    run = (first.method, first.size, first.seed)
    folds = {
        record.fold: record.test_texts
        for record in records
        if (record.method, record.size, record.seed) == run
    }
    digits = share_digits(sum(folds.values()))
    return [replace(column, format=f".{digits}f") if column.format == ".4f" else column for column in COLUMNS]


def _table(block: SizeSummary, columns: Sequence[FigureColumn]) -> list[str]:
    shown = [column for column in columns if any(column.name in row.figures for row in block.rows)]
    best = {column.name: best_methods(block.rows, column) for column in shown}
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
    std = format(spread.mean if spread.std is None else spread.std, column.format)
    return f"{mean} ± " + (_NO_SPREAD.ljust(len(std)) if spread.std is None else std)


def best_methods(rows: Sequence[MethodSummary], column: FigureColumn) -> set[str]:
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


def verdicts(block: SizeSummary, columns: Sequence[FigureColumn] = COLUMNS) -> list[str]:
    """Return sentences that compare lmclassify with the best baseline in accuracy and log-loss."""
    finished = [row for row in block.rows if row.runs]
    ours = next((row for row in finished if is_ours(row.method)), None)
    baselines = [row for row in finished if not is_ours(row.method)]
    if ours is None or not baselines:
        return []
    parts = []
    for column in columns:
        name = column.name
        if name not in ("accuracy", "log_loss"):
            continue
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


def is_ours(method: str) -> bool:
    return method in METHODS and METHODS[method].ours


def _footnotes(records: Sequence[Record], columns: Sequence[FigureColumn]) -> list[str]:
    spread = any(column.with_spread for column in columns)
    what = "Mean ± standard deviation over runs (–: one run)" if spread else "Mean over runs"
    lines = [
        f"{what}. * best of its column. Log-loss in nats.",
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
    best = [column.name for column in COLUMNS if row.method in best_methods(block.rows, column)]
    return asdict(row) | {"best_in": best}
