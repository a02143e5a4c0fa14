"""How good predictions are, by scikit-learn's metrics where it has them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from lmclassify.classify.decisions import UNSURE, Decisions
from lmclassify.errors import printable
from lmclassify.prediction.labelling import TableLabeller

Array = npt.NDArray[np.float64]

ECE_BINS = 15
"""Of equal width, of the largest probability."""
_NORMAL = 1.959963984540054  # between minus and plus this, 95% of a normal distribution
_COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
_PER_LABEL = ("precision", "recall", "f1-score", "support")


class Coverage(TypedDict):
    """What deciding the surest texts alone would bring."""

    coverage: float
    """Share of texts decided."""
    min_confidence: float
    """Of the likeliest label's probability, for the texts decided."""
    accuracy: float
    """Of the texts decided."""


class UnknownTexts(TypedDict):
    """How well novelty tells texts that have none of the model's labels."""

    texts: int
    auroc: float
    fpr_at_95_tpr: float
    """Share of them that pass for known where 95% of the known texts do."""
    found: int
    """Those that were given the unknown label."""
    false_alarms: int
    """Known texts that were."""


@dataclass(frozen=True)
class Evaluation:
    """Figures for texts whose labels are known."""

    texts: int
    labels: list[str]
    """All labels, of the model and of the data, sorted."""
    accuracy: float
    accuracy_interval: tuple[float, float]
    """Wilson's 95% confidence interval of the accuracy."""
    macro_f1: float
    log_loss: float
    """Mean negative log posterior of the true label, nats; infinite where the model lacks a label."""
    ece: float
    """Expected calibration error, 15 equal-width bins of the top probability."""
    confusion_matrix: list[list[int]]
    """Rows: true labels; columns: predicted ones; in the order of `labels`."""
    perplexity: dict[str, float]
    """Per token, of each label's texts under its own language model."""
    report: str
    """scikit-learn's classification report."""
    per_label: dict[str, dict[str, float]]
    """Precision, recall, F1 (``f1-score``) and number of texts (``support``) of each label."""
    unsure: int
    """Texts left undecided. They count as wrong in accuracy, F1 and report, where nobody decides them."""
    accuracy_of_decided: float | None
    """Of the other texts; None where there are none."""
    coverage: list[Coverage]
    """How accurate the likeliest labels are if only the surest are taken, from all texts to half of them."""
    unknown: UnknownTexts | None
    """How well novelty finds texts of no label, where both kinds are in the data."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON can hold them; what is infinite or undefined is None."""
        plain = {key: value for key, value in vars(self).items() if key != "report"}
        plain["perplexity"] = {label: _finite(value) for label, value in self.perplexity.items()}
        return {key: _finite(value) if isinstance(value, float) else value for key, value in plain.items()}

    def to_text(self) -> str:
        """Return the figures as lines to read."""
        lines = [self.report.rstrip("\n"), "", "confusion matrix (rows: true, columns: predicted)"]
        names = [printable(label) for label in self.labels]
        cells = [["", *names]]
        cells += [[name, *map(str, row)] for name, row in zip(names, self.confusion_matrix, strict=True)]
        width = max(len(cell) for row in cells for cell in row)
        lines += ["  ".join(cell.rjust(width) for cell in row) for row in cells]
        lines += [
            "",
            f"texts      {self.texts:,}",
            f"accuracy   {self.accuracy:.4f}",
            f"macro F1   {self.macro_f1:.4f}",
            f"log-loss   {self.log_loss:.4f}",
            f"ECE        {self.ece:.4f}",
        ]
        if self.unsure:
            lines.append(f"unsure     {self.unsure:,} texts ({self.unsure / self.texts:.1%})")
            if self.accuracy_of_decided is not None:
                lines.append(f"accuracy   {self.accuracy_of_decided:.4f} of the texts decided")
        if self.unknown is not None:
            unknown = self.unknown
            lines.append(
                f"unknown    {unknown['found']:,} of {unknown['texts']:,} found, "
                f"{unknown['false_alarms']:,} false alarms; "
                f"AUROC {unknown['auroc']:.4f}, FPR at 95% TPR {unknown['fpr_at_95_tpr']:.4f}"
            )
        lines += [
            f"perplexity {value:.1f} ({printable(label)}: its texts, its model)"
            for label, value in self.perplexity.items()
        ]
        lines += ["", "coverage  min. confidence  accuracy (if only the surest texts were decided)"]
        lines += [
            f"{point['coverage']:8.0%}  {point['min_confidence']:15.4f}  {point['accuracy']:8.4f}"
            for point in self.coverage
        ]
        return "\n".join(lines)


def evaluate(
    true: Sequence[str],
    log_posteriors: Array,
    decisions: Decisions,
    perplexity: Mapping[str, float] | None = None,
    novelty: Array | None = None,
) -> Evaluation:
    """Compare predictions with true labels.

    Parameters
    ----------
    true : sequence of str, (n,)
        n >= 1 labels; a model may lack some of them.
    log_posteriors : ndarray, (n, K)
    decisions : Decisions
        The model's labels and how they are decided.
    perplexity : mapping of str to float, optional
    novelty : ndarray, (n,), optional
        Needed with an unknown label. Log-loss and ECE are then of the texts that have none of that name.
    """
    classes, unknown_label = decisions.labels, decisions.unknown_label
    truth = np.asarray(true, dtype=object)
    predicted = decisions.decide(log_posteriors, novelty)
    labels = sorted({*true, *classes})
    every = [*labels, *sorted(set(predicted) - set(labels))]  # and what no text is: unsure, say
    place = {label: index for index, label in enumerate(classes)}
    known = known_texts(true, decisions)
    of_true = [
        log_posteriors[row, place[label]] if label in place else -np.inf
        for row, label in enumerate(true)
        if known[row]
    ]
    unsure = predicted == UNSURE if UNSURE not in labels else np.zeros(len(truth), dtype=bool)
    options = {"labels": labels, "zero_division": 0.0}
    columns = precision_recall_fscore_support(true, predicted, **options)
    top, likeliest = confidence(true, log_posteriors, decisions)
    right = int((predicted == truth).sum())
    low, high = wilson_interval(np.array([right]), np.array([len(truth)]))
    return Evaluation(
        texts=len(true),
        labels=every,
        accuracy=float(accuracy_score(true, predicted)),
        accuracy_interval=(float(low[0]), float(high[0])),
        macro_f1=float(np.mean(columns[2])),
        log_loss=-float(np.mean(of_true)) if of_true else math.nan,
        ece=expected_calibration_error(top[known], likeliest[known]) if known.any() else math.nan,
        confusion_matrix=_confusion_matrix(true, predicted, every),
        perplexity=dict(perplexity or {}),
        report=classification_report(
            true, predicted, digits=4, target_names=[printable(label) for label in labels], **options
        ),
        per_label={
            label: dict(zip(_PER_LABEL, map(float, row), strict=True))
            for label, row in zip(labels, zip(*columns, strict=True), strict=True)
        },
        unsure=int(unsure.sum()),
        accuracy_of_decided=float((predicted == truth)[~unsure].mean()) if not unsure.all() else None,
        coverage=_coverage(top, likeliest),
        unknown=_unknown_texts(novelty, known, predicted == unknown_label),
    )


def _confusion_matrix(
    true: Sequence[str], predicted: npt.NDArray[np.object_], labels: list[str]
) -> list[list[int]]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A single label was found")  # so it is: all labels are given
        counts: list[list[int]] = confusion_matrix(true, predicted, labels=labels).tolist()
    return counts


def known_texts(true: Sequence[str], decisions: Decisions) -> npt.NDArray[np.bool_]:
    """Return which texts are not expected to be unknown, (n,): those that log-loss and ECE are of."""
    truth = np.asarray(true, dtype=object)
    if decisions.unknown_label in decisions.labels:
        return np.ones(len(truth), dtype=bool)
    return np.asarray(truth != decisions.unknown_label, dtype=bool)


def confidence(
    true: Sequence[str], log_posteriors: Array, decisions: Decisions
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the likeliest label's probability and whether it is the true label, (n,) each."""
    names = np.asarray(decisions.labels, dtype=object)
    correct = names[log_posteriors.argmax(axis=1)] == np.asarray(true, dtype=object)
    return np.exp(log_posteriors.max(axis=1)), correct


def wilson_interval(right: npt.NDArray[Any], texts: npt.NDArray[Any]) -> tuple[Array, Array]:
    """Return the bounds of Wilson's 95% confidence interval of shares; from 0 to 1 where there are no texts.

    Parameters
    ----------
    right, texts : ndarray
        Counts; the share is right / texts.
    """
    n, square = np.maximum(texts, 1), _NORMAL**2
    share = right / n
    middle = share + square / (2 * n)
    half = _NORMAL * np.sqrt(share * (1 - share) / n + square / (4 * n**2))
    low, high = ((middle + sign * half) / (1 + square / n) for sign in (-1, 1))
    return (
        np.where((texts > 0) & (right > 0), np.clip(low, 0.0, 1.0), 0.0),
        np.where((texts > 0) & (right < texts), np.clip(high, 0.0, 1.0), 1.0),
    )


def calibration_bins(top_probability: Array) -> npt.NDArray[np.intp]:
    """Return which of the `ECE_BINS` bins each probability is in."""
    return np.minimum((np.asarray(top_probability) * ECE_BINS).astype(np.intp), ECE_BINS - 1)


def _coverage(top_probability: Array, correct: npt.NDArray[np.bool_]) -> list[Coverage]:
    order = np.argsort(-top_probability, kind="stable")
    points: list[Coverage] = []
    for share in _COVERAGES:
        decided = order[: max(1, round(share * len(order)))]
        points.append(
            {
                "coverage": len(decided) / len(order),
                "min_confidence": float(top_probability[decided[-1]]),
                "accuracy": float(correct[decided].mean()),
            }
        )
    return points


def _unknown_texts(
    novelty: Array | None, known: npt.NDArray[np.bool_], called_unknown: npt.NDArray[np.bool_]
) -> UnknownTexts | None:
    if novelty is None or known.all() or not known.any():
        return None
    return {
        "texts": int((~known).sum()),
        "auroc": float(roc_auc_score(~known, novelty)),
        "fpr_at_95_tpr": float((novelty[~known] <= np.quantile(novelty[known], 0.95)).mean()),
        "found": int(called_unknown[~known].sum()),
        "false_alarms": int(called_unknown[known].sum()),
    }


def evaluate_rows(
    labeller: TableLabeller, progress: Callable[[int, int], object] | None = None
) -> Evaluation:
    """Return the figures of the rows that a labeller has seen; at least one must have a true label.

    `progress` is that of `TableLabeller.perplexity`, which takes the longest.
    """
    perplexity = labeller.perplexity(progress)
    return evaluate(labeller.true, labeller.log_posteriors, labeller.decisions, perplexity, labeller.novelty)


def expected_calibration_error(
    top_probability: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]
) -> float:
    """Return the expected calibration error (Guo et al. 2017, equation 5).

    The mean over texts of the gap between confidence and accuracy within 15 equal-width bins.
    """
    bins = calibration_bins(top_probability)
    gaps = np.asarray(correct, dtype=float) - top_probability
    return float(np.abs(np.bincount(bins, gaps, minlength=ECE_BINS)).sum() / len(gaps))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
