"""The confusion matrix for people: a table of few labels, or the most confused pairs of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from lmclassify.errors import counted
from lmclassify.text.display import aligned, percent, shown

MAX_MATRIX_LABELS = 12
"""Labels of a matrix: more make a table too wide to read."""
MAX_PAIRS = 25
"""Confused pairs in a table: as many rows as fit on a screen."""

Matrix = Sequence[Sequence[int]]


class ConfusedPair(TypedDict):
    """Texts of one label that got another one."""

    true: str
    predicted: str
    count: int
    share: float
    """Of the texts of the true label."""


class ConfusedPairs(TypedDict):
    """The most frequent confusions."""

    rows: list[ConfusedPair]
    pairs: int
    """How many pairs of labels were confused."""
    mistakes: int
    mistakes_shown: int
    """Mistakes of the pairs in `rows`."""


def occurring(matrix: Matrix) -> list[int]:
    """Return the indices of the labels that a text has or got."""
    counts = np.asarray(matrix, dtype=np.int64)
    result: list[int] = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1)).tolist()
    return result


def confused_pairs(labels: Sequence[str], matrix: Matrix, most: int = MAX_PAIRS) -> ConfusedPairs:
    """Return the pairs of labels that are confused most, with how many pairs and mistakes there are in all.

    Parameters
    ----------
    labels : sequence of str, (K,)
    matrix : sequence of sequence of int, (K, K)
        Rows: true labels; columns: predicted labels.
    """
    counts = np.array(matrix, dtype=np.int64)
    texts = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    rows, columns = np.nonzero(counts)
    found = counts[rows, columns]
    chosen = np.argsort(-found, kind="stable")[:most]
    return {
        "rows": [
            {
                "true": labels[row],
                "predicted": labels[column],
                "count": int(counts[row, column]),
                "share": float(counts[row, column] / texts[row]),
            }
            for row, column in zip(rows[chosen].tolist(), columns[chosen].tolist(), strict=True)
        ],
        "pairs": len(found),
        "mistakes": int(found.sum()),
        "mistakes_shown": int(found[chosen].sum()),
    }


def confusion_text(labels: Sequence[str], matrix: Matrix) -> str:
    """Return the confusion matrix as text; of many labels the most confused pairs."""
    chosen, which = list(range(len(labels))), ""
    if len(labels) > MAX_MATRIX_LABELS:
        chosen = occurring(matrix)
        which = f" of the {counted(len(chosen), 'label that occurs', 'labels that occur')}"
    if len(chosen) > MAX_MATRIX_LABELS:
        return _pairs_text(confused_pairs(labels, matrix))
    cells = [["", *(shown(labels[column]) for column in chosen)]]
    cells += [[shown(labels[row]), *(str(matrix[row][column]) for column in chosen)] for row in chosen]
    title = f"rows: true labels{which}; columns: predicted labels"
    return "\n".join([title, *map("  ".join, aligned(cells, left=0, equal=True))])


def _pairs_text(pairs: ConfusedPairs) -> str:
    if not pairs["rows"]:
        return "no text got a wrong label"
    title = f"most confused labels: {len(pairs['rows'])} of {counted(pairs['pairs'], 'pair')}, with "
    title += f"{pairs['mistakes_shown']:,} of {counted(pairs['mistakes'], 'mistake')}"
    cells = [["true", "predicted", "texts", "share of true"]]
    cells += [
        [shown(pair["true"]), shown(pair["predicted"]), f"{pair['count']:,}", percent(pair["share"])]
        for pair in pairs["rows"]
    ]
    return "\n".join([title, *map("  ".join, aligned(cells, left=2))])
