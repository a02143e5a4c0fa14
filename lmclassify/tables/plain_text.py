"""Plain text as a table of one column: a text a line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from lmclassify.errors import DataError
from lmclassify.tables.delimited import CHUNK_BYTES, CHUNK_ROWS, describe_columns
from lmclassify.tables.encodings import BadBytesError, LineReader, lines_of
from lmclassify.tables.inputs import Input
from lmclassify.tables.rows import Rows


class PlainTextReader(LineReader):
    """Reads lines as rows of a column ``text``; a blank line is a row without text.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    encoding : str, optional
        See `lmclassify.tables.encodings.lines_of`.

    Raises
    ------
    DataError
        If the file cannot be read or is empty; later, while reading, if bytes are no text.
    """

    def __init__(self, path: str, encoding: str | None = None) -> None:
        self._input = Input(path)
        self.name = self._input.name
        self.size = self._input.size
        self.columns = ["text"]
        self.rows_read = 0
        try:
            self._lines = lines_of(self._input, encoding)
            self._texts = self._read()
            first = next(self._texts, None)
            if first is None:
                raise DataError(f"{self.name} is empty; expected one text a line")
        except BaseException:
            self.close()
            raise
        self._texts = itertools.chain([first], self._texts)

    def describe(self, text_at: int, label_at: int | None) -> str:
        """Return one line that says how the file is read."""
        notes = ["one text a line", self._lines.note]
        return describe_columns(self.name, self.columns, text_at, label_at, [note for note in notes if note])

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer where they are long."""
        while True:
            cells: list[list[str]] = []
            end = self._lines.bytes + CHUNK_BYTES
            for text in itertools.islice(self._texts, rows):
                cells.append([text])
                if self._lines.bytes >= end:
                    break
            if not cells:
                return
            first = self.rows_read + 1
            self.rows_read += len(cells)
            yield Rows(self.columns, cells, first)

    def _read(self) -> Iterator[str]:
        try:
            for line in self._lines:
                yield line.removesuffix("\n").removesuffix("\r")
        except BadBytesError as error:
            raise DataError(f"{self.name}, line {self._lines.number:,}: {error}") from None
