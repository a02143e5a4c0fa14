"""The log-linear combination of the experts of recipe tuned, fitted on held-out text.

Shapes: n texts, E experts (each gives a score to every label), K labels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from lmclassify.classify.cascade import MAX_ABS_VALUE, Cascade, Mask, merge

Array = npt.NDArray[np.float64]

LSTMS = ("lstm", "tuned lstm")
"""The experts whose scores are log-likelihoods under the labels' LSTM language models; they come last."""

SVM = "tuned of "
"""With what the names of linear SVMs begin; the other experts' scores are log-likelihoods."""

VECTORS = SVM + "word vectors"
"""The name of the linear expert of words that have vectors."""

USUAL_SHARE = 0.95
"""Share of the training texts that are of usual length. Longer ones are too few to fit weights on."""

SVM_GROWTH, MAX_SVM_FACTOR = 0.25, 2.0
"""SVM scores of longer texts are more reliable: their weight grows like this power of the length, up to this
factor. Of the values tried, the best on texts that are 3 to 100 times as long as the training texts
(docs/benchmarks.md)."""


@dataclass(frozen=True)
class Combination:
    """Weights of experts and biases of labels.

    The joint log-probability of a text and a label is ``bias + sum_e weight_e * score_e`` (log-linear
    pooling, as Och & Ney 2002 combine translation models). The weights include the temperature, the biases
    the weighted log priors.

    The weights are fitted on texts of usual length. The words of longer texts do not speak for a label
    independently of one another, so their log-likelihoods, which are sums over words, count like those of a
    text of usual length with the same mean per word; see `length_factor`.
    """

    experts: tuple[str, ...]
    """Names, in the order of the scores."""
    weights: Array
    """(E,) not negative."""
    bias: Array
    """(K,) nats."""
    cascade: Cascade = field(default_factory=Cascade)
    """Which labels need the LSTMs. By default all."""
    usual_length: float = math.inf
    """In the n-gram models' subwords; the weights of experts change for longer texts."""

    def __post_init__(self) -> None:
        if not self.usual_length > 0:
            raise ValueError("a combination whose usual length is not positive")
        if self.weights.shape != (len(self.experts),) or self.bias.ndim != 1:
            raise ValueError("a combination whose numbers do not fit one another")
        if not (np.abs(np.append(self.weights, self.bias)) <= MAX_ABS_VALUE).all():
            raise ValueError("a combination whose numbers are too large or not finite")
        if (self.weights < 0).any():
            raise ValueError("a combination with a negative weight")

    @property
    def lstms_decide(self) -> bool:
        """Whether the LSTMs have a weight."""
        return bool(self.weights[-len(LSTMS) :].any())

    def without_lstms(self) -> Combination:
        """Return a combination of n-gram experts with LSTMs of weight 0."""
        weights = np.concatenate([self.weights, np.zeros(len(LSTMS))])
        return replace(self, experts=(*self.experts, *LSTMS), weights=weights)

    def length_factor(self, expert: str, lengths: npt.ArrayLike) -> Array:
        """Return what an expert's weight is multiplied by for texts of these lengths, (n,)."""
        ratio = np.maximum(1.0, np.asarray(lengths, dtype=np.float64) / self.usual_length)
        if expert.startswith(SVM):
            return np.minimum(MAX_SVM_FACTOR, ratio**SVM_GROWTH)
        return 1.0 / ratio

    def joint(self, scores: Sequence[Array], lengths: npt.ArrayLike) -> Array:
        """Return joint log-probabilities, (n, K), from the scores of all experts, (n, K) each."""
        if len(scores) != len(self.weights):
            raise ValueError(f"{len(scores)} experts' scores for {len(self.weights)} weights")
        return self.ngram_joint(scores, lengths)

    def ngram_joint(self, scores: Sequence[Array], lengths: npt.ArrayLike) -> Array:
        """Return what the biases and the first experts add to the joint log-probabilities, (n, K).

        Parameters
        ----------
        scores : sequence of ndarray, (n, K)
            Of the first experts: the n-gram models.
        lengths : array_like, (n,)
            Of the texts, in subwords.
        """
        result = np.tile(self.bias, (len(scores[0]) if scores else 0, 1))
        for expert, weight, expert_scores in zip(self.experts, self.weights, scores, strict=False):
            result += (weight * self.length_factor(expert, lengths))[:, np.newaxis] * expert_scores
        return result

    def lstm_joint(self, scores: Sequence[Array], lengths: npt.ArrayLike) -> Array:
        """Return what the LSTMs add to the joint log-probabilities, (n, K), from their two scores."""
        first, second = self.weights[-len(LSTMS) :]
        factor = self.length_factor(LSTMS[0], lengths)[:, np.newaxis]
        result: Array = factor * (first * scores[0] + second * scores[1])
        return result

    def approximate_joint(self, ngram_joint: Array) -> Array:
        """Return joint log-probabilities, (n, K), with what the LSTMs add approximated."""
        return self.cascade.approximate(ngram_joint, ngram_joint - self.bias)

    def cascade_mask(self, approximate: Array, lengths: npt.ArrayLike, *, exact: bool = False) -> Mask:
        """Return which labels of each text the LSTMs score, (n, K); see `Cascade.mask`.

        Texts longer than usual are left to the n-gram models: LSTMs take most of the time there, and are
        worse than nothing on texts that are unlike those they were trained on (docs/benchmarks.md).

        Parameters
        ----------
        approximate : ndarray, (n, K)
            See `approximate_joint`.
        lengths : array_like, (n,)
            Of the texts, in subwords.
        exact : bool, default=False
            All labels of texts of any length, if the LSTMs have a weight.
        """
        if not self.lstms_decide:
            return np.zeros(approximate.shape, dtype=bool)
        cascade = replace(self.cascade, gap=math.inf) if exact else self.cascade
        mask = cascade.mask(approximate, lengths)
        if not exact:
            mask &= (np.asarray(lengths) <= self.usual_length)[:, np.newaxis]
        return mask

    def cascade_joint(self, scores: Sequence[Array], lengths: npt.ArrayLike) -> Array:
        """Return joint log-probabilities, (n, K), as the cascade gives them.

        Parameters
        ----------
        scores : sequence of ndarray, (n, K)
            Of all experts. Scores that the cascade would not compute are not used.
        lengths : array_like, (n,)
            Of the texts, in subwords.
        """
        ngram_joint = self.ngram_joint(scores[: -len(LSTMS)], lengths)
        approximate = self.approximate_joint(ngram_joint)
        mask = self.cascade_mask(approximate, lengths)
        computed = ngram_joint + self.lstm_joint(scores[-len(LSTMS) :], lengths)
        return merge(approximate, computed, mask, approximate.argmax(axis=1))

    def to_json(self) -> str:
        """Return everything as JSON text; `from_json` reads it back exactly."""
        content: dict[str, object] = {
            "lmclassify": "combination",
            "experts": list(self.experts),
            "weights": self.weights.tolist(),
            "bias": self.bias.tolist(),
            "gap": self.cascade.gap if math.isfinite(self.cascade.gap) else None,
            "slope": self.cascade.slope,
            "length": self.cascade.length,
        }
        if math.isfinite(self.usual_length):
            content["usual_length"] = self.usual_length
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> Combination:
        """Make a combination from what `to_json` returned.

        Raises
        ------
        ValueError, KeyError, TypeError
            If the text is not such JSON.
        """
        content = json.loads(text)
        if not isinstance(content["experts"], list):
            raise TypeError("experts that are no list")
        gap = math.inf if content["gap"] is None else float(content["gap"])
        return cls(
            tuple(str(name) for name in content["experts"]),
            np.array(content["weights"], dtype=np.float64),
            np.array(content["bias"], dtype=np.float64),
            Cascade(gap, float(content["slope"]), float(content["length"])),
            float(content.get("usual_length", math.inf)),  # models saved by 0.7 have none
        )


def log_softmax(scores: Array) -> Array:
    """Return scores (n, K) minus the logarithm of the sum of their exponentials."""
    normalized: Array = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return normalized
