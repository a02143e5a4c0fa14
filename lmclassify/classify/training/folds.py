"""Texts dealt out to folds or drawn into a sample, so that each label has its share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lmclassify.text.sequences import positions_within

Codes = npt.NDArray[np.intp]

MOST_TEXTS = 100_000
"""That recipe "tuned" learns everything from: more would take too much time and memory."""

LEAST_DRAWN = 10  # of a label's texts, however small its share


def stratified_folds(codes: Codes, folds: int, generator: np.random.Generator) -> Codes:
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
    result = np.empty(len(codes), dtype=np.intp)
    result[_by_label(codes, generator)] = np.arange(len(codes)) % folds
    return result


def stratified_sample(codes: Codes, most: int, generator: np.random.Generator) -> Codes:
    """Draw a sample of texts, as many of each label as its share asks for, and a few of the rarest.

    Parameters
    ----------
    codes : ndarray of int, (n,)
        Index of each text's label.
    most : int
        About how many texts to draw; with no more than these, the sample is all of them.
    generator : numpy.random.Generator

    Returns
    -------
    ndarray of int, (s,)
        Indices of texts, ascending.
    """
    if len(codes) <= most:
        return np.arange(len(codes))
    by_label = _by_label(codes, generator)
    texts_of = np.bincount(codes)
    place = positions_within(texts_of)
    wanted = np.maximum(np.rint(texts_of * (most / len(codes))), LEAST_DRAWN)
    return np.sort(by_label[place < wanted[codes[by_label]]])


def _by_label(codes: Codes, generator: np.random.Generator) -> Codes:
    """Return the indices of texts, label by label, shuffled within each."""
    shuffled = generator.permutation(len(codes))
    return shuffled[np.argsort(codes[shuffled], kind="stable")]
