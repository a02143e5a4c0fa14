"""Finds n-grams among the known ones, in numpy.

Keys are hashes, so their leading bits spread them evenly over buckets; a key is at its bucket's beginning or
a step or two further on. That takes a tenth of the time of a binary search (docs/benchmarks.md).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lmclassify.text.ngrams import Keys, NgramOccurrences

_LARGEST = np.uint64(2**64 - 1)


class NgramIndex:
    """Where each known n-gram stands.

    Parameters
    ----------
    keys : ndarray of uint64, (F,)
        Ascending.
    """

    def __init__(self, keys: Keys) -> None:
        bits = len(keys).bit_length() + 1  # two to four buckets a key
        self._shift = np.uint64(64 - bits)
        sizes = np.bincount((keys >> self._shift).astype(np.intp), minlength=1 << bits)
        self._starts = (np.cumsum(sizes) - sizes).astype(np.int32)
        self._keys = np.append(keys, _LARGEST)  # where a search ends
        self._size = len(keys)

    def look_up(self, occurrences: NgramOccurrences) -> npt.NDArray[np.int32]:
        """Return the position of each n-gram of some texts, -1 where it is not known, (longest, m)."""
        places = np.stack([self._find(keys) for keys in occurrences.keys])
        places[~occurrences.complete] = -1
        return places

    def _find(self, keys: Keys) -> npt.NDArray[np.int32]:
        places = self._starts.take((keys >> self._shift).astype(np.intp))
        there = self._keys.take(places)
        before = np.flatnonzero(there < keys)
        while len(before):
            places[before] += 1
            there[before] = self._keys.take(places.take(before))
            before = before[there.take(before) < keys.take(before)]
        places[(there != keys) | (places == self._size)] = -1
        return places.astype(np.int32)
