"""Tables and lists of texts, read strictly and in chunks.

Cells are strings, kept character for character: no guessing of types or of missing values.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lmclassify.errors import DataError, listing, shorten
from lmclassify.tables.compression import split_compression
from lmclassify.tables.encodings import BadBytesError, LineReader, lines_of
from lmclassify.tables.inputs import Input
from lmclassify.tables.rows import Rows
from lmclassify.tables.separators import UNUSUAL_SEPARATORS, Ahead, sniff_separator

TEXT_COLUMNS = ("text", "subject", "message", "body", "title", "content")
LABEL_COLUMNS = ("label", "class", "category", "target", "spam/ham")

_TAB_SUFFIXES = (".tsv", ".tab")
TABLE_SUFFIXES = (".csv", *_TAB_SUFFIXES)

_SAID = {
    ",": "commas between cells",
    "\t": "tabs between cells",
    ";": "semicolons between cells",
    "|": "vertical bars between cells",
}
_LONGEST_CELL = 1 << 26  # the csv module keeps four bytes a character while it reads one

CHUNK_ROWS = 8192
CHUNK_BYTES = 1 << 23  # about: long rows need no more memory than short ones
_STEP_ROWS = 128


class TableReader(LineReader):
    """Reads a CSV or TSV file (RFC 4180) in chunks.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    format : {"csv", "tsv"}, optional
        By default what the name ends in. Tabs separate the cells of TSV. Those of CSV are separated by what
        header and first row agree on: a comma if that fits, else a tab, a semicolon or a vertical bar.
        Where the name ends in neither, a header with a tab and no comma is enough for tabs.
    encoding : str, optional
        See `lmclassify.tables.encodings.lines_of`.

    Attributes
    ----------
    name : str
        For messages.
    columns : list of str
    size : int or None
        Bytes in all, where that is known.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or has a header but no row; later, while reading, if a row
        is broken. The message names file, row (from 1, without the header) and line.
    """

    def __init__(self, path: str, format: str | None = None, encoding: str | None = None) -> None:
        self._input = Input(path)
        self.name = self._input.name
        self.size = self._input.size
        self._row = 0
        self._line = 1  # where the row after it begins
        try:
            self._lines = lines_of(self._input, encoding)
            self._begin(path, format)
        except BaseException:
            self.close()
            raise

    def _begin(self, path: str, format: str | None) -> None:
        lines = iter(self._lines)
        with self._errors():
            first = next((line for line in lines if line.strip("\r\n")), None)
        if first is None:
            raise DataError(f"{self.name} is empty; expected a header and rows")
        self._line = self._lines.number
        csv.field_size_limit(_LONGEST_CELL)  # the csv module's 128 KB are too few for mail
        all_lines: Iterator[str] = itertools.chain([first], lines)
        separator = _separator(path, format, first)
        if separator is None:
            ahead = Ahead(self._lines, first, lines)
            separator = sniff_separator(ahead)
            all_lines = itertools.chain(ahead.again(), lines)
        said = "" if separator == _usual_separator(path, format) else _SAID[separator]
        self._notes = [note for note in (said, self._lines.note) if note]
        reader = csv.reader(all_lines, delimiter=separator, strict=True)
        with self._errors():
            self.columns = next(reader)
        self._line = self._lines.number + 1
        rows = self._checked(reader)
        first_row = next(rows, None)
        if first_row is None:
            raise DataError(f"{self.name} has a header ({listing(self.columns)}) but no rows")
        self._rows = itertools.chain([first_row], rows)

    def describe(self, text_at: int, label_at: int | None) -> str:
        """Return one line that names the columns in use, and separator and encoding if they are not usual.

        Raises
        ------
        DataError
            If they are one and the same.
        """
        return describe_columns(self.name, self.columns, text_at, label_at, self._notes)

    @property
    def rows_read(self) -> int:
        """How many rows have been read."""
        return self._row

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer where they are long."""
        first, steps = 1, range(0, rows, _STEP_ROWS)
        while True:
            cells: list[list[str]] = []
            end = self._lines.bytes + CHUNK_BYTES
            for start in steps:
                cells += itertools.islice(self._rows, min(_STEP_ROWS, rows - start))
                if self._lines.bytes >= end:
                    break
            if not cells:
                return
            yield Rows(self.columns, cells, first)
            first += len(cells)

    def _checked(self, reader: Iterable[list[str]]) -> Iterator[list[str]]:
        width = len(self.columns)
        with self._errors():
            for row in reader:
                cells = row or [""]
                if len(cells) == width:
                    self._row += 1
                    self._line = self._lines.number + 1
                    yield cells
                elif row:
                    raise DataError(
                        f"{self._place(self._line)}: {len(cells)} fields, but the header has {width}; "
                        "put quotes around a field that holds a separator"
                    )
                else:  # a blank line is no row, but for a table of one column
                    self._line = self._lines.number + 1

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except BadBytesError as error:
            raise DataError(f"{self._place(self._lines.number)}: {error}") from None
        except csv.Error as error:
            what = str(error)
            if "unexpected end of data" in what:
                what = "a quote that opens here is never closed; close it, or double quotes inside quotes"
            elif "expected after" in what:
                what = "text after a closing quote; double quotes inside quoted fields"
            elif "new-line character" in what:
                what = "a carriage return outside quotes; end lines with a line feed"
            elif "field larger" in what:
                what = (
                    f"a cell of more than {_LONGEST_CELL >> 20} million characters; is a quote never closed?"
                )
            raise DataError(f"{self._place(self._line)}: {what}") from None

    def _place(self, line: int) -> str:
        """Name the row after the last good one, and where it stands."""
        if not hasattr(self, "columns"):
            return f"{self.name}, header (line {line:,})"
        return f"{self.name}, row {self._row + 1:,} (line {line:,})"


def _suffix(path: str) -> str:
    return Path(split_compression(path)[0]).suffix.lower()


def _usual_separator(path: str, format: str | None) -> str:
    tabs = format == "tsv" or (format is None and _suffix(path) in _TAB_SUFFIXES)
    return "\t" if tabs else ","


def _separator(path: str, format: str | None, header: str) -> str | None:
    """Return the separator where name or header are enough to tell."""
    if _usual_separator(path, format) == "\t":
        return "\t"
    if _suffix(path) not in TABLE_SUFFIXES and "\t" in header and "," not in header:
        return "\t"
    goes_on = header.count('"') % 2 == 1
    return None if goes_on or any(separator in header for separator in UNUSUAL_SEPARATORS) else ","


def read_lines(path: str, encoding: str | None = None) -> list[str]:
    """Return the lines of a file without their ends: one text a line.

    Raises
    ------
    DataError
        If the file cannot be read or is no text; the message names the line and byte.
    """
    source = Input(path)
    try:
        lines = lines_of(source, encoding)
        try:
            return [line.removesuffix("\n").removesuffix("\r") for line in lines]
        except BadBytesError as error:
            raise DataError(f"{source.name}, line {lines.number:,}: {error}") from None
    finally:
        source.close()


def describe_columns(
    name: str, columns: Sequence[str], text_at: int, label_at: int | None, notes: Sequence[str] = ()
) -> str:
    """Return one line that names the columns in use, with notes on how they were read.

    Raises
    ------
    DataError
        If they are one and the same.
    """
    if text_at == label_at:
        raise DataError(
            f"{name}: {shorten(columns[text_at])} is asked for as text and as label; name another with "
            "--text-column or --label-column"
        )
    found = f"text column {shorten(columns[text_at])}"
    if label_at is not None:
        found += f", label column {shorten(columns[label_at])}"
    return "; ".join([f"{name}: {found}", *notes])


def find_column(columns: Sequence[str], wanted: str | None, usual: Sequence[str], name: str) -> int | None:
    """Return the position of a column.

    Parameters
    ----------
    columns : sequence of str
        The header.
    wanted : str or None
        Its exact name, where the user gave one.
    usual : sequence of str
        Else, names to look for, most usual first, upper and lower case alike.
    name : str
        Of the file, for messages.

    Returns
    -------
    int or None
        None if no name was given and no usual one is there.

    Raises
    ------
    DataError
        If the column asked for is not there, or a name stands there twice.
    """
    folded = list(columns) if wanted is not None else [column.strip().casefold() for column in columns]
    for candidate in usual if wanted is None else [wanted]:
        places = [place for place, column in enumerate(folded) if column == candidate]
        if len(places) > 1:
            raise DataError(
                f"{name} has {len(places)} columns named {shorten(candidate)}; rename one of them"
            )
        if places:
            return places[0]
    if wanted is not None:
        raise DataError(f"{name} has no column {shorten(wanted)}; its columns: {listing(columns)}")
    return None


def require_column(
    columns: Sequence[str], wanted: str | None, usual: Sequence[str], what: str, name: str
) -> int:
    """Return what `find_column` finds; `what` is ``text`` or ``label``, for messages.

    Raises
    ------
    DataError
        If it finds nothing.
    """
    place = find_column(columns, wanted, usual, name)
    if place is None and len(columns) == 1 and "\t" in columns[0]:
        raise DataError(f"{name} looks as if tabs separate its cells; say so with --input-format tsv")
    if place is None and list(columns) == ["text"] and _suffix(name) == ".txt":
        raise DataError(
            f"{name} has no {what} column: a .txt is read as one text a line; if it is a table, say so with "
            "--input-format csv"
        )
    if place is None:
        raise DataError(
            f"{name} has no {what} column: none of its columns ({listing(columns)}) is named "
            f"{', '.join(usual)}; name it with --{what}-column"
        )
    return place
