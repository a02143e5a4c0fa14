"""`lmclassify suggest-rows`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmclassify.cli import common
from lmclassify.cli.command import Run, add_command
from lmclassify.cli.progress import ProgressDisplay
from lmclassify.cli.rows import read_rows, reading_options
from lmclassify.errors import DataError, counted
from lmclassify.text.display import aligned, shown

if TYPE_CHECKING:
    from lmclassify.annotation.learner import Choice
    from lmclassify.check.findings import CheckedRows
    from lmclassify.tables.rows import Rows

Pool = Annotated[
    list[str],
    typer.Argument(
        metavar="POOL",
        help=f"Files with texts ({common.TABLE}). Texts that have a label are learned from; the rows are "
        "chosen among the others. `-` is standard input.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write the rows as a table (.csv, .tsv, .jsonl or .parquet). Columns: row (1 is the first data "
        "row), why, text; predicted_label and probability, if two labels have texts; file, if there are "
        "several. `-` writes CSV to standard output instead of the text.",
    ),
]
Number = Annotated[int, typer.Option("-n", min=1, help="Number of rows.")]

_MAX_LABEL = 24
_EXAMPLES = (
    "lmclassify suggest-rows texts.csv -n 50",
    "lmclassify suggest-rows texts.csv -n 100 -o next.csv",
    "lmclassify suggest-rows inbox.mbox archive.mbox -n 20",
)


def suggest_rows(
    run: Run,
    pool: Pool,
    text_column: common.TextColumn = None,
    label_column: common.LabelColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
    sheet: common.Sheet = None,
    fields: common.Fields = None,
    output: Output = None,
    n: Number = 50,
    **options: Any,
) -> None:
    """Choose the rows to label next.

    Labelling these teaches a model more than labelling rows at random. A model is fitted to the rows that
    have a label, and rows are chosen that it is unsure of and that differ from each other. Every fifth row is
    drawn at random: use these to estimate the accuracy. Without labels, rows are chosen that differ from each
    other. Nothing in POOL is changed. To label in the browser, use label.
    """
    from lmclassify.annotation.learner import choose_round

    reading = reading_options(pool, text_column, label_column, input_format, encoding, sheet, fields, options)
    with nullcontext() if output is None else common.open_table(output, "-o") as table:
        no_labels = "rows are chosen that differ from each other"
        rows = read_rows(run, pool, [], reading, text_column, label_column, no_labels)
        labels = {index: label for index, label in enumerate(rows.labels) if label}
        with ProgressDisplay(run, "choosing", None, output=output) as display:
            display.show(0, f"{counted(len(rows), 'text')}, {len(labels):,} labelled")
            chosen = choose_round(rows.texts, labels, (), run.seed, n).items
        if not chosen:
            raise DataError(f"{', '.join(pool)}: every row has a label, or no text")
        if table is not None:
            table.write(_as_table(rows, chosen))
    if output != "-":
        print(_as_text(rows, chosen, shutil.get_terminal_size().columns, terminal=sys.stdout.isatty()))
    if output not in (None, "-"):
        run.say(f"{counted(len(chosen), 'row')} written to {output}")


def _as_table(rows: CheckedRows, chosen: Sequence[Choice]) -> Rows:
    import numpy as np

    from lmclassify.tables.rows import Column, Rows

    added: dict[str, Column] = {
        "row": np.array([rows.numbers[choice.index] for choice in chosen], dtype=np.int64)
    }
    if rows.several_files:
        added["file"] = [rows.files[choice.index] for choice in chosen]
    added["why"] = [choice.why for choice in chosen]
    guesses = [choice.guess for choice in chosen if choice.guess is not None]  # of all rows, or of none
    if guesses:
        added["predicted_label"] = [guess.label for guess in guesses]
        added["probability"] = np.array([round(guess.probability, 4) for guess in guesses])
    added["text"] = [rows.texts[choice.index] for choice in chosen]
    return Rows([], [[] for _ in chosen], added=added)


def _as_text(rows: CheckedRows, chosen: Sequence[Choice], columns: int, *, terminal: bool) -> str:
    """Return a table for people, each line as wide as the terminal."""
    table = [["row", "why", "prediction"]]
    for choice in chosen:
        guess = choice.guess
        prediction = "" if guess is None else f"{shown(guess.label, _MAX_LABEL)} {guess.probability:.0%}"
        table.append([shown(rows.place(choice.index).removeprefix("row "), 40), choice.why, prediction])
    texts = ["text", *(" ".join(rows.texts[choice.index].split()) for choice in chosen)]
    lines = ["  ".join(line) for line in aligned(table)]
    width = max(columns - max(map(len, lines)) - 2, 20)
    return "\n".join(
        f"{line}  {shown(text, width, terminal=terminal)}" for line, text in zip(lines, texts, strict=True)
    )


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(
        app,
        "suggest-rows",
        suggest_rows,
        common.DIALECT_OPTIONS,
        examples=_EXAMPLES,
        without=("device", "threads"),
    )
