"""What a model makes of texts it had not seen when it scored them: the measure for thresholds, in numpy.

Numbers only: no text can be read from them.

Shapes: m held-out texts, K labels, S signals.
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

MOST_NUMBERS = 1 << 20
"""Scores kept at most: beyond m K, a part of the texts drawn at random does."""
MOST_TEXTS = 2000
"""Texts kept at most, where they are kept, of few labels."""
_MOST_EXPERT_SCORES = 1 << 21
_LEAST_LOG_ODDS = -700.0  # a number that any text reaches, and that probabilities can be computed of


@dataclass(frozen=True)
class PositiveThreshold:
    """From which log-odds on a text counts as positive, and what that costs on held-out text."""

    log_odds: float
    """Of the positive label against all others together."""
    negatives: int
    """Held-out texts of other labels."""
    false_positives: int
    """Those taken for positive."""
    positives: int
    """Held-out texts of the label."""
    found: int
    """Those taken for positive."""

    @property
    def probability(self) -> float:
        """The same as a posterior."""
        return float(np.exp(-np.logaddexp(0.0, -self.log_odds)))


@dataclass(frozen=True)
class HeldOut:
    """Scores of held-out texts."""

    joint: Floats
    """(m, K) joint log-probabilities, nats."""
    codes: npt.NDArray[np.int32]
    """(m,) true labels."""
    signals: Floats
    """(m, S); see `lmclassify.classify.novelty`."""
    cross_entropies: Floats
    """(m,) nats per word; see `lmclassify.classify.novelty.cross_entropies`."""

    def __post_init__(self) -> None:
        m = self.codes.size
        scores = (self.joint, self.signals, self.cross_entropies)
        sizes = [array.ndim for array in (*scores, self.codes)]
        if sizes != [2, 2, 1, 1] or any(len(array) != m for array in scores):
            raise ValueError("held-out scores that do not fit one another")
        if not all(np.isfinite(array).all() for array in scores):
            raise ValueError("a held-out score is not finite")
        _require_labels(self.codes, self.joint.shape[1])

    @classmethod
    def rounded(
        cls, joint: Array, codes: npt.NDArray[np.intp], signals: Array, cross_entropies: Array
    ) -> HeldOut:
        """Return scores as the file holds them."""
        return cls(
            joint.astype(np.float32),
            codes.astype(np.int32),
            signals.astype(np.float32),
            cross_entropies.astype(np.float32),
        )

    @classmethod
    def of(
        cls,
        joint: Array,
        codes: npt.NDArray[np.intp],
        signals: Array,
        cross_entropies: Array,
        seed: int,
    ) -> HeldOut:
        """Return scores as the file holds them, of no more texts than fit."""
        most = max(1, MOST_NUMBERS // joint.shape[1])
        return cls.rounded(joint, codes, signals, cross_entropies).rows(subsample(len(codes), most, seed))

    def rows(self, chosen: npt.NDArray[Any]) -> HeldOut:
        """Return the scores of some of the texts."""
        return HeldOut(*(array[chosen] for array in vars(self).values()))

    def without_label(self, label: int) -> HeldOut:
        """Return the scores of the other labels' texts, by the other labels."""
        others = self.rows(self.codes != label)
        joint = np.delete(others.joint, label, axis=1)
        return replace(others, joint=joint, codes=others.codes - (others.codes > label))

    def novelty(self, signals: Array) -> Array:
        """Return minus the mean of standardised signals, (n,): 0 for the average held-out text."""
        novelty: Array = -((signals - self._means) / self._spreads).mean(axis=1)
        return novelty

    @property
    def _means(self) -> Array:
        if not len(self.codes):
            return np.zeros(self.signals.shape[1])
        means: Array = self.signals.astype(np.float64).mean(axis=0)
        return means

    @property
    def _spreads(self) -> Array:
        if not len(self.codes):
            return np.ones(self.signals.shape[1])
        spreads = self.signals.astype(np.float64).std(axis=0)
        return np.where(spreads > 0, spreads, 1.0)

    def unknown_threshold(self, rate: float) -> float:
        """Return the novelty above which a text is unknown, so that `rate` of the held-out texts are.

        Raises
        ------
        OptionError
            If `rate` is not between 0 and 1.
        DataError
            If there are no held-out texts.
        """
        if not 0 <= rate < 1:
            raise OptionError(f"the rate of texts taken for unknown must be from 0 to below 1, not {rate}")
        self._require_texts()
        return float(np.quantile(self.novelty(self.signals.astype(np.float64)), 1 - rate, method="higher"))

    def positive_threshold(self, positive: int, rate: float) -> PositiveThreshold:
        """Return the lowest threshold that takes at most `rate` of other labels' texts for positive.

        Parameters
        ----------
        positive : int
            Index of the label.
        rate : float
            Largest share of false positives among texts of other labels.

        Raises
        ------
        OptionError
            If `rate` is not between 0 and 1.
        DataError
            If there are no held-out texts of other labels.
        """
        if not 0 <= rate < 1:
            raise OptionError(f"the false-positive rate must be from 0 to below 1, not {rate}")
        self._require_texts()
        odds = log_odds_if_likeliest(log_softmax(self.joint.astype(np.float64)), positive)
        is_positive = self.codes == positive
        negatives = np.sort(odds[~is_positive])[::-1]
        if not len(negatives):
            raise DataError("no held-out text of another label to measure false positives on")
        allowed = int(rate * len(negatives))
        threshold = float(np.nextafter(negatives[allowed], np.inf)) if allowed < len(negatives) else -np.inf
        threshold = max(threshold, _LEAST_LOG_ODDS)
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
                "the model was fitted without held-out texts, so no threshold can be learnt: fit it again "
                "with --validation-fraction above 0"
            )


@dataclass(frozen=True)
class HeldOutTexts:
    """Held-out texts and what each expert makes of them: what a new label is fitted in beside.

    Kept only where the user asks for it.
    """

    texts: list[str]
    """m of them."""
    codes: npt.NDArray[np.int32]
    """(m,) true labels."""
    scores: Floats
    """(E, m, K) by experts that had not seen them, in the order of the combination."""
    background: npt.NDArray[np.float32]
    """(m,) log-likelihoods under a background model that had not seen them."""

    def __post_init__(self) -> None:
        fits = (self.scores.ndim, self.codes.ndim, self.background.ndim) == (3, 1, 1) and (
            len(self.texts) == len(self.codes) == len(self.background) == self.scores.shape[1]
        )
        if not fits or not all(np.isfinite(array).all() for array in (self.scores, self.background)):
            raise ValueError("held-out texts whose scores do not fit them")
        _require_labels(self.codes, self.scores.shape[2])

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        codes: npt.NDArray[np.intp],
        scores: Sequence[Array],
        background: Array,
        seed: int,
    ) -> HeldOutTexts:
        """Return some of the texts, drawn at random, with their scores, (m, K) each."""
        m, labels = scores[0].shape
        most = min(max(MOST_TEXTS, 10 * labels), _MOST_EXPERT_SCORES // (len(scores) * labels))
        kept = subsample(m, most, seed)
        return cls(
            [texts[index] for index in kept.tolist()],
            codes[kept].astype(np.int32),
            np.array([of_expert[kept] for of_expert in scores], dtype=np.float32),
            background[kept].astype(np.float32),
        )

    def without_label(self, label: int) -> HeldOutTexts:
        """Return the other labels' texts, with the scores of the other labels."""
        stay = self.codes != label
        codes = self.codes[stay]
        return HeldOutTexts(
            [text for text, stays in zip(self.texts, stay, strict=True) if stays],
            codes - (codes > label),
            np.delete(self.scores[:, stay], label, axis=2),
            self.background[stay],
        )


def subsample(count: int, most: int, seed: int) -> npt.NDArray[np.intp]:
    """Return which of some texts to keep, ascending: all, or `most` of them drawn at random."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _require_labels(codes: npt.NDArray[np.int32], labels: int) -> None:
    if ((codes < 0) | (codes >= labels)).any():
        raise ValueError("a held-out text of no label")


def log_odds_if_likeliest(log_posteriors: Array, positive: int) -> Array:
    """Return `log_odds` where the label is the likeliest, and minus infinity elsewhere, (n,)."""
    odds = log_odds(log_posteriors, positive)
    return np.where(log_posteriors.argmax(axis=1) == positive, odds, -np.inf)


def log_odds(log_posteriors: Array, positive: int) -> Array:
    """Return the log-odds of one label against all others together, (n,), from log posteriors (n, K)."""
    others = np.delete(log_posteriors, positive, axis=1)
    if not others.shape[1]:
        return np.full(len(log_posteriors), np.inf)
    odds: Array = log_posteriors[:, positive] - np.logaddexp.reduce(others, axis=1)
    return odds
