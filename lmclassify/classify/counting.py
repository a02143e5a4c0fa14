"""Counts the n-grams of many texts, chunk by chunk: little is in memory at a time (scipy).

Shapes: n texts, m symbols in all, F n-grams known, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lmclassify.classify.scoring import chunks_of
from lmclassify.engines.local import map_ordered
from lmclassify.lm.ngram import count_known
from lmclassify.text.ngrams import Keys, NgramView
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
T = TypeVar("T")

_ENOUGH_TEXTS = 1000  # from which on characters that only one text has are left out
_CHUNKS_AT_A_TIME = 16  # whose results may wait to be added up
_UNKNOWN = -1


@dataclass
class CountedView:
    """One view's n-grams of some texts: those that enough of them have."""

    view: NgramView
    keys: Keys
    """(F,) ascending."""
    least_texts: int
    """An n-gram is used where so many texts have it."""
    contexts: npt.NDArray[np.int32] | None
    """(F,) see `lmclassify.lm.ngram.NgramModel`."""
    counts: sparse.csr_matrix
    """(n, F)"""
    lengths: Codes
    """(n,) symbols."""
    columns: npt.NDArray[np.int32]
    """(longest, m) as `lmclassify.lm.ngram.look_up` returns them."""

    def known(
        self, chosen: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp], npt.NDArray[np.intp], int]:
        """Return the n-grams of some of the texts, as `NgramModel.scores_of` takes them."""
        lengths = self.lengths[chosen]
        owner = np.repeat(np.arange(len(lengths)), lengths)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.columns[:, np.repeat(chosen, self.lengths)], owner, place, len(lengths)


def count_ngrams(
    view: NgramView, ordered: bool, texts: Sequence[str], sequences: Sequence[Ids], threads: int = 1
) -> CountedView:
    """Count the n-grams of each of some texts.

    Parameters
    ----------
    view : NgramView
    ordered : bool
        Whether contexts are wanted.
    texts : sequence of str, (n,)
    sequences : sequence of array of int, (n,)
        The texts as subwords.
    threads : int, default=1
        The result does not depend on it.
    """
    chunks = chunks_of(texts)

    def found_in(chunk: slice) -> tuple[Keys, npt.NDArray[np.int64]]:
        """Return the n-grams of some texts and how many of the texts have each."""
        windows = view.windows(texts[chunk], sequences[chunk])
        keys, found = np.unique(windows.keys[windows.whole], return_inverse=True)
        owner = np.broadcast_to(windows.owner, windows.whole.shape)[windows.whole]
        pairs = np.unique(owner * len(keys) + found)
        return keys, np.bincount(pairs % max(1, len(keys)), minlength=len(keys))

    keys, texts_with = _added_up(_mapped(found_in, chunks, threads))
    least = 2 if view.symbols == "character" and len(texts) >= _ENOUGH_TEXTS else 1
    keys = keys[texts_with >= least]
    contexts = np.full(len(keys), _UNKNOWN, dtype=np.int32) if ordered else None

    def placed(chunk: slice) -> tuple[npt.NDArray[np.int32], Codes, sparse.csr_matrix]:
        """Return columns, lengths and counts of some texts."""
        windows = view.windows(texts[chunk], sequences[chunk])
        columns = np.full(windows.keys.shape, _UNKNOWN, dtype=np.int32)
        columns[windows.whole] = _places(keys, windows.keys[windows.whole])
        if contexts is not None:  # every chunk writes the same
            for shorter, longer in pairwise(columns):
                ends = np.flatnonzero(longer >= 0)
                contexts[longer[ends]] = shorter[ends - 1]  # known, as no fewer texts have it
        known = count_known(columns, windows.owner, len(texts[chunk]))
        starts = np.searchsorted(known.owner, np.arange(known.texts + 1))
        counts = sparse.csr_matrix(
            (known.count.astype(np.float32), known.column.astype(np.int32), starts.astype(np.int32)),
            shape=(known.texts, len(keys)),
        )
        return columns, np.bincount(windows.owner, minlength=known.texts), counts

    columns, lengths, counts = zip(*_mapped(placed, chunks, threads), strict=True)
    return CountedView(
        view,
        keys,
        least,
        contexts,
        sparse.vstack(counts, format="csr"),
        np.concatenate(lengths),
        np.concatenate(columns, axis=1),
    )


def label_counts(
    view: NgramView,
    keys: Keys,
    texts: Sequence[str],
    subwords: Tokenizer,
    codes: Codes,
    weights: Array,
    labels: int,
    threads: int = 1,
) -> Array:
    """Return how often each label's texts have each of some n-grams, texts weighted, (F, K).

    Parameters
    ----------
    view : NgramView
    keys : ndarray of uint64, (F,)
        Ascending.
    texts : sequence of str, (n,)
    subwords : Tokenizer
        What makes their sequences.
    codes : ndarray of int, (n,)
        Index of each text's label.
    weights : ndarray, (n,)
    labels : int
        K.
    threads : int, default=1
        The result does not depend on it.
    """
    result = np.zeros(len(keys) * labels)
    if not len(texts):
        return result.reshape(len(keys), labels)

    def found_in(chunk: slice) -> tuple[Codes, Array]:
        sequences = subwords.sequences(texts[chunk]) if view.symbols == "subword" else []
        windows = view.windows(texts[chunk], sequences)
        places = _places(keys, windows.keys[windows.whole])
        owner = np.broadcast_to(windows.owner, windows.whole.shape)[windows.whole]
        known = places >= 0
        owner = owner[known]
        return places[known] * np.intp(labels) + codes[chunk][owner], weights[chunk][owner]

    for places, added in _mapped(found_in, chunks_of(texts), threads):
        np.add.at(result, places, added)
    return result.reshape(len(keys), labels)


def _mapped(function: Callable[[slice], T], chunks: Sequence[slice], threads: int) -> Iterator[T]:
    """Yield the function's result for each chunk, in order; few of them wait to be taken."""
    for first in range(0, len(chunks), _CHUNKS_AT_A_TIME):
        yield from map_ordered(function, chunks[first : first + _CHUNKS_AT_A_TIME], threads)


def _added_up(
    parts: Iterator[tuple[Keys, npt.NDArray[np.int64]]],
) -> tuple[Keys, npt.NDArray[np.int64]]:
    """Return all keys, ascending, and the sum of each one's numbers."""
    whole: list[tuple[Keys, npt.NDArray[np.int64]]] = []
    waiting = 0
    for part in parts:
        whole.append(part)
        waiting += len(part[0])
        if waiting > len(whole[0][0]):  # ever more rarely, as what has been added up grows
            whole, waiting = [_sum(whole)], 0
    return _sum(whole)


def _sum(parts: Sequence[tuple[Keys, npt.NDArray[np.int64]]]) -> tuple[Keys, npt.NDArray[np.int64]]:
    keys, numbers = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(keys, kind="stable")
    keys, numbers = keys[order], numbers[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    return keys[first], np.add.reduceat(numbers, first) if len(first) else numbers


def _places(keys: Keys, wanted: Keys) -> npt.NDArray[np.int32]:
    """Return where each wanted key stands among the keys, -1 where it does not."""
    if not len(keys):
        return np.full(len(wanted), _UNKNOWN, dtype=np.int32)
    distinct, found = np.unique(wanted, return_inverse=True)  # in order they are looked up far faster
    places = np.searchsorted(keys, distinct)
    places[places == len(keys)] = 0
    places[keys[places] != distinct] = _UNKNOWN
    return places.astype(np.int32)[found]
