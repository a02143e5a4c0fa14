"""Fits a log-linear combination of experts on their scores of held-out text (L-BFGS).

Shapes: n texts, E experts, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar

from lmclassify.classify.cascade import Cascade, relative_length
from lmclassify.classify.ensemble import LSTMS, SVM, USUAL_SHARE, VECTORS, Combination, log_softmax

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

TOTAL_WEIGHT = 2.0
"""Sum of the weights before any text is seen, for experts scaled to a spread of 1."""

VECTORS_FACTOR = 2.0
"""How much more of it the linear expert of word vectors has, as it knows words that no training text has. Of
1, 2, 4 and 8 the one with the best log-loss, with 50 and 200 texts of five sets (docs/experiments.md)."""

UNTESTED = 0.5
"""Share of it where no text can tell how good the experts are, as each label has one text. Of .25, .5, .7
and 1 the one with the best log-loss (clinc150)."""

SVM_SPREAD, LIKELIHOOD_SPREAD = 0.1, 0.5
"""Smallest spread that counts as information. Of SVM scores: a tenth of what margins of 1 have. Of
log-likelihoods: half a nat. Smaller ones come from rounding and from folds of unequal size."""

MAX_WEIGHT, MAX_LIKELIHOOD_WEIGHT = 20.0, 1.0
"""Largest weights. Log-likelihoods of weight 1 are Bayes' rule, whose
probabilities are already too extreme."""

WEIGHT_PENALTY = 10.0
"""Quadratic penalty for leaving these weights, in log-loss: a few dozen texts are then enough to fit on."""

USEFUL, MIN_USEFULNESS, MIN_SHARE = 0.5, 0.1, 1e-3
"""An expert that is less than half as useful as the best one gets less weight, down to nearly none. Even the
best one has to be a tenth as useful as one that is always right; see `_spread_and_usefulness`."""

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
    lengths: npt.ArrayLike | None = None,
) -> Combination:
    """Return the combination with the smallest log-loss on held-out scores.

    The experts' weights are not negative. They are regularized, with the weight of ten texts, so that a few
    dozen texts are enough: towards equal shares, and towards 0 for experts that tell labels apart in few
    texts only.

    Parameters
    ----------
    experts : sequence of str
        Names; those of linear SVMs begin with `SVM`.
    scores : sequence of ndarray, (n, K)
        Scores of texts that the experts were not fitted on.
    codes : ndarray of int, (n,)
        Index of each text's label.
    log_priors : ndarray, (K,)
    weights : ndarray, (n,), optional
        Weights of the texts.
    lengths : array_like, (n,), optional
        Of the texts, in subwords. By default all texts are of usual length.
    """
    combination = Combination(tuple(experts), np.zeros(len(experts)), np.zeros_like(log_priors))
    if lengths is not None:
        usual_length = max(1.0, float(np.quantile(np.asarray(lengths), USUAL_SHARE)))
        combination = replace(combination, usual_length=usual_length)
    factors = _length_factors(combination, experts, codes, lengths)
    # A label's only text is scored by models that do not know the label, which says nothing of the experts.
    telling = np.bincount(codes)[codes] > 1
    if telling.any() and not telling.all():
        scores, factors = ([values[telling] for values in part] for part in (scores, factors))
        codes, weights = codes[telling], None if weights is None else weights[telling]
    known = zip(experts, scores, factors, strict=True)
    scale, useful = np.transpose([_spread_and_usefulness(*expert, codes) for expert in known])
    share = np.clip(useful / (USEFUL * max(MIN_USEFULNESS, useful.max())), 0.0, 1.0) ** 2
    share = np.maximum(MIN_SHARE, share)
    equal = np.array([VECTORS_FACTOR if name == VECTORS else 1.0 for name in experts])
    equal *= TOTAL_WEIGHT / len(scores)
    most = scale * [_max_weight(name) for name in experts]
    if not telling.any():
        weights = np.minimum(UNTESTED * equal, most) / scale
        return replace(combination, weights=weights, bias=log_priors.copy())
    found, prior_weight, bias = _fit(
        scores,
        [factor / by for factor, by in zip(factors, scale, strict=True)],
        codes,
        log_priors,
        _Prior(np.minimum(equal * share, most), WEIGHT_PENALTY / share, most, 1.0, BIAS_PENALTY),
        weights,
    )
    return replace(combination, weights=found / scale, bias=prior_weight * log_priors + bias)


def add_experts(
    combination: Combination,
    joint: Array,
    experts: Sequence[str],
    scores: Sequence[Array],
    codes: Codes,
    weights: Array | None = None,
    lengths: npt.ArrayLike | None = None,
) -> Combination:
    """Return a combination with more experts, fitted on texts that may be fewer.

    The old weights keep their proportions. Only their scale, the new weights (regularized towards 0) and the
    biases (strongly towards the old ones) are fitted, so few texts are enough.

    Parameters
    ----------
    joint : ndarray, (n, K)
        Joint log-probabilities of the texts by the combination.
    experts : sequence of str
        Names of the new experts; see `fit_combination`.
    scores : sequence of ndarray, (n, K)
        Scores of the new experts.
    codes : ndarray of int, (n,)
        Index of each text's label.
    weights : ndarray, (n,), optional
        Weights of the texts.
    lengths : array_like, (n,), optional
        See `fit_combination`.
    """
    factors = _length_factors(combination, experts, codes, lengths)
    known = zip(experts, scores, factors, strict=True)
    scale = np.array([1.0, *(_spread_and_usefulness(*expert, codes)[0] for expert in known)])
    start = np.zeros(1 + len(scores))
    start[0] = 1.0
    most = scale * [MAX_WEIGHT, *(_max_weight(name) for name in experts)]
    no_priors = np.zeros(joint.shape[1])
    prior = _Prior(start, np.full(len(start), WEIGHT_PENALTY), most, 0.0, ADDED_BIAS_PENALTY)
    unscaled = np.ones(len(codes))
    scaled = [factor / by for factor, by in zip([unscaled, *factors], scale, strict=True)]
    found, _, bias = _fit([joint, *scores], scaled, codes, no_priors, prior, weights)
    return replace(
        combination,
        experts=(*combination.experts, *experts),
        weights=np.concatenate([found[0] * combination.weights, found[1:] / scale[1:]]),
        bias=found[0] * combination.bias + bias,
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
    ngram_joint = combination.ngram_joint(scores[: -len(LSTMS)], lengths)
    top = np.argsort(-ngram_joint, axis=1, kind="stable")[:, :2]

    def top_margin(values: Array) -> Array:
        first, second = np.take_along_axis(values, top, axis=1).T
        margin: Array = first - second
        return margin

    ngram_margins = top_margin(ngram_joint - combination.bias)
    lstm_margins = top_margin(combination.lstm_joint(scores[-len(LSTMS) :], lengths))
    squares = float((ngram_margins**2).sum())
    slope = max(0.0, float((ngram_margins * lstm_margins).sum()) / squares) if squares else 0.0
    usual = np.minimum(np.asarray(lengths), combination.usual_length)
    length = float(np.median(usual))
    deviations = (slope * ngram_margins - lstm_margins) / relative_length(usual, length)
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


def _length_factors(
    combination: Combination, experts: Sequence[str], codes: Codes, lengths: npt.ArrayLike | None
) -> list[Array]:
    """Return what each expert's scores are multiplied by for texts of these lengths, (n,) each."""
    if lengths is None:
        return [np.ones(len(codes)) for _ in experts]
    return [combination.length_factor(expert, lengths) for expert in experts]


def _is_svm(name: str) -> bool:
    return name.startswith(SVM)


def _max_weight(name: str) -> float:
    return MAX_WEIGHT if _is_svm(name) else MAX_LIKELIHOOD_WEIGHT


def _smallest_spread(name: str, labels: int) -> float:
    return 2 * SVM_SPREAD * float(np.sqrt(labels - 1)) / labels if _is_svm(name) else LIKELIHOOD_SPREAD


def _spread_and_usefulness(name: str, scores: Array, factors: Array, codes: Codes) -> tuple[float, float]:
    """Return the spread of an expert's scores and their usefulness.

    The spread is the standard deviation from each text's mean, or the smallest one that counts. The
    usefulness is how far the scores of the true labels are above the others: 1 if always, 0 if at random. It
    is measured in deviations of each text's scores, so a few texts with large scores count little. What
    random scores reach by chance (a standard error) is added: few texts do not prove an expert useless.
    """
    n, labels = scores.shape
    deviations = scores - scores.mean(axis=1, keepdims=True)
    deviations *= factors[:, np.newaxis]
    of_text = np.sqrt(np.square(deviations).mean(axis=1))
    smallest = _smallest_spread(name, labels)
    scale = np.maximum(of_text, smallest)
    advantage = (deviations[np.arange(n), codes] / scale).mean()
    by_chance = np.sqrt(np.square(of_text / scale).mean() / n)
    spread = max(float(np.sqrt(np.square(of_text).mean())), smallest)
    return spread, float((advantage + by_chance) / np.sqrt(max(1, labels - 1)))


@dataclass(frozen=True)
class _Prior:
    """What is assumed of weights, those of scores divided by their scale, before any text is seen."""

    weights: Array
    """(E,)"""
    penalties: Array
    """(E,) quadratic, for leaving these weights."""
    most: Array
    """(E,) largest weights."""
    prior_weight: float
    """Of the log priors."""
    bias_penalty: float


def _fit(
    scores: Sequence[Array],
    factors: Sequence[Array],
    codes: Codes,
    log_priors: Array,
    prior: _Prior,
    weights: Array | None,
) -> tuple[Array, float, Array]:
    """Return the weights of experts (E,) and log priors, and biases (K,), regularized towards a prior and 0.

    The weights are those of scores multiplied by their factors, (n,) each.
    """
    count, (n, labels) = len(scores), scores[0].shape
    text_weights = np.ones(n) if weights is None else weights / weights.mean()
    step = max(1, CACHED_NUMBERS // labels)
    experts = [(expert, factor[:, np.newaxis]) for expert, factor in zip(scores, factors, strict=True)]
    parts = [slice(first, first + step) for first in range(0, n, step)]
    batches = [
        (np.array([expert[part] * factor[part] for expert, factor in experts]), part) for part in parts
    ]

    def objective(parameters: Array) -> tuple[float, Array]:
        expert_weights, prior_weight, bias = parameters[:count], parameters[count], parameters[count + 1 :]
        offset = prior_weight * log_priors + bias
        change, prior_change = expert_weights - prior.weights, prior_weight - prior.prior_weight
        loss = (prior.penalties * change**2).sum() + WEIGHT_PENALTY * prior_change**2
        loss += prior.bias_penalty * (bias**2).sum()
        gradient, label_residual = 2 * prior.penalties * change, np.zeros(labels)
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
        bias_gradient = label_residual + 2 * prior.bias_penalty * bias
        return loss, np.concatenate([gradient, [prior_gradient], bias_gradient])

    first = np.concatenate([prior.weights, [prior.prior_weight], np.zeros(labels)])
    bounds = [*((0.0, value) for value in prior.most.tolist()), (0.0, None), *[(None, None)] * labels]
    precise = {"ftol": 1e-10, "gtol": 1e-7, "maxiter": 1000, "maxfun": 10_000}
    found = minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options=precise).x
    return found[:count], float(found[count]), found[count + 1 :]
