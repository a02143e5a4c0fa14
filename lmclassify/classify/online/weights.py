"""The weights that lessons have changed, and the scores they give (numpy).

Shapes: n texts, K labels, R buckets with a weight, w words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.classify.linear_ngrams import attribute_to_words, weighted_sums
from lmclassify.classify.online.features import BUCKET_BITS, GROUPS, FeatureGroup, buckets_of, values_of
from lmclassify.classify.online.lesson import Move
from lmclassify.lm.ngram.index import count_known, merge_counts
from lmclassify.text.ngrams import NgramOccurrences
from lmclassify.text.words import Span

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_FIRST_ROWS = 1 << 10


class LessonWeights:
    """One weight per bucket and label, 0 until a lesson changes it.

    Parameters
    ----------
    labels : int
        K.
    """

    def __init__(self, labels: int) -> None:
        self._row_of_bucket = np.full(1 << BUCKET_BITS, -1, dtype=np.int32)
        self._size = 0
        self._buckets = np.zeros(_FIRST_ROWS, dtype=np.uint32)
        self._weights = np.zeros((_FIRST_ROWS, labels), dtype=np.float32)
        self._lessons = np.zeros(_FIRST_ROWS, dtype=np.uint32)

    @classmethod
    def from_arrays(
        cls,
        buckets: npt.NDArray[np.uint32],
        weights: npt.NDArray[np.float32],
        lessons: npt.NDArray[np.uint32],
    ) -> LessonWeights:
        """Make the weights that have these `buckets`, `weights` and `lessons`.

        Raises
        ------
        ValueError
            If they do not fit one another.
        """
        fits = buckets.ndim == 1 and buckets.shape == lessons.shape == weights.shape[:1]
        if not fits or len(np.unique(buckets)) != len(buckets) or buckets.max(initial=0) >> BUCKET_BITS:
            raise ValueError("weights of lessons that do not fit one another")
        if not np.isfinite(weights).all():
            raise ValueError("a weight of a lesson that is not finite")
        result = cls(weights.shape[1])
        rows = result._rows(buckets)
        result._weights[rows], result._lessons[rows] = weights, lessons
        return result

    @property
    def buckets(self) -> npt.NDArray[np.uint32]:
        """(R,)"""
        return self._buckets[: self._size]

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        """(R, K)"""
        return self._weights[: self._size]

    @property
    def lessons(self) -> npt.NDArray[np.uint32]:
        """(R,) how many lessons have changed the bucket's weights."""
        return self._lessons[: self._size]

    def lessons_of(self, buckets: npt.NDArray[np.uint32]) -> Array:
        """Return how many lessons have changed the weights of each of some buckets."""
        rows = self._row_of_bucket[buckets]
        return np.where(rows >= 0, self._lessons[rows], 0).astype(np.float64)

    def apply(self, move: Move, sign: int = 1) -> None:
        """Change weights by a move; with sign -1 take the move back.

        Rehearsals, and moves that change nothing, do not count as lessons.
        """
        rows = self._rows(move.buckets)
        change = np.zeros((len(rows), self._weights.shape[1]), dtype=np.float32)
        change[:, move.labels] = sign * move.change()
        np.add.at(self._weights, rows, change)  # groups may share a bucket
        if move.owner is None and len(move.labels):
            np.add.at(self._lessons, rows, np.uint32(1) if sign > 0 else np.uint32(2**32 - 1))

    def score_of(self, buckets: npt.NDArray[np.uint32], values: Array) -> Array:
        """Return what the weights add to the joint log-probabilities of a text with these features, (K,)."""
        rows = self._row_of_bucket[buckets]
        known = rows >= 0
        scores: Array = values[known] @ self._weights[rows[known]].astype(np.float64)
        return scores

    def _rows(self, buckets: npt.NDArray[np.uint32]) -> Indices:
        """Return the row of each bucket; new buckets get one."""
        new = np.unique(buckets[self._row_of_bucket[buckets] < 0])
        end = self._size + len(new)
        while end > len(self._buckets):
            self._buckets, self._weights, self._lessons = (
                np.concatenate([array, np.zeros_like(array)])
                for array in (self._buckets, self._weights, self._lessons)
            )
        self._buckets[self._size : end] = new
        self._row_of_bucket[new] = np.arange(self._size, end)
        self._size = end
        return self._row_of_bucket[buckets].astype(np.intp)

    def scores(self, texts: Sequence[str]) -> Array:
        """Return what the weights add to the joint log-probabilities of texts, (n, K) nats."""
        result = np.zeros((len(texts), self._weights.shape[1]))
        for group in GROUPS:
            counts, numbers = [], np.zeros(len(texts))
            for occurrences, overlap in group.analyzer.chunks(texts, []):
                columns, text_index = self._columns(group, occurrences), occurrences.text_index
                counts.append(count_known(columns[:, overlap:], text_index[overlap:], len(texts)))
                numbers += group.numbers(occurrences, len(texts), overlap)
            found = merge_counts(counts)
            result += weighted_sums(found, values_of(numbers)[found.text_index], self._weights)
        return result

    def word_scores(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]], starts: Indices, rows: int
    ) -> Array:
        """Return `scores` attributed to the words of texts, (w, K).

        Parameters
        ----------
        texts : sequence of str, (n,)
        spans : sequence of sequence of (int, int), (n,)
            Start and end of each word.
        starts : ndarray of int, (n,)
            The row of each text's first word.
        rows : int
            w. A text has one row more than words: its end.
        """
        result = np.zeros((rows, self._weights.shape[1]))
        for group in GROUPS:
            occurrences = group.analyzer.occurrences(texts, [])
            columns = self._columns(group, occurrences)
            counts = count_known(columns, occurrences.text_index, len(texts))
            values = values_of(group.numbers(occurrences, len(texts)))[counts.text_index]
            first, last = group.analyzer.words(texts, spans, [])
            first_rows = starts[occurrences.text_index]
            words = first_rows + first, first_rows + last
            result += attribute_to_words(
                counts, values, self._weights, columns, occurrences.text_index, words, rows
            )
        return result

    def _columns(self, group: FeatureGroup, occurrences: NgramOccurrences) -> npt.NDArray[np.int32]:
        """Return the row of each n-gram, -1 for those without a weight, (N, m)."""
        columns = np.full(occurrences.keys.shape, -1, dtype=np.int32)
        lengths = slice(group.shortest - 1, None)
        columns[lengths] = self._row_of_bucket[buckets_of(occurrences.keys[lengths])]
        columns[~group.used(occurrences)] = -1
        return columns

    def copy(self) -> LessonWeights:
        """Return weights of their own."""
        return LessonWeights.from_arrays(self.buckets, self.weights, self.lessons)

    def with_labels(self, kept: Sequence[int | None]) -> LessonWeights:
        """Return the weights of other labels: for each its index until now, None for a new one."""
        weights = np.zeros((self._size, len(kept)), dtype=np.float32)
        for index, old in enumerate(kept):
            if old is not None:
                weights[:, index] = self.weights[:, old]
        return LessonWeights.from_arrays(self.buckets, weights, self.lessons)
