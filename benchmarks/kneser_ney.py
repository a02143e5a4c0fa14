"""The n-gram language model to hold others against: interpolated, modified Kneser-Ney (numpy).

Chen & Goodman (1998), estimated as KenLM's ``lmplz`` does (Heafield et al. 2013): three discounts for each
length of n-gram follow from counts of counts.

Shapes: G n-grams of one length.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.lm.ngram.token_ngrams import TokenNgrams

Array = npt.NDArray[np.float64]

_FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])  # KenLM's, where n-grams are too few to estimate discounts


class KneserNey(TokenNgrams):
    """See `TokenNgrams`: the same counts, with discounts in place of Witten & Bell's rule."""

    @staticmethod
    def _taken(counts: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        taken = discounts(counts)[np.minimum(counts, 3)]
        return counts - taken, taken


def discounts(counts: npt.NDArray[Any]) -> Array:
    """Return what is taken from n-grams that count 0, 1, 2 and 3 or more (Chen & Goodman 1998, eq. 26)."""
    one, two, three, four = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if not (one and two and three and four):
        return _FALLBACK
    y = one / (one + 2 * two)
    found = np.array([0.0, 1 - 2 * y * two / one, 2 - 3 * y * three / two, 3 - 4 * y * four / three])
    return found if (found >= 0).all() and (found <= [0, 1, 2, 3]).all() else _FALLBACK
