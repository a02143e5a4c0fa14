"""How far the cells of an OpenDocument spreadsheet (.ods) reach, without reading them into memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO
from xml.parsers import expat

_BLOCK_BYTES = 1 << 20
_CELLS = ("table:table-cell", "table:covered-table-cell")


def open_document_extents(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the last row and the last column with a value of each sheet, from 1.

    Parameters
    ----------
    file : binary file
        content.xml. A file that is no XML yields the sheets before the error.
    """
    extents = _Extents()
    parser = expat.ParserCreate()
    parser.StartElementHandler = extents.start
    parser.EndElementHandler = extents.end
    try:
        while block := file.read(_BLOCK_BYTES):
            parser.Parse(block)
            yield from extents.take()
    except expat.ExpatError:
        yield from extents.take()


class _Extents:
    """Follows the elements of the sheets; rows and cells can stand for several equal ones."""

    def __init__(self) -> None:
        self._row = self._column = self._height = self._width = 0
        self._last = 0
        """The last column with a value in the current row; 0 for none."""
        self._found: list[tuple[int, int]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "table:table":
            self._row = self._height = self._width = 0
        elif name == "table:table-row":
            self._row += _repeated(attributes, "rows")
            self._column = self._last = 0
        elif name in _CELLS:
            self._column += _repeated(attributes, "columns")
            if "office:value-type" in attributes:
                self._last = self._column

    def end(self, name: str) -> None:
        if name == "table:table-row" and self._last:
            self._height, self._width = self._row, max(self._width, self._last)
        elif name == "table:table":
            self._found.append((self._height, self._width))

    def take(self) -> list[tuple[int, int]]:
        """Return the extents of the sheets that have ended, and of the one that is read, so far."""
        found, self._found = [*self._found, (self._height, self._width)], []
        return found


def _repeated(attributes: dict[str, str], what: str) -> int:
    value = attributes.get(f"table:number-{what}-repeated", "1")
    return int(value) if value.isdecimal() and len(value) < 10 else 1
