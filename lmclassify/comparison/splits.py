"""Random parts of labelled texts that keep the labels' shares, reproducible from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.classify.training import folds as by_code
from lmclassify.errors import OptionError

Indices = npt.NDArray[np.intp]


def stratified_folds(labels: Sequence[str], folds: int, generator: np.random.Generator) -> Indices:
    """Assign texts to folds, stratified by label.

    See `lmclassify.classify.training.folds.stratified_folds`; labels are names here.
    """
    return by_code.stratified_folds(_codes(labels), folds, generator)


def stratified_draw(labels: Sequence[str], size: int, generator: np.random.Generator) -> Indices:
    """Draw texts without replacement: in proportion to the labels, and at least one of each.

    Parameters
    ----------
    labels : sequence of str, (n,)
    size : int
        From the number of labels to n.
    generator : numpy.random.Generator

    Returns
    -------
    ndarray of int, (size,)
        Positions of the texts drawn, ascending.

    Raises
    ------
    OptionError
        If there are fewer texts to draw than labels, or more than there are texts.
    """
    codes = _codes(labels)
    counts = np.bincount(codes)
    if not len(counts) <= size <= len(codes):
        raise OptionError(
            f"{size:,} texts cannot be drawn from {len(codes):,} with {len(counts):,} labels: "
            f"the size must be from {len(counts):,} to {len(codes):,}"
        )
    ideal = counts * (size / len(codes))
    ideal += generator.uniform(-1e-6, 1e-6, len(ideal))  # equal claims are settled by chance
    quota = np.clip(np.floor(ideal).astype(np.intp), 1, counts)
    while quota.sum() > size:
        quota[np.argmax(np.where(quota > 1, quota - ideal, -np.inf))] -= 1
    while quota.sum() < size:
        quota[np.argmax(np.where(quota < counts, ideal - quota, -np.inf))] += 1
    drawn = [
        generator.choice(np.flatnonzero(codes == code), share, replace=False)
        for code, share in enumerate(quota)
    ]
    return np.sort(np.concatenate(drawn))


def _codes(labels: Sequence[str]) -> Indices:
    return np.unique(np.asarray(labels, dtype=object), return_inverse=True)[1].astype(np.intp)
