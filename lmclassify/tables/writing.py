"""Write tables as CSV, TSV, JSON Lines, Parquet or aligned text."""

from __future__ import annotations

import contextlib
import csv
import json
import operator
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args

import numpy as np

from lmclassify.errors import DataError, OptionError, OutputError, listing
from lmclassify.persistence.atomic_file import FileWriter, write_errors
from lmclassify.tables.compression import compressing, require_package, split_compression
from lmclassify.tables.rows import Column, Rows
from lmclassify.text.display import fitting_lines
from lmclassify.text.terminal import terminal_columns

OutputFormat = Literal["csv", "tsv", "jsonl", "parquet", "table"]

_SEPARATORS = {"csv": ",", "tsv": "\t"}

# As listed by OWASP (www-community, CSV Injection), with the full-width signs of Japanese spreadsheets; some
# spreadsheets skip white space before them. NUL is from ASVS 5.0, 1.2.10.
_FORMULA = re.compile("[\\t\\r\\n\\0]|[\\s\ufeff]*[=+\\-@＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def choose_output_format(path: str, requested: str | None) -> OutputFormat:
    """Return the format to write: the requested one, else that of the path's suffix, else CSV.

    Raises DataError if there is no such format. Raises OutputError if it needs a package that is not
    installed.
    """
    name, compression = split_compression(path)
    require_package(compression)
    suffix = Path(name).suffix.lower().removeprefix(".")
    chosen = requested or ("jsonl" if suffix == "ndjson" else suffix)
    for known in get_args(OutputFormat):
        if chosen == known:
            if known == "parquet":
                from lmclassify.tables.parquet import require_pyarrow

                require_pyarrow(OutputError)
            return known  # type: ignore[no-any-return]
    if requested:
        raise DataError(f"no format {requested!r}; choose from: {', '.join(get_args(OutputFormat))}")
    if suffix not in ("", "txt"):
        raise DataError(f"{path} does not tell the format to write; name it with --format")
    return "csv"


def check_escape_formulas(escape_formulas: bool, format: str) -> None:
    """Raise OptionError if formulas are to be escaped in a format that has none."""
    if escape_formulas and format not in _SEPARATORS:
        raise OptionError("--escape-formulas is for csv and tsv; jsonl and parquet have no formulas")


def escape_formula(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet could run as a formula (CSV injection, CWE-1236).

    Numbers, signed ones too, are left unchanged.

    >>> escape_formula("=1+2"), escape_formula("-3.5"), escape_formula("-3.5+A1")
    ("'=1+2", '-3.5', "'-3.5+A1")
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


class TableWriter(FileWriter):
    """Write rows to a file that appears only when it is complete.

    Raises OutputError if the file cannot be written. This is checked at once, before any work is done.

    Parameters
    ----------
    path : str
        ``-`` is standard output. An existing file is replaced. A suffix such as ``.gz`` compresses the file.
    format : {"csv", "tsv", "jsonl", "parquet", "table"}
        ``table`` is text with aligned columns.
    escape_formulas : bool, default=False
        Apply `escape_formula` to column names and cells; for csv and tsv.
    """

    def __init__(self, path: str, format: OutputFormat, *, escape_formulas: bool = False) -> None:
        self._format = format
        self._escape_formulas = escape_formulas
        self._aligned_rows: list[Rows] = []  # alignment needs all rows
        self._write_header = True
        self._parquet: Any = None
        self._compressed: Any = None
        compression = split_compression(path)[1]
        if format == "parquet":
            if compression is not None:
                raise OutputError(
                    f"cannot write {path}: Parquet compresses its columns itself; end the name in .parquet"
                )
            from lmclassify.tables.parquet import require_pyarrow

            require_pyarrow(OutputError)
        self._to_terminal = path == "-" and sys.stdout.isatty()
        super().__init__(path)
        if format == "parquet" and self._stream.isatty():
            self._close()
            raise OutputError("Parquet is not readable on a terminal; name a file with -o")
        self._sink = self._stream
        if compression is not None:
            try:
                self._sink = self._compressed = compressing(self._stream, compression)
            except OutputError:
                self._close()
                raise

    def write(self, rows: Rows) -> None:
        """Append rows; all calls must have the same columns.

        Raises DataError if the format cannot represent the rows: two columns of one name, or values without a
        column. Raises OutputError if they cannot be written.
        """
        names = rows.names
        if self._format in ("jsonl", "parquet") and len(set(names)) < len(names):
            duplicates = sorted({name for name in names if names.count(name) > 1})
            raise DataError(
                f"{self._format} needs unique column names, but there are several of {listing(duplicates)}; "
                "rename them, or write csv, tsv or table"
            )
        if rows.stray and self._format != "jsonl":
            raise DataError(rows.stray)
        with write_errors(self._name):
            if self._format in _SEPARATORS:
                if self._escape_formulas:
                    rows = _with_escaped_formulas(rows)
                content = _delimited(rows, _SEPARATORS[self._format], header=self._write_header)
                self._sink.write(content.encode())
            elif self._format == "jsonl":
                self._sink.write(_json_lines(rows).encode())
            elif self._format == "parquet":
                self._write_parquet(rows)
            else:
                self._aligned_rows.append(rows)
            self._write_header = False

    def _write_parquet(self, rows: Rows) -> None:
        import pyarrow
        import pyarrow.parquet

        from lmclassify.tables.parquet import to_arrow

        table = to_arrow(rows)
        if self._parquet is None:
            self._parquet = pyarrow.parquet.ParquetWriter(self._sink, table.schema)
        elif table.schema != self._parquet.schema:
            try:
                table = table.cast(self._parquet.schema)
            except (pyarrow.ArrowException, ValueError) as error:
                problem = " ".join(str(error).split())
                raise DataError(
                    f"from row {rows.first:,} on, columns have other types than before ({problem})"
                ) from None
        self._parquet.write_table(table)

    def _close(self) -> None:
        if self._parquet is not None:
            with contextlib.suppress(Exception):
                self._parquet.close()
            self._parquet.is_open = False  # else its destructor tries to close it again, and complains
        if self._compressed is not None:
            with contextlib.suppress(OSError, ValueError):
                self._compressed.close()
        super()._close()

    def _commit(self) -> None:
        if self._aligned_rows:
            columns = terminal_columns(sys.stdout) if self._to_terminal else None
            self._sink.write(_aligned(self._aligned_rows, columns).encode())
        if self._parquet is not None:
            self._parquet.close()
        if self._compressed is not None:
            self._compressed.close()
        super()._commit()


def _records(
    rows: Rows, format_number: Callable[[float], str | float], missing: str | None
) -> Iterator[list[Any]]:
    """Yield the values of each row, with floats formatted and NaN replaced by `missing`."""
    added: list[Sequence[Any]] = []
    for column in rows.added.values():
        values: Sequence[Any] = column.tolist() if isinstance(column, np.ndarray) else column
        if isinstance(column, np.ndarray) and column.dtype.kind == "f":
            values = [format_number(value) if value == value else missing for value in values]
        added.append(values)
    if not added:
        return iter(rows.cells)
    return map(operator.add, rows.cells, map(list, zip(*added, strict=True)))


def _with_escaped_formulas(rows: Rows) -> Rows:
    added: dict[str, Column] = {
        escape_formula(name): column if isinstance(column, np.ndarray) else [*map(escape_formula, column)]
        for name, column in rows.added.items()
    }
    cells = [[*map(escape_formula, row)] for row in rows.cells]
    return Rows([*map(escape_formula, rows.columns)], cells, rows.first, added)


def _delimited(rows: Rows, separator: str, *, header: bool) -> str:
    lines: list[str] = []
    # With this line terminator the writer also quotes cells that contain a carriage return.
    writer = csv.writer(SimpleNamespace(write=lines.append), delimiter=separator, lineterminator="\r\n")
    if header:
        writer.writerow(rows.names)
    writer.writerows(_records(rows, "%.9g".__mod__, ""))
    return "".join([line[:-2] + "\n" for line in lines])


def _json_lines(rows: Rows) -> str:
    names, encode = rows.names, json.JSONEncoder(ensure_ascii=False).encode
    if rows.original is None:
        records = (dict(zip(names, record, strict=True)) for record in _records(rows, float, None))
        return "".join([encode(record) + "\n" for record in records])
    objects = rows.original.json_objects()
    if rows.stray and any(json.loads(one).keys() & rows.added.keys() for one in objects):
        raise DataError(rows.stray)
    new = _records(Rows([], [[] for _ in objects], added=rows.added), float, None)
    added = [encode(dict(zip(rows.added, record, strict=True))) for record in new]
    return "".join([_merge_objects(one, other) for one, other in zip(objects, added, strict=True)])


def _merge_objects(one: str, other: str) -> str:
    """Return a line with the members of two JSON objects; the text of the first is kept as it is."""
    if other == "{}":
        return f"{one}\n"
    begun = one[:-1]
    return f"{begun}{'' if begun.rstrip() == '{' else ', '}{other[1:]}\n"


def _aligned(chunks: Sequence[Rows], columns: int | None) -> str:
    """Return rows as lines of aligned columns, cut to the columns of a terminal, if that is known."""
    cells = [chunks[0].names]
    for rows in chunks:
        cells += _records(rows, "{:.4f}".format, "")
    return "".join(f"{line}\n" for line in fitting_lines(cells, columns, terminal=columns is not None))
