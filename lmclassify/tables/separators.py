"""Find the separator of a CSV file from its name and its first rows."""

from __future__ import annotations

from collections.abc import Iterator

from lmclassify.tables.columns import suffix_of
from lmclassify.tables.dialect import Quoting
from lmclassify.tables.encodings import DecodingError, Lines
from lmclassify.tables.records import sample_rows

SEPARATOR_NOTES = {
    "\t": "tab-separated",
    ";": "semicolon-separated",
    "|": "separated by vertical bars",
}
"""How to name a separator that is not expected."""

_TSV_SUFFIXES = (".tsv", ".tab")
_TABLE_SUFFIXES = (".csv", *_TSV_SUFFIXES)
_UNUSUAL_SEPARATORS = ("\t", ";", "|")  # tried in this order after the comma
_MAX_SNIFFED_LINES = 1000  # an unclosed quote must not read the whole file


def default_separator(path: str, format: str | None) -> str:
    """Return the separator that format or suffix stand for."""
    is_tsv = format == "tsv" or (format is None and suffix_of(path) in _TSV_SUFFIXES)
    return "\t" if is_tsv else ","


def separator_from_header(path: str, format: str | None, header: str) -> str | None:
    """Return the separator if the name or the header line alone tells it."""
    if default_separator(path, format) == "\t":
        return "\t"
    if suffix_of(path) not in _TABLE_SUFFIXES and "\t" in header and "," not in header:
        return "\t"
    continues = header.count('"') % 2 == 1
    return None if continues or any(separator in header for separator in _UNUSUAL_SEPARATORS) else ","


class Lookahead:
    """Lines read ahead that can be read again, with the line and byte counts that belong to each.

    Parameters
    ----------
    lines : Lines
        Counts the lines and bytes.
    first : str
        Its newest line.
    rest : iterator of str
        The lines after that.
    """

    def __init__(self, lines: Lines, first: str, rest: Iterator[str]) -> None:
        self._lines = lines
        self._rest = rest
        self._seen = [(first, lines.number, lines.bytes)]
        self._now = (lines.number, lines.bytes)
        self._error: DecodingError | None = None

    def __iter__(self) -> Iterator[str]:
        """Yield the lines from the first on, up to the limit of looking ahead."""
        for index in range(_MAX_SNIFFED_LINES):
            if index == len(self._seen) and not self._read():
                return
            if self._error is not None and index == len(self._seen) - 1:
                return
            yield self._seen[index][0]

    @property
    def seen(self) -> list[str]:
        """The lines that have been read. A stream may have no others yet."""
        return [line for line, _, _ in self._seen]

    def _read(self) -> bool:
        if self._error is not None:
            return False
        try:
            line = next(self._rest, None)
        except DecodingError as error:  # raised by `replay` when it gets there
            self._error = error
            self._seen.append(("", self._lines.number, self._lines.bytes))
            return False
        self._now = (self._lines.number, self._lines.bytes)
        if line is None:
            return False
        self._seen.append((line, self._lines.number, self._lines.bytes))
        return True

    def replay(self) -> Iterator[str]:
        """Yield the lines that were read, and set the counts of `lines` as if they were read now."""
        for index, (line, number, consumed) in enumerate(self._seen):
            self._lines.number, self._lines.bytes = number, consumed
            if self._error is not None and index == len(self._seen) - 1:
                raise self._error
            yield line
        self._lines.number, self._lines.bytes = self._now


def separator_with_escapes(lookahead: Lookahead, separator: str, rows: int) -> str | None:
    """Return the separator of a file in which backslashes stand before quotes that are characters.

    Returns None unless the first rows can be read by this rule, and by no other.

    Parameters
    ----------
    separator : str
        The separator that `sniff_separator` found.
    """
    if separator == "\t":
        return None
    usual, follows_rule = sample_rows(iter(lookahead), separator, "minimal", rows)
    if not any('\\"' in line for line in lookahead.seen):
        return None
    if follows_rule and len({len(row) for row in usual}) == 1 and len(usual[0]) > 1:
        return None
    for other in dict.fromkeys((separator, ",", ";", "|")):
        sample, follows_rule = sample_rows(iter(lookahead), other, "backslash", rows)
        if follows_rule and len({len(row) for row in sample}) == 1 and len(sample[0]) > 1:
            return other
    return None


def sniff_separator(lookahead: Lookahead, quoting: Quoting | None, rows: int) -> str:
    """Return the first separator by which the first rows have the same number of cells, over one.

    If there is none, header and first row have to agree. If no separator does that either, it is the comma.
    """
    agreeing = []
    tries: list[tuple[str, Quoting | None]]
    tries = [(separator, quoting or "minimal") for separator in (",", *_UNUSUAL_SEPARATORS)]
    if quoting is None:
        tries.append(("\t", None))  # with quotes that are part of the text
    for separator, rule in tries:
        sample, follows_rule = sample_rows(iter(lookahead), separator, rule, rows)
        widths = [len(row) for row in sample]
        if not sample or widths[0] == 1 or (len(sample) == 1 and not follows_rule):
            continue
        if follows_rule and len({*widths}) == 1:
            return separator
        if len({*widths[:2]}) == 1:
            agreeing.append(separator)
    return agreeing[0] if agreeing else ","
