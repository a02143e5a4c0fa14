"""JSON Lines: an object a line. What is no string stays what it is where JSON Lines are written again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from lmclassify.errors import DataError, shorten
from lmclassify.tables.delimited import CHUNK_BYTES, CHUNK_ROWS, describe_columns
from lmclassify.tables.encodings import BadBytesError, LineReader, lines_of
from lmclassify.tables.inputs import Input
from lmclassify.tables.rows import Rows

_KINDS: Final = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


def cell_of(value: Any) -> str:
    """Return a JSON value as a cell: strings as they are, null as nothing, all else as JSON text."""
    if isinstance(value, str):
        return value
    return "" if value is None else _ENCODE(value)


def kind_of_value(value: Any) -> str:
    """Return what a JSON value that is neither string nor null is, for messages."""
    return _KINDS.get(type(value), type(value).__name__)


@dataclass(frozen=True)
class JsonObjects:
    """Rows as the lines they came as, without line ends."""

    lines: list[str]

    def without(self, names: Collection[str]) -> JsonObjects:
        """Return the rows without keys of these names."""
        records = map(json.loads, self.lines)
        return JsonObjects([_ENCODE({k: v for k, v in one.items() if k not in names}) for one in records])

    def json_objects(self) -> list[str]:
        """Return them."""
        return self.lines


class JsonLinesReader(LineReader):
    """Reads JSON Lines in chunks.

    Columns are the keys of the first chunk, in order of appearance. A row may lack some of them: such cells
    are empty, as those of null are. Keys that appear later are kept in JSON Lines, and are an error where
    any other format is written.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    encoding : str, optional
        See `lmclassify.tables.encodings.lines_of`.
    stream : bool, default=False
        Take the first row's keys for the columns, so as not to wait for more.

    Raises
    ------
    DataError
        If the file cannot be read or has no row; later, while reading, if a line is no JSON object, or what
        `describe` has called the text column holds anything but strings and null.
    """

    def __init__(self, path: str, encoding: str | None = None, *, stream: bool = False) -> None:
        self._input = Input(path)
        self.name = self._input.name
        self.size = self._input.size
        self.rows_read = 0
        self._text: str | None = None
        try:
            self._lines = lines_of(self._input, encoding)
            self._records = self._read()
            self._begun = self._take(1 if stream else CHUNK_ROWS)
            if not self._begun:
                raise DataError(f"{self.name} is empty; expected a JSON object a line")
        except BaseException:
            self.close()
            raise
        self.columns = list(dict.fromkeys(key for _, record in self._begun for key in record))

    def describe(self, text_at: int, label_at: int | None) -> str:
        """Return one line that names the columns in use; from now on, texts must be strings or null.

        Raises
        ------
        DataError
            If they are one and the same.
        """
        notes = [self._lines.note] if self._lines.note else []
        said = describe_columns(self.name, self.columns, text_at, label_at, notes)
        self._text = self.columns[text_at]
        return said

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer where they are long."""
        while self._begun:
            yield self._rows(self._begun[:rows])
            self._begun = self._begun[rows:]
        while taken := self._take(rows):
            yield self._rows(taken)

    def _take(self, rows: int) -> list[tuple[str, dict[str, Any]]]:
        taken: list[tuple[str, dict[str, Any]]] = []
        end = self._lines.bytes + CHUNK_BYTES
        for item in itertools.islice(self._records, rows):
            taken.append(item)
            if self._lines.bytes >= end:
                break
        return taken

    def _rows(self, taken: list[tuple[str, dict[str, Any]]]) -> Rows:
        columns, first = self.columns, self.rows_read + 1
        known = set(columns)
        cells, stray = [], ""
        for number, (line, record) in enumerate(taken, first):
            text = None if self._text is None else record.get(self._text)
            if text is not None and not isinstance(text, str):
                raise DataError(
                    f"{self.name}, row {number:,}: {shorten(self._text)} is {kind_of_value(text)} "
                    f"({shorten(cell_of(text))}); texts must be strings, or null where there is none"
                )
            row = [cell_of(record.get(column)) for column in columns]
            if "\\u" in line:
                self._check_surrogates(row, number)
            cells.append(row)
            if not stray and not record.keys() <= known:
                key = next(key for key in record if key not in known)
                stray = (
                    f"{self.name}, row {number:,}: key {shorten(key)} is in none of the first rows, so no "
                    "column was made of it; --format jsonl keeps it"
                )
        self.rows_read += len(taken)
        return Rows(columns, cells, first, original=JsonObjects([line for line, _ in taken]), stray=stray)

    def _check_surrogates(self, row: list[str], number: int) -> None:
        for column, cell in zip(self.columns, row, strict=True):
            if any("\ud800" <= character <= "\udfff" for character in f"{column}{cell}"):
                raise DataError(
                    f"{self.name}, row {number:,}: {shorten(column)} holds half of a surrogate pair, which "
                    "is no text"
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
                    raise DataError(f"{self._place(row)}: no JSON ({error}){_hint(line)}") from None
                if not isinstance(record, dict):
                    what = "a string" if isinstance(record, str) else kind_of_value(record)
                    what = "null" if record is None else what
                    raise DataError(f"{self._place(row)}: {what}, where an object is expected{_hint(line)}")
                yield line, record
        except BadBytesError as error:
            raise DataError(f"{self._place(row + 1)}: {error}") from None

    def _place(self, row: int) -> str:
        return f"{self.name}, row {row:,} (line {self._lines.number:,})"


def _hint(line: str) -> str:
    return "; JSON Lines have an object a line: jq -c '.[]' makes them of a list" if line[0] == "[" else ""
