"""Change cells of CSV and TSV records; everything else of a record stays character for character."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lmclassify.errors import shorten
from lmclassify.tables.dialect import Quoting
from lmclassify.tables.records import RecordError, RecordReader


class CellError(Exception):
    """A value that a cell cannot hold. The caller, which knows file and row, says so to the user."""


class CellEditor:
    """Changes cells of records.

    Parameters
    ----------
    separator : str
    quoting : {"none", "minimal", "backslash"}, optional
        See `lmclassify.tables.dialect.Dialect`.
    """

    def __init__(self, separator: str, quoting: Quoting | None) -> None:
        self._separator = separator
        self._quoting = quoting
        self._cell: re.Pattern[str] | None = None
        if quoting != "none":
            blanks = "" if separator == "\t" else r"[ \t]*"
            inside = r'(?:[^"\\]|\\.|"")*' if quoting == "backslash" else r'[^"]*(?:""[^"]*)*'
            end = rf"(?={re.escape(separator)}|\Z)"
            self._cell = re.compile(rf'{blanks}"{inside}"{blanks}{end}', re.DOTALL)
        self._unclosed = re.compile(r'"[^"]*(?:""[^"]*)*\Z')

    def replace(self, record: str, values: Mapping[int, str]) -> str:
        """Return a record with new values in some of its cells.

        Raises CellError if the record would then be read differently.

        Parameters
        ----------
        record : str
            With its line end, if it has one.
        values : mapping of int to str
            By the number of the cell, from 0. Numbers beyond the last cell add cells.
        """
        body = record.rstrip("\r\n")
        cells = [body[start:end] for start, end in self._spans(body)]
        wanted = self._read(record, len(cells))
        for number, value in sorted(values.items()):
            if number >= len(cells):
                more = number + 1 - len(cells)
                cells += [""] * more
                wanted += [""] * more
            cells[number], wanted[number] = self._write(value), value
        changed = self._separator.join(cells) + record[len(body) :]
        if self._read(changed, len(cells)) != wanted or self.has_unclosed_quote(changed):
            raise CellError("its quotes do not let single cells be changed; put its cells in quotes")
        return changed

    def has_unclosed_quote(self, record: str) -> bool:
        """Return whether a cell begins with a quote that nothing closes.

        How such a row of a tab-separated file is read depends on the rows after it.
        """
        if self._quoting is not None or self._separator != "\t" or '"' not in record:
            return False
        body = record.rstrip("\r\n")
        return any(self._unclosed.match(body, start) is not None for start, _ in self._spans(body))

    def _spans(self, body: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of each cell, with its quotes."""
        start = 0
        while True:
            quoted = self._cell.match(body, start) if self._cell is not None else None
            end = quoted.end() if quoted else body.find(self._separator, start)
            end = len(body) if end < 0 else end
            yield start, end
            if end == len(body):
                return
            start = end + 1

    def _read(self, record: str, width: int) -> list[str]:
        reader = RecordReader(iter(_lines(record)), self._separator, self._quoting)
        reader.width = width
        try:
            rows = list(reader)
        except RecordError as error:
            raise CellError(str(error)) from None
        if len(rows) != 1:
            raise CellError("its quotes are read differently without the rows around it")
        return rows[0] or [""]

    def _write(self, value: str) -> str:
        """Return a value as it stands in the file."""
        special = [self._separator, "\r", "\n"]
        if self._quoting == "none":
            if any(character in value for character in special):
                raise CellError(f"{shorten(value)} needs quotes, which --quoting none excludes")
            return value
        if self._quoting == "backslash":
            value = value.replace("\\", "\\\\").replace('"', '\\"')
            special.append("\\")
        else:
            value = value.replace('"', '""')
        needs_quotes = any(character in value for character in (*special, '"')) or value != value.strip()
        return f'"{value}"' if needs_quotes else value


def _lines(record: str) -> list[str]:
    """Return the lines of a record, which end with a line feed each."""
    lines = record.split("\n")
    ended = [f"{line}\n" for line in lines[:-1]]
    return [*ended, lines[-1]] if lines[-1] else ended
