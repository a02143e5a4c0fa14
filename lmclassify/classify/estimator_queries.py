"""The estimator's methods that ask the fitted model and change nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.data_frames import Texts
from lmclassify.classify.explain import Explanation, InformativeWord
from lmclassify.classify.model import FittedModel
from lmclassify.classify.next_words import Suggestion
from lmclassify.classify.thresholds import PositiveThreshold

Array = npt.NDArray[np.float64]


class ModelQueries(ABC):
    """Methods of `lmclassify.LMClassifier` that `FittedModel` has, too."""

    @abstractmethod
    def _fitted(self) -> FittedModel:
        """Return the fitted model."""

    def log_likelihood(self, X: Texts) -> Array:
        """See `FittedModel.log_likelihood`."""
        return self._fitted().log_likelihood(X)

    def predict_joint_log_proba(self, X: Texts) -> Array:
        """See `FittedModel.predict_joint_log_proba`."""
        return self._fitted().predict_joint_log_proba(X)

    def predict_log_proba(self, X: Texts) -> Array:
        """See `FittedModel.predict_log_proba`."""
        return self._fitted().predict_log_proba(X)

    def predict_proba(self, X: Texts) -> Array:
        """See `FittedModel.predict_proba`."""
        return self._fitted().predict_proba(X)

    def predict(self, X: Texts) -> npt.NDArray[Any]:
        """See `FittedModel.predict`."""
        return self._fitted().predict(X)

    def decision_function(self, X: Texts) -> Array:
        """See `FittedModel.decision_function`."""
        return self._fitted().decision_function(X)

    def perplexity(self, X: Texts, label: object) -> float:
        """See `FittedModel.perplexity`."""
        return self._fitted().perplexity(X, label)

    def suggest(self, prefix: str, label: object = None, n: int = 5) -> list[Suggestion]:
        """See `FittedModel.suggest`."""
        return self._fitted().suggest(prefix, label, n)

    def explain(
        self, text: str, label: object = None, against: object = None, *, brief: bool = False
    ) -> Explanation:
        """See `FittedModel.explain`."""
        return self._fitted().explain(text, label, against, brief=brief)

    def novelty(self, X: Texts) -> Array:
        """See `FittedModel.novelty`."""
        return self._fitted().novelty(X)

    def unknown_threshold(self, rate: float = 0.05) -> float:
        """See `FittedModel.unknown_threshold`."""
        return self._fitted().unknown_threshold(rate)

    def positive_threshold(self, positive: object, max_false_positive_rate: float) -> PositiveThreshold:
        """See `FittedModel.positive_threshold`."""
        return self._fitted().positive_threshold(positive, max_false_positive_rate)

    def informative_words(self, X: Texts, n: int = 10) -> dict[str, list[InformativeWord]]:
        """See `FittedModel.informative_words`."""
        return self._fitted().informative_words(X, n)

    def read_mail(self, data: bytes) -> str:
        """See `FittedModel.read_mail`."""
        return self._fitted().read_mail(data)
