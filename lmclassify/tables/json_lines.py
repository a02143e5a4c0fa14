"""Read JSON Lines, one object per line, and other JSON in chunks.

Values keep their types where JSON Lines are written.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lmclassify.errors import DataError, shorten
from lmclassify.tables.columns import describe_columns
from lmclassify.tables.encodings import DecodingError, LineReader, decode_lines
from lmclassify.tables.inputs import Input
from lmclassify.tables.json_documents import DocumentError, encode, look_up, rows_of, split_document
from lmclassify.tables.json_exports import recognise_export
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
_WHITE_SPACE = " \t\r\n"
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
    """Read JSON in chunks: JSON Lines, a list of objects, or another form that `json_documents` knows.

    The columns are the keys of the first chunk, in order of appearance, then nested fields that the user
    names, and text and label of an export of an annotation tool. Keys that a row lacks, and null
    values, become empty cells. Keys that first appear later are kept where JSON Lines are written; writing
    another format is then an error. Raises DataError if the file cannot be read or has no rows; while
    reading, if a row is not a JSON object, or the text column given to `describe` holds anything but strings
    and null.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    encoding : str, optional
        See `lmclassify.tables.encodings.decode_lines`.
    stream : bool, default=False
        Take the columns from the first row alone, without waiting for more rows.
    source : Input, optional
        The open file, if it is open already.
    named_columns : sequence of str or None
        Names that may be nested fields, such as ``message.body``.
    """

    def __init__(
        self,
        path: str,
        encoding: str | None = None,
        *,
        stream: bool = False,
        source: Input | None = None,
        named_columns: Sequence[str | None] = (),
    ) -> None:
        self._open(path, source)
        self.rows_read = 0
        self._text_columns: list[str] = []
        try:
            self._lines = decode_lines(self._input, encoding)
            self._records = self._read(stream)
            self._buffered = self._take(self._records, 1 if stream else CHUNK_ROWS)
            if not self._buffered:
                raise DataError(f"{self.name} is empty; expected one JSON object per line")
            self._find_columns(named_columns)
            if not self.columns:
                raise DataError(f"{self.name}: its JSON objects are empty; expected fields such as text")
        except BaseException:
            self.close()
            raise

    def _find_columns(self, wanted: Sequence[str | None]) -> None:
        first = [record for _, record in self._buffered]
        self._export = recognise_export(first)
        found = dict.fromkeys(key for record in first for key in record)
        self._nested = [
            name
            for name in wanted
            if name and name not in found and any(look_up(one, name)[0] for one in first)
        ]
        found |= dict.fromkeys(self._nested)
        if self._export is not None:
            found |= dict.fromkeys(key for record in first for key in self._export.fields(record))
        self.columns = list(found)

    def _complete(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a row with the fields that are not among its keys."""
        if self._nested:
            record = record | {name: look_up(record, name)[1] for name in self._nested if name not in record}
        return record if self._export is None else record | self._export.fields(record)

    @property
    def sample(self) -> list[list[str]]:
        """The first rows, to recognize columns by their content."""
        first = [record for _, record in self._buffered[:SAMPLE_ROWS]]
        rows = map(self._complete, first)
        return [[to_cell(record.get(column)) for column in self.columns] for record in rows]

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
        """Return one line that names the columns in use; from now on, texts must be strings or null.

        Raises DataError if text and label are the same column.
        """
        notes = [] if self._export is None else [self._export.note]
        notes += [self._lines.note] if self._lines.note else []
        description = describe_columns(self.name, self.columns, text_at, label_at, notes)
        self._text_columns = [self.columns[at] for at in text_at]
        return description

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer if they are long."""
        while self._buffered:
            yield self._rows(self._buffered[:rows])
            self._buffered = self._buffered[rows:]
        while taken := self._take(self._records, rows):
            yield self._rows(taken)

    def _check_text(self, column: str, text: Any, number: int) -> None:
        if text is not None and text == text and not isinstance(text, str):  # NaN is no text
            raise DataError(
                f"{self.name}, row {number:,}: {shorten(column)} is {_type_name(text)} "
                f"({shorten(to_cell(text))}); texts must be strings, or null for no text"
                + _nested_hint(column, text)
            )

    def _rows(self, taken: list[tuple[str, dict[str, Any]]]) -> Rows:
        columns, first = self.columns, self.rows_read + 1
        known = set(columns)
        cells, stray = [], ""
        for number, (line, original) in enumerate(taken, first):
            record = self._complete(original)
            for column in self._text_columns:
                self._check_text(column, record.get(column), number)
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

    def _read(self, stream: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the rows with their JSON text; several lines are read ahead unless `stream`."""
        row, begun = 0, []
        try:
            lines = iter(self._lines)
            begun = list(itertools.islice((line for line in lines if line.strip(_WHITE_SPACE)), 1))
            if begun and not _is_row(begun[0]):
                yield from self._read_document(begun[0], lines)
                return
            if begun and not stream:
                begun += itertools.islice((line for line in lines if line.strip(_WHITE_SPACE)), 1)
                if len(begun) == 1 and (rows := _rows_in(begun[0])) is not None:
                    yield from ((encode(each), each) for each in rows)
                    return
            for line in itertools.chain(begun, lines):
                line = line.strip(_WHITE_SPACE)
                if not line:
                    continue
                row += 1
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{self._position(row)}: not valid JSON ({error})") from None
                if not isinstance(record, dict):
                    raise DataError(f"{self._position(row)}: expected an object, not {_type_name(record)}")
                yield line, record
        except DecodingError as error:
            raise DataError(f"{self._position(max(row, len(begun)) + 1)}: {error}") from None

    def _read_document(self, first: str, lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the rows of a file that is not JSON Lines; it is read as a whole."""
        before = self._lines.number - 1
        text = "".join([first, *lines])
        row = 0
        try:
            values = split_document(text)
            begun = list(itertools.islice(values, 2))
            if len(begun) == 1 and isinstance(begun[0][1], dict) and text.lstrip(_WHITE_SPACE)[0] == "{":
                rows = rows_of(begun[0][1])
                begun = begun if rows is None else [(encode(each), each) for each in rows]
            for line, record in itertools.chain(begun, values):
                row += 1
                if not isinstance(record, dict):
                    raise DataError(f"{self.name}, row {row:,}: expected an object, not {_type_name(record)}")
                yield line, record
        except DocumentError as error:
            position = f"{self.name}, row {error.row:,} (line {before + error.line:,})"
            raise DataError(f"{position}: {error}") from None

    def _position(self, row: int) -> str:
        return f"{self.name}, row {row:,} (line {self._lines.number:,})"


def _type_name(value: Any) -> str:
    """Return a phrase for the type of a JSON value, for messages."""
    return _TYPE_NAMES.get(type(value), type(value).__name__)


def _is_row(line: str) -> bool:
    """Return whether a first line is to be read as a row of JSON Lines, be it a damaged one."""
    line = line.strip(_WHITE_SPACE)
    if line[0] == "{" and line[-1] == "}":
        return True
    try:
        return not isinstance(json.loads(line), list)
    except (ValueError, RecursionError):
        return line[0] not in "[{"


def _rows_in(line: str) -> list[dict[str, Any]] | None:
    """Return the rows that the only line of a file holds, or None if it is a row itself, or damaged."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return rows_of(document) if isinstance(document, dict) else None


def _nested_hint(name: str | None, value: Any) -> str:
    """Return what to add to the message about a text that is an object."""
    strings = (
        [key for key, inner in value.items() if isinstance(inner, str)] if isinstance(value, dict) else []
    )
    return f" (--text-column {name}.{strings[0]} names a field in it)" if strings else ""
