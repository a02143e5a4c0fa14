"""Counts the n-grams of many texts, chunk by chunk: little is in memory at a time (scipy).

Shapes: n texts, m symbols in all, F n-grams known, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lmclassify.classify.scoring import chunks_of
from lmclassify.engines.local import map_ordered
from lmclassify.lm.ngram import count_known
from lmclassify.lm.ngram_index import NgramIndex
from lmclassify.text.ngrams import Keys, NgramView, Windows
from lmclassify.text.sequences import places_within
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
P = TypeVar("P")
T = TypeVar("T")

_ENOUGH_TEXTS = 1000  # from which on characters that only one text has are left out
_CHUNKS_AT_A_TIME = 16  # whose results may wait to be added up
_MOST_NGRAMS = 1_000_000  # of very many texts: more would make scoring slow and a saved model large


@dataclass
class CountedView:
    """One view's n-grams of some texts: those that enough of them, or of others, have."""

    view: NgramView
    keys: Keys
    """(F,) ascending."""
    least_texts: int
    """An n-gram is used where so many texts have it."""
    elsewhere: npt.NDArray[np.int64]
    """(F,) how many other texts have each."""
    contexts: npt.NDArray[np.int32] | None
    """(F,) see `lmclassify.lm.ngram.NgramModel`."""
    counts: sparse.csr_matrix
    """(n, F)"""
    lengths: Codes
    """(n,) symbols."""
    columns: npt.NDArray[np.int32]
    """(longest, m) as `NgramIndex.look_up` returns them."""

    def known(
        self, chosen: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp], npt.NDArray[np.intp], int]:
        """Return the n-grams of some of the texts, as `NgramModel.scores_of` takes them."""
        lengths = self.lengths[chosen]
        owner = np.repeat(np.arange(len(lengths)), lengths)
        columns = self.columns[:, np.repeat(chosen, self.lengths)]
        return columns, owner, places_within(lengths), len(lengths)


def count_ngrams(
    view: NgramView,
    ordered: bool,
    texts: Sequence[str],
    others: Sequence[str],
    subwords: Tokenizer,
    threads: int = 1,
) -> CountedView:
    """Count the n-grams of each of some texts.

    Parameters
    ----------
    view : NgramView
    ordered : bool
        Whether contexts are wanted.
    texts : sequence of str, (n,)
        At least one.
    others : sequence of str
        More texts, whose n-grams count as known too. With them, the rarest of too many are left out.
    subwords : Tokenizer
    threads : int, default=1
        The result does not depend on it.
    """

    def found_in(some: Sequence[str]) -> tuple[Keys, npt.NDArray[np.int64]]:
        """Return the n-grams of some texts and how many of the texts have each."""
        windows = _windows(view, some, subwords)
        whole = windows.whole
        keys, owner = windows.keys[whole], np.broadcast_to(windows.owner, whole.shape)[whole]
        order = np.argsort(keys, kind="stable")  # so that a key's owners ascend
        keys, owner = keys[order], owner[order]
        first = _differ(keys)
        of_other_text = first | _differ(owner)
        starts = np.flatnonzero(first)
        return keys[starts], np.add.reduceat(of_other_text, starts, dtype=np.int64)

    keys, texts_with = _added_up(_mapped(found_in, [*_chunks(texts), *_chunks(others)], threads))
    least = 2 if view.symbols == "character" and len(texts) >= _ENOUGH_TEXTS else 1
    kept = texts_with >= least
    if others and np.count_nonzero(kept) > _MOST_NGRAMS:
        kept = texts_with > np.partition(texts_with, -_MOST_NGRAMS)[-_MOST_NGRAMS]
    keys, texts_with = keys[kept], texts_with[kept]
    index = NgramIndex(keys)
    contexts = np.full(len(keys), -1, dtype=np.int32) if ordered else None

    def placed(some: Sequence[str]) -> tuple[npt.NDArray[np.int32], Codes, sparse.csr_matrix]:
        """Return columns, lengths and counts of some texts."""
        windows = _windows(view, some, subwords)
        columns = index.look_up(windows)
        if contexts is not None:
            _note_contexts(contexts, columns)
        known = count_known(columns, windows.owner, len(some))
        starts = np.searchsorted(known.owner, np.arange(known.texts + 1))
        counts = sparse.csr_matrix(
            (known.count.astype(np.float32), known.column.astype(np.int32), starts.astype(np.int32)),
            shape=(known.texts, len(keys)),
        )
        return columns, np.bincount(windows.owner, minlength=known.texts), counts

    columns, lengths, counts = zip(*_mapped(placed, _chunks(texts), threads), strict=True)
    of_texts = sparse.vstack(counts, format="csr")
    return CountedView(
        view,
        keys,
        least,
        texts_with - np.bincount(of_texts.indices, minlength=len(keys)),
        contexts,
        of_texts,
        np.concatenate(lengths),
        np.concatenate(columns, axis=1),
    )


def label_counts(
    counted: CountedView,
    texts: Sequence[str],
    subwords: Tokenizer,
    codes: Codes,
    weights: Array,
    labels: int,
    threads: int = 1,
) -> Array:
    """Return how often each label's texts have the n-grams, texts weighted, (F, K).

    Contexts that are found here only are noted in what has been counted.

    Parameters
    ----------
    counted : CountedView
    texts : sequence of str, (n,)
    subwords : Tokenizer
    codes : ndarray of int, (n,)
        Index of each text's label.
    weights : ndarray, (n,)
    labels : int
        K.
    threads : int, default=1
        The result does not depend on it.
    """
    index = NgramIndex(counted.keys)
    result = np.zeros(len(counted.keys) * labels)
    chunks = _chunks(texts)
    ends = np.cumsum([len(some) for some in chunks], dtype=np.intp)

    def found_in(number: int) -> tuple[Codes, Array]:
        windows = _windows(counted.view, chunks[number], subwords)
        columns = index.look_up(windows)
        if counted.contexts is not None:
            _note_contexts(counted.contexts, columns)
        known = columns >= 0
        owner = np.broadcast_to(windows.owner, known.shape)[known] + (ends[number] - len(chunks[number]))
        return columns[known] * np.intp(labels) + codes[owner], weights[owner]

    for places, added in _mapped(found_in, range(len(chunks)), threads):
        np.add.at(result, places, added)
    return result.reshape(len(counted.keys), labels)


def _chunks(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[chunk] for chunk in chunks_of(texts)] if texts else []


def _windows(view: NgramView, texts: Sequence[str], subwords: Tokenizer) -> Windows:
    return view.windows(texts, subwords.sequences(texts) if view.symbols == "subword" else [])


def _note_contexts(contexts: npt.NDArray[np.int32], columns: npt.NDArray[np.int32]) -> None:
    """Set the contexts of the n-grams in some columns; every text has the same ones for an n-gram."""
    for shorter, longer in pairwise(columns):
        ends = np.flatnonzero(longer >= 0)
        contexts[longer[ends]] = shorter[ends - 1]  # known, as no fewer texts have it


def _mapped(function: Callable[[P], T], chunks: Sequence[P], threads: int) -> Iterator[T]:
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
    starts = np.flatnonzero(_differ(keys))
    return keys[starts], np.add.reduceat(numbers, starts)


def _differ(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return whether each value differs from the one before it; the first does."""
    result = np.ones(len(values), dtype=bool)
    result[1:] = values[1:] != values[:-1]
    return result
