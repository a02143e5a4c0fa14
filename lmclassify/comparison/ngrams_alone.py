"""The n-gram parts of recipe "tuned" without language models: what the LSTMs have to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.scoring import ngram_scores
from lmclassify.classify.training.recipes import TrainingData, learn_ngrams


class NgramsAlone:
    """N-gram models and their combination, learnt as in recipe "tuned"; for `lmclassify.comparison.methods`.

    Parameters
    ----------
    seed, threads : int
    """

    def __init__(self, seed: int, threads: int) -> None:
        self._seed, self._threads = seed, threads

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> NgramsAlone:
        """Learn."""
        lesson = TrainingData.of(texts, labels, self._seed)
        self.classes_ = lesson.classes
        self._experts = learn_ngrams(lesson, self._threads, np.random.default_rng(self._seed))
        return self

    def predict_proba(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return probabilities, (n, K)."""
        experts = self._experts
        sequences = experts.subwords.sequences(list(texts))
        scores = ngram_scores(experts.models, texts, sequences, threads=self._threads)
        return np.exp(log_softmax(experts.combination.joint(scores)))
