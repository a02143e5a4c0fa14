"""Worker processes to compare the service with: a constant, and TF-IDF with a linear SVM (scikit-learn).

``python -m benchmarks.service_baselines`` replaces `lmclassify.service.model_scorer`. Its options are the
kind of scorer and, for the SVM, the table it is trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from lmclassify.comparison.baselines import Baseline, svm
from lmclassify.datasets.labelled import read_tables
from lmclassify.service.worker import WorkerModels, run_worker


class _BaselineScorer:
    notes: Sequence[str] = ()
    checksum = ""

    def predict_with_reason(self, text: str) -> Any:
        raise NotImplementedError

    def explain(self, text: str, label: str | None, against: str | None, brief: bool = False) -> Any:
        raise NotImplementedError

    def suggest(self, prefix: str, label: str | None, n: int) -> Any:
        raise NotImplementedError

    def learn(self, text: str, label: str, from_label: str | None, undo: bool) -> Any:
        raise NotImplementedError

    def lesson_counts(self) -> None:
        return None

    def scorer(self, user: str | None, *, to_teach: bool) -> Self:
        return self

    def model_info(self) -> Any:
        return {}


class Constant(_BaselineScorer):
    """Returns the same prediction for every text, of the size of that of a model with two labels."""

    def predict(self, texts: list[str]) -> list[Any]:
        """Return one prediction per text."""
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


class LinearSVM(_BaselineScorer):
    """A calibrated linear SVM on TF-IDF features, the best baseline of `lmclassify benchmark`.

    Parameters
    ----------
    train : str
        CSV file with texts and labels.
    """

    def __init__(self, train: str) -> None:
        data = read_tables([train], say=lambda message: None)
        self._baseline = Baseline(svm).fit(data.texts, data.labels).calibrate(data.texts, data.labels)
        self._labels = [str(label) for label in self._baseline.classes_]

    def predict(self, texts: list[str]) -> list[Any]:
        """Return the label and the probabilities of each text."""
        return [
            {
                "label": self._labels[max(range(len(row)), key=row.__getitem__)],
                "probabilities": dict(zip(self._labels, row, strict=True)),
            }
            for row in self._baseline.predict_proba(texts).tolist()
        ]


def _load(options: Mapping[str, Any]) -> WorkerModels:
    return Constant() if options["kind"] == "constant" else LinearSVM(options["train"])


if __name__ == "__main__":
    run_worker(_load)
