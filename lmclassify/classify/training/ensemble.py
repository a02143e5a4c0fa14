"""Learns a log-linear combination of experts from their scores on held-out text (L-BFGS).

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

_TOTAL_WEIGHT = 2.0  # of experts scaled to a spread of 1, before anything is known
_PULL = 10.0  # towards those weights, in texts' worth of log-loss
_BIAS_PULL = 1.0
_DEVIATIONS, _SHARE_SURE = 5.0, 0.999  # how sure it is that the LSTMs do not turn a decision


def fit_combination(
    experts: Sequence[str],
    scores: Sequence[Array],
    codes: Codes,
    log_priors: Array,
    weights: Array | None = None,
) -> Combination:
    """Return the combination with the least log-loss on held-out scores.

    Experts' weights are pulled towards equal shares, by as much as ten texts are worth, so that a few
    dozen texts do; they never fall below zero.

    Parameters
    ----------
    experts : sequence of str
        Their names.
    scores : sequence of ndarray, (n, K)
        Of texts that the experts have not learnt from.
    codes : ndarray of int, (n,)
        The true labels.
    log_priors : ndarray, (K,)
    weights : ndarray, (n,), optional
        Of the texts.
    """
    scale = np.array([spread(of_expert) for of_expert in scores])
    start = np.full(len(scores), _TOTAL_WEIGHT / len(scores))
    scaled = [of_expert / by for of_expert, by in zip(scores, scale, strict=True)]
    found, prior_weight, bias = _fit(scaled, codes, log_priors, start, 1.0, _PULL, weights)
    return Combination(tuple(experts), found / scale, prior_weight * log_priors + bias)


def add_experts(
    combination: Combination,
    joint: Array,
    experts: Sequence[str],
    scores: Sequence[Array],
    codes: Codes,
    weights: Array | None = None,
) -> Combination:
    """Return a combination with more experts, learnt on texts that may be fewer.

    The weights there keep their proportions; only their scale, the newcomers' weights (pulled towards
    none) and the biases are learnt, so few texts tell enough.

    Parameters
    ----------
    combination : Combination
    joint : ndarray, (n, K)
        What the combination gives to these texts.
    experts : sequence of str
        The newcomers.
    scores : sequence of ndarray, (n, K)
        Theirs.
    codes : ndarray of int, (n,)
    weights : ndarray, (n,), optional
    """
    scale = np.array([spread(of_expert) for of_expert in scores])
    scaled = [of_expert / by for of_expert, by in zip(scores, scale, strict=True)]
    start = np.zeros(1 + len(scores))
    start[0] = 1.0
    none = np.zeros(joint.shape[1])
    found, _, bias = _fit([joint, *scaled], codes, none, start, 0.0, _PULL, weights)
    return Combination(
        (*combination.experts, *experts),
        np.concatenate([found[0] * combination.weights, found[1:] / scale]),
        found[0] * combination.bias + bias,
    )


def fit_cascade(combination: Combination, scores: Sequence[Array], lengths: npt.ArrayLike) -> Combination:
    """Return the combination with the gap from which on the LSTMs need not be asked.

    On held-out text, the LSTMs' margin between the two likeliest labels is foretold from the n-gram models'
    (least squares through 0). The gap is so wide that what deviates from it, by five standard deviations
    and in 999 of 1,000 texts, does not turn the decision.

    Parameters
    ----------
    combination : Combination
    scores : sequence of ndarray, (n, K)
        All experts', of texts that they have not learnt from.
    lengths : array_like, (n,)
        Of these texts, in the n-gram models' subwords.
    """
    of_ngrams = combination.ngram_joint(scores[: -len(LSTMS)])
    two = np.argsort(-of_ngrams, axis=1, kind="stable")[:, :2]

    def margins_of(values: Array) -> Array:
        first, second = np.take_along_axis(values, two, axis=1).T
        margin: Array = first - second
        return margin

    margins = margins_of(of_ngrams - combination.bias)
    of_lstms = margins_of(combination.lstm_joint(scores[-len(LSTMS) :]))
    squares = float((margins**2).sum())
    slope = max(0.0, float((margins * of_lstms).sum()) / squares) if squares else 0.0
    length = float(np.median(np.asarray(lengths)))
    adverse = (slope * margins - of_lstms) / relative_length(lengths, length)
    gap = max(_DEVIATIONS * float(np.sqrt((adverse**2).mean())), float(np.quantile(adverse, _SHARE_SURE)))
    return replace(combination, cascade=Cascade(gap, slope, length))


def log_loss(joint: Array, codes: Codes, weights: Array | None = None) -> float:
    """Return the mean negative log posterior of the true labels, in nats."""
    of_texts = -log_softmax(joint)[np.arange(len(codes)), codes]
    return float(np.average(of_texts, weights=weights))


def best_scale(scores: Array, log_priors: Array, codes: Codes, weights: Array | None = None) -> float:
    """Return the s for which ``s * scores + log_priors`` has the least log-loss, between e**-6 and e."""

    def loss(log_scale: float) -> float:
        return log_loss(np.exp(log_scale) * scores + log_priors, codes, weights)

    return float(np.exp(minimize_scalar(loss, bounds=(-6.0, 1.0), method="bounded").x))


def spread(scores: Array) -> float:
    """Return the standard deviation of scores about each text's mean; 1 where they do not differ."""
    deviation = float((scores - scores.mean(axis=1, keepdims=True)).std())
    return deviation if deviation > 0 else 1.0


def _fit(
    scores: Sequence[Array],
    codes: Codes,
    log_priors: Array,
    start: Array,
    prior_start: float,
    pull: float,
    weights: Array | None,
) -> tuple[Array, float, Array]:
    """Return the experts' weights, the prior's, and biases (K,)."""
    experts = np.array(scores)
    count, n, labels = experts.shape
    of_texts = np.ones(n) if weights is None else weights / weights.mean()
    rows = np.arange(n)

    def objective(parameters: Array) -> tuple[float, Array]:
        of_experts, prior_weight, bias = parameters[:count], parameters[count], parameters[count + 1 :]
        # Elementwise products and numpy's own sums: BLAS may round otherwise from call to call.
        pooled = (of_experts[:, np.newaxis, np.newaxis] * experts).sum(axis=0)
        log_p = log_softmax(pooled + prior_weight * log_priors + bias)
        residual = np.exp(log_p)
        residual[rows, codes] -= 1
        residual *= of_texts[:, np.newaxis]
        apart = of_experts - start
        loss = -(of_texts * log_p[rows, codes]).sum()
        loss += pull * ((apart**2).sum() + (prior_weight - prior_start) ** 2) + _BIAS_PULL * (bias**2).sum()
        of_labels = residual.sum(axis=0)
        gradient = np.concatenate(
            [
                (experts * residual).sum(axis=(1, 2)) + 2 * pull * apart,
                [(of_labels * log_priors).sum() + 2 * pull * (prior_weight - prior_start)],
                of_labels + 2 * _BIAS_PULL * bias,
            ]
        )
        return loss, gradient

    first = np.concatenate([start, [prior_start], np.zeros(labels)])
    bounds = [(0.0, None)] * (count + 1) + [(None, None)] * labels
    precise = {"ftol": 1e-12, "gtol": 1e-7, "maxiter": 1000, "maxfun": 10_000}
    found = minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options=precise).x
    return found[:count], float(found[count]), found[count + 1 :]
