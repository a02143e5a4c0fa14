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

LARGEST = 1e9
"""Of weights, biases and log priors, in amount; they stay far below. With it, every score is finite."""

LSTMS = ("lstm", "tuned lstm")
"""The experts whose scores are log-likelihoods under the labels' LSTM language models; they come last."""


@dataclass(frozen=True)
class Combination:
    """Weights of experts and biases of labels.

    The joint log-probability of a text and a label is ``bias + sum_e weight_e * score_e`` (log-linear
    pooling, as Och & Ney 2002 combine translation models). Temperature and prior weight are in it.

    What the LSTMs would say of labels that the n-gram models rule out is foretold instead of computed:
    `slope` nats for each nat of the n-gram models' evidence (biases apart). They are asked about labels whose
    joint log-probability so foretold is less than the text's gap below the largest; where only one label is
    so near, not at all. Longer texts have larger gaps, as all that an LSTM says adds up.
    """

    experts: tuple[str, ...]
    """Names, in the order of the scores."""
    weights: Array
    """(E,) not negative."""
    bias: Array
    """(K,) nats: prior weight times log prior, and what else the held-out text asked for."""
    gap: float = math.inf
    """Nats, of a text of the usual length; infinite: the LSTMs are asked about every label."""
    slope: float = 0.0
    length: float = 1.0
    """The usual one, in the n-gram models' subwords."""

    def __post_init__(self) -> None:
        fits = self.weights.shape == (len(self.experts),) and self.bias.ndim == 1
        fits = fits and self.gap >= 0 and 0 <= self.slope <= LARGEST and 1 / LARGEST <= self.length <= LARGEST
        numbers = np.append(self.weights, self.bias) if fits else np.zeros(0)
        if not fits or not (np.abs(numbers) <= LARGEST).all():
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

    def foretold(self, of_ngrams: Array) -> Array:
        """Return joint log-probabilities (n, K) with what the LSTMs are foretold to add."""
        result: Array = of_ngrams + self.slope * (of_ngrams - self.bias)
        return result

    def contested(self, of_ngrams: Array, lengths: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which labels of each text the LSTMs are asked about, (n, K); none or at least two.

        Parameters
        ----------
        of_ngrams : ndarray, (n, K)
        lengths : array_like, (n,)
            Of the texts, in the n-gram models' subwords.
        """
        if not self.weights[-len(LSTMS) :].any():
            return np.zeros(of_ngrams.shape, dtype=bool)
        foretold = self.foretold(of_ngrams)
        gaps = self.gap * times_as_long(lengths, self.length)
        near: npt.NDArray[np.bool_] = foretold > foretold.max(axis=1, keepdims=True) - gaps[:, np.newaxis]
        near &= near.sum(axis=1, keepdims=True) > 1
        return near

    def together(self, of_ngrams: Array, contested: npt.NDArray[np.bool_], of_lstms: Array) -> Array:
        """Return joint log-probabilities (n, K).

        The LSTMs' sums are large negative numbers. Of labels that they are not asked about, they are taken to
        say what they say of the likeliest one, and from there on what is foretold.

        Parameters
        ----------
        of_ngrams : ndarray, (n, K)
        contested : ndarray of bool, (n, K)
            Which of the next are known.
        of_lstms : ndarray, (n, K)
        """
        return self.pooled(of_ngrams, of_ngrams - self.bias, of_lstms, contested, self.likeliest(of_ngrams))

    def likeliest(self, of_ngrams: Array) -> npt.NDArray[np.intp]:
        """Return the label that is foretold to be the likeliest of each text, (n,)."""
        label: npt.NDArray[np.intp] = self.foretold(of_ngrams).argmax(axis=1)
        return label

    def pooled(
        self,
        of_ngrams: Array,
        evidence: Array,
        of_lstms: Array,
        contested: npt.NDArray[np.bool_],
        likeliest: npt.NDArray[np.intp],
    ) -> Array:
        """Return what experts add together, (n, K): to texts, or, as it is linear, to parts of them.

        Parameters
        ----------
        of_ngrams, evidence, of_lstms : ndarray, (n, K)
            What n-gram models add, biases included and without, and LSTMs.
        contested : ndarray of bool, (n, K)
        likeliest : ndarray of int, (n,)
            Of the whole text, like `contested`.
        """
        known, foretold = of_ngrams + of_lstms, of_ngrams + self.slope * evidence
        level = np.where(contested, known - foretold, 0.0)
        pooled: Array = np.where(
            contested, known, foretold + np.take_along_axis(level, likeliest[:, np.newaxis], axis=1)
        )
        return pooled

    def decided(self, scores: Sequence[Array], lengths: npt.ArrayLike) -> Array:
        """Return joint log-probabilities (n, K) as decisions are made of them, from all experts' scores."""
        of_ngrams = self.of_ngrams(scores[: -len(LSTMS)])
        return self.together(
            of_ngrams, self.contested(of_ngrams, lengths), self.of_lstms(scores[-len(LSTMS) :])
        )

    def to_json(self) -> str:
        """Return everything as JSON text; `from_json` reads it back exactly."""
        content = {
            "lmclassify": "combination",
            "experts": list(self.experts),
            "weights": self.weights.tolist(),
            "bias": self.bias.tolist(),
            "gap": self.gap if math.isfinite(self.gap) else None,
            "slope": self.slope,
            "length": self.length,
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
        if not isinstance(content["experts"], list):
            raise TypeError("experts that are no list")
        return cls(
            tuple(str(name) for name in content["experts"]),
            np.array(content["weights"], dtype=np.float64),
            np.array(content["bias"], dtype=np.float64),
            math.inf if content["gap"] is None else float(content["gap"]),
            float(content["slope"]),
            float(content["length"]),
        )


def times_as_long(lengths: npt.ArrayLike, length: float) -> Array:
    """Return how much larger deviations of LSTMs' sums are than those of a text of the usual length, (n,).

    On real text they grow like the square root of the length, and of long texts like the length itself.
    """
    ratio = np.asarray(lengths, dtype=np.float64) / length
    return np.maximum(ratio, np.sqrt(ratio))


def log_softmax(scores: Array) -> Array:
    """Return scores (n, K) less the logarithm of the sum of their exponentials."""
    normalised: Array = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return normalised
