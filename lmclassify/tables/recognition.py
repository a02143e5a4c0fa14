"""Recognize the columns of texts and labels by their content, and a first row that is no header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

Cells = Sequence[Sequence[str]]
"""Rows of cells, all of the same length."""

SAMPLE_ROWS = 500
"""Rows to look at: enough to see labels of a sorted file repeat, and read in a moment."""
_MIN_ROWS = 4  # fewer rows tell too little of their columns
_MAX_LABEL_LENGTH = 60  # characters; the names of labels are short
_NAME = re.compile(r"[^\W\d_][\w.#/-]*(?: [\w.#/()-]+)?")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")


@dataclass(frozen=True)
class TextAndLabel:
    """The columns of a table of two columns."""

    text_at: int
    label_at: int


def text_columns(rows: Cells) -> list[int]:
    """Return the columns that hold texts: most of their cells are several words, or words without spaces."""
    columns = range(len(rows[0])) if len(rows) >= _MIN_ROWS else ()
    return [at for at in columns if _is_text([row[at].strip() for row in rows])]


def label_columns(rows: Cells) -> list[int]:
    """Return the columns that hold few distinct short values, none of them blank."""
    columns = range(len(rows[0])) if len(rows) >= _MIN_ROWS else ()
    return [at for at in columns if _is_label([row[at].strip() for row in rows])]


def text_and_label(rows: Cells) -> TextAndLabel | None:
    """Return which of two columns holds texts and which labels; None if that is not certain."""
    if len(rows) < _MIN_ROWS or len(rows[0]) != 2:
        return None
    distinct = [len({row[at].strip() for row in rows}) for at in (0, 1)]
    length = [sum(len(row[at]) for row in rows) for at in (0, 1)]
    label_at = distinct.index(min(distinct))
    text_at = 1 - label_at
    is_certain = 2 * distinct[label_at] <= distinct[text_at] or distinct[label_at] == 2 < distinct[text_at]
    if not is_certain or length[label_at] >= length[text_at]:
        return None
    if label_at not in label_columns(rows) or text_at not in text_columns(rows):
        return None
    return TextAndLabel(text_at, label_at)


def name_columns(rows: Cells) -> list[str]:
    """Return names for the columns of a file without header: text, label, and the numbers of the others."""
    both = text_and_label(rows)
    if both is not None:
        found = {both.text_at: "text", both.label_at: "label"}
    else:
        texts, labels = text_columns(rows), label_columns(rows)
        labels = [at for at in labels if at not in texts]
        found = {at[0]: name for at, name in ((texts, "text"), (labels, "label")) if len(at) == 1}
    if len(rows[0]) == 1:
        found = {0: "text"}
    elif len(rows[0]) == 2 and len(rows) < _MIN_ROWS:
        words = [sum(len(row[at].split()) for row in rows) for at in (0, 1)]
        if words[0] != words[1]:
            found = {words.index(max(words)): "text", words.index(min(words)): "label"}
    return [found.get(at, str(at + 1)) for at in range(len(rows[0]))]


def first_row_is_data(first: Sequence[str], rows: Cells, column: int) -> bool:
    """Return whether the first row has a value in a column that other rows have too, or a number."""
    value = first[column].strip()
    if not value:
        return False
    return bool(_NUMBER.fullmatch(value)) or value in {row[column].strip() for row in rows}


def is_header(first: Sequence[str], rows: Cells) -> bool:
    """Return whether all cells of the first row look like names that occur nowhere in the rows."""
    for column, cell in enumerate(first):
        if cell.strip() and not _NAME.fullmatch(cell.strip()):
            return False
        if first_row_is_data(first, rows, column):
            return False
    return True


def _is_text(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    texts = [cell for cell in filled if len(cell.split()) > 1 or not cell.isascii()]
    with_letters = [cell for cell in texts if any(map(str.isalpha, cell))]
    return len(set(filled)) > 2 and 2 * len(with_letters) > len(filled)


def _is_label(cells: Sequence[str]) -> bool:
    distinct = {*cells}
    is_short = max(map(len, distinct)) <= _MAX_LABEL_LENGTH
    return is_short and "" not in distinct and len(distinct) > 1 and 2 * len(distinct) <= len(cells) + 1
