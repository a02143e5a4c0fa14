"""Read fastText's format: one text per line, with its label as a word that begins with ``__label__``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lmclassify.errors import DataError, listing
from lmclassify.tables.columns import describe_columns
from lmclassify.tables.encodings import DecodingError, LineReader
from lmclassify.tables.inputs import Input
from lmclassify.tables.rows import CHUNK_ROWS, Rows

_PREFIX = "__label__"
_FIRST_LABEL = re.compile(r"\s*__label__(\S+)(?:\s+|$)")


class FastTextReader(LineReader):
    """Read the lines of a fastText file as rows of two columns, ``label`` and ``text``.

    Labels stand before or after the text. Raises DataError if the file cannot be read or is empty; while
    reading, if bytes cannot be decoded.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    encoding : str, optional
        See `lmclassify.tables.encodings.decode_lines`.
    source : Input, optional
        The open file, if it is open already.

    Attributes
    ----------
    unused_labels : dict of str to None
        The labels of the rows so far, if `describe` was not told to use them.
    """

    def __init__(self, path: str, encoding: str | None = None, source: Input | None = None) -> None:
        self._open(path, source)
        self.columns = ["label", "text"]
        self.rows_read = 0
        self._uses_labels = False
        self.unused_labels: dict[str, None] = {}
        self._rows = self._begin_lines(encoding, self._read(), "one text per line with its __label__")

    @property
    def unused_words(self) -> str:
        """A list of the first words of the unused labels, for messages."""
        return listing([f"{_PREFIX}{labels.split()[0]}" for labels in self.unused_labels], 3)

    @property
    def notes(self) -> list[str]:
        """What becomes of labels that are not used."""
        if len(self.unused_labels) == 1:
            what = f"every text begins with {self.unused_words}, which is read as a label, not as text"
            return [f"{self.name}: {what}"]
        if self.unused_labels:
            return [f"{self.name}: the labels of the texts ({self.unused_words}) are not read as text"]
        return []

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
        """Return one line that says how the file is read.

        Raises DataError if text and label are the same column.
        """
        self._uses_labels = label_at == 0
        notes = ["fastText's format", *([self._lines.note] if self._lines.note else [])]
        return describe_columns(self.name, self.columns, text_at, label_at, notes)

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer if they are long."""
        while taken := self._take(self._rows, rows):
            first = self.rows_read + 1
            self.rows_read += len(taken)
            cells = [[" ".join(labels), text] for labels, text in taken]
            if not self._uses_labels:
                self.unused_labels |= {labels: None for labels, _ in cells if labels}
            several = [at for at, (labels, _) in enumerate(taken) if len(labels) > 1]
            yield Rows(self.columns, cells, first, several_labels=several)

    def _read(self) -> Iterator[tuple[list[str], str]]:
        """Yield labels and text of each line that is not blank."""
        try:
            for line in self._lines:
                if line.strip():
                    yield _split(line)
        except DecodingError as error:
            raise DataError(f"{self.name}, line {self._lines.number:,}: {error}") from None


def _split(line: str) -> tuple[list[str], str]:
    """Return the labels before and after a text, and the text."""
    labels: list[str] = []
    at = 0
    while found := _FIRST_LABEL.match(line, at):
        labels.append(found[1])
        at = found.end()
    text = line[at:].strip()
    after: list[str] = []
    while _PREFIX in text:
        before, _, word = text.rpartition(_PREFIX)
        if not word or len(word.split()) > 1 or before[-1:].strip():
            break
        after.append(word)
        text = before.rstrip()
    return list(dict.fromkeys([*labels, *reversed(after)])), text
