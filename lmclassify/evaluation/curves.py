"""Curves of an evaluation: ROC, precision-recall, reliability and coverage.

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

_MAX_LINES = 5
"""Labels with a curve of their own if there are more than two: more lines cannot be told apart."""
_MAX_POINTS = 300
"""Points of a curve: more make a larger page that looks the same."""
_MAX_LOG_ODDS = 1e6
"""Replaces infinite log-odds, which scikit-learn's curves do not accept."""
_GRID = np.linspace(0.0, 1.0, 201)


class Point(NamedTuple):
    """Rates of a decision, to be marked on a curve."""

    name: str
    false_positive_rate: float
    recall: float
    """Also called the true-positive rate."""
    precision: float | None
    """None if no text is predicted positive."""


@dataclass(frozen=True)
class Line:
    """A curve of at most some hundred points."""

    label: str | None
    """None: mean over all labels."""
    x: Array
    y: Array
    area: float
    """Area under the ROC curve, or average precision."""
    texts: int
    """Number of texts of the label."""
    points: list[Point]
    """Decisions to mark."""


@dataclass(frozen=True)
class Curves:
    """How well the probabilities separate each label from the others, over all thresholds."""

    roc: list[Line]
    """x: false-positive rate, y: true-positive rate."""
    precision_recall: list[Line]
    """x: recall, decreasing; y: precision."""
    labels: int
    """Number of labels with a curve; the mean is over these."""


@dataclass(frozen=True)
class Bin:
    """Texts whose top probability is in one bin."""

    low: float
    high: float
    texts: int
    confidence: float
    """Mean top probability."""
    accuracy: float
    interval: tuple[float, float]
    """95% confidence interval of the accuracy."""


@dataclass(frozen=True)
class CoverageCurve:
    """Accuracy of the most confident texts, from few of them to all."""

    coverage: Array
    accuracy: Array
    low: Array
    high: Array
    """`low` and `high` are the bounds of the 95% confidence interval."""


def measure_curves(
    true: Sequence[str], log_posteriors: Array, decisions: Decisions, predicted: npt.NDArray[np.object_]
) -> Curves:
    """Return ROC and precision-recall curves.

    With two labels: the curve of the positive label, with the thresholds of the decision rule marked.
    With more: each label against the rest (the positive label, if any, then the most frequent ones) and the
    mean of all labels, with the decisions marked. A label of none or all of the texts has no curve.

    Parameters
    ----------
    true : sequence of str, (n,)
    log_posteriors : ndarray, (n, K)
    predicted : ndarray of str, (n,)
        Labels that `decisions` gives.
    """
    labels = list(decisions.labels)
    truth = np.asarray(true, dtype=object)
    counts = Counter(true)
    codes = _codes_with_curve(decisions, counts)
    ranked = sorted(codes, key=lambda code: (code != decisions.positive, -counts[labels[code]], code))
    lines: dict[int, tuple[Line, Line]] = {}
    mean_tpr, mean_precision = np.zeros((2, len(_GRID)))
    areas = np.zeros(2)
    for code, odds in zip(codes, _each_log_odds(log_posteriors, codes), strict=True):
        label = labels[code]
        is_label = truth == label
        fpr, tpr, _ = roc_curve(is_label, odds)
        precision, recall, _ = precision_recall_curve(is_label, odds, drop_intermediate=True)
        label_areas = float(auc(fpr, tpr)), float(average_precision_score(is_label, odds))
        areas += np.array(label_areas) / len(codes)
        mean_tpr += np.interp(_GRID, fpr, tpr) / len(codes)
        mean_precision += precision[::-1][np.searchsorted(recall[::-1], _GRID)] / len(codes)
        if code in ranked[:_MAX_LINES]:
            if len(labels) == 2:
                points = [_point(name, is_label, odds >= at) for name, at in _thresholds(decisions)]
            else:
                points = [_point("decided", is_label, predicted == label)]
            lines[code] = (
                Line(label, *_thinned(fpr, tpr), label_areas[0], counts[label], points),
                Line(label, *_thinned(recall, precision), label_areas[1], counts[label], points),
            )
    drawn = [lines[code] for code in ranked[:_MAX_LINES]]
    if len(codes) > 1:
        roc_area, average_precision = areas.tolist()
        drawn.append(
            (
                Line(None, np.append(0.0, _GRID), np.append(0.0, mean_tpr), roc_area, len(truth), []),
                Line(None, _GRID[::-1], mean_precision[::-1], average_precision, len(truth), []),
            )
        )
    return Curves([roc for roc, _ in drawn], [pr for _, pr in drawn], len(codes))


def _codes_with_curve(decisions: Decisions, counts: Counter[str]) -> list[int]:
    """Return the labels that have texts and are not the only label; of two labels, only the positive one."""
    if len(decisions.labels) < 2:
        return []
    codes = [code for code, label in enumerate(decisions.labels) if 0 < counts[label] < counts.total()]
    if len(decisions.labels) == 2:
        positive = 1 if decisions.positive is None else decisions.positive
        codes = [code for code in codes if code == positive]
    return codes


def _each_log_odds(log_posteriors: Array, codes: Sequence[int]) -> Iterator[Array]:
    """Yield each label's log-odds against all others, (n,)."""
    if len(codes) == 1:
        yield _finite(log_odds(log_posteriors, codes[0]))
        return
    most_probable = log_posteriors.argmax(axis=1)
    for code in codes:
        log_p = log_posteriors[:, code]
        with np.errstate(divide="ignore"):
            odds = log_p - np.log(-np.expm1(np.minimum(log_p, 0.0)))
        is_top = most_probable == code  # near p = 1, 1 - p is rounded: sum the other labels instead
        odds[is_top] = log_odds(log_posteriors[is_top], code)
        yield _finite(odds)


def _finite(odds: Array) -> Array:
    return np.clip(np.nan_to_num(odds, nan=0.0), -_MAX_LOG_ODDS, _MAX_LOG_ODDS)


def _thresholds(decisions: Decisions) -> list[tuple[str, float]]:
    """Return the thresholds on the positive label's probability, of two labels, with their log-odds."""
    if decisions.positive_log_odds is not None:
        threshold = decisions.positive_log_odds
        return [(f"{1 / (1 + np.exp(-threshold)):.4g}", threshold)]
    if decisions.unsure is not None:
        probabilities = sorted(set(decisions.unsure))
    elif decisions.min_confidence is not None:
        confidence = max(decisions.min_confidence, 0.5)
        probabilities = sorted({1 - confidence, confidence})
    else:
        probabilities = [0.5]
    with np.errstate(divide="ignore"):
        return [(f"{p:.4g}", float(np.log(p) - np.log1p(-p))) for p in probabilities]


def _point(name: str, is_label: Flags, predicted: Flags) -> Point:
    true_positives = int((predicted & is_label).sum())
    false_positives = int(predicted.sum()) - true_positives
    positives = int(is_label.sum())
    return Point(
        name,
        false_positive_rate=false_positives / (len(is_label) - positives),
        recall=true_positives / positives,
        precision=true_positives / int(predicted.sum()) if predicted.any() else None,
    )


def _thinned(x: Array, y: Array) -> tuple[Array, Array]:
    """Return points at even distances along a curve, including its ends."""
    distance = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    kept = np.searchsorted(distance, np.linspace(0.0, distance[-1], _MAX_POINTS))
    kept = np.unique(np.append(kept, [0, len(x) - 1]))
    return x[kept], y[kept]


def measure_reliability(top_probability: Array, correct: Flags) -> list[Bin]:
    """Return confidence and accuracy in the bins of the expected calibration error; no empty bins.

    Parameters
    ----------
    top_probability : ndarray, (n,)
    correct : ndarray of bool, (n,)
    """
    bin_of_text = calibration_bins(top_probability)
    texts, sums, right = (
        np.bincount(bin_of_text, weights, minlength=ECE_BINS) for weights in (None, top_probability, correct)
    )
    return [
        Bin(
            low=number / ECE_BINS,
            high=(number + 1) / ECE_BINS,
            texts=int(texts[number]),
            confidence=float(sums[number] / texts[number]),
            accuracy=float(right[number] / texts[number]),
            interval=wilson_interval(int(right[number]), int(texts[number])),
        )
        for number in np.flatnonzero(texts).tolist()
    ]


def measure_coverage(top_probability: Array, correct: Flags) -> CoverageCurve:
    """Return the accuracy of the most probable labels if only the most confident texts are labelled.

    Parameters
    ----------
    top_probability : ndarray, (n,)
    correct : ndarray of bool, (n,)
    """
    right = np.cumsum(correct[np.argsort(-top_probability, kind="stable")])
    decided = np.unique(np.ceil(np.linspace(0.0, 1.0, 101)[1:] * len(right)).astype(np.intp))
    right = right[decided - 1]
    pairs = zip(right.tolist(), decided.tolist(), strict=True)
    intervals = np.array([wilson_interval(*pair) for pair in pairs])
    return CoverageCurve(decided / top_probability.size, right / decided, intervals[:, 0], intervals[:, 1])
