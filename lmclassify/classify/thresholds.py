"""Scores of held-out texts, and the thresholds that are computed from them (numpy).

Held-out texts were not used to train the models that scored them. Only numbers are kept; the texts cannot be
reconstructed from them.

Shapes: m held-out texts, K labels, S features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import log_softmax
from lmclassify.errors import DataError, OptionError

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

MAX_SCORES = 1 << 20
"""Largest number of joint log-probabilities kept (m times K): 4 MB of a saved model. Of more texts a random
sample is kept, which is enough for a threshold."""
MAX_TEXTS = 2000
"""Largest number of held-out texts kept with few labels: enough to fit one more label beside them."""
MAX_EXPERT_SCORES = 1 << 21
"""Largest number of experts' scores kept with these texts: 8 MB of a saved model."""
MIN_LOG_ODDS = -700.0
"""Lowest threshold: its probability is still a positive number."""
MIN_POSITIVES = 10
"""Held-out texts of a label: the share of fewer ones that a threshold finds is uncertain by 15 points."""


@dataclass(frozen=True)
class PositiveThreshold:
    """The lowest log-odds at which a text is positive, and the resulting counts on held-out text."""

    log_odds: float
    """Of the positive label against all others together."""
    negatives: int
    """Held-out texts of other labels."""
    false_positives: int
    """How many of them are classified as positive."""
    positives: int
    """Held-out texts of the label."""
    found: int
    """How many of them are classified as positive."""

    @property
    def probability(self) -> float:
        """The threshold as a probability."""
        return float(np.exp(-np.logaddexp(0.0, -self.log_odds)))


@dataclass(frozen=True)
class HeldOut:
    """Scores of held-out texts, rounded to the precision of the saved model."""

    joint: Floats
    """(m, K) joint log-probabilities, nats."""
    codes: npt.NDArray[np.int32]
    """(m,) true labels."""
    ood_features: Floats
    """(m, S); see `lmclassify.classify.novelty`."""
    cross_entropies: Floats
    """(m,) nats per word; see `lmclassify.classify.novelty.cross_entropies`."""

    def __post_init__(self) -> None:
        m = self.codes.size
        scores = (self.joint, self.ood_features, self.cross_entropies)
        sizes = [array.ndim for array in (*scores, self.codes)]
        if sizes != [2, 2, 1, 1] or any(len(array) != m for array in scores):
            raise ValueError("held-out scores that do not fit one another")
        if not all(np.isfinite(array).all() for array in scores):
            raise ValueError("a held-out score is not finite")
        _require_labels(self.codes, self.joint.shape[1])

    @classmethod
    def from_scores(
        cls, joint: Array, codes: npt.NDArray[np.intp], ood_features: Array, cross_entropies: Array
    ) -> HeldOut:
        """Return scores rounded to 32 bits."""
        return cls(
            joint.astype(np.float32),
            codes.astype(np.int32),
            ood_features.astype(np.float32),
            cross_entropies.astype(np.float32),
        )

    @classmethod
    def empty(cls, labels: int) -> HeldOut:
        """Return the scores of a model of so many labels that was fitted without held-out texts."""
        return cls.from_scores(np.zeros((0, labels)), np.zeros(0, np.intp), np.zeros((0, 1)), np.zeros(0))

    def sample(self, seed: int, max_scores: int = MAX_SCORES) -> HeldOut:
        """Return the scores of a random sample of the texts, at most `max_scores` joint ones."""
        most = max(1, max_scores // self.joint.shape[1])
        return self.rows(subsample(len(self.codes), most, seed))

    def rows(self, chosen: npt.NDArray[Any]) -> HeldOut:
        """Return the scores of some of the texts."""
        return HeldOut(*(array[chosen] for array in vars(self).values()))

    def without_label(self, label: int) -> HeldOut:
        """Return the scores of the other labels, for the other labels' texts."""
        others = self.rows(self.codes != label)
        joint = np.delete(others.joint, label, axis=1)
        return replace(others, joint=joint, codes=others.codes - (others.codes > label))

    def novelty(self, ood_features: Array) -> Array:
        """Return minus the mean of the standardized features, (n,): 0 for the average held-out text."""
        novelty: Array = -((ood_features - self._means) / self._spreads).mean(axis=1)
        return novelty

    @property
    def _means(self) -> Array:
        if not len(self.codes):
            return np.zeros(self.ood_features.shape[1])
        means: Array = self.ood_features.astype(np.float64).mean(axis=0)
        return means

    @property
    def _spreads(self) -> Array:
        if not len(self.codes):
            return np.ones(self.ood_features.shape[1])
        spreads = self.ood_features.astype(np.float64).std(axis=0)
        return np.where(spreads > 0, spreads, 1.0)

    def unknown_threshold(self, rate: float) -> float:
        """Return the novelty that the share `rate` of the held-out texts exceeds.

        Raises OptionError if `rate` is not between 0 and 1. Raises DataError if there are no held-out texts.
        """
        if not 0 <= rate < 1:
            raise OptionError(f"the rate of texts taken for unknown must be from 0 to below 1, not {rate}")
        self._require_texts()
        novelty = self.novelty(self.ood_features.astype(np.float64))
        return float(np.quantile(novelty, 1 - rate, method="higher"))

    def positive_threshold(self, positive: int, rate: float) -> PositiveThreshold:
        """Return the lowest threshold at which at most `rate` of other labels' texts are positive.

        It may be below 1/2: then texts are positive although another label is likelier, as those of a rare
        label mostly are.

        Raises OptionError if `rate` is not between 0 and 1. Raises DataError if there are no held-out texts
        of other labels.

        Parameters
        ----------
        positive : int
            Index of the label.
        rate : float
            Largest share of false positives among texts of other labels.
        """
        if not 0 <= rate < 1:
            raise OptionError(f"the false-positive rate must be from 0 to below 1, not {rate}")
        self._require_texts()
        odds = log_odds(log_softmax(self.joint.astype(np.float64)), positive)
        is_positive = self.codes == positive
        negatives = np.sort(odds[~is_positive])[::-1]
        if not len(negatives):
            raise DataError("no held-out text of another label to measure false positives on")
        allowed = int(rate * len(negatives))
        threshold = max(float(np.nextafter(negatives[allowed], np.inf)), MIN_LOG_ODDS)
        return PositiveThreshold(
            threshold,
            len(negatives),
            int((negatives >= threshold).sum()),
            int(is_positive.sum()),
            int((odds[is_positive] >= threshold).sum()),
        )

    def _require_texts(self) -> None:
        if not len(self.codes):
            raise DataError(
                "the model was fitted without held-out texts, so no threshold can be computed: fit it again "
                "with --validation-fraction above 0"
            )


@dataclass(frozen=True)
class HeldOutTexts:
    """Held-out texts and every expert's scores of them, to fit a new label with.

    Kept only if the user asks for it.
    """

    texts: list[str]
    """(m)"""
    codes: npt.NDArray[np.int32]
    """(m,) true labels."""
    scores: Floats
    """(E, m, K) by experts that were not trained on them, in the order of the combination."""
    background: npt.NDArray[np.float32]
    """(m,) log-likelihoods under a background model that was not trained on them."""

    def __post_init__(self) -> None:
        fits = (self.scores.ndim, self.codes.ndim, self.background.ndim) == (3, 1, 1) and (
            len(self.texts) == len(self.codes) == len(self.background) == self.scores.shape[1]
        )
        if not fits or not all(np.isfinite(array).all() for array in (self.scores, self.background)):
            raise ValueError("held-out texts whose scores do not fit them")
        _require_labels(self.codes, self.scores.shape[2])

    @classmethod
    def sample(
        cls,
        texts: Sequence[str],
        codes: npt.NDArray[np.intp],
        scores: Sequence[Array],
        background: Array,
        seed: int,
    ) -> HeldOutTexts:
        """Return a random sample of texts with the experts' scores, (m, K) each."""
        m, labels = scores[0].shape
        most = min(max(MAX_TEXTS, 10 * labels), MAX_EXPERT_SCORES // (len(scores) * labels))
        kept = subsample(m, most, seed)
        return cls(
            [texts[index] for index in kept.tolist()],
            codes[kept].astype(np.int32),
            np.array([expert_scores[kept] for expert_scores in scores], dtype=np.float32),
            background[kept].astype(np.float32),
        )

    def without_label(self, label: int) -> HeldOutTexts:
        """Return the other labels' texts with the scores of the other labels."""
        stay = self.codes != label
        codes = self.codes[stay]
        return HeldOutTexts(
            [text for text, stays in zip(self.texts, stay, strict=True) if stays],
            codes - (codes > label),
            np.delete(self.scores[:, stay], label, axis=2),
            self.background[stay],
        )


def subsample(count: int, most: int, seed: int) -> npt.NDArray[np.intp]:
    """Return the indices of a random sample of at most `most` of `count` items, ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _require_labels(codes: npt.NDArray[np.int32], labels: int) -> None:
    if ((codes < 0) | (codes >= labels)).any():
        raise ValueError("a held-out text of no label")


def log_odds(log_posteriors: Array, positive: int) -> Array:
    """Return the log-odds of one label against all others together, (n,), from log posteriors (n, K)."""
    others = np.delete(log_posteriors, positive, axis=1)
    if not others.shape[1]:
        return np.full(len(log_posteriors), np.inf)
    odds: Array = log_posteriors[:, positive] - np.logaddexp.reduce(others, axis=1)
    return odds
