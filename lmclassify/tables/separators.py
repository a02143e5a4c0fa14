"""What separates the cells of a CSV file: found from its header and first row."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from lmclassify.tables.encodings import BadBytesError, Lines

UNUSUAL_SEPARATORS = ("\t", ";", "|")
"""Besides the comma, in the order they are tried."""

_MOST_LINES = 1000  # of header and first row; no reader is to take a whole file for one quoted cell


class Ahead:
    """Lines read ahead, which can be read again; then `lines` counts as if they had not been.

    Parameters
    ----------
    lines : Lines
        What counts.
    first : str
        Its newest line.
    rest : iterator of str
        The lines after that.
    """

    def __init__(self, lines: Lines, first: str, rest: Iterator[str]) -> None:
        self._lines = lines
        self._rest = rest
        self._seen = [(first, lines.number, lines.bytes)]
        self._problem: BadBytesError | None = None

    def __iter__(self) -> Iterator[str]:
        """Yield the lines from the first one on, as far as looking ahead may go."""
        for place in range(_MOST_LINES):
            if place == len(self._seen) and not self._read():
                return
            yield self._seen[place][0]

    def _read(self) -> bool:
        if self._problem is not None:
            return False
        try:
            line = next(self._rest, None)
        except BadBytesError as error:  # told by `again`, in its place
            self._problem = error
            self._seen.append(("", self._lines.number, self._lines.bytes))
            return False
        if line is None:
            return False
        self._seen.append((line, self._lines.number, self._lines.bytes))
        return True

    def again(self) -> Iterator[str]:
        """Yield those lines that were read."""
        for place, (line, number, read) in enumerate(self._seen):
            self._lines.number, self._lines.bytes = number, read
            if self._problem is not None and place == len(self._seen) - 1:
                raise self._problem
            yield line


def sniff_separator(ahead: Ahead) -> str:
    """Return what separates cells: the comma if header and first row agree on it, else what they do."""
    widths = {separator: _width(ahead, separator) for separator in (",", *UNUSUAL_SEPARATORS)}
    return next((separator for separator, width in widths.items() if width > 1), ",")


def _width(ahead: Ahead, separator: str) -> int:
    """Return how many cells header and first row have, or 0 if not the same number."""
    lines = iter(ahead)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        header = next(reader)
        first = next((row for row in reader if row), header)
    except (csv.Error, StopIteration):
        return 0
    return len(header) if len(header) == len(first) else 0
