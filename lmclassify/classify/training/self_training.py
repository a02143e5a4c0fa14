"""Self-training: texts without label are learned with the labels that a first model guesses.

This is one step of expectation-maximization (Nigam, McCallum, Thrun & Mitchell 2000, "Text classification
from labeled and unlabeled documents using EM"): a model of the labelled texts gives each other text a
probability of each label, and the likelihoods of the n-gram experts are counted again with all texts, each
one counted for each label with this probability. Linear experts learn from labelled texts only. Held-out
scores stay honest: the guesses for a fold are by a model that has not seen the fold.

Shapes: n labelled texts, u unlabelled ones, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lmclassify.classify.training.data import TrainingData
from lmclassify.classify.training.ngram_counts import LabelledBatch, labelled_batches

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

MAX_LABELLED, MAX_UNLABELLED = 5_000, 3_000
"""With more labelled texts, unlabelled ones add next to nothing; more unlabelled ones take long."""
WEIGHT = 0.3
"""Of an unlabelled text, relative to a labelled one."""
MIN_PROBABILITY = 0.05
"""A text is not counted for less probable labels, which saves memory with many labels."""
NUM_GUESSES = 5
"""Models that guess for held-out texts: each has not seen every fifth fold."""


@dataclass(frozen=True)
class GuessedLabels:
    """Unlabelled texts with the probability of each label."""

    texts: Sequence[str]
    """(u,)"""
    folds: Codes
    """(n,) the fold of each labelled text."""
    weights: list[sparse.csr_matrix]
    """(u, K) each: of each fold by a model that has not seen it, and of a model of all texts."""

    def batches(self) -> list[LabelledBatch]:
        """Return the texts as batches; their labels mean nothing."""
        return labelled_batches(self.texts, np.zeros(len(self.texts), dtype=np.intp), None)


def learns_unlabelled(data: TrainingData) -> bool:
    """Return whether the n-gram experts learn from the unlabelled texts."""
    return bool(data.unlabelled) and len(data.texts) <= MAX_LABELLED and not data.remainder_size


def guess_labels(texts: Sequence[str], folds: Codes, posteriors: Callable[[Codes], Array]) -> GuessedLabels:
    """Return the labels of unlabelled texts for each fold.

    Parameters
    ----------
    texts : sequence of str, (u,)
    folds : ndarray of int, (n,)
    posteriors : callable
        Returns the probability of each label, (u, K), by a model of the labelled texts with these indices.
    """
    number = int(folds.max()) + 1
    passes = min(NUM_GUESSES, number)
    by_pass = [_weights(posteriors(np.flatnonzero(folds % passes != rest))) for rest in range(passes)]
    whole = _weights(posteriors(np.arange(len(folds))))
    return GuessedLabels(texts, folds, [*(by_pass[fold % passes] for fold in range(number)), whole])


def _weights(posteriors: Array) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.where(posteriors >= MIN_PROBABILITY, WEIGHT * posteriors, 0.0))
