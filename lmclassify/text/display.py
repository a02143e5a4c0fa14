"""Text in the tables that people read: one line, at most so wide, in its own writing direction."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from lmclassify.errors import printable
from lmclassify.text.terminal import END_ISOLATE, ISOLATE, visible

MAX_CELL = 40
"""Columns shown of a word or a label by default: a table should fit into 80 columns."""
_RIGHT_TO_LEFT = ("R", "AL", "AN")  # bidirectional classes (Unicode Standard Annex 9)


def shown(text: str, most: int | None = MAX_CELL, *, terminal: bool = False) -> str:
    """Return a text as a cell of a table: printable, cut to `most` columns, isolated.

    Parameters
    ----------
    terminal : bool, default=False
        Whether the table is for a terminal, which shows all invisible characters as escapes.

    Examples
    --------
    >>> shown("a\\nb"), shown("abcdef", 4)
    ('a\\\\nb', 'abc…')
    """
    text = visible(printable(text)) if terminal else printable(text)
    return isolated(text if most is None else _cut(text, most))


def _cut(text: str, most: int) -> str:
    if text.isascii():
        return text if len(text) <= most else text[: most - 1] + "…"
    from rich.cells import cell_len, set_cell_size

    text = text[: 4 * most]  # wide characters take two columns, combining ones none
    return text if cell_len(text) <= most else set_cell_size(text, most - 1).rstrip() + "…"


def isolated(text: str) -> str:
    """Return a text that keeps its writing direction to itself.

    A text from right to left, such as Arabic, would otherwise reverse the order of the cells beside it, in a
    terminal as in an editor. Other texts are returned as they are.
    """
    if text.isascii() or not any(
        unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text
    ):
        return text
    return f"{ISOLATE}{text}{END_ISOLATE}"


def aligned(cells: Sequence[Sequence[str]], left: int = 1, *, equal: bool = False) -> list[list[str]]:
    """Align the first columns to the left and the others to the right; wide characters take two columns.

    Parameters
    ----------
    left : int, default=1
        How many columns are aligned to the left.
    equal : bool, default=False
        Whether all columns get the same width.
    """
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    if equal:
        widths = [max(widths)] * len(widths)
    return [
        [
            cell + " " * (width - cell_len(cell)) if column < left else " " * (width - cell_len(cell)) + cell
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in cells
    ]


def wrapped(text: str, width: int) -> list[str]:
    """Break a text between words into lines of at most `width` columns, if no word is wider."""
    from rich.cells import cell_len

    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
