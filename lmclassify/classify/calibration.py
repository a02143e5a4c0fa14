"""How the parts of recipe "tuned" make one decision: a log-linear combination, learnt on held-out text.

Shapes: n texts, E experts (each gives a score to every label), K labels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LSTMS = ("lstm", "tuned lstm")
"""The experts whose scores are log-likelihoods under the labels' LSTM language models; they come last."""


@dataclass(frozen=True)
class Combination:
    """Weights of experts and biases of labels.

    The joint log-probability of a text and a label is ``bias + sum_e weight_e * score_e`` (log-linear
    pooling, as Och & Ney 2002 combine translation models). Temperature and prior weight are in it.

    What the LSTMs would say of labels that the n-gram models rule out is foretold instead of computed: of a
    label that lies `gap` or more below the likeliest one, they say what they say of that one, less `slope`
    nats for each nat that the n-gram models' evidence (biases apart) for it lies below. Where no second label
    is near they are not asked at all.
    """

    experts: tuple[str, ...]
    """Names, in the order of the scores."""
    weights: Array
    """(E,) not negative."""
    bias: Array
    """(K,) nats: prior weight times log prior, and what else the held-out text asked for."""
    gap: float = math.inf
    """Nats; infinite: the LSTMs are asked for every label."""
    slope: float = 0.0

    def __post_init__(self) -> None:
        fits = self.weights.shape == (len(self.experts),) and self.bias.ndim == 1
        fits = fits and self.gap >= 0 and 0 <= self.slope < math.inf
        if not fits or not np.isfinite(self.weights).all() or not np.isfinite(self.bias).all():
            raise ValueError("a combination whose numbers do not fit one another or are not finite")
        if (self.weights < 0).any():
            raise ValueError("a combination with a negative weight")

    def joint(self, scores: Sequence[Array]) -> Array:
        """Return joint log-probabilities (n, K) from each expert's scores (n, K), all of them computed."""
        if len(scores) != len(self.weights):
            raise ValueError(f"{len(scores)} experts' scores for {len(self.weights)} weights")
        return self.of_ngrams(scores)

    def of_ngrams(self, scores: Sequence[Array]) -> Array:
        """Return what biases and the first experts, those given, add to the joint ones, (n, K)."""
        result = np.tile(self.bias, (len(scores[0]) if scores else 0, 1))
        for weight, of_expert in zip(self.weights, scores, strict=False):
            result += weight * of_expert
        return result

    def of_lstms(self, scores: Sequence[Array]) -> Array:
        """Return what the LSTMs add, (n, K)."""
        first, second = self.weights[-len(LSTMS) :]
        result: Array = first * scores[0] + second * scores[1]
        return result

    def contested(self, of_ngrams: Array) -> npt.NDArray[np.bool_]:
        """Return which labels of each text the LSTMs are asked for, (n, K); none or at least two."""
        if not self.weights[-len(LSTMS) :].any():
            return np.zeros(of_ngrams.shape, dtype=bool)
        near: npt.NDArray[np.bool_] = of_ngrams > of_ngrams.max(axis=1, keepdims=True) - self.gap
        near &= near.sum(axis=1, keepdims=True) > 1
        return near

    def together(self, of_ngrams: Array, contested: npt.NDArray[np.bool_], of_lstms: Array) -> Array:
        """Return joint log-probabilities (n, K).

        Parameters
        ----------
        of_ngrams : ndarray, (n, K)
        contested : ndarray of bool, (n, K)
            Which of the next are known.
        of_lstms : ndarray, (n, K)
            0 where not known.
        """
        likeliest = of_ngrams.argmax(axis=1)[:, np.newaxis]
        evidence = of_ngrams - self.bias
        below = evidence - np.take_along_axis(evidence, likeliest, axis=1)
        foretold = np.take_along_axis(of_lstms, likeliest, axis=1) + self.slope * below
        joint: Array = of_ngrams + np.where(contested, of_lstms, foretold)
        return joint

    def decided(self, scores: Sequence[Array]) -> Array:
        """Return joint log-probabilities (n, K) as decisions are made of them, from all experts' scores."""
        of_ngrams = self.of_ngrams(scores[: -len(LSTMS)])
        contested = self.contested(of_ngrams)
        of_lstms = np.where(contested, self.of_lstms(scores[-len(LSTMS) :]), 0.0)
        return self.together(of_ngrams, contested, of_lstms)

    def to_json(self) -> str:
        """Return everything as JSON text; `from_json` reads it back exactly."""
        content = {
            "lmclassify": "combination",
            "experts": list(self.experts),
            "weights": self.weights.tolist(),
            "bias": self.bias.tolist(),
            "gap": self.gap if math.isfinite(self.gap) else None,
            "slope": self.slope,
        }
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> Combination:
        """Make a combination of what `to_json` returned.

        Raises
        ------
        ValueError, KeyError, TypeError
            If the text is not such JSON.
        """
        content = json.loads(text)
        return cls(
            tuple(str(name) for name in content["experts"]),
            np.array(content["weights"], dtype=np.float64),
            np.array(content["bias"], dtype=np.float64),
            math.inf if content["gap"] is None else float(content["gap"]),
            float(content["slope"]),
        )


def log_softmax(scores: Array) -> Array:
    """Return scores (n, K) less the logarithm of the sum of their exponentials."""
    normalised: Array = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return normalised
