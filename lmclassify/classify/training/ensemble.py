"""Fits a log-linear combination of experts on their scores of held-out text (L-BFGS).

Shapes: n texts, E experts, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar

from lmclassify.classify.cascade import Cascade, relative_length
from lmclassify.classify.ensemble import LSTMS, Combination, log_softmax

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

TOTAL_WEIGHT = 2.0
"""Sum of the weights before any text is seen, for experts scaled to a spread of 1."""

WEIGHT_PENALTY = 10.0
"""Quadratic penalty for leaving these weights, in log-loss: a few dozen texts are then enough to fit on."""

BIAS_PENALTY = 1.0
"""Quadratic penalty for biases, in log-loss."""

ADDED_BIAS_PENALTY = 100.0
"""The same where experts are added, for leaving the biases from before: those were fitted on all texts, and
the held-out part has too few of each label to do better (docs/benchmarks.md)."""

CACHED_NUMBERS = 1 << 15
"""Scores of an expert processed at a time: all experts' then stay in the processor's cache."""

CASCADE_DEVIATIONS, CASCADE_SHARE = 5.0, 0.999
"""How far and how often LSTM scores may deviate from their approximation without changing a decision."""


def fit_combination(
    experts: Sequence[str],
    scores: Sequence[Array],
    codes: Codes,
    log_priors: Array,
    weights: Array | None = None,
) -> Combination:
    """Return the combination with the smallest log-loss on held-out scores.

    The experts' weights are not negative. They are regularized towards equal shares, with the weight of ten
    texts, so that a few dozen texts are enough.

    Parameters
    ----------
    experts : sequence of str
        Names.
    scores : sequence of ndarray, (n, K)
        Scores of texts that the experts were not fitted on.
    codes : ndarray of int, (n,)
        Index of each text's label.
    log_priors : ndarray, (K,)
    weights : ndarray, (n,), optional
        Weights of the texts.
    """
    scale = np.array([spread(expert_scores) for expert_scores in scores])
    start = np.full(len(scores), TOTAL_WEIGHT / len(scores))
    found, prior_weight, bias = _fit(scores, scale, codes, log_priors, start, 1.0, BIAS_PENALTY, weights)
    return Combination(tuple(experts), found / scale, prior_weight * log_priors + bias)


def add_experts(
    combination: Combination,
    joint: Array,
    experts: Sequence[str],
    scores: Sequence[Array],
    codes: Codes,
    weights: Array | None = None,
) -> Combination:
    """Return a combination with more experts, fitted on texts that may be fewer.

    The old weights keep their proportions. Only their scale, the new weights (regularized towards 0) and the
    biases (strongly towards the old ones) are fitted, so few texts are enough.

    Parameters
    ----------
    joint : ndarray, (n, K)
        Joint log-probabilities of the texts by the combination.
    experts : sequence of str
        Names of the new experts.
    scores : sequence of ndarray, (n, K)
        Scores of the new experts.
    codes : ndarray of int, (n,)
        Index of each text's label.
    weights : ndarray, (n,), optional
        Weights of the texts.
    """
    scale = np.array([1.0, *(spread(expert_scores) for expert_scores in scores)])
    start = np.zeros(1 + len(scores))
    start[0] = 1.0
    no_priors = np.zeros(joint.shape[1])
    found, _, bias = _fit([joint, *scores], scale, codes, no_priors, start, 0.0, ADDED_BIAS_PENALTY, weights)
    return Combination(
        (*combination.experts, *experts),
        np.concatenate([found[0] * combination.weights, found[1:] / scale[1:]]),
        found[0] * combination.bias + bias,
    )


def fit_cascade(combination: Combination, scores: Sequence[Array], lengths: npt.ArrayLike) -> Combination:
    """Return the combination with a cascade: which labels the LSTMs need not score.

    On held-out text, the LSTMs' margin between the two likeliest labels is approximated from the n-gram
    models' margin (least squares through 0). The cascade's gap is so wide that deviations from the
    approximation, of five standard deviations and in 999 of 1,000 texts, do not change the decision.

    Parameters
    ----------
    scores : sequence of ndarray, (n, K)
        All experts' scores of texts that they were not fitted on.
    lengths : array_like, (n,)
        Lengths of these texts in the n-gram models' subwords.
    """
    ngram_joint = combination.ngram_joint(scores[: -len(LSTMS)])
    top = np.argsort(-ngram_joint, axis=1, kind="stable")[:, :2]

    def top_margin(values: Array) -> Array:
        first, second = np.take_along_axis(values, top, axis=1).T
        margin: Array = first - second
        return margin

    ngram_margins = top_margin(ngram_joint - combination.bias)
    lstm_margins = top_margin(combination.lstm_joint(scores[-len(LSTMS) :]))
    squares = float((ngram_margins**2).sum())
    slope = max(0.0, float((ngram_margins * lstm_margins).sum()) / squares) if squares else 0.0
    length = float(np.median(np.asarray(lengths)))
    deviations = (slope * ngram_margins - lstm_margins) / relative_length(lengths, length)
    gap = max(
        CASCADE_DEVIATIONS * float(np.sqrt((deviations**2).mean())),
        float(np.quantile(deviations, CASCADE_SHARE)),
    )
    return replace(combination, cascade=Cascade(gap, slope, length))


def log_loss(joint: Array, codes: Codes, weights: Array | None = None) -> float:
    """Return the mean negative log posterior of the true labels, in nats."""
    losses = -log_softmax(joint)[np.arange(len(codes)), codes]
    return float(np.average(losses, weights=weights))


def best_scale(scores: Array, log_priors: Array, codes: Codes, weights: Array | None = None) -> float:
    """Return the s, from e**-6 to e, for which ``s * scores + log_priors`` has the smallest log-loss."""

    def loss(log_scale: float) -> float:
        return log_loss(np.exp(log_scale) * scores + log_priors, codes, weights)

    return float(np.exp(minimize_scalar(loss, bounds=(-6.0, 1.0), method="bounded").x))


def spread(scores: Array) -> float:
    """Return the standard deviation of scores from each text's mean; 1 if they do not differ."""
    deviation = float((scores - scores.mean(axis=1, keepdims=True)).std())
    return deviation if deviation > 0 else 1.0


def _fit(
    scores: Sequence[Array],
    scale: Array,
    codes: Codes,
    log_priors: Array,
    start: Array,
    prior_start: float,
    bias_penalty: float,
    weights: Array | None,
) -> tuple[Array, float, Array]:
    """Return the weights of experts (E,) and prior, and biases (K,), regularized towards the start and 0.

    The weights are those of scores divided by their scale.
    """
    count, (n, labels) = len(scores), scores[0].shape
    text_weights = np.ones(n) if weights is None else weights / weights.mean()
    step = max(1, CACHED_NUMBERS // labels)
    experts = list(zip(scores, scale, strict=True))
    batches = [
        (np.array([expert[first : first + step] / by for expert, by in experts]), slice(first, first + step))
        for first in range(0, n, step)
    ]

    def objective(parameters: Array) -> tuple[float, Array]:
        expert_weights, prior_weight, bias = parameters[:count], parameters[count], parameters[count + 1 :]
        offset = prior_weight * log_priors + bias
        change, prior_change = expert_weights - start, prior_weight - prior_start
        loss = WEIGHT_PENALTY * ((change**2).sum() + prior_change**2) + bias_penalty * (bias**2).sum()
        gradient, label_residual = 2 * WEIGHT_PENALTY * change, np.zeros(labels)
        for batch, part in batches:
            # numpy's own sums: BLAS may round differently from call to call.
            p = np.einsum("e,enk->nk", expert_weights, batch) + offset
            p -= p.max(axis=1, keepdims=True)
            rows, true = np.arange(len(p)), codes[part]
            log_p = p[rows, true].copy()
            np.exp(p, out=p)
            sums = p.sum(axis=1)
            loss -= (text_weights[part] * (log_p - np.log(sums))).sum()
            p *= (text_weights[part] / sums)[:, np.newaxis]
            p[rows, true] -= text_weights[part]
            gradient += np.einsum("enk,nk->e", batch, p)
            label_residual += p.sum(axis=0)
        prior_gradient = (label_residual * log_priors).sum() + 2 * WEIGHT_PENALTY * prior_change
        return loss, np.concatenate([gradient, [prior_gradient], label_residual + 2 * bias_penalty * bias])

    first = np.concatenate([start, [prior_start], np.zeros(labels)])
    bounds = [(0.0, None)] * (count + 1) + [(None, None)] * labels
    precise = {"ftol": 1e-10, "gtol": 1e-7, "maxiter": 1000, "maxfun": 10_000}
    found = minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options=precise).x
    return found[:count], float(found[count]), found[count + 1 :]
