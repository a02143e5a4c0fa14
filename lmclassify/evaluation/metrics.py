"""Metrics of predictions on labelled texts: by scikit-learn, plus calibration, coverage and unknown texts.

Shapes: n texts, K labels.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from lmclassify.classify.decisions import UNSURE, Decisions
from lmclassify.errors import counted
from lmclassify.evaluation.classification_report import classification_report, reported_labels
from lmclassify.evaluation.confusion import MAX_MATRIX_LABELS, confusion_text
from lmclassify.evaluation.page.formats import perplexity as format_perplexity
from lmclassify.prediction.labelling import TableLabeller
from lmclassify.text.display import percent, shown, word_lines

Array = npt.NDArray[np.float64]

ECE_BINS = 15
"""Bins of equal width of the top probability in the expected calibration error: as in Guo et al. (2017)."""
_COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
_WIDTH = 80
"""Characters of a line of text: the usual width of terminals."""
_PER_LABEL = ("precision", "recall", "f1-score", "support")


class Coverage(TypedDict):
    """Accuracy if only the most confident texts are labelled."""

    coverage: float
    """Share of texts that are labelled."""
    min_confidence: float
    """Lowest top probability of these texts."""
    accuracy: float
    """Of these texts."""


class UnknownTexts(TypedDict):
    """How well novelty detects texts that have none of the model's labels."""

    texts: int
    auroc: float
    fpr_at_95_tpr: float
    """Share of them accepted as known when 95% of the known texts are."""
    found: int
    """Unknown texts that got the unknown label."""
    false_alarms: int
    """Known texts that got the unknown label."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a model on labelled texts."""

    texts: int
    labels: list[str]
    """Labels of the model and of the data, sorted; then "unsure" or the unknown label if predicted."""
    accuracy: float
    accuracy_interval: tuple[float, float]
    """Wilson's 95% confidence interval of the accuracy."""
    baseline_label: str
    """The most frequent true label."""
    baseline_accuracy: float
    """Accuracy of always answering with it."""
    macro_f1: float
    """Mean of the labels that a text has or got, as in scikit-learn."""
    log_loss: float
    """Mean negative log posterior of the true label, nats; infinite if the model lacks a label."""
    ece: float
    """Expected calibration error, 15 equal-width bins of the top probability."""
    confusion_matrix: list[list[int]]
    """Rows: true labels; columns: predicted labels; in the order of `labels`."""
    perplexity: dict[str, float]
    """Per token, of each label's texts under its own language model."""
    report: str
    """scikit-learn's classification report; of many labels only those that occur."""
    per_label: dict[str, dict[str, float]]
    """Precision, recall, F1 (``f1-score``) and number of texts (``support``) of each label."""
    unsure: int
    """Texts without a decision. They count as wrong in accuracy, F1 and report."""
    accuracy_of_decided: float | None
    """Accuracy without the unsure texts; None if all are unsure."""
    coverage: list[Coverage]
    """Accuracy of the most probable labels, from all texts down to the most confident half."""
    unknown: UnknownTexts | None
    """Detection of unknown texts; None unless the data have known and unknown texts."""

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON-compatible data; None for infinite and undefined values."""
        plain = {key: value for key, value in vars(self).items() if key != "report"}
        plain["perplexity"] = {label: _finite(value) for label, value in self.perplexity.items()}
        return {key: _finite(value) if isinstance(value, float) else value for key, value in plain.items()}

    @property
    def better_than_baseline(self) -> bool:
        """Whether the whole interval of the accuracy is above the baseline, or all answers are right."""
        return self.accuracy == 1.0 or self.accuracy_interval[0] > self.baseline_accuracy

    def to_text(self) -> str:
        """Return the metrics as text: of many labels those that occur, and the most confused pairs."""
        sections = {
            "Summary": self._summary(),
            "Confusion matrix": [confusion_text(self.labels, self.confusion_matrix)],
            "Per-label metrics": [self.report.rstrip("\n"), *self._perplexities()],
            "Calibration": self._calibration(),
        }
        return "\n\n".join("\n".join([title, *lines]) for title, lines in sections.items())

    def baseline(self) -> str:
        """Return the baseline in words, such as "always ham: 60%"."""
        return f"always {shown(self.baseline_label)}: {percent(self.baseline_accuracy, self.texts)}"

    def _summary(self) -> list[str]:
        low, high = (percent(bound, self.texts) for bound in self.accuracy_interval)
        lines = [
            f"texts      {self.texts:,}",
            f"accuracy   {percent(self.accuracy, self.texts)}, 95% interval {low} to {high}",
            f"baseline   {self.baseline()}",
            f"macro F1   {self.macro_f1:.3f} (mean F1 of the labels that occur)",
            f"log-loss   {self.log_loss:.3f} (nats per text; 0 is best)",
        ]
        if not self.better_than_baseline:
            lines.append(f"note: the accuracy is not clearly better than {self.baseline()}")
        if self.unsure:
            share = percent(self.unsure / self.texts, self.texts)
            lines.append(f"unsure     {counted(self.unsure, 'text')} ({share}), counted as wrong")
            if self.accuracy_of_decided is not None:
                accuracy = percent(self.accuracy_of_decided, self.texts - self.unsure)
                lines.append(f"accuracy   {accuracy} without the unsure texts")
        if self.unknown is not None:
            unknown = self.unknown
            lines += [
                f"unknown    {unknown['found']:,} of {unknown['texts']:,} found, "
                f"{unknown['false_alarms']:,} false alarms",
                f"           AUROC {unknown['auroc']:.3f}, FPR at 95% TPR {unknown['fpr_at_95_tpr']:.3f}",
            ]
        return lines

    def _perplexities(self) -> list[str]:
        texts = {label: int(self.per_label[label]["support"]) for label in self.perplexity}
        values = [
            f"{shown(label)} {format_perplexity(self.perplexity[label])}"
            for label in reported_labels(texts, MAX_MATRIX_LABELS)
        ]
        if not values:
            return []
        more = f", {len(texts) - len(values):,} more" if len(values) < len(texts) else ""
        title = "perplexity per token, of each label's texts under its own language model: "
        return ["", *word_lines(title + ", ".join(values) + more, _WIDTH)]

    def _calibration(self) -> list[str]:
        return [
            f"ECE        {self.ece:.3f} (mean difference of probability and accuracy; 0 is best)",
            "",
            "accuracy if only the most confident texts are labelled:",
            "coverage  min. probability  accuracy",
            *(
                f"{point['coverage']:8.0%}  {percent(point['min_confidence']):>16}  "
                f"{percent(point['accuracy'], self.texts):>8}"
                for point in self.coverage
            ),
        ]


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
        True labels, n >= 1; the model may lack some of them.
    log_posteriors : ndarray, (n, K)
    decisions : Decisions
        The model's labels and its decision rule.
    perplexity : mapping of str to float, optional
        Of each label's texts.
    novelty : ndarray, (n,), optional
        Required with an unknown label. Log-loss and ECE then leave out texts of that label.
    """
    classes, unknown_label = decisions.labels, decisions.unknown_label
    truth = np.asarray(true, dtype=object)
    predicted = decisions.decide(log_posteriors, novelty)
    labels = sorted({*true, *classes})
    all_names = [*labels, *sorted(set(predicted) - set(labels))]  # "unsure" is predicted but never true
    code_of = {label: code for code, label in enumerate(classes)}
    known = known_texts(true, decisions)
    true_log_posteriors = [
        log_posteriors[row, code_of[label]] if label in code_of else -np.inf
        for row, label in enumerate(true)
        if known[row]
    ]
    unsure = predicted == UNSURE if UNSURE not in labels else np.zeros(len(truth), dtype=bool)
    options = {"labels": labels, "zero_division": 0.0}
    frequent, count = max(sorted(Counter(true).items()), key=lambda item: item[1])
    columns = precision_recall_fscore_support(true, predicted, **options)
    occurring = {*true, *predicted}
    top, top_is_true = confidence(true, log_posteriors, decisions)
    return Evaluation(
        texts=len(true),
        labels=all_names,
        accuracy=float(accuracy_score(true, predicted)),
        accuracy_interval=wilson_interval(int((predicted == truth).sum()), len(truth)),
        baseline_label=frequent,
        baseline_accuracy=count / len(true),
        macro_f1=float(columns[2][[label in occurring for label in labels]].mean()),
        log_loss=0.0 - float(np.mean(true_log_posteriors)) if true_log_posteriors else math.nan,
        ece=expected_calibration_error(top[known], top_is_true[known]) if known.any() else math.nan,
        confusion_matrix=_confusion_matrix(true, predicted, all_names),
        perplexity=dict(perplexity or {}),
        report=classification_report(Counter(zip(true, predicted.tolist(), strict=True)), labels),
        per_label={
            label: dict(zip(_PER_LABEL, map(float, row), strict=True))
            for label, row in zip(labels, zip(*columns, strict=True), strict=True)
        },
        unsure=int(unsure.sum()),
        accuracy_of_decided=float((predicted == truth)[~unsure].mean()) if not unsure.all() else None,
        coverage=_coverage(top, top_is_true),
        unknown=_unknown_texts(novelty, known, predicted == unknown_label),
    )


def _confusion_matrix(
    true: Sequence[str], predicted: npt.NDArray[np.object_], labels: list[str]
) -> list[list[int]]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A single label was found")  # all labels are given
        counts: list[list[int]] = confusion_matrix(true, predicted, labels=labels).tolist()
    return counts


def known_texts(true: Sequence[str], decisions: Decisions) -> npt.NDArray[np.bool_]:
    """Return which texts have a label other than the unknown one, (n,); log-loss and ECE use only these."""
    truth = np.asarray(true, dtype=object)
    if decisions.unknown_label in decisions.labels:
        return np.ones(len(truth), dtype=bool)
    return np.asarray(truth != decisions.unknown_label, dtype=bool)


def confidence(
    true: Sequence[str], log_posteriors: Array, decisions: Decisions
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the top probability and whether its label is the true one, (n,) each."""
    names = np.asarray(decisions.labels, dtype=object)
    correct = names[log_posteriors.argmax(axis=1)] == np.asarray(true, dtype=object)
    return np.exp(log_posteriors.max(axis=1)), correct


def wilson_interval(right: int, texts: int) -> tuple[float, float]:
    """Return Wilson's 95% confidence interval of the share right / texts; (0, 1) if there are no texts."""
    if texts == 0:
        return 0.0, 1.0
    interval = binomtest(right, texts).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def calibration_bins(top_probability: Array) -> npt.NDArray[np.intp]:
    """Return the bin of each probability, from 0 to `ECE_BINS` - 1."""
    return np.minimum((np.asarray(top_probability) * ECE_BINS).astype(np.intp), ECE_BINS - 1)


def _coverage(top_probability: Array, correct: npt.NDArray[np.bool_]) -> list[Coverage]:
    order = np.argsort(-top_probability, kind="stable")
    points: list[Coverage] = []
    # Of few texts, several shares are the same number of texts.
    for texts in dict.fromkeys(max(1, round(share * len(order))) for share in _COVERAGES):
        decided = order[:texts]
        points.append(
            {
                "coverage": len(decided) / len(order),
                "min_confidence": float(top_probability[decided[-1]]),
                "accuracy": float(correct[decided].mean()),
            }
        )
    return points


def _unknown_texts(
    novelty: Array | None, known: npt.NDArray[np.bool_], predicted_unknown: npt.NDArray[np.bool_]
) -> UnknownTexts | None:
    if novelty is None or known.all() or not known.any():
        return None
    return {
        "texts": int((~known).sum()),
        "auroc": float(roc_auc_score(~known, novelty)),
        "fpr_at_95_tpr": float((novelty[~known] <= np.quantile(novelty[known], 0.95)).mean()),
        "found": int(predicted_unknown[~known].sum()),
        "false_alarms": int(predicted_unknown[known].sum()),
    }


def evaluate_rows(
    labeller: TableLabeller, progress: Callable[[int, int], object] | None = None
) -> Evaluation:
    """Return the metrics of the rows that a labeller has kept; at least one must have a true label.

    `progress` is passed to `TableLabeller.perplexity`, the slowest step.
    """
    perplexity = labeller.perplexity(progress)
    return evaluate(labeller.true, labeller.log_posteriors, labeller.decisions, perplexity, labeller.novelty)


def expected_calibration_error(
    top_probability: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]
) -> float:
    """Return the expected calibration error (Guo et al. 2017, equation 5).

    It is the gap between mean confidence and accuracy in each of 15 equal-width bins, averaged over texts.
    """
    bins = calibration_bins(top_probability)
    gaps = np.asarray(correct, dtype=float) - top_probability
    return float(np.abs(np.bincount(bins, gaps, minlength=ECE_BINS)).sum() / len(gaps))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
