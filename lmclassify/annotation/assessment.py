"""How good a model of the labels so far is, and what more labels are expected to bring."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmclassify.annotation.selection import fit_model

FOLDS, HALF_FOLDS = 5, 2
"""Folds of the cross-validation; the first two are also scored by a model of half of the training texts."""
MIN_RANDOM = 10
"""Fewest texts drawn at random from which accuracy is estimated."""
FORECAST_LABELS = 20
"""The forecast is for this many more labels."""
TYPICAL_EXPONENT, SPREAD_OF_EXPONENTS = 0.35, 0.2
"""Mean and standard deviation of the normal prior of a learning curve's exponent; see docs/experiments.md."""
MAX_EXPONENT = 1.0
"""Steepest learning curve: the error falls no faster than 1 / number of labels."""


@dataclass(frozen=True)
class Assessment:
    """Estimated accuracy, from 0 to 1, with its 95% interval."""

    estimate: float
    low: float
    high: float
    of: int
    """Number of texts drawn at random that it is estimated from."""
    forecast_labels: int
    forecast_points: float
    """By how many percentage points `forecast_labels` more labels are expected to raise the accuracy."""


def assess(
    texts: Sequence[str], labels: Mapping[int, str], at_random: Collection[int], seed: int = 0
) -> Assessment | None:
    """Estimate accuracy by cross-validation; return None if too little is labelled.

    Only texts drawn at random tell the accuracy on all texts: those that the model chose are harder. The
    interval is Wilson's (1927). The forecast follows a power law of the error, ``e(n) = a * n ** -b`` (Cortes
    et al. 1993, "Learning curves: asymptotic values and rate of convergence"), its exponent from models of
    all and of half of the training texts.

    Parameters
    ----------
    texts : sequence of str, (n,)
        All texts, labelled and not.
    labels : mapping of int to str
        The labels so far, by index.
    at_random : collection of int
        Labelled texts that were drawn at random.
    """
    from scipy.stats import binomtest

    rows = np.array(sorted(labels), dtype=np.intp)
    drawn = np.isin(rows, sorted(at_random))
    if drawn.sum() < MIN_RANDOM:
        return None
    rng = np.random.default_rng(seed)
    fold = rng.permutation(np.arange(len(rows)) % FOLDS)
    whole = _right(texts, labels, rows, fold, 1.0, seed)
    half = _right(texts, labels, rows, np.where(fold < HALF_FOLDS, fold, FOLDS), 0.5, seed)
    if half is None or whole is None:
        return None
    num_right, of = int(whole[drawn].sum()), int(drawn.sum())
    interval = binomtest(num_right, of).proportion_ci(method="wilson")
    n = len(rows)
    both = fold < HALF_FOLDS
    error_half, error = (float(np.mean(~each[both])) for each in (half, whole))
    exponent = _exponent(error_half, error, int(both.sum()))
    error_now = (1 - num_right / of) * (1 - 1 / FOLDS) ** exponent
    gain = error_now * (1 - (1 + FORECAST_LABELS / n) ** -exponent)
    return Assessment(
        num_right / of, float(interval.low), float(interval.high), of, FORECAST_LABELS, 100 * gain
    )


def _exponent(error_half: float, error: float, n: int) -> float:
    """Return the exponent of the learning curve: what was measured, shrunk to what is typical.

    Two error rates of a few dozen texts tell little, so they count by the inverse of their variance.

    Parameters
    ----------
    error_half, error : float
        Share of wrong labels with half of the training texts, and with all.
    n : int
        Number of texts that both were measured on.
    """
    rates = [(rate * n + 0.5) / (n + 1) for rate in (error_half, error)]
    measured = np.log2(rates[0] / rates[1])
    variance = sum((1 - rate) / (rate * n) for rate in rates) / np.log(2) ** 2
    precision, typical = 1 / variance, 1 / SPREAD_OF_EXPONENTS**2
    mean = (precision * measured + typical * TYPICAL_EXPONENT) / (precision + typical)
    return float(np.clip(mean, 0, MAX_EXPONENT))


def _right(
    texts: Sequence[str],
    labels: Mapping[int, str],
    rows: npt.NDArray[np.intp],
    fold: npt.NDArray[np.signedinteger],
    share: float,
    seed: int,
) -> npt.NDArray[np.bool_] | None:
    """Return which held-out texts get their label, (n,), from models of a share of all others.

    Texts of fold `FOLDS` are not held out.
    """
    right = np.zeros(len(rows), dtype=bool)
    order = np.random.default_rng(seed).permutation(rows)
    for held_out in np.unique(fold[fold < FOLDS]):
        training = order[np.isin(order, rows[fold != held_out])]
        training = training[: max(2, round(share * len(training)))]
        if len({labels[row] for row in training}) < 2:
            return None
        model = fit_model([texts[row] for row in training], [labels[row] for row in training], seed)
        tested = rows[fold == held_out]
        predicted = model.predict([texts[row] for row in tested])
        right[fold == held_out] = [label == labels[row] for row, label in zip(tested, predicted, strict=True)]
    return right
