"""Sums over the rows of each text, in numpy. A text's sum does not depend on the other texts.

Shapes: r rows in all, ordered by text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]

CACHED_NUMBERS = 1 << 18
"""Numbers processed at a time: 2 MB of 64 bits each, which stay in the processor's cache."""


def text_batches(
    text_index: Indices, texts: int, width: int, max_numbers: int = CACHED_NUMBERS
) -> Iterator[tuple[int, int, slice]]:
    """Yield batches of consecutive texts: first text, text after the last, slice of their rows.

    Parameters
    ----------
    text_index : ndarray of int, (r,)
        The text of each row, ascending.
    texts : int
        Number of texts.
    width : int
        Numbers per row.
    max_numbers : int
        Numbers per batch; a single text may have more.
    """
    starts = np.searchsorted(text_index, np.arange(texts + 1))
    max_rows = max(1, max_numbers // width)
    first = 0
    while first < texts:
        last = int(np.searchsorted(starts, starts[first] + max_rows, side="right")) - 1
        last = min(max(last, first + 1), texts)
        yield first, last, slice(int(starts[first]), int(starts[last]))
        first = last


def sum_by_text(
    result: npt.NDArray[Any], rows: npt.NDArray[Any], text_index: Indices, first: int, last: int
) -> None:
    """Set ``result[first:last]`` to the sums of those texts' rows; texts without rows are left unchanged."""
    starts = np.searchsorted(text_index, np.arange(first, last + 1))
    present = np.flatnonzero(np.diff(starts))
    if len(present):
        result[first + present] = np.add.reduceat(rows, starts[present], axis=0, dtype=result.dtype)
