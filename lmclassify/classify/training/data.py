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
from lmclassify.classify.training.groups import separable
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
    groups: Codes | None = None
    """(n,) the index of each text's group, whose texts stand in one part of each split; None: texts stand
    alone."""

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
            groups=None if self.groups is None else self.groups[indices],
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


def split_label(
    label: Any,
    indices: Codes,
    fraction: float,
    seed: list[int],
    held_out: npt.NDArray[np.bool_] | None = None,
) -> DataSplit:
    """Split one label's texts; the validation part has at least one of two or more texts.

    `held_out` (n,) says which texts belong to the validation part; None: drawn at random.
    """
    rng = np.random.default_rng(seed)
    if held_out is not None:
        part = held_out[indices]
        return DataSplit(label, indices[~part], indices[part], int(rng.integers(2**31)))
    size = round(fraction * len(indices))
    if fraction and len(indices) > 1:
        size = max(1, size)
    shuffled = rng.permutation(indices)
    return DataSplit(label, np.sort(shuffled[size:]), np.sort(shuffled[:size]), int(rng.integers(2**31)))


def stratified_folds(
    codes: Codes, folds: int, generator: np.random.Generator, groups: Codes | None = None
) -> Codes:
    """Assign texts to folds, stratified by label.

    Labels may have fewer texts than there are folds: their texts go to different folds.

    Parameters
    ----------
    codes : ndarray of int, (n,)
        Index of each text's label.
    folds : int
    generator : numpy.random.Generator
    groups : ndarray of int, (n,), optional
        Index of each text's group; texts of one group go to one fold, except those of a label that has one
        group only. Then folds may differ in size, and be empty if there are few groups.

    Returns
    -------
    ndarray of int, (n,)
        Each text's fold, from 0.
    """
    if groups is not None:
        return _grouped_folds(codes, folds, generator, separable(groups, codes))
    result = np.empty(len(codes), dtype=np.intp)
    result[_by_label(codes, generator)] = np.arange(len(codes)) % folds
    return result


def _grouped_folds(codes: Codes, folds: int, generator: np.random.Generator, groups: Codes) -> Codes:
    """Assign each group to a fold: large groups first, each where its labels have fewest texts so far."""
    result = np.empty(len(codes), dtype=np.intp)
    sizes = np.bincount(groups)
    by_group = np.argsort(groups, kind="stable")
    ends = np.cumsum(sizes)
    shuffled = generator.permutation(len(sizes))
    counts = np.zeros((folds, codes.max() + 1))
    shares = 1.0 / np.maximum(1, np.bincount(codes))
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        rows = by_group[ends[group] - sizes[group] : ends[group]]
        labels, texts = np.unique(codes[rows], return_counts=True)
        crowding = (counts[:, labels] * (texts * shares[labels])).sum(axis=1)
        fold = int(np.lexsort((counts.sum(axis=1), crowding))[0])
        counts[fold, labels] += texts
        result[rows] = fold
    return result


def held_out_part(
    codes: Codes, fraction: float, generator: np.random.Generator, groups: Codes | None = None
) -> npt.NDArray[np.bool_]:
    """Return which texts to hold out, (n,): a stratified part; every label has a text outside it.

    Parameters
    ----------
    codes : ndarray of int, (n,)
        Index of each text's label.
    fraction : float
        Share of the texts; if there are few groups, the part may be larger.
    generator : numpy.random.Generator
    groups : ndarray of int, (n,), optional
        See `stratified_folds`.
    """
    folds = stratified_folds(codes, max(2, round(1 / fraction)), generator, groups)
    chosen = 0
    if groups is not None:  # one fold may hold a large group: take the one nearest to the share
        sizes = np.bincount(folds)
        chosen = int(np.argmin(np.where(sizes, np.abs(sizes - fraction * len(codes)), np.inf)))
    held_out: npt.NDArray[np.bool_] = folds == chosen
    trained_on = np.bincount(codes[~held_out], minlength=codes.max() + 1) > 0
    return held_out & trained_on[codes]


def stratified_sample(
    codes: Codes,
    size: int,
    generator: np.random.Generator,
    min_per_label: int = MIN_SAMPLED_PER_LABEL,
    groups: Codes | None = None,
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
    groups : ndarray of int, (n,), optional
        Index of each text's group; a group is drawn whole.

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
    if groups is None:
        return np.sort(by_label[positions_within(counts) < wanted[codes[by_label]]])
    return _grouped_sample(codes, wanted, generator, groups)


def _grouped_sample(
    codes: Codes, wanted: npt.NDArray[np.float64], generator: np.random.Generator, groups: Codes
) -> Codes:
    """Return the texts of groups drawn at random, each taken while one of its labels has too few texts."""
    missing = wanted.copy()
    by_group = np.argsort(groups, kind="stable")
    parts = np.split(by_group, np.cumsum(np.bincount(groups))[:-1])
    chosen = []
    for group in generator.permutation(len(parts)):
        rows = parts[group]
        if len(rows) and (missing[codes[rows]] > 0).any():
            chosen.append(rows)
            np.subtract.at(missing, codes[rows], 1)
    return np.sort(np.concatenate(chosen))


def _by_label(codes: Codes, generator: np.random.Generator) -> Codes:
    """Return the indices of texts, label by label, shuffled within each."""
    shuffled = generator.permutation(len(codes))
    return shuffled[np.argsort(codes[shuffled], kind="stable")]
