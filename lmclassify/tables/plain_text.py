"""Plain text, one text per line, as a table of one column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lmclassify.errors import DataError
from lmclassify.tables.columns import describe_columns
from lmclassify.tables.encodings import DecodingError, LineReader
from lmclassify.tables.inputs import Input
from lmclassify.tables.rows import CHUNK_ROWS, Rows


class PlainTextReader(LineReader):
    """Read lines as rows of one column ``text``; a blank line is a row with an empty text.

    Raises DataError if the file cannot be read or is empty; while reading, if bytes cannot be decoded.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    encoding : str, optional
        See `lmclassify.tables.encodings.decode_lines`.
    source : Input, optional
        The open file, if it is open already.
    """

    def __init__(self, path: str, encoding: str | None = None, source: Input | None = None) -> None:
        self._open(path, source)
        self.columns = ["text"]
        self.rows_read = 0
        self._texts = self._begin_lines(encoding, self._read(), "one text per line")

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
        """Return one line that says how the file is read.

        Raises DataError if the only column is used for both text and label.
        """
        describe_columns(self.name, self.columns, text_at, label_at)
        notes = ["one text per line", self._lines.note]
        return f"{self.name}: " + "; ".join(note for note in notes if note)

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer if they are long."""
        while texts := self._take(self._texts, rows):
            first = self.rows_read + 1
            self.rows_read += len(texts)
            yield Rows(self.columns, [[text] for text in texts], first)

    def _read(self) -> Iterator[str]:
        try:
            for line in self._lines:
                yield line.removesuffix("\n").removesuffix("\r")
        except DecodingError as error:
            raise DataError(f"{self.name}, line {self._lines.number:,}: {error}") from None
