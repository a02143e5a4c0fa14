"""N-gram language model with interpolated, modified Kneser-Ney smoothing, as a baseline (numpy).

Chen & Goodman (1998), estimated as KenLM's ``lmplz`` does (Heafield et al. 2013): three discounts for each
n-gram length follow from counts of counts.

Shapes: G n-grams of one length.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.lm.ngram.token_ngrams import TokenNgrams

Array = npt.NDArray[np.float64]

_FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])  # KenLM's values for too few n-grams to estimate discounts


class KneserNey(TokenNgrams):
    """Like `TokenNgrams`, with Kneser-Ney discounts instead of Witten-Bell smoothing."""

    @staticmethod
    def _kept_and_left(counts: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        taken = discounts(counts)[np.minimum(counts, 3)]
        return counts - taken, taken


def discounts(counts: npt.NDArray[Any]) -> Array:
    """Return the discounts of n-grams with counts 0, 1, 2 and 3 or more (Chen & Goodman 1998, eq. 26)."""
    one, two, three, four = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if not (one and two and three and four):
        return _FALLBACK
    y = one / (one + 2 * two)
    found = np.array([0.0, 1 - 2 * y * two / one, 2 - 3 * y * three / two, 3 - 4 * y * four / three])
    return found if (found >= 0).all() and (found <= [0, 1, 2, 3]).all() else _FALLBACK
