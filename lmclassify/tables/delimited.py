"""Read CSV and TSV files strictly and in chunks.

Cells are strings, kept character for character: types and missing values are not guessed.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections.abc import Iterable, Iterator

from lmclassify.errors import DataError, listing
from lmclassify.tables.columns import describe_columns, suffix_of
from lmclassify.tables.content import SEPARATOR_LINE
from lmclassify.tables.encodings import DecodingError, LineReader, Lines, decode_lines
from lmclassify.tables.inputs import Input
from lmclassify.tables.rows import CHUNK_BYTES, CHUNK_ROWS, Rows

_TSV_SUFFIXES = (".tsv", ".tab")
_TABLE_SUFFIXES = (".csv", *_TSV_SUFFIXES)

_SEPARATOR_NOTES = {
    "\t": "tab-separated",
    ";": "semicolon-separated",
    "|": "separated by vertical bars",
}
_UNUSUAL_SEPARATORS = ("\t", ";", "|")  # tried in this order after the comma

_MAX_CELL_CHARACTERS = 1 << 26  # the csv module takes four bytes per character of the cell it reads
_MAX_SNIFFED_LINES = 1000  # of header and first row; an unclosed quote must not read the whole file
_STEP_ROWS = 128  # rows read between two looks at how long they are


class DelimitedReader(LineReader):
    """Read a CSV or TSV file (RFC 4180) in chunks.

    Raises DataError if the file cannot be read, is empty, or has a header but no rows; while reading, if a
    row is malformed. The message names file, row (from 1, without the header) and line.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    format : {"csv", "tsv"}, optional
        By default the format that the suffix of the name tells. TSV is tab-separated. The separator of CSV is
        the comma if header and first row then have the same number of cells, else a tab, a semicolon or a
        vertical bar; a first line such as ``sep=;`` names it. If the suffix tells nothing, a header with a
        tab and no comma means tab-separated.
    encoding : str, optional
        See `lmclassify.tables.encodings.decode_lines`.
    source : Input, optional
        The open file, if it is open already.

    Attributes
    ----------
    name : str
        For messages.
    size : int or None
        Size in bytes, if known.
    """

    def __init__(
        self, path: str, format: str | None = None, encoding: str | None = None, source: Input | None = None
    ) -> None:
        self._open(path, source)
        self._row = 0
        self._line = 1  # first line of the next row
        try:
            self._lines = decode_lines(self._input, encoding)
            self._read_header(path, format)
        except BaseException:
            self.close()
            raise

    def _read_header(self, path: str, format: str | None) -> None:
        lines = iter(self._lines)
        with self._errors():
            first = next((line for line in lines if line.strip("\r\n")), None)
        declared = SEPARATOR_LINE.fullmatch(first.rstrip("\r\n")) if first is not None else None
        if declared is not None:
            with self._errors():
                first = next((line for line in lines if line.strip("\r\n")), None)
        if first is None:
            raise DataError(f"{self.name} is empty; expected a header and rows")
        self._line = self._lines.number
        csv.field_size_limit(_MAX_CELL_CHARACTERS)  # the default of 128 KB is too little for mail
        all_lines: Iterator[str] = itertools.chain([first], lines)
        separator = declared[1] if declared is not None else _separator_from_header(path, format, first)
        if separator is None:
            lookahead = _Lookahead(self._lines, first, lines)
            separator = _sniff_separator(lookahead)
            all_lines = itertools.chain(lookahead.replay(), lines)
        note = _SEPARATOR_NOTES.get(separator, f"separated by {separator!r}")
        if separator == _default_separator(path, format):
            note = ""
        self._notes = [each for each in (note, self._lines.note) if each]
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
        """Return one line that names the columns in use, and separator and encoding if they are unusual.

        Raises DataError if text and label are the same column.
        """
        return describe_columns(self.name, self.columns, text_at, label_at, self._notes)

    @property
    def rows_read(self) -> int:
        """How many rows have been read."""
        return self._row

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer if they are long."""
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
                        f"{self._position(self._line)}: {len(cells)} fields, but the header has {width}; "
                        "put quotes around fields that contain a separator"
                    )
                else:  # a blank line is a row only if the table has one column
                    self._line = self._lines.number + 1

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DecodingError as error:
            raise DataError(f"{self._position(self._lines.number)}: {error}") from None
        except csv.Error as error:
            problem = str(error)
            if "unexpected end of data" in problem:
                problem = "a quote that opens here is never closed; close it, or double quotes inside quotes"
            elif "expected after" in problem:
                problem = "text after a closing quote; double quotes inside quoted fields"
            elif "new-line character" in problem:
                problem = "a carriage return outside quotes; end lines with a line feed"
            elif "field larger" in problem:
                limit = _MAX_CELL_CHARACTERS >> 20
                problem = f"a cell of more than {limit} million characters; is a quote never closed?"
            raise DataError(f"{self._position(self._line)}: {problem}") from None

    def _position(self, line: int) -> str:
        """Return the file, row and line of the row after the last good one."""
        if not hasattr(self, "columns"):
            return f"{self.name}, header (line {line:,})"
        return f"{self.name}, row {self._row + 1:,} (line {line:,})"


def _default_separator(path: str, format: str | None) -> str:
    is_tsv = format == "tsv" or (format is None and suffix_of(path) in _TSV_SUFFIXES)
    return "\t" if is_tsv else ","


def _separator_from_header(path: str, format: str | None, header: str) -> str | None:
    """Return the separator if the name or the header line alone tells it."""
    if _default_separator(path, format) == "\t":
        return "\t"
    if suffix_of(path) not in _TABLE_SUFFIXES and "\t" in header and "," not in header:
        return "\t"
    continues = header.count('"') % 2 == 1
    return None if continues or any(separator in header for separator in _UNUSUAL_SEPARATORS) else ","


class _Lookahead:
    """Lines read ahead that can be read again, with the line and byte counts that belong to each.

    Parameters
    ----------
    lines : Lines
        Counts the lines and bytes.
    first : str
        Its newest line.
    rest : iterator of str
        The lines after that.
    """

    def __init__(self, lines: Lines, first: str, rest: Iterator[str]) -> None:
        self._lines = lines
        self._rest = rest
        self._seen = [(first, lines.number, lines.bytes)]
        self._error: DecodingError | None = None

    def __iter__(self) -> Iterator[str]:
        """Yield the lines from the first on, up to the limit of looking ahead."""
        for index in range(_MAX_SNIFFED_LINES):
            if index == len(self._seen) and not self._read():
                return
            yield self._seen[index][0]

    def _read(self) -> bool:
        if self._error is not None:
            return False
        try:
            line = next(self._rest, None)
        except DecodingError as error:  # raised by `replay` when it gets there
            self._error = error
            self._seen.append(("", self._lines.number, self._lines.bytes))
            return False
        if line is None:
            return False
        self._seen.append((line, self._lines.number, self._lines.bytes))
        return True

    def replay(self) -> Iterator[str]:
        """Yield the lines that were read, and set the counts of `lines` as if they were read now."""
        for index, (line, number, consumed) in enumerate(self._seen):
            self._lines.number, self._lines.bytes = number, consumed
            if self._error is not None and index == len(self._seen) - 1:
                raise self._error
            yield line


def _sniff_separator(lookahead: _Lookahead) -> str:
    """Return the first separator for which header and first row have the same number of cells, over one."""
    for separator in (",", *_UNUSUAL_SEPARATORS):
        reader = csv.reader(iter(lookahead), delimiter=separator, strict=True)
        try:
            header = next(reader)
            first = next((row for row in reader if row), header)
        except (csv.Error, StopIteration):
            continue
        if len(header) == len(first) > 1:
            return separator
    return ","
