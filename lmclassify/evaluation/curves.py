"""Curves of an evaluation: ROC, precision-recall, reliability, coverage; by scikit-learn where it has them.

Shapes: n texts, K labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from lmclassify.classify.decisions import Decisions
from lmclassify.classify.thresholds import log_odds
from lmclassify.evaluation.metrics import ECE_BINS, calibration_bins, wilson_interval

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MOST_LINES = 5
"""Labels drawn where there are more than two."""
_MOST_POINTS = 300
_GRID = np.linspace(0.0, 1.0, 201)
_FARTHEST = 1e6  # log-odds, so that they are finite


class Point(NamedTuple):
    """What a decision comes to."""

    name: str
    false_positive_rate: float
    recall: float
    """The true-positive rate, too."""
    precision: float | None
    """None where no text is taken for positive."""


@dataclass(frozen=True)
class Line:
    """A curve, thinned to some hundred points."""

    label: str | None
    """None: the mean over all labels."""
    x: Array
    y: Array
    area: float
    """Under the ROC curve; of precision and recall, average precision."""
    texts: int
    """Of the label."""
    points: list[Point]
    """Decisions to mark."""


@dataclass(frozen=True)
class Curves:
    """How well probabilities tell each label from the others, whatever the threshold."""

    roc: list[Line]
    """x: false-positive rate, y: true-positive rate."""
    precision_recall: list[Line]
    """x: recall, y: precision; recall falls."""
    labels: int
    """How many labels have texts and others' texts beside them: those that means are taken over."""


@dataclass(frozen=True)
class Bin:
    """Texts whose largest probability is alike."""

    low: float
    high: float
    texts: int
    confidence: float
    """Mean of the largest probability."""
    accuracy: float
    interval: tuple[float, float]
    """Of the accuracy, 95%."""


@dataclass(frozen=True)
class CoverageCurve:
    """Accuracy of the surest texts, from few of them to all."""

    coverage: Array
    accuracy: Array
    low: Array
    high: Array
    """Bounds of its 95% interval."""


def measure_curves(
    true: Sequence[str], log_posteriors: Array, decisions: Decisions, predicted: npt.NDArray[np.object_]
) -> Curves:
    """Return ROC and precision-recall curves.

    Of two labels: of the positive one, with the thresholds that decide marked. Of more: of each label
    against the rest, of the positive label if there is one and of the most frequent, and the mean of all;
    marked is what the decisions give. Labels that no text has, or all texts, have no curve.

    Parameters
    ----------
    true : sequence of str, (n,)
    log_posteriors : ndarray, (n, K)
    decisions : Decisions
    predicted : ndarray of str, (n,)
        As decided.
    """
    labels = list(decisions.labels)
    truth = np.asarray(true, dtype=object)
    counts = Counter(true)
    drawable = [code for code, label in enumerate(labels) if 0 < counts[label] < len(truth)]
    if len(labels) == 2:
        positive = 1 if decisions.positive is None else decisions.positive
        drawable = [code for code in drawable if code == positive]
    elif len(labels) < 2:
        drawable = []
    ranked = sorted(drawable, key=lambda code: (code != decisions.positive, -counts[labels[code]], code))
    shown = ranked[:MOST_LINES]
    lines: dict[int, tuple[Line, Line]] = {}
    sums = np.zeros((2, len(_GRID)))
    areas = np.zeros(2)
    for code, odds in zip(drawable, _all_log_odds(log_posteriors, drawable), strict=True):
        label = labels[code]
        is_label = truth == label
        fpr, tpr, _ = roc_curve(is_label, odds)
        precision, recall, _ = precision_recall_curve(is_label, odds, drop_intermediate=True)
        both = float(auc(fpr, tpr)), float(average_precision_score(is_label, odds))
        areas += both
        sums[0] += np.interp(_GRID, fpr, tpr)
        sums[1] += precision[::-1][np.searchsorted(recall[::-1], _GRID)]
        if code in shown:
            if len(labels) == 2:
                points = [_point(name, is_label, odds >= at) for name, at in _thresholds(decisions)]
            else:
                points = [_point("decided", is_label, predicted == label)]
            texts = counts[label]
            lines[code] = (
                Line(label, *_thinned(fpr, tpr), both[0], texts, points),
                Line(label, *_thinned(recall, precision), both[1], texts, points),
            )
    drawn = [lines[code] for code in shown]
    if len(drawable) > 1:
        (of_roc, of_pr), (roc_area, pr_area) = sums / len(drawable), (areas / len(drawable)).tolist()
        drawn.append(
            (
                Line(None, np.append(0.0, _GRID), np.append(0.0, of_roc), roc_area, len(truth), []),
                Line(None, _GRID[::-1], of_pr[::-1], pr_area, len(truth), []),
            )
        )
    return Curves([roc for roc, _ in drawn], [pr for _, pr in drawn], len(drawable))


def _all_log_odds(log_posteriors: Array, codes: Sequence[int]) -> Iterator[Array]:
    """Yield each label's log-odds against all others, (n,)."""
    if len(codes) == 1:
        yield _finite(log_odds(log_posteriors, codes[0]))
        return
    likeliest = log_posteriors.argmax(axis=1)
    for code in codes:
        of_label = log_posteriors[:, code]
        with np.errstate(divide="ignore"):
            odds = of_label - np.log(-np.expm1(np.minimum(of_label, 0.0)))
        top = likeliest == code  # 1 - p loses what tells probabilities near 1 apart
        odds[top] = log_odds(log_posteriors[top], code)
        yield _finite(odds)


def _finite(odds: Array) -> Array:
    return np.clip(np.nan_to_num(odds, nan=0.0), -_FARTHEST, _FARTHEST)


def _thresholds(decisions: Decisions) -> list[tuple[str, float]]:
    """Return the probabilities of the positive one of two labels that decide, with their log-odds."""
    if decisions.positive_log_odds is not None:
        log_odds_ = max(decisions.positive_log_odds, 0.0)  # it must be the likeliest, too
        return [(f"{1 / (1 + np.exp(-log_odds_)):.4g}", log_odds_)]
    if decisions.unsure is not None:
        probabilities = sorted(set(decisions.unsure))
    elif decisions.min_confidence is not None:
        least = max(decisions.min_confidence, 0.5)
        probabilities = sorted({1 - least, least})
    else:
        probabilities = [0.5]
    with np.errstate(divide="ignore"):
        return [(f"{p:.4g}", float(np.log(p) - np.log1p(-p))) for p in probabilities]


def _point(name: str, is_label: Flags, called: Flags) -> Point:
    right = int((called & is_label).sum())
    wrong = int(called.sum()) - right
    others = len(is_label) - int(is_label.sum())
    precision = right / (right + wrong) if right + wrong else None
    return Point(name, wrong / others, right / int(is_label.sum()), precision)


def _thinned(x: Array, y: Array) -> tuple[Array, Array]:
    """Return points at even distances along a curve, its ends among them."""
    way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    kept = np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], _MOST_POINTS)))
    kept = np.unique(np.append(kept, [0, len(x) - 1]))
    return x[kept], y[kept]


def measure_reliability(top_probability: Array, correct: Flags) -> list[Bin]:
    """Return confidence and accuracy of the bins that the expected calibration error is taken over.

    Parameters
    ----------
    top_probability : ndarray, (n,)
    correct : ndarray of bool, (n,)

    Returns
    -------
    list of Bin
        Those that have texts.
    """
    bins = calibration_bins(top_probability)
    texts, sums, right = (
        np.bincount(bins, weights, minlength=ECE_BINS) for weights in (None, top_probability, correct)
    )
    low, high = wilson_interval(right, texts)
    return [
        Bin(
            low=at / ECE_BINS,
            high=(at + 1) / ECE_BINS,
            texts=int(texts[at]),
            confidence=float(sums[at] / texts[at]),
            accuracy=float(right[at] / texts[at]),
            interval=(float(low[at]), float(high[at])),
        )
        for at in np.flatnonzero(texts).tolist()
    ]


def measure_coverage(top_probability: Array, correct: Flags) -> CoverageCurve:
    """Return how accurate the likeliest labels are if only the surest texts are decided.

    Parameters
    ----------
    top_probability : ndarray, (n,)
    correct : ndarray of bool, (n,)
    """
    right = np.cumsum(correct[np.argsort(-top_probability, kind="stable")])
    decided = np.unique(np.ceil(np.linspace(0.0, 1.0, 101)[1:] * len(right)).astype(np.intp))
    low, high = wilson_interval(right[decided - 1], decided)
    return CoverageCurve(decided / len(right), right[decided - 1] / decided, low, high)
