"""How good predictions are, by scikit-learn's metrics where it has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    precision_recall_fscore_support,
)

from lmclassify.errors import printable
from lmclassify.report.labelling import TableLabeller

_ECE_BINS = 15
_PER_LABEL = ("precision", "recall", "f1-score", "support")


@dataclass(frozen=True)
class Evaluation:
    """Figures for texts whose labels are known."""

    texts: int
    labels: list[str]
    """All labels, of the model and of the data, sorted."""
    accuracy: float
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
        lines += [
            f"perplexity {value:.1f} ({printable(label)}: its texts, its model)"
            for label, value in self.perplexity.items()
        ]
        return "\n".join(lines)


def evaluate(
    true: Sequence[str],
    log_posteriors: npt.NDArray[np.float64],
    classes: Sequence[str],
    perplexity: Mapping[str, float] | None = None,
) -> Evaluation:
    """Compare log posteriors with true labels.

    Parameters
    ----------
    true : sequence of str, (n,)
        n >= 1 labels; a model may lack some of them.
    log_posteriors : ndarray, (n, K)
    classes : sequence of str, (K,)
        The model's labels.
    perplexity : mapping of str to float, optional
    """
    names = np.asarray(classes, dtype=object)
    predicted = names[log_posteriors.argmax(axis=1)]
    labels = sorted({*true, *classes})
    place = {label: index for index, label in enumerate(classes)}
    of_true = [
        log_posteriors[row, place[label]] if label in place else -np.inf for row, label in enumerate(true)
    ]
    options = {"labels": labels, "zero_division": 0.0}
    columns = precision_recall_fscore_support(true, predicted, **options)
    return Evaluation(
        texts=len(true),
        labels=labels,
        accuracy=float(accuracy_score(true, predicted)),
        macro_f1=float(np.mean(columns[2])),
        log_loss=-float(np.mean(of_true)),
        ece=expected_calibration_error(
            np.exp(log_posteriors.max(axis=1)), predicted == np.asarray(true, dtype=object)
        ),
        confusion_matrix=confusion_matrix(true, predicted, labels=labels).tolist(),
        perplexity=dict(perplexity or {}),
        report=classification_report(
            true, predicted, digits=4, target_names=[printable(label) for label in labels], **options
        ),
        per_label={
            label: dict(zip(_PER_LABEL, map(float, row), strict=True))
            for label, row in zip(labels, zip(*columns, strict=True), strict=True)
        },
    )


def evaluate_rows(labeller: TableLabeller) -> Evaluation:
    """Return the figures of the rows that a labeller has seen; at least one must have a true label."""
    return evaluate(labeller.true, labeller.log_posteriors, labeller.labels, labeller.perplexity())


def expected_calibration_error(
    top_probability: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]
) -> float:
    """Return the expected calibration error (Guo et al. 2017, equation 5).

    The mean over texts of the gap between confidence and accuracy within 15 equal-width bins.
    """
    bins = np.minimum((np.asarray(top_probability) * _ECE_BINS).astype(int), _ECE_BINS - 1)
    gaps = np.asarray(correct, dtype=float) - top_probability
    return float(np.abs(np.bincount(bins, gaps, minlength=_ECE_BINS)).sum() / len(gaps))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
