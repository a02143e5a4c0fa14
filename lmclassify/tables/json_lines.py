"""Read JSON Lines, one object per line, in chunks. Values keep their types where JSON Lines are written."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from lmclassify.errors import DataError, shorten
from lmclassify.tables.columns import describe_columns
from lmclassify.tables.encodings import DecodingError, LineReader, decode_lines
from lmclassify.tables.recognition import SAMPLE_ROWS
from lmclassify.tables.rows import CHUNK_ROWS, Rows

_TYPE_NAMES: Final = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    str: "a string",
    type(None): "null",
}
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


def to_cell(value: Any) -> str:
    """Return a JSON value as a cell: a string unchanged, null and NaN as an empty cell, others as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None or value != value else _ENCODE(value)


@dataclass(frozen=True)
class JsonObjects:
    """Rows as the original lines, without line ends."""

    lines: list[str]

    def without(self, names: Collection[str]) -> JsonObjects:
        """Return the rows without the named keys."""
        records = map(json.loads, self.lines)
        return JsonObjects([_ENCODE({k: v for k, v in one.items() if k not in names}) for one in records])

    def json_objects(self) -> list[str]:
        """Return the lines."""
        return self.lines


class JsonLinesReader(LineReader):
    """Read JSON Lines in chunks.

    The columns are the keys of the first chunk, in order of appearance. Keys that a row lacks, and null
    values, become empty cells. Keys that first appear later are kept where JSON Lines are written; writing
    another format is then an error. Raises DataError if the file cannot be read or has no rows; while
    reading, if a line is not a JSON object, or the text column given to `describe` holds anything but strings
    and null.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    encoding : str, optional
        See `lmclassify.tables.encodings.decode_lines`.
    stream : bool, default=False
        Take the columns from the first row alone, without waiting for more rows.
    """

    def __init__(self, path: str, encoding: str | None = None, *, stream: bool = False) -> None:
        self._open(path)
        self.rows_read = 0
        self._text_column: str | None = None
        try:
            self._lines = decode_lines(self._input, encoding)
            self._records = self._read()
            self._buffered = self._take(self._records, 1 if stream else CHUNK_ROWS)
            if not self._buffered:
                raise DataError(f"{self.name} is empty; expected one JSON object per line")
        except BaseException:
            self.close()
            raise
        self.columns = list(dict.fromkeys(key for _, record in self._buffered for key in record))

    @property
    def sample(self) -> list[list[str]]:
        """The first rows, to recognize columns by their content."""
        first = [record for _, record in self._buffered[:SAMPLE_ROWS]]
        return [[to_cell(record.get(column)) for column in self.columns] for record in first]

    def describe(self, text_at: int, label_at: int | None) -> str:
        """Return one line that names the columns in use; from now on, texts must be strings or null.

        Raises DataError if text and label are the same column.
        """
        notes = [self._lines.note] if self._lines.note else []
        description = describe_columns(self.name, self.columns, text_at, label_at, notes)
        self._text_column = self.columns[text_at]
        return description

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer if they are long."""
        while self._buffered:
            yield self._rows(self._buffered[:rows])
            self._buffered = self._buffered[rows:]
        while taken := self._take(self._records, rows):
            yield self._rows(taken)

    def _rows(self, taken: list[tuple[str, dict[str, Any]]]) -> Rows:
        columns, first = self.columns, self.rows_read + 1
        known = set(columns)
        cells, stray = [], ""
        for number, (line, record) in enumerate(taken, first):
            text = None if self._text_column is None else record.get(self._text_column)
            if text is not None and text == text and not isinstance(text, str):  # NaN is no text
                raise DataError(
                    f"{self.name}, row {number:,}: {shorten(self._text_column)} is {_type_name(text)} "
                    f"({shorten(to_cell(text))}); texts must be strings, or null for no text"
                )
            row = [to_cell(record.get(column)) for column in columns]
            if "\\u" in line:
                self._check_surrogates(row, number)
            cells.append(row)
            if not stray and not record.keys() <= known:
                key = next(key for key in record if key not in known)
                stray = (
                    f"{self.name}, row {number:,}: key {shorten(key)} is in none of the first rows, so it "
                    "has no column; --format jsonl keeps it"
                )
        self.rows_read += len(taken)
        return Rows(columns, cells, first, original=JsonObjects([line for line, _ in taken]), stray=stray)

    def _check_surrogates(self, row: list[str], number: int) -> None:
        for column, cell in zip(self.columns, row, strict=True):
            if any("\ud800" <= character <= "\udfff" for character in f"{column}{cell}"):
                raise DataError(
                    f"{self.name}, row {number:,}: {shorten(column)} holds half of a surrogate pair, which "
                    "is not valid text"
                )

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        row = 0
        try:
            for line in self._lines:
                line = line.strip(" \t\r\n")
                if not line:
                    continue
                row += 1
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{self._position(row)}: not valid JSON ({error}){_hint(line)}") from None
                if not isinstance(record, dict):
                    found = _type_name(record)
                    raise DataError(f"{self._position(row)}: expected an object, not {found}{_hint(line)}")
                yield line, record
        except DecodingError as error:
            raise DataError(f"{self._position(row + 1)}: {error}") from None

    def _position(self, row: int) -> str:
        return f"{self.name}, row {row:,} (line {self._lines.number:,})"


def _type_name(value: Any) -> str:
    """Return a phrase for the type of a JSON value, for messages."""
    return _TYPE_NAMES.get(type(value), type(value).__name__)


def _hint(line: str) -> str:
    if line[0] != "[":
        return ""
    return "; JSON Lines have one object per line: jq -c '.[]' converts a JSON list"
