"""Texts dealt out to folds so that every fold has its share of each label."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.intp]


def deal(codes: Codes, folds: int, generator: np.random.Generator) -> Codes:
    """Deal texts out to folds, label by label.

    Any number of texts per label will do: the texts of a label go to as many folds as there are texts.

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
    shuffled = generator.permutation(len(codes))
    by_label = shuffled[np.argsort(codes[shuffled], kind="stable")]
    result = np.empty(len(codes), dtype=np.intp)
    result[by_label] = np.arange(len(codes)) % folds
    return result
