"""Counts the n-grams of many texts batch by batch, so that little is in memory at a time (scipy).

Texts of which only the labels' counts are needed come as *shards*, each read where it is counted.

Shapes: n texts, m symbols of all texts, F known n-grams, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
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
Counts = npt.NDArray[np.int64]
Columns = npt.NDArray[np.int32]
P = TypeVar("P")
T = TypeVar("T")
Sorted = TypeVar("Sorted", Keys, Codes)
Numbers = TypeVar("Numbers", Counts, Array)

MIN_TEXTS_TO_PRUNE = 1000
"""From so many texts on, character n-grams of a single text are left out: they are most n-grams, and say
little."""

MAX_NGRAMS = 1_000_000
"""Known n-grams of an analyzer if there is a remainder: more make scoring slow and a saved model large."""

MAX_WAITING = 16
"""Batches whose results may wait to be added up: each can take tens of megabytes."""

_NO_KEYS = np.zeros(0, np.uint64), np.zeros(0, np.int64)


@dataclass(frozen=True)
class LabelledBatch:
    """Some texts with their labels; a shard of one batch."""

    texts: Sequence[str]
    """(n,) at least one."""
    codes: Codes
    """(n,) the index of each text's label."""
    weights: Array
    """(n,)"""

    def batches(self) -> Iterator[LabelledBatch]:
        """Yield the batch itself."""
        yield self


class TextShard(Protocol):
    """Labelled texts that may be stored elsewhere; a shard can be sent to another process."""

    def batches(self) -> Iterator[LabelledBatch]:
        """Yield the texts in small batches, each time in the same order."""


def labelled_batches(
    texts: Sequence[str], codes: Codes, weights: Array | None, max_characters: int | None = None
) -> list[LabelledBatch]:
    """Return texts in memory as batches of not too many characters."""
    weights = np.ones(len(texts)) if weights is None else weights
    size = {} if max_characters is None else {"max_characters": max_characters}
    chunks = chunks_of(texts, **size) if texts else []
    return [LabelledBatch(texts[chunk], codes[chunk], weights[chunk]) for chunk in chunks]


@dataclass
class CountedNgrams:
    """One analyzer's n-grams of some texts."""

    analyzer: NgramAnalyzer
    keys: Keys
    """(F,) the known n-grams, ascending: those of at least `min_texts` texts, remainder included."""
    min_texts: int
    remainder_texts: Counts
    """(F,) how many texts of the remainder have each n-gram."""
    contexts: Columns | None
    """(F,) see `lmclassify.classify.ngram_models.NgramModel`."""
    counts: sparse.csr_matrix
    """(n, F)"""
    lengths: Codes
    """(n,) symbols."""
    columns: Columns
    """(longest, m) as `NgramIndex.look_up` returns them."""

    def select(self, mask: npt.NDArray[np.bool_]) -> tuple[Columns, Codes, Codes, int]:
        """Return the n-grams of some of the texts, as `NgramModel.scores_from_columns` takes them."""
        lengths = self.lengths[mask]
        text_index = np.repeat(np.arange(len(lengths)), lengths)
        columns = self.columns[:, np.repeat(mask, self.lengths)]
        return columns, text_index, positions_within(lengths), len(lengths)

    def split(self, n: int) -> tuple[CountedNgrams, sparse.csr_matrix]:
        """Move the texts after the first `n` to the remainder; return also their counts, (texts, F)."""
        others = self.counts[n:]
        first = replace(
            self,
            min_texts=_min_texts(self.analyzer, n),
            remainder_texts=self.remainder_texts + np.bincount(others.indices, minlength=len(self.keys)),
            counts=self.counts[:n],
            lengths=self.lengths[:n],
            columns=self.columns[:, : self.lengths[:n].sum()],
        )
        return first, others


def _min_texts(analyzer: NgramAnalyzer, texts: int) -> int:
    return 2 if analyzer.symbols == "character" and texts >= MIN_TEXTS_TO_PRUNE else 1


def count_ngrams(
    analyzer: NgramAnalyzer,
    ordered: bool,
    batches: Sequence[LabelledBatch],
    remainder: Sequence[TextShard],
    subwords: Tokenizer | None,
    *,
    threads: int = 1,
    cluster: RayTasks | None = None,
    max_ngrams: int = MAX_NGRAMS,
) -> CountedNgrams:
    """Count the n-grams of each of some texts.

    Parameters
    ----------
    analyzer : NgramAnalyzer
    ordered : bool
        Whether to find contexts.
    batches : sequence of LabelledBatch
        n texts, at least one.
    remainder : sequence of TextShard
        More texts, whose n-grams are known too. With them, the rarest of too many n-grams are left out.
    subwords : Tokenizer or None
        Needed for n-grams of subwords only.
    threads : int, default=1
        The result does not depend on it.
    cluster : RayTasks, optional
        Count there instead of in threads; the result does not depend on it.
    max_ngrams : int, optional
        Largest number of known n-grams if there is a remainder.
    """

    def count_batch(batch: LabelledBatch) -> _BatchNgrams:
        return _BatchNgrams.count(_occurrences(analyzer, batch.texts, subwords), len(batch.texts))

    def shard_keys(shard: TextShard) -> tuple[Keys, Counts]:
        """Return the n-grams of a shard and how many of its texts have each."""
        found = map(count_batch, shard.batches())
        return _add_up(((batch.keys, batch.text_counts) for batch in found), _NO_KEYS)

    counted = list(_map(count_batch, batches, threads, cluster))
    found = ((batch.keys, batch.text_counts) for batch in counted)
    keys, text_counts = _add_up(chain(found, _map(shard_keys, remainder, threads, cluster)), _NO_KEYS)
    texts = sum(len(batch.texts) for batch in batches)
    min_texts = _min_texts(analyzer, texts)
    kept = text_counts >= min_texts
    if remainder and np.count_nonzero(kept) > max_ngrams:
        kept = text_counts > np.partition(text_counts, -max_ngrams)[-max_ngrams]
    keys, text_counts = keys[kept], text_counts[kept]
    index = NgramIndex(keys)
    contexts = np.full(len(keys), -1, dtype=np.int32) if ordered else None
    ends = np.cumsum([batch.columns.shape[1] for batch in counted])
    columns = np.empty((analyzer.longest, ends[-1]), dtype=np.int32)

    def place(number: int) -> sparse.csr_matrix:
        """Set a batch's part of the columns and contexts; return its counts."""
        batch = counted[number]
        known = index.find(batch.keys)
        end = ends[number]
        part = columns[:, end - batch.columns.shape[1] : end]
        np.append(known, np.int32(-1)).take(batch.columns, out=part, mode="wrap")  # -1 stays -1
        if contexts is not None:
            _note_contexts(contexts, part)
        batch.columns = part  # what the batch had is no longer needed
        return batch.counts_among(known, len(keys))

    counts = list(map_ordered(place, range(len(counted)), threads))
    lengths = np.concatenate([batch.lengths for batch in counted])
    rows = sparse.vstack(counts, format="csr")
    return CountedNgrams(
        analyzer,
        keys,
        min_texts,
        text_counts - np.bincount(rows.indices, minlength=len(keys)),
        contexts,
        rows,
        lengths,
        columns,
    )


@dataclass
class _BatchNgrams:
    """The n-grams of the texts of one batch, among those that the batch has."""

    keys: Keys
    """Ascending."""
    text_counts: Counts
    """How many of the texts have each n-gram."""
    lengths: Codes
    """Symbols of each text."""
    columns: Columns
    """As `NgramIndex.look_up` returns them, among `keys`."""
    rows: sparse.csr_matrix
    """(texts, n-grams) how often each text has each n-gram."""

    @classmethod
    def count(cls, occurrences: NgramOccurrences, texts: int) -> _BatchNgrams:
        """Count the n-grams of some texts."""
        keys = np.sort(occurrences.keys[occurrences.complete])
        keys = keys[_differ(keys)]
        columns = NgramIndex(keys).look_up(occurrences)
        counts = count_known(columns, occurrences.text_index, texts)
        starts = np.searchsorted(counts.text_index, np.arange(texts + 1))
        rows = sparse.csr_matrix(
            (counts.count.astype(np.float32), counts.column.astype(np.int32), starts.astype(np.int32)),
            shape=(texts, len(keys)),
        )
        text_counts = np.bincount(counts.column, minlength=len(keys))
        return cls(keys, text_counts, np.bincount(occurrences.text_index, minlength=texts), columns, rows)

    def counts_among(self, known: Columns, size: int) -> sparse.csr_matrix:
        """Return the counts of known n-grams, (texts, size), given the index of each n-gram among these."""
        column = known[self.rows.indices]
        kept = column >= 0
        starts = np.append(np.int32(0), np.cumsum(kept, dtype=np.int32))[self.rows.indptr]
        return sparse.csr_matrix(
            (self.rows.data[kept], column[kept], starts), shape=(len(self.lengths), size)
        )


@dataclass(frozen=True)
class LabelCounts:
    """N-gram counts and sizes of each label's texts."""

    counts: sparse.csr_matrix
    """(F, K) how often each label's texts have the n-grams, texts weighted."""
    texts: Array
    """(K,) how many; texts that belong to a label in part count in part."""
    weights: Array
    """(K,) sums of the texts' weights."""

    def plus(self, rows: sparse.csr_matrix, weights: sparse.csr_matrix) -> LabelCounts:
        """Return counts with more texts, each of which belongs to several labels in part.

        Parameters
        ----------
        rows : csr_matrix, (n, F)
            Counts of these texts.
        weights : csr_matrix, (n, K)
            The weight of each text for each label.
        """
        added = np.asarray(weights.sum(axis=0)).ravel()
        counts = self.counts + (rows.T @ weights).tocsr()
        return LabelCounts(counts, self.texts + added, self.weights + added)


def count_by_label(
    counted: CountedNgrams,
    shards: Sequence[TextShard],
    subwords: Tokenizer | None,
    labels: int,
    *,
    threads: int = 1,
    cluster: RayTasks | None = None,
) -> LabelCounts:
    """Count the known n-grams of each label's texts.

    Contexts that only these texts have are added to `counted`.

    Parameters
    ----------
    counted : CountedNgrams
    shards : sequence of TextShard
    subwords : Tokenizer or None
        See `count_ngrams`.
    labels : int
        K.
    threads : int, default=1
        The result does not depend on it.
    cluster : RayTasks, optional
        See `count_ngrams`.
    """
    index, analyzer = NgramIndex(counted.keys), counted.analyzer
    size, ordered = len(counted.keys), counted.contexts is not None

    def count_shard(shard: TextShard) -> tuple[Codes, Array, Columns | None, Codes, Array]:
        """Return positions in the counts, what to add there, contexts, texts and weights by label."""
        contexts = np.full(size, -1, dtype=np.int32) if ordered else None
        texts, weights = np.zeros(labels, np.intp), np.zeros(labels)

        def batch_counts() -> Iterator[tuple[Codes, Array]]:
            nonlocal texts, weights
            for batch in shard.batches():
                texts = texts + np.bincount(batch.codes, minlength=labels)
                weights = weights + np.bincount(batch.codes, batch.weights, minlength=labels)
                occurrences = _occurrences(analyzer, batch.texts, subwords)
                columns = index.look_up(occurrences)
                if contexts is not None:
                    _note_contexts(contexts, columns)
                known = columns >= 0
                text_index = np.broadcast_to(occurrences.text_index, known.shape)[known]
                positions = columns[known] * np.intp(labels) + batch.codes[text_index]
                yield _sum_by_key(positions, batch.weights[text_index])

        positions, added = _add_up(batch_counts(), (np.zeros(0, np.intp), np.zeros(0)))
        return positions, added, contexts, texts, weights

    texts, weights = np.zeros(labels), np.zeros(labels)

    def shard_counts() -> Iterator[tuple[Codes, Array]]:
        nonlocal texts, weights
        results = _map(count_shard, shards, threads, cluster)
        for positions, added, contexts, shard_texts, shard_weights in results:
            if counted.contexts is not None and contexts is not None:
                np.copyto(counted.contexts, contexts, where=contexts >= 0)
            texts, weights = texts + shard_texts, weights + shard_weights
            yield positions, added

    positions, added = _add_up(shard_counts(), (np.zeros(0, np.intp), np.zeros(0)))
    counts = sparse.csr_matrix((added, np.divmod(positions, labels)), shape=(size, labels))
    return LabelCounts(counts, texts, weights)


def _occurrences(
    analyzer: NgramAnalyzer, texts: Sequence[str], subwords: Tokenizer | None
) -> NgramOccurrences:
    return analyzer.occurrences(texts, [] if subwords is None else subwords.sequences(texts))


def _note_contexts(contexts: Columns, columns: Columns) -> None:
    """Set the contexts of the n-grams in some columns; an n-gram has the same context in every text."""
    for shorter, longer in pairwise(columns):
        ends = np.flatnonzero(longer >= 0)
        contexts[longer[ends]] = shorter[ends - 1]  # known, as no fewer texts have it


def _map(
    function: Callable[[P], T], payloads: Sequence[P], threads: int, cluster: RayTasks | None
) -> Iterator[T]:
    """Yield the function's result for each payload, in order; few results wait to be taken."""
    if cluster is not None:
        yield from cluster.map(function, payloads)
        return
    for first in range(0, len(payloads), MAX_WAITING):
        yield from map_ordered(function, payloads[first : first + MAX_WAITING], threads)


def _add_up(parts: Iterable[tuple[Sorted, Numbers]], empty: tuple[Sorted, Numbers]) -> tuple[Sorted, Numbers]:
    """Return all keys, ascending, and the sum of each key's numbers; `empty` where there are no parts."""
    whole: list[tuple[Sorted, Numbers]] = []
    waiting = 0
    for part in parts:
        whole.append(part)
        waiting += len(part[0])
        if waiting > len(whole[0][0]):  # ever more rarely, as the sum grows
            whole, waiting = [_merge(whole)], 0
    return _merge(whole or [empty])


def _merge(parts: Sequence[tuple[Sorted, Numbers]]) -> tuple[Sorted, Numbers]:
    if len(parts) == 1:
        return parts[0]
    keys, numbers = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return _sum_by_key(keys, numbers)


def _sum_by_key(keys: Sorted, numbers: Numbers) -> tuple[Sorted, Numbers]:
    """Return the distinct keys, ascending, and the sum of each key's numbers."""
    order = np.argsort(keys, kind="stable")
    keys, numbers = keys[order], numbers[order]
    starts = np.flatnonzero(_differ(keys))
    return keys[starts], np.add.reduceat(numbers, starts)


def _differ(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return whether each value differs from the one before it; the first does."""
    result = np.ones(len(values), dtype=bool)
    result[1:] = values[1:] != values[:-1]
    return result
