"""Counts the n-grams of many texts, chunk by chunk: little is in memory at a time (scipy).

Texts of which nothing is wanted but their labels' counts come as *shards*, each read where it is counted.

Shapes: n texts, m symbols in all, F n-grams known, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lmclassify.classify.scoring import chunks_of
from lmclassify.cluster.tasks import RayTasks
from lmclassify.lm.ngram.index import NgramIndex, count_known
from lmclassify.parallel import map_ordered
from lmclassify.text.ngrams import Keys, NgramAnalyzer, NgramOccurrences
from lmclassify.text.sequences import positions_within
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
P = TypeVar("P")
T = TypeVar("T")
_NO_KEYS = np.zeros(0, np.uint64), np.zeros(0, np.int64)
Sorted = TypeVar("Sorted", Keys, Codes)
Numbers = TypeVar("Numbers", npt.NDArray[np.int64], Array)

_ENOUGH_TEXTS = 1000  # from which on characters that only one text has are left out
_AT_A_TIME = 16  # chunks whose results may wait to be added up
_MOST_NGRAMS = 1_000_000  # of very many texts: more would make scoring slow and a saved model large


@dataclass(frozen=True)
class LabelledBatch:
    """Some texts with their labels: a shard of one chunk."""

    texts: Sequence[str]
    """n of them, at least one."""
    codes: Codes
    """(n,) the index of each text's label."""
    weights: Array
    """(n,)"""

    def chunks(self) -> Iterator[LabelledBatch]:
        """Yield itself."""
        yield self


class TextShard(Protocol):
    """Labelled texts that may lie elsewhere; it can be sent to another process."""

    def chunks(self) -> Iterator[LabelledBatch]:
        """Yield the texts, few at a time, each time in the same order."""


def text_shards(texts: Sequence[str], codes: Codes, weights: Array | None) -> list[LabelledBatch]:
    """Return texts in memory as shards."""
    weights = np.ones(len(texts)) if weights is None else weights
    chunks = chunks_of(texts) if texts else []
    return [LabelledBatch(texts[chunk], codes[chunk], weights[chunk]) for chunk in chunks]


@dataclass
class CountedView:
    """One view's n-grams of some texts: those that enough of them, or of others, have."""

    analyzer: NgramAnalyzer
    keys: Keys
    """(F,) ascending."""
    least_texts: int
    """An n-gram is used where so many texts have it."""
    elsewhere: npt.NDArray[np.int64]
    """(F,) how many other texts have each."""
    contexts: npt.NDArray[np.int32] | None
    """(F,) see `lmclassify.classify.ngram_models.NgramModel`."""
    counts: sparse.csr_matrix
    """(n, F)"""
    lengths: Codes
    """(n,) symbols."""
    columns: npt.NDArray[np.int32]
    """(longest, m) as `NgramIndex.look_up` returns them."""

    def known(
        self, chosen: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp], npt.NDArray[np.intp], int]:
        """Return the n-grams of some of the texts, as `NgramModel.scores_from_columns` takes them."""
        lengths = self.lengths[chosen]
        owner = np.repeat(np.arange(len(lengths)), lengths)
        columns = self.columns[:, np.repeat(chosen, self.lengths)]
        return columns, owner, positions_within(lengths), len(lengths)


def count_ngrams(
    view: NgramAnalyzer,
    ordered: bool,
    texts: Sequence[str],
    others: Sequence[TextShard],
    subwords: Tokenizer,
    threads: int = 1,
    cluster: RayTasks | None = None,
) -> CountedView:
    """Count the n-grams of each of some texts.

    Parameters
    ----------
    view : NgramAnalyzer
    ordered : bool
        Whether contexts are wanted.
    texts : sequence of str, (n,)
        At least one.
    others : sequence of TextShard
        More texts, whose n-grams count as known too. With them, the rarest of too many are left out.
    subwords : Tokenizer
    threads : int, default=1
        The result does not depend on it.
    cluster : RayTasks, optional
        Count there instead of in threads; nor does it depend on that.
    """

    def found_in(some: Sequence[str]) -> tuple[Keys, npt.NDArray[np.int64]]:
        """Return the n-grams of some texts and how many of the texts have each."""
        windows = _windows(view, some, subwords)
        whole = windows.complete
        keys, owner = windows.keys[whole], np.broadcast_to(windows.text_index, whole.shape)[whole]
        order = np.argsort(keys, kind="stable")  # so that a key's owners ascend
        keys, owner = keys[order], owner[order]
        first = _differ(keys)
        of_other_text = first | _differ(owner)
        starts = np.flatnonzero(first)
        return keys[starts], np.add.reduceat(of_other_text, starts, dtype=np.int64)

    def found_in_shard(shard: TextShard) -> tuple[Keys, npt.NDArray[np.int64]]:
        return _added_up((found_in(chunk.texts) for chunk in shard.chunks()), _NO_KEYS)

    own = text_shards(texts, np.zeros(len(texts), np.intp), None)
    keys, texts_with = _added_up(_mapped(found_in_shard, [*own, *others], threads, cluster), _NO_KEYS)
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
        known = count_known(columns, windows.text_index, len(some))
        starts = np.searchsorted(known.text_index, np.arange(known.texts + 1))
        counts = sparse.csr_matrix(
            (known.count.astype(np.float32), known.column.astype(np.int32), starts.astype(np.int32)),
            shape=(known.texts, len(keys)),
        )
        return columns, np.bincount(windows.text_index, minlength=known.texts), counts

    chunks = [chunk.texts for chunk in own]
    columns, lengths, counts = zip(*_mapped(placed, chunks, threads, cluster), strict=True)
    if contexts is not None:
        for some in columns:
            _note_contexts(contexts, some)
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


@dataclass(frozen=True)
class LabelCounts:
    """What is learnt of texts by label."""

    counts: Array
    """(F, K) how often each label's texts have the n-grams, texts weighted."""
    texts: npt.NDArray[np.int64]
    """(K,)"""
    weights: Array
    """(K,) sums over texts."""


def label_counts(
    counted: CountedView,
    shards: Sequence[TextShard],
    subwords: Tokenizer,
    labels: int,
    threads: int = 1,
    cluster: RayTasks | None = None,
) -> LabelCounts:
    """Count the n-grams of each label's texts.

    Contexts that are found here only are noted in what has been counted.

    Parameters
    ----------
    counted : CountedView
    shards : sequence of TextShard
    subwords : Tokenizer
    labels : int
        K.
    threads : int, default=1
        The result does not depend on it.
    cluster : RayTasks, optional
        See `count_ngrams`.
    """
    index, view = NgramIndex(counted.keys), counted.analyzer
    size, ordered = len(counted.keys), counted.contexts is not None

    def found_in(shard: TextShard) -> tuple[Codes, Array, npt.NDArray[np.int32] | None, Codes, Array]:
        """Return places in the table of counts, what to add there, contexts, texts and weights by label."""
        contexts = np.full(size, -1, dtype=np.int32) if ordered else None
        texts, weights = np.zeros(labels, np.intp), np.zeros(labels)

        def parts() -> Iterator[tuple[Codes, Array]]:
            nonlocal texts, weights
            for chunk in shard.chunks():
                texts = texts + np.bincount(chunk.codes, minlength=labels)
                weights = weights + np.bincount(chunk.codes, chunk.weights, minlength=labels)
                windows = _windows(view, chunk.texts, subwords)
                columns = index.look_up(windows)
                if contexts is not None:
                    _note_contexts(contexts, columns)
                known = columns >= 0
                owner = np.broadcast_to(windows.text_index, known.shape)[known]
                yield _by_key(columns[known] * np.intp(labels) + chunk.codes[owner], chunk.weights[owner])

        places, added = _added_up(parts(), (np.zeros(0, np.intp), np.zeros(0)))
        return places, added, contexts, texts, weights

    counts = np.zeros(size * labels)
    texts, weights = np.zeros(labels, np.int64), np.zeros(labels)
    for places, added, contexts, texts_of, weights_of in _mapped(found_in, shards, threads, cluster):
        counts[places] += added
        if contexts is not None:
            assert counted.contexts is not None
            np.copyto(counted.contexts, contexts, where=contexts >= 0)
        texts, weights = texts + texts_of, weights + weights_of
    return LabelCounts(counts.reshape(size, labels), texts, weights)


def _windows(view: NgramAnalyzer, texts: Sequence[str], subwords: Tokenizer) -> NgramOccurrences:
    return view.occurrences(texts, subwords.sequences(texts) if view.symbols == "subword" else [])


def _note_contexts(contexts: npt.NDArray[np.int32], columns: npt.NDArray[np.int32]) -> None:
    """Set the contexts of the n-grams in some columns; every text has the same ones for an n-gram."""
    for shorter, longer in pairwise(columns):
        ends = np.flatnonzero(longer >= 0)
        contexts[longer[ends]] = shorter[ends - 1]  # known, as no fewer texts have it


def _mapped(
    function: Callable[[P], T], payloads: Sequence[P], threads: int, cluster: RayTasks | None
) -> Iterator[T]:
    """Yield the function's result for each payload, in order; few of them wait to be taken."""
    if cluster is not None:
        yield from cluster.map(function, payloads)
        return
    for first in range(0, len(payloads), _AT_A_TIME):
        yield from map_ordered(function, payloads[first : first + _AT_A_TIME], threads)


def _added_up(
    parts: Iterable[tuple[Sorted, Numbers]], none: tuple[Sorted, Numbers]
) -> tuple[Sorted, Numbers]:
    """Return all keys, ascending, and the sum of each one's numbers; `none` where there are no parts."""
    whole: list[tuple[Sorted, Numbers]] = []
    waiting = 0
    for part in parts:
        whole.append(part)
        waiting += len(part[0])
        if waiting > len(whole[0][0]):  # ever more rarely, as what has been added up grows
            whole, waiting = [_sum(whole)], 0
    return _sum(whole or [none])


def _sum(parts: Sequence[tuple[Sorted, Numbers]]) -> tuple[Sorted, Numbers]:
    if len(parts) == 1:
        return parts[0]
    keys, numbers = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return _by_key(keys, numbers)


def _by_key(keys: Sorted, numbers: Numbers) -> tuple[Sorted, Numbers]:
    """Return different keys, ascending, and the sum of each one's numbers."""
    order = np.argsort(keys, kind="stable")
    keys, numbers = keys[order], numbers[order]
    starts = np.flatnonzero(_differ(keys))
    return keys[starts], np.add.reduceat(numbers, starts)


def _differ(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return whether each value differs from the one before it; the first does."""
    result = np.ones(len(values), dtype=bool)
    result[1:] = values[1:] != values[:-1]
    return result
