"""Sums over the rows of each text, in numpy. A text's sum does not depend on the texts beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]

_NUMBERS_AT_A_TIME = 1 << 18  # they stay in cache


def some_texts(owner: Indices, texts: int, width: int) -> Iterator[tuple[int, int, slice]]:
    """Yield consecutive texts, the first and the one past the last, and which rows are theirs.

    So many at a time that their rows, of `width` numbers each, fit into little memory; at least one.
    """
    starts = np.searchsorted(owner, np.arange(texts + 1))
    at_a_time = max(1, _NUMBERS_AT_A_TIME // width)
    first = 0
    while first < texts:
        last = int(np.searchsorted(starts, starts[first] + at_a_time, side="right")) - 1
        last = min(max(last, first + 1), texts)
        yield first, last, slice(int(starts[first]), int(starts[last]))
        first = last


def add_by_text(
    result: npt.NDArray[Any], rows: npt.NDArray[Any], owner: Indices, first: int, last: int
) -> None:
    """Set the rows `first` to before `last` of the result to those texts' sums, where they have rows."""
    starts = np.searchsorted(owner, np.arange(first, last + 1))
    some = np.flatnonzero(np.diff(starts))
    if len(some):
        result[first + some] = np.add.reduceat(rows, starts[some], axis=0, dtype=result.dtype)
