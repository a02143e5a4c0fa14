"""Finds known n-grams in texts and counts them, in numpy.

Keys are hashes, so their leading bits spread them evenly over buckets. A key is at the beginning of its
bucket or one or two steps further on, which takes a tenth of the time of a binary search
(docs/experiments.md).

Shapes: F known n-grams, N the longest n-gram, m symbols, p pairs of a text and an n-gram of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.text.ngrams import Keys, NgramOccurrences

Indices = npt.NDArray[np.intp]

_SENTINEL = np.uint64(2**64 - 1)


class NgramIndex:
    """Look-up of known n-grams by key.

    Parameters
    ----------
    keys : ndarray of uint64, (F,)
        Ascending.
    """

    def __init__(self, keys: Keys) -> None:
        bits = len(keys).bit_length() + 1  # two to four buckets per key
        self._shift = np.uint64(64 - bits)
        sizes = np.bincount((keys >> self._shift).astype(np.intp), minlength=1 << bits)
        self._starts = (np.cumsum(sizes) - sizes).astype(np.int32)
        self._keys = np.append(keys, _SENTINEL)  # ends every search
        self._size = len(keys)

    def look_up(self, occurrences: NgramOccurrences) -> npt.NDArray[np.int32]:
        """Return the index of each n-gram among the known ones, -1 for unknown n-grams, (N, m)."""
        columns = np.stack([self.find(keys) for keys in occurrences.keys])
        columns[~occurrences.complete] = -1
        return columns

    def find(self, keys: Keys) -> npt.NDArray[np.int32]:
        """Return the index of each of some keys among the known ones, -1 for unknown keys."""
        indices = self._starts.take((keys >> self._shift).astype(np.intp))
        candidates = self._keys.take(indices)
        before = np.flatnonzero(candidates < keys)
        while len(before):
            indices[before] += 1
            candidates[before] = self._keys.take(indices.take(before))
            before = before[candidates.take(before) < keys.take(before)]
        indices[(candidates != keys) | (indices == self._size)] = -1
        return indices.astype(np.int32)


@dataclass(frozen=True)
class NgramCounts:
    """Counts of the known n-grams of some texts, ordered by text and n-gram; each pair once."""

    texts: int
    """Number of texts."""
    text_index: Indices
    """(p,) the text; ascending."""
    column: Indices
    """(p,) index of the n-gram among the known ones."""
    count: npt.NDArray[np.float64]
    """(p,) how often the text has the n-gram."""


def count_known(columns: npt.NDArray[np.int32], text_index: Indices, texts: int) -> NgramCounts:
    """Count the known n-grams of some texts.

    Parameters
    ----------
    columns : ndarray of int32, (N, m)
        As `NgramIndex.look_up` returns them.
    text_index : ndarray of int, (m,)
        The text of each symbol.
    texts : int
        Number of texts.
    """
    known = columns >= 0
    size = int(columns.max(initial=0)) + 1
    small: type[np.unsignedinteger[Any]] = np.uint32 if texts * size < 1 << 32 else np.uint64  # sorts faster
    pairs = np.broadcast_to(text_index * size, columns.shape)[known].astype(small)
    pairs += columns[known].astype(small)
    pairs, count = np.unique(pairs, return_counts=True)
    text_of_pair, column = np.divmod(pairs, np.array(size, dtype=small))
    return NgramCounts(texts, text_of_pair.astype(np.intp), column.astype(np.intp), count.astype(np.float64))


def merge_counts(parts: Sequence[NgramCounts]) -> NgramCounts:
    """Return the counts of the same texts that were counted chunk by chunk."""
    if len(parts) == 1:
        return parts[0]
    text_index, column, count = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("text_index", "column", "count")
    )
    size = int(column.max(initial=0)) + 1
    pairs, inverse = np.unique(text_index * size + column, return_inverse=True)
    text_of_pair, column_of_pair = np.divmod(pairs, size)
    summed = np.bincount(inverse, count, len(pairs)).astype(np.float64)
    return NgramCounts(parts[0].texts, text_of_pair, column_of_pair, summed)
