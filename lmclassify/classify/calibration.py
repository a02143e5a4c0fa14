"""How the parts of recipe "tuned" make one decision: a log-linear combination, learnt on held-out text.

Shapes: n texts, E experts (each gives a score to every label), K labels.
"""

from __future__ import annotations

import json
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
    """

    experts: tuple[str, ...]
    """Names, in the order of the scores."""
    weights: Array
    """(E,) not negative."""
    bias: Array
    """(K,) nats: prior weight times log prior, and what else the held-out text asked for."""

    def __post_init__(self) -> None:
        fits = self.weights.shape == (len(self.experts),) and self.bias.ndim == 1
        if not fits or not np.isfinite(self.weights).all() or not np.isfinite(self.bias).all():
            raise ValueError("a combination whose numbers do not fit one another or are not finite")
        if (self.weights < 0).any():
            raise ValueError("a combination with a negative weight")

    def joint(self, scores: Sequence[Array]) -> Array:
        """Return joint log-probabilities (n, K) from each expert's scores (n, K)."""
        if len(scores) != len(self.weights):
            raise ValueError(f"{len(scores)} experts' scores for {len(self.weights)} weights")
        result = np.tile(self.bias, (len(scores[0]) if scores else 0, 1))
        for weight, of_expert in zip(self.weights, scores, strict=True):
            result += weight * of_expert
        return result

    def to_json(self) -> str:
        """Return everything as JSON text; `from_json` reads it back exactly."""
        content = {
            "lmclassify": "combination",
            "experts": list(self.experts),
            "weights": self.weights.tolist(),
            "bias": self.bias.tolist(),
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
        )


def log_softmax(scores: Array) -> Array:
    """Return scores (n, K) less the logarithm of the sum of their exponentials."""
    normalised: Array = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return normalised
