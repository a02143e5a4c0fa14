"""Lines of a CSV or TSV file to rows of cells, by the rules for quotes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from lmclassify.tables.dialect import Quoting

MAX_CELL_CHARACTERS = 1 << 26
"""Longest cell: the csv module takes four bytes per character of the cell it reads."""

_ESCAPED = re.compile(r'\\(["\\])')
_ESCAPES = "if backslashes stand before quotes that are characters, use --quoting backslash"
_NO_QUOTES = "use --quoting none if quotes are characters like others"
_CARRIAGE_RETURN = "a carriage return outside quotes; end lines with a line feed"
_NEVER_CLOSED = (
    f"a quote that opens here is never closed; close it, double quotes inside quotes, or {_NO_QUOTES}"
)
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"(?=\t|\Z)')
_OPEN = re.compile(r'"[^"]*(?:""[^"]*)*\Z')
_CLOSING = re.compile(r'[^"]*(?:""[^"]*)*"(?=\t|[\r\n]*\Z)')


class RecordError(Exception):
    """A row that breaks the rules for quotes. A reader, which knows the row, turns it into a DataError."""


class RecordReader:
    """Splits lines into rows; blank lines are rows without cells.

    Iterating raises RecordError where a row breaks the rules.

    Parameters
    ----------
    lines : iterator of str
        With their line ends.
    separator : str
    quoting : {"none", "minimal", "backslash"}, optional
        See `lmclassify.tables.dialect.Dialect`.
    next_line : int
        Number of the first line.

    Attributes
    ----------
    width : int or None
        Cells of a complete row, once it is known.
    line, last_line : int
        Numbers of the first and last line of the newest row.
    could_be_rows : bool
        Whether every line of the newest row, of several lines, could be a row of its own.
    literal : bool
        Whether a cell of the newest row begins with a quote that does not enclose it.
    """

    def __init__(
        self, lines: Iterator[str], separator: str, quoting: Quoting | None, next_line: int = 1
    ) -> None:
        self._lines = lines
        self._separator = separator
        self._has_escapes = quoting == "backslash"
        self._waiting: list[str] = []  # lines that were read ahead, the next one last
        self._taken: list[str] = []
        self.width: int | None = None
        self.line, self.last_line = next_line, next_line - 1
        self.could_be_rows = self.literal = False
        self._rows: Iterator[list[str]]
        if quoting == "none":
            self._rows = map(self._split_all, self._take_lines())
        elif quoting is None and separator == "\t":
            self._rows = map(self._split_tabs, self._take_lines())
        else:
            self._rows = self._minimal()

    def __iter__(self) -> Iterator[list[str]]:
        for row in self._rows:
            self.line = self.last_line + 1
            self.could_be_rows = False
            if len(self._taken) == 1:
                self.last_line += 1
            else:
                self.last_line += len(self._taken)
                literal = self.literal
                self.could_be_rows = all(map(self._is_complete, self._taken))
                self.literal = literal
            yield row

    @property
    def hint(self) -> str:
        """What else to do about a row that breaks the rules, for the user; may be empty."""
        has_escapes = not self._has_escapes and any('\\"' in line for line in self._taken)
        return f"; {_ESCAPES}" if has_escapes else ""

    def _next(self) -> str | None:
        line = self._waiting.pop() if self._waiting else next(self._lines, None)
        if line is not None:
            self._taken.append(line)
        return line

    def _take_lines(self) -> Iterator[str]:
        """Yield the first line of each row."""
        while True:
            self._taken = []
            line = self._next()
            if line is None:
                return
            yield line

    def _put_back(self, lines: int) -> None:
        """Put back the lines of the row after the first `lines`."""
        self._waiting += reversed(self._taken[lines:])
        del self._taken[lines:]

    def _is_complete(self, line: str) -> bool:
        """Return whether a line could be a row with all cells, none of them blank."""
        try:
            cells = self._split_line(line) if self._separator == "\t" else line.split(self._separator)
        except RecordError:
            return False
        return len(cells) == self.width != 1 and all(cell.strip() for cell in cells)

    def _split_all(self, line: str) -> list[str]:
        body = line.rstrip("\r\n")
        if "\r" in body:
            raise RecordError(_CARRIAGE_RETURN)
        return body.split(self._separator) if body else []

    # Tab-separated files hold quotes that enclose cells, and quotes that are part of the text. A quote
    # encloses a cell if it opens and closes it. It does so over several lines only if the first two of them
    # are not both complete rows.

    def _split_tabs(self, line: str) -> list[str]:
        self.literal = False
        if '"' not in line:
            return self._split_all(line)
        cells, is_open = self._split_quoted(line)
        characters = len(line)
        while is_open:
            following = self._next() if characters <= MAX_CELL_CHARACTERS else None
            characters += len(following or "")
            is_closed = following is not None and _CLOSING.match(following)
            two_rows = len(self._taken) == 2 and all(map(self._is_complete, self._taken))
            if following is None or two_rows or ('"' in following.replace('""', "") and not is_closed):
                self._put_back(1)
                cells = self._split_line(line)
                if self.width not in (None, len(cells)):
                    raise RecordError(_NEVER_CLOSED)
                break
            if is_closed:
                cells, is_open = self._split_quoted("".join(self._taken))
        return cells

    def _split_line(self, line: str) -> list[str]:
        """Return the cells of a row that ends with the line."""
        return self._split_quoted(line, may_continue=False)[0]

    def _split_quoted(self, lines: str, *, may_continue: bool = True) -> tuple[list[str], bool]:
        """Return the cells of a row, and whether its last cell continues on the next line."""
        body = lines.rstrip("\r\n")
        cells: list[str] = []
        start, self.literal = 0, False
        while True:
            quoted = _QUOTED.match(body, start)
            if quoted:
                cells.append(quoted[1].replace('""', '"'))
                end = quoted.end()
            elif may_continue and _OPEN.match(body, start):
                return cells, True
            else:
                end = body.find("\t", start)
                end = len(body) if end < 0 else end
                cell = body[start:end]
                if "\r" in cell or "\n" in cell:
                    raise RecordError(_CARRIAGE_RETURN if "\r" in cell else _NEVER_CLOSED)
                self.literal |= cell[:1] == '"'
                cells.append(cell)
            if end == len(body):
                return cells, False
            start = end + 1

    def _minimal(self) -> Iterator[list[str]]:
        csv.field_size_limit(MAX_CELL_CHARACTERS)  # the default of 128 KB is too little for mail
        taken = self._taken
        try:
            for row in csv.reader(self._fed(), delimiter=self._separator, strict=True):
                yield row
                taken.clear()
        except csv.Error as error:
            raise RecordError(_problem(error) + self.hint) from None

    def _fed(self) -> Iterator[str]:
        """Yield the lines; blanks between a separator and the quotes of a cell are left out."""
        separator = re.escape(self._separator)
        blanks = re.compile(rf'(?:^|{separator})[ \t]+"|"[ \t]+(?:{separator}|[\r\n]*\Z)')
        quoted = re.compile(rf'[ \t]*("[^"]*(?:""[^"]*)*")[ \t]*(?={separator}|[\r\n]*\Z)')
        has_escapes, may_have_blanks, taken = self._has_escapes, self._separator != "\t", self._taken
        for line in self._lines:
            taken.append(line)
            if has_escapes and "\\" in line:
                line = _ESCAPED.sub(lambda found: '""' if found[1] == '"' else "\\", line)
            if may_have_blanks and '"' in line and len(taken) == 1 and blanks.search(line):
                yield self._without_blanks(line, quoted)
            else:
                yield line

    def _without_blanks(self, line: str, quoted: re.Pattern[str]) -> str:
        parts: list[str] = []
        start = 0
        while True:
            cell = quoted.match(line, start)
            if cell:
                parts.append(cell[1])
                end = cell.end()
            elif line[start:].lstrip(" \t").startswith('"'):  # it does not close on this line
                end = -1
            else:
                end = line.find(self._separator, start)
                parts.append(line[start:end] if end >= 0 else "")
            if line[end : end + 1] != self._separator:
                return "".join([*parts, line[end:] if cell else line[start:]])
            parts.append(self._separator)
            start = end + 1


def _problem(error: csv.Error) -> str:
    """Return what is wrong with a row, for the user."""
    problem = str(error)
    if "unexpected end of data" in problem:
        return _NEVER_CLOSED
    if "expected after" in problem:
        return f"text after a closing quote; double quotes inside quoted fields, or {_NO_QUOTES}"
    if "new-line character" in problem:
        return _CARRIAGE_RETURN
    if "field larger" in problem:
        limit = MAX_CELL_CHARACTERS >> 20
        return f"a cell of more than {limit} million characters; is a quote never closed? {_NO_QUOTES}"
    return problem


def sample_rows(
    lines: Iterator[str], separator: str, quoting: Quoting | None, count: int
) -> tuple[list[list[str]], bool]:
    """Return the first rows that are not blank, at most `count`, and whether no row breaks the rules.

    The rows end before the first that breaks them.
    """
    reader = RecordReader(lines, separator, quoting)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                reader.width = reader.width or len(row)
                rows.append(row)
            if len(rows) == count:
                break
    except RecordError:
        return rows, False
    return rows, True
