"""Read CSV and TSV files strictly and in chunks.

Cells are strings, kept character for character: types and missing values are not guessed.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmclassify.errors import DataError, counted, listing
from lmclassify.tables.columns import Header, describe_columns, has_known_name, has_usual_names, suffix_of
from lmclassify.tables.content import SEPARATOR_LINE
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.encodings import DecodingError, LineReader, decode_lines
from lmclassify.tables.headers import find_names
from lmclassify.tables.inputs import Input
from lmclassify.tables.recognition import SAMPLE_ROWS, Cells
from lmclassify.tables.records import RecordError, RecordReader, sample_rows
from lmclassify.tables.rows import CHUNK_BYTES, CHUNK_ROWS, Rows
from lmclassify.tables.separators import (
    SEPARATOR_NOTES,
    Lookahead,
    default_separator,
    separator_from_header,
    separator_with_escapes,
    sniff_separator,
)

_STEP_ROWS = 128  # rows read between two looks at how long they are


@dataclass
class _Occurrences:
    """How many rows have something unusual, and the position of the first."""

    count: int = 0
    first: str = ""

    def add(self, position: str) -> None:
        self.count += 1
        self.first = self.first or position


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
        the comma if header and first rows then have the same number of cells, else a tab, a semicolon or a
        vertical bar; a first line such as ``sep=;`` names it. If the suffix tells nothing, a header with a
        tab and no comma means tab-separated.
    encoding : str, optional
        See `lmclassify.tables.encodings.decode_lines`.
    dialect : Dialect, optional
        What the user says about quotes and header. By default a file of two columns has no header if one
        column holds texts and the other labels, and the label of the first row occurs in other rows too.
    stream : bool, default=False
        Read no further ahead than the first row.
    source : Input, optional
        The open file, if it is open already.
    keep_line_numbers : bool, default=False
        Fill `line_numbers`.

    Attributes
    ----------
    name : str
        For messages.
    size : int or None
        Size in bytes, if known.
    separator : str
    quoting : {"none", "minimal", "backslash"} or None
        How quotes are read; see `lmclassify.tables.dialect.Dialect`.
    line_numbers : list of (int, int)
        Numbers of the first and the last line of the header and of each row read so far, from 1.
    """

    def __init__(
        self,
        path: str,
        format: str | None = None,
        encoding: str | None = None,
        dialect: Dialect | None = None,
        *,
        stream: bool = False,
        source: Input | None = None,
        keep_line_numbers: bool = False,
    ) -> None:
        self._open(path, source)
        self._keeps_line_numbers = keep_line_numbers
        self.line_numbers: list[tuple[int, int]] = []
        self._row = 0
        self._dialect = dialect or Dialect()
        self._header: Header = "none" if self._dialect.has_header is False else "row"
        self._sample: Cells = ()
        self._spanning, self._doubtful, self._literal = _Occurrences(), _Occurrences(), _Occurrences()
        try:
            self._lines = decode_lines(self._input, encoding)
            self._begin(path, format, 2 if stream else SAMPLE_ROWS)
        except BaseException:
            self.close()
            raise

    def _begin(self, path: str, format: str | None, sample: int) -> None:
        """Find the separator and the names of the columns, and read the first row."""
        lines, quoting = iter(self._lines), self._dialect.quoting
        try:
            first = next((line for line in lines if line.strip("\r\n")), None)
            declared = None if first is None else SEPARATOR_LINE.fullmatch(first.rstrip("\r\n"))
            if declared is not None:
                first = next((line for line in lines if line.strip("\r\n")), None)
        except DecodingError as error:
            raise self._error(error, self._lines.number) from None
        if first is None:
            raise DataError(f"{self.name} is empty; expected a header and rows")
        number = self._lines.number
        lookahead = Lookahead(self._lines, first, lines)
        separator = declared[1] if declared is not None else separator_from_header(path, format, first)
        if separator is None:
            separator = sniff_separator(lookahead, quoting, sample)
        if quoting is None and (escaped := separator_with_escapes(lookahead, separator, sample)):
            separator, quoting = escaped, "backslash"
        seen, _ = sample_rows(iter(lookahead), separator, quoting, sample)
        all_lines = itertools.chain(lookahead.replay(), lines)
        self.separator, self.quoting = separator, quoting
        self._records = RecordReader(all_lines, separator, quoting, number)
        with self._errors():
            header = next(iter(self._records))
        self.line_numbers.append((self._records.line, self._records.last_line))
        self._records.width = len(header)
        note = SEPARATOR_NOTES.get(separator, f"separated by {separator!r}")
        if separator == default_separator(path, format):
            note = ""
        self._notes = [each for each in (note, self._lines.note) if each]
        if quoting == "backslash":
            self._notes.append("backslashes stand before quotes in cells")
        if suffix_of(path) == ".txt" and format is None:
            self._notes.append("a table; --input-format text reads one text per line")
        same = [row for row in seen if len(row) == len(header)]
        found = find_names(self.name, same or [header], self._dialect)
        self.columns, self._header, self._sample = found.columns, found.header, found.sample
        self._notes += [found.note] if found.note else []
        rows = self._checked([header] if self._header == "none" else [])
        first_row = next(rows, None)
        if first_row is None:
            is_named = any(map(has_known_name, self.columns))
            hint = "" if is_named else "; if that line is a text, use --input-format text, or predict --text"
            raise DataError(f"{self.name} has a header ({listing(self.columns)}) but no rows{hint}")
        self._rows = itertools.chain([first_row], rows)

    @property
    def has_text_and_label(self) -> bool:
        """Whether a file of unknown format is certainly a table: it has texts, labels and a separator.

        Commas and bars are no separators here, because lines of text may hold them.
        """
        is_table = self._header == "none" or has_usual_names(self.columns)
        return is_table and self.separator in ("\t", ";")

    @property
    def sample(self) -> Cells:
        """The first rows, to recognize columns by their content; may be empty."""
        return self._sample

    @property
    def header(self) -> Header:
        """Where the names of the columns come from."""
        return self._header

    @property
    def notes(self) -> list[str]:
        """What the user should know of quotes in the rows read so far."""
        found = []
        if self._doubtful.count:
            found.append(
                f"{self.name}: {_cells(self._doubtful, 'quoted cell spans', 'quoted cells span')} lines that "
                f"could be rows of their own{_first(self._doubtful)}; if they are, use --quoting none"
            )
        if self._spanning.count:
            found.append(
                f"{self.name}: {_cells(self._spanning, 'quoted cell spans', 'quoted cells span')} "
                f"lines{_first(self._spanning)}"
            )
        if self._literal.count:
            found.append(
                f"{self.name}: {_cells(self._literal, 'cell begins', 'cells begin')} with a quote that is "
                f"read as a character{_first(self._literal)}; --quoting none|minimal sets one rule for all"
            )
        return found

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
        """Return one line that names the columns in use, and separator and encoding if they are unusual.

        Raises DataError if text and label are the same column.
        """
        return describe_columns(self.name, self.columns, text_at, label_at, self._notes)

    @property
    def encoding(self) -> str:
        """Python's name of the encoding."""
        return self._lines.encoding

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

    def _checked(self, first: list[list[str]]) -> Iterator[list[str]]:
        width, records = len(self.columns), self._records
        with self._errors():
            for row in itertools.chain(first, records):
                cells = row or [""]
                if len(cells) == width:
                    self._row += 1
                    if self._keeps_line_numbers:
                        self.line_numbers.append((records.line, records.last_line))
                    if records.last_line > records.line or records.literal:
                        self._note_quotes()
                    yield cells
                elif row:
                    first_row = "the header" if self._header == "row" else "the first row"
                    raise DataError(
                        f"{self._position(records.line)}: {len(cells)} fields, but {first_row} has {width}; "
                        f"put quotes around fields that contain a separator{records.hint}"
                    )  # a blank line is a row only if the table has one column

    def _note_quotes(self) -> None:
        first, last = self._records.line, self._records.last_line
        lines = f"line {first:,}" if first == last else f"lines {first:,} to {last:,}"
        position = f"row {self._row:,} ({lines})"
        if self._records.literal:
            self._literal.add(position)
        if first < last:
            (self._doubtful if self._records.could_be_rows else self._spanning).add(position)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DecodingError as error:
            raise self._error(error, self._lines.number) from None
        except RecordError as error:
            raise self._error(error, self._records.last_line + 1) from None

    def _error(self, error: Exception, line: int) -> DataError:
        return DataError(f"{self._position(line)}: {error}")

    def _position(self, line: int) -> str:
        """Return the file, row and line of the row after the last good one."""
        if not hasattr(self, "columns") and self._header == "row":
            return f"{self.name}, header (line {line:,})"
        return f"{self.name}, row {self._row + 1:,} (line {line:,})"


def _cells(found: _Occurrences, one: str, several: str) -> str:
    return counted(found.count, one, several)


def _first(found: _Occurrences) -> str:
    return f", {'in' if found.count == 1 else 'the first in'} {found.first}"
