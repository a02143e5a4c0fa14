"""Tables and lists of texts, read strictly and in chunks.

Cells are strings, kept character for character: no guessing of types or of missing values.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from lmclassify.errors import DataError, listing, shorten
from lmclassify.io.rows import Rows

TEXT_COLUMNS = ("text", "subject", "message", "body", "title", "content")
LABEL_COLUMNS = ("label", "class", "category", "target", "spam/ham")

_TAB_SUFFIXES = (".tsv", ".tab")
TABLE_SUFFIXES = (".csv", *_TAB_SUFFIXES)

_CHUNK_ROWS = 8192
_CHUNK_BYTES = 1 << 23  # about: long rows need no more memory than short ones
_STEP_ROWS = 128


class _BadBytesError(Exception):
    """Bytes that are no text; the reader that knows the row makes a DataError of it."""


class _Lines:
    """The lines of a binary stream as str, line ends kept, with a count of lines and bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.number = 0
        self.bytes = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            self.number += 1
            try:
                text = line.decode("utf-8-sig" if self.number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                found = " ".join(f"0x{byte:02x}" for byte in line[error.start : error.start + 1])
                raise _BadBytesError(
                    f"byte {self.bytes + error.start:,} ({found}) is not valid UTF-8; save the file as UTF-8"
                ) from None
            if "\0" in text:
                at = self.bytes + line.index(b"\0")
                raise _BadBytesError(f"byte {at:,} is NUL; no text holds it: is this a text file?")
            self.bytes += len(line)
            yield text


def _open(path: str) -> BinaryIO:
    if path == "-":
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise DataError(f"no such file: {path}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name a file in it") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


class TableReader:
    """Reads a CSV or TSV file (RFC 4180, UTF-8) in chunks.

    Parameters
    ----------
    path : str
        ``-`` is standard input. Tab separates cells where the name ends in ``.tsv`` or ``.tab``, or, with
        an ending other than ``.csv``, where the header holds a tab and no comma; else a comma does.

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

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else path
        self._stream = _open(path)
        self._lines = _Lines(self._stream)
        self._row = 0
        self._line = 1  # where the row after it begins
        self.size = None if path == "-" else os.fstat(self._stream.fileno()).st_size or None
        try:
            self._begin(path)
        except BaseException:
            self.close()
            raise

    def _begin(self, path: str) -> None:
        lines = iter(self._lines)
        with self._errors():
            first = next((line for line in lines if line.strip("\r\n")), None)
        if first is None:
            raise DataError(f"{self.name} is empty; expected a header and rows")
        self._line = self._lines.number
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the csv module's 128 KB are too few for mail
        reader = csv.reader(itertools.chain([first], lines), delimiter=_separator(path, first), strict=True)
        with self._errors():
            self.columns = next(reader)
        self._line = self._lines.number + 1
        rows = self._checked(reader)
        first_row = next(rows, None)
        if first_row is None:
            raise DataError(f"{self.name} has a header ({listing(self.columns)}) but no rows")
        self._rows = itertools.chain([first_row], rows)

    def close(self) -> None:
        """Close the file."""
        if self._stream is not sys.stdin.buffer:
            self._stream.close()

    def __enter__(self) -> TableReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self, text_at: int, label_at: int | None) -> str:
        """Return one line that names the columns in use.

        Raises
        ------
        DataError
            If they are one and the same.
        """
        if text_at == label_at:
            raise DataError(
                f"{self.name}: {shorten(self.columns[text_at])} is asked for as text and as label; name "
                "another with --text-column or --label-column"
            )
        found = f"text column {self.columns[text_at]!r}"
        if label_at is not None:
            found += f", label column {self.columns[label_at]!r}"
        return f"{self.name}: {found}"

    @property
    def rows_read(self) -> int:
        """How many rows have been read."""
        return self._row

    @property
    def bytes_read(self) -> int:
        """How far reading has come."""
        return self._lines.bytes

    def chunks(self, rows: int = _CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer where they are long."""
        first, steps = 1, range(0, rows, _STEP_ROWS)
        while True:
            cells: list[list[str]] = []
            end = self._lines.bytes + _CHUNK_BYTES
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
        except _BadBytesError as error:
            raise DataError(f"{self._place(self._lines.number)}: {error}") from None
        except csv.Error as error:
            what = str(error)
            if "unexpected end of data" in what:
                what = "a quote that opens here is never closed; close it, or double quotes inside quotes"
            elif "expected after" in what:
                what = "text after a closing quote; double quotes inside quoted fields"
            elif "new-line character" in what:
                what = "a carriage return outside quotes; end lines with a line feed"
            raise DataError(f"{self._place(self._line)}: {what}") from None

    def _place(self, line: int) -> str:
        """Name the row after the last good one, and where it stands."""
        if not hasattr(self, "columns"):
            return f"{self.name}, header (line {line:,})"
        return f"{self.name}, row {self._row + 1:,} (line {line:,})"


def _separator(path: str, header: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix in _TAB_SUFFIXES:
        return "\t"
    return "\t" if suffix != ".csv" and "\t" in header and "," not in header else ","


def read_lines(path: str) -> list[str]:
    """Return the lines of a UTF-8 file without their ends: one text a line.

    Raises
    ------
    DataError
        If the file cannot be read or is no UTF-8 text; the message names the line and byte.
    """
    name = "standard input" if path == "-" else path
    stream = _open(path)
    lines = _Lines(stream)
    try:
        with stream if stream is not sys.stdin.buffer else contextlib.nullcontext():
            return [line.removesuffix("\n").removesuffix("\r") for line in lines]
    except _BadBytesError as error:
        raise DataError(f"{name}, line {lines.number:,}: {error}") from None


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
        raise DataError(f"{name} looks as if tabs separate its cells; give it a name that ends in .tsv")
    if place is None:
        raise DataError(
            f"{name} has no {what} column: none of its columns ({listing(columns)}) is named "
            f"{', '.join(usual)}; name it with --{what}-column"
        )
    return place
