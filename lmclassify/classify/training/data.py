"""The data of a fit: labelled texts, their split into training and validation part, folds and samples.

Shapes: n texts, K labels, s texts of a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.thresholds import subsample
from lmclassify.classify.training.ngram_counts import TextShard
from lmclassify.text.sequences import positions_within

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

MIN_SAMPLED_PER_LABEL = 10
"""A sample keeps at least so many texts of each label that has them: fewer say little about a label."""


@dataclass
class TrainingData:
    """Labelled texts."""

    texts: list[str]
    classes: npt.NDArray[Any]
    """(K,) the labels, sorted."""
    codes: Codes
    """(n,) the index of each text's label."""
    weights: Array | None
    """(n,) of the texts; None where all are 1."""
    label_weights: Array
    """(K,) sum of the weights of each label's texts, those of the remainder included."""
    log_priors: Array
    """(K,) the priors of the fitted model."""
    seed: int
    unlabelled: list[str] = field(default_factory=list)
    """Further texts for the background model and its vocabulary."""
    remainder: Sequence[TextShard] = ()
    """More labelled texts, read where they are; recipe tuned counts their n-grams only."""
    remainder_size: int = 0
    """Number of texts of the remainder."""

    @classmethod
    def from_labels(cls, texts: Sequence[str], labels: Sequence[str], seed: int) -> TrainingData:
        """Return data in which every text has weight 1 and the priors are the labels' shares."""
        classes, codes = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
        label_weights = np.bincount(codes).astype(np.float64)
        log_priors = np.log(label_weights / label_weights.sum())
        return cls(list(texts), classes, codes, None, label_weights, log_priors, seed)

    @property
    def log_frequencies(self) -> Array:
        """(K,) logarithms of the labels' shares of the weights."""
        log_frequencies: Array = np.log(self.label_weights / self.label_weights.sum())
        return log_frequencies

    def select(self, indices: Codes, max_unlabelled: int) -> TrainingData:
        """Return data of some of the texts, and of a sample of the unlabelled ones if they are too many."""
        unlabelled = subsample(len(self.unlabelled), max_unlabelled, self.seed)
        return replace(
            self,
            texts=[self.texts[index] for index in indices],
            codes=self.codes[indices],
            weights=self.weights_of(indices),
            unlabelled=[self.unlabelled[index] for index in unlabelled],
        )

    def weights_of(self, indices: Codes) -> Array | None:
        """Return the weights of some of the texts; None where all are 1."""
        return None if self.weights is None else self.weights[indices]


@dataclass
class DataSplit:
    """Training and validation part of one language model, as indices into all texts."""

    label: Any
    training: Codes
    validation: Codes
    seed: int


def split_label(label: Any, indices: Codes, fraction: float, seed: list[int]) -> DataSplit:
    """Split one label's texts; the validation part has at least one of two or more texts."""
    rng = np.random.default_rng(seed)
    size = round(fraction * len(indices))
    if fraction and len(indices) > 1:
        size = max(1, size)
    shuffled = rng.permutation(indices)
    return DataSplit(label, np.sort(shuffled[size:]), np.sort(shuffled[:size]), int(rng.integers(2**31)))


def stratified_folds(codes: Codes, folds: int, generator: np.random.Generator) -> Codes:
    """Assign texts to folds, stratified by label.

    Labels may have fewer texts than there are folds: their texts go to different folds.

    Parameters
    ----------
    codes : ndarray of int, (n,)
        Index of each text's label.
    folds : int
    generator : numpy.random.Generator

    Returns
    -------
    ndarray of int, (n,)
        Each text's fold, from 0.
    """
    result = np.empty(len(codes), dtype=np.intp)
    result[_by_label(codes, generator)] = np.arange(len(codes)) % folds
    return result


def stratified_sample(
    codes: Codes, size: int, generator: np.random.Generator, min_per_label: int = MIN_SAMPLED_PER_LABEL
) -> Codes:
    """Sample texts without replacement, stratified by label, with a few of the rarest labels in any case.

    Parameters
    ----------
    codes : ndarray of int, (n,)
        Index of each text's label.
    size : int
        Number of texts, roughly. If there are no more texts than `size`, all are returned.
    generator : numpy.random.Generator
    min_per_label : int, optional
        Every label has at least so many texts in the sample, if it has them at all.

    Returns
    -------
    ndarray of int, (s,)
        Indices of texts, ascending.
    """
    if len(codes) <= size:
        return np.arange(len(codes))
    by_label = _by_label(codes, generator)
    counts = np.bincount(codes)
    wanted = np.maximum(np.rint(counts * (size / len(codes))), min_per_label)
    return np.sort(by_label[positions_within(counts) < wanted[codes[by_label]]])


def _by_label(codes: Codes, generator: np.random.Generator) -> Codes:
    """Return the indices of texts, label by label, shuffled within each."""
    shuffled = generator.permutation(len(codes))
    return shuffled[np.argsort(codes[shuffled], kind="stable")]
