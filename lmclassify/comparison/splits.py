"""Stratified folds and samples of labelled texts, reproducible from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.classify.training import data as by_code
from lmclassify.errors import OptionError, counted

Indices = npt.NDArray[np.intp]


def stratified_folds(labels: Sequence[str], folds: int, generator: np.random.Generator) -> Indices:
    """Assign texts to folds, stratified by label.

    See `lmclassify.classify.training.data.stratified_folds`, which takes label codes instead of names.
    """
    return by_code.stratified_folds(_codes(labels), folds, generator)


def proportional_sample(labels: Sequence[str], size: int, generator: np.random.Generator) -> Indices:
    """Sample texts without replacement, in proportion to the labels and at least one of each.

    Raises OptionError if `size` is less than the number of labels or more than n.

    Parameters
    ----------
    labels : sequence of str, (n,)
    size : int
        From the number of labels to n.

    Returns
    -------
    ndarray of int, (size,)
        Indices of the texts, ascending.
    """
    codes = _codes(labels)
    counts = np.bincount(codes)
    if not len(counts) <= size <= len(codes):
        raise OptionError(
            f"{counted(size, 'text')} cannot be sampled from {len(codes):,} "
            f"with {counted(len(counts), 'label')}: "
            f"the size must be from {len(counts):,} to {len(codes):,}"
        )
    ideal = counts * (size / len(codes))
    ideal += generator.uniform(-1e-6, 1e-6, len(ideal))  # break ties at random
    quota = np.clip(np.floor(ideal).astype(np.intp), 1, counts)
    while quota.sum() > size:
        quota[np.argmax(np.where(quota > 1, quota - ideal, -np.inf))] -= 1
    while quota.sum() < size:
        quota[np.argmax(np.where(quota < counts, ideal - quota, -np.inf))] += 1
    chosen = [
        generator.choice(np.flatnonzero(codes == code), count, replace=False)
        for code, count in enumerate(quota)
    ]
    return np.sort(np.concatenate(chosen))


def _codes(labels: Sequence[str]) -> Indices:
    return np.unique(np.asarray(labels, dtype=object), return_inverse=True)[1].astype(np.intp)
