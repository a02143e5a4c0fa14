"""The features that lessons have weights for: words, pairs of words, and n-grams of characters, hashed.

Shapes: n texts, m symbols of all texts, N the longest n-gram of an analyzer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmclassify.text.ngrams import Keys, NgramAnalyzer, NgramOccurrences

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Buckets = npt.NDArray[np.uint32]

BUCKET_BITS = 20
"""N-grams are hashed into a million buckets (feature hashing, Weinberger et al. 2009). N-grams that share a
bucket share a weight."""


@dataclass(frozen=True)
class FeatureGroup:
    """The n-grams of one analyzer that are features.

    Each text's features of a group have the same value, so that a group has Euclidean norm 1 whatever the
    length of the text.
    """

    analyzer: NgramAnalyzer
    shortest: int
    """In symbols."""

    def used(self, occurrences: NgramOccurrences) -> npt.NDArray[np.bool_]:
        """Return which n-grams are features, (N, m)."""
        used = occurrences.complete
        used[: self.shortest - 1] = False
        return used

    def numbers(self, occurrences: NgramOccurrences, texts: int, overlap: int = 0) -> Array:
        """Return how many features each text has, repeated ones included, (n,).

        N-grams that end in the first `overlap` symbols do not count.
        """
        used = self.used(occurrences)[:, overlap:].sum(axis=0)
        return np.bincount(occurrences.text_index[overlap:], used, minlength=texts).astype(np.float64)


GROUPS = (
    FeatureGroup(NgramAnalyzer("marked-word", 2), shortest=1),
    FeatureGroup(NgramAnalyzer("character", 4), shortest=4),
)


def values_of(numbers: Array) -> Array:
    """Return the value of a group's features in each text, (n,), from their number in the text."""
    values: Array = 1.0 / np.sqrt(np.maximum(1.0, numbers) * len(GROUPS))
    return values


def buckets_of(keys: Keys) -> npt.NDArray[np.int64]:
    """Return the bucket of each n-gram."""
    return (keys >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)


@dataclass(frozen=True)
class TextFeatures:
    """The distinct features of one text, one after the other by group."""

    buckets: Buckets
    keys: Keys
    """The key of one n-gram of each bucket."""
    values: Array
    group: Indices
    """Index in `GROUPS`, ascending."""


def features_of(text: str) -> TextFeatures:
    """Return the features of a text."""
    found: list[tuple[Keys, Array, Indices]] = []
    for number, group in enumerate(GROUPS):
        occurrences = group.analyzer.occurrences([text], [])
        keys = occurrences.keys[group.used(occurrences)]
        _, first = np.unique(buckets_of(keys), return_index=True)
        value = values_of(np.array([float(len(keys))]))
        found.append((keys[first], np.repeat(value, len(first)), np.full(len(first), number)))
    keys, values, group_of = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return TextFeatures(buckets_of(keys).astype(np.uint32), keys, values, group_of)
