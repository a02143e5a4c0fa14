"""Scoring processes to measure the service beside: a constant, and TF-IDF with a linear SVM (scikit-learn).

``python -m benchmarks.service_baselines`` stands in for `lmclassify.service.worker`. Its first message has
the kind and, for the SVM, the table it learns from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmclassify.comparison.baselines import Baseline, svm
from lmclassify.datasets.labelled import read_tables
from lmclassify.service.worker import Scorer, work


class _Yardstick:
    notes: Sequence[str] = ()

    def explain(self, text: str, label: str | None, against: str | None) -> Any:
        raise NotImplementedError

    def suggest(self, prefix: str, label: str | None, n: int) -> Any:
        raise NotImplementedError

    def facts(self) -> Any:
        return {}


class Constant(_Yardstick):
    """Says the same of every text, at once; it looks like what a model of two labels says."""

    def predict(self, texts: list[str]) -> list[Any]:
        """Return as many predictions."""
        nats = {"ham": -1.3786602811239836, "spam": -8.024158105881396}
        return [
            {
                "label": "ham",
                "probabilities": {"ham": 0.9987018262914753, "spam": 0.001298173708524633},
                "joint_log_probabilities": nats,
                "novelty": -1.0236744965682734,
                "unknown": False,
            }
            for _ in texts
        ]


class LinearSVM(_Yardstick):
    """The best of the usual classifiers, calibrated, as `lmclassify benchmark` has it.

    Parameters
    ----------
    train : str
        CSV file of texts and labels.
    """

    def __init__(self, train: str) -> None:
        data = read_tables([train], say=lambda message: None)
        self._rival = Baseline(svm).fit(data.texts, data.labels).calibrate(data.texts, data.labels)
        self._labels = [str(label) for label in self._rival.classes_]

    def predict(self, texts: list[str]) -> list[Any]:
        """Return label and probabilities of each text."""
        return [
            {
                "label": self._labels[max(range(len(row)), key=row.__getitem__)],
                "probabilities": dict(zip(self._labels, row, strict=True)),
            }
            for row in self._rival.predict_proba(texts).tolist()
        ]


def _load(options: Mapping[str, Any]) -> Scorer:
    return Constant() if options["kind"] == "constant" else LinearSVM(options["train"])


if __name__ == "__main__":
    work(_load)
