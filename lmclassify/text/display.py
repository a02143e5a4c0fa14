"""Text and shares in what people read: one line, at most so wide, in its own writing direction."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

from lmclassify.errors import printable
from lmclassify.text.terminal import END_ISOLATE, ISOLATE, visible

MAX_CELL = 40
"""Columns shown of a word or a label by default: a table should fit into 80 columns."""
NARROWEST = 6
"""Columns that a cell keeps where a table is too wide for the terminal: enough to recognize a number."""
_GAP = "  "
_RIGHT_TO_LEFT = ("R", "AL", "AN")  # bidirectional classes (Unicode Standard Annex 9)


def shown(text: str, most: int | None = MAX_CELL, *, terminal: bool = False) -> str:
    """Return a text as a cell of a table: printable, cut to `most` columns of a terminal, isolated.

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


def fitting_lines(
    cells: Sequence[Sequence[str]], columns: int | None, *, terminal: bool = False, left: int | None = None
) -> list[str]:
    """Return a table as lines. If it is wider than the terminal, its widest columns are cut.

    Parameters
    ----------
    cells : sequence of sequence of str
        Rows of as many cells each, as they are in the data.
    columns : int or None
        Columns of the terminal; None cuts nothing.
    terminal : bool, default=False
        See `shown`.
    left : int, optional
        How many columns are aligned to the left. Default: all.
    """
    from rich.cells import cell_len

    if not cells or not cells[0]:
        return ["" for _ in cells]
    whole = [[shown(cell, None, terminal=terminal) for cell in row] for row in cells]
    if columns is not None:
        widths = [max(map(cell_len, column)) for column in zip(*whole, strict=True)]
        limits = _narrowed(widths, columns - len(_GAP) * (len(widths) - 1))
        whole = [
            [
                text if width <= limit else shown(cell, limit, terminal=terminal)
                for text, cell, width, limit in zip(shown_row, row, widths, limits, strict=True)
            ]
            for shown_row, row in zip(whole, cells, strict=True)
        ]
    left = len(cells[0]) if left is None else left
    return [_GAP.join(row).rstrip() for row in aligned(whole, left)]


def _narrowed(widths: Sequence[int], total: int) -> list[int]:
    """Return widths with this sum at most: the widest are reduced to one width, but not below `NARROWEST`."""
    limit = max(widths)
    while limit > NARROWEST and sum(min(width, limit) for width in widths) > total:
        limit -= 1
    room = total - sum(min(width, limit) for width in widths)
    limits = []
    for width in widths:  # the widest ones share what is left
        more = 1 if width > limit and room > 0 else 0
        limits.append(min(width, limit) + more)
        room -= more
    return limits


def wrapped(line: str, columns: int | None, indent: int) -> str:
    """Return a line broken to the columns of a terminal, its other parts indented; None breaks nothing."""
    if columns is None or len(line) <= columns:
        return line
    margin = " " * indent
    return "\n".join(
        textwrap.wrap(line, columns, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False)
    )


def percent(share: float, texts: int | None = None) -> str:
    """Return a share as percent; only exact 0 and 1 are written as 0% and 100%.

    Parameters
    ----------
    texts : int, optional
        On how many texts the share was measured; it has the decimals that they support. The last digit is
        about one standard error or larger: 40 texts cannot tell 92.1% from 92.3%. Default: one decimal.

    Examples
    --------
    >>> percent(0.9482), percent(0.99999), percent(1.0), percent(0.000001)
    ('94.8%', '>99.9%', '100%', '<0.1%')
    >>> percent(0.925, 40), percent(0.9213, 4_000), percent(0.92131, 400_000), percent(0.998, 500)
    ('92%', '92.1%', '92.13%', '>99%')
    """
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    digits = 1 if texts is None else share_digits(texts) - 2
    step = 0.01 / 10**digits  # of the last digit
    if share > 1 - step / 2:
        return f">{1 - step:.{digits}%}"
    return f"<{step:.{digits}%}" if share < step / 2 else f"{share:.{digits}%}"


def quality(accuracy: float, log_loss: float, texts: int) -> str:
    """Return the accuracy and the log-loss of so many texts in words."""
    return f"accuracy {percent(accuracy, texts)}, log-loss {log_loss:.{share_digits(texts)}f} nats per text"


def share_digits(texts: int) -> int:
    """Return the decimals of a share, as in 0.921, that is measured on so many texts: 2, 3 or 4."""
    return 2 if texts < 1_000 else 3 if texts < 100_000 else 4


def word_lines(text: str, width: int) -> list[str]:
    """Break a text between words into lines of at most `width` columns, if no word is wider."""
    from rich.cells import cell_len

    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
