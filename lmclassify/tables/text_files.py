"""A folder of text files as a table: each file is one text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from lmclassify.errors import DataError, counted, listing
from lmclassify.tables.columns import describe_columns, suffix_of
from lmclassify.tables.content import beginning, is_text
from lmclassify.tables.encodings import DecodingError, decode_lines
from lmclassify.tables.inputs import Input, open_file
from lmclassify.tables.rows import CHUNK_BYTES, CHUNK_ROWS, ClosingReader, Rows

_WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", *_WORKBOOKS)
_ZIP = b"PK\x03\x04"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")  # of UTF-16 and UTF-32, which contain NUL
_MAX_NAMES = 5  # of files left out, in a message of one line


class TextFilesReader(ClosingReader):
    """Read the files of a folder and its sub-folders as rows of the columns ``id`` (name) and ``text``.

    Hidden files are not read. Tables and binary files are left out; `notes` counts them.
    Raises DataError if there is no text file; while reading, if a file cannot be read or decoded.

    Parameters
    ----------
    folder : str
    encoding : str, optional
        See `lmclassify.tables.encodings.decode_lines`.
    with_tables : bool, default=False
        Read tables as text, too.

    Attributes
    ----------
    name : str
        For messages.
    size : int or None
        Size in bytes.
    """

    def __init__(self, folder: str, encoding: str | None = None, *, with_tables: bool = False) -> None:
        self.name = folder
        self.columns = ["id", "text"]
        self.rows_read = self.bytes_read = 0
        self._encoding = encoding
        self._left_out: list[str] = []
        files = _list_files(folder)
        tables = [] if with_tables else [file for file in files if suffix_of(file) in _TABLES]
        taken = set(files) - set(tables)
        self._files = [file for file in files if file in taken]
        self._left_out += [os.path.relpath(file, folder) for file in tables]
        if not self._files and tables:
            raise DataError(f"{folder} holds tables and no texts; name the tables, such as {tables[0]}")
        if not self._files:
            raise DataError(f"{folder} holds no file")
        size = sum(os.path.getsize(file) for file in self._files)
        self.size = size or None

    def close(self) -> None:
        """Do nothing: no file stays open."""

    @property
    def notes(self) -> list[str]:
        """The files left out so far."""
        count = len(self._left_out)
        if not count:
            return []
        what = counted(count, "file that is no text", "files that are no text")
        return [f"{self.name}: {what} left out: {listing(sorted(self._left_out), _MAX_NAMES)}"]

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
        """Return one line that says how the folder is read."""
        describe_columns(self.name, self.columns, text_at, label_at)
        return f"{self.name}: each file is one text"

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer if they are long."""
        cells: list[list[str]] = []
        end = self.bytes_read + CHUNK_BYTES
        for file in self._files:
            name = os.fsencode(os.path.relpath(file, self.name)).decode(errors="replace")
            text = self._read(file)
            if text is None:
                self._left_out.append(name)
                continue
            cells.append([name, text])
            if len(cells) == rows or self.bytes_read > end:
                yield self._rows(cells)
                cells, end = [], self.bytes_read + CHUNK_BYTES
        if cells:
            yield self._rows(cells)
        if not self.rows_read:
            raise DataError(f"{self.name} holds no text: its files are binary, such as {self._left_out[0]}")

    def _rows(self, cells: list[list[str]]) -> Rows:
        first = self.rows_read + 1
        self.rows_read += len(cells)
        return Rows(self.columns, cells, first)

    def _read(self, file: str) -> str | None:
        """Return the text of a file; None if it is binary."""
        with open_file(file) as stream:
            if stream.peek(len(_ZIP)).startswith(_ZIP):  # type: ignore[attr-defined]
                return None  # also a document of a word processor
        source = Input(file)
        try:
            head = beginning(source.stream)
            is_wide = head.startswith(_WIDE_MARKS) or re.search("16|32", self._encoding or "") is not None
            if (b"\0" in head and not is_wide) or not is_text(head):
                return None
            lines = decode_lines(source, self._encoding)
            try:
                text = "".join(lines)
            except DecodingError as error:
                raise DataError(f"{file}, line {lines.number:,}: {error}") from None
            self.bytes_read += source.size or 0
            return text.removesuffix("\n").removesuffix("\r")
        finally:
            source.close()


def _list_files(folder: str) -> list[str]:
    """Return the files of a folder and its sub-folders, without hidden ones, sorted."""

    def fail(error: OSError) -> None:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from error

    found = []
    for at, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [os.path.join(at, name) for name in names if not name.startswith(".")]
        found += [path for path in paths if os.path.isfile(path)]
    return sorted(found, key=lambda path: path.split(os.sep))
