"""Reads rows with text and label, either of which may be missing, for commands that look at each row."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmclassify.cli import common
from lmclassify.cli.command import Run
from lmclassify.cli.progress import RowProgress
from lmclassify.errors import DataError, OptionError

if TYPE_CHECKING:
    from lmclassify.check.findings import CheckedRows
    from lmclassify.datasets.sources import InputFormat, RowReader


def reading_options(
    paths: Sequence[str],
    text_column: str | None,
    label_column: str | None,
    input_format: InputFormat | None,
    encoding: str | None,
    sheet: str | None,
    fields: str | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the keyword arguments of `lmclassify.datasets.sources.open_rows` for the options of a command.

    Raises OptionError if standard input is among the paths more than once, or an option has a wrong value.

    Parameters
    ----------
    options : mapping
        The options `lmclassify.cli.common.DIALECT_OPTIONS`.
    """
    from lmclassify.datasets.reading import Reading
    from lmclassify.mail.fields import DEFAULT_FIELDS, parse_fields

    if paths.count("-") > 1:
        raise OptionError("standard input (-) can be read only once")
    return {
        "format": input_format,
        "encoding": encoding,
        "fields": DEFAULT_FIELDS if fields is None else parse_fields(fields),
        "dialect": common.parse_dialect(*(options[name] for name in common.DIALECT_OPTIONS)),
        "sheet": sheet,
        "named_columns": Reading().named_columns(text_column, label_column),
    }


def read_rows(
    run: Run,
    data: list[str],
    test: list[str],
    reading: Mapping[str, Any],
    text_column: str | None,
    label_column: str | None,
    without_labels: str = "only its texts are checked",
) -> CheckedRows:
    """Read all rows of files, including those without text or label.

    Parameters
    ----------
    data, test : list of str
        Files; only those in `data` count as training rows.
    reading : mapping
        From `reading_options`.
    without_labels : str
        What is said of a file that has no label column.
    """
    from lmclassify.check.findings import CheckedRows

    rows = CheckedRows()
    for paths in (data, test):
        if paths:
            with common.open_data(paths, reading, label_column) as table:
                _read_table(run, table, rows, text_column, label_column, without_labels)
        if paths is data:
            rows.training = len(rows)
    short = {name: os.path.basename(name) or name for name in set(rows.files)}
    if len(set(short.values())) == len(short):
        rows.files = [short[name] for name in rows.files]
    return rows


def _read_table(
    run: Run,
    table: RowReader,
    rows: CheckedRows,
    text_column: str | None,
    label_column: str | None,
    without_labels: str,
) -> None:
    from lmclassify.tables.columns import text_columns
    from lmclassify.tables.rows import join_columns

    text_at = text_columns(table, text_column)
    label_at = _label_at(table, label_column)
    run.say(table.describe(text_at, label_at))
    if label_at is None:
        run.say(f"note: {table.name} has no label column: {without_labels}; --label-column names one")
    with RowProgress(run, table.size) as progress:
        for chunk in table.chunks():
            labels = [""] * len(chunk) if label_at is None else chunk.labels(label_at, table.name)
            for number, (cells, label) in enumerate(zip(chunk.cells, labels, strict=True), chunk.first):
                name, own_number = table.locate(number)
                if label_at is not None and label and cells[label_at] != label == cells[label_at].strip():
                    rows.padded.append(len(rows))
                rows.texts.append(join_columns(cells, text_at))
                rows.labels.append(label)
                rows.files.append(name)
                rows.numbers.append(own_number)
            progress.add(len(chunk), table.bytes_read)
    for note in table.notes:
        run.say(f"note: {note}")


def _label_at(table: RowReader, wanted: str | None) -> int | None:
    from lmclassify.tables.columns import label_column

    try:
        return label_column(table, wanted)
    except DataError:
        if wanted is not None:
            raise
        return None
